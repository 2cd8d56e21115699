# Sourced by the tests of the programs: a scratch folder, and checks that say what they wanted.
# Use: . "$(dirname "$0")/lib/common.sh" "$1"      $1 is the build folder
set -u
build=$(cd "$1" && pwd)
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
export PATH="$build:$PATH" LC_ALL=C.UTF-8
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
checks=0
failures=0

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# want EXIT COMMAND...: runs it into ./out and ./err and compares the exit code.
want() {
    local code=$1
    shift
    "$@" >out 2>err </dev/null
    local got=$?
    checks=$((checks + 1))
    [ "$got" = "$code" ] || fail "exit $got, not $code: $* ($(head -c 400 err))"
}

# says PATTERN: the last command printed it (out or err), as an extended regular expression.
says() {
    checks=$((checks + 1))
    cat out err | grep -qE -- "$1" || fail "nothing like '$1' in: $(cat out err | head -c 600)"
}

# one_line: the last command failed with exactly one line on stderr, beside those that say device, warnings, plan and, where
# it takes seconds, how far it is.
one_line() {
    checks=$((checks + 1))
    [ "$(grep -vcE '^(device: |warning: |plan [0-9a-f]{64}|[a-z][A-Za-z0-9 ._-]*: [0-9]+/[0-9]+(,|$))' err)" = 1 ] || fail "wanted one line on stderr, got: $(head -c 600 err)"
}

check() {
    checks=$((checks + 1))
    "$@" || fail "$*"
}

skip() {
    echo "skipped: $*"
    exit 77
}

finish() {
    echo "$((checks - failures)) of $checks checks hold"
    [ "$checks" -gt 0 ] && [ "$failures" = 0 ]
    exit $?
}
