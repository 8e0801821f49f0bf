/* What the public functions on an open file share. */
#ifndef API_FILE_CALL_H
#define API_FILE_CALL_H

#include "api/handle.h"
#include "volume/file.h"

/** What a call needs beside the file; see struct file_op. */
struct file_call {
    void (*start)(struct op *op);
    bool datasync;
    int mode;
    uint64_t offset, length;
    struct stat *st;
};

/** Refuses a call on a file. @return @p error. */
static inline int file_refuse(struct gzc_file *file, int error, const char *text)
{
    return volume_fail(file->volume, &file->why, error, text);
}

static inline void file_prepare(struct file_op *op, struct gzc_file *file,
                                const struct file_call *call)
{
    file_op_init(op, file);
    op->datasync = call->datasync;
    op->mode = call->mode;
    op->offset = call->offset;
    op->length = call->length;
    op->st = call->st;
}

static inline int64_t file_run(struct gzc_file *file, const struct file_call *call)
{
    struct file_op op;
    file_prepare(&op, file, call);
    return op_run(&op.op, call->start, &file->why);
}

static inline gzc_ticket file_submit(struct gzc_file *file, const struct file_call *call,
                                     const struct gzc_async *how)
{
    struct file_op *op = malloc(sizeof(*op));
    if (!op)
        return file_refuse(file, -ENOMEM, "no memory for an operation");
    file_prepare(op, file, call);
    return op_submit(&op->op, call->start, how);
}

#endif
