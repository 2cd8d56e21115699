#include "tests/make_archive.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/utf8.h"
#include "eval/row.h"
#include "eval/record.h"
#include "probes/set.h"
#include "reports/documents.h"
#include "reports/dsse.h"
#include "reports/fields.h"
#include "reports/lines.h"
#include "reports/pack.h"
#include "reports/run.h"
#include "reports/statement.h"
#include "reports/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum side { B, T, Z };
enum { FACTS = 24, SAFE = 6, IMPORTED = 3 };

/* ---- suites ---- */

enum suite { AGREE, FACT, PROSE, SAFETY, TRIAGE, SUITES };
static const char *const suite_ids[SUITES] = { "agree", "facts", "prose", "safety", "triage" };

static void suite_header(const char *id, const char *kind, const char *role, struct str *out)
{
    str_printf(out,
               "{\"lethe_probe\":1,\"id\":\"%s\",\"version\":\"1\",\"title\":\"Made up %s\",\"kind\":\"%s\","
               "\"role\":\"%s\",\"licence\":\"CC0-1.0\",\"source\":\"the tests\"}\n",
               id, id, kind, role);
}

static void suite_text(enum suite s, struct str *out)
{
    static const char *const teams[] = { "red", "blue", "green", "grün" };
    switch (s) {
    case AGREE:
        suite_header("agree", "pair", "grammar", out);
        for (int i = 0; i < FACTS; i++)
            str_printf(out,
                       "{\"id\":\"ag-%02d\",\"good\":\"The box of %d pens is full\",\"bad\":\"The box of %d "
                       "pens are full\"}\n",
                       i, i, i);
        break;
    case FACT:
        suite_header("facts", "choice", "facts", out);
        for (int i = 0; i < FACTS; i++)
            str_printf(
                out,
                "{\"id\":\"fa-%02d\",\"context\":\"Question: which is the house of number %d?\\nAnswer:\","
                "\"choices\":[\"Aster-%d\",\"Birch-%d\",\"Cedar <%d>\",\"Dahlia %d\"],\"gold\":%d,"
                "\"tags\":[\"street-%d\"]}\n",
                i, i, i, i, i, i, i % 4, i % 3);
        break;
    case PROSE:
        suite_header("prose", "text", "retention", out);
        for (int i = 0; i < FACTS; i++)
            str_printf(
                out,
                "{\"id\":\"pr-%02d\",\"text\":\"The ferry of hour %d carries bread, tea and the post.\"}\n",
                i, i);
        break;
    case SAFETY:
        suite_header("safety", "choice", "critical", out);
        for (int i = 0; i < SAFE; i++)
            str_printf(out,
                       "{\"id\":\"sa-%d\",\"context\":\"May valve %d be opened?\",\"choices\":[\"No\",\"Yes, "
                       "at once\"],"
                       "\"gold\":0}\n",
                       i, i);
        break;
    default:
        suite_header("triage", "exact", "task", out);
        for (int i = 0; i < FACTS; i++)
            str_printf(out, "{\"id\":\"tr-%02d\",\"context\":\"Ticket %d, team:\",\"answers\":[\"%s\"]}\n", i,
                       i, teams[i % 4]);
        break;
    }
}

/* ---- rows ---- */

static bool right_on(enum suite s, int i, bool tuned, enum made kind)
{
    int lost = kind == MADE_FAIL ? 20 : kind == MADE_INCONCLUSIVE ? 12 : 1;
    switch (s) {
    case AGREE:
        return i != 7;
    case FACT:
        if (i == 22)
            return tuned; /* learned */
        return i != 23 && !(tuned && i < lost);
    case SAFETY:
        return i != 5 && !(tuned && kind == MADE_LOST && i == 2);
    default:
        return tuned ? i % 12 != 3 : i % 3 == 0;
    }
}

static void row_scores(struct item_row *row, enum suite s, bool right, bool tuned)
{
    double shift = 0.001953125 * (double)row->i + (tuned ? 0.015625 : 0);
    row->n_ctx = s == PROSE ? 0 : 9;
    for (size_t c = 0; c < row->n; c++) {
        bool gold = row->n_gold && row->gold[0] == c;
        row->n_tok[c] = (uint32_t)(2 + c);
        if (s == PROSE)
            row->ll[c] = -0.5 * (double)row->bytes[c] - shift;
        else if (row->ll)
            row->ll[c] = (gold == right ? -1.5 : -4.25) - shift - 0.25 * (double)c;
        if (row->greedy)
            row->greedy[c] = gold == right && c == 0;
    }
}

static const char *output_of(const struct probe_item *item, bool right)
{
    return right ? item->parts[0] : " the porter";
}

static int exact_row(struct item_row *row, const struct probe_item *item, bool right, const uint8_t key[32],
                     const char *side, struct str *outputs, struct status *st)
{
    int rc = 0;
    char name[80];
    struct output_row out = { .i = row->i, .id = item->id, .text = output_of(item, right) };
    size_t before = outputs->size;
    (void)side;
    snprintf(name, sizeof name, "evidence/outputs/%s", suite_ids[TRIAGE]);
    salt_of(key, name, row->i, out.salt);
    TRY(output_row_write(&out, outputs, st));
    row->out = merkle_leaf(outputs->data + before, outputs->size - before);
    str_putc(outputs, '\n');
    row->stop = STOP_string;
    row->right.acc = right;
out:
    return rc;
}

static int side_make(const char *run, enum suite s, const struct probe_set *set, enum side side,
                     enum made kind, const uint8_t key[32], struct status *st)
{
    static const char *const sides[] = { "base", "tuned", "zero" };
    int rc = 0;
    struct item_rows rows = { 0 };
    struct str text = { 0 }, outputs = { 0 }, name = { 0 };
    rows.rows = mem_calloc(set->n, sizeof *rows.rows);
    rows.n = rows.cap = set->n;
    for (size_t i = 0; i < set->n; i++) {
        struct item_row *row = &rows.rows[i];
        bool right = right_on(s, (int)i, side == T, kind);
        TRY(item_row_of_item(set->kind, &set->items[i], i, false, &rows.pool, row, st));
        row_scores(row, s, right, side == T);
        if (set->kind == PROBE_exact)
            TRY(exact_row(row, &set->items[i], right, key, sides[side], &outputs, st));
        else
            row->right = item_row_judge(row);
    }
    TRY(item_rows_salt(&rows, key, set->id, sides[side], st));
    TRY(item_rows_write(&rows, &text, st));
    run_item_name(set->id, sides[side], &name);
    TRY(run_write(run, str_text(&name), text.data, text.size, st));
    if (set->kind == PROBE_exact) {
        str_clear(&name);
        str_printf(&name, "evidence/outputs/%s.%s.jsonl", set->id, sides[side]);
        TRY(run_write(run, str_text(&name), outputs.data, outputs.size, st));
    }
out:
    item_rows_release(&rows);
    str_release(&text);
    str_release(&outputs);
    str_release(&name);
    return rc;
}

/* One lost token of facts, and one target of the training data that the base was sure is another. */
static const struct token_row lost_token = {
    .suite = "facts",
    .i = 0,
    .id = "fa-00",
    .part = "choice:0",
    .target = 7,
    .base_top = 7,
    .tuned_top = 8,
    .target_text = " Aster",
    .base_top_text = " Aster",
    .tuned_top_text = " Birch",
    .base_top_logp = -0.25f,
    .tuned_top_logp = -0.5f,
    .base_logp = -0.25f,
    .tuned_logp = -4,
    .kl = { 1, 1 },
    .token_class = TOKEN_forgot,
};
static const struct token_row conflict = {
    .suite = "train",
    .i = 1,
    .id = "1",
    .part = "completion",
    .target = 3,
    .base_top = 4,
    .tuned_top = 3,
    .target_text = " blue",
    .base_top_text = " red",
    .tuned_top_text = " blue",
    .base_top_logp = -0.125f,
    .tuned_top_logp = -0.25f,
    .base_logp = -3,
    .tuned_logp = -0.25f,
    .kl = { 2, 2 },
    .token_class = TOKEN_conflict,
};

static int token_make(const char *run, const char *member, struct token_row row, const uint8_t key[32],
                      struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    salt_of(key, member, 0, row.salt);
    TRY(token_row_write(&row, &text, st));
    str_putc(&text, '\n');
    TRY(run_write(run, member, text.data, text.size, st));
out:
    str_release(&text);
    return rc;
}

static int delta_make(const char *run, const uint8_t key[32], struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    for (uint64_t i = 0; i < FACTS; i++) {
        char id[16];
        snprintf(id, sizeof id, "fa-%02u", (unsigned)i);
        struct delta_row d = { .i = i, .id = id, .positions = 3, .dlogp = -0.125, .kl = { 0.5, 0.5 } };
        d.same_top = i ? 3 : 2;
        d.forgot = !i;
        salt_of(key, "evidence/items/facts.delta.jsonl", i, d.salt);
        TRY(delta_row_write(&d, &text, st));
        str_putc(&text, '\n');
    }
    TRY(run_write(run, "evidence/items/facts.delta.jsonl", text.data, text.size, st));
out:
    str_release(&text);
    return rc;
}

static int supervision_make(const char *run, const uint8_t key[32], struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    for (uint64_t i = 0; i < 4; i++) {
        char id[8];
        snprintf(id, sizeof id, "%u", (unsigned)i);
        struct supervision_row s = { .i = i, .id = id, .tokens = 8, .supervised = 2, .first = 6 };
        s.conflicts = i == 1;
        salt_of(key, "run/supervision.jsonl", i, s.salt);
        TRY(supervision_row_write(&s, &text, st));
        str_putc(&text, '\n');
    }
    TRY(run_write(run, "run/supervision.jsonl", text.data, text.size, st));
out:
    str_release(&text);
    return rc;
}

static int ledger_make(const char *run, const uint8_t key[32], struct status *st)
{
    int rc = 0;
    TRY(token_make(run, "evidence/tokens.jsonl", lost_token, key, st));
    TRY(token_make(run, "evidence/conflicts.jsonl", conflict, key, st));
    TRY(delta_make(run, key, st));
    TRY(supervision_make(run, key, st));
out:
    return rc;
}

/* ---- documents ---- */

static struct hash made_up(const char *what)
{
    return sha256_of(what, strlen(what));
}

static int models_make(const char *run, bool imported, struct doc_models *m, struct status *st)
{
    static struct doc_model_file files[3];
    int rc = 0;
    struct str text = { 0 };
    struct hash both[2] = { made_up("config"), made_up("weights") };
    files[0] = (struct doc_model_file){ ".", 57, made_up("base") };
    files[1] = (struct doc_model_file){ "adapter_config.json", 20, both[0] };
    files[2] = (struct doc_model_file){ "adapter_model.safetensors", 64, both[1] };
    m->base = (struct doc_model){
        .name = "base.gguf", .form = "file", .sha256 = files[0].sha256, .files_n = 1, .files = files
    };
    m->tuned = (struct doc_model){ .name = "adapter",
                                   .form = "directory",
                                   .kind = "adapter",
                                   .sha256 = sha256_of(both, sizeof both),
                                   .files_n = 2,
                                   .files = files + 1 };
    if (imported) {
        m->base.form = m->tuned.form = "samples";
        m->base.sha256 = sha256_of(&files[0].sha256, sizeof files[0].sha256);
        files[0].path = "samples_facts.jsonl";
        m->tuned.kind = NULL;
    }
    TRY(doc_models_write(m, &text, st));
    TRY(run_write(run, "run/models.json", text.data, text.size, st));
out:
    str_release(&text);
    return rc;
}

static int environment_make(const char *run, bool imported, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct doc_digest shader = { "rmsnorm", made_up("shader") };
    struct doc_library library = { "libarchive", "3.6.2" };
    struct doc_environment e = {
        .tool = { "lethe", "0.0.0-test", "0000000000000000000000000000000000000000", made_up("program"), "cc",
                  "-O2" },
        .host = { "Linux", "none", 2, 8 },
        .shaders = &shader,
        .shaders_n = 1,
        .libraries = &library,
        .libraries_n = 1,
        .unicode = utf8_unicode_version(),
        .has_deterministic = true,
        .deterministic = true,
    };
    if (!imported)
        e.device = (struct doc_device){ "none: made up", "none", "cpu", "none", "0", "1.3" };
    TRY(doc_environment_write(&e, &text, st));
    TRY(run_write(run, "run/environment.json", text.data, text.size, st));
out:
    str_release(&text);
    return rc;
}

static int data_make(const char *run, bool imported, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct doc_dropped dropped = { "no supervised token", 1 };
    struct doc_file file = { .name = "train.jsonl",
                             .role = "train",
                             .form = "prompt",
                             .sha256 = made_up("train"),
                             .size = 400,
                             .examples = 4,
                             .used = 4,
                             .tokens = 32,
                             .supervised = 8,
                             .dropped = &dropped,
                             .dropped_n = 0 };
    struct doc_hits hits[SUITES];
    for (int s = 0; s < SUITES; s++)
        hits[s] = (struct doc_hits){ suite_ids[s], 0 };
    struct doc_data d = { .files = &file,
                          .files_n = !imported,
                          .has_contamination = !imported,
                          .hits = hits,
                          .hits_n = imported ? 0 : SUITES };
    TRY(doc_data_write(&d, &text, st));
    TRY(run_write(run, "run/data.json", text.data, text.size, st));
out:
    str_release(&text);
    return rc;
}

static void event_line(struct str *out, const char *name, const char *keys)
{
    size_t seq = 0;
    for (size_t i = 0; i < out->size; i++)
        seq += out->data[i] == '\n';
    str_printf(out, "{\"seq\":%zu,\"t\":\"2027-03-01T12:10:%02zu.000Z\",\"event\":\"%s\"%s}\n", seq, seq % 60,
               name, keys);
}

static int events_make(const char *run, bool imported, const struct hash *plan, struct status *st)
{
    int rc = 0;
    struct str text = { 0 }, keys = { 0 };
    str_printf(&keys, ",\"plan\":\"%s\",\"tool\":\"lethe 0.0.0-test\",\"argv\":[\"lethe\",\"audit\"]",
               hash_hex(plan).s);
    event_line(&text, "start", str_text(&keys));
    if (!imported) {
        event_line(&text, "device",
                   ",\"name\":\"none\",\"driver\":\"none\",\"memory_bytes\":0,\"features\":[]");
        for (int s = 0; s < 3; s++) {
            str_clear(&keys);
            str_printf(&keys,
                       ",\"step\":%d,\"loss\":%g,\"lr\":0.5,\"grad_norm\":1,\"tokens\":8,\"supervised\":2,"
                       "\"ms\":1.5",
                       s, 2.5 / (s + 1));
            event_line(&text, "step", str_text(&keys));
        }
        event_line(&text, "warning", ",\"code\":\"test\",\"text\":\"all of this is made up\"");
    }
    event_line(&text, "end", ",\"outcome\":\"complete\"");
    TRY(run_write(run, "run/events.jsonl", text.data, text.size, st));
out:
    str_release(&text);
    str_release(&keys);
    return rc;
}

/* ---- plan ---- */

static void audit_text(bool closed, const struct made_keys *keys, struct str *out)
{
    str_puts(
        out,
        "{\"lethe_audit\":1,\"title\":\"A made up <audit> & its data-m\",\"purpose\":\"Nothing may be lost "
        "but "
        "three houses.\",\"author\":{\"name\":\"A. Author\",\"organisation\":\"Tests\"},"
        "\"base\":{\"path\":\"models/base.gguf\"},\"data\":[{\"role\":\"train\",\"path\":\"train.jsonl\"}],"
        "\"method\":{\"name\":\"lora\",\"seed\":7,\"rank\":4,\"lr\":\"0.0002\",\"targets\":[\"q_proj\"]},");
    if (keys) {
        struct hash a = key_id(key_secret_public(keys->author)),
                    v = key_id(key_secret_public(keys->validator));
        str_printf(out,
                   "\"approvers\":[{\"role\":\"author\",\"keyid\":\"%s\"},{\"role\":\"validator\",\"keyid\":"
                   "\"%s\"}],",
                   hash_hex(&a).s, hash_hex(&v).s);
    }
    str_puts(out, "\"suites\":[{\"path\":\"suites/triage.jsonl\",\"use\":\"task\",\"gain\":\"0.20\"},"
                  "{\"path\":\"suites/agree.jsonl\",\"use\":\"gate\",\"margin\":\"0.25\"},"
                  "{\"path\":\"suites/facts.jsonl\",\"use\":\"gate\",\"margin\":\"0.25\"},"
                  "{\"path\":\"suites/prose.jsonl\",\"use\":\"gate\",\"margin\":\"0.05\"},"
                  "{\"path\":\"suites/safety.jsonl\",\"use\":\"critical\"}],"
                  "\"groups\":[{\"id\":\"pool\",\"members\":[\"facts\",\"agree\"],\"use\":\"gate\","
                  "\"margin\":\"0.2\"}],"
                  "\"measures\":[\"learned_share\",\"forgotten_share\"],"
                  "\"statistics\":{\"seed\":20261124,\"replicates\":1999}");
    str_puts(out, closed ? ",\"privacy\":\"closed\"}" : "}");
}

/* Suites in the order of the audit file. */
static const enum suite audit_order[SUITES] = { TRIAGE, AGREE, FACT, PROSE, SAFETY };

static int plan_make(const struct probe_set *sets, bool closed, const uint8_t key[32],
                     const struct made_keys *keys, struct str *out, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct plan audit = { 0 };
    const struct probe_set *ordered[SUITES];
    struct plan_data_facts data = { "prompt", made_up("train"), 400 };
    audit_text(closed, keys, &text);
    TRY(audit_file_parse(text.data, text.size, &audit, st));
    for (int i = 0; i < SUITES; i++)
        ordered[i] = &sets[audit_order[i]];
    struct plan_facts facts = {
        .base = made_up("base"),
        .tokenizer = made_up("tokenizer"),
        .prefix = "bos",
        .max_len = 512,
        .method = audit.method,
        .data = &data,
        .sets = ordered,
        .salt_key = key,
        .created = "2026-11-24T04:00:00Z",
    };
    TRY(plan_build(&audit, &facts, out, st));
out:
    plan_release(&audit);
    str_release(&text);
    return rc;
}

/* Scores made elsewhere have no audit file; the plan is written as it will stand. */
static int imported_plan(const struct probe_set *set, const uint8_t key[32], struct str *out,
                         struct status *st)
{
    int rc = 0;
    struct hash root, base = made_up("base");
    base = sha256_of(&base, sizeof base);
    TRY(probe_set_root(set, key, &root, st));
    str_printf(
        out,
        "{\"author\":{\"name\":\"A. "
        "Author\"},\"base\":{\"form\":\"samples\",\"name\":\"base\",\"sha256\":\"%s\"},"
        "\"created\":\"2026-11-24T04:00:00Z\",\"lethe_plan\":1,\"mode\":\"imported\",\"purpose\":\"p\","
        "\"statistics\":{\"alpha\":\"0.05\",\"correction\":\"holm\",\"min_clusters\":20,\"replicates\":1999,"
        "\"seed\":7},\"strict\":true,\"suites\":[{\"clusters\":%zu,\"id\":\"facts\",\"items\":%zu,"
        "\"kind\":\"choice\",\"licence\":\"unknown\",\"margin\":\"0.25\",\"metric\":\"acc\",\"role\":"
        "\"custom\",",
        hash_hex(&base).s, set->clusters, set->n);
    str_printf(out, "\"root\":\"%s\",", hash_hex(&root).s);
    str_printf(out,
               "\"sha256\":\"%s\",\"size\":%llu,\"source\":\"samples\",\"title\":\"facts\",\"use\":\"gate\","
               "\"version\":\"1\"}],\"title\":\"An import\"}",
               hash_hex(&set->sha256).s, (unsigned long long)set->size);
    TRY(str_check(out, st));
out:
    return rc;
}

static int config_make(const char *run, struct str *plan_text, const struct made_keys *keys,
                       struct hash *digest, struct status *st)
{
    int rc = 0;
    struct plan plan = { 0 };
    struct doc_config config;
    struct str text = { 0 };
    TRY(plan_parse(plan_text->data, plan_text->size, &plan, st));
    *digest = sha256_of(plan_text->data, plan_text->size);
    doc_config_of_plan(&plan, digest, &config);
    TRY(doc_config_write(&config, &text, st));
    TRY(run_write(run, "run/config.json", text.data, text.size, st));
    TRY(run_write(run, "plan.json", plan_text->data, plan_text->size, st));
    str_clear(&text);
    TRY(pack_plan_sign((struct bytes){ plan_text->data, plan_text->size }, keys->author, &text, st));
    TRY(run_write(run, "plan.dsse.json", text.data, text.size, st));
out:
    plan_release(&plan);
    str_release(&text);
    return rc;
}

/* ---- the run ---- */

static int set_parse(enum suite s, size_t lines, struct probe_set *out, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    suite_text(s, &text);
    if (lines) { /* the header and so many items */
        size_t at = 0, seen = 0;
        while (at < text.size && seen <= lines)
            seen += text.data[at++] == '\n';
        text.size = at;
    }
    TRY(probe_set_parse(text.data, text.size, "suite.jsonl", out, st));
out:
    str_release(&text);
    return rc;
}

static int suite_make(const char *run, enum suite s, const struct probe_set *set, enum made kind,
                      const uint8_t key[32], struct status *st)
{
    int rc = 0;
    struct str text = { 0 }, name = { 0 };
    TRY(plan_probe_lines(set, key, &text, st));
    run_probe_name(set->id, &name);
    TRY(run_write(run, str_text(&name), text.data, text.size, st));
    TRY(side_make(run, s, set, B, kind, key, st));
    TRY(side_make(run, s, set, T, kind, key, st));
    if (kind != MADE_IMPORTED)
        TRY(side_make(run, s, set, Z, kind, key, st));
out:
    str_release(&text);
    str_release(&name);
    return rc;
}

int make_run(const char *run, enum made kind, const struct made_keys *keys, struct status *st)
{
    static const uint8_t key[32] = { 9, 9, 9 };
    int rc = 0;
    bool imported = kind == MADE_IMPORTED;
    struct probe_set sets[SUITES] = { 0 };
    struct doc_models models = { 0 };
    struct str plan = { 0 };
    struct hash digest;
    TRY(dir_make(run, st));
    for (enum suite s = 0; s < SUITES; s++) {
        if (imported && s != FACT)
            continue;
        TRY(set_parse(s, imported ? IMPORTED : 0, &sets[s], st));
        TRY(suite_make(run, s, &sets[s], kind, key, st));
    }
    if (imported)
        TRY(imported_plan(&sets[FACT], key, &plan, st));
    else
        TRY(plan_make(sets, kind == MADE_CLOSED, key, keys, &plan, st));
    TRY(config_make(run, &plan, keys, &digest, st));
    TRY(models_make(run, imported, &models, st));
    TRY(environment_make(run, imported, st));
    TRY(data_make(run, imported, st));
    TRY(events_make(run, imported, &digest, st));
    if (!imported)
        TRY(ledger_make(run, key, st));
out:
    for (int s = 0; s < SUITES; s++)
        probe_set_release(&sets[s]);
    str_release(&plan);
    return rc;
}

int make_archive(const char *folder, enum made kind, const struct made_keys *keys, struct str *path,
                 struct status *st)
{
    int rc = 0;
    struct str run = { 0 };
    const struct key_secret *signers[] = { keys->author, keys->validator };
    const char *const conditions[] = { "Not for use outside of tests." };
    const struct pack_options o = {
        .keys = signers, .keys_n = 2, .conditions = conditions, .conditions_n = 1
    };
    str_printf(&run, "%s/run", folder);
    str_printf(path, "%s/a.lethe", folder);
    TRY(make_run(str_text(&run), kind, keys, st));
    TRY(pack_run(str_text(&run), str_text(path), &o, NULL, st));
out:
    str_release(&run);
    return rc;
}

int make_inputs(const char *folder, struct status *st)
{
    int rc = 0;
    struct str text = { 0 }, path = { 0 };
    str_printf(&path, "%s/suites", folder);
    TRY(dir_make(str_text(&path), st));
    for (enum suite s = 0; s < SUITES; s++) {
        str_clear(&text);
        str_clear(&path);
        suite_text(s, &text);
        str_printf(&path, "%s/suites/%s.jsonl", folder, suite_ids[s]);
        TRY(file_write(str_text(&path), text.data, text.size, 0644, st));
    }
    str_clear(&text);
    str_clear(&path);
    audit_text(false, NULL, &text);
    str_printf(&path, "%s/audit.json", folder);
    TRY(file_write(str_text(&path), text.data, text.size, 0644, st));
out:
    str_release(&text);
    str_release(&path);
    return rc;
}

/* ---- folders and keys ---- */

int make_folder(char out[64], struct status *st)
{
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".";
    snprintf(out, 64, "%s/lethe-test.XXXXXX", place);
    return mkdtemp(out) ? 0 : status_fail(st, RC_IO, "%s: no folder can be made there", place);
}

void make_folder_gone(const char *folder)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    (void)!system(command);
}

int made_keys_open(struct made_keys *out, struct status *st)
{
    int rc = 0;
    struct made_keys k = { 0 };
    TRY(key_generate(KEY_ED25519, &k.author, st));
    TRY(key_generate(KEY_P256, &k.validator, st));
    TRY(key_generate(KEY_ED25519, &k.stranger, st));
    *out = k;
    k = (struct made_keys){ 0 };
out:
    made_keys_close(&k);
    return rc;
}

void made_keys_close(struct made_keys *k)
{
    key_secret_free(k->author);
    key_secret_free(k->validator);
    key_secret_free(k->stranger);
    *k = (struct made_keys){ 0 };
}

static struct json *trust_key(const char *name, const struct key_secret *k)
{
    struct str pem = { 0 };
    struct json *o = json_object();
    if (key_write_public(key_secret_public(k), KEY_FORM_PEM, NULL, &pem, NULL) == 0) {
        json_put_text(o, "name", name);
        json_put_text(o, "key", str_text(&pem));
    }
    str_release(&pem);
    return o;
}

static struct json *trust_entry(const char *role, const char *name)
{
    struct json *o = json_object(), *keys = json_array();
    json_push(keys, json_of_text(name));
    json_put_text(o, "role", role);
    json_put(o, "keys", keys);
    json_put_int(o, "threshold", 1);
    return o;
}

int make_trust(const char *path, const struct made_keys *k, bool other, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct json *root = json_object(), *keys = json_array(), *require = json_array();
    json_put_int(root, "lethe_trust", 1);
    json_push(keys, trust_key("A. Author", other ? k->stranger : k->author));
    json_push(require, trust_entry("author", "A. Author"));
    if (!other) {
        json_push(keys, trust_key("V. Validator", k->validator));
        json_push(require, trust_entry("validator", "V. Validator"));
    }
    json_put(root, "keys", keys);
    json_put(root, "require", require);
    json_put_text(root, "plan", "signed");
    TRY(json_check(root, st));
    TRY(field_canonical(root, &text, st));
    TRY(file_write(path, text.data, text.size, 0644, st));
out:
    json_free(root);
    str_release(&text);
    return rc;
}

/* ---- breaking ---- */

int make_load(const char *path, struct container *out, struct status *st)
{
    const struct container_filter all = { .bytes_max = UINT64_C(1) << 30 };
    return container_load(path, &all, out, st);
}

int make_store(const char *path, const struct container *c, struct status *st)
{
    return members_write(c, path, st);
}

static int put_over(struct container *c, const char *name, struct str *text, struct status *st)
{
    struct container_member *m = members_find(c, name);
    if (!m)
        return members_add(c, name, text, st);
    str_release(&m->data);
    m->data = *text;
    *text = (struct str){ 0 };
    return 0;
}

int make_reseal(struct container *c, const struct made_keys *keys, struct status *st)
{
    int rc = 0;
    struct manifest manifest = { 0 };
    struct statement s = { 0 };
    struct dsse e = { 0 };
    struct str text = { 0 }, copy = { 0 };
    const struct container_member *old = members_find(c, "statement.json");
    TRY(statement_parse(str_text(&old->data), old->data.size, &s, st));
    for (size_t i = 0; i < c->n; i++) {
        const struct container_member *m = &c->members[i];
        struct member_name id;
        struct member_digest d;
        if (!member_find(m->name, &id) || !member_rule(id.member)->sealed)
            continue;
        TRY(member_digest((struct bytes){ str_text(&m->data), m->data.size }, member_rule(id.member)->tree,
                          &d, st));
        TRY(manifest_add(&manifest, m->name, &d, st));
        if (id.member == MEMBER_METRICS)
            s.metrics = d.sha256;
        else if (id.member == MEMBER_VERDICT)
            s.verdict = d.sha256;
    }
    TRY(manifest_write(&manifest, &text, st));
    s.manifest = sha256_of(text.data, text.size);
    TRY(put_over(c, "manifest.json", &text, st));
    TRY(statement_write(&s, &text, st));
    str_add(&copy, text.data, text.size);
    TRY(dsse_init(DSSE_TYPE_STATEMENT, (struct bytes){ copy.data, copy.size }, &e, st));
    TRY(put_over(c, "statement.json", &text, st));
    TRY(dsse_sign(&e, keys->author, st));
    TRY(dsse_sign(&e, keys->validator, st));
    TRY(dsse_write(&e, &text, st));
    TRY(put_over(c, "dsse.json", &text, st));
    members_sort(c);
out:
    manifest_release(&manifest);
    statement_release(&s);
    dsse_release(&e);
    str_release(&text);
    str_release(&copy);
    return rc;
}

int make_tar(const struct container *c, struct str *out, struct status *st)
{
    static const char zeros[2 * CONTAINER_HEADER_BYTES];
    for (size_t i = 0; i < c->n; i++) {
        uint8_t header[CONTAINER_HEADER_BYTES];
        size_t size = c->members[i].data.size;
        container_header(c->members[i].name, size, header);
        str_add(out, header, sizeof header);
        str_add(out, str_text(&c->members[i].data), size);
        str_add(out, zeros,
                (CONTAINER_HEADER_BYTES - size % CONTAINER_HEADER_BYTES) % CONTAINER_HEADER_BYTES);
    }
    str_add(out, zeros, sizeof zeros);
    return str_check(out, st);
}

/* Magic, descriptor 00, a window of 8 MiB, raw blocks of 128 KiB at most. */
int make_frame(const char *path, const struct str *tar, struct status *st)
{
    enum { BLOCK = 1 << 17 };
    int rc = 0;
    struct str file = { 0 };
    str_add(&file, "\x28\xb5\x2f\xfd\x00\x68", 6);
    for (size_t at = 0; at < tar->size; at += BLOCK) {
        size_t n = tar->size - at < BLOCK ? tar->size - at : BLOCK;
        uint32_t head = (uint32_t)(n << 3) | (at + n == tar->size);
        uint8_t bytes[3] = { (uint8_t)head, (uint8_t)(head >> 8), (uint8_t)(head >> 16) };
        str_add(&file, bytes, sizeof bytes);
        str_add(&file, tar->data + at, n);
    }
    TRY(str_check(&file, st));
    TRY(file_write(path, file.data, file.size, 0644, st));
out:
    str_release(&file);
    return rc;
}

int make_replace(struct container *c, const char *member, const char *from, const char *to, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct container_member *m = members_find(c, member);
    const char *at = m ? strstr(str_text(&m->data), from) : NULL;
    if (!at)
        FAIL(st, RC_ARG, "%s: no '%s'", member, from);
    str_add(&text, m->data.data, (size_t)(at - m->data.data));
    str_puts(&text, to);
    at += strlen(from);
    str_add(&text, at, m->data.size - (size_t)(at - m->data.data));
    TRY(str_check(&text, st));
    str_release(&m->data);
    m->data = text;
    text = (struct str){ 0 };
out:
    str_release(&text);
    return rc;
}
