#include "volume/dir.h"

#include "proto/dirlist.h"
#include "proto/iatt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A brick's budget for one batch of entries; what GlusterFS's own client asks for. */
#define BATCH_BYTES (128 << 10)

/* ---- opendir --------------------------------------------------------------------------------- */

static void opendir_done(struct op *op)
{
    struct opendir_op *o = (struct opendir_op *)op;
    o->dir->fd = o->fop.results.fd.fd;
    o->dir->session = o->fop.session;
    fop_free_results(&o->fop);
    if (o->fop.error)
        op_fail(op, &o->fop, o->path.walk.path);
    else
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
        errtext_set(&op->why, ENOTDIR, "'%.400s': %s", w->path, errtext_errno(ENOTDIR));
        op_finish(op, -ENOTDIR);
        return;
    }
    gf_opendir_args args = {0};
    memcpy(args.gfid, w->stat.gfid, sizeof(args.gfid));
    memcpy(o->dir->gfid, w->stat.gfid, sizeof(o->dir->gfid));
    op_round(op, 1, opendir_done);
    op_post(op, &o->fop, op->volume->sessions[0], GF_FOP_OPENDIR, &args);
}

void opendir_start(struct op *op)
{
    walk_start((struct path_op *)op, opendir_walked);
}

/* ---- readdir --------------------------------------------------------------------------------- */

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
        op_finish(op, 0);
}

void readdir_start(struct op *op)
{
    struct dir_op *d = (struct dir_op *)op;
    gf_readdirp_args args = {
        .fd = d->dir->fd,
        .offset = d->dir->offset,
        .size = BATCH_BYTES,
    };
    memcpy(args.gfid, d->dir->gfid, sizeof(args.gfid));
    op_round(op, 1, readdir_done);
    op_post(op, &d->fop, d->dir->session, GF_FOP_READDIRP, &args);
}

bool dir_next(struct gzc_dir *dir, struct gzc_dirent *entry)
{
    static const char nobody[16];
    struct dirlist_entry found;
    if (!dir->list || dirlist_next(&dir->entries, &found) <= 0)
        return false;
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
    return true;
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

void closedir_start(struct op *op)
{
    struct dir_op *d = (struct dir_op *)op;
    gf_releasedir_args args = {.fd = d->dir->fd};
    memcpy(args.gfid, d->dir->gfid, sizeof(args.gfid));
    op_round(op, 1, closedir_done);
    op_post(op, &d->fop, d->dir->session, GF_FOP_RELEASEDIR, &args);
}
