/*
 * One call's way through the gateway.
 *
 *                       +-- nothing to be fetched --------------------+
 *                       |                                             v
 *   SEND --> HUNGRY --> memory --> FETCHING --completion--> AT_BRICK --reply--> ANSWERING
 *              |                      |                        |                   |
 *              +------ CANCEL --------+-- at the completion ---+--> an ERROR ------+
 *                                                                                  |
 *   idle <--completion-- POSTED <---- payload, reply and immediate in the send queue
 *
 * All the memory that a call needs is taken at once, before it begins, so that no call holds some
 * and waits for more. Up to ANSWERING the call's xid finds it in client.slots; once it is POSTED
 * the client may use the slot again, before the gateway sees the completion.
 *
 * What is posted waits for room in the send queue, first come, first served; a call that is
 * FETCHING or ANSWERING may so wait in client.posts.
 */
#ifndef GATEWAY_CALL_H
#define GATEWAY_CALL_H

#include "list.h"
#include "proto/rdma_wire.h"
#include "transport/transport.h"

struct client;

enum call_state {
    CALL_IDLE,
    CALL_HUNGRY,    /* waits for memory */
    CALL_FETCHING,  /* its RDMA READs are posted, or are about to be */
    CALL_AT_BRICK,  /* sent, or queued for sending */
    CALL_ANSWERING, /* the answer is known, and about to be posted */
    CALL_POSTED,
};

/** A call, a callback on its way to the client, or the answer to ATTACH. */
struct call {
    struct client *client;
    struct list link; /* in one of the client's lists: idle, hungry, posts */
    enum call_state state;
    bool cancelled; /* while FETCHING */
    bool callback;
    uint32_t xid;
    uint32_t immediate;
    int receive;           /* the receive that it came in, and its chunks are in; -1: none */
    struct rdma_send send; /* that, taken apart */
    /* in the arena: taken for this call */
    uint8_t *memory;
    size_t memory_bytes;
    uint8_t *long_call; /* mark and call */
    uint8_t *payload;   /* fetched for, or landed from, the brick */
    uint8_t *reply;     /* what is too long for the slot */
    uint32_t reply_room;
    /* in the arena: the call's for good */
    uint8_t *staging; /* a slot: head and message */
    struct message message;
    struct iovec outgoing, landing;
    struct rdma_slot_head answer;
    unsigned posted; /* work requests that its completion gives back */
};

/** A CALL has come: receive buffer @p receive, taken apart. Whether it is what was negotiated is
 *  checked here; if not the client is ended. */
void call_begin(struct client *c, int receive, const struct rdma_send *send);
/** The client wants the outcome of call @p xid no more. */
void call_cancel(struct client *c, uint32_t xid);
/** All its chunks have been fetched. */
void call_fetched(struct call *call);
/** Its answer has been written, or a callback. */
void call_over(struct call *call);

/** The brick's reply is in, @p message bytes in the staging or, kind LONG, the reply's memory. */
void call_reply(struct call *call, enum rdma_slot_kind kind, uint32_t message, uint32_t payload);
/** There will be no reply for the client. */
void call_error(struct call *call, enum rdma_error_code code, const char *text);

/** An idle call, which the caller gives a state; NULL: there is none. */
struct call *call_take(struct client *c);
/** Calls that wait for memory get what there is, each client one in its turn. */
struct gateway;
void calls_feed(struct gateway *g);

#endif
