/* What is signed: an in-toto statement that binds base, tuned model, manifest, plan and verdict
 * (docs/formats/archive.md, statement), and approvals of it.
 */
#ifndef LETHE_REPORTS_STATEMENT_H
#define LETHE_REPORTS_STATEMENT_H

#include "base/hash.h"
#include "base/json.h"

#include <stdbool.h>

#define STATEMENT_TYPE      "https://in-toto.io/Statement/v1"
#define STATEMENT_PREDICATE "urn:lethe:forgetting-audit:v1"

struct statement {
    struct json *root; /* of a parsed one: owns the strings */
    bool imported;     /* subjects are base-samples and tuned-samples */
    struct hash base, manifest, tuned;
    const char *assurance; /* "self-attested" or "independent" */
    const char *started, *finished;
    struct hash plan, metrics, verdict;
    const char *outcome;
    const char *tool_name, *tool_version, *tool_commit;
    const char *tuned_form, *tuned_kind;
    const char *previous; /* hex, or NULL */
};
MUST_USE int statement_write(const struct statement *s, struct str *out, struct status *st);
MUST_USE int statement_parse(const char *data, size_t size, struct statement *out, struct status *st);
void statement_release(struct statement *s);

struct approval {
    struct json *root;
    struct hash statement;
    const char *name, *role, *meaning, *time; /* role: "author" or "validator" */
};
MUST_USE int approval_write(const struct approval *a, struct str *out, struct status *st);
MUST_USE int approval_parse(const char *data, size_t size, struct approval *out, struct status *st);
void approval_release(struct approval *a);

#endif
