/* Operations on names: looking, making, removing and renaming entries. */
#ifndef VOLUME_NAMES_H
#define VOLUME_NAMES_H

#include "volume/walk.h"

/** What the operations need beside the path; the memory must stay until they are over. */
struct name_args {
    mode_t mode;               /* mkdir, mknod */
    dev_t dev;                 /* mknod */
    const char *other;         /* the new path of link and rename; a symbolic link's text */
    char *buffer;              /* readlink, realpath: filled on success */
    size_t size;               /* of it */
    struct stat *st;           /* stat; filled on success */
    struct gzc_handle *handle; /* name_to_handle; filled on success */
};

struct name_op {
    struct path_op path; /* first */
    struct name_args args;
    struct {          /* link, rename: what the first path has come to */
        gf_gfid gfid; /* the inode; of rename its directory */
        char name[NAME_MAX + 1];
        bool slash;     /* the path ends in one */
        bool directory; /* link: it is one */
    } from;
    struct fop fop;
};

/** Prepares it; @p path must stay until it is over. @p flags are the walk's, as below. */
void name_op_init(struct name_op *n, struct gzc_volume *v, const char *path, unsigned flags);

/* Starts. With WALK_PARENT: */
void unlink_start(struct op *op);
void mkdir_start(struct op *op);
void rmdir_start(struct op *op);
void mknod_start(struct op *op);
void symlink_start(struct op *op);
void rename_start(struct op *op);
/* With WALK_NOFOLLOW: */
void link_start(struct op *op);
void readlink_start(struct op *op);
/* With WALK_NOFOLLOW or none: */
void stat_start(struct op *op);
void name_to_handle_start(struct op *op);
void realpath_start(struct op *op);
/** Makes it the working directory of the handle. */
void chdir_start(struct op *op);

#endif
