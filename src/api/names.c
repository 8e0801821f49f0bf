/* gzc.h: names. */
#include "volume/names.h"

#include "api/handle.h"

static int name_run(struct gzc_volume *v, const char *path, unsigned flags, struct name_op *n,
                    void (*start)(struct op *))
{
    int rc = handle_refuse(v, flags & WALK_PARENT);
    if (rc < 0)
        return rc;
    path_op_init(&n->path, v, path, flags);
    rc = (int)op_run(&n->path.op, start, &v->why);
    path_op_free(&n->path);
    return rc;
}

int gzc_stat(gzc_volume *volume, const char *path, struct stat *st)
{
    struct name_op n = {.st = st};
    return name_run(volume, path, 0, &n, stat_start);
}

int gzc_lstat(gzc_volume *volume, const char *path, struct stat *st)
{
    struct name_op n = {.st = st};
    return name_run(volume, path, WALK_NOFOLLOW, &n, stat_start);
}

int gzc_unlink(gzc_volume *volume, const char *path)
{
    struct name_op n = {0};
    return name_run(volume, path, WALK_PARENT, &n, unlink_start);
}

int gzc_mkdir(gzc_volume *volume, const char *path, mode_t mode)
{
    struct name_op n = {.mode = mode};
    return name_run(volume, path, WALK_PARENT, &n, mkdir_start);
}

int gzc_rmdir(gzc_volume *volume, const char *path)
{
    struct name_op n = {0};
    return name_run(volume, path, WALK_PARENT, &n, rmdir_start);
}
