/* The gateway's thread, its connections, and what it does by RDMA. */
#include "tests/guest/fake_gateway_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE 0 /* wr_id: buffer + 1; of what is waited for: */
#define WAITED  UINT64_MAX

static void take_events(struct gate *g);

/* ---- completions ----------------------------------------------------------------------------- */

static void post_receive(struct gate_link *link, uint32_t buffer)
{
    struct gate_verbs *v = link->verbs;
    uint32_t size = link->granted.inline_bytes;
    struct ibv_sge sge = {
        .addr = (uintptr_t)(v->inbox + (size_t)buffer * size),
        .length = size,
        .lkey = v->inbox_mr->lkey,
    };
    struct ibv_recv_wr wr = {.wr_id = buffer + 1, .sg_list = &sge, .num_sge = 1}, *bad;
    if (ibv_post_recv(v->id->qp, &wr, &bad) && link->open)
        abort();
}

/* True if there was something. */
static bool take_completions(struct gate_link *link)
{
    struct gate_verbs *v = link->verbs;
    struct ibv_wc wc;
    bool some = false;
    while (v && v->cq && ibv_poll_cq(v->cq, 1, &wc) > 0) {
        some = true;
        if (wc.wr_id == WAITED) {
            v->done = true;
            v->status = wc.status;
        } else if (wc.status == IBV_WC_SUCCESS) {
            v->pending[v->npending].buffer = (uint32_t)wc.wr_id - 1;
            v->pending[v->npending++].length = wc.byte_len;
        }
    }
    return some;
}

static enum ibv_wc_status do_one(struct gate_link *link, struct ibv_send_wr *wr, size_t n)
{
    struct gate_verbs *v = link->verbs;
    struct ibv_send_wr *bad;
    if (!link->open)
        return IBV_WC_WR_FLUSH_ERR;
    struct ibv_sge sge = {(uintptr_t)v->stage, (uint32_t)n, v->stage_mr->lkey};
    wr->wr_id = WAITED;
    wr->send_flags = IBV_SEND_SIGNALED;
    wr->sg_list = n ? &sge : NULL;
    wr->num_sge = n ? 1 : 0;
    v->done = false;
    if (n > v->stage_bytes || ibv_post_send(v->id->qp, wr, &bad))
        return IBV_WC_LOC_QP_OP_ERR;
    while (!v->done && link->open) {
        if (take_completions(link))
            continue;
        take_events(link->gate); /* a client that is gone answers nothing */
        sched_yield();
    }
    return v->done ? v->status : IBV_WC_WR_FLUSH_ERR;
}

/* ---- operations ------------------------------------------------------------------------------ */

static enum ibv_wc_status put(struct gate_link *link, struct ibv_send_wr *wr, const void *bytes,
                              size_t n)
{
    if (link->open && n && n <= link->verbs->stage_bytes)
        memcpy(link->verbs->stage, bytes, n);
    return do_one(link, wr, n);
}

enum ibv_wc_status gate_write(struct gate_link *link, uint64_t address, uint32_t rkey,
                              const void *bytes, size_t n)
{
    struct ibv_send_wr wr = {.opcode = IBV_WR_RDMA_WRITE, .wr.rdma = {address, rkey}};
    return put(link, &wr, bytes, n);
}

enum ibv_wc_status gate_write_immediate(struct gate_link *link, uint64_t address, uint32_t rkey,
                                        const void *bytes, size_t n, uint32_t immediate)
{
    struct ibv_send_wr wr = {
        .opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
        .imm_data = htonl(immediate),
        .wr.rdma = {address, rkey},
    };
    return put(link, &wr, bytes, n);
}

enum ibv_wc_status gate_read(struct gate_link *link, uint64_t address, uint32_t rkey, void *bytes,
                             size_t n)
{
    struct ibv_send_wr wr = {.opcode = IBV_WR_RDMA_READ, .wr.rdma = {address, rkey}};
    enum ibv_wc_status status = do_one(link, &wr, n);
    if (status == IBV_WC_SUCCESS)
        memcpy(bytes, link->verbs->stage, n);
    return status;
}

enum ibv_wc_status gate_send(struct gate_link *link, const void *bytes, size_t n)
{
    struct ibv_send_wr wr = {.opcode = IBV_WR_SEND};
    return put(link, &wr, bytes, n);
}

uint64_t gate_slot(const struct gate_link *link, unsigned slot)
{
    return link->ring.address + (uint64_t)slot * link->asked.slot;
}

/* ---- connections ----------------------------------------------------------------------------- */

static void link_gone(struct gate_link *link)
{
    struct gate_verbs *v = link->verbs;
    if (!link->open)
        return;
    link->open = false;
    link->gate->counts.open--;
    rdma_disconnect(v->id);
    rdma_destroy_qp(v->id);
    ibv_destroy_cq(v->cq);
    v->cq = NULL;
    v->npending = 0;
    ibv_dereg_mr(v->inbox_mr);
    ibv_dereg_mr(v->stage_mr);
    ibv_dealloc_pd(v->pd);
    free(v->inbox);
    free(v->stage);
    v->inbox = v->stage = NULL;
}

/* Before the client's RTU is in there is no way to tell it. */
void gate_disconnect(struct gate_link *link)
{
    while (link->open && !link->verbs->established) {
        take_events(link->gate);
        sched_yield();
    }
    link_gone(link);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void link_grant(struct gate_link *link)
{
    const struct gate_options *o = &link->gate->options;
    link->granted = (struct rdma_accept){
        .version = RDMA_WIRE_VERSION,
        .credits =
            o->credits && o->credits < link->asked.credits ? o->credits : link->asked.credits,
        .pieces = o->pieces ? o->pieces : 64,
        .inline_bytes = o->inline_bytes ? o->inline_bytes : 8192,
        .payload = o->payload ? o->payload : 1 << 20,
        .message = o->message ? o->message : 1 << 20,
    };
}

/* Queue pair, buffers, receives. */
static void link_open(struct gate_link *link, struct rdma_cm_id *id)
{
    struct gate_verbs *v = link->verbs;
    unsigned receives = link->granted.credits + RDMA_UNCOUNTED;
    size_t inbox = (size_t)receives * link->granted.inline_bytes;
    v->id = id;
    v->stage_bytes = larger(link->granted.payload, link->granted.message) + RDMA_SLOT_MOST;
    v->inbox = malloc(inbox);
    v->stage = malloc(v->stage_bytes);
    v->pd = ibv_alloc_pd(id->verbs);
    v->cq = ibv_create_cq(id->verbs, (int)receives + 64, NULL, link->gate->channel, 0);
    if (!v->inbox || !v->stage || !v->pd || !v->cq)
        abort();
    v->inbox_mr = ibv_reg_mr(v->pd, v->inbox, inbox, IBV_ACCESS_LOCAL_WRITE);
    v->stage_mr = ibv_reg_mr(v->pd, v->stage, v->stage_bytes, IBV_ACCESS_LOCAL_WRITE);
    struct ibv_qp_init_attr attr = {
        .send_cq = v->cq,
        .recv_cq = v->cq,
        .qp_type = IBV_QPT_RC,
        .cap = {.max_send_wr = 4, .max_recv_wr = receives, .max_send_sge = 1, .max_recv_sge = 1},
    };
    if (!v->inbox_mr || !v->stage_mr || rdma_create_qp(id, v->pd, &attr) < 0)
        abort();
    link->open = true;
    link->gate->counts.open++;
    for (uint32_t i = 0; i < receives; i++)
        post_receive(link, i);
}

static void admit(struct gate *g, struct rdma_cm_id *id, const struct rdma_conn_param *request)
{
    const struct gate_options *o = &g->options;
    if (o->mute && !g->unanswered) {
        g->unanswered = id;
        return;
    }
    if (o->mute || o->reject) {
        rdma_reject(id, o->reject, o->reject_bytes);
        rdma_destroy_id(id);
        return;
    }
    struct gate_link *link = calloc(1, sizeof(*link));
    if (!link || !(link->verbs = calloc(1, sizeof(*link->verbs))))
        abort();
    link->gate = g;
    if (rdma_request_decode(request->private_data, request->private_data_len, &link->asked) < 0)
        abort(); /* the client's encoder is at fault */
    link->verbs->conn.peer = g->peer;
    link->verbs->conn.fd = -1;
    link->next = g->links;
    g->links = link;
    g->counts.links++;
    link_grant(link);
    link_open(link, id);
    uint8_t data[RDMA_ACCEPT_BYTES];
    rdma_accept_encode(data, &link->granted);
    struct rdma_conn_param param = {
        .private_data = o->accept ? o->accept : data,
        .private_data_len = o->accept ? o->accept_bytes : sizeof(data),
        .initiator_depth = request->initiator_depth,
        .rnr_retry_count = 7,
    };
    id->context = link;
    if (rdma_accept(id, &param) < 0) /* the client has given up */
        link_gone(link);
}

static void take_event(struct gate *g, struct rdma_cm_event *event)
{
    struct rdma_cm_id *id = event->id;
    enum rdma_cm_event_type what = event->event;
    uint8_t private[256];
    struct rdma_conn_param param = event->param.conn;
    if (param.private_data)
        memcpy(private, param.private_data, param.private_data_len);
    param.private_data = private;
    rdma_ack_cm_event(event);
    struct gate_link *link = id == g->listener ? NULL : id->context;
    if (what == RDMA_CM_EVENT_CONNECT_REQUEST)
        admit(g, id, &param);
    else if (link && what == RDMA_CM_EVENT_ESTABLISHED)
        link->verbs->established = true;
    else if (link)
        link_gone(link);
}

static void take_events(struct gate *g)
{
    struct rdma_cm_event *event;
    while (rdma_get_cm_event(g->events, &event) == 0)
        take_event(g, event);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* Deals with what has come; true if there was something. */
static bool turn(struct gate *g)
{
    bool some = false;
    take_events(g);
    for (struct gate_link *link = g->links; link; link = link->next) {
        struct gate_verbs *v = link->verbs;
        some |= take_completions(link);
        while (link->open && v->npending) {
            uint32_t buffer = v->pending[0].buffer, length = v->pending[0].length;
            memmove(v->pending, v->pending + 1, --v->npending * sizeof(*v->pending));
            uint8_t *copy = malloc(length + 1); /* exact, for AddressSanitizer */
            memcpy(copy, v->inbox + (size_t)buffer * link->granted.inline_bytes, length);
            post_receive(link, buffer);
            gate_serve(link, copy, length);
            free(copy);
            some = true;
        }
    }
    return some;
}

static void *run(void *arg)
{
    struct gate *g = arg;
    struct pollfd fds[] = {
        {g->wake, POLLIN, 0}, {g->events->fd, POLLIN, 0}, {g->channel->fd, POLLIN, 0}};
    struct ibv_cq *cq;
    void *context;
    uint64_t woken;
    gate_lock(g);
    while (!g->stop) {
        if (turn(g))
            continue;
        for (struct gate_link *link = g->links; link; link = link->next)
            if (link->open)
                ibv_req_notify_cq(link->verbs->cq, 0);
        if (turn(g))
            continue;
        pthread_cond_broadcast(&g->changed);
        gate_unlock(g);
        poll(fds, 3, -1);
        gate_lock(g);
        while (ibv_get_cq_event(g->channel, &cq, &context) == 0)
            ibv_ack_cq_events(cq, 1);
        if (fds[0].revents && read(g->wake, &woken, sizeof(woken)) < 0)
            abort();
    }
    gate_unlock(g);
    return NULL;
}

static void gate_wake(struct gate *g)
{
    uint64_t one = 1;
    if (write(g->wake, &one, sizeof(one)) < 0)
        abort();
}

static bool gate_listen(struct gate *g)
{
    const char *host = g->options.address ? g->options.address : getenv("RDMA_IP");
    struct rdma_addrinfo hints = {.ai_flags = RAI_PASSIVE, .ai_port_space = RDMA_PS_TCP}, *address;
    g->wake = eventfd(0, EFD_CLOEXEC);
    g->events = rdma_create_event_channel();
    if (!host || !g->events || rdma_getaddrinfo(host, NULL, &hints, &address))
        return false;
    bool bound = rdma_create_id(g->events, &g->listener, NULL, RDMA_PS_TCP) == 0 &&
                 rdma_bind_addr(g->listener, address->ai_src_addr) == 0 &&
                 rdma_listen(g->listener, 16) == 0;
    rdma_freeaddrinfo(address);
    if (!bound)
        return false;
    g->channel = ibv_create_comp_channel(g->listener->verbs);
    return g->channel && fcntl(g->channel->fd, F_SETFL, O_NONBLOCK) == 0 &&
           fcntl(g->events->fd, F_SETFL, O_NONBLOCK) == 0;
}

struct gate *gate_start(const struct gate_options *options)
{
    struct gate *g = calloc(1, sizeof(*g));
    if (!g || !(g->peer = peer_start(NULL)))
        return NULL;
    if (options)
        g->options = *options;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&g->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&g->lock, NULL);
    if (!gate_listen(g) || pthread_create(&g->thread, NULL, run, g))
        return NULL; /* the test has failed */
    return g;
}

void gate_stop(struct gate *g)
{
    if (!g)
        return;
    gate_lock(g);
    g->stop = true;
    gate_wake(g);
    gate_unlock(g);
    pthread_join(g->thread, NULL);
    while (g->links) {
        struct gate_link *link = g->links;
        g->links = link->next;
        link_gone(link);
        rdma_destroy_id(link->verbs->id);
        free(link->verbs);
        free(link);
    }
    gate_kept_free(g);
    if (g->unanswered)
        rdma_destroy_id(g->unanswered);
    ibv_destroy_comp_channel(g->channel);
    rdma_destroy_id(g->listener);
    rdma_destroy_event_channel(g->events);
    close(g->wake);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

int gate_fork(const struct gate_options *options, const char *file, size_t size, uint16_t *port)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    int pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct gate *g = gate_start(options);
        int content = g ? peer_add_file(g->peer, file) : -1;
        uint16_t number = g ? gate_port(g) : 0;
        if (content < 0 || ftruncate(content, (off_t)size) < 0 ||
            write(ends[1], &number, sizeof(number)) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    if (read(ends[0], port, sizeof(*port)) != sizeof(*port))
        pid = -1;
    close(ends[0]);
    return pid;
}

/* ---- what the test asks ---------------------------------------------------------------------- */

struct peer *gate_peer(struct gate *g)
{
    return g->peer;
}

uint16_t gate_port(const struct gate *g)
{
    return ntohs(rdma_get_src_port(g->listener));
}

void gate_lock(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
}

/* Messages that came while something else was waited for are the thread's to find. */
void gate_unlock(struct gate *g)
{
    bool more = false;
    for (struct gate_link *link = g->links; link; link = link->next)
        more |= link->verbs->npending;
    if (more)
        gate_wake(g);
    pthread_mutex_unlock(&g->lock);
}

void gate_set_hook(struct gate *g, gate_hook *hook, void *arg)
{
    gate_lock(g);
    g->options.hook = hook;
    g->options.arg = arg;
    gate_unlock(g);
}

void gate_set_cancel(struct gate *g, enum gate_cancel what)
{
    gate_lock(g);
    g->cancel = what;
    gate_unlock(g);
}

struct gate_counts gate_counts(struct gate *g)
{
    gate_lock(g);
    struct gate_counts counts = g->counts;
    gate_unlock(g);
    return counts;
}

const struct gate_counts *gate_counts_locked(const struct gate *g)
{
    return &g->counts;
}

bool gate_wait(struct gate *g, bool (*holds)(struct gate *gate, void *arg), void *arg)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += PEER_PATIENCE_MS / 1000;
    int rc = 0;
    bool held;
    gate_lock(g);
    while (!(held = holds(g, arg)) && rc == 0)
        rc = pthread_cond_timedwait(&g->changed, &g->lock, &end);
    gate_unlock(g);
    return held;
}

static bool none_open(struct gate *g, void *arg)
{
    (void)arg;
    return g->counts.open == 0;
}

bool gate_wait_closed(struct gate *g)
{
    return gate_wait(g, none_open, NULL);
}

static bool so_many_kept(struct gate *g, void *n)
{
    return g->nkept >= *(unsigned *)n;
}

bool gate_wait_kept(struct gate *g, unsigned n)
{
    return gate_wait(g, so_many_kept, &n);
}

struct gate_link *gate_latest(struct gate *g)
{
    struct gate_link *link = g->links;
    while (link && !link->open)
        link = link->next;
    return link;
}
