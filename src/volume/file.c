#include "volume/file.h"

#include "proto/dict.h"
#include "proto/iatt.h"
#include "volume/io.h"

#include <errno.h>
#include <fcntl.h>
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
    errtext_set(&op->why, error, "'%.400s': %s", open_op_of(op)->path.walk.path,
                errtext_errno(error));
    op_finish(op, error);
}

static void open_finish(struct op *op, const uint8_t *gfid, int64_t fd)
{
    struct open_op *o = open_op_of(op);
    struct gzc_file *file = o->file;
    memcpy(file->gfid, gfid, sizeof(file->gfid));
    file->fd = fd;
    file->session = o->fop.session;
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
    if (error == -EEXIST && !(o->flags & O_EXCL))
        open_again(op); /* another client was faster */
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
        .umask = op->volume->identity.umask,
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

void open_start(struct op *op)
{
    struct open_op *o = open_op_of(op);
    o->tries = 0;
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
    op_post(op, &f->fop, f->file->session, number, arguments);
}

void fsync_start(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_fsync_args args = {.fd = f->file->fd, .data = f->datasync};
    memcpy(args.gfid, f->file->gfid, sizeof(args.gfid));
    file_post(op, GF_FOP_FSYNC, &args);
}

void ftruncate_start(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_ftruncate_args args = {.fd = f->file->fd, .offset = f->length};
    memcpy(args.gfid, f->file->gfid, sizeof(args.gfid));
    file_post(op, GF_FOP_FTRUNCATE, &args);
}

void fstat_start(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_fstat_args args = {.fd = f->file->fd};
    memcpy(args.gfid, f->file->gfid, sizeof(args.gfid));
    file_post(op, GF_FOP_FSTAT, &args);
}

static void close_done(struct op *op)
{
    fop_free_results(&file_op_of(op)->release);
    file_done(op);
}

/* RELEASE follows FLUSH: a brick runs the calls of one connection in any order. */
static void close_release(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_release_args args = {.fd = f->file->fd};
    memcpy(args.gfid, f->file->gfid, sizeof(args.gfid));
    op_round(op, 1, close_done);
    op_post(op, &f->release, f->file->session, GF_FOP_RELEASE, &args);
}

void close_start(struct op *op)
{
    struct file_op *f = file_op_of(op);
    gf_flush_args args = {.fd = f->file->fd};
    memcpy(args.gfid, f->file->gfid, sizeof(args.gfid));
    op_round(op, 1, close_release);
    op_post(op, &f->fop, f->file->session, GF_FOP_FLUSH, &args);
}
