/* Members of a container, whole in memory under a limit. */
#include "reports/container.h"

#include "base/alloc.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct load {
    const struct container_filter *filter;
    struct container c;
    size_t cap;
    bool taking; /* the member under way is wanted */
};

static int load_begin(void *self, const char *name, uint64_t size, struct status *st)
{
    int rc = 0;
    struct load *l = self;
    struct container_member m = { 0 };
    const struct container_filter *f = l->filter;
    l->taking = !f->wanted || f->wanted(f->self, name);
    if (!l->taking)
        goto out;
    if (size > f->bytes_max - l->c.bytes)
        FAIL(st, RC_LIMIT, "'%s': members over %" PRIu64 " bytes together", name, f->bytes_max);
    TRY(mem_grow(&l->c.members, l->c.n, &l->cap, sizeof *l->c.members, st));
    m.name = mem_calloc(strlen(name) + 1, 1);
    if (!m.name)
        FAIL(st, RC_NOMEM, "no memory for member '%s'", name);
    memcpy(m.name, name, strlen(name));
    l->c.members[l->c.n++] = m;
    l->c.bytes += size; /* the text grows with what comes, so a false size takes no memory */
out:
    return rc;
}

static int load_chunk(void *self, const void *data, size_t n, struct status *st)
{
    struct load *l = self;
    if (!l->taking)
        return 0;
    struct str *text = &l->c.members[l->c.n - 1].data;
    str_add(text, data, n);
    return str_check(text, st);
}

int container_load_memory(struct bytes file, const struct container_filter *filter, struct container *out,
                          struct status *st)
{
    int rc = 0;
    struct load l = { .filter = filter };
    const struct container_sink sink = { .self = &l, .begin = load_begin, .chunk = load_chunk };
    TRY(container_walk_memory(file, &sink, st));
    *out = l.c;
    l.c = (struct container){ 0 };
out:
    container_release(&l.c);
    return rc;
}

int container_load(const char *path, const struct container_filter *filter, struct container *out,
                   struct status *st)
{
    int rc = 0;
    struct file_map map = { 0 };
    TRY(file_map_open(path, &map, st));
    rc = container_load_memory((struct bytes){ map.data, map.size }, filter, out, st);
    if (rc)
        status_prefix(st, "%s", path);
    file_map_close(&map);
out:
    return rc;
}

void container_release(struct container *c)
{
    for (size_t i = 0; i < c->n; i++) {
        mem_free(c->members[i].name);
        str_release(&c->members[i].data);
    }
    mem_free(c->members);
    *c = (struct container){ 0 };
}

static int by_name(const void *name, const void *member)
{
    return strcmp(name, ((const struct container_member *)member)->name);
}

const struct container_member *container_find(const struct container *c, const char *name)
{
    return c->n ? bsearch(name, c->members, c->n, sizeof *c->members, by_name) : NULL;
}

static bool is_name(void *self, const char *name)
{
    return strcmp(self, name) == 0;
}

int container_read_member(const char *path, const char *name, struct str *out, struct status *st)
{
    int rc = 0;
    char wanted[CONTAINER_NAME_BYTES_MAX + 1] = { 0 };
    size_t n = strlen(name);
    struct container c = { 0 };
    struct container_filter one = { .self = wanted,
                                    .wanted = is_name,
                                    .bytes_max = CONTAINER_MEMBER_BYTES_MAX };
    if (n < sizeof wanted)
        memcpy(wanted, name, n);
    TRY(container_load(path, &one, &c, st));
    if (c.n == 0)
        FAIL(st, RC_ARG, "%s: there is no member '%.120s'", path, name);
    str_add(out, c.members[0].data.data, c.members[0].data.size);
    TRY(str_check(out, st));
out:
    container_release(&c);
    return rc;
}
