/*
 * Reading and writing: the hot path.
 *
 * A transfer is cut into segments of at most VOLUME_IO_MAX bytes, each one READ or WRITE call on
 * its own slice of the caller's iovec; up to IO_WINDOW of them are under way at once. Nothing is
 * allocated: a transfer has one segment of its own, and borrows more from the volume while there
 * are any.
 */
#ifndef VOLUME_IO_H
#define VOLUME_IO_H

#include "volume/op.h"

#define IO_WINDOW   4
#define IO_BORROWED 12 /* segments that a volume has for all large transfers together */

struct io;

/** One call. */
struct io_segment {
    struct rpc_call call; /* first */
    struct io *io;
    struct io_segment *next;
    size_t at;               /* in the transfer */
    uint32_t want;           /* bytes */
    struct brick_call brick; /* but for tries and fate: made when it is needed, off the hot path */
    uint8_t head[RPC_HEAD_MAX];
};

struct io {
    struct op op; /* first */
    struct gzc_file *file;
    uint32_t number;         /* GF_FOP_READ or GF_FOP_WRITE */
    const struct iovec *all; /* the transfer's */
    int count;
    struct iov_cursor iov; /* of the next segment */
    size_t total, at;      /* bytes of the transfer; of those that segments were made for */
    uint64_t offset;       /* of the transfer, in the file */
    uint32_t flags;        /* O_DIRECT, O_SYNC, O_DSYNC */
    bool buffered;         /* the memory is a buffer of the library's: counted as staged */
    uint64_t moves;        /* at the position: the file's when it began; else 0 */
    uint64_t end;          /* at the position: the file's size after an append */
    size_t gap;            /* what was moved in order ends here; more than total: nowhere yet */
    int gap_error;         /* and why: 0: the file's end */
    struct io_segment *borrowed;
    struct io_segment own;
};

/** Makes the segments that can be borrowed. @return 0 or -ENOMEM. */
int io_pool_init(struct volume *v);

/** Prepares a transfer of @p total bytes. The iovec and its memory must stay until it is over.
 */
void io_init(struct io *io, struct gzc_file *file, uint32_t number, const struct iovec *iov,
             int iovcnt, size_t total, uint64_t offset);
/** Start of the operation. */
void io_start(struct op *op);
/** The same at the file's position, whatever io->offset, which moves by the whole of it at
 *  once, and back when less was moved. */
void io_start_at_position(struct op *op);
/** Start of a transfer whose turn it is already. */
void io_start_in_turn(struct op *op);

/** Makes the head that all READ and WRITE calls of a file are copies of. */
void io_head_init(struct gzc_file *file);

#endif
