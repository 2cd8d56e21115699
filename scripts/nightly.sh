#!/usr/bin/env bash
# What takes too long for every change: the other compiler, the validation layers, a hundred seeds of every operator on
# every software driver, and a while of fuzzing for every parser. Ends with the names of what failed; exits 1 then.
# FUZZ_SECONDS (60) is the time for one parser, LETHE_SEEDS (100) the seeds of an operator.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
scripts/setup.sh --tests || exit 2
unset VK_DRIVER_FILES
mkdir -p build
export LP_NUM_THREADS=${LP_NUM_THREADS:-2} CK_DEFAULT_TIMEOUT=7200 LETHE_SEEDS=${LETHE_SEEDS:-100} LETHE_FULL=1
failed=()

step() { # NAME COMMAND...
    local name=$1
    shift
    echo "== $name"
    "$@" || failed+=("$name")
}

build() { # FOLDER TARGETS...: an existing configuration
    local folder=$1
    shift
    cmake --build "$folder" --target "$@" >"$folder.log" 2>&1 || {
        tail -40 "$folder.log"
        return 1
    }
}

preset() { # NAME CTEST-ARGUMENTS...
    local name=$1
    shift
    cmake --preset "$name" >"build/$name.log" 2>&1 && build "build/$name" all &&
        LETHE_SEEDS=1 ctest --preset "$name" -j2 --no-tests=error "$@"
}

operators() { # ICD WIDTH
    local start=(env "VK_DRIVER_FILES=$1")
    [ ! -x "${1%/*}/in" ] || start=("${1%/*}/in")
    LP_NATIVE_VECTOR_WIDTH=$2 "${start[@]}" build/release/test_ops
}

fuzz() { # NAME
    local corpus=build/fuzz/corpus/$1
    mkdir -p "$corpus" "build/fuzz/found"
    "build/fuzz/$1" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/found/$1-" "$corpus" "tests/golden/$1" >"build/fuzz/$1.log" 2>&1 || {
        tail -30 "build/fuzz/$1.log"
        return 1
    }
    grep 'number_of_executed_units' "build/fuzz/$1.log"
}

step release preset release
step clang preset clang -L quick
step validation preset debug -L quick
ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0 step sanitizers preset asan -L quick
while read -r driver; do
    for width in 128 256 512; do
        step "operators on $driver at $width bits" operators "$driver" "$width"
    done
done < <(cat .deps/driver 2>/dev/null)
[ ! -f .deps/swiftshader/vk_swiftshader_icd.json ] ||
    step "operators on SwiftShader" operators "$PWD/.deps/swiftshader/vk_swiftshader_icd.json" 128

names=(tests/fuzz/fuzz_*.c)
names=("${names[@]##*/}")
names=("${names[@]%.c}")
if cmake -S . -B build/fuzz -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLETHE_FUZZ=ON -DLETHE_SANITIZE=ON \
    -DCMAKE_C_FLAGS=-fsanitize=fuzzer-no-link >build/fuzz.log 2>&1 && build build/fuzz "${names[@]}"; then
    for name in "${names[@]}"; do
        step "$name" fuzz "$name"
    done
else
    failed+=("building the fuzzers")
fi

echo
[ ${#failed[@]} = 0 ] || printf 'failed: %s\n' "${failed[@]}"
[ ${#failed[@]} = 0 ] && echo "all of it passed"
[ ${#failed[@]} = 0 ]
