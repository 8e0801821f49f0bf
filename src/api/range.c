/* gzc.h: ranges of a file, and its position. */
#include "volume/range.h"

#include "api/file_call.h"
#include "volume/seek.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- ranges ---------------------------------------------------------------------------------- */

/* In the order in which Linux looks (open.c: vfs_fallocate). */
static int range_refuse(struct gzc_file *file, const struct file_call *call)
{
    int64_t offset = (int64_t)call->offset, length = (int64_t)call->length;
    if (offset < 0 || length <= 0)
        return file_refuse(file, -EINVAL, "not a range of a file");
    if (!call->start)
        return file_refuse(file, -EOPNOTSUPP, "fallocate: a mode that the protocol does not have");
    if (!(file->access & FILE_WRITE))
        return file_refuse(file, -EBADF, "the file is open for reading only");
    if (offset > INT64_MAX - length)
        return file_refuse(file, -EFBIG, "beyond the largest offset");
    return 0;
}

static int range_run(struct gzc_file *file, const struct file_call *call)
{
    int rc = range_refuse(file, call);
    return rc < 0 ? rc : (int)file_run(file, call);
}

static gzc_ticket range_submit(struct gzc_file *file, const struct file_call *call,
                               const struct gzc_async *how)
{
    int rc = range_refuse(file, call);
    return rc < 0 ? rc : file_submit(file, call, how);
}

static struct file_call range_call(void (*start)(struct op *op), int mode, off_t offset,
                                   off_t length)
{
    return (struct file_call){
        .start = start,
        .mode = mode,
        .offset = (uint64_t)offset,
        .length = (uint64_t)length,
    };
}

int gzc_discard(gzc_file *file, off_t offset, off_t length)
{
    const struct file_call call = range_call(discard_start, 0, offset, length);
    return range_run(file, &call);
}

gzc_ticket gzc_discard_async(gzc_file *file, off_t offset, off_t length,
                             const struct gzc_async *how)
{
    const struct file_call call = range_call(discard_start, 0, offset, length);
    return range_submit(file, &call, how);
}

int gzc_zerofill(gzc_file *file, off_t offset, off_t length)
{
    const struct file_call call = range_call(zerofill_start, 0, offset, length);
    return range_run(file, &call);
}

gzc_ticket gzc_zerofill_async(gzc_file *file, off_t offset, off_t length,
                              const struct gzc_async *how)
{
    const struct file_call call = range_call(zerofill_start, 0, offset, length);
    return range_submit(file, &call, how);
}

static struct file_call fallocate_call(int mode, off_t offset, off_t length)
{
    switch (mode) {
    case 0:
    case FALLOC_FL_KEEP_SIZE:
        return range_call(fallocate_start, mode, offset, length);
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
        return range_call(discard_start, 0, offset, length);
    case FALLOC_FL_ZERO_RANGE:
        return range_call(zerofill_start, 0, offset, length);
    default:
        return range_call(NULL, 0, offset, length);
    }
}

int gzc_fallocate(gzc_file *file, int mode, off_t offset, off_t length)
{
    const struct file_call call = fallocate_call(mode, offset, length);
    return range_run(file, &call);
}

gzc_ticket gzc_fallocate_async(gzc_file *file, int mode, off_t offset, off_t length,
                               const struct gzc_async *how)
{
    const struct file_call call = fallocate_call(mode, offset, length);
    return range_submit(file, &call, how);
}

/* ---- the position ---------------------------------------------------------------------------- */

static int lseek_refuse(struct gzc_file *file, int whence)
{
    switch (whence) {
    case SEEK_SET:
    case SEEK_CUR:
    case SEEK_END:
    case SEEK_DATA:
    case SEEK_HOLE:
        return 0;
    default:
        return file_refuse(file, -EINVAL, "lseek: an unknown whence");
    }
}

static struct file_call lseek_call(off_t offset, int whence)
{
    return (struct file_call){.start = seek_start, .mode = whence, .offset = (uint64_t)offset};
}

off_t gzc_lseek(gzc_file *file, off_t offset, int whence)
{
    const struct file_call call = lseek_call(offset, whence);
    int rc = lseek_refuse(file, whence);
    return rc < 0 ? rc : file_run(file, &call);
}

gzc_ticket gzc_lseek_async(gzc_file *file, off_t offset, int whence, const struct gzc_async *how)
{
    const struct file_call call = lseek_call(offset, whence);
    int rc = lseek_refuse(file, whence);
    return rc < 0 ? rc : file_submit(file, &call, how);
}
