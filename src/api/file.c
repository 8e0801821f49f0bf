/* gzc.h: files. */
#include "volume/file.h"

#include "api/handle.h"
#include "volume/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_FLAGS                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECT | O_SYNC | O_DSYNC |             \
     O_NOFOLLOW | O_CLOEXEC | O_LARGEFILE | O_NOCTTY)

int gzc_open(gzc_volume *volume, const char *path, int flags, mode_t mode, gzc_file **file)
{
    *file = NULL;
    if (flags & ~OPEN_FLAGS || (flags & O_ACCMODE) == O_ACCMODE)
        return volume_fail(volume, &volume->why, -EINVAL, "open: a flag that is not supported");
    int rc = handle_refuse(volume, flags & (O_ACCMODE | O_CREAT | O_TRUNC));
    if (rc < 0)
        return rc;
    struct gzc_file *f = calloc(1, sizeof(*f));
    if (!f)
        return volume_fail(volume, &volume->why, -ENOMEM, "no memory for a file");
    f->volume = volume;
    struct open_op op = {.flags = flags, .mode = mode, .file = f};
    bool nofollow = flags & O_NOFOLLOW || (flags & O_CREAT && flags & O_EXCL);
    path_op_init(&op.path, volume, path, nofollow ? WALK_NOFOLLOW : 0);
    rc = (int)op_run(&op.path.op, open_start, &volume->why);
    path_op_free(&op.path);
    if (rc < 0) {
        free(f);
        return rc;
    }
    handle_opened(volume);
    *file = f;
    return 0;
}

int gzc_create(gzc_volume *volume, const char *path, mode_t mode, gzc_file **file)
{
    return gzc_open(volume, path, O_CREAT | O_WRONLY | O_TRUNC, mode, file);
}

static int file_run(struct gzc_file *file, struct file_op *op, void (*start)(struct op *))
{
    op->file = file;
    op_init(&op->op, file->volume);
    return (int)op_run(&op->op, start, &file->why);
}

int gzc_close(gzc_file *file)
{
    if (!file)
        return 0;
    struct file_op op = {0};
    op.file = file;
    op_init(&op.op, file->volume);
    int rc = (int)op_run(&op.op, close_start, &file->volume->why);
    handle_closed(file->volume);
    free(file);
    return rc;
}

size_t gzc_file_error(const gzc_file *file, char *text, size_t size)
{
    return handle_text(file->volume, &file->why, text, size);
}

static ssize_t transfer(struct gzc_file *file, uint32_t number, const struct iovec *iov, int iovcnt,
                        off_t offset)
{
    int refused = number == GF_FOP_READ ? O_WRONLY : O_RDONLY;
    if ((file->flags & O_ACCMODE) == refused)
        return volume_fail(file->volume, &file->why, -EBADF,
                           number == GF_FOP_READ ? "the file is open for writing only"
                                                 : "the file is open for reading only");
    if (iovcnt < 0 || offset < 0)
        return volume_fail(file->volume, &file->why, -EINVAL, "negative offset or count");
    size_t total = 0;
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > (size_t)SSIZE_MAX - total)
            return volume_fail(file->volume, &file->why, -EINVAL, "more than SSIZE_MAX bytes");
        total += iov[i].iov_len;
    }
    if (total > (uint64_t)INT64_MAX - (uint64_t)offset)
        return volume_fail(file->volume, &file->why, -EINVAL, "beyond the largest offset");
    if (total == 0)
        return 0;
    struct io io;
    io_init(&io, file, number, iov, iovcnt, total, (uint64_t)offset);
    return (ssize_t)op_run(&io.op, io_start, &file->why);
}

ssize_t gzc_preadv(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset)
{
    return transfer(file, GF_FOP_READ, iov, iovcnt, offset);
}

ssize_t gzc_pread(gzc_file *file, void *buffer, size_t count, off_t offset)
{
    struct iovec iov = {buffer, count};
    return transfer(file, GF_FOP_READ, &iov, 1, offset);
}

ssize_t gzc_pwritev(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset)
{
    return transfer(file, GF_FOP_WRITE, iov, iovcnt, offset);
}

ssize_t gzc_pwrite(gzc_file *file, const void *buffer, size_t count, off_t offset)
{
    struct iovec iov = {(void *)buffer, count};
    return transfer(file, GF_FOP_WRITE, &iov, 1, offset);
}

int gzc_fsync(gzc_file *file)
{
    struct file_op op = {.datasync = false};
    return file_run(file, &op, fsync_start);
}

int gzc_fdatasync(gzc_file *file)
{
    struct file_op op = {.datasync = true};
    return file_run(file, &op, fsync_start);
}

int gzc_ftruncate(gzc_file *file, off_t length)
{
    if (length < 0)
        return volume_fail(file->volume, &file->why, -EINVAL, "negative length");
    if ((file->flags & O_ACCMODE) == O_RDONLY)
        return volume_fail(file->volume, &file->why, -EINVAL, "the file is open for reading only");
    struct file_op op = {.length = (uint64_t)length};
    return file_run(file, &op, ftruncate_start);
}

int gzc_fstat(gzc_file *file, struct stat *st)
{
    struct file_op op = {.st = st};
    return file_run(file, &op, fstat_start);
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
