/* run/events.jsonl: every event has a row in one table of its keys, read strictly. */
#include "reports/documents.h"

#include "base/alloc.h"
#include "base/file.h"
#include "reports/fields.h"

#include <inttypes.h>
#include <string.h>

enum event_type { EV_END, EV_TEXT, EV_COUNT, EV_FLOAT, EV_HASH, EV_TEXTS, EV_TEXT_MAYBE };

struct event_key {
    const char *key;
    enum event_type type;
};
struct event_rule {
    const char *name;
    struct event_key keys[10]; /* ends with EV_END */
};

/* docs/formats/archive.md, events */
static const struct event_rule event_rules[] = {
    { "start", { { "plan", EV_HASH }, { "tool", EV_TEXT }, { "argv", EV_TEXTS } } },
    { "device",
      { { "name", EV_TEXT },
        { "driver", EV_TEXT },
        { "memory_bytes", EV_COUNT },
        { "features", EV_TEXTS } } },
    { "zero",
      { { "suite", EV_TEXT },
        { "side", EV_TEXT },
        { "items", EV_COUNT },
        { "tokens", EV_COUNT },
        { "ms", EV_FLOAT },
        { "flips", EV_COUNT },
        { "ll_max", EV_FLOAT } } },
    { "score",
      { { "suite", EV_TEXT },
        { "side", EV_TEXT },
        { "items", EV_COUNT },
        { "tokens", EV_COUNT },
        { "ms", EV_FLOAT } } },
    { "import", { { "suite", EV_TEXT }, { "side", EV_TEXT }, { "items", EV_COUNT }, { "sha256", EV_HASH } } },
    { "step",
      { { "step", EV_COUNT },
        { "loss", EV_FLOAT },
        { "lr", EV_FLOAT },
        { "grad_norm", EV_FLOAT },
        { "tokens", EV_COUNT },
        { "supervised", EV_COUNT },
        { "ms", EV_FLOAT } } },
    { "monitor",
      { { "step", EV_COUNT }, { "suite", EV_TEXT }, { "value", EV_FLOAT }, { "drop", EV_FLOAT } } },
    { "checkpoint", { { "step", EV_COUNT }, { "sha256", EV_HASH } } },
    { "resume", { { "step", EV_COUNT }, { "sha256", EV_HASH } } },
    { "warning", { { "code", EV_TEXT }, { "text", EV_TEXT } } },
    { "end", { { "outcome", EV_TEXT }, { "why", EV_TEXT_MAYBE } } },
};

static const struct event_rule *rule_find(const char *name)
{
    for (size_t i = 0; i < sizeof event_rules / sizeof *event_rules; i++)
        if (strcmp(event_rules[i].name, name) == 0)
            return &event_rules[i];
    return NULL;
}

static int key_read(const struct json *o, const struct event_key *k, struct status *st)
{
    const char *text;
    uint64_t count;
    struct hash h;
    const struct json *value;
    int rc;
    switch (k->type) {
    case EV_TEXT:
        return json_get_text(o, k->key, &text, st);
    case EV_COUNT:
        return field_u64(o, k->key, &count, st);
    case EV_FLOAT:
        return json_get(o, k->key, JSON_NUMBER, &value, st);
    case EV_HASH:
        return field_hash(o, k->key, &h, st);
    case EV_TEXTS:
        rc = json_get(o, k->key, JSON_ARRAY, &value, st);
        for (const struct json *e = rc == 0 ? json_first(value) : NULL; e; e = json_next(e))
            if (!json_text(e))
                return status_fail(st, RC_FORMAT, "key '%s': an element is no string", k->key);
        return rc;
    case EV_TEXT_MAYBE:
        return field_text_maybe(o, k->key, &text, st);
    case EV_END:
        break;
    }
    return 0;
}

static int event_read(struct json *o, struct doc_event *out, struct status *st)
{
    int rc = 0;
    static const char *const outcomes[] = { "complete", "stopped", "failed", NULL };
    const char *keys[16] = { "seq", "t", "event" };
    size_t n = 3;
    const struct event_rule *rule;
    TRY(json_get_text(o, "event", &out->name, st));
    rule = rule_find(out->name);
    if (!rule)
        FAIL(st, RC_FORMAT, "key 'event': no event '%.40s'", out->name);
    for (const struct event_key *k = rule->keys; k->type != EV_END; k++)
        keys[n++] = k->key;
    TRY(json_only(o, keys, st));
    TRY(json_get_text(o, "t", &out->t, st));
    if (!time_is_valid(out->t))
        FAIL(st, RC_FORMAT, "key 't': '%.40s' is no time", out->t);
    for (const struct event_key *k = rule->keys; k->type != EV_END; k++)
        TRY(key_read(o, k, st));
    if (strcmp(out->name, "end") == 0) {
        const char *word;
        TRY(field_word(o, "outcome", outcomes, &word, st));
    }
    out->root = o;
out:
    return rc;
}

static int event_add(struct doc_events *e, const char *line, size_t n, struct status *st)
{
    int rc = 0;
    struct json *o = NULL;
    struct doc_event event = { 0 };
    uint64_t seq;
    TRY(json_parse(line, n, &o, st));
    if (json_type(o) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "not an object");
    TRY(event_read(o, &event, st));
    TRY(field_u64(o, "seq", &seq, st));
    if (seq != e->n)
        FAIL(st, RC_VERIFY, "seq %" PRIu64 ", wanted %zu", seq, e->n);
    TRY(mem_grow(&e->events, e->n, &e->cap, sizeof *e->events, st));
    e->events[e->n++] = event;
    o = NULL;
out:
    json_free(o);
    return rc;
}

int doc_events_parse(const char *data, size_t size, struct doc_events *out, struct status *st)
{
    int rc = 0;
    struct doc_events e = { 0 };
    struct lines lines = { .data = data, .size = size };
    struct status broken = { 0 };
    const char *line;
    size_t n;
    while (lines_next(&lines, &line, &n, &broken))
        if ((rc = event_add(&e, line, n, st)) != 0) {
            status_prefix(st, "line %zu", lines.number);
            goto out;
        }
    if (broken.rc != 0)
        FAIL(st, broken.rc, "%s", broken.msg);
    if (e.n == 0 || strcmp(e.events[0].name, "start") != 0)
        FAIL(st, RC_VERIFY, "the first event is not 'start'");
    if (strcmp(e.events[e.n - 1].name, "end") != 0)
        FAIL(st, RC_VERIFY, "the last event is not 'end'");
    *out = e;
    e = (struct doc_events){ 0 };
out:
    doc_events_release(&e);
    return rc;
}

void doc_events_release(struct doc_events *e)
{
    for (size_t i = 0; i < e->n; i++)
        json_free(e->events[i].root);
    mem_free(e->events);
    *e = (struct doc_events){ 0 };
}
