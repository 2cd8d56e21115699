#include "cli/bench.h"

#include "cli/host.h"
#include "commit.h"
#include "gpu/op.h"

#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>

/* ---- for people ---- */

void bench_peak_text(const struct bench_peak *p, struct str *out)
{
    str_printf(out, "peaks      %.1f GFLOP/s of products and sums, %.1f GB/s copied (read and written)\n",
               p->gflops, p->copy);
}

static double lost_s(const struct gpu_time *k, const struct bench_peak *peak)
{
    const double lost = (double)k->ns * 1e-9 - bench_ideal(k, peak);
    return lost > 0 ? lost : 0;
}

static void kernel_text(const struct gpu_time *k, const struct bench_result *r, struct str *out)
{
    const double s = (double)k->ns * 1e-9, gflops = (double)k->flops / s * 1e-9,
                 gbs = (double)k->bytes / s * 1e-9;
    str_printf(out, "%-24s %-26s %5" PRIu64 " %9.2f %5.1f %% %9.1f %6.2f %8.1f %6.2f %9.2f\n", k->name,
               k->shape, k->calls, s * 1e3, 100 * s / r->kernels_s, gflops, gflops / r->peak.gflops, gbs,
               gbs / r->peak.copy, lost_s(k, &r->peak) * 1e3);
}

static void kernels_text(const struct bench_result *r, struct str *out)
{
    const struct gpu_time *worst = &r->kernels[0];
    double ideal = 0;
    str_printf(out, "\n%-24s %-26s %5s %9s %7s %9s %6s %8s %6s %9s\n", "kernel of a step", "shape", "calls",
               "ms", "share", "GFLOP/s", "/peak", "GB/s", "/copy", "lost ms");
    for (size_t i = 0; i < r->kernels_n; i++) {
        const struct gpu_time *k = &r->kernels[i];
        kernel_text(k, r, out);
        ideal += bench_ideal(k, &r->peak);
        worst = lost_s(k, &r->peak) > lost_s(worst, &r->peak) ? k : worst;
    }
    str_printf(out, "\nall kernels %.1f ms; at the device's peaks %.1f ms. Most is lost in %s, %s: %.1f ms\n",
               r->kernels_s * 1e3, ideal * 1e3, worst->name, worst->shape, lost_s(worst, &r->peak) * 1e3);
}

void bench_text(const struct bench_subject *s, const struct bench_result *r, struct str *out)
{
    const double tokens = s->o->tokens;
    str_printf(out, "model      %s%s%" PRIu32 " of %" PRIu32 " blocks of width %" PRIu32 ", weights %s\n",
               s->shape ? s->shape : "", s->shape ? ": " : "", s->h->blocks, s->blocks_whole, s->h->width,
               s->weights);
    bench_peak_text(&r->peak, out);
    str_printf(out, "forward    %9.1f ms %9.1f tokens/s   %" PRIu32 " tokens, the head at each\n",
               r->forward_s * 1e3, tokens / r->forward_s, s->o->tokens);
    str_printf(out, "%s  %9.1f ms %9.1f tokens/s   %" PRIu32 " tokens, ",
               s->o->full ? "full step" : "LoRA step", r->step_s * 1e3, tokens / r->step_s, s->o->tokens);
    if (s->o->full)
        str_puts(out, "every weight in f32, the loss at each\n");
    else
        str_printf(out, "rank %" PRIu32 " on every linear, the loss at each\n", s->o->rank);
    if (r->again > 0)
        str_printf(
            out, "           activations of %" PRIu32 " of %" PRIu32 " blocks are computed again in a step\n",
            r->again, s->h->blocks);
    str_printf(out, "memory     device %.1f MiB, process %.1f MiB at most\n",
               (double)r->device_bytes / 0x1p20, (double)r->host_bytes / 0x1p20);
    if (r->kernels_n > 0)
        kernels_text(r, out);
    else
        str_puts(out, "no time of single kernels: the device has no time stamps\n");
}

/* ---- for programs ---- */

static void host_put(struct json *root)
{
    char cpu[128];
    struct utsname os;
    struct json *host = json_object();
    host_cpu(cpu, sizeof cpu);
    json_put_text(host, "os", uname(&os) == 0 ? os.sysname : "unknown");
    json_put_text(host, "cpu", cpu);
    json_put_int(host, "cores", host_cores());
    json_put(root, "host", host);
}

static struct json *root_make(const struct gpu *g)
{
    const struct gpu_info *d = gpu_get_info(g);
    struct json *root = json_object(), *tool = json_object(), *device = json_object();
    json_put_int(root, "lethe_bench", 1);
    json_put_text(tool, "version", LETHE_VERSION);
    json_put_text(tool, "commit", LETHE_COMMIT);
    json_put(root, "tool", tool);
    json_put_text(device, "name", d->name);
    json_put_text(device, "vendor", d->vendor);
    json_put_text(device, "type", d->type);
    json_put_text(device, "driver", d->driver);
    json_put_text(device, "driver_version", d->driver_version);
    json_put_text(device, "vulkan", d->vulkan);
    json_put_int(device, "memory_bytes", (int64_t)d->memory_bytes);
    json_put_int(device, "lanes_min", d->lanes_min);
    json_put_int(device, "lanes_max", d->lanes_max);
    json_put(root, "device", device);
    host_put(root);
    return root;
}

static void peak_put(struct json *root, const struct bench_peak *p)
{
    struct json *peak = json_object();
    json_put_dec6(peak, "gflops", p->gflops);
    json_put_dec6(peak, "copy_gbs", p->copy);
    json_put(root, "peak", peak);
}

struct json *bench_peak_json(const struct gpu *g, const struct bench_peak *p)
{
    struct json *root = root_make(g);
    peak_put(root, p);
    return root;
}

static void model_put(struct json *root, const struct bench_subject *s)
{
    const struct model_hyper *h = s->h;
    struct json *m = json_object();
    if (s->shape)
        json_put_text(m, "shape", s->shape);
    json_put_text(m, "weights", s->weights);
    json_put_int(m, "blocks", h->blocks);
    json_put_int(m, "blocks_whole", s->blocks_whole);
    json_put_int(m, "width", h->width);
    json_put_int(m, "mlp", h->mlp);
    json_put_int(m, "heads", h->heads);
    json_put_int(m, "kv_heads", h->kv_heads);
    json_put_int(m, "head_size", h->head_size);
    json_put_int(m, "vocabulary", h->vocab);
    json_put(root, "model", m);
}

static void rate_put(struct json *root, const char *key, double s, uint32_t tokens)
{
    struct json *o = json_object();
    json_put_int(o, "us", (int64_t)(s * 1e6 + 0.5));
    json_put_dec6(o, "tokens_s", tokens / s);
    json_put(root, key, o);
}

static struct json *kernel_json(const struct gpu_time *k, const struct bench_peak *peak)
{
    struct json *o = json_object();
    const double s = (double)k->ns * 1e-9;
    json_put_text(o, "name", k->name);
    json_put_text(o, "shape", k->shape);
    json_put_int(o, "calls", (int64_t)k->calls);
    json_put_int(o, "ns", (int64_t)k->ns);
    json_put_int(o, "flops", (int64_t)k->flops);
    json_put_int(o, "bytes", (int64_t)k->bytes);
    json_put_dec6(o, "of_flops", (double)k->flops / s * 1e-9 / peak->gflops);
    json_put_dec6(o, "of_copy", (double)k->bytes / s * 1e-9 / peak->copy);
    json_put_int(o, "lost_ns", (int64_t)(lost_s(k, peak) * 1e9));
    return o;
}

static void shaders_put(const struct gpu *g, struct json *root)
{
    const struct op_used *used;
    struct json *list = json_array();
    const size_t n = op_used(g, &used);
    for (size_t i = 0; i < n; i++) {
        struct json *o = json_object();
        json_put_text(o, "name", used[i].name);
        json_put_text(o, "sha256", hash_hex(&used[i].sha256).s);
        json_push(list, o);
    }
    json_put(root, "shaders", list);
}

struct json *bench_json(const struct gpu *g, const struct bench_subject *s, const struct bench_result *r)
{
    struct json *root = root_make(g), *memory = json_object(), *kernels = json_array();
    model_put(root, s);
    peak_put(root, &r->peak);
    json_put_int(root, "tokens", s->o->tokens);
    json_put_text(root, "method", s->o->full ? "full" : "lora");
    if (!s->o->full)
        json_put_int(root, "rank", s->o->rank);
    json_put_int(root, "rounds", s->o->rounds);
    json_put_int(root, "again", r->again);
    rate_put(root, "forward", r->forward_s, s->o->tokens);
    rate_put(root, "step", r->step_s, s->o->tokens);
    json_put_int(memory, "device_bytes", (int64_t)r->device_bytes);
    json_put_int(memory, "process_bytes", (int64_t)r->host_bytes);
    json_put(root, "memory", memory);
    for (size_t i = 0; i < r->kernels_n; i++)
        json_push(kernels, kernel_json(&r->kernels[i], &r->peak));
    json_put(root, "kernels", kernels);
    shaders_put(g, root);
    return root;
}
