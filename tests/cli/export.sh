#!/usr/bin/env bash
# tier: quick
# Models in the other form: the same file again, the same scores, and what is refused.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
tiny_audit
golden=$source/tests/golden

want 0 lethe export "$tiny" hf --to hf --probes prose.jsonl
says '^prose .* -> .* HELD$'
says '^log-probabilities: mean difference 0 nats a token .at most 0.0001., largest 0; flips 0; perplexity'
says '^hf: equivalent$'
check [ "$(cd hf && ls | tr '\n' ' ')" = "config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json " ]
# A margin of 0 can be shown by nothing: written all the same, and said.
want 1 lethe export hf hf.gguf --to gguf --type q8_0 --probes prose.jsonl --margin 0 --json
says 'hf.gguf is written, and it is not equivalent to what it was made of: drifted'
check python3 -c 'import json; d = json.load(open("out")); assert d["verdict"] == "drifted" and 0 < float(d["mean"]) < 0.1 and len(d["suites"]) == 1'
lethe info "$tiny" --json >a
lethe info hf --json >b
lethe info hf.gguf --json >c
check python3 -c 'import json
a, b, c = (json.load(open(x)) for x in "abc")
for key in "parameters", "tokenizer", "template", "vocabulary", "context":
    assert a[key] == b[key] == c[key], key
assert c["types"].startswith("F32 5, Q8_0 15") and len({x["sha256"] for x in (a, b, c)}) == 3'

# A directory is a model wherever a file is one.
want 0 lethe tokenize hf "hello 12"
cp out ids
want 0 lethe tokenize "$tiny" "hello 12"
check cmp out ids
want 0 lethe probe hf --probes prose.jsonl
says '^prose .* bits per byte'
sed -e "s#$tiny#hf#" -e 's/"epochs":2/"epochs":1/' audit.json >folder.json
want 0 lethe plan folder.json --key author.key --out run
check grep -q '"base":{"form":"directory","name":"tiny"' run/plan.json

refused() { # WORDS COMMAND...: exit 2, one line, no file
    local words=$1
    shift
    want 2 "$@"
    one_line
    says "$words"
    check [ ! -e no ]
}
mkdir empty
echo junk >junk.gguf
head -1 prose.jsonl >few.jsonl
sed -n 2,6p prose.jsonl >>few.jsonl
refused 'a model and a name are wanted' lethe export "$tiny" --to gguf
refused 'says in which form' lethe export "$tiny" no
refused '\-\-to pickle: gguf and hf' lethe export "$tiny" no --to pickle
refused '\-\-type q4_0: f32, f16 and q8_0' lethe export "$tiny" no --to gguf --type q4_0
refused 'q8_0 is of GGUF files' lethe export "$tiny" no --to hf --type q8_0
refused '\-\-margin many: a decimal' lethe export "$tiny" no --to gguf --margin many
refused '\-\-margin -0.1: a decimal' lethe export "$tiny" no --to gguf --margin=-0.1
refused 'hf is there already' lethe export "$tiny" hf --to hf
refused "suite 'prose' has 5 clusters: the check wants 20" lethe export "$tiny" no --to gguf --probes few.jsonl
refused 'none.jsonl: No such file' lethe export "$tiny" no --to gguf --probes none.jsonl
refused 'empty/config.json: No such file' lethe export empty no --to gguf --probes prose.jsonl
refused 'junk.gguf: byte 0: not a GGUF file' lethe export junk.gguf no --to hf --probes prose.jsonl
refused 'nowhere/no: No such file' lethe export "$tiny" nowhere/no --to gguf --probes prose.jsonl
refused 'nowhere/no: No such file' lethe export "$tiny" nowhere/no --to hf --probes prose.jsonl
want 2 lethe info empty
one_line
want 0 lethe export --help
says 'example: lethe export'
finish
