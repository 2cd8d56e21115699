/* The run folder: what an audit leaves behind before it is packed.
 *
 *   RUN/plan.json plan.dsse.json plan.tsr        as in the archive
 *   RUN/plan.salt                                64 hex digits and LF, mode 0600; never packed
 *   RUN/paths.json                               where the inputs are on this machine; never packed
 *   RUN/variants.txt                             which kernels run; its digest is packed, it is not
 *   RUN/{config,environment,data,models}.json events.jsonl supervision.jsonl       `run/` of the archive
 *   RUN/{probes,items,outputs}/<suite>....jsonl tokens.jsonl conflicts.jsonl       `evidence/` of the archive
 *
 * Rows are stored with their salt, so packing copies bytes. A file is named by its member name in the
 * archive.
 */
#ifndef LETHE_REPORTS_RUN_H
#define LETHE_REPORTS_RUN_H

#include "base/json.h"
#include "reports/manifest.h"
#include "reports/plan.h"

#define RUN_FILE_BYTES_MAX ((size_t)2 << 30)

/* RUN/<file> of an archive's member ("run/config.json" -> RUN/config.json, "evidence/items/x.base.jsonl" ->
 * RUN/items/x.base.jsonl) or of plan.salt and paths.json; appended. */
MUST_USE int run_path(const char *run, const char *member, struct str *out, struct status *st);
bool run_has(const char *run, const char *member);
/* Atomic; makes the folders above it. */
MUST_USE int run_write(const char *run, const char *member, const void *data, size_t n, struct status *st);
MUST_USE int run_read(const char *run, const char *member, struct str *out, struct status *st);
/* Names by suite: run_item_name("capitals", "base", &s) appends "evidence/items/capitals.base.jsonl". */
void run_item_name(const char *suite, const char *side, struct str *out);
void run_probe_name(const char *suite, struct str *out);

/* 32 random bytes into RUN/plan.salt; RC_IO when it is there. */
MUST_USE int run_salt_create(const char *run, uint8_t key[32], struct status *st);
MUST_USE int run_salt_load(const char *run, uint8_t key[32], struct status *st);

MUST_USE int run_plan_load(const char *run, struct plan *out, struct hash *digest, struct status *st);

/* Absolute paths of the inputs. */
struct run_paths {
    char *base, *tuned; /* tuned NULL: trained here, into RUN/adapter */
    size_t data_n, suites_n;
    char **data;   /* [data_n] in plan order */
    char **suites; /* [suites_n] in plan order */
};
MUST_USE int run_paths_write(const char *run, const struct run_paths *p, struct status *st);
MUST_USE int run_paths_load(const char *run, struct run_paths *out, struct status *st);
void run_paths_release(struct run_paths *p);

/* Appends `row` (a record without salt: "{…}", no LF) with its salt and LF. path and index as
 * docs/formats 0.5: the member's name, for outputs without the side. */
MUST_USE int run_row_salt(const uint8_t key[32], const char *path, uint64_t index, const char *row, size_t n,
                          struct str *out, struct status *st);

#endif
