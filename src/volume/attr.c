#include "volume/attr.h"

#include "proto/iatt.h"
#include "proto/rpc_msg.h"
#include "volume/inode.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- of a path or of a file ------------------------------------------------------------------ */

static void attr_settle(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    path_op_free(&a->path);
    inode_put(&op->volume->inodes, a->inode);
}

void attr_op_init(struct attr_op *a, struct gzc_volume *v, const char *path, unsigned flags,
                  struct gzc_file *file)
{
    path_op_init(&a->path, v, path, flags);
    a->path.op.settle = attr_settle;
    if (file)
        a->path.op.context.caller = &file->caller;
    a->file = file;
    a->by_fd = false;
    a->inode = NULL;
}

static void attr_walked(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    struct walk *w = &a->path.walk;
    if (w->missing)
        op_fail(op, &w->fop, w->path);
    else
        a->go(op);
}

void attr_start(struct op *op, void (*go)(struct op *op),
                int (*may)(struct attr_op *a, const gf_iatt *stat))
{
    struct attr_op *a = attr_op_of(op);
    a->go = go;
    a->may = may;
    if (!a->file) {
        walk_start(&a->path, attr_walked);
        return;
    }
    op_hold(op, &a->file->handle);
    go(op);
}

const uint8_t *attr_gfid(const struct attr_op *a)
{
    return a->file ? a->file->remote.gfid : a->path.walk.stat.gfid;
}

/* The attributes of a file that has no name. */
static void attr_nameless(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    gf_iatt stat = a->fop.results.iatt.stat;
    fop_free_results(&a->fop);
    if (a->fop.error) {
        attr_fail(a);
        return;
    }
    int rc = caller_uid(op->context.caller) == 0 ? 0 : a->may(a, &stat);
    if (rc < 0) {
        attr_refuse(a, rc);
        return;
    }
    a->by_fd = true;
    a->go(op);
}

static void attr_fstat(struct attr_op *a, void (*step)(struct op *op))
{
    gf_fstat_args args = {0};
    memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
    op_round(&a->path.op, 1, step);
    op_post_on(&a->path.op, &a->fop, &a->file->remote, GF_FOP_FSTAT, &args);
}

static void attr_answered(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    if (!a->file || a->by_fd || (a->fop.error != -ENOENT && a->fop.error != -ESTALE)) {
        a->done(op);
        return;
    }
    fop_free_results(&a->fop);
    op->context.times = 0; /* these are of the call that go() posts */
    op->context.once = false;
    attr_fstat(a, attr_nameless);
}

void attr_post(struct attr_op *a, uint32_t number, void *arguments, void (*done)(struct op *op))
{
    struct op *op = &a->path.op;
    a->done = done;
    op_round(op, 1, attr_answered);
    if (a->by_fd)
        op_post_on(op, &a->fop, &a->file->remote, number, arguments);
    else
        op_post(op, &a->fop, op->volume->sessions[0], number, arguments);
}

void attr_fail(struct attr_op *a)
{
    op_fail(&a->path.op, &a->fop, a->file ? NULL : a->path.walk.path);
}

void attr_refuse(struct attr_op *a, int error)
{
    struct op *op = &a->path.op;
    if (!a->file) {
        walk_fail(&a->path, error);
        return;
    }
    errtext_set(op_why(op), error, "%s", errtext_errno(error));
    op_finish(op, error);
}

void attr_done(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    fop_free_results(&a->fop);
    if (a->fop.error)
        attr_fail(a);
    else
        op_finish(op, 0);
}

/* ---- chmod, chown, utimens ------------------------------------------------------------------- */

#define SETS_TIMES (GF_SET_ATTR_ATIME | GF_SET_ATTR_MTIME)

/* As posix-acl.c:setattr_scrutiny, but that nobody gives a file without a name away. */
static int may_set(struct attr_op *a, const gf_iatt *stat)
{
    uint32_t valid = a->args.set.valid;
    bool owner = caller_uid(a->path.op.context.caller) == stat->uid;
    bool writer = (a->file->flags & O_ACCMODE) != O_RDONLY;
    if (valid & SETS_TIMES)
        return owner || writer ? 0 : -EACCES;
    if (valid & GF_SET_ATTR_UID && a->args.set.uid != stat->uid)
        return -EPERM;
    if (valid & GF_SET_ATTR_GID && a->args.set.gid != stat->gid)
        return -EPERM;
    return owner || !valid ? 0 : -EPERM;
}

static void setattr_go(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    uint32_t valid = a->args.set.valid;
    gf_iatt stat = {
        .mode = a->args.set.mode,
        .uid = a->args.set.uid,
        .gid = a->args.set.gid,
        .atime = a->args.set.atime.tv_sec,
        .atime_nsec = (uint32_t)a->args.set.atime.tv_nsec,
        .mtime = a->args.set.mtime.tv_sec,
        .mtime_nsec = (uint32_t)a->args.set.mtime.tv_nsec,
    };
    /* As features/utime: a brick that knows no times of the file yet takes a flag for the order to
     * make them up, of the present time, and the times that are set would be lost. */
    op->context.times = valid & SETS_TIMES ? FOP_TIME_ALONE : RPC_CRED_CTIME;
    if (a->by_fd) {
        gf_fsetattr_args args = {.stat = stat, .valid = (int)valid};
        memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
        attr_post(a, GF_FOP_FSETATTR, &args, attr_done);
    } else {
        gf_setattr_args args = {.stat = stat, .valid = (int)valid};
        memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
        attr_post(a, GF_FOP_SETATTR, &args, attr_done);
    }
}

/* The time is this client's, as with FUSE: a brick takes the bits of "now" for no more than a hint,
 * and the times from the attributes (posix-inode-fd-ops.c:posix_do_utimes). */
void setattr_start(struct op *op)
{
    struct attr_args *args = &attr_op_of(op)->args;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (args->set.valid & GF_SET_ATTR_ATIME_NOW)
        args->set.atime = now;
    if (args->set.valid & GF_SET_ATTR_MTIME_NOW)
        args->set.mtime = now;
    attr_start(op, setattr_go, may_set);
}

void nothing_start(struct op *op)
{
    op_finish(op, 0);
}

/* ---- truncate -------------------------------------------------------------------------------- */

static void truncate_post(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    gf_truncate_args args = {.offset = a->args.length};
    memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
    attr_post(a, GF_FOP_TRUNCATE, &args, attr_done);
}

static void truncate_go(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    mode_t mode = a->path.walk.stat.mode;
    if (!S_ISREG(mode)) {
        attr_refuse(a, S_ISDIR(mode) ? -EISDIR : -EINVAL);
        return;
    }
    a->inode = inode_get(&op->volume->inodes, attr_gfid(a));
    if (!a->inode) {
        attr_refuse(a, -ENOMEM);
        return;
    }
    op->step = truncate_post;
    op_take_turn(op, a->inode, 0, UINT64_MAX, true);
}

void truncate_start(struct op *op)
{
    attr_start(op, truncate_go, NULL);
}

/* ---- access ---------------------------------------------------------------------------------- */

static void access_go(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    gf_access_args args = {.mask = (u_int)a->args.mask};
    if (a->args.mask == F_OK) { /* the walk has found it */
        op_finish(op, 0);
        return;
    }
    if (a->args.mask & W_OK && op->volume->topology.read_only) {
        attr_refuse(a, -EROFS);
        return;
    }
    const struct gf_iatt *stat = &a->path.walk.stat;
    if (a->args.mask & X_OK && !S_ISDIR(stat->mode) && !(stat->mode & 0111)) {
        attr_refuse(a, -EACCES); /* not even root executes it, which bricks do not say */
        return;
    }
    memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
    attr_post(a, GF_FOP_ACCESS, &args, attr_done);
}

void access_start(struct op *op)
{
    attr_start(op, access_go, NULL);
}

/* ---- statvfs --------------------------------------------------------------------------------- */

static void statvfs_done(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    const gf_statfs_res *res = &a->fop.results.statfs;
    if (!a->fop.error)
        *a->args.statvfs = (struct statvfs){
            .f_bsize = res->bsize,
            .f_frsize = res->frsize,
            .f_blocks = res->blocks,
            .f_bfree = res->bfree,
            .f_bavail = res->bavail,
            .f_files = res->files,
            .f_ffree = res->ffree,
            .f_favail = res->favail,
            .f_fsid = res->fsid,
            .f_flag = res->flag | (op->volume->topology.read_only ? ST_RDONLY : 0),
            .f_namemax = res->namemax,
        };
    attr_done(op);
}

static void statvfs_go(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    gf_statfs_args args = {0};
    memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
    attr_post(a, GF_FOP_STATFS, &args, statvfs_done);
}

void statvfs_start(struct op *op)
{
    attr_start(op, statvfs_go, NULL);
}

/* ---- statx ----------------------------------------------------------------------------------- */

static void fstatx_done(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    if (!a->fop.error)
        iatt_to_statx(&a->fop.results.iatt.stat, a->args.statx);
    attr_done(op);
}

static void statx_go(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    if (a->file) {
        attr_fstat(a, fstatx_done);
        return;
    }
    iatt_to_statx(&a->path.walk.stat, a->args.statx);
    op_finish(op, 0);
}

void statx_start(struct op *op)
{
    attr_start(op, statx_go, NULL);
}
