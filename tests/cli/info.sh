#!/usr/bin/env bash
# tier: quick
. "$(dirname "$0")/lib/common.sh" "$1"
tiny=$source/tests/golden/tiny/tiny.gguf
want 0 lethe info "$tiny"
says '^parameters +86336$'
want 0 lethe info "$tiny" --json
check python3 -c 'import json; d = json.load(open("out")); assert d["blocks"] == 2 and len(d["tokenizer"]) == 64'
want 2 lethe info nowhere.gguf
one_line
echo junk >junk.gguf
want 2 lethe info junk.gguf
says 'junk.gguf'
finish
