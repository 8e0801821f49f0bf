/*
 * Signs of life. While replies are due the timer looks twice per time-out whether anything has
 * come: after one silent half a PING goes out, after a second one the peer counts as dead. So a
 * dead peer is noticed after 1 to 1.5 times the time-out.
 */
#include "proto/handshake.h"
#include "proto/rpc_msg.h"
#include "rpc/conn.h"

#include <errno.h>
#include <stdlib.h>

static int ping_decode(struct rpc_call *call, const uint8_t *body, size_t length)
{
    (void)call, (void)body, (void)length; /* that it came is the answer */
    return 0;
}

void rpc_ping_call(struct rpc_call *call, uint8_t *head)
{
    static const uint8_t auth_null[8]; /* needs no identity: rpcsvc.c answers it itself */
    size_t length = rpc_call_encode(head + TRANSPORT_HEADROOM, 0, GF_DUMP_PROGRAM, GF_DUMP_VERSION,
                                    GF_DUMP_PING, auth_null, sizeof(auth_null));
    *call = (struct rpc_call){
        .message.head = head,
        .message.head_length = (uint32_t)(TRANSPORT_HEADROOM + length),
        .deadline = CLOCK_NEVER,
        .decode = ping_decode,
    };
}

static void ping_done(struct rpc_call *call)
{
    (void)call;
}

static void ping_fire(struct timer *timer)
{
    struct rpc_conn *conn =
        (struct rpc_conn *)((char *)timer - offsetof(struct rpc_conn, ping_timer));
    if (conn->state != RPC_OPEN)
        return;
    bool silent = (conn->posted || conn->late) && conn->heard == conn->heard_before;
    if (!silent) {
        conn->pinged = false;
    } else if (conn->pinged) {
        errtext_set(&conn->why, ETIMEDOUT, "no answer to a ping for %g s",
                    (double)conn->ping_interval * 2 / (double)NSEC_PER_SEC);
        rpc_conn_fail(conn, -ETIMEDOUT);
        return;
    } else if (!conn->ping->posted) {
        conn->pinged = true;
        rpc_post(conn, conn->ping);
    }
    conn->heard_before = conn->heard;
    timer_set(conn->engine, timer, clock_now() + conn->ping_interval);
}

int rpc_ping_start(struct rpc_conn *conn, uint64_t timeout)
{
    if (timeout == 0)
        return 0;
    if (!conn->ping)
        conn->ping = malloc(sizeof(*conn->ping) + RPC_HEAD_MAX);
    if (!conn->ping)
        return -ENOMEM;
    rpc_ping_call(conn->ping, (uint8_t *)(conn->ping + 1));
    conn->ping->done = ping_done;
    conn->ping_interval = timeout / 2;
    conn->heard_before = conn->heard;
    conn->pinged = false;
    conn->ping_timer.fire = ping_fire;
    timer_set(conn->engine, &conn->ping_timer, clock_now() + conn->ping_interval);
    return 0;
}

void rpc_ping_stop(struct rpc_conn *conn)
{
    timer_set(conn->engine, &conn->ping_timer, CLOCK_NEVER);
}
