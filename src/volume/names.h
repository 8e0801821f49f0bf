/* Operations on names: attributes, making and removing entries. */
#ifndef VOLUME_NAMES_H
#define VOLUME_NAMES_H

#include "volume/walk.h"

/** As a path_op, with what the operations need beside the path. */
struct name_op {
    struct path_op path; /* first */
    mode_t mode;         /* mkdir */
    struct stat *st;     /* stat; filled on success */
    struct fop fop;
};

/** Prepares it; @p path must stay until it is over. */
void name_op_init(struct name_op *n, struct gzc_volume *v, const char *path, unsigned flags);
/* Starts. The walk's flags: none or WALK_NOFOLLOW for stat, else WALK_PARENT. */
void stat_start(struct op *op);
void unlink_start(struct op *op);
void mkdir_start(struct op *op);
void rmdir_start(struct op *op);

#endif
