#include "cli/session.h"

#include "base/file.h"
#include "model/full.h"

#include <string.h>

/* A run goes on with the kernels that it began with. On another device they may not be there. */
static void variants_keep(const struct common *c, struct gpu *g, const char *variants)
{
    struct status why = { 0 };
    if (variants && path_exists(variants) && gpu_variants_load(g, variants, &why) != 0)
        cli_say(c, "%s: this device's own choice of kernels is used", why.msg);
}

int session_open(const struct common *c, const char *path, const struct model_options *options,
                 const char *variants, struct session *out, struct status *st)
{
    int rc = 0;
    struct model_plan plan;
    TRY(model_plan(path, &plan, st)); /* a bad file is told before a device is looked for */
    TRY(cli_gpu_open(c, &out->gpu, st));
    variants_keep(c, out->gpu, variants);
    TRY(model_open(path, out->gpu, options, &out->model, st));
out:
    if (rc)
        session_close(out);
    return rc;
}

int session_adapter(struct session *s, const char *folder, struct status *st)
{
    int rc = 0;
    session_tuned_close(s);
    TRY(adapter_load(folder, model_get_hyper(s->model), &s->adapter, st));
    rc = lora_open(s->model, &s->adapter, &s->lora, st);
    if (rc)
        adapter_release(&s->adapter);
    s->has_adapter = rc == 0;
out:
    return rc;
}

int session_weights(struct session *s, const char *folder, struct event_sink *sink, struct status *st)
{
    int rc = 0;
    session_tuned_close(s);
    TRY(model_open(model_get_path(s->model), s->gpu, &(struct model_options){ .f32 = true, .sink = sink },
                   &s->weights, st));
    TRY(full_load(s->weights, folder, st));
out:
    if (rc)
        session_tuned_close(s);
    return rc;
}

void session_tuned_close(struct session *s)
{
    if (s->has_adapter) {
        lora_close(&s->lora);
        adapter_release(&s->adapter);
    }
    s->has_adapter = false;
    model_close(s->weights);
    s->weights = NULL;
}

void session_close(struct session *s)
{
    session_tuned_close(s);
    model_close(s->model);
    gpu_close(s->gpu);
    *s = (struct session){ 0 };
}

static int stopping_check(void *self, const struct lm_ask *asks, size_t n, size_t *bad, struct status *st)
{
    struct session_lm *s = self;
    return s->inner.check(s->inner.self, asks, n, bad, st);
}

static int stopping_score(void *self, const struct lm_ask *asks, size_t n, struct lm_answer *out, size_t *bad,
                          struct status *st)
{
    struct session_lm *s = self;
    if (cli_stop)
        return status_fail(st, RC_INTERRUPTED, "stopped; --resume goes on from here");
    int rc = s->inner.score(s->inner.self, asks, n, out, bad, st);
    s->lm.tokens = s->inner.tokens;
    return rc;
}

int session_lm_open(struct session *s, bool tuned, const struct lm_options *options, struct session_lm *out,
                    struct status *st)
{
    struct model *m = tuned && s->weights ? s->weights : s->model;
    int rc = model_lm(m, tuned && s->has_adapter ? &s->lora : NULL, options, &out->inner, st);
    out->open = rc == 0;
    out->lm = (struct lm){ .self = out, .check = stopping_check, .score = stopping_score };
    return rc;
}

void session_lm_close(struct session_lm *lm)
{
    if (lm->open)
        model_lm_close(&lm->inner);
    *lm = (struct session_lm){ 0 };
}
