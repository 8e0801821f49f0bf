/*
 * The order of overlapping transfers of one file. Bricks run the calls of a connection in any
 * order, so keeping an order means not sending.
 *
 *   a write waits for every earlier write that it overlaps and that is not complete;
 *   a read does too; nobody waits for a read.
 *
 * In the list, in the order in which they came, are the writes that are not complete, those that
 * wait too, and the reads that wait. `low` and `high` bound all writes since the list was last
 * empty: what is outside of them, which is the rule, costs two comparisons. What is inside is
 * compared with the writes of the list. Nothing is looked through when nothing waits.
 */
#ifndef VOLUME_ORDER_H
#define VOLUME_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct order;

/** Bytes [start, end) of a file that an operation reads or writes. The operation's memory. */
struct span {
    uint64_t start, end;
    bool write;
    bool waits;
    struct order *order; /* whose list it is in, or NULL */
    struct span *next, *previous;
    void (*go)(struct span *span); /* it need not wait any more */
};

/** The transfers under way on one file. */
struct order {
    struct span *first, *last;
    unsigned waiting; /* of the list */
    uint64_t low, high;
};

void order_init(struct order *o);

/** order_enter() but for a read that is outside of all writes. */
bool order_enter_list(struct order *o, struct span *span);

/**
 * An operation is about to begin; its start, end, write and go are set.
 * @return true: it may; false: it is to wait until go() is called.
 */
static inline bool order_enter(struct order *o, struct span *span)
{
    span->order = NULL;
    if (!span->write && (span->start >= o->high || o->low >= span->end))
        return true;
    return order_enter_list(o, span);
}

/** The operation is over, or waits no longer. Those that waited for it alone go(), by now. */
void order_leave(struct span *span);

#endif
