#!/usr/bin/env bash
# tier: quick
# The generator gives the committed suites and the demo's data again, byte for byte, and names what it cannot read.
. "$(dirname "$0")/lib/common.sh" "$1"

want 0 lethe-suites "$source" made
says '^grammar +pair '
written=0
while IFS= read -r file; do
    check cmp "made/$file" "$source/$file"
    written=$((written + 1))
done < <(cd made && find . -type f | sort)
check [ "$written" -ge 20 ]
check [ "$(find "$source/probes/sets" -name '*.jsonl' | wc -l)" = "$(find made/probes/sets -name '*.jsonl' | wc -l)" ]
check [ "$(find "$source/demo/suites" -name '*.jsonl' | wc -l)" = "$(find made/demo/suites -name '*.jsonl' | wc -l)" ]

want 2 lethe-suites "$source"
says 'usage: lethe-suites'
want 2 lethe-suites nowhere out
one_line
says 'suites.tsv'
mkdir -p broken/probes/sets/facts
printf 'suite\tkind\nfacts\n' >broken/probes/sets/facts/suites.tsv
want 2 lethe-suites broken out
says 'suites.tsv: line 2: 1 cells, wanted 2'
finish
