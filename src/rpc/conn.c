/* A connection's calls: posting, sending, ending. What arrives is in replies.c. */
#include "rpc/conn.h"

#include "proto/wire.h"
#include "rpc/replies.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define SLOT_MASK       (RPC_SLOTS - 1)
#define GENERATION_MASK (UINT32_MAX >> RPC_SLOT_BITS)

/* ---- sending --------------------------------------------------------------------------------- */

/* Sends what is queued, as far as the peer takes it. Locked; the lock is dropped during the system
 * call, and what other threads queue meanwhile goes out with the next one. */
static void conn_flush(struct rpc_conn *conn)
{
    struct engine *e = conn->engine;
    struct transport *t = conn->transport;
    if (conn->tx_busy || conn->expecting || conn->state != RPC_OPEN)
        return;
    conn->tx_busy = true;
    while (!conn->broken && !conn->tx_waiters && t->ops->tx_prepare(t)) {
        engine_unlock(e);
        t->ops->tx_issue(t);
        engine_lock(e);
        int rc = t->ops->tx_finish(t);
        if (rc < 0) {
            conn->broken = rc;
            e->broken = true;
            engine_kick(e);
        }
    }
    conn->tx_busy = false;
    if (conn->tx_waiters)
        pthread_cond_broadcast(&conn->tx_idle);
}

/* Waits until no thread is in a send: a matter of one non-blocking system call. Locked. */
static void conn_tx_pause(struct rpc_conn *conn)
{
    conn->tx_waiters++;
    while (conn->tx_busy)
        pthread_cond_wait(&conn->tx_idle, &conn->engine->lock);
    conn->tx_waiters--;
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void slot_take(struct rpc_conn *conn, struct rpc_call *call)
{
    uint32_t index = conn->free_slots[--conn->free_count];
    struct rpc_slot *slot = &conn->slots[index];
    slot->generation = (slot->generation + 1) & GENERATION_MASK;
    slot->retired <<= 1;
    slot->call = call;
    call->xid = slot->generation << RPC_SLOT_BITS | index;
    conn->posted++;
    conn->latest = call;
}

static void slot_release(struct rpc_conn *conn, struct rpc_call *call)
{
    uint32_t index = call->xid & SLOT_MASK;
    conn->slots[index].call = NULL;
    conn->free_slots[conn->free_count++] = (uint16_t)index;
    conn->posted--;
    if (conn->latest == call)
        conn->latest = NULL;
}

struct rpc_call *rpc_match(struct rpc_conn *conn, uint32_t xid)
{
    struct rpc_call *call = conn->slots[xid & SLOT_MASK].call;
    return call && call->xid == xid ? call : NULL;
}

bool rpc_match_retired(struct rpc_conn *conn, uint32_t xid)
{
    struct rpc_slot *slot = &conn->slots[xid & SLOT_MASK];
    uint32_t age = (slot->generation - (xid >> RPC_SLOT_BITS)) & GENERATION_MASK;
    if (age >= 32 || !(slot->retired >> age & 1))
        return false;
    slot->retired &= ~(UINT32_C(1) << age);
    conn->late--;
    return true;
}

/* ---- posting --------------------------------------------------------------------------------- */

/* Gives a call a slot and queues it for sending. Locked. */
static void conn_launch(struct rpc_conn *conn, struct rpc_call *call)
{
    slot_take(conn, call);
    wire_put32(call->message.head + TRANSPORT_HEADROOM, call->xid);
    conn->transport->ops->tx_queue(conn->transport, &call->message);
    counter_add(&conn->engine->counters.calls, 1);
    if (call->deadline < conn->earliest) {
        conn->earliest = call->deadline;
        timer_set(conn->engine, &conn->deadline, call->deadline);
    }
}

void rpc_post(struct rpc_conn *conn, struct rpc_call *call)
{
    struct engine *e = conn->engine;
    call->conn = conn;
    call->error = 0;
    call->op_ret = call->op_errno = 0;
    call->landed = call->staged = 0;
    call->next = NULL;
    engine_lock(e);
    if (conn->state != RPC_OPEN) {
        call->error = -ENOTCONN;
        engine_over(e, call);
    } else if (conn->free_count == 0) {
        call->posted = true;
        *conn->queue_end = call;
        conn->queue_end = &call->next;
        if (call->deadline < conn->earliest) {
            conn->earliest = call->deadline;
            timer_set(e, &conn->deadline, call->deadline);
        }
    } else {
        call->posted = true;
        conn_launch(conn, call);
        conn_flush(conn);
    }
    engine_unlock(e);
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* Lets go of the call's memory for good: nothing of it is sent from here on. */
static void call_withdraw(struct rpc_conn *conn, struct rpc_call *call)
{
    struct message *m = &call->message;
    bool copied = false;
    if (m->queued) {
        conn_tx_pause(conn);
        copied = m->queued && m->sent;
        if (m->queued) {
            int rc = conn->transport->ops->tx_retire(conn->transport, m);
            if (rc < 0) {
                conn->broken = rc;
                conn->engine->broken = true;
            }
        }
        conn_flush(conn);
    }
    if (m->payload_length) {
        call->landed = m->sent > m->head_length ? m->sent - m->head_length : 0;
        call->staged = copied ? m->payload_length - call->landed : 0;
    }
}

void rpc_end(struct rpc_conn *conn, struct rpc_call *call, int error)
{
    struct engine *e = conn->engine;
    call_withdraw(conn, call);
    slot_release(conn, call);
    call->posted = false;
    call->error = error;
    counter_add(&e->counters.bytes_landed, call->landed);
    counter_add(&e->counters.bytes_staged, call->staged);
    engine_over(e, call);
    if (conn->expecting == call) {
        conn->expecting = NULL;
        conn_flush(conn);
    }
    if (conn->queue) {
        struct rpc_call *next = conn->queue;
        conn->queue = next->next;
        if (!conn->queue)
            conn->queue_end = &conn->queue;
        conn_launch(conn, next);
        conn_flush(conn);
    }
}

/* Ends a call that was never given a slot. */
static void call_unqueue(struct rpc_conn *conn, struct rpc_call **link, int error)
{
    struct rpc_call *call = *link;
    *link = call->next;
    if (!*link)
        conn->queue_end = link;
    call->posted = false;
    call->error = error;
    engine_over(conn->engine, call);
}

/* Ends a call without its reply: rule 1 holds from here on. Locked, by the leader. */
static void call_retire(struct rpc_conn *conn, struct rpc_call *call, int error)
{
    bool arriving = conn->arriving == call;
    if (arriving)
        conn->arriving = NULL;
    if (arriving && conn->transport->ops->rx_retire(conn->transport)) {
        counter_add(&conn->engine->counters.replies_retired, 1);
    } else if (!call->message.queued || call->message.sent) {
        conn->slots[call->xid & SLOT_MASK].retired |= 1;
        conn->late++;
    }
    rpc_end(conn, call, error);
}

static void deadline_fire(struct timer *timer)
{
    struct rpc_conn *conn =
        (struct rpc_conn *)((char *)timer - offsetof(struct rpc_conn, deadline));
    struct engine *e = conn->engine;
    uint64_t now = clock_now();
    uint64_t earliest = CLOCK_NEVER;
    engine_lock(e);
    for (struct rpc_call **link = &conn->queue; *link;) {
        if ((*link)->deadline <= now) {
            call_unqueue(conn, link, -ETIMEDOUT);
            continue;
        }
        if ((*link)->deadline < earliest)
            earliest = (*link)->deadline;
        link = &(*link)->next;
    }
    for (unsigned i = 0; i < RPC_SLOTS; i++) {
        struct rpc_call *call = conn->slots[i].call;
        if (call && call->deadline <= now)
            call_retire(conn, call, -ETIMEDOUT);
        call = conn->slots[i].call; /* a queued one may have taken the slot */
        if (call && call->deadline < earliest)
            earliest = call->deadline;
    }
    conn->earliest = earliest;
    timer_set(e, &conn->deadline, earliest);
    engine_unlock(e);
}

/* ---- connection ------------------------------------------------------------------------------ */

static void conn_close(struct rpc_conn *conn, int error)
{
    struct engine *e = conn->engine;
    conn_tx_pause(conn);
    conn->state = RPC_CLOSED;
    conn->transport->ops->close(conn->transport);
    for (struct rpc_conn **link = &e->connections; *link; link = &(*link)->next) {
        if (*link == conn) {
            *link = conn->next;
            break;
        }
    }
    timer_set(e, &conn->deadline, CLOCK_NEVER);
    timer_set(e, &conn->connect_timer, CLOCK_NEVER);
    rpc_ping_stop(conn);
    conn->earliest = CLOCK_NEVER;
    conn->arriving = conn->expecting = NULL;
    conn->broken = 0;
    conn->hung_up = false;
    conn->late = 0;
    while (conn->queue)
        call_unqueue(conn, &conn->queue, error);
    for (unsigned i = 0; i < RPC_SLOTS; i++) {
        if (conn->slots[i].call)
            rpc_end(conn, conn->slots[i].call, error);
        conn->slots[i].retired = 0;
    }
}

void rpc_conn_fail(struct rpc_conn *conn, int error)
{
    if (conn->state == RPC_CLOSED)
        return;
    engine_lock(conn->engine);
    conn_close(conn, error);
    engine_unlock(conn->engine);
    conn->user->down(conn, error);
}

static void conn_make_ready(struct rpc_conn *conn)
{
    if (conn->is_ready)
        return;
    conn->is_ready = true;
    conn->next_ready = conn->engine->ready;
    conn->engine->ready = conn;
}

bool rpc_conn_receive(struct rpc_conn *conn)
{
    struct transport *t = conn->transport;
    if (conn->state != RPC_OPEN)
        return false;
    t->ops->rx_prepare(t);
    t->ops->rx_issue(t);
    int rc = t->ops->rx_finish(t);
    if (rc < 0) {
        rpc_conn_fail(conn, rc);
        return true;
    }
    conn->heard += t->received;
    if (rc > 0 || conn->hung_up)
        conn_make_ready(conn);
    return t->received;
}

static void conn_connected(struct rpc_conn *conn, int error)
{
    struct engine *e = conn->engine;
    engine_lock(e);
    if (error) {
        errtext_set(&conn->why, error, "%s", errtext_errno(error));
        conn_close(conn, error);
    } else {
        conn->state = RPC_OPEN;
        timer_set(e, &conn->connect_timer, CLOCK_NEVER);
    }
    engine_unlock(e);
    conn->user->connected(conn, error);
}

static void connect_fire(struct timer *timer)
{
    struct rpc_conn *conn =
        (struct rpc_conn *)((char *)timer - offsetof(struct rpc_conn, connect_timer));
    if (conn->state == RPC_CONNECTING)
        conn_connected(conn, conn->connect_error ? conn->connect_error : -ETIMEDOUT);
}

void rpc_conn_event(struct rpc_conn *conn, uint32_t epoll_events)
{
    struct transport *t = conn->transport;
    if (conn->state == RPC_CONNECTING) {
        if (epoll_events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            conn_connected(conn, t->ops->connected(t));
        return;
    }
    if (conn->state != RPC_OPEN)
        return;
    if (epoll_events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        conn->hung_up = true;
    if (conn->hung_up || epoll_events & EPOLLIN)
        conn_make_ready(conn);
    if (epoll_events & EPOLLOUT && t->blocked) {
        engine_lock(conn->engine);
        t->ops->tx_ready(t);
        conn_flush(conn);
        engine_unlock(conn->engine);
    }
}

void rpc_connect(struct rpc_conn *conn, const struct sockaddr *address, socklen_t length,
                 uint64_t deadline)
{
    struct engine *e = conn->engine;
    struct transport *t = conn->transport;
    engine_lock(e);
    conn->state = RPC_CONNECTING;
    conn->next = e->connections;
    e->connections = conn;
    conn->connect_error = t->ops->connect(t, address, length);
    if (conn->connect_error == 0) {
        struct epoll_event event = {
            .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
            .data.ptr = conn,
        };
        if (epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, t->fd, &event) < 0)
            conn->connect_error = -errno;
    }
    timer_set(e, &conn->connect_timer, conn->connect_error ? 0 : deadline);
    engine_unlock(e);
}

/* ---- what the transport asks ----------------------------------------------------------------- */

static bool conn_expect(void *user, struct iov_cursor *to, size_t *length)
{
    struct rpc_conn *conn = user;
    engine_lock(conn->engine);
    struct rpc_call *call = conn->latest;
    bool sole =
        conn->posted == 1 && conn->late == 0 && call && !call->message.queued && !conn->tx_busy;
    if (sole) {
        *to = call->land;
        *length = call->land_length;
        conn->expecting = call;
    }
    engine_unlock(conn->engine);
    return sole;
}

static void conn_expected(void *user)
{
    struct rpc_conn *conn = user;
    if (!conn->expecting)
        return; /* its reply has come */
    engine_lock(conn->engine);
    conn->expecting = NULL;
    conn_flush(conn);
    engine_unlock(conn->engine);
}

static const struct transport_user conn_transport_user = {
    .expect = conn_expect,
    .expected = conn_expected,
    .arrive = rpc_arrive,
    .landed = rpc_landed,
    .collected = rpc_collected,
};

struct rpc_conn *rpc_conn_new(struct engine *e, const struct rpc_conn_user *user, void *arg)
{
    struct rpc_conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        return NULL;
    *conn = (struct rpc_conn){
        .engine = e,
        .user = user,
        .arg = arg,
        .queue_end = &conn->queue,
        .earliest = CLOCK_NEVER,
        .deadline = {.at = CLOCK_NEVER, .fire = deadline_fire},
        .connect_timer = {.at = CLOCK_NEVER, .fire = connect_fire},
    };
    pthread_cond_init(&conn->tx_idle, NULL);
    conn->transport = tcp_new(&conn_transport_user, conn, &e->counters, &conn->why);
    conn->slots = calloc(RPC_SLOTS, sizeof(*conn->slots));
    conn->free_slots = calloc(RPC_SLOTS, sizeof(*conn->free_slots));
    if (!conn->transport || !conn->slots || !conn->free_slots) {
        rpc_conn_free(conn);
        return NULL;
    }
    for (unsigned i = 0; i < RPC_SLOTS; i++)
        conn->free_slots[conn->free_count++] = (uint16_t)(RPC_SLOTS - 1 - i);
    return conn;
}

void rpc_conn_free(struct rpc_conn *conn)
{
    if (!conn)
        return;
    struct engine *e = conn->engine;
    engine_lock(e);
    if (conn->state != RPC_CLOSED)
        conn_close(conn, -ESHUTDOWN);
    timer_remove(e, &conn->deadline);
    timer_remove(e, &conn->connect_timer);
    timer_remove(e, &conn->ping_timer);
    engine_unlock(e);
    for (struct rpc_conn **link = &e->ready; *link; link = &(*link)->next_ready) {
        if (*link == conn) {
            *link = conn->next_ready;
            break;
        }
    }
    if (conn->transport)
        conn->transport->ops->free(conn->transport);
    pthread_cond_destroy(&conn->tx_idle);
    free(conn->slots);
    free(conn->free_slots);
    free(conn->ping);
    free(conn);
}
