/*
 * POSIX locks on ranges of a file, which the brick keeps.
 *
 * A lock that is told to have failed is not held. So a call that asks for one is not retired when
 * its operation is cancelled or its time is over: it is withdrawn from the brick's queue, its reply
 * is waited for, and what it was granted meanwhile is given back.
 *
 *   LK ---- granted, refused ----------------------------------------------------> over
 *    |
 *    +-- cancel, time over --> INTRLK, until LK has its reply --- refused -------> over
 *                                                            \--- granted -> LK, unlocking -> over
 */
#ifndef VOLUME_LOCK_H
#define VOLUME_LOCK_H

#include "volume/file.h"

#include <fcntl.h>

struct lock_op {
    struct file_op file; /* first; its fop asks for the size, then it is LK */
    int cmd;             /* F_GETLK, F_SETLK, F_SETLKW */
    bool mandatory;
    struct flock *lock;     /* the caller's, which F_GETLK fills */
    struct flock range;     /* absolute; l_len 0: without end */
    unsigned changes;       /* of the remote's, when LK was posted */
    struct fop_context own; /* of the calls that are not retired with the operation */
    struct caller caller;   /* the file's, as it was when the operation began */
    bool asking;            /* LK is under way */
    bool granted;           /* LK has locked the range */
    bool withdrawing;       /* INTRLK, or LK unlocking, is */
    int gave_up;            /* the error that it ends with */
    uint64_t limit;         /* of withdrawing */
    struct timer timer;
    struct fop withdraw;
};

/** @p lock must stay until the operation is over. */
void lock_init(struct lock_op *l, struct gzc_file *file, int cmd, struct flock *lock,
               bool mandatory);
void lock_start(struct op *op);

#endif
