/*
 * Operations and rounds.
 *
 * An operation on the volume is a sequence of rounds. A round posts calls to some bricks; when all
 * have been answered (or have failed, or run out of time) the operation's step function looks at
 * the answers and starts the next round, or finishes the operation:
 *
 *     start --> round: posts n calls --> all over --> step --> round ... --> op_finish --> complete
 *
 * Steps run by the leader, without the lock, one at a time; so an operation's state needs no lock
 * of its own. Nothing here blocks: op_run() is an operation plus a wait.
 */
#ifndef VOLUME_OP_H
#define VOLUME_OP_H

#include "brick/fop.h"
#include "volume/volume.h"

/** An operation under way. First member of the structures that hold each kind's state. */
struct op {
    struct gzc_volume *volume;
    struct fop_context context;  /* its deadline */
    unsigned pending;            /* calls of this round that are not over */
    void (*step)(struct op *op); /* what follows this round */
    int64_t result;              /* count or 0, or -errno with text in `why` */
    struct errtext why;
    void (*complete)(struct op *op); /* the operation is over; may free it */
    struct waiter waiter;
};

/** Prepares an operation on @p v, with the volume's time-out. */
void op_init(struct op *op, struct gzc_volume *v);

/** Begins a round of @p calls calls, all of which are posted with op_post() right after this. */
void op_round(struct op *op, unsigned calls, void (*step)(struct op *op));
/** Posts one call of the round. @p arguments are not needed any more when this returns. */
void op_post(struct op *op, struct fop *fop, struct session *s, uint32_t number, void *arguments);

/** Ends the operation. */
void op_finish(struct op *op, int64_t result);
/** Ends it with the error of @p fop, on @p object (may be NULL). */
void op_fail(struct op *op, struct fop *fop, const char *object);

/**
 * Starts an operation and waits for it; a failure's text goes to @p why (under the lock).
 * @return op->result.
 */
int64_t op_run(struct op *op, void (*start)(struct op *op), struct errtext *why);
#endif
