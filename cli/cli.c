#include "cli/cli.h"

#include "base/file.h"
#include "gpu/device.h"
#include "gpu/launch.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

volatile sig_atomic_t cli_stop;

static void on_signal(int number)
{
    (void)number;
    if (cli_stop)
        _exit(130);
    cli_stop = 1;
}

void cli_signals(void)
{
    struct sigaction act = { .sa_handler = on_signal };
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of the write, told like any other */
}

bool cli_help(const struct common *c, const struct usage *usage, const struct opt *table)
{
    if (!c->help)
        return false;
    struct str text = { 0 };
    opts_help(usage, table, &text);
    fwrite(str_text(&text), 1, text.size, stdout);
    str_release(&text);
    return true;
}

/* Appends `tail` to the folder of the running program. false when that cannot be told. */
static bool beside_program(const char *tail, struct str *out)
{
    struct str program = { 0 };
    bool found = launch_program(&program, NULL) == 0;
    if (found) {
        const char *path = str_text(&program);
        str_clear(out);
        str_add(out, path, (size_t)(path_name(path) - path));
        str_puts(out, tail);
        found = str_check(out, NULL) == 0 && path_exists(str_text(out));
    }
    str_release(&program);
    return found;
}

bool cli_driver_file(enum cli_driver which, struct str *out)
{
    static const char *const PLACES[] = { "lethe.driver", "../share/lethe/driver", "../../.deps/driver" };
    enum { LINES_MAX = 8 };
    struct str lines = { 0 };
    bool found = false;
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++) {
        str_clear(&lines);
        if (beside_program(PLACES[i], out) &&
            file_read(str_text(out), LINES_MAX * PATH_MAX, &lines, NULL) == 0)
            break;
    }
    for (const char *at = str_text(&lines); *at && !found;) {
        const size_t n = strcspn(at, "\n");
        str_clear(out);
        str_add(out, at, n);
        found = str_check(out, NULL) == 0 && path_exists(str_text(out)) &&
                (which == CLI_DRIVER_BEST || launch_serves(str_text(out)));
        at += n + (at[n] == '\n');
    }
    str_release(&lines);
    return found;
}

bool cli_data_path(const char *in_clone, const char *installed, struct str *out)
{
    struct str tail = { 0 };
    str_printf(&tail, "../share/lethe/%s", installed);
    bool found = beside_program(str_text(&tail), out);
    if (!found) {
        str_clear(&tail);
        str_printf(&tail, "../../%s", in_clone);
        found = beside_program(str_text(&tail), out);
    }
    str_release(&tail);
    return found;
}

int cli_gpu_open(const struct common *c, struct gpu **out, struct status *st)
{
    struct str driver = { 0 };
    bool have = cli_driver_file(CLI_DRIVER_HERE, &driver);
    struct gpu_choice choice = { .device = c->device,
                                 .driver_file = have ? str_text(&driver) : NULL,
                                 .bytes_max = (uint64_t)c->memory_mib << 20 };
    int rc = gpu_open(&choice, out, st);
    str_release(&driver);
    if (!rc) {
        const struct gpu_info *info = gpu_get_info(*out);
        cli_say(c, "device: %s, %s %s", info->name, info->driver, info->driver_version);
    }
    return rc;
}

void cli_say(const struct common *c, const char *fmt, ...)
{
    if (c->quiet)
        return;
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

int cli_print(const struct str *s, struct status *st)
{
    int rc = str_check(s, st);
    if (!rc && (fwrite(str_text(s), 1, s->size, stdout) != s->size || fflush(stdout) != 0))
        rc = status_fail(st, RC_IO, "standard output: %s", strerror(errno));
    return rc;
}

/* ---- passphrases ---- */

static int line_without_echo(FILE *tty, const char *prompt, struct str *out, struct status *st)
{
    struct termios old, quiet;
    int fd = fileno(tty);
    bool echo = tcgetattr(fd, &old) == 0;
    if (echo) {
        quiet = old;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(fd, TCSAFLUSH, &quiet);
    }
    fputs(prompt, tty);
    fflush(tty);
    int c;
    str_clear(out);
    while ((c = fgetc(tty)) != EOF && c != '\n')
        str_putc(out, (char)c);
    if (echo)
        tcsetattr(fd, TCSAFLUSH, &old);
    fputc('\n', tty);
    if (c == EOF)
        return status_fail(st, RC_IO, "no passphrase was given");
    return str_check(out, st);
}

int cli_passphrase(const char *prompt, bool again, struct str *out, struct status *st)
{
    int rc = 0;
    struct str second = { 0 };
    FILE *tty = fopen("/dev/tty", "r+");
    if (!tty)
        FAIL(st, RC_IO, "no terminal to ask for a passphrase; use --passphrase-file");
    TRY(line_without_echo(tty, prompt, out, st));
    if (again) {
        TRY(line_without_echo(tty, "again: ", &second, st));
        if (out->size != second.size || memcmp(str_text(out), str_text(&second), out->size) != 0)
            FAIL(st, RC_ARG, "the two passphrases differ");
    }
out:
    if (tty)
        fclose(tty);
    str_release(&second);
    return rc;
}
