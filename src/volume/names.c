#include "volume/names.h"

#include "proto/dict.h"
#include "proto/iatt.h"
#include "volume/fhandle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct name_op *name_op_of(struct op *op)
{
    return (struct name_op *)op;
}

static void name_settle(struct op *op)
{
    path_op_free(&name_op_of(op)->path);
}

void name_op_init(struct name_op *n, struct gzc_volume *v, const char *path, unsigned flags)
{
    path_op_init(&n->path, v, path, flags);
    n->path.op.settle = name_settle;
}

/* The root, "." and ".." have no name that could be made or removed. */
static bool refuse_nameless(struct op *op, const char *name, int error)
{
    if (name[strspn(name, ".")] || strlen(name) > 2)
        return false;
    walk_fail(&name_op_of(op)->path, error);
    return true;
}

/* The one call after the walk is over. */
static void name_done(struct op *op)
{
    struct name_op *n = name_op_of(op);
    fop_free_results(&n->fop);
    if (n->fop.error)
        op_fail(op, &n->fop, n->path.walk.path);
    else
        op_finish(op, 0);
}

static void name_call(struct op *op, uint32_t number, void *arguments, void (*step)(struct op *))
{
    op_round(op, 1, step);
    op_post(op, &name_op_of(op)->fop, op->volume->sessions[0], number, arguments);
}

static void name_post(struct op *op, uint32_t number, void *arguments)
{
    name_call(op, number, arguments, name_done);
}

/* Looks a name up where its kind decides about the error. */
static void name_lookup(struct op *op, const uint8_t *parent, char *name, void (*step)(struct op *))
{
    gf_lookup_args args = {.bname = name};
    memcpy(args.pargfid, parent, sizeof(args.pargfid));
    name_call(op, GF_FOP_LOOKUP, &args, step);
}

/* ---- looking --------------------------------------------------------------------------------- */

/* Whether the walk has found what is to be looked at. */
static bool name_found(struct op *op)
{
    struct walk *w = &name_op_of(op)->path.walk;
    if (w->missing)
        op_fail(op, &w->fop, w->path);
    return !w->missing;
}

static void stat_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    if (!name_found(op))
        return;
    iatt_to_stat(&n->path.walk.stat, n->args.st);
    op_finish(op, 0);
}

void stat_start(struct op *op)
{
    walk_start((struct path_op *)op, stat_walked);
}

static void handle_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    if (!name_found(op))
        return;
    fhandle_make(n->args.handle, op->volume, n->path.walk.stat.gfid);
    op_finish(op, 0);
}

void name_to_handle_start(struct op *op)
{
    walk_start((struct path_op *)op, handle_walked);
}

static void readlink_done(struct op *op)
{
    struct name_op *n = name_op_of(op);
    size_t length = 0;
    if (!n->fop.error) {
        const char *text = n->fop.results.readlink.path;
        length = strlen(text);
        if (length > n->args.size)
            length = n->args.size;
        memcpy(n->args.buffer, text, length);
    }
    fop_free_results(&n->fop);
    if (n->fop.error)
        op_fail(op, &n->fop, n->path.walk.path);
    else
        op_finish(op, (int64_t)length);
}

static void readlink_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (!name_found(op))
        return;
    if (!S_ISLNK(w->stat.mode) || !n->args.size) {
        walk_fail(&n->path, -EINVAL);
        return;
    }
    gf_readlink_args args = {.size = PATH_MAX};
    memcpy(args.gfid, w->stat.gfid, sizeof(args.gfid));
    name_call(op, GF_FOP_READLINK, &args, readlink_done);
}

void readlink_start(struct op *op)
{
    walk_start((struct path_op *)op, readlink_walked);
}

/* ---- where a name is ------------------------------------------------------------------------- */

/* @p directory: an absolute path */
static void realpath_give(struct op *op, const char *directory, const char *name)
{
    struct name_op *n = name_op_of(op);
    if (strcmp(directory, "/") == 0 && *name)
        directory = "";
    int length =
        snprintf(n->args.buffer, n->args.size, "%s%s%s", directory, *name ? "/" : "", name);
    if ((size_t)length >= n->args.size)
        walk_fail(&n->path, -ERANGE);
    else
        op_finish(op, length);
}

static void realpath_asked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    const char *path = walk_answered_path(w);
    char directory[PATH_MAX] = "";
    if (path)
        snprintf(directory, sizeof(directory), "%s", path);
    fop_free_results(&w->fop);
    if (w->fop.error)
        op_fail(op, &w->fop, w->path);
    else if (!path)
        walk_fail(&n->path, -ESTALE);
    else
        realpath_give(op, directory, S_ISDIR(w->stat.mode) ? "" : w->name);
}

static void realpath_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (!name_found(op))
        return;
    bool directory = S_ISDIR(w->stat.mode);
    const uint8_t *gfid = directory ? w->stat.gfid : walk_dir(w);
    if (walk_is_root(gfid))
        realpath_give(op, "/", directory ? "" : w->name);
    else
        walk_ask_path(&n->path, gfid, realpath_asked);
}

void realpath_start(struct op *op)
{
    walk_start((struct path_op *)op, realpath_walked);
}

static void chdir_allowed(struct op *op)
{
    struct name_op *n = name_op_of(op);
    if (!n->fop.error)
        memcpy(op->user->directory, n->path.walk.stat.gfid, sizeof(op->user->directory));
    name_done(op);
}

static void chdir_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (!name_found(op))
        return;
    if (!S_ISDIR(w->stat.mode)) {
        walk_fail(&n->path, -ENOTDIR);
        return;
    }
    gf_access_args args = {.mask = X_OK};
    memcpy(args.gfid, w->stat.gfid, sizeof(args.gfid));
    name_call(op, GF_FOP_ACCESS, &args, chdir_allowed);
}

void chdir_start(struct op *op)
{
    walk_start((struct path_op *)op, chdir_walked);
}

/* ---- unlink, rmdir --------------------------------------------------------------------------- */

/* "name/" is a directory's, or nobody's. */
static void unlink_slash(struct op *op)
{
    struct name_op *n = name_op_of(op);
    bool directory = S_ISDIR(n->fop.results.lookup.stat.mode);
    fop_free_results(&n->fop);
    if (n->fop.error)
        op_fail(op, &n->fop, n->path.walk.path);
    else
        walk_fail(&n->path, directory ? -EISDIR : -ENOTDIR);
}

static void unlink_walked(struct op *op)
{
    struct walk *w = &name_op_of(op)->path.walk;
    if (refuse_nameless(op, w->name, -EISDIR))
        return;
    if (w->directory) {
        name_lookup(op, walk_dir(w), w->name, unlink_slash);
        return;
    }
    gf_unlink_args args = {.bname = w->name};
    memcpy(args.pargfid, walk_dir(w), sizeof(args.pargfid));
    name_post(op, GF_FOP_UNLINK, &args);
}

void unlink_start(struct op *op)
{
    walk_start((struct path_op *)op, unlink_walked);
}

static void rmdir_walked(struct op *op)
{
    struct walk *w = &name_op_of(op)->path.walk;
    bool dots = w->name[0] == '.'; /* as rmdir(2) */
    if (refuse_nameless(op, w->name, !dots ? -EBUSY : w->name[1] ? -ENOTEMPTY : -EINVAL))
        return;
    gf_rmdir_args args = {.bname = w->name};
    memcpy(args.pargfid, walk_dir(w), sizeof(args.pargfid));
    name_post(op, GF_FOP_RMDIR, &args);
}

void rmdir_start(struct op *op)
{
    walk_start((struct path_op *)op, rmdir_walked);
}

/* ---- making entries -------------------------------------------------------------------------- */

/* The name must not exist, nor "name/" be what no directory is to be made of. */
static void make_slash(struct op *op)
{
    struct name_op *n = name_op_of(op);
    fop_free_results(&n->fop);
    if (n->fop.error)
        op_fail(op, &n->fop, n->path.walk.path);
    else
        walk_fail(&n->path, -EEXIST);
}

static bool make_refuse(struct op *op)
{
    struct walk *w = &name_op_of(op)->path.walk;
    if (refuse_nameless(op, w->name, -EEXIST))
        return true;
    if (w->directory)
        name_lookup(op, walk_dir(w), w->name, make_slash);
    return w->directory;
}

/* Posts what makes an inode, for which the brick wants to be told a gfid. */
static void make_post(struct op *op, uint32_t number, void *arguments, struct dict *xdata)
{
    int rc = fop_request_gfid(xdata);
    if (rc < 0)
        walk_fail(&name_op_of(op)->path, rc);
    else
        name_post(op, number, arguments);
    dict_free(xdata);
}

static void mkdir_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (refuse_nameless(op, w->name, -EEXIST))
        return;
    gf_mkdir_args args = {
        .mode = n->args.mode & 07777,
        .umask = op->user->caller.umask,
        .bname = w->name,
    };
    memcpy(args.pargfid, walk_dir(w), sizeof(args.pargfid));
    make_post(op, GF_FOP_MKDIR, &args, &args.xdata);
}

void mkdir_start(struct op *op)
{
    walk_start((struct path_op *)op, mkdir_walked);
}

/* Unlike in an iatt, the device's number is as in the brick's own mknod(2) (posix-entry-ops.c). */
static void mknod_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (make_refuse(op))
        return;
    gf_mknod_args args = {
        .dev = n->args.dev,
        .mode = n->args.mode & S_IFMT ? n->args.mode : n->args.mode | S_IFREG,
        .umask = op->user->caller.umask,
        .bname = w->name,
    };
    memcpy(args.pargfid, walk_dir(w), sizeof(args.pargfid));
    make_post(op, GF_FOP_MKNOD, &args, &args.xdata);
}

void mknod_start(struct op *op)
{
    struct name_op *n = name_op_of(op);
    mode_t type = n->args.mode & S_IFMT;
    if (S_ISDIR(type))
        walk_fail(&n->path, -EPERM);
    else if (type && !S_ISREG(type) && !S_ISCHR(type) && !S_ISBLK(type) && !S_ISFIFO(type) &&
             !S_ISSOCK(type))
        walk_fail(&n->path, -EINVAL);
    else
        walk_start(&n->path, mknod_walked);
}

static void symlink_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (make_refuse(op))
        return;
    gf_symlink_args args = {
        .bname = w->name,
        .umask = op->user->caller.umask,
        .target = (char *)n->args.other,
    };
    memcpy(args.pargfid, walk_dir(w), sizeof(args.pargfid));
    make_post(op, GF_FOP_SYMLINK, &args, &args.xdata);
}

void symlink_start(struct op *op)
{
    struct name_op *n = name_op_of(op);
    size_t length = strlen(n->args.other);
    if (length == 0 || length > GF_PATH_MAX)
        walk_fail(&n->path, length ? -ENAMETOOLONG : -ENOENT);
    else
        walk_start(&n->path, symlink_walked);
}

/* ---- operations on two paths ----------------------------------------------------------------- */

/* The first walk is over: its outcome is put aside, and the second begins. */
static void walk_second(struct op *op, const uint8_t *gfid, void (*then)(struct op *))
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    memcpy(n->from.gfid, gfid, sizeof(n->from.gfid));
    memcpy(n->from.name, w->name, sizeof(n->from.name));
    n->from.slash = w->directory;
    walk_reset(w, n->args.other, WALK_PARENT);
    walk_start(&n->path, then);
}

/* A directory has one name; that the other is there already is told first. */
static void link_directory(struct op *op)
{
    struct name_op *n = name_op_of(op);
    fop_free_results(&n->fop);
    if (n->fop.error && n->fop.error != -ENOENT)
        op_fail(op, &n->fop, n->path.walk.path);
    else
        walk_fail(&n->path, n->fop.error ? -EPERM : -EEXIST);
}

static void link_go(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (make_refuse(op))
        return;
    if (n->from.directory) {
        name_lookup(op, walk_dir(w), w->name, link_directory);
        return;
    }
    gf_link_args args = {.newbname = w->name};
    memcpy(args.gfid, n->from.gfid, sizeof(args.gfid));
    memcpy(args.newpargfid, walk_dir(w), sizeof(args.newpargfid));
    name_post(op, GF_FOP_LINK, &args);
}

static void link_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (!name_found(op))
        return;
    n->from.directory = S_ISDIR(w->stat.mode);
    walk_second(op, w->stat.gfid, link_go);
}

void link_start(struct op *op)
{
    walk_start((struct path_op *)op, link_walked);
}

static void rename_post(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    gf_rename_args args = {.oldbname = n->from.name, .newbname = w->name};
    memcpy(args.oldpargfid, n->from.gfid, sizeof(args.oldpargfid));
    memcpy(args.newpargfid, walk_dir(w), sizeof(args.newpargfid));
    name_post(op, GF_FOP_RENAME, &args);
}

static void rename_go(struct op *op);

/* A directory is not moved into itself. A client sees to that: a brick refuses too, but by then has
 * taken away the link that it finds the directory by (posix-entry-ops.c: posix_rename).
 * @return whether it goes on, or has ended. */
static bool rename_refuse_own(struct op *op, const uint8_t *gfid)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (memcmp(walk_dir(w), n->from.gfid, sizeof(n->from.gfid)) == 0)
        return false;
    if (!walk_is_root(w->base)) { /* once more, along all directories on the way */
        walk_reset(w, n->args.other, WALK_PARENT | WALK_FROM_ROOT);
        walk_start(&n->path, rename_go);
        return true;
    }
    for (unsigned i = 0; i < w->depth; i++) {
        if (memcmp(w->trail[i], gfid, sizeof(gf_gfid)) == 0) {
            walk_fail(&n->path, -EINVAL);
            return true;
        }
    }
    return false;
}

/* What both names are decides as in rename(2): a slash behind either wants the first to be a
 * directory, and two names of one inode stay as they are, times too. */
static void rename_looked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    struct gf_iatt from = n->fop.results.lookup.stat, to = w->fop.results.lookup.stat;
    bool replaces = !w->fop.error;
    fop_free_results(&n->fop);
    fop_free_results(&w->fop);
    if (n->fop.error)
        op_fail(op, &n->fop, w->path);
    else if ((n->from.slash || w->directory) && !S_ISDIR(from.mode))
        walk_fail(&n->path, -ENOTDIR);
    else if (replaces && memcmp(from.gfid, to.gfid, sizeof(from.gfid)) == 0)
        op_finish(op, 0);
    else if (S_ISDIR(from.mode) && rename_refuse_own(op, from.gfid))
        return;
    else if (replaces && S_ISDIR(from.mode) && !S_ISDIR(to.mode))
        walk_fail(&n->path, -ENOTDIR);
    else
        rename_post(op);
}

static void rename_go(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (refuse_nameless(op, n->from.name, -EBUSY) || refuse_nameless(op, w->name, -EBUSY))
        return;
    gf_lookup_args from = {.bname = n->from.name}, to = {.bname = w->name};
    memcpy(from.pargfid, n->from.gfid, sizeof(from.pargfid));
    memcpy(to.pargfid, walk_dir(w), sizeof(to.pargfid));
    op_round(op, 2, rename_looked);
    op_post(op, &n->fop, op->volume->sessions[0], GF_FOP_LOOKUP, &from);
    op_post(op, &w->fop, op->volume->sessions[0], GF_FOP_LOOKUP, &to);
}

static void rename_walked(struct op *op)
{
    walk_second(op, walk_dir(&name_op_of(op)->path.walk), rename_go);
}

void rename_start(struct op *op)
{
    walk_start((struct path_op *)op, rename_walked);
}
