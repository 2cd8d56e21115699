#include "gpu/vk.h"

#include "base/alloc.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>

enum { CACHE_BYTES_MAX = 256 << 20 };

/* $XDG_CACHE_HOME/lethe or ~/.cache/lethe; false where there is no home. */
static bool folder_name(struct str *out)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/')
        str_printf(out, "%s/lethe", cache);
    else if (home && *home == '/')
        str_printf(out, "%s/.cache/lethe", home);
    else
        return false;
    return !out->failed;
}

/* A driver or shader that changes takes another file. */
static void file_name(const struct gpu *g, const char *kind, struct str *out)
{
    struct {
        uint64_t driver[4];
        struct hash shaders;
    } key = { .shaders = ops_digest() };
    for (int i = 0; i < 4; i++)
        key.driver[i] = g->driver_key[i];
    struct hash name = sha256_of(&key, sizeof key);
    str_printf(out, "/%s-%.16s", kind, hash_hex(&name).s);
}

bool cache_path(const struct gpu *g, const char *kind, struct str *out)
{
    if (!folder_name(out))
        return false;
    file_name(g, kind, out);
    return !out->failed;
}

bool cache_folder_make(void)
{
    struct str path = { 0 };
    const bool made = folder_name(&path) && dir_make(path.data, NULL) == 0;
    str_release(&path);
    return made;
}

void cache_open(struct gpu *g)
{
    struct str path = { 0 }, bytes = { 0 };
    VkPipelineCacheCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO };
    if (cache_path(g, "pipelines", &path) && path_exists(path.data) &&
        file_read(path.data, CACHE_BYTES_MAX, &bytes, NULL) == 0) {
        info.initialDataSize = bytes.size;
        info.pInitialData = bytes.data;
    }
    if (vkCreatePipelineCache(g->device, &info, NULL, &g->cache) != VK_SUCCESS)
        g->cache = VK_NULL_HANDLE;
    str_release(&path);
    str_release(&bytes);
}

static void cache_save(struct gpu *g)
{
    struct str path = { 0 };
    size_t size = 0;
    uint8_t *bytes = NULL;
    if (!cache_folder_make() || !cache_path(g, "pipelines", &path))
        goto out;
    if (vkGetPipelineCacheData(g->device, g->cache, &size, NULL) != VK_SUCCESS)
        goto out;
    if (size == 0 || size > CACHE_BYTES_MAX)
        goto out;
    bytes = mem_calloc(size, 1);
    if (bytes && vkGetPipelineCacheData(g->device, g->cache, &size, bytes) == VK_SUCCESS)
        if (file_write(path.data, bytes, size, 0644, NULL) != 0)
            goto out; /* a read-only home is no failure */
out:
    mem_free(bytes);
    str_release(&path);
}

void cache_close(struct gpu *g)
{
    if (g->cache && g->cache_grew && !g->lost)
        cache_save(g);
    vkDestroyPipelineCache(g->device, g->cache, NULL);
    g->cache = VK_NULL_HANDLE;
}
