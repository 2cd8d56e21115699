/* Suite files: what is read, what is refused and in which words, and lines of evidence/probes.
 * tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "probes/set.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER(kind, more)                                                                                   \
    "{\"lethe_probe\":1,\"id\":\"x\",\"version\":\"1\",\"title\":\"X\",\"licence\":\"CC0-1.0\","             \
    "\"source\":\"own\",\"kind\":\"" kind "\",\"role\":\"facts\"" more "}\n"
#define FRANCE                                                                                               \
    "{\"id\":\"a\",\"context\":\"Capital of France:\",\"choices\":[\"Paris\",\"Lyon\"],\"gold\":0}\n"

static int parse(const char *text, struct probe_set *out, struct status *st)
{
    return probe_set_parse(text, strlen(text), "dir/x.jsonl", out, st);
}

START_TEST(choice_suite)
{
    struct probe_set s = { 0 };
    struct status st = { 0 };
    const char *text = HEADER("choice", ",\"metric\":\"acc_norm\",\"cluster_by\":\"cluster\",\"delimiter\":"
                                        "\"\"") "{\"gold\":[2,0],\"id\":\"b\",\"cluster\":\"k\",\"tags\":["
                                                "\"t\",\"u\"],\"meta\":{\"n\":[1,true]},"
                                                "\"context\":\"\",\"choices\":[\"Zürich\",\"b\",\"c\"]}\n"
                                                "{\"id\":\"c\",\"cluster\":\"k\",\"context\":\"q\","
                                                "\"choices\":[\"y\",\"n\"],\"gold\":1}\n";
    ck_assert_msg(parse(text, &s, &st) == 0, "%s", st.msg);
    ck_assert_str_eq(s.id, "x");
    ck_assert_str_eq(s.delimiter, "");
    ck_assert_str_eq(s.role, "facts");
    ck_assert_int_eq(s.kind, PROBE_choice);
    ck_assert_int_eq(s.metric, METRIC_acc_norm);
    ck_assert_uint_eq(s.n, 2);
    ck_assert_uint_eq(s.clusters, 1);
    ck_assert_uint_eq(s.size, strlen(text));
    struct hash h = sha256_of(text, strlen(text));
    ck_assert(hash_equal(&h, &s.sha256));
    const struct probe_item *item = &s.items[0];
    ck_assert_uint_eq(item->line, 2);
    ck_assert_str_eq(item->cluster, "k");
    ck_assert_uint_eq(item->n_tags, 2);
    ck_assert_str_eq(item->tags[1], "u");
    ck_assert_uint_eq(item->n_parts, 3);
    ck_assert_uint_eq(item->n_gold, 2);
    ck_assert_uint_eq(item->gold[0], 2);
    ck_assert_uint_eq(item->gold[1], 0);
    ck_assert_str_eq(item->canonical,
                     "{\"choices\":[\"Zürich\",\"b\",\"c\"],\"cluster\":\"k\",\"context\":\"\","
                     "\"gold\":[2,0],\"id\":\"b\",\"meta\":{\"n\":[1,true]},\"tags\":[\"t\",\"u\"]}");
    probe_set_release(&s);
    probe_set_release(&s); /* twice is harmless */
}
END_TEST

START_TEST(other_kinds)
{
    struct probe_set s = { 0 };
    ck_assert_int_eq(
        parse(HEADER("pair", "") "{\"id\":\"p\",\"good\":\"He is.\",\"bad\":\"He are.\"}\n", &s, NULL), 0);
    ck_assert_str_eq(s.items[0].parts[0], "He is.");
    ck_assert_uint_eq(s.items[0].n_gold, 1);
    ck_assert_str_eq(s.items[0].cluster, "p");
    probe_set_release(&s);
    ck_assert_int_eq(
        parse(HEADER("cloze", "") "{\"id\":\"p\",\"context\":\"Ice is\",\"answers\":[\"cold\"]}\n", &s, NULL),
        0);
    ck_assert_uint_eq(s.items[0].n_gold, 0);
    probe_set_release(&s);
    ck_assert_int_eq(
        parse(
            HEADER("exact",
                   ",\"max_tokens\":8,\"stop\":[],\"normalise\":\"none\"") "{\"id\":\"p\",\"context\":\"Ice "
                                                                           "is\",\"answers\":[\"cold\","
                                                                           "\"wet\"]}\n",
            &s, NULL),
        0);
    ck_assert_uint_eq(s.max_tokens, 8);
    ck_assert_uint_eq(s.n_stop, 0);
    ck_assert_int_eq(s.normalise, NORMALISE_none);
    ck_assert_uint_eq(s.items[0].n_parts, 2);
    probe_set_release(&s);
    ck_assert_int_eq(parse(HEADER("text", "") "{\"id\":\"p\",\"text\":\"Once.\"}\n", &s, NULL), 0);
    ck_assert_int_eq(s.metric, METRIC_bits_per_byte);
    ck_assert_uint_eq(s.max_tokens, 32);
    ck_assert_str_eq(s.stop[0], "\n");
    probe_set_release(&s);
}
END_TEST

START_TEST(without_header)
{
    struct probe_set s = { 0 };
    struct status st = { 0 };
    const char *text = "{\"id\":\"a\",\"good\":\"x\",\"bad\":\"y\"}\n";
    ck_assert_int_eq(probe_set_parse(text, strlen(text), "/data/My-Pairs.v2.jsonl", &s, &st), 0);
    ck_assert_str_eq(s.id, "my-pairs");
    ck_assert_str_eq(s.title, "my-pairs");
    ck_assert_str_eq(s.version, "0");
    ck_assert_str_eq(s.licence, "unknown");
    ck_assert_str_eq(s.source, "My-Pairs.v2.jsonl");
    ck_assert_str_eq(s.role, "custom");
    ck_assert_int_eq(s.kind, PROBE_pair);
    probe_set_release(&s);
    ck_assert_int_eq(parse("{\"id\":\"a\",\"context\":\"x\",\"answers\":[\"y\"]}\n", &s, NULL), 0);
    ck_assert_int_eq(s.kind, PROBE_cloze);
    probe_set_release(&s);
    ck_assert_int_eq(probe_set_parse(text, strlen(text), "Été.jsonl", &s, &st), RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "gives no id"));
}
END_TEST

START_TEST(blimp)
{
    struct probe_set s = { 0 };
    const char *text =
        "{\"UID\": \"agr\", \"pairID\": \"7\", \"sentence_good\": \"Cats sleep.\", \"sentence_bad\": \"Cats "
        "sleeps.\", "
        "\"one_prefix_method\": false, \"lexically_identical\": null}\n"
        "{\"UID\": \"agr\", \"sentence_good\": \"Dogs bark.\", \"sentence_bad\": \"Dogs barks.\"}\n";
    ck_assert_int_eq(probe_set_parse(text, strlen(text), "agr.jsonl", &s, NULL), 0);
    ck_assert_str_eq(s.role, "grammar");
    ck_assert_str_eq(s.delimiter, " ");
    ck_assert_str_eq(s.items[0].id, "agr-7");
    ck_assert_str_eq(s.items[1].id, "agr-1");
    ck_assert_str_eq(s.items[0].canonical,
                     "{\"bad\":\"Cats sleeps.\",\"good\":\"Cats sleep.\",\"id\":\"agr-7\"}");
    probe_set_release(&s);

    /* two of BLiMP's own names, over 40 characters and alike but for the last */
    char first[41];
    ck_assert_int_eq(
        probe_set_parse(text, strlen(text), "irregular_plural_subject_verb_agreement_1.jsonl", &s, NULL), 0);
    ck_assert_uint_eq(strlen(s.id), 40);
    ck_assert_int_eq(strncmp(s.id, "irregular_plural_subject_verb_a-", 32), 0);
    memcpy(first, s.id, sizeof first);
    probe_set_release(&s);
    ck_assert_int_eq(
        probe_set_parse(text, strlen(text), "irregular_plural_subject_verb_agreement_2.jsonl", &s, NULL), 0);
    ck_assert_str_ne(s.id, first);
    probe_set_release(&s);
}
END_TEST

static const struct {
    const char *text, *wanted;
    int rc;
} refused[] = {
    { HEADER("choice",
             "") "{\"id\":\"cap-16\",\"context\":\"c\",\"choices\":[\"a\",\"b\",\"c\",\"d\"],\"gold\":4}\n",
      "dir/x.jsonl:2: item 'cap-16': gold is 4, but there are 4 choices (0 to 3)", RC_FORMAT },
    { HEADER("choice", "") FRANCE FRANCE, "dir/x.jsonl:3: item 'a': the id of line 2 again", RC_FORMAT },
    { HEADER("choice", "") "{\"id\":\"a\",\"context\":\"c\",\"choices\":[\"a\",\"a\"],\"gold\":0}\n",
      "'choices' entries 0 and 1 are the same", RC_FORMAT },
    { HEADER("choice", "") "{\"id\":\"a\",\"context\":\"c\",\"choices\":[\"a\"],\"gold\":0}\n", "1 entries",
      RC_FORMAT },
    { HEADER("choice", "") "{\"id\":\"a\",\"context\":\"c\",\"choices\":[\"a\",\"\"],\"gold\":0}\n",
      "entry 1 is empty", RC_FORMAT },
    { HEADER("choice", "") "{\"id\":\"a\",\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"gold\":[]}\n",
      "gold is empty", RC_FORMAT },
    { HEADER("choice", "") "{\"id\":\"a\",\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"gold\":[1,1]}\n",
      "twice", RC_FORMAT },
    { HEADER("choice", "") "{\"id\":\"a\",\"context\":\"c\",\"choices\":[\"a\",\"b\"]}\n",
      "'gold' is missing", RC_FORMAT },
    { HEADER("choice",
             "") "{\"id\":\"a\",\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"gold\":0,\"few\":1}\n",
      "'few'", RC_FORMAT },
    { HEADER("choice", "") "{\"id\":\"a\\nb\",\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"gold\":0}\n",
      "without control characters", RC_FORMAT },
    { HEADER("choice", "") "\n" FRANCE, "dir/x.jsonl:2: a blank line", RC_FORMAT },
    { HEADER("choice", "") "[1]\n", "dir/x.jsonl:2: not an object", RC_FORMAT },
    { HEADER("choice", "") "{\"id\":\"a\"", "does not end in LF", RC_FORMAT },
    { HEADER("choice", ""), "dir/x.jsonl: no items", RC_FORMAT },
    { "", "no items", RC_FORMAT },
    { HEADER("choice", "") FRANCE HEADER("choice", ""), "only the first line", RC_FORMAT },
    { HEADER("choice", ",\"metric\":\"bits_per_byte\"") FRANCE,
      "metric 'bits_per_byte' is none of kind 'choice'", RC_FORMAT },
    { HEADER("choice", ",\"fewshot\":2") FRANCE, "'fewshot'", RC_FORMAT },
    { HEADER("choice", ",\"max_tokens\":2") FRANCE, "'max_tokens' is for kind 'exact' only", RC_FORMAT },
    { HEADER("choice", ",\"cluster_by\":\"cluster\"") FRANCE, "item 'a': key 'cluster' is missing",
      RC_FORMAT },
    { HEADER("guess", "") FRANCE, "kind is 'guess', wanted one of: choice, pair, cloze, exact, text",
      RC_FORMAT },
    { HEADER("exact", ",\"max_tokens\":1025") FRANCE, "'max_tokens'", RC_FORMAT },
    { HEADER("pair", "") "{\"id\":\"a\",\"good\":\"x\",\"bad\":\"x\"}\n", "the same sentence", RC_FORMAT },
    { HEADER("cloze", "") "{\"id\":\"a\",\"context\":\"\",\"answers\":[\"x\"]}\n", "'context' is empty",
      RC_FORMAT },
    { HEADER("text", "") "{\"id\":\"a\",\"text\":\"\"}\n", "'text' is empty", RC_FORMAT },
    { HEADER("text", "") "{\"id\":\"a\",\"text\":\"x\",\"meta\":0.5}\n", "dir/x.jsonl:2: item 'a'",
      RC_FORMAT },
    { HEADER("text", "") "{\"id\":\"a\",\"text\":\"x\",\"tags\":[\"t\",\"t\"]}\n", "twice", RC_FORMAT },
    { HEADER("text", "") "{\"id\":\"a\",\"text\":\"x\",\"text\":\"y\"}\n", "repeated", RC_FORMAT },
    { "{\"lethe_probe\":2,\"kind\":\"riddle\"}\n", "version 2, this reads 1", RC_UNSUPPORTED },
    { "{\"id\":\"a\",\"question\":\"x\"}\n", "neither a header nor an item", RC_FORMAT },
};

START_TEST(refusals)
{
    struct probe_set s = { .n = 77 };
    struct status st = { 0 };
    const char *text = refused[_i].text;
    ck_assert_int_eq(parse(text, &s, &st), refused[_i].rc);
    ck_assert_int_eq(st.rc, refused[_i].rc);
    ck_assert_msg(strstr(st.msg, refused[_i].wanted) != NULL, "'%s' lacks '%s'", st.msg, refused[_i].wanted);
    ck_assert_uint_eq(s.n, 77); /* *out only on success */
}
END_TEST

START_TEST(too_many_choices)
{
    struct str text = { 0 };
    struct probe_set s = { 0 };
    struct status st = { 0 };
    str_puts(&text, "{\"id\":\"a\",\"context\":\"\",\"gold\":0,\"choices\":[\"0\"");
    for (int k = 1; k < 65; k++)
        str_printf(&text, ",\"%d\"", k);
    str_puts(&text, "]}\n");
    ck_assert_int_eq(parse(str_text(&text), &s, &st), RC_LIMIT);
    str_release(&text);
}
END_TEST

START_TEST(check_lists_errors)
{
    char path[] = "/tmp/lethe-probes-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    struct str text = { 0 };
    str_puts(&text, HEADER("text", ""));
    str_puts(&text, "{\"id\":\"good\",\"text\":\"x\"}\n{\"id\":\"good\",\"text\":\"x\"}\nnot json\n");
    for (int k = 0; k < 30; k++)
        str_printf(&text, "{\"id\":\"bad-%d\"}\n", k);
    ck_assert_int_eq(file_write(path, text.data, text.size, 0600, NULL), 0);
    static struct probe_errors errors;
    ck_assert_int_eq(probe_set_check(path, &errors, NULL), 0);
    ck_assert_uint_eq(errors.n, PROBE_ERRORS_MAX);
    ck_assert_ptr_nonnull(strstr(errors.text[0], ":3: item 'good': the id of line 2 again"));
    ck_assert_ptr_nonnull(strstr(errors.text[1], ":4: "));
    ck_assert_ptr_nonnull(strstr(errors.text[2], ":5: item 'bad-0'"));
    ck_assert_ptr_nonnull(strstr(errors.text[19], ":22: item 'bad-17'"));
    str_clear(&text);
    str_puts(&text, HEADER("text", "") "{\"id\":\"good\",\"text\":\"x\"}\n");
    ck_assert_int_eq(file_write(path, text.data, text.size, 0600, NULL), 0);
    ck_assert_int_eq(probe_set_check(path, &errors, NULL), 0);
    ck_assert_uint_eq(errors.n, 0);
    struct probe_set s = { 0 };
    ck_assert_int_eq(probe_set_load(path, &s, NULL), 0);
    ck_assert_uint_eq(s.n, 1);
    probe_set_release(&s);
    unlink(path);
    ck_assert_int_eq(probe_set_check(path, &errors, NULL), RC_IO);
    str_release(&text);
}
END_TEST

START_TEST(evidence_lines)
{
    static const uint8_t key[32] = { 0x9e, 0x19, 0x26, 0x87, 0xe1, 0xc0, 0xb2, 0x68, 0xcc, 0x0d, 0x85,
                                     0x9a, 0xc2, 0x8f, 0x85, 0x56, 0x92, 0x11, 0xac, 0xd5, 0x99, 0x30,
                                     0xbf, 0x7e, 0xd1, 0x49, 0xcc, 0x13, 0xcd, 0xe9, 0x9b, 0x9d };
    struct probe_set s = { 0 };
    struct str line = { 0 };
    struct hash root;
    struct merkle tree = { 0 };
    const char *text =
        "{\"id\":\"a\",\"good\":\"x\",\"bad\":\"\\u0022y\"}\n{\"id\":\"b\",\"good\":\"u\",\"bad\":\"v\"}\n";
    ck_assert_int_eq(probe_set_parse(text, strlen(text), "capitals.jsonl", &s, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        struct pool pool = { 0 };
        struct probe_line back = { 0 };
        char salt[33];
        str_clear(&line);
        ck_assert_int_eq(probe_line_write(&s, i, key, &line, NULL), 0);
        ck_assert_int_eq(probe_line_parse(line.data, line.size, PROBE_pair, &pool, &back, NULL), 0);
        ck_assert_uint_eq(back.i, i);
        ck_assert_str_eq(back.item.canonical, s.items[i].canonical);
        salt_of(key, "evidence/probes/capitals.jsonl", i, salt);
        ck_assert_str_eq(back.salt, salt);
        // As a line of another kind it is nothing.
        ck_assert_int_eq(probe_line_parse(line.data, line.size, PROBE_text, &pool, &back, NULL), RC_FORMAT);
        struct hash leaf = merkle_leaf(line.data, line.size);
        merkle_add(&tree, &leaf);
        pool_release(&pool);
    }
    ck_assert_int_eq(probe_set_root(&s, key, &root, NULL), 0);
    struct hash wanted = merkle_root(&tree);
    ck_assert(hash_equal(&root, &wanted));
    str_clear(&line);
    ck_assert_int_eq(probe_line_write(&s, 0, NULL, &line, NULL), 0);
    ck_assert_str_eq(line.data,
                     "{\"i\":0,\"id\":\"a\",\"item\":{\"bad\":\"\\\"y\",\"good\":\"x\",\"id\":\"a\"},"
                     "\"salt\":\"00000000000000000000000000000000\"}");
    str_release(&line);
    probe_set_release(&s);
}
END_TEST

START_TEST(withheld_lines)
{
    struct pool pool = { 0 };
    struct probe_line line = { 0 };
    struct hash leaf = sha256_of("x", 1), back;
    struct str text = { 0 };
    withheld_write(&leaf, &text);
    ck_assert(withheld_parse(text.data, text.size, &back));
    ck_assert(hash_equal(&leaf, &back));
    ck_assert_int_eq(probe_line_parse(text.data, text.size, PROBE_pair, &pool, &line, NULL), 0);
    ck_assert(line.withheld);
    ck_assert(!withheld_parse(text.data, text.size - 1, &back));
    text.data[13] = 'G';
    ck_assert(!withheld_parse(text.data, text.size, &back));
    ck_assert_int_eq(probe_line_parse(text.data, text.size, PROBE_pair, &pool, &line, NULL), RC_FORMAT);
    str_release(&text);
    pool_release(&pool);
}
END_TEST

/* Every allocation fails once: RC_NOMEM, nothing leaks (the sanitizers look), the output stays as it was. */
START_TEST(torture)
{
    const char *text = HEADER(
        "choice", ",\"cluster_by\":\"cluster\"") "{\"id\":\"a\",\"cluster\":\"k\",\"tags\":[\"t\"],"
                                                 "\"context\":\"c\",\"choices\":[\"x\",\"y\"],\"gold\":[1]}\n"
                                                 "{\"id\":\"b\",\"cluster\":\"k\",\"context\":\"c\","
                                                 "\"choices\":[\"x\",\"y\"],\"gold\":1}\n";
    size_t nth = 1;
    for (;; nth++) {
        struct probe_set s = { .n = 77 };
        struct status st = { 0 };
        mem_fail_at(nth);
        const int rc = parse(text, &s, &st);
        mem_fail_at(0);
        if (rc == 0) {
            probe_set_release(&s);
            break;
        }
        ck_assert_msg(rc == RC_NOMEM, "allocation %zu: %s", nth, st.msg);
        ck_assert_uint_eq(s.n, 77);
    }
    ck_assert_uint_gt(nth, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probes");
    TCase *tc = tcase_create("probes");
    tcase_add_test(tc, choice_suite);
    tcase_add_test(tc, other_kinds);
    tcase_add_test(tc, without_header);
    tcase_add_test(tc, blimp);
    tcase_add_loop_test(tc, refusals, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tc, too_many_choices);
    tcase_add_test(tc, check_lists_errors);
    tcase_add_test(tc, evidence_lines);
    tcase_add_test(tc, withheld_lines);
    tcase_add_test(tc, torture);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
