/* Audit files read, plans made of them, and everything that either refuses, with the place that it names.
 * tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "reports/documents.h"
#include "reports/plan.h"
#include "reports/statement.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char AUDIT[] =
    "{\"lethe_audit\":1,\"title\":\"T\",\"purpose\":\"P\",\"author\":{\"name\":\"A\"},\"base\":{\"path\":\"m/"
    "b.gguf\"},"
    "\"data\":[{\"role\":\"train\",\"path\":\"d/t.jsonl\"}],"
    "\"method\":{\"name\":\"lora\",\"seed\":7},"
    "\"suites\":[{\"path\":\"s/b.jsonl\",\"use\":\"gate\",\"margin\":\"0.03\"},"
    "{\"path\":\"s/a.jsonl\",\"use\":\"report\"}],"
    "\"groups\":[{\"id\":\"g\",\"members\":[\"bb\",\"aa\"],\"use\":\"gate\",\"margin\":\"0.1\"}],"
    "\"measures\":[\"learned_share\",\"forgotten_share\"],\"statistics\":{\"seed\":3}}";

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

START_TEST(audit_file)
{
    struct plan p;
    struct status st = { 0 };
    ck_assert_msg(audit_file_parse(AUDIT, strlen(AUDIT), &p, &st) == 0, "%s", st.msg);
    ck_assert_str_eq(p.base.path, "m/b.gguf");
    ck_assert_str_eq(p.data[0].role, "train");
    ck_assert_uint_eq(p.suites_n, 2);
    ck_assert_str_eq(p.suites[0].path, "s/b.jsonl");
    ck_assert_double_eq(p.suites[0].limit_value, 0.03);
    ck_assert_str_eq(p.statistics.alpha, "0.05");
    ck_assert_uint_eq(p.statistics.min_clusters, 20);
    ck_assert_uint_eq(p.statistics.replicates, 0);
    ck_assert_str_eq(p.ledger.tau, "0.5");
    ck_assert_double_eq(p.ledger.conflict_logp_min_value, -0.7);
    ck_assert_str_eq(p.scoring.dtype, "f32");
    ck_assert(p.strict && p.statistics.holm && plan_trains(&p) && !p.closed);
    ck_assert_uint_eq(plan_claims(&p), 2);
    plan_release(&p);
}
END_TEST

static const struct {
    const char *from, *to, *says;
} bad_audits[] = {
    { "\"lethe_audit\":1", "\"lethe_audit\":2", "lethe_audit 2" },
    { "\"title\":\"T\"", "\"titel\":\"T\"", "titel" },
    { "\"title\":\"T\",", "", "title" },
    { "\"margin\":\"0.03\"", "\"margn\":\"0.03\"", "/suites/0: unknown key 'margn'" },
    { "\"margin\":\"0.03\"", "\"margin\":0.03", "/suites/0" },
    { "\"margin\":\"0.03\"", "\"margin\":\"-0.03\"", "below 0" },
    { ",\"margin\":\"0.03\"", "", "/suites/0" },
    { "\"use\":\"report\"", "\"use\":\"report\",\"gain\":\"0.1\"", "only a task" },
    { "\"use\":\"report\"", "\"use\":\"gates\"", "/suites/1" },
    { "\"role\":\"train\"", "\"role\":\"training\"", "/data/0" },
    { "\"role\":\"train\"", "\"role\":\"dev\"", "no file of role 'train'" },
    { "\"seed\":7", "\"rank\":7", "/method: key 'seed'" },
    { "\"seed\":7", "\"seed\":7,\"lr\":0.5", "/method" },
    { "{\"seed\":3}", "{}", "/statistics: key 'seed'" },
    { "{\"seed\":3}", "{\"seed\":3,\"alpha\":\"0.5\"}", "0.5" },
    { "{\"seed\":3}", "{\"seed\":3,\"replicates\":9998}", "/statistics" },
    { "{\"seed\":3}", "{\"seed\":3,\"replicates\":99}", "/statistics" },
    { "{\"seed\":3}", "{\"seed\":3,\"power\":1}", "power" },
    { "\"learned_share\"", "\"unknown_share\"", "/measures/0" },
    { "\"members\":[\"bb\",\"aa\"]", "\"members\":[\"bb\"]", "/groups/0" },
    { "\"members\":[\"bb\",\"aa\"]", "\"members\":[\"bb\",\"bb\"]", "twice" },
    { "\"use\":\"gate\",\"margin\":\"0.1\"", "\"use\":\"report\"", "a gate or a task" },
    { "\"id\":\"g\"", "\"id\":\"G\"", "/groups/0" },
    { "\"author\":{\"name\":\"A\"}", "\"author\":{\"name\":\"A\",\"mail\":\"x\"}", "/author" },
    { "\"base\":{\"path\":\"m/b.gguf\"}", "\"base\":{}", "/base" },
    { "\"base\":", "\"tuned\":{\"path\":\"x\"},\"base\":", "/tuned" },
    { "\"data\":", "\"zero\":{\"ll_max\":\"-1\"},\"data\":", "/zero" },
    { "\"data\":", "\"scoring\":{\"max_len\":1},\"data\":", "/scoring" },
    { "\"data\":", "\"scoring\":{\"dtype\":\"f64\"},\"data\":", "/scoring" },
    { "\"data\":", "\"previous\":\"abc\",\"data\":", "previous" },
    { "\"data\":", "\"privacy\":\"secret\",\"data\":", "privacy" },
    { "\"data\":", "\"approvers\":[{\"role\":\"boss\",\"keyid\":\"00\"}],\"data\":", "/approvers/0" },
    { "\"title\":\"T\"", "\"title\":\"T\",\"title\":\"U\"", "title" },
};

START_TEST(bad_audit)
{
    struct plan p;
    struct status st = { 0 };
    struct str text = with(AUDIT, bad_audits[_i].from, bad_audits[_i].to);
    ck_assert_msg(audit_file_parse(text.data, text.size, &p, &st) != 0, "accepted: %s", bad_audits[_i].to);
    ck_assert_msg(strstr(st.msg, bad_audits[_i].says), "'%s' does not say '%s'", st.msg, bad_audits[_i].says);
    str_release(&text);
}
END_TEST

START_TEST(nothing_decided)
{
    struct plan p;
    struct status st = { 0 };
    struct str one = with(AUDIT, "\"use\":\"gate\",\"margin\":\"0.03\"", "\"use\":\"report\"");
    struct str two = with(str_text(&one),
                          "\"groups\":[{\"id\":\"g\",\"members\":[\"bb\",\"aa\"],\"use\":\"gate\","
                          "\"margin\":\"0.1\"}],",
                          "");
    ck_assert_int_eq(audit_file_parse(two.data, two.size, &p, &st), RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "nothing is decided"));
    str_release(&one);
    str_release(&two);
}
END_TEST

/* A model that was tuned elsewhere needs neither method nor data. */
START_TEST(tuned_elsewhere)
{
    struct plan p;
    struct status st = { 0 };
    struct str one = with(AUDIT, "\"method\":{\"name\":\"lora\",\"seed\":7}", "\"tuned\":{\"path\":\"x\"}");
    struct str two = with(str_text(&one), "\"data\":[{\"role\":\"train\",\"path\":\"d/t.jsonl\"}],", "");
    ck_assert_msg(audit_file_parse(two.data, two.size, &p, &st) == 0, "%s", st.msg);
    ck_assert_str_eq(p.tuned.path, "x");
    ck_assert(!plan_trains(&p));
    plan_release(&p);
    str_release(&one);
    str_release(&two);
}
END_TEST

/* ---- from audit file to plan ---- */

static const char SUITE_A[] = "{\"lethe_probe\":1,\"id\":\"aa\",\"version\":\"1\",\"title\":\"A\",\"kind\":"
                              "\"pair\",\"role\":\"grammar\",\"licence\":\"L\","
                              "\"source\":\"S\"}\n{\"id\":\"0\",\"good\":\"g\",\"bad\":\"b\"}\n{\"id\":\"1\","
                              "\"good\":\"g\",\"bad\":\"c\"}\n";
static const char SUITE_B[] =
    "{\"lethe_probe\":1,\"id\":\"bb\",\"version\":\"2\",\"title\":\"B\",\"kind\":\"choice\",\"role\":"
    "\"facts\",\"licence\":\"L\","
    "\"source\":\"S\"}\n{\"id\":\"0\",\"context\":\"q\",\"choices\":[\"x\",\"y\"],\"gold\":1}\n";

struct scene {
    struct plan audit;
    struct probe_set a, b;
    const struct probe_set *sets[2];
    struct plan_data_facts data;
    struct plan_facts facts;
};

static void scene_open(struct scene *s, const char *audit)
{
    static const uint8_t key[32] = { 5 };
    struct status st = { 0 };
    *s = (struct scene){ 0 };
    ck_assert_msg(audit_file_parse(audit, strlen(audit), &s->audit, &st) == 0, "%s", st.msg);
    ck_assert_msg(probe_set_parse(SUITE_A, strlen(SUITE_A), "a", &s->a, &st) == 0, "%s", st.msg);
    ck_assert_msg(probe_set_parse(SUITE_B, strlen(SUITE_B), "b", &s->b, &st) == 0, "%s", st.msg);
    s->sets[0] = &s->b; /* as the audit file lists them */
    s->sets[1] = &s->a;
    s->data = (struct plan_data_facts){ "prompt", sha256_of("d", 1), 11 };
    s->facts = (struct plan_facts){ .base = sha256_of("b", 1),
                                    .tokenizer = sha256_of("t", 1),
                                    .prefix = "eos",
                                    .max_len = 128,
                                    .method = s->audit.method,
                                    .data = &s->data,
                                    .sets = s->sets,
                                    .salt_key = key,
                                    .created = "2026-11-24T04:00:00Z" };
}

static void scene_close(struct scene *s)
{
    plan_release(&s->audit);
    probe_set_release(&s->a);
    probe_set_release(&s->b);
}

START_TEST(plan_made)
{
    struct scene s;
    struct plan p;
    struct status st = { 0 };
    struct str text = { 0 }, again = { 0 };
    scene_open(&s, AUDIT);
    ck_assert_msg(plan_build(&s.audit, &s.facts, &text, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(plan_build(&s.audit, &s.facts, &again, &st), 0);
    ck_assert_str_eq(str_text(&text), str_text(&again));
    ck_assert_msg(plan_parse(text.data, text.size, &p, &st) == 0, "%s", st.msg);
    ck_assert_str_eq(p.suites[0].id, "aa"); /* sorted, whatever the audit file's order */
    ck_assert_uint_eq(p.suites[0].items, 2);
    ck_assert_str_eq(p.suites[1].version, "2");
    ck_assert_int_eq(p.suites[1].use, USE_gate);
    ck_assert_str_eq(p.groups[0].members[0], "aa");
    ck_assert_uint_eq(p.groups[0].member_suites[1], 1);
    ck_assert_str_eq(p.measures[0], "forgotten_share");
    ck_assert_uint_eq(p.statistics.replicates, 9999);
    ck_assert_str_eq(p.base.name, "b.gguf");
    ck_assert_str_eq(p.data[0].name, "t.jsonl");
    ck_assert_str_eq(p.scoring.prefix, "eos");
    ck_assert_uint_eq(p.scoring.max_len, 128);
    ck_assert_ptr_nonnull(plan_find_suite(&p, "bb"));
    ck_assert_ptr_null(plan_find_suite(&p, "cc"));
    /* the root in the plan is that of the lines as they are packed */
    struct str lines = { 0 };
    struct merkle m = { 0 };
    struct lines at;
    const char *line;
    size_t n;
    ck_assert_int_eq(plan_probe_lines(&s.a, s.facts.salt_key, &lines, &st), 0);
    at = (struct lines){ .data = lines.data, .size = lines.size };
    while (lines_next(&at, &line, &n, &st)) {
        struct hash leaf = merkle_leaf(line, n);
        merkle_add(&m, &leaf);
    }
    struct hash root = merkle_root(&m);
    ck_assert(hash_equal(&root, &p.suites[0].root));
    plan_release(&p);
    scene_close(&s);
    str_release(&text);
    str_release(&again);
    str_release(&lines);
}
END_TEST

static const struct {
    const char *from, *to, *says;
} misfits[] = {
    { "s/b.jsonl\",", "s/b.jsonl\",\"id\":\"cc\",", "the suite says 'bb'" },
    { "s/b.jsonl\",", "s/b.jsonl\",\"kind\":\"pair\",", "the suite says 'choice'" },
    { "s/b.jsonl\",", "s/b.jsonl\",\"metric\":\"bits_per_byte\",", "metric" },
    { "\"bb\",\"aa\"", "\"bb\",\"zz\"", "no suite 'zz'" },
    { "\"id\":\"g\"", "\"id\":\"aa\"", "suite's id too" },
};

START_TEST(misfit)
{
    struct scene s;
    struct status st = { 0 };
    struct str text = { 0 }, audit = with(AUDIT, misfits[_i].from, misfits[_i].to);
    scene_open(&s, str_text(&audit));
    ck_assert_int_ne(plan_build(&s.audit, &s.facts, &text, &st), 0);
    ck_assert_uint_eq(text.size, 0);
    ck_assert_msg(strstr(st.msg, misfits[_i].says), "'%s' does not say '%s'", st.msg, misfits[_i].says);
    scene_close(&s);
    str_release(&text);
    str_release(&audit);
}
END_TEST

/* A plan that somebody else wrote: each change of a good one is refused. */
static const struct {
    const char *from, *to, *says;
} bad_plans[] = {
    { "\"lethe_plan\":1", "\"lethe_plan\":2", "lethe_plan 2" },
    { "{\"author\"", "{ \"author\"", "" },
    { "\"title\":\"T\"", "\"title\":null", "" },
    { "\"created\":\"2026-11-24T04:00:00Z\"", "\"created\":\"2026-11-24T04:00:00.000Z\"", "created" },
    { "\"clusters\":2", "\"clusters\":3", "/suites/0" },
    { "\"id\":\"bb\"", "\"id\":\"aa\"", "/suites/1" },
    { "\"kind\":\"pair\"", "\"kind\":\"text\"", "/suites/0" },
    { "\"members\":[\"aa\",\"bb\"]", "\"members\":[\"bb\",\"aa\"]", "/groups/0" },
    { "[\"forgotten_share\",\"learned_share\"]", "[\"learned_share\",\"forgotten_share\"]", "/measures/1" },
    { "\"replicates\":9999", "\"replicates\":9998", "/statistics" },
    { "\"strict\":true", "\"strict\":\"yes\"", "strict" },
    { "\"prefix\":\"eos\"", "\"prefix\":\"pad\"", "/scoring" },
    { "\"template\":\"none\"", "\"template\":\"model\"", "template" },
    { "\"form\":\"file\"", "\"form\":\"samples\"", "/base" },
    { "\"purpose\"", "\"mode\":\"imported\",\"purpose\"", "samples" },
};

START_TEST(bad_plan)
{
    struct scene s;
    struct plan p;
    struct status st = { 0 };
    struct str text = { 0 };
    scene_open(&s, AUDIT);
    ck_assert_int_eq(plan_build(&s.audit, &s.facts, &text, &st), 0);
    struct str changed = with(str_text(&text), bad_plans[_i].from, bad_plans[_i].to);
    ck_assert_msg(plan_parse(changed.data, changed.size, &p, &st) != 0, "accepted: %s", bad_plans[_i].to);
    ck_assert_msg(strstr(st.msg, bad_plans[_i].says), "'%s' does not say '%s'", st.msg, bad_plans[_i].says);
    scene_close(&s);
    str_release(&text);
    str_release(&changed);
}
END_TEST

/* The Nth allocation fails: RC_NOMEM, no leak, nothing half made, until the call succeeds. */
START_TEST(torture)
{
    struct plan p;
    int rc = RC_NOMEM;
    for (size_t nth = 1; rc != 0; nth++) {
        struct status st = { 0 };
        ck_assert_uint_lt(nth, 100000);
        mem_fail_at(nth);
        rc = audit_file_parse(AUDIT, strlen(AUDIT), &p, &st);
        mem_fail_at(0);
        ck_assert(rc == 0 || rc == RC_NOMEM);
    }
    plan_release(&p);
}
END_TEST

/* ---- events and statements ---- */

static const struct {
    const char *text;
    int rc;
} events[] = {
#define START                                                                                                \
    "{\"seq\":0,\"t\":\"2026-11-24T12:10:00.000Z\",\"event\":\"start\",\"plan\":\"" HEX                      \
    "\",\"tool\":\"t\",\"argv\":[]}\n"
#define HEX "0000000000000000000000000000000000000000000000000000000000000000"
#define END "{\"seq\":1,\"t\":\"2026-11-24T12:10:01.000Z\",\"event\":\"end\",\"outcome\":\"complete\"}\n"
    { START END, 0 },
    { START, RC_VERIFY },
    { END, RC_VERIFY },
    { START START END, RC_VERIFY },
    { "", RC_VERIFY },
    { START "{\"seq\":1,\"t\":\"yesterday\",\"event\":\"end\",\"outcome\":\"complete\"}\n", RC_FORMAT },
    { START "{\"seq\":1,\"t\":\"2026-11-24T12:10:01.000Z\",\"event\":\"end\",\"outcome\":\"good\"}\n",
      RC_FORMAT },
    { START
      "{\"seq\":1,\"t\":\"2026-11-24T12:10:01.000Z\",\"event\":\"end\",\"outcome\":\"complete\",\"x\":1}\n",
      RC_FORMAT },
    { START "{\"seq\":1}", RC_FORMAT },
#undef START
#undef HEX
#undef END
};

START_TEST(event_lines)
{
    struct doc_events e = { 0 };
    ck_assert_int_eq(doc_events_parse(events[_i].text, strlen(events[_i].text), &e, NULL), events[_i].rc);
    doc_events_release(&e);
}
END_TEST

START_TEST(statement_round)
{
    struct statement s = { .base = sha256_of("b", 1),
                           .manifest = sha256_of("m", 1),
                           .tuned = sha256_of("t", 1),
                           .assurance = "independent",
                           .started = "2026-11-24T12:10:00.000Z",
                           .finished = "2026-11-24T12:11:00.000Z",
                           .plan = sha256_of("p", 1),
                           .outcome = "FAIL",
                           .tool_name = "lethe",
                           .tool_version = "0",
                           .tool_commit = "c",
                           .tuned_form = "file",
                           .tuned_kind = "merged" };
    struct statement back;
    struct status st = { 0 };
    struct str text = { 0 };
    ck_assert_int_eq(statement_write(&s, &text, &st), 0);
    ck_assert_msg(statement_parse(text.data, text.size, &back, &st) == 0, "%s", st.msg);
    ck_assert(hash_equal(&s.tuned, &back.tuned) && hash_equal(&s.manifest, &back.manifest));
    ck_assert_str_eq(back.tuned_kind, "merged");
    ck_assert(!back.imported);
    statement_release(&back);
    static const char *const changes[][2] = { { "urn:lethe:forgetting-audit:v1",
                                                "urn:lethe:forgetting-audit:v2" },
                                              { "\"name\":\"tuned\"", "\"name\":\"other\"" },
                                              { "\"FAIL\"", "\"GOOD\"" },
                                              { "\"independent\"", "\"hearsay\"" } };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct str bad = with(str_text(&text), changes[i][0], changes[i][1]);
        ck_assert_int_ne(statement_parse(bad.data, bad.size, &back, NULL), 0);
        str_release(&bad);
    }
    str_release(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tc = tcase_create("plan");
    tcase_add_test(tc, audit_file);
    tcase_add_loop_test(tc, bad_audit, 0, sizeof bad_audits / sizeof *bad_audits);
    tcase_add_test(tc, nothing_decided);
    tcase_add_test(tc, tuned_elsewhere);
    tcase_add_test(tc, plan_made);
    tcase_add_loop_test(tc, misfit, 0, sizeof misfits / sizeof *misfits);
    tcase_add_loop_test(tc, bad_plan, 0, sizeof bad_plans / sizeof *bad_plans);
    tcase_add_test(tc, torture);
    tcase_add_loop_test(tc, event_lines, 0, sizeof events / sizeof *events);
    tcase_add_test(tc, statement_round);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
