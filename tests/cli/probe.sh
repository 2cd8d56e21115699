#!/usr/bin/env bash
# tier: quick
# Scoring from the command line: rows, tables, and what is refused.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
tiny_audit

want 0 lethe probe "$tiny" --probes task.jsonl facts.jsonl prose.jsonl --out rows
says 'task +24 items'
says 'prose +21 items +[0-9.]+ bits per byte'
check [ "$(wc -l <rows/task.jsonl)" = 24 ]
check [ "$(grep -c salt rows/task.jsonl)" = 0 ]
want 0 lethe probe "$tiny" --probes task.jsonl --json --out one.jsonl
check cmp one.jsonl rows/task.jsonl
check python3 -c 'import json; d = json.load(open("out")); assert d["suites"][0]["items"] == 24'
want 0 lethe probe --check --probes task.jsonl
sed 's/"gold":1/"gold":7/' task.jsonl >broken.jsonl
want 2 lethe probe --check --probes broken.jsonl
says "broken.jsonl:3: item 't1'"
want 2 lethe probe "$tiny" --probes broken.jsonl
one_line
want 2 lethe probe nowhere.gguf --probes task.jsonl
one_line
says 'nowhere.gguf'
head -c 2000 "$tiny" >cut.gguf
want 2 lethe probe cut.gguf --probes task.jsonl
one_line
want 2 lethe probe "$tiny" --probes task.jsonl task.jsonl
says "two suites have the id 'task'"
echo '{"id":"c","context":"a","answers":["b"]}' >cloze.jsonl
want 0 lethe probe "$tiny" --probes cloze.jsonl
says '^cloze +1 items '
sed '1i {"lethe_probe":1,"id":"e","version":"1","title":"E","kind":"exact","role":"task","licence":"CC0-1.0","source":"test"}' \
    cloze.jsonl >exact.jsonl
want 2 lethe probe "$tiny" --probes exact.jsonl
says "scoring of kind 'exact' with a model comes later"
want 2 lethe probe "$tiny" --probes task.jsonl --out /proc/none/rows.jsonl
want 2 env VK_DRIVER_FILES=/nonexistent lethe probe "$tiny" --probes task.jsonl
one_line
finish
