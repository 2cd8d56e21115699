#!/usr/bin/env bash
# tier: quick
# The best software driver from any shell: lethe starts again under the C library that the driver brings, arguments,
# exit codes and signals pass through, and where that fails the next driver is used.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
list=$source/.deps/driver
[ -s "$list" ] || skip "set-up unpacked no software driver"
best=$(head -1 "$list")
plain=$(tail -1 "$list")
[ -f "$(dirname "$best")/loader" ] || skip "the newer software driver could not be fetched"
# What an installation or a clone looks like from inside; in the environment of a shell that knows nothing of lethe.
mkdir -p "a clone/build/release" "a clone/.deps" prefix/bin prefix/share/lethe bare
cp "$build/lethe" "a clone/build/release/"
cp "$build/lethe" prefix/bin/
cp "$build/lethe" bare/
cp "$list" "a clone/.deps/driver"
inside="$scratch/a clone/build/release/lethe"
scrubbed() { env -i "HOME=$scratch" "$@"; }
driver_of() { # FILE of `lethe devices --json`
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["devices"][0]["driver_version"])' "$1"
}

{ read -r ld && read -r libraries; } <"$(dirname "$best")/loader"
"$ld" --library-path "$libraries" "$(command -v env)" -i true || fail "the unpacked C library does not run"
scrubbed VK_DRIVER_FILES="$best" "$ld" --library-path "$libraries" "$build/lethe" devices --json >best.json
scrubbed VK_DRIVER_FILES="$plain" "$build/lethe" devices --json >plain.json
newest=$(driver_of best.json)
older=$(driver_of plain.json)
check [ -n "$newest" ]
check [ -n "$older" ]
check [ "$newest" != "$older" ]
uses() { # VERSION, or none: what the last `lethe devices --json` was run on
    checks=$((checks + 1))
    [ "$(driver_of out)" = "$1" ] || fail "$(driver_of out) was used, not $1"
}

# A build that stays under the system's C library uses the older driver, without a word.
stays=no
! ldd "$build/lethe" | grep -q libasan || stays=yes
! grep -qs '^LETHE_VALIDATE:BOOL=ON' "$build/CMakeCache.txt" || stays=yes
if scrubbed bare/lethe devices --json >out 2>err && grep -qE '"type": *"(discrete|integrated|virtual)"' out; then
    cp out system.json
    want 0 scrubbed "$inside" devices --json
    check cmp out system.json # a GPU is preferred, whatever set-up unpacked
    finish
fi
want 0 scrubbed "$inside" devices --json
check [ ! -s err ]
if [ $stays = yes ]; then
    uses "$older"
    finish
fi
uses "$newest"
want 0 scrubbed LETHE_VALIDATION=1 "$inside" devices --json
uses "$older"

# ---- the user's own choice ----
want 0 scrubbed VK_DRIVER_FILES="$plain" "$inside" devices --json
uses "$older"
want 0 scrubbed VK_DRIVER_FILES="$best" bare/lethe devices --json
uses "$newest"
want 0 scrubbed VK_ICD_FILENAMES="$best" bare/lethe devices --json
uses "$newest"
want 2 scrubbed VK_DRIVER_FILES=/nonexistent "$inside" devices
says 'no Vulkan device'
want 2 scrubbed bare/lethe devices
one_line
want 2 scrubbed "$inside" probe "$tiny" --probes "$source/probes/sets/capitals.jsonl" --device nosuch
says 'no device "nosuch"'

# ---- found from elsewhere ----
(cd / && scrubbed "$inside" devices --json) >out
uses "$newest"
ln -s "$inside" link
want 0 scrubbed ./link devices --json
uses "$newest"
cp "$list" prefix/share/lethe/driver
want 0 scrubbed prefix/bin/lethe devices --json
uses "$newest"
cp "$list" bare/lethe.driver
want 0 scrubbed sh -c 'PATH=$1 exec lethe devices --json' sh "$scratch/bare"
uses "$newest"
rm bare/lethe.driver
want 2 scrubbed VK_DRIVER_FILES="$best" bare/lethe probe "$tiny"
says 'not beside the program'
for suites in "a clone/probes/sets" prefix/share/lethe/sets; do # found, and then refused
    mkdir -p "$suites"
    for suite in "$source"/probes/sets/*.jsonl; do
        echo '{' >"$suites/${suite##*/}"
    done
done
want 2 scrubbed "$inside" probe "$tiny"
says 'a clone/build/release/../../probes/sets/.*jsonl:1'
want 2 scrubbed prefix/bin/lethe probe "$tiny"
says 'prefix/bin/../share/lethe/sets/.*jsonl:1'

# ---- what passes through ----
tiny_audit
mkdir 'two  words'
cp facts.jsonl 'two  words/a "file".jsonl'
want 0 scrubbed "$inside" probe "$tiny" --probes 'two  words/a "file".jsonl' --json
check [ "$(grep -c '^device: ' err)" = 1 ]
check grep -q "$newest" err
want 2 scrubbed "$inside" devices ''
says "here is ''"
want 2 scrubbed "$inside" devices $'a\nb' --json
says 'a..?n?b'
want 2 scrubbed sh -c '"$1" devices >/dev/full' sh "$inside"
says 'standard output'
env -i HOME="$scratch" "$inside" tune --base "$tiny" --data train.jsonl --method lora --epochs 1000 --out long >out 2>err &
tune=$!
for _ in $(seq 100); do
    [ -e long.events.jsonl ] && break
    sleep 0.1
done
check [ "$(cat "/proc/$tune/comm")" = lethe ]
kill -INT $tune
wait $tune
code=$?
check [ $code = 130 ]
check [ -e long.state ]
verdict scrubbed "$inside" audit audit.json --key author.key --out run
check grep -q "$(sha256sum "$inside" | cut -d' ' -f1)" run/environment.json

# ---- a loader that cannot work: said once, and the next driver is used ----
mkdir broken
cp "$best" broken/icd.json
printf '%s\n' "$scratch/broken/icd.json" "$plain" >"a clone/.deps/driver"
printf '#!/bin/sh\nshift 4\nexec "$@"\n' >again # an ld.so that starts the program as it is
chmod +x again
mkdir fake
: >fake/libc.so.6
for loader in '' 'ld.so\nfake\n' '/one/line\n' '/nowhere/ld.so\n/nowhere\n' "$ld\n/nowhere\n" \
    "$scratch/audit.json\n$scratch/fake\n" "$scratch/again\n$scratch/fake\n"; do
    printf '%b' "$loader" >broken/loader
    want 0 scrubbed "$inside" devices --json
    uses "$older"
    case $loader in
    */again*) check [ ! -s err ] ;;
    *) check [ "$(grep -c '^warning: .*going on without' err)" = 1 ] ;;
    esac
done
printf '/nowhere/ld.so\n/nowhere\n' >broken/loader
want 0 scrubbed VK_DRIVER_FILES="$scratch/broken/icd.json" "$inside" devices --json
uses "$older"
want 2 scrubbed VK_DRIVER_FILES="$scratch/broken/icd.json" prefix/bin/lethe devices # no list of set-up names it
finish
