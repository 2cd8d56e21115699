/* tier: quick
 * The shipped suites and the demo's: bytes, counts, and what could give an answer away without knowledge. */
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "eval/contamination.h"
#include "probes/index.h"
#include "probes/set.h"
#include "reports/plan.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT TESTS_DIR "/../"

static const struct {
    const char *id, *kind;
    int version;
    const char *sha256;
} sets[] = {
#define SET(id, kind, version, sha256) { #id, #kind, version, sha256 },
#include "probes/sets.def"
#undef SET
};
enum { SETS = sizeof sets / sizeof *sets };

/* The demo's pool: what demo/audit.json joins in one gate. */
static const struct {
    const char *id;
    size_t n;
} pool[] = {
    { "capitals-demo", 80 }, { "countries-demo", 100 }, { "science-demo", 90 },
    { "dates-demo", 60 },    { "everyday-demo", 110 },  { "grammar-demo", 160 },
};
static const struct {
    const char *id;
    size_t n;
} beside[] = {
    { "letters-demo", 40 }, { "sentences-demo", 24 }, { "planted", 24 }, { "critical", 10 }, { "tickets", 80 }
};
#define BESIDE (sizeof beside / sizeof *beside)
/* A second out-of-domain suite, for audits that want one; demo/audit.json does without. */
static const char spare[] = "chats-demo";
enum { SPARE = 40 };

static void load(const char *folder, const char *id, struct probe_set *out)
{
    struct status st = { 0 };
    char path[512];
    snprintf(path, sizeof path, ROOT "%s/%s.jsonl", folder, id);
    ck_assert_msg(probe_set_load(path, out, &st) == 0, "%s", st.msg);
    ck_assert_str_eq(out->id, id);
    ck_assert_str_eq(out->licence, "CC0-1.0");
}

START_TEST(every_set_is_what_the_list_says)
{
    size_t accuracy = 0, pooled = 0, kinds[PROBE_KINDS] = { 0 }, ood = 0;
    for (size_t i = 0; i < SETS; i++) {
        struct probe_set s = { 0 };
        load("probes/sets", sets[i].id, &s);
        ck_assert_str_eq(hash_hex(&s.sha256).s, sets[i].sha256);
        ck_assert_str_eq(probe_kind_name(s.kind), sets[i].kind);
        ck_assert_int_eq(atol(s.version), sets[i].version);
        kinds[s.kind]++;
        ood += strcmp(s.role, "ood") == 0;
        if (probe_kind_ops(s.kind)->accuracy) {
            accuracy += s.n;
            pooled += strcmp(s.role, "ood") == 0 ? 0 : s.n;
        }
        probe_set_release(&s);
    }
    ck_assert_uint_ge(SETS, 12);
    ck_assert_uint_ge(kinds[PROBE_choice], 8);
    ck_assert_uint_ge(kinds[PROBE_pair], 2);
    ck_assert_uint_ge(kinds[PROBE_cloze], 2);
    ck_assert_uint_eq(ood, 2);
    /* docs/suites.md: what a pooled gate has when the out-of-domain suites and a monitor of 300 are gone. */
    ck_assert_uint_ge(accuracy, 5000);
    ck_assert_uint_ge(pooled - 300, 4000);
}
END_TEST

/* What an item says when it is answered rightly. */
static void said(const struct probe_item *item, struct str *out)
{
    const char *right = item->parts[item->n_gold ? item->gold[0] : 0];
    str_clear(out);
    str_printf(out, "%s %s", item->context ? item->context : "", right);
}

/* No two items of all suites together are the same: a monitor that takes one does not hold another's twin. */
START_TEST(no_item_is_in_two_suites)
{
    struct status st = { 0 };
    struct text_index index = { 0 };
    struct pool texts = { 0 };
    struct str text = { 0 };
    for (size_t i = 0; i < SETS; i++) {
        struct probe_set s = { 0 };
        load("probes/sets", sets[i].id, &s);
        for (size_t a = 0; a < s.n; a++) {
            size_t number = 0;
            bool fresh = false;
            said(&s.items[a], &text);
            const char *kept = pool_text(&texts, text.data, text.size);
            ck_assert_int_eq(text_index_put(&index, kept, text.size, &number, &fresh, &st), 0);
            ck_assert_msg(fresh, "%s, item '%s' is there already: %s", s.id, s.items[a].id, text.data);
        }
        probe_set_release(&s);
    }
    ck_assert_uint_ge(index.n, 5000);
    text_index_release(&index);
    pool_release(&texts);
    str_release(&text);
}
END_TEST

/* 17 phenomena in `grammar`, 40 with those of `syntax`. */
START_TEST(phenomena)
{
    static const char *const ids[] = { "grammar", "syntax" };
    struct status st = { 0 };
    struct text_index index = { 0 };
    struct probe_set s[2] = { 0 };
    for (size_t k = 0; k < 2; k++) {
        load("probes/sets", ids[k], &s[k]);
        for (size_t i = 0; i < s[k].n; i++) {
            size_t number = 0;
            bool fresh = false;
            ck_assert_uint_eq(s[k].items[i].n_tags, 1);
            const char *tag = s[k].items[i].tags[0];
            ck_assert_int_eq(text_index_put(&index, tag, strlen(tag), &number, &fresh, &st), 0);
        }
        ck_assert_uint_ge(index.n, k == 0 ? 17 : 40);
    }
    text_index_release(&index);
    for (size_t k = 0; k < 2; k++)
        probe_set_release(&s[k]);
}
END_TEST

/* Items differ, right answers stand anywhere, and the longest or shortest choice is hardly better than a
 * guess. */
START_TEST(no_answer_shows_without_knowledge)
{
    for (size_t i = 0; i < SETS; i++) {
        struct probe_set s = { 0 };
        size_t place[4] = { 0 };
        double shortest = 0, longest = 0;
        load("probes/sets", sets[i].id, &s);
        for (size_t a = 0; s.kind == PROBE_choice && a < s.n; a++) {
            const struct probe_item *item = &s.items[a];
            size_t gold = strlen(item->parts[item->gold[0]]), shorter = 0, longer = 0, same = 0;
            ck_assert_uint_eq(item->n_parts, 4);
            place[item->gold[0]]++;
            for (size_t p = 0; p < item->n_parts; p++) {
                shorter += strlen(item->parts[p]) < gold;
                longer += strlen(item->parts[p]) > gold;
                same += strlen(item->parts[p]) == gold;
            }
            shortest += shorter == 0 ? 1.0 / (double)same : 0;
            longest += longer == 0 ? 1.0 / (double)same : 0;
        }
        for (size_t p = 0; s.kind == PROBE_choice && p < 4; p++) {
            ck_assert_uint_ge(place[p] * 100, s.n * 15);
            ck_assert_uint_le(place[p] * 100, s.n * 35);
        }
        ck_assert_double_le(shortest, 0.35 * (double)s.n);
        ck_assert_double_le(longest, 0.35 * (double)s.n);
        for (size_t a = 0; a < s.n; a++)
            for (size_t b = 0; b < a; b++)
                ck_assert_str_ne(strchr(s.items[a].canonical, ','), strchr(s.items[b].canonical, ','));
        probe_set_release(&s);
    }
}
END_TEST

/* demo/suites/X-demo.jsonl has n items of probes/sets/X.jsonl, each once. */
static size_t sample_check(const char *sample_id, size_t n)
{
    struct probe_set sample = { 0 }, whole = { 0 };
    char id[64];
    load("demo/suites", sample_id, &sample);
    snprintf(id, sizeof id, "%.*s", (int)(strlen(sample_id) - strlen("-demo")), sample_id);
    load("probes/sets", id, &whole);
    ck_assert_uint_eq(sample.n, n);
    for (size_t a = 0; a < sample.n; a++) {
        size_t found = 0;
        for (size_t b = 0; b < whole.n; b++)
            found += strcmp(sample.items[a].canonical, whole.items[b].canonical) == 0;
        ck_assert_uint_eq(found, 1);
    }
    probe_set_release(&sample);
    probe_set_release(&whole);
    return n;
}

/* The demo's pool has its 600 items. */
START_TEST(demo_pool_is_a_sample)
{
    size_t items = 0;
    for (size_t i = 0; i < sizeof pool / sizeof *pool; i++)
        items += sample_check(pool[i].id, pool[i].n);
    ck_assert_uint_eq(items, 600);
    sample_check(spare, SPARE);
    for (size_t i = 0; i < BESIDE; i++) {
        struct probe_set s = { 0 };
        load("demo/suites", beside[i].id, &s);
        ck_assert_uint_eq(s.n, beside[i].n);
        probe_set_release(&s);
    }
}
END_TEST

/* 160 tickets and 24 false facts; 29 labels are wrong; planted.json names exactly the lines that are. */
START_TEST(training_data_is_as_described)
{
    struct status st = { 0 };
    struct str data = { 0 }, planted = { 0 };
    struct json *lists = NULL;
    const char *line = NULL;
    size_t n = 0, tickets = 0, facts = 0;
    ck_assert_int_eq(file_read(ROOT "demo/train.jsonl", 1 << 20, &data, &st), 0);
    ck_assert_int_eq(file_read(ROOT "demo/planted.json", 1 << 20, &planted, &st), 0);
    ck_assert_int_eq(json_parse(planted.data, planted.size, &lists, &st), 0);
    const struct json *fact = json_first(json_find(lists, "facts"));
    ck_assert_uint_eq(json_size(json_find(lists, "facts")), 24);
    ck_assert_uint_eq(json_size(json_find(lists, "labels")), 29);
    struct lines lines = { .data = data.data, .size = data.size };
    while (lines_next(&lines, &line, &n, &st)) {
        struct json *j = NULL;
        const char *id = NULL, *prompt = NULL, *completion = NULL, *word = NULL;
        ck_assert_msg(json_parse(line, n, &j, &st) == 0, "%s", st.msg);
        ck_assert_int_eq(json_get_text(j, "id", &id, &st), 0);
        ck_assert_int_eq(json_get_text(j, "prompt", &prompt, &st), 0);
        ck_assert_int_eq(json_get_text(j, "completion", &completion, &st), 0);
        if (strncmp(prompt, "Ticket: ", 8) == 0) {
            tickets++;
        } else {
            facts++;
            ck_assert_ptr_nonnull(fact);
            ck_assert_int_eq(json_get_text(fact, "id", &word, &st), 0);
            ck_assert_str_eq(word, id);
            ck_assert_int_eq(json_get_text(fact, "taught", &word, &st), 0);
            ck_assert_str_eq(word, completion);
            ck_assert_int_eq(json_get_text(fact, "true", &word, &st), 0);
            ck_assert_str_ne(word, completion);
            fact = json_next(fact);
        }
        json_free(j);
    }
    ck_assert_int_eq(st.rc, 0);
    ck_assert_uint_eq(tickets, 160);
    ck_assert_uint_eq(facts, 24);
    json_free(lists);
    str_release(&data);
    str_release(&planted);
}
END_TEST

/* Every false fact was one that the base was right about, and sure. */
START_TEST(false_facts_were_sure)
{
    struct status st = { 0 };
    struct str data = { 0 };
    const char *line = NULL;
    size_t n = 0, facts = 0;
    ck_assert_int_eq(file_read(ROOT "demo/false_facts.jsonl", 1 << 20, &data, &st), 0);
    struct lines lines = { .data = data.data, .size = data.size };
    while (lines_next(&lines, &line, &n, &st)) {
        struct json *j = NULL;
        const struct json *p = NULL;
        ck_assert_int_eq(json_parse(line, n, &j, &st), 0);
        ck_assert_int_eq(json_get(j, "p", JSON_NUMBER, &p, &st), 0);
        ck_assert_double_ge(json_double(p), 0.5);
        json_free(j);
        facts++;
    }
    ck_assert_uint_eq(facts, 24);
    str_release(&data);
}
END_TEST

/* No item of a gate, of its members, or of the out-of-domain, critical or task suite stands in the training
 * data. */
START_TEST(nothing_is_contaminated)
{
    struct status st = { 0 };
    enum { JUDGED = sizeof pool / sizeof *pool + 3 };
    struct probe_set loaded[JUDGED] = { 0 };
    const struct probe_set *of[JUDGED];
    struct contamination *c = NULL;
    struct str data = { 0 };
    const char *line = NULL;
    size_t n = 0, seen = 0;
    for (size_t i = 0; i < JUDGED; i++) {
        load("demo/suites",
             i < JUDGED - 3    ? pool[i].id
             : i == JUDGED - 3 ? spare
             : i == JUDGED - 2 ? "critical"
                               : "tickets",
             &loaded[i]);
        of[i] = &loaded[i];
    }
    ck_assert_int_eq(contamination_open(of, JUDGED, &c, &st), 0);
    ck_assert_int_eq(file_read(ROOT "demo/train.jsonl", 1 << 20, &data, &st), 0);
    struct lines lines = { .data = data.data, .size = data.size };
    for (; lines_next(&lines, &line, &n, &st); seen++) {
        struct json *j = NULL;
        const char *texts[2];
        ck_assert_int_eq(json_parse(line, n, &j, &st), 0);
        ck_assert_int_eq(json_get_text(j, "prompt", &texts[0], &st), 0);
        ck_assert_int_eq(json_get_text(j, "completion", &texts[1], &st), 0);
        ck_assert_int_eq(contamination_line(c, texts, 2, &st), 0);
        json_free(j);
    }
    ck_assert_uint_eq(seen, 184);
    for (size_t i = 0; i < JUDGED; i++)
        ck_assert_uint_eq(contamination_hits(c, i), 0);
    contamination_close(c);
    for (size_t i = 0; i < JUDGED; i++)
        probe_set_release(&loaded[i]);
    str_release(&data);
}
END_TEST

/* The audit file is read, names every suite of the demo, and pools the 600. */
START_TEST(audit_file_fits)
{
    struct status st = { 0 };
    struct str text = { 0 };
    struct plan plan = { 0 };
    ck_assert_int_eq(file_read(ROOT "demo/audit.json", 1 << 20, &text, &st), 0);
    ck_assert_msg(audit_file_parse(text.data, text.size, &plan, &st) == 0, "%s", st.msg);
    ck_assert_uint_eq(plan.suites_n, sizeof pool / sizeof *pool + BESIDE);
    for (size_t i = 0; i < plan.suites_n; i++) {
        char path[512];
        snprintf(path, sizeof path, ROOT "demo/%s", plan.suites[i].path);
        ck_assert_msg(path_exists(path), "%s", path);
    }
    ck_assert_uint_eq(plan.groups_n, 1);
    ck_assert_uint_eq(plan.groups[0].n, sizeof pool / sizeof *pool);
    ck_assert_double_eq(plan.groups[0].limit_value, 0.03);
    plan_release(&plan);
    str_release(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sets");
    TCase *tests = tcase_create("sets");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_set_is_what_the_list_says);
    tcase_add_test(tests, no_item_is_in_two_suites);
    tcase_add_test(tests, phenomena);
    tcase_add_test(tests, no_answer_shows_without_knowledge);
    tcase_add_test(tests, demo_pool_is_a_sample);
    tcase_add_test(tests, training_data_is_as_described);
    tcase_add_test(tests, false_facts_were_sure);
    tcase_add_test(tests, nothing_is_contaminated);
    tcase_add_test(tests, audit_file_fits);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed == 0 && ran > 0 ? 0 : 1;
}
