/* Events on their way to people and to events.jsonl. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR = 24 };
static const double REDRAW_S = 0.2, LINE_S = 5.0;

/* One write(2) a record: a killed process leaves at most one broken last line, which a resume drops. */
static int log_append(const char *path, const struct str *line, struct status *st)
{
    int rc = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
    ssize_t n = write(fd, str_text(line), line->size);
    if (n < 0 || (size_t)n != line->size)
        FAIL(st, RC_IO, "%s: %s", path, n < 0 ? strerror(errno) : "the disk is full");
out:
    if (fd >= 0)
        close(fd);
    return rc;
}

/* "text" of a warning is the only event that people must read as it comes. */
static void warning_show(struct cli_sink *s, const char *keys)
{
    struct json *j = NULL;
    struct str object = { 0 }, line = { 0 };
    str_printf(&object, "{%s}", keys + (keys[0] == ','));
    const char *text =
        json_parse(str_text(&object), object.size, &j, NULL) == 0 ? json_text(json_find(j, "text")) : NULL;
    text = text ? text : keys;
    escape_terminal(text, strlen(text), 0, &line); /* it may hold names from files */
    cli_sink_line(s);
    fprintf(stderr, "warning: %s\n", str_text(&line));
    json_free(j);
    str_release(&object);
    str_release(&line);
}

static int take(void *self, const struct event *e, struct status *st)
{
    struct cli_sink *s = self;
    int rc = 0;
    struct str line = { 0 };
    if (!s->quiet && strcmp(e->name, "warning") == 0)
        warning_show(s, e->keys);
    if (s->log) {
        str_printf(&line, "{\"seq\":%" PRIu64 ",\"t\":\"%s\",\"event\":\"%s\"%s}\n", s->seq, time_now_ms().s,
                   e->name, e->keys);
        TRY(str_check(&line, st));
        TRY(log_append(s->log, &line, st));
        s->seq++;
    }
out:
    str_release(&line);
    return rc;
}

static void time_left_print(double seconds)
{
    unsigned long s = (unsigned long)(seconds + 0.5);
    if (s >= 60)
        fprintf(stderr, " %lu:%02lu left", s / 60, s % 60);
    else
        fprintf(stderr, " %lu s left", s);
}

static void progress(void *self, const char *what, uint64_t done, uint64_t total)
{
    struct cli_sink *s = self;
    double now = clock_seconds();
    if (s->quiet || total == 0)
        return;
    if (strncmp(s->what, what, sizeof s->what - 1) != 0) {
        cli_sink_line(s);
        snprintf(s->what, sizeof s->what, "%s", what);
        s->started = now;
        s->last = now;
        s->first = done;
        return;
    }
    if (now - s->last < (s->terminal ? REDRAW_S : LINE_S) && done < total)
        return;
    s->last = now;
    if (!s->terminal && now - s->started < 1)
        return; /* nobody waited */
    uint64_t made = done - s->first;
    double rate = now > s->started ? (double)made / (now - s->started) : 0;
    if (s->terminal) {
        int full = (int)(done * BAR / total);
        fprintf(stderr, "\r\033[K%-24s [%.*s%*s]", what, full, "########################", BAR - full, "");
    } else {
        fprintf(stderr, "%s:", what);
    }
    fprintf(stderr, " %" PRIu64 "/%" PRIu64 ", %.1f/s", done, total, rate);
    if (rate > 0 && done < total)
        time_left_print((double)(total - done) / rate);
    if (!s->terminal)
        fputc('\n', stderr);
    if (done == total)
        cli_sink_line(s);
}

int cli_dropped(struct event_sink *sink, const char *what, uint64_t bytes, struct status *st)
{
    if (bytes == 0)
        return 0;
    return event_warn(sink, st, "bytes-without-token",
                      "%s: %" PRIu64 " bytes have no token in this model and are left out", what, bytes);
}

void cli_sink_init(struct cli_sink *s, const struct common *c, const char *log)
{
    *s = (struct cli_sink){
        .sink = { .take = take, .progress = progress },
        .quiet = c->quiet,
        .terminal = isatty(STDERR_FILENO) == 1,
        .log = log,
    };
    s->sink.self = s;
}

void cli_sink_line(struct cli_sink *s)
{
    if (s->what[0] && s->terminal && !s->quiet)
        fputc('\n', stderr);
    s->what[0] = 0;
}
