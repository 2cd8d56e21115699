/* The verifier's exit code for one archive of each kind, good and broken, and what it says about it.
 * tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "reports/lines.h"
#include "reports/pack.h"
#include "reports/run.h"
#include "reports/verify.h"
#include "reports/verify_cli.h"
#include "tests/make_archive.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct made_keys keys;
static char folder[64], own[96];
static struct str trust, other, pass, archive, broken;
static struct status st;

/* Once for all tests, which only read it: keys, trust files and the archive that passes. */
static void open_all(void)
{
    st = (struct status){ 0 };
    ck_assert_int_eq(make_folder(folder, &st), 0);
    ck_assert_int_eq(made_keys_open(&keys, &st), 0);
    str_printf(&trust, "%s/trust.json", folder);
    str_printf(&other, "%s/other.json", folder);
    ck_assert_int_eq(make_trust(str_text(&trust), &keys, false, &st), 0);
    ck_assert_int_eq(make_trust(str_text(&other), &keys, true, &st), 0);
    ck_assert_msg(make_archive(folder, MADE_PASS, &keys, &pass, &st) == 0, "%s", st.msg);
}

static void close_all(void)
{
    make_folder_gone(folder);
    made_keys_close(&keys);
    str_release(&trust);
    str_release(&other);
    str_release(&pass);
}

/* For each test: a folder of its own below. */
static void open_own(void)
{
    snprintf(own, sizeof own, "%s/own.XXXXXX", folder);
    ck_assert_ptr_nonnull(mkdtemp(own));
    str_printf(&broken, "%s/broken.lethe", own);
}

static void close_own(void)
{
    str_release(&archive);
    str_release(&broken);
}

/* Verifies with the trust file and wants an exit code and a part of the text. */
static void expect(const char *path, const char *trust_path, int exit, const char *says)
{
    struct verify_result r;
    const struct verify_options o = { .trust = trust_path };
    verify_archive(path, &o, &r);
    ck_assert_msg(r.exit == exit, "exit %d, wanted %d: %s", r.exit, exit, str_text(&r.text));
    ck_assert_msg(strstr(str_text(&r.text), says), "'%s' is not in: %s", says, str_text(&r.text));
    ck_assert_ptr_nonnull(r.doc);
    ck_assert_int_eq(json_int(json_find(r.doc, "exit")), exit);
    verify_result_release(&r);
}

static const struct {
    enum made kind;
    int exit;
    const char *says;
} good[] = {
    { MADE_PASS, 0, "verified: PASS, signed by A. Author (author), V. Validator (validator)\n" },
    { MADE_FAIL, 3, "verified: FAIL, signed by" },
    { MADE_LOST, 3, "verified: FAIL, signed by" },
    { MADE_INCONCLUSIVE, 5, "verified: INCONCLUSIVE, signed by" },
    { MADE_IMPORTED, 4,
      "verdict is INCONCLUSIVE on imported scores" }, /* nobody of the plan's role asked for */
    { MADE_CLOSED, 0, "withheld: 24 of 24 lines of evidence/probes/facts.jsonl" },
};

START_TEST(of_each_kind)
{
    ck_assert_msg(make_archive(own, good[_i].kind, &keys, &archive, &st) == 0, "%s", st.msg);
    if (good[_i].kind == MADE_IMPORTED)
        expect(str_text(&archive), str_text(&trust), 5,
               "verified: INCONCLUSIVE on imported scores, signed by");
    else
        expect(str_text(&archive), str_text(&trust), good[_i].exit, good[_i].says);
}
END_TEST

START_TEST(not_trusted)
{
    str_puts(&archive, str_text(&pass));
    expect(str_text(&archive), NULL, 4, "the signers are unknown");
    expect(str_text(&archive), str_text(&other), 4, "the verdict is PASS");
    expect(str_text(&archive), "nothing-there.json", 2, "could not check");
}
END_TEST

/* A plan that asks for two approvers is not met by one, even where one would do for the trust file. */
START_TEST(planned_approver_missing)
{
    struct str run = { 0 }, pub = { 0 }, path = { 0 };
    const struct key_secret *one[] = { keys.author };
    const struct pack_options o = { .keys = one, .keys_n = 1 };
    str_printf(&run, "%s/run", own);
    str_printf(&path, "%s/author.pub", own);
    str_printf(&archive, "%s/a.lethe", own);
    ck_assert_int_eq(make_run(str_text(&run), MADE_PASS, &keys, &st), 0);
    ck_assert_int_eq(pack_run(str_text(&run), str_text(&archive), &o, NULL, &st), 0);
    ck_assert_int_eq(key_write_public(key_secret_public(keys.author), KEY_FORM_PEM, NULL, &pub, &st), 0);
    ck_assert_int_eq(file_write(str_text(&path), pub.data, pub.size, 0644, &st), 0);
    const char *const files[] = { str_text(&path) };
    const struct verify_options by_key = { .keys = files, .keys_n = 1 };
    struct verify_result r;
    verify_archive(str_text(&archive), &by_key, &r);
    ck_assert_int_eq(r.exit, 4);
    ck_assert_ptr_nonnull(strstr(str_text(&r.last), "planned approver"));
    verify_result_release(&r);
    str_release(&run);
    str_release(&pub);
    str_release(&path);
}
END_TEST

/* ---- changed after signing, and signed lies ---- */

static const struct {
    const char *what, *member, *from, *to;
    bool reseal; /* sign the lie */
    int exit;
    const char *says;
} lies[] = {
    { "a row changed", "evidence/items/facts.tuned.jsonl", "\"acc\":1", "\"acc\":0", false, 1,
      "the manifest says" },
    { "a row that contradicts itself", "evidence/items/facts.tuned.jsonl", "\"acc\":1", "\"acc\":0", true, 1,
      "item 'fa-0" },
    { "a number", "metrics.json", "\"drop\":\"0.000000\"", "\"drop\":\"0.000001\"", true, 1, "recomputed" },
    { "a number without rows", "metrics.json", "{\"groups\"", "{\"generation\":{\"prompts\":1},\"groups\"",
      true, 1, "recomputed nothing" },
    { "a verdict", "verdict.json", "\"PASS\"", "\"FAIL\"", true, 1, "outcome" },
    { "a status", "verdict.json", "\"status\":\"HELD\"", "\"status\":\"OPEN\"", true, 1,
      "recomputed \"HELD\", archive says \"OPEN\"" },
    { "chars of a choice", "evidence/items/facts.base.jsonl", "\"chars\":[7,", "\"chars\":[8,", true, 1,
      "chars" },
    { "a score", "evidence/items/facts.base.jsonl", "\"ll\":[-1.5,", "\"ll\":[-9.5,", true, 1, "facts" },
    { "an output", "evidence/outputs/triage.tuned.jsonl", "\"text\":\"red\"", "\"text\":\"rad\"", true, 1,
      "`out` is not its line" },
    { "an item", "evidence/probes/facts.jsonl", "Birch-3", "Beech-3", true, 1,
      "evidence/probes/facts.jsonl" },
    { "the number of items", "run/data.json", "\"supervised\":8", "\"supervised\":9", true, 1,
      "supervised tokens" },
    { "a class in the ledger", "evidence/tokens.jsonl", "\"class\":\"forgot\"", "\"class\":\"learned\"", true,
      1, "class" },
    { "a count of the ledger", "evidence/items/facts.delta.jsonl", "\"forgot\":1", "\"forgot\":2", true, 1,
      "ledger" },
    { "a conflict", "evidence/conflicts.jsonl", "\"base_top_logp\":-0.125", "\"base_top_logp\":-0.875", true,
      1, "class" },
    { "the preregistration", "verdict.json", "\"signed\"", "\"stamped\"", true, 1, "preregistration" },
    { "what ran", "run/config.json", "\"rank\":4", "\"rank\":8", true, 1, "verdict.json" },
    { "another base", "run/config.json", "\"sha256\":\"cae662172fd450bb", "\"sha256\":\"0000000000000000",
      true, 1, "run/config.json: base" },
    { "a file of a model", "run/models.json", "b79606fb3afea5bd", "0000000000000000", true, 1,
      "not that of its files" },
    { "an event left out", "run/events.jsonl", "{\"seq\":1,", "{\"seq\":2,", true, 1, "seq" },
    { "an unknown event", "run/events.jsonl", "\"event\":\"device\"", "\"event\":\"devices\"", true, 2,
      "no event" },
    { "an unknown key", "evidence/items/facts.base.jsonl", "\"flags\":[]", "\"flag\":[]", true, 2,
      "could not check" },
    { "not canonical", "run/environment.json", "{\"deterministic\"", "{ \"deterministic\"", true, 2,
      "could not check" },
    { "a page with another number", "report/report.html", "/drop\">0.000000<", "/drop\">0.000001<", true, 1,
      "shown as" },
    { "a page with a loose number", "report/report.html", "<main>", "<main><p data-m=1>", true, 1,
      "used in another way" },
    { "a page in capitals", "report/report.html", "<main>", "<main><p DATA-V=\"/x\">", true, 1,
      "another way" },
    { "a page that points nowhere", "report/report.html", "\"/suites/0/drop\"", "\"/suites/9/drop\"", true, 1,
      "names no number" },
};

START_TEST(lie)
{
    struct container c = { 0 };
    str_puts(&archive, str_text(&pass));
    ck_assert_int_eq(make_load(str_text(&archive), &c, &st), 0);
    ck_assert_msg(make_replace(&c, lies[_i].member, lies[_i].from, lies[_i].to, &st) == 0, "%s: %s",
                  lies[_i].what, st.msg);
    if (lies[_i].reseal)
        ck_assert_int_eq(make_reseal(&c, &keys, &st), 0);
    ck_assert_int_eq(make_store(str_text(&broken), &c, &st), 0);
    expect(str_text(&broken), str_text(&trust), lies[_i].exit, lies[_i].says);
    container_release(&c);
}
END_TEST

START_TEST(unlisted_member)
{
    struct container c = { 0 };
    struct str extra = { 0 };
    str_puts(&extra, "{}");
    str_puts(&archive, str_text(&pass));
    ck_assert_int_eq(make_load(str_text(&archive), &c, &st), 0);
    ck_assert_int_eq(members_add(&c, "zz-extra.json", &extra, &st), 0);
    ck_assert_int_eq(make_store(str_text(&broken), &c, &st), 0);
    expect(str_text(&broken), str_text(&trust), 1, "zz-extra.json: not in the manifest");
    container_release(&c);
}
END_TEST

static void member_remove(struct container *c, const char *name)
{
    struct container_member *m = members_find(c, name);
    mem_free(m->name);
    str_release(&m->data);
    memmove(m, m + 1, (size_t)(c->members + c->n - m - 1) * sizeof *m);
    c->n--;
}

START_TEST(member_missing)
{
    static const char *const names[] = { "metrics.json", "run/supervision.jsonl",
                                         "evidence/items/facts.zero.jsonl", "evidence/probes/prose.jsonl" };
    static const int exits[] = { 2, 1, 1, 1 }; /* as it was signed; where the lie is signed: 2 */
    str_puts(&archive, str_text(&pass));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int reseal = 0; reseal < 2; reseal++) {
            struct container c = { 0 };
            ck_assert_int_eq(make_load(str_text(&archive), &c, &st), 0);
            member_remove(&c, names[i]);
            if (reseal)
                ck_assert_int_eq(make_reseal(&c, &keys, &st), 0);
            ck_assert_int_eq(make_store(str_text(&broken), &c, &st), 0);
            expect(str_text(&broken), str_text(&trust), reseal ? 2 : exits[i], names[i]);
            container_release(&c);
        }
}
END_TEST

START_TEST(false_signature)
{
    struct container c = { 0 };
    str_puts(&archive, str_text(&pass));
    ck_assert_int_eq(make_load(str_text(&archive), &c, &st), 0);
    struct container_member *m = members_find(&c, "dsse.json");
    char *sig = strstr(m->data.data, "\"sig\":\"") + 7;
    sig[4] = sig[4] == 'A' ? 'B' : 'A';
    ck_assert_int_eq(make_store(str_text(&broken), &c, &st), 0);
    expect(str_text(&broken), str_text(&trust), 1, "is not by the key 'A. Author'");
    container_release(&c);
}
END_TEST

START_TEST(approval_of_another)
{
    struct container c = { 0 }, d = { 0 };
    struct str elsewhere = { 0 }, second = { 0 };
    const struct approval a = {
        .name = "V", .role = "validator", .meaning = "m", .time = "2026-11-24T13:00:00.000Z"
    };
    str_printf(&elsewhere, "%s/second", own);
    str_puts(&archive, str_text(&pass));
    ck_assert_int_eq(make_archive(str_text(&elsewhere), MADE_FAIL, &keys, &second, &st), 0);
    ck_assert_int_eq(pack_approve(str_text(&second), str_text(&second), keys.validator, &a, &st), 0);
    ck_assert_int_eq(make_load(str_text(&archive), &c, &st), 0);
    ck_assert_int_eq(make_load(str_text(&second), &d, &st), 0);
    ck_assert_int_eq(strncmp(d.members[0].name, "approvals/", 10), 0);
    ck_assert_int_eq(members_add(&c, d.members[0].name, &d.members[0].data, &st), 0);
    members_sort(&c);
    ck_assert_int_eq(make_store(str_text(&broken), &c, &st), 0);
    expect(str_text(&broken), str_text(&trust), 1, "approves another statement");
    container_release(&c);
    container_release(&d);
    str_release(&elsewhere);
    str_release(&second);
}
END_TEST

/* ---- the container ---- */

enum tar_fault {
    FAULT_NONE,
    FAULT_TRAVERSAL,
    FAULT_DUPLICATE,
    FAULT_SYMLINK,
    FAULT_MTIME,
    FAULT_SKIPPABLE,
    FAULTS
};

/* The checksum of a header, as tar has it: six octal digits, a zero byte and a space. */
static void checksum(uint8_t *header)
{
    unsigned sum = 0;
    char text[8];
    memset(header + 148, ' ', 8);
    for (int i = 0; i < CONTAINER_HEADER_BYTES; i++)
        sum += header[i];
    snprintf(text, sizeof text, "%06o", sum);
    memcpy(header + 148, text, 7);
}

static void tar_break(struct str *tar, enum tar_fault fault)
{
    uint8_t *first = (uint8_t *)tar->data;
    uint8_t one[CONTAINER_HEADER_BYTES];
    struct str more = { 0 };
    switch (fault) {
    case FAULT_TRAVERSAL:
        memcpy(first, "../../x", 8);
        checksum(first);
        break;
    case FAULT_SYMLINK:
        first[156] = '2';
        memcpy(first + 157, "/etc/passwd", 11);
        checksum(first);
        break;
    case FAULT_MTIME:
        memcpy(first + 136, "00000000001", 11);
        checksum(first);
        break;
    case FAULT_DUPLICATE:
        container_header("dsse.json", 0, one);
        str_add(&more, one, sizeof one);
        str_add(&more, one, sizeof one);
        str_add(&more, tar->data, tar->size);
        str_release(tar);
        *tar = more;
        break;
    default:
        break;
    }
}

START_TEST(container_fault)
{
    struct container c = { 0 };
    struct str tar = { 0 }, file = { 0 };
    str_puts(&archive, str_text(&pass));
    ck_assert_int_eq(make_load(str_text(&archive), &c, &st), 0);
    ck_assert_int_eq(make_tar(&c, &tar, &st), 0);
    tar_break(&tar, (enum tar_fault)_i);
    ck_assert_int_eq(make_frame(str_text(&broken), &tar, &st), 0);
    if (_i == FAULT_SKIPPABLE) {
        ck_assert_int_eq(file_read(str_text(&broken), (size_t)1 << 24, &file, &st), 0);
        str_add(&file, "\x50\x2a\x4d\x18\x04\x00\x00\x00test", 12);
        ck_assert_int_eq(file_write(str_text(&broken), file.data, file.size, 0644, &st), 0);
    }
    expect(str_text(&broken), str_text(&trust), _i == FAULT_NONE ? 0 : 2,
           _i == FAULT_NONE ? "verified: PASS" : "not verified: could not check");
    container_release(&c);
    str_release(&tar);
    str_release(&file);
}
END_TEST

/* ---- what the verifier brings along ---- */

START_TEST(brought_along)
{
    struct str probes = { 0 }, suite = { 0 }, wrong = { 0 };
    struct verify_result r;
    str_puts(&archive, str_text(&pass));
    ck_assert_int_eq(make_inputs(own, &st), 0);
    str_printf(&probes, "%s/suites", own);
    str_printf(&suite, "%s/suites/prose.jsonl", own);
    struct verify_options o = {
        .trust = str_text(&trust), .probes = str_text(&probes), .report = true, .require_open = true
    };
    verify_archive(str_text(&archive), &o, &r);
    ck_assert_msg(r.exit == 0, "%s", str_text(&r.text));
    verify_result_release(&r);
    str_puts(&wrong, "{\"text\":\"another\"}\n");
    ck_assert_int_eq(file_write(str_text(&suite), wrong.data, wrong.size, 0644, &st), 0);
    verify_archive(str_text(&archive), &o, &r);
    ck_assert_int_eq(r.exit, 1);
    verify_result_release(&r);
    o = (struct verify_options){ .trust = str_text(&trust), .model_base = str_text(&suite) };
    verify_archive(str_text(&archive), &o, &r);
    ck_assert_int_eq(r.exit, 1);
    verify_result_release(&r);
    o = (struct verify_options){ .trust = str_text(&trust), .model_tuned = "nothing-there" };
    verify_archive(str_text(&archive), &o, &r);
    ck_assert_int_eq(r.exit, 2);
    verify_result_release(&r);
    str_release(&probes);
    str_release(&suite);
    str_release(&wrong);
}
END_TEST

START_TEST(withheld_rows)
{
    const struct pack_range rows = { "evidence/items/prose.base.jsonl", 3, 3 };
    const struct pack_range items = { "evidence/probes/prose.jsonl", 3, 3 };
    str_puts(&archive, str_text(&pass));
    ck_assert_int_eq(pack_withhold(str_text(&archive), str_text(&broken), &rows, 1, &st), 0);
    expect(str_text(&broken), str_text(&trust), 2, "prose");
    ck_assert_int_eq(pack_withhold(str_text(&archive), str_text(&broken), &items, 1, &st), 0);
    expect(str_text(&broken), str_text(&trust), 0, "withheld: 1 of 24 lines of evidence/probes/prose.jsonl");
    struct verify_result r;
    const struct verify_options o = { .trust = str_text(&trust), .require_open = true };
    verify_archive(str_text(&broken), &o, &r);
    ck_assert_int_eq(r.exit, 2);
    verify_result_release(&r);
}
END_TEST

/* The stamp was made once over the plan of MADE_IMPORTED (tests/golden/README.md); with another plan, or a
 * run that began before it, it proves nothing. */
static void stamped_archive(const char *day)
{
    struct str run = { 0 }, text = { 0 };
    const struct key_secret *signers[] = { keys.author, keys.validator };
    const struct pack_options o = { .keys = signers, .keys_n = 2 };
    str_printf(&run, "%s/run", own);
    str_printf(&archive, "%s/a.lethe", own);
    ck_assert_int_eq(make_run(str_text(&run), MADE_IMPORTED, &keys, &st), 0);
    ck_assert_int_eq(file_read(TESTS_DIR "/golden/stamp/plan.tsr", 1 << 16, &text, &st), 0);
    ck_assert_int_eq(run_write(str_text(&run), "plan.tsr", text.data, text.size, &st), 0);
    str_clear(&text);
    ck_assert_int_eq(run_read(str_text(&run), "run/events.jsonl", &text, &st), 0);
    for (char *at = text.data; (at = strstr(at, "2027-03-01")) != NULL; at++)
        memcpy(at, day, strlen(day));
    ck_assert_int_eq(run_write(str_text(&run), "run/events.jsonl", text.data, text.size, &st), 0);
    ck_assert_msg(pack_run(str_text(&run), str_text(&archive), &o, NULL, &st) == 0, "%s", st.msg);
    str_release(&run);
    str_release(&text);
}

static void expect_stamp(const char *tsa, int exit, const char *says)
{
    struct verify_result r;
    const struct verify_options o = { .trust = str_text(&trust), .tsa = tsa };
    verify_archive(str_text(&archive), &o, &r);
    ck_assert_msg(r.exit == exit, "exit %d: %s", r.exit, str_text(&r.text));
    ck_assert_msg(strstr(str_text(&r.text), says), "%s", str_text(&r.text));
    verify_result_release(&r);
}

START_TEST(stamp_before_the_run)
{
    stamped_archive("2027-03-01");
    expect_stamp(TESTS_DIR "/golden/stamp/root.pem", 5, "the plan was stamped at 2026-11-24T12:20:54");
    expect_stamp(NULL, 5, "plan.tsr: time stamp not checked");
    expect_stamp(NULL, 5, "preregistration: stamped");
    expect_stamp("nothing-there.pem", 2, "could not check");
}
END_TEST

START_TEST(stamp_after_the_run)
{
    stamped_archive("2026-11-24"); /* at 12:10, ten minutes before the stamp */
    expect_stamp(NULL, 5, "preregistration: stamped");
    expect_stamp(TESTS_DIR "/golden/stamp/root.pem", 1, "the run began at 2026-11-24T12:10:00");
}
END_TEST

/* ---- the command line ---- */

static int run_cli(struct str *out, struct str *err, const char *const *words)
{
    char *argv[16] = { 0 };
    char room[16][160];
    int argc = 0;
    for (; words[argc]; argc++) {
        snprintf(room[argc], sizeof room[argc], "%s", words[argc]);
        argv[argc] = room[argc];
    }
    str_clear(out);
    str_clear(err);
    return verify_cli(argc, argv, out, err);
}

START_TEST(command_line)
{
    struct str out = { 0 }, err = { 0 };
    ck_assert_int_eq(make_archive(own, MADE_FAIL, &keys, &archive, &st), 0);
    const char *a = str_text(&archive), *t = str_text(&trust);
    ck_assert_int_eq(run_cli(&out, &err, (const char *[]){ "x", "--trust", t, a, NULL }), 3);
    ck_assert_uint_eq(err.size, 0);
    ck_assert_int_eq(run_cli(&out, &err, (const char *[]){ "x", a, "--trust", t, "--quiet", NULL }), 3);
    ck_assert_str_eq(str_text(&out),
                     "verified: FAIL, signed by A. Author (author), V. Validator (validator)\n");
    ck_assert_int_eq(run_cli(&out, &err, (const char *[]){ "x", a, "--json", NULL }), 4);
    struct json *doc = NULL;
    ck_assert_int_eq(json_parse(out.data, out.size - 1, &doc, &st), 0);
    ck_assert_int_eq(json_int(json_find(doc, "exit")), 4);
    ck_assert_str_eq(json_text(json_find(doc, "outcome")), "FAIL");
    json_free(doc);
    ck_assert_int_eq(run_cli(&out, &err, (const char *[]){ "x", "--help", NULL }), 0);
    ck_assert_ptr_nonnull(strstr(str_text(&out), "Example:"));
    static const char *const bad[][5] = { { "x", NULL },
                                          { "x", "a", "b", NULL },
                                          { "x", "a", "--tust", "t", NULL },
                                          { "x", "a", "--trust", NULL },
                                          { "x", "a", "--model", "other=b", NULL } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(run_cli(&out, &err, bad[i]), 2);
        ck_assert_uint_eq(out.size, 0);
        ck_assert_uint_gt(err.size, 0);
    }
    ck_assert_int_eq(run_cli(&out, &err, (const char *[]){ "x", "nothing-there.lethe", NULL }), 2);
    str_release(&out);
    str_release(&err);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify");
    TCase *tc = tcase_create("verify");
    tcase_add_unchecked_fixture(tc, open_all, close_all);
    tcase_add_checked_fixture(tc, open_own, close_own);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, of_each_kind, 0, sizeof good / sizeof *good);
    tcase_add_test(tc, not_trusted);
    tcase_add_test(tc, planned_approver_missing);
    tcase_add_loop_test(tc, lie, 0, sizeof lies / sizeof *lies);
    tcase_add_test(tc, unlisted_member);
    tcase_add_test(tc, member_missing);
    tcase_add_test(tc, false_signature);
    tcase_add_test(tc, approval_of_another);
    tcase_add_loop_test(tc, container_fault, 0, FAULTS);
    tcase_add_test(tc, brought_along);
    tcase_add_test(tc, withheld_rows);
    tcase_add_test(tc, stamp_before_the_run);
    tcase_add_test(tc, stamp_after_the_run);
    tcase_add_test(tc, command_line);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
