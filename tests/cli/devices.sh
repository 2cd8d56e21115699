#!/usr/bin/env bash
# tier: quick
# The list of devices, and the line that a machine without one gets.
. "$(dirname "$0")/lib/common.sh" "$1"

want 0 lethe devices
says '^0  '
want 0 lethe devices --json
check python3 -c 'import json, sys; d = json.load(open("out")); sys.exit(not (d["lethe_devices"] == 1 and d["devices"][0]["name"]))'
check python3 -c '
import json, re
for d in json.load(open("out"))["devices"]:
    names = [k["name"] for k in d["kernels"]] if "refused" not in d else ["embed.plain.fwd", "matmul.x.bwd1"]
    assert "embed.plain.fwd" in names and sum(bool(re.fullmatch(r"matmul[.][a-z]+[.]bwd1", n)) for n in names) == 1, names
    assert "refused" in d or all(re.fullmatch("[0-9a-f]{64}", k["sha256"]) for k in d["kernels"])
'
want 0 lethe devices
says '^   plain kernels:.* rope'
want 2 env VK_DRIVER_FILES=/nonexistent lethe devices
one_line
says 'no Vulkan'
want 2 lethe devices extra
says "'extra'"
want 0 lethe --help
says 'lethe COMMAND'
want 0 lethe --version
want 2 lethe nothing
says "no command 'nothing'"
finish
