/* Every number again, from rows, plan and config; and every number that the page shows. */
#include "reports/verify_private.h"

#include "reports/fields.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- step 10 ---- */

static uint64_t count_values(const struct json *j)
{
    uint64_t n = 0;
    if (json_type(j) != JSON_OBJECT && json_type(j) != JSON_ARRAY)
        return 1;
    for (const struct json *e = json_first(j); e; e = json_next(e))
        n += count_values(e);
    return n;
}

static int difference_say(struct verification *v, const char *at, const struct json *ours,
                          const struct json *theirs, struct status *st)
{
    int rc = 0;
    struct str a = { 0 }, b = { 0 };
    if (ours)
        TRY(field_canonical(ours, &a, st));
    if (theirs)
        TRY(field_canonical(theirs, &b, st));
    TRY(verify_false(v, st, "%.200s: recomputed %.120s, archive says %.120s", at,
                     ours ? str_text(&a) : "nothing", theirs ? str_text(&b) : "nothing"));
out:
    str_release(&a);
    str_release(&b);
    return rc;
}

/* `at` is the member's name and the JSON pointer so far; it is put back as it was. */
static int differences(struct verification *v, struct str *at, const struct json *ours,
                       const struct json *theirs, struct status *st)
{
    int rc = 0;
    const size_t size = at->size;
    const enum json_type type = ours ? json_type(ours) : JSON_NULL;
    if (!ours || !theirs || type != json_type(theirs) || (type != JSON_OBJECT && type != JSON_ARRAY) ||
        (type == JSON_ARRAY && json_size(ours) != json_size(theirs)))
        return ours && theirs && json_equal(ours, theirs) ? 0
                                                          : difference_say(v, str_text(at), ours, theirs, st);
    const struct json *there = json_first(theirs);
    size_t i = 0;
    for (const struct json *e = json_first(ours); e; e = json_next(e), i++) {
        if (type == JSON_OBJECT)
            str_printf(at, "/%s", json_key(e));
        else
            str_printf(at, "/%zu", i);
        TRY(str_check(at, st));
        TRY(differences(v, at, e, type == JSON_OBJECT ? json_find(theirs, json_key(e)) : there, st));
        there = there ? json_next(there) : NULL;
        at->data[at->size = size] = 0;
    }
    for (const struct json *e = type == JSON_OBJECT ? json_first(theirs) : NULL; e; e = json_next(e))
        if (!json_find(ours, json_key(e))) {
            str_printf(at, "/%s", json_key(e));
            TRY(difference_say(v, str_text(at), NULL, e, st));
            at->data[at->size = size] = 0;
        }
out:
    return rc;
}

static int document_compare(struct verification *v, const char *name, const struct str *ours_text,
                            const struct json *ours, const struct json *theirs, struct status *st)
{
    int rc = 0;
    struct str at = { 0 };
    struct bytes there = verify_doc(v, name);
    if (there.size == ours_text->size && memcmp(there.data, ours_text->data, there.size) == 0)
        goto out;
    size_t before = v->falses.n;
    str_printf(&at, "%s ", name);
    TRY(differences(v, &at, ours, theirs, st));
    if (v->falses.n == before)
        TRY(verify_false(v, st, "%s: not the bytes that are recomputed", name));
out:
    str_release(&at);
    return rc;
}

static bool run_complete(const struct verification *v)
{
    const struct doc_events *e = &v->events;
    const char *outcome = e->n ? json_text(json_find(e->events[e->n - 1].root, "outcome")) : NULL;
    return outcome && strcmp(outcome, "complete") == 0;
}

int verify_numbers(struct verification *v, struct status *st)
{
    int rc = 0;
    struct status said = { 0 };
    const struct evidence_facts facts = {
        .plan = v->plan.root,
        .config = v->config.root,
        .plan_hash = v->plan_hash,
        .preregistration = v->preregistration,
        .conditions = json_find(v->verdict, "conditions"),
        .complete = run_complete(v),
        .archived = v->metrics,
        /* taken over only where rows are there that could say otherwise; those are listed as unchecked */
        .generation =
            verify_member(v, "evidence/generation.base.jsonl") ? json_find(v->metrics, "generation") : NULL,
    };
    int computed = evidence_compute(&v->evidence, &facts, &v->numbers, &said);
    TRY(verify_claim(v, computed, &said, st));
    if (computed != 0)
        goto out; /* rows that do not fit: false already */
    v->has_numbers = true;
    v->numbers_n = count_values(v->numbers.metrics.tree);
    for (const struct json *e = json_first(v->numbers.metrics.unchecked); e; e = json_next(e))
        TRY(text_list_add(&v->unchecked, st, "%s", json_text(e) ? json_text(e) : "a measure"));
    TRY(document_compare(v, "metrics.json", &v->numbers.metrics_text, v->numbers.metrics.tree, v->metrics,
                         st));
    TRY(document_compare(v, "verdict.json", &v->numbers.verdict_text, v->numbers.verdict, v->verdict, st));
out:
    return rc;
}

/* ---- step 11 ---- */

/* The value that a JSON pointer names; NULL: none. Keys of metrics and verdict need no escapes. */
static const struct json *pointer_find(const struct json *root, const char *pointer, size_t n)
{
    const struct json *at = root;
    size_t k = 0;
    while (at && k < n) {
        if (pointer[k++] != '/')
            return NULL;
        size_t size = 0;
        while (k + size < n && pointer[k + size] != '/')
            size++;
        char part[128];
        if (size >= sizeof part)
            return NULL;
        memcpy(part, pointer + k, size);
        part[size] = 0;
        k += size;
        if (json_type(at) == JSON_OBJECT) {
            at = json_find(at, part);
        } else if (json_type(at) == JSON_ARRAY && size > 0 && size < 8 &&
                   strspn(part, "0123456789") == size && !(part[0] == '0' && size > 1)) {
            size_t index = (size_t)strtoul(part, NULL, 10);
            for (at = json_first(at); at && index > 0; index--)
                at = json_next(at);
        } else {
            return NULL;
        }
    }
    return at;
}

/* Text of the page with the five entities undone. */
static void html_plain(const char *s, size_t n, struct str *out)
{
    static const struct {
        const char *entity;
        char c;
    } table[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&#39;", '\'' } };
    for (size_t i = 0; i < n; i++) {
        size_t step = 0;
        for (size_t k = 0; s[i] == '&' && step == 0 && k < sizeof table / sizeof *table; k++) {
            size_t size = strlen(table[k].entity);
            if (n - i >= size && memcmp(s + i, table[k].entity, size) == 0) {
                str_putc(out, table[k].c);
                step = size;
            }
        }
        if (step == 0)
            str_putc(out, s[i]);
        else
            i += step - 1;
    }
}

static int value_check(struct verification *v, const struct json *root, const char *pointer, size_t pointer_n,
                       const char *text, size_t text_n, struct status *st)
{
    int rc = 0;
    struct str shown = { 0 }, wanted = { 0 };
    const struct json *value = pointer_find(root, pointer, pointer_n);
    html_plain(text, text_n, &shown);
    if (value && json_text(value))
        str_puts(&wanted, json_text(value));
    else if (value && json_is_int(value))
        str_printf(&wanted, "%" PRId64, json_int(value));
    else
        value = NULL;
    TRY(str_check(&shown, st));
    TRY(str_check(&wanted, st));
    if (!value)
        TRY(verify_false(v, st, "report/report.html: '%.*s' names no number",
                         (int)(pointer_n > 100 ? 100 : pointer_n), pointer));
    else if (strcmp(str_text(&shown), str_text(&wanted)) != 0)
        TRY(verify_false(v, st, "report/report.html: %.*s shown as '%.60s', it is %.60s",
                         (int)(pointer_n > 100 ? 100 : pointer_n), pointer, str_text(&shown),
                         str_text(&wanted)));
out:
    str_release(&shown);
    str_release(&wanted);
    return rc;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* One place where data-m or data-v stands, whole and as a name: ` data-m="…">…<`, else it is refused. */
static int place_check(struct verification *v, const char *page, size_t size, size_t at, struct status *st)
{
    const struct json *root = page[at + 5] == 'm' ? v->metrics : v->verdict;
    size_t pointer = at + 8, end, text;
    bool good = at > 0 && page[at - 1] == ' ' && at + 8 < size && memcmp(page + at + 6, "=\"", 2) == 0 &&
                memcmp(page + at, "data-", 5) == 0 && (page[at + 5] == 'm' || page[at + 5] == 'v');
    if (good) {
        for (end = pointer; end < size && page[end] != '"' && page[end] != '<' && page[end] != '>'; end++)
            ;
        good = end + 1 < size && page[end] == '"' && page[end + 1] == '>';
        text = end + 2;
        const char *close = good ? memchr(page + text, '<', size - text) : NULL;
        if (close)
            return value_check(v, root, page + pointer, end - pointer, page + text,
                               (size_t)(close - (page + text)), st);
    }
    return verify_false(v, st, "report/report.html: byte %zu: 'data-m' or 'data-v' used in another way", at);
}

int verify_html(struct verification *v, struct status *st)
{
    int rc = 0;
    struct bytes file = verify_doc(v, "report/report.html");
    const char *page = file.data;
    for (size_t i = 0; i + 6 <= file.size; i++) {
        bool name = strncasecmp(page + i, "data-", 5) == 0 && strchr("mMvV", page[i + 5]) &&
                    page[i + 5] != 0 && (i == 0 || !is_name_char(page[i - 1])) &&
                    (i + 6 == file.size || !is_name_char(page[i + 6]));
        if (name)
            TRY(place_check(v, page, file.size, i, st));
    }
out:
    return rc;
}
