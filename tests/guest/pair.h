/*
 * Two queue pairs, connected to each other over the guest's device, in one process: what a client
 * and a gateway are made of, without either. Failures are the test's.
 *
 * `client` has its receives in a shared receive queue and offers memory; `server` writes to it.
 */
#ifndef TESTS_GUEST_PAIR_H
#define TESTS_GUEST_PAIR_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <rdma/rdma_cma.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PAIR_DEPTH = 64,
    PAIR_PATIENCE = 20, /* seconds; reached only when a test fails */
};

struct side {
    struct rdma_event_channel *channel;
    struct rdma_cm_id *id;
    struct ibv_pd *pd;
    struct ibv_comp_channel *wakes;
    struct ibv_cq *cq;
    struct ibv_srq *srq; /* NULL: receives are the queue pair's own */
    struct ibv_qp *qp;
    /* What the other side's private data was. */
    unsigned char told[256];
    unsigned told_length;
};

struct pair {
    struct rdma_cm_id *listener;
    struct side client, server;
};

/**
 * The test and what the device does for it share one CPU from now on. rxe checks a packet's key,
 * then copies the packet. With another CPU the rest of the packet that is being copied, 4 KiB at
 * most, may land after an invalidation has completed; on one, the copying is not interrupted by a
 * process. Destroying a queue pair or deregistering memory waits for the copy in any case.
 */
static inline void pair_one_cpu(void)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    cr_assert_eq(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

static inline struct rdma_cm_event *pair_event(struct side *side, enum rdma_cm_event_type wanted)
{
    struct rdma_cm_event *event;

    cr_assert_eq(rdma_get_cm_event(side->channel, &event), 0);
    cr_assert_eq(event->event, wanted, "%s (%d) instead of %s", rdma_event_str(event->event),
                 event->status, rdma_event_str(wanted));
    side->told_length = 0;
    if (event->param.conn.private_data) {
        side->told_length = event->param.conn.private_data_len;
        memcpy(side->told, event->param.conn.private_data, side->told_length);
    }
    return event;
}

static inline void pair_expect(struct side *side, enum rdma_cm_event_type wanted)
{
    rdma_ack_cm_event(pair_event(side, wanted));
}

/** Makes the queue pair of a side, in a protection domain if one is given. */
static inline void side_open(struct side *side, struct rdma_cm_id *id, struct ibv_pd *pd, bool srq)
{
    struct ibv_srq_init_attr shared = {.attr = {.max_wr = PAIR_DEPTH, .max_sge = 0}};

    side->id = id;
    side->pd = pd ? pd : ibv_alloc_pd(id->verbs);
    cr_assert_not_null(side->pd);
    side->wakes = ibv_create_comp_channel(id->verbs);
    cr_assert_not_null(side->wakes);
    side->cq = ibv_create_cq(id->verbs, 4 * PAIR_DEPTH, NULL, side->wakes, 0);
    cr_assert_not_null(side->cq);
    if (srq) {
        side->srq = ibv_create_srq(side->pd, &shared);
        cr_assert_not_null(side->srq, "ibv_create_srq: %s", strerror(errno));
    }
    struct ibv_qp_init_attr attr = {
        .send_cq = side->cq,
        .recv_cq = side->cq,
        .srq = side->srq,
        .qp_type = IBV_QPT_RC,
        .cap = {.max_send_wr = PAIR_DEPTH,
                .max_recv_wr = srq ? 0 : PAIR_DEPTH,
                .max_send_sge = 2,
                .max_recv_sge = srq ? 0 : 1},
    };
    cr_assert_eq(rdma_create_qp(id, side->pd, &attr), 0, "rdma_create_qp: %s", strerror(errno));
    side->qp = id->qp;
}

/** What private data each side sends; all zero: none. */
struct private_data {
    const void *ask, *answer;
    uint8_t ask_length, answer_length;
};

static const struct rdma_conn_param PAIR_PARAM = {
    .responder_resources = 4, .initiator_depth = 4, .retry_count = 7, .rnr_retry_count = 7};

/** The client asks for a connection. @return the server's event, to be acknowledged.
 *  @param pd  the client's protection domain, NULL: one of its own */
static inline struct rdma_cm_event *pair_ask(struct pair *pair, const char *host, struct ibv_pd *pd,
                                             const struct private_data *data)
{
    struct rdma_addrinfo hints = {.ai_flags = RAI_PASSIVE, .ai_port_space = RDMA_PS_TCP}, *address;
    struct rdma_conn_param param = PAIR_PARAM;
    struct rdma_cm_id *id;

    memset(pair, 0, sizeof(*pair));
    cr_assert_not_null(host, "no address: to be run in the guest");
    cr_assert_not_null(pair->client.channel = rdma_create_event_channel());
    cr_assert_not_null(pair->server.channel = rdma_create_event_channel());
    cr_assert_eq(rdma_getaddrinfo(host, NULL, &hints, &address), 0);
    cr_assert_eq(rdma_create_id(pair->server.channel, &pair->listener, NULL, RDMA_PS_TCP), 0);
    cr_assert_eq(rdma_bind_addr(pair->listener, address->ai_src_addr), 0);
    cr_assert_eq(rdma_listen(pair->listener, 4), 0);
    rdma_freeaddrinfo(address);

    cr_assert_eq(rdma_create_id(pair->client.channel, &id, NULL, RDMA_PS_TCP), 0);
    struct sockaddr *to = rdma_get_local_addr(pair->listener);
    cr_assert_eq(rdma_resolve_addr(id, NULL, to, 1000 * PAIR_PATIENCE), 0);
    pair_expect(&pair->client, RDMA_CM_EVENT_ADDR_RESOLVED);
    cr_assert_eq(rdma_resolve_route(id, 1000 * PAIR_PATIENCE), 0);
    pair_expect(&pair->client, RDMA_CM_EVENT_ROUTE_RESOLVED);
    side_open(&pair->client, id, pd, true);
    param.private_data = data->ask;
    param.private_data_len = data->ask_length;
    cr_assert_eq(rdma_connect(id, &param), 0);
    return pair_event(&pair->server, RDMA_CM_EVENT_CONNECT_REQUEST);
}

/** Connects two new queue pairs; as pair_ask(). */
static inline void pair_open_with(struct pair *pair, const char *host, struct ibv_pd *pd,
                                  const struct private_data *data)
{
    struct rdma_cm_event *event = pair_ask(pair, host, pd, data);
    struct rdma_conn_param param = PAIR_PARAM;

    side_open(&pair->server, event->id, NULL, false);
    param.private_data = data->answer;
    param.private_data_len = data->answer_length;
    cr_assert_eq(rdma_accept(event->id, &param), 0);
    rdma_ack_cm_event(event);
    pair_expect(&pair->client, RDMA_CM_EVENT_ESTABLISHED);
    event = NULL;
    cr_assert_eq(rdma_get_cm_event(pair->server.channel, &event), 0);
    cr_assert_eq(event->event, RDMA_CM_EVENT_ESTABLISHED);
    rdma_ack_cm_event(event);
}

static inline void pair_open(struct pair *pair)
{
    pair_open_with(pair, getenv("RDMA_IP"), NULL, &(struct private_data){0});
}

/** Waits for one completion. */
static inline struct ibv_wc side_wait(struct side *side)
{
    struct timespec now, start;
    struct ibv_wc wc;

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        int n = ibv_poll_cq(side->cq, 1, &wc);
        cr_assert_geq(n, 0);
        if (n)
            return wc;
        clock_gettime(CLOCK_MONOTONIC, &now);
        cr_assert_lt(now.tv_sec - start.tv_sec, PAIR_PATIENCE, "no completion");
    }
}

/** Waits for one completion, which is to be this. */
static inline struct ibv_wc side_expect(struct side *side, enum ibv_wc_status status, uint64_t id)
{
    struct ibv_wc wc = side_wait(side);

    cr_assert_eq(wc.status, status, "%s instead of %s, id %lu", ibv_wc_status_str(wc.status),
                 ibv_wc_status_str(status), wc.wr_id);
    cr_assert_eq(wc.wr_id, id);
    return wc;
}

/** Posts work requests; each is linked to the next here. */
static inline int side_post(struct side *side, struct ibv_send_wr *wr, unsigned n)
{
    struct ibv_send_wr *bad;

    for (unsigned i = 0; i < n; i++)
        wr[i].next = i + 1 < n ? &wr[i + 1] : NULL;
    return ibv_post_send(side->qp, wr, &bad);
}

/** A receive without memory, for an immediate. */
static inline int side_post_receive(struct side *side, uint64_t id)
{
    struct ibv_recv_wr wr = {.wr_id = id}, *bad;

    return side->srq ? ibv_post_srq_recv(side->srq, &wr, &bad) : ibv_post_recv(side->qp, &wr, &bad);
}

/** Takes down a side that has no windows and memory regions any more. */
static inline void side_close(struct side *side, bool own_pd)
{
    rdma_destroy_qp(side->id);
    if (side->srq)
        cr_assert_eq(ibv_destroy_srq(side->srq), 0);
    cr_assert_eq(ibv_destroy_cq(side->cq), 0);
    cr_assert_eq(ibv_destroy_comp_channel(side->wakes), 0);
    if (own_pd)
        cr_assert_eq(ibv_dealloc_pd(side->pd), 0);
    cr_assert_eq(rdma_destroy_id(side->id), 0);
}

static inline void pair_close(struct pair *pair)
{
    side_close(&pair->client, true);
    side_close(&pair->server, true);
    rdma_destroy_id(pair->listener);
    rdma_destroy_event_channel(pair->client.channel);
    rdma_destroy_event_channel(pair->server.channel);
}

#endif
