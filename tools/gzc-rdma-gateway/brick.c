/*
 * What comes from the brick: replies to the calls that were relayed, and calls that it makes.
 *
 *   READ that was executed   head: to the call's staging    payload: lands in the call's memory
 *   other replies            collected, and copied there; or to the call's reply memory if long
 *   calls                    to a callback slot, or kept until there is one
 */
#include "client.h"

#include "proto/hot.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Callbacks that are kept for a client at most. */
#define KEPT_MOST (256u << 10)

static int malformed(struct client *c, const char *what)
{
    return errtext_set(&c->brick.why, EPROTO, "malformed %s", what);
}

/* ---- replies --------------------------------------------------------------------------------- */

/* The call that a reply belongs to. Replies without one belong to calls that were cancelled. */
static struct call *find_call(struct client *c, uint32_t xid)
{
    uint32_t slot = xid & RDMA_CALLBACK_SLOT;
    struct call *call = slot < c->credits ? c->slots[slot] : NULL;
    return call && call->xid == xid && call->state == CALL_AT_BRICK ? call : NULL;
}

static void reply_late(struct client *c)
{
    c->g->stats.replies_late++;
    if (c->late)
        c->late--;
}

/* Where a message of so many bytes can go: its kind in the slot, or 0. */
static enum rdma_slot_kind reply_place(struct call *call, size_t length, uint8_t **place)
{
    if (length <= call->client->slot - RDMA_SLOT_HEAD_BYTES) {
        *place = call->staging + RDMA_SLOT_HEAD_BYTES;
        return RDMA_SLOT_REPLY;
    }
    *place = call->reply;
    return length <= call->reply_room ? RDMA_SLOT_LONG : 0;
}

/* The call is the brick's no more. What of its message has not been sent is copied, for its memory
 * is given back before long. */
static void reply_done(struct call *call)
{
    struct client *c = call->client;
    const struct rdma_header *h = &call->send.header;
    uint32_t staged = 0;
    if (call->message.queued) {
        const struct message *m = &call->message;
        if (m->sent)
            staged = m->head_length + m->payload_length - m->sent;
        int rc = c->brick.transport->ops->tx_retire(c->brick.transport, &call->message);
        if (rc < 0)
            client_end(c, END_MEMORY, "%s", c->brick.why.text);
        list_enter(&c->g->unsent, &c->brick.unsent);
    }
    if (staged > h->payload)
        staged = h->payload;
    c->g->stats.bytes_staged += staged;
    c->g->stats.bytes_landed += call->message.sent ? h->payload - staged : 0;
    c->at_brick--;
    if (c->arriving == call)
        c->arriving = NULL;
    if (c->expecting == call)
        c->expecting = NULL;
}

static void reply_send(struct call *call, enum rdma_slot_kind kind, size_t message,
                       uint32_t payload)
{
    struct client *c = call->client;
    reply_done(call);
    if (c->state == CLIENT_CLOSED)
        return;
    c->g->stats.replies++;
    call_reply(call, kind, (uint32_t)message, payload);
}

static void reply_too_long(struct call *call)
{
    reply_done(call);
    if (call->client->state != CLIENT_CLOSED)
        call_error(call, RDMA_ERROR_TOO_LONG, "the reply fits neither its slot nor its chunk");
}

/* A READ reply that the server executed; its results begin at @p head. May be shown again and again
 * for the same reply. */
static int arrive_read(struct client *c, struct call *call, const uint8_t *message, size_t have,
                       size_t head, struct arrival *a)
{
    struct hot_read_reply r;
    a->kind = ARRIVAL_MORE;
    a->length = head + HOT_READ_FIXED;
    if (have < a->length)
        return 0;
    if (hot_read_reply_decode(message + head, &r) < 0)
        return malformed(c, "READ reply");
    if (r.op_ret < 0) {
        a->kind = ARRIVAL_COLLECT;
        return 0;
    }
    if ((uint32_t)r.op_ret > call->landing.iov_len)
        return errtext_set(&c->brick.why, EPROTO, "READ reply of %d bytes, but %zu were asked for",
                           r.op_ret, call->landing.iov_len);
    a->length += r.dict_bytes;
    if (have < a->length)
        return 0;
    uint8_t *place;
    enum rdma_slot_kind kind = reply_place(call, a->length, &place);
    if (!kind) {
        reply_too_long(call);
        a->kind = ARRIVAL_SINK;
        return 0;
    }
    memcpy(place, message, a->length);
    call->answer.kind = (uint8_t)kind;
    call->answer.message = (uint32_t)a->length;
    a->kind = ARRIVAL_LAND;
    a->length = (size_t)r.op_ret;
    a->to = iov_cursor(&call->landing, 1);
    return 0;
}

static int brick_arrive(void *user, const uint8_t *message, size_t have, size_t whole,
                        struct arrival *a)
{
    struct client *c = user;
    struct rpc_reply reply = {.xid = wire_get32(message), .status = RPC_REPLY_SUCCESS};
    ssize_t head = RPC_REPLY_BYTES;
    a->kind = ARRIVAL_COLLECT;
    c->arriving = NULL;
    if (have < RPC_REPLY_BYTES || !rpc_reply_is_plain(message)) {
        if (wire_get32(message + 4) == RPC_MSG_CALL)
            return 0;
        head = rpc_reply_parse(message, have, whole, &reply);
        if (head < 0)
            return malformed(c, "RPC reply");
        if (head == 0) {
            a->kind = ARRIVAL_MORE;
            a->length = have + 4;
            return 0;
        }
    }
    struct call *call = find_call(c, reply.xid);
    if (!call || c->state == CLIENT_CLOSED) {
        reply_late(c);
        a->kind = ARRIVAL_SINK;
        return 0;
    }
    c->arriving = call;
    if (call->send.header.writes && reply.status == RPC_REPLY_SUCCESS)
        return arrive_read(c, call, message, have, (size_t)head, a);
    return 0;
}

static int brick_landed(void *user, size_t direct, size_t staged)
{
    struct client *c = user;
    struct call *call = c->arriving;
    c->g->stats.bytes_landed += direct;
    c->g->stats.bytes_staged += staged;
    reply_send(call, call->answer.kind, call->answer.message, (uint32_t)(direct + staged));
    return 0;
}

static int callback_take(struct client *c, const uint8_t *message, size_t length);

static int brick_collected(void *user, const uint8_t *message, size_t length)
{
    struct client *c = user;
    struct call *call = c->arriving;
    uint8_t *place;
    if (!call)
        return callback_take(c, message, length);
    enum rdma_slot_kind kind = reply_place(call, length, &place);
    if (kind) {
        memcpy(place, message, length);
        reply_send(call, kind, length, 0);
    } else {
        reply_too_long(call);
    }
    return 0;
}

/* One READ alone is at the brick, and its place is known before its reply has come. Nothing is sent
 * between this and brick_expected(), for it is one thread that does both. */
static bool brick_expect(void *user, struct iov_cursor *to, size_t *length)
{
    struct client *c = user;
    struct call *call = c->expecting;
    if (c->at_brick != 1 || c->late || !call || call->message.queued)
        return false;
    *to = iov_cursor(&call->landing, 1);
    *length = call->landing.iov_len;
    return true;
}

static void brick_expected(void *user)
{
    (void)user;
}

const struct transport_user brick_user = {
    .expect = brick_expect,
    .expected = brick_expected,
    .arrive = brick_arrive,
    .landed = brick_landed,
    .collected = brick_collected,
};

void brick_retire(struct call *call)
{
    struct client *c = call->client;
    bool drained = c->arriving == call && c->brick.transport->ops->rx_retire(c->brick.transport);
    if (drained)
        c->g->stats.replies_late++;
    reply_done(call);
    if (!drained && call->message.sent)
        c->late++;
}

/* ---- callbacks ------------------------------------------------------------------------------- */

#define CALLBACK_NUMBERS (UINT32_MAX >> RDMA_SLOT_BITS)

/* A slot is free when the client has taken in what was in it, and what holds it here is idle. */
static bool callback_slot(const struct client *c)
{
    return c->callbacks_sent - c->callbacks_taken < c->callbacks &&
           c->callbacks_busy < c->callbacks;
}

static void callback_send(struct client *c, const uint8_t *message, size_t length)
{
    struct call *call = call_take(c);
    uint32_t number = c->callbacks_sent++ & CALLBACK_NUMBERS;
    memcpy(call->staging + RDMA_SLOT_HEAD_BYTES, message, length);
    call->callback = true;
    call->xid = call->immediate = number << RDMA_SLOT_BITS | RDMA_CALLBACK_SLOT;
    c->callbacks_busy++;
    c->g->stats.callbacks++;
    call_reply(call, RDMA_SLOT_CALLBACK, (uint32_t)length, 0);
}

static int callback_take(struct client *c, const uint8_t *message, size_t length)
{
    struct log_line l;
    if (length > c->slot - RDMA_SLOT_HEAD_BYTES) {
        c->g->stats.callbacks_dropped++;
        client_log(c, &l, LOG_LEVEL_WARNING, "callback-dropped");
        log_number(&l, "bytes", length);
        log_number(&l, "slot", c->slot);
        log_end(&l);
        return 0;
    }
    if (list_empty(&c->kept) && callback_slot(c)) {
        callback_send(c, message, length);
        return 0;
    }
    struct kept *kept = malloc(sizeof(*kept) + length);
    if (!kept || c->kept_bytes + length > KEPT_MOST) {
        free(kept);
        return errtext_set(&c->brick.why, ENOBUFS, "the client takes in no callbacks");
    }
    list_init(&kept->link);
    kept->length = (uint32_t)length;
    memcpy(kept->message, message, length);
    list_append(&c->kept, &kept->link);
    c->kept_bytes += length;
    c->g->stats.callbacks_kept++;
    return 0;
}

void brick_callbacks(struct client *c)
{
    while (c->state == CLIENT_RELAYING && callback_slot(c) && !list_empty(&c->kept)) {
        struct kept *kept = LIST_OF(list_shift(&c->kept), struct kept, link);
        c->kept_bytes -= kept->length;
        callback_send(c, kept->message, kept->length);
        free(kept);
    }
}

bool brick_callbacks_taken(struct client *c, uint32_t taken)
{
    if (taken - c->callbacks_taken > c->callbacks_sent - c->callbacks_taken)
        return false;
    c->callbacks_taken = taken;
    brick_callbacks(c);
    return true;
}

void brick_free(struct client *c)
{
    link_close(&c->brick);
    for (struct list *l; (l = list_shift(&c->kept));)
        free(LIST_OF(l, struct kept, link));
}
