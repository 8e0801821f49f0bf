/*
 * Operations on the attributes of what a path names, or of an open file.
 *
 *     path:  walk --> go: one call by gfid --> done
 *     file:           go: one call by gfid --> done
 *                            |                  ^
 *                            | it has no name   |
 *                            v                  |
 *                          FSTAT, may --> go: one call on the descriptor
 *
 * Bricks look at permissions by gfid only: with calls on a descriptor access-control does nothing
 * (posix-acl.c: FD_MODE_CHECK_IS_IMPLEMENTED), so that who may read a file could give it away. A
 * file that has been removed can be had by its descriptor alone; for that, we look.
 */
#ifndef VOLUME_ATTR_H
#define VOLUME_ATTR_H

#include "volume/walk.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

/** What is asked for, beside of what. Values and results stay the caller's. */
struct attr_args {
    union {
        struct {
            uint32_t valid; /* GF_SET_ATTR_... */
            mode_t mode;
            uid_t uid;
            gid_t gid;
            struct timespec atime, mtime; /* those that are to be now are filled in at the start */
        } set;
        uint64_t length; /* truncate */
        int mask;        /* access: R_OK, ... */
        struct statvfs *statvfs;
        struct statx *statx;
        struct {
            char name[NAME_MAX + 1];
            const void *value; /* to be set */
            void *buffer;      /* for a value or a list of names */
            size_t size;
            int flags; /* XATTR_CREATE, XATTR_REPLACE */
        } xattr;
    };
};

struct attr_op {
    struct path_op path;   /* first; not walked if there is a file */
    struct gzc_file *file; /* or NULL */
    bool by_fd;            /* its call is on the descriptor */
    void (*go)(struct op *op);
    int (*may)(struct attr_op *a, const gf_iatt *stat);
    void (*done)(struct op *op);
    struct inode *inode; /* truncate: whose turn it takes */
    struct attr_args args;
    struct fop fop;
};

/** Prepares it: for @p file, or if that is NULL for @p path, which must stay until it is over.
 *  @param flags  of the walk. */
void attr_op_init(struct attr_op *a, struct gzc_volume *v, const char *path, unsigned flags,
                  struct gzc_file *file);
/* Starts. */
void setattr_start(struct op *op);
/** Of a path. Takes its turn as a write of the whole file, if it is open. */
void truncate_start(struct op *op);
/** Of a path. */
void access_start(struct op *op);
/** Of a path. */
void statvfs_start(struct op *op);
void statx_start(struct op *op);
/** Succeeds, and asks nobody. */
void nothing_start(struct op *op);

/* For these and for xattr.c. */
static inline struct attr_op *attr_op_of(struct op *op)
{
    return (struct attr_op *)op;
}

/**
 * Walks, if it is a path; then go() runs, with the path's attributes in walk.stat.
 * @param may  for a file without a name: 0, or the error for who is neither root nor allowed to. It
 *             runs before go() does so a second time.
 */
void attr_start(struct op *op, void (*go)(struct op *op),
                int (*may)(struct attr_op *a, const gf_iatt *stat));
const uint8_t *attr_gfid(const struct attr_op *a);
/** Posts the operation's one call: on the descriptor if by_fd, else by gfid; which is in
 *  @p arguments. */
void attr_post(struct attr_op *a, uint32_t number, void *arguments, void (*done)(struct op *op));
/** A done() for calls without results. */
void attr_done(struct op *op);
/** Ends the operation with the error of its call. */
void attr_fail(struct attr_op *a);
/** Ends it with an error that no brick gave. */
void attr_refuse(struct attr_op *a, int error);

#endif
