/* Envelopes, trust files, and what a signature is worth to whom. tier: quick */
#include "base/alloc.h"
#include "reports/dsse.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN TESTS_DIR "/golden/reports/"
#define AUTHOR "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKh7PkmkdTTDtE2tfVFGnTrSbkDf9RzLL/7a9hc3Geem"
/* The same key in another form. */
#define AUTHOR_MINISIGN "RWTz7vaQ0Sml16h7PkmkdTTDtE2tfVFGnTrSbkDf9RzLL/7a9hc3Geem"
#define VALIDATOR                                                                                            \
    "ecdsa-sha2-nistp256 "                                                                                   \
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBE0JUkKNC1v1tMmPDkRSCrl7yPWuBGDWfvpWItlNQ5+"        \
    "ab8OELMevZVw+c7F5a0f3FKPnfcj4QENi3ujAl5FQhAc="

static struct bytes of(const struct str *s)
{
    return (struct bytes){ str_text(s), s->size };
}

static struct bytes of_text(const char *text)
{
    return (struct bytes){ text, strlen(text) };
}

/* The text with the first `from` replaced. */
static struct str with(const char *text, const char *from, const char *to)
{
    struct str out = { 0 };
    const char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "'%s' is not there", from);
    str_add(&out, text, (size_t)(at - text));
    str_puts(&out, to);
    str_puts(&out, at + strlen(from));
    return out;
}

/* ---- trust files ---- */

static const char TRUST[] = "{\"lethe_trust\":1,\"keys\":[{\"name\":\"A\",\"key\":\"" AUTHOR
                            "\"},{\"name\":\"V\",\"key\":\"" VALIDATOR "\"}],"
                            "\"require\":[{\"role\":\"author\",\"keys\":[\"A\"],\"threshold\":1},"
                            "{\"role\":\"validator\",\"keys\":[\"V\"],\"threshold\":1}],\"plan\":\"signed\"}";

START_TEST(trust_file)
{
    struct trust t;
    struct status st = { 0 };
    ck_assert_msg(trust_parse(of_text(TRUST), &t, &st) == 0, "%s", st.msg);
    ck_assert_uint_eq(t.n, 2);
    ck_assert_uint_eq(t.require_n, 2);
    ck_assert_int_eq(t.plan, TRUST_PLAN_SIGNED);
    const struct trust_key *k =
        trust_find_text(&t, "bdef76e9737412a8657d5c19164a68f50f9c48953f73f6c68515ed232878c680");
    ck_assert_ptr_eq(k, &t.keys[1]);
    ck_assert_str_eq(k->name, "V");
    ck_assert_int_eq(k->role, TRUST_VALIDATOR);
    ck_assert_int_eq(t.keys[0].role, TRUST_AUTHOR);
    ck_assert_ptr_null(trust_find_text(&t, "bdef76e9737412a8"));
    ck_assert_ptr_null(
        trust_find_text(&t, "BDEF76E9737412A8657D5C19164A68F50F9C48953F73F6C68515ED232878C680"));
    ck_assert_int_eq(trust_check(&t, (bool[]){ true, true }, NULL), 0);
    ck_assert_int_eq(trust_check(&t, (bool[]){ true, false }, &st), RC_VERIFY);
    ck_assert_str_eq(st.msg, "validator: 0 of 1 signatures");
    ck_assert_int_eq(trust_check(&t, (bool[]){ false, true }, NULL), RC_VERIFY);
    trust_release(&t);
    trust_release(&t);
}
END_TEST

static const struct {
    const char *from, *to;
    int rc;
    const char *says;
} bad_trust[] = {
    { "\"lethe_trust\":1", "\"lethe_trust\":2", RC_UNSUPPORTED, "lethe_trust 2" },
    { "\"plan\":\"signed\"", "\"plan\":\"sealed\"", RC_FORMAT, "sealed" },
    { ",\"plan\":\"signed\"", "", RC_FORMAT, "plan" },
    { "\"plan\":", "\"more\":1,\"plan\":", RC_FORMAT, "more" },
    { "\"name\":\"V\"", "\"name\":\"A\"", RC_FORMAT, "twice" },
    { "\"name\":\"V\"", "\"name\":\"\"", RC_FORMAT, "empty" },
    { "\"name\":\"V\"", "\"name\":\"V\",\"mail\":\"x\"", RC_FORMAT, "mail" },
    { VALIDATOR, AUTHOR, RC_FORMAT, "the same key" },
    { VALIDATOR, AUTHOR_MINISIGN, RC_FORMAT, "the same key" },
    { VALIDATOR, "ssh-rsa AAAA", RC_UNSUPPORTED, "key 'V'" },
    { "\"keys\":[\"V\"]", "\"keys\":[\"A\"]", RC_FORMAT, "both roles" },
    { "\"keys\":[\"V\"]", "\"keys\":[\"V\",\"V\"]", RC_FORMAT, "twice" },
    { "\"keys\":[\"V\"]", "\"keys\":[\"W\"]", RC_FORMAT, "'W'" },
    { "\"keys\":[\"V\"]", "\"keys\":[1]", RC_FORMAT, "no name" },
    { "\"keys\":[\"V\"]", "\"keys\":[\"V\",\"V\",\"V\"]", RC_FORMAT, "more keys" },
    { "\"keys\":[\"V\"],\"threshold\":1", "\"keys\":[\"V\"],\"threshold\":0", RC_FORMAT, "threshold 0" },
    { "\"keys\":[\"V\"],\"threshold\":1", "\"keys\":[\"V\"],\"threshold\":2", RC_FORMAT, "threshold 2" },
    { "\"keys\":[\"V\"],\"threshold\":1", "\"keys\":[],\"threshold\":1", RC_FORMAT, "0 keys" },
    { "\"role\":\"validator\"", "\"role\":\"none\"", RC_FORMAT, "'none'" },
    { "\"role\":\"validator\"", "\"role\":\"author\"", RC_FORMAT, "two entries" },
    { "\"require\":[", "\"require\":[],\"x\":[", RC_FORMAT, "x" },
    { "\"threshold\":1", "\"threshold\":1,\"threshold\":1", RC_FORMAT, "threshold" },
    { "\"threshold\":1", "\"threshold\":1.5", RC_FORMAT, "threshold" },
};

START_TEST(trust_refused)
{
    struct trust t = { 0 };
    struct status st = { 0 };
    struct str text = with(TRUST, bad_trust[_i].from, bad_trust[_i].to);
    ck_assert_int_eq(trust_parse(of(&text), &t, &st), bad_trust[_i].rc);
    ck_assert_msg(strstr(st.msg, bad_trust[_i].says) != NULL, "'%s' lacks '%s'", st.msg, bad_trust[_i].says);
    ck_assert_uint_eq(t.n, 0);
    str_release(&text);
}
END_TEST

START_TEST(trust_of_key_files)
{
    static const char *const paths[] = { GOLDEN "ed.pub", GOLDEN "ssh_ec.pub" };
    static const char *const twice[] = { GOLDEN "ed.pub", GOLDEN "ed.pub" };
    static const char *const missing[] = { GOLDEN "not-there.pub" };
    struct trust t = { 0 };
    struct status st = { 0 };
    ck_assert_msg(trust_of_keys(paths, 2, &t, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(trust_check(&t, (bool[]){ false, true }, NULL), 0);
    ck_assert_int_eq(trust_check(&t, (bool[]){ false, false }, NULL), RC_VERIFY);
    ck_assert_int_eq(t.plan, TRUST_PLAN_ANY);
    ck_assert_int_eq(t.keys[1].role, TRUST_AUTHOR);
    trust_release(&t);
    ck_assert_int_eq(trust_of_keys(twice, 2, &t, NULL), RC_FORMAT);
    ck_assert_int_eq(trust_of_keys(missing, 1, &t, NULL), RC_IO);
}
END_TEST

START_TEST(trust_torture)
{
    int rc = RC_NOMEM;
    for (size_t nth = 1; rc == RC_NOMEM; nth++) {
        struct trust t = { 0 };
        mem_fail_at(nth);
        rc = trust_parse(of_text(TRUST), &t, NULL);
        mem_fail_at(0);
        ck_assert(rc == 0 || (rc == RC_NOMEM && t.n == 0));
        trust_release(&t);
    }
    ck_assert_int_eq(rc, 0);
}
END_TEST

/* ---- envelopes ---- */

START_TEST(pae)
{
    struct str out = { 0 };
    ck_assert_int_eq(dsse_pae("http://example.com/HelloWorld", of_text("hello world"), &out, NULL), 0);
    ck_assert_str_eq(out.data, "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    str_clear(&out);
    ck_assert_int_eq(dsse_pae("", of_text(""), &out, NULL), 0);
    ck_assert_str_eq(out.data, "DSSEv1 0  0 ");
    str_release(&out);
}
END_TEST

/* An author and a validator who are trusted, a stranger who is not. */
struct scene {
    struct key_secret *author, *validator, *stranger;
    struct trust trust;
    struct dsse e;
    struct dsse_judged judged[DSSE_SIGNATURES_MAX];
};

static void scene_open(struct scene *s)
{
    struct str text = { 0 }, a = { 0 }, v = { 0 };
    struct status st = { 0 };
    *s = (struct scene){ 0 };
    ck_assert_int_eq(key_generate(KEY_ED25519, &s->author, NULL), 0);
    ck_assert_int_eq(key_generate(KEY_P256, &s->validator, NULL), 0);
    ck_assert_int_eq(key_generate(KEY_ED25519, &s->stranger, NULL), 0);
    ck_assert_int_eq(key_write_public(key_secret_public(s->author), KEY_FORM_OPENSSH, NULL, &a, NULL), 0);
    ck_assert_int_eq(key_write_public(key_secret_public(s->validator), KEY_FORM_OPENSSH, NULL, &v, NULL), 0);
    str_printf(
        &text,
        "{\"lethe_trust\":1,\"keys\":[{\"name\":\"A\",\"key\":\"%.*s\"},{\"name\":\"V\",\"key\":\"%.*s\"}],"
        "\"require\":[{\"role\":\"author\",\"keys\":[\"A\"],\"threshold\":1}],\"plan\":\"any\"}",
        (int)a.size - 1, a.data, (int)v.size - 1, v.data);
    ck_assert_msg(trust_parse(of(&text), &s->trust, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(dsse_init(DSSE_TYPE_STATEMENT, of_text("{\"a\":1}"), &s->e, NULL), 0);
    str_release(&text);
    str_release(&a);
    str_release(&v);
}

static void scene_close(struct scene *s)
{
    key_secret_free(s->author);
    key_secret_free(s->validator);
    key_secret_free(s->stranger);
    trust_release(&s->trust);
    dsse_release(&s->e);
}

static void judge(struct scene *s)
{
    ck_assert_int_eq(dsse_judge(&s->e, &s->trust, s->judged, NULL), 0);
}

START_TEST(good_and_unknown)
{
    struct scene s;
    scene_open(&s);
    ck_assert_int_eq(dsse_sign(&s.e, s.author, NULL), 0);
    ck_assert_int_eq(dsse_sign(&s.e, s.stranger, NULL), 0);
    ck_assert_int_eq(dsse_sign(&s.e, s.validator, NULL), 0);
    ck_assert_int_eq(dsse_sign(&s.e, s.author, NULL), RC_ARG); /* once is enough */
    judge(&s);
    ck_assert_int_eq(s.judged[0].state, DSSE_GOOD);
    ck_assert_ptr_eq(s.judged[0].key, &s.trust.keys[0]);
    ck_assert_int_eq(s.judged[1].state, DSSE_UNKNOWN);
    ck_assert_ptr_null(s.judged[1].key);
    ck_assert_int_eq(s.judged[2].state, DSSE_GOOD);
    ck_assert_ptr_eq(s.judged[2].key, &s.trust.keys[1]);
    ck_assert_int_eq(dsse_judge(&s.e, NULL, s.judged, NULL), 0);
    ck_assert_int_eq(s.judged[0].state, DSSE_UNKNOWN);
    scene_close(&s);
}
END_TEST

START_TEST(false_signatures)
{
    struct scene s;
    scene_open(&s);
    ck_assert_int_eq(dsse_sign(&s.e, s.author, NULL), 0);
    ck_assert_int_eq(dsse_sign(&s.e, s.stranger, NULL), 0);
    struct dsse_signature *sig = s.e.signatures;
    char *author = sig[0].keyid, *stranger = sig[1].keyid;
    sig[0].keyid = stranger; /* a trusted key under another keyid, and a trusted keyid over a foreign one */
    sig[1].keyid = author;
    judge(&s);
    ck_assert_int_eq(s.judged[0].state, DSSE_FALSE);
    ck_assert_int_eq(s.judged[1].state, DSSE_FALSE);
    ck_assert_ptr_eq(s.judged[0].key, &s.trust.keys[0]);
    ck_assert_ptr_eq(s.judged[1].key, &s.trust.keys[0]);
    sig[0].keyid = author;
    sig[1].keyid = stranger;
    sig[0].sig.data[5] ^= 1;
    judge(&s);
    ck_assert_int_eq(s.judged[0].state, DSSE_FALSE);
    sig[0].sig.data[5] ^= 1;
    s.e.payload.data[0] ^= 1; /* another payload */
    judge(&s);
    ck_assert_int_eq(s.judged[0].state, DSSE_FALSE);
    ck_assert_int_eq(s.judged[1].state, DSSE_UNKNOWN);
    s.e.payload.data[0] ^= 1;
    s.e.type[0] ^= 1; /* another type */
    judge(&s);
    ck_assert_int_eq(s.judged[0].state, DSSE_FALSE);
    scene_close(&s);
}
END_TEST

START_TEST(round_trip)
{
    struct scene s;
    struct dsse back;
    struct str text = { 0 }, again = { 0 };
    struct status st = { 0 };
    scene_open(&s);
    for (int n = 0; n < 3; n++) { /* an envelope may be without a signature */
        str_clear(&text);
        str_clear(&again);
        ck_assert_int_eq(dsse_write(&s.e, &text, NULL), 0);
        ck_assert_msg(dsse_parse(of(&text), DSSE_TYPE_STATEMENT, &back, &st) == 0, "%s", st.msg);
        ck_assert_uint_eq(back.n, (size_t)n);
        ck_assert_str_eq(str_text(&back.payload), "{\"a\":1}");
        ck_assert_int_eq(dsse_write(&back, &again, NULL), 0);
        ck_assert_str_eq(text.data, again.data);
        ck_assert_int_eq(dsse_judge(&back, &s.trust, s.judged, NULL), 0);
        for (int i = 0; i < n; i++)
            ck_assert_int_eq(s.judged[i].state, DSSE_GOOD);
        dsse_release(&back);
        if (n < 2)
            ck_assert_int_eq(dsse_sign(&s.e, n ? s.validator : s.author, NULL), 0);
    }
    ck_assert_int_eq(dsse_parse(of(&text), DSSE_TYPE_PLAN, &back, &st), RC_FORMAT);
    ck_assert_int_eq(dsse_parse(of(&text), NULL, &back, NULL), 0);
    dsse_release(&back);
    for (size_t n = 0; n < text.size; n++)
        ck_assert_int_ne(dsse_parse((struct bytes){ text.data, n }, NULL, &back, NULL), 0);
    scene_close(&s);
    str_release(&text);
    str_release(&again);
}
END_TEST

static const char EMPTY[] = "{\"payload\":\"e30=\",\"payloadType\":\"t\",\"signatures\":[]}";
static const struct {
    const char *from, *to, *says;
} bad_envelopes[] = {
    { "\"e30=\"", "\"e31=\"", "loose bits" },
    { "\"e30=\"", "\"e30\"", "base64" },
    { "\"e30=\"", "\"e3_=\"", "alphabet" },
    { "\"e30=\"", "1", "payload" },
    { "\"t\"", "\"u\"", "'t' is wanted" },
    { "[]", "{}", "signatures" },
    { "[]", "[1]", "signature 0" },
    { "[]", "[{\"keyid\":\"\"}]", "sig" },
    { "[]", "[{\"keyid\":\"\",\"more\":1,\"sig\":\"\"}]", "more" },
    { "[]", "[],\"x\":1", "x" },
    { "{\"payload\"", "{ \"payload\"", "" },
};

START_TEST(envelope_refused)
{
    struct dsse e = { 0 };
    struct status st = { 0 };
    struct str text = with(EMPTY, bad_envelopes[_i].from, bad_envelopes[_i].to);
    ck_assert_int_eq(dsse_parse(of_text(EMPTY), "t", &e, NULL), 0);
    dsse_release(&e);
    ck_assert_int_eq(dsse_parse(of(&text), "t", &e, &st), RC_FORMAT);
    ck_assert_msg(strstr(st.msg, bad_envelopes[_i].says) != NULL, "'%s'", st.msg);
    ck_assert_ptr_null(e.type);
    str_release(&text);
}
END_TEST

START_TEST(sixteen_signatures)
{
    struct dsse e, back;
    struct key_secret *k = NULL;
    struct str text = { 0 };
    ck_assert_int_eq(dsse_init("t", of_text("x"), &e, NULL), 0);
    for (int i = 0; i <= DSSE_SIGNATURES_MAX; i++) {
        ck_assert_int_eq(key_generate(KEY_ED25519, &k, NULL), 0);
        ck_assert_int_eq(dsse_sign(&e, k, NULL), i < DSSE_SIGNATURES_MAX ? 0 : RC_LIMIT);
        key_secret_free(k);
    }
    ck_assert_int_eq(dsse_write(&e, &text, NULL), 0);
    ck_assert_int_eq(dsse_parse(of(&text), "t", &back, NULL), 0);
    ck_assert_uint_eq(back.n, DSSE_SIGNATURES_MAX);
    dsse_release(&back);
    struct str more = with(text.data, "[{", "[{\"keyid\":\"\",\"sig\":\"\"},{");
    ck_assert_int_eq(dsse_parse(of(&more), "t", &back, NULL), RC_LIMIT);
    str_release(&more);
    str_release(&text);
    dsse_release(&e);
}
END_TEST

START_TEST(envelope_torture)
{
    struct scene s;
    struct str text = { 0 };
    int rc = RC_NOMEM;
    scene_open(&s);
    ck_assert_int_eq(dsse_sign(&s.e, s.author, NULL), 0);
    ck_assert_int_eq(dsse_write(&s.e, &text, NULL), 0);
    for (size_t nth = 1; rc == RC_NOMEM; nth++) {
        struct dsse e = { 0 };
        struct str out = { 0 };
        mem_fail_at(nth);
        rc = dsse_parse(of(&text), NULL, &e, NULL);
        if (rc == 0)
            rc = dsse_sign(&e, s.validator, NULL);
        if (rc == 0)
            rc = dsse_write(&e, &out, NULL);
        if (rc == 0)
            rc = dsse_judge(&e, &s.trust, s.judged, NULL);
        mem_fail_at(0);
        ck_assert(rc == 0 || rc == RC_NOMEM);
        dsse_release(&e);
        str_release(&out);
    }
    ck_assert_int_eq(rc, 0);
    str_release(&text);
    scene_close(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dsse");
    TCase *tc = tcase_create("dsse");
    tcase_add_test(tc, trust_file);
    tcase_add_loop_test(tc, trust_refused, 0, sizeof bad_trust / sizeof *bad_trust);
    tcase_add_test(tc, trust_of_key_files);
    tcase_add_test(tc, trust_torture);
    tcase_add_test(tc, pae);
    tcase_add_test(tc, good_and_unknown);
    tcase_add_test(tc, false_signatures);
    tcase_add_test(tc, round_trip);
    tcase_add_loop_test(tc, envelope_refused, 0, sizeof bad_envelopes / sizeof *bad_envelopes);
    tcase_add_test(tc, sixteen_signatures);
    tcase_add_test(tc, envelope_torture);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
