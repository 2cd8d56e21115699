/* For sanitized tests. When a Vulkan driver is unloaded, what it had stored in its own globals is no longer
 * reachable and is reported as our leak. So nothing is unloaded. */
#include <dlfcn.h>

int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
