#include "volume/io.h"

#include "proto/hot.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Where things are in a call's head. */
#define PROC_AT       (TRANSPORT_HEADROOM + 20)
#define CREDENTIAL_AT (TRANSPORT_HEADROOM + 24)

void io_head_init(struct gzc_file *file)
{
    const struct identity *identity = &file->volume->identity;
    uint8_t *rpc = file->head + TRANSPORT_HEADROOM;
    size_t length = rpc_call_encode(rpc, 0, GF_FOP_PROGRAM, GF_FOP_VERSION, GF_FOP_READ,
                                    identity->credential, identity->credential_length);
    file->head_length = (uint32_t)(TRANSPORT_HEADROOM + length + HOT_IO_ARGS_BYTES);
    file->io_flags = (uint32_t)file->flags & (O_DIRECT | O_SYNC | O_DSYNC);
}

int io_pool_init(struct gzc_volume *v)
{
    v->segment_memory = calloc(IO_BORROWED, sizeof(struct io_segment));
    if (!v->segment_memory)
        return -ENOMEM;
    for (unsigned i = 0; i < IO_BORROWED; i++) {
        v->segment_memory[i].next = v->segments;
        v->segments = &v->segment_memory[i];
    }
    return 0;
}

static struct io_segment *segment_borrow(struct io *io)
{
    struct gzc_volume *v = io->op.volume;
    struct io_segment *seg = v->segments;
    if (seg) {
        v->segments = seg->next;
        seg->next = io->borrowed;
        io->borrowed = seg;
    }
    return seg;
}

static void segments_return(struct io *io)
{
    struct gzc_volume *v = io->op.volume;
    while (io->borrowed) {
        struct io_segment *seg = io->borrowed;
        io->borrowed = seg->next;
        seg->next = v->segments;
        v->segments = seg;
    }
}

static void segment_done(struct rpc_call *call);

static int write_decode(struct rpc_call *call, const uint8_t *body, size_t length)
{
    struct hot_write_reply reply;
    int rc = hot_write_reply_decode(body, length, &reply);
    if (rc < 0)
        return rc;
    if (reply.op_ret > 0 && (uint32_t)reply.op_ret > call->message.payload_length)
        return -EPROTO;
    call->op_ret = reply.op_ret;
    call->op_errno = reply.op_errno;
    return 0;
}

/* As much of the transfer as one call may carry. */
static uint32_t segment_size(const struct io *io, const struct transport *t)
{
    size_t left = io->total - io->at;
    uint32_t most = t->payload < VOLUME_IO_MAX ? t->payload : VOLUME_IO_MAX;
    uint32_t want = left < most ? (uint32_t)left : most;
    return io->iov.count <= t->pieces ? want : (uint32_t)iov_bytes(&io->iov, want, t->pieces);
}

/* Makes a call of the next part of the transfer, and posts it. */
static void segment_post(struct io *io, struct io_segment *seg)
{
    struct gzc_file *file = io->file;
    struct rpc_conn *conn = session_connection(file->session);
    seg->io = io;
    seg->at = io->at;
    seg->want = segment_size(io, conn->transport);

    memcpy(seg->head, file->head, file->head_length - HOT_IO_ARGS_BYTES);
    wire_put32(seg->head + PROC_AT, io->number);
    hot_io_args_encode(seg->head + file->head_length - HOT_IO_ARGS_BYTES, file->inode->gfid,
                       file->fd, io->offset + seg->at, seg->want, file->io_flags);
    if (io->op.context.utime)
        fop_stamp(seg->head + CREDENTIAL_AT, io->number, &io->op.context);
    seg->call.message.head = seg->head;
    seg->call.message.head_length = file->head_length;
    seg->call.deadline = io->op.context.deadline;
    seg->call.owner = &io->op;
    seg->call.prompt = true;
    seg->call.done = segment_done;
    if (io->number == GF_FOP_WRITE) {
        seg->call.message.payload = io->iov;
        seg->call.message.payload_length = seg->want;
        seg->call.lands = false;
        seg->call.message.land_length = 0;
        seg->call.decode = write_decode;
    } else {
        seg->call.message.payload_length = 0;
        seg->call.message.payload = (struct iov_cursor){0};
        seg->call.lands = true;
        seg->call.message.land = io->iov;
        seg->call.message.land_length = seg->want;
    }
    io->at += seg->want;
    if (io->at < io->total)
        iov_advance(&io->iov, seg->want);
    rpc_post(conn, &seg->call);
}

static void io_over(struct op *op)
{
    struct io *io = (struct io *)op;
    segments_return(io);
    if (io->gap > io->total)
        op_finish(op, (int64_t)io->total);
    else if (io->gap > 0 || io->gap_error == 0)
        op_finish(op, (int64_t)io->gap);
    else
        op_finish(op, io->gap_error);
}

/* The segment moved `got` bytes, fewer than it should: what comes behind them does not count. */
static void io_stop(struct io *io, struct io_segment *seg, size_t got, int error)
{
    size_t gap = seg->at + got;
    if (gap >= io->gap)
        return;
    io->gap = gap;
    io->gap_error = error;
    if (error)
        session_text(op_why(&io->op), io->file->session, &seg->call, fop_name(io->number), NULL,
                     error);
}

static void segment_done(struct rpc_call *call)
{
    struct io_segment *seg = (struct io_segment *)call;
    struct io *io = seg->io;
    struct io_counters *counters = &io->file->io;
    counter_add(&counters->landed, call->landed);
    counter_add(&counters->staged, call->staged);
    counter_add(&counters->calls, 1);

    int error = call->error;
    if (!error && call->op_ret < 0)
        error = call->op_errno > 0 && call->op_errno < 4096 ? -call->op_errno : -EIO;
    if (error)
        io_stop(io, seg, 0, error);
    else if ((uint32_t)call->op_ret < seg->want)
        io_stop(io, seg, (size_t)call->op_ret, 0);

    if (io->at < io->total && io->gap > io->total)
        segment_post(io, seg);
    else if (--io->op.pending == 0)
        io_over(&io->op);
}

void io_init(struct io *io, struct gzc_file *file, uint32_t number, const struct iovec *iov,
             int iovcnt, size_t total, uint64_t offset)
{
    op_init(&io->op, file->volume);
    io->file = file;
    io->number = number;
    io->iov = iov_cursor(iov, (size_t)iovcnt);
    io->total = total;
    io->at = 0;
    io->offset = offset;
    io->gap = SIZE_MAX;
    io->gap_error = 0;
    io->borrowed = NULL;
}

/* Appends go one after the other: which comes first decides where each lands. */
static bool appends(const struct io *io)
{
    return io->file->flags & O_APPEND && io->number == GF_FOP_WRITE;
}

static void io_go(struct op *op)
{
    struct io *io = (struct io *)op;
    unsigned window = appends(io) ? 1 : IO_WINDOW;
    struct io_segment *seg = &io->own;
    for (unsigned n = 0; seg && n < window && io->at < io->total; n++) {
        op->pending++;
        segment_post(io, seg);
        seg = io->at < io->total ? segment_borrow(io) : NULL;
    }
}

void io_start(struct op *op)
{
    struct io *io = (struct io *)op;
    bool write = io->number == GF_FOP_WRITE, all = appends(io);
    op_hold(op, &io->file->handle);
    if (io->total == 0) {
        op_finish(op, 0);
        return;
    }
    op->step = io_go;
    op_take_turn(op, io->file->inode, all ? 0 : io->offset,
                 all ? UINT64_MAX : io->offset + io->total, write);
}
