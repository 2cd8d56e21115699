/* AMD without AMD hardware: Mesa's RADV compiles for a GPU that is not there, and says what a pipeline takes.
 * tier: full
 *
 * Every pipeline of the operators' table, at the shapes below, on four generations of GPUs, against the
 * committed numbers of tests/golden/radv-25.0.7.tsv. A pipeline may not take more registers, shared memory or
 * scratch than there, its code may grow by a quarter, and the kernels where a step's time goes may not spill
 * at all. LETHE_RADV_UPDATE=1 writes the file anew: look at the difference before it is committed.
 *
 * The numbers belong to one version of the compiler. The device cannot run anything: gpu_open fails on it.
 */
#include "base/file.h"
#include "gpu/vk.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "25.0.7"

static const char DRIVER[] = TESTS_DIR "/../.deps/mesa25/radeon_icd.json";
static const char BUDGET[] = TESTS_DIR "/golden/radv-" VERSION ".tsv";
static const char *const FAMILIES[] = { "navi21", "navi31", "gfx1201", "vega10" };
enum { FAMILY_COUNT = sizeof FAMILIES / sizeof *FAMILIES, SHARED_MAX = 32 << 10, GROUP_MAX = 256 };

/* Where a spill costs a step of training its speed. */
static const char *const HOT[] = { "matmul", "attention", "xent", "lora" };

static const struct {
    const char *name;
    uint32_t workgroup;
    const char *constants; /* "c36": d[3] and d[6] are constants */
} OPS[] = {
#define OP(name, grid, workgroup, constants, passes) { #name, workgroup, #constants },
#include "gpu/ops.def"
#undef OP
};

/* Sizes for the constants of an operator; one that is not here takes those of "". Variants that the device
 * would not take compile too, at the first shape. */
static const struct shape {
    const char *op;
    uint32_t d[8];
} SHAPES[] = {
    { "", { 512, 576, 576, 576, 576, 0, 0, 0 } },
    { "rope", { 512 * 9 * 32, 9, 64, 576, 1 } },
    { "attention", { 512, 9, 3, 64 } },
    { "attention", { 512, 9, 3, 32 } },
    { "attention", { 512, 32, 8, 128 } },
    { "attention", { 512, 8, 4, 256 } },
    { "embed", { 512 * 576, 576, 3 } },
    { "lora", { 512, 8, 576, 576, 0 } },
    { "lora", { 512, 8, 1536, 1536, 0x10000000 } },
    { "lora", { 512, 64, 4096, 4096, 0 } },
    { "matmul", { 512, 576, 576, 576, 576, 0, 0, 0 } },
    { "matmul", { 512, 1536, 576, 576, 1536, 0, 3, 8 } },
    { "matmul", { 512, 576, 1536, 1536, 576, 1, 4, 8 } },
    { "matmul", { 512, 4096, 4096, 4096, 4096, 0, 1, 16 } },
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

/* What a pipeline takes, by RADV's own names. */
enum { VGPRS, SGPRS, SPILLED_VGPRS, SPILLED_SGPRS, LDS, SCRATCH, CODE, FIGURES };
static const char *const FIGURE_NAMES[FIGURES] = {
    "VGPRs", "SGPRs", "Spilled VGPRs", "Spilled SGPRs", "LDS size", "Scratch size", "Code size",
};
struct figures {
    uint64_t v[FIGURES];
};

static struct gpu gpu;
static struct status st;

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

/* ---- the device that is not there ---- */

static void device_open(const char *family)
{
    VkPhysicalDevice devices[DEVICES_MAX];
    uint32_t n = 0;
    size_t listed = 0;
    st = (struct status){ 0 };
    ck_assert_int_eq(setenv("RADV_FORCE_FAMILY", family, 1), 0);
    ck_assert_int_eq(setenv("RADV_DEBUG", "nocache", 1), 0);
    ck_assert_int_eq(setenv("VK_DRIVER_FILES", DRIVER, 1), 0);
    OK(gpu_list(NULL, &gpu.info, 1, &listed, &st));
    ck_assert_uint_eq(listed, 1);
    ck_assert_msg(!gpu.info.refused, "%s: lacks %s", family, gpu.info.refused);
    ck_assert_msg(strstr(gpu.info.driver_version, "Mesa " VERSION) != NULL,
                  "the numbers are those of Mesa " VERSION ", and this is %s", gpu.info.driver_version);
    OK(instance_open(NULL, &gpu.instance, devices, &n, &st));
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR
    };
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coop = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, .pNext = &statistics
    };
    struct features all = {
        .f13 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES,
                 .pNext = gpu.info.coop ? (void *)&coop : &statistics },
        .f12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &all.f13 },
        .f11 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &all.f12 },
        .f = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &all.f11 },
    };
    vkGetPhysicalDeviceFeatures2(devices[0], &all.f); /* all that it has is asked for */
    ck_assert(statistics.pipelineExecutableInfo);
    const char *extensions[] = { VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME,
                                 VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME };
    VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                      .queueCount = 1,
                                      .pQueuePriorities = &(float){ 1 } };
    VkDeviceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                .pNext = &all.f,
                                .queueCreateInfoCount = 1,
                                .pQueueCreateInfos = &queue,
                                .enabledExtensionCount = gpu.info.coop ? 2 : 1,
                                .ppEnabledExtensionNames = extensions };
    ck_assert_int_eq(vkCreateDevice(devices[0], &info, NULL, &gpu.device), VK_SUCCESS);
    volkLoadDevice(gpu.device);
    VkPushConstantRange push = { .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = sizeof(struct op_push) };
    VkPipelineLayoutCreateInfo layout = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                          .pushConstantRangeCount = 1,
                                          .pPushConstantRanges = &push };
    ck_assert_int_eq(vkCreatePipelineLayout(gpu.device, &layout, NULL, &gpu.layout), VK_SUCCESS);
    gpu.physical = devices[0];
    gpu.full_subgroups = all.f13.computeFullSubgroups;
    gpu.pipeline_flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
}

static struct figures figures_of(const struct op_call *call)
{
    enum { STATISTICS_MAX = 64 };
    VkPipelineExecutableStatisticKHR all[STATISTICS_MAX] = { 0 };
    struct figures out;
    VkPipeline pipeline;
    uint32_t n = STATISTICS_MAX;
    OK(op_pipeline(&gpu, call, &pipeline, &st));
    for (uint32_t i = 0; i < n; i++)
        all[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    VkPipelineExecutableInfoKHR of = { .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                       .pipeline = pipeline };
    ck_assert_int_eq(vkGetPipelineExecutableStatisticsKHR(gpu.device, &of, &n, all), VK_SUCCESS);
    for (int f = 0; f < FIGURES; f++) {
        uint32_t at = 0;
        while (at < n && strcmp(all[at].name, FIGURE_NAMES[f]) != 0)
            at++;
        ck_assert_msg(at < n, "no statistic '%s'", FIGURE_NAMES[f]);
        out.v[f] = all[at].value.u64;
    }
    return out;
}

/* ---- the file ---- */

/* "navi31<tab>matmul.plain.fwd<tab>1=576 2=576<tab>" */
static void key_write(const char *family, const struct op_call *call, struct str *out)
{
    const char *c = OPS[call->op].constants + 1;
    str_clear(out);
    str_printf(out, "%s\t%s.%s.%s\t", family, op_name(call->op), variant_name(call->variant),
               pass_name(call->pass));
    if (!*c)
        str_putc(out, '-');
    for (; *c; c++)
        str_printf(out, "%c=%" PRIu32 "%s", *c, call->args.d[*c - '0'], c[1] ? " " : "");
    str_putc(out, '\t');
}

static const char *row_find(const struct str *file, const struct str *key)
{
    const char *row = strstr(str_text(file), str_text(key));
    return row && (row == str_text(file) || row[-1] == '\n') ? row : NULL;
}

static bool is_chosen(const struct op_call *call)
{
    return call->variant == op_choose(&gpu, call->op, call->pass);
}

static bool may_spill(const struct op_call *call)
{
    char name[64];
    bool hot = false;
    snprintf(name, sizeof name, "%s.%s", op_name(call->op), variant_name(call->variant));
    for (size_t i = 0; i < sizeof HOT / sizeof *HOT; i++)
        hot |= strncmp(name, HOT[i], strlen(HOT[i])) == 0;
    return !hot || !is_chosen(call);
}

static size_t breaches;

static void compare(const char *key, const char *row, const struct figures *have)
{
    struct figures want;
    if (!row) {
        printf("  %s has no row: LETHE_RADV_UPDATE=1 makes one\n", key);
        breaches++;
        return;
    }
    row += strlen(key);
    for (int f = 0; f < FIGURES; f++) {
        char *end;
        want.v[f] = strtoull(row, &end, 10);
        ck_assert_msg(end != row, "%s: a broken row", key);
        row = end;
        const uint64_t most = f == CODE ? want.v[f] + want.v[f] / 4 : want.v[f];
        if (have->v[f] > most) {
            printf("  %s %s: %" PRIu64 ", and %" PRIu64 " is the most\n", key, FIGURE_NAMES[f], have->v[f],
                   most);
            breaches++;
        }
    }
}

static void pipeline_check(const char *family, const struct op_call *call, const struct str *file,
                           struct str *rows)
{
    struct str key = { 0 };
    key_write(family, call, &key);
    if (!row_find(rows, &key)) { /* two shapes may have the same constants */
        const struct figures have = figures_of(call);
        str_puts(rows, str_text(&key));
        for (int f = 0; f < FIGURES; f++)
            str_printf(rows, "%" PRIu64 "%c", have.v[f], f + 1 < FIGURES ? '\t' : '\n');
        if (file)
            compare(str_text(&key), row_find(file, &key), &have);
        if (!may_spill(call) && have.v[SPILLED_VGPRS] + have.v[SPILLED_SGPRS] > 0) {
            printf("  %s spills %" PRIu64 " + %" PRIu64 " registers\n", str_text(&key), have.v[SPILLED_VGPRS],
                   have.v[SPILLED_SGPRS]);
            breaches++;
        }
        if (have.v[LDS] > SHARED_MAX) {
            printf("  %s takes %" PRIu64 " bytes of shared memory, over %d\n", str_text(&key), have.v[LDS],
                   SHARED_MAX);
            breaches++;
        }
    }
    str_release(&key);
}

static void shape_check(const char *family, enum op op, const struct shape *shape, bool first,
                        const struct str *file, struct str *rows)
{
    for (int v = 0; v < VARIANT_COUNT; v++)
        for (int p = 0; p < PASS_COUNT; p++) {
            struct op_call call = { .op = op, .pass = (enum pass)p, .variant = (enum variant)v };
            memcpy(call.args.d, shape->d, sizeof call.args.d);
            if (op_serves(&gpu, call.op, call.pass, call.variant) && (first || is_chosen(&call)))
                pipeline_check(family, &call, file, rows);
        }
}

static void operators_check(const char *family, const struct str *file, struct str *rows)
{
    for (int op = 0; op < OP_COUNT; op++) {
        size_t shapes = 0;
        for (size_t s = 0; s < SHAPE_COUNT; s++)
            if (strcmp(SHAPES[s].op, OPS[op].name) == 0)
                shape_check(family, (enum op)op, &SHAPES[s], shapes++ == 0, file, rows);
        if (shapes == 0)
            shape_check(family, (enum op)op, &SHAPES[0], true, file, rows);
    }
}

/* The rows of the family take the place of those that the file has, in the order of FAMILIES. */
static void file_renew(const char *family, const struct str *old, const struct str *rows)
{
    struct str out = { 0 };
    str_puts(&out, "# What pipelines take on Mesa " VERSION
                   "'s RADV, by tests/test_radv.c: family, pipeline, constants");
    for (int f = 0; f < FIGURES; f++)
        str_printf(&out, ", %s", FIGURE_NAMES[f]);
    str_putc(&out, '\n');
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (strcmp(FAMILIES[i], family) == 0)
            str_puts(&out, str_text(rows));
        for (const char *at = str_text(old); strcmp(FAMILIES[i], family) != 0 && *at;) {
            const size_t n = strcspn(at, "\n") + 1, name = strlen(FAMILIES[i]);
            if (strncmp(at, FAMILIES[i], name) == 0 && at[name] == '\t')
                str_add(&out, at, n);
            at += n;
        }
    }
    OK(str_check(&out, &st));
    OK(file_write(BUDGET, str_text(&out), out.size, 0644, &st));
    str_release(&out);
}

START_TEST(pipelines_stay_within_their_budget)
{
    const char *family = FAMILIES[_i], *update = getenv("LETHE_RADV_UPDATE");
    struct str file = { 0 }, rows = { 0 };
    const bool renew = update && strcmp(update, "1") == 0;
    device_open(family);
    if (path_exists(BUDGET))
        OK(file_read(BUDGET, 1 << 22, &file, &st));
    ck_assert_msg(renew || file.size > 0, "%s is not there", BUDGET);
    operators_check(family, renew ? NULL : &file, &rows);
    OK(str_check(&rows, &st));
    ck_assert_uint_gt(rows.size, 0);
    if (renew)
        file_renew(family, &file, &rows);
    fflush(stdout); /* a failed check ends the process */
    ck_assert_msg(breaches == 0, "%s: %zu breaches", family, breaches);
    str_release(&file);
    str_release(&rows);
}
END_TEST

/* Vulkan promises 128 invocations; the smallest device that is tested here has 256. */
START_TEST(workgroups_fit_every_device)
{
    for (size_t op = 0; op < OP_COUNT; op++)
        ck_assert_msg(OPS[op].workgroup <= GROUP_MAX, "%s: %" PRIu32 " invocations", OPS[op].name,
                      OPS[op].workgroup);
}
END_TEST

int main(void)
{
    if (!path_exists(DRIVER)) {
        printf("skipped: Mesa " VERSION " is not unpacked (LETHE_SOFTWARE=1 scripts/setup.sh)\n");
        return 77;
    }
    Suite *suite = suite_create("radv");
    TCase *tests = tcase_create("pipelines");
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, pipelines_stay_within_their_budget, 0, FAMILY_COUNT);
    tcase_add_test(tests, workgroups_fit_every_device);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
