/* Reading directories. */
#ifndef VOLUME_DIR_H
#define VOLUME_DIR_H

#include "volume/walk.h"

/** Opens a directory. Initialised by path_op_init(). */
struct opendir_op {
    struct path_op path; /* first */
    struct gzc_dir *dir; /* filled on success */
    struct fop fop;
};
void opendir_start(struct op *op);

/** A call on an open directory. */
struct dir_op {
    struct op op; /* first */
    struct gzc_dir *dir;
    struct fop fop;
};
/** Fetches the next batch of entries into dir->list. */
void readdir_start(struct op *op);
void closedir_start(struct op *op);

/** The next entry of the batch; false if it is over. */
bool dir_next(struct gzc_dir *dir, struct gzc_dirent *entry);

#endif
