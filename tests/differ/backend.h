/*
 * The two sides of the differential test: libgzc, and system calls on a FUSE mount. Each runs any
 * step and tells its outcome in the same form, so that comparing is comparing bytes.
 */
#ifndef DIFFER_BACKEND_H
#define DIFFER_BACKEND_H

#include "step.h"

#include <stdarg.h>
#include <sys/stat.h>

struct outcome {
    int64_t value; /* what the call has returned, or -errno */
    char *bytes;   /* what it has put out, in a canonical form */
    size_t length, room;
    struct stat st;  /* of stat, lstat and fstat: what the call has given, times and all */
    char error[256]; /* libgzc's text */
};

void outcome_clear(struct outcome *o);
void outcome_free(struct outcome *o);
void outcome_bytes(struct outcome *o, const void *bytes, size_t length);
void outcome_print(struct outcome *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Attributes that both sides must agree on, in text. Times only if they have been set: the present
 * is "now". */
void outcome_stat(struct outcome *o, const struct stat *st);
void outcome_statx(struct outcome *o, const struct statx *x);
struct statvfs;
void outcome_statvfs(struct outcome *o, const struct statvfs *vfs);
struct flock;
void outcome_lock(struct outcome *o, const struct flock *lock);
/** A path of @p value bytes, without what the two sides' names differ in: the first byte of an
 * absolute one. @return @p value. */
int64_t outcome_path(struct outcome *o, char *text, int64_t value);
/** Sorted, each in quotes. Frees the list's strings. */
void outcome_list(struct outcome *o, char **list, size_t count);
/** A list as listxattr() gives it: sorted. */
void outcome_xattrs(struct outcome *o, const char *list, size_t length);
/** A time that a test has set, not one that a clock has given. */
bool is_set_time(struct timespec t);

struct identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[4];
    unsigned ngroups;
    mode_t umask;
};
extern const struct identity identities[IDENTITIES];

struct backend {
    const char *name;
    /** A fresh directory @p root, which becomes the working directory, without open slots. */
    void (*begin)(const char *root);
    /** Runs a step in the directory @p root, which is the one of begin(), or another to look at. */
    void (*run)(const char *root, const struct step *s, struct outcome *o);
};

extern const struct backend backend_gzc, backend_posix;

/** Mount and unmount; they end the program with a message if that fails. */
void backend_gzc_open(const char *uri);
void backend_gzc_close(void);
void backend_posix_open(const char *mount);
void backend_posix_close(void);
/** Runs a step with all permissions, in the working directory of the step's identity. */
void backend_posix_run_as_root(const char *root, const struct step *s, struct outcome *o);

/** Calls @p make for every directory on the way to @p root, and for it. */
void make_root(const char *root, void (*make)(const char *path));
/** A path as a back end needs it; "" and relative ones are as they are. @param buffer  of
 * PATH_ROOM. */
const char *backend_path(const char *root, const char *path, char *buffer);
enum { PATH_ROOM = 16384 /* bytes */ };

/** The times of utimens from its four numbers; NULL: now. */
const struct timespec *times_of(const int64_t *n, struct timespec t[2]);
/** Pattern @p seed. */
void pattern_fill(char *to, size_t length, int64_t seed);
/** Cuts @p length bytes into @p pieces of odd sizes, some of them empty. @return their number. */
struct iovec;
int cut_pieces(struct iovec *iov, void *buffer, size_t length, int64_t pieces);
enum { PIECES_MAX = 64, TRANSFER_MAX = 4 << 20 /* bytes */ };

#endif
