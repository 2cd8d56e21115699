#include "gpu/launch.h"

#include "base/alloc.h"
#include "base/file.h"
#include "gpu/vk.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(SANITIZED) || defined(LETHE_VALIDATE)
static const bool STAYS = true;
#else
static const bool STAYS = false;
#endif

/* Holds the id of the process that was started again: whatever else goes wrong, that is done once. A process
 * that is started by this one has another id. */
static const char ONCE[] = "LETHE_LAUNCHED";

/* What a driver asks for. */
struct loader {
    char ld[PATH_MAX], libraries[2 * PATH_MAX];
};

/* Under ld.so, /proc/self/exe is ld.so. The map that holds this very code always names the program. */
int launch_program(struct str *out, struct status *st)
{
    int rc = 0;
    char *line = NULL;
    size_t cap = 0;
    bool found = false;
    const uintptr_t here = (uintptr_t)&launch_program;
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps)
        FAIL(st, RC_IO, "/proc/self/maps: %s", strerror(errno));
    while (!found && getline(&line, &cap, maps) > 0) {
        uintptr_t from = 0, to = 0;
        int path = 0;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %*s %n", &from, &to, &path) == 2 &&
            from <= here && here < to && path && line[path] == '/') {
            str_clear(out);
            str_add(out, line + path, strcspn(line + path, "\n"));
            found = true;
        }
    }
    if (!found)
        FAIL(st, RC_IO, "/proc/self/maps: the file of this program is not there");
    TRY(str_check(out, st));
out:
    free(line); /* getline's own */
    if (maps)
        fclose(maps);
    return rc;
}

/* What the kernel started: the program, or an ld.so. */
static bool is_started(const char *path)
{
    char started[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", started, sizeof started - 1);
    if (n <= 0)
        return false;
    started[n] = 0;
    return strcmp(started, path) == 0;
}

int launch_image(struct str *out, struct status *st)
{
    int rc = 0;
    TRY(launch_program(out, st));
    if (is_started(str_text(out))) {
        str_clear(out);
        str_puts(out, "/proc/self/exe");
    }
    TRY(str_check(out, st));
out:
    return rc;
}

static bool is_running(const char *ld)
{
    char wanted[PATH_MAX];
    return realpath(ld, wanted) && is_started(wanted);
}

static bool line_take(const char **text, char *out, size_t cap)
{
    const size_t n = strcspn(*text, "\n");
    if (n == 0 || n >= cap || **text != '/')
        return false;
    memcpy(out, *text, n);
    out[n] = 0;
    *text += n + ((*text)[n] == '\n');
    return true;
}

/* *wanted: whether a loader stands beside the driver's file. */
static int loader_find(const char *driver_file, bool *wanted, struct loader *out, struct status *st)
{
    int rc = 0;
    struct str path = { 0 }, text = { 0 }, libc = { 0 };
    const char *slash = strrchr(driver_file, '/');
    *wanted = false;
    str_add(&path, driver_file, slash ? (size_t)(slash - driver_file) + 1 : 0);
    str_puts(&path, "loader");
    TRY(str_check(&path, st));
    if (!path_exists(driver_file) || !path_exists(str_text(&path)))
        goto out;
    *wanted = true;
    TRY(file_read(str_text(&path), sizeof *out, &text, st));
    const char *at = str_text(&text);
    if (!line_take(&at, out->ld, sizeof out->ld) || !line_take(&at, out->libraries, sizeof out->libraries))
        FAIL(st, RC_FORMAT, "%s: two lines with absolute paths are wanted", str_text(&path));
    /* An ld.so that finds another libc.so.6 than its own ends the program with a message of its own. */
    str_add(&libc, out->libraries, strcspn(out->libraries, ":"));
    str_puts(&libc, "/libc.so.6");
    TRY(str_check(&libc, st));
    if (access(out->ld, X_OK) != 0 || !path_exists(str_text(&libc)))
        FAIL(st, RC_IO, "%s: no C library at %s", str_text(&path), out->ld);
out:
    str_release(&path);
    str_release(&text);
    str_release(&libc);
    return rc;
}

bool launch_serves(const char *driver_file)
{
    struct loader loader;
    bool wanted;
    const int rc = loader_find(driver_file, &wanted, &loader, NULL);
    return !wanted || (rc == 0 && is_running(loader.ld));
}

/* The system's drivers offer something better than a software driver. */
static bool system_has_device(void)
{
    struct instance instance = { 0 };
    VkPhysicalDevice devices[DEVICES_MAX];
    uint32_t n = 0;
    bool found = false;
    if (instance_open(NULL, &instance, devices, &n, NULL) == 0)
        found = instance_has_hardware(devices, n);
    instance_close(&instance);
    return found;
}

/* Does not return when it works. */
static int start(const struct loader *loader, char **argv, struct status *st)
{
    int rc = 0;
    struct str program = { 0 };
    char **args = NULL, id[24];
    size_t n = 0, at = 0;
    assert(argv[0]);
    TRY(launch_program(&program, st));
    if (!path_exists(str_text(&program)))
        FAIL(st, RC_IO, "%s: not there any more", str_text(&program));
    while (argv[n])
        n++;
    args = mem_calloc(n + 6, sizeof *args);
    if (!args)
        FAIL(st, RC_NOMEM, "no memory to start again");
    const char *front[] = { loader->ld,       "--argv0",         argv[0],
                            "--library-path", loader->libraries, str_text(&program) };
    for (; at < sizeof front / sizeof *front; at++)
        args[at] = (char *)(uintptr_t)front[at]; /* execv's own type: it changes none of them */
    memcpy(args + at, argv + 1, (n - 1) * sizeof *args);
    snprintf(id, sizeof id, "%ld", (long)getpid());
    if (setenv(ONCE, id, 1) != 0)
        FAIL(st, RC_NOMEM, "no memory to start again");
    execv(loader->ld, args);
    rc = status_fail(st, RC_IO, "%s: %s", loader->ld, strerror(errno));
    unsetenv(ONCE);
out:
    mem_free(args);
    str_release(&program);
    return rc;
}

int launch_driver(char **argv, const char *driver_file, struct status *st)
{
    int rc = 0;
    struct str program = { 0 };
    struct loader loader;
    bool wanted;
    const char *once = getenv(ONCE), *validation = getenv("LETHE_VALIDATION");
    if (once && strtol(once, NULL, 10) == getpid()) {
        unsetenv(ONCE);
        if (launch_program(&program, NULL) == 0)
            prctl(PR_SET_NAME, path_name(str_text(&program))); /* or process lists show ld.so */
        goto out;
    }
    if (STAYS || (validation && strcmp(validation, "1") == 0))
        goto out;
    const char *set = getenv("VK_DRIVER_FILES");
    if (!set)
        set = getenv("VK_ICD_FILENAMES");
    const char *file = set ? set : driver_file;
    if (!file || strchr(file, ':'))
        goto out;
    TRY(loader_find(file, &wanted, &loader, st));
    if (wanted && !is_running(loader.ld) && (set || !system_has_device()))
        TRY(start(&loader, argv, st));
out:
    str_release(&program);
    return rc;
}
