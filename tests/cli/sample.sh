#!/usr/bin/env bash
# tier: quick
# A monitor out of the shipped suites, and the suites without it: every item in exactly one of them.
. "$(dirname "$0")/lib/common.sh" "$1"

sets=$source/probes/sets
want 0 lethe sample "$sets/capitals.jsonl" "$sets/grammar.jsonl" "$sets/sense.jsonl" --items 300 --out monitor.jsonl --rest gates
says '^capitals +[0-9]+ taken +[0-9]+ left'
says '^monitor.jsonl: 300 of [0-9]+ items, [0-9]+ strata'
want 0 lethe probe --check --probes monitor.jsonl gates/*.jsonl
says '4 suites without errors'
check [ "$(wc -l <monitor.jsonl)" = 301 ]
check [ "$(cat gates/*.jsonl | wc -l)" = "$(($(cat "$sets"/{capitals,grammar,sense}.jsonl | wc -l) - 300))" ]
# Ids of the monitor are SUITE/ID, and none of them is left in the suite.
grep -o '"id":"grammar/[^"]*"' monitor.jsonl | sed 's|grammar/||' >ids
check [ "$(wc -l <ids)" -gt 100 ]
check [ "$(grep -cFf ids "$sets/grammar.jsonl")" -ge "$(wc -l <ids)" ]
check [ "$(grep -cFf ids gates/grammar.jsonl)" = 0 ]

want 0 lethe sample "$sets/capitals.jsonl" "$sets/grammar.jsonl" "$sets/sense.jsonl" --items 300 --out again.jsonl --json
says '^\{"items":300,"lethe_sample":1,"strata":[0-9]+,"suites":\[\{"left":'
check cmp monitor.jsonl again.jsonl
want 0 lethe sample "$sets/capitals.jsonl" "$sets/grammar.jsonl" "$sets/sense.jsonl" --items 300 --seed 2 --out other.jsonl
check [ "$(cmp -s monitor.jsonl other.jsonl; echo $?)" = 1 ]

want 2 lethe sample "$sets/capitals.jsonl" --items 30 --out monitor.jsonl
one_line
says 'monitor.jsonl is there already'
want 2 lethe sample "$sets/capitals.jsonl" --items 30 --out new.jsonl --rest gates
one_line
says 'gates/capitals.jsonl is there already'
check [ ! -e new.jsonl ]
want 2 lethe sample "$sets/capitals.jsonl" "$sets/phrases.jsonl" --items 30 --out new.jsonl
one_line
says "'phrases' is of kind 'cloze' and 'capitals' of kind 'choice'"
want 2 lethe sample "$sets/capitals.jsonl" --items 108 --out new.jsonl
one_line
says '108 items are wanted of 108'
want 2 lethe sample "$sets/capitals.jsonl" --items 30 --out new.jsonl --id capitals
one_line
says "has the id 'capitals' already"
want 2 lethe sample "$sets/capitals.jsonl" --items 30 --out new.jsonl --id 'A B'
says 'is no id of a suite'
want 2 lethe sample --items 30 --out new.jsonl
says 'suites, a number of items and a file are wanted'
check [ ! -e new.jsonl ]
want 0 lethe sample --help
says 'example'
finish
