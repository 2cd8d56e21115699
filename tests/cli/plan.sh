#!/usr/bin/env bash
# tier: quick
# A plan is made once, is canonical, and is signed.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
tiny_audit

want 0 lethe plan audit.json --key author.key --out run
says "run/plan.json: $(sha256sum run/plan.json | cut -d' ' -f1)"
says '^warning: batch 4: '
want 0 lethe plan audit.json --key author.key --out other --json --quiet
check python3 -c 'import json, hashlib; d = json.load(open("out")); assert d["plan"] == hashlib.sha256(open("other/plan.json", "rb").read()).hexdigest()'
rm -r other
check [ "$(stat -c %a run/plan.salt)" = 600 ]
check grep -q '"replicates":9999' run/plan.json
check [ ! -e run/events.jsonl ]
python3 - <<'P'
import base64, json, subprocess
e = json.load(open("run/plan.dsse.json"))
body = base64.b64decode(e["payload"])
assert body == open("run/plan.json", "rb").read()
kind = e["payloadType"].encode()
open("pae", "wb").write(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body))
open("sig", "wb").write(base64.b64decode(e["signatures"][0]["sig"]))
P
check openssl pkeyutl -verify -pubin -inkey author.pub -rawin -in pae -sigfile sig -out verified
want 2 lethe plan audit.json --key author.key --out run
one_line
says 'holds a plan already'
want 2 lethe plan audit.json --key nowhere.key --out other
want 2 lethe plan nowhere.json --key author.key --out other
one_line
says 'nowhere.json'
check [ ! -e other/plan.json ]
finish
