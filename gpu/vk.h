/* Private to gpu/: only this and gpu/vk_coop.h name Vulkan. Other folders see gpu/device.h and gpu/op.h. */
#ifndef LETHE_GPU_VK_H
#define LETHE_GPU_VK_H

#include "gpu/device.h"
#include "gpu/op.h"
#include "gpu/recording.h"
#include "gpu/vk_coop.h"

#include <string.h>

enum {
    DEVICES_MAX = 16,
    SLOTS = 4,
    RECORDING_SLOTS = 64,
    STAGING_SLOTS = 2,
    STAGING_BYTES = 8 << 20,
    ADDRESS_ALIGN = 256
};
/* Of a block of shaders/matmul.coop.comp: sides of the output, and steps of the inner index. */
enum { COOP_SIDE = 64, COOP_DEEP = 32 };

/* What a device can do, as far as we ask. */
struct features {
    VkPhysicalDeviceVulkan13Features f13;
    VkPhysicalDeviceVulkan12Features f12;
    VkPhysicalDeviceVulkan11Features f11;
    VkPhysicalDeviceFeatures2 f;
};

/* A Vulkan instance with what the validation layer said, if it was asked for. It does not move while open. */
struct instance {
    VkInstance handle;
    VkDebugUtilsMessengerEXT messenger;
    size_t errors;
    char first[512]; /* first message */
};

/* One buffer with its memory. */
struct memory {
    struct memory *next;
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint8_t *map;       /* NULL: the host does not see it */
    uint64_t shift;     /* bytes skipped to align the address */
    uint64_t allocated; /* bytes */
};

/* A command buffer, from its first operator until its fence. */
struct slot {
    VkCommandBuffer commands; /* both are made at its first use */
    VkFence fence;
    size_t operators;
    uint64_t flops; /* estimated */
    bool open, flying;
    bool again;     /* it may start more than once */
    char last[160]; /* last operator, with its sizes */
};

/* Slots in the order in which they start. Recorded work beyond them goes into those of the device, and then
 * the recording is not kept. */
struct recording {
    uint64_t key[RECORDING_KEY];
    uint64_t used, changes; /* when it was used last, 0: nothing is kept; gpu.changes then */
    size_t n;               /* slots that started */
    struct slot slots[RECORDING_SLOTS];
};

/* What the push constants hold. */
struct op_push {
    struct op_args args;
    uint32_t groups[2]; /* workgroups of the whole grid */
};
_Static_assert(sizeof(struct op_push) == 120, "lib/op.glsl has the same block; 128 bytes is Vulkan's least");

/* A pipeline, and the next one of the same shader with other constants. */
struct pipeline {
    struct pipeline *next;
    VkPipeline handle;
    uint32_t sizes[8]; /* those that are constants; the others are 0 */
};

struct gpu {
    struct gpu *left_behind; /* the next of those that hang */
    struct instance instance;
    struct gpu_info info;
    VkPhysicalDevice physical;
    VkPhysicalDeviceMemoryProperties types;
    uint64_t allocation_max, driver_key[4];
    bool full_subgroups, ballot, staged;
    bool straight;   /* uniform kernels do without inner loops: STRAIGHT of shaders/lib/uniform.glsl */
    bool lost, hung; /* hung: lost too, and any call to the driver may wait for ever */
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    VkCommandPool pool;

    struct slot slots[SLOTS];
    size_t slot;                 /* being recorded, unless a recording is */
    struct recording *recording; /* being recorded or run again; NULL: none */
    uint64_t changes;            /* of what recordings name */
    uint64_t operators;          /* recorded, of all */
    size_t split, timeout_s;     /* operators of one submission; patience with one */
    uint64_t flops_max; /* floating-point operations of one submission, unless a workgroup has more */

    struct memory *buffers, *graveyard;
    uint64_t bytes_used, bytes_max, allocations; /* bytes_max: of all buffers together */
    uint32_t heap;                               /* that buffers come from */
    bool budget;                                 /* the driver tells what is left of it */
    struct memory *staging;
    struct slot transfers[STAGING_SLOTS];

    struct timer *timer; /* NULL: nothing is timed */

    VkPipelineLayout layout;
    VkPipelineCache cache;
    VkPipelineCreateFlags pipeline_flags; /* 0, or what a test wants to know of pipelines */
    bool cache_grew;
    enum variant variants[OP_COUNT][PASS_COUNT]; /* that op_choose answers */
    struct pipeline *pipelines[OP_COUNT][VARIANT_COUNT][PASS_COUNT];
    struct op_used *used; /* [used_n], sorted by name */
    size_t used_n, used_cap;
};

/* ---- instance.c ---- */
MUST_USE int instance_open(const struct gpu_choice *choice, struct instance *out, VkPhysicalDevice *devices,
                           uint32_t *n, struct status *st);
void instance_close(struct instance *i);
bool instance_has_hardware(const VkPhysicalDevice *devices, uint32_t n); /* any that is not a CPU */

/* ---- record.c ---- */
MUST_USE int record_open(struct gpu *g, struct status *st);
void record_close(struct gpu *g);
/* The command buffer to record one more operator into, of about `flops` floating-point operations: what has
 * been recorded starts first when both are more than one submission may hold. `text` is kept for messages. */
MUST_USE int record_begin(struct gpu *g, const char *text, uint64_t flops, VkCommandBuffer *out,
                          struct status *st);
/* After the operator: later ones see what it wrote. Long recordings start here, in several submissions. */
MUST_USE int record_end(struct gpu *g, struct status *st);
size_t record_pending(const struct gpu *g); /* operators recorded or running */
/* RC_DEVICE: it is lost. */
MUST_USE int device_check(const struct gpu *g, struct status *st);
MUST_USE int slot_begin(struct gpu *g, struct slot *s, struct status *st);
MUST_USE int slot_submit(struct gpu *g, struct slot *s, struct status *st);
MUST_USE int slot_start(struct gpu *g, struct slot *s, struct status *st); /* as it was recorded */
void slot_close(struct gpu *g, struct slot *s);
MUST_USE int slot_wait(struct gpu *g, struct slot *s, struct status *st);

/* ---- memory.c ---- */
MUST_USE int memory_open(struct gpu *g, struct status *st);
void memory_close(struct gpu *g);
void memory_bury(struct gpu *g); /* frees what was given back while work was recorded */

/* ---- cache.c: pipelines between runs, in the user's cache folder. What fails there is no failure ---- */
void cache_open(struct gpu *g);
/* The file of a kind ("variants") for this driver and these shaders; false where there is no home. */
bool cache_path(const struct gpu *g, const char *kind, struct str *out);
bool cache_folder_make(void);
void cache_close(struct gpu *g);

/* ---- variants.c: reads the table of variants, or measures it ---- */
MUST_USE int variants_open(struct gpu *g, struct status *st);
void variants_write(const struct gpu *g, struct str *out);

/* ---- op.c ---- */
MUST_USE int ops_open(struct gpu *g, struct status *st);
void ops_close(struct gpu *g);
void ops_forget(struct gpu *g); /* all pipelines, and that they were used */
struct hash ops_digest(void);   /* of all shaders */
/* Workgroups along x and y of a call, and of the parts that it runs in: the same, unless its work is more
 * than one submission may hold. */
void op_grid(const struct gpu *g, const struct op_call *call, uint32_t groups[2], uint32_t part[2]);
/* The pipeline of a call, made when it is the first of its constants. It stays g's. */
MUST_USE int op_pipeline(struct gpu *g, const struct op_call *call, VkPipeline *out, struct status *st);

/* A sentence for a VkResult. */
const char *vk_text(VkResult result);
/* RC_NOMEM for the two results that say so, else RC_DEVICE. */
enum rc vk_rc(VkResult result);

/* TRY for Vulkan: the sentence names the function. */
#define VK(call)                                                                                             \
    do {                                                                                                     \
        VkResult vk_result = (call);                                                                         \
        if (vk_result != VK_SUCCESS)                                                                         \
            FAIL(st, vk_rc(vk_result), "%.*s: %s", (int)strcspn(#call, "("), #call, vk_text(vk_result));     \
    } while (0)

#endif
