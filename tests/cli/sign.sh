#!/usr/bin/env bash
# tier: quick
# What needs no archive; the rest of `lethe sign` is in pack.sh.
. "$(dirname "$0")/lib/common.sh" "$1"
want 2 lethe sign
one_line
want 0 lethe sign --help
says "example: lethe sign"
want 2 lethe sign nowhere.lethe --key nowhere.key
one_line
says "nowhere"
finish
