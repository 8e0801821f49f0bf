/*
 * Operations with a callback: op_submit() is to them what op_run() is to blocking ones.
 *
 * Each has a place in the volume's pool, by whose index and generation its ticket names it:
 *
 *      ticket:  | generation (31 bits, never 0) | index (32 bits) |
 *
 * Reads and writes live in that place as a whole, so that none of them allocates anything; the pool
 * grows when more are under way than ever before. Others are allocated.
 */
#ifndef VOLUME_ASYNC_H
#define VOLUME_ASYNC_H

#include "volume/io.h"

struct async {
    struct completion completion; /* first */
    struct async *next;           /* in the pool's free list */
    uint32_t index, generation;
    struct volume *volume;
    struct op *op;    /* NULL while it is free */
    struct io io;     /* op may be this */
    struct iovec iov; /* of a transfer with one buffer */
};

/** Makes the pool's first places. @return 0 or -ENOMEM. */
int async_pool_init(struct volume *v);
void async_pool_free(struct volume *v);

/** Takes a place. Takes the lock, and keeps it on success. NULL: no memory. */
struct async *async_begin(struct volume *v);

/**
 * Starts @p op, to be completed as @p how says; sends it, unless more is to come; and drops the
 * lock. If @p op is not a->io, it is free()d in the end.
 */
gzc_ticket async_start(struct async *a, struct op *op, void (*start)(struct op *op),
                       const struct gzc_async *how);

/** For operations that are not a->io: both in one. Without a place the operation is settled, with
 *  -ENOMEM, and freed. */
gzc_ticket op_submit(struct op *op, void (*start)(struct op *op), const struct gzc_async *how);

/** Locked. @return as gzc_cancel(). */
int async_cancel(struct volume *v, gzc_ticket ticket);

#endif
