/* Failure as a value: a code that programs branch on, and one sentence that people read.
 *
 * Whatever can fail returns 0 or a negative enum rc, and takes the caller's `struct status *st` last. st may
 * be NULL. The first failure recorded in a status stays; later ones are mostly its echo. A caller that knows
 * a name the callee did not (a path, a suite) puts it in front with status_prefix.
 */
#ifndef LETHE_BASE_STATUS_H
#define LETHE_BASE_STATUS_H

#define MUST_USE       __attribute__((warn_unused_result))
#define PRINTF_LIKE(n) __attribute__((format(printf, n, (n) + 1)))

enum rc {
    RC_OK = 0,
    RC_NOMEM = -1,       /* no memory, on host or device */
    RC_IO = -2,          /* the system refused to open, read or write */
    RC_FORMAT = -3,      /* bytes that their format does not allow */
    RC_LIMIT = -4,       /* allowed by the format, over a limit that a header names */
    RC_ARG = -5,         /* a request that makes no sense */
    RC_DEVICE = -6,      /* Vulkan refused or the device is lost */
    RC_UNSUPPORTED = -7, /* makes sense, and this build or device cannot do it */
    RC_VERIFY = -8,      /* checked, and false */
    RC_INTERRUPTED = -9, /* stopped on request; what is on disk is whole */
};

struct status {
    int rc;
    char msg[512];
};

/* Records rc with its sentence, unless st is NULL or holds a failure already. Returns rc. */
int status_fail(struct status *st, enum rc rc, const char *fmt, ...) PRINTF_LIKE(3);

/* "<context>: <sentence>" from now on. Without a recorded failure nothing happens. */
void status_prefix(struct status *st, const char *fmt, ...) PRINTF_LIKE(2);

/* The exit code that docs/formats/verify.md gives to rc: 0, 1 (RC_VERIFY), 130 (RC_INTERRUPTED) or 2. */
int status_exit(int rc);

/* Both want `int rc = 0;` above and one cleanup block labelled `out:` below. */
#define TRY(call)                                                                                            \
    do {                                                                                                     \
        rc = (call);                                                                                         \
        if (rc != 0)                                                                                         \
            goto out;                                                                                        \
    } while (0)
#define FAIL(st, code, ...)                                                                                  \
    do {                                                                                                     \
        rc = status_fail((st), (code), __VA_ARGS__);                                                         \
        goto out;                                                                                            \
    } while (0)

#endif
