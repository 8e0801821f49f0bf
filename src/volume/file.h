/* Opening, closing and the calls on an open file that are not reads and writes. */
#ifndef VOLUME_FILE_H
#define VOLUME_FILE_H

#include "volume/walk.h"

/** Opens a file. Initialised by path_op_init(), with WALK_NOFOLLOW as the flags say. */
struct open_op {
    struct path_op path; /* first */
    int flags;
    mode_t mode;
    unsigned tries;        /* other clients may remove and create the name meanwhile */
    struct gzc_file *file; /* filled on success */
    struct fop fop;
};
void open_start(struct op *op);

/** A call on an open file. */
struct file_op {
    struct op op; /* first */
    struct gzc_file *file;
    bool datasync;   /* fsync */
    uint64_t length; /* ftruncate */
    struct stat *st; /* fstat; filled on success */
    struct fop fop, release;
};
void fsync_start(struct op *op);
void ftruncate_start(struct op *op);
void fstat_start(struct op *op);
/** FLUSH, then RELEASE; the result is FLUSH's. */
void close_start(struct op *op);

#endif
