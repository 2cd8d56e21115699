#!/usr/bin/env bash
# tier: full
# Archives made by another program, in the folder LETHE_EXAMPLES (archives/ and keys/ in it): the exit code of
# each. Without the folder there is nothing to try.
. "$(dirname "$0")/lib/common.sh" "$1"

examples=${LETHE_EXAMPLES:-}
[ -n "$examples" ] || skip "LETHE_EXAMPLES is not set"
[ -d "$examples/archives" ] || skip "no archives in $examples"
trust=$examples/keys/trust.json

while read -r name code; do
    want "$code" lethe-verify "$examples/archives/$name.lethe" --trust "$trust"
done <<'END'
tiny 0
redacted 0
fail 3
lost 3
inconclusive 5
imported 5
bad/changed-row 1
bad/signed-lie 1
bad/unlisted 1
bad/bad-signature 1
bad/approval 1
bad/traversal 2
bad/duplicate 2
bad/symlink 2
bad/mtime 2
bad/skippable 2
END
want 4 lethe-verify "$examples/archives/tiny.lethe" --trust "$examples/keys/trust-other.json"
want 4 lethe-verify "$examples/archives/tiny.lethe"
want 0 lethe-verify "$examples/archives/tiny.lethe" --trust "$trust" --tsa "$examples/keys/tsa-root.pem" \
    --model base="$examples/models/base.bin" --model tuned="$examples/models/adapter" --probes "$examples/probes"
says 'stamped at .*, before the run'
want 1 lethe-verify "$examples/archives/tiny.lethe" --trust "$trust" --model base="$examples/keys/author.pub"
finish
