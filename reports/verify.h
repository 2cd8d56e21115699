/* Whether an archive is what it says (docs/formats/verify.md): digests, signatures, bindings, and every
 * number recomputed from its rows.
 */
#ifndef LETHE_REPORTS_VERIFY_H
#define LETHE_REPORTS_VERIFY_H

#include "base/json.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct verify_options {
    const char *trust;       /* trust file, or NULL */
    const char *const *keys; /* [keys_n] public key files */
    size_t keys_n;
    const char *tsa; /* PEM roots of time stamp authorities, or NULL */
    const char *model_base, *model_tuned;
    const char *probes; /* folder of suite files */
    bool require_open, report;
};

struct verify_result {
    int exit;         /* 0 to 5 */
    struct str text;  /* for people, ends in the line "verified: …" or the reason for another code */
    struct str last;  /* that last line alone, with LF */
    struct json *doc; /* --json; may be NULL when memory ran out */
};
/* Always fills *out; the answer is out->exit. */
void verify_archive(const char *path, const struct verify_options *o, struct verify_result *out);
void verify_result_release(struct verify_result *r);

#endif
