/*
 * Paths to inodes: one LOOKUP per component.
 *
 *      /a/b              from the root of the volume
 *      a/b               from the handle's working directory
 *      /.gfid/UUID/a/b   from the inode with that gfid
 *
 * The bricks know gfids, and names within a directory; "..", symbolic links and slashes are the
 * client's. ".." goes back along the directories walked through, which are kept; in front of the
 * first of them it asks the brick for that directory's path, and goes on from the root.
 */
#ifndef VOLUME_WALK_H
#define VOLUME_WALK_H

#include "volume/op.h"

#include <limits.h>

#define WALK_LINKS_MAX 40 /* as Linux */

enum walk_flags {
    WALK_NOFOLLOW = 1,  /* a symbolic link as the last component is what is looked for */
    WALK_PARENT = 2,    /* stop before the last component: `name` in the directory `walk_dir` */
    WALK_FROM_ROOT = 4, /* the trail is to begin at the root, whatever the path begins at */
};

struct path_op;

struct walk {
    unsigned flags;
    void (*then)(
        struct op *op); /* goes on; not called if the walk fails: that ends the operation */

    /* the result */
    /* the last component; "" if the path has none; with WALK_PARENT also ".", ".." */
    char name[NAME_MAX + 1];
    bool missing;        /* the last component does not exist, all before it do */
    bool directory;      /* the path ends in '/': it must be a directory */
    struct gf_iatt stat; /* what the path names, unless missing or WALK_PARENT */

    /* on the way */
    const char *path; /* as given, for texts; the caller's */
    char rest[PATH_MAX];
    size_t at;
    unsigned links;
    bool searchable; /* the directory we are in, for "." and ".." */
    bool stat_known; /* `stat` is that of the directory we are in */
    gf_gfid base;    /* where we have begun */
    gf_gfid *trail;  /* directories from below there to where we are */
    unsigned depth, room;
    void (*found)(
        struct path_op *p); /* goes on when what was looked up has a record of its times */
    struct fop fop;
};

/** An operation that begins with a path. */
struct path_op {
    struct op op; /* first */
    struct walk walk;
};

/** Prepares an operation on @p path, which must stay until it is over. */
void path_op_init(struct path_op *p, struct gzc_volume *v, const char *path, unsigned flags);
/** Frees what the walk holds. */
void path_op_free(struct path_op *p);
/** Walks; then p->walk.then runs, unless the operation has failed. */
void walk_start(struct path_op *p, void (*then)(struct op *op));
/** The gfid of the directory that the walk has ended in. */
const uint8_t *walk_dir(const struct walk *w);
/** Whether a gfid is the root's. */
bool walk_is_root(const uint8_t *gfid);
/** Asks a brick for the path of the directory @p gfid; then walk_answered_path() is for @p step. */
void walk_ask_path(struct path_op *p, const uint8_t *gfid, void (*step)(struct op *));
/** That path, from the root of the volume; NULL if there is none. Lives as long as the results of
 *  the walk's fop. */
const char *walk_answered_path(const struct walk *w);
/** Makes ready for another path, with the memory of the first. */
void walk_reset(struct walk *w, const char *path, unsigned flags);
/** Ends the operation with an error that no brick gave, on the path. */
void walk_fail(struct path_op *p, int error);

#endif
