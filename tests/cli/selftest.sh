#!/usr/bin/env bash
# tier: quick
# Every kernel that this device serves is right, and one that is not is told.
. "$(dirname "$0")/lib/common.sh" "$1"

want 0 lethe selftest
says '^matmul +fwd +plain .* right$'
says '^([0-9]+) of \1 kernels are right; [0-9]+ would be used on this device$'
check [ "$(grep -c 'right$' out)" -gt 20 ]
want 0 lethe selftest --op rmsnorm --json --quiet
check [ ! -s err ]
cat >read.py <<'PY'
import json
d = json.load(open("out"))
assert d["lethe_selftest"] == 1 and d["right"] and d["device"]["name"]
for k in d["kernels"]:
    assert k["right"] and k["rows"] > 0 and float(k["error"]) <= float(k["tolerance"]) and len(k["sha256"]) == 64, k
used = [k["name"].split(".") for k in d["kernels"] if k["used"]]
assert {(op, pass_) for op, _, pass_ in used} == {("rmsnorm", p) for p in ("fwd", "bwd0", "bwd1")} and len(used) == 3
PY
check python3 read.py
want 2 lethe selftest --op nosuch
says "no operator 'nosuch'"
want 2 lethe selftest extra
says "'extra'"
want 2 lethe selftest --device nosuch
one_line
finish
