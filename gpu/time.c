#include "gpu/time.h"

#include "base/alloc.h"
#include "gpu/time_own.h"
#include "gpu/vk.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAMPED_MAX = 8192 }; /* dispatches between two waits; more of them wait in between */

struct timer {
    VkQueryPool pool;
    double tick_ns;
    uint64_t mask;             /* bits of a stamp that count */
    uint32_t n;                /* stamped since the last wait */
    uint32_t row[STAMPED_MAX]; /* of each */
    uint64_t stamps[2 * STAMPED_MAX];
    struct gpu_time *rows;
    size_t rows_n, rows_cap;
};

int gpu_time_begin(struct gpu *g, struct status *st)
{
    int rc = 0;
    struct timer *t = NULL;
    VkPhysicalDeviceProperties p;
    VkQueueFamilyProperties families[16];
    uint32_t n = sizeof families / sizeof *families;
    gpu_time_end(g);
    TRY(gpu_submit(g, st));
    vkGetPhysicalDeviceProperties(g->physical, &p);
    vkGetPhysicalDeviceQueueFamilyProperties(g->physical, &n, families);
    const uint32_t bits = families[g->family].timestampValidBits;
    if (bits == 0 || p.limits.timestampPeriod <= 0)
        FAIL(st, RC_UNSUPPORTED, "%s has no time stamps", g->info.name);
    t = mem_calloc(1, sizeof *t);
    if (!t)
        FAIL(st, RC_NOMEM, "no memory for time stamps");
    t->tick_ns = (double)p.limits.timestampPeriod;
    t->mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    VkQueryPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = 2 * STAMPED_MAX,
    };
    VK(vkCreateQueryPool(g->device, &pool, NULL, &t->pool));
    g->timer = t;
    t = NULL;
out:
    mem_free(t);
    return rc;
}

void gpu_time_end(struct gpu *g)
{
    struct timer *t = g->timer;
    if (!t)
        return;
    (void)!gpu_submit(g, NULL); /* recorded work names the pool */
    g->timer = NULL;
    if (!g->hung)
        vkDestroyQueryPool(g->device, t->pool, NULL);
    mem_free(t->rows);
    mem_free(t);
}

static int by_time(const void *a, const void *b)
{
    const struct gpu_time *x = a, *y = b;
    if (x->ns != y->ns)
        return x->ns < y->ns ? 1 : -1;
    const int names = strcmp(x->name, y->name);
    return names ? names : strcmp(x->shape, y->shape);
}

/* Adds what was stamped since the last time, once it has run. */
static int collect(struct gpu *g, struct status *st)
{
    int rc = 0;
    struct timer *t = g->timer;
    const size_t bytes = (size_t)t->n * 2 * sizeof *t->stamps;
    TRY(gpu_submit(g, st));
    if (t->n == 0)
        goto out;
    VK(vkGetQueryPoolResults(g->device, t->pool, 0, 2 * t->n, bytes, t->stamps, sizeof *t->stamps,
                             VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
    for (uint32_t i = 0; i < t->n; i++) {
        const uint64_t ticks = (t->stamps[2 * i + 1] - t->stamps[2 * i]) & t->mask;
        t->rows[t->row[i]].ns += (uint64_t)llround((double)ticks * t->tick_ns);
    }
    t->n = 0;
out:
    return rc;
}

int gpu_time_read(struct gpu *g, const struct gpu_time **out, size_t *n, struct status *st)
{
    int rc = 0;
    struct timer *t = g->timer;
    assert(t);
    TRY(collect(g, st));
    if (t->rows_n > 0)
        qsort(t->rows, t->rows_n, sizeof *t->rows, by_time); /* nothing names a row by its number now */
    *out = t->rows;
    *n = t->rows_n;
out:
    return rc;
}

/* ---- what is timed ---- */

static int row_find(struct timer *t, const char *name, const char *shape, uint32_t *out, struct status *st)
{
    int rc = 0;
    for (size_t i = 0; i < t->rows_n; i++) {
        if (strcmp(t->rows[i].name, name) == 0 && strcmp(t->rows[i].shape, shape) == 0) {
            *out = (uint32_t)i;
            goto out;
        }
    }
    TRY(mem_grow(&t->rows, t->rows_n, &t->rows_cap, sizeof *t->rows, st));
    t->rows[t->rows_n] = (struct gpu_time){ 0 };
    snprintf(t->rows[t->rows_n].name, sizeof t->rows->name, "%s", name);
    snprintf(t->rows[t->rows_n].shape, sizeof t->rows->shape, "%s", shape);
    *out = (uint32_t)t->rows_n++;
out:
    return rc;
}

int timer_room(struct gpu *g, struct status *st)
{
    return g->timer && g->timer->n == STAMPED_MAX ? collect(g, st) : 0;
}

int timer_start(struct gpu *g, VkCommandBuffer commands, const char *name, const struct op_cost *cost,
                bool first, struct status *st)
{
    int rc = 0;
    struct timer *t = g->timer;
    if (!t)
        goto out;
    TRY(row_find(t, name, cost->shape, &t->row[t->n], st));
    struct gpu_time *row = &t->rows[t->row[t->n]];
    if (first) {
        row->calls++;
        row->flops += cost->flops;
        row->bytes += cost->bytes;
    }
    vkCmdResetQueryPool(commands, t->pool, 2 * t->n, 2);
    vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, t->pool, 2 * t->n);
out:
    return rc;
}

void timer_stop(struct gpu *g, VkCommandBuffer commands)
{
    struct timer *t = g->timer;
    if (t)
        vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, t->pool, 2 * t->n++ + 1);
}
