/* lethe: picks the subcommand and turns its result into an exit code. */
#include "cli/cli.h"
#include "base/utf8.h"
#include "gpu/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv, struct status *st);
} COMMANDS[] = {
#define COMMAND(name, help) { #name, help, cmd_##name },
#include "cli/commands.def"
#undef COMMAND
};
enum { COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS };

static void help_print(FILE *to)
{
    fputs("usage: lethe COMMAND [...]      lethe COMMAND --help\n\n"
          "Tunes language models on any Vulkan device and shows what the tuning made them forget.\n\n",
          to);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].help);
    fputs("\nexit codes: 0 done, 1 checked and false, 2 could not, 3 verdict FAIL, 4 signers not trusted,\n"
          "            5 verdict INCONCLUSIVE or INVALID, 130 stopped and resumable\n",
          to);
}

/* One line on stderr. The sentence may hold names from files, so it is escaped like any foreign text. */
static int failure_print(const char *command, int rc, const struct status *st)
{
    struct str line = { 0 };
    escape_terminal(st->msg, strlen(st->msg), 0, &line);
    fprintf(stderr, "lethe %s: %s\n", command, line.size ? str_text(&line) : "failed without a message");
    str_release(&line);
    return status_exit(rc);
}

/* Those that open no device. */
static bool is_host_only(const char *command)
{
    static const char *const NAMES[] = { "info", "tokenize", "keygen", "pack", "sign", "verify", "show" };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(command, NAMES[i]) == 0)
            return true;
    return false;
}

/* The best driver of set-up may want another C library than the system's. Where that cannot be had, one that
 * works here takes its place. */
static void driver_prepare(char **argv)
{
    struct status st = { 0 };
    struct str best = { 0 }, here = { 0 }, line = { 0 };
    const bool have = cli_driver_file(CLI_DRIVER_BEST, &best);
    if (launch_driver(argv, have ? str_text(&best) : NULL, &st) != 0) {
        const char *set = getenv("VK_DRIVER_FILES");
        const bool other = cli_driver_file(CLI_DRIVER_HERE, &here);
        if (set && have && other && strcmp(set, str_text(&best)) == 0)
            (void)setenv("VK_DRIVER_FILES", str_text(&here), 1);
        escape_terminal(st.msg, strlen(st.msg), 0, &line);
        fprintf(stderr, "warning: %s; going on without that driver\n", str_text(&line));
    }
    str_release(&best);
    str_release(&here);
    str_release(&line);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_print(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("lethe " LETHE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], COMMANDS[i].name) != 0)
            continue;
        struct status st = { 0 };
        if (!is_host_only(argv[1]))
            driver_prepare(argv);
        cli_signals();
        int rc = COMMANDS[i].run(argc - 1, argv + 1, &st);
        return rc < 0 ? failure_print(argv[1], rc, &st) : rc;
    }
    fprintf(stderr, "lethe: no command '%s'; lethe --help lists them\n", argv[1]);
    return 2;
}
