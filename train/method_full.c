/* Full tuning: every tensor is trained, or those that freezing leaves (methods 2.2, 3.5, 3.6). */
#include "base/alloc.h"
#include "train/method.h"
#include "train/train_own.h"

#include <inttypes.h>
#include <math.h>

static const char *const KEYS[] = { "freeze", "train_head", "layer_decay", "lr_bottom", NULL };

static void full_defaults(struct recipe *r)
{
    r->lr = decimal_default("0.00002");
    r->freeze = decimal_default("0");
    r->layer_decay = decimal_default("1");
    r->lr_bottom = (struct decimal){ .value = -1 };
}

static int full_parse(const struct json *object, struct recipe *r, struct status *st)
{
    int rc = 0;
    const struct json *value = NULL;
    TRY(decimal_read(object, "freeze", "0 to 1", 0, 1, &r->freeze, st));
    TRY(decimal_read(object, "layer_decay", "0 to 1", 0, 1, &r->layer_decay, st));
    TRY(decimal_read(object, "lr_bottom", "0 to 1", 0, 1, &r->lr_bottom, st));
    if (json_find(object, "train_head")) {
        TRY(json_get(object, "train_head", JSON_BOOL, &value, st));
        r->train_head = json_bool(value);
    }
    if (r->lr_bottom.value >= 0 && r->layer_decay.value < 1)
        FAIL(st, RC_ARG, "keys 'layer_decay' and 'lr_bottom' cannot both count");
    if (r->lr_bottom.value >= 0 && r->lr.value <= 0)
        FAIL(st, RC_ARG, "key 'lr_bottom' wants an 'lr' above 0");
out:
    return rc;
}

static void full_write(const struct recipe *r, struct json *object)
{
    json_put_text(object, "freeze", r->freeze.text);
    json_put_bool(object, "train_head", r->train_head);
    if (r->lr_bottom.value >= 0)
        json_put_text(object, "lr_bottom", r->lr_bottom.text);
    else
        json_put_text(object, "layer_decay", r->layer_decay.text);
}

/* ---- which tensors, and how fast ---- */

/* A tensor whose rate is 0 is left out, not fed zeros: AdamW's moments would move it still. */
static struct full_choice choice_of(const struct recipe *r, const struct model_hyper *h)
{
    const bool frozen = r->freeze.value > 0;
    const bool embedding_kept = !frozen || (r->train_head && h->tied_head);
    struct full_choice c = {
        .first_block = (uint32_t)share_of(r->freeze.text, h->blocks),
        .embedding = embedding_kept && r->layer_decay.value > 0 && r->lr_bottom.value != 0,
    };
    const uint32_t still = r->layer_decay.value > 0 ? 0 : h->blocks - 1;
    c.first_block = c.first_block > still ? c.first_block : still;
    if (r->lr_bottom.value == 0 && h->blocks > 1 && c.first_block == 0)
        c.first_block = 1;
    return c;
}

double full_rate(const struct recipe *r, const struct model_hyper *h, enum tensor_role role, uint32_t block)
{
    const bool bottom = role == ROLE_EMBEDDING || (role == ROLE_HEAD && h->tied_head);
    if (!bottom && !role_is_block(role))
        return 1;
    if (r->lr_bottom.value >= 0) {
        const double low = r->lr_bottom.value / r->lr.value, at = bottom ? 0 : block;
        if (!bottom && h->blocks == 1)
            return 1;
        return low + (1 - low) * (at / (h->blocks > 1 ? h->blocks - 1 : 1));
    }
    return pow(r->layer_decay.value, bottom ? h->blocks : h->blocks - 1 - block);
}

static int full_check(const struct recipe *r, const struct model_hyper *h, struct status *st)
{
    int rc = 0;
    const struct full_choice c = choice_of(r, h);
    if (c.first_block == h->blocks && h->tied_head && !c.embedding)
        FAIL(st, RC_ARG, "key 'freeze' is %s: of this model it leaves nothing but the final norm to train",
             r->freeze.text);
out:
    return rc;
}

static int full_advise(const struct recipe *r, const struct model_hyper *h, struct event_sink *sink,
                       struct status *st)
{
    int rc = 0;
    const double n = (double)hyper_parameters(h), lr = r->lr.value;
    if (n >= 1e9 && n < 7e9 && (lr < 1e-6 || lr > 5e-5))
        TRY(event_warn(sink, st, "lr",
                       "learning rate %s: popular advice is 1e-6 to 5e-5 for 1B to 7B parameters",
                       r->lr.text));
    else if (n >= 7e9 && n < 13e9 && lr > 5e-5)
        TRY(event_warn(sink, st, "lr",
                       "learning rate %s: popular advice is not above 5e-5 for 7B to 13B parameters",
                       r->lr.text));
    else if (n >= 13e9 && (lr < 1e-6 || lr > 5e-6))
        TRY(event_warn(sink, st, "lr", "learning rate %s: popular advice is 1e-6 to 5e-6 from 13B parameters",
                       r->lr.text));
out:
    return rc;
}

/* ---- the run ---- */

static uint64_t buffer_bytes(uint64_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

static int full_plan(const struct model_hyper *h, const struct recipe *r, struct train_plan *plan,
                     uint64_t *bytes, struct status *st)
{
    const struct full_choice c = choice_of(r, h);
    uint64_t pieces = 0;
    enum tensor_role role;
    uint32_t block;
    (void)st;
    for (uint32_t i = 0; i < hyper_tensors(h); i++) {
        role_at(h, i, &role, &block);
        const struct tensor_shape s = role_shape(h, role);
        pieces += train_pieces((uint64_t)s.rows * s.columns);
    }
    const uint32_t lowest = c.embedding ? 0 : c.first_block;
    plan->frozen = lowest < h->blocks ? lowest : h->blocks - 1;
    plan->blocks = h->blocks - plan->frozen;
    plan->trainable = full_parameters(h, &c);
    *bytes = full_bytes(h, &c) + buffer_bytes(pieces * sizeof(float)) +
             buffer_bytes((uint64_t)hyper_tensors(h) * UPDATE_BLOCK * sizeof(float));
    return 0;
}

static void full_fill(struct train *t)
{
    const struct model_hyper *h = model_get_hyper(t->m);
    struct full *f = &t->full;
    for (size_t i = 0; i < f->n; i++) {
        const struct full_part *p = &f->parts[i];
        const uint64_t floats = (uint64_t)p->shape.rows * p->shape.columns;
        struct train_update *u = &t->updates[i];
        t->gradients[i] = (struct train_stretch){ p->buffers[FULL_GRADIENT], p->at, floats };
        t->zeroed[i] = t->gradients[i];
        t->stored[i] = (struct train_stretch){ p->weight->buffer, p->weight->units - p->weight->buffer->addr,
                                               p->floats };
        t->stored[f->n + i] = (struct train_stretch){ p->buffers[FULL_FIRST], p->at, p->floats };
        t->stored[2 * f->n + i] = (struct train_stretch){ p->buffers[FULL_SECOND], p->at, p->floats };
        *u = (struct train_update){
            .args = { .p = { p->weight->units, full_address(p, FULL_FIRST), full_address(p, FULL_SECOND),
                             full_address(p, FULL_GRADIENT), 0, p->weight->turned },
                      .d = { (uint32_t)p->floats } },
            .rate = full_rate(&t->recipe, h, p->role, p->block),
            .decays = !p->norm,
        };
        if (p->norm)
            continue;
        u->args.d[1] = p->shape.columns;
        u->args.d[2] = p->shape.rows;
        u->args.d[3] = p->weight->turned ? model_turned_piece(t->m, p->role) : 0;
    }
}

static int full_run_open(struct train *t, struct status *st)
{
    int rc = 0;
    const struct full_choice c = choice_of(&t->recipe, model_get_hyper(t->m));
    TRY(full_open(t->m, &c, &t->full, st));
    const size_t n = t->full.n;
    TRY(train_room(t, &(struct train_sizes){ .zeroed = n, .gradients = n, .updates = n, .stored = 3 * n },
                   st));
    full_fill(t);
out:
    return rc;
}

/* A checkpoint has the first copy of the weights: the others are made from it. */
static int full_resumed(struct train *t, struct status *st)
{
    int rc = 0;
    uint64_t most = 0;
    float *values = NULL;
    for (size_t i = 0; i < t->full.n; i++)
        most = t->full.parts[i].floats > most ? t->full.parts[i].floats : most;
    values = mem_calloc(most, sizeof *values);
    if (!values)
        FAIL(st, RC_NOMEM, "no memory for the largest tensor");
    for (size_t i = 0; i < t->full.n; i++) {
        const struct full_part *p = &t->full.parts[i];
        if (!p->weight->turned)
            continue;
        TRY(model_values_read(t->m, p->role, p->block, values, st));
        TRY(model_values_write(t->m, p->role, p->block, values, st));
    }
out:
    mem_free(values);
    return rc;
}

static int full_result(struct train *t, struct status *st)
{
    return full_save(t->m, t->options.out_dir, st);
}

static void full_run_close(struct train *t)
{
    full_close(&t->full);
}

static const struct method_run RUN = {
    .plan = full_plan,
    .open = full_run_open,
    .resumed = full_resumed,
    .save = full_result,
    .close = full_run_close,
};

const struct method method_full = {
    .name = "full",
    .keys = KEYS,
    .defaults = full_defaults,
    .parse = full_parse,
    .write = full_write,
    .check = full_check,
    .advise = full_advise,
    .run = &RUN,
};
