/* What a run has to say while it runs: records of docs/formats 5.5, drawn by the cli and kept in
 * events.jsonl. */
#ifndef LETHE_BASE_EVENT_H
#define LETHE_BASE_EVENT_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

/* One event: its name, and the keys that follow as finished JSON text, ",\"step\":3,\"loss\":2.5" or "". */
struct event {
    const char *name;
    const char *keys;
};

/* A sink takes every event in order. NULL sink or NULL function: silence. */
struct event_sink {
    void *self;
    int (*take)(void *self, const struct event *e, struct status *st);
    /* Progress for people; never written down. done of total in `unit` ("items", "steps"). May be NULL. */
    void (*progress)(void *self, const char *what, uint64_t done, uint64_t total);
};
MUST_USE int event_send(struct event_sink *sink, const char *name, const struct str *keys, struct status *st);
void event_progress(struct event_sink *sink, const char *what, uint64_t done, uint64_t total);
MUST_USE int event_warn(struct event_sink *sink, struct status *st, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
