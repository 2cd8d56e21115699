/* Names of members, their digests in pieces of any size, and the manifest. tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "reports/manifest.h"

#include <check.h>
#include <string.h>

static struct bytes of(const struct str *s)
{
    return (struct bytes){ str_text(s), s->size };
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

/* ---- names ---- */

static const struct {
    const char *name;
    enum member member;
    const char *suite;
} names[] = {
    { "manifest.json", MEMBER_MANIFEST, "" },
    { "run/supervision.jsonl", MEMBER_SUPERVISION, "" },
    { "evidence/items/a.base.jsonl", MEMBER_ITEMS_BASE, "a" },
    { "evidence/items/a-b_9.delta.jsonl", MEMBER_ITEMS_DELTA, "a-b_9" },
    { "evidence/probes/0123456789012345678901234567890123456789.jsonl", MEMBER_PROBES,
      "0123456789012345678901234567890123456789" },
    { "evidence/outputs/x.zero.jsonl", MEMBER_OUTPUTS_ZERO, "x" },
    { "approvals/bdef76e9737412a8.dsse.json", MEMBER_APPROVAL, "bdef76e9737412a8" },
};

START_TEST(names_found)
{
    struct member_name m;
    struct str back = { 0 };
    ck_assert(member_find(names[_i].name, &m));
    ck_assert_int_eq(m.member, names[_i].member);
    ck_assert_str_eq(m.suite, names[_i].suite);
    member_write_name(m.member, m.suite[0] ? m.suite : NULL, &back);
    ck_assert_str_eq(back.data, names[_i].name);
    str_release(&back);
}
END_TEST

static const char *const no_names[] = {
    "",
    "manifest",
    "manifest.json.",
    "xmanifest.json",
    "run",
    "run/",
    "run/secret.json",
    "evidence/items/.base.jsonl",
    "evidence/items/a.jsonl",
    "evidence/items/a.other.jsonl",
    "evidence/items/a.b.base.jsonl",
    "evidence/items/-a.base.jsonl",
    "evidence/items/A.base.jsonl",
    "evidence/items/a/b.base.jsonl",
    "evidence/probes/01234567890123456789012345678901234567890.jsonl",
    "evidence/probes/a.jsonl.jsonl",
    "approvals/bdef76e9737412a.dsse.json",
    "approvals/bdef76e9737412a88.dsse.json",
    "approvals/BDEF76E9737412A8.dsse.json",
    "exports/other.json",
};

START_TEST(names_unknown)
{
    struct member_name m;
    ck_assert(!member_find(no_names[_i], &m));
}
END_TEST

START_TEST(rules)
{
    size_t trees = 0, outside = 0;
    for (enum member m = 0; m < MEMBER_COUNT; m++) {
        const struct member_rule *r = member_rule(m);
        struct member_name found;
        struct str name = { 0 };
        bool place = strchr(r->pattern, '<') != NULL;
        member_write_name(m, place ? "0123456789abcdef" : NULL, &name);
        ck_assert(member_find(name.data, &found)); /* so no pattern hides another */
        ck_assert_int_eq(found.member, m);
        trees += r->tree;
        outside += !r->sealed;
        str_release(&name);
    }
    ck_assert_uint_eq(trees, 14);
    ck_assert_uint_eq(outside, 5);
}
END_TEST

/* ---- digests ---- */

/* The vector: line i is {"i":i,"acc":i mod 2,"salt":…}; root of five leaves. */
static const char LINES[] = "{\"i\":0,\"acc\":0,\"salt\":\"2bc990059473448e6ebd442aa16bfaa0\"}\n"
                            "{\"i\":1,\"acc\":1,\"salt\":\"dc90cf07de907ccc64636ceddb38e552\"}\n"
                            "{\"i\":2,\"acc\":0,\"salt\":\"dbc4579ae2b3ab293213f42bb852706e\"}\n"
                            "{\"i\":3,\"acc\":1,\"salt\":\"ba76992a6079074311285334177ddda5\"}\n"
                            "{\"i\":4,\"acc\":0,\"salt\":\"51e0ed5c000f3205a88bca9498b39922\"}\n";
static const char ROOT[] = "b0389d120c460070f8a00f8b5a4a12cb7271e50765bc9de07599f6b25bc1c69b";
static const char LINE_2[] = "{\"i\":2,\"acc\":0,\"salt\":\"dbc4579ae2b3ab293213f42bb852706e\"}";
static const char HIDDEN_2[] =
    "{\"withheld\":\"d66ac33daa33cc0791db5af1b0d444cdcd5521c9dbcb8733491b8edd62290947\"}";
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

START_TEST(tree_in_pieces)
{
    size_t size = strlen(LINES);
    struct hash whole = sha256_of(LINES, size);
    for (size_t piece = 1; piece <= size; piece++) {
        struct member_hasher *h = NULL;
        struct member_digest d;
        ck_assert_int_eq(member_hasher_open(true, &h, NULL), 0);
        for (size_t at = 0; at < size; at += piece)
            ck_assert_int_eq(member_hasher_add(h, LINES + at, size - at < piece ? size - at : piece, NULL),
                             0);
        ck_assert_int_eq(member_hasher_end(h, &d, NULL), 0);
        member_hasher_close(h);
        ck_assert_str_eq(hash_hex(&d.root).s, ROOT);
        ck_assert(hash_equal(&d.sha256, &whole));
        ck_assert(d.tree && d.leaves == 5 && d.withheld == 0 && d.size == size);
    }
}
END_TEST

START_TEST(withheld_lines)
{
    struct str text = with(LINES, LINE_2, HIDDEN_2);
    struct member_digest d;
    struct hash leaf;
    struct status st = { 0 };
    ck_assert_msg(member_digest(of(&text), true, &d, &st) == 0, "%s", st.msg);
    ck_assert_str_eq(hash_hex(&d.root).s, ROOT);
    ck_assert(d.withheld == 1 && d.leaves == 5);
    ck_assert(withheld_read(HIDDEN_2, strlen(HIDDEN_2), &leaf));
    ck_assert_str_eq(hash_hex(&leaf).s, "d66ac33daa33cc0791db5af1b0d444cdcd5521c9dbcb8733491b8edd62290947");
    text.data[strstr(text.data, "d66ac") - text.data] = 'D'; /* not the exact bytes: a line like others */
    ck_assert_int_eq(member_digest(of(&text), true, &d, NULL), 0);
    ck_assert_uint_eq(d.withheld, 0);
    ck_assert_str_ne(hash_hex(&d.root).s, ROOT);
    ck_assert(!withheld_read(HIDDEN_2, strlen(HIDDEN_2) - 1, &leaf));
    str_release(&text);
}
END_TEST

START_TEST(edges)
{
    struct member_digest d;
    struct status st = { 0 };
    struct str big = { 0 };
    ck_assert_int_eq(member_digest((struct bytes){ "", 0 }, true, &d, NULL), 0);
    ck_assert_str_eq(hash_hex(&d.root).s, EMPTY_HASH);
    ck_assert_uint_eq(d.leaves, 0);
    ck_assert_int_eq(member_digest((struct bytes){ "\n\n", 2 }, true, &d, NULL), 0);
    ck_assert_uint_eq(d.leaves, 2);
    ck_assert_int_eq(member_digest((struct bytes){ "a\nb", 3 }, true, &d, &st), RC_FORMAT);
    ck_assert_str_eq(st.msg, "line 2 does not end");
    ck_assert_int_eq(member_digest((struct bytes){ "a\nb", 3 }, false, &d, NULL), 0);
    ck_assert(!d.tree && d.size == 3);
    for (size_t i = 0; i <= (4 << 20); i++)
        str_putc(&big, 'x');
    str_putc(&big, '\n');
    ck_assert_int_eq(member_digest(of(&big), true, &d, NULL), RC_LIMIT);
    big.data[(4 << 20)] = '\n'; /* a line at the limit, and an empty one */
    ck_assert_int_eq(member_digest(of(&big), true, &d, NULL), 0);
    str_release(&big);
}
END_TEST

/* ---- the manifest ---- */

static void build(struct manifest *m)
{
    struct member_digest plain, tree;
    *m = (struct manifest){ 0 };
    ck_assert_int_eq(member_digest((struct bytes){ "", 0 }, false, &plain, NULL), 0);
    ck_assert_int_eq(member_digest((struct bytes){ LINES, strlen(LINES) }, true, &tree, NULL), 0);
    ck_assert_int_eq(manifest_add(m, "evidence/probes/a.jsonl", &tree, NULL), 0);
    ck_assert_int_eq(manifest_add(m, "plan.json", &plain, NULL), 0);
}

static const char MANIFEST[] =
    "{\"lethe_manifest\":1,\"members\":["
    "{\"leaves\":5,\"path\":\"evidence/probes/a.jsonl\","
    "\"root\":\"b0389d120c460070f8a00f8b5a4a12cb7271e50765bc9de07599f6b25bc1c69b\","
    "\"sha256\":\"3ad4a3df8d2d3a9b9ba8ad24a58ee7d9b0b59ff7f0ec5d24dc9fcf5f0f1c7bd8\",\"size\":300},"
    "{\"path\":\"plan.json\",\"sha256\":\"" EMPTY_HASH "\",\"size\":0}]}";

START_TEST(round_trip)
{
    struct manifest m, back;
    struct str text = { 0 }, again = { 0 };
    struct status st = { 0 };
    build(&m);
    ck_assert_int_eq(manifest_write(&m, &text, NULL), 0);
    ck_assert_ptr_nonnull(strstr(text.data, "\"leaves\":5,\"path\":\"evidence/probes/a.jsonl\""));
    ck_assert_ptr_nonnull(strstr(text.data, ROOT));
    ck_assert_ptr_nonnull(
        strstr(text.data, "{\"path\":\"plan.json\",\"sha256\":\"" EMPTY_HASH "\",\"size\":0}"));
    ck_assert_msg(manifest_parse(of(&text), &back, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(manifest_write(&back, &again, NULL), 0);
    ck_assert_str_eq(text.data, again.data);
    ck_assert_uint_eq(manifest_find(&back, "plan.json")->digest.size, 0);
    ck_assert_ptr_null(manifest_find(&back, "plan.tsr"));
    manifest_release(&back);
    manifest_release(&m);
    str_release(&text);
    str_release(&again);
}
END_TEST

START_TEST(add_refused)
{
    struct manifest m;
    struct member_digest plain, tree;
    build(&m);
    plain = m.entries[1].digest;
    tree = m.entries[0].digest;
    ck_assert_int_eq(manifest_add(&m, "plan.json", &plain, NULL), RC_ARG);
    ck_assert_int_eq(manifest_add(&m, "metrics.json", &plain, NULL), RC_ARG);
    ck_assert_int_eq(manifest_add(&m, "statement.json", &plain, NULL), RC_ARG);
    ck_assert_int_eq(manifest_add(&m, "zoo.json", &plain, NULL), RC_ARG);
    ck_assert_int_eq(manifest_add(&m, "run/supervision.jsonl", &plain, NULL), RC_ARG);
    ck_assert_int_eq(manifest_add(&m, "run/data.json", &tree, NULL), RC_ARG);
    tree.withheld = 1;
    ck_assert_int_eq(manifest_add(&m, "run/supervision.jsonl", &tree, NULL), RC_ARG);
    tree.withheld = 0;
    ck_assert_int_eq(manifest_add(&m, "run/supervision.jsonl", &tree, NULL), 0);
    ck_assert_uint_eq(m.n, 3);
    manifest_release(&m);
}
END_TEST

static const struct {
    const char *from, *to;
    int rc;
    const char *says;
} bad[] = {
    { "\"lethe_manifest\":1", "\"lethe_manifest\":2", RC_UNSUPPORTED, "lethe_manifest 2" },
    { "plan.json", "plam.json", RC_FORMAT, "plam.json" },
    { "plan.json", "dsse.json", RC_FORMAT, "dsse.json" },
    { "plan.json", "../x", RC_FORMAT, "../x" },
    { "evidence/probes/a.jsonl", "verdict.json", RC_FORMAT, "leaves" },
    { "evidence/probes/a.jsonl", "run/supervision.jsonl", RC_FORMAT, "does not follow" },
    { "\"size\":0", "\"size\":-1", RC_FORMAT, "size" },
    { "\"size\":0", "\"size\":0.5", RC_FORMAT, "" },
    { ",\"size\":0", "", RC_FORMAT, "size" },
    { "e3b0", "E3B0", RC_FORMAT, "hex" },
    { "e3b0", "e3b", RC_FORMAT, "hex" },
    { "\"leaves\":5,", "", RC_FORMAT, "leaves" },
    { ",\"members\":[", ",\"members\":[1,", RC_FORMAT, "no object" },
    { "\"size\":0", "\"size\":0,\"time\":0", RC_FORMAT, "time" },
    { "{\"lethe_manifest\":1", "{\"lethe_manifest\": 1", RC_FORMAT, "" },
};

START_TEST(parse_refused)
{
    struct manifest m = { 0 };
    struct status st = { 0 };
    struct str text = with(MANIFEST, bad[_i].from, bad[_i].to);
    ck_assert_msg(manifest_parse((struct bytes){ MANIFEST, strlen(MANIFEST) }, &m, &st) == 0, "%s", st.msg);
    manifest_release(&m);
    /* run/ follows plan.json: the order is wrong only there */
    ck_assert_int_eq(manifest_parse(of(&text), &m, &st), bad[_i].rc);
    ck_assert_msg(strstr(st.msg, bad[_i].says) != NULL, "'%s' lacks '%s'", st.msg, bad[_i].says);
    ck_assert_uint_eq(m.n, 0);
    str_release(&text);
}
END_TEST

START_TEST(checked)
{
    struct manifest m;
    struct member_digest d;
    struct status st = { 0 };
    build(&m);
    d = m.entries[0].digest;
    ck_assert_int_eq(manifest_check(&m.entries[0], &d, NULL), 0);
    d.size++;
    ck_assert_int_eq(manifest_check(&m.entries[0], &d, &st), RC_VERIFY);
    ck_assert_str_eq(st.msg, "evidence/probes/a.jsonl: 291 bytes, the manifest says 290");
    d.withheld = 1; /* size and digest are then not those of the whole */
    d.sha256.b[0] ^= 1;
    ck_assert_int_eq(manifest_check(&m.entries[0], &d, NULL), 0);
    d.leaves--;
    ck_assert_int_eq(manifest_check(&m.entries[0], &d, NULL), RC_VERIFY);
    d.leaves++;
    d.root.b[31] ^= 1;
    ck_assert_int_eq(manifest_check(&m.entries[0], &d, NULL), RC_VERIFY);
    d = m.entries[1].digest;
    d.sha256.b[31] ^= 1;
    ck_assert_int_eq(manifest_check(&m.entries[1], &d, NULL), RC_VERIFY);
    manifest_release(&m);
}
END_TEST

START_TEST(torture)
{
    int rc = RC_NOMEM;
    for (size_t nth = 1; rc == RC_NOMEM; nth++) {
        struct manifest m = { 0 };
        struct str out = { 0 };
        mem_fail_at(nth);
        rc = manifest_parse((struct bytes){ MANIFEST, strlen(MANIFEST) }, &m, NULL);
        if (rc == 0)
            rc = manifest_write(&m, &out, NULL);
        mem_fail_at(0);
        ck_assert(rc == 0 || rc == RC_NOMEM);
        manifest_release(&m);
        str_release(&out);
    }
    ck_assert_int_eq(rc, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manifest");
    TCase *tc = tcase_create("manifest");
    tcase_add_loop_test(tc, names_found, 0, sizeof names / sizeof *names);
    tcase_add_loop_test(tc, names_unknown, 0, sizeof no_names / sizeof *no_names);
    tcase_add_test(tc, rules);
    tcase_add_test(tc, tree_in_pieces);
    tcase_add_test(tc, withheld_lines);
    tcase_add_test(tc, edges);
    tcase_add_test(tc, round_trip);
    tcase_add_test(tc, add_refused);
    tcase_add_loop_test(tc, parse_refused, 0, sizeof bad / sizeof *bad);
    tcase_add_test(tc, checked);
    tcase_add_test(tc, torture);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
