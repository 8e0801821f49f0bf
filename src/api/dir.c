/* gzc.h: directories. */
#include "volume/dir.h"

#include "api/handle.h"

int gzc_opendir(gzc_volume *volume, const char *path, gzc_dir **dir)
{
    *dir = NULL;
    int rc = handle_refuse(volume, false);
    if (rc < 0)
        return rc;
    struct opendir_op op;
    if (opendir_init(&op, volume, path, dir) < 0)
        return volume_fail(volume, &volume->why, -ENOMEM, "no memory for a directory");
    return (int)op_run(&op.path.op, opendir_start, &volume->why);
}

gzc_ticket gzc_opendir_async(gzc_volume *volume, const char *path, gzc_dir **dir,
                             const struct gzc_async *how)
{
    *dir = NULL;
    int rc = handle_refuse(volume, false);
    if (rc < 0)
        return rc;
    struct opendir_op *op = handle_new_op(volume, sizeof(*op), &path, NULL);
    if (!op)
        return -ENOMEM;
    if (opendir_init(op, volume, path, dir) < 0) {
        free(op);
        return volume_fail(volume, &volume->why, -ENOMEM, "no memory for a directory");
    }
    return op_submit(&op->path.op, opendir_start, how);
}

int gzc_readdir(gzc_dir *dir, struct gzc_dirent *entry)
{
    int rc = dir_next(dir, entry);
    if (rc >= 0)
        return rc;
    struct dir_op op;
    dir_op_init(&op, dir);
    op.entry = entry;
    return (int)op_run(&op.op, readdir_start, &dir->why);
}

gzc_ticket gzc_readdir_async(gzc_dir *dir, struct gzc_dirent *entry, const struct gzc_async *how)
{
    struct dir_op *op = malloc(sizeof(*op));
    if (!op)
        return volume_fail(dir->volume, &dir->why, -ENOMEM, "no memory for an operation");
    dir_op_init(op, dir);
    op->entry = entry;
    return op_submit(&op->op, readdir_start, how);
}

int64_t gzc_telldir(gzc_dir *dir)
{
    return (int64_t)dir->offset;
}

void gzc_seekdir(gzc_dir *dir, int64_t cookie)
{
    dir_seek(dir, (uint64_t)cookie);
}

void gzc_rewinddir(gzc_dir *dir)
{
    dir_seek(dir, 0);
}

int gzc_closedir(gzc_dir *dir)
{
    if (!dir)
        return 0;
    struct gzc_volume *v = dir->volume;
    int rc = volume_refuse_blocking(v, &v->why);
    if (rc < 0)
        return rc;
    struct dir_op op;
    closedir_init(&op, dir);
    return (int)op_run(&op.op, closedir_start, &v->why);
}

gzc_ticket gzc_closedir_async(gzc_dir *dir, const struct gzc_async *how)
{
    struct gzc_volume *v = dir->volume;
    struct dir_op *op = malloc(sizeof(*op));
    struct async *a = op ? async_begin(v->shared) : NULL;
    if (!a) {
        free(op);
        return volume_fail(v, &v->why, -ENOMEM, "no memory for an operation");
    }
    closedir_init(op, dir);
    return async_start(a, &op->op, closedir_start, how);
}

size_t gzc_dir_error(const gzc_dir *dir, char *text, size_t size)
{
    return handle_text(dir->volume, &dir->why, text, size);
}
