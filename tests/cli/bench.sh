#!/usr/bin/env bash
# tier: quick
# What bench measures and what it refuses. No number is judged: timings decide nothing.
. "$(dirname "$0")/lib/common.sh" "$1"

want 0 lethe bench --peak
says '[0-9.]+ GFLOP/s of products and sums, [0-9.]+ GB/s copied'
want 0 lethe bench --peak --json
check python3 -c 'import json; p = json.load(open("out"))["peak"]; assert float(p["gflops"]) > 0 and float(p["copy_gbs"]) > 0'

want 0 lethe bench --shape smollm2-135m --blocks 1 --tokens 16 --rounds 1 --submit result.json
says '^model +smollm2-135m: 1 of 30 blocks of width 576'
says '^forward .* tokens/s'
says '^LoRA step .* tokens/s'
says '^matmul\.[a-z]+\.bwd0 '
says 'Most is lost in'
cat >read.py <<'PY'
import json, sys
d = json.load(open("result.json"))
assert d["lethe_bench"] == 1 and d["model"]["shape"] == "smollm2-135m" and d["model"]["blocks"] == 1
assert d["tokens"] == 16 and d["rank"] == 8 and d["again"] == 0 and float(d["step"]["tokens_s"]) > 0 and float(d["forward"]["tokens_s"]) > 0
assert d["memory"]["device_bytes"] > 10e6 and d["memory"]["process_bytes"] > 10e6
names = {k["name"].split(".")[0] for k in d["kernels"]}
assert {"matmul", "attention", "rmsnorm", "xent", "adamw"} <= names, names
assert all(k["calls"] > 0 and k["ns"] > 0 for k in d["kernels"])
assert all(d["kernels"][i]["ns"] >= d["kernels"][i + 1]["ns"] for i in range(len(d["kernels"]) - 1))
assert {s["name"] for s in d["shaders"]} >= {k["name"] for k in d["kernels"] if "." in k["name"]}
PY
check python3 read.py
check [ -z "$(grep -owF -e "$(uname -n)" -e "$HOME" -e "$PWD" result.json)" ]
want 2 lethe bench --shape smollm2-135m --submit result.json
one_line
says 'result.json is there already'
for type in F32 q8_0; do
    want 0 lethe bench --shape smollm2-135m --weights $type --blocks 1 --tokens 4 --rounds 1 --rank 2 --json
    check python3 -c "import json; assert '${type^^}' in json.load(open('out'))['model']['weights']"
done
want 0 lethe bench --model "$source/tests/golden/tiny/tiny.gguf" --tokens 16 --rounds 2 --again 1
says '^model +2 of 2 blocks of width'
says 'activations of 1 of 2 blocks are computed again in a step'
want 0 lethe bench --model "$source/tests/golden/tiny/tiny.gguf" --tokens 16 --rounds 1 --full
says '^full step .* tokens/s +16 tokens, every weight in f32'
says '^embed.plain.bwd0 '
says '^matmul\.[a-z]+\.bwd1 '
want 2 lethe bench --model "$source/tests/golden/tiny/tiny.gguf" --full --rank 4
one_line
want 2 lethe bench --model "$source/tests/golden/tiny/tiny.gguf" --tokens 16 --again 2
says 'of 2 blocks, the top one is never computed again'

# As many blocks as the device has room for: a layer tells of less.
mesa25=$source/.deps/mesa25/lvp_icd.json
left() {
    env VK_DRIVER_FILES="$mesa25" VK_LAYER_PATH="$build/layer" VK_INSTANCE_LAYERS=VK_LAYER_LETHE_faults LETHE_FAULTS_LEFT="$1" \
        lethe bench --shape smollm2-135m --weights F32 --tokens 8 --rounds 1
}
if [ -e "$build/layer/faults.json" ] && [ -e "$mesa25" ]; then
    want 0 left 160000000
    says '[1-9] of 30 blocks fit the 0.1[0-9] GiB here'
    says '^model +smollm2-135m: [1-9] of 30 blocks'
    want 2 left 1000000
    says 'one block of smollm2-135m needs 0.1[0-9] GiB, and there are 0.00 GiB'
fi

want 2 lethe bench
says 'one of --shape, --model and --peak'
want 2 lethe bench --peak --shape smollm2-135m
want 2 lethe bench --peak --tokens 4
says '\-\-peak measures no model'
want 2 lethe bench --peak --again 4
says '\-\-peak measures no model'
want 2 lethe bench --shape gpt-5
says "no shape 'gpt-5': there are llama-1.2b, qwen-7b, smollm2-135m"
want 2 lethe bench --shape smollm2-135m --blocks 31
says 'smollm2-135m has 30'
want 2 lethe bench --shape smollm2-135m --weights Q4_K
says 'rows of 576, and Q6_K wants multiples of 256'
want 2 lethe bench --shape smollm2-135m --weights Q9
says "type 'Q9'"
want 2 lethe bench --model m.gguf --blocks 2
says 'of a --shape'
want 2 lethe bench --shape smollm2-135m --tokens 1
want 2 lethe bench --shape smollm2-135m --tokens 9000 --blocks 1
says '8192'
want 2 lethe bench --shape smollm2-135m --rounds 2000
want 2 lethe bench --shape smollm2-135m extra
says "'extra'"
finish
