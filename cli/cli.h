/* What the subcommands share: their table, the device, progress on stderr, stopping on Ctrl-C. */
#ifndef LETHE_CLI_CLI_H
#define LETHE_CLI_CLI_H

#include "base/event.h"
#include "base/status.h"
#include "base/str.h"
#include "cli/opt.h"

#include <signal.h>
#include <stdbool.h>

struct gpu;

/* argv[0] is the command's name. Returns 0, or a negative rc with st set, or an exit code above 0 that says a
 * verdict (docs/formats/verify.md: 3, 4, 5). */
#define COMMAND(name, help) int cmd_##name(int argc, char **argv, struct status *st);
#include "cli/commands.def"
#undef COMMAND

/* Raised by SIGINT and SIGTERM: finish the piece under way, keep the state, stop. A second signal ends at
 * once. */
extern volatile sig_atomic_t cli_stop;
void cli_signals(void);

/* Prints help when asked for; true: the command is done. */
bool cli_help(const struct common *c, const struct usage *usage, const struct opt *table);

/* Opens the device that the user or the machine gives and says once on stderr which it is. */
MUST_USE int cli_gpu_open(const struct common *c, struct gpu **out, struct status *st);

/* A software driver that set-up names, a line each, the best first, in a file beside the program, under its
 * share folder, or in the clone that it was built in. false: there is none. */
enum cli_driver {
    CLI_DRIVER_HERE, /* the first that this process can open */
    CLI_DRIVER_BEST, /* the first, though it may want another C library (gpu/launch.h) */
};
bool cli_driver_file(enum cli_driver which, struct str *out);
/* Folder or file of the installation or clone: "probes/sets" or "share/lethe/sets". false: not there. */
bool cli_data_path(const char *in_clone, const char *installed, struct str *out);

/* Progress on stderr: a bar that is drawn over on a terminal, a line every few seconds elsewhere, nothing
 * when quiet. With `log` not NULL every event is appended there as a record of docs/formats 5.5. */
struct cli_sink {
    struct event_sink sink;
    bool quiet, terminal;
    const char *log;      /* path of events.jsonl, or NULL */
    uint64_t seq;         /* of the next event */
    double started, last; /* of the piece that progress speaks of, seconds */
    char what[64];
    uint64_t first; /* its first `done`, so that a resumed piece tells the time left rightly */
};
void cli_sink_init(struct cli_sink *s, const struct common *c, const char *log);
/* Ends a drawn-over line, so that what follows starts on its own. */
void cli_sink_line(struct cli_sink *s);

/* A warning that bytes of `what` have no token in the model and were left out, as the reference leaves them
 * out. */
MUST_USE int cli_dropped(struct event_sink *sink, const char *what, uint64_t bytes, struct status *st);

/* Prints a line for people on stderr unless quiet. */
void cli_say(const struct common *c, const char *fmt, ...) PRINTF_LIKE(2);
/* Writes all of a result to stdout. RC_IO: a full disk or a closed pipe. */
MUST_USE int cli_print(const struct str *s, struct status *st);

/* Asks twice on the terminal (once when `again` is false) without echo. RC_IO: no terminal. */
MUST_USE int cli_passphrase(const char *prompt, bool again, struct str *out, struct status *st);

#endif
