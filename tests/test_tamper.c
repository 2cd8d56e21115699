/* Random changes of an archive: bits flipped, bytes cut, inserted, members swapped. Each is reported unless
 * the tar stream is unchanged, and none crashes. LETHE_TAMPER gives another number of changes than 500,
 * LETHE_SEED another seed. tier: full */
#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "reports/verify.h"
#include "tests/make_archive.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHANGES = 500 };
enum change { BIT, CUT, INSERT, OVERWRITE, TAR_BIT, SWAP, KINDS };
static const char *const change_names[KINDS] = {
    "bit", "cut", "insert", "overwrite", "bit of the tar", "swap"
};

struct dice {
    uint64_t seed;
    uint32_t at, draw;
};

static uint32_t roll(struct dice *d, uint32_t below)
{
    struct rng_block b = rng_at(d->seed, RNG_SEARCH, d->at, d->draw++, 0);
    return rng_below((uint64_t)b.w[0] << 32 | b.w[1], below);
}

static void cut(struct str *s, size_t at, size_t n)
{
    memmove(s->data + at, s->data + at + n, s->size - at - n);
    s->size -= n;
}

static void insert(struct str *s, size_t at, struct dice *d)
{
    uint8_t more[16];
    size_t n = 1 + roll(d, sizeof more);
    for (size_t i = 0; i < n; i++)
        more[i] = (uint8_t)roll(d, 256);
    str_add(s, more, n);
    memmove(s->data + at + n, s->data + at, s->size - n - at);
    memcpy(s->data + at, more, n);
}

static void swap_members(struct container *c, struct dice *d)
{
    size_t a = roll(d, (uint32_t)c->n), b = (a + 1 + roll(d, (uint32_t)c->n - 1)) % c->n;
    struct str data = c->members[a].data;
    c->members[a].data = c->members[b].data;
    c->members[b].data = data;
    if (roll(d, 2)) { /* their names too: whole members change places */
        char *name = c->members[a].name;
        c->members[a].name = c->members[b].name;
        c->members[b].name = name;
    }
}

static void change_file(enum change how, struct str *file, struct dice *d)
{
    size_t at = roll(d, (uint32_t)file->size);
    switch (how) {
    case BIT:
        file->data[at] ^= (char)(1 << roll(d, 8));
        break;
    case CUT:
        cut(file, at, 1 + roll(d, (uint32_t)(file->size - at)));
        break;
    case INSERT:
        insert(file, at, d);
        break;
    default:
        file->data[at] = (char)roll(d, 256);
        break;
    }
}

struct original {
    struct str file, tar, path, trust, changed;
    struct container members;
};

static void change_write(const struct original *o, enum change how, struct dice *d)
{
    struct status st = { 0 };
    struct str bytes = { 0 };
    if (how == SWAP) {
        struct container c = { 0 };
        ck_assert_int_eq(make_load(str_text(&o->path), &c, &st), 0);
        swap_members(&c, d);
        ck_assert_int_eq(make_tar(&c, &bytes, &st), 0);
        ck_assert_int_eq(make_frame(str_text(&o->changed), &bytes, &st), 0);
        container_release(&c);
    } else if (how == TAR_BIT) {
        str_add(&bytes, o->tar.data, o->tar.size);
        bytes.data[roll(d, (uint32_t)bytes.size)] ^= (char)(1 << roll(d, 8));
        ck_assert_int_eq(make_frame(str_text(&o->changed), &bytes, &st), 0);
    } else {
        str_add(&bytes, o->file.data, o->file.size);
        change_file(how, &bytes, d);
        ck_assert_int_eq(file_write(str_text(&o->changed), str_text(&bytes), bytes.size, 0644, &st), 0);
    }
    str_release(&bytes);
}

/* In a process of its own: whatever a hostile file does ends there. Returns the exit code, or -1 for a
 * crash. */
static int verify_apart(const struct original *o)
{
    int state = 0;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct verify_result r;
        const struct verify_options options = { .trust = str_text(&o->trust) };
        verify_archive(str_text(&o->changed), &options, &r);
        _exit(r.exit);
    }
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

static bool tar_unchanged(const struct original *o)
{
    struct container c = { 0 };
    struct str tar = { 0 };
    bool same = make_load(str_text(&o->changed), &c, NULL) == 0 && make_tar(&c, &tar, NULL) == 0 &&
                tar.size == o->tar.size && memcmp(tar.data, o->tar.data, tar.size) == 0;
    container_release(&c);
    str_release(&tar);
    return same;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(every_change)
{
    struct status st = { 0 };
    struct made_keys keys;
    struct original o = { 0 };
    char folder[64];
    uint64_t changes = number_of("LETHE_TAMPER", CHANGES), seed = number_of("LETHE_SEED", 20261124),
             unchanged = 0;
    ck_assert_int_eq(make_folder(folder, &st), 0);
    ck_assert_int_eq(made_keys_open(&keys, &st), 0);
    str_printf(&o.trust, "%s/trust.json", folder);
    str_printf(&o.changed, "%s/changed.lethe", folder);
    ck_assert_int_eq(make_trust(str_text(&o.trust), &keys, false, &st), 0);
    ck_assert_msg(make_archive(folder, MADE_PASS, &keys, &o.path, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(file_read(str_text(&o.path), (size_t)1 << 26, &o.file, &st), 0);
    ck_assert_int_eq(make_load(str_text(&o.path), &o.members, &st), 0);
    ck_assert_int_eq(make_tar(&o.members, &o.tar, &st), 0);
    for (uint32_t i = 0; i < changes; i++) {
        struct dice d = { .seed = seed, .at = i };
        enum change how = (enum change)(i % KINDS);
        change_write(&o, how, &d);
        int exit = verify_apart(&o);
        bool same = tar_unchanged(&o);
        unchanged += same;
        ck_assert_msg(exit >= 0, "change %" PRIu32 " (%s, seed %" PRIu64 ") crashed the verifier", i,
                      change_names[how], seed);
        ck_assert_msg(same ? exit == 0 || exit == 2 : exit == 1 || exit == 2,
                      "change %" PRIu32 " (%s, seed %" PRIu64 ") was not reported: exit %d", i,
                      change_names[how], seed, exit);
    }
    ck_assert_msg(unchanged * 10 < changes || changes < 100, "%" PRIu64 " changes changed nothing",
                  unchanged);
    make_folder_gone(folder);
    made_keys_close(&keys);
    container_release(&o.members);
    str_release(&o.file);
    str_release(&o.tar);
    str_release(&o.path);
    str_release(&o.trust);
    str_release(&o.changed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tamper");
    TCase *tc = tcase_create("tamper");
    tcase_set_timeout(tc, 600);
    tcase_add_test(tc, every_change);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
