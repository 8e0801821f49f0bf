#include "volume/file.h"

#include "proto/dict.h"
#include "proto/iatt.h"
#include "volume/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_TRIES 8

/* ---- open ------------------------------------------------------------------------------------ */

static void open_walked(struct op *op);

static struct open_op *open_op_of(struct op *op)
{
    return (struct open_op *)op;
}

static void open_fail(struct op *op, int error)
{
    errtext_set(op_why(op), error, "'%.400s': %s", open_op_of(op)->path.walk.path,
                errtext_errno(error));
    op_finish(op, error);
}

static void open_finish(struct op *op, const uint8_t *gfid, int64_t fd)
{
    struct open_op *o = open_op_of(op);
    struct gzc_file *file = o->file;
    file->inode = inode_get(&op->volume->inodes, gfid);
    if (!file->inode) {
        open_fail(op, -ENOMEM); /* the brick's descriptor goes with the connection */
        return;
    }
    remote_opened(&file->remote, &o->fop, &file->caller, gfid, fd, o->flags, false);
    file->flags = o->flags;
    io_head_init(file);
    op_finish(op, 0);
}

static void open_again(struct op *op)
{
    struct open_op *o = open_op_of(op);
    struct walk *w = &o->path.walk;
    if (++o->tries > OPEN_TRIES) {
        op_fail(op, &o->fop, w->path);
        return;
    }
    path_op_free(&o->path);
    w->at = w->links = w->depth = w->room = 0;
    w->missing = w->stat_known = false;
    walk_start(&o->path, open_walked);
}

static void open_created(struct op *op)
{
    struct open_op *o = open_op_of(op);
    int error = o->fop.error;
    gf_create_res res = o->fop.results.create;
    fop_free_results(&o->fop);
    if ((error == -EEXIST || fop_is_unknown(&o->fop)) && !(o->flags & O_EXCL))
        open_again(op); /* another client was faster, or we were */
    else if (error)
        op_fail(op, &o->fop, o->path.walk.path);
    else
        open_finish(op, res.stat.gfid, (int64_t)res.fd);
}

static void open_opened(struct op *op)
{
    struct open_op *o = open_op_of(op);
    int error = o->fop.error;
    int64_t fd = o->fop.results.fd.fd;
    fop_free_results(&o->fop);
    if ((error == -ENOENT || error == -ESTALE) && o->flags & O_CREAT)
        open_again(op); /* another client removed it */
    else if (error)
        op_fail(op, &o->fop, o->path.walk.path);
    else
        open_finish(op, o->path.walk.stat.gfid, fd);
}

static void open_create(struct op *op)
{
    struct open_op *o = open_op_of(op);
    struct walk *w = &o->path.walk;
    if (w->directory) {
        open_fail(op, -EISDIR);
        return;
    }
    gf_create_args args = {
        .flags = (u_int)o->flags,
        .mode = o->mode & 07777,
        .umask = op->user->caller.umask,
        .bname = w->name,
    };
    memcpy(args.pargfid, walk_dir(w), sizeof(args.pargfid));
    int rc = fop_request_gfid(&args.xdata);
    if (rc < 0) {
        open_fail(op, rc);
        return;
    }
    op_round(op, 1, open_created);
    op_post(op, &o->fop, op->volume->sessions[0], GF_FOP_CREATE, &args);
    dict_free(&args.xdata);
}

static void open_walked(struct op *op)
{
    struct open_op *o = open_op_of(op);
    struct walk *w = &o->path.walk;
    if (w->missing && o->flags & O_CREAT) {
        open_create(op);
    } else if (w->missing) {
        op_fail(op, &w->fop, w->path);
    } else if (o->flags & O_CREAT && o->flags & O_EXCL) {
        open_fail(op, -EEXIST);
    } else if (S_ISDIR(w->stat.mode)) {
        open_fail(op, -EISDIR);
    } else if (S_ISLNK(w->stat.mode)) {
        open_fail(op, -ELOOP);
    } else if (!S_ISREG(w->stat.mode)) { /* a FIFO would hold up the brick's thread for good */
        open_fail(op, -ENXIO);
    } else {
        gf_open_args args = {.flags = (u_int)(o->flags & ~(O_CREAT | O_EXCL))};
        memcpy(args.gfid, w->stat.gfid, sizeof(args.gfid));
        op_round(op, 1, open_opened);
        op_post(op, &o->fop, op->volume->sessions[0], GF_FOP_OPEN, &args);
    }
}

static void open_settle(struct op *op)
{
    struct open_op *o = open_op_of(op);
    path_op_free(&o->path);
    op_settle_handle(op);
    if (op->result < 0) {
        remote_close(&o->file->remote);
        inode_put(&op->volume->inodes, o->file->inode);
        free(o->file);
        o->file = NULL;
    } else {
        volume_handle_opened(op->user);
    }
    *o->out = o->file;
}

int open_init(struct open_op *o, struct gzc_volume *v, const char *path, int flags, mode_t mode,
              struct gzc_file **out)
{
    bool nofollow = flags & O_NOFOLLOW || (flags & O_CREAT && flags & O_EXCL);
    path_op_init(&o->path, v, path, nofollow ? WALK_NOFOLLOW : 0);
    o->path.op.settle = open_settle;
    o->flags = flags;
    o->mode = mode;
    o->tries = 0;
    o->out = out;
    o->file = calloc(1, sizeof(*o->file));
    if (!o->file)
        return -ENOMEM;
    o->file->volume = v;
    o->file->caller = v->caller;
    uint64_t owner = (uintptr_t)o->file; /* no other open file has the same */
    caller_set_owner(&o->file->caller, &owner, CALLER_LK_OWNER);
    o->path.op.context.caller = &o->file->caller;
    return 0;
}

void open_start(struct op *op)
{
    struct open_op *o = open_op_of(op);
    if (op->volume->sessions[0]->spec->filter_direct)
        o->flags &= ~O_DIRECT;
    walk_start((struct path_op *)op, open_walked);
}

/* ---- calls on an open file ------------------------------------------------------------------- */

static struct file_op *file_op_of(struct op *op)
{
    return (struct file_op *)op;
}

static void file_done(struct op *op)
{
    struct file_op *f = file_op_of(op);
    if (!f->fop.error && f->fop.number == GF_FOP_FSTAT)
        iatt_to_stat(&f->fop.results.iatt.stat, f->st);
    fop_free_results(&f->fop);
    if (f->fop.error)
        op_fail(op, &f->fop, NULL);
    else
        op_finish(op, 0);
}

static void file_post(struct op *op, uint32_t number, void *arguments)
{
    struct file_op *f = file_op_of(op);
    op_round(op, 1, file_done);
    op_post_on(op, &f->fop, &f->file->remote, number, arguments);
}

void file_op_init(struct file_op *f, struct gzc_file *file)
{
    op_init(&f->op, file->volume);
    f->op.context.caller = &file->caller;
    f->file = file;
}

static void fsync_go(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_fsync_args args = {.data = f->datasync};
    memcpy(args.gfid, f->file->inode->gfid, sizeof(args.gfid));
    file_post(op, GF_FOP_FSYNC, &args);
}

/* Begins a call that takes its turn among the file's transfers, as one of bytes [start, end). */
static void file_take_turn(struct op *op, uint64_t start, uint64_t end, bool write,
                           void (*go)(struct op *))
{
    struct file_op *f = file_op_of(op);
    op_hold(op, &f->file->handle);
    op->step = go;
    op_take_turn(op, f->file->inode, start, end, write);
}

void fsync_start(struct op *op)
{
    file_take_turn(op, 0, UINT64_MAX, false, fsync_go);
}

static void ftruncate_go(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_ftruncate_args args = {.offset = f->length};
    memcpy(args.gfid, f->file->inode->gfid, sizeof(args.gfid));
    file_post(op, GF_FOP_FTRUNCATE, &args);
}

void ftruncate_start(struct op *op)
{
    file_take_turn(op, 0, UINT64_MAX, true, ftruncate_go);
}

static void discard_go(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_discard_args args = {.offset = f->offset, .size = f->length};
    memcpy(args.gfid, f->file->inode->gfid, sizeof(args.gfid));
    file_post(op, GF_FOP_DISCARD, &args);
}

void discard_start(struct op *op)
{
    struct file_op *f = file_op_of(op);
    file_take_turn(op, f->offset, f->offset + f->length, true, discard_go);
}

void fstat_start(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_fstat_args args = {0};
    memcpy(args.gfid, f->file->inode->gfid, sizeof(args.gfid));
    op_hold(op, &f->file->handle);
    file_post(op, GF_FOP_FSTAT, &args);
}

/* ---- close ----------------------------------------------------------------------------------- */

static void close_done(struct op *op)
{
    fop_free_results(&file_op_of(op)->release);
    file_done(op);
}

/* RELEASE follows FLUSH: a brick runs the calls of one connection in any order. */
static void close_release(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_release_args args = {0};
    memcpy(args.gfid, f->file->inode->gfid, sizeof(args.gfid));
    op_round(op, 1, close_done);
    op_post_on(op, &f->release, &f->file->remote, GF_FOP_RELEASE, &args);
}

static void close_flush(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_flush_args args = {0};
    remote_close(&f->file->remote);
    memcpy(args.gfid, f->file->inode->gfid, sizeof(args.gfid));
    op_round(op, 1, close_release);
    op_post_on(op, &f->fop, &f->file->remote, GF_FOP_FLUSH, &args);
}

void close_start(struct op *op)
{
    op->step = close_flush;
    op_after(op, &file_op_of(op)->file->handle);
}

static void close_settle(struct op *op)
{
    struct gzc_file *file = file_op_of(op)->file;
    inode_put(&op->volume->inodes, file->inode);
    free(file);
}

void close_init(struct file_op *f, struct gzc_file *file)
{
    file_op_init(f, file);
    f->op.context.keep = true;
    f->op.settle = close_settle;
    volume_handle_closed(file->volume);
}
