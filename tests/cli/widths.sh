#!/usr/bin/env bash
# tier: full
# Every kernel at subgroups of 4, 8 and 16 lanes on each software driver of set-up, and at those of 4 and 8 the decoder both ways,
# scorer, training and comparison: what each test program has in its case "widths". The rest of these programs, and the rows that no
# width sets apart, run at the width that lethe takes by itself. Cooperative matrices where a driver has them, which is at 8 lanes
# of the newest one.
. "$(dirname "$0")/lib/common.sh" "$1"
list=$source/.deps/driver
[ -s "$list" ] || skip "set-up unpacked no software driver"
export CK_DEFAULT_TIMEOUT=600 CK_RUN_CASE=widths LETHE_WIDTHS=1
unset VK_DRIVER_FILES LP_NATIVE_VECTOR_WIDTH
printf 'lethe variants 1\nmatmul fwd coop\nmatmul bwd0 coop\n' >coop.variants
coop=0
while read -r driver; do
    start=(env "VK_DRIVER_FILES=$driver")
    if [ -f "${driver%/*}/loader" ]; then
        # such a driver is for builds that may run under its C library
        ! ldd "$build/lethe" | grep -q libasan || continue
        ! grep -qs '^LETHE_VALIDATE:BOOL=ON' "$build/CMakeCache.txt" || continue
        start=("${driver%/*}/in")
    fi
    for lanes in 4 8 16; do
        export LP_NATIVE_VECTOR_WIDTH=$((lanes * 32))
        want 0 "${start[@]}" lethe devices --json
        check python3 - $lanes <<'P'
import json, sys
d = json.load(open("out"))["devices"][0]
sys.exit(not (d["lanes_min"] == d["lanes_max"] == int(sys.argv[1]) and "llvmpipe" in d["name"]))
P
        if grep -q '"coop": *true' out && grep -qs '^LETHE_COOP:BOOL=ON' "$build/CMakeCache.txt"; then
            coop=$((coop + 1))
            check [ $lanes = 8 ] # at 16 lanes the driver crashes
            check [ "$(grep -c '\.coop\.' out)" = 0 ]
            want 0 env LETHE_VARIANTS=coop.variants "${start[@]}" lethe devices --json
            says '"matmul\.coop\.fwd"'
        fi
        tests=(test_ops test_model test_lm)
        [ $lanes != 4 ] || tests+=(test_compare test_train)
        [ $lanes != 16 ] || tests=(test_ops)
        for test in "${tests[@]}"; do
            (cd "$source" && "${start[@]}" "$build/$test") >log 2>&1
            code=$?
            checks=$((checks + 1))
            echo "$(grep '^device\|Checks:' log | tail -1)  $test, $lanes lanes, $driver"
            [ $test != test_ops ] || grep -q 'coop  *fwd\|coop skipped' log || fail "coop, $lanes lanes, $driver: not run"
            [ $code = 0 ] || { fail "$test, $lanes lanes, $driver: exit $code"; tail -20 log; }
        done
    done
done <"$list"
[ $coop != 0 ] || echo "skipped: matmul.coop, which no software driver here runs"
finish
