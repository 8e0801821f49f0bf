#include "volume/io.h"

#include "proto/hot.h"
#include "proto/iatt.h"
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
    const struct caller *caller = &file->caller;
    uint8_t *rpc = file->head + TRANSPORT_HEADROOM;
    size_t length = rpc_call_encode(rpc, 0, GF_FOP_PROGRAM, GF_FOP_VERSION, GF_FOP_READ,
                                    caller->credential, caller->length);
    file->head_length = (uint32_t)(TRANSPORT_HEADROOM + length + HOT_IO_ARGS_BYTES);
    file->io_flags = (uint32_t)file->flags & (O_DIRECT | O_SYNC | O_DSYNC);
}

int io_pool_init(struct volume *v)
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
    struct volume *v = io->op.volume;
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
    struct volume *v = io->op.volume;
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

/* For a transfer at the position, which an append moves to the end of the file. */
static int write_decode_end(struct rpc_call *call, const uint8_t *body, size_t length)
{
    struct io *io = ((struct io_segment *)call)->io;
    int rc = write_decode(call, body, length);
    if (rc == 0 && call->op_ret > 0)
        io->end = wire_get64(body + length - IATT_BYTES + HOT_IATT_SIZE_AT);
    return rc;
}

/* As much of the transfer as one call may carry. */
static uint32_t segment_size(const struct io *io, const struct transport *t)
{
    size_t left = io->total - io->at;
    uint32_t most = t->payload < VOLUME_IO_MAX ? t->payload : VOLUME_IO_MAX;
    uint32_t want = left < most ? (uint32_t)left : most;
    return io->iov.count <= t->pieces ? want : (uint32_t)iov_bytes(&io->iov, want, t->pieces);
}

/* Posts a call that is made, on the descriptor as it is now. */
static void segment_send(struct io_segment *seg, struct rpc_conn *conn)
{
    const struct io *io = seg->io;
    const struct gzc_file *file = io->file;
    uint8_t *arguments = seg->head + seg->call.message.head_length - HOT_IO_ARGS_BYTES;
    hot_io_args_encode(arguments, file->inode->gfid, file->remote.fd, io->offset + seg->at,
                       seg->want, io->flags);
    rpc_post(conn, &seg->call);
}

/* Makes a call of the next part of the transfer, and posts it. */
static void segment_post(struct io *io, struct io_segment *seg)
{
    struct gzc_file *file = io->file;
    struct rpc_conn *conn = session_connection(file->remote.session);
    seg->io = io;
    seg->at = io->at;
    seg->want = segment_size(io, conn->transport);
    seg->brick.tries = seg->brick.fate = 0;

    memcpy(seg->head, file->head, file->head_length - HOT_IO_ARGS_BYTES);
    wire_put32(seg->head + PROC_AT, io->number);
    if (io->op.context.utime) {
        io->op.context.noatime |= (file->flags & O_NOATIME) != 0;
        fop_stamp(seg->head + CREDENTIAL_AT, io->number, &io->op.context);
    }
    seg->call.message.head = seg->head;
    seg->call.message.head_length = file->head_length;
    seg->call.message.reply_max = 0;
    seg->call.deadline = io->op.context.deadline;
    seg->call.owner = &io->op;
    seg->call.prompt = true;
    seg->call.buffered = io->buffered;
    seg->call.done = segment_done;
    if (io->number == GF_FOP_WRITE) {
        seg->call.message.payload = io->iov;
        seg->call.message.payload_length = seg->want;
        seg->call.lands = false;
        seg->call.message.land_length = 0;
        seg->call.decode = io->moves ? write_decode_end : write_decode;
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
    segment_send(seg, conn);
}

/* ---- when the connection is lost ------------------------------------------------------------- */

static struct io_segment *segment_of(struct brick_call *brick)
{
    return (struct io_segment *)((char *)brick - offsetof(struct io_segment, brick));
}

static void segment_carry(struct io_segment *seg, void (*go)(struct brick_call *))
{
    struct io *io = seg->io;
    seg->brick.session = io->file->remote.session;
    seg->brick.remote = &io->file->remote;
    seg->brick.rpc = &seg->call;
    seg->brick.context = &io->op.context;
    seg->brick.go = go;
}

/* Lets a segment wait that no part of the transfer has been given to: what a call can carry is
 * known when the session is up. */
static void segment_wait(struct io *io, struct io_segment *seg, void (*go)(struct brick_call *))
{
    seg->io = io;
    seg->at = io->at;
    seg->want = 0;
    seg->brick.tries = seg->brick.fate = 0;
    seg->call.message.payload_length = 0;
    seg->call.done = segment_done;
    segment_carry(seg, go);
    brick_wait(&seg->brick);
}

/* Sending has moved the cursor of what is sent. */
static void segment_repeat(struct brick_call *brick)
{
    struct io_segment *seg = segment_of(brick);
    const struct io *io = seg->io;
    if (io->number == GF_FOP_WRITE) {
        seg->call.message.payload = iov_cursor(io->all, (size_t)io->count);
        iov_advance(&seg->call.message.payload, seg->at);
    }
    segment_send(seg, session_connection(brick->session));
}

/* Appends go one after the other: which comes first decides where each lands. */
static bool appends(const struct io *io)
{
    return io->file->flags & O_APPEND && io->number == GF_FOP_WRITE;
}

/* Whether a call that has an error goes again. */
static bool segment_again(struct io_segment *seg)
{
    if (!seg->call.lost)
        return false;
    segment_carry(seg, segment_repeat);
    return brick_again(&seg->brick, !appends(seg->io));
}

/* ---- the transfer ---------------------------------------------------------------------------- */

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
        session_text(op_why(&io->op), io->file->remote.session, &seg->call, seg->brick.fate,
                     fop_name(io->number), NULL, error);
}

static void segment_resume(struct brick_call *brick);

/* The segment is free: it takes another part, if there is one and it is of use. */
static void segment_next(struct io *io, struct io_segment *seg)
{
    bool more = io->at < io->total && io->gap > io->total;
    if (more && remote_is_open(&io->file->remote))
        segment_post(io, seg);
    else if (more)
        segment_wait(io, seg, segment_resume);
    else if (--io->op.pending == 0)
        io_over(&io->op);
}

static void segment_resume(struct brick_call *brick)
{
    struct io_segment *seg = segment_of(brick);
    segment_next(seg->io, seg);
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
    if (error && segment_again(seg))
        return;
    error = call->error;
    if (!error && call->op_ret < 0)
        error = call->op_errno > 0 && call->op_errno < 4096 ? -call->op_errno : -EIO;
    if (error)
        io_stop(io, seg, 0, error);
    else if ((uint32_t)call->op_ret < seg->want)
        io_stop(io, seg, (size_t)call->op_ret, 0);

    segment_next(io, seg);
}

void io_init(struct io *io, struct gzc_file *file, uint32_t number, const struct iovec *iov,
             int iovcnt, size_t total, uint64_t offset)
{
    op_init(&io->op, file->volume);
    io->file = file;
    io->number = number;
    io->all = iov;
    io->count = iovcnt;
    io->iov = iov_cursor(iov, (size_t)iovcnt);
    io->total = total;
    io->at = 0;
    io->offset = offset;
    io->flags = file->io_flags;
    io->buffered = false;
    io->moves = 0;
    io->gap = SIZE_MAX;
    io->gap_error = 0;
    io->borrowed = NULL;
}

static void io_resume(struct brick_call *brick);

static void io_go(struct op *op)
{
    struct io *io = (struct io *)op;
    unsigned window = appends(io) ? 1 : IO_WINDOW;
    struct io_segment *seg = &io->own;
    if (!remote_is_open(&io->file->remote)) {
        op->pending = 1;
        segment_wait(io, seg, io_resume);
        return;
    }
    for (unsigned n = 0; seg && n < window && io->at < io->total; n++) {
        op->pending++;
        segment_post(io, seg);
        seg = io->at < io->total ? segment_borrow(io) : NULL;
    }
}

/* The segment that has waited for all of them begins anew. */
static void io_resume(struct brick_call *brick)
{
    struct op *op = &segment_of(brick)->io->op;
    op->pending = 0;
    io_go(op);
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

void io_start_in_turn(struct op *op)
{
    op_hold(op, &((struct io *)op)->file->handle);
    io_go(op);
}

/* ---- at the position ------------------------------------------------------------------------- */

static void position_settle(struct op *op)
{
    const struct io *io = (const struct io *)op;
    struct gzc_file *file = io->file;
    uint64_t moved = op->result > 0 ? (uint64_t)op->result : 0;
    if (io->moves != file->moves)
        return;
    file->position = io->offset + moved;
    if (appends(io) && moved && io->end <= INT64_MAX)
        file->position = io->end;
}

void io_start_at_position(struct op *op)
{
    struct io *io = (struct io *)op;
    struct gzc_file *file = io->file;
    if (io->total > INT64_MAX - file->position) {
        op_finish(op, errtext_set(op_why(op), EINVAL, "beyond the largest offset"));
        return;
    }
    io->offset = file->position;
    file->position += io->total;
    io->moves = ++file->moves;
    op->settle = position_settle;
    io_start(op);
}
