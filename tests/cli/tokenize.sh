#!/usr/bin/env bash
# tier: quick
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
tiny_audit
want 0 lethe tokenize "$tiny" "hello 12"
check [ "$(wc -l <out)" -ge 3 ]
want 0 lethe tokenize "$tiny" --data train.jsonl --line 2
says 'supervised'
says '\['
want 2 lethe tokenize "$tiny" --data train.jsonl --line 99
one_line
says 'has 20 lines'
want 2 lethe tokenize "$tiny"
finish
