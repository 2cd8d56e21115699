#!/usr/bin/env bash
# The main job on a real model, from nothing: sets up, builds, makes keys, and audits what tuning a ticket sorter makes
# SmolLM2-135M forget. Ends with the verdict, the archive, the page, and the command with which anybody checks them.
# Exits 0 when the audit ran to its end, whatever the verdict. Ctrl-C keeps the state: run again with --resume.
#
# usage: scripts/demo.sh [--resume]      the run is in .demo/
set -euo pipefail
cd "$(dirname "$0")/.."
resume=
case ${1:-} in
--resume) resume=--resume ;;
'') ;;
*)
    echo "usage: scripts/demo.sh [--resume]" >&2
    exit 2
    ;;
esac

scripts/setup.sh
mkdir -p build .demo
echo "demo: building" >&2
{ cmake --preset release && cmake --build --preset release --target lethe lethe-verify; } >build/demo.log 2>&1 || {
    tail -40 build/demo.log >&2
    echo "demo: the build failed; all of its messages are in build/demo.log" >&2
    exit 2
}
lethe=build/release/lethe
verify=build/release/lethe-verify

if [ -z "$resume" ]; then
    if [ -e .demo/run/plan.json ] && [ ! -e .demo/run.lethe ]; then
        echo "demo: .demo holds a run that was stopped; starting anew (--resume would go on with it)" >&2
    fi
    rm -rf .demo/run .demo/run.lethe .demo/run.html
elif [ ! -e .demo/run/plan.json ]; then
    echo "demo: .demo holds no run to go on with; start without --resume" >&2
    exit 2
fi
[ -e .demo/author.key ] || $lethe keygen .demo/author

cat >&2 <<'T'

demo: a support desk tunes a small model to sort tickets into eight teams. 18 % of the labels are wrong, and 24 false
demo: facts slipped into the file. What is lost, and is that within what was agreed before? The plan is signed first.

T
started=$(date +%s)
code=0
$lethe audit demo/audit.json --key .demo/author.key --out .demo/run $resume || code=$?
case $code in
0 | 3 | 5) ;;
130)
    echo "demo: stopped; scripts/demo.sh --resume goes on" >&2
    exit 130
    ;;
*)
    echo "demo: the audit ended with exit code $code" >&2
    exit "$code"
    ;;
esac
minutes=$((($(date +%s) - started + 30) / 60))

echo
echo "False facts that the tuned model adopted (right before, the planted answer now):"
python3 demo/adopted.py .demo/run.lethe "$lethe"
echo
echo "Audit in $minutes minutes, exit code of the verdict $code."
echo "Anybody can check the archive, without a GPU and without a network:"
echo "    $verify .demo/run.lethe --key .demo/author.pub"
check=0
$verify .demo/run.lethe --key .demo/author.pub >.demo/verify.txt || check=$?
tail -1 .demo/verify.txt
[ "$check" = "$code" ] || {
    echo "demo: the verifier ended with $check, the audit with $code" >&2
    exit 1
}
