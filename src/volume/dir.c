#include "volume/dir.h"

#include "proto/dirlist.h"
#include "proto/iatt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- opendir --------------------------------------------------------------------------------- */

static void opendir_done(struct op *op)
{
    struct opendir_op *o = (struct opendir_op *)op;
    struct walk *w = &o->path.walk;
    int64_t fd = o->fop.results.fd.fd;
    fop_free_results(&o->fop);
    if (o->fop.error) {
        op_fail(op, &o->fop, w->path);
        return;
    }
    remote_opened(&o->dir->remote, &o->fop, &op->user->caller, w->stat.gfid, fd, 0, true);
    op_finish(op, 0);
}

static void opendir_walked(struct op *op)
{
    struct opendir_op *o = (struct opendir_op *)op;
    struct walk *w = &o->path.walk;
    if (w->missing) {
        op_fail(op, &w->fop, w->path);
        return;
    }
    if (!S_ISDIR(w->stat.mode)) {
        errtext_set(op_why(op), ENOTDIR, "'%.400s': %s", w->path, errtext_errno(ENOTDIR));
        op_finish(op, -ENOTDIR);
        return;
    }
    gf_opendir_args args = {0};
    memcpy(args.gfid, w->stat.gfid, sizeof(args.gfid));
    op_round(op, 1, opendir_done);
    op_post(op, &o->fop, op->volume->sessions[0], GF_FOP_OPENDIR, &args);
}

static void opendir_settle(struct op *op)
{
    struct opendir_op *o = (struct opendir_op *)op;
    path_op_free(&o->path);
    op_settle_handle(op);
    if (op->result < 0) {
        remote_close(&o->dir->remote);
        free(o->dir);
        o->dir = NULL;
    } else {
        volume_handle_opened(op->user);
    }
    *o->out = o->dir;
}

int opendir_init(struct opendir_op *o, struct gzc_volume *v, const char *path, struct gzc_dir **out)
{
    path_op_init(&o->path, v, path, 0);
    o->path.op.settle = opendir_settle;
    o->out = out;
    o->dir = calloc(1, sizeof(*o->dir));
    if (!o->dir)
        return -ENOMEM;
    o->dir->volume = v;
    return 0;
}

void opendir_start(struct op *op)
{
    walk_start((struct path_op *)op, opendir_walked);
}

/* ---- readdir --------------------------------------------------------------------------------- */

static void readdir_post(struct op *op);

void dir_op_init(struct dir_op *d, struct gzc_dir *dir)
{
    op_init(&d->op, dir->volume);
    d->dir = dir;
}

/* Goes on with what there is: an entry, the end, or another call. */
static void readdir_go(struct op *op)
{
    struct dir_op *d = (struct dir_op *)op;
    int rc = dir_next(d->dir, d->entry);
    if (rc >= 0)
        op_finish(op, rc);
    else
        readdir_post(op);
}

static void readdir_done(struct op *op)
{
    struct dir_op *d = (struct dir_op *)op;
    struct gzc_dir *dir = d->dir;
    struct fop_list_res *res = &d->fop.results.list;
    if (!d->fop.error) {
        free(dir->list);
        dir->list = res->list;
        dirlist_init(&dir->entries, dir->list, res->length, true);
        res->list = NULL;
        /* posix-inode-fd-ops.c:posix_do_readdir: ENOENT marks the last batch */
        dir->end = res->op_ret == 0 || res->op_errno == ENOENT;
    }
    fop_free_results(&d->fop);
    if (d->fop.error)
        op_fail(op, &d->fop, NULL);
    else
        readdir_go(op);
}

static void readdir_post(struct op *op)
{
    struct dir_op *d = (struct dir_op *)op;
    gf_readdirp_args args = {.offset = d->dir->offset, .size = FOP_LIST_BATCH};
    memcpy(args.gfid, d->dir->remote.gfid, sizeof(args.gfid));
    op_round(op, 1, readdir_done);
    op_post_on(op, &d->fop, &d->dir->remote, GF_FOP_READDIRP, &args);
}

void readdir_start(struct op *op)
{
    op_hold(op, &((struct dir_op *)op)->dir->handle);
    readdir_go(op);
}

int dir_next(struct gzc_dir *dir, struct gzc_dirent *entry)
{
    static const char nobody[16];
    struct dirlist_entry found;
    if (!dir->list || dirlist_next(&dir->entries, &found) <= 0)
        return dir->end ? 0 : -EAGAIN;
    dir->offset = found.off;
    memcpy(dir->name, found.name, found.name_length);
    dir->name[found.name_length] = '\0';
    *entry = (struct gzc_dirent){
        .name = dir->name,
        .ino = found.ino,
        .cookie = (int64_t)found.off,
        .type = found.type,
        .has_stat = memcmp(found.iatt.gfid, nobody, sizeof(nobody)) != 0,
    };
    if (entry->has_stat)
        iatt_to_stat(&found.iatt, &entry->st);
    return 1;
}

void dir_seek(struct gzc_dir *dir, uint64_t cookie)
{
    free(dir->list);
    dir->list = NULL;
    dir->offset = cookie;
    dir->end = false;
}

/* ---- closedir -------------------------------------------------------------------------------- */

static void closedir_done(struct op *op)
{
    struct dir_op *d = (struct dir_op *)op;
    fop_free_results(&d->fop);
    if (d->fop.error)
        op_fail(op, &d->fop, NULL);
    else
        op_finish(op, 0);
}

static void closedir_go(struct op *op)
{
    struct dir_op *d = (struct dir_op *)op;
    gf_releasedir_args args = {0};
    remote_close(&d->dir->remote);
    memcpy(args.gfid, d->dir->remote.gfid, sizeof(args.gfid));
    op_round(op, 1, closedir_done);
    op_post_on(op, &d->fop, &d->dir->remote, GF_FOP_RELEASEDIR, &args);
}

void closedir_start(struct op *op)
{
    op->step = closedir_go;
    op_after(op, &((struct dir_op *)op)->dir->handle);
}

static void closedir_settle(struct op *op)
{
    struct gzc_dir *dir = ((struct dir_op *)op)->dir;
    free(dir->list);
    free(dir);
}

void closedir_init(struct dir_op *d, struct gzc_dir *dir)
{
    dir_op_init(d, dir);
    d->op.context.keep = true;
    d->op.settle = closedir_settle;
    volume_handle_closed(dir->volume);
}
