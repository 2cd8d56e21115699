#!/usr/bin/env bash
# tier: full
# A device that is lost, hangs or has no memory, at many moments of a job (tests/layer/faults.c plants them): exit 2, one
# line that names the operator or the bytes, nothing half-written, the last checkpoint whole, and a job that goes on to
# the bits of one that was never disturbed.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
export VK_DRIVER_FILES=${VK_DRIVER_FILES:-$source/.deps/mesa25/lvp_icd.json}
[ -e "${VK_DRIVER_FILES%%:*}" ] || skip "no $VK_DRIVER_FILES: the layer stands before Mesa 25 (scripts/setup.sh)"
[ -e "$build/layer/faults.json" ] || { echo "no layer in $build"; exit 1; }
export VK_LAYER_PATH=$build/layer VK_INSTANCE_LAYERS=VK_LAYER_LETHE_faults
tiny_audit

# faulty FAULT COMMAND...: ends in time, with exit 2 and one line.
faulty() {
    local fault=$1 patience=()
    shift
    case $fault in *hang) patience=(LETHE_TIMEOUT=1) ;; esac
    want 2 timeout -s KILL 100 env "${patience[@]}" LETHE_FAULTS="$fault" "$@" --quiet
    one_line
}
device_lost='(the device is lost|no answer in time|out of (host|device) memory) while (submitting|running) [0-9]+ operators?, the last [a-z0-9_. ]+(, sizes [0-9 ]+| of [0-9]+ bytes)'
no_memory='[a-z]+: [0-9]+ bytes: out of (host|device) memory, [0-9]+ bytes in use'

# calls CALL: how many of them the log of a clean run has
calls() { grep -c "^$1 " log; }
# bytes that no temporary file keeps, and documents that can be read
nothing_half() { # PATH...
    checks=$((checks + 1))
    find "$@" -regextype posix-extended -regex '.*\.(json|jsonl|lethe|salt|state|safetensors)\.[A-Za-z0-9]{6}' 2>/dev/null |
        grep . && fail "a temporary file was left behind"
    find "$@" -name '*.json' -print0 2>/dev/null |
        xargs -0 -r -n1 python3 -c 'import json, sys; json.load(open(sys.argv[1]))' || fail "a broken document"
}
last_checkpoint() { grep '"event":"checkpoint"' "$1" | tail -1 | grep -oE '"step":[0-9]+,"sha256":"[0-9a-f]{64}"'; }

# ---- lethe tune ----
tune=(lethe tune --base "$tiny" --data train.jsonl --method lora --lr 0.01 --epochs 3 --batch 4 --rank 4 --seed 5)
want 0 env LETHE_FAULTS_LOG=log "${tune[@]}" --out whole
submissions=$(calls submit) allocations=$(calls allocate) pipelines=$(calls pipeline)
bytes=$(awk '$1 == "allocate" { sum += $3 } END { print sum }' log)
[ "$submissions" -ge 15 ] && [ "$allocations" -ge 8 ] && [ "$pipelines" -ge 8 ] ||
    fail "the layer saw $submissions submissions, $allocations allocations, $pipelines pipelines"

# The state file is the undisturbed run's of the same update, by the digest that its event tells and by the one it ends in.
state_is_whole() { # DIR
    checks=$((checks + 1))
    local now
    now=$(last_checkpoint "$1.events.jsonl")
    [ -n "$now" ] || fail "no checkpoint in $1.events.jsonl"
    grep -q "$now" whole.events.jsonl || fail "the checkpoint is not that of the undisturbed run: $now"
    [ "$(head -c -32 "$1.state" | sha256sum | cut -c1-64)" = "$(echo "$now" | grep -oE '[0-9a-f]{64}')" ] ||
        fail "$1.state is not the last checkpoint"
    [ "$(tail -c 32 "$1.state" | od -An -v -tx1 | tr -d ' \n')" = "$(echo "$now" | grep -oE '[0-9a-f]{64}')" ] ||
        fail "$1.state is damaged"
}

# tuned_with FAULT: runs into it, then goes on without it.
with_checkpoint=0
tuned_with() {
    rm -rf run run.*
    faulty "$1" "${tune[@]}" --out run
    nothing_half run run.state run.events.jsonl
    check [ ! -e run/adapter_model.safetensors ]
    local more=()
    if [ -e run.state ]; then
        says 'the last checkpoint stays'
        state_is_whole run
        with_checkpoint=$((with_checkpoint + 1))
        more=(--resume)
        cp run.state before
        faulty "submit:2:lost" "${tune[@]}" --out run --resume # and again, before it gets far
        check cmp before run.state
    fi
    want 0 "${tune[@]}" --out run "${more[@]}"
    check diff -r whole run
    check [ ! -e run.state ]
}

third=$((submissions / 3)) # the first of three epochs ends in a checkpoint
for n in 1 2 $((third - 1)) "$third" $((third + 1)) $((third * 2)) "$submissions"; do
    tuned_with "submit:$n:lost"
    says '[0-9]+ updates'
done
check [ "$with_checkpoint" -ge 3 ]
faulty "submit:$((third + 1)):lost" "${tune[@]}" --out named
says "update 5: .*$device_lost; the last checkpoint stays"
for fault in "wait:1:lost" "wait:$((third * 2)):lost" "submit:3:hang" "submit:$((third * 2)):hang" \
    "submit:4:host-memory" "submit:$((third * 2)):device-memory" "wait:$third:host-memory"; do
    tuned_with "$fault"
done
for fault in submit:1:lost wait:3:lost submit:3:hang submit:3:device-memory wait:3:host-memory; do
    rm -rf named named.*
    faulty "$fault" "${tune[@]}" --out named
    says "update 0: .*$device_lost"
done

# Memory runs out at each allocation, from the weights on, and at some of the pipelines of the first update.
for n in $(seq 1 "$allocations"); do
    rm -rf run run.*
    faulty "allocate:$n:$([ $((n % 2)) = 0 ] && echo host || echo device)-memory" "${tune[@]}" --out run
    says "$no_memory"
    nothing_half run
    check [ ! -e run.state ] && check [ ! -e run/adapter_model.safetensors ]
done
want 0 "${tune[@]}" --out run
check diff -r whole run
for n in 1 5 $((pipelines / 2)) "$pipelines"; do
    rm -rf run run.*
    faulty "pipeline:$n:device-memory" "${tune[@]}" --out run
    says 'update 0: [a-z0-9_]+\.[a-z0-9_.]+.*: out of device memory'
done
want 0 "${tune[@]}" --out run
check diff -r whole run

# ---- less memory than the heap is large, as the driver tells ----
case $VK_DRIVER_FILES in
*lvp_icd*)
    faulty '' env LETHE_FAULTS_LEFT=1000 "${tune[@]}" --out none
    says 'tiny.gguf: needs [0-9.]+ GiB on .*, which has 0.00 GiB free'
    faulty '' env LETHE_FAULTS_LEFT="$bytes" \
        lethe tune --base "$tiny" --data train.jsonl --method lora --rank 32 --out none
    says 'training needs [0-9.]+ GiB more on .*, which has 0.00 GiB free'
    check [ ! -e none ]
    want 0 env LETHE_FAULTS_LEFT="$bytes" "${tune[@]}" --out fits
    check [ -z "$(grep 'computed again' err)" ]
    want 0 "${tune[@]}" --plan-only --json
    left=$(python3 -c 'import json; p = json.load(open("out")); print((p["device_bytes"] + p["device_bytes_least"]) // 2)')
    want 0 env LETHE_FAULTS_LEFT="$left" "${tune[@]}" --out less
    says 'activations of 1 of 2 blocks are computed again'
    check diff -r whole less
    ;;
*) echo "not Mesa's software driver: what VK_EXT_memory_budget tells is not checked" ;;
esac

# ---- submissions are split by their work, and operators into parts: the same bits ----
rm -f log
want 0 env LETHE_FAULTS_LOG=log LETHE_SUBMIT_FLOPS=100000 "${tune[@]}" --out split
check diff -r whole split
check [ "$(calls submit)" -ge $((submissions * 2)) ]
rm -f log
want 0 env LETHE_FAULTS_LOG=log LETHE_SUBMIT_FLOPS=3000 "${tune[@]}" --out parts
check diff -r whole parts
check [ "$(calls submit)" -ge $((submissions * 100)) ]
faulty "submit:$((submissions * 50)):lost" env LETHE_SUBMIT_FLOPS=3000 "${tune[@]}" --out lost
says "$device_lost"

# ---- lethe probe ----
probe=(lethe probe "$tiny" --probes task.jsonl facts.jsonl pairs.jsonl prose.jsonl)
rm -f log
want 0 env LETHE_FAULTS_LOG=log "${probe[@]}" --out rows
submissions=$(calls submit)
check [ "$submissions" -ge 4 ]
for fault in submit:1:lost "submit:$((submissions / 2)):lost" "wait:$submissions:lost" "submit:$submissions:hang" \
    "submit:$((submissions / 2)):device-memory"; do
    rm -rf some
    faulty "$fault" "${probe[@]}" --out some
    says "$device_lost"
    nothing_half some
    for f in some/*; do
        [ ! -e "$f" ] || check cmp "$f" "rows/${f#some/}"
    done
    check [ ! -e some/prose.jsonl ] # the last suite has the last submission
done
faulty submit:1:lost lethe probe "$tiny" --probes task.jsonl --out one.jsonl
check [ ! -e one.jsonl ]
faulty allocate:1:device-memory lethe probe "$tiny" --probes task.jsonl --out one.jsonl
says "$no_memory"
check [ ! -e one.jsonl ]

# ---- lethe audit ----
audit=(lethe audit audit.json --key author.key)
rm -f log
verdict env LETHE_FAULTS_LOG=log "${audit[@]}" --out first
answer=$code
submissions=$(calls submit) allocations=$(calls allocate)
state_seen=0
for fault in submit:1:lost "submit:$((submissions / 4)):lost" "submit:$((submissions / 2)):lost" \
    "wait:$((submissions * 5 / 8)):lost" "submit:$((submissions * 3 / 4)):hang" "submit:$submissions:lost" \
    "submit:$((submissions / 2)):host-memory" allocate:1:device-memory "allocate:$allocations:device-memory"; do
    rm -rf cut cut.*
    mkdir cut && cp first/plan.json first/plan.dsse.json first/plan.salt first/paths.json cut/
    faulty "$fault" "${audit[@]}" --out cut
    says "$device_lost|$no_memory"
    nothing_half cut
    check [ ! -e cut.lethe ]
    [ ! -e cut/train.state ] || state_seen=$((state_seen + 1))
    want "$answer" "${audit[@]}" --out cut --resume
    check diff -r first/adapter cut/adapter
    check diff -r first/items cut/items
    check diff first/conflicts.jsonl cut/conflicts.jsonl
    check [ ! -e cut/train.state ]
    want "$answer" lethe-verify cut.lethe --key author.pub
done
check [ "$state_seen" -ge 1 ]
finish
