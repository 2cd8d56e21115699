/* Recording and running. Operators go into one command buffer, each followed by a barrier; a few command
 * buffers take turns, so that a long recording starts while it is still being written. */
#include "gpu/vk.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int device_check(const struct gpu *g, struct status *st)
{
    return g->lost ? status_fail(st, RC_DEVICE, "%s: the device is lost", g->info.name) : 0;
}

static int slot_open(struct gpu *g, struct slot *s, struct status *st)
{
    int rc = 0;
    VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = g->pool,
        .commandBufferCount = 1,
    };
    VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
    if (!s->commands)
        VK(vkAllocateCommandBuffers(g->device, &commands, &s->commands));
    if (!s->fence)
        VK(vkCreateFence(g->device, &fence, NULL, &s->fence));
out:
    return rc;
}

void slot_close(struct gpu *g, struct slot *s)
{
    if (s->commands)
        vkFreeCommandBuffers(g->device, g->pool, 1, &s->commands);
    vkDestroyFence(g->device, s->fence, NULL);
    *s = (struct slot){ 0 };
}

int slot_begin(struct gpu *g, struct slot *s, struct status *st)
{
    int rc = 0;
    assert(!s->open);
    TRY(slot_open(g, s, st));
    TRY(slot_wait(g, s, st));
    VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = s->again ? 0 : (VkCommandBufferUsageFlags)VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    VK(vkBeginCommandBuffer(s->commands, &begin));
    s->open = true;
    s->operators = 0;
    s->flops = 0;
out:
    return rc;
}

static int failed(struct gpu *g, const struct slot *s, VkResult result, const char *doing, struct status *st)
{
    g->hung = g->hung || result == VK_TIMEOUT;
    g->lost = g->lost || g->hung || result == VK_ERROR_DEVICE_LOST;
    return status_fail(st, vk_rc(result), "%s: %s while %s %zu operator%s, the last %s", g->info.name,
                       vk_text(result), doing, s->operators, s->operators == 1 ? "" : "s", s->last);
}

int slot_submit(struct gpu *g, struct slot *s, struct status *st)
{
    int rc = 0;
    assert(s->open);
    s->open = false;
    TRY(device_check(g, st));
    VkMemoryBarrier2 to_host = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
        .srcStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT,
        .srcAccessMask = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT,
        .dstStageMask = VK_PIPELINE_STAGE_2_HOST_BIT,
        .dstAccessMask = VK_ACCESS_2_HOST_READ_BIT,
    };
    VkDependencyInfo barrier = {
        .sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO,
        .memoryBarrierCount = 1,
        .pMemoryBarriers = &to_host,
    };
    vkCmdPipelineBarrier2(s->commands, &barrier);
    VK(vkEndCommandBuffer(s->commands));
    TRY(slot_start(g, s, st));
out:
    return rc;
}

int slot_start(struct gpu *g, struct slot *s, struct status *st)
{
    int rc = 0;
    assert(!s->open && !s->flying);
    VkCommandBufferSubmitInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
        .commandBuffer = s->commands,
    };
    VkSubmitInfo2 submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
        .commandBufferInfoCount = 1,
        .pCommandBufferInfos = &commands,
    };
    VkResult sent = vkQueueSubmit2(g->queue, 1, &submit, s->fence);
    if (sent != VK_SUCCESS) {
        rc = failed(g, s, sent, "submitting", st);
        goto out;
    }
    s->flying = true;
out:
    return rc;
}

int slot_wait(struct gpu *g, struct slot *s, struct status *st)
{
    int rc = 0;
    if (!s->flying)
        goto out;
    TRY(device_check(g, st));
    VkResult waited = vkWaitForFences(g->device, 1, &s->fence, VK_TRUE, g->timeout_s * 1000000000u);
    if (waited != VK_SUCCESS) {
        rc = failed(g, s, waited, "running", st);
        goto out;
    }
    s->flying = false;
    VK(vkResetFences(g->device, 1, &s->fence));
out:
    return rc;
}

int record_open(struct gpu *g, struct status *st)
{
    int rc = 0;
    VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = g->family,
    };
    VK(vkCreateCommandPool(g->device, &pool, NULL, &g->pool));
out:
    return rc;
}

void record_close(struct gpu *g)
{
    for (size_t i = 0; i < SLOTS; i++)
        slot_close(g, &g->slots[i]);
    for (size_t i = 0; i < STAGING_SLOTS; i++)
        slot_close(g, &g->transfers[i]);
    vkDestroyCommandPool(g->device, g->pool, NULL);
}

static size_t slot_pending(const struct slot *s)
{
    return s->open || s->flying ? s->operators : 0;
}

size_t record_pending(const struct gpu *g)
{
    size_t n = 0;
    const struct recording *r = g->recording;
    for (size_t i = 0; i < SLOTS; i++)
        n += slot_pending(&g->slots[i]);
    for (size_t i = 0; r && i < RECORDING_SLOTS; i++)
        n += slot_pending(&r->slots[i]);
    return n;
}

/* The one to record into. */
static struct slot *slot_now(struct gpu *g)
{
    struct recording *r = g->recording;
    return r && r->n < RECORDING_SLOTS ? &r->slots[r->n] : &g->slots[g->slot];
}

/* Starts what was recorded; what follows goes into the next slot. */
static int slot_next(struct gpu *g, struct status *st)
{
    int rc = 0;
    struct recording *r = g->recording;
    TRY(slot_submit(g, slot_now(g), st));
    if (r && r->n < RECORDING_SLOTS)
        r->n++;
    else
        g->slot = (g->slot + 1) % SLOTS;
out:
    return rc;
}

int record_begin(struct gpu *g, const char *text, uint64_t flops, VkCommandBuffer *out, struct status *st)
{
    int rc = 0;
    const struct slot *full = slot_now(g);
    if (full->open && full->operators > 0 &&
        (full->flops >= g->flops_max || flops > g->flops_max - full->flops))
        TRY(slot_next(g, st));
    struct slot *s = slot_now(g);
    if (!s->open)
        TRY(slot_begin(g, s, st));
    s->flops = flops > UINT64_MAX - s->flops ? UINT64_MAX : s->flops + flops;
    snprintf(s->last, sizeof s->last, "%s", text);
    *out = s->commands;
out:
    return rc;
}

int record_end(struct gpu *g, struct status *st)
{
    int rc = 0;
    struct slot *s = slot_now(g);
    const VkPipelineStageFlags2 stages =
        VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
    VkMemoryBarrier2 next = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
        .srcStageMask = stages,
        .srcAccessMask = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT,
        .dstStageMask = stages,
        .dstAccessMask = VK_ACCESS_2_SHADER_STORAGE_READ_BIT | VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT |
                         VK_ACCESS_2_TRANSFER_READ_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT,
    };
    VkDependencyInfo barrier = {
        .sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO,
        .memoryBarrierCount = 1,
        .pMemoryBarriers = &next,
    };
    vkCmdPipelineBarrier2(s->commands, &barrier);
    g->operators++;
    if (++s->operators >= g->split || s->flops >= g->flops_max)
        TRY(slot_next(g, st));
out:
    return rc;
}

uint64_t gpu_operators(const struct gpu *g)
{
    return g->operators;
}

int gpu_submit(struct gpu *g, struct status *st)
{
    int rc = 0;
    struct recording *r = g->recording;
    TRY(device_check(g, st));
    if (slot_now(g)->open)
        TRY(slot_next(g, st));
    for (size_t i = 0; r && i < r->n; i++) /* the oldest first, so that a message names the first to fail */
        TRY(slot_wait(g, &r->slots[i], st));
    for (size_t i = 0; i < SLOTS; i++)
        TRY(slot_wait(g, &g->slots[(g->slot + i) % SLOTS], st));
    g->recording = NULL;
    memory_bury(g);
out:
    return rc;
}
