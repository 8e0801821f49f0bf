/*
 * Work requests. A call's are one chain, posted at once, of which only the last is signalled: a
 * queue pair completes its requests in order. If one fails, they all end the connection.
 *
 *   fetch    RDMA READ of the long call and of each chunk of payload
 *   answer   RDMA WRITE of payload to each chunk, of a long reply to its chunk;
 *            then RDMA WRITE WITH IMMEDIATE of the slot
 */
#include "client.h"

#include <errno.h>

/* Calls post one after the other, in one thread. */
static struct chain {
    unsigned count;
    struct ibv_send_wr requests[RDMA_PIECES_MAX + 2];
    struct ibv_sge pieces[RDMA_PIECES_MAX + 2];
} chain;

static uint64_t post_id(enum post_kind kind, uint64_t index)
{
    return index << POST_KIND_BITS | kind;
}

int post_receive(struct client *c, int receive)
{
    struct ibv_sge piece = {
        .addr = (uintptr_t)(c->fixed + (size_t)receive * GATEWAY_INLINE),
        .length = GATEWAY_INLINE,
        .lkey = c->device->mr->lkey,
    };
    struct ibv_recv_wr request = {
        .wr_id = post_id(POST_RECEIVE, (uint64_t)receive),
        .sg_list = &piece,
        .num_sge = 1,
    };
    struct ibv_recv_wr *bad;
    return -ibv_post_recv(c->id->qp, &request, &bad);
}

/* ---- chains ---------------------------------------------------------------------------------- */

static struct ibv_send_wr *chain_add(const struct client *c, enum ibv_wr_opcode opcode,
                                     const uint8_t *local, uint32_t length, uint64_t address,
                                     uint32_t rkey)
{
    unsigned n = chain.count++;
    struct ibv_send_wr *request = &chain.requests[n];
    chain.pieces[n] = (struct ibv_sge){(uintptr_t)local, length, c->device->mr->lkey};
    *request = (struct ibv_send_wr){
        .opcode = opcode,
        .sg_list = &chain.pieces[n],
        .num_sge = length > 0,
        .wr.rdma = {address, rkey},
    };
    if (n)
        chain.requests[n - 1].next = request;
    return request;
}

static bool chain_post(struct client *c, uint64_t id)
{
    struct ibv_send_wr *bad;
    for (unsigned i = 0; i < chain.count; i++)
        chain.requests[i].wr_id = id;
    chain.requests[chain.count - 1].send_flags |= IBV_SEND_SIGNALED;
    int error = ibv_post_send(c->id->qp, chain.requests, &bad);
    if (error) {
        client_end(c, END_DEVICE, "posting: %s", errtext_errno(error));
        return false;
    }
    c->g->stats.work_requests += chain.count;
    c->send_free -= chain.count;
    return true;
}

/* Adds requests for @p bytes of @p local and the chunks that they go to or come from. */
static void chain_payload(const struct client *c, enum ibv_wr_opcode opcode, const uint8_t *chunks,
                          uint8_t *local, uint32_t bytes)
{
    while (bytes) {
        struct rdma_chunk chunk;
        rdma_chunk_decode(chunks, &chunk);
        chunks += RDMA_CHUNK_BYTES;
        uint32_t take = chunk.length < bytes ? chunk.length : bytes;
        chain_add(c, opcode, local, take, chunk.address, chunk.rkey);
        local += take;
        bytes -= take;
    }
}

/* How many chunks so many bytes reach into. */
static unsigned chunks_of(const uint8_t *chunks, uint32_t bytes)
{
    unsigned n = 0;
    while (bytes) {
        struct rdma_chunk chunk;
        rdma_chunk_decode(chunks + (size_t)n++ * RDMA_CHUNK_BYTES, &chunk);
        bytes -= chunk.length < bytes ? chunk.length : bytes;
    }
    return n;
}

static unsigned requests_needed(const struct call *call)
{
    if (call->state == CALL_FETCHING)
        return (call->send.header.flags & RDMA_LONG ? 1 : 0) + call->send.header.reads;
    return chunks_of(call->send.writes, call->answer.payload) +
           (call->answer.kind == RDMA_SLOT_LONG) + 1;
}

/* ---- fetching, answering --------------------------------------------------------------------- */

static void post_fetch(struct call *call)
{
    struct client *c = call->client;
    const struct rdma_header *h = &call->send.header;
    chain.count = 0;
    if (h->flags & RDMA_LONG) {
        const struct rdma_chunk *from = &call->send.long_call;
        chain_add(c, IBV_WR_RDMA_READ, call->long_call, from->length, from->address, from->rkey);
    }
    if (h->reads)
        chain_payload(c, IBV_WR_RDMA_READ, call->send.reads, call->payload, h->payload);
    if (chain_post(c, post_id(POST_FETCH, (uint64_t)(call - c->calls))))
        call->posted = chain.count;
}

static uint64_t slot_address(const struct call *call)
{
    const struct client *c = call->client;
    uint32_t number = call->xid & RDMA_CALLBACK_SLOT;
    if (call->callback)
        number = c->credits + (call->immediate >> RDMA_SLOT_BITS) % c->callbacks;
    return c->ring.address + (uint64_t)number * c->slot;
}

/* The receive is posted again before the client can learn that its credit is free. */
static void post_answer(struct call *call)
{
    struct client *c = call->client;
    const struct rdma_slot_head *answer = &call->answer;
    bool is_long = answer->kind == RDMA_SLOT_LONG;
    chain.count = 0;
    chain_payload(c, IBV_WR_RDMA_WRITE, call->send.writes, call->payload, answer->payload);
    if (is_long)
        chain_add(c, IBV_WR_RDMA_WRITE, call->reply, answer->message, call->send.reply.address,
                  call->send.reply.rkey);
    rdma_slot_encode(call->staging, answer);
    uint32_t length = RDMA_SLOT_HEAD_BYTES + (is_long ? 0 : answer->message);
    struct ibv_send_wr *last = chain_add(c, IBV_WR_RDMA_WRITE_WITH_IMM, call->staging, length,
                                         slot_address(call), c->ring.rkey);
    last->imm_data = htonl(call->immediate);
    if (call->receive >= 0)
        client_receive_again(c, call->receive);
    call->receive = -1;
    if (c->state == CLIENT_CLOSED ||
        !chain_post(c, post_id(POST_ANSWER, (uint64_t)(call - c->calls))))
        return;
    call->posted = chain.count;
    call->state = CALL_POSTED;
    if (!call->callback) {
        c->answers_posted++;
        if (c->slots[call->xid & RDMA_CALLBACK_SLOT] == call)
            c->slots[call->xid & RDMA_CALLBACK_SLOT] = NULL;
    }
    c->g->stats.bytes_written += answer->payload;
}

static bool post_now(struct call *call)
{
    struct client *c = call->client;
    bool answers = call->state == CALL_ANSWERING;
    if (c->state == CLIENT_CLOSED || requests_needed(call) > c->send_free ||
        (answers && !call->callback && c->answers_posted == c->credits))
        return false;
    if (answers)
        post_answer(call);
    else
        post_fetch(call);
    return true;
}

void post_call(struct call *call)
{
    struct client *c = call->client;
    if (list_empty(&c->posts) && post_now(call))
        return;
    c->g->stats.waits_queue++;
    list_append(&c->posts, &call->link);
}

void post_waiting(struct client *c)
{
    while (!list_empty(&c->posts)) {
        struct call *call = LIST_OF(c->posts.next, struct call, link);
        if (!post_now(call))
            return;
        list_remove(&call->link);
    }
}

void post_probe(struct client *c)
{
    if (!c->send_free)
        return; /* what is posted already will show it */
    chain.count = 0;
    chain_add(c, IBV_WR_RDMA_WRITE, c->fixed, 0, c->ring.address, c->ring.rkey);
    c->probing = chain_post(c, post_id(POST_PROBE, 0));
}
