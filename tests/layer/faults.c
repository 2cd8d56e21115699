/* A Vulkan layer that lets the Nth call fail, for tests/cli/faults.sh. It stands between the loader and the
 * driver:
 *
 *     VK_LAYER_PATH=<build>/layer VK_INSTANCE_LAYERS=VK_LAYER_LETHE_faults
 *     LETHE_FAULTS=CALL:N:RESULT[,...]     N counts from 1, all devices of the process together
 *     LETHE_FAULTS_LEFT=BYTES              what VK_EXT_memory_budget tells to be left of every heap
 *     LETHE_FAULTS_LOG=FILE                gets a line for each call: name, number, bytes or operators
 *
 *     CALL    submit, wait, allocate, pipeline
 *     RESULT  lost            the device is lost, and stays so: every later call says it too
 *             hang            of a submission: it never ends, its fence and later ones stay unsignalled; of a
 *                             wait: no fence answers from here on. What waits without a limit waits for ever
 *             device-memory   VK_ERROR_OUT_OF_DEVICE_MEMORY, once
 *             host-memory     VK_ERROR_OUT_OF_HOST_MEMORY, once
 *
 * A program has one device and one thread that calls it, as lethe has: nothing here is locked. */
#define VK_NO_PROTOTYPES
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum call { SUBMIT, WAIT, ALLOCATE, PIPELINE, CALLS };
enum { HUNG_MAX = 64 };

static const char *const CALL_NAMES[CALLS] = { "submit", "wait", "allocate", "pipeline" };
static uint64_t counts[CALLS];
static VkDevice the_device;
static bool lost, hung, waits_hang;
static VkFence fences_hung[HUNG_MAX];
static uint32_t fences_hung_n;

/* The next layer's or the driver's functions. */
static struct {
    PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr;
    PFN_vkGetDeviceProcAddr vkGetDeviceProcAddr;
    PFN_vkGetPhysicalDeviceMemoryProperties2 vkGetPhysicalDeviceMemoryProperties2;
    PFN_vkDestroyDevice vkDestroyDevice;
    PFN_vkDeviceWaitIdle vkDeviceWaitIdle;
    PFN_vkQueueWaitIdle vkQueueWaitIdle;
    PFN_vkQueueSubmit vkQueueSubmit;
    PFN_vkQueueSubmit2 vkQueueSubmit2;
    PFN_vkWaitForFences vkWaitForFences;
    PFN_vkAllocateMemory vkAllocateMemory;
    PFN_vkCreateComputePipelines vkCreateComputePipelines;
} next;

/* ---- faults ---- */

/* The result that LETHE_FAULTS has for this call, else VK_SUCCESS. */
static VkResult planted(enum call call)
{
    const char *at = getenv("LETHE_FAULTS");
    while (at && *at) {
        char name[16], result[16];
        uint64_t n;
        if (sscanf(at, "%15[a-z]:%" SCNu64 ":%15[a-z-]", name, &n, result) != 3) {
            fprintf(stderr, "LETHE_FAULTS: cannot read '%s'\n", at);
            abort();
        }
        if (strcmp(name, CALL_NAMES[call]) == 0 && n == counts[call]) {
            if (strcmp(result, "lost") == 0)
                return VK_ERROR_DEVICE_LOST;
            if (strcmp(result, "hang") == 0)
                return VK_TIMEOUT;
            if (strcmp(result, "host-memory") == 0)
                return VK_ERROR_OUT_OF_HOST_MEMORY;
            if (strcmp(result, "device-memory") == 0)
                return VK_ERROR_OUT_OF_DEVICE_MEMORY;
            fprintf(stderr, "LETHE_FAULTS: no result '%s'\n", result);
            abort();
        }
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
    return VK_SUCCESS;
}

/* Counts a call and says what becomes of it: VK_SUCCESS, and the driver shall do it. */
static VkResult arrive(enum call call, uint64_t amount)
{
    const char *log = getenv("LETHE_FAULTS_LOG");
    FILE *f = log ? fopen(log, "a") : NULL;
    counts[call]++;
    if (f) {
        fprintf(f, "%s %" PRIu64 " %" PRIu64 "\n", CALL_NAMES[call], counts[call], amount);
        fclose(f);
    }
    if (lost)
        return VK_ERROR_DEVICE_LOST;
    const VkResult result = planted(call);
    if (result == VK_ERROR_DEVICE_LOST) { /* which runs nothing any more */
        lost = true;
        (void)next.vkDeviceWaitIdle(the_device);
    }
    return result;
}

static void wait_for_ever(void)
{
    for (;;)
        pause();
}

static void fence_hang(VkFence fence)
{
    if (fence && fences_hung_n < HUNG_MAX)
        fences_hung[fences_hung_n++] = fence;
}

/* ---- calls ---- */

/* true: the submission goes on to the driver. */
static bool submission(uint64_t buffers, VkFence fence, VkResult *result)
{
    *result = arrive(SUBMIT, buffers);
    if (*result == VK_TIMEOUT)
        hung = true;
    if (hung) {
        fence_hang(fence);
        *result = VK_SUCCESS;
        return false;
    }
    return *result == VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL faults_vkQueueSubmit(VkQueue queue, uint32_t n,
                                                           const VkSubmitInfo *submits, VkFence fence)
{
    VkResult result;
    return submission(n, fence, &result) ? next.vkQueueSubmit(queue, n, submits, fence) : result;
}

static VKAPI_ATTR VkResult VKAPI_CALL faults_vkQueueSubmit2(VkQueue queue, uint32_t n,
                                                            const VkSubmitInfo2 *submits, VkFence fence)
{
    VkResult result;
    return submission(n, fence, &result) ? next.vkQueueSubmit2(queue, n, submits, fence) : result;
}

static VKAPI_ATTR VkResult VKAPI_CALL faults_vkWaitForFences(VkDevice device, uint32_t n,
                                                             const VkFence *fences, VkBool32 all,
                                                             uint64_t timeout)
{
    const VkResult result = arrive(WAIT, n);
    waits_hang = waits_hang || result == VK_TIMEOUT;
    bool never = waits_hang;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < fences_hung_n; k++)
            never = never || fences[i] == fences_hung[k];
    if (result != VK_SUCCESS && result != VK_TIMEOUT)
        return result;
    if (!never)
        return next.vkWaitForFences(device, n, fences, all, timeout);
    if (timeout == UINT64_MAX)
        wait_for_ever();
    nanosleep(&(struct timespec){ .tv_sec = (time_t)(timeout / 1000000000u),
                                  .tv_nsec = (long)(timeout % 1000000000u) },
              NULL);
    return VK_TIMEOUT;
}

static VKAPI_ATTR VkResult VKAPI_CALL faults_vkAllocateMemory(VkDevice device,
                                                              const VkMemoryAllocateInfo *info,
                                                              const VkAllocationCallbacks *host,
                                                              VkDeviceMemory *out)
{
    const VkResult result = arrive(ALLOCATE, info->allocationSize);
    return result == VK_SUCCESS ? next.vkAllocateMemory(device, info, host, out) : result;
}

static VKAPI_ATTR VkResult VKAPI_CALL faults_vkCreateComputePipelines(
    VkDevice device, VkPipelineCache cache, uint32_t n, const VkComputePipelineCreateInfo *infos,
    const VkAllocationCallbacks *host, VkPipeline *out)
{
    const VkResult result = arrive(PIPELINE, n);
    if (result == VK_SUCCESS)
        return next.vkCreateComputePipelines(device, cache, n, infos, host, out);
    for (uint32_t i = 0; i < n; i++)
        out[i] = VK_NULL_HANDLE;
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL faults_vkDeviceWaitIdle(VkDevice device)
{
    if (hung || waits_hang)
        wait_for_ever();
    return lost ? VK_ERROR_DEVICE_LOST : next.vkDeviceWaitIdle(device);
}

static VKAPI_ATTR VkResult VKAPI_CALL faults_vkQueueWaitIdle(VkQueue queue)
{
    if (hung || waits_hang)
        wait_for_ever();
    return lost ? VK_ERROR_DEVICE_LOST : next.vkQueueWaitIdle(queue);
}

static VKAPI_ATTR void VKAPI_CALL faults_vkDestroyDevice(VkDevice device, const VkAllocationCallbacks *host)
{
    if (hung || waits_hang)
        wait_for_ever();
    next.vkDestroyDevice(device, host);
}

static VKAPI_ATTR void VKAPI_CALL
faults_vkGetPhysicalDeviceMemoryProperties2(VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties2 *out)
{
    const char *left = getenv("LETHE_FAULTS_LEFT");
    next.vkGetPhysicalDeviceMemoryProperties2(physical, out);
    for (VkBaseOutStructure *s = out->pNext; left && s; s = s->pNext) {
        if (s->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT)
            continue;
        VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget = (VkPhysicalDeviceMemoryBudgetPropertiesEXT *)s;
        for (uint32_t i = 0; i < VK_MAX_MEMORY_HEAPS; i++)
            budget->heapBudget[i] = budget->heapUsage[i] + strtoull(left, NULL, 10);
    }
}

/* ---- the chain of layers ---- */

static VKAPI_ATTR VkResult VKAPI_CALL faults_vkCreateInstance(const VkInstanceCreateInfo *info,
                                                              const VkAllocationCallbacks *host,
                                                              VkInstance *out)
{
    VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO &&
                     link->function == VK_LAYER_LINK_INFO))
        link = (VkLayerInstanceCreateInfo *)link->pNext;
    if (!link)
        return VK_ERROR_INITIALIZATION_FAILED;
    next.vkGetInstanceProcAddr = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext; /* the next layer looks here */
    PFN_vkCreateInstance create =
        (PFN_vkCreateInstance)next.vkGetInstanceProcAddr(VK_NULL_HANDLE, "vkCreateInstance");
    const VkResult made = create(info, host, out);
    if (made == VK_SUCCESS)
        next.vkGetPhysicalDeviceMemoryProperties2 =
            (PFN_vkGetPhysicalDeviceMemoryProperties2)next.vkGetInstanceProcAddr(
                *out, "vkGetPhysicalDeviceMemoryProperties2");
    return made;
}

static VKAPI_ATTR VkResult VKAPI_CALL faults_vkCreateDevice(VkPhysicalDevice physical,
                                                            const VkDeviceCreateInfo *info,
                                                            const VkAllocationCallbacks *host, VkDevice *out)
{
    VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO &&
                     link->function == VK_LAYER_LINK_INFO))
        link = (VkLayerDeviceCreateInfo *)link->pNext;
    if (!link)
        return VK_ERROR_INITIALIZATION_FAILED;
    next.vkGetDeviceProcAddr = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    PFN_vkCreateDevice create =
        (PFN_vkCreateDevice)link->u.pLayerInfo->pfnNextGetInstanceProcAddr(VK_NULL_HANDLE, "vkCreateDevice");
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    const VkResult made = create(physical, info, host, out);
    if (made != VK_SUCCESS)
        return made;
#define NEXT(name) next.name = (PFN_##name)next.vkGetDeviceProcAddr(*out, #name)
    NEXT(vkDestroyDevice);
    NEXT(vkDeviceWaitIdle);
    NEXT(vkQueueWaitIdle);
    NEXT(vkQueueSubmit);
    NEXT(vkQueueSubmit2);
    NEXT(vkWaitForFences);
    NEXT(vkAllocateMemory);
    NEXT(vkCreateComputePipelines);
#undef NEXT
    the_device = *out;
    lost = hung = waits_hang = false;
    fences_hung_n = 0;
    return VK_SUCCESS;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL faults_vkGetDeviceProcAddr(VkDevice device, const char *name);

static PFN_vkVoidFunction own(const char *name)
{
    static const struct {
        const char *name;
        PFN_vkVoidFunction call;
    } OWN[] = {
#define OWN(name) { #name, (PFN_vkVoidFunction)faults_##name }
        OWN(vkCreateInstance),
        OWN(vkCreateDevice),
        OWN(vkGetPhysicalDeviceMemoryProperties2),
        OWN(vkGetDeviceProcAddr),
        OWN(vkDestroyDevice),
        OWN(vkDeviceWaitIdle),
        OWN(vkQueueWaitIdle),
        OWN(vkQueueSubmit),
        OWN(vkQueueSubmit2),
        { "vkQueueSubmit2KHR", (PFN_vkVoidFunction)faults_vkQueueSubmit2 },
        OWN(vkWaitForFences),
        OWN(vkAllocateMemory),
        OWN(vkCreateComputePipelines),
#undef OWN
    };
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
        if (strcmp(OWN[i].name, name) == 0)
            return OWN[i].call;
    return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL faults_vkGetDeviceProcAddr(VkDevice device, const char *name)
{
    const PFN_vkVoidFunction mine = own(name);
    return mine ? mine : next.vkGetDeviceProcAddr(device, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL faults_vkGetInstanceProcAddr(VkInstance instance,
                                                                             const char *name)
{
    const PFN_vkVoidFunction mine = strcmp(name, "vkGetInstanceProcAddr") == 0
                                        ? (PFN_vkVoidFunction)faults_vkGetInstanceProcAddr
                                        : own(name);
    return mine ? mine : next.vkGetInstanceProcAddr(instance, name);
}

__attribute__((visibility("default"))) VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *version)
{
    if (version->loaderLayerInterfaceVersion < 2)
        return VK_ERROR_INITIALIZATION_FAILED;
    version->loaderLayerInterfaceVersion = 2;
    version->pfnGetInstanceProcAddr = faults_vkGetInstanceProcAddr;
    version->pfnGetDeviceProcAddr = faults_vkGetDeviceProcAddr;
    version->pfnGetPhysicalDeviceProcAddr = NULL;
    return VK_SUCCESS;
}
