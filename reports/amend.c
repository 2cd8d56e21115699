/* What may be added to an archive or taken out of it: signatures, approvals, lines. */
#include "reports/pack.h"

#include "base/alloc.h"
#include "base/file.h"
#include "reports/dsse.h"
#include "reports/fields.h"
#include "reports/lines.h"

#include <inttypes.h>
#include <string.h>

int pack_plan_sign(struct bytes plan, const struct key_secret *key, struct str *out, struct status *st)
{
    int rc = 0;
    struct dsse envelope = { 0 };
    TRY(dsse_init(DSSE_TYPE_PLAN, plan, &envelope, st));
    TRY(dsse_sign(&envelope, key, st));
    TRY(dsse_write(&envelope, out, st));
    TRY(str_check(out, st));
out:
    dsse_release(&envelope);
    return rc;
}

static int archive_load(const char *path, struct container *out, struct status *st)
{
    const struct container_filter all = { .bytes_max = CONTAINER_EXPANDED_BYTES_MAX };
    return container_load(path, &all, out, st);
}

static struct bytes bytes_of(const struct container_member *m)
{
    return (struct bytes){ str_text(&m->data), m->data.size };
}

int pack_sign(const char *archive, const char *out_path, const struct key_secret *key, struct status *st)
{
    int rc = 0;
    struct container c = { 0 };
    struct dsse envelope = { 0 };
    struct str text = { 0 };
    TRY(archive_load(archive, &c, st));
    struct container_member *m = members_find(&c, "dsse.json"),
                            *statement = members_find(&c, "statement.json");
    if (!m || !statement)
        FAIL(st, RC_FORMAT, "%s: no %s in it", archive, m ? "statement.json" : "dsse.json");
    TRY(dsse_parse(bytes_of(m), DSSE_TYPE_STATEMENT, &envelope, st));
    if (envelope.payload.size != statement->data.size ||
        memcmp(str_text(&envelope.payload), str_text(&statement->data), statement->data.size) != 0)
        FAIL(st, RC_VERIFY, "%s: dsse.json is not over statement.json", archive);
    TRY(dsse_sign(&envelope, key, st));
    TRY(dsse_write(&envelope, &text, st));
    TRY(str_check(&text, st));
    str_release(&m->data);
    m->data = text;
    text = (struct str){ 0 };
    TRY(members_write(&c, out_path, st));
out:
    dsse_release(&envelope);
    str_release(&text);
    container_release(&c);
    return rc;
}

static int approval_envelope(const struct approval *a, const struct key_secret *key, struct str *out,
                             struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct dsse envelope = { 0 };
    TRY(approval_write(a, &text, st));
    TRY(dsse_init(DSSE_TYPE_APPROVAL, (struct bytes){ text.data, text.size }, &envelope, st));
    TRY(dsse_sign(&envelope, key, st));
    TRY(dsse_write(&envelope, out, st));
    TRY(str_check(out, st));
out:
    dsse_release(&envelope);
    str_release(&text);
    return rc;
}

int pack_approve(const char *archive, const char *out_path, const struct key_secret *key,
                 const struct approval *a, struct status *st)
{
    enum { APPROVALS_MAX = 16 };
    int rc = 0;
    size_t approvals = 0;
    struct container c = { 0 };
    struct approval filled = *a;
    struct str name = { 0 }, text = { 0 };
    struct hash id = key_id(key_secret_public(key));
    str_printf(&name, "approvals/%.16s.dsse.json", hash_hex(&id).s);
    TRY(str_check(&name, st));
    TRY(archive_load(archive, &c, st));
    const struct container_member *statement = members_find(&c, "statement.json");
    if (!statement)
        FAIL(st, RC_FORMAT, "%s: no statement.json in it", archive);
    for (size_t i = 0; i < c.n; i++)
        approvals += strncmp(c.members[i].name, "approvals/", 10) == 0;
    if (members_find(&c, str_text(&name)))
        FAIL(st, RC_ARG, "%s: this key has approved already", archive);
    if (approvals >= APPROVALS_MAX)
        FAIL(st, RC_LIMIT, "%s: %d approvals are there, no more fit", archive, APPROVALS_MAX);
    filled.statement = sha256_of(statement->data.data, statement->data.size);
    TRY(approval_envelope(&filled, key, &text, st));
    TRY(members_add(&c, str_text(&name), &text, st));
    members_sort(&c);
    TRY(members_write(&c, out_path, st));
out:
    str_release(&name);
    str_release(&text);
    container_release(&c);
    return rc;
}

/* ---- withheld lines ---- */

struct withholding {
    struct container c;
    struct line_marks *marks; /* [c.n]; a member without a tree has no lines here */
};

static struct line_marks *marks_find(struct withholding *w, const char *name)
{
    for (size_t i = 0; i < w->c.n; i++)
        if (w->marks[i].member && strcmp(w->c.members[i].name, name) == 0)
            return &w->marks[i];
    return NULL;
}

static void mark(struct line_marks *l, uint64_t i)
{
    if (l && i < l->n)
        l->gone[i] = true;
}

/* An output's equals on the other sides: equal text gives equal lines. */
static void mark_equals(struct withholding *w, const char *suite, const struct line_marks *from, uint64_t i)
{
    struct str name = { 0 };
    for (enum member m = MEMBER_OUTPUTS_BASE; m <= MEMBER_OUTPUTS_ZERO; m++) {
        str_clear(&name);
        member_write_name(m, suite, &name);
        struct line_marks *l = marks_find(w, str_text(&name));
        if (l && i < l->n && l->sizes[i] == from->sizes[i] &&
            memcmp(l->lines[i], from->lines[i], l->sizes[i]) == 0)
            mark(l, i);
    }
    str_release(&name);
}

/* Whether a ledger row is of item i of the suite. */
static bool token_is_of(const char *line, size_t n, const char *suite, uint64_t i)
{
    struct json *row = NULL;
    bool is = false;
    if (json_parse(line, n, &row, NULL) == 0) {
        const char *text = json_text(json_find(row, "suite"));
        const struct json *at = json_find(row, "i");
        is = text && at && strcmp(text, suite) == 0 && json_is_int(at) && json_int(at) == (int64_t)i;
    }
    json_free(row);
    return is;
}

/* Everything that holds the text of an item. */
static void mark_item(struct withholding *w, const char *suite, uint64_t i)
{
    struct str name = { 0 };
    for (enum member m = MEMBER_OUTPUTS_BASE; m <= MEMBER_OUTPUTS_ZERO; m++) {
        str_clear(&name);
        member_write_name(m, suite, &name);
        mark(marks_find(w, str_text(&name)), i);
    }
    struct line_marks *tokens = marks_find(w, "evidence/tokens.jsonl");
    for (size_t k = 0; tokens && k < tokens->n; k++)
        if (!tokens->gone[k] && token_is_of(tokens->lines[k], tokens->sizes[k], suite, i))
            tokens->gone[k] = true;
    str_release(&name);
}

static int range_mark(struct withholding *w, const struct pack_range *r, struct status *st)
{
    struct member_name id;
    struct line_marks *l = marks_find(w, r->member);
    if (!l || !member_find(r->member, &id))
        return status_fail(st, RC_ARG, "'%.100s' is no member whose lines can be withheld", r->member);
    if (r->first > r->last || r->last >= l->n)
        return status_fail(st, RC_ARG, "%s: lines %" PRIu64 " to %" PRIu64 ", it has 0 to %zu", r->member,
                           r->first, r->last, l->n ? l->n - 1 : 0);
    for (uint64_t i = r->first; i <= r->last; i++) {
        mark(l, i);
        if (id.member == MEMBER_PROBES)
            mark_item(w, id.suite, i);
        else if (id.member >= MEMBER_OUTPUTS_BASE && id.member <= MEMBER_OUTPUTS_ZERO)
            mark_equals(w, id.suite, l, i);
    }
    return 0;
}

int pack_withhold(const char *archive, const char *out_path, const struct pack_range *ranges, size_t n,
                  struct status *st)
{
    int rc = 0;
    struct withholding w = { 0 };
    TRY(archive_load(archive, &w.c, st));
    w.marks = mem_calloc(w.c.n, sizeof *w.marks);
    if (!w.marks)
        FAIL(st, RC_NOMEM, "no memory for lines");
    for (size_t i = 0; i < w.c.n; i++) {
        struct member_name id;
        if (member_find(w.c.members[i].name, &id) && member_rule(id.member)->tree)
            TRY(line_marks_open(&w.c.members[i], &w.marks[i], st));
    }
    for (size_t i = 0; i < n; i++)
        TRY(range_mark(&w, &ranges[i], st));
    for (size_t i = 0; i < w.c.n; i++)
        if (w.marks[i].member)
            TRY(line_marks_apply(&w.marks[i], st));
    TRY(members_write(&w.c, out_path, st));
out:
    for (size_t i = 0; w.marks && i < w.c.n; i++)
        line_marks_close(&w.marks[i]);
    mem_free(w.marks);
    container_release(&w.c);
    return rc;
}
