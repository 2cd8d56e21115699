#!/usr/bin/env bash
# tier: quick
# What needs no archive; the rest of `lethe show` is in pack.sh.
. "$(dirname "$0")/lib/common.sh" "$1"
want 2 lethe show
one_line
want 0 lethe show --help
says "example: lethe show"
want 2 lethe show nowhere.lethe
one_line
says "nowhere"
finish
