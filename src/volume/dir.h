/* Reading directories. */
#ifndef VOLUME_DIR_H
#define VOLUME_DIR_H

#include "volume/walk.h"

/** Opens a directory. */
struct opendir_op {
    struct path_op path;  /* first */
    struct gzc_dir *dir;  /* being made */
    struct gzc_dir **out; /* set when the operation has completed; NULL on failure */
    struct fop fop;
};
/** Prepares it; @p path must stay until it is over. @return 0 or -ENOMEM. */
int opendir_init(struct opendir_op *o, struct gzc_volume *v, const char *path,
                 struct gzc_dir **out);
void opendir_start(struct op *op);

/** A call on an open directory. */
struct dir_op {
    struct op op; /* first */
    struct gzc_dir *dir;
    struct gzc_dirent *entry; /* readdir; filled if the result is 1 */
    struct fop fop;
};
void dir_op_init(struct dir_op *d, struct gzc_dir *dir);
/** Gives the next entry. The result is 1, or 0 at the end. */
void readdir_start(struct op *op);
/** As dir_op_init(), for closedir_start(). */
void closedir_init(struct dir_op *d, struct gzc_dir *dir);
/** When nothing is under way on the handle. It goes when the operation has completed. */
void closedir_start(struct op *op);

/** Goes on behind the entry with that cookie; 0: at the beginning. No lock. */
void dir_seek(struct gzc_dir *dir, uint64_t cookie);
/** The next entry, if no call is needed for it: 1; 0 at the end; -EAGAIN: a call is. No lock. */
int dir_next(struct gzc_dir *dir, struct gzc_dirent *entry);

#endif
