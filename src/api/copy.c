/* gzc.h: copying between files. */
#include "volume/copy.h"

#include "api/file_call.h"

#include <fcntl.h>

#define COPY_MAX ((size_t)1 << 30)

struct copy_range {
    gzc_file *in, *out;
    off_t from, to;
    size_t count;
};

/* A failure's text is on `out`. In the order in which Linux looks (read_write.c). */
static int copy_check(struct copy_range *r)
{
    gzc_file *in = r->in, *out = r->out;
    if (in->remote.directory || out->remote.directory)
        return file_refuse(out, -EISDIR, "copy: it is a directory");
    if (!(in->access & FILE_READ) || !(out->access & FILE_WRITE) || out->flags & O_APPEND)
        return file_refuse(out, -EBADF, "copy: not open for reading, or for writing anywhere");
    if (r->from < 0 || r->to < 0)
        return file_refuse(out, -EINVAL, "negative offset");
    if (r->count > COPY_MAX)
        r->count = COPY_MAX;
    if (r->count > (uint64_t)(INT64_MAX - r->from) || r->count > (uint64_t)(INT64_MAX - r->to))
        return file_refuse(out, -EOVERFLOW, "beyond the largest offset");
    return 0;
}

static bool copy_one_mount(const struct copy_range *r)
{
    return r->in->volume->shared == r->out->volume->shared;
}

/* Between two mounts, each of which has an engine of its own. */
static ssize_t copy_between_mounts(const struct copy_range *r)
{
    size_t done = 0;
    ssize_t n = 1;
    if (memcmp(r->in->inode->gfid, r->out->inode->gfid, sizeof(r->in->inode->gfid)) == 0 &&
        copy_overlaps((uint64_t)r->from, (uint64_t)r->to, r->count))
        return file_refuse(r->out, -EINVAL, "the ranges overlap");
    uint8_t *buffer = malloc(COPY_BUFFER);
    if (!buffer)
        return file_refuse(r->out, -ENOMEM, "no memory for a buffer");
    while (done < r->count && n > 0) {
        size_t left = r->count - done;
        n = gzc_pread(r->in, buffer, left < COPY_BUFFER ? left : COPY_BUFFER,
                      r->from + (off_t)done);
        if (n < 0) {
            char text[ERRTEXT_SIZE];
            gzc_file_error(r->in, text, sizeof(text));
            file_refuse(r->out, (int)n, text);
        } else if (n > 0) {
            n = gzc_pwrite(r->out, buffer, (size_t)n, r->to + (off_t)done);
        }
        done += n > 0 ? (size_t)n : 0;
    }
    free(buffer);
    return done ? (ssize_t)done : n;
}

ssize_t gzc_copy_file_range(gzc_file *in, off_t in_offset, gzc_file *out, off_t out_offset,
                            size_t count)
{
    struct copy_range r = {in, out, in_offset, out_offset, count};
    struct copy_op op;
    int rc = copy_check(&r);
    if (rc < 0 || r.count == 0)
        return rc;
    if (!copy_one_mount(&r))
        return copy_between_mounts(&r);
    copy_init(&op, in, (uint64_t)r.from, out, (uint64_t)r.to, r.count);
    return (ssize_t)op_run(&op.op, copy_start, &out->why);
}

gzc_ticket gzc_copy_file_range_async(gzc_file *in, off_t in_offset, gzc_file *out, off_t out_offset,
                                     size_t count, const struct gzc_async *how)
{
    struct copy_range r = {in, out, in_offset, out_offset, count};
    int rc = copy_check(&r);
    if (rc < 0)
        return rc;
    if (!copy_one_mount(&r))
        return file_refuse(out, -EXDEV, "copy: the files are of two mounts");
    struct copy_op *op = malloc(sizeof(*op));
    if (!op)
        return file_refuse(out, -ENOMEM, "no memory for an operation");
    copy_init(op, in, (uint64_t)r.from, out, (uint64_t)r.to, r.count);
    return op_submit(&op->op, copy_start, how);
}
