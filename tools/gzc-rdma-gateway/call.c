#include "client.h"

#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <string.h>

#define CALL_FIXED 24 /* xid, type, RPC version, program, version, procedure */
#define ALIGNMENT  64 /* of the parts of a call's memory */

static struct call **call_slot(struct client *c, uint32_t xid)
{
    return &c->slots[xid & RDMA_CALLBACK_SLOT];
}

struct call *call_take(struct client *c)
{
    struct list *link = list_shift(&c->idle);
    if (!link)
        return NULL;
    struct call *call = LIST_OF(link, struct call, link);
    call->cancelled = call->callback = false;
    call->receive = -1;
    call->send = (struct rdma_send){0};
    call->memory = call->long_call = call->payload = call->reply = NULL;
    call->memory_bytes = 0;
    call->reply_room = 0;
    call->answer = (struct rdma_slot_head){0};
    return call;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t part(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static uint32_t reply_room(const struct call *call)
{
    if (!(call->send.header.flags & RDMA_REPLY))
        return 0;
    uint32_t room = call->send.reply.length, most = call->client->message;
    return room < most ? room : most;
}

/* Bytes of payload that need a place: what is fetched, or what may land. */
static uint32_t payload_room(const struct rdma_send *send)
{
    return send->header.reads ? send->header.payload : send->writes_length;
}

static size_t memory_needed(const struct call *call)
{
    const struct rdma_header *h = &call->send.header;
    size_t bytes = part(payload_room(&call->send)) + part(reply_room(call));
    if (h->flags & RDMA_LONG)
        bytes += part(RDMA_MARK_BYTES + (size_t)h->message);
    return pool_round(bytes);
}

static void memory_divide(struct call *call)
{
    const struct rdma_header *h = &call->send.header;
    uint8_t *at = call->memory;
    call->payload = at;
    at += part(payload_room(&call->send));
    call->reply = at;
    call->reply_room = reply_room(call);
    at += part(call->reply_room);
    if (h->flags & RDMA_LONG)
        call->long_call = at;
}

static bool memory_fits(const struct call *call)
{
    const struct client *c = call->client;
    return call->memory_bytes <= c->memory_most - c->memory_used;
}

static bool memory_take(struct call *call)
{
    struct client *c = call->client;
    call->memory = pool_take(&c->g->pool, call->memory_bytes);
    if (!call->memory)
        return false;
    c->memory_used += call->memory_bytes;
    memory_divide(call);
    return true;
}

static void memory_give(struct call *call)
{
    struct client *c = call->client;
    if (!call->memory)
        return;
    pool_give(&c->g->pool, call->memory, call->memory_bytes);
    c->memory_used -= call->memory_bytes;
    call->memory = NULL;
    if (!list_empty(&c->hungry))
        list_enter(&c->g->hungry, &c->hungry_link);
}

/* ---- the way --------------------------------------------------------------------------------- */

static void call_send(struct call *call)
{
    struct client *c = call->client;
    const struct rdma_header *h = &call->send.header;
    uint32_t in_line = h->reads ? 0 : h->payload;
    call->outgoing = (struct iovec){call->payload, h->reads ? h->payload : 0};
    call->landing = (struct iovec){call->payload, call->send.writes_length};
    call->message = (struct message){
        .head = call->long_call ? call->long_call : (uint8_t *)call->send.record,
        .head_length = RDMA_MARK_BYTES + h->message + in_line,
        .payload_length = h->payload - in_line,
        .payload = iov_cursor(&call->outgoing, 1),
        .land = iov_cursor(&call->landing, 1),
        .land_length = call->send.writes_length,
    };
    call->state = CALL_AT_BRICK;
    c->at_brick++;
    c->expecting = call;
    link_send(&c->brick, &call->message);
}

static void call_start(struct call *call)
{
    if (call->send.header.reads || call->send.header.flags & RDMA_LONG) {
        call->state = CALL_FETCHING;
        post_call(call);
    } else {
        call_send(call);
    }
}

/* A message that is a reply would never be answered. */
static bool is_rpc_call(const uint8_t *record)
{
    return wire_get32(record + RDMA_MARK_BYTES + 4) == RPC_MSG_CALL;
}

/* What was negotiated, and what only the state can tell. */
static const char *call_wrong(struct client *c, const struct rdma_send *send)
{
    const struct rdma_header *h = &send->header;
    if ((h->xid & RDMA_CALLBACK_SLOT) >= c->credits)
        return "a call in a slot beyond the credits";
    if (*call_slot(c, h->xid))
        return "two calls in one slot";
    if (h->reads > c->pieces || h->writes > c->pieces)
        return "a call with more chunks than were granted";
    if (h->payload > c->payload || send->writes_length > c->payload)
        return "a call with more payload than was granted";
    if (h->message < CALL_FIXED)
        return "a call that is shorter than an RPC header";
    if (h->flags & RDMA_LONG)
        return h->message > c->message ? "a call that is longer than was granted" : NULL;
    return is_rpc_call(send->record) ? NULL : "a message that is no RPC call";
}

void call_begin(struct client *c, int receive, const struct rdma_send *send)
{
    const char *wrong = call_wrong(c, send);
    if (wrong) {
        client_end(c, END_VIOLATION, "%s", wrong);
        return;
    }
    /* There is one: the slot was free, and no more than `credits` answers are posted. */
    struct call *call = call_take(c);
    call->receive = receive;
    call->send = *send;
    call->xid = call->immediate = send->header.xid;
    *call_slot(c, call->xid) = call;
    c->g->stats.calls++;

    call->memory_bytes = memory_needed(call);
    if (!call->memory_bytes || (list_empty(&c->hungry) && list_empty(&c->g->hungry) &&
                                memory_fits(call) && memory_take(call))) {
        call_start(call);
        return;
    }
    c->g->stats.waits_memory++;
    call->state = CALL_HUNGRY;
    list_append(&c->hungry, &call->link);
    list_enter(&c->g->hungry, &c->hungry_link);
}

/* Each client's first call in turn. One that its client has no room for waits until that gets some
 * back. One that the arena has no room for keeps all others waiting, or the large would starve. */
void calls_feed(struct gateway *g)
{
    while (!list_empty(&g->hungry)) {
        struct client *c = LIST_OF(g->hungry.next, struct client, hungry_link);
        if (list_empty(&c->hungry)) {
            list_remove(&c->hungry_link);
            continue;
        }
        struct call *call = LIST_OF(c->hungry.next, struct call, link);
        if (!memory_fits(call)) {
            list_remove(&c->hungry_link);
            continue;
        }
        if (!memory_take(call))
            return;
        list_remove(&call->link);
        list_remove(&c->hungry_link);
        if (!list_empty(&c->hungry))
            list_append(&g->hungry, &c->hungry_link);
        call_start(call);
    }
}

void call_fetched(struct call *call)
{
    struct client *c = call->client;
    const struct rdma_header *h = &call->send.header;
    c->g->stats.bytes_fetched += h->reads ? h->payload : 0;
    /* what is in a SEND was checked as it came */
    if (h->flags & RDMA_LONG &&
        (rdma_record_check(call->long_call, h) < 0 || !is_rpc_call(call->long_call)))
        client_end(c, END_VIOLATION, "a long call that is not what its header says");
    else if (call->cancelled)
        call_error(call, RDMA_ERROR_CANCELLED, "cancelled");
    else
        call_send(call);
}

void call_cancel(struct client *c, uint32_t xid)
{
    uint32_t slot = xid & RDMA_CALLBACK_SLOT;
    struct call *call = slot < c->credits ? c->slots[slot] : NULL;
    if (!call || call->xid != xid || call->state == CALL_ANSWERING)
        return;
    c->g->stats.cancels++;
    if (call->state == CALL_FETCHING && list_empty(&call->link)) {
        call->cancelled = true; /* its fetches are posted */
        return;
    }
    if (call->state == CALL_AT_BRICK)
        brick_retire(call);
    else
        list_remove(&call->link);
    if (c->state != CLIENT_CLOSED)
        call_error(call, RDMA_ERROR_CANCELLED, "cancelled");
}

/* ---- the answer ------------------------------------------------------------------------------ */

void call_reply(struct call *call, enum rdma_slot_kind kind, uint32_t message, uint32_t payload)
{
    call->answer = (struct rdma_slot_head){
        .xid = call->xid,
        .kind = (uint8_t)kind,
        .message = message,
        .payload = payload,
    };
    call->state = CALL_ANSWERING;
    post_call(call);
}

void call_error(struct call *call, enum rdma_error_code code, const char *text)
{
    struct client *c = call->client;
    size_t length = strlen(text), room = c->slot - RDMA_SLOT_HEAD_BYTES;
    if (length > room)
        length = room;
    memcpy(call->staging + RDMA_SLOT_HEAD_BYTES, text, length);
    c->g->stats.errors++;
    c->g->stats.error_codes[code]++;
    call->answer = (struct rdma_slot_head){
        .xid = call->xid,
        .kind = RDMA_SLOT_ERROR,
        .code = (uint8_t)code,
        .message = (uint32_t)length,
    };
    call->state = CALL_ANSWERING;
    post_call(call);
}

void call_over(struct call *call)
{
    struct client *c = call->client;
    memory_give(call);
    call->state = CALL_IDLE;
    list_append(&c->idle, &call->link);
    if (call->callback) {
        c->callbacks_busy--;
        brick_callbacks(c);
    } else {
        c->answers_posted--;
    }
    if (c->state == CLIENT_ENDING)
        client_end(c, END_ATTACH, "its ATTACH was answered with an error");
}
