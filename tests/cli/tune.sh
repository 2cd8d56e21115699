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
