/* What the verifier brings along: roots of time stamp authorities, the models, the suites, a wish for open
 * lines, the report rendered again (docs/formats/verify.md, step 12).
 */
#include "reports/verify_private.h"

#include "base/file.h"
#include "base/utf8.h"
#include "probes/set.h"
#include "reports/report.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>

/* ---- time stamps ---- */

static int stamp_check(struct verification *v, const struct stamp_roots *roots, const char *name,
                       const char *over, bool *good, struct stamp *out, struct status *st)
{
    struct status said = { 0 };
    struct bytes reply = verify_doc(v, name);
    *good = false;
    if (!reply.data)
        return 0;
    int rc = stamp_verify(reply, verify_doc(v, over), roots, out, &said);
    *good = rc == 0;
    status_prefix(&said, "%s", name);
    return verify_claim(v, rc, &said, st);
}

static int stamps_check(struct verification *v, struct status *st)
{
    int rc = 0;
    bool good = false;
    int64_t first = 0;
    struct stamp stamp;
    struct stamp_roots *roots = NULL;
    if (!v->options->tsa) {
        if (verify_doc(v, "plan.tsr").data)
            TRY(text_list_add(&v->notes, st, "plan.tsr: time stamp not checked (no --tsa)"));
        if (verify_doc(v, "statement.tsr").data)
            TRY(text_list_add(&v->notes, st, "statement.tsr: time stamp not checked (no --tsa)"));
        goto out;
    }
    v->has_stamp_check = true;
    TRY(stamp_roots_load(v->options->tsa, &roots, st));
    TRY(stamp_check(v, roots, "plan.tsr", "plan.json", &good, &stamp, st));
    if (good && v->events.n > 0) {
        TRY(stamp_time_read(v->events.events[0].t, &first, st));
        v->plan_stamped = stamp_is_before(&stamp, first);
        if (v->plan_stamped)
            TRY(text_list_add(&v->notes, st, "plan.tsr: the plan was stamped at %s, before the run",
                              stamp.text.s));
        else
            TRY(verify_false(v, st, "plan.tsr: stamped at %s, the run began at %s", stamp.text.s,
                             v->events.events[0].t));
    }
    TRY(stamp_check(v, roots, "statement.tsr", "statement.json", &good, &stamp, st));
    if (good)
        TRY(text_list_add(&v->notes, st, "statement.tsr: the statement was stamped at %s", stamp.text.s));
out:
    stamp_roots_free(roots);
    return rc;
}

/* ---- models ---- */

static int model_check(struct verification *v, const char *role, const char *path, const struct hash *wanted,
                       struct status *st)
{
    int rc = 0;
    struct path_digest d = { 0 };
    if (!path)
        return 0;
    TRY(path_digest(path, &d, st));
    if (hash_equal(&d.hash, wanted))
        TRY(text_list_add(&v->notes, st, "%s: the file you hold is the %s that was judged", path, role));
    else
        TRY(verify_false(v, st, "%s: digest %.16s…, the %s that was judged has %.16s…", path,
                         hash_hex(&d.hash).s, role, hash_hex(wanted).s));
out:
    path_digest_release(&d);
    return rc;
}

/* ---- suites ---- */

/* The file of DIR with this digest, else DIR/<id>.jsonl where that is there. */
static int suite_find(const char *folder, const struct plan_suite *s, struct str *out, bool *same,
                      struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    struct file_map map;
    DIR *dir = opendir(folder);
    *same = false;
    if (!dir)
        FAIL(st, RC_IO, "%s: cannot be read as a folder", folder);
    for (struct dirent *e = readdir(dir); e && !*same; e = readdir(dir)) {
        size_t n = strlen(e->d_name);
        if (n < 7 || strcmp(e->d_name + n - 6, ".jsonl") != 0)
            continue;
        str_clear(&path);
        TRY(path_join(folder, e->d_name, &path, st));
        if (file_map_open(str_text(&path), &map, NULL) != 0)
            continue;
        struct hash h = map.size == s->size ? sha256_of(map.data, map.size) : (struct hash){ 0 };
        *same = map.size == s->size && hash_equal(&h, &s->sha256);
        file_map_close(&map);
    }
    if (!*same) {
        str_clear(&path);
        str_printf(&path, "%s/%s.jsonl", folder, s->id);
        if (!path_exists(str_text(&path)))
            FAIL(st, RC_IO, "%s: no file of suite '%s' in it", folder, s->id);
    }
    str_add(out, path.data, path.size);
    TRY(str_check(out, st));
out:
    if (dir)
        closedir(dir);
    str_release(&path);
    return rc;
}

/* Items of the file against open lines, by their canonical text. */
static int suite_items(struct verification *v, const struct plan_suite *s, const struct probe_set *set,
                       struct status *st)
{
    int rc = 0;
    struct str name = { 0 }, text = { 0 };
    struct pool pool = { 0 };
    struct lines lines = { 0 };
    struct status broken = { 0 };
    const char *line;
    size_t n, i = 0;
    member_write_name(MEMBER_PROBES, s->id, &name);
    TRY(str_check(&name, st));
    TRY(container_read_member(v->path, str_text(&name), &text, st));
    lines = (struct lines){ .data = str_text(&text), .size = text.size };
    for (; lines_next(&lines, &line, &n, &broken); i++) {
        struct probe_line there = { 0 };
        TRY(probe_line_parse(line, n, set->kind, &pool, &there, st));
        if (!there.withheld && (i >= set->n || strcmp(there.item.canonical, set->items[i].canonical) != 0))
            TRY(verify_false(v, st, "suite '%s', item '%s': not the item of the suite's file", s->id,
                             there.id));
    }
    if (i != set->n)
        TRY(verify_false(v, st, "suite '%s': %zu items, its file has %zu", s->id, i, set->n));
out:
    pool_release(&pool);
    str_release(&name);
    str_release(&text);
    return rc;
}

static int suite_check(struct verification *v, const struct plan_suite *s, struct status *st)
{
    int rc = 0;
    bool same = false;
    struct str path = { 0 };
    struct probe_set set = { 0 };
    TRY(suite_find(v->options->probes, s, &path, &same, st));
    if (!same) {
        TRY(verify_false(v, st, "%s: not the file of suite '%s' that was planned", str_text(&path), s->id));
    } else if (!v->plan.imported) {
        TRY(probe_set_load(str_text(&path), &set, st));
        TRY(suite_items(v, s, &set, st));
    }
out:
    probe_set_release(&set);
    str_release(&path);
    return rc;
}

/* ---- the report again ---- */

static int report_compare(struct verification *v, const char *name, const struct str *ours, struct status *st)
{
    struct bytes there = verify_doc(v, name);
    if (there.size == ours->size && memcmp(there.data, ours->data, there.size) == 0)
        return 0;
    return verify_false(v, st, "%s: not what the same generator makes of this archive", name);
}

static int report_check(struct verification *v, struct status *st)
{
    int rc = 0;
    struct report *report = NULL;
    struct str html = { 0 }, md = { 0 };
    struct bytes page = verify_doc(v, "report/report.html");
    if (!memmem(page.data, page.size, "data-generator=\"" REPORT_GENERATOR "\"",
                strlen("data-generator=\"" REPORT_GENERATOR "\"")))
        FAIL(st, RC_UNSUPPORTED, "report/report.html: made by another generator than " REPORT_GENERATOR);
    if (v->unicode_differs)
        FAIL(st, RC_UNSUPPORTED, "report/report.html: made under Unicode %s, here is %s",
             v->environment.unicode, utf8_unicode_version());
    for (enum member m = MEMBER_EXPORT_TEST_RESULT; m <= MEMBER_EXPORT_JUNIT; m++)
        if (verify_doc(v, member_rule(m)->pattern).data)
            FAIL(st, RC_UNSUPPORTED, "%s: this version does not make exports again", member_rule(m)->pattern);
    TRY(report_open_archive(v->path, &report, st));
    TRY(report_html(report, false, &html, st));
    TRY(report_md(report, &md, st));
    TRY(report_compare(v, "report/report.html", &html, st));
    TRY(report_compare(v, "report/report.md", &md, st));
out:
    report_close(report);
    str_release(&html);
    str_release(&md);
    return rc;
}

int verify_outside(struct verification *v, struct status *st)
{
    int rc = 0;
    TRY(stamps_check(v, st));
    TRY(model_check(v, "base", v->options->model_base, &v->statement.base, st));
    TRY(model_check(v, "tuned model", v->options->model_tuned, &v->statement.tuned, st));
    for (size_t i = 0; v->options->probes && i < v->plan.suites_n; i++)
        TRY(suite_check(v, &v->plan.suites[i], st));
    if (v->options->report)
        TRY(report_check(v, st));
    uint64_t withheld = 0;
    for (size_t i = 0; i < v->members_n; i++)
        withheld += v->members[i].digest.withheld;
    if (v->options->require_open && withheld > 0)
        FAIL(st, RC_ARG, "%" PRIu64 " lines are withheld, and --require-open asks for none", withheld);
    if (v->plan.closed && withheld == 0)
        TRY(text_list_add(&v->notes, st, "the plan says privacy closed, and no line is withheld"));
out:
    return rc;
}
