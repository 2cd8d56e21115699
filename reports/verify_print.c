/* What a verification found, for people and as one JSON document. Everything that came from outside is
 * escaped. */
#include "reports/verify_private.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

static void put_outside(struct str *out, const char *text)
{
    escape_terminal(text, strlen(text), 0, out);
}

static const char *value_text(const struct json *entry, const char *key, const char *inner)
{
    const struct json *j = json_find(entry, key);
    if (j && inner)
        j = json_find(j, inner);
    const char *text = j ? json_text(j) : NULL;
    return text ? text : "-";
}

static void put_entries(const struct verification *v, const char *key, struct str *out)
{
    const struct json *list = json_find(v->numbers.metrics.tree, key);
    if (!list)
        return;
    const struct json *status = json_first(json_find(v->numbers.verdict, key));
    for (const struct json *e = json_first(list); e; e = json_next(e)) {
        str_printf(out, "%-40s %-8s %9s %9s %9s [%s, %s] %s\n", value_text(e, "id", NULL),
                   value_text(e, "use", NULL), value_text(e, "base", "value"),
                   value_text(e, "tuned", "value"), value_text(e, "drop", NULL), value_text(e, "lower", NULL),
                   value_text(e, "upper", NULL), status ? value_text(status, "status", NULL) : "-");
        status = status ? json_next(status) : NULL;
    }
}

static void put_table(const struct verification *v, struct str *out)
{
    if (!v->has_numbers)
        return;
    const struct json *deviations = json_find(v->numbers.verdict, "deviations");
    const struct json *reasons = json_find(v->numbers.verdict, "reasons");
    str_printf(out, "%s%s\n", eval_outcome_name(v->numbers.outcome),
               v->plan.imported ? " on imported scores" : "");
    for (const struct json *r = json_first(reasons); r; r = json_next(r))
        str_printf(out, "  because: %s\n", json_text(r));
    str_printf(out, "%-40s %-8s %9s %9s %9s %s\n", "suite", "use", "base", "tuned", "drop", "bounds, status");
    put_entries(v, "suites", out);
    put_entries(v, "groups", out);
    str_printf(out, "preregistration: %s\n", v->preregistration);
    for (const struct json *d = json_first(deviations); d; d = json_next(d)) {
        str_puts(out, "deviation: ");
        put_outside(out, value_text(d, "path", NULL));
        str_puts(out, " planned ");
        put_outside(out, value_text(d, "planned", NULL));
        str_puts(out, ", ran ");
        put_outside(out, value_text(d, "ran", NULL));
        str_putc(out, '\n');
    }
}

static void put_people(const struct verification *v, struct str *out)
{
    for (size_t i = 0; i < v->dsse.n; i++)
        if (v->judged[i].state == DSSE_GOOD) {
            str_puts(out, "signed by ");
            put_outside(out, v->judged[i].key->name);
            str_printf(out, " (%s), keyid %.16s\n", trust_role_name(v->judged[i].key->role),
                       hash_hex(&v->judged[i].key->id).s);
        }
    for (size_t i = 0; i < v->approvals_n; i++) {
        const struct seen_approval *a = &v->approvals[i];
        if (a->judged.state != DSSE_GOOD)
            continue;
        str_puts(out, "approved by ");
        put_outside(out, a->approval.name);
        str_printf(out, " (%s) at %s: ", a->approval.role, a->approval.time);
        put_outside(out, a->approval.meaning);
        str_putc(out, '\n');
    }
}

static void put_list(const struct text_list *l, const char *label, struct str *out)
{
    for (size_t i = 0; i < l->n; i++) {
        str_printf(out, "%s: ", label);
        put_outside(out, l->items[i]);
        str_putc(out, '\n');
    }
}

static void put_withheld(const struct verification *v, struct str *out)
{
    for (size_t i = 0; i < v->members_n; i++)
        if (v->members[i].digest.withheld > 0)
            str_printf(out, "withheld: %" PRIu64 " of %" PRIu64 " lines of %s\n",
                       v->members[i].digest.withheld, v->members[i].digest.leaves, v->members[i].name);
}

static void put_signers(const struct verification *v, struct str *out)
{
    const char *between = ", signed by ";
    for (size_t i = 0; i < v->dsse.n; i++)
        if (v->judged[i].state == DSSE_GOOD) {
            str_puts(out, between);
            put_outside(out, v->judged[i].key->name);
            str_printf(out, " (%s)", trust_role_name(v->judged[i].key->role));
            between = ", ";
        }
}

static void put_last(const struct verification *v, int exit, const struct status *stopped, struct str *out)
{
    const char *basis = v->plan.imported ? " on imported scores" : "";
    const char *outcome = v->has_numbers ? eval_outcome_name(v->numbers.outcome) : "no verdict";
    if (exit == 1) {
        str_puts(out, "not verified: false: ");
        put_outside(out, v->falses.n ? v->falses.items[0] : stopped->msg);
        if (v->falses.n > 1)
            str_printf(out, " (and %zu more)", v->falses.n - 1);
    } else if (exit == 2) {
        str_puts(out, "not verified: could not check: ");
        put_outside(out, stopped->msg);
    } else if (exit == 4) {
        str_puts(out, "not verified: all holds, but ");
        put_outside(out, v->trust_reason);
        str_printf(out, "; the verdict is %s%s", outcome, basis);
    } else {
        str_printf(out, "verified: %s%s", outcome, basis);
        put_signers(v, out);
    }
    str_putc(out, '\n');
}

/* ---- JSON ---- */

static struct json *outside_text(const char *text)
{
    struct str whole = { 0 };
    utf8_repair(text, strlen(text), &whole);
    struct json *j = json_of_text(str_text(&whole));
    str_release(&whole);
    return j;
}

static struct json *list_json(const struct text_list *l)
{
    struct json *list = json_array();
    for (size_t i = 0; i < l->n; i++)
        json_push(list, outside_text(l->items[i]));
    return list;
}

static struct json *signers_json(const struct verification *v)
{
    struct json *list = json_array();
    for (size_t i = 0; i < v->dsse.n; i++) {
        if (v->judged[i].state != DSSE_GOOD)
            continue;
        struct json *o = json_object();
        json_put(o, "name", outside_text(v->judged[i].key->name));
        json_put_text(o, "role", trust_role_name(v->judged[i].key->role));
        json_put_text(o, "keyid", hash_hex(&v->judged[i].key->id).s);
        json_push(list, o);
    }
    return list;
}

static struct json *approvals_json(const struct verification *v)
{
    struct json *list = json_array();
    for (size_t i = 0; i < v->approvals_n; i++) {
        const struct seen_approval *a = &v->approvals[i];
        if (a->judged.state != DSSE_GOOD)
            continue;
        struct json *o = json_object();
        json_put_text(o, "name", a->approval.name);
        json_put_text(o, "role", a->approval.role);
        json_put_text(o, "keyid", hash_hex(&a->judged.key->id).s);
        json_put_text(o, "meaning", a->approval.meaning);
        json_put_text(o, "time", a->approval.time);
        json_push(list, o);
    }
    return list;
}

static struct json *withheld_json(const struct verification *v)
{
    struct json *list = json_array();
    for (size_t i = 0; i < v->members_n; i++) {
        const struct seen_member *m = &v->members[i];
        if (m->digest.withheld == 0)
            continue;
        struct json *o = json_object();
        json_put_text(o, "path", m->name);
        json_put_int(o, "lines", (int64_t)m->digest.withheld);
        json_put_int(o, "of", (int64_t)m->digest.leaves);
        json_push(list, o);
    }
    return list;
}

static struct json *recomputed_json(const struct verification *v)
{
    struct json *o = json_object();
    uint64_t items = 0;
    for (size_t i = 0; v->has_numbers && i < v->plan.suites_n; i++)
        items += v->plan.suites[i].items;
    json_put_int(o, "suites", v->has_numbers ? (int64_t)v->plan.suites_n : 0);
    json_put_int(o, "items", (int64_t)items);
    json_put_int(o, "numbers", (int64_t)v->numbers_n);
    return o;
}

static struct json *result_json(const struct verification *v, int exit, const char *last)
{
    struct json *root = json_object();
    json_put_int(root, "lethe_verify", 1);
    json_put_int(root, "exit", exit);
    if (v->has_numbers)
        json_put_text(root, "outcome", eval_outcome_name(v->numbers.outcome));
    json_put_bool(root, "trusted", v->has_trust && !v->trust_reason && (exit == 0 || exit == 3 || exit == 5));
    json_put(root, "signers", signers_json(v));
    if (v->preregistration)
        json_put_text(root, "preregistration", v->preregistration);
    json_put(root, "false", list_json(&v->falses));
    json_put(root, "unchecked", list_json(&v->unchecked));
    json_put(root, "notes", list_json(&v->notes));
    json_put(root, "approvals", approvals_json(v));
    if (v->plan.imported)
        json_put_text(root, "basis", "imported");
    json_put(root, "withheld", withheld_json(v));
    json_put(root, "recomputed", recomputed_json(v));
    json_put(root, "reason", outside_text(last));
    return root;
}

void verify_print(const struct verification *v, int exit, const struct status *stopped,
                  struct verify_result *out)
{
    put_table(v, &out->text);
    put_people(v, &out->text);
    put_withheld(v, &out->text);
    put_list(&v->notes, "note", &out->text);
    put_list(&v->unchecked, "unchecked", &out->text);
    put_list(&v->falses, "false", &out->text);
    put_last(v, exit, stopped, &out->last);
    str_add(&out->text, out->last.data, out->last.size);
    struct str line = { 0 };
    str_add(&line, out->last.data, out->last.size ? out->last.size - 1 : 0);
    out->doc = result_json(v, exit, str_text(&line));
    str_release(&line);
    if (json_check(out->doc, NULL) != 0) {
        json_free(out->doc);
        out->doc = NULL;
    }
}
