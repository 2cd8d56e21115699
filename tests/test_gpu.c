/* The device, its memory and its queue: what is refused and how, and that bytes arrive.
 * tier: quick   device: yes */
#include "base/alloc.h"
#include "base/file.h"
#include "gpu/device.h"
#include "gpu/op.h"
#include "gpu/recording.h"
#include "gpu/time.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct gpu *gpu;
static struct status st;

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static void device_open(void)
{
    st = (struct status){ 0 };
    OK(gpu_open(NULL, &gpu, &st));
}

/* As on a device whose memory the host does not see. */
static void staged_open(void)
{
    ck_assert_int_eq(setenv("LETHE_STAGING", "1", 1), 0);
    device_open();
}

/* As on a device that may not be kept busy: one operator a submission. */
static void split_open(void)
{
    ck_assert_int_eq(setenv("LETHE_SUBMIT_FLOPS", "1", 1), 0);
    device_open();
}

static void device_close(void)
{
    const char *first;
    size_t errors = gpu_validation_errors(gpu, &first);
    ck_assert_msg(errors == 0, "%zu validation messages, the first: %s", errors, first);
    gpu_close(gpu);
    gpu = NULL;
}

/* ---- which device ---- */

START_TEST(devices_are_listed)
{
    struct gpu_info infos[4];
    size_t n = 0;
    OK(gpu_list(NULL, infos, 4, &n, &st));
    ck_assert_uint_ge(n, 1);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_gt(strlen(infos[i].name), 0);
        ck_assert_uint_gt(strlen(infos[i].vulkan), 0);
        ck_assert_uint_gt(infos[i].memory_bytes, 1 << 20);
        printf("  device %zu: %s, %s, %s\n", i, infos[i].name, infos[i].type, infos[i].driver_version);
    }
    OK(gpu_list(NULL, infos, 0, &n, &st));
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(no_driver_is_said_so)
{
    ck_assert_int_eq(setenv("VK_DRIVER_FILES", "/nonexistent", 1), 0);
    ck_assert_int_eq(gpu_open(NULL, &gpu, &st), RC_UNSUPPORTED);
    ck_assert_ptr_null(gpu);
    ck_assert_msg(strstr(st.msg, "no Vulkan device") != NULL, "%s", st.msg);
    /* the user's own setting is kept, whatever the choice offers */
    struct gpu_info info;
    size_t n = 7;
    st = (struct status){ 0 };
    OK(gpu_list(&(struct gpu_choice){ .driver_file = "/some/driver.json" }, &info, 1, &n, &st));
    ck_assert_uint_eq(n, 0);
    ck_assert_str_eq(getenv("VK_DRIVER_FILES"), "/nonexistent");
}
END_TEST

START_TEST(a_device_is_taken_by_number_or_name)
{
    struct gpu_info infos[16];
    size_t n = 0;
    OK(gpu_list(NULL, infos, 16, &n, &st));
    for (size_t i = 0; i < n; i++) {
        char number[16];
        snprintf(number, sizeof number, "%zu", i);
        if (infos[i].refused)
            continue;
        OK(gpu_open(&(struct gpu_choice){ .device = number }, &gpu, &st));
        ck_assert_str_eq(gpu_get_info(gpu)->name, infos[i].name);
        gpu_close(gpu);
        gpu = NULL;
        OK(gpu_open(&(struct gpu_choice){ .device = infos[i].name }, &gpu, &st));
        ck_assert_str_eq(gpu_get_info(gpu)->name, infos[i].name);
        gpu_close(gpu);
        gpu = NULL;
    }
    ck_assert_int_eq(gpu_open(&(struct gpu_choice){ .device = "16" }, &gpu, &st), RC_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(st.msg, "no device \"16\""));
    st = (struct status){ 0 };
    ck_assert_int_eq(setenv("LETHE_DEVICE", "no such card", 1), 0);
    ck_assert_int_eq(gpu_open(NULL, &gpu, &st), RC_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(st.msg, "no device \"no such card\""));
}
END_TEST

/* A program that was given a driver's file finds it where the system has none. */
START_TEST(the_offered_driver_is_used_when_there_is_no_other)
{
    const char *files = getenv("VK_DRIVER_FILES");
    if (!files || strchr(files, ':')) {
        printf("  skipped: VK_DRIVER_FILES does not name one driver\n");
        return;
    }
    struct gpu_info before, info;
    size_t n = 0;
    char file[4096];
    snprintf(file, sizeof file, "%s", files);
    OK(gpu_list(NULL, &before, 1, &n, &st));
    ck_assert_int_eq(unsetenv("VK_DRIVER_FILES"), 0);
    OK(gpu_list(NULL, &info, 1, &n, &st));
    if (n > 0) {
        printf("  skipped: the system has a driver of its own\n");
        return;
    }
    OK(gpu_open(&(struct gpu_choice){ .driver_file = file }, &gpu, &st));
    ck_assert_str_eq(gpu_get_info(gpu)->name, before.name);
    ck_assert_str_eq(getenv("VK_DRIVER_FILES"), file);
    gpu_close(gpu);
    gpu = NULL;
}
END_TEST

/* ---- memory ---- */

START_TEST(absurd_sizes_are_refused_by_name)
{
    struct gpu_buffer b = { 0 };
    ck_assert_int_eq(gpu_alloc(gpu, UINT64_MAX, "weights", &b, &st), RC_LIMIT);
    ck_assert_ptr_nonnull(strstr(st.msg, "weights: 18446744073709551615 bytes"));
    ck_assert_ptr_null(b.handle);
    ck_assert_uint_eq(gpu_bytes_used(gpu), 0);
}
END_TEST

/* A driver that gets no memory from its system: here, one of the CPU under a limit of address space. */
START_TEST(a_full_device_is_no_memory)
{
#ifdef __SANITIZE_ADDRESS__
    printf("  skipped: the sanitizer needs all address space\n");
#else
    struct gpu_buffer b = { 0 };
    if (strcmp(gpu_get_info(gpu)->type, "cpu") != 0) {
        printf("  skipped: not a CPU\n");
        return;
    }
    unsigned long pages = 0;
    FILE *self = fopen("/proc/self/statm", "r");
    ck_assert(self != NULL && fscanf(self, "%lu", &pages) == 1);
    fclose(self);
    const struct rlimit little = { .rlim_cur = pages * 4096 + (256 << 20), .rlim_max = RLIM_INFINITY };
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &little), 0);
    ck_assert_int_eq(gpu_alloc(gpu, 3 << 28, "weights", &b, &st), RC_NOMEM);
    ck_assert_msg(strstr(st.msg, "weights: 805306368 bytes") != NULL, "%s", st.msg);
    ck_assert_uint_eq(gpu_bytes_used(gpu), 0);
#endif
}
END_TEST

START_TEST(buffers_are_zeroed_aligned_and_counted)
{
    static unsigned char bytes[100001];
    struct gpu_buffer b[3] = { 0 };
    const uint64_t sizes[3] = { 1, 100001, 4096 };
    for (size_t i = 0; i < 3; i++) {
        OK(gpu_alloc(gpu, sizes[i], "part", &b[i], &st));
        ck_assert_uint_eq(b[i].addr % 256, 0);
        ck_assert_uint_eq(b[i].bytes, sizes[i]);
        memset(bytes, 7, sizeof bytes);
        OK(gpu_read(gpu, &b[i], 0, bytes, sizes[i], &st));
        for (size_t j = 0; j < sizes[i]; j++)
            ck_assert_uint_eq(bytes[j], 0);
    }
    ck_assert_uint_ge(gpu_bytes_used(gpu), 1 + 100001 + 4096);
    ck_assert_uint_ge(gpu_allocations(gpu), 3);
    ck_assert_uint_gt(gpu_bytes_free(gpu), 0);
    ck_assert_uint_le(gpu_bytes_free(gpu), gpu_get_info(gpu)->memory_bytes - gpu_bytes_used(gpu));
    for (size_t i = 0; i < 3; i++)
        gpu_free(gpu, &b[i]);
    gpu_free(gpu, &b[0]); /* twice is harmless */
    ck_assert_uint_eq(gpu_bytes_used(gpu), 0);
}
END_TEST

START_TEST(a_budget_is_kept)
{
    struct gpu_buffer b = { 0 }, more = { 0 };
    gpu_close(gpu);
    OK(gpu_open(&(struct gpu_choice){ .bytes_max = 100000 }, &gpu, &st));
    ck_assert_uint_eq(gpu_bytes_free(gpu), 100000);
    OK(gpu_alloc(gpu, 65536, "part", &b, &st));
    ck_assert_uint_eq(gpu_bytes_free(gpu), 100000 - gpu_bytes_used(gpu));
    ck_assert_int_eq(gpu_alloc(gpu, 40000, "more", &more, &st), RC_NOMEM);
    ck_assert_msg(strstr(st.msg, "more: 40000 bytes: the device has 100000 for us"), "%s", st.msg);
    ck_assert_uint_eq(more.addr, 0);
    gpu_free(gpu, &b);
    ck_assert_uint_eq(gpu_bytes_free(gpu), 100000);
}
END_TEST

enum { LARGE = (20 << 20) + 12 }; /* more than both halves of the staging buffer */

START_TEST(bytes_arrive)
{
    unsigned char *out = mem_calloc(LARGE, 1), *back = mem_calloc(LARGE, 1);
    struct gpu_buffer a = { 0 }, b = { 0 };
    ck_assert_ptr_nonnull(out);
    ck_assert_ptr_nonnull(back);
    for (size_t i = 0; i < LARGE; i++)
        out[i] = (unsigned char)((i * 2654435761u) >> 13);
    OK(gpu_alloc(gpu, LARGE, "a", &a, &st));
    OK(gpu_alloc(gpu, LARGE, "b", &b, &st));
    OK(gpu_write(gpu, &a, 0, out, LARGE, &st));
    OK(gpu_copy(gpu, &a, 8, &b, 4, LARGE - 8, &st));
    OK(gpu_zero(gpu, &b, 1024, 4096, &st));
    OK(gpu_submit(gpu, &st));
    OK(gpu_read(gpu, &a, 0, back, LARGE, &st));
    ck_assert_mem_eq(back, out, LARGE);
    OK(gpu_read(gpu, &b, 4, back + 4, LARGE - 4, &st));
    ck_assert_mem_eq(back + 4, out + 8, 1020);
    ck_assert_mem_eq(back + 5120, out + 5124, LARGE - 4 - 5120);
    for (size_t i = 1024; i < 5120; i++)
        ck_assert_uint_eq(back[i], 0);
    OK(gpu_write(gpu, &a, 13, "odd", 3, &st)); /* any byte, any count */
    OK(gpu_read(gpu, &a, 12, back, 5, &st));
    ck_assert_mem_eq(back, ((unsigned char[5]){ out[12], 'o', 'd', 'd', out[16] }), 5);
    OK(gpu_write(gpu, &a, LARGE, NULL, 0, &st));
    gpu_free(gpu, &a);
    gpu_free(gpu, &b);
    mem_free(out);
    mem_free(back);
}
END_TEST

/* ---- the table of variants ---- */

static void table_write(const char *path, const char *text)
{
    OK(file_write(path, text, strlen(text), 0600, &st));
}

/* A table of another device changes nothing, a good one decides, and LETHE_VARIANTS takes the place of both
 * the cache and the measurement. */
START_TEST(a_table_of_variants_is_kept)
{
    char path[] = "/tmp/lethe-variants-XXXXXX";
    struct str text = { 0 };
    const int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    close(file);
    OK(gpu_open(NULL, &gpu, &st));
    OK(gpu_variants_save(gpu, path, &st));
    OK(file_read(path, 1 << 16, &text, &st));
    const struct hash saved = sha256_of(text.data, text.size), told = gpu_variants_digest(gpu);
    ck_assert(hash_equal(&saved, &told));
    const enum variant own = op_choose(gpu, OP_matmul, PASS_fwd);
    table_write(path, "lethe variants 1\nmatmul fwd plain\nmatmul fwd coarse\n");
    ck_assert_int_eq(gpu_variants_load(gpu, path, &st), RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "\"matmul fwd coarse\" names nothing"));
    ck_assert_int_eq(op_choose(gpu, OP_matmul, PASS_fwd), own);
    table_write(path, "variants\n");
    st = (struct status){ 0 };
    ck_assert_int_eq(gpu_variants_load(gpu, path, &st), RC_FORMAT);
    st = (struct status){ 0 };
    table_write(path, "lethe variants 1\nmatmul fwd plain\n");
    OK(gpu_variants_load(gpu, path, &st));
    ck_assert_int_eq(op_choose(gpu, OP_matmul, PASS_fwd), VARIANT_plain);
    gpu_close(gpu);
    ck_assert_int_eq(setenv("LETHE_VARIANTS", path, 1), 0);
    OK(gpu_open(NULL, &gpu, &st));
    ck_assert_int_eq(op_choose(gpu, OP_matmul, PASS_fwd), VARIANT_plain);
    const struct op_used *used;
    ck_assert_uint_eq(op_used(gpu, &used), 0);
    gpu_close(gpu);
    gpu = NULL;
    ck_assert_int_eq(unsetenv("LETHE_VARIANTS"), 0);
    unlink(path);
    str_release(&text);
}
END_TEST

/* ---- the queue ---- */

/* Each operator adds one of two numbers to the other, so all need the one before; then more work than a
 * submission takes, and a buffer that is given back while recorded work names it. */
START_TEST(recorded_work_runs_in_order)
{
    float x[2] = { 1, 1 };
    struct gpu_buffer a = { 0 }, unit = { 0 };
    OK(gpu_alloc(gpu, 64, "chain", &a, &st));
    OK(gpu_alloc(gpu, 64, "unit", &unit, &st));
    OK(gpu_write(gpu, &unit, 0, x, sizeof x, &st));
    OK(gpu_copy(gpu, &unit, 0, &a, 0, sizeof x, &st));
    for (size_t i = 0; i < 20; i++) {
        uint64_t from = i % 2 ? 4 : 0, to = i % 2 ? 0 : 4;
        struct op_call call = {
            .op = OP_lora,
            .pass = PASS_bwd0,
            .args = { .p = { 0, unit.addr, a.addr + from, a.addr + to }, .d = { 1, 1, 1, 1 } },
        };
        OK(op_run(gpu, &call, &st));
    }
    for (size_t i = 0; i < 20000; i++)
        OK(gpu_copy(gpu, &a, i % 2 * 8, &a, 8 - i % 2 * 8, sizeof x, &st));
    gpu_free(gpu, &unit);
    OK(gpu_submit(gpu, &st));
    OK(gpu_read(gpu, &a, 0, x, sizeof x, &st));
    ck_assert_float_eq(x[1], 10946); /* numbers 21 and 22 of Fibonacci */
    ck_assert_float_eq(x[0], 17711);
    gpu_free(gpu, &a);
    ck_assert_uint_eq(gpu_bytes_used(gpu), 0);
}
END_TEST

/* ---- work that runs again ---- */

enum { COPIES = 100 };

/* A number goes along a row of places: begun under a key, with the first place set by the host; tells whether
 * it ran as it was recorded. */
static bool relay(struct gpu_recordings *r, const struct gpu_buffer *b, uint64_t name, uint32_t value,
                  size_t copies, bool keep)
{
    uint32_t out[COPIES + 1] = { value };
    bool again = false;
    OK(gpu_write(gpu, b, 0, out, sizeof out, &st));
    const uint64_t before = gpu_operators(gpu);
    OK(gpu_recording_begin(r, (const uint64_t[RECORDING_KEY]){ name }, &again, &st));
    for (size_t i = 0; !again && i < copies; i++)
        OK(gpu_copy(gpu, b, i * 4, b, (i + 1) * 4, 4, &st));
    if (keep)
        OK(gpu_recording_end(r, &st));
    else
        OK(gpu_submit(gpu, &st));
    ck_assert_uint_eq(gpu_operators(gpu) - before, again ? 0 : copies);
    OK(gpu_read(gpu, b, 0, out, sizeof out, &st));
    for (size_t i = 0; i <= copies; i++)
        ck_assert_uint_eq(out[i], value);
    ck_assert(copies == COPIES || out[copies + 1] == 0);
    return again;
}

START_TEST(recordings_run_again)
{
    struct gpu_recordings *r = NULL;
    struct gpu_buffer b = { 0 }, other = { 0 };
    OK(gpu_alloc(gpu, (COPIES + 1) * 4, "places", &b, &st));
    OK(gpu_recordings_open(gpu, &r, &st));
    ck_assert(!relay(r, &b, 1, 5, 3, false)); /* not kept */
    ck_assert(!relay(r, &b, 1, 6, 3, true));
    ck_assert(relay(r, &b, 1, 7, 3, true));
    ck_assert(!relay(r, &b, 2, 8, 2, true));
    ck_assert(relay(r, &b, 1, 9, 3, true));
    ck_assert(relay(r, &b, 2, 10, 2, true));
    ck_assert(!relay(r, &b, 3, 11, 1, true));
    ck_assert(!relay(r, &b, 4, 12, 4, true));
    ck_assert(!relay(r, &b, 5, 13, 5, true)); /* over 1, which was not used for longest */
    ck_assert(relay(r, &b, 2, 14, 2, true));
    ck_assert(!relay(r, &b, 1, 15, 3, true));
    ck_assert(relay(r, &b, 2, 16, 2, true));
    OK(gpu_time_begin(gpu, &st));
    ck_assert(!relay(r, &b, 2, 17, 2, true)); /* each call has stamps of its own */
    gpu_time_end(gpu);
    ck_assert(relay(r, &b, 2, 18, 2, true));
    OK(gpu_alloc(gpu, 64, "other", &other, &st));
    ck_assert(relay(r, &b, 2, 19, 2, true));
    gpu_free(gpu, &other); /* another may have its address */
    ck_assert(!relay(r, &b, 2, 20, 2, true));
    ck_assert(relay(r, &b, 2, 21, 2, true));
    gpu_recordings_close(r);
    gpu_recordings_close(NULL);
    gpu_free(gpu, &b);
}
END_TEST

/* More submissions than a recording has. */
START_TEST(a_very_long_recording_is_not_kept)
{
    struct gpu_recordings *r = NULL;
    struct gpu_buffer b = { 0 };
    OK(gpu_alloc(gpu, (COPIES + 1) * 4, "places", &b, &st));
    OK(gpu_recordings_open(gpu, &r, &st));
    ck_assert(!relay(r, &b, 1, 5, COPIES, true));
    ck_assert(!relay(r, &b, 1, 6, COPIES, true));
    ck_assert(!relay(r, &b, 1, 7, 3, true));
    ck_assert(relay(r, &b, 1, 8, 3, true));
    gpu_recordings_close(r);
    gpu_free(gpu, &b);
}
END_TEST

/* Fails the allocations of a call one after the other until it succeeds. */
START_TEST(open_survives_every_failed_allocation)
{
    int rc = RC_NOMEM;
    for (size_t nth = 1; rc != 0; nth++) {
        ck_assert_uint_lt(nth, 1000);
        st = (struct status){ 0 };
        mem_fail_at(nth);
        rc = gpu_open(NULL, &gpu, &st);
        mem_fail_at(0);
        ck_assert(rc == 0 || gpu == NULL);
    }
    struct gpu_buffer b = { 0 };
    mem_fail_at(1);
    ck_assert_int_eq(gpu_alloc(gpu, 4, "part", &b, &st), RC_NOMEM);
    st = (struct status){ 0 };
    mem_fail_at(1);
    ck_assert_int_eq(op_run(gpu, &(struct op_call){ .op = OP_swiglu }, &st), RC_NOMEM);
    ck_assert_msg(strstr(st.msg, "swiglu.plain.fwd") != NULL, "%s", st.msg);
    st = (struct status){ 0 };
    OK(op_run(gpu, &(struct op_call){ .op = OP_swiglu }, &st));
    OK(gpu_submit(gpu, &st));
    gpu_close(gpu);
    gpu = NULL;
}
END_TEST

/* For tests/cli/gpuav.sh: LETHE_PLANT=1 reads far behind a buffer, 0 reads what is there. */
static int planted(const char *asked)
{
    struct gpu_buffer x = { 0 }, index = { 0 }, y = { 0 };
    const uint32_t far = strcmp(asked, "1") == 0 ? 1 << 18 : 3;
    int rc = gpu_open(NULL, &gpu, &st);
    if (rc == 0)
        rc = gpu_alloc(gpu, 4096, "x", &x, &st);
    if (rc == 0)
        rc = gpu_alloc(gpu, 4, "index", &index, &st);
    if (rc == 0)
        rc = gpu_alloc(gpu, 4096, "y", &y, &st);
    if (rc == 0)
        rc = gpu_write(gpu, &index, 0, &far, 4, &st);
    if (rc == 0)
        rc = op_run(gpu,
                    &(struct op_call){ .op = OP_gather,
                                       .args = { .p = { x.addr, index.addr, y.addr }, .d = { 64, 64 } } },
                    &st);
    if (rc == 0)
        rc = gpu_submit(gpu, &st);
    const char *first = "";
    size_t messages = gpu ? gpu_validation_errors(gpu, &first) : 0;
    printf("planted %s: %s, %zu messages: %s\n", asked, rc == 0 ? "ran" : st.msg, messages, first);
    gpu_close(gpu);
    return rc != 0;
}

static void memory_tests(TCase *tests)
{
    tcase_add_test(tests, absurd_sizes_are_refused_by_name);
    tcase_add_test(tests, a_full_device_is_no_memory);
    tcase_add_test(tests, buffers_are_zeroed_aligned_and_counted);
    tcase_add_test(tests, a_budget_is_kept);
    tcase_add_test(tests, bytes_arrive);
    tcase_add_test(tests, recorded_work_runs_in_order);
    tcase_add_test(tests, recordings_run_again);
}

int main(void)
{
    if (getenv("LETHE_PLANT"))
        return planted(getenv("LETHE_PLANT"));
    Suite *suite = suite_create("gpu");
    TCase *choice = tcase_create("choice"), *mapped = tcase_create("mapped"),
          *staged = tcase_create("staged"), *split = tcase_create("split");
    tcase_add_test(choice, devices_are_listed);
    tcase_add_test(choice, no_driver_is_said_so);
    tcase_add_test(choice, a_device_is_taken_by_number_or_name);
    tcase_add_test(choice, the_offered_driver_is_used_when_there_is_no_other);
    tcase_add_test(choice, a_table_of_variants_is_kept);
    tcase_add_test(choice, open_survives_every_failed_allocation);
    tcase_add_checked_fixture(mapped, device_open, device_close);
    tcase_add_checked_fixture(staged, staged_open, device_close);
    tcase_add_checked_fixture(split, split_open, device_close);
    tcase_add_test(split, bytes_arrive);
    tcase_add_test(split, recorded_work_runs_in_order);
    tcase_add_test(split, recordings_run_again);
    tcase_add_test(split, a_very_long_recording_is_not_kept);
    memory_tests(mapped);
    memory_tests(staged);
    suite_add_tcase(suite, choice);
    suite_add_tcase(suite, mapped);
    suite_add_tcase(suite, staged);
    suite_add_tcase(suite, split);
    tcase_set_timeout(choice, 60);
    tcase_set_timeout(mapped, 60);
    tcase_set_timeout(staged, 60);
    tcase_set_timeout(split, 60);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
