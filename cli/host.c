#include "cli/host.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What follows the first colon behind `key` in a file of /proc, up to the end of the line. */
static int value_read(const char *path, const char *key, char *out, size_t n)
{
    struct str text = { 0 };
    const char *at = NULL;
    size_t i = 0;
    if (file_read(path, 1 << 24, &text, NULL) == 0)
        at = strstr(str_text(&text), key);
    at = at ? strchr(at, ':') : NULL;
    for (at = at ? at + 1 + strspn(at + 1, " \t") : ""; i + 1 < n && at[i] && at[i] != '\n'; i++)
        out[i] = at[i];
    out[i] = 0;
    str_release(&text);
    return i > 0 ? 0 : -1;
}

void host_cpu(char *out, size_t n)
{
    if (value_read("/proc/cpuinfo", "\nmodel name", out, n) != 0)
        snprintf(out, n, "unknown");
}

int64_t host_cores(void)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 0;
}

uint64_t host_most_bytes(void)
{
    char text[64];
    uint64_t kib = 0;
    if (value_read("/proc/self/status", "\nVmHWM", text, sizeof text) != 0 ||
        sscanf(text, "%" SCNu64, &kib) != 1)
        return 0;
    return kib * 1024;
}
