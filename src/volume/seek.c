#include "volume/seek.h"

#include "volume/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void seek_fail(struct op *op, int error, const char *text)
{
    op_finish(op, errtext_set(op_why(op), error, "%s", text));
}

/* The position becomes base + offset. @param base  at most INT64_MAX, or hostile */
static void seek_to(struct op *op, uint64_t base, int64_t offset)
{
    struct gzc_file *file = file_op_of(op)->file;
    int64_t position;
    if (base > INT64_MAX) {
        seek_fail(op, EPROTO, "the brick gave an offset out of range");
    } else if (__builtin_add_overflow((int64_t)base, offset, &position)) {
        seek_fail(op, EOVERFLOW, "beyond the largest offset");
    } else if (position < 0) {
        seek_fail(op, EINVAL, "before the beginning of the file");
    } else {
        file->position = (uint64_t)position;
        file->moves++;
        op_finish(op, position);
    }
}

static void seek_done(struct op *op)
{
    struct file_op *f = file_op_of(op);
    int64_t offset = (int64_t)f->offset;
    bool sized = f->fop.number == GF_FOP_FSTAT;
    uint64_t base = sized ? f->fop.results.iatt.stat.size : f->fop.results.seek.offset;
    fop_free_results(&f->fop);
    if (f->fop.error)
        op_fail(op, &f->fop, NULL);
    else
        seek_to(op, base, sized ? offset : 0);
}

static void seek_ask_size(struct op *op)
{
    file_post_fstat(op, seek_done);
}

static void seek_ask_data(struct op *op)
{
    const struct file_op *f = file_op_of(op);
    gf_seek_args args = {
        .offset = f->offset,
        .what = f->mode == SEEK_DATA ? GF_SEEK_DATA : GF_SEEK_HOLE,
    };
    memcpy(args.gfid, f->file->inode->gfid, sizeof(args.gfid));
    file_post(op, GF_FOP_SEEK, &args, seek_done);
}

void seek_start(struct op *op)
{
    const struct file_op *f = file_op_of(op);
    switch (f->mode) {
    case SEEK_SET:
        seek_to(op, 0, (int64_t)f->offset);
        break;
    case SEEK_CUR:
        seek_to(op, f->file->position, (int64_t)f->offset);
        break;
    case SEEK_END:
        file_take_turn(op, 0, UINT64_MAX, false, seek_ask_size);
        break;
    default:
        file_take_turn(op, 0, UINT64_MAX, false, seek_ask_data);
    }
}
