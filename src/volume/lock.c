#include "volume/lock.h"

#include "proto/dict.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* How long a lock is withdrawn at most, and how often that is tried. */
#define WITHDRAW_LIMIT (5 * NSEC_PER_SEC)
#define WITHDRAW_AGAIN (NSEC_PER_SEC / 20)

static struct lock_op *lock_op_of(struct op *op)
{
    return (struct lock_op *)op;
}

static uint32_t wire_type(int type)
{
    return type == F_RDLCK ? GF_LK_RDLCK : type == F_WRLCK ? GF_LK_WRLCK : GF_LK_UNLCK;
}

/* ---- the range ------------------------------------------------------------------------------- */

/* Makes the range absolute, as Linux does (locks.c: flock64_to_posix_lock). @return 0 or -errno. */
static int lock_range(struct lock_op *l, int64_t base)
{
    const struct flock *lock = l->lock;
    int64_t start, length = lock->l_len;
    if (__builtin_add_overflow(base, (int64_t)lock->l_start, &start))
        return -EOVERFLOW;
    if (length < 0 && start >= 0) {
        start += length;
        length = -length;
    }
    if (start < 0)
        return -EINVAL;
    if (length > 0 && length - 1 > INT64_MAX - start)
        return -EOVERFLOW;
    if (length > 0 && length - 1 == INT64_MAX - start)
        length = 0; /* the brick has no other word for it (posix.c: pl_lk) */
    l->range = (struct flock){
        .l_type = lock->l_type,
        .l_whence = SEEK_SET,
        .l_start = start,
        .l_len = length,
    };
    return 0;
}

/* ---- the call -------------------------------------------------------------------------------- */

static void lock_over(struct lock_op *l, int error);

/* Posts LK for the range. @param type  l_type */
static int lock_post(struct lock_op *l, struct fop *fop, int type,
                     const struct fop_context *context, void (*done)(struct fop *))
{
    struct gzc_file *file = l->file.file;
    size_t length;
    const uint8_t *owner = caller_owner(&l->caller, &length);
    gf_lk_args args = {
        .cmd = l->cmd == F_GETLK    ? GF_LK_GETLK
               : l->cmd == F_SETLKW ? GF_LK_SETLKW
                                    : GF_LK_SETLK,
        .type = wire_type(type),
        .flock =
            {
                .type = wire_type(type),
                .whence = SEEK_SET,
                .start = (uint64_t)l->range.l_start,
                .len = (uint64_t)l->range.l_len,
                .pid = caller_pid(&l->caller),
                .lk_owner = {(u_int)length, (char *)owner},
            },
    };
    int rc = l->mandatory ? dict_set_uint(&args.xdata, "glusterfs.lk.lkmode", 1) : 0;
    if (rc < 0)
        return rc;
    memcpy(args.gfid, file->inode->gfid, sizeof(args.gfid));
    l->changes = file->remote.lock_changes;
    fop->arg = l;
    fop_post(file->remote.session, &file->remote, fop, GF_FOP_LK, &args, context, done);
    dict_free(&args.xdata);
    return 0;
}

/* Takes in that LK has succeeded: whether there are locks on the descriptor. What unlocks is told
 * whether there are others (posix.c: pl_lk). */
static void lock_note(struct lock_op *l, int type, const gf_lk_res *res)
{
    struct remote *r = &l->file.file->remote;
    if (type != F_UNLCK) {
        r->locked = true;
        r->lock_changes++;
    } else if (res->flock.type == GF_LK_UNLCK && l->changes == r->lock_changes) {
        r->locked = false;
    }
}

/* What F_GETLK is answered with. */
static int lock_describe(struct flock *lock, const gf_flock *flock)
{
    if (flock->type == GF_LK_UNLCK) {
        lock->l_type = F_UNLCK;
        return 0;
    }
    if (flock->start > INT64_MAX || flock->len > INT64_MAX)
        return -EPROTO;
    *lock = (struct flock){
        .l_type = flock->type == GF_LK_RDLCK ? F_RDLCK : F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = (off_t)flock->start,
        .l_len = (off_t)flock->len,
        .l_pid = (pid_t)flock->pid,
    };
    return 0;
}

/* ---- giving up ------------------------------------------------------------------------------- */

static void withdrawn(struct fop *fop);

/* Asks the brick to take the call out of its queue (clear.c: clrlk_clear_posixlk), which it knows
 * by the client, the process and the range; the call is then answered with EINTR. */
static void lock_withdraw(struct lock_op *l)
{
    struct gzc_file *file = l->file.file;
    char name[GF_NAME_MAX + 1];
    gf_fgetxattr_args args = {.name = name};
    snprintf(name, sizeof(name), "glusterfs.intrlk.tposix.kblocked.%d,%lld-%lld", SEEK_SET,
             (long long)l->range.l_start, (long long)l->range.l_len);
    args.namelen = (u_int)strlen(name);
    memcpy(args.gfid, file->inode->gfid, sizeof(args.gfid));
    l->withdrawing = true;
    l->withdraw.arg = l;
    fop_post(file->remote.session, &file->remote, &l->withdraw, GF_FOP_FGETXATTR, &args, &l->own,
             withdrawn);
}

/* It may have come before the call that it is to end, or the brick may not know it. */
static void withdrawn(struct fop *fop)
{
    struct lock_op *l = fop->arg;
    fop_free_results(fop);
    l->withdrawing = false;
    if (l->asking)
        timer_set(&l->file.op.volume->engine, &l->timer, clock_now() + WITHDRAW_AGAIN);
    else
        lock_over(l, 0);
}

static void lock_undone(struct fop *fop)
{
    struct lock_op *l = fop->arg;
    if (!fop->error)
        lock_note(l, F_UNLCK, &fop->results.lk);
    fop_free_results(fop);
    l->withdrawing = false;
    lock_over(l, 0);
}

/* It was granted too late. */
static void lock_undo(struct lock_op *l)
{
    l->cmd = F_SETLK;
    l->granted = false;
    l->withdrawing = true;
    if (lock_post(l, &l->withdraw, F_UNLCK, &l->own, lock_undone) < 0) {
        l->withdrawing = false; /* no memory: it stays, until it is unlocked */
        lock_over(l, 0);
    }
}

static void lock_give_up(struct op *op, int error)
{
    struct lock_op *l = lock_op_of(op);
    struct session *s = l->file.file->remote.session;
    if (l->gave_up)
        return;
    l->gave_up = error;
    l->own.once = true; /* if the connection breaks there is nothing to withdraw any more */
    l->limit = clock_now() + WITHDRAW_LIMIT;
    timer_set(&op->volume->engine, &l->timer, l->limit);
    if (!l->file.fop.call.rpc.posted)
        brick_cancel(s, &l->own); /* it waits for the brick */
    else if (l->cmd == F_SETLKW)
        lock_withdraw(l);
}

static void lock_timer(struct timer *timer)
{
    struct lock_op *l = (struct lock_op *)((char *)timer - offsetof(struct lock_op, timer));
    if (!l->gave_up) {
        lock_give_up(&l->file.op, -ETIMEDOUT);
    } else if (clock_now() >= l->limit) {
        l->file.file->remote.locked = true; /* for all that is known */
        rpc_cancel(&l->file.op.volume->engine, &l->own);
        brick_cancel(l->file.file->remote.session, &l->own);
    } else {
        timer_set(&l->file.op.volume->engine, &l->timer, l->limit);
        lock_withdraw(l);
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void lock_finish(struct op *op, int error)
{
    op_finish(op, errtext_set(op_why(op), error, "lock: %s", errtext_errno(error)));
}

/* Nothing is under way any more. */
static void lock_over(struct lock_op *l, int error)
{
    struct op *op = &l->file.op;
    if (l->asking || l->withdrawing)
        return;
    if (l->gave_up && l->granted) {
        lock_undo(l);
        return;
    }
    timer_remove(&op->volume->engine, &l->timer);
    if (l->gave_up)
        lock_finish(op, l->gave_up);
    else if (error)
        op_fail(op, &l->file.fop, NULL);
    else
        op_finish(op, 0);
}

static void lock_ask(struct lock_op *l);

static void lock_answered(struct fop *fop)
{
    struct lock_op *l = fop->arg;
    int error = fop->error;
    l->asking = false;
    l->granted = !error;
    if (!error)
        lock_note(l, l->range.l_type, &fop->results.lk);
    fop_free_results(fop);
    if (!l->gave_up && error == -EINTR)
        lock_ask(l); /* another call of this process for the same range was withdrawn */
    else
        lock_over(l, error);
}

static void lock_ask(struct lock_op *l)
{
    int rc = lock_post(l, &l->file.fop, l->range.l_type, &l->own, lock_answered);
    l->asking = rc == 0;
    if (rc < 0) {
        timer_remove(&l->file.op.volume->engine, &l->timer);
        lock_finish(&l->file.op, rc);
    }
}

static void lock_begin(struct op *op)
{
    struct lock_op *l = lock_op_of(op);
    l->own = op->context;
    l->own.owner = &l->own;
    l->own.deadline = CLOCK_NEVER;
    op->give_up = lock_give_up;
    timer_set(&op->volume->engine, &l->timer, op->context.deadline);
    lock_ask(l);
}

/* F_GETLK and what unlocks: nothing is to be given back. */
static void lock_told(struct op *op)
{
    struct lock_op *l = lock_op_of(op);
    struct fop *fop = &l->file.fop;
    int error = fop->error;
    if (!error && l->cmd == F_GETLK)
        error = lock_describe(l->lock, &fop->results.lk.flock);
    else if (!error)
        lock_note(l, F_UNLCK, &fop->results.lk);
    fop_free_results(fop);
    if (fop->error)
        op_fail(op, fop, NULL);
    else if (error)
        lock_finish(op, error);
    else
        op_finish(op, 0);
}

static void lock_told_done(struct fop *fop)
{
    struct lock_op *l = fop->arg;
    lock_told(&l->file.op);
}

/* @param base  of l_start */
static void lock_from(struct op *op, uint64_t base)
{
    struct lock_op *l = lock_op_of(op);
    int rc = base > INT64_MAX ? -EPROTO : lock_range(l, (int64_t)base);
    if (rc == 0 && l->cmd != F_GETLK && l->range.l_type != F_UNLCK) {
        lock_begin(op);
        return;
    }
    if (rc == 0)
        rc = lock_post(l, &l->file.fop, l->range.l_type, &op->context, lock_told_done);
    if (rc < 0)
        lock_finish(op, rc);
}

static void lock_from_end(struct op *op)
{
    struct lock_op *l = lock_op_of(op);
    uint64_t size = l->file.fop.results.iatt.stat.size;
    fop_free_results(&l->file.fop);
    if (l->file.fop.error)
        op_fail(op, &l->file.fop, NULL);
    else
        lock_from(op, size);
}

static void lock_ask_size(struct op *op)
{
    file_post_fstat(op, lock_from_end);
}

void lock_init(struct lock_op *l, struct gzc_file *file, int cmd, struct flock *lock,
               bool mandatory)
{
    file_op_init(&l->file, file);
    if (cmd == F_SETLKW)
        l->file.op.context.deadline = CLOCK_NEVER;
    l->cmd = cmd;
    l->lock = lock;
    l->mandatory = mandatory;
    l->gave_up = 0;
    l->asking = l->granted = l->withdrawing = false;
    l->timer = (struct timer){.at = CLOCK_NEVER, .fire = lock_timer};
}

void lock_start(struct op *op)
{
    struct lock_op *l = lock_op_of(op);
    struct gzc_file *file = l->file.file;
    l->caller = file->caller;
    op->context.caller = &l->caller;
    if (l->lock->l_whence == SEEK_END) {
        file_take_turn(op, 0, UINT64_MAX, false, lock_ask_size);
        return;
    }
    op_hold(op, &file->handle);
    lock_from(op, l->lock->l_whence == SEEK_CUR ? file->position : 0);
}
