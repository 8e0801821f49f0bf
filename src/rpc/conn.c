/* A connection's calls: posting, sending, ending. What arrives is in replies.c. */
#include "rpc/conn.h"

#include "proto/wire.h"
#include "rpc/replies.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define SLOT_MASK       (RPC_SLOTS - 1)
#define GENERATION_MASK (UINT32_MAX >> RPC_SLOT_BITS)

/* The leader is to close the connection. */
static void conn_break(struct rpc_conn *conn, int error)
{
    conn->broken = error;
    conn->engine->broken = true;
    engine_kick(conn->engine);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* The lock is dropped during the system call, and what other threads queue meanwhile goes out with
 * the next one. */
void rpc_conn_flush(struct rpc_conn *conn)
{
    struct engine *e = conn->engine;
    struct transport *t = conn->transport;
    if (conn->expecting) {
        conn->tx_held = true;
        engine_kick(e);
        return;
    }
    if (conn->tx_busy || conn->state != RPC_OPEN)
        return;
    int rc = !conn->broken;
    conn->tx_busy = true;
    while (rc > 0 && !conn->tx_waiters && t->ops->tx_prepare(t)) {
        engine_unlock(e);
        t->ops->tx_issue(t);
        engine_lock(e);
        rc = t->ops->tx_finish(t);
    }
    conn->tx_busy = false;
    if (rc < 0)
        conn_break(conn, rc);
    if (conn->tx_waiters)
        pthread_cond_broadcast(&conn->tx_idle);
}

static inline void conn_mark_unsent(struct rpc_conn *conn)
{
    struct engine *e = conn->engine;
    if (conn->is_unsent)
        return;
    conn->is_unsent = true;
    conn->next_unsent = e->unsent;
    e->unsent = conn;
}

/* Waits until no thread is in a send: a matter of one non-blocking system call. */
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
    slot->call = call;
    call->xid = slot->generation << RPC_SLOT_BITS | index;
    conn->posted++;
    conn->engine->posted++;
    conn->latest = call;
}

/* The slot's call ends. If a reply is still to come the slot waits for it. */
static void slot_release(struct rpc_conn *conn, struct rpc_call *call, bool wait)
{
    uint32_t index = call->xid & SLOT_MASK;
    conn->slots[index].call = NULL;
    if (wait) {
        conn->slots[index].waiting = true;
        conn->late++;
    } else {
        conn->free_slots[conn->free_count++] = (uint16_t)index;
    }
    conn->posted--;
    conn->engine->posted--;
    if (conn->latest == call)
        conn->latest = NULL;
}

static void slot_wait_no_more(struct rpc_conn *conn, uint32_t index)
{
    conn->slots[index].waiting = false;
    conn->late--;
    conn->free_slots[conn->free_count++] = (uint16_t)index;
}

/* If all slots are taken, some by calls that nobody waits for any more, one of those is given up,
 * or replies that are never sent would use up the connection. Should its reply come after all it
 * matches nothing. */
static bool slot_available(struct rpc_conn *conn)
{
    if (conn->free_count)
        return true;
    if (conn->transport->credits) {
        /* A slot without its reply is a credit that the peer still holds. */
        if (conn->late == conn->transport->credits)
            timer_set(conn->engine, &conn->starved, 0);
        return false;
    }
    for (unsigned i = 0; !conn->free_count && conn->late; i++)
        if (conn->slots[i].waiting)
            slot_wait_no_more(conn, i);
    return conn->free_count;
}

/* A new connection: the first `credits` slots, or all, are free, the lowest on top. */
static void slots_free(struct rpc_conn *conn, unsigned credits)
{
    unsigned n = credits && credits < RPC_SLOTS ? credits : RPC_SLOTS;
    conn->free_count = 0;
    while (n--)
        conn->free_slots[conn->free_count++] = (uint16_t)n;
}

struct rpc_call *rpc_match(struct rpc_conn *conn, uint32_t xid)
{
    struct rpc_call *call = conn->slots[xid & SLOT_MASK].call;
    return call && call->xid == xid ? call : NULL;
}

/* ---- posting --------------------------------------------------------------------------------- */

static void call_over(struct task *task)
{
    struct rpc_call *call = (struct rpc_call *)task;
    call->done(call);
}

static void call_end(struct rpc_conn *conn, struct rpc_call *call, int error)
{
    call->posted = false;
    call->error = error;
    call->over.run = call_over;
    engine_defer(conn->engine, &call->over);
}

static void conn_watch_deadline(struct rpc_conn *conn, const struct rpc_call *call)
{
    if (call->deadline < conn->earliest) {
        conn->earliest = call->deadline;
        timer_set(conn->engine, &conn->deadline, call->deadline);
    }
}

/* Gives a call a slot and queues it for sending. */
static void conn_launch(struct rpc_conn *conn, struct rpc_call *call)
{
    struct engine *e = conn->engine;
    slot_take(conn, call);
    wire_put32(call->message.head + TRANSPORT_HEADROOM, call->xid);
    conn->transport->ops->tx_queue(conn->transport, &call->message);
    conn_mark_unsent(conn);
    counter_add(&e->counters.calls, 1);
    if (e->state == ENGINE_POLLING && conn->posted == 1)
        engine_kick(e); /* the leader does not look at this connection */
}

static void call_reset(struct rpc_conn *conn, struct rpc_call *call)
{
    call->conn = conn;
    call->error = 0;
    call->op_ret = call->op_errno = 0;
    call->landed = call->staged = 0;
    call->lost = RPC_NOT_LOST;
    call->next = NULL;
}

void rpc_post(struct rpc_conn *conn, struct rpc_call *call)
{
    call_reset(conn, call);
    if (conn->state != RPC_OPEN) {
        call->lost = RPC_LOST_UNSENT;
        call_end(conn, call, -ENOTCONN);
        return;
    }
    call->posted = true;
    conn_watch_deadline(conn, call);
    if (slot_available(conn)) {
        conn_launch(conn, call);
    } else {
        *conn->queue_end = call;
        conn->queue_end = &call->next;
    }
}

void rpc_post_failed(struct rpc_conn *conn, struct rpc_call *call, int error)
{
    call_reset(conn, call);
    call_end(conn, call, error);
}

/* ---- expecting ------------------------------------------------------------------------------- */

/* One reply alone is on its way: its place is known before it has come. */
static bool conn_expect(void *user, struct iov_cursor *to, size_t *length)
{
    struct rpc_conn *conn = user;
    struct rpc_call *call = conn->latest;
    bool sole =
        conn->posted == 1 && conn->late == 0 && call && !call->message.queued && !conn->tx_busy;
    if (sole) {
        *to = call->message.land;
        *length = call->message.land_length;
        conn->expecting = call;
    }
    return sole;
}

static void conn_expected(void *user)
{
    struct rpc_conn *conn = user;
    conn->expecting = NULL;
    if (conn->tx_held) {
        conn->tx_held = false;
        conn_mark_unsent(conn);
    }
}

/* ---- ending ---------------------------------------------------------------------------------- */

static uint32_t payload_sent(const struct message *m)
{
    return m->sent > m->head_length ? m->sent - m->head_length : 0;
}

/* Lets go of the call's memory for good: nothing of it is sent, or landed in, from here on. True:
 * no reply will come. */
static bool call_withdraw(struct rpc_conn *conn, struct rpc_call *call)
{
    struct message *m = &call->message;
    conn_tx_pause(conn);
    bool copied = m->queued && m->sent;
    int rc = conn->transport->ops->tx_retire(conn->transport, m);
    if (rc < 0)
        conn_break(conn, rc);
    conn_mark_unsent(conn);
    conn->engine->drowsy |= conn->transport->drowsy;
    if (copied)
        call->staged = m->payload_length - payload_sent(m);
    return rc > 0 || !m->sent;
}

/* Notes how much of the call's payload has left the caller's memory. */
static void call_account(struct rpc_call *call)
{
    if (call->message.payload_length)
        call->landed = payload_sent(&call->message);
}

/* Calls that wait for a slot get those that there are. */
static void conn_serve_queue(struct rpc_conn *conn)
{
    while (conn->queue && slot_available(conn)) {
        struct rpc_call *next = conn->queue;
        conn->queue = next->next;
        if (!conn->queue)
            conn->queue_end = &conn->queue;
        conn_launch(conn, next);
    }
}

/* Ends a call that has a slot and is not being sent. */
static void conn_end(struct rpc_conn *conn, struct rpc_call *call, int error, bool wait,
                     bool promptly)
{
    struct engine *e = conn->engine;
    slot_release(conn, call, wait);
    if (call->buffered) {
        call->staged += call->landed;
        call->landed = 0;
    }
    counter_add(&e->counters.bytes_landed, call->landed);
    counter_add(&e->counters.bytes_staged, call->staged);
    if (conn->expecting == call)
        conn_expected(conn);
    if (conn->queue)
        conn_serve_queue(conn);
    if (promptly) {
        call->posted = false;
        call->error = error;
        call->done(call);
    } else {
        call_end(conn, call, error);
    }
}

void rpc_replied(struct rpc_conn *conn, struct rpc_call *call, int error)
{
    if (call->message.queued)
        call_withdraw(conn, call);
    call_account(call);
    conn_end(conn, call, error, false, call->prompt);
}

bool rpc_replied_late(struct rpc_conn *conn, uint32_t xid)
{
    const struct rpc_slot *slot = &conn->slots[xid & SLOT_MASK];
    if (!slot->waiting || slot->generation != xid >> RPC_SLOT_BITS)
        return false;
    slot_wait_no_more(conn, xid & SLOT_MASK);
    conn_serve_queue(conn);
    return true;
}

/* The call alone cannot be sent. */
static void conn_refused(void *user, struct message *m, int error)
{
    struct rpc_conn *conn = user;
    struct rpc_call *call = rpc_match(conn, wire_get32(m->head + TRANSPORT_HEADROOM));
    if (call)
        conn_end(conn, call, error, false, false);
}

static void conn_forgotten(void *user, uint32_t xid)
{
    rpc_replied_late(user, xid);
}

/* Ends a call that was never given a slot. */
static void call_unqueue(struct rpc_conn *conn, struct rpc_call **link, int error)
{
    struct rpc_call *call = *link;
    *link = call->next;
    if (!*link)
        conn->queue_end = link;
    call_end(conn, call, error);
}

/* Ends a call without its reply: rule 1 holds from here on. By the leader. */
static void call_retire(struct rpc_conn *conn, struct rpc_call *call, int error)
{
    bool arriving = conn->arriving == call, drained = false;
    if (arriving) {
        conn->arriving = NULL;
        drained = conn->transport->ops->rx_retire(conn->transport);
        counter_add(&conn->engine->counters.replies_retired, drained);
    }
    bool over = call_withdraw(conn, call);
    call_account(call);
    conn_end(conn, call, error, !over && !drained, false);
}

/* Retires the calls that are due at `now` or belong to `owner`, and returns the earliest deadline
 * of those that are left. */
static uint64_t conn_retire(struct rpc_conn *conn, uint64_t now, const void *owner, int error)
{
    uint64_t earliest = CLOCK_NEVER;
    for (struct rpc_call **link = &conn->queue, *call; (call = *link);) {
        if (call->deadline <= now || (owner && call->owner == owner)) {
            call_unqueue(conn, link, error);
            continue;
        }
        if (call->deadline < earliest)
            earliest = call->deadline;
        link = &call->next;
    }
    for (unsigned i = 0; i < RPC_SLOTS; i++) {
        struct rpc_call *call = conn->slots[i].call;
        if (call && (call->deadline <= now || (owner && call->owner == owner)))
            call_retire(conn, call, error);
        call = conn->slots[i].call; /* a queued one may have taken the slot */
        if (call && call->deadline < earliest)
            earliest = call->deadline;
    }
    return earliest;
}

static void deadline_fire(struct timer *timer)
{
    struct rpc_conn *conn =
        (struct rpc_conn *)((char *)timer - offsetof(struct rpc_conn, deadline));
    conn->earliest = CLOCK_NEVER;
    uint64_t earliest = conn_retire(conn, clock_now(), NULL, -ETIMEDOUT);
    /* Retiring may drop the lock for a moment, in which others post. */
    if (earliest < conn->earliest)
        conn->earliest = earliest;
    timer_set(conn->engine, &conn->deadline, conn->earliest);
}

void rpc_cancel(struct engine *e, const void *owner)
{
    for (struct rpc_conn *conn = e->connections; conn; conn = conn->next)
        conn_retire(conn, 0, owner, -ECANCELED);
}

/* ---- connection ------------------------------------------------------------------------------ */

static void list_remove(struct rpc_conn **link, const struct rpc_conn *conn, size_t next)
{
    while (*link && *link != conn)
        link = (struct rpc_conn **)((char *)*link + next);
    if (*link)
        *link = *(struct rpc_conn **)((char *)conn + next);
}

/* What of its calls has gone out is known until the transport is closed. */
static void conn_lose_calls(struct rpc_conn *conn)
{
    for (struct rpc_call *call = conn->queue; call; call = call->next)
        call->lost = RPC_LOST_UNSENT;
    for (unsigned i = 0; i < RPC_SLOTS; i++) {
        struct rpc_call *call = conn->slots[i].call;
        if (call)
            call->lost = call->message.queued ? RPC_LOST_UNSENT : RPC_LOST;
    }
}

static void conn_close(struct rpc_conn *conn, int error)
{
    struct engine *e = conn->engine;
    conn_tx_pause(conn);
    conn->state = RPC_CLOSED;
    conn_lose_calls(conn);
    conn->transport->ops->close(conn->transport);
    list_remove(&e->connections, conn, offsetof(struct rpc_conn, next));
    timer_set(e, &conn->deadline, CLOCK_NEVER);
    timer_set(e, &conn->connect_timer, CLOCK_NEVER);
    timer_set(e, &conn->starved, CLOCK_NEVER);
    rpc_ping_stop(conn);
    conn->earliest = CLOCK_NEVER;
    conn->arriving = conn->expecting = NULL;
    conn->tx_held = false;
    conn->broken = 0;
    conn->hung_up = false;
    while (conn->queue)
        call_unqueue(conn, &conn->queue, error);
    for (unsigned i = 0; i < RPC_SLOTS; i++) {
        if (conn->slots[i].waiting)
            slot_wait_no_more(conn, i);
        struct rpc_call *call = conn->slots[i].call;
        if (!call)
            continue;
        call_account(call);
        conn_end(conn, call, error, false, false);
    }
}

void rpc_conn_fail(struct rpc_conn *conn, int error)
{
    if (conn->state == RPC_CLOSED)
        return;
    conn_close(conn, error);
    conn->user->down(conn, error);
}

void rpc_conn_make_ready(struct rpc_conn *conn)
{
    if (conn->is_ready)
        return;
    conn->is_ready = true;
    conn->next_ready = conn->engine->ready;
    conn->engine->ready = conn;
}

/* Takes in what a receive has brought. Returns whether there may be more. */
static bool conn_take_in(struct rpc_conn *conn)
{
    struct transport *t = conn->transport;
    int rc = t->ops->rx_finish(t);
    if (rc < 0) {
        rpc_conn_fail(conn, rc);
        return false;
    }
    conn->heard += t->received;
    conn->engine->drowsy |= t->drowsy;
    if (t->unsent)
        conn_mark_unsent(conn);
    return rc > 0 || (conn->hung_up && conn->state == RPC_OPEN);
}

/* One receive. Returns whether there may be more. */
static bool conn_receive_once(struct rpc_conn *conn)
{
    struct transport *t = conn->transport;
    t->ops->rx_prepare(t);
    engine_unlock(conn->engine);
    t->ops->rx_issue(t);
    engine_lock(conn->engine);
    return conn_take_in(conn);
}

/* A call waits for a credit, and the peer holds all of them for calls that nobody waits for any
 * more. Answers may have come since: only without any, the connection is good for nothing. */
static void starved_fire(struct timer *timer)
{
    struct rpc_conn *conn = (struct rpc_conn *)((char *)timer - offsetof(struct rpc_conn, starved));
    bool more = true;
    while (more && conn->state == RPC_OPEN && conn->late == conn->transport->credits)
        more = conn_receive_once(conn);
    if (conn->state != RPC_OPEN)
        return;
    if (more)
        rpc_conn_make_ready(conn);
    if (conn->queue && conn->late == conn->transport->credits)
        rpc_conn_fail(conn, errtext_set(&conn->why, ETIMEDOUT, "none of %u calls has been answered",
                                        conn->late));
}

/* As many receives as there are calls: other threads may post new ones for ever. Callbacks begin
 * new calls, which are sent when this has returned; so when there are callbacks to run, a quarter
 * of what is under way is enough: the server has the rest to work on meanwhile. */
void rpc_conn_receive(struct rpc_conn *conn)
{
    struct engine *e = conn->engine;
    unsigned enough = conn->posted - (conn->posted + 3) / 4;
    bool more = conn->state == RPC_OPEN;
    for (unsigned left = conn->posted + 1; more && left; left--) {
        more = conn_receive_once(conn);
        if (!conn->posted || (e->completions && conn->posted <= enough))
            break;
    }
    if (more)
        rpc_conn_make_ready(conn);
}

bool rpc_conn_poll_begin(struct rpc_conn *conn)
{
    if (conn->state != RPC_OPEN || !conn->posted)
        return false;
    conn->transport->ops->rx_prepare(conn->transport);
    return true;
}

bool rpc_conn_poll(struct rpc_conn *conn)
{
    return conn->transport->ops->rx_issue(conn->transport);
}

void rpc_conn_poll_end(struct rpc_conn *conn)
{
    if (conn_take_in(conn))
        rpc_conn_make_ready(conn);
}

static void conn_connected(struct rpc_conn *conn, int error)
{
    if (error) {
        if (!conn->why.text[0])
            errtext_set(&conn->why, error, "%s", errtext_errno(error));
        conn_close(conn, error);
    } else {
        conn->state = RPC_OPEN;
        conn->engine->drowsy |= conn->transport->drowsy;
        slots_free(conn, conn->transport->credits);
        timer_set(conn->engine, &conn->connect_timer, CLOCK_NEVER);
    }
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
        int rc = t->ops->connected(t);
        if (rc != -EINPROGRESS)
            conn_connected(conn, rc);
        return;
    }
    if (conn->state != RPC_OPEN)
        return;
    if (epoll_events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        conn->hung_up = true;
    if (conn->hung_up || epoll_events & EPOLLIN)
        rpc_conn_make_ready(conn);
    if (epoll_events & EPOLLOUT && (t->blocked || conn->tx_busy)) {
        t->ops->tx_ready(t);
        conn_mark_unsent(conn);
    }
}

void rpc_connect(struct rpc_conn *conn, const struct sockaddr *address, socklen_t length,
                 uint64_t deadline)
{
    struct engine *e = conn->engine;
    struct transport *t = conn->transport;
    conn->state = RPC_CONNECTING;
    conn->why.text[0] = '\0';
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
}

static const struct transport_user conn_transport_user = {
    .expect = conn_expect,
    .expected = conn_expected,
    .arrive = rpc_arrive,
    .landed = rpc_landed,
    .collected = rpc_collected,
    .refused = conn_refused,
    .forgotten = conn_forgotten,
};

int rpc_conn_use(struct rpc_conn *conn, const struct transport_kind *kind, const char *target)
{
    struct transport *t =
        kind->make(kind, target, &conn_transport_user, conn, &conn->engine->counters, &conn->why);
    if (!t)
        return -ENOMEM;
    if (conn->transport)
        conn->transport->ops->free(conn->transport);
    conn->transport = t;
    return 0;
}

struct rpc_conn *rpc_conn_new(struct engine *e, const struct transport_kind *kind,
                              const char *target, const struct rpc_conn_user *user, void *arg)
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
        .starved = {.at = CLOCK_NEVER, .fire = starved_fire},
    };
    pthread_cond_init(&conn->tx_idle, NULL);
    conn->slots = calloc(RPC_SLOTS, sizeof(*conn->slots));
    conn->free_slots = calloc(RPC_SLOTS, sizeof(*conn->free_slots));
    if (rpc_conn_use(conn, kind, target) < 0 || !conn->slots || !conn->free_slots) {
        rpc_conn_free(conn);
        return NULL;
    }
    return conn;
}

void rpc_conn_free(struct rpc_conn *conn)
{
    if (!conn)
        return;
    struct engine *e = conn->engine;
    if (conn->state != RPC_CLOSED)
        conn_close(conn, -ESHUTDOWN);
    timer_remove(e, &conn->deadline);
    timer_remove(e, &conn->connect_timer);
    timer_remove(e, &conn->starved);
    timer_remove(e, &conn->ping_timer);
    list_remove(&e->ready, conn, offsetof(struct rpc_conn, next_ready));
    list_remove(&e->unsent, conn, offsetof(struct rpc_conn, next_unsent));
    if (conn->transport)
        conn->transport->ops->free(conn->transport);
    pthread_cond_destroy(&conn->tx_idle);
    free(conn->slots);
    free(conn->free_slots);
    free(conn->ping);
    free(conn);
}
