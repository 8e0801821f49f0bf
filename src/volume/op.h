/*
 * Operations and rounds.
 *
 * An operation on the volume is a sequence of rounds. A round posts calls to some bricks; when all
 * have been answered (or have failed, or run out of time) the operation's step function looks at
 * the answers and starts the next round, or finishes the operation:
 *
 *     start --> round: posts n calls --> all over --> step --> round ... --> op_finish --> complete
 *                                                                                            |
 *                                  the caller wakes, or its callback runs  <--- settle <-----+
 *
 * Steps run by the leader, one at a time. Nothing here blocks: op_run() is an operation plus a
 * wait, op_submit() (async.h) one plus a callback.
 */
#ifndef VOLUME_OP_H
#define VOLUME_OP_H

#include "brick/fop.h"
#include "volume/order.h"
#include "volume/volume.h"

/** An operation under way. First member of the structures that hold each kind's state. */
struct op {
    struct volume *volume;
    struct gzc_volume *user;     /* the handle that it was begun with */
    struct fop_context context;  /* its deadline, and whether it is cancelled */
    unsigned pending;            /* calls of this round that are not over */
    void (*step)(struct op *op); /* what follows this round */
    int64_t result;              /* count or 0, or -errno */
    struct errtext *why;         /* of a failure: see op_why() */
    bool finished;
    void (*complete)(struct op *op); /* the operation is over */
    void *arg;                       /* complete()'s */
    /** Hands the results over and frees what the operation holds, when it is complete. Or NULL. */
    void (*settle)(struct op *op);
    struct handle *handle; /* that it is an operation on, or NULL */
    /** Ends it early in its own way, with @p error. NULL: its calls are cancelled. By the leader.
     */
    void (*give_up)(struct op *op, int error);
    struct task cancel;
    /* Only while it waits for its turn among the transfers of its file: */
    struct span span;
    struct timer turn;
};

/** Prepares an operation for the handle @p user. context.deadline is how long it may take, until it
 * is started: the volume's time-out; or CLOCK_NEVER. No lock needed. */
void op_init(struct op *op, struct gzc_volume *user);

/** Where to put the text of a failure; NULL, for which errtext_set() has a sense: no memory. */
struct errtext *op_why(struct op *op);

/** Begins a round of @p calls calls, all of which are posted with op_post() right after this. */
void op_round(struct op *op, unsigned calls, void (*step)(struct op *op));
/** Posts one call of the round. @p arguments are not needed any more when this returns. */
void op_post(struct op *op, struct fop *fop, struct session *s, uint32_t number, void *arguments);
/** The same, on what is open; its fd need not be in the arguments. */
void op_post_on(struct op *op, struct fop *fop, struct remote *remote, uint32_t number,
                void *arguments);

/** The same for COPY_FILE_RANGE. */
void op_post_copy(struct op *op, struct fop *fop, struct remote *source, struct remote *target,
                  gf_copy_file_range_args *arguments);

/** Ends the operation. */
void op_finish(struct op *op, int64_t result);
/** Ends it with the error of @p fop, on @p object (may be NULL). */
void op_fail(struct op *op, struct fop *fop, const char *object);

/** Makes it an operation on a handle, which is not closed before it has finished. */
void op_hold(struct op *op, struct handle *handle);
/** For settle() of an operation that opens a handle: fails it if the volume goes meanwhile. */
void op_settle_handle(struct op *op);
/** Calls op->step when no operation is under way on @p handle any more. */
void op_after(struct op *op, struct handle *handle);

/**
 * Calls op->step when it is the operation's turn among those that read and write @p inode: at once
 * if no earlier write is under way in bytes [start, end), or if the volume does not keep order. If
 * the time-out or a cancel comes first the operation ends with it.
 */
void op_take_turn(struct op *op, struct inode *inode, uint64_t start, uint64_t end, bool write);

/** Ends it early: soon, with -ECANCELED. Any thread. @return 0, -ENOENT (it has finished already),
 *  -EINVAL (context.keep). */
int op_cancel(struct op *op);

/** Starts an operation; its time begins. For op_run() and op_submit(). */
void op_begin(struct op *op, void (*start)(struct op *op));
/** Starts an operation that is a part of @p whole: in its memory, with its deadline and its text.
 *  @p over  it has finished; part->arg is @p whole then. */
void op_begin_part(struct op *part, struct op *whole, void (*start)(struct op *op),
                   void (*over)(struct op *part));

/**
 * Starts an operation and waits for it; a failure's text goes to @p why. Takes the lock itself.
 * @return op->result; or -EDEADLK (in a callback), with the operation settled but never started.
 */
int64_t op_run(struct op *op, void (*start)(struct op *op), struct errtext *why);
/** The same, locked, and never in a callback. */
int64_t op_run_locked(struct op *op, void (*start)(struct op *op), struct errtext *why);
#endif
