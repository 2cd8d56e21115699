#include "gpu/vk.h"

#include "base/alloc.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a device is and can do ---- */

static const char *vendor_name(uint32_t id)
{
    static const struct {
        uint32_t id;
        const char *name;
    } VENDORS[] = {
        { 0x1002, "AMD" },      { 0x10DE, "NVIDIA" },   { 0x8086, "Intel" },  { 0x13B5, "ARM" },
        { 0x5143, "Qualcomm" }, { 0x106B, "Apple" },    { 0x1AE0, "Google" }, { 0x1010, "Imagination" },
        { 0x144D, "Samsung" },  { 0x14E4, "Broadcom" }, { 0x10005, "Mesa" },
    };
    for (size_t i = 0; i < sizeof VENDORS / sizeof *VENDORS; i++)
        if (VENDORS[i].id == id)
            return VENDORS[i].name;
    return "unknown";
}

static const char *type_name(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return "cpu";
    default:
        return "other";
    }
}

static int type_rank(const char *type)
{
    static const char *const ORDER[] = { "cpu", "other", "virtual", "integrated", "discrete" };
    for (int i = 0; i < 5; i++)
        if (strcmp(type, ORDER[i]) == 0)
            return i;
    return 0;
}

static void features_get(VkPhysicalDevice physical, struct features *out)
{
    *out = (struct features){ 0 };
    out->f13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;
    out->f12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    out->f11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    out->f.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    out->f12.pNext = &out->f13;
    out->f11.pNext = &out->f12;
    out->f.pNext = &out->f11;
    vkGetPhysicalDeviceFeatures2(physical, &out->f);
}

static bool extension_is_there(VkPhysicalDevice physical, const char *name)
{
    bool found = false;
    uint32_t n = 0;
    if (vkEnumerateDeviceExtensionProperties(physical, NULL, &n, NULL) != VK_SUCCESS)
        return false;
    VkExtensionProperties *list = mem_calloc(n, sizeof *list);
    if (list && vkEnumerateDeviceExtensionProperties(physical, NULL, &n, list) >= VK_SUCCESS)
        for (uint32_t i = 0; i < n && !found; i++)
            found = strcmp(list[i].extensionName, name) == 0;
    mem_free(list);
    return found;
}

struct properties {
    VkPhysicalDeviceVulkan13Properties p13;
    VkPhysicalDeviceVulkan12Properties p12;
    VkPhysicalDeviceVulkan11Properties p11;
    VkPhysicalDeviceProperties2 p;
};

static void properties_get(VkPhysicalDevice physical, struct properties *out)
{
    *out = (struct properties){ 0 };
    out->p13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES;
    out->p12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
    out->p11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
    out->p.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    out->p12.pNext = &out->p13;
    out->p11.pNext = &out->p12;
    out->p.pNext = &out->p11;
    vkGetPhysicalDeviceProperties2(physical, &out->p);
}

/* An extension counts only when its feature is on: some drivers list it always. */
static bool coop_feature(VkPhysicalDevice physical)
{
    if (!extension_is_there(physical, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME))
        return false;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coop = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
    };
    VkPhysicalDeviceFeatures2 f = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &coop };
    vkGetPhysicalDeviceFeatures2(physical, &f);
    return coop.cooperativeMatrix;
}

/* The first shape that multiplies f16 to f32, in blocks of shaders/matmul.coop.comp. */
static bool coop_shape(VkPhysicalDevice physical, uint32_t sides[3])
{
    enum { SHAPES_MAX = 128 };
    VkCooperativeMatrixPropertiesKHR all[SHAPES_MAX] = { 0 };
    const PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR list =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)vkGetInstanceProcAddr(
            volkGetLoadedInstance(), "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    uint32_t n = SHAPES_MAX;
    for (uint32_t i = 0; i < n; i++)
        all[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (!list || list(physical, &n, all) < VK_SUCCESS)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const VkCooperativeMatrixPropertiesKHR *c = &all[i];
        if (c->AType == VK_COMPONENT_TYPE_FLOAT16_KHR && c->BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
            c->CType == VK_COMPONENT_TYPE_FLOAT32_KHR && c->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
            c->scope == VK_SCOPE_SUBGROUP_KHR && COOP_SIDE % c->MSize == 0 && COOP_SIDE % c->NSize == 0 &&
            COOP_DEEP % c->KSize == 0) {
            sides[0] = c->MSize;
            sides[1] = c->NSize;
            sides[2] = c->KSize;
            return true;
        }
    }
    return false;
}

/* Shaders with such matrices are of the Vulkan memory model. Mesa's software driver says yes at 16 lanes too,
 * and crashes in the first such pipeline. */
static bool coop_is_there(VkPhysicalDevice physical, const struct properties *p, const struct features *f,
                          uint32_t sides[3])
{
    const bool crashes = p->p12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE && p->p13.maxSubgroupSize > 8;
    return !crashes && f->f12.shaderFloat16 && f->f12.vulkanMemoryModel && coop_feature(physical) &&
           coop_shape(physical, sides);
}

static const char *refusal(const struct properties *p, const struct features *f)
{
    const VkSubgroupFeatureFlags needed = VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    if (!f->f12.bufferDeviceAddress)
        return "bufferDeviceAddress";
    if (!f->f12.scalarBlockLayout)
        return "scalarBlockLayout";
    if (!(p->p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) ||
        (p->p11.subgroupSupportedOperations & needed) != needed)
        return "subgroup ballot and arithmetic in compute";
    if (!f->f13.synchronization2)
        return "synchronization2";
    if (!f->f13.maintenance4)
        return "maintenance4";
    return NULL;
}

static void version_write(uint32_t v, char out[16])
{
    snprintf(out, 16, "%u.%u.%u", VK_API_VERSION_MAJOR(v), VK_API_VERSION_MINOR(v), VK_API_VERSION_PATCH(v));
}

/* The largest heap that buffers would come from. */
static uint64_t heap_bytes(VkPhysicalDevice physical)
{
    VkPhysicalDeviceMemoryProperties m;
    uint64_t most = 0;
    vkGetPhysicalDeviceMemoryProperties(physical, &m);
    for (uint32_t i = 0; i < m.memoryHeapCount; i++)
        if ((m.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && m.memoryHeaps[i].size > most)
            most = m.memoryHeaps[i].size;
    return most;
}

static void info_get(VkPhysicalDevice physical, struct gpu_info *out)
{
    *out = (struct gpu_info){ 0 };
    VkPhysicalDeviceProperties first;
    vkGetPhysicalDeviceProperties(physical, &first);
    snprintf(out->name, sizeof out->name, "%s", first.deviceName);
    snprintf(out->vendor, sizeof out->vendor, "%s", vendor_name(first.vendorID));
    snprintf(out->type, sizeof out->type, "%s", type_name(first.deviceType));
    version_write(first.apiVersion, out->vulkan);
    out->memory_bytes = heap_bytes(physical);
    if (first.apiVersion < VK_API_VERSION_1_3) { /* the structs below would mean nothing to it */
        out->refused = "Vulkan 1.3";
        return;
    }
    struct properties p;
    struct features f;
    properties_get(physical, &p);
    features_get(physical, &f);
    snprintf(out->driver, sizeof out->driver, "%s", p.p12.driverName);
    snprintf(out->driver_version, sizeof out->driver_version, "%.63s", p.p12.driverInfo);
    out->lanes_min = p.p13.minSubgroupSize;
    out->lanes_max = p.p13.maxSubgroupSize;
    out->f16 = f.f11.storageBuffer16BitAccess && f.f12.shaderFloat16;
    out->int8 = f.f12.storageBuffer8BitAccess && f.f12.shaderInt8;
    out->int64 = f.f.features.shaderInt64;
    out->coop = coop_is_there(physical, &p, &f, out->coop_sides);
    out->refused = refusal(&p, &f);
}

/* ---- the list, and the choice ---- */

int gpu_list(const struct gpu_choice *choice, struct gpu_info *out, size_t cap, size_t *n, struct status *st)
{
    int rc = 0;
    struct instance instance = { 0 };
    VkPhysicalDevice devices[DEVICES_MAX];
    uint32_t found = 0;
    TRY(instance_open(choice, &instance, devices, &found, st));
    size_t count = found < cap ? found : cap;
    for (size_t i = 0; i < count; i++)
        info_get(devices[i], &out[i]);
    *n = count;
out:
    instance_close(&instance);
    return rc;
}

static bool name_holds(const char *name, const char *part)
{
    size_t n = strlen(part);
    for (; *name; name++) {
        size_t i = 0;
        while (i < n && name[i] && tolower((unsigned char)name[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

/* Sets *pick to the device that `wanted` (a number, or a part of the name) says; the first fit counts. */
static int device_find(const struct gpu_info *infos, uint32_t n, const char *wanted, uint32_t *pick,
                       struct status *st)
{
    int rc = 0;
    char *end = NULL;
    unsigned long number = strtoul(wanted, &end, 10);
    uint32_t i = 0;
    if (isdigit((unsigned char)*wanted) && *end == 0) {
        i = number < n ? (uint32_t)number : n;
    } else {
        while (i < n && !name_holds(infos[i].name, wanted))
            i++;
    }
    if (i == n)
        FAIL(st, RC_UNSUPPORTED, "no device \"%.80s\" among the %" PRIu32 " of this system", wanted, n);
    if (infos[i].refused)
        FAIL(st, RC_UNSUPPORTED, "%s: lacks %s", infos[i].name, infos[i].refused);
    *pick = i;
out:
    return rc;
}

static int device_best(const struct gpu_info *infos, uint32_t n, uint32_t *pick, struct status *st)
{
    int rc = 0, best = -1;
    for (uint32_t i = 0; i < n; i++) {
        if (!infos[i].refused && type_rank(infos[i].type) > best) {
            best = type_rank(infos[i].type);
            *pick = i;
        }
    }
    if (best < 0)
        FAIL(st, RC_UNSUPPORTED, "%s: lacks %s", infos[0].name, infos[0].refused);
out:
    return rc;
}

static int device_pick(struct gpu *g, const struct gpu_choice *choice, const VkPhysicalDevice *devices,
                       uint32_t n, struct status *st)
{
    int rc = 0;
    struct gpu_info *infos = mem_calloc(DEVICES_MAX, sizeof *infos);
    const char *wanted = choice && choice->device ? choice->device : getenv("LETHE_DEVICE");
    uint32_t pick = 0;
    if (!infos)
        FAIL(st, RC_NOMEM, "no memory for the list of devices");
    if (n == 0)
        FAIL(st, RC_UNSUPPORTED, "no Vulkan device: no driver on this system offers one");
    for (uint32_t i = 0; i < n; i++)
        info_get(devices[i], &infos[i]);
    if (wanted && *wanted)
        TRY(device_find(infos, n, wanted, &pick, st));
    else
        TRY(device_best(infos, n, &pick, st));
    g->physical = devices[pick];
    g->info = infos[pick];
out:
    mem_free(infos);
    return rc;
}

/* ---- opening ---- */

/* What is required, and of the rest what is there. The last four of the 1.2 features and 64-bit integers also
 * serve the GPU-assisted part of the validation layer. */
static void features_ask(const struct features *have, struct features *ask)
{
    *ask = (struct features){ 0 };
    ask->f13.sType = have->f13.sType;
    ask->f12.sType = have->f12.sType;
    ask->f11.sType = have->f11.sType;
    ask->f.sType = have->f.sType;
    ask->f12.pNext = &ask->f13;
    ask->f11.pNext = &ask->f12;
    ask->f.pNext = &ask->f11;
    ask->f13.synchronization2 = ask->f13.maintenance4 = VK_TRUE;
    ask->f13.subgroupSizeControl = have->f13.subgroupSizeControl;
    ask->f13.computeFullSubgroups = have->f13.computeFullSubgroups;
    ask->f13.shaderIntegerDotProduct = have->f13.shaderIntegerDotProduct;
    ask->f12.bufferDeviceAddress = ask->f12.scalarBlockLayout = VK_TRUE;
    ask->f12.shaderFloat16 = have->f12.shaderFloat16;
    ask->f12.shaderInt8 = have->f12.shaderInt8;
    ask->f12.storageBuffer8BitAccess = have->f12.storageBuffer8BitAccess;
    ask->f12.timelineSemaphore = have->f12.timelineSemaphore;
    ask->f12.vulkanMemoryModel = have->f12.vulkanMemoryModel;
    ask->f12.vulkanMemoryModelDeviceScope = have->f12.vulkanMemoryModelDeviceScope;
    ask->f11.storageBuffer16BitAccess = have->f11.storageBuffer16BitAccess;
    ask->f.features.shaderInt64 = have->f.features.shaderInt64;
    ask->f.features.shaderInt16 = have->f.features.shaderInt16;
}

static int family_find(struct gpu *g, struct status *st)
{
    VkQueueFamilyProperties families[16];
    uint32_t n = sizeof families / sizeof *families;
    vkGetPhysicalDeviceQueueFamilyProperties(g->physical, &n, families);
    for (uint32_t i = 0; i < n; i++) {
        if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) {
            g->family = i;
            return 0;
        }
    }
    return status_fail(st, RC_UNSUPPORTED, "%s: lacks a compute queue", g->info.name);
}

static int device_make(struct gpu *g, struct status *st)
{
    int rc = 0;
    struct features have, ask;
    features_get(g->physical, &have);
    features_ask(&have, &ask);
    TRY(family_find(g, st));
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = g->family,
        .queueCount = 1,
        .pQueuePriorities = &(float){ 1 },
    };
    const char *const extensions[] = { VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME };
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coop = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .pNext = &ask.f,
        .cooperativeMatrix = VK_TRUE,
    };
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = g->info.coop ? (void *)&coop : &ask.f,
        .enabledExtensionCount = g->info.coop,
        .ppEnabledExtensionNames = extensions,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
    };
    VK(vkCreateDevice(g->physical, &info, NULL, &g->device));
    volkLoadDevice(g->device);
    vkGetDeviceQueue(g->device, g->family, 0, &g->queue);
    struct properties p;
    properties_get(g->physical, &p);
    vkGetPhysicalDeviceMemoryProperties(g->physical, &g->types);
    g->budget = extension_is_there(g->physical, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    g->full_subgroups = have.f13.computeFullSubgroups;
    g->allocation_max = p.p11.maxMemoryAllocationSize;
    if (p.p13.maxBufferSize < g->allocation_max)
        g->allocation_max = p.p13.maxBufferSize;
    unsigned mesa = 0;
    g->straight = p.p12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE &&
                  sscanf(p.p12.driverInfo, "Mesa %u", &mesa) == 1 && mesa >= 26;
    memcpy(g->driver_key, p.p11.driverUUID, VK_UUID_SIZE);
    memcpy(&g->driver_key[2], p.p.properties.pipelineCacheUUID, VK_UUID_SIZE);
out:
    return rc;
}

/* A GPU that drives a screen is reset by its system when one submission takes seconds; a CPU is not. On the
 * smallest GPUs, of 50 GFLOP/s, this is 0.2 s. */
static const uint64_t SUBMIT_FLOPS = 10000000000u;

static void patience_set(struct gpu *g)
{
    const bool cpu = strcmp(g->info.type, "cpu") == 0;
    const char *asked = getenv("LETHE_TIMEOUT");
    const char *flops = getenv("LETHE_SUBMIT_FLOPS");
    g->split = cpu ? 4096 : 256;
    g->flops_max = flops ? strtoull(flops, NULL, 10) : 0;
    if (g->flops_max == 0)
        g->flops_max = cpu ? UINT64_MAX : SUBMIT_FLOPS;
    g->timeout_s = asked ? strtoul(asked, NULL, 10) : 0;
    if (g->timeout_s == 0)
        g->timeout_s = cpu ? 3600 : 120;
}

int gpu_open(const struct gpu_choice *choice, struct gpu **out, struct status *st)
{
    int rc = 0;
    VkPhysicalDevice devices[DEVICES_MAX];
    uint32_t n = 0;
    struct gpu *g = mem_calloc(1, sizeof *g);
    if (!g)
        FAIL(st, RC_NOMEM, "no memory for the device");
    TRY(instance_open(choice, &g->instance, devices, &n, st));
    TRY(device_pick(g, choice, devices, n, st));
    TRY(device_make(g, st));
    g->bytes_max = g->info.memory_bytes;
    patience_set(g);
    TRY(record_open(g, st));
    TRY(memory_open(g, st));
    TRY(ops_open(g, st));
    TRY(variants_open(g, st)); /* what it takes is free again */
    if (choice && choice->bytes_max && choice->bytes_max < g->bytes_max)
        g->bytes_max = choice->bytes_max;
    *out = g;
    g = NULL;
out:
    gpu_close(g);
    return rc;
}

/* Devices that hang, with all that they hold: left to the end of the process. */
static struct gpu *left_behind;

void gpu_close(struct gpu *g)
{
    if (!g)
        return;
    if (g->hung) {
        g->left_behind = left_behind;
        left_behind = g;
        return;
    }
    if (g->device) {
        if (!g->lost)
            (void)vkDeviceWaitIdle(g->device);
        ops_close(g);
        memory_close(g);
        record_close(g);
        vkDestroyDevice(g->device, NULL);
    }
    instance_close(&g->instance);
    mem_free(g->used);
    mem_free(g);
}

const struct gpu_info *gpu_get_info(const struct gpu *g)
{
    return &g->info;
}

size_t gpu_validation_errors(const struct gpu *g, const char **first)
{
    if (first)
        *first = g->instance.first;
    return g->instance.errors;
}
