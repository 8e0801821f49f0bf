/* gzc.h: reading and writing. */
#include "api/file_call.h"

#include <fcntl.h>
#include <limits.h>

/* What moves where; checked. */
struct transfer {
    struct gzc_file *file;
    uint32_t number; /* GF_FOP_READ or GF_FOP_WRITE */
    const struct iovec *iov;
    int iovcnt;
    off_t offset;
    void (*start)(struct op *op); /* io_start, or at the position: io_start_at_position */
    uint32_t flags;               /* O_SYNC, O_DSYNC */
    size_t total;                 /* bytes */
};

static int refuse_access(const struct transfer *t)
{
    if (t->file->remote.directory && t->number == GF_FOP_READ)
        return file_refuse(t->file, -EISDIR, "it is a directory");
    return file_refuse(t->file, -EBADF,
                       t->number == GF_FOP_READ ? "the file is open for writing only"
                                                : "the file is open for reading only");
}

static inline int transfer_check(struct transfer *t)
{
    struct gzc_file *file = t->file;
    if (!(file->access & (t->number == GF_FOP_READ ? FILE_READ : FILE_WRITE)))
        return refuse_access(t);
    if (t->iovcnt < 0 || t->offset < 0)
        return file_refuse(file, -EINVAL, "negative offset or count");
    size_t total = 0;
    for (int i = 0; i < t->iovcnt; i++) {
        if (t->iov[i].iov_len > (size_t)SSIZE_MAX - total)
            return file_refuse(file, -EINVAL, "more than SSIZE_MAX bytes");
        total += t->iov[i].iov_len;
    }
    if (total > (uint64_t)INT64_MAX - (uint64_t)t->offset)
        return file_refuse(file, -EINVAL, "beyond the largest offset");
    t->total = total;
    return 0;
}

static void transfer_init(struct io *io, const struct transfer *t)
{
    io_init(io, t->file, t->number, t->iov, t->iovcnt, t->total, (uint64_t)t->offset);
    io->flags |= t->flags;
}

/* Inlined, it needs no struct transfer. */
__attribute__((always_inline)) static inline ssize_t transfer_run(struct transfer *t)
{
    int rc = transfer_check(t);
    if (rc < 0 || t->total == 0)
        return rc;
    struct io io;
    transfer_init(&io, t);
    return (ssize_t)op_run(&io.op, t->start, &t->file->why);
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
        return file_refuse(t->file, -ENOMEM, "no memory for an operation");
    if (buffer) {
        a->iov = *buffer;
        t->iov = &a->iov;
    }
    transfer_init(&a->io, t);
    return async_start(a, &a->io.op, t->start, how);
}

/* ---- at an offset ---------------------------------------------------------------------------- */

/* What is to be moved at an offset. */
#define AT(number, iov, iovcnt, offset)                                                            \
    {                                                                                              \
        file, number, iov, iovcnt, offset, io_start, 0, 0                                          \
    }

ssize_t gzc_preadv(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset)
{
    return transfer_run(&(struct transfer)AT(GF_FOP_READ, iov, iovcnt, offset));
}

gzc_ticket gzc_preadv_async(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset,
                            const struct gzc_async *how)
{
    struct transfer t = AT(GF_FOP_READ, iov, iovcnt, offset);
    return transfer_submit(&t, NULL, how);
}

ssize_t gzc_pread(gzc_file *file, void *buffer, size_t count, off_t offset)
{
    struct iovec iov = {buffer, count};
    return transfer_run(&(struct transfer)AT(GF_FOP_READ, &iov, 1, offset));
}

gzc_ticket gzc_pread_async(gzc_file *file, void *buffer, size_t count, off_t offset,
                           const struct gzc_async *how)
{
    struct iovec iov = {buffer, count};
    struct transfer t = AT(GF_FOP_READ, NULL, 1, offset);
    return transfer_submit(&t, &iov, how);
}

ssize_t gzc_pwritev(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset)
{
    return transfer_run(&(struct transfer)AT(GF_FOP_WRITE, iov, iovcnt, offset));
}

gzc_ticket gzc_pwritev_async(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset,
                             const struct gzc_async *how)
{
    struct transfer t = AT(GF_FOP_WRITE, iov, iovcnt, offset);
    return transfer_submit(&t, NULL, how);
}

ssize_t gzc_pwrite(gzc_file *file, const void *buffer, size_t count, off_t offset)
{
    struct iovec iov = {(void *)buffer, count};
    return transfer_run(&(struct transfer)AT(GF_FOP_WRITE, &iov, 1, offset));
}

gzc_ticket gzc_pwrite_async(gzc_file *file, const void *buffer, size_t count, off_t offset,
                            const struct gzc_async *how)
{
    struct iovec iov = {(void *)buffer, count};
    struct transfer t = AT(GF_FOP_WRITE, NULL, 1, offset);
    return transfer_submit(&t, &iov, how);
}

/* ---- with flags ------------------------------------------------------------------------------ */

/* Flags of preadv2(2) that a brick can honour, as those of its WRITE (posix-inode-fd-ops.c:
 * posix_writev). */
static int transfer_flags(struct transfer *t, int flags)
{
    if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
        return file_refuse(t->file, -EOPNOTSUPP, "a flag that the protocol does not have");
    if (flags & RWF_DSYNC)
        t->flags |= O_DSYNC;
    if (flags & RWF_SYNC)
        t->flags |= O_SYNC;
    if (t->offset == -1) {
        t->offset = 0;
        t->start = io_start_at_position;
    }
    return 0;
}

static ssize_t transfer_run_flags(struct transfer *t, int flags)
{
    int rc = transfer_flags(t, flags);
    return rc < 0 ? rc : transfer_run(t);
}

static gzc_ticket transfer_submit_flags(struct transfer *t, int flags, const struct gzc_async *how)
{
    int rc = transfer_flags(t, flags);
    return rc < 0 ? rc : transfer_submit(t, NULL, how);
}

ssize_t gzc_preadv2(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset, int flags)
{
    return transfer_run_flags(&(struct transfer)AT(GF_FOP_READ, iov, iovcnt, offset), flags);
}

gzc_ticket gzc_preadv2_async(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset,
                             int flags, const struct gzc_async *how)
{
    return transfer_submit_flags(&(struct transfer)AT(GF_FOP_READ, iov, iovcnt, offset), flags,
                                 how);
}

ssize_t gzc_pwritev2(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset, int flags)
{
    return transfer_run_flags(&(struct transfer)AT(GF_FOP_WRITE, iov, iovcnt, offset), flags);
}

gzc_ticket gzc_pwritev2_async(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset,
                              int flags, const struct gzc_async *how)
{
    return transfer_submit_flags(&(struct transfer)AT(GF_FOP_WRITE, iov, iovcnt, offset), flags,
                                 how);
}

/* ---- at the position ------------------------------------------------------------------------- */

#define AT_POSITION(number, iov, iovcnt)                                                           \
    {                                                                                              \
        file, number, iov, iovcnt, 0, io_start_at_position, 0, 0                                   \
    }

ssize_t gzc_readv(gzc_file *file, const struct iovec *iov, int iovcnt)
{
    return transfer_run(&(struct transfer)AT_POSITION(GF_FOP_READ, iov, iovcnt));
}

gzc_ticket gzc_readv_async(gzc_file *file, const struct iovec *iov, int iovcnt,
                           const struct gzc_async *how)
{
    return transfer_submit(&(struct transfer)AT_POSITION(GF_FOP_READ, iov, iovcnt), NULL, how);
}

ssize_t gzc_read(gzc_file *file, void *buffer, size_t count)
{
    struct iovec iov = {buffer, count};
    return transfer_run(&(struct transfer)AT_POSITION(GF_FOP_READ, &iov, 1));
}

gzc_ticket gzc_read_async(gzc_file *file, void *buffer, size_t count, const struct gzc_async *how)
{
    struct iovec iov = {buffer, count};
    return transfer_submit(&(struct transfer)AT_POSITION(GF_FOP_READ, NULL, 1), &iov, how);
}

ssize_t gzc_writev(gzc_file *file, const struct iovec *iov, int iovcnt)
{
    return transfer_run(&(struct transfer)AT_POSITION(GF_FOP_WRITE, iov, iovcnt));
}

gzc_ticket gzc_writev_async(gzc_file *file, const struct iovec *iov, int iovcnt,
                            const struct gzc_async *how)
{
    return transfer_submit(&(struct transfer)AT_POSITION(GF_FOP_WRITE, iov, iovcnt), NULL, how);
}

ssize_t gzc_write(gzc_file *file, const void *buffer, size_t count)
{
    struct iovec iov = {(void *)buffer, count};
    return transfer_run(&(struct transfer)AT_POSITION(GF_FOP_WRITE, &iov, 1));
}

gzc_ticket gzc_write_async(gzc_file *file, const void *buffer, size_t count,
                           const struct gzc_async *how)
{
    struct iovec iov = {(void *)buffer, count};
    return transfer_submit(&(struct transfer)AT_POSITION(GF_FOP_WRITE, NULL, 1), &iov, how);
}
