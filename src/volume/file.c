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

static unsigned access_of(int flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return FILE_READ;
    case O_WRONLY:
        return FILE_WRITE;
    default:
        return FILE_READ | FILE_WRITE;
    }
}

static void open_finish(struct op *op, const uint8_t *gfid, int64_t fd)
{
    struct open_op *o = open_op_of(op);
    struct gzc_file *file = o->file;
    bool directory = o->fop.number == GF_FOP_OPENDIR;
    file->inode = inode_get(&op->volume->inodes, gfid);
    if (!file->inode) {
        open_fail(op, -ENOMEM); /* the brick's descriptor goes with the connection */
        return;
    }
    remote_opened(&file->remote, &o->fop, &file->caller, gfid, fd, o->flags, directory);
    file->flags = o->flags;
    file->access = directory ? 0 : access_of(o->flags);
    io_head_init(file);
    op_finish(op, 0);
}

static void open_given_up(struct op *op)
{
    struct open_op *o = open_op_of(op);
    fop_free_results(&o->fop);
    op_fail(op, &o->truncate, o->path.walk.path);
}

static void open_truncated(struct op *op)
{
    struct open_op *o = open_op_of(op);
    struct remote *remote = &o->file->remote;
    const uint8_t *gfid = o->path.walk.stat.gfid;
    fop_free_results(&o->truncate);
    if (!o->truncate.error) {
        open_finish(op, gfid, o->fd);
        return;
    }
    gf_release_args args = {0};
    memcpy(args.gfid, gfid, sizeof(args.gfid));
    remote_opened(remote, &o->fop, &o->file->caller, gfid, o->fd, o->flags, false);
    op_round(op, 1, open_given_up);
    op_post_on(op, &o->fop, remote, GF_FOP_RELEASE, &args);
}

/* OPEN with O_TRUNC would truncate, but carries no time stamp for it. */
static void open_truncate(struct op *op)
{
    struct open_op *o = open_op_of(op);
    gf_truncate_args args = {.offset = 0};
    memcpy(args.gfid, o->path.walk.stat.gfid, sizeof(args.gfid));
    op_round(op, 1, open_truncated);
    op_post(op, &o->truncate, op->volume->sessions[0], GF_FOP_TRUNCATE, &args);
}

static void open_again(struct op *op)
{
    struct open_op *o = open_op_of(op);
    struct walk *w = &o->path.walk;
    if (++o->tries > OPEN_TRIES) {
        op_fail(op, &o->fop, w->path);
        return;
    }
    walk_reset(w, w->path, w->flags);
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
    o->fd = o->fop.results.fd.fd;
    fop_free_results(&o->fop);
    if ((error == -ENOENT || error == -ESTALE) && o->flags & O_CREAT)
        open_again(op); /* another client removed it */
    else if (error)
        op_fail(op, &o->fop, o->path.walk.path);
    else if (o->flags & O_TRUNC)
        open_truncate(op);
    else
        open_finish(op, o->path.walk.stat.gfid, o->fd);
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

static void open_directory(struct op *op)
{
    struct open_op *o = open_op_of(op);
    if (o->flags & (O_ACCMODE | O_CREAT | O_TRUNC)) {
        open_fail(op, -EISDIR);
        return;
    }
    gf_opendir_args args = {0};
    memcpy(args.gfid, o->path.walk.stat.gfid, sizeof(args.gfid));
    op_round(op, 1, open_opened);
    op_post(op, &o->fop, op->volume->sessions[0], GF_FOP_OPENDIR, &args);
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
        open_directory(op);
    } else if (o->flags & O_DIRECTORY) {
        open_fail(op, -ENOTDIR);
    } else if (S_ISLNK(w->stat.mode)) {
        open_fail(op, -ELOOP);
    } else if (!S_ISREG(w->stat.mode)) { /* a FIFO would hold up the brick's thread for good */
        open_fail(op, -ENXIO);
    } else {
        gf_open_args args = {.flags = (u_int)(o->flags & ~(O_CREAT | O_EXCL | O_TRUNC))};
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
    o->file->refs = 1;
    o->file->caller = v->caller;
    uint64_t owner = (uintptr_t)o->file; /* no other open file has the same */
    caller_set_owner(&o->file->caller, &owner, CALLER_LK_OWNER);
    o->path.op.context.caller = &o->file->caller;
    return 0;
}

/* "name/" is a directory's, and open(2) makes none; whatever it is now. */
static void open_slash(struct op *op)
{
    open_fail(op, -EISDIR);
}

void open_start(struct op *op)
{
    struct open_op *o = open_op_of(op);
    o->flags &= ~(O_CLOEXEC | O_NOCTTY);
    if (op->volume->sessions[0]->spec->filter_direct)
        o->flags &= ~O_DIRECT;
    const char *path = o->path.walk.path;
    if (o->flags & O_CREAT && *path && path[strlen(path) - 1] == '/') {
        o->path.walk.flags |= WALK_PARENT;
        walk_start(&o->path, open_slash);
    } else {
        walk_start(&o->path, open_walked);
    }
}

/* ---- calls on an open file ------------------------------------------------------------------- */

struct file_op *file_op_of(struct op *op)
{
    return (struct file_op *)op;
}

void file_op_init(struct file_op *f, struct gzc_file *file)
{
    op_init(&f->op, file->volume);
    f->op.context.caller = &file->caller;
    f->file = file;
}

void file_take_turn(struct op *op, uint64_t start, uint64_t end, bool write,
                    void (*go)(struct op *))
{
    struct file_op *f = file_op_of(op);
    op_hold(op, &f->file->handle);
    op->step = go;
    op_take_turn(op, f->file->inode, start, end, write);
}

void file_done(struct op *op)
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

void file_post(struct op *op, uint32_t number, void *arguments, void (*done)(struct op *))
{
    struct file_op *f = file_op_of(op);
    op_round(op, 1, done);
    op_post_on(op, &f->fop, &f->file->remote, number, arguments);
}

void file_post_fstat(struct op *op, void (*done)(struct op *))
{
    gf_fstat_args args = {0};
    memcpy(args.gfid, file_op_of(op)->file->inode->gfid, sizeof(args.gfid));
    file_post(op, GF_FOP_FSTAT, &args, done);
}

static void fsync_go(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_fsync_args file = {.data = f->datasync};
    gf_fsyncdir_args directory = {.data = f->datasync};
    memcpy(file.gfid, f->file->inode->gfid, sizeof(file.gfid));
    memcpy(directory.gfid, f->file->inode->gfid, sizeof(directory.gfid));
    if (f->file->remote.directory)
        file_post(op, GF_FOP_FSYNCDIR, &directory, file_done);
    else
        file_post(op, GF_FOP_FSYNC, &file, file_done);
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
    file_post(op, GF_FOP_FTRUNCATE, &args, file_done);
}

void ftruncate_start(struct op *op)
{
    file_take_turn(op, 0, UINT64_MAX, true, ftruncate_go);
}

void fstat_start(struct op *op)
{
    op_hold(op, &file_op_of(op)->file->handle);
    file_post_fstat(op, file_done);
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

static void close_go(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_flush_args args = {0}; /* gf_releasedir_args too */
    remote_close(&f->file->remote);
    memcpy(args.gfid, f->file->inode->gfid, sizeof(args.gfid));
    if (f->file->remote.directory)
        file_post(op, GF_FOP_RELEASEDIR, &args, file_done);
    else
        file_post(op, GF_FOP_FLUSH, &args, close_release);
}

void close_start(struct op *op)
{
    struct file_op *f = file_op_of(op);
    if (--f->file->refs) {
        op_finish(op, 0);
        return;
    }
    f->last = true;
    volume_handle_closed(op->user);
    op->step = close_go;
    op_after(op, &f->file->handle);
}

static void close_settle(struct op *op)
{
    const struct file_op *f = file_op_of(op);
    if (!f->last)
        return;
    inode_put(&op->volume->inodes, f->file->inode);
    free(f->file);
}

void close_init(struct file_op *f, struct gzc_file *file)
{
    file_op_init(f, file);
    f->last = false;
    f->op.context.keep = true;
    f->op.settle = close_settle;
}
