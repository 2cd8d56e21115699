#include "base/event.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int event_send(struct event_sink *sink, const char *name, const struct str *keys, struct status *st)
{
    int rc = keys ? str_check(keys, st) : 0;
    if (rc || !sink || !sink->take)
        return rc;
    struct event e = { .name = name, .keys = keys ? str_text(keys) : "" };
    return sink->take(sink->self, &e, st);
}

void event_progress(struct event_sink *sink, const char *what, uint64_t done, uint64_t total)
{
    if (sink && sink->progress)
        sink->progress(sink->self, what, done, total);
}

int event_warn(struct event_sink *sink, struct status *st, const char *code, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct str keys = { 0 };
    str_puts(&keys, ",\"code\":");
    str_json_string(&keys, code, strlen(code));
    str_puts(&keys, ",\"text\":");
    str_json_string(&keys, text, strlen(text));
    int rc = event_send(sink, "warning", &keys, st);
    str_release(&keys);
    return rc;
}
