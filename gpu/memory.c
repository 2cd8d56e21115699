/* Buffers, and the way between them and the host: a pointer where the host sees the memory, else a staging
 * buffer whose halves take turns. */
#include "gpu/vk.h"

#include "base/alloc.h"
#include "gpu/cost.h"
#include "gpu/time_own.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first type among `allowed` with all of `want`, else UINT32_MAX. */
static uint32_t type_find(const struct gpu *g, uint32_t allowed, VkMemoryPropertyFlags want)
{
    for (uint32_t i = 0; i < g->types.memoryTypeCount; i++)
        if ((allowed >> i & 1) && (g->types.memoryTypes[i].propertyFlags & want) == want)
            return i;
    return UINT32_MAX;
}

static uint32_t type_of(const struct gpu *g, uint32_t allowed, bool host)
{
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    const VkMemoryPropertyFlags seen =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    const VkMemoryPropertyFlags by_host[] = { seen | cached | local, seen | local, seen | cached, seen };
    uint32_t type = UINT32_MAX;
    for (size_t i = 0; host && type == UINT32_MAX && i < sizeof by_host / sizeof *by_host; i++)
        type = type_find(g, allowed, by_host[i]);
    return host ? type : type_find(g, allowed, local);
}

static void memory_free(struct gpu *g, struct memory *m)
{
    if (m->memory)
        g->bytes_used -= m->allocated;
    vkDestroyBuffer(g->device, m->buffer, NULL);
    vkFreeMemory(g->device, m->memory, NULL); /* and ends its mapping */
    mem_free(m);
}

static uint64_t memory_addr(struct gpu *g, const struct memory *m)
{
    VkBufferDeviceAddressInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
        .buffer = m->buffer,
    };
    return vkGetBufferDeviceAddress(g->device, &info);
}

/* `staging`: host memory for copies, which shaders never see. */
static int memory_make(struct gpu *g, uint64_t bytes, bool staging, const char *what, struct memory **out,
                       struct status *st)
{
    int rc = 0;
    const bool host = staging || !g->staged;
    struct memory *m = mem_calloc(1, sizeof *m);
    if (!m)
        FAIL(st, RC_NOMEM, "%s: no host memory", what);
    VkBufferCreateInfo buffer = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
    };
    VK(vkCreateBuffer(g->device, &buffer, NULL, &m->buffer));
    VkMemoryRequirements needs;
    vkGetBufferMemoryRequirements(g->device, m->buffer, &needs);
    VkMemoryAllocateFlagsInfo flags = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
        .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT,
    };
    VkMemoryAllocateInfo memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .pNext = &flags,
        .allocationSize = needs.size,
        .memoryTypeIndex = type_of(g, needs.memoryTypeBits, host),
    };
    if (memory.memoryTypeIndex == UINT32_MAX)
        FAIL(st, RC_UNSUPPORTED, "%s: %s has no memory for it", what, g->info.name);
    g->allocations++;
    VkResult got = vkAllocateMemory(g->device, &memory, NULL, &m->memory);
    if (got != VK_SUCCESS)
        FAIL(st, vk_rc(got), "%s: %" PRIu64 " bytes: %s, %" PRIu64 " bytes in use", what, bytes, vk_text(got),
             g->bytes_used);
    m->allocated = needs.size;
    g->bytes_used += needs.size;
    VK(vkBindBufferMemory(g->device, m->buffer, m->memory, 0));
    const uint64_t addr = memory_addr(g, m);
    if (addr == 0 || addr == UINT64_MAX) /* lavapipe calls a failed mmap a success */
        FAIL(st, RC_NOMEM, "%s: %" PRIu64 " bytes: the driver gave no memory, %" PRIu64 " bytes in use", what,
             bytes, g->bytes_used);
    void *map = NULL;
    if (host)
        VK(vkMapMemory(g->device, m->memory, 0, VK_WHOLE_SIZE, 0, &map));
    m->map = map;
    *out = m;
    m = NULL;
out:
    if (m)
        memory_free(g, m);
    return rc;
}

int memory_open(struct gpu *g, struct status *st)
{
    int rc = 0;
    const char *asked = getenv("LETHE_STAGING");
    const bool shared = strcmp(g->info.type, "cpu") == 0 || strcmp(g->info.type, "integrated") == 0;
    g->staged = asked ? strcmp(asked, "1") == 0 : !shared;
    if (!g->staged && type_of(g, UINT32_MAX, true) == UINT32_MAX)
        g->staged = true;
    const uint32_t type = type_of(g, UINT32_MAX, !g->staged);
    g->heap = type == UINT32_MAX ? 0 : g->types.memoryTypes[type].heapIndex;
    if (g->staged)
        TRY(memory_make(g, (uint64_t)STAGING_SLOTS * STAGING_BYTES, true, "staging", &g->staging, st));
    g->bytes_used = 0; /* counts what callers asked for */
    if (g->staging)
        g->staging->allocated = 0;
out:
    return rc;
}

void memory_bury(struct gpu *g)
{
    while (g->graveyard) {
        struct memory *m = g->graveyard;
        g->graveyard = m->next;
        memory_free(g, m);
    }
}

void memory_close(struct gpu *g)
{
    memory_bury(g);
    while (g->buffers) {
        struct memory *m = g->buffers;
        g->buffers = m->next;
        memory_free(g, m);
    }
    if (g->staging)
        memory_free(g, g->staging);
    g->staging = NULL;
}

/* A transfer of its own, beside whatever is being recorded, and waits for it. */
static int zero_now(struct gpu *g, struct memory *m, uint64_t bytes, struct status *st)
{
    int rc = 0;
    struct slot *s = &g->transfers[0];
    snprintf(s->last, sizeof s->last, "a fill of %" PRIu64 " bytes", bytes);
    TRY(slot_begin(g, s, st));
    vkCmdFillBuffer(s->commands, m->buffer, 0, VK_WHOLE_SIZE, 0);
    s->operators = 1;
    TRY(slot_submit(g, s, st));
    TRY(slot_wait(g, s, st));
out:
    return rc;
}

int gpu_alloc(struct gpu *g, uint64_t bytes, const char *what, struct gpu_buffer *out, struct status *st)
{
    int rc = 0;
    struct memory *m = NULL;
    const uint64_t slack = ADDRESS_ALIGN - 4;
    const uint64_t whole = bytes ? (bytes + 3) & ~(uint64_t)3 : 4;
    if (bytes > g->allocation_max - slack)
        FAIL(st, RC_LIMIT, "%s: %" PRIu64 " bytes, over this device's %" PRIu64 " for one buffer", what,
             bytes, g->allocation_max);
    if (whole > g->bytes_max || g->bytes_used > g->bytes_max - whole)
        FAIL(st, RC_NOMEM,
             "%s: %" PRIu64 " bytes: the device has %" PRIu64 " for us, %" PRIu64 " of them in use", what,
             bytes, g->bytes_max, g->bytes_used);
    TRY(memory_make(g, whole, false, what, &m, st));
    uint64_t addr = memory_addr(g, m);
    if (addr % ADDRESS_ALIGN != 0) { /* few drivers: ask again, with room to move the start */
        memory_free(g, m);
        m = NULL;
        TRY(memory_make(g, whole + slack, false, what, &m, st));
        addr = memory_addr(g, m);
        m->shift = (ADDRESS_ALIGN - addr % ADDRESS_ALIGN) % ADDRESS_ALIGN;
    }
    if (m->map)
        memset(m->map + m->shift, 0, whole);
    else
        TRY(zero_now(g, m, whole, st));
    m->next = g->buffers;
    g->buffers = m;
    *out = (struct gpu_buffer){ .addr = addr + m->shift, .bytes = bytes, .handle = m };
    m = NULL;
out:
    if (m)
        memory_free(g, m);
    return rc;
}

void gpu_free(struct gpu *g, struct gpu_buffer *b)
{
    if (!b || !b->handle)
        return;
    struct memory *m = b->handle;
    struct memory **at = &g->buffers;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    *b = (struct gpu_buffer){ 0 };
    g->changes++;
    if (record_pending(g) > 0 || g->lost) { /* recorded work may still name it */
        m->next = g->graveyard;
        g->graveyard = m;
    } else {
        memory_free(g, m);
    }
}

uint64_t gpu_bytes_used(const struct gpu *g)
{
    return g->bytes_used;
}

uint64_t gpu_bytes_free(const struct gpu *g)
{
    const uint64_t left = g->bytes_max > g->bytes_used ? g->bytes_max - g->bytes_used : 0;
    if (!g->budget || g->lost)
        return left;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT,
    };
    VkPhysicalDeviceMemoryProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
        .pNext = &budget,
    };
    vkGetPhysicalDeviceMemoryProperties2(g->physical, &properties);
    const uint64_t most = budget.heapBudget[g->heap], used = budget.heapUsage[g->heap];
    const uint64_t told = most > used ? most - used : 0;
    return told < left ? told : left;
}

uint64_t gpu_allocations(const struct gpu *g)
{
    return g->allocations;
}

/* ---- between host and device ---- */

/* Part of `b` to or from half `half` of the staging buffer. */
static int transfer_start(struct gpu *g, const struct memory *m, uint64_t at, size_t half, uint64_t n,
                          bool write, struct status *st)
{
    int rc = 0;
    struct slot *s = &g->transfers[half];
    const uint64_t near_at = half * (uint64_t)STAGING_BYTES, far_at = m->shift + at;
    snprintf(s->last, sizeof s->last, "a transfer of %" PRIu64 " bytes", n);
    TRY(slot_begin(g, s, st));
    VkBufferCopy part = {
        .srcOffset = write ? near_at : far_at,
        .dstOffset = write ? far_at : near_at,
        .size = n,
    };
    vkCmdCopyBuffer(s->commands, write ? g->staging->buffer : m->buffer,
                    write ? m->buffer : g->staging->buffer, 1, &part);
    s->operators = 1;
    TRY(slot_submit(g, s, st));
out:
    return rc;
}

static uint64_t part_size(uint64_t n, uint64_t done)
{
    return n - done < STAGING_BYTES ? n - done : STAGING_BYTES;
}

static int staged_write(struct gpu *g, const struct memory *m, uint64_t at, const uint8_t *data, uint64_t n,
                        struct status *st)
{
    int rc = 0;
    size_t half = 0;
    for (uint64_t done = 0; done < n; done += STAGING_BYTES, half = (half + 1) % STAGING_SLOTS) {
        TRY(slot_wait(g, &g->transfers[half],
                      st)); /* the host fills one half while the device empties the other */
        memcpy(g->staging->map + half * STAGING_BYTES, data + done, part_size(n, done));
        TRY(transfer_start(g, m, at + done, half, part_size(n, done), true, st));
    }
    for (half = 0; half < STAGING_SLOTS; half++)
        TRY(slot_wait(g, &g->transfers[half], st));
out:
    return rc;
}

static int staged_read(struct gpu *g, const struct memory *m, uint64_t at, uint8_t *data, uint64_t n,
                       struct status *st)
{
    int rc = 0;
    size_t half = 0;
    if (n > 0)
        TRY(transfer_start(g, m, at, 0, part_size(n, 0), false, st));
    for (uint64_t done = 0; done < n; done += STAGING_BYTES, half = (half + 1) % STAGING_SLOTS) {
        const uint64_t next = done + STAGING_BYTES;
        if (next < n)
            TRY(transfer_start(g, m, at + next, (half + 1) % STAGING_SLOTS, part_size(n, next), false, st));
        TRY(slot_wait(g, &g->transfers[half], st));
        memcpy(data + done, g->staging->map + half * STAGING_BYTES, part_size(n, done));
    }
out:
    return rc;
}

int gpu_write(struct gpu *g, const struct gpu_buffer *b, uint64_t at, const void *data, uint64_t n,
              struct status *st)
{
    int rc = 0;
    const struct memory *m = b->handle;
    assert(g->lost || record_pending(g) == 0);
    assert(at <= b->bytes && n <= b->bytes - at);
    if (n == 0)
        goto out;
    TRY(device_check(g, st));
    if (m->map)
        memcpy(m->map + m->shift + at, data, n);
    else
        TRY(staged_write(g, m, at, data, n, st));
out:
    return rc;
}

int gpu_read(struct gpu *g, const struct gpu_buffer *b, uint64_t at, void *data, uint64_t n,
             struct status *st)
{
    int rc = 0;
    const struct memory *m = b->handle;
    assert(g->lost || record_pending(g) == 0);
    assert(at <= b->bytes && n <= b->bytes - at);
    if (n == 0)
        goto out;
    TRY(device_check(g, st));
    if (m->map)
        memcpy(data, m->map + m->shift + at, n);
    else
        TRY(staged_read(g, m, at, data, n, st));
out:
    return rc;
}

int gpu_zero(struct gpu *g, const struct gpu_buffer *b, uint64_t at, uint64_t n, struct status *st)
{
    int rc = 0;
    const struct memory *m = b->handle;
    VkCommandBuffer commands;
    char text[64];
    assert(at % 4 == 0 && n % 4 == 0);
    assert(at <= b->bytes && n <= b->bytes - at);
    if (n == 0)
        goto out;
    snprintf(text, sizeof text, "a fill of %" PRIu64 " bytes", n);
    TRY(timer_room(g, st));
    TRY(record_begin(g, text, n * FLOPS_A_BYTE, &commands, st));
    TRY(timer_start(g, commands, "a fill", &(struct op_cost){ .bytes = n }, true, st));
    vkCmdFillBuffer(commands, m->buffer, m->shift + at, n, 0);
    timer_stop(g, commands);
    TRY(record_end(g, st));
out:
    return rc;
}

int gpu_copy(struct gpu *g, const struct gpu_buffer *from, uint64_t from_at, const struct gpu_buffer *to,
             uint64_t to_at, uint64_t n, struct status *st)
{
    int rc = 0;
    const struct memory *f = from->handle, *t = to->handle;
    VkCommandBuffer commands;
    char text[64];
    assert(from_at % 4 == 0 && to_at % 4 == 0 && n % 4 == 0);
    assert(from_at <= from->bytes && n <= from->bytes - from_at);
    assert(to_at <= to->bytes && n <= to->bytes - to_at);
    if (n == 0)
        goto out;
    snprintf(text, sizeof text, "a copy of %" PRIu64 " bytes", n);
    TRY(timer_room(g, st));
    TRY(record_begin(g, text, n * FLOPS_A_BYTE, &commands, st));
    TRY(timer_start(g, commands, "a copy", &(struct op_cost){ .bytes = 2 * n }, true, st));
    VkBufferCopy part = { .srcOffset = f->shift + from_at, .dstOffset = t->shift + to_at, .size = n };
    vkCmdCopyBuffer(commands, f->buffer, t->buffer, 1, &part);
    timer_stop(g, commands);
    TRY(record_end(g, st));
out:
    return rc;
}
