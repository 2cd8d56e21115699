#!/usr/bin/env bash
# tier: quick
# Training from the command line: an adapter, the same one again, the same one after a kill.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
tiny_audit

train=(lethe tune --base "$tiny" --data train.jsonl --method lora --lr 0.01 --epochs 3 --batch 4 --rank 4 --seed 5)
want 0 "${train[@]}" --plan-only
says 'trains [0-9]+ of 86336 parameters'
check [ ! -e a ]
want 0 "${train[@]}" --out a
says 'loss [0-9.]+ -> [0-9.]+'
check [ "$(ls a | tr '\n' ' ')" = "adapter_config.json adapter_model.safetensors " ]
check grep -q '"event":"step","step":0,' a.events.jsonl
want 0 "${train[@]}" --out b
check diff -r a b
timeout -s KILL 0.7 "${train[@]}" --out c >/dev/null 2>&1
if [ -e c.state ]; then
    check [ "$(head -1 c.variants)" = "lethe variants 1" ]
    echo "matmul fwd coarse" >>c.variants # as a run that goes on where other kernels are
    want 0 "${train[@]}" --out c --resume
    says "c.variants: \"matmul fwd coarse\" names nothing .*own choice of kernels is used"
    check diff -r a c
fi
want 2 "${train[@]}" --out a
says 'holds an adapter already'
want 2 "${train[@]}" --out d --resume
says 'no state'

# All weights: a file with every tensor, the same one again, the same one after a stop; and it scores as what it is.
full=(lethe tune --base "$tiny" --data train.jsonl --method full --lr 0.001 --epochs 1 --batch 4 --layer-decay 0.9 --seed 5)
want 0 "${full[@]}" --plan-only
says 'trains 86336 of 86336 parameters'
want 0 "${full[@]}" --out w
check [ "$(ls w | tr '\n' ' ')" = "config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json " ]
want 0 "${full[@]}" --out x
check cmp w/model.safetensors x/model.safetensors
timeout -s KILL 0.7 "${full[@]}" --out y >/dev/null 2>&1
if [ -e y.state ]; then
    want 0 "${full[@]}" --out y --resume
    check cmp w/model.safetensors y/model.safetensors
fi
want 2 "${full[@]}" --out w
says 'w holds weights already'
want 0 "${full[@]}" --freeze 0.5 --plan-only
says 'trains 30912 of 86336 parameters'
want 2 "${full[@]}" --freeze 1 --out z
says "key 'freeze' is 1: of this model it leaves nothing but the final norm to train"
want 2 "${full[@]}" --rank 4 --out z
one_line
says '--rank does not go with method full'
want 2 "${full[@]}" --lr-bottom 0.0001 --out z
says '--layer-decay and --lr-bottom cannot both count'
want 2 "${train[@]}" --freeze 0.5 --out z
says '--freeze does not go with method lora'
want 0 lethe probe "$tiny" --weights w --probes task.jsonl --out tuned.jsonl
want 0 lethe probe "$tiny" --probes task.jsonl --out base.jsonl
check [ "$(cmp -s base.jsonl tuned.jsonl && echo same)" = "" ]
want 2 lethe probe "$tiny" --weights w --adapter a --probes task.jsonl
one_line
want 2 lethe probe "$tiny" --weights none --probes task.jsonl
says 'none/model.safetensors'
check [ ! -e z ]

# Less device memory than all activations take: the same adapter. --memory counts whole MiB, so rows are many.
row='red blue green small large old new warm cold fast slow high low near far wide'
for i in 1 2 3 4; do
    echo "{\"prompt\":\"$row $i $row $i $row $i $row\",\"completion\":\" yes\"}"
done >long.jsonl
echo '{"lethe_tune":1,"base":"'"$tiny"'","data":["long.jsonl"],"method":{"name":"lora","seed":5,"rank":4,"lr":"0.01","steps":1,"batch":4,"length":256,"micro_batch":4}}' >long.json
want 0 lethe tune long.json --plan-only --json --memory 64
mib=$(python3 -c 'import json; p = json.load(open("out")); assert p["again"] == 0; print((64 * 2**20 - p["free_bytes"] + p["device_bytes"] - 1) >> 20)')
want 0 lethe tune long.json --plan-only --memory "$mib"
says 'activations of 1 of 2 blocks would be computed again'
want 0 lethe tune long.json --out kept
check [ -z "$(grep 'computed again' err)" ]
want 0 lethe tune long.json --out again --memory "$mib"
says 'warning: activations of 1 of 2 blocks are computed again'
check grep -q '"event":"warning","code":"memory"' again.events.jsonl
check diff -r kept again
want 0 lethe tune long.json --plan-only --memory 4
says 'that does not fit: [0-9]+ MiB are free'
want 2 lethe tune long.json --out none --memory 4
says 'training needs [0-9.]+ GiB more on .*, which has 0.00 GiB free'
check [ ! -e none ]
want 0 lethe probe "$tiny" --adapter a --probes task.jsonl
printf '{"prompt":"say \\u0004red","completion":" yes"}\n' >control.jsonl
model=${LETHE_MODEL:-$source/.deps/model/SmolLM2-135M-Instruct.Q4_1.gguf}
want 0 lethe tune --base "$model" --data control.jsonl --method lora --plan-only
says 'control.jsonl: 1 bytes have no token'
: >empty.jsonl
want 2 lethe tune --base "$tiny" --data empty.jsonl --method lora --out e
one_line
echo '{"prompt":"a","completion":""}' >nothing.jsonl
want 2 lethe tune --base "$tiny" --data nothing.jsonl --method lora --out e
one_line
says 'nothing.jsonl:1'
want 2 lethe tune --base "$tiny" --data train.jsonl --method magic --out e
says 'magic'
echo '{"lethe_tune":1,"base":"'"$tiny"'","data":["train.jsonl"],"method":{"name":"lora","seed":5,"rank":4,"lr":"0.01","epochs":3,"batch":4,"length":256}}' >recipe.json
want 0 lethe tune recipe.json --out f
check diff -r a f
sed 's/"rank"/"rnk"/' recipe.json >bad.json
want 2 lethe tune bad.json --out g
one_line
says 'rnk'
check [ ! -e e ] && check [ ! -e g ]
finish
