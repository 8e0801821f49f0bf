/* A link's life: from an address to an attached queue pair, and its end. */
#include "transport/rdma/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RESOLVE_MS 5000 /* the connection's own time-out is the user's */
#define RETRIES    7 /* of rdma_conn_param: the most; 7 for a receiver that is not ready: for ever */
#define READS      16 /* of ours, by the peer, at a time */
#define REJECTED_BY_PEER                                                                           \
    28                   /* InfiniBand's reject reasons, as rdma_cm gives them: by its program, */
#define NOBODY_LISTENS 8 /* by its host */

/* ---- memory ---------------------------------------------------------------------------------- */

/* | SENDs of the calls | SENDs without a call | ring | */
static int link_memory(struct rdma_link *l)
{
    size_t sends = (size_t)l->asked.credits * LINK_SEND_BYTES;
    size_t controls =
        RDMA_HEADER_BYTES + RDMA_CHUNK_BYTES + RDMA_TARGET_MAX; /* ATTACH, later others */
    size_t first = (sends + controls + 63) / 64 * 64, all = first + ring_bytes(l);
    l->slots = calloc(l->asked.credits, sizeof(*l->slots));
    l->sends = aligned_alloc(64, (all + 63) / 64 * 64);
    if (!l->slots || !l->sends)
        return errtext_set(l->base.why, ENOMEM, "no memory");
    memset(l->sends, 0, all);
    l->controls = l->sends + sends;
    l->ring = l->sends + first;
    l->sends_mr = ibv_reg_mr(l->domain->pd, l->sends, first, 0);
    if (l->sends_mr)
        l->ring_mr = ibv_reg_mr(l->domain->pd, l->ring, ring_bytes(l),
                                rdma_domain_access(l->domain, IBV_ACCESS_REMOTE_WRITE));
    return l->ring_mr ? 0
                      : errtext_set(l->base.why, errno,
                                    "registering %zu bytes of libgzc's own for RDMA: %s "
                                    "(the limit on locked memory is ulimit -l)",
                                    all, errtext_errno(errno));
}

static void link_free_memory(struct rdma_link *l)
{
    for (unsigned i = 0; l->slots && i < l->asked.credits; i++)
        link_release(l, &l->slots[i]);
    while (l->bulk) {
        struct link_bulk *bulk = l->bulk;
        l->bulk = bulk->next;
        ibv_dereg_mr(bulk->mr);
        free(bulk);
    }
    if (l->ring_mr)
        ibv_dereg_mr(l->ring_mr);
    if (l->sends_mr)
        ibv_dereg_mr(l->sends_mr);
    free(l->sends);
    free(l->slots);
    l->ring_mr = l->sends_mr = NULL;
    l->sends = l->ring = l->controls = NULL;
    l->slots = NULL;
}

/* ---- queue pair ------------------------------------------------------------------------------ */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static int watch(struct rdma_link *l, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || epoll_ctl(l->base.fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    return 0;
}

static int link_queue(struct rdma_link *l)
{
    struct rdma_domain *d = l->domain;
    unsigned receives = (unsigned)l->asked.credits + l->asked.callbacks;
    struct ibv_qp_init_attr attr = {
        .srq = d->srq,
        .qp_type = IBV_QPT_RC,
        .cap =
            {
                .max_send_wr = least(LINK_SENDS, (unsigned)d->attr.max_qp_wr),
                .max_send_sge = least(LINK_PIECES + 1, (unsigned)d->attr.max_sge),
            },
    };
    int entries = (int)least(2 * receives + LINK_SENDS, (unsigned)d->attr.max_cqe);
    int word = rdma_memory_fd(d->memory);
    l->channel = ibv_create_comp_channel(l->id->verbs);
    if (!l->channel || watch(l, l->channel->fd) < 0 || (word >= 0 && watch(l, word) < 0))
        return -errno;
    l->cq = ibv_create_cq(l->id->verbs, entries, NULL, l->channel, 0);
    if (!l->cq)
        return -errno;
    attr.send_cq = attr.recv_cq = l->cq;
    if (rdma_create_qp(l->id, d->pd, &attr) < 0)
        return -errno;
    l->has_queue = true;
    l->inline_pieces = attr.cap.max_send_sge - 1;
    if (l->inline_pieces > LINK_PIECES)
        l->inline_pieces = LINK_PIECES;
    return rdma_domain_post(d, receives);
}

/* How many receives the peer has used up that have not been posted again. Those in completions that
 * nobody has polled yet are lost with the queue pair, so that it must be at its end first. */
static unsigned link_consumed(struct rdma_link *l)
{
    struct ibv_qp_attr end = {.qp_state = IBV_QPS_ERR};
    ibv_modify_qp(l->id->qp, &end, IBV_QP_STATE);
    do {
        for (int i = 0; i < l->ncompletions; i++)
            l->consumed += l->completions[i].wr_id == LINK_RECEIVE;
        l->ncompletions = ibv_poll_cq(l->cq, LINK_COMPLETIONS, l->completions);
    } while (l->ncompletions > 0);
    l->ncompletions = 0;
    return l->consumed;
}

/* A queue pair is destroyed when no window is bound to it: with one, rdma_rxe waits for it. */
void link_destroy_queue(struct rdma_link *l)
{
    if (!l->has_queue)
        return;
    for (unsigned i = 0; i < l->asked.credits; i++) {
        for (struct link_grant *g = l->slots[i].grants; g < l->slots[i].grants + LINK_GRANTS; g++) {
            if (g->window)
                ibv_dealloc_mw(g->window);
            g->window = NULL;
            g->bound = false;
        }
    }
    if (l->ring_grant.window)
        ibv_dealloc_mw(l->ring_grant.window);
    l->ring_grant = (struct link_grant){0};
    unsigned consumed = link_consumed(l);
    rdma_destroy_qp(l->id);
    l->has_queue = false;
    rdma_domain_forget(l->domain, (unsigned)l->asked.credits + l->asked.callbacks, consumed);
    l->consumed = 0;
}

/* ---- connecting ------------------------------------------------------------------------------ */

static int link_prepare(struct rdma_link *l)
{
    l->domain = rdma_domain_get(l->rdma, l->id->verbs, l->base.why);
    if (!l->domain)
        return -ENODEV;
    int rc = link_memory(l);
    if (rc == 0 && (rc = link_queue(l)) < 0)
        errtext_set(l->base.why, rc, "RDMA queue pair on %s: %s",
                    ibv_get_device_name(l->id->verbs->device), errtext_errno(rc));
    return rc;
}

static int link_request_connection(struct rdma_link *l)
{
    uint8_t data[RDMA_REQUEST_BYTES];
    rdma_request_encode(data, &l->asked);
    struct rdma_conn_param param = {
        .private_data = data,
        .private_data_len = sizeof(data),
        .responder_resources = (uint8_t)least(READS, (unsigned)l->domain->attr.max_qp_rd_atom),
        .retry_count = RETRIES,
        .rnr_retry_count = RETRIES,
    };
    return rdma_connect(l->id, &param) < 0 ? -errno : 0;
}

/* Tells the gateway where the ring is, and whom it is to speak for. */
static int link_attach(struct rdma_link *l, const void *data, size_t length)
{
    struct link_tx *tx = &l->tx;
    size_t target = strlen(l->target);
    if (rdma_accept_decode(data, length, l->asked.credits, &l->granted) < 0)
        return errtext_set(l->base.why, EPROTO, "what accepted the connection is no RDMA gateway");
    if (l->granted.version != RDMA_WIRE_VERSION)
        return errtext_set(l->base.why, EPROTO, "the gateway chose version %u", l->granted.version);
    if (target > RDMA_TARGET_MAX ||
        RDMA_HEADER_BYTES + RDMA_CHUNK_BYTES + target > l->granted.inline_bytes)
        return errtext_set(l->base.why, ENAMETOOLONG, "'%.200s' is too long for RDMA", l->target);
    int rc = 0;
    l->ring_grant.rkey = l->ring_mr->rkey;
    if (l->domain->windows)
        rc = link_bind(l, &l->ring_grant, l->ring_mr, l->ring, (uint32_t)ring_bytes(l),
                       IBV_ACCESS_REMOTE_WRITE);
    if (rc < 0) {
        *l->base.why = tx->why;
        return rc;
    }

    struct rdma_header h = {.kind = RDMA_ATTACH, .message = (uint32_t)target};
    struct rdma_chunk ring = {(uintptr_t)l->ring, (uint32_t)ring_bytes(l), l->ring_grant.rkey};
    uint8_t *send = l->controls;
    rdma_header_encode(send, &h);
    rdma_chunk_encode(send + RDMA_HEADER_BYTES, &ring);
    memcpy(send + RDMA_HEADER_BYTES + RDMA_CHUNK_BYTES, l->target, target);
    struct ibv_send_wr *request = link_request(l, IBV_WR_SEND);
    tx->pieces[0] = (struct ibv_sge){
        .addr = (uintptr_t)send,
        .length = (uint32_t)(RDMA_HEADER_BYTES + RDMA_CHUNK_BYTES + target),
        .lkey = l->sends_mr->lkey,
    };
    request->sg_list = tx->pieces;
    request->num_sge = 1;
    for (unsigned i = 0; i < LINK_CONTROLS; i++)
        l->control_fence[i] = tx->posted + tx->nrequests; /* it takes the place of all */
    rc = link_post(l, true);
    return rc < 0 ? errtext_set(l->base.why, rc, "RDMA: %s", errtext_errno(rc)) : 0;
}

static int link_rejected(struct rdma_link *l, int status, const void *data, size_t length)
{
    struct rdma_reject reject;
    if (status == NOBODY_LISTENS)
        return errtext_set(l->base.why, ECONNREFUSED, "no RDMA gateway listens there");
    if (status == REJECTED_BY_PEER && rdma_reject_decode(data, length, &reject) == 0)
        return errtext_set(l->base.why, reject.reason == RDMA_REJECT_VERSION ? EPROTO : EACCES,
                           "the RDMA gateway refuses: %s", rdma_reject_text(reject.reason));
    return errtext_set(l->base.why, ECONNREFUSED, "the RDMA connection was rejected (reason %d)",
                       status);
}

static int unreachable(struct rdma_link *l, int err)
{
    return errtext_set(l->base.why, EHOSTUNREACH, "no RDMA device reaches that address: %s",
                       errtext_errno(err));
}

/* One event of the connection manager's. @return 0 or -errno. */
static int link_event(struct rdma_link *l, const struct rdma_cm_event *event)
{
    int rc = 0;
    const void *data = event->param.conn.private_data;
    size_t length = event->param.conn.private_data_len;
    switch (event->event) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
        l->state = LINK_ROUTE;
        if (rdma_resolve_route(l->id, RESOLVE_MS) < 0)
            return unreachable(l, errno);
        break;
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
        l->state = LINK_CONNECT;
        rc = link_prepare(l);
        if (rc == 0)
            rc = link_request_connection(l);
        break;
    case RDMA_CM_EVENT_ESTABLISHED:
        l->state = LINK_ATTACH;
        rc = link_attach(l, data, length);
        break;
    case RDMA_CM_EVENT_REJECTED:
        return link_rejected(l, event->status, data, length);
    case RDMA_CM_EVENT_ADDR_ERROR:
    case RDMA_CM_EVENT_ROUTE_ERROR:
        return unreachable(l, -event->status);
    case RDMA_CM_EVENT_UNREACHABLE:
    case RDMA_CM_EVENT_CONNECT_ERROR:
        return errtext_set(l->base.why, EHOSTUNREACH, "the host does not answer by RDMA");
    case RDMA_CM_EVENT_DISCONNECTED:
        return errtext_set(l->base.why, ENOTCONN, "the RDMA gateway has disconnected");
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
        return errtext_set(l->base.why, ENOTCONN, "the RDMA device is being removed");
    default: /* nothing that concerns a connection */
        break;
    }
    if (rc < 0 && !l->base.why->text[0])
        errtext_set(l->base.why, rc, "RDMA: %s: %s", rdma_event_str(event->event),
                    errtext_errno(rc));
    return rc;
}

int link_events(struct rdma_link *l)
{
    struct rdma_cm_event *event;
    int rc = 0;
    while (rc == 0 && rdma_get_cm_event(l->events, &event) == 0) {
        rc = link_event(l, event);
        rdma_ack_cm_event(event);
    }
    return rc;
}

static int link_connect(struct transport *base, const struct sockaddr *address, socklen_t length)
{
    struct rdma_link *l = link_of(base);
    (void)length;
    l->asked = (struct rdma_request){
        .version_min = RDMA_WIRE_VERSION,
        .version_max = RDMA_WIRE_VERSION,
        .credits = (uint16_t)l->rdma->options.credits,
        .callbacks = LINK_CALLBACKS,
        .slot = LINK_SLOT_BYTES,
    };
    base->fd = epoll_create1(EPOLL_CLOEXEC);
    l->events = base->fd < 0 ? NULL : rdma_create_event_channel();
    if (!l->events || watch(l, l->events->fd) < 0 ||
        rdma_create_id(l->events, &l->id, l, RDMA_PS_TCP) < 0)
        return errtext_set(base->why, errno, "RDMA: %s", errtext_errno(errno));
    if (rdma_resolve_addr(l->id, NULL, (struct sockaddr *)address, RESOLVE_MS) < 0)
        return unreachable(l, errno);
    l->state = LINK_ADDRESS;
    return 0;
}

/* The answer to ATTACH. */
static int link_attached(struct rdma_link *l)
{
    struct rdma_slot_head head;
    int rc = link_read_slot(l, 0, &head);
    if (rc < 0)
        return rc;
    if (head.kind == RDMA_SLOT_ERROR && !head.xid) {
        static const int errors[] = {
            [RDMA_ERROR_UNREACHABLE] = ENOTCONN,
            [RDMA_ERROR_REFUSED] = ENOENT,
            [RDMA_ERROR_NO_MEMORY] = ENOMEM,
        };
        int error = head.code < sizeof(errors) / sizeof(*errors) ? errors[head.code] : 0;
        return errtext_set(l->base.why, error ? error : EPROTO, "the RDMA gateway: %.*s",
                           head.message < 200 ? (int)head.message : 200, (const char *)l->copy);
    }
    if (head.kind != RDMA_SLOT_REPLY || head.xid || head.message || head.payload)
        return errtext_set(l->base.why, EPROTO, "malformed answer of the RDMA gateway");
    l->state = LINK_OPEN;
    l->base.credits = l->granted.credits;
    l->base.pieces = least(l->granted.pieces, LINK_PIECES);
    l->base.payload = l->granted.payload;
    l->base.drowsy = true;
    return 0;
}

/* A gateway that will not attach us says why and then disconnects: word of the end does not make
 * its answer, which came before, untrue. */
static int link_connected(struct transport *base)
{
    struct rdma_link *l = link_of(base);
    int over = link_events(l);
    if (l->state != LINK_ATTACH)
        return over < 0 ? over : -EINPROGRESS;
    struct errtext why = *base->why;
    struct ibv_cq *cq;
    void *context;
    while (ibv_get_cq_event(l->channel, &cq, &context) == 0)
        ibv_ack_cq_events(cq, 1);
    ibv_req_notify_cq(l->cq, 0);
    int rc = 0;
    while (rc == 0 && link_rx_issue(base))
        rc = link_take(l);
    int answer = l->attached ? link_attached(l) : -EINPROGRESS;
    if (answer < 0 && l->attached)
        return answer;
    if (over < 0)
        *base->why = why; /* rather than that of a queue pair at its end */
    return over < 0 ? over : rc < 0 ? rc : answer;
}

static int link_peer(struct transport *base, struct sockaddr_storage *address)
{
    const struct sockaddr *peer = rdma_get_peer_addr(link_of(base)->id);
    if (!peer)
        return -ENOTCONN;
    memcpy(address, peer,
           peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void link_close(struct transport *base)
{
    struct rdma_link *l = link_of(base);
    if (l->state >= LINK_ATTACH)
        rdma_disconnect(l->id);
    link_destroy_queue(l);
    link_tx_reset(l);
    link_free_memory(l);
    if (l->cq)
        ibv_destroy_cq(l->cq);
    if (l->channel)
        ibv_destroy_comp_channel(l->channel);
    if (l->id)
        rdma_destroy_id(l->id);
    if (l->events)
        rdma_destroy_event_channel(l->events);
    if (base->fd >= 0)
        close(base->fd);
    free(l->copy);
    struct rdma_link fresh = {.base = l->base, .rdma = l->rdma, .target = l->target};
    *l = fresh;
    base->fd = -1;
    base->blocked = base->unsent = base->drowsy = false;
    base->credits = 0;
    link_tx_reset(l);
    slot_list_init(&l->answered);
    slot_list_init(&l->invalidating);
    slot_list_init(&l->shown);
}

static void link_free(struct transport *base)
{
    link_close(base);
    free(base);
}

static const struct transport_ops link_ops = {
    .connect = link_connect,
    .connected = link_connected,
    .peer = link_peer,
    .close = link_close,
    .free = link_free,
    .tx_queue = link_tx_queue,
    .tx_prepare = link_tx_prepare,
    .tx_issue = link_tx_issue,
    .tx_finish = link_tx_finish,
    .tx_ready = link_tx_ready,
    .tx_retire = link_tx_retire,
    .rx_prepare = link_rx_prepare,
    .rx_issue = link_rx_issue,
    .rx_finish = link_rx_finish,
    .rx_sleep = link_rx_sleep,
    .rx_retire = link_rx_retire,
};

struct transport *link_make(const struct transport_kind *kind, const char *target,
                            const struct transport_user *ops, void *user, struct counters *counters,
                            struct errtext *why)
{
    struct rdma_link *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->rdma = (struct rdma *)kind;
    l->target = target;
    l->base = (struct transport){
        .ops = &link_ops,
        .user_ops = ops,
        .user = user,
        .counters = counters,
        .why = why,
        .fd = -1,
    };
    link_close(&l->base);
    return &l->base;
}
