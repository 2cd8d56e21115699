#!/usr/bin/env bash
# Sets up, builds and runs every test: all of them in the release build, the quick ones again under ASan and UBSan.
# The last line counts: "N passed, N failed, N skipped". --quick leaves out the full tier and the sanitizers.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
if [ "${1:-}" = --quick ]; then scripts/setup.sh; else scripts/setup.sh --tests; fi || exit 2
eval "$(scripts/setup.sh --print-env)" || exit 2 # each build takes the driver that it can use: cmake/tests.cmake

passed=0
failed=0
skipped=0
count() { # FILE: adds up what ctest wrote as JUnit
    local numbers
    numbers=$(python3 - "$1" <<'P'
import sys, xml.etree.ElementTree as tree
s = tree.parse(sys.argv[1]).getroot()
n, f, k = (int(s.get(key, 0)) for key in ("tests", "failures", "skipped"))
k += int(s.get("disabled", 0))
print(n - f - k, f, k)
P
    ) || { failed=$((failed + 1)); return; }
    local p f k
    read -r p f k <<<"$numbers"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + k))
}

run() { # PRESET CTEST-ARGUMENTS...
    local preset=$1 results=$PWD/build/$1.xml
    shift
    echo "== $preset: configure and build"
    cmake --preset "$preset" >"build/$preset.log" 2>&1 || { cat "build/$preset.log"; failed=$((failed + 1)); return; }
    cmake --build --preset "$preset" >>"build/$preset.log" 2>&1 || {
        tail -60 "build/$preset.log"
        failed=$((failed + 1))
        return
    }
    echo "== $preset: tests"
    rm -f "$results"
    ctest --preset "$preset" -j2 --no-tests=error --output-junit "$results" "$@"
    count "$results"
}

mkdir -p build
export LP_NUM_THREADS=${LP_NUM_THREADS:-2}
if [ "${1:-}" = --quick ]; then
    run release -L quick
else
    run release
    ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0 run asan -L quick
fi
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
