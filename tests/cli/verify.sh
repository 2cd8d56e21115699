#!/usr/bin/env bash
# tier: quick
# lethe-verify: exit codes and last lines for an archive of each kind, what it links, and that it builds by one
# command.
. "$(dirname "$0")/lib/common.sh" "$1"

check "$build/test_pack" --make .
for kind in pass:0 closed:0 fail:3 inconclusive:5 imported:5; do
    want "${kind#*:}" lethe-verify "${kind%:*}/a.lethe" --trust trust.json
    says '^verified: [A-Z]+( on imported scores)?, signed by A. Author \(author\), V. Validator \(validator\)$'
done
want 4 lethe-verify pass/a.lethe
says '^not verified: all holds, but the signers are unknown'
want 0 lethe-verify pass/a.lethe --trust trust.json --probes suites --report --require-open
want 2 lethe-verify closed/a.lethe --trust trust.json --require-open
says 'could not check: [0-9]+ lines are withheld'
want 0 lethe-verify pass/a.lethe --trust trust.json --json
check python3 -c 'import json; d = json.load(open("out")); assert d["exit"] == 0 and d["trusted"] and not d["false"]'

printf 'x' >>pass/a.lethe
want 2 lethe-verify pass/a.lethe --trust trust.json
says '^not verified: could not check: .*bytes after the frame'
want 2 lethe-verify nowhere.lethe
says 'nowhere.lethe'
want 2 lethe-verify
one_line
want 2 lethe-verify fail/a.lethe --unheard-of
one_line
want 0 lethe-verify --help
says '^Example:'

# no GPU, no tokenizer: what an auditor has to trust is small
if command -v ldd >/dev/null; then
    ldd "$(command -v lethe-verify)" >links
    check [ "$(grep -cE 'vulkan|volk|pcre' links)" = 0 ]
fi

# the command that stands at the top of cli/verify_main.c
sed -n '/^ \*   cc /,/ -lm$/p' "$source/cli/verify_main.c" | sed 's/^ \*//' >command
check grep -q 'cc .*verify_main' command
command=$(sed 's/\\$//' command | tr '\n' ' ')
(cd "$source" && eval "nice ${command/-o lethe-verify/-o $scratch/alone}") >out 2>err || fail "one command: $(tail -3 err)"
want 3 ./alone fail/a.lethe --trust trust.json
says '^verified: FAIL'
finish
