/* Time stamps that `openssl ts` made (golden/reports, make.sh there), and times as numbers. tier: quick */
#include "base/file.h"
#include "reports/stamp.h"

#include <check.h>
#include <string.h>

#define GOLDEN   TESTS_DIR "/golden/reports/"
#define GEN_TIME "2026-11-24T12:47:17.000Z" /* by `openssl ts -reply -in file.tsr -text` */

static struct bytes of(const struct str *s)
{
    return (struct bytes){ str_text(s), s->size };
}

struct scene {
    struct str file, reply;
    struct stamp_roots *roots, *others;
};

static void scene_open(struct scene *s, const char *reply)
{
    struct status st = { 0 };
    *s = (struct scene){ 0 };
    ck_assert_msg(file_read(GOLDEN "file.txt", 1 << 20, &s->file, &st) == 0, "%s", st.msg);
    ck_assert_msg(file_read(reply, 1 << 20, &s->reply, &st) == 0, "%s", st.msg);
    ck_assert_msg(stamp_roots_load(GOLDEN "tsa.root.pem", &s->roots, &st) == 0, "%s", st.msg);
    ck_assert_msg(stamp_roots_load(GOLDEN "tsa.other.pem", &s->others, &st) == 0, "%s", st.msg);
}

static void scene_close(struct scene *s)
{
    str_release(&s->file);
    str_release(&s->reply);
    stamp_roots_free(s->roots);
    stamp_roots_free(s->others);
}

START_TEST(verified)
{
    struct scene s;
    struct stamp stamp, claimed;
    struct status st = { 0 };
    int64_t us = 0;
    scene_open(&s, GOLDEN "file.tsr");
    ck_assert_msg(stamp_verify(of(&s.reply), of(&s.file), s.roots, &stamp, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(stamp_time_read(GEN_TIME, &us, NULL), 0);
    ck_assert_int_eq(stamp.time_us, us);
    ck_assert_int_eq(stamp.accuracy_us, 1500000);
    ck_assert_str_eq(stamp.text.s, GEN_TIME);
    ck_assert(stamp_is_before(&stamp, us + 1500000) && !stamp_is_before(&stamp, us + 1499999));
    ck_assert(!stamp_is_before(&stamp, us));
    ck_assert_int_eq(stamp_parse(of(&s.reply), &claimed, NULL), 0);
    ck_assert_int_eq(claimed.time_us, us);
    scene_close(&s);
}
END_TEST

START_TEST(refused)
{
    struct scene s;
    struct stamp stamp;
    struct status st = { 0 };
    scene_open(&s, GOLDEN "file.tsr");
    ck_assert_int_eq(stamp_verify(of(&s.reply), of(&s.file), s.others, &stamp, &st), RC_VERIFY);
    st = (struct status){ 0 };
    ck_assert_int_eq(stamp_verify(of(&s.reply), (struct bytes){ "x", 1 }, s.roots, &stamp, &st), RC_VERIFY);
    ck_assert_str_eq(st.msg, "the time stamp is over other bytes");
    for (size_t n = 0; n < s.reply.size; n++)
        ck_assert_int_eq(stamp_parse((struct bytes){ s.reply.data, n }, &stamp, NULL), RC_FORMAT);
    str_putc(&s.reply, 0);
    ck_assert_int_eq(stamp_parse(of(&s.reply), &stamp, NULL), RC_FORMAT);
    scene_close(&s);
    scene_open(&s, GOLDEN "refused.tsr");
    st = (struct status){ 0 };
    ck_assert_int_eq(stamp_verify(of(&s.reply), of(&s.file), s.roots, &stamp, &st), RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "not granted"));
    scene_close(&s);
    scene_open(&s, GOLDEN "file.sha512.tsr"); /* a good stamp, by another hash than the format's */
    ck_assert_int_eq(stamp_verify(of(&s.reply), of(&s.file), s.roots, &stamp, NULL), RC_VERIFY);
    scene_close(&s);
}
END_TEST

/* The certificate signs, and may not stamp; put together the same way with the right usage, it holds. */
START_TEST(wrong_usage)
{
    struct scene s;
    struct stamp stamp;
    struct status st = { 0 };
    scene_open(&s, GOLDEN "file.resigned.tsr");
    ck_assert_msg(stamp_verify(of(&s.reply), of(&s.file), s.roots, &stamp, &st) == 0, "%s", st.msg);
    scene_close(&s);
    scene_open(&s, GOLDEN "file.usage.tsr");
    ck_assert_int_eq(stamp_parse(of(&s.reply), &stamp, NULL), 0);
    ck_assert_int_eq(stamp_verify(of(&s.reply), of(&s.file), s.roots, &stamp, &st), RC_VERIFY);
    scene_close(&s);
}
END_TEST

/* The certificate has lapsed since: the stamp stays what it was. */
START_TEST(lapsed)
{
    struct scene s;
    struct stamp stamp;
    struct status st = { 0 };
    scene_open(&s, GOLDEN "file.lapsed.tsr");
    ck_assert_msg(stamp_verify(of(&s.reply), of(&s.file), s.roots, &stamp, &st) == 0, "%s", st.msg);
    scene_close(&s);
}
END_TEST

/* Whatever bit is changed, the stamp is not taken for a good one with another time. */
START_TEST(bits)
{
    struct scene s;
    struct stamp stamp, good;
    scene_open(&s, GOLDEN "file.tsr");
    ck_assert_int_eq(stamp_parse(of(&s.reply), &good, NULL), 0);
    for (size_t i = 0; i < 8 * s.reply.size; i++) {
        s.reply.data[i / 8] ^= (char)(1 << i % 8);
        if (stamp_verify(of(&s.reply), of(&s.file), s.roots, &stamp, NULL) == 0) {
            ck_assert_int_eq(stamp.time_us, good.time_us);
            ck_assert_int_eq(stamp.accuracy_us, good.accuracy_us);
        }
        s.reply.data[i / 8] ^= (char)(1 << i % 8);
    }
    scene_close(&s);
}
END_TEST

START_TEST(roots_refused)
{
    static const char broken[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    struct stamp_roots *r = NULL;
    ck_assert_int_eq(stamp_roots_load(GOLDEN "ed.pub", &r, NULL), RC_FORMAT);
    ck_assert_int_eq(stamp_roots_load(GOLDEN "file.txt", &r, NULL), RC_FORMAT);
    ck_assert_int_eq(stamp_roots_load(GOLDEN "not-there.pem", &r, NULL), RC_IO);
    ck_assert_int_eq(stamp_roots_parse((struct bytes){ "", 0 }, &r, NULL), RC_FORMAT);
    ck_assert_int_eq(stamp_roots_parse((struct bytes){ broken, strlen(broken) }, &r, NULL), RC_FORMAT);
    ck_assert_ptr_null(r);
}
END_TEST

static const struct {
    const char *text;
    int64_t us; /* by `date -u -d TEXT +%s%6N` */
} times[] = {
    { "1970-01-01T00:00:00Z", 0 },
    { "2026-11-24T12:10:00.000Z", INT64_C(1795522200000000) },
    { "2026-11-24T12:10:00.001Z", INT64_C(1795522200001000) },
    { "2024-02-29T23:59:59Z", INT64_C(1709251199000000) },
    { "2000-03-01T00:00:00Z", INT64_C(951868800000000) },
    { "2100-03-01T00:00:00Z", INT64_C(4107542400000000) },
};

START_TEST(times_read)
{
    int64_t us = -1;
    struct status st = { 0 };
    ck_assert_msg(stamp_time_read(times[_i].text, &us, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(us, times[_i].us);
}
END_TEST

static const char *const no_times[] = {
    "",
    "now",
    "2026-11-24",
    "2026-11-24T12:10:00",
    "2026-11-24T12:10:00+00:00",
    "2026-13-01T00:00:00Z",
    "2025-02-29T00:00:00Z",
    "2026-11-24T24:00:00Z",
    "2026-11-24T12:60:00Z",
    "2026-11-24T12:10:00.Z",
    "2026-11-24T12:10:00.000Zx",
    "2026-11-24 12:10:00Z",
};

START_TEST(times_refused)
{
    int64_t us = 0;
    ck_assert_int_eq(stamp_time_read(no_times[_i], &us, NULL), RC_FORMAT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stamp");
    TCase *tc = tcase_create("stamp");
    tcase_add_test(tc, verified);
    tcase_add_test(tc, refused);
    tcase_add_test(tc, wrong_usage);
    tcase_add_test(tc, lapsed);
    tcase_add_test(tc, bits);
    tcase_add_test(tc, roots_refused);
    tcase_add_loop_test(tc, times_read, 0, sizeof times / sizeof *times);
    tcase_add_loop_test(tc, times_refused, 0, sizeof no_times / sizeof *no_times);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
