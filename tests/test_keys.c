/* Keys in all their forms, and signatures over plain bytes, of minisign and of OpenSSH. What other tools made
 * is read from golden/reports (make.sh there says how). tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "reports/minisign.h"
#include "reports/sshsig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOLDEN TESTS_DIR "/golden/reports/"

static struct bytes of(const struct str *s)
{
    return (struct bytes){ str_text(s), s->size };
}

static struct bytes of_text(const char *text)
{
    return (struct bytes){ text, strlen(text) };
}

static struct str golden(const char *name)
{
    struct str path = { 0 }, out = { 0 };
    struct status st = { 0 };
    str_printf(&path, GOLDEN "%s", name);
    ck_assert_msg(file_read(path.data, 1 << 20, &out, &st) == 0, "%s", st.msg);
    str_release(&path);
    return out;
}

static struct key_public *public_of(const char *name)
{
    struct str path = { 0 };
    struct status st = { 0 };
    struct key_public *k = NULL;
    str_printf(&path, GOLDEN "%s", name);
    ck_assert_msg(key_load_public(path.data, &k, &st) == 0, "%s", st.msg);
    str_release(&path);
    return k;
}

static int ask(void *self, struct str *out, struct status *st)
{
    str_puts(out, self);
    return str_check(out, st);
}

static int load(const char *name, const char *passphrase, struct key_secret **out, struct status *st)
{
    struct str file = golden(name);
    union {
        const char *in;
        void *self;
    } text = { passphrase };
    struct key_passphrase p = { .self = text.self, .ask = ask };
    int rc = key_parse_secret(of(&file), passphrase ? &p : NULL, out, st);
    str_release(&file);
    return rc;
}

/* A fresh file name in a fresh folder. */
static void fresh(char out[64])
{
    snprintf(out, 64, "/tmp/lethe-keys-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(out));
    snprintf(out + strlen(out), 8, "/k");
}

static void gone(char *path)
{
    unlink(path);
    *strrchr(path, '/') = 0;
    ck_assert_int_eq(rmdir(path), 0); /* so nothing else was left there */
}

/* ---- public keys ---- */

static const struct {
    const char *text, *keyid,
        *minisign; /* one key in three forms; the keyid by `openssl dgst` over its DER */
    enum key_kind kind;
} known[] = {
    { "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAqHs+SaR1NMO0Ta19UUadOtJuQN/1HMsv/tr2FzcZ56Y=\n"
      "-----END PUBLIC KEY-----\n",
      "f3eef690d129a5d7e2e364e1c521db902c2d3bfb295cedcbd68afab8018b65bc", "f3eef690d129a5d7", KEY_ED25519 },
    { "untrusted comment: lethe key D7A529D190F6EEF3\n"
      "RWTz7vaQ0Sml16h7PkmkdTTDtE2tfVFGnTrSbkDf9RzLL/7a9hc3Geem\n",
      "f3eef690d129a5d7e2e364e1c521db902c2d3bfb295cedcbd68afab8018b65bc", "f3eef690d129a5d7", KEY_ED25519 },
    { "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKh7PkmkdTTDtE2tfVFGnTrSbkDf9RzLL/7a9hc3Geem a@example.org\n",
      "f3eef690d129a5d7e2e364e1c521db902c2d3bfb295cedcbd68afab8018b65bc", "f3eef690d129a5d7", KEY_ED25519 },
    { "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETQlSQo0LW/W0yY8ORFIKuXvI9a4E\n"
      "YNZ++lYi2U1Dn5pvw4Qsx69lXD5zsXlrR/cUo+d9yPhAQ2Le6MCXkVCEBw==\n-----END PUBLIC KEY-----\n",
      "bdef76e9737412a8657d5c19164a68f50f9c48953f73f6c68515ed232878c680", "bdef76e9737412a8", KEY_P256 },
    { "ecdsa-sha2-nistp256 "
      "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBE0JUkKNC1v1tMmPDkRSCrl7yPWuBGDWfvpWItlNQ5+"
      "ab8OELMevZVw+c7F5a0f3FKPnfcj4QENi3ujAl5FQhAc=",
      "bdef76e9737412a8657d5c19164a68f50f9c48953f73f6c68515ed232878c680", "bdef76e9737412a8", KEY_P256 },
};

START_TEST(known_public)
{
    struct key_public *k = NULL;
    struct status st = { 0 };
    struct str id = { 0 };
    ck_assert_msg(key_parse_public(of_text(known[_i].text), &k, &st) == 0, "%s", st.msg);
    struct hash hash = key_id(k);
    ck_assert_str_eq(hash_hex(&hash).s, known[_i].keyid);
    ck_assert_int_eq(key_public_kind(k), known[_i].kind);
    str_hex(&id, key_minisign_id(k).data, key_minisign_id(k).size);
    ck_assert_str_eq(id.data, known[_i].minisign);
    str_release(&id);
    key_public_free(k);
}
END_TEST

START_TEST(forms_written)
{
    static const enum key_form forms[] = { KEY_FORM_PEM, KEY_FORM_MINISIGN, KEY_FORM_OPENSSH };
    struct key_public *ed = NULL, *ec = NULL, *back = NULL;
    struct str out = { 0 };
    struct status st = { 0 };
    ck_assert_int_eq(key_parse_public(of_text(known[0].text), &ed, NULL), 0);
    ck_assert_int_eq(key_parse_public(of_text(known[3].text), &ec, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        str_clear(&out);
        ck_assert_int_eq(key_write_public(ed, forms[i], "a@example.org", &out, NULL), 0);
        ck_assert_str_eq(out.data, known[i].text);
    }
    str_clear(&out);
    ck_assert_int_eq(key_write_public(ec, KEY_FORM_PEM, NULL, &out, NULL), 0);
    ck_assert_str_eq(out.data, known[3].text);
    str_clear(&out);
    ck_assert_int_eq(key_write_public(ec, KEY_FORM_OPENSSH, NULL, &out, NULL), 0);
    ck_assert_uint_eq(out.size, strlen(known[4].text) + 1);
    ck_assert_int_eq(memcmp(out.data, known[4].text, out.size - 1), 0);
    ck_assert_int_eq(key_write_public(ec, KEY_FORM_MINISIGN, NULL, &out, &st), RC_UNSUPPORTED);
    ck_assert_int_eq(key_write_public(ec, KEY_FORM_OPENSSH, "two\nlines", &out, NULL), RC_ARG);
    ck_assert_int_eq(key_copy_public(ec, &back, NULL), 0);
    ck_assert(key_public_equal(ec, back) && !key_public_equal(ec, ed));
    key_public_free(back);
    key_public_free(ed);
    key_public_free(ec);
    str_release(&out);
}
END_TEST

static const struct {
    const char *text;
    int rc;
    const char *says;
} bad_public[] = {
    { "", RC_FORMAT, "not a public key" },
    { "hello", RC_FORMAT, "not a public key" },
    { "-----BEGIN PUBLIC KEY-----\n", RC_FORMAT, "broken PEM" },
    { "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAqHs+SaR1NMO0Ta19UUadOtJuQN/1HMsv/tr2FzcZ56Y=\n"
      "-----END PUBLIC KEY-----\nmore",
      RC_FORMAT, "after the PEM block" },
    { "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAqHs+SaR1NMO0Ta19UUadOtJuQN/1HMsv/tr2FzcZ56Y=\n"
      "-----END PUBLIC KEY-----\n",
      RC_UNSUPPORTED, "neither Ed25519 nor" },
    { "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETQlSQo0LW/W0yY8ORFIKuXvI9a4E\n"
      "YNZ++lYi2U1Dn5pvw4Qsx69lXD5zsXlrR/cUo+d9yPhAQ2Le6MCXkVCECA==\n-----END PUBLIC KEY-----\n",
      RC_FORMAT, "no point of P-256" },
    { "-----BEGIN CERTIFICATE-----\n", RC_UNSUPPORTED, "'CERTIFICATE'" },
    { "-----BEGIN PRIVATE KEY-----\n", RC_UNSUPPORTED, "'PRIVATE KEY'" },
    { "ssh-rsa AAAA", RC_UNSUPPORTED, "another type" },
    { "sk-ssh-ed25519@openssh.com AAAA", RC_UNSUPPORTED, "another type" },
    { "ssh-ed25519 AAAA", RC_FORMAT, "inside" },
    { "ssh-ed25519 AAA", RC_FORMAT, "base64" },
    { "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKh7PkmkdTTDtE2tfVFGnTrSbkDf9RzLL/7a9hc3Geem\nssh-rsa A",
      RC_FORMAT, "more than one line" },
    { "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKh7PkmkdTTDtE2tfVFGnTrSbkDf9RzLL/7a9hc3GeemAAAA", RC_FORMAT,
      "broken OpenSSH" },
    { "ecdsa-sha2-nistp256 AAAAC3NzaC1lZDI1NTE5AAAAIKh7PkmkdTTDtE2tfVFGnTrSbkDf9RzLL/7a9hc3Geem", RC_FORMAT,
      "inside" },
    { "untrusted comment: x", RC_FORMAT, "ends after its comment" },
    { "untrusted comment: x\nAAAA\n", RC_FORMAT, "not a minisign public key" },
    { "RWTz7vaQ0Sml16h7PkmkdTTDtE2tfVFGnTrSbkDf9RzLL/7a9hc3GeeM", 0, "" },
    { "RUTz7vaQ0Sml16h7PkmkdTTDtE2tfVFGnTrSbkDf9RzLL/7a9hc3Geem", RC_FORMAT, "not a minisign public key" },
};

START_TEST(public_refused)
{
    struct key_public *k = NULL;
    struct status st = { 0 };
    ck_assert_int_eq(key_parse_public(of_text(bad_public[_i].text), &k, &st), bad_public[_i].rc);
    ck_assert_msg(strstr(st.msg, bad_public[_i].says) != NULL, "'%s'", st.msg);
    ck_assert((k == NULL) == (bad_public[_i].rc != 0));
    key_public_free(k);
}
END_TEST

/* ---- secret keys ---- */

START_TEST(foreign_secret)
{
    static const char *const files[][3] = { { "ed.key", NULL, "ed.pub" },
                                            { "ed.pbkdf2.key", "lethe", "ed.pub" },
                                            { "ed.scrypt.key", "lethe", "ed.pub" },
                                            { "ec.key", NULL, "ec.pub" } };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct key_secret *k = NULL;
        struct status st = { 0 };
        struct key_public *p = public_of(files[i][2]);
        ck_assert_msg(load(files[i][0], files[i][1], &k, &st) == 0, "%s: %s", files[i][0], st.msg);
        ck_assert(key_public_equal(key_secret_public(k), p));
        key_public_free(p);
        key_secret_free(k);
    }
}
END_TEST

static const struct {
    const char *file, *passphrase;
    int rc;
    const char *says;
} refused[] = {
    { "refused.sec1.key", NULL, RC_UNSUPPORTED, "SEC1" },
    { "refused.pkcs1.key", NULL, RC_UNSUPPORTED, "PKCS#1" },
    { "refused.openssh.key", NULL, RC_UNSUPPORTED, "OpenSSH" },
    { "refused.minisign.key", NULL, RC_UNSUPPORTED, "minisign" },
    { "refused.p384.key", NULL, RC_UNSUPPORTED, "P-256" },
    { "refused.x25519.key", NULL, RC_UNSUPPORTED, "Ed25519" },
    { "ed.pub", NULL, RC_UNSUPPORTED, "public key" },
    { "ssh_ed.pub", NULL, RC_UNSUPPORTED, "public key" },
    { "file.txt", NULL, RC_FORMAT, "not a PKCS#8" },
    { "ed.scrypt.key", NULL, RC_ARG, "no passphrase" },
    { "ed.scrypt.key", "wrong", RC_ARG, "does not open" },
    { "ed.scrypt.key", "", RC_ARG, "does not open" },
};

START_TEST(secret_refused)
{
    struct key_secret *k = NULL;
    struct status st = { 0 };
    ck_assert_int_eq(load(refused[_i].file, refused[_i].passphrase, &k, &st), refused[_i].rc);
    ck_assert_msg(strstr(st.msg, refused[_i].says) != NULL, "%s: '%s'", refused[_i].file, st.msg);
    ck_assert_ptr_null(k);
}
END_TEST

START_TEST(public_files_refused)
{
    static const char *const files[] = { "refused.compressed.pub", "ssh_big.pub", "refused.minisign.key",
                                         "minisign.sig", "tsa.root.pem" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct key_public *k = NULL;
        struct str file = golden(files[i]);
        ck_assert_msg(key_parse_public(of(&file), &k, NULL) == RC_UNSUPPORTED, "%s", files[i]);
        str_release(&file);
    }
}
END_TEST

START_TEST(secret_round)
{
    const char *pass = _i & 2 ? "correct horse" : NULL;
    struct key_passphrase p = { .ask = ask };
    char path[64], secret[] = "correct horse";
    struct key_secret *k = NULL, *back = NULL;
    struct status st = { 0 };
    struct stat info;
    fresh(path);
    p.self = secret;
    ck_assert_int_eq(key_generate(_i & 1 ? KEY_P256 : KEY_ED25519, &k, NULL), 0);
    ck_assert_msg(key_write_secret(k, path, pass, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0600);
    ck_assert_int_eq(key_write_secret(k, path, pass, NULL), RC_IO); /* never over a file */
    if (pass)
        ck_assert_int_eq(key_load_secret(path, NULL, &back, NULL), RC_ARG);
    ck_assert_msg(key_load_secret(path, &p, &back, &st) == 0, "%s", st.msg);
    ck_assert(key_public_equal(key_secret_public(k), key_secret_public(back)));
    gone(path);
    key_secret_free(k);
    key_secret_free(back);
}
END_TEST

START_TEST(secret_nothing_left)
{
    char path[64];
    struct key_secret *k = NULL;
    fresh(path);
    ck_assert_int_eq(key_generate(KEY_ED25519, &k, NULL), 0);
    ck_assert_int_eq(key_write_secret(k, path, "", NULL), RC_ARG);
    ck_assert(!path_exists(path));
    gone(path);
    key_secret_free(k);
}
END_TEST

/* ---- signatures ---- */

START_TEST(raw_signatures)
{
    struct str file = golden("file.txt"), sig = { 0 };
    bool good = false;
    static const char *const made[][3] = { { "ed.pub", "ed.raw.sig", "ed.key" },
                                           { "ec.pub", "ec.raw.sig", "ec.key" } };
    for (size_t i = 0; i < 2; i++) {
        struct key_public *p = public_of(made[i][0]);
        struct str foreign = golden(made[i][1]);
        struct key_secret *k = NULL;
        ck_assert_int_eq(key_verify(p, of(&file), of(&foreign), &good, NULL), 0);
        ck_assert(good);
        ck_assert_int_eq(load(made[i][2], NULL, &k, NULL), 0);
        str_clear(&sig);
        ck_assert_int_eq(key_sign(k, of(&file), &sig, NULL), 0);
        if (i == 0) /* Ed25519 has one signature, ECDSA many */
            ck_assert(sig.size == foreign.size && memcmp(sig.data, foreign.data, sig.size) == 0);
        ck_assert_int_eq(key_verify(p, of(&file), of(&sig), &good, NULL), 0);
        ck_assert(good);
        for (size_t bit = 0; bit < 8 * sig.size; bit++) {
            sig.data[bit / 8] ^= (char)(1 << bit % 8);
            ck_assert_int_eq(key_verify(p, of(&file), of(&sig), &good, NULL), 0);
            ck_assert(!good);
            sig.data[bit / 8] ^= (char)(1 << bit % 8);
        }
        for (size_t n = 0; n < sig.size; n++) {
            ck_assert_int_eq(key_verify(p, of(&file), (struct bytes){ sig.data, n }, &good, NULL), 0);
            ck_assert(!good);
        }
        str_putc(&sig, 0);
        ck_assert_int_eq(key_verify(p, of(&file), of(&sig), &good, NULL), 0);
        ck_assert(!good);
        str_release(&foreign);
        key_secret_free(k);
        key_public_free(p);
    }
    str_release(&file);
    str_release(&sig);
}
END_TEST

/* DER may say the same number in more ways than one; only the shortest is a signature. */
START_TEST(der_is_strict)
{
    struct key_public *p = public_of("ec.pub");
    struct str file = golden("file.txt"), sig = golden("ec.raw.sig"), lax = { 0 };
    bool good = false;
    str_add(&lax, "\x30\x81", 2); /* length in the long form */
    str_add(&lax, sig.data + 1, sig.size - 1);
    ck_assert_int_eq(key_verify(p, of(&file), of(&lax), &good, NULL), 0);
    ck_assert(!good);
    str_clear(&lax);
    str_add(&lax, sig.data, sig.size);
    lax.data[1]++;
    lax.data[3]++;
    size_t r = (size_t)(unsigned char)sig.data[3];
    str_add(&lax, "", 1); /* a superfluous zero in front of r */
    memmove(lax.data + 5, lax.data + 4, sig.size - 4);
    lax.data[4] = 0;
    ck_assert_uint_ge(r, 28);
    ck_assert_int_eq(key_verify(p, of(&file), of(&lax), &good, NULL), 0);
    ck_assert(!good);
    str_release(&file);
    str_release(&sig);
    str_release(&lax);
    key_public_free(p);
}
END_TEST

START_TEST(minisign_foreign)
{
    struct key_public *p = public_of("minisign.pub"), *other = public_of("ed.pub");
    struct str file = golden("file.txt"), sig = golden("minisign.sig"), old = golden("minisign.old.sig");
    struct str comment = { 0 };
    struct status st = { 0 };
    ck_assert_msg(minisign_verify(p, of(&file), of(&sig), &comment, &st) == 0, "%s", st.msg);
    ck_assert_str_eq(str_text(&comment), "made by minisign");
    ck_assert_int_eq(minisign_verify(other, of(&file), of(&sig), NULL, NULL), RC_VERIFY);
    ck_assert_int_eq(minisign_verify(p, of_text("other bytes"), of(&sig), NULL, NULL), RC_VERIFY);
    ck_assert_int_eq(minisign_verify(p, of(&file), of(&old), NULL, &st), RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "old form"));
    char *at = strstr(sig.data, "made by");
    at[0] = 'f';
    st = (struct status){ 0 };
    ck_assert_int_eq(minisign_verify(p, of(&file), of(&sig), NULL, &st), RC_VERIFY);
    ck_assert_ptr_nonnull(strstr(st.msg, "trusted comment"));
    for (size_t n = 0; n < sig.size; n++) {
        int rc = minisign_verify(p, of(&file), (struct bytes){ sig.data, n }, NULL, NULL);
        ck_assert_int_eq(rc, RC_FORMAT);
    }
    key_public_free(p);
    key_public_free(other);
    str_release(&file);
    str_release(&sig);
    str_release(&old);
    str_release(&comment);
}
END_TEST

/* RFC 8032's first secret key, so that every byte is known. The expected text was checked with
 * `minisign -V`. */
START_TEST(minisign_known)
{
    static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                              "-----END PRIVATE KEY-----\n";
    struct key_secret *k = NULL;
    struct str out = { 0 }, wanted = golden("known.minisig"), comment = { 0 };
    struct status st = { 0 };
    ck_assert_msg(key_parse_secret(of_text(key), NULL, &k, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(minisign_sign(k, "run.lethe", of_text("abc"), &out, NULL), 0);
    ck_assert_str_eq(out.data, wanted.data);
    ck_assert_int_eq(minisign_verify(key_secret_public(k), of_text("abc"), of(&out), &comment, NULL), 0);
    ck_assert_str_eq(comment.data, "lethe-archive run.lethe "
                                   "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ck_assert_int_eq(minisign_sign(k, "two\nlines", of_text("abc"), &out, NULL), RC_ARG);
    key_secret_free(k);
    ck_assert_int_eq(key_generate(KEY_P256, &k, NULL), 0);
    ck_assert_int_eq(minisign_sign(k, "run.lethe", of_text("abc"), &out, NULL), RC_UNSUPPORTED);
    key_secret_free(k);
    str_release(&out);
    str_release(&wanted);
    str_release(&comment);
}
END_TEST

START_TEST(sshsig_foreign)
{
    static const char *const made[][2] = { { "ssh_ed.pub", "ssh_ed.sig" },
                                           { "ssh_ed.pub", "ssh_ed.sha256.sig" },
                                           { "ssh_ec.pub", "ssh_ec.sig" } };
    struct key_public *p = public_of(made[_i][0]), *other = public_of("ed.pub");
    struct str file = golden("file.txt"), sig = golden(made[_i][1]);
    struct status st = { 0 };
    ck_assert_msg(sshsig_verify(p, of(&file), of(&sig), &st) == 0, "%s", st.msg);
    ck_assert_int_eq(sshsig_verify(other, of(&file), of(&sig), NULL), RC_VERIFY);
    ck_assert_int_eq(sshsig_verify(p, of_text("other bytes"), of(&sig), NULL), RC_VERIFY);
    for (size_t n = 0; n < sig.size; n++)
        ck_assert_int_eq(sshsig_verify(p, of(&file), (struct bytes){ sig.data, n }, NULL), RC_FORMAT);
    for (size_t i = 0; i < 8 * sig.size; i++) {
        sig.data[i / 8] ^= (char)(1 << i % 8);
        ck_assert_int_ne(sshsig_verify(p, of(&file), of(&sig), NULL), 0);
        sig.data[i / 8] ^= (char)(1 << i % 8);
    }
    key_public_free(p);
    key_public_free(other);
    str_release(&file);
    str_release(&sig);
}
END_TEST

START_TEST(sshsig_same_bytes)
{
    struct key_public *p = public_of("ssh_ed.pub");
    struct key_secret *k = NULL;
    struct str file = golden("file.txt"), sig = golden("ssh_ed.file.sig"), out = { 0 }, wanted = { 0 };
    struct status st = { 0 };
    ck_assert_int_eq(sshsig_verify(p, of(&file), of(&sig), &st), RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "namespace"));
    ck_assert_int_eq(load("ed.key", NULL, &k, NULL), 0);
    ck_assert_int_eq(sshsig_sign(k, of(&file), &out, NULL), 0);
    wanted = golden("known.sshsig"); /* checked with `ssh-keygen -Y verify` */
    ck_assert_str_eq(out.data, wanted.data);
    key_public_free(p);
    key_secret_free(k);
    str_release(&file);
    str_release(&sig);
    str_release(&out);
    str_release(&wanted);
}
END_TEST

/* An mpint is as long as its number: over many signatures r and s have 31, 32 and 33 bytes. */
START_TEST(sshsig_p256)
{
    struct key_secret *k = NULL;
    struct str out = { 0 };
    struct status st = { 0 };
    ck_assert_int_eq(load("ec.key", NULL, &k, NULL), 0);
    for (int i = 0; i < 300; i++) {
        struct bytes file = { &i, sizeof i };
        str_clear(&out);
        ck_assert_int_eq(sshsig_sign(k, file, &out, NULL), 0);
        ck_assert_msg(sshsig_verify(key_secret_public(k), file, of(&out), &st) == 0, "%s", st.msg);
    }
    key_secret_free(k);
    str_release(&out);
}
END_TEST

START_TEST(torture)
{
    struct str file = golden("file.txt");
    int rc = RC_NOMEM;
    for (size_t nth = 1; rc == RC_NOMEM && nth < 1000; nth++) {
        struct key_secret *k = NULL;
        struct key_public *p = NULL;
        struct str out = { 0 }, text = { 0 };
        struct status st = { 0 };
        mem_fail_at(nth);
        rc = key_generate(_i ? KEY_P256 : KEY_ED25519, &k, &st);
        if (rc == 0)
            rc = key_write_public(key_secret_public(k), KEY_FORM_OPENSSH, NULL, &text, &st);
        if (rc == 0)
            rc = key_parse_public(of(&text), &p, &st);
        if (rc == 0)
            rc = sshsig_sign(k, of(&file), &out, &st);
        if (rc == 0)
            rc = sshsig_verify(p, of(&file), of(&out), &st);
        str_clear(&out);
        if (rc == 0 && !_i)
            rc = minisign_sign(k, "x", of(&file), &out, &st);
        if (rc == 0 && !_i)
            rc = minisign_verify(p, of(&file), of(&out), NULL, &st);
        mem_fail_at(0);
        ck_assert_msg(rc == 0 || rc == RC_NOMEM, "%d: %s", rc, st.msg);
        str_release(&out);
        str_release(&text);
        key_public_free(p);
        key_secret_free(k);
    }
    ck_assert_int_eq(rc, 0);
    str_release(&file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keys");
    TCase *tc = tcase_create("keys");
    tcase_add_loop_test(tc, known_public, 0, sizeof known / sizeof *known);
    tcase_add_test(tc, forms_written);
    tcase_add_loop_test(tc, public_refused, 0, sizeof bad_public / sizeof *bad_public);
    tcase_add_test(tc, foreign_secret);
    tcase_add_loop_test(tc, secret_refused, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tc, public_files_refused);
    tcase_add_loop_test(tc, secret_round, 0, 4);
    tcase_add_test(tc, secret_nothing_left);
    tcase_add_test(tc, raw_signatures);
    tcase_add_test(tc, der_is_strict);
    tcase_add_test(tc, minisign_foreign);
    tcase_add_test(tc, minisign_known);
    tcase_add_loop_test(tc, sshsig_foreign, 0, 3);
    tcase_add_test(tc, sshsig_same_bytes);
    tcase_add_test(tc, sshsig_p256);
    tcase_add_loop_test(tc, torture, 0, 2);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
