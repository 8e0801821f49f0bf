/* gzc.h: reading and writing. */
#include "api/handle.h"

#include <fcntl.h>
#include <limits.h>

/* What moves where; checked. */
struct transfer {
    struct gzc_file *file;
    uint32_t number; /* GF_FOP_READ or GF_FOP_WRITE */
    const struct iovec *iov;
    int iovcnt;
    off_t offset;
    size_t total; /* bytes */
};

static int refuse(struct gzc_file *file, int error, const char *text)
{
    return volume_fail(file->volume, &file->why, error, text);
}

static int refuse_access(const struct transfer *t)
{
    return refuse(t->file, -EBADF,
                  t->number == GF_FOP_READ ? "the file is open for writing only"
                                           : "the file is open for reading only");
}

static inline int transfer_check(struct transfer *t)
{
    struct gzc_file *file = t->file;
    if ((file->flags & O_ACCMODE) == (t->number == GF_FOP_READ ? O_WRONLY : O_RDONLY))
        return refuse_access(t);
    if (t->iovcnt < 0 || t->offset < 0)
        return refuse(file, -EINVAL, "negative offset or count");
    size_t total = 0;
    for (int i = 0; i < t->iovcnt; i++) {
        if (t->iov[i].iov_len > (size_t)SSIZE_MAX - total)
            return refuse(file, -EINVAL, "more than SSIZE_MAX bytes");
        total += t->iov[i].iov_len;
    }
    if (total > (uint64_t)INT64_MAX - (uint64_t)t->offset)
        return refuse(file, -EINVAL, "beyond the largest offset");
    t->total = total;
    return 0;
}

static void transfer_init(struct io *io, const struct transfer *t)
{
    io_init(io, t->file, t->number, t->iov, t->iovcnt, t->total, (uint64_t)t->offset);
}

static inline ssize_t transfer_run(struct transfer *t)
{
    int rc = transfer_check(t);
    if (rc < 0 || t->total == 0)
        return rc;
    struct io io;
    transfer_init(&io, t);
    return (ssize_t)op_run(&io.op, io_start, &t->file->why);
}

/* @param buffer  the one buffer, if there is no iovec */
static inline gzc_ticket transfer_submit(struct transfer *t, const struct iovec *buffer,
                                         const struct gzc_async *how)
{
    if (buffer)
        t->iov = buffer;
    int rc = transfer_check(t);
    if (rc < 0)
        return rc;
    struct async *a = async_begin(t->file->volume->shared);
    if (!a)
        return refuse(t->file, -ENOMEM, "no memory for an operation");
    if (buffer) {
        a->iov = *buffer;
        t->iov = &a->iov;
    }
    transfer_init(&a->io, t);
    return async_start(a, &a->io.op, io_start, how);
}

ssize_t gzc_preadv(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset)
{
    return transfer_run(&(struct transfer){file, GF_FOP_READ, iov, iovcnt, offset, 0});
}

gzc_ticket gzc_preadv_async(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset,
                            const struct gzc_async *how)
{
    struct transfer t = {file, GF_FOP_READ, iov, iovcnt, offset, 0};
    return transfer_submit(&t, NULL, how);
}

ssize_t gzc_pread(gzc_file *file, void *buffer, size_t count, off_t offset)
{
    struct iovec iov = {buffer, count};
    return transfer_run(&(struct transfer){file, GF_FOP_READ, &iov, 1, offset, 0});
}

gzc_ticket gzc_pread_async(gzc_file *file, void *buffer, size_t count, off_t offset,
                           const struct gzc_async *how)
{
    struct iovec iov = {buffer, count};
    struct transfer t = {file, GF_FOP_READ, NULL, 1, offset, 0};
    return transfer_submit(&t, &iov, how);
}

ssize_t gzc_pwritev(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset)
{
    return transfer_run(&(struct transfer){file, GF_FOP_WRITE, iov, iovcnt, offset, 0});
}

gzc_ticket gzc_pwritev_async(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset,
                             const struct gzc_async *how)
{
    struct transfer t = {file, GF_FOP_WRITE, iov, iovcnt, offset, 0};
    return transfer_submit(&t, NULL, how);
}

ssize_t gzc_pwrite(gzc_file *file, const void *buffer, size_t count, off_t offset)
{
    struct iovec iov = {(void *)buffer, count};
    return transfer_run(&(struct transfer){file, GF_FOP_WRITE, &iov, 1, offset, 0});
}

gzc_ticket gzc_pwrite_async(gzc_file *file, const void *buffer, size_t count, off_t offset,
                            const struct gzc_async *how)
{
    struct iovec iov = {(void *)buffer, count};
    struct transfer t = {file, GF_FOP_WRITE, NULL, 1, offset, 0};
    return transfer_submit(&t, &iov, how);
}
