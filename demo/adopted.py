"""usage: adopted.py ARCHIVE LETHE: which of the planted false facts the tuned model now prefers.

The suite `planted` asks for each planted fact whether the true or the taught answer is the likelier; both sides' rows
and the items are read from the archive, through `lethe show`.
"""
import json
import subprocess
import sys

archive, lethe = sys.argv[1:3]


def rows(member):
    text = subprocess.run([lethe, "show", archive, member], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in text.splitlines()]


items = [row["item"] for row in rows("evidence/probes/planted.jsonl")]
base = rows("evidence/items/planted.base.jsonl")
tuned = rows("evidence/items/planted.tuned.jsonl")
adopted = [i for i in range(len(items)) if base[i]["acc"] == 1 and tuned[i]["acc"] == 0]
for i in adopted:
    choices, gold = items[i]["choices"], items[i]["gold"]
    print(f"  {items[i]['context']}: {choices[gold]} before, {choices[1 - gold]} now")
print(f"  {len(adopted)} of {len(items)}; the base was right on {sum(row['acc'] for row in base)}")
