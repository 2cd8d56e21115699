#!/usr/bin/env bash
# tier: full
# A run folder packs to one stream; signatures come and are checked by other people's tools.
. "$(dirname "$0")/lib/common.sh" "$1"
. "$source/tests/cli/lib/tiny.sh"
tiny_audit
verdict lethe audit audit.json --key author.key --out run
verdict lethe pack run -o one.lethe --key author.key
verdict lethe pack run -o two.lethe --key author.key
check [ "$(stream one.lethe)" = "$(stream two.lethe)" ]
check [ "$(stream one.lethe)" = "$(stream run.lethe)" ]
want 2 lethe pack nowhere -o three.lethe
one_line
check [ ! -e three.lethe ]

want 0 lethe keygen validator --p256 --quiet
want 0 lethe sign one.lethe --key validator.key -o signed.lethe
cat >trust.json <<J
{"lethe_trust":1,"keys":[{"name":"A","key":"$(cut -d' ' -f1,2 author.ssh.pub)"},{"name":"V","key":"$(cut -d' ' -f1,2 validator.ssh.pub)"}],
"require":[{"role":"author","keys":["A"],"threshold":1},{"role":"validator","keys":["V"],"threshold":1}],"plan":"signed"}
J
want "$code" lethe-verify signed.lethe --trust trust.json
want 4 lethe-verify one.lethe --trust trust.json
want 2 lethe sign signed.lethe --key validator.key
want 0 lethe sign signed.lethe --key author.key --minisign --ssh
check minisign -Vqm signed.lethe -p author.minisign.pub
echo "author $(cut -d' ' -f1,2 author.ssh.pub)" >allowed
check sh -c 'ssh-keygen -Y verify -f allowed -I author -n lethe-archive -s signed.lethe.sig <signed.lethe'

want 0 lethe show signed.lethe
says 'prose'
want 0 lethe show signed.lethe run/events.jsonl
check cmp out run/events.jsonl
want "$code" lethe show signed.lethe --gate --quiet
want 0 lethe show signed.lethe --html page.html
check grep -q 'Content-Security-Policy' page.html
want 2 lethe show signed.lethe no/member
one_line
finish
