/* A run folder packed: the same tar stream again, signatures and approvals added, lines withheld, and what is
 * refused. tier: quick */
#include "base/file.h"
#include "reports/lines.h"
#include "reports/pack.h"
#include "reports/run.h"
#include "reports/verify.h"
#include "tests/make_archive.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct made_keys keys;
static char folder[64];
static struct str trust, archive;
static struct status st;

static void open_folder(void)
{
    st = (struct status){ 0 };
    ck_assert_int_eq(make_folder(folder, &st), 0);
    ck_assert_int_eq(made_keys_open(&keys, &st), 0);
    str_printf(&trust, "%s/trust.json", folder);
    ck_assert_int_eq(make_trust(str_text(&trust), &keys, false, &st), 0);
}

static void close_folder(void)
{
    make_folder_gone(folder);
    made_keys_close(&keys);
    str_release(&trust);
    str_release(&archive);
}

static int verify(const char *path)
{
    struct verify_result r;
    const struct verify_options o = { .trust = str_text(&trust) };
    verify_archive(path, &o, &r);
    int exit = r.exit;
    if (exit != 0)
        fprintf(stderr, "%s", str_text(&r.last));
    verify_result_release(&r);
    return exit;
}

static struct str tar_of(const char *path)
{
    struct container c = { 0 };
    struct str tar = { 0 };
    ck_assert_int_eq(make_load(path, &c, &st), 0);
    ck_assert_int_eq(make_tar(&c, &tar, &st), 0);
    container_release(&c);
    return tar;
}

START_TEST(packing_twice)
{
    struct str again = { 0 }, run = { 0 };
    const struct key_secret *signer[] = { keys.author }; /* Ed25519 signs without chance */
    const struct pack_options o = { .keys = signer, .keys_n = 1 };
    struct pack_result first, second;
    str_printf(&run, "%s/run", folder);
    str_printf(&archive, "%s/a.lethe", folder);
    str_printf(&again, "%s/b.lethe", folder);
    ck_assert_msg(make_run(str_text(&run), MADE_PASS, &keys, &st) == 0, "%s", st.msg);
    ck_assert_msg(pack_run(str_text(&run), str_text(&archive), &o, &first, &st) == 0, "%s", st.msg);
    ck_assert_msg(pack_run(str_text(&run), str_text(&again), &o, &second, &st) == 0, "%s", st.msg);
    struct str a = tar_of(str_text(&archive)), b = tar_of(str_text(&again));
    ck_assert_uint_eq(a.size, b.size);
    ck_assert_int_eq(memcmp(a.data, b.data, a.size), 0);
    ck_assert_str_eq(first.outcome, "PASS");
    ck_assert_int_eq(first.exit, 0);
    ck_assert(hash_equal(&first.manifest, &second.manifest));
    str_release(&a);
    str_release(&b);
    str_release(&again);
    str_release(&run);
}
END_TEST

START_TEST(signed_later)
{
    struct str run = { 0 };
    str_printf(&run, "%s/run", folder);
    str_printf(&archive, "%s/a.lethe", folder);
    ck_assert_int_eq(make_run(str_text(&run), MADE_PASS, &keys, &st), 0);
    ck_assert_int_eq(pack_run(str_text(&run), str_text(&archive), NULL, NULL, &st), 0);
    ck_assert_int_eq(verify(str_text(&archive)), 4);
    ck_assert_int_eq(pack_sign(str_text(&archive), str_text(&archive), keys.author, &st), 0);
    ck_assert_int_eq(verify(str_text(&archive)), 4);
    ck_assert_int_eq(pack_sign(str_text(&archive), str_text(&archive), keys.validator, &st), 0);
    ck_assert_int_eq(verify(str_text(&archive)), 0);
    ck_assert_int_eq(pack_sign(str_text(&archive), str_text(&archive), keys.author, &st), RC_ARG);
    ck_assert_int_eq(verify(str_text(&archive)), 0);
    str_release(&run);
}
END_TEST

START_TEST(approved)
{
    const struct approval a = { .name = "V. Validator",
                                .role = "validator",
                                .meaning = "I looked at all of it",
                                .time = "2026-11-24T13:00:00.000Z" };
    ck_assert_int_eq(make_archive(folder, MADE_PASS, &keys, &archive, &st), 0);
    ck_assert_int_eq(pack_approve(str_text(&archive), str_text(&archive), keys.validator, &a, &st), 0);
    struct verify_result r;
    const struct verify_options o = { .trust = str_text(&trust) };
    verify_archive(str_text(&archive), &o, &r);
    ck_assert_int_eq(r.exit, 0);
    ck_assert_ptr_nonnull(strstr(str_text(&r.text), "I looked at all of it"));
    const struct json *list = json_find(r.doc, "approvals");
    ck_assert_uint_eq(json_size(list), 1);
    ck_assert_str_eq(json_text(json_find(json_first(list), "role")), "validator");
    verify_result_release(&r);
    ck_assert_int_eq(pack_approve(str_text(&archive), str_text(&archive), keys.validator, &a, &st), RC_ARG);
}
END_TEST

static bool holds(const char *path, const char *text)
{
    struct str tar = tar_of(path);
    bool found = memmem(tar.data, tar.size, text, strlen(text)) != NULL;
    str_release(&tar);
    return found;
}

START_TEST(lines_withheld)
{
    const struct pack_range ranges[] = { { "evidence/probes/facts.jsonl", 0, 22 },
                                         { "evidence/outputs/triage.base.jsonl", 1, 1 } };
    ck_assert_int_eq(make_archive(folder, MADE_PASS, &keys, &archive, &st), 0);
    ck_assert(holds(str_text(&archive), "Birch-3"));
    ck_assert(holds(str_text(&archive), "Aster"));
    ck_assert_msg(pack_withhold(str_text(&archive), str_text(&archive), ranges, 2, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(verify(str_text(&archive)), 0);
    ck_assert(!holds(str_text(&archive), "Birch-3"));
    ck_assert(!holds(str_text(&archive), "\" Aster\"")); /* of the ledger */
    ck_assert(holds(str_text(&archive), "Birch-23"));
    struct container c = { 0 };
    struct member_digest d;
    ck_assert_int_eq(make_load(str_text(&archive), &c, &st), 0);
    static const struct {
        const char *name;
        uint64_t withheld;
    } wanted[] = { { "evidence/probes/facts.jsonl", 23 },
                   { "evidence/tokens.jsonl", 1 },
                   { "evidence/outputs/triage.base.jsonl", 1 },
                   { "evidence/outputs/triage.zero.jsonl", 1 },  /* the same line */
                   { "evidence/outputs/triage.tuned.jsonl", 0 }, /* another text */
                   { "evidence/items/facts.base.jsonl", 0 } };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const struct container_member *m = container_find(&c, wanted[i].name);
        ck_assert_int_eq(member_digest((struct bytes){ str_text(&m->data), m->data.size }, true, &d, &st), 0);
        ck_assert_msg(d.withheld == wanted[i].withheld, "%s", wanted[i].name);
    }
    container_release(&c);
}
END_TEST

START_TEST(withholding_refused)
{
    static const struct pack_range bad[] = { { "metrics.json", 0, 0 },
                                             { "evidence/probes/facts.jsonl", 3, 24 },
                                             { "evidence/probes/facts.jsonl", 3, 2 },
                                             { "evidence/probes/none.jsonl", 0, 0 } };
    ck_assert_int_eq(make_archive(folder, MADE_PASS, &keys, &archive, &st), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(pack_withhold(str_text(&archive), str_text(&archive), &bad[i], 1, NULL), RC_ARG);
    ck_assert_int_eq(verify(str_text(&archive)), 0);
}
END_TEST

START_TEST(closed_privacy)
{
    ck_assert_msg(make_archive(folder, MADE_CLOSED, &keys, &archive, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(verify(str_text(&archive)), 0);
    ck_assert(!holds(str_text(&archive), "Birch-3"));
    ck_assert(!holds(str_text(&archive), "porter"));
    ck_assert(!holds(str_text(&archive), "ferry"));
    ck_assert(!holds(str_text(&archive), " blue"));
}
END_TEST

/* What does not fit together never becomes an archive, and the old one stays. */
START_TEST(misfits_refused)
{
    static const struct {
        const char *member, *text;
    } bad[] = { { "evidence/items/facts.tuned.jsonl", "{\"i\":0}\n" },
                { "run/events.jsonl", "{\"seq\":0}\n" },
                { "evidence/conflicts.jsonl", "{\"i\":0}\n" },
                { "run/supervision.jsonl", "" },
                { "run/config.json", "{}" },
                { "plan.json", "{ }" } };
    struct str run = { 0 }, before = { 0 };
    str_printf(&run, "%s/run", folder);
    str_printf(&archive, "%s/a.lethe", folder);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct status why = { 0 };
        ck_assert_int_eq(make_run(str_text(&run), MADE_PASS, &keys, &st), 0);
        ck_assert_int_eq(run_write(str_text(&run), bad[i].member, bad[i].text, strlen(bad[i].text), &st), 0);
        ck_assert_msg(pack_run(str_text(&run), str_text(&archive), NULL, NULL, &why) != 0, "%s",
                      bad[i].member);
        ck_assert_int_ne(why.rc, 0);
        ck_assert(!path_exists(str_text(&archive)));
    }
    str_release(&run);
    str_release(&before);
}
END_TEST

START_TEST(run_folder)
{
    uint8_t key[32], again[32];
    struct stat info;
    struct str path = { 0 }, text = { 0 };
    struct run_paths p, q;
    char base[] = "/models/b.gguf", data[] = "/d/train.jsonl", suite[] = "/s/a.jsonl";
    char *datas[] = { data }, *suites[] = { suite };
    ck_assert_int_eq(run_salt_create(folder, key, &st), 0);
    ck_assert_int_eq(run_salt_create(folder, again, NULL), RC_IO);
    ck_assert_int_eq(run_salt_load(folder, again, &st), 0);
    ck_assert_int_eq(memcmp(key, again, sizeof key), 0);
    ck_assert_int_eq(run_path(folder, "plan.salt", &path, &st), 0);
    ck_assert_int_eq(stat(str_text(&path), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    p = (struct run_paths){ .base = base, .data = datas, .data_n = 1, .suites = suites, .suites_n = 1 };
    ck_assert_int_eq(run_paths_write(folder, &p, &st), 0);
    ck_assert_msg(run_paths_load(folder, &q, &st) == 0, "%s", st.msg);
    ck_assert_str_eq(q.base, base);
    ck_assert_ptr_null(q.tuned);
    ck_assert_str_eq(q.data[0], data);
    ck_assert_str_eq(q.suites[0], suite);
    run_paths_release(&q);
    ck_assert_int_eq(run_row_salt(key, "evidence/items/a.base.jsonl", 0, "{\"i\":0}", 7, &text, &st), 0);
    ck_assert_ptr_nonnull(strstr(str_text(&text), "{\"i\":0,\"salt\":\""));
    str_release(&path);
    str_release(&text);
}
END_TEST

/* For tests/cli: leaves an archive of each kind, a trust file and the inputs below a folder. */
static int make_all(const char *to)
{
    static const struct {
        const char *name;
        enum made kind;
    } kinds[] = { { "pass", MADE_PASS },
                  { "fail", MADE_FAIL },
                  { "inconclusive", MADE_INCONCLUSIVE },
                  { "imported", MADE_IMPORTED },
                  { "closed", MADE_CLOSED } };
    struct status why = { 0 };
    struct str path = { 0 }, made = { 0 };
    int rc = made_keys_open(&keys, &why);
    for (size_t i = 0; rc == 0 && i < sizeof kinds / sizeof *kinds; i++) {
        str_clear(&path);
        str_clear(&made);
        str_printf(&path, "%s/%s", to, kinds[i].name);
        rc = make_archive(str_text(&path), kinds[i].kind, &keys, &made, &why);
    }
    str_clear(&path);
    str_printf(&path, "%s/trust.json", to);
    rc = rc ? rc : make_trust(str_text(&path), &keys, false, &why);
    rc = rc ? rc : make_inputs(to, &why);
    if (rc != 0)
        fprintf(stderr, "%s\n", why.msg);
    str_release(&path);
    str_release(&made);
    made_keys_close(&keys);
    return rc != 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--make") == 0)
        return make_all(argv[2]);
    Suite *suite = suite_create("pack");
    TCase *tc = tcase_create("pack");
    tcase_add_checked_fixture(tc, open_folder, close_folder);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, packing_twice);
    tcase_add_test(tc, signed_later);
    tcase_add_test(tc, approved);
    tcase_add_test(tc, lines_withheld);
    tcase_add_test(tc, withholding_refused);
    tcase_add_test(tc, closed_privacy);
    tcase_add_test(tc, misfits_refused);
    tcase_add_test(tc, run_folder);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
