/* The check before cJSON (docs/formats 0.4). Private to base. */
#ifndef LETHE_BASE_JSON_SCAN_H
#define LETHE_BASE_JSON_SCAN_H

#include "base/status.h"

#include <stddef.h>

/* One JSON value and nothing else: grammar, UTF-8, escapes, numbers and limits. Repeated keys are left to
 * whoever has the tree, since two spellings of a key are the same key. RC_FORMAT or RC_LIMIT, with the
 * byte. */
MUST_USE int json_scan(const char *data, size_t size, size_t keys_max, struct status *st);

#endif
