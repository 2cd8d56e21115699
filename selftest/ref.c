/* The operators as formulas in double precision, and what shapes their tensors have. */
#include "selftest/scene.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

static struct tensor rows_of(size_t rows, size_t width, size_t pad)
{
    return (struct tensor){ .n = rows * width, .width = width, .stride = width + pad };
}

static struct tensor packed(size_t rows, size_t width, uint32_t format)
{
    return (
        struct tensor){ .n = rows * width, .width = width, .packed = true, .format = (enum weight)format };
}

/* Rows that a product reads in whole tiles, and 16 rows more where a loop runs on: as model/graph.c gives. */
static struct tensor with_room(struct tensor t)
{
    const size_t rows = t.n / t.width;
    t.room = ((rows + 47) / 48 * 48 - rows + 16) * t.stride;
    return t;
}

static struct tensor adding(struct tensor t)
{
    t.before = BEFORE_RANDOM;
    return t;
}

static void set_d(struct scene *s, enum pass pass, const uint32_t d[8])
{
    memcpy(s->args[pass].d, d, 8 * sizeof *d);
}
#define D(s, pass, ...) set_d(s, PASS_##pass, (const uint32_t[8]){ __VA_ARGS__ })

/* ---- embed: rows, vocabulary, width, format ---- */

static void shape_embed(struct scene *s)
{
    const uint32_t *n = s->row->n;
    s->in[0] = packed(n[1], n[2], n[3]);
    s->out[0] = rows_of(n[0], n[2], 0);
    s->grad[0] = adding(rows_of(n[1], n[2], 0));
    s->ints = rows_of(2, n[0], 0); /* ids, and links behind them */
    for (uint32_t i = 0; i < n[0]; i++) {
        s->words[i] = uniform_below(s, n[1]);
        s->words[n[0] + i] = 0;
        for (uint32_t j = i; j-- > 0;)
            if (s->words[j] == s->words[i]) {
                s->words[n[0] + j] |= i;
                s->words[n[0] + i] = EMBED_LATER;
                break;
            }
    }
    D(s, fwd, n[0] * n[2], n[2], n[3]);
    D(s, bwd0, n[0] * n[2], n[2]);
}

static void ref_embed(const struct scene *s, double *const out[OUTPUTS])
{
    size_t width = s->row->n[2];
    for (size_t i = 0; i < s->out[0].n; i++)
        out[0][i] = s->ref_in[0][s->words[i / width] * width + i % width];
}

/* ---- rmsnorm: rows, width ---- */

static const float EPS = 1e-5f;

static void shape_rmsnorm(struct scene *s)
{
    const uint32_t *n = s->row->n;
    s->in[0] = rows_of(n[0], n[1], 0);
    s->in[1] = rows_of(1, n[1], 0);
    s->out[0] = rows_of(n[0], n[1], 0);
    s->out[1] = rows_of(n[0], 1, 0);
    s->grad[0] = adding(rows_of(n[0], n[1], 0));
    s->grad[1] = adding(rows_of(1, n[1], 0));
    for (int pass = 0; pass < PASS_COUNT; pass++) {
        set_d(s, (enum pass)pass, (const uint32_t[8]){ n[0], n[1] });
        s->args[pass].f[0] = EPS;
    }
}

static void ref_rmsnorm(const struct scene *s, double *const out[OUTPUTS])
{
    size_t width = s->row->n[1];
    for (size_t at = 0; at < s->out[0].n; at += width) {
        double sum = 0;
        for (size_t c = 0; c < width; c++)
            sum += s->ref_in[0][at + c] * s->ref_in[0][at + c];
        const double r = 1 / sqrt(sum / (double)width + (double)EPS);
        for (size_t c = 0; c < width; c++)
            out[0][at + c] = s->ref_in[1][c] * s->ref_in[0][at + c] * r;
        out[1][at / width] = r;
    }
}

/* ---- rope: rows, heads, width of a head, pairing, room behind a row ---- */

enum { POSITIONS = 40 };

static void shape_rope(struct scene *s)
{
    const uint32_t *n = s->row->n;
    uint32_t width = n[1] * n[2];
    s->in[0] = rows_of(n[0], width, n[4]);
    s->in[1] = rows_of(POSITIONS, n[2], 0);
    s->out[0] = s->dy = s->grad[0] = s->in[0];
    s->out[0].before = s->grad[0].before = BEFORE_INPUT;
    s->ints = rows_of(1, n[0], 0);
    for (uint32_t i = 0; i < n[0]; i++)
        s->words[i] = uniform_below(s, POSITIONS);
    D(s, fwd, n[0] * width / 2, n[1], n[2], width + n[4], n[3]);
    D(s, bwd0, n[0] * width / 2, n[1], n[2], width + n[4], n[3]);
}

static void ref_rope(const struct scene *s, double *const out[OUTPUTS])
{
    const size_t head = s->row->n[2], pairs = head / 2;
    const bool near = s->row->n[3] == 0;
    for (size_t first = 0; first < s->out[0].n; first += head) {
        size_t row = first / s->in[0].width;
        for (size_t i = 0; i < pairs; i++) {
            const double *turn = &s->ref_in[1][(s->words[row] * pairs + i) * 2];
            size_t a = first + (near ? 2 * i : i), b = near ? a + 1 : a + pairs;
            out[0][a] = s->ref_in[0][a] * turn[0] - s->ref_in[0][b] * turn[1];
            out[0][b] = s->ref_in[0][a] * turn[1] + s->ref_in[0][b] * turn[0];
        }
    }
}

/* ---- attention: rows, H, KV, width of a head, prefix, longest sequence, factor of the scores (0: 1) ---- */

static void shape_attention(struct scene *s)
{
    const uint32_t *n = s->row->n;
    const float scale = (float)(1 / sqrt(n[3]));
    s->in[0] = rows_of(n[0], n[1] * n[3], 0);
    s->in[1] = s->in[2] = rows_of(n[0], n[2] * n[3], 0);
    s->out[0] = rows_of(n[0], n[1] * n[3], 0);
    s->out[1] = rows_of(n[0], n[1], 0);
    s->ints = rows_of(n[0], 4, 0);
    for (uint32_t row = n[4], first = n[4], end = n[4]; row < n[0]; row++) {
        if (row == end) {
            first = row;
            end = row + 1 + uniform_below(s, n[5]);
            end = end < n[0] ? end : n[0];
        }
        memcpy(&s->words[row * 4], (const uint32_t[4]){ 0, n[4], first, end }, 16);
    }
    for (uint32_t row = 0; row < n[4]; row++) /* the prefix is a sequence, too */
        memcpy(&s->words[row * 4], (const uint32_t[4]){ 0, 0, 0, n[4] }, 16);
    D(s, fwd, n[0] * n[1], n[1], n[2], n[3]);
    D(s, bwd0, n[0] * n[1], n[1], n[2], n[3]);
    D(s, bwd1, n[0] * n[2], n[1], n[2], n[3]);
    for (int pass = 0; pass < PASS_COUNT; pass++)
        s->args[pass].f[0] = scale;
    s->no_bwd1 = n[4] > 0;
}

/* Scores far above those before them move what keeps exp in range. */
static void values_attention(struct scene *s)
{
    for (size_t i = 0; s->row->n[6] && i < s->in[0].n; i++)
        s->ref_in[0][i] *= s->row->n[6];
}

/* One query and head: scores into p, then their softmax; returns lse. */
static double softmax_of(const struct scene *s, size_t row, size_t head, double *p)
{
    const uint32_t *n = s->row->n, *span = &s->words[row * 4];
    size_t kv = head / (n[1] / n[2]), width = n[3];
    double top = -INFINITY, sum = 0;
    for (size_t j = 0; j <= row; j++) {
        bool seen = (j >= span[0] && j < span[0] + span[1]) || j >= span[2];
        double dot = 0;
        for (size_t d = 0; d < width; d++)
            dot += s->ref_in[0][(row * n[1] + head) * width + d] * s->ref_in[1][(j * n[2] + kv) * width + d];
        p[j] = seen ? dot / sqrt((double)width) : -INFINITY;
        top = fmax(top, p[j]);
    }
    for (size_t j = 0; j <= row; j++)
        sum += p[j] = exp(p[j] - top);
    for (size_t j = 0; j <= row; j++)
        p[j] /= sum;
    return top + log(sum);
}

static void ref_attention(const struct scene *s, double *const out[OUTPUTS])
{
    const uint32_t *n = s->row->n;
    double *const p = s->scratch;
    for (size_t row = 0; row < n[0]; row++) {
        for (size_t head = 0; head < n[1]; head++) {
            size_t kv = head / (n[1] / n[2]);
            out[1][row * n[1] + head] = softmax_of(s, row, head, p);
            for (size_t d = 0; d < n[3]; d++) {
                double sum = 0;
                for (size_t j = 0; j <= row; j++)
                    sum += p[j] * s->ref_in[2][(j * n[2] + kv) * n[3] + d];
                out[0][(row * n[1] + head) * n[3] + d] = sum;
            }
        }
    }
}

/* ---- swiglu: elements ---- */

static void shape_swiglu(struct scene *s)
{
    const uint32_t *n = s->row->n;
    s->in[0] = s->in[1] = s->out[0] = rows_of(1, n[0], 0);
    for (int pass = 0; pass < PASS_COUNT; pass++)
        s->args[pass].d[0] = n[0];
}

static void ref_swiglu(const struct scene *s, double *const out[OUTPUTS])
{
    for (size_t i = 0; i < s->out[0].n; i++)
        out[0][i] = s->ref_in[0][i] / (1 + exp(-s->ref_in[0][i])) * s->ref_in[1][i];
}

/* ---- matmul: m, n, k, room behind rows of x, of y, 1 to add, format, rank of an adapter ---- */

static const float LORA_SCALE = 1.75f;

static void shape_matmul(struct scene *s)
{
    const uint32_t *n = s->row->n;
    uint32_t ldx = n[2] + n[3], ldy = n[1] + n[4];
    s->in[0] = with_room(rows_of(n[0], n[2], n[3]));
    s->grad[0] = rows_of(n[0], n[2], n[3]);
    s->in[1] = packed(n[1], n[2], n[6]);
    if (n[7]) {
        s->in[2] = with_room(rows_of(n[0], n[7], 0)); /* u, and du */
        s->in[3] = rows_of(n[7], n[1], 0);            /* B */
        s->in[4] = rows_of(n[7], n[2], 0);            /* A */
    }
    s->out[0] = rows_of(n[0], n[1], n[4]);
    s->dy = with_room(s->out[0]);
    s->grad[1] = adding(rows_of(n[1], n[2], 0));
    if (n[5])
        s->out[0].before = s->grad[0].before = BEFORE_RANDOM;
    D(s, fwd, n[0], n[1], n[2], ldx, ldy, n[5], n[6], n[7]);
    D(s, bwd0, n[0], n[1], n[2], ldy, ldx, n[5], n[6], n[7]);
    D(s, bwd1, n[0], n[1], n[2], ldx, ldy);
    s->args[PASS_fwd].f[0] = LORA_SCALE;
}

static void product(const double *a, const double *b, size_t m, size_t n, size_t k, double *out)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t l = 0; l < k; l++)
                sum += a[i * k + l] * b[j * k + l];
            out[i * n + j] = sum;
        }
    }
}

static void ref_matmul(const struct scene *s, double *const out[OUTPUTS])
{
    const uint32_t *n = s->row->n;
    product(s->ref_in[0], s->ref_in[1], n[0], n[1], n[2], out[0]);
    for (size_t i = 0; i < s->out[0].n; i++)
        for (size_t l = 0; l < n[7]; l++)
            out[0][i] +=
                (double)LORA_SCALE * s->ref_in[2][i / n[1] * n[7] + l] * s->ref_in[3][l * n[1] + i % n[1]];
}

/* sum of du (x A^T), whose gradient of x is du A; du stands where u does. */
static double more_matmul(const struct scene *s)
{
    const uint32_t *n = s->row->n;
    double sum = 0;
    for (size_t i = 0; i < n[0]; i++)
        for (size_t l = 0; l < n[7]; l++)
            for (size_t c = 0; c < n[2]; c++)
                sum += s->ref_in[2][i * n[7] + l] * s->ref_in[0][i * n[2] + c] * s->ref_in[4][l * n[2] + c];
    return sum;
}

/* ---- lora: m, r, k, room behind a row of x, dropout in 1/1000, first token ---- */

enum { TENSOR = 2, STEP = 3 };

static void shape_lora(struct scene *s)
{
    const uint32_t *n = s->row->n;
    double p = n[4] / 1000.0;
    s->seed = 0x0123456789abcdef;
    s->in[0] = rows_of(n[0], n[2], n[3]);
    s->in[1] = rows_of(n[1], n[2], 0);
    s->out[0] = rows_of(n[0], n[1], 0);
    s->grad[0] = adding(s->in[0]);
    s->grad[1] = adding(s->in[1]);
    s->ints = rows_of(1, 4, 0);
    s->words[0] = (uint32_t)s->seed;
    s->words[1] = (uint32_t)(s->seed >> 32);
    s->words[2] = STEP;
    s->words[3] = n[5];
    for (int pass = 0; pass < PASS_COUNT; pass++) {
        set_d(s, (enum pass)pass,
              (const uint32_t[8]){ n[0], n[1], n[2], n[2] + n[3], (uint32_t)(p * 0x1p32), TENSOR });
        s->args[pass].f[0] = (float)(1 / (1 - p));
        s->args[pass].f[1] = LORA_SCALE;
    }
}

static void ref_lora(const struct scene *s, double *const out[OUTPUTS])
{
    double *const kept = s->scratch;
    const uint32_t *n = s->row->n, threshold = s->args[0].d[4];
    for (size_t i = 0; i < s->in[0].n; i++) {
        uint64_t e = (uint64_t)n[5] * n[2] + i;
        struct rng_block b = rng_at(s->seed, RNG_DROPOUT, (uint32_t)(e >> 2), TENSOR, STEP);
        kept[i] = b.w[e & 3] >= threshold ? s->ref_in[0][i] * (double)s->args[0].f[0] : 0;
    }
    product(kept, s->ref_in[1], n[0], n[1], n[2], out[0]);
    for (size_t i = 0; i < s->out[0].n; i++)
        out[0][i] *= (double)LORA_SCALE;
}

/* du times x A^T, without the scale: in bwd0 dy is du, which has it already. */
static void loss_lora(const struct scene *s, double *out)
{
    double *const to[OUTPUTS] = { out };
    ref_lora(s, to);
    for (size_t i = 0; i < s->out[0].n && s->pass == PASS_bwd0; i++)
        out[i] /= (double)LORA_SCALE;
}

/* ---- gather: rows taken, rows there, width ---- */

static void shape_gather(struct scene *s)
{
    const uint32_t *n = s->row->n;
    s->in[0] = s->grad[0] = rows_of(n[1], n[2], 0);
    s->grad[0].before = BEFORE_ZERO;
    s->out[0] = rows_of(n[0], n[2], 0);
    s->ints = rows_of(1, n[0], 0);
    for (uint32_t i = 0; i < n[0]; i++) /* distinct, and not in order */
        s->words[i] = (i * 7 + 3) % n[1];
    D(s, fwd, n[0] * n[2], n[2]);
    D(s, bwd0, n[0] * n[2], n[2]);
}

static void ref_gather(const struct scene *s, double *const out[OUTPUTS])
{
    size_t width = s->row->n[2];
    for (size_t i = 0; i < s->out[0].n; i++)
        out[0][i] = s->ref_in[0][s->words[i / width] * width + i % width];
}

/* ---- xent: rows, columns in all, room behind a row, columns of a chunk (scene_run goes through the chunks)
 * ---- */

static void shape_xent(struct scene *s)
{
    const uint32_t *n = s->row->n;
    s->in[0] = s->grad[0] = rows_of(n[0], n[1], n[2]);
    s->grad[0].before = BEFORE_A;
    s->out[0] = rows_of(n[0], 8, 0);
    s->dy = rows_of(1, n[0], 0);
    s->ints = rows_of(1, n[0], 0);
    for (uint32_t i = 0; i < n[0]; i++)
        s->words[i] = uniform_below(s, n[1]);
    D(s, fwd, n[0], n[1], n[1] + n[2]);
    D(s, bwd0, n[0], n[1], n[1] + n[2]);
}

static void states_of(const struct scene *s, size_t input, double *out)
{
    const uint32_t *n = s->row->n;
    for (size_t row = 0; row < n[0]; row++) {
        const double *x = &s->ref_in[input][row * n[1]];
        size_t top = 0;
        double sum = 0, spread = 0;
        for (size_t c = 1; c < n[1]; c++)
            top = x[c] > x[top] ? c : top;
        for (size_t c = 0; c < n[1]; c++) {
            sum += exp(x[c] - x[top]);
            spread += exp(x[c] - x[top]) * (x[c] - x[top]);
        }
        memcpy(&out[row * 8], (double[8]){ x[top], sum, x[top], (double)top, x[s->words[row]], spread }, 64);
    }
}

static void ref_xent(const struct scene *s, double *const out[OUTPUTS])
{
    states_of(s, 0, out[0]);
}

static void loss_xent(const struct scene *s, double *out)
{
    const uint32_t *n = s->row->n;
    for (size_t row = 0; row < n[0]; row++) {
        const double *x = &s->ref_in[0][row * n[1]];
        double sum = 0;
        for (size_t c = 0; c < n[1]; c++)
            sum += exp(x[c]);
        out[row] = log(sum) - x[s->words[row]];
    }
}

/* ---- kl: sizes as xent; behind it the states of xent, which scene_run lets run first ---- */

static void shape_kl(struct scene *s)
{
    const uint32_t *n = s->row->n;
    s->in[0] = s->in[1] = rows_of(n[0], n[1], n[2]);
    s->out[0] = s->out[1] = s->out[2] = rows_of(n[0], 8, 0);
    s->ints = rows_of(1, n[0], 0);
    for (uint32_t i = 0; i < n[0]; i++)
        s->words[i] = uniform_below(s, n[1]);
    D(s, fwd, n[0], n[1], n[1] + n[2]);
}

static void ref_kl(const struct scene *s, double *const out[OUTPUTS])
{
    const uint32_t *n = s->row->n;
    states_of(s, 0, out[1]);
    states_of(s, 1, out[2]);
    for (size_t row = 0; row < n[0]; row++) {
        const double *x = &s->ref_in[0][row * n[1]], *y = &s->ref_in[1][row * n[1]];
        const double m = out[1][row * 8], log_s = log(out[1][row * 8 + 1]);
        const double to = out[2][row * 8], log_r = log(out[2][row * 8 + 1]);
        double p_q = 0, q_p = 0;
        for (size_t c = 0; c < n[1]; c++) {
            const double log_p = x[c] - m - log_s, log_q = y[c] - to - log_r;
            p_q += exp(log_p) * (log_p - log_q);
            q_p += exp(log_q) * (log_q - log_p);
        }
        memcpy(&out[0][row * 8], (double[8]){ m, log_s, to, log_r, p_q, q_p }, 64);
    }
}

/* ---- sumsq: elements, pieces ---- */

static void shape_sumsq(struct scene *s)
{
    const uint32_t *n = s->row->n, piece = (n[0] - 1) / n[1] + 1;
    s->in[0] = rows_of(1, n[0], 0);
    s->out[0] = rows_of(1, n[1], 0);
    D(s, fwd, n[1], piece, n[0]);
}

static void ref_sumsq(const struct scene *s, double *const out[OUTPUTS])
{
    const size_t piece = s->args[PASS_fwd].d[1];
    memset(out[0], 0, s->out[0].n * sizeof **out);
    for (size_t i = 0; i < s->in[0].n; i++)
        out[0][i / piece] += s->ref_in[0][i] * s->ref_in[0][i];
}

/* ---- adamw: rows, width, 1: a packed weight, rows of a piece of the turned copy; in place on theta, m, v;
 * then g and the block ---- */

static void shape_adamw(struct scene *s)
{
    const uint32_t *n = s->row->n, whole = n[2] ? (n[0] + 15) / 16 * 16 : n[0];
    for (int i = 0; i < 3; i++) {
        s->in[i] = s->out[i] = rows_of(whole, n[1], 0);
        s->out[i].before = BEFORE_INPUT;
    }
    s->in[3] = rows_of(n[0], n[1], 0);
    s->in[4] = rows_of(1, 8, 0);
    if (n[3])
        s->out[3] = rows_of(whole, n[1], 0);
    s->out[3].before = BEFORE_ZERO;
    D(s, fwd, whole * n[1], n[2] ? n[1] : 0, n[0], n[3]);
}

static void values_adamw(struct scene *s)
{
    static const float BLOCK[8] = { 1e-2f, 0.9f, 0.999f, 1e-8f, 0.1f, 0.271f, 0.002997001f, 0.7f };
    for (size_t i = 0; i < FLOATS; i++)
        s->ref_in[2][i] = fabs(s->ref_in[2][i]);
    for (size_t i = 0; i < 8; i++)
        s->ref_in[4][i] = (double)BLOCK[i];
}

/* Of an element of a packed matrix of f32 (gpu/weight.h). */
static size_t packed_place(size_t row, size_t column, size_t width)
{
    return ((row / 16 * (width / 2) + column / 2) * 16 + row % 16) * 2 + column % 2;
}

static void ref_adamw(const struct scene *s, double *const out[OUTPUTS])
{
    const uint32_t *n = s->row->n;
    const double *b = s->ref_in[4];
    for (size_t o = 0; o < OUTPUTS; o++)
        for (size_t i = 0; i < s->out[o].n; i++)
            out[o][i] = o < 3 ? s->ref_in[o][i] : 0;
    for (size_t e = 0; e < s->in[3].n; e++) {
        const size_t row = e / n[1], column = e % n[1], i = n[2] ? packed_place(row, column, n[1]) : e;
        const double g = b[7] * s->ref_in[3][e];
        out[1][i] = b[1] * s->ref_in[1][i] + (1 - b[1]) * g;
        out[2][i] = b[2] * s->ref_in[2][i] + (1 - b[2]) * g * g;
        out[0][i] =
            s->ref_in[0][i] * (1 - b[0] * b[4]) - b[0] * (out[1][i] / b[5]) / (sqrt(out[2][i] / b[6]) + b[3]);
        if (n[3]) {
            const size_t first = row / n[3] * n[3], rows = n[0] - first < n[3] ? n[0] - first : n[3];
            out[3][first * n[1] + packed_place(column, row - first, (rows + 15) / 16 * 16)] = out[0][i];
        }
    }
}

/* ---- peak: elements, rounds ---- */

static void shape_peak(struct scene *s)
{
    s->in[0] = s->out[0] = rows_of(1, s->row->n[0], 0);
    D(s, fwd, s->row->n[0], s->row->n[1]);
}

static void ref_peak(const struct scene *s, double *const out[OUTPUTS])
{
    for (size_t e = 0; e < s->out[0].n; e++) {
        out[0][e] = 0;
        for (size_t i = 0; i < PEAK_CHAINS; i++) {
            double chain = s->ref_in[0][e] + (double)i;
            for (uint32_t r = 0; r < s->row->n[1]; r++)
                chain = chain / 2 + s->ref_in[0][e];
            out[0][e] += chain;
        }
    }
}

// clang-format off
#define SPEC(op, ...) [OP_##op] = { .shape = shape_##op, .ref = ref_##op, .p = __VA_ARGS__ }
const struct spec SPECS[OP_COUNT] = {
    SPEC(embed,     { "iaxg", "i0+A" }),
    SPEC(rmsnorm,   { "abxy", "ab+A", "ay+B" }, .needs_forward = true, .by_row = "axy+A"),
    SPEC(rope,      { "xib", "Aib" }, .by_row = "xiA"),
    SPEC(attention, { "abcxyi", "abcxyi+A", "&abcxyi+BC" }, .values = values_attention, .needs_forward = true,
         .same_bits = true),
    SPEC(swiglu,    { "abx", "ab+A", "ab+B" }),
    SPEC(matmul,    { "abx0cd0g", "0b+Acetg", "a0+B" }, .more = more_matmul, .same_bits = true,
                      .by_row = "acx+A"),
    SPEC(lora,      { "abxi", "0b+Ai", "a0+Bi" }, .loss = loss_lora, .same_bits = true, .by_row = "ax+A"),
    SPEC(gather,    { "aix", "0i+A" }),
    SPEC(xent,      { "aix", "Aix+" }, .needs_forward = true, .loss = loss_xent, .by_row = "aix+A"),
    SPEC(kl,        { "abyzxi" }, .by_row = "abyzxi"),
    SPEC(sumsq,     { "ax" }),
    SPEC(adamw,     { "xyzdew" }, .values = values_adamw),
    SPEC(peak,      { "ax" }),
};
// clang-format on
