#include "volume/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct copy_op *copy_op_of(struct op *op)
{
    return (struct copy_op *)op;
}

/* Whether a brick can do it: it has both files open. */
static bool copy_on_brick(const struct copy_op *c)
{
    return c->in->remote.session == c->out->remote.session;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Ends the turns: the copy is over with the second. */
static void copy_end(struct copy_op *c, int error)
{
    struct op *turns[2] = {&c->source, &c->target};
    if (c->ended)
        return;
    c->ended = true;
    c->error = error;
    for (unsigned i = 0; i < 2; i++) {
        if (turns[i]->finished)
            continue;
        if (turns[i]->span.order && turns[i]->span.waits)
            op_cancel(turns[i]);
        else
            op_finish(turns[i], 0);
    }
}

static void copy_part_over(struct op *part)
{
    struct copy_op *c = part->arg;
    if (part->result < 0)
        copy_end(c, (int)part->result);
    if (++c->over == 2)
        op_finish(&c->op, c->done ? (int64_t)c->done : c->error);
}

static void copy_give_up(struct op *op, int error)
{
    struct copy_op *c = copy_op_of(op);
    if (c->gave_up || c->ended)
        return;
    c->gave_up = true;
    if (c->come < 2) {
        copy_end(c, errtext_set(op_why(op), error, "waiting for earlier writes: %s",
                                errtext_errno(error)));
    } else if (c->transferring) {
        op_cancel(&c->io.op);
    } else {
        rpc_cancel(&op->volume->engine, op);
        brick_cancel(c->in->remote.session, op);
    }
}

/* ---- by reading and writing ------------------------------------------------------------------ */

static void copy_next(struct copy_op *c);

static void copy_transfer(struct copy_op *c, struct gzc_file *file, uint32_t number, size_t count,
                          uint64_t offset, void (*over)(struct op *part))
{
    c->iov = (struct iovec){c->buffer, count};
    io_init(&c->io, file, number, &c->iov, 1, count, offset);
    c->io.buffered = true;
    c->transferring = true;
    op_begin_part(&c->io.op, &c->op, io_start_in_turn, over);
}

static void copy_written(struct op *part)
{
    struct copy_op *c = part->arg;
    c->transferring = false;
    if (part->result < 0) {
        copy_end(c, (int)part->result);
        return;
    }
    c->done += (size_t)part->result;
    copy_next(c);
}

static void copy_read(struct op *part)
{
    struct copy_op *c = part->arg;
    c->transferring = false;
    if (part->result <= 0)
        copy_end(c, (int)part->result);
    else
        copy_transfer(c, c->out, GF_FOP_WRITE, (size_t)part->result, c->to + c->done, copy_written);
}

static void copy_through_buffer(struct copy_op *c)
{
    size_t left = c->count - c->done;
    if (!c->buffer)
        c->buffer = malloc(COPY_BUFFER);
    if (!c->buffer) {
        copy_end(c, errtext_set(op_why(&c->op), ENOMEM, "no memory for a buffer"));
        return;
    }
    copy_transfer(c, c->in, GF_FOP_READ, left < COPY_BUFFER ? left : COPY_BUFFER, c->from + c->done,
                  copy_read);
}

/* ---- by the brick ---------------------------------------------------------------------------- */

static void copy_fail(struct copy_op *c)
{
    const struct fop *fop = &c->fop;
    session_text(op_why(&c->op), fop->brick.session, &fop->call.rpc, fop->brick.fate,
                 fop_name(fop->number), NULL, fop->error);
    copy_end(c, fop->error);
}

/* Old bricks do not have it (PROC_UNAVAIL), nor do all file systems. */
static bool copy_not_there(int error)
{
    return error == -EPROTONOSUPPORT || error == -EOPNOTSUPP || error == -ENOSYS ||
           error == -EXDEV || error == -EINVAL;
}

static void copy_answered(struct op *op)
{
    struct copy_op *c = copy_op_of(op);
    size_t left = c->count - c->done;
    int32_t n = c->fop.results.head.op_ret;
    fop_free_results(&c->fop);
    if (c->fop.error && copy_not_there(c->fop.error)) {
        c->on_brick = false;
        copy_next(c);
    } else if (c->fop.error) {
        copy_fail(c);
    } else if ((size_t)n > left) {
        copy_end(c, errtext_set(op_why(op), EPROTO, "the brick has copied more than asked for"));
    } else if (n == 0) {
        copy_end(c, 0); /* the end of the source */
    } else {
        c->done += (size_t)n;
        copy_next(c);
    }
}

/* posix-inode-fd-ops.c:posix_copy_file_range makes one system call, which may copy less. */
static void copy_ask(struct copy_op *c)
{
    size_t left = c->count - c->done;
    gf_copy_file_range_args args = {
        .off_in = c->from + c->done,
        .off_out = c->to + c->done,
        .size = left < COPY_CALL_MAX ? (u_int)left : COPY_CALL_MAX,
    };
    memcpy(args.gfid_in, c->in->inode->gfid, sizeof(args.gfid_in));
    memcpy(args.gfid_out, c->out->inode->gfid, sizeof(args.gfid_out));
    op_round(&c->op, 1, copy_answered);
    op_post_copy(&c->op, &c->fop, &c->in->remote, &c->out->remote, &args);
}

static void copy_next(struct copy_op *c)
{
    if (c->gave_up)
        copy_end(c, errtext_set(op_why(&c->op), ECANCELED, "%s", errtext_errno(ECANCELED)));
    else if (c->done == c->count)
        copy_end(c, 0);
    else if (c->on_brick)
        copy_ask(c);
    else
        copy_through_buffer(c);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* Within one file what counts is what there is to be copied when it begins, as in Linux
 * (read_write.c: generic_copy_file_checks): the copy may make the file longer. */
static void copy_sized(struct op *op)
{
    struct copy_op *c = copy_op_of(op);
    uint64_t size = c->fop.results.iatt.stat.size, there = size > c->from ? size - c->from : 0;
    fop_free_results(&c->fop);
    if (c->fop.error) {
        copy_fail(c);
        return;
    }
    if (there < c->count)
        c->count = there;
    if (c->count && copy_overlaps(c->from, c->to, c->count))
        copy_end(c, errtext_set(op_why(op), EINVAL, "the ranges overlap"));
    else
        copy_next(c);
}

static void copy_ask_size(struct copy_op *c)
{
    gf_fstat_args args = {0};
    memcpy(args.gfid, c->in->inode->gfid, sizeof(args.gfid));
    op_round(&c->op, 1, copy_sized);
    op_post_on(&c->op, &c->fop, &c->in->remote, GF_FOP_FSTAT, &args);
}

static void copy_turn(struct op *part)
{
    struct copy_op *c = part->arg;
    if (c->ended)
        op_finish(part, 0);
    else if (++c->come < 2)
        return;
    else if (c->in->inode == c->out->inode)
        copy_ask_size(c);
    else
        copy_next(c);
}

static void copy_source_start(struct op *part)
{
    const struct copy_op *c = part->arg;
    op_hold(part, &c->in->handle);
    part->step = copy_turn;
    op_take_turn(part, c->in->inode, c->from, c->from + c->count, false);
}

static void copy_target_start(struct op *part)
{
    const struct copy_op *c = part->arg;
    op_hold(part, &c->out->handle);
    part->step = copy_turn;
    op_take_turn(part, c->out->inode, c->to, c->to + c->count, true);
}

void copy_start(struct op *op)
{
    struct copy_op *c = copy_op_of(op);
    op->give_up = copy_give_up;
    op_begin_part(&c->source, op, copy_source_start, copy_part_over);
    op_begin_part(&c->target, op, copy_target_start, copy_part_over);
}

static void copy_settle(struct op *op)
{
    free(copy_op_of(op)->buffer);
}

void copy_init(struct copy_op *c, struct gzc_file *in, uint64_t from, struct gzc_file *out,
               uint64_t to, size_t count)
{
    op_init(&c->op, out->volume);
    op_init(&c->source, in->volume);
    op_init(&c->target, out->volume);
    c->op.context.caller = &out->caller;
    c->op.settle = copy_settle;
    c->in = in;
    c->out = out;
    c->from = from;
    c->to = to;
    c->count = count;
    c->done = 0;
    c->come = c->over = 0;
    c->on_brick = copy_on_brick(c);
    c->gave_up = c->ended = c->transferring = false;
    c->error = 0;
    c->buffer = NULL;
}
