#include "volume/op.h"

#include <errno.h>

void op_init(struct op *op, struct gzc_volume *v)
{
    op->volume = v;
    op->context.deadline = volume_deadline(v);
    op->context.utime = v->topology.utime;
    op->context.noatime = v->topology.noatime;
    op->pending = 0;
    op->result = 0;
    op->why.text[0] = '\0';
}

void op_round(struct op *op, unsigned calls, void (*step)(struct op *op))
{
    op->pending = calls;
    op->step = step;
}

static void post_done(struct fop *fop)
{
    struct op *op = fop->arg;
    if (--op->pending == 0)
        op->step(op);
}

void op_post(struct op *op, struct fop *fop, struct session *s, uint32_t number, void *arguments)
{
    fop->arg = op;
    fop_post(s, fop, number, arguments, &op->context, post_done);
}

void op_finish(struct op *op, int64_t result)
{
    op->result = result;
    op->complete(op);
}

void op_fail(struct op *op, struct fop *fop, const char *object)
{
    session_text(&op->why, fop->session, &fop->call.rpc, fop_name(fop->number), object, fop->error);
    op_finish(op, fop->error);
}

static void run_complete(struct op *op)
{
    waiter_wake(&op->volume->engine, &op->waiter);
}

int64_t op_run(struct op *op, void (*start)(struct op *op), struct errtext *why)
{
    struct engine *e = &op->volume->engine;
    waiter_init(&op->waiter);
    op->complete = run_complete;
    start(op);
    engine_wait(e, &op->waiter);
    if (op->result < 0)
        volume_fail(op->volume, why, (int)op->result, op->why.text);
    return op->result;
}
