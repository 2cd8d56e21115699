/* The order of the steps, and which exit code wins. */
#include "reports/verify_private.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int text_list_vadd(struct text_list *l, struct status *st, const char *fmt, va_list args)
{
    int rc = 0;
    char text[768];
    vsnprintf(text, sizeof text, fmt, args);
    TRY(mem_grow(&l->items, l->n, &l->cap, sizeof *l->items, st));
    char *copy = mem_calloc(strlen(text) + 1, 1);
    if (!copy)
        FAIL(st, RC_NOMEM, "no memory for a message");
    memcpy(copy, text, strlen(text));
    l->items[l->n++] = copy;
out:
    return rc;
}

int text_list_add(struct text_list *l, struct status *st, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = text_list_vadd(l, st, fmt, args);
    va_end(args);
    return rc;
}

void text_list_release(struct text_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        mem_free(l->items[i]);
    mem_free(l->items);
    *l = (struct text_list){ 0 };
}

int verify_false(struct verification *v, struct status *st, const char *fmt, ...)
{
    if (v->falses.n >= VERIFY_FALSE_MAX)
        return 0; /* enough to know */
    va_list args;
    va_start(args, fmt);
    int rc = text_list_vadd(&v->falses, st, fmt, args);
    va_end(args);
    return rc;
}

int verify_claim(struct verification *v, int rc, const struct status *said, struct status *st)
{
    if (rc == RC_VERIFY)
        return verify_false(v, st, "%s", said->msg);
    if (rc != 0)
        return status_fail(st, rc, "%s", said->msg);
    return 0;
}

struct bytes verify_doc(const struct verification *v, const char *name)
{
    const struct container_member *m = container_find(&v->docs, name);
    return m ? (struct bytes){ str_text(&m->data), m->data.size } : (struct bytes){ 0 };
}

const struct seen_member *verify_member(const struct verification *v, const char *name)
{
    for (size_t i = 0; i < v->members_n; i++)
        if (strcmp(v->members[i].name, name) == 0)
            return &v->members[i];
    return NULL;
}

static int trust_read(struct verification *v, struct status *st)
{
    int rc = 0;
    if (v->options->trust && v->options->keys_n > 0)
        FAIL(st, RC_ARG, "a trust file and single keys exclude each other");
    if (v->options->trust)
        TRY(trust_load(v->options->trust, &v->trust, st));
    else if (v->options->keys_n > 0)
        TRY(trust_of_keys(v->options->keys, v->options->keys_n, &v->trust, st));
    v->has_trust = v->options->trust || v->options->keys_n > 0;
out:
    return rc;
}

static int steps(struct verification *v, struct status *st)
{
    int rc = 0;
    TRY(trust_read(v, st));
    TRY(verify_container(v, st));
    TRY(verify_heads(v, st));
    TRY(verify_envelope(v, st));
    TRY(verify_manifest(v, st));
    if (v->falses.n > 0)
        goto out; /* the rest would describe a file that is not the signed one */
    TRY(verify_documents(v, st));
    TRY(verify_bindings(v, st));
    TRY(verify_evidence(v, st));
    TRY(verify_numbers(v, st));
    TRY(verify_html(v, st));
    TRY(verify_outside(v, st));
    TRY(verify_trusted(v, st));
out:
    return rc;
}

static int exit_of(const struct verification *v, int rc)
{
    if (v->falses.n > 0 || rc == RC_VERIFY)
        return 1;
    if (rc != 0)
        return 2;
    if (v->trust_reason)
        return 4;
    return evidence_exit(v->numbers.outcome);
}

static void verification_release(struct verification *v)
{
    text_list_release(&v->falses);
    text_list_release(&v->unchecked);
    text_list_release(&v->notes);
    for (size_t i = 0; i < v->members_n; i++)
        mem_free(v->members[i].name);
    mem_free(v->members);
    container_release(&v->docs);
    manifest_release(&v->manifest);
    statement_release(&v->statement);
    dsse_release(&v->dsse);
    for (size_t i = 0; i < v->approvals_n; i++) {
        dsse_release(&v->approvals[i].envelope);
        approval_release(&v->approvals[i].approval);
    }
    evidence_numbers_release(&v->numbers);
    evidence_close(&v->evidence); /* before the plan, which lends to it */
    plan_release(&v->plan);
    doc_config_release(&v->config);
    doc_environment_release(&v->environment);
    doc_data_release(&v->data);
    doc_models_release(&v->models);
    doc_events_release(&v->events);
    json_free(v->metrics);
    json_free(v->verdict);
    trust_release(&v->trust);
    str_release(&v->buffer);
    mem_free(v);
}

void verify_archive(const char *path, const struct verify_options *o, struct verify_result *out)
{
    static const struct verify_options none = { 0 };
    struct status st = { 0 };
    struct verification *v = mem_calloc(1, sizeof *v);
    *out = (struct verify_result){ .exit = 2 };
    if (!v) {
        str_puts(&out->last, "not verified: no memory\n");
        str_puts(&out->text, "not verified: no memory\n");
        return;
    }
    v->path = path;
    v->options = o ? o : &none;
    int rc = steps(v, &st);
    out->exit = exit_of(v, rc);
    verify_print(v, out->exit, &st, out);
    verification_release(v);
}

void verify_result_release(struct verify_result *r)
{
    str_release(&r->text);
    str_release(&r->last);
    json_free(r->doc);
    *r = (struct verify_result){ 0 };
}
