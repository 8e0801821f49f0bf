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
    struct gzc_file *file; /* being made */
    struct gzc_file **out; /* set when the operation has completed; NULL on failure */
    int64_t fd;            /* the brick's */
    struct fop fop, truncate;
};
/** Prepares it; @p path must stay until it is over. @return 0 or -ENOMEM. */
int open_init(struct open_op *o, struct gzc_volume *v, const char *path, int flags, mode_t mode,
              struct gzc_file **out);
void open_start(struct op *op);

/** A call on an open file. */
struct file_op {
    struct op op; /* first */
    struct gzc_file *file;
    bool datasync;           /* fsync */
    bool last;               /* close: of the last reference */
    int mode;                /* fallocate: FALLOC_FL_...; lseek: SEEK_... */
    uint64_t offset, length; /* a range; ftruncate */
    struct stat *st;         /* fstat; filled on success */
    struct fop fop, release;
};
void file_op_init(struct file_op *f, struct gzc_file *file);
/** Covers all writes that were started before it. */
void fsync_start(struct op *op);
/** Takes its turn as a write of the whole file. */
void ftruncate_start(struct op *op);
void fstat_start(struct op *op);
/** As file_op_init(), for close_start(). */
void close_init(struct file_op *f, struct gzc_file *file);
/** Gives a reference back; with the last one, when nothing is under way on the handle: FLUSH, then
 *  RELEASE; the result is FLUSH's. The handle goes when the operation has completed. */
void close_start(struct op *op);

/* For other files' calls of this kind. */
struct file_op *file_op_of(struct op *op);
/** Begins a call that takes its turn among the file's transfers, as one of bytes [start, end). */
void file_take_turn(struct op *op, uint64_t start, uint64_t end, bool write,
                    void (*go)(struct op *));
/** A round of one call, f->fop, on the file. */
void file_post(struct op *op, uint32_t number, void *arguments, void (*done)(struct op *));
void file_post_fstat(struct op *op, void (*done)(struct op *));
/** Ends the operation as that round has. */
void file_done(struct op *op);

#endif
