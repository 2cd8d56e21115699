/* Options of a command as a table, from which both parsing and --help come.
 *
 * --name VALUE and --name=VALUE; a list takes every word up to the next option; what starts with no option is
 * positional; "--" ends options. An unknown or doubled option, or one without its value, is RC_ARG by name.
 */
#ifndef LETHE_CLI_OPT_H
#define LETHE_CLI_OPT_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum opt_kind { OPT_FLAG, OPT_TEXT, OPT_LIST, OPT_COUNT, OPT_SEED, OPT_REAL };

struct opt_list {
    const char **v; /* lent from argv */
    size_t n;
};

struct opt {
    const char *name; /* without dashes */
    enum opt_kind kind;
    void *to;         /* bool, const char *, struct opt_list, uint32_t (above 0), uint64_t, double */
    const char *arg;  /* how help calls the value; NULL for a flag */
    const char *help; /* one line */
};

/* What every command has; pointed to by its table through COMMON_OPTIONS. */
struct common {
    bool help, json, quiet;
    const char *device;
    uint32_t memory_mib; /* 0: what the device has */
};
#define COMMON_OPTIONS(c)                                                                                    \
    { "device", OPT_TEXT, &(c)->device, "N|NAME", "Vulkan device by number or part of its name" },           \
        { "memory", OPT_COUNT, &(c)->memory_mib, "MIB", "device memory to take at most (what is free)" },    \
        { "json", OPT_FLAG, &(c)->json, NULL, "one JSON document on stdout" },                               \
        { "quiet", OPT_FLAG, &(c)->quiet, NULL, "no progress and no messages but errors" },                  \
    {                                                                                                        \
        "help", OPT_FLAG, &(c)->help, NULL, "this text"                                                      \
    }

/* argv[0] is skipped. table ends with a NULL name. The lists lend from argv and are freed by opts_release. */
MUST_USE int opts_parse(const struct opt *table, int argc, char **argv, struct opt_list *words,
                        struct status *st);
void opts_release(const struct opt *table, struct opt_list *words);

/* Usage lines, what it does, the options, an example. */
struct usage {
    const char *forms;   /* "lethe probe MODEL [--probes F...]"; several lines allowed */
    const char *does;    /* sentences */
    const char *example; /* one command */
};
void opts_help(const struct usage *usage, const struct opt *table, struct str *out);

#endif
