/* The loader and the instance: which drivers are there, and what must be in the environment before they
 * open. */
#define VOLK_IMPLEMENTATION
#include "gpu/vk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char LAYER[] = "VK_LAYER_KHRONOS_validation";

const char *vk_text(VkResult result)
{
    switch ((int)result) {
    case VK_NOT_READY:
        return "not ready";
    case VK_TIMEOUT:
        return "no answer in time";
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "out of device memory";
    case VK_ERROR_INITIALIZATION_FAILED:
        return "initialisation failed";
    case VK_ERROR_DEVICE_LOST:
        return "the device is lost";
    case VK_ERROR_MEMORY_MAP_FAILED:
        return "memory cannot be mapped";
    case VK_ERROR_LAYER_NOT_PRESENT:
        return "layer not present";
    case VK_ERROR_EXTENSION_NOT_PRESENT:
        return "extension not present";
    case VK_ERROR_FEATURE_NOT_PRESENT:
        return "feature not present";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return "no driver";
    case VK_ERROR_TOO_MANY_OBJECTS:
        return "too many objects";
    case VK_ERROR_INVALID_SHADER_NV:
        return "the driver refuses the shader";
    default:
        return "an unknown error";
    }
}

enum rc vk_rc(VkResult result)
{
    return result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ? RC_NOMEM
                                                                                            : RC_DEVICE;
}

static bool validation_wanted(void)
{
#ifdef LETHE_VALIDATE
    return true;
#else
    const char *asked = getenv("LETHE_VALIDATION");
    return asked && strcmp(asked, "1") == 0;
#endif
}

static bool layer_is_there(void)
{
    VkLayerProperties layers[64];
    uint32_t n = sizeof layers / sizeof *layers;
    VkResult got = vkEnumerateInstanceLayerProperties(&n, layers);
    if (got != VK_SUCCESS && got != VK_INCOMPLETE)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(layers[i].layerName, LAYER) == 0)
            return true;
    return false;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL message_take(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                   VkDebugUtilsMessageTypeFlagsEXT types,
                                                   const VkDebugUtilsMessengerCallbackDataEXT *data,
                                                   void *user)
{
    struct instance *i = user;
    (void)severity;
    (void)types;
    if (i->errors++ == 0)
        snprintf(i->first, sizeof i->first, "%s", data->pMessage ? data->pMessage : "");
    return VK_FALSE;
}

/* lavapipe takes its vector width from the environment when it opens, 256 bits where nothing is said. */
static void width_set(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        (void)setenv("LP_NATIVE_VECTOR_WIDTH", "512", 0);
#endif
}

static VkResult instance_make(struct instance *out)
{
    VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = message_take,
        .pUserData = out,
    };
    VkApplicationInfo app = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "lethe",
        .apiVersion = VK_API_VERSION_1_3,
    };
    const bool validate = validation_wanted() && layer_is_there();
    const char *layers[] = { LAYER };
    const char *extensions[] = { VK_EXT_DEBUG_UTILS_EXTENSION_NAME };
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = validate ? &messenger : NULL,
        .pApplicationInfo = &app,
        .enabledLayerCount = validate,
        .ppEnabledLayerNames = layers,
        .enabledExtensionCount = validate,
        .ppEnabledExtensionNames = extensions,
    };
    VkResult made = vkCreateInstance(&info, NULL, &out->handle);
    if (made != VK_SUCCESS) {
        out->handle = VK_NULL_HANDLE;
        return made;
    }
    volkLoadInstance(out->handle);
    if (validate && vkCreateDebugUtilsMessengerEXT)
        made = vkCreateDebugUtilsMessengerEXT(out->handle, &messenger, NULL, &out->messenger);
    return made;
}

void instance_close(struct instance *i)
{
    if (!i->handle)
        return;
    if (i->messenger)
        vkDestroyDebugUtilsMessengerEXT(i->handle, i->messenger, NULL);
    vkDestroyInstance(i->handle, NULL);
    i->handle = VK_NULL_HANDLE;
    i->messenger = VK_NULL_HANDLE;
}

/* No driver at all and a driver without a device are the same answer: *n is 0. */
static int instance_try(struct instance *out, VkPhysicalDevice *devices, uint32_t *n, struct status *st)
{
    int rc = 0;
    *n = 0;
    VkResult made = instance_make(out);
    if (made == VK_ERROR_INCOMPATIBLE_DRIVER)
        goto out;
    if (made != VK_SUCCESS)
        FAIL(st, vk_rc(made), "vkCreateInstance: %s", vk_text(made));
    uint32_t found = DEVICES_MAX;
    VkResult listed = vkEnumeratePhysicalDevices(out->handle, &found, devices);
    if (listed == VK_SUCCESS || listed == VK_INCOMPLETE)
        *n = found;
    else if (listed != VK_ERROR_INITIALIZATION_FAILED)
        FAIL(st, vk_rc(listed), "vkEnumeratePhysicalDevices: %s", vk_text(listed));
out:
    return rc;
}

bool instance_has_hardware(const VkPhysicalDevice *devices, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        VkPhysicalDeviceProperties properties;
        vkGetPhysicalDeviceProperties(devices[i], &properties);
        if (properties.deviceType != VK_PHYSICAL_DEVICE_TYPE_CPU)
            return true;
    }
    return false;
}

/* The offered driver instead of the system's; these again when it has no device. */
static int offered_try(const char *driver_file, struct instance *out, VkPhysicalDevice *devices, uint32_t *n,
                       struct status *st)
{
    int rc = 0;
    instance_close(out);
    if (setenv("VK_DRIVER_FILES", driver_file, 1) != 0)
        FAIL(st, RC_NOMEM, "no memory for the path of the driver");
    TRY(instance_try(out, devices, n, st));
    if (*n == 0) {
        instance_close(out);
        (void)unsetenv("VK_DRIVER_FILES");
        TRY(instance_try(out, devices, n, st));
    }
out:
    return rc;
}

int instance_open(const struct gpu_choice *choice, struct instance *out, VkPhysicalDevice *devices,
                  uint32_t *n, struct status *st)
{
    int rc = 0;
    width_set();
    if (volkInitialize() != VK_SUCCESS)
        FAIL(st, RC_UNSUPPORTED, "no Vulkan loader (libvulkan.so.1) on this system");
    TRY(instance_try(out, devices, n, st));
    /* The user's own choice of drivers, even of none, is kept. */
    if (choice && choice->driver_file && !getenv("VK_DRIVER_FILES") && !getenv("VK_ICD_FILENAMES") &&
        !instance_has_hardware(devices, *n))
        TRY(offered_try(choice->driver_file, out, devices, n, st));
out:
    if (rc != 0)
        instance_close(out);
    return rc;
}
