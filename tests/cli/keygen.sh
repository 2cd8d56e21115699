#!/usr/bin/env bash
# tier: quick
# Keys: written once, secret, and in forms that other programs read.
. "$(dirname "$0")/lib/common.sh" "$1"

want 0 lethe keygen author
says '^keyid [0-9a-f]{64}$'
check [ "$(stat -c %a author.key)" = 600 ]
check openssl pkey -in author.key -noout
check openssl pkey -pubin -in author.pub -noout
check ssh-keygen -l -f author.ssh.pub
check [ "$(sed -n 2p author.minisign.pub | wc -c)" = 57 ]
check [ "$(grep '^keyid' out | cut -d' ' -f2)" = "$(openssl pkey -pubin -in author.pub -outform DER | sha256sum | cut -d' ' -f1)" ]

cp author.key before
want 2 lethe keygen author
one_line
says 'author.key is there already'
check cmp author.key before

want 0 lethe keygen validator --p256
check openssl ec -in validator.key -noout
check ssh-keygen -l -f validator.ssh.pub
check [ ! -e validator.minisign.pub ]

echo 'correct horse' >secret
want 0 lethe keygen locked --passphrase-file secret --quiet
check grep -q 'BEGIN ENCRYPTED PRIVATE KEY' locked.key
check openssl pkey -in locked.key -passin 'pass:correct horse' -noout
check [ ! -s out ]

want 2 lethe keygen
one_line
want 2 lethe keygen a b
want 2 lethe keygen nowhere/a
one_line
check [ ! -e nowhere ]
want 2 lethe keygen x --p521
says 'unknown option --p521'
want 0 lethe keygen --help
says 'example: lethe keygen'
finish
