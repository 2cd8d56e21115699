/* The signed statement and approvals of it. */
#include "reports/statement.h"

#include "base/file.h"
#include "reports/fields.h"

#include <string.h>

static const char *const assurances[] = { "self-attested", "independent", NULL };
static const char *const outcomes[] = { "PASS", "FAIL", "INCONCLUSIVE", "INVALID", NULL };
static const char *const forms[] = { "file", "directory", "samples", NULL };
static const char *const kinds[] = { "adapter", "merged", "full", "quantised", "unknown", NULL };

static void subject_push(struct json *list, const char *name, const struct hash *h)
{
    struct json *o = json_object(), *digest = json_object();
    field_put_hash(digest, "sha256", h);
    json_put(o, "digest", digest);
    json_put_text(o, "name", name);
    json_push(list, o);
}

static struct json *predicate_build(const struct statement *s)
{
    struct json *p = json_object(), *verdict = json_object(), *tool = json_object(), *tuned = json_object();
    json_put_text(p, "assurance", s->assurance);
    json_put_text(p, "started", s->started);
    json_put_text(p, "finished", s->finished);
    field_put_hash(p, "plan", &s->plan);
    field_put_hash(p, "metrics", &s->metrics);
    json_put_text(verdict, "outcome", s->outcome);
    field_put_hash(verdict, "sha256", &s->verdict);
    json_put(p, "verdict", verdict);
    json_put_text(tool, "name", s->tool_name);
    json_put_text(tool, "version", s->tool_version);
    json_put_text(tool, "commit", s->tool_commit);
    json_put(p, "tool", tool);
    json_put_text(tuned, "form", s->tuned_form);
    json_put_text(tuned, "kind", s->tuned_kind);
    json_put(p, "tuned", tuned);
    if (s->previous)
        json_put_text(p, "previous", s->previous);
    return p;
}

int statement_write(const struct statement *s, struct str *out, struct status *st)
{
    int rc = 0;
    struct json *root = json_object(), *subjects = json_array();
    json_put_text(root, "_type", STATEMENT_TYPE);
    json_put_text(root, "predicateType", STATEMENT_PREDICATE);
    subject_push(subjects, s->imported ? "base-samples" : "base", &s->base);
    subject_push(subjects, "manifest.json", &s->manifest);
    subject_push(subjects, s->imported ? "tuned-samples" : "tuned", &s->tuned);
    json_put(root, "subject", subjects);
    json_put(root, "predicate", predicate_build(s));
    TRY(json_check(root, st));
    TRY(field_canonical(root, out, st));
out:
    json_free(root);
    return rc;
}

static int subject_read(const struct json *o, const char **name, struct hash *h, struct status *st)
{
    static const char *const keys[] = { "digest", "name", NULL };
    int rc = 0;
    bool has;
    TRY(field_only(o, keys, st));
    TRY(json_get_text(o, "name", name, st));
    TRY(field_digest(o, "digest", &has, h, st));
    if (!has)
        FAIL(st, RC_FORMAT, "key 'digest' is missing");
out:
    return rc;
}

static int subjects_read(const struct json *root, struct statement *s, struct status *st)
{
    int rc = 0;
    size_t n = 0;
    const struct json *list, *o;
    const char *names[3];
    TRY(field_array(root, "subject", 3, &list, &n, st));
    if (n != 3)
        FAIL(st, RC_FORMAT, "key 'subject': %zu subjects, wanted base, manifest.json and tuned", n);
    o = json_first(list);
    TRY(subject_read(o, &names[0], &s->base, st));
    o = json_next(o);
    TRY(subject_read(o, &names[1], &s->manifest, st));
    o = json_next(o);
    TRY(subject_read(o, &names[2], &s->tuned, st));
    s->imported = strcmp(names[0], "base-samples") == 0;
    if (strcmp(names[0], s->imported ? "base-samples" : "base") != 0 ||
        strcmp(names[1], "manifest.json") != 0 ||
        strcmp(names[2], s->imported ? "tuned-samples" : "tuned") != 0)
        FAIL(st, RC_FORMAT, "key 'subject': '%.40s', '%.40s', '%.40s'; wanted base, manifest.json and tuned",
             names[0], names[1], names[2]);
out:
    return rc;
}

static int predicate_read(const struct json *root, struct statement *s, struct status *st)
{
    static const char *const keys[] = { "assurance", "started", "finished", "plan",     "metrics",
                                        "verdict",   "tool",    "tuned",    "previous", NULL };
    static const char *const verdict_keys[] = { "outcome", "sha256", NULL };
    static const char *const tool_keys[] = { "name", "version", "commit", NULL };
    static const char *const tuned_keys[] = { "form", "kind", NULL };
    int rc = 0;
    struct hash unused;
    const struct json *p, *o;
    TRY(json_get(root, "predicate", JSON_OBJECT, &p, st));
    TRY(json_only(p, keys, st));
    TRY(field_word(p, "assurance", assurances, &s->assurance, st));
    TRY(json_get_text(p, "started", &s->started, st));
    TRY(json_get_text(p, "finished", &s->finished, st));
    if (!time_is_valid(s->started) || !time_is_valid(s->finished))
        FAIL(st, RC_FORMAT, "started or finished is no time");
    TRY(field_hash(p, "plan", &s->plan, st));
    TRY(field_hash(p, "metrics", &s->metrics, st));
    TRY(json_get(p, "verdict", JSON_OBJECT, &o, st));
    TRY(json_only(o, verdict_keys, st));
    TRY(field_word(o, "outcome", outcomes, &s->outcome, st));
    TRY(field_hash(o, "sha256", &s->verdict, st));
    TRY(json_get(p, "tool", JSON_OBJECT, &o, st));
    TRY(json_only(o, tool_keys, st));
    TRY(json_get_text(o, "name", &s->tool_name, st));
    TRY(json_get_text(o, "version", &s->tool_version, st));
    TRY(json_get_text(o, "commit", &s->tool_commit, st));
    TRY(json_get(p, "tuned", JSON_OBJECT, &o, st));
    TRY(json_only(o, tuned_keys, st));
    TRY(field_word(o, "form", forms, &s->tuned_form, st));
    TRY(field_word(o, "kind", kinds, &s->tuned_kind, st));
    if (json_find(p, "previous")) {
        TRY(field_hash(p, "previous", &unused, st));
        TRY(json_get_text(p, "previous", &s->previous, st));
    }
out:
    if (rc != 0)
        status_prefix(st, "/predicate");
    return rc;
}

int statement_parse(const char *data, size_t size, struct statement *out, struct status *st)
{
    static const char *const keys[] = { "_type", "predicateType", "subject", "predicate", NULL };
    int rc = 0;
    struct statement s = { 0 };
    const char *type;
    TRY(json_parse_canonical(data, size, &s.root, st));
    TRY(field_only(s.root, keys, st));
    TRY(json_get_text(s.root, "_type", &type, st));
    if (strcmp(type, STATEMENT_TYPE) != 0)
        FAIL(st, RC_UNSUPPORTED, "statement type '%.80s', this program reads %s", type, STATEMENT_TYPE);
    TRY(json_get_text(s.root, "predicateType", &type, st));
    if (strcmp(type, STATEMENT_PREDICATE) != 0)
        FAIL(st, RC_UNSUPPORTED, "predicate type '%.80s', this program reads %s", type, STATEMENT_PREDICATE);
    TRY(subjects_read(s.root, &s, st));
    TRY(predicate_read(s.root, &s, st));
    *out = s;
    s.root = NULL;
out:
    json_free(s.root);
    return rc;
}

void statement_release(struct statement *s)
{
    json_free(s->root);
    *s = (struct statement){ 0 };
}

int approval_write(const struct approval *a, struct str *out, struct status *st)
{
    int rc = 0;
    struct json *root = json_object();
    json_put_int(root, "lethe_approval", 1);
    field_put_hash(root, "statement", &a->statement);
    json_put_text(root, "name", a->name);
    json_put_text(root, "role", a->role);
    json_put_text(root, "meaning", a->meaning);
    json_put_text(root, "time", a->time);
    TRY(json_check(root, st));
    TRY(field_canonical(root, out, st));
out:
    json_free(root);
    return rc;
}

int approval_parse(const char *data, size_t size, struct approval *out, struct status *st)
{
    static const char *const keys[] = {
        "lethe_approval", "statement", "name", "role", "meaning", "time", NULL
    };
    static const char *const roles[] = { "author", "validator", NULL };
    int rc = 0;
    struct approval a = { 0 };
    TRY(json_parse_canonical(data, size, &a.root, st));
    TRY(field_only(a.root, keys, st));
    TRY(field_version(a.root, "lethe_approval", st));
    TRY(field_hash(a.root, "statement", &a.statement, st));
    TRY(json_get_text(a.root, "name", &a.name, st));
    TRY(field_word(a.root, "role", roles, &a.role, st));
    TRY(json_get_text(a.root, "meaning", &a.meaning, st));
    TRY(json_get_text(a.root, "time", &a.time, st));
    if (!time_is_valid(a.time))
        FAIL(st, RC_FORMAT, "key 'time': '%.40s' is no time", a.time);
    *out = a;
    a.root = NULL;
out:
    json_free(a.root);
    return rc;
}

void approval_release(struct approval *a)
{
    json_free(a->root);
    *a = (struct approval){ 0 };
}
