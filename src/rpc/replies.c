/*
 * What arrives on a connection: replies that find their call in the xid table, replies that find
 * none, and calls that the server makes to us. Everything here comes from the network.
 */
#include "rpc/replies.h"

#include "proto/hot.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <errno.h>

static int malformed(struct rpc_conn *conn, const char *what)
{
    return errtext_set(&conn->why, EPROTO, "malformed %s", what);
}

/* The call that a reply belongs to; a reply without one is counted. */
static struct rpc_call *find_call(struct rpc_conn *conn, uint32_t xid)
{
    struct counters *counters = &conn->engine->counters;
    if (conn->expecting && conn->expecting->xid == xid)
        return conn->expecting;
    struct rpc_call *call = rpc_match(conn, xid);
    bool retired = !call && rpc_replied_late(conn, xid);
    if (!call)
        counter_add(retired ? &counters->replies_retired : &counters->replies_unmatched, 1);
    return call;
}

/* A READ reply that the server executed: `body` are its results, of which `have` bytes are here. */
static int arrive_read(struct rpc_conn *conn, struct rpc_call *call, const uint8_t *body,
                       size_t have, size_t head, struct arrival *a)
{
    struct hot_read_reply r;
    a->kind = ARRIVAL_MORE;
    a->length = head + HOT_READ_FIXED;
    if (have < HOT_READ_FIXED)
        return 0;
    if (hot_read_reply_decode(body, &r) < 0)
        return malformed(conn, "READ reply");
    if (r.op_ret < 0) {
        a->kind = ARRIVAL_COLLECT;
        return 0;
    }
    if ((uint32_t)r.op_ret > call->message.land_length)
        return errtext_set(&conn->why, EPROTO, "READ reply of %d bytes, but %u were asked for",
                           r.op_ret, call->message.land_length);
    a->length += r.dict_bytes;
    if (have < HOT_READ_FIXED + r.dict_bytes)
        return 0;
    call->op_ret = r.op_ret;
    call->op_errno = r.op_errno;
    a->kind = ARRIVAL_LAND;
    a->length = (size_t)r.op_ret;
    a->to = call->message.land;
    return 0;
}

int rpc_arrive(void *user, const uint8_t *message, size_t have, size_t whole, struct arrival *a)
{
    struct rpc_conn *conn = user;
    struct rpc_reply reply = {.xid = wire_get32(message), .status = RPC_REPLY_SUCCESS};
    ssize_t head = RPC_REPLY_BYTES;

    if (have < RPC_REPLY_BYTES || !rpc_reply_is_plain(message)) {
        if (wire_get32(message + 4) == RPC_MSG_CALL) {
            conn->arriving = NULL;
            a->kind = ARRIVAL_COLLECT;
            return 0;
        }
        head = rpc_reply_parse(message, have, whole, &reply);
        if (head < 0)
            return malformed(conn, "RPC reply");
        if (head == 0) {
            a->kind = ARRIVAL_MORE;
            a->length = have + 4;
            return 0;
        }
    }
    if (!conn->arriving || conn->arriving->xid != reply.xid)
        conn->arriving = find_call(conn, reply.xid);
    if (!conn->arriving) {
        a->kind = ARRIVAL_SINK;
        return 0;
    }
    if (conn->arriving->lands && reply.status == RPC_REPLY_SUCCESS)
        return arrive_read(conn, conn->arriving, message + head, have - (size_t)head, (size_t)head,
                           a);
    a->kind = ARRIVAL_COLLECT;
    return 0;
}

/* The reply of conn->arriving is in. */
static void reply_end(struct rpc_conn *conn, int error)
{
    struct rpc_call *call = conn->arriving;
    conn->arriving = NULL;
    counter_add(&conn->engine->counters.replies, 1);
    rpc_replied(conn, call, error);
}

int rpc_landed(void *user, size_t direct, size_t staged)
{
    struct rpc_conn *conn = user;
    conn->arriving->landed = (uint32_t)direct;
    conn->arriving->staged = (uint32_t)staged;
    reply_end(conn, 0);
    return 0;
}

static int server_call(struct rpc_conn *conn, const uint8_t *message, size_t length)
{
    struct rpc_callback call;
    if (rpc_callback_parse(message, length, &call) < 0)
        return malformed(conn, "call from the server");
    counter_add(&conn->engine->counters.callbacks, 1);
    conn->user->callback(conn, call.program, call.procedure, message + call.body,
                         length - call.body);
    return 0;
}

int rpc_collected(void *user, const uint8_t *message, size_t length)
{
    struct rpc_conn *conn = user;
    struct rpc_call *call = conn->arriving;
    struct rpc_reply reply;

    if (wire_get32(message + 4) == RPC_MSG_CALL)
        return server_call(conn, message, length);
    ssize_t head = rpc_reply_parse(message, length, length, &reply);
    if (head <= 0)
        return malformed(conn, "RPC reply");
    int error = rpc_reply_errno(&reply);
    if (error) {
        errtext_set(&conn->why, error, "%s", rpc_reply_text(&reply));
        reply_end(conn, error);
        return 0;
    }
    const uint8_t *body = message + head;
    length -= (size_t)head;
    if (call->lands) { /* a READ that failed */
        struct hot_read_reply r;
        if (hot_read_reply_decode(body, &r) < 0 || length != HOT_READ_FIXED + r.dict_bytes)
            return malformed(conn, "READ reply");
        call->op_ret = r.op_ret;
        call->op_errno = r.op_errno;
    } else {
        int rc = call->decode(call, body, length);
        if (rc == -EPROTO)
            return malformed(conn, "results in a reply");
        error = rc;
    }
    reply_end(conn, error);
    return 0;
}
