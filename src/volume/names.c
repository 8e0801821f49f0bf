#include "volume/names.h"

#include "proto/dict.h"
#include "proto/iatt.h"

#include <errno.h>
#include <string.h>

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
static bool refuse_nameless(struct op *op, int error)
{
    struct walk *w = &name_op_of(op)->path.walk;
    if (w->name[strspn(w->name, ".")] || strlen(w->name) > 2)
        return false;
    errtext_set(op_why(op), error, "'%.400s': %s", w->path, errtext_errno(error));
    op_finish(op, error);
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

static void name_post(struct op *op, uint32_t number, void *arguments)
{
    op_round(op, 1, name_done);
    op_post(op, &name_op_of(op)->fop, op->volume->sessions[0], number, arguments);
}

/* ---- stat ------------------------------------------------------------------------------------ */

static void stat_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (w->missing) {
        op_fail(op, &w->fop, w->path);
        return;
    }
    iatt_to_stat(&w->stat, n->st);
    op_finish(op, 0);
}

void stat_start(struct op *op)
{
    walk_start((struct path_op *)op, stat_walked);
}

/* ---- unlink, rmdir --------------------------------------------------------------------------- */

static void unlink_walked(struct op *op)
{
    struct walk *w = &name_op_of(op)->path.walk;
    if (refuse_nameless(op, -EISDIR))
        return;
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
    if (refuse_nameless(op, !dots ? -EBUSY : w->name[1] ? -ENOTEMPTY : -EINVAL))
        return;
    gf_rmdir_args args = {.bname = w->name};
    memcpy(args.pargfid, walk_dir(w), sizeof(args.pargfid));
    name_post(op, GF_FOP_RMDIR, &args);
}

void rmdir_start(struct op *op)
{
    walk_start((struct path_op *)op, rmdir_walked);
}

/* ---- mkdir ----------------------------------------------------------------------------------- */

static void mkdir_walked(struct op *op)
{
    struct name_op *n = name_op_of(op);
    struct walk *w = &n->path.walk;
    if (refuse_nameless(op, -EEXIST))
        return;
    gf_mkdir_args args = {
        .mode = n->mode & 07777,
        .umask = op->user->caller.umask,
        .bname = w->name,
    };
    memcpy(args.pargfid, walk_dir(w), sizeof(args.pargfid));
    int rc = fop_request_gfid(&args.xdata);
    if (rc < 0) {
        errtext_set(op_why(op), rc, "%s", errtext_errno(rc));
        op_finish(op, rc);
        return;
    }
    name_post(op, GF_FOP_MKDIR, &args);
    dict_free(&args.xdata);
}

void mkdir_start(struct op *op)
{
    walk_start((struct path_op *)op, mkdir_walked);
}
