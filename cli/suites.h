/* Suites as commands take them: files that the user names, or the shipped ones. */
#ifndef LETHE_CLI_SUITES_H
#define LETHE_CLI_SUITES_H

#include "probes/set.h"

#include <stddef.h>

struct suites {
    struct probe_set *sets;
    size_t n;
};
/* n 0: the shipped suites. RC_ARG: two with one id. */
MUST_USE int suites_load(const char *const *paths, size_t n, struct suites *out, struct status *st);
void suites_release(struct suites *s);

#endif
