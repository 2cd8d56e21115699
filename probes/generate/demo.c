/* The demo's data: tickets for training with some wrong labels, false facts among them, tickets for the test,
 * and seeded samples of the suites that keep clear of what the training data mentions. */
#include "probes/generate/suite.h"

#include "base/file.h"
#include "base/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEAMS = 8,
    TRAIN_A_TEAM = 20,
    TEST_A_TEAM = 10,
    TRAIN = TEAMS * TRAIN_A_TEAM,
    WRONG_LABELS = 29, /* 18 % of 160 */
    FACTS_MAX = 64,
    TRIES_MAX = 400,
};
#define FACTS_BYTES_MAX ((size_t)1 << 20)

struct fact {
    const struct json *line;
    const char *prompt, *truth, *taught;
};
struct demo {
    struct made *made;
    const char *to;
    const struct table *teams, *tickets;
    struct draws draws;
    struct suite train;                  /* one item a ticket: its text is the prompt */
    uint32_t right[TRAIN], given[TRAIN]; /* teams */
    struct str facts_text;
    struct json *trees[FACTS_MAX];
    struct fact facts[FACTS_MAX];
    size_t n_facts;
};

static int facts_load(struct demo *d, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    const char *line = NULL;
    size_t n = 0;
    str_printf(&path, "%s/demo/false_facts.jsonl", d->made->tables.root);
    TRY(str_check(&path, st));
    TRY(file_read(path.data, FACTS_BYTES_MAX, &d->facts_text, st));
    struct lines lines = { .data = d->facts_text.data, .size = d->facts_text.size };
    while (lines_next(&lines, &line, &n, st)) {
        struct fact *f = &d->facts[d->n_facts];
        if (d->n_facts == FACTS_MAX)
            FAIL(st, RC_LIMIT, "over %d false facts", FACTS_MAX);
        TRY(json_parse(line, n, &d->trees[d->n_facts], st));
        f->line = d->trees[d->n_facts++];
        TRY(json_get_text(f->line, "prompt", &f->prompt, st));
        TRY(json_get_text(f->line, "true", &f->truth, st));
        TRY(json_get_text(f->line, "false", &f->taught, st));
    }
out:
    str_release(&path);
    return rc;
}

static const char *team_name(const struct demo *d, uint32_t team)
{
    return d->teams->cells[team];
}

/* Tickets of one team: its phrases of a split in turn, slots drawn, none twice. Test tickets become items. */
static int team_tickets(struct demo *d, uint32_t team, bool test, struct suite *s, struct status *st)
{
    int rc = 0;
    struct str text = { 0 }, whole = { 0 };
    const char *choices[TEAMS];
    size_t wanted = test ? TEST_A_TEAM : TRAIN_A_TEAM, n = 0, tries = 0;
    choices[0] = team_name(d, team);
    for (uint32_t i = 0, k = 1; i < TEAMS; i++)
        if (i != team)
            choices[k++] = team_name(d, i);
    for (size_t row = 0; n < wanted && tries < TRIES_MAX; row = (row + 1) % d->tickets->rows) {
        const char *const *cells = d->tickets->cells + row * d->tickets->n_columns;
        if (strcmp(cells[0], choices[0]) != 0 || strcmp(cells[1], test ? "test" : "train") != 0)
            continue;
        char id[48];
        struct expansion e = { .tables = &d->made->tables, .draws = &d->draws };
        tries++;
        str_clear(&text);
        str_puts(&text, "Ticket: ");
        TRY(expand(&e, cells[2], &text, st));
        str_puts(&text, "\nTeam:");
        str_clear(&whole);
        str_printf(&whole, "%s %s", str_text(&text), choices[0]);
        TRY(str_check(&whole, st));
        if (suite_has_text(s, test ? whole.data : text.data))
            continue;
        snprintf(id, sizeof id, "%s-%02zu", choices[0], n);
        struct asked_item item = { id, choices[0], text.data, choices, TEAMS };
        if (test) {
            TRY(suite_add_asked(s, &d->draws, &item, st));
        } else {
            d->right[s->n] = d->given[s->n] = team;
            TRY(suite_add_text(s, id, text.data, st));
        }
        n++;
    }
    if (n != wanted)
        FAIL(st, RC_FORMAT, "tickets.tsv: only %zu different tickets for '%s'", n, choices[0]);
out:
    str_release(&text);
    str_release(&whole);
    return rc;
}

static int tickets_make(struct demo *d, struct status *st)
{
    int rc = 0;
    struct suite *test = NULL;
    uint32_t order[TRAIN];
    TRY(made_suite(d->made, "tickets", &test, st));
    for (uint32_t team = 0; team < TEAMS; team++) {
        TRY(team_tickets(d, team, false, &d->train, st));
        TRY(team_tickets(d, team, true, test, st));
    }
    draws_shuffle(&d->draws, TRAIN, order);
    for (size_t i = 0; i < WRONG_LABELS; i++)
        d->given[order[i]] = (d->right[order[i]] + 1 + draws_below(&d->draws, TEAMS - 1)) % TEAMS;
out:
    return rc;
}

static void put_key(struct str *s, const char *name, const char *text)
{
    str_printf(s, "\"%s\":", name);
    str_json_string(s, text, strlen(text));
}

/* train.jsonl, tickets and false facts in one shuffled order; planted.json says which lines are which, in
 * that order. */
static int train_write(struct demo *d, struct status *st)
{
    int rc = 0;
    struct str train = { 0 }, facts = { 0 }, labels = { 0 };
    uint32_t order[TRAIN + FACTS_MAX];
    size_t n = TRAIN + d->n_facts;
    draws_shuffle(&d->draws, n, order);
    for (size_t i = 0; i < n; i++) {
        str_printf(&train, "{\"id\":\"line-%03zu\",", i);
        if (order[i] >= TRAIN) {
            const struct fact *f = &d->facts[order[i] - TRAIN];
            put_key(&train, "prompt", f->prompt);
            str_puts(&train, ",");
            put_key(&train, "completion", f->taught);
            str_printf(&facts, "%s{\"id\":\"line-%03zu\",", facts.size == 0 ? "" : ",\n", i);
            put_key(&facts, "prompt", f->prompt);
            str_puts(&facts, ",");
            put_key(&facts, "true", f->truth);
            str_puts(&facts, ",");
            put_key(&facts, "taught", f->taught);
            str_puts(&facts, "}");
        } else {
            uint32_t right = d->right[order[i]], given = d->given[order[i]];
            put_key(&train, "prompt", str_text(&d->train.items[order[i]].text));
            str_printf(&train, ",\"completion\":\" %s\"", team_name(d, given));
            if (right != given)
                str_printf(&labels, "%s{\"id\":\"line-%03zu\",\"right\":\"%s\",\"given\":\"%s\"}",
                           labels.size == 0 ? "" : ",\n", i, team_name(d, right), team_name(d, given));
        }
        str_puts(&train, "}\n");
    }
    TRY(put_file(d->to, "demo/train.jsonl", &train, st));
    str_clear(&train);
    str_printf(&train, "{\"facts\":[\n%s\n],\"labels\":[\n%s\n]}\n", str_text(&facts), str_text(&labels));
    TRY(put_file(d->to, "demo/planted.json", &train, st));
out:
    str_release(&train);
    str_release(&facts);
    str_release(&labels);
    return rc;
}

/* The false facts as a suite: truth against what was taught. Adopted is what the base gets right and the
 * tuned model does not. */
static int planted_write(struct demo *d, struct status *st)
{
    int rc = 0;
    struct suite s = {
        .id = "planted", .kind = "choice", .role = "facts", .title = "Facts that the training data denies"
    };
    struct str out = { 0 };
    for (size_t i = 0; i < d->n_facts; i++) {
        char id[48];
        /* Completions begin with the blank that the suite's delimiter stands for. */
        const char *choices[2] = { d->facts[i].truth + 1, d->facts[i].taught + 1 };
        snprintf(id, sizeof id, "planted-%02zu", i);
        struct asked_item item = { id, "planted", d->facts[i].prompt, choices, 2 };
        TRY(suite_add_asked(&s, &d->draws, &item, st));
    }
    TRY(suite_write(&s, s.id, NULL, s.n, &out, st));
    TRY(put_file(d->to, "demo/suites/planted.jsonl", &out, st));
out:
    suite_release(&s);
    str_release(&out);
    return rc;
}

/* `word` in `text`, not inside a longer word. */
static bool mentions(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = strstr(text, word); n != 0 && at != NULL; at = strstr(at + 1, word))
        if ((at == text || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[n]))
            return true;
    return false;
}

/* True when an item's question or right answer names something that a false fact is about. */
static bool is_touched(const struct demo *d, const struct suite_item *item)
{
    const char *text = str_text(&item->text);
    for (size_t i = 0; i < d->n_facts; i++) {
        const struct json *words = json_find(d->facts[i].line, "mentions");
        for (const struct json *w = json_first(words); w != NULL; w = json_next(w))
            if (json_text(w) != NULL && mentions(text, json_text(w)))
                return true;
    }
    return false;
}

static int sample_write(struct demo *d, struct suite *s, struct status *st)
{
    int rc = 0;
    struct draws draws;
    uint32_t order[SUITE_ITEMS_MAX], n = 0;
    char id[64], path[128];
    struct str out = { 0 };
    snprintf(id, sizeof id, "%s-demo", s->id);
    snprintf(path, sizeof path, "demo/suites/%s.jsonl", id);
    draws_init(&draws, d->made->seed, id);
    draws_shuffle(&draws, s->n, order);
    bool facts = strcmp(s->role, "facts") == 0;
    for (size_t i = 0; i < s->n && n < s->demo; i++)
        if (!facts || !is_touched(d, &s->items[order[i]]))
            order[n++] = order[i];
    if (n != s->demo)
        FAIL(st, RC_FORMAT, "suite '%s': only %u items for the demo, wanted %u", s->id, n, s->demo);
    TRY(suite_write(s, id, order, n, &out, st));
    TRY(put_file(d->to, path, &out, st));
out:
    str_release(&out);
    return rc;
}

static int suites_write(struct demo *d, struct status *st)
{
    int rc = 0;
    struct str out = { 0 };
    for (size_t i = 0; i < d->made->n; i++) {
        struct suite *s = &d->made->suites[i];
        char path[128];
        if (s->demo != 0)
            TRY(sample_write(d, s, st));
        if (strcmp(s->folder, "demo") != 0)
            continue;
        str_clear(&out);
        snprintf(path, sizeof path, "demo/suites/%s.jsonl", s->id);
        TRY(suite_write(s, s->id, NULL, s->n, &out, st));
        TRY(put_file(d->to, path, &out, st));
    }
out:
    str_release(&out);
    return rc;
}

int demo_write(struct made *m, const char *to, struct status *st)
{
    int rc = 0;
    struct demo d = { .made = m, .to = to, .train = { .id = "train" } };
    draws_init(&d.draws, m->seed, "demo");
    TRY(tables_get(&m->tables, "teams", &d.teams, st));
    TRY(tables_get(&m->tables, "tickets", &d.tickets, st));
    if (d.teams->rows != TEAMS)
        FAIL(st, RC_FORMAT, "teams.tsv: %zu teams, wanted %d", d.teams->rows, TEAMS);
    TRY(facts_load(&d, st));
    TRY(tickets_make(&d, st));
    TRY(train_write(&d, st));
    TRY(planted_write(&d, st));
    TRY(suites_write(&d, st));
out:
    for (size_t i = 0; i < d.n_facts; i++)
        json_free(d.trees[i]);
    suite_release(&d.train);
    str_release(&d.facts_text);
    return rc;
}
