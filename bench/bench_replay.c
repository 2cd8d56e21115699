/* What recording costs the host: milliseconds of the calling thread for a forward and a backward pass of few
 * rows with an adapter on every linear, as one JSON line each for passes that are recorded anew (five sizes
 * of batch take turns, one more than recordings are kept) and for passes that run as they were recorded.
 *
 *   bench_replay MODEL.gguf [rounds]
 *
 * host: median of the calling thread's processor time, in which a software driver may run nothing else.
 * operators: recorded in all rounds. */
#include "base/alloc.h"
#include "base/status.h"
#include "model/graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS = 16, SIZES = 5, ROUNDS = 20, ROUNDS_MAX = 1000, RANK = 8 };

struct subject {
    struct model *m;
    struct graph *g;
    struct adapter adapter;
    struct lora lora;
    struct gpu_buffer gradient;
};

static int subject_open(struct gpu *g, const char *path, struct subject *s, struct status *st)
{
    int rc = 0;
    TRY(model_open(path, g, &(struct model_options){ .train = true }, &s->m, st));
    const struct adapter_config config = { .r = RANK, .alpha = RANK, .targets = ROLE_BITS_LINEAR };
    TRY(adapter_init(model_get_hyper(s->m), &config, &s->adapter, st));
    TRY(lora_open(s->m, &s->adapter, &s->lora, st));
    TRY(gpu_alloc(g, lora_bytes(&s->adapter), "gradient", &s->gradient, st));
    TRY(graph_open(s->m, &(struct graph_options){ .rows_max = ROWS, .rank_max = RANK, .train = true }, &s->g,
                   st));
out:
    return rc;
}

static void subject_release(struct gpu *g, struct subject *s)
{
    graph_close(s->g);
    gpu_free(g, &s->gradient);
    lora_close(&s->lora);
    adapter_release(&s->adapter);
    model_close(s->m);
}

static double thread_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int passes(struct subject *s, uint32_t rows, double *ms, struct status *st)
{
    int rc = 0;
    static const int32_t ids[ROWS];
    static const float weights[ROWS];
    uint32_t positions[ROWS];
    struct graph_span spans[ROWS];
    struct graph_pick picks[ROWS];
    for (uint32_t i = 0; i < rows; i++) {
        positions[i] = i;
        spans[i] = (struct graph_span){ .end = rows };
    }
    const struct graph_batch batch = { .rows = rows,
                                       .ids = ids,
                                       .positions = positions,
                                       .spans = spans,
                                       .picks = rows,
                                       .pick_rows = positions,
                                       .targets = ids,
                                       .lora = &s->lora };
    *ms = thread_ms();
    TRY(graph_forward(s->g, &batch, picks, st));
    TRY(graph_backward(s->g, &batch, weights, &s->gradient, st));
    *ms = thread_ms() - *ms;
out:
    return rc;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Rounds over so many sizes of batch, behind one that makes the pipelines. */
static int measure(struct gpu *g, struct subject *s, const char *what, uint32_t sizes, int rounds,
                   struct status *st)
{
    int rc = 0;
    double ms[ROUNDS_MAX], first;
    for (uint32_t i = 0; i < SIZES; i++)
        TRY(passes(s, ROWS - i % sizes, &first, st));
    const uint64_t before = gpu_operators(g);
    for (int i = 0; i < rounds; i++)
        TRY(passes(s, ROWS - (uint32_t)i % sizes, &ms[i], st));
    qsort(ms, (size_t)rounds, sizeof *ms, by_value);
    printf("{\"bench\":\"replay\",\"what\":\"%s\",\"rounds\":%d,\"operators\":%" PRIu64
           ",\"host_ms\":%.3f}\n",
           what, rounds, gpu_operators(g) - before, ms[rounds / 2]);
out:
    return rc;
}

int main(int argc, char **argv)
{
    int rc = 0;
    struct status status = { 0 }, *st = &status;
    struct gpu *g = NULL;
    struct subject s = { 0 };
    const int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : ROUNDS;
    if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX)
        FAIL(st, RC_ARG, "bench_replay MODEL.gguf [rounds]");
    TRY(gpu_open(NULL, &g, st));
    TRY(subject_open(g, argv[1], &s, st));
    TRY(measure(g, &s, "anew", SIZES, rounds, st));
    TRY(measure(g, &s, "again", 1, rounds, st));
out:
    if (rc != 0)
        fprintf(stderr, "%s\n", status.msg);
    if (g)
        subject_release(g, &s);
    gpu_close(g);
    return rc != 0;
}
