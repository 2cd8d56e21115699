#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int status_fail(struct status *st, enum rc rc, const char *fmt, ...)
{
    if (st && st->rc == 0) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(st->msg, sizeof st->msg, fmt, args);
        va_end(args);
        st->rc = rc;
    }
    return rc;
}

void status_prefix(struct status *st, const char *fmt, ...)
{
    if (!st || st->rc == 0)
        return;
    struct status old = *st;
    va_list args;
    va_start(args, fmt);
    int used = vsnprintf(st->msg, sizeof st->msg, fmt, args);
    va_end(args);
    if (used < 0 || (size_t)used + 3 > sizeof st->msg) /* when both do not fit, the end is what goes */
        return;
    size_t room = sizeof st->msg - (size_t)used;
    snprintf(st->msg + used, room, ": %.*s", (int)(room - 3), old.msg);
}

int status_exit(int rc)
{
    switch (rc) {
    case RC_OK:
        return 0;
    case RC_VERIFY:
        return 1;
    case RC_INTERRUPTED:
        return 130;
    default:
        return 2;
    }
}
