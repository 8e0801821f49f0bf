/*
 * client_floor.c - the floor: the smallest loop of sendmsg and recvmsg that moves the same bytes
 * with the same requests as a client library has to.
 *
 * What it does: one TCP connection for each opened file, SETVOLUME, LOOKUP, OPEN or CREATE; then
 * READ and WRITE calls, whose heads are encoded once and get their offset and size written in.
 * Payload lands in the request's memory and leaves from it. A call's xid is the index of its slot.
 *
 * What it does not do: deadlines, cancelling, reconnecting, pings, locks, several fragments, calls
 * from the server, short writes, dictionaries in replies. It trusts the server, but for what it
 * cannot help looking at: whatever is not as expected ends the program.
 *
 * Receiving. READ's reply is 200 bytes and the payload, WRITE's 344 bytes:
 *  - with one call outstanding, one recvmsg takes the head and the payload;
 *  - with more, one recvmsg takes what is left of a payload and the next reply's head;
 *  - with WRITEs alone, one recvmsg takes all the replies there are.
 * Requests that load_complete() submits meanwhile are collected, and go out with one sendmsg when
 * no more replies are waiting, or a quarter of the depth has come together: with more the server
 * runs dry, with fewer the system calls take over.
 *
 * Blocking, plain recvmsg was as fast as MSG_WAITALL for 1 MiB; SO_RCVLOWAT saves wake-ups, but a
 * reply's tail that is shorter wakes nobody.
 */
#include "client.h"

#include "floor.h"
#include "proto/fop.h"
#include "proto/hot.h"
#include "proto/iatt.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_HEAD  (RPC_MARK_BYTES + RPC_REPLY_BYTES + HOT_READ_FIXED)
#define WRITE_HEAD (RPC_MARK_BYTES + RPC_REPLY_BYTES + 8 + DICT_HEADER_BYTES + 2 * IATT_BYTES)
#define BATCH_MAX  16
#define IN_BYTES   16384

/* Where things are in a reply, from its record mark on. */
enum { AT_XID = 4, AT_STATUS = 24, AT_OP_RET = 28, AT_OP_ERRNO = 32 };
/* In READ's and WRITE's arguments. */
enum { AT_OFFSET = 24, AT_SIZE = 32 };

struct slot {
    struct request *request; /* NULL: free */
    uint8_t head[2][FLOOR_HEAD_MAX];
};

struct client_file {
    struct floor_connection connection;
    int socket;
    size_t head, args; /* length of a call's head; where the arguments begin in it */
    unsigned depth;
    struct slot *slots;
    unsigned *idle, n_idle; /* indices of free slots */

    /* sending: out[first..end) */
    struct iovec *out;
    unsigned first, end, collected;
    unsigned batch; /* as many are not held back any longer */
    bool driving;

    /* receiving */
    unsigned outstanding, most, reads; /* most: outstanding at a time, so far */
    size_t have;                       /* bytes of heads in `in` */
    struct slot *latest;               /* the slot that was taken last */
    struct slot *arriving;             /* the READ whose payload arrives */
    size_t got, payload;               /* of it */
    uint8_t in[IN_BYTES];
};

const char client_name[] = "floor";

static struct floor_target target;
static bool spinning;
static unsigned depth_of_all;

int client_mount(const char *where, int spin, unsigned depth)
{
    spinning = spin;
    depth_of_all = depth;
    return floor_target(where, &target);
}

static void file_prepare(struct client_file *f)
{
    f->socket = f->connection.socket;
    f->depth = depth_of_all;
    f->slots = calloc(f->depth, sizeof(*f->slots));
    f->idle = calloc(f->depth, sizeof(*f->idle));
    f->out = calloc(f->depth + 1, 4 * sizeof(*f->out));
    if (!f->slots || !f->idle || !f->out)
        floor_die("calloc", ENOMEM);
    for (unsigned i = 0; i < f->depth; i++) {
        f->head = floor_head(&f->connection, GF_FOP_READ, i, f->slots[i].head[false]);
        floor_head(&f->connection, GF_FOP_WRITE, i, f->slots[i].head[true]);
        f->idle[f->n_idle++] = f->depth - 1 - i;
    }
    f->args = f->head - HOT_IO_ARGS_BYTES;
}

static void file_free(struct client_file *f)
{
    free(f->slots);
    free(f->idle);
    free(f->out);
    free(f);
}

int client_open(const char *path, bool write, struct client_file **file)
{
    struct client_file *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    int rc = floor_open(&target, path, write, &f->connection);
    if (rc) {
        file_free(f);
        return rc;
    }
    file_prepare(f);
    *file = f;
    return 0;
}

int client_close(struct client_file *f)
{
    int rc = floor_close(&f->connection);
    file_free(f);
    return rc;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* A slot for the request, its call's head ready. */
static struct slot *slot_take(struct client_file *f, struct request *request)
{
    struct slot *slot = &f->slots[f->idle[--f->n_idle]];
    uint8_t *head = slot->head[request->write];
    uint32_t size = (uint32_t)request->length;
    f->latest = slot;
    slot->request = request;
    wire_put64(head + f->args + AT_OFFSET, (uint64_t)request->offset);
    wire_put32(head + f->args + AT_SIZE, size);
    if (request->write)
        wire_put32(head, RPC_LAST_FRAGMENT | ((uint32_t)f->head - RPC_MARK_BYTES + size));
    else
        f->reads++;
    if (++f->outstanding > f->most) {
        f->most = f->outstanding;
        f->batch = f->most < 4 ? 1 : f->most / 4 < BATCH_MAX ? f->most / 4 : BATCH_MAX;
    }
    return slot;
}

static void queue(struct client_file *f, struct request *request)
{
    struct slot *slot = slot_take(f, request);
    if (f->end > 2 * f->depth) { /* what is sent makes room: no more than that is ever unsent */
        f->end -= f->first;
        memmove(f->out, f->out + f->first, f->end * sizeof(*f->out));
        f->first = 0;
    }
    f->out[f->end++] = (struct iovec){slot->head[request->write], f->head};
    if (request->write)
        f->out[f->end++] = (struct iovec){request->buffer, request->length};
    f->collected++;
}

/* Sends what was collected, or when spinning what the socket takes of it. */
static void send_out(struct client_file *f)
{
    while (f->first < f->end) {
        struct msghdr message = {
            .msg_iov = f->out + f->first,
            .msg_iovlen = f->end - f->first,
        };
        ssize_t n = sendmsg(f->socket, &message, MSG_NOSIGNAL | (spinning ? MSG_DONTWAIT : 0));
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            floor_die("sendmsg", errno);
        size_t left = (size_t)n;
        while (f->first < f->end && left >= f->out[f->first].iov_len)
            left -= f->out[f->first++].iov_len;
        if (f->first < f->end) {
            f->out[f->first].iov_base = (uint8_t *)f->out[f->first].iov_base + left;
            f->out[f->first].iov_len -= left;
        }
    }
    f->first = f->end = f->collected = 0;
}

void client_submit(struct client_file *f, struct request *const requests[], unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        queue(f, requests[i]);
    if (!f->driving)
        send_out(f);
}

/* ---- replies --------------------------------------------------------------------------------- */

/* Checks a reply's head. @return the request's result: bytes, or -errno. */
static ssize_t reply_result(const uint8_t *head, const struct request *request)
{
    uint32_t record = RPC_MARK_BYTES + (wire_get32(head) & RPC_FRAGMENT_MAX);
    int32_t op_ret = (int32_t)wire_get32(head + AT_OP_RET);
    uint32_t payload = request->write || op_ret < 0 ? 0 : (uint32_t)op_ret;
    if (wire_get32(head + AT_STATUS) != 0 || (op_ret > 0 && (uint32_t)op_ret > request->length) ||
        record != (request->write ? WRITE_HEAD : READ_HEAD) + payload)
        floor_die("unexpected reply", EPROTO);
    return op_ret < 0 ? -(ssize_t)wire_get32(head + AT_OP_ERRNO) : op_ret;
}

static struct request *slot_free(struct client_file *f, struct slot *slot)
{
    struct request *request = slot->request;
    f->reads -= !request->write;
    f->outstanding--;
    f->idle[f->n_idle++] = (unsigned)(slot - f->slots);
    slot->request = NULL;
    return request;
}

static void slot_done(struct client_file *f, struct slot *slot)
{
    load_complete(f, slot_free(f, slot));
    if (f->collected >= f->batch)
        send_out(f);
}

/* Looks through the heads in `in`, up to a reply whose payload has yet to arrive. */
static void parse(struct client_file *f)
{
    uint8_t *p = f->in;
    size_t left = f->have;
    while (!f->arriving && left >= READ_HEAD) {
        uint32_t index = wire_get32(p + AT_XID);
        struct slot *slot = index < f->depth ? &f->slots[index] : NULL;
        if (!slot || !slot->request)
            floor_die("reply to no call", EPROTO);
        struct request *request = slot->request;
        size_t head = request->write ? WRITE_HEAD : READ_HEAD;
        if (left < head)
            break;
        request->result = reply_result(p, request);
        p += head;
        left -= head;
        if (request->write || request->result <= 0) {
            slot_done(f, slot);
        } else {
            f->arriving = slot;
            f->payload = (size_t)request->result;
            f->got = 0;
        }
    }
    if (left && p != f->in)
        memmove(f->in, p, left);
    f->have = left;
}

/* The only call outstanding, if it is a READ of which nothing has arrived. */
static struct slot *sole_read(struct client_file *f)
{
    if (f->outstanding != 1 || f->reads != 1 || f->have || f->first < f->end)
        return NULL;
    return f->latest->request ? f->latest : NULL;
}

/* One recvmsg. */
static void receive(struct client_file *f)
{
    struct iovec iov[2];
    struct msghdr message = {.msg_iov = iov};
    struct slot *sole = NULL;
    size_t payload = 0, ahead = f->outstanding > (f->arriving != NULL) ? READ_HEAD : 0;
    if (f->reads == 0)
        ahead = IN_BYTES;
    else if (f->have >= ahead && ahead)
        ahead = WRITE_HEAD; /* the rest of a WRITE's reply among READs */
    if (f->arriving) {
        payload = f->payload - f->got;
        iov[message.msg_iovlen++] =
            (struct iovec){(uint8_t *)f->arriving->request->buffer + f->got, payload};
    }
    if (ahead)
        iov[message.msg_iovlen++] = (struct iovec){f->in + f->have, ahead - f->have};
    if (!f->arriving && (sole = sole_read(f)))
        iov[message.msg_iovlen++] = (struct iovec){sole->request->buffer, sole->request->length};
    ssize_t n = recvmsg(f->socket, &message, spinning ? MSG_DONTWAIT : 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        floor_die("recvmsg", n ? errno : ECONNRESET);
    size_t got = (size_t)n, landed = got < payload ? got : payload;
    f->got += landed;
    got -= landed;
    size_t head = ahead ? ahead - f->have : 0, heads = got < head ? got : head;
    f->have += heads;
    got -= heads;
    if (f->arriving && f->got == f->payload) {
        struct slot *slot = f->arriving;
        f->arriving = NULL;
        slot_done(f, slot);
    }
    parse(f);
    if (got) { /* behind the head of the sole reply */
        if (f->arriving != sole || got > f->payload)
            floor_die("unexpected bytes", EPROTO);
        f->got = got;
        if (f->got == f->payload) {
            f->arriving = NULL;
            slot_done(f, sole);
        }
    }
}

void client_drive(struct client_file *f, const bool *done)
{
    f->driving = true;
    while (!__atomic_load_n(done, __ATOMIC_ACQUIRE)) {
        if (f->first < f->end && !f->arriving)
            send_out(f);
        if (!f->outstanding)
            floor_die("nothing is outstanding", EDEADLK);
        receive(f);
    }
    f->driving = false;
}

/* ---- one call -------------------------------------------------------------------------------- */

void client_transfer(struct client_file *f, struct request *request)
{
    struct slot *slot = slot_take(f, request);
    struct iovec out[2] = {
        {slot->head[request->write], f->head},
        {request->buffer, request->length},
    };
    struct msghdr message = {.msg_iov = out, .msg_iovlen = request->write ? 2 : 1};
    size_t total = f->head + (request->write ? request->length : 0);
    ssize_t n = sendmsg(f->socket, &message, MSG_NOSIGNAL);
    if (n != (ssize_t)total)
        floor_die("sendmsg", n < 0 ? errno : EIO);

    size_t head = request->write ? WRITE_HEAD : READ_HEAD, got = 0, want = SIZE_MAX;
    do {
        struct iovec in[2] = {{f->in, head}, {request->buffer, request->length}};
        unsigned at = got >= head;
        size_t skip = at ? got - head : got;
        in[at].iov_base = (uint8_t *)in[at].iov_base + skip;
        in[at].iov_len -= skip;
        message = (struct msghdr){
            .msg_iov = in + at,
            .msg_iovlen = (request->write ? 1 : 2) - at,
        };
        n = recvmsg(f->socket, &message, spinning ? MSG_DONTWAIT : 0);
        if (n < 0 && errno == EAGAIN)
            continue;
        if (n <= 0)
            floor_die("recvmsg", n ? errno : ECONNRESET);
        got += (size_t)n;
        if (want == SIZE_MAX && got >= head) {
            request->result = reply_result(f->in, request);
            want = head + (request->write || request->result < 0 ? 0 : (size_t)request->result);
        }
    } while (got < want);
    slot_free(f, slot);
}
