#include "volume/range.h"

#include "volume/file.h"

#include <string.h>

static void range_take_turn(struct op *op, void (*go)(struct op *))
{
    const struct file_op *f = file_op_of(op);
    file_take_turn(op, f->offset, f->offset + f->length, true, go);
}

/* DISCARD and ZEROFILL. */
static void range_post(struct op *op, uint32_t number)
{
    const struct file_op *f = file_op_of(op);
    gf_range_args args = {.offset = f->offset, .size = f->length};
    memcpy(args.gfid, f->file->inode->gfid, sizeof(args.gfid));
    file_post(op, number, &args, file_done);
}

static void discard_go(struct op *op)
{
    range_post(op, GF_FOP_DISCARD);
}

void discard_start(struct op *op)
{
    range_take_turn(op, discard_go);
}

static void zerofill_go(struct op *op)
{
    range_post(op, GF_FOP_ZEROFILL);
}

void zerofill_start(struct op *op)
{
    range_take_turn(op, zerofill_go);
}

static void fallocate_go(struct op *op)
{
    const struct file_op *f = file_op_of(op);
    gf_fallocate_args args = {
        .flags = (u_int)f->mode,
        .offset = f->offset,
        .size = f->length,
    };
    memcpy(args.gfid, f->file->inode->gfid, sizeof(args.gfid));
    file_post(op, GF_FOP_FALLOCATE, &args, file_done);
}

void fallocate_start(struct op *op)
{
    range_take_turn(op, fallocate_go);
}
