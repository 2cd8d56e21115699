/* tokenizer.json's `pre_tokenizer` and the names in pretokenizers.def: a sequence of steps on one side,
 * patterns on the other. A step that is not one of these is refused. */
#include "model/hf_own.h"

#include <stdio.h>
#include <string.h>

enum step {
    STEP_none,
    STEP_DIGITS, /* every number a piece */
    STEP_PIECES, /* GPT-2's pattern, then bytes */
    STEP_SPLIT,  /* GPT-2's pattern */
    STEP_BYTES,  /* bytes alone */
};
enum { STEPS_MAX = 3 };

static const struct {
    const char *name;
    enum step steps[STEPS_MAX];
} FORMS[] = {
    { "smollm", { STEP_DIGITS, STEP_PIECES } },
    { "smollm", { STEP_DIGITS, STEP_SPLIT, STEP_BYTES } },
    { "gpt-2", { STEP_PIECES } },
    { "gpt-2", { STEP_SPLIT, STEP_BYTES } },
};
enum { FORMS_N = sizeof FORMS / sizeof *FORMS };

static const char GPT2_PATTERN[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* A boolean of a step; missing: `otherwise`. */
static int flag_read(const struct json *step, const char *key, bool otherwise, bool *out, struct status *st)
{
    const struct json *value = json_find(step, key);
    if (value && json_type(value) != JSON_BOOL)
        return status_fail(st, RC_FORMAT, "pre_tokenizer's '%s': true or false is wanted", key);
    *out = value ? json_bool(value) : otherwise;
    return 0;
}

static int digits_read(const struct json *j, enum step *out, struct status *st)
{
    bool single = false;
    int rc = flag_read(j, "individual_digits", false, &single, st);
    if (!rc && !single)
        return status_fail(st, RC_UNSUPPORTED, "pre_tokenizer Digits of several digits is not honoured");
    *out = STEP_DIGITS;
    return rc;
}

static int bytes_read(const struct json *j, enum step *out, struct status *st)
{
    bool prefix = false, regex = true;
    int rc = flag_read(j, "add_prefix_space", true, &prefix, st);
    if (!rc)
        rc = flag_read(j, "use_regex", true, &regex, st);
    if (!rc && prefix)
        return status_fail(st, RC_UNSUPPORTED, "pre_tokenizer ByteLevel adds a space: it is not honoured");
    *out = regex ? STEP_PIECES : STEP_BYTES;
    return rc;
}

/* Isolated matches, or (inverted) removed gaps: both make pieces of the matches and of what lies between. */
static int split_read(const struct json *j, enum step *out, struct status *st)
{
    int rc = 0;
    bool invert = false;
    const char *behaviour = NULL, *regex = NULL;
    const struct json *pattern = NULL;
    TRY(flag_read(j, "invert", false, &invert, st));
    TRY(json_get_text(j, "behavior", &behaviour, st));
    TRY(json_get(j, "pattern", JSON_OBJECT, &pattern, st));
    if (!json_find(pattern, "Regex"))
        FAIL(st, RC_UNSUPPORTED, "pre_tokenizer Split by a text is not honoured");
    TRY(json_get_text(pattern, "Regex", &regex, st));
    const bool whole = strcmp(regex, GPT2_PATTERN) == 0;
    if (!whole && strcmp(regex, "\\p{N}") != 0)
        FAIL(st, RC_UNSUPPORTED, "pre_tokenizer Split by '%.120s' is not honoured", regex);
    const bool isolated = strcmp(behaviour, "Isolated") == 0 && !invert;
    if (!isolated && !(whole && invert && strcmp(behaviour, "Removed") == 0))
        FAIL(st, RC_UNSUPPORTED, "pre_tokenizer Split with behavior '%.40s'%s is not honoured", behaviour,
             invert ? ", inverted," : "");
    *out = whole ? STEP_SPLIT : STEP_DIGITS;
out:
    return rc;
}

static int step_read(const struct json *j, enum step *out, struct status *st)
{
    const char *type = NULL;
    int rc = json_get_text(j, "type", &type, st);
    if (rc)
        return rc;
    if (strcmp(type, "Digits") == 0)
        return digits_read(j, out, st);
    if (strcmp(type, "ByteLevel") == 0)
        return bytes_read(j, out, st);
    if (strcmp(type, "Split") == 0)
        return split_read(j, out, st);
    return status_fail(st, RC_UNSUPPORTED, "pre_tokenizer '%.40s' is not honoured", type);
}

int hf_pretokenizer(const struct json *pre, const char **out, struct status *st)
{
    int rc = 0;
    enum step steps[STEPS_MAX] = { STEP_none };
    size_t n = 0;
    const char *type = NULL;
    const struct json *list = NULL, *one = pre;
    if (!pre || json_type(pre) == JSON_NULL)
        FAIL(st, RC_UNSUPPORTED, "no pre_tokenizer: byte-level BPE is read");
    TRY(json_get_text(pre, "type", &type, st));
    if (strcmp(type, "Sequence") == 0) {
        TRY(json_get(pre, "pretokenizers", JSON_ARRAY, &list, st));
        one = json_first(list);
    }
    for (; one; one = list ? json_next(one) : NULL) {
        if (n == STEPS_MAX)
            FAIL(st, RC_UNSUPPORTED, "pre_tokenizer of %zu steps is not honoured", json_size(list));
        TRY(step_read(one, &steps[n++], st));
    }
    for (size_t i = 0; i < FORMS_N; i++)
        if (memcmp(steps, FORMS[i].steps, sizeof steps) == 0) {
            *out = FORMS[i].name;
            goto out;
        }
    FAIL(st, RC_UNSUPPORTED, "pre_tokenizer's sequence of %zu steps is neither that of smollm nor of gpt-2",
         n);
out:
    return rc;
}

#define BYTE_LEVEL(regex)                                                                                    \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":" regex "}"

const char *hf_pretokenizer_json(const char *name)
{
    if (strcmp(name, "smollm") == 0)
        return "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true}"
               "," BYTE_LEVEL("true") "]}";
    return strcmp(name, "gpt-2") == 0 ? BYTE_LEVEL("true") : NULL;
}
