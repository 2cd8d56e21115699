#!/usr/bin/env bash
# tier: full
# As same_bits.sh, with the demo's model, whose weights are 4-bit groups and whose sizes take the fast kernels.
. "$(dirname "$0")/lib/common.sh" "$1"
list=$source/.deps/driver
model=${LETHE_MODEL:-$source/.deps/model/SmolLM2-135M-Instruct.Q4_1.gguf}
[ -s "$list" ] || skip "set-up unpacked no software driver"
[ -s "$model" ] || skip "no $model"
best=$(head -1 "$list")
plain=$(tail -1 "$list")
[ "$best" != "$plain" ] || skip "the newer software driver could not be fetched"
! ldd "$build/lethe" | grep -q libasan || skip "a sanitizer runs on one of the drivers only"
! grep -qs '^LETHE_VALIDATE:BOOL=ON' "$build/CMakeCache.txt" || skip "the validation layer runs on one of the drivers only"
head -13 "$source/probes/sets/science.jsonl" >science.jsonl
for i in $(seq 8); do
    echo "{\"prompt\":\"Sort ticket $i: the printer smokes\",\"completion\":\" hardware team $i\"}"
done >train.jsonl

run() { # NAME ICD WIDTH
    local as=(env VK_DRIVER_FILES="$2" LP_NATIVE_VECTOR_WIDTH="$3" lethe)
    mkdir "$1"
    want 0 "${as[@]}" probe "$model" --probes science.jsonl --out "$1/rows"
    grep '^device: ' err >"$1/device"
    want 0 "${as[@]}" tune --base "$model" --data train.jsonl --method lora --lr 0.001 --epochs 1 --batch 4 --rank 8 \
        --dropout 0.1 --seed 5 --out "$1/adapter"
}
run first "$best" 512
run narrow "$best" 256
run older "$plain" 256
check [ "$(cat first/device)" != "$(cat narrow/device)" ]
check [ "$(cat narrow/device)" != "$(cat older/device)" ]
for one in narrow older; do
    check cmp first/rows "$one/rows"
    check diff -rq first/adapter "$one/adapter"
done
finish
