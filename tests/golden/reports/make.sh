#!/bin/sh
# Makes the golden files of keys, signatures and time stamps with the tools that the formats come from, so that no
# test compares lethe with itself. Run by hand, in an empty folder beside file.txt; every run makes new keys. The keys
# are TEST ONLY. Versions that made the committed files: OpenSSL 3.0, OpenSSH 9.2, minisign 0.11.
set -eu
cd "${1:-$(dirname "$0")}"
printf 'What was measured, and what was forgotten.\n' > file.txt

# OpenSSH: two keys, sha512 and sha256, and one signature of another namespace.
ssh-keygen -q -t ed25519 -N '' -C ed@example.org -f ssh_ed
ssh-keygen -q -t ecdsa -b 256 -N '' -C ec@example.org -f ssh_ec
ssh-keygen -q -t ecdsa -b 384 -N '' -C big@example.org -f ssh_big
sign() { ssh-keygen -q -Y sign -f "$1" -n "$2" -O hashalg="$3" < file.txt > "$4"; }
sign ssh_ed lethe-archive sha512 ssh_ed.sig
sign ssh_ed lethe-archive sha256 ssh_ed.sha256.sig
sign ssh_ec lethe-archive sha512 ssh_ec.sig
sign ssh_ed file sha512 ssh_ed.file.sig
mv ssh_ed refused.openssh.key
rm ssh_ec ssh_big

# minisign: prehashed, and the old form that is refused.
minisign -GW -f -p minisign.pub -s minisign.key > /dev/null
minisign -Sm file.txt -s minisign.key -x minisign.sig -t 'made by minisign' > /dev/null
minisign -Slm file.txt -s minisign.key -x minisign.old.sig -t 'made by minisign' > /dev/null
mv minisign.key refused.minisign.key

# OpenSSL: secret keys that are read, and that are refused by name.
openssl genpkey -algorithm ed25519 -out ed.key
openssl pkey -in ed.key -pubout -out ed.pub
openssl pkcs8 -topk8 -in ed.key -v2 aes-256-cbc -passout pass:lethe -out ed.pbkdf2.key
openssl pkcs8 -topk8 -in ed.key -scrypt -passout pass:lethe -out ed.scrypt.key
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key
openssl pkey -in ec.key -pubout -out ec.pub
openssl ec -in ec.key -out refused.sec1.key 2> /dev/null
openssl ec -in ec.key -pubout -conv_form compressed -out refused.compressed.pub 2> /dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out refused.p384.key
openssl genrsa -traditional -out refused.pkcs1.key 1024 2> /dev/null
openssl genpkey -algorithm x25519 -out refused.x25519.key
openssl pkeyutl -sign -inkey ed.key -rawin -in file.txt -out ed.raw.sig
openssl dgst -sha256 -sign ec.key -out ec.raw.sig file.txt

# A time stamping authority: root, and a certificate with the one key usage that counts; another root knows neither.
cat > tsa.cnf <<'C'
oid_section = oids
[oids]
policy = 1.2.3.4.1
[req]
distinguished_name = dn
prompt = no
[dn]
CN = lethe test authority
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[stamping]
extendedKeyUsage = critical,timeStamping
[plain]
extendedKeyUsage = critical,emailProtection
[tsa]
default_tsa = a
[ca]
default_ca = c
[c]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = names
[names]
commonName = supplied
[a]
serial = serial
default_policy = policy
digests = sha256, sha512
accuracy = secs:1, millisecs:500
signer_digest = sha256
ordering = no
tsa_name = no
ess_cert_id_alg = sha256
C
echo 01 > serial
p256='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
openssl req -x509 $p256 -config tsa.cnf -extensions root -days 3650 -keyout root.key -out tsa.root.pem 2> /dev/null
openssl req -x509 $p256 -config tsa.cnf -extensions root -days 3650 -keyout other.key -out tsa.other.pem 2> /dev/null
openssl req $p256 -config tsa.cnf -keyout tsa.key -out tsa.csr 2> /dev/null
openssl x509 -req -in tsa.csr -CA tsa.root.pem -CAkey root.key -set_serial 2 -days 3650 -extfile tsa.cnf \
  -extensions stamping -out tsa.pem 2> /dev/null
stamp() {
    openssl ts -query -config tsa.cnf -data file.txt "-$1" -cert -out query.tsq 2> /dev/null
    openssl ts -reply -config tsa.cnf -queryfile query.tsq -signer tsa.pem -inkey tsa.key -out "$2" 2> /dev/null
}
stamp sha256 file.tsr
stamp sha512 file.sha512.tsr
openssl ts -query -config tsa.cnf -data file.txt -sha1 -cert -out query.tsq 2> /dev/null
openssl ts -reply -config tsa.cnf -queryfile query.tsq -signer tsa.pem -inkey tsa.key -out refused.tsr 2> /dev/null || true

# A certificate that lapses five seconds after its stamp.
: > index
soon=$(date -u -d '+5 seconds' +%Y%m%d%H%M%SZ)
openssl ca -batch -notext -config tsa.cnf -in tsa.csr -cert tsa.root.pem -keyfile root.key -enddate "$soon" \
  -extensions stamping -out tsa.pem 2> /dev/null
stamp sha256 file.lapsed.tsr

# The time of file.tsr, signed again by a certificate for another use. `openssl ts` does not do that, so the reply is
# put together here: SEQUENCE { SEQUENCE { INTEGER 0 }, token }. resigned.tsr, by the right use, shows that it would do.
wrap() {
    size=$(($(stat -c %s "$1") + 5))
    printf "\\060\\202\\$(printf %03o $((size / 256)))\\$(printf %03o $((size % 256)))\\060\\003\\002\\001\\000"
    cat "$1"
}
openssl ts -reply -in file.tsr -token_out -out token 2> /dev/null
openssl cms -verify -noverify -inform DER -in token -binary -out tst 2> /dev/null
for use in stamping plain; do
    openssl x509 -req -in tsa.csr -CA tsa.root.pem -CAkey root.key -set_serial 3 -days 3650 -extfile tsa.cnf \
      -extensions $use -out tsa.pem 2> /dev/null
    openssl cms -sign -binary -nodetach -cades -md sha256 -econtent_type 1.2.840.113549.1.9.16.1.4 -in tst \
      -signer tsa.pem -inkey tsa.key -outform DER -out token
    wrap token > file.$use.tsr
done
mv file.stamping.tsr file.resigned.tsr
mv file.plain.tsr file.usage.tsr
rm -f root.key other.key tsa.key tsa.csr tsa.pem tsa.cnf serial* index* query.tsq token tst 0*.pem

# known.minisig and known.sshsig are what lethe writes: over "abc" by the first key of RFC 8032 under the name run.lethe,
# and over file.txt by ed.key. Each was accepted by the tool it is for when it was committed:
#   minisign -Vm abc -x known.minisig -p rfc.minisign.pub
#   ssh-keygen -Y verify -f allowed -I ed@x -n lethe-archive -s known.sshsig < file.txt
