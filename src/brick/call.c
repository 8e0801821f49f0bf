#include "brick/call.h"

#include "brick/remote.h"

#include <errno.h>

static bool call_ready(const struct brick_call *call)
{
    return call->remote ? remote_is_open(call->remote) : call->session->state == SESSION_UP;
}

/* When a call that waits has waited too long. */
static uint64_t call_limit(const struct brick_call *call)
{
    const struct session *s = call->session;
    uint64_t deadline = call->context->deadline;
    return s->state == SESSION_UP || deadline < s->patience_ends ? deadline : s->patience_ends;
}

static void call_end(struct brick_call *call, int error, enum brick_fate fate)
{
    call->fate = (uint8_t)fate;
    rpc_post_failed(session_connection(call->session), call->rpc, error);
}

static void call_end_late(struct brick_call *call, uint64_t now)
{
    call_end(call, call->context->deadline <= now ? -ETIMEDOUT : -ENOTCONN, FATE_AWAY);
}

static void list_append(struct session *s, struct brick_call *call)
{
    call->next = NULL;
    *s->waiting_end = call;
    s->waiting_end = &call->next;
}

/* Those that are to wait on are appended again. */
static struct brick_call *list_take(struct session *s)
{
    struct brick_call *all = s->waiting;
    s->waiting = NULL;
    s->waiting_end = &s->waiting;
    return all;
}

static void watch(struct session *s, uint64_t limit)
{
    if (limit < s->patience.at)
        timer_set(s->engine, &s->patience, limit);
}

void brick_wait(struct brick_call *call)
{
    struct session *s = call->session;
    uint64_t limit = call_limit(call), now = clock_now();
    if (call->context->cancelled) {
        call_end(call, -ECANCELED, FATE_PLAIN);
    } else if (!s->returns) {
        call_end(call, -ENOTCONN, FATE_PLAIN);
    } else if (call->remote && remote_locks_lost(call->remote)) {
        call_end(call, -EBADFD, FATE_LOCKS);
    } else if (limit <= now) {
        call_end_late(call, now);
    } else {
        list_append(s, call);
        watch(s, limit);
        if (s->state == SESSION_UP && call->remote)
            remote_reopen(call->remote);
    }
}

bool brick_again(struct brick_call *call, bool twice)
{
    struct rpc_call *rpc = call->rpc;
    /* A server that breaks the protocol is not given the same calls again. */
    if (!rpc->lost || rpc->error == -EPROTO || !call->session->returns)
        return false;
    if (rpc->lost == RPC_LOST && !twice) {
        call->fate = FATE_UNKNOWN;
        rpc->error = -ENOTCONN;
        return false;
    }
    call->tries += rpc->lost == RPC_LOST;
    if (call->tries >= BRICK_TRIES) {
        call->fate = FATE_TRIES;
        rpc->error = -ENOTCONN;
        return false;
    }
    brick_wait(call);
    return true;
}

void brick_cancel(struct session *s, const void *owner)
{
    struct brick_call *call = list_take(s);
    for (struct brick_call *next; call; call = next) {
        next = call->next;
        if (call->context->owner == owner)
            call_end(call, -ECANCELED, FATE_PLAIN);
        else
            list_append(s, call);
    }
}

void brick_resume(struct session *s, const struct remote *remote, int error)
{
    struct brick_call *call = list_take(s);
    for (struct brick_call *next; call; call = next) {
        next = call->next;
        if (call_ready(call))
            call->go(call);
        else if (error && call->remote == remote)
            call_end(call, error, remote->locked ? FATE_LOCKS : FATE_CLOSED);
        else
            list_append(s, call);
    }
}

void brick_give_up(struct session *s, int error)
{
    struct brick_call *call = list_take(s);
    for (struct brick_call *next; call; call = next) {
        next = call->next;
        call_end(call, error, FATE_PLAIN);
    }
}

void brick_limit(struct session *s)
{
    if (s->waiting)
        watch(s, s->patience_ends);
}

void brick_late(struct timer *timer)
{
    struct session *s = (struct session *)((char *)timer - offsetof(struct session, patience));
    struct brick_call *call = list_take(s);
    uint64_t now = clock_now();
    for (struct brick_call *next; call; call = next) {
        next = call->next;
        uint64_t limit = call_limit(call);
        if (limit <= now) {
            call_end_late(call, now);
        } else {
            list_append(s, call);
            watch(s, limit);
        }
    }
}
