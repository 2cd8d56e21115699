#!/usr/bin/env bash
# tier: full
# The whole job on a small model: planned, scored, tuned, packed, verified; repeated, killed and resumed to equal bits.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
tiny_audit

verdict lethe audit audit.json --key author.key --out run
first=$code
says 'knowledge|known'
for f in run.lethe run.html run/adapter/adapter_model.safetensors; do
    check [ -s "$f" ]
done
check [ ! -e run/train.state ]
want "$first" lethe-verify run.lethe --key author.pub
want 4 lethe-verify run.lethe
want "$first" lethe-verify run.lethe --key author.pub --json
check grep -q '"flips":0,"ll_max":0' run/events.jsonl

check grep -q "\"variants\":{\"sha256\":\"$(sha256sum <run/variants.txt | cut -d' ' -f1)\"}" run/environment.json
check grep -q '"libraries":\[{"name":"cJSON","version":"[0-9.]*"}' run/environment.json
# the same plan again, from its own files: equal adapter, evidence, metrics and verdict
mkdir again && cp run/plan.json run/plan.dsse.json run/plan.salt run/paths.json again/ 2>/dev/null
verdict lethe audit audit.json --key author.key --out again
for member in adapter/adapter_model.safetensors adapter/adapter_config.json conflicts.jsonl supervision.jsonl items probes; do
    check diff -r "run/$member" "again/$member"
done
for m in metrics.json verdict.json; do
    lethe show run.lethe $m >one && lethe show again.lethe $m >two
    check cmp one two
done

# killed at different moments, then resumed
for after in 0.3 0.8 1.5; do
    rm -rf cut cut.lethe && mkdir cut && cp run/plan.json run/plan.dsse.json run/plan.salt run/paths.json cut/
    timeout -s KILL "$after" lethe audit audit.json --key author.key --out cut >/dev/null 2>&1
    mkdir -p cut/items && echo half >cut/items/task.base.jsonl.part-a1B2c3 # as a kill in the middle of a write leaves it
    verdict lethe audit audit.json --key author.key --out cut --resume
    check diff -r run/adapter cut/adapter
    check diff -r run/items cut/items
    check diff run/conflicts.jsonl cut/conflicts.jsonl
    want "$code" lethe-verify cut.lethe --key author.pub
done

# all weights instead of an adapter: recorded as what they are, verified, and equal after a kill
sed 's/"name":"lora"/"name":"full"/; s/"rank":4,"alpha":"8","lr":"0.01"/"lr":"0.0005"/' audit.json >full.json
verdict lethe audit full.json --key author.key --out full
check grep -q '"kind":"full"' full/models.json
check grep -q '"path":"model.safetensors"' full/models.json
check grep -q '"name":"full"' full/config.json
check [ -s full/model/model.safetensors ] && check [ ! -e full/adapter ] && check [ ! -e full/train.state ]
want "$code" lethe-verify full.lethe --key author.pub --model tuned=full/model
mkdir cutfull && cp full/plan.json full/plan.dsse.json full/plan.salt full/paths.json cutfull/
timeout -s KILL 1.2 lethe audit full.json --key author.key --out cutfull >/dev/null 2>&1
verdict lethe audit full.json --key author.key --out cutfull --resume
for member in model items conflicts.jsonl; do
    check diff -r "full/$member" "cutfull/$member"
done

# what is refused, without a trace
want 2 lethe audit audit.json --key author.key --out run
one_line
says 'holds a run already'
sed 's/"epochs":2/"epochs":3/' audit.json >other.json
want 2 lethe audit other.json --key author.key --out run --resume
says 'no longer makes'
want 2 lethe audit audit.json --key author.key --out fresh --resume
says 'no plan'
for broken in 's/"lethe_audit":1/"lethe_audit":2/' 's/"margin":"0.2"/"margn":"0.2"/' 's/"path":"train.jsonl"/"path":"nowhere.jsonl"/' \
    's/"rank":4/"rnk":4/' 's/"seed":3/"sead":3/' 's/"members":\["facts","pairs"\]/"members":["facts","none"]/'; do
    sed "$broken" audit.json >bad.json
    want 2 lethe audit bad.json --key author.key --out bad
    one_line
    check [ ! -e bad/plan.json ]
    rm -rf bad
done
cat train.jsonl >contaminated.jsonl
echo '{"prompt":"the red one 0 is here","completion":" yes"}' >>contaminated.jsonl
sed 's/"path":"train.jsonl"/"path":"contaminated.jsonl"/' audit.json >bad.json
want 2 lethe audit bad.json --key author.key --out bad
says "item 'p0' stands in the training data"
finish
