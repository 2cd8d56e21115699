/* LoRA and rsLoRA: frozen weights, trained low-rank parts beside the linears (methods 2.3, 2.4). */
#include "model/adapter.h"
#include "train/method.h"
#include "train/train_own.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *const KEYS[] = { "rank", "alpha", "dropout", "targets", "rslora", NULL };

static void lora_defaults(struct recipe *r)
{
    r->rank = 8;
    r->alpha = decimal_default("16");
    r->dropout = decimal_default("0");
    r->targets = ROLE_BITS_LINEAR;
}

static int targets_read(const struct json *targets, uint32_t *out, struct status *st)
{
    int rc = 0;
    uint32_t bits = 0;
    const char *text = json_text(targets);
    if (text && strcmp(text, "all-linear") == 0) {
        *out = ROLE_BITS_LINEAR;
        goto out;
    }
    if (json_type(targets) != JSON_ARRAY || json_size(targets) == 0)
        FAIL(st, RC_FORMAT, "key 'targets' is neither \"all-linear\" nor a list of names");
    for (const struct json *t = json_first(targets); t; t = json_next(t)) {
        enum tensor_role role;
        if (!json_text(t) || !role_find(json_text(t), &role))
            FAIL(st, RC_ARG, "key 'targets': '%.40s' is not a linear that an adapter can go on",
                 json_text(t) ? json_text(t) : "(not a name)");
        if (bits & ROLE_BIT(role))
            FAIL(st, RC_ARG, "key 'targets' names '%s' twice", json_text(t));
        bits |= ROLE_BIT(role);
    }
    *out = bits;
out:
    return rc;
}

static int lora_parse(const struct json *object, struct recipe *r, struct status *st)
{
    int rc = 0;
    const struct json *value = NULL;
    TRY(count_read(object, "rank", 1, ADAPTER_RANK_MAX, &r->rank, st));
    TRY(decimal_read(object, "alpha", "above 0", 1e-6, 1e6, &r->alpha, st));
    TRY(decimal_read(object, "dropout", "0 to below 1", 0, 0.999999, &r->dropout, st));
    if ((value = json_find(object, "targets")))
        TRY(targets_read(value, &r->targets, st));
    if (json_find(object, "rslora")) {
        TRY(json_get(object, "rslora", JSON_BOOL, &value, st));
        r->rslora = json_bool(value);
    }
out:
    return rc;
}

static void lora_write(const struct recipe *r, struct json *object)
{
    json_put_int(object, "rank", r->rank);
    json_put_text(object, "alpha", r->alpha.text);
    json_put_text(object, "dropout", r->dropout.text);
    json_put_bool(object, "rslora", r->rslora);
    if (r->targets == ROLE_BITS_LINEAR) {
        json_put_text(object, "targets", "all-linear");
        return;
    }
    struct json *names = json_array();
    for (int role = 0; role < ROLES; role++)
        if (r->targets & ROLE_BIT(role))
            json_push(names, json_of_text(role_name((enum tensor_role)role)));
    json_put(object, "targets", names);
}

static int lora_check(const struct recipe *r, const struct model_hyper *h, struct status *st)
{
    int rc = 0;
    for (int role = 0; role < ROLES; role++) {
        const struct tensor_shape s = role_shape(h, (enum tensor_role)role);
        if ((r->targets & ROLE_BIT(role)) && (r->rank > s.rows || r->rank > s.columns))
            FAIL(st, RC_ARG, "key 'rank' is %" PRIu32 ", but %s is [%" PRIu32 ", %" PRIu32 "]", r->rank,
                 role_name((enum tensor_role)role), s.rows, s.columns);
    }
out:
    return rc;
}

static int lora_advise(const struct recipe *r, const struct model_hyper *h, struct event_sink *sink,
                       struct status *st)
{
    int rc = 0;
    (void)h;
    if (r->lr.value > 0 && r->lr.value < 5e-5)
        TRY(event_warn(sink, st, "lr",
                       "learning rate %s is one of full tuning: the adapter may hardly move (1e-4 to 2e-4 is "
                       "common)",
                       r->lr.text));
out:
    return rc;
}

/* ---- the run ---- */

static int adapter_shape(const struct model_hyper *h, const struct recipe *r, struct adapter *out,
                         struct status *st)
{
    const struct adapter_config config = { .r = r->rank,
                                           .alpha = r->alpha.value,
                                           .dropout = r->dropout.value,
                                           .rslora = r->rslora,
                                           .targets = r->targets };
    return adapter_init(h, &config, out, st);
}

/* What a driver takes for a buffer. */
static uint64_t buffer_bytes(uint64_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

static int lora_plan(const struct model_hyper *h, const struct recipe *r, struct train_plan *plan,
                     uint64_t *bytes, struct status *st)
{
    int rc = 0;
    struct adapter a = { 0 };
    TRY(adapter_shape(h, r, &a, st));
    plan->trainable = adapter_parameters(&a);
    plan->blocks = h->blocks;
    *bytes = 4 * buffer_bytes(lora_bytes(&a)) + buffer_bytes(a.n * 2 * sizeof(float)) +
             buffer_bytes(UPDATE_BLOCK * sizeof(float));
out:
    adapter_release(&a);
    return rc;
}

/* One update for all: there is nothing between the parts that it could change. */
static void lora_fill(struct train *t)
{
    const uint64_t n = t->lora.n;
    for (size_t i = 0; i < t->n.gradients; i++) {
        const struct adapter_part *p = &t->adapter.parts[i / 2];
        const struct lora_part *at = lora_part(&t->lora, p->role, p->block);
        t->gradients[i] = (struct train_stretch){ &t->gradient, (i % 2 ? at->b_at : at->a_at) * sizeof(float),
                                                  (uint64_t)at->r * (i % 2 ? at->out : at->in) };
    }
    t->updates[0] = (struct train_update){
        .args = { .p = { t->lora.values.addr, t->first.addr, t->second.addr, t->gradient.addr },
                  .d = { (uint32_t)n } },
        .rate = 1,
        .decays = true,
    };
    t->zeroed[0] = (struct train_stretch){ &t->gradient, 0, n };
    t->stored[0] = (struct train_stretch){ &t->lora.values, 0, n };
    t->stored[1] = (struct train_stretch){ &t->first, 0, n };
    t->stored[2] = (struct train_stretch){ &t->second, 0, n };
}

static int lora_run_open(struct train *t, struct status *st)
{
    int rc = 0;
    struct gpu *g = model_get_gpu(t->m);
    TRY(adapter_shape(model_get_hyper(t->m), &t->recipe, &t->adapter, st));
    adapter_draw(&t->adapter, t->recipe.seed);
    TRY(lora_open(t->m, &t->adapter, &t->lora, st));
    TRY(gpu_alloc(g, t->lora.values.bytes, "gradient", &t->gradient, st));
    TRY(gpu_alloc(g, t->lora.values.bytes, "moments", &t->first, st));
    TRY(gpu_alloc(g, t->lora.values.bytes, "moments", &t->second, st));
    TRY(train_room(
        t, &(struct train_sizes){ .zeroed = 1, .gradients = t->adapter.n * 2, .updates = 1, .stored = 3 },
        st));
    lora_fill(t);
out:
    return rc;
}

static int lora_save(struct train *t, struct status *st)
{
    int rc = 0;
    TRY(lora_read(&t->lora, &t->adapter, st));
    TRY(adapter_save(&t->adapter, model_get_hyper(t->m), t->options.base_name ? t->options.base_name : "",
                     t->options.out_dir, st));
out:
    return rc;
}

static void lora_run_close(struct train *t)
{
    struct gpu_buffer *const buffers[] = { &t->gradient, &t->first, &t->second };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (buffers[i]->addr)
            gpu_free(model_get_gpu(t->m), buffers[i]);
    lora_close(&t->lora);
    adapter_release(&t->adapter);
}

static const struct method_run RUN = {
    .plan = lora_plan,
    .open = lora_run_open,
    .save = lora_save,
    .close = lora_run_close,
};

const struct method method_lora = {
    .name = "lora",
    .keys = KEYS,
    .defaults = lora_defaults,
    .parse = lora_parse,
    .write = lora_write,
    .check = lora_check,
    .advise = lora_advise,
    .run = &RUN,
};
