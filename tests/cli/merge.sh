#!/usr/bin/env bash
# tier: quick
# Adapters merged into weights, in both forms, and what is refused.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
tiny_audit
golden=$source/tests/golden

want 0 lethe merge "$tiny" "$golden/tiny/adapter" m.gguf --probes prose.jsonl
says '^log-probabilities: mean difference [0-9.e-]+ nats a token .at most 0.0001.'
says '^m.gguf: equivalent$'
check [ "$(head -c 4 m.gguf)" = GGUF ]
want 0 lethe merge "$golden/hf/sharded" "$golden/hf/dora" d --probes prose.jsonl
says 'not checked: an adapter with magnitudes'
want 0 lethe info d
says '^types +F32 21$'

# A margin of 0 can be shown by nothing, and what was merged is not the base either.
want 1 lethe merge "$tiny" "$golden/tiny/adapter" strict.gguf --type q8_0 --probes prose.jsonl --margin 0
says '^against the base, log-probabilities'
says 'it is not equivalent to what it was made of: drifted'

refused() { # WORDS COMMAND...: exit 2, one line, no file
    local words=$1
    shift
    want 2 "$@"
    one_line
    says "$words"
    check [ ! -e no ]
}
adapter() { # NAME EDIT: the adapter with its configuration changed
    rm -rf "$1"
    cp -r "$golden/hf/dora" "$1"
    sed -i "$2" "$1/adapter_config.json"
}
refused 'a model, an adapter and a name are wanted' lethe merge "$tiny" "$golden/tiny/adapter"
refused 'adapter_config.json: No such file' lethe merge "$tiny" nowhere no --probes prose.jsonl
refused 'merged to f32 first' lethe merge "$golden/hf/sharded" "$golden/hf/dora" no --type f16 --probes prose.jsonl
refused 'q_proj|rank|tensor' lethe merge "$tiny" "$golden/hf/pattern" no --probes prose.jsonl
adapter saved 's/"modules_to_save": null/"modules_to_save": ["lm_head"]/'
refused "key 'modules_to_save' is set: it is not honoured" lethe merge "$golden/hf/sharded" saved no --probes prose.jsonl
adapter plain 's/"use_dora": true/"use_dora": false/'
refused "lora_magnitude_vector' is not honoured" lethe merge "$golden/hf/sharded" plain no --probes prose.jsonl
adapter other 's/"model.layers.0.mlp.down_proj"/"lm_head"/'
refused "key 'target_modules' has 'lm_head'" lethe merge "$golden/hf/sharded" other no --probes prose.jsonl
adapter init 's/"init_lora_weights": true/"init_lora_weights": "pissa"/'
refused "key 'init_lora_weights' is 'pissa'" lethe merge "$golden/hf/sharded" init no --probes prose.jsonl
adapter broken 's/"rank_pattern": {}/"rank_pattern": {"(": 2}/'
refused "key 'rank_pattern': '\\(' is no expression" lethe merge "$golden/hf/sharded" broken no --probes prose.jsonl
want 0 lethe merge --help
says 'example: lethe merge'
finish
