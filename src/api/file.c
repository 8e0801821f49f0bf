/* gzc.h: files, but for reading and writing them. */
#include "api/file_call.h"

#include <fcntl.h>

#define OPEN_FLAGS                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECT | O_SYNC | O_DSYNC |             \
     O_NOFOLLOW | O_DIRECTORY | O_NOATIME | O_NONBLOCK | O_CLOEXEC | O_LARGEFILE | O_NOCTTY)

/* ---- open ------------------------------------------------------------------------------------ */

static int open_refuse(struct gzc_volume *v, int flags)
{
    if (flags & ~OPEN_FLAGS || (flags & O_ACCMODE) == O_ACCMODE)
        return volume_fail(v, &v->why, -EINVAL, "open: a flag that is not supported");
    if (flags & O_CREAT && flags & O_DIRECTORY)
        return volume_fail(v, &v->why, -EINVAL, "open: it creates no directories");
    return handle_refuse(v, flags & (O_ACCMODE | O_CREAT | O_TRUNC));
}

int gzc_open(gzc_volume *volume, const char *path, int flags, mode_t mode, gzc_file **file)
{
    *file = NULL;
    int rc = open_refuse(volume, flags);
    if (rc < 0)
        return rc;
    struct open_op op;
    if (open_init(&op, volume, path, flags, mode, file) < 0)
        return volume_fail(volume, &volume->why, -ENOMEM, "no memory for a file");
    return (int)op_run(&op.path.op, open_start, &volume->why);
}

gzc_ticket gzc_open_async(gzc_volume *volume, const char *path, int flags, mode_t mode,
                          gzc_file **file, const struct gzc_async *how)
{
    *file = NULL;
    int rc = open_refuse(volume, flags);
    if (rc < 0)
        return rc;
    struct open_op *op = handle_new_op(volume, sizeof(*op), &path, NULL);
    if (!op)
        return -ENOMEM;
    if (open_init(op, volume, path, flags, mode, file) < 0) {
        free(op);
        return volume_fail(volume, &volume->why, -ENOMEM, "no memory for a file");
    }
    return op_submit(&op->path.op, open_start, how);
}

int gzc_create(gzc_volume *volume, const char *path, mode_t mode, gzc_file **file)
{
    return gzc_open(volume, path, O_CREAT | O_WRONLY | O_TRUNC, mode, file);
}

gzc_ticket gzc_create_async(gzc_volume *volume, const char *path, mode_t mode, gzc_file **file,
                            const struct gzc_async *how)
{
    return gzc_open_async(volume, path, O_CREAT | O_WRONLY | O_TRUNC, mode, file, how);
}

gzc_file *gzc_dup(gzc_file *file)
{
    struct engine *e = &file->volume->shared->engine;
    engine_lock(e);
    file->refs++;
    engine_unlock(e);
    return file;
}

/* ---- close ----------------------------------------------------------------------------------- */

int gzc_close(gzc_file *file)
{
    if (!file)
        return 0;
    struct gzc_volume *v = file->volume;
    int rc = volume_refuse_blocking(v, &v->why);
    if (rc < 0)
        return rc;
    struct file_op op;
    close_init(&op, file);
    return (int)op_run(&op.op, close_start, &v->why);
}

gzc_ticket gzc_close_async(gzc_file *file, const struct gzc_async *how)
{
    struct gzc_volume *v = file->volume;
    struct file_op *op = malloc(sizeof(*op));
    struct async *a = op ? async_begin(v->shared) : NULL;
    if (!a) {
        free(op);
        return volume_fail(v, &v->why, -ENOMEM, "no memory for an operation");
    }
    close_init(op, file);
    return async_start(a, &op->op, close_start, how);
}

/* ---- calls on an open file ------------------------------------------------------------------- */

int gzc_fsync(gzc_file *file)
{
    return (int)file_run(file, &(struct file_call){.start = fsync_start});
}

gzc_ticket gzc_fsync_async(gzc_file *file, const struct gzc_async *how)
{
    return file_submit(file, &(struct file_call){.start = fsync_start}, how);
}

int gzc_fdatasync(gzc_file *file)
{
    return (int)file_run(file, &(struct file_call){.start = fsync_start, .datasync = true});
}

gzc_ticket gzc_fdatasync_async(gzc_file *file, const struct gzc_async *how)
{
    return file_submit(file, &(struct file_call){.start = fsync_start, .datasync = true}, how);
}

static int ftruncate_refuse(struct gzc_file *file, off_t length)
{
    if (length < 0)
        return file_refuse(file, -EINVAL, "negative length");
    if (!(file->access & FILE_WRITE))
        return file_refuse(file, -EINVAL, "the file is open for reading only");
    return 0;
}

int gzc_ftruncate(gzc_file *file, off_t length)
{
    const struct file_call call = {.start = ftruncate_start, .length = (uint64_t)length};
    int rc = ftruncate_refuse(file, length);
    return rc < 0 ? rc : (int)file_run(file, &call);
}

gzc_ticket gzc_ftruncate_async(gzc_file *file, off_t length, const struct gzc_async *how)
{
    const struct file_call call = {.start = ftruncate_start, .length = (uint64_t)length};
    int rc = ftruncate_refuse(file, length);
    return rc < 0 ? rc : file_submit(file, &call, how);
}

int gzc_fstat(gzc_file *file, struct stat *st)
{
    return (int)file_run(file, &(struct file_call){.start = fstat_start, .st = st});
}

gzc_ticket gzc_fstat_async(gzc_file *file, struct stat *st, const struct gzc_async *how)
{
    return file_submit(file, &(struct file_call){.start = fstat_start, .st = st}, how);
}

/* ---- about a file ---------------------------------------------------------------------------- */

size_t gzc_file_error(const gzc_file *file, char *text, size_t size)
{
    return handle_text(file->volume, &file->why, text, size);
}

int gzc_file_stats(const gzc_file *file, struct gzc_stats *stats, size_t size)
{
    struct gzc_stats all = {
        .bytes_landed = counter_get(&file->io.landed),
        .bytes_staged = counter_get(&file->io.staged),
        .calls = counter_get(&file->io.calls),
    };
    memset(stats, 0, size);
    memcpy(stats, &all, size < sizeof(all) ? size : sizeof(all));
    return 0;
}
