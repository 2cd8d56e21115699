/* Private to reports/: members in memory, and those of them whose lines can be withheld one by one. */
#ifndef LETHE_REPORTS_LINES_H
#define LETHE_REPORTS_LINES_H

#include "reports/container.h"
#include "reports/manifest.h"

/* Appends a member; takes over data. members_sort puts them in order of name, as a container has them. */
MUST_USE int members_add(struct container *c, const char *name, struct str *data, struct status *st);
void members_sort(struct container *c);
struct container_member *members_find(struct container *c, const char *name); /* or NULL */
/* Writes all to an archive. */
MUST_USE int members_write(const struct container *c, const char *path, struct status *st);

/* Which lines of a T member go. */
struct line_marks {
    struct container_member *member; /* lent */
    size_t n;
    const char **lines; /* [n] into the member's data */
    size_t *sizes;      /* [n] without LF */
    bool *gone;         /* [n] */
};
MUST_USE int line_marks_open(struct container_member *m, struct line_marks *out, struct status *st);
/* Replaces marked lines in the member. A line that is withheld already stays as it is. */
MUST_USE int line_marks_apply(struct line_marks *l, struct status *st);
void line_marks_close(struct line_marks *l);

#endif
