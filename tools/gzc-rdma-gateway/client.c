#include "client.h"

#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define COMPLETIONS_AT_ONCE 16

/* ---- what is granted ------------------------------------------------------------------------- */

static unsigned receives_of(unsigned credits)
{
    return credits + RDMA_UNCOUNTED;
}

/* Under way, posted, callbacks, and the answer to ATTACH. */
static unsigned calls_of(unsigned credits, unsigned callbacks)
{
    return 2 * credits + callbacks + 1;
}

static unsigned send_depth(const struct device *d, unsigned credits)
{
    unsigned depth = 2 * credits + RDMA_PIECES_MAX, most = (unsigned)d->attributes.max_qp_wr;
    return depth < most ? depth : most;
}

static size_t fixed_bytes(unsigned credits, unsigned callbacks, uint32_t slot)
{
    return pool_round((size_t)receives_of(credits) * GATEWAY_INLINE +
                      (size_t)calls_of(credits, callbacks) * slot);
}

/* Fewer credits if what they need for good would be more than half of what a client may have. What
 * clients have for good always leaves room for the largest call that one of them may make, so that
 * every call gets its memory in the end. */
bool client_grant(const struct gateway *g, const struct device *d, struct grant *grant)
{
    const struct rdma_request *asked = &grant->asked;
    size_t all = g->options.client_memory;
    unsigned credits = asked->credits < g->options.credits ? asked->credits : g->options.credits;
    unsigned most = (unsigned)d->attributes.max_qp_wr;
    while (credits && (fixed_bytes(credits, asked->callbacks, asked->slot) > all / 2 ||
                       receives_of(credits) > most))
        credits /= 2;
    if (!credits)
        return false;
    grant->fixed_bytes = fixed_bytes(credits, asked->callbacks, asked->slot);
    grant->memory_most = all - grant->fixed_bytes;
    /* one call with the most of everything fits */
    uint32_t payload = (uint32_t)(pool_round(grant->memory_most / 2) - 2 * POOL_PAGE);
    uint32_t message = payload / 2 - POOL_PAGE;
    unsigned pieces = send_depth(d, credits) - 2;
    grant->given = (struct rdma_accept){
        .version = RDMA_WIRE_VERSION,
        .credits = (uint16_t)credits,
        .pieces = (uint16_t)(pieces < RDMA_PIECES_MAX ? pieces : RDMA_PIECES_MAX),
        .inline_bytes = GATEWAY_INLINE,
        .payload = payload < GATEWAY_PAYLOAD ? payload : GATEWAY_PAYLOAD,
        .message = message < GATEWAY_MESSAGE ? message : GATEWAY_MESSAGE,
    };
    grant->largest_call =
        pool_round(grant->given.payload + 2 * (size_t)grant->given.message) + POOL_PAGE;
    size_t largest = g->largest_call > grant->largest_call ? g->largest_call : grant->largest_call;
    return grant->given.message >= RDMA_BULK_LEAST &&
           g->fixed_bytes + grant->fixed_bytes + largest <= g->pool.pages * POOL_PAGE;
}

/* ---- making one ------------------------------------------------------------------------------ */

static int client_tables(struct client *c, struct errtext *why)
{
    unsigned count = calls_of(c->credits, c->callbacks);
    c->calls = calloc(count, sizeof(*c->calls));
    c->slots = calloc(c->credits, sizeof(struct call *));
    c->fixed = pool_take(&c->g->pool, c->fixed_bytes);
    if (!c->calls || !c->slots || !c->fixed)
        return errtext_set(why, ENOMEM, "no memory for %zu bytes of buffers", c->fixed_bytes);
    uint8_t *staging = c->fixed + (size_t)receives_of(c->credits) * GATEWAY_INLINE;
    for (unsigned i = 0; i < count; i++) {
        c->calls[i].client = c;
        c->calls[i].staging = staging + (size_t)i * c->slot;
        list_init(&c->calls[i].link);
        list_append(&c->idle, &c->calls[i].link);
    }
    return 0;
}

/* Receives are the client's own, not a shared queue's: the protocol wants credits + 16 of them
 * posted for each client, so that sharing saves nothing; and one that sends more than it may waits
 * for itself alone. */
static int client_queues(struct client *c, struct errtext *why)
{
    unsigned receives = receives_of(c->credits), sends = send_depth(c->device, c->credits);
    c->cq = ibv_create_cq(c->device->verbs, (int)(receives + sends), c, c->device->channel, 0);
    if (!c->cq)
        return errtext_set(why, errno, "completion queue: %s", errtext_errno(errno));
    struct ibv_qp_init_attr attributes = {
        .send_cq = c->cq,
        .recv_cq = c->cq,
        .qp_type = IBV_QPT_RC,
        .cap = {.max_send_wr = sends,
                .max_recv_wr = receives,
                .max_send_sge = 1,
                .max_recv_sge = 1},
    };
    if (rdma_create_qp(c->id, c->device->pd, &attributes) < 0)
        return errtext_set(why, errno, "queue pair: %s", errtext_errno(errno));
    c->send_free = sends;
    int rc = 0;
    for (unsigned i = 0; i < receives && rc == 0; i++)
        rc = post_receive(c, (int)i);
    return rc ? errtext_set(why, rc, "posting a receive: %s", errtext_errno(rc)) : 0;
}

static void client_down(struct link *l, int error)
{
    struct client *c = LIST_OF(l, struct client, brick);
    (void)error;
    client_end(c, END_BRICK, "brick: %s", l->why.text);
}

static void client_connected(struct link *l, int error)
{
    struct client *c = LIST_OF(l, struct client, brick);
    (void)error;
    list_enter(&c->g->tasks, &c->task);
}

/* All but the id. */
static void client_release(struct client *c)
{
    if (c->id && c->id->qp)
        rdma_destroy_qp(c->id);
    if (c->cq)
        ibv_destroy_cq(c->cq);
    attach_free(c);
    brick_free(c);
    for (unsigned i = 0; c->calls && i < calls_of(c->credits, c->callbacks); i++)
        if (c->calls[i].memory)
            pool_give(&c->g->pool, c->calls[i].memory, c->calls[i].memory_bytes);
    if (c->fixed)
        pool_give(&c->g->pool, c->fixed, c->fixed_bytes);
    list_remove(&c->link);
    list_remove(&c->hot);
    list_remove(&c->task);
    list_remove(&c->hungry_link);
    c->g->client_count--;
    c->device->clients--;
    free(c->calls);
    free(c->slots);
    free(c);
}

int client_new(struct gateway *g, struct device *d, struct rdma_cm_id *id, const char *name,
               const struct grant *grant, struct client **out, struct errtext *why)
{
    struct client *c = calloc(1, sizeof(*c));
    if (!c)
        return errtext_set(why, ENOMEM, "no memory for a client");
    *c = (struct client){
        .g = g,
        .state = CLIENT_ADMITTED,
        .device = d,
        .id = id,
        .deadline = g->now + GATEWAY_ATTACH_SECONDS * NSEC_PER_SEC,
        .heard = g->now,
        .credits = grant->given.credits,
        .callbacks = grant->asked.callbacks,
        .pieces = grant->given.pieces,
        .slot = grant->asked.slot,
        .payload = grant->given.payload,
        .message = grant->given.message,
        .fixed_bytes = grant->fixed_bytes,
        .memory_most = grant->memory_most,
    };
    snprintf(c->name, sizeof(c->name), "%s", name);
    struct list *links[] = {&c->link, &c->hot,    &c->task,  &c->hungry_link,
                            &c->idle, &c->hungry, &c->posts, &c->kept};
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
        list_init(links[i]);
    link_init(&c->brick, g, client_connected, client_down);
    attach_init(c);
    g->client_count++;
    d->clients++;
    int rc = client_tables(c, why);
    rc = rc ? rc : client_queues(c, why);
    if (rc < 0) {
        client_release(c);
        return rc;
    }
    g->fixed_bytes += c->fixed_bytes;
    if (grant->largest_call > g->largest_call)
        g->largest_call = grant->largest_call;
    list_append(&g->clients, &c->link);
    client_wake(c); /* to be armed */
    *out = c;
    return 0;
}

/* ---- ending one ------------------------------------------------------------------------------ */

void client_log(const struct client *c, struct log_line *l, enum log_level level, const char *event)
{
    log_begin(l, level, event);
    log_text(l, "client", c->name);
    if (c->attach.target[0])
        log_text(l, "brick", c->attach.target);
}

void client_end(struct client *c, enum end_reason reason, const char *format, ...)
{
    struct log_line l;
    char text[ERRTEXT_SIZE];
    if (c->state == CLIENT_CLOSED)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    c->state = CLIENT_CLOSED;
    c->g->stats.ended[reason]++;
    list_remove(&c->link);
    list_append(&c->g->dead, &c->link);
    bool usual = reason == END_LEFT || reason == END_SHUTDOWN;
    client_log(c, &l, usual ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "client-ended");
    log_text(&l, "reason", end_reason_name(reason));
    log_text(&l, "text", text);
    log_end(&l);
}

void client_free(struct client *c)
{
    struct rdma_cm_id *id = c->id;
    c->g->fixed_bytes -= c->fixed_bytes;
    rdma_disconnect(id);
    client_release(c);
    rdma_destroy_id(id);
}

void clients_end_device(struct gateway *g, const struct device *d, const char *why)
{
    for (struct list *l = g->clients.next, *next; l != &g->clients; l = next) {
        struct client *c = LIST_OF(l, struct client, link);
        next = l->next;
        if (c->device == d)
            client_end(c, END_DEVICE, "%s", why);
    }
}

static void client_check(struct client *c)
{
    struct gateway *g = c->g;
    if (c->state == CLIENT_RELAYING) {
        if (!c->probing && g->now - c->heard > GATEWAY_SILENCE_SECONDS * NSEC_PER_SEC)
            post_probe(c);
    } else if (g->now >= c->deadline) {
        if (c->state == CLIENT_ATTACHING)
            attach_fail(c, RDMA_ERROR_UNREACHABLE, "no answer in time");
        else
            client_end(c, END_TIMEOUT, "%s",
                       c->state == CLIENT_ENDING ? "it does not take its answer" : "no ATTACH");
    }
}

void clients_check(struct gateway *g)
{
    for (struct list *l = g->clients.next, *next; l != &g->clients; l = next) {
        next = l->next;
        client_check(LIST_OF(l, struct client, link));
    }
}

/* ---- what it SENDs --------------------------------------------------------------------------- */

void client_receive_again(struct client *c, int receive)
{
    int rc = post_receive(c, receive);
    if (rc < 0)
        client_end(c, END_DEVICE, "posting a receive: %s", errtext_errno(rc));
}

/* A SEND while calls are relayed. True: it keeps its receive. */
static bool relay_send(struct client *c, int receive, const struct rdma_send *send)
{
    if (!brick_callbacks_taken(c, send->header.callbacks)) {
        client_end(c, END_VIOLATION, "it took more callbacks than it was sent");
        return true;
    }
    switch (send->header.kind) {
    case RDMA_CALL:
        call_begin(c, receive, send);
        return true;
    case RDMA_CANCEL:
        call_cancel(c, send->header.xid);
        return false;
    case RDMA_CREDIT:
        return false;
    }
    client_end(c, END_VIOLATION, "a second ATTACH");
    return true;
}

static void client_received(struct client *c, int receive, uint32_t length)
{
    struct rdma_send send;
    const uint8_t *message = c->fixed + (size_t)receive * GATEWAY_INLINE;
    bool keeps = false;
    c->g->stats.receives++;
    if (c->state == CLIENT_ENDING)
        return; /* it does not know yet */
    if (rdma_send_decode(message, length, &send) < 0) {
        client_end(c, END_VIOLATION, "a malformed message of %u bytes", length);
        return;
    }
    switch (c->state) {
    case CLIENT_ADMITTED:
        if (send.header.kind == RDMA_ATTACH)
            attach_begin(c, &send);
        else
            client_end(c, END_VIOLATION, "a message before ATTACH");
        break;
    case CLIENT_RELAYING:
        keeps = relay_send(c, receive, &send);
        break;
    default:
        client_end(c, END_VIOLATION, "a message before ATTACH was answered");
    }
    if (!keeps && c->state != CLIENT_CLOSED)
        client_receive_again(c, receive);
}

/* ---- completions ----------------------------------------------------------------------------- */

/* The queue pair is in error now, whatever it was. */
static void client_failed(struct client *c, enum post_kind kind, enum ibv_wc_status status)
{
    const char *text = ibv_wc_status_str(status);
    if (kind == POST_RECEIVE && status != IBV_WC_WR_FLUSH_ERR) { /* devices differ in which it is */
        client_end(c, END_VIOLATION,
                   "a message that cannot be received, e.g. longer than granted: %s", text);
        return;
    }
    switch (status) {
    case IBV_WC_REM_ACCESS_ERR:
    case IBV_WC_REM_INV_REQ_ERR:
    case IBV_WC_REM_OP_ERR:
        client_end(c, END_VIOLATION, "memory that it named cannot be used: %s", text);
        return;
    case IBV_WC_RNR_RETRY_EXC_ERR:
        client_end(c, END_VIOLATION, "it has no receive posted: %s", text);
        return;
    case IBV_WC_RETRY_EXC_ERR:
    case IBV_WC_WR_FLUSH_ERR:
        client_end(c, END_LEFT, "%s", text);
        return;
    default:
        client_end(c, END_DEVICE, "sending: %s", text);
    }
}

static void client_completed(struct client *c, const struct ibv_wc *wc)
{
    enum post_kind kind = wc->wr_id & ((1u << POST_KIND_BITS) - 1);
    uint64_t index = wc->wr_id >> POST_KIND_BITS;
    if (wc->status != IBV_WC_SUCCESS) {
        client_failed(c, kind, wc->status);
        return;
    }
    c->heard = c->g->now;
    if (kind == POST_RECEIVE) {
        if (wc->opcode != IBV_WC_RECV || wc->wc_flags & IBV_WC_WITH_IMM)
            client_end(c, END_VIOLATION, "a message that is no SEND");
        else
            client_received(c, (int)index, wc->byte_len);
        return;
    }
    c->g->stats.completions++;
    if (kind == POST_PROBE) {
        c->probing = false;
        c->send_free++;
    } else {
        struct call *call = &c->calls[index];
        c->send_free += call->posted;
        if (kind == POST_FETCH)
            call_fetched(call);
        else
            call_over(call);
    }
    if (c->state != CLIENT_CLOSED)
        post_waiting(c);
}

void client_wake(struct client *c)
{
    c->armed = false;
    c->g->stats.wakeups++;
    if (c->state != CLIENT_CLOSED)
        list_enter(&c->g->hot, &c->hot);
}

/* What came before the queue was armed told nobody, so it is looked at once more after. */
bool client_poll(struct client *c)
{
    struct ibv_wc wc[COMPLETIONS_AT_ONCE];
    int n = c->state == CLIENT_CLOSED ? 0 : ibv_poll_cq(c->cq, COMPLETIONS_AT_ONCE, wc);
    if (n < 0)
        client_end(c, END_DEVICE, "polling: %s", errtext_errno(n));
    for (int i = 0; i < n && c->state != CLIENT_CLOSED; i++)
        client_completed(c, &wc[i]);
    if (c->state == CLIENT_CLOSED)
        return false;
    if (n == 0 && c->armed)
        return false;
    if (n < COMPLETIONS_AT_ONCE && !c->armed) {
        int error = ibv_req_notify_cq(c->cq, 0);
        if (error)
            client_end(c, END_DEVICE, "arming: %s", errtext_errno(error));
        c->armed = true;
    }
    return c->state != CLIENT_CLOSED;
}
