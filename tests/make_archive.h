/* Small audits made from fixed rows through reports/: run folders, archives of each kind, and the broken
 * ones. Every score in them is made up; digests, statistics and signatures are computed.
 */
#ifndef LETHE_TESTS_MAKE_ARCHIVE_H
#define LETHE_TESTS_MAKE_ARCHIVE_H

#include "reports/container.h"
#include "reports/keys.h"

enum made {
    MADE_PASS,         /* everything HELD */
    MADE_FAIL,         /* 20 of 24 facts lost */
    MADE_LOST,         /* one critical item lost */
    MADE_INCONCLUSIVE, /* 12 of 24 facts lost */
    MADE_IMPORTED,     /* three items, made elsewhere */
    MADE_CLOSED,       /* as PASS, with privacy: closed */
};

struct made_keys {
    struct key_secret *author, *validator, *stranger; /* Ed25519, P-256, Ed25519 */
};
/* A fresh folder, in memory where the system has such a place: the archives of a test are many small
 * files. */
MUST_USE int make_folder(char out[64], struct status *st);
void make_folder_gone(const char *folder);

MUST_USE int made_keys_open(struct made_keys *out, struct status *st);
void made_keys_close(struct made_keys *k);

/* The run folder, as an audit would leave it. The plan is signed by the author and names both as
 * approvers. */
MUST_USE int make_run(const char *run, enum made kind, const struct made_keys *keys, struct status *st);
/* FOLDER/run, packed into FOLDER/a.lethe and signed by author and validator. */
MUST_USE int make_archive(const char *folder, enum made kind, const struct made_keys *keys, struct str *path,
                          struct status *st);
/* A trust file over author and validator, threshold 1 each; with `other`, over the stranger alone. */
MUST_USE int make_trust(const char *path, const struct made_keys *keys, bool other, struct status *st);

/* Audit file and suite files of MADE_PASS as a person would have them, below `folder`. */
MUST_USE int make_inputs(const char *folder, struct status *st);

/* ---- breaking ---- */
MUST_USE int make_load(const char *path, struct container *out, struct status *st);
/* Writes members as they are, in this order; names still obey the container. */
MUST_USE int make_store(const char *path, const struct container *c, struct status *st);
/* Manifest, statement and envelope anew, signed by author and validator: for a lie that is well signed. */
MUST_USE int make_reseal(struct container *c, const struct made_keys *keys, struct status *st);
/* The tar stream of the members, and a zstd frame of plain blocks around any bytes. */
MUST_USE int make_tar(const struct container *c, struct str *out, struct status *st);
MUST_USE int make_frame(const char *path, const struct str *tar, struct status *st);
/* Replaces the first `from` in a member by `to`. RC_ARG: it is not there. */
MUST_USE int make_replace(struct container *c, const char *member, const char *from, const char *to,
                          struct status *st);

#endif
