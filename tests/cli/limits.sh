#!/usr/bin/env bash
# tier: quick
# A disk that fills up at several moments, and folders that cannot be written: one line, exit 2, nothing half-written,
# and a run that goes on when there is room again.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
tiny_audit

mkdir disk
mount -t tmpfs -o size=4k tmpfs disk 2>/dev/null || skip "no right to mount a small disk"
trap 'umount "$scratch/disk"; rm -rf "$scratch"' EXIT
empty() { # SIZE: nothing on it, and no more room than that
    rm -rf disk/*
    mount -o "remount,size=$1" "$scratch/disk"
}

# Every document is there whole or not at all, and no temporary file is left.
nothing_half() {
    checks=$((checks + 1))
    find disk -regextype posix-extended -regex '.*\.(json|jsonl|lethe|salt|state|safetensors)\.[A-Za-z0-9]{6}' | grep . &&
        fail "a temporary file was left behind"
    find disk -name '*.json' -print0 | xargs -0 -r -n1 python3 -c 'import json, sys; json.load(open(sys.argv[1]))' ||
        fail "a broken document"
}

lethe audit audit.json --key author.key --out whole >/dev/null 2>&1
stopped=0
for kib in 8 16 24 40 64 96 128 160 192; do
    empty "${kib}k"
    lethe audit audit.json --key author.key --out disk/run >out 2>err </dev/null && continue
    code=$?
    case $code in 3 | 5) continue ;; esac
    stopped=$((stopped + 1))
    checks=$((checks + 1))
    [ "$code" = 2 ] || fail "exit $code on a disk of $kib KiB: $(tail -c 300 err)"
    one_line
    says 'No space left|disk is full'
    nothing_half
    check [ ! -e disk/run.lethe ]
    mount -o remount,size=16m "$scratch/disk"
    if [ -e disk/run/plan.json ]; then
        verdict lethe audit audit.json --key author.key --out disk/run --resume
    else
        rm -rf disk/*
        verdict lethe audit audit.json --key author.key --out disk/run
    fi
    check diff -r whole/adapter disk/run/adapter
    want "$code" lethe-verify disk/run.lethe --key author.pub
done
check [ "$stopped" -ge 4 ]

empty 8k
want 2 lethe tune --base "$tiny" --data train.jsonl --method lora --epochs 1 --out disk/adapter
one_line
check [ ! -e disk/adapter/adapter_model.safetensors ]
want 2 lethe probe "$tiny" --probes facts.jsonl task.jsonl pairs.jsonl --out disk/rows
one_line
want 2 lethe pack whole -o disk/small.lethe --key author.key
one_line
check [ ! -e disk/small.lethe ]
for form in gguf hf; do
    want 2 lethe export "$tiny" disk/model --to $form --probes facts.jsonl
    one_line
    says 'No space left|disk is full'
    check [ -z "$(ls -A disk | grep model)" ]
done
nothing_half

# Too little memory for the real model: found while its weights are taken. A sanitizer has no use for such a limit.
model=${LETHE_MODEL:-$source/.deps/model/SmolLM2-135M-Instruct.Q4_1.gguf}
if ! ldd "$build/lethe" | grep -q libasan; then
    want 2 sh -c 'ulimit -v 900000; exec lethe probe "$1" --probes facts.jsonl' sh "$model"
    one_line
    says 'weights: [0-9]+ bytes'
fi

want 2 lethe audit audit.json --key author.key --out /proc/none/run
one_line
want 2 lethe tune --base "$tiny" --data train.jsonl --method lora --out /proc/none/adapter
one_line
want 2 sh -c 'lethe info "$1" >/dev/full' sh "$tiny"
one_line
says 'standard output'
finish
