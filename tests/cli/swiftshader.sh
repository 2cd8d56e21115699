#!/usr/bin/env bash
# tier: full
# A second, unrelated driver: no 64-bit integers, no 16-bit storage, 4 lanes, 256 invocations, 128 bytes of push
# constants. All that needs no more runs there, and decides as the first driver does.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
swiftshader=$source/.deps/swiftshader/vk_swiftshader_icd.json
[ -f "$swiftshader" ] || skip "no SwiftShader (scripts/setup.sh --tests)"
! ldd "$build/lethe" | grep -q libasan || skip "not with a sanitizer"
export CK_DEFAULT_TIMEOUT=900
tiny_audit
train=(lethe tune --base "$tiny" --data train.jsonl --method lora --lr 0.01 --epochs 2 --batch 4 --rank 4 --seed 5)

want 0 lethe probe "$tiny" --probes task.jsonl facts.jsonl pairs.jsonl prose.jsonl --out first
want 0 "${train[@]}" --out first.adapter
export VK_DRIVER_FILES=$swiftshader
want 0 lethe devices
says '^0  SwiftShader'
want 0 lethe probe "$tiny" --probes task.jsonl facts.jsonl pairs.jsonl prose.jsonl --out second
says '^device: SwiftShader'
want 0 "${train[@]}" --out second.adapter
check python3 - <<'P'
import json, sys
for name in ("task", "facts", "pairs", "prose"):
    for a, b in zip(open(f"first/{name}.jsonl"), open(f"second/{name}.jsonl"), strict=True):
        a, b = json.loads(a), json.loads(b)
        assert a["id"] == b["id"] and a.get("acc") == b.get("acc"), (name, a["id"])
        pairs = zip(a["ll"], b["ll"], strict=True) if isinstance(a["ll"], list) else [(a["ll"], b["ll"])]
        for x, y in pairs:
            assert abs(x - y) < 1e-3, (name, a["id"], x, y)
losses = []
for side in ("first", "second"):
    steps = [json.loads(line) for line in open(f"{side}.adapter.events.jsonl") if '"event":"step"' in line]
    losses.append([float(s["loss"]) for s in steps])
assert len(losses[0]) == len(losses[1]) > 2
assert all(abs(x - y) < 1e-3 for x, y in zip(*losses)), losses
P
for test in test_ops test_gpu test_model test_compare test_lm test_train; do
    (cd "$source" && "$build/$test") >log 2>&1
    code=$?
    checks=$((checks + 1))
    echo "$(grep 'Checks:' log)  $test"
    [ $code = 0 ] || { fail "$test: exit $code"; tail -20 log; }
done
finish
