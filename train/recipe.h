/* A recipe: a method with its values, read from JSON and written back with every value that will run.
 *
 * Keys: docs/formats 4. Reals are decimal strings. A key that is unknown, or that the method does not
 * read, is an error. */
#ifndef LETHE_TRAIN_RECIPE_H
#define LETHE_TRAIN_RECIPE_H

#include "base/event.h"
#include "base/json.h"
#include "model/encode.h"
#include "model/hyper.h"

#include <stdbool.h>
#include <stdint.h>

struct recipe;
struct method_run; /* train/train_own.h */

/* A line of methods.def: how a parameterisation reads and checks its own keys, and how it trains. */
struct method {
    const char *name;
    const char *const *keys; /* NULL-ended: what it reads beside the common ones */
    void (*defaults)(struct recipe *r);
    int (*parse)(const struct json *object, struct recipe *r, struct status *st);
    void (*write)(const struct recipe *r, struct json *object);
    /* What the model makes impossible. */
    int (*check)(const struct recipe *r, const struct model_hyper *h, struct status *st);
    /* What is unwise, to the sink. */
    int (*advise)(const struct recipe *r, const struct model_hyper *h, struct event_sink *sink,
                  struct status *st);
    const struct method_run *run;
};
const struct method *method_find(const char *name); /* NULL: none of that name */
/* Names of all methods, ", " between them. */
void method_names(struct str *out);

enum schedule { SCHEDULE_constant, SCHEDULE_linear, SCHEDULE_cosine, SCHEDULES };
const char *schedule_name(enum schedule s);

enum { RECIPE_TEXT = 24 };
/* A real with the digits that the recipe gave: "0.0001". */
struct decimal {
    char text[RECIPE_TEXT];
    double value;
};

enum warmup { WARMUP_DEFAULT, WARMUP_STEPS, WARMUP_RATIO };
enum on_empty { ON_EMPTY_REFUSE, ON_EMPTY_DROP };

struct recipe {
    const struct method *method;
    uint64_t seed;
    struct decimal lr, clip, weight_decay, beta1, beta2, eps;
    enum schedule schedule;
    enum warmup warmup;
    uint32_t warmup_steps;
    struct decimal warmup_ratio;
    uint32_t epochs;      /* 0: `steps` counts */
    uint32_t steps;       /* updates; 0: `epochs` counts */
    uint32_t batch;       /* sequences an update */
    uint32_t micro_batch; /* packed rows a pass */
    uint32_t length;      /* tokens a packed row, and the most of a sequence */
    enum on_long on_long;
    enum on_empty on_empty;
    /* method_lora.c */
    uint32_t rank;
    struct decimal alpha, dropout;
    bool rslora;
    uint32_t targets; /* ROLE_BIT of each */
    /* method_full.c */
    struct decimal freeze, layer_decay;
    struct decimal lr_bottom; /* value below 0: not given */
    bool train_head;
};

/* Values of methods 4.1 for a method; the seed is 0. RC_ARG: no such method. */
MUST_USE int recipe_init(const char *method, struct recipe *out, struct status *st);
/* `seed` must be stated. RC_FORMAT with the key; RC_ARG: a value that makes no sense. */
MUST_USE int recipe_parse(const struct json *object, struct recipe *out, struct status *st);
/* Whether it changes the model's own weights, which are then wanted in f32. */
bool recipe_wants_f32(const struct recipe *r);
/* Every key that applies with the value that will run. NULL: no memory. The warm-up is written as it was
 * given; once the updates are known (recipe_settle), as the steps that run. */
struct json *recipe_write(const struct recipe *r);
/* Decimal text into a value of a recipe: "1e-4" of a command line too. RC_ARG: not a number, or one that
 * needs more than 12 digits behind the point. */
MUST_USE int decimal_parse(const char *text, struct decimal *out, struct status *st);

/* Updates of one epoch and of the whole run over `examples` sequences. */
struct recipe_shape {
    uint32_t epoch_steps, steps, warmup_steps;
};
/* RC_ARG: nothing to train, warm-up not below the updates, or what the method refuses for this model. */
MUST_USE int recipe_shape(const struct recipe *r, uint32_t examples, struct recipe_shape *out,
                          struct status *st);
/* Turns the warm-up into the steps that will run, so that the plan holds a number. */
void recipe_settle(struct recipe *r, const struct recipe_shape *shape);
/* length is at most the model's context; the method's own checks. */
MUST_USE int recipe_check(const struct recipe *r, const struct model_hyper *h, struct status *st);
/* Guards of methods 3.9: a warning event for each thing that is unwise. */
MUST_USE int recipe_advise(const struct recipe *r, const struct model_hyper *h,
                           const struct recipe_shape *shape, bool has_retention, struct event_sink *sink,
                           struct status *st);

/* Rate of update s = 0 … steps - 1 (methods 3.4). */
double schedule_rate(const struct recipe *r, const struct recipe_shape *shape, uint32_t s);
/* f n rounded down and up, f the exact decimal, not negative (methods 4.1). */
uint64_t share_of(const char *decimal, uint64_t n);
uint64_t share_up(const char *decimal, uint64_t n);

#endif
