/*
 * One connection at work.
 *
 * Receiving. Calls come into `in`, many with one recvmsg, and are parsed where they stand. After a
 * WRITE no more is received than a WRITE's header has, because the next call may be one too: its
 * payload is then received straight into the file's memory, and with the same recvmsg the header of
 * the call behind it:
 *
 *    | payload, to the file | header of the next call, to `in` |
 *
 * Only when a WRITE comes after CALM calls that were none does a part of its payload stand in `in`,
 * and is copied.
 *
 * Sending. Replies are collected, heads here and payload where it is in the file, and go out with
 * one sendmsg when no more calls are waiting, or there are BATCH of them.
 *
 * Sockets are in the epoll set once, edge-triggered for both directions, so that a thread that
 * waits for room in a socket needs no epoll_ctl. A receive that gives less than was asked for has
 * emptied the socket (epoll(7)).
 */
#include "serve.h"

#include "calls.h"
#include "proto/fop.h"
#include "proto/hot.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"
#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IN_BYTES   65536
#define SINK_BYTES 65536
#define BATCH      32
#define CALM       64

/* Where things are in a call, from its record mark on. */
enum { AT_XID = 4, AT_PROG = 16, AT_VERS = 20, AT_PROC = 24, AT_CRED = 28, AT_CRED_BODY = 36 };
/* The least call: a credential and a verifier without bodies. */
#define CALL_MIN (AT_CRED_BODY + 8)

/* READ's reply up to its payload, and WRITE's reply. */
#define READ_HEAD  (REPLY_HEAD + HOT_READ_FIXED)
#define WRITE_HEAD (REPLY_HEAD + 8 + DICT_HEADER_BYTES + 2 * IATT_BYTES)

/* A WRITE whose payload is arriving. */
struct arrival {
    uint32_t xid, size, left; /* left: of size, bytes still to come */
    struct file *file;        /* NULL: it failed, and the payload goes nowhere */
    uint64_t offset;
    int error;
};

struct reply {
    uint8_t head[WRITE_HEAD];
    uint8_t *whole; /* of a call that call_answer() has answered; to be freed */
};

struct connection {
    int socket;
    bool introduced;
    const struct brick *brick;

    /* receiving */
    size_t from, have; /* in[from..have) has not been parsed */
    size_t need;       /* bytes from `from` on without which parsing does not go on */
    size_t write_head; /* length of the last WRITE's header */
    unsigned calm;     /* calls since the last WRITE, up to CALM */
    struct arrival arrival;

    /* sending */
    unsigned replies;    /* in use */
    unsigned first, end; /* of iov: what has not been sent */
    struct iovec iov[2 * BATCH];
    struct reply reply[BATCH];

    uint8_t in[IN_BYTES];
};

static unsigned connections; /* under store_lock() */

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void sent(struct connection *c, size_t n)
{
    while (c->first < c->end && n >= c->iov[c->first].iov_len)
        n -= c->iov[c->first++].iov_len;
    if (c->first < c->end) {
        struct iovec *iov = &c->iov[c->first];
        iov->iov_base = (uint8_t *)iov->iov_base + n;
        iov->iov_len -= n;
        return;
    }
    for (unsigned i = 0; i < c->replies; i++) {
        free(c->reply[i].whole);
        c->reply[i].whole = NULL;
    }
    c->replies = c->first = c->end = 0;
}

/* Sends what the socket takes. @return false: the connection is gone. */
static bool flush(struct connection *c)
{
    while (c->end) {
        struct msghdr message = {
            .msg_iov = c->iov + c->first,
            .msg_iovlen = c->end - c->first,
        };
        ssize_t n = sendmsg(c->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        sent(c, (size_t)n);
    }
    return true;
}

/* Room for one more reply. NULL: wait for the socket. */
static struct reply *reply_new(struct connection *c)
{
    return c->replies < BATCH ? &c->reply[c->replies] : NULL;
}

static void reply_queue(struct connection *c, void *head, size_t head_length, void *payload,
                        size_t length)
{
    c->replies++;
    c->iov[c->end++] = (struct iovec){head, head_length};
    if (length)
        c->iov[c->end++] = (struct iovec){payload, length};
}

/* ---- READ and WRITE -------------------------------------------------------------------------- */

static void no_dict(uint8_t *out)
{
    wire_put32(out, 0);
    wire_put32(out + 4, (uint32_t)-1);
    wire_put32(out + 8, 0);
}

static void serve_read(struct connection *c, uint32_t xid, const uint8_t *args)
{
    struct reply *r = reply_new(c);
    uint64_t offset = wire_get64(args + 24);
    uint32_t want = wire_get32(args + 32), got = 0;
    struct file *file = store_file((int64_t)wire_get64(args + 16), args);
    int error = !file ? EBADF : want == 0 ? EINVAL : 0;
    uint8_t *results = r->head + REPLY_HEAD;
    void *payload = NULL;
    if (error) {
        memset(results, 0, HOT_READ_FIXED);
        wire_put32(results, (uint32_t)-1);
    } else {
        uint64_t size = atomic_load_explicit(&file->size, memory_order_acquire);
        uint64_t left = offset < size ? size - offset : 0;
        got = left < want ? (uint32_t)left : want;
        payload = file->memory + (got ? offset : 0);
        wire_put32(results, got);
        error = left <= want ? ENOENT : 0; /* the end: posix-inode-fd-ops.c:posix_readv */
        store_iatt(file, results + 8);
        wire_put32(results + 8 + IATT_BYTES, got);
    }
    wire_put32(results + 4, (uint32_t)error);
    no_dict(results + 12 + IATT_BYTES);
    reply_head(r->head, READ_HEAD + (size_t)got, xid, ONC_SUCCESS);
    reply_queue(c, r->head, READ_HEAD, payload, got);
}

/* The payload is there. */
static void write_end(struct connection *c)
{
    struct arrival *a = &c->arrival;
    struct reply *r = reply_new(c);
    uint8_t *results = r->head + REPLY_HEAD, *iatts = results + 8 + DICT_HEADER_BYTES;
    if (a->file) {
        store_iatt(a->file, iatts);
        store_written(a->file, a->offset, a->size, store_now());
        store_iatt(a->file, iatts + IATT_BYTES);
    } else {
        memset(iatts, 0, 2 * IATT_BYTES);
    }
    wire_put32(results, a->file ? a->size : (uint32_t)-1);
    wire_put32(results + 4, (uint32_t)a->error);
    no_dict(results + 8);
    reply_head(r->head, WRITE_HEAD, a->xid, ONC_SUCCESS);
    reply_queue(c, r->head, WRITE_HEAD, NULL, 0);
}

/* Begins a WRITE, of whose payload n bytes stand at p. */
static void write_begin(struct connection *c, uint32_t xid, const uint8_t *args, uint32_t size,
                        const uint8_t *p, size_t n)
{
    struct arrival *a = &c->arrival;
    *a = (struct arrival){
        .xid = xid,
        .size = size,
        .left = size - (uint32_t)n,
        .file = store_file((int64_t)wire_get64(args + 16), args),
        .offset = wire_get64(args + 24),
    };
    if (!a->file)
        a->error = EBADF;
    else if (a->offset > STORE_FILE_MAX - size)
        a->error = EFBIG;
    if (a->error)
        a->file = NULL;
    else if (n)
        memcpy(a->file->memory + a->offset, p, n);
    if (a->left == 0)
        write_end(c);
}

/* ---- parsing --------------------------------------------------------------------------------- */

enum parsed { PARSED, PARSE_MORE, PARSE_BAD };

static enum parsed more(struct connection *c, size_t need)
{
    c->need = need;
    return PARSE_MORE;
}

/* A call whose arguments begin `args_at` behind its record mark. */
static enum parsed parse_write(struct connection *c, const uint8_t *p, size_t have, size_t record,
                               size_t args_at)
{
    const uint8_t *args = p + args_at;
    size_t head = args_at + HOT_IO_ARGS_BYTES;
    if (record < head)
        return PARSE_BAD;
    if (have < head)
        return more(c, head);
    uint32_t size = wire_get32(args + 32), pairs = wire_get32(args + 40);
    head += pairs;
    if (pairs > IN_BYTES / 2 || record < head || record - head != size)
        return PARSE_BAD;
    if (have < head)
        return more(c, head);
    size_t here = have - head < size ? have - head : size;
    c->write_head = head;
    c->calm = 0;
    c->from += head + here;
    write_begin(c, wire_get32(p + AT_XID), args, size, p + head, here);
    return PARSED;
}

static enum parsed parse_other(struct connection *c, const uint8_t *p, size_t record,
                               size_t args_at, bool fop)
{
    const uint8_t *cred = p + AT_CRED;
    struct call call = {
        .xid = wire_get32(p + AT_XID),
        .prog = wire_get32(p + AT_PROG),
        .vers = wire_get32(p + AT_VERS),
        .proc = wire_get32(p + AT_PROC),
        .args = p + args_at,
        .length = record - args_at,
        .introduced = &c->introduced,
    };
    if (c->calm < CALM)
        c->calm++;
    c->from += record;
    if (fop && call.proc == GF_FOP_READ && call.length >= HOT_IO_ARGS_BYTES) {
        serve_read(c, call.xid, call.args);
        return PARSED;
    }
    if (wire_get32(cred) == RPC_CRED_FLAVOUR && args_at >= AT_CRED_BODY + 20) {
        call.uid = wire_get32(p + AT_CRED_BODY + 4);
        call.gid = wire_get32(p + AT_CRED_BODY + 8);
    }
    struct reply *r = reply_new(c);
    size_t length;
    r->whole = call_answer(&call, c->brick->export, &length);
    if (!r->whole)
        return PARSE_BAD;
    reply_queue(c, r->whole, length, NULL, 0);
    return PARSED;
}

/* One call from in[from..have). There is room for its reply. */
static enum parsed parse(struct connection *c)
{
    const uint8_t *p = c->in + c->from;
    size_t have = c->have - c->from;
    if (have < CALL_MIN)
        return more(c, CALL_MIN);
    uint32_t mark = wire_get32(p), cred = wire_get32(p + AT_CRED + 4);
    size_t record = RPC_MARK_BYTES + (size_t)(mark & RPC_FRAGMENT_MAX);
    /* Clients send a record as one fragment, calls of RPC version 2, and no verifier's body. */
    if (!(mark & RPC_LAST_FRAGMENT) || wire_get32(p + 8) != RPC_MSG_CALL ||
        wire_get32(p + 12) != RPC_VERSION || cred > RPC_AUTH_MAX || cred % 4)
        return PARSE_BAD;
    size_t args_at = CALL_MIN + cred;
    if (record < args_at)
        return PARSE_BAD;
    if (have < args_at)
        return more(c, args_at);
    if (wire_get32(p + args_at - 4) != 0)
        return PARSE_BAD;
    bool fop = c->introduced && wire_get32(p + AT_PROG) == GF_FOP_PROGRAM &&
               wire_get32(p + AT_VERS) == GF_FOP_VERSION;
    if (fop && wire_get32(p + AT_PROC) == GF_FOP_WRITE)
        return parse_write(c, p, have, record, args_at);
    if (record > IN_BYTES)
        return PARSE_BAD;
    if (have < record)
        return more(c, record);
    return parse_other(c, p, record, args_at, fop);
}

/* Parses what is there and can be answered. @return false: the connection is to be closed. */
static bool parse_all(struct connection *c)
{
    while (c->arrival.left == 0) {
        if (!reply_new(c) && (!flush(c) || !reply_new(c)))
            break;
        enum parsed parsed = parse(c);
        if (parsed != PARSED)
            return parsed == PARSE_MORE;
    }
    return true;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Where bytes may go. @return their number, the sum of the iovecs. */
static size_t targets(struct connection *c, struct iovec iov[2], unsigned *n)
{
    static uint8_t sink[SINK_BYTES]; /* never read */
    struct arrival *a = &c->arrival;
    size_t total = 0;
    *n = 0;
    if (c->from) {
        memmove(c->in, c->in + c->from, c->have - c->from);
        c->have -= c->from;
        c->from = 0;
    }
    if (a->left) {
        total = a->file || a->left < SINK_BYTES ? a->left : SINK_BYTES;
        iov[(*n)++] = (struct iovec){
            a->file ? a->file->memory + a->offset + (a->size - a->left) : sink,
            total,
        };
        if (total < a->left)
            return total;
    }
    size_t ask = c->calm == CALM ? IN_BYTES : c->write_head > c->need ? c->write_head : c->need;
    if (ask > c->have) {
        iov[(*n)++] = (struct iovec){c->in + c->have, ask - c->have};
        total += ask - c->have;
    }
    return total;
}

static void received(struct connection *c, size_t n)
{
    struct arrival *a = &c->arrival;
    if (a->left) {
        uint32_t payload = n < a->left ? (uint32_t)n : a->left;
        a->left -= payload;
        n -= payload;
        if (a->left == 0)
            write_end(c);
    }
    c->have += n;
}

/* Serves a connection until it waits for the client. @return false: it is over. */
static bool serve(struct connection *c, bool readable)
{
    for (;;) {
        struct iovec iov[2];
        struct msghdr message = {.msg_iov = iov};
        unsigned n;
        if (!parse_all(c))
            return false;
        if (c->replies == BATCH) {
            if (!flush(c))
                return false;
            if (c->replies == BATCH)
                return true;
            continue;
        }
        if (!readable) /* nothing is left to parse either */
            return flush(c);
        size_t asked = targets(c, iov, &n);
        message.msg_iovlen = n;
        ssize_t got = recvmsg(c->socket, &message, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return false;
        if (got > 0)
            received(c, (size_t)got);
        readable = got == (ssize_t)asked;
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

static void connection_free(struct connection *c)
{
    close(c->socket);
    for (unsigned i = 0; i < BATCH; i++)
        free(c->reply[i].whole);
    free(c);
    store_lock();
    if (--connections == 0)
        store_release_all();
    store_unlock();
}

struct thread {
    int epoll;
    uint64_t spin;
};

static void *thread_main(void *arg)
{
    enum { EVENTS = 64 };
    struct thread thread = *(struct thread *)arg;
    struct epoll_event events[EVENTS];
    uint64_t last = 0;
    free(arg);
    for (;;) {
        bool spinning = thread.spin && clock_ns() - last < thread.spin;
        int n = epoll_wait(thread.epoll, events, EVENTS, spinning ? 0 : -1);
        for (int i = 0; i < n; i++)
            if (!serve(events[i].data.ptr, events[i].events != EPOLLOUT))
                connection_free(events[i].data.ptr);
        if (thread.spin && n > 0)
            last = clock_ns();
    }
    return NULL;
}

int serve_start(const struct brick *brick, int *handle)
{
    pthread_t id;
    struct thread *thread = malloc(sizeof(*thread));
    if (!thread)
        return ENOMEM;
    thread->spin = brick->spin;
    thread->epoll = *handle = epoll_create1(EPOLL_CLOEXEC);
    int rc = thread->epoll < 0 ? errno : pthread_create(&id, NULL, thread_main, thread);
    if (rc)
        free(thread);
    else
        pthread_detach(id);
    return rc;
}

int serve_connection(int handle, const struct brick *brick, int socket)
{
    struct connection *c = calloc(1, sizeof(*c));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (!c)
        return ENOMEM;
    c->socket = socket;
    c->brick = brick;
    c->need = CALL_MIN;
    c->calm = CALM;
    store_lock();
    connections++;
    store_unlock();
    if (epoll_ctl(handle, EPOLL_CTL_ADD, socket, &event) < 0) {
        int error = errno;
        connection_free(c);
        return error;
    }
    return 0;
}
