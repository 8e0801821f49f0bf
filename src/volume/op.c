#include "volume/op.h"

#include "volume/inode.h"

#include <errno.h>
#include <stdlib.h>

void op_init(struct op *op, struct gzc_volume *user)
{
    struct volume *v = user->shared;
    op->volume = v;
    op->user = user;
    op->context = v->context;
    op->context.caller = &user->caller;
    op->context.owner = op;
    op->pending = 0;
    op->result = 0;
    op->why = NULL;
    op->finished = false;
    op->settle = NULL;
    op->handle = NULL;
    op->give_up = NULL;
    op->span.order = NULL;
}

struct errtext *op_why(struct op *op)
{
    if (!op->why)
        op->why = calloc(1, sizeof(*op->why));
    return op->why;
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
    fop_post(s, NULL, fop, number, arguments, &op->context, post_done);
}

void op_post_on(struct op *op, struct fop *fop, struct remote *remote, uint32_t number,
                void *arguments)
{
    fop->arg = op;
    fop_post(remote->session, remote, fop, number, arguments, &op->context, post_done);
}

void op_post_copy(struct op *op, struct fop *fop, struct remote *source, struct remote *target,
                  gf_copy_file_range_args *arguments)
{
    fop->arg = op;
    fop_post_copy(source, target, fop, arguments, &op->context, post_done);
}

void op_finish(struct op *op, int64_t result)
{
    struct handle *h = op->handle;
    op->result = result;
    op->finished = true;
    if (op->span.order)
        order_leave(&op->span);
    if (h && --h->busy == 0 && h->closing)
        h->closing->step(h->closing);
    op->complete(op);
}

void op_fail(struct op *op, struct fop *fop, const char *object)
{
    session_text(op_why(op), fop->brick.session, &fop->call.rpc, fop->brick.fate,
                 fop_name(fop->number), object, fop->error);
    op_finish(op, fop->error);
}

/* ---- handles --------------------------------------------------------------------------------- */

void op_hold(struct op *op, struct handle *handle)
{
    op->handle = handle;
    handle->busy++;
}

void op_settle_handle(struct op *op)
{
    if (op->result >= 0 && (op->user->gone || op->volume->engine.stop))
        op->result = errtext_set(op_why(op), ESHUTDOWN, "the volume is being unmounted");
}

void op_after(struct op *op, struct handle *handle)
{
    if (handle->busy)
        handle->closing = op;
    else
        op->step(op);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static struct op *op_of_span(struct span *span)
{
    return (struct op *)((char *)span - offsetof(struct op, span));
}

static void turn_come(struct span *span)
{
    struct op *op = op_of_span(span);
    timer_remove(&op->volume->engine, &op->turn);
    op->step(op);
}

static void turn_give_up(struct op *op, int error)
{
    timer_remove(&op->volume->engine, &op->turn);
    errtext_set(op_why(op), error, "waiting for an earlier write to the same bytes: %s",
                errtext_errno(error));
    op_finish(op, error);
}

static void turn_late(struct timer *timer)
{
    turn_give_up((struct op *)((char *)timer - offsetof(struct op, turn)), -ETIMEDOUT);
}

void op_take_turn(struct op *op, struct inode *inode, uint64_t start, uint64_t end, bool write)
{
    op->span.start = start;
    op->span.end = end;
    op->span.write = write;
    op->span.go = turn_come;
    if (op->volume->uri.ordered && !order_enter(&inode->order, &op->span)) {
        op->turn = (struct timer){.fire = turn_late};
        timer_set(&op->volume->engine, &op->turn, op->context.deadline);
        return;
    }
    op->step(op);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

/* The task comes before the operation's memory goes: what has finished is released by completions,
 * which come after tasks. */
static void cancel_run(struct task *task)
{
    struct op *op = (struct op *)((char *)task - offsetof(struct op, cancel));
    struct volume *v = op->volume;
    if (op->finished)
        return;
    if (op->span.order && op->span.waits) {
        turn_give_up(op, -ECANCELED);
        return;
    }
    if (op->give_up) {
        op->give_up(op, -ECANCELED);
        return;
    }
    rpc_cancel(&v->engine, op);
    for (size_t i = 0; i < v->topology.nbricks; i++)
        brick_cancel(v->sessions[i], op);
}

int op_cancel(struct op *op)
{
    if (op->finished)
        return -ENOENT;
    if (op->context.keep)
        return -EINVAL;
    if (!op->context.cancelled) {
        op->context.cancelled = true;
        op->cancel.run = cancel_run;
        engine_defer(&op->volume->engine, &op->cancel);
    }
    return 0;
}

void op_begin(struct op *op, void (*start)(struct op *op))
{
    struct engine *e = &op->volume->engine;
    e->now = clock_coarse();
    if (op->context.deadline != CLOCK_NEVER)
        op->context.deadline += e->now;
    start(op);
}

void op_begin_part(struct op *part, struct op *whole, void (*start)(struct op *op),
                   void (*over)(struct op *part))
{
    part->context.deadline = whole->context.deadline;
    part->why = op_why(whole);
    part->complete = over;
    part->arg = whole;
    start(part);
}

/* ---- blocking -------------------------------------------------------------------------------- */

static void run_complete(struct op *op)
{
    waiter_wake(&op->volume->engine, op->arg);
}

static inline int64_t run(struct op *op, void (*start)(struct op *op), struct errtext *why)
{
    struct volume *v = op->volume;
    struct engine *e = &v->engine;
    struct errtext text;
    struct waiter waiter;
    text.text[0] = '\0';
    waiter_init(&waiter);
    op->why = &text;
    op->complete = run_complete;
    op->arg = &waiter;
    op->user->blocked++;
    op_begin(op, start);
    engine_flush(e);
    engine_wait(e, &waiter);
    op->user->blocked--;
    int64_t result = op->result;
    if (result < 0)
        *why = text;
    if (op->settle)
        op->settle(op);
    return result;
}

int64_t op_run_locked(struct op *op, void (*start)(struct op *op), struct errtext *why)
{
    return run(op, start, why);
}

int64_t op_run(struct op *op, void (*start)(struct op *op), struct errtext *why)
{
    struct engine *e = &op->volume->engine;
    op->result = volume_refuse_blocking(op->user, why);
    engine_lock(e);
    if (op->result == 0)
        run(op, start, why);
    else if (op->settle)
        op->settle(op);
    engine_unlock(e);
    return op->result;
}
