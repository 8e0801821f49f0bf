/* The client's messages, and what an honest gateway answers. */
#include "tests/guest/fake_gateway_internal.h"

#include <stdlib.h>
#include <string.h>

#define PAYLOAD_AT 200 /* in a READ reply without a dictionary, its mark included */

static void complain(struct gate_link *link, const char *what)
{
    peer_lock(link->gate->peer);
    peer_complain(link->gate->peer, "%s", what);
    peer_unlock(link->gate->peer);
}

/* ---- answers --------------------------------------------------------------------------------- */

static uint8_t *copy_of(const void *bytes, size_t n)
{
    uint8_t *copy = malloc(n + 1);
    if (!copy)
        abort();
    if (n)
        memcpy(copy, bytes, n);
    return copy;
}

/* Slot and bulk of a message, which goes where there is room for it. */
static void reply_make(const struct gate_call *call, uint8_t kind, uint8_t code,
                       const void *message, size_t length, struct gate_reply *r)
{
    struct rdma_slot_head head = {
        .xid = call->header.xid,
        .kind = kind,
        .code = code,
        .message = (uint32_t)length,
        .payload = (uint32_t)r->payload_bytes,
    };
    bool inside = length <= call->link->asked.slot - RDMA_SLOT_HEAD_BYTES;
    if (!inside && length <= call->reply.length) {
        head.kind = RDMA_SLOT_LONG;
        r->bulk = copy_of(message, length);
        r->bulk_bytes = length;
    } else if (!inside) {
        gate_error(call, RDMA_ERROR_TOO_LONG, "the reply is too long", r);
        return;
    }
    r->slot_bytes = RDMA_SLOT_HEAD_BYTES + (inside ? length : 0);
    r->slot = copy_of(NULL, 0);
    r->slot = realloc(r->slot, r->slot_bytes);
    rdma_slot_encode(r->slot, &head);
    if (inside && length)
        memcpy(r->slot + RDMA_SLOT_HEAD_BYTES, message, length);
    r->immediate = call->header.xid;
    r->slot_number = call->header.xid & ((1u << RDMA_SLOT_BITS) - 1);
}

void gate_error(const struct gate_call *call, uint8_t code, const char *text, struct gate_reply *r)
{
    *r = (struct gate_reply){0};
    reply_make(call, RDMA_SLOT_ERROR, code, text, strlen(text), r);
}

void gate_execute(struct gate_call *call, struct gate_reply *r)
{
    struct peer *peer = call->gate->peer;
    struct peer_record record = {0};
    *r = (struct gate_reply){0};
    if (call->header.kind == RDMA_ATTACH) {
        reply_make(call, RDMA_SLOT_REPLY, 0, NULL, 0, r);
        return;
    }
    peer_lock(peer);
    peer_execute(&call->rpc, &record);
    peer_unlock(peer);
    size_t length = record.length;
    if (call->header.writes && length > PAYLOAD_AT) {
        r->payload_bytes = length - PAYLOAD_AT;
        r->payload = copy_of(record.at + PAYLOAD_AT, r->payload_bytes);
        length = PAYLOAD_AT;
    }
    reply_make(call, RDMA_SLOT_REPLY, 0, record.at + RDMA_MARK_BYTES, length - RDMA_MARK_BYTES, r);
    call->gate->counts.long_replies += r->bulk != NULL;
    peer_record_free(&record);
}

void gate_reply_free(struct gate_reply *r)
{
    free(r->slot);
    free(r->payload);
    free(r->bulk);
    *r = (struct gate_reply){0};
}

enum ibv_wc_status gate_write_payload(const struct gate_call *call, const struct gate_reply *r,
                                      size_t n)
{
    enum ibv_wc_status status = IBV_WC_SUCCESS;
    const uint8_t *at = r->payload;
    for (unsigned i = 0; i < call->header.writes && n && status == IBV_WC_SUCCESS; i++) {
        const struct rdma_chunk *chunk = &call->writes[i];
        size_t part = n < chunk->length ? n : chunk->length;
        status = gate_write(call->link, chunk->address, chunk->rkey, at, part);
        at += part;
        n -= part;
    }
    return status;
}

enum ibv_wc_status gate_answer(const struct gate_call *call, const struct gate_reply *r)
{
    struct gate_link *link = call->link;
    enum ibv_wc_status status = gate_write_payload(call, r, r->payload_bytes);
    if (status == IBV_WC_SUCCESS && r->bulk_bytes)
        status = gate_write(link, call->reply.address, call->reply.rkey, r->bulk, r->bulk_bytes);
    if (status == IBV_WC_SUCCESS)
        status = gate_write_immediate(link, gate_slot(link, r->slot_number), link->ring.rkey,
                                      r->slot, r->slot_bytes, r->immediate);
    return status;
}

enum ibv_wc_status gate_callback(struct gate_link *link, uint32_t proc)
{
    struct peer_record record = {0};
    uint32_t number = link->callbacks_sent++;
    peer_make_callback(&record, number, proc);
    size_t length = record.length - RDMA_MARK_BYTES;
    struct rdma_slot_head head = {
        .xid = number << RDMA_SLOT_BITS | RDMA_CALLBACK_SLOT,
        .kind = RDMA_SLOT_CALLBACK,
        .message = (uint32_t)length,
    };
    uint8_t *slot = malloc(RDMA_SLOT_HEAD_BYTES + length);
    rdma_slot_encode(slot, &head);
    memcpy(slot + RDMA_SLOT_HEAD_BYTES, record.at + RDMA_MARK_BYTES, length);
    unsigned at = link->granted.credits + number % link->asked.callbacks;
    enum ibv_wc_status status = gate_write_immediate(link, gate_slot(link, at), link->ring.rkey,
                                                     slot, RDMA_SLOT_HEAD_BYTES + length, head.xid);
    free(slot);
    peer_record_free(&record);
    return status;
}

/* ---- answers that are kept back -------------------------------------------------------------- */

void gate_keep(struct gate_call *call)
{
    struct gate *g = call->gate;
    struct gate_kept *kept = calloc(1, sizeof(*kept));
    if (g->nkept == g->kept_room) {
        g->kept_room = g->kept_room ? 2 * g->kept_room : 16;
        g->kept = realloc(g->kept, g->kept_room * sizeof(struct gate_kept *));
    }
    if (!kept || !g->kept)
        abort();
    gate_execute(call, &kept->reply);
    kept->call = *call;
    g->kept[g->nkept++] = kept;
}

bool gate_keep_all(struct gate_call *call, void *arg)
{
    (void)arg;
    if (!gate_is_fop(call, PEER_READ) && !gate_is_fop(call, PEER_WRITE))
        return false;
    gate_keep(call);
    return true;
}

struct gate_kept *gate_kept(struct gate *g, unsigned i)
{
    return i < g->nkept ? g->kept[i] : NULL;
}

enum ibv_wc_status gate_send_kept(struct gate_kept *kept)
{
    if (kept->sent)
        return IBV_WC_SUCCESS;
    kept->sent = true;
    return gate_answer(&kept->call, &kept->reply);
}

void gate_kept_free(struct gate *g)
{
    for (unsigned i = 0; i < g->nkept; i++) {
        gate_reply_free(&g->kept[i]->reply);
        free(g->kept[i]);
    }
    free(g->kept);
}

static void serve_cancel(struct gate_call *call)
{
    struct gate *g = call->gate;
    for (unsigned i = 0; i < g->nkept; i++) {
        struct gate_kept *kept = g->kept[i];
        if (kept->sent || kept->call.link != call->link ||
            kept->call.header.xid != call->header.xid || g->cancel == GATE_DEAF)
            continue;
        if (g->cancel == GATE_CANCELLED) {
            struct gate_reply r;
            gate_error(&kept->call, RDMA_ERROR_CANCELLED, "as asked for", &r);
            kept->sent = true;
            gate_answer(&kept->call, &r);
            gate_reply_free(&r);
        } else {
            gate_send_kept(kept);
        }
    }
}

/* ---- messages -------------------------------------------------------------------------------- */

bool gate_is_fop(const struct gate_call *call, uint32_t proc)
{
    return call->header.kind == RDMA_CALL && peer_is_fop(&call->rpc, proc);
}

static void count(struct gate *g, const struct gate_call *call)
{
    const struct rdma_header *h = &call->header;
    struct gate_counts *c = &g->counts;
    unsigned pieces = (unsigned)h->reads + h->writes;
    c->calls += h->kind == RDMA_CALL;
    c->attaches += h->kind == RDMA_ATTACH;
    c->credits += h->kind == RDMA_CREDIT;
    c->cancels += h->kind == RDMA_CANCEL;
    c->long_calls += h->flags & RDMA_LONG;
    c->inline_writes += h->payload && !h->reads;
    c->fetched_writes += h->reads > 0;
    if (pieces > c->most_pieces)
        c->most_pieces = pieces;
}

/* The call's record, its mark included; NULL, and no more client: what it sent cannot be had. */
static uint8_t *fetch(const struct gate_call *call, const struct rdma_send *s, size_t *length)
{
    const struct rdma_header *h = &call->header;
    struct gate_link *link = call->link;
    size_t head = RDMA_MARK_BYTES + h->message;
    *length = head + h->payload;
    uint8_t *record = malloc(*length + 1);
    enum ibv_wc_status status = IBV_WC_SUCCESS;
    if (h->flags & RDMA_LONG) {
        status = gate_read(link, s->long_call.address, s->long_call.rkey, record, head);
        if (status == IBV_WC_SUCCESS && rdma_record_check(record, h) < 0)
            complain(link, "a long call whose record is not what its header says");
    } else {
        memcpy(record, s->record, h->reads ? head : *length);
    }
    uint8_t *at = record + head;
    for (unsigned i = 0; i < h->reads && status == IBV_WC_SUCCESS; i++) {
        status =
            gate_read(link, call->reads[i].address, call->reads[i].rkey, at, call->reads[i].length);
        at += call->reads[i].length;
    }
    if (status == IBV_WC_SUCCESS)
        return record;
    free(record);
    return NULL;
}

static void answer(struct gate_call *call)
{
    struct gate_reply r;
    gate_execute(call, &r);
    gate_answer(call, &r);
    gate_reply_free(&r);
}

static void serve_call(struct gate_call *call, const struct rdma_send *s)
{
    struct gate *g = call->gate;
    size_t length;
    uint8_t *record = fetch(call, s, &length);
    if (!record)
        return; /* the connection is gone */
    peer_lock(g->peer);
    call->rpc = (struct peer_call){.peer = g->peer, .conn = &call->link->verbs->conn};
    bool sound = peer_decode(&call->rpc, record + RDMA_MARK_BYTES, length - RDMA_MARK_BYTES);
    bool taken =
        sound && g->peer->options.hook && g->peer->options.hook(&call->rpc, g->peer->options.arg);
    peer_unlock(g->peer);
    if (sound && !taken && !(g->options.hook && g->options.hook(call, g->options.arg)))
        answer(call);
    free(record);
}

static bool within(const struct gate_call *call, const struct rdma_send *s, size_t length)
{
    const struct rdma_accept *granted = &call->link->granted;
    const struct rdma_header *h = &call->header;
    return length <= granted->inline_bytes && h->payload <= granted->payload &&
           s->writes_length <= granted->payload && h->reads <= granted->pieces &&
           h->writes <= granted->pieces && call->reply.length <= granted->message &&
           (h->kind != RDMA_CALL || (h->xid & 1023) < granted->credits);
}

void gate_serve(struct gate_link *link, const uint8_t *bytes, size_t length)
{
    struct gate *g = link->gate;
    struct rdma_send s;
    struct gate_call *call = calloc(1, sizeof(*call));
    if (!call)
        abort();
    int rc = rdma_send_decode(bytes, length, &s);
    *call = (struct gate_call){.gate = g, .link = link, .header = s.header};
    if (rc == 0 && s.header.flags & RDMA_REPLY)
        call->reply = s.reply;
    for (unsigned i = 0; rc == 0 && i < s.header.reads; i++)
        rdma_chunk_decode(s.reads + (size_t)i * RDMA_CHUNK_BYTES, &call->reads[i]);
    for (unsigned i = 0; rc == 0 && i < s.header.writes; i++)
        rdma_chunk_decode(s.writes + (size_t)i * RDMA_CHUNK_BYTES, &call->writes[i]);
    if (rc < 0 || !within(call, &s, length) || link->attached == (s.header.kind == RDMA_ATTACH)) {
        complain(link, "a SEND that the protocol does not allow");
        free(call);
        return;
    }
    count(g, call);
    link->callbacks_told = s.header.callbacks;
    if (s.header.kind == RDMA_ATTACH) {
        link->attached = true;
        link->ring = s.ring;
        if (s.header.message != strlen("/export") || memcmp(s.target, "/export", 7) != 0)
            complain(link, "ATTACH to something else");
    }
    if (s.header.kind == RDMA_CALL)
        serve_call(call, &s);
    else if (g->options.hook && g->options.hook(call, g->options.arg))
        ;
    else if (s.header.kind == RDMA_ATTACH)
        answer(call);
    else if (s.header.kind == RDMA_CANCEL)
        serve_cancel(call);
    free(call);
}
