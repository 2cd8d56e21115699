#!/usr/bin/env bash
# tier: quick
# The two software drivers of set-up, and their vector widths, give the same bits: rows of a scored model, a trained
# adapter, its losses.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
list=$source/.deps/driver
[ -s "$list" ] || skip "set-up unpacked no software driver"
best=$(head -1 "$list")
plain=$(tail -1 "$list")
[ "$best" != "$plain" ] || skip "the newer software driver could not be fetched"
! ldd "$build/lethe" | grep -q libasan || skip "a sanitizer runs on one of the drivers only"
! grep -qs '^LETHE_VALIDATE:BOOL=ON' "$build/CMakeCache.txt" || skip "the validation layer runs on one of the drivers only"
tiny_audit
widths="128 256"
! grep -q avx512f /proc/cpuinfo || widths="$widths 512"

run() { # NAME ICD WIDTH
    local as=(env VK_DRIVER_FILES="$2" LP_NATIVE_VECTOR_WIDTH="$3" lethe)
    mkdir "$1"
    want 0 "${as[@]}" probe "$tiny" --probes task.jsonl facts.jsonl pairs.jsonl prose.jsonl --out "$1/base"
    grep '^device: ' err >"$1/device"
    want 0 "${as[@]}" tune --base "$tiny" --data train.jsonl --method lora --lr 0.01 --epochs 2 --batch 4 --rank 4 \
        --seed 5 --out "$1/adapter"
    grep -o '"event":"step".*' "$1/adapter.events.jsonl" | grep -oE '"(step|loss)":[^,}]*' >"$1/losses"
    want 0 "${as[@]}" probe "$tiny" --adapter "$1/adapter" --probes task.jsonl facts.jsonl --out "$1/tuned"
}
for width in $widths; do
    run "new$width" "$best" "$width"
    run "old$width" "$plain" "$width"
    check [ "$(cat "new$width/device")" != "$(cat "old$width/device")" ]
done
check [ -s new128/losses ]
for one in new* old*; do
    for what in base adapter tuned losses; do
        check diff -rq "new128/$what" "$one/$what"
    done
done
finish
