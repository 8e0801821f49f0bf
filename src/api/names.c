/* gzc.h: names. */
#include "volume/names.h"

#include "api/handle.h"

/* What an operation on a name is. */
struct name_kind {
    unsigned flags; /* of the walk */
    void (*start)(struct op *op);
};

static const struct name_kind kind_stat = {0, stat_start};
static const struct name_kind kind_lstat = {WALK_NOFOLLOW, stat_start};
static const struct name_kind kind_unlink = {WALK_PARENT, unlink_start};
static const struct name_kind kind_mkdir = {WALK_PARENT, mkdir_start};
static const struct name_kind kind_rmdir = {WALK_PARENT, rmdir_start};

static int name_run(struct gzc_volume *v, const char *path, const struct name_kind *kind,
                    mode_t mode, struct stat *st)
{
    int rc = handle_refuse(v, kind->flags & WALK_PARENT);
    if (rc < 0)
        return rc;
    struct name_op n;
    name_op_init(&n, v, path, kind->flags);
    n.mode = mode;
    n.st = st;
    return (int)op_run(&n.path.op, kind->start, &v->why);
}

static gzc_ticket name_submit(struct gzc_volume *v, const char *path, const struct name_kind *kind,
                              mode_t mode, struct stat *st, const struct gzc_async *how)
{
    int rc = handle_refuse(v, kind->flags & WALK_PARENT);
    if (rc < 0)
        return rc;
    struct name_op *n = handle_new_op(v, sizeof(*n), path, &path);
    if (!n)
        return -ENOMEM;
    name_op_init(n, v, path, kind->flags);
    n->mode = mode;
    n->st = st;
    return op_submit(&n->path.op, kind->start, how);
}

int gzc_stat(gzc_volume *volume, const char *path, struct stat *st)
{
    return name_run(volume, path, &kind_stat, 0, st);
}

gzc_ticket gzc_stat_async(gzc_volume *volume, const char *path, struct stat *st,
                          const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_stat, 0, st, how);
}

int gzc_lstat(gzc_volume *volume, const char *path, struct stat *st)
{
    return name_run(volume, path, &kind_lstat, 0, st);
}

gzc_ticket gzc_lstat_async(gzc_volume *volume, const char *path, struct stat *st,
                           const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_lstat, 0, st, how);
}

int gzc_unlink(gzc_volume *volume, const char *path)
{
    return name_run(volume, path, &kind_unlink, 0, NULL);
}

gzc_ticket gzc_unlink_async(gzc_volume *volume, const char *path, const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_unlink, 0, NULL, how);
}

int gzc_mkdir(gzc_volume *volume, const char *path, mode_t mode)
{
    return name_run(volume, path, &kind_mkdir, mode, NULL);
}

gzc_ticket gzc_mkdir_async(gzc_volume *volume, const char *path, mode_t mode,
                           const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_mkdir, mode, NULL, how);
}

int gzc_rmdir(gzc_volume *volume, const char *path)
{
    return name_run(volume, path, &kind_rmdir, 0, NULL);
}

gzc_ticket gzc_rmdir_async(gzc_volume *volume, const char *path, const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_rmdir, 0, NULL, how);
}
