/* The parts of a fake gateway: fake_gateway.c (thread, connections, verbs), fake_gateway_serve.c
 * (messages and their answers). */
#ifndef TESTS_GUEST_FAKE_GATEWAY_INTERNAL_H
#define TESTS_GUEST_FAKE_GATEWAY_INTERNAL_H

#include "tests/guest/fake_gateway.h"
#include "tests/wire/peer_internal.h"

#include <pthread.h>
#include <rdma/rdma_cma.h>

#define GATE_MOST (RDMA_CREDITS_MAX + RDMA_UNCOUNTED) /* receives */

struct gate_verbs {
    struct rdma_cm_id *id;
    bool established;
    struct ibv_pd *pd;
    struct ibv_cq *cq;
    struct ibv_mr *inbox_mr, *stage_mr;
    uint8_t *inbox; /* receive buffers, of granted.inline_bytes each */
    uint8_t *stage; /* what is written, read and sent */
    size_t stage_bytes;
    struct {
        uint32_t buffer, length;
    } pending[GATE_MOST]; /* received, to be dealt with */
    unsigned npending;
    bool done; /* the operation that is waited for */
    enum ibv_wc_status status;
    struct peer_conn conn; /* the brick's idea of this connection */
};

struct gate {
    struct gate_options options;
    struct gate_counts counts;
    enum gate_cancel cancel;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* with CLOCK_MONOTONIC */
    bool stop;
    int wake;
    struct rdma_event_channel *events;
    struct rdma_cm_id *listener, *unanswered;
    struct ibv_comp_channel *channel;
    struct gate_link *links; /* the latest first */
    struct gate_kept **kept;
    unsigned nkept, kept_room;
    struct peer *peer;
};

/** Deals with one SEND of the client's. [locked] */
void gate_serve(struct gate_link *link, const uint8_t *bytes, size_t length);
void gate_kept_free(struct gate *gate);

#endif
