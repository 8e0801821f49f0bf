/* Asking glusterd for a brick's port: PORTBYBRICK of its portmap (proto/handshake.x). */
#include "brick/glusterd.h"
#include "client.h"

#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define QUESTION_BYTES (TRANSPORT_HEADROOM + 512 + RPC_CRED_MAX + RDMA_TARGET_MAX)
#define QUESTION_XID   1

int port_ask(struct client *c)
{
    struct attach *a = &c->attach;
    struct gf_portbybrick_args args = {.brick = a->target};
    struct rpc_cred cred = {.pid = getpid(), .uid = geteuid(), .gid = getegid()};
    uint8_t credential[RPC_CRED_MAX];
    ssize_t length = rpc_cred_encode(credential, sizeof(credential), &cred);
    if (length < 0)
        return (int)length;
    if (!a->question)
        a->question = malloc(QUESTION_BYTES);
    if (!a->question)
        return errtext_set(&a->glusterd.why, ENOMEM, "no memory for a question");
    size_t head = TRANSPORT_HEADROOM +
                  rpc_call_encode(a->question + TRANSPORT_HEADROOM, QUESTION_XID,
                                  glusterd_portbybrick.program, glusterd_portbybrick.version,
                                  glusterd_portbybrick.number, credential, (size_t)length);
    XDR xdrs;
    xdrmem_create(&xdrs, (char *)a->question + head, (u_int)(QUESTION_BYTES - head), XDR_ENCODE);
    if (!glusterd_portbybrick.xdr_arguments(&xdrs, &args))
        return errtext_set(&a->glusterd.why, EINVAL, "the path is too long");
    a->message = (struct message){
        .head = a->question,
        .head_length = (uint32_t)(head + xdr_getpos(&xdrs)),
    };
    link_send(&a->glusterd, &a->message);
    return 0;
}

static bool port_expect(void *user, struct iov_cursor *to, size_t *length)
{
    (void)user, (void)to, (void)length;
    return false;
}

static void port_expected(void *user)
{
    (void)user;
}

static int port_arrive(void *user, const uint8_t *message, size_t have, size_t whole,
                       struct arrival *a)
{
    (void)user, (void)have, (void)whole;
    bool answers = wire_get32(message) == QUESTION_XID && wire_get32(message + 4) == RPC_MSG_REPLY;
    a->kind = answers ? ARRIVAL_COLLECT : ARRIVAL_SINK;
    return 0;
}

static int port_landed(void *user, size_t direct, size_t staged)
{
    (void)user, (void)direct, (void)staged;
    return 0;
}

static int port_collected(void *user, const uint8_t *message, size_t length)
{
    struct client *c = user;
    struct rpc_reply reply;
    struct gf_portbybrick_res res = {0};
    XDR xdrs;
    ssize_t head = rpc_reply_parse(message, length, length, &reply);
    if (head <= 0)
        return errtext_set(&c->attach.glusterd.why, EPROTO, "malformed RPC reply");
    if (reply.status != RPC_REPLY_SUCCESS)
        return errtext_set(&c->attach.glusterd.why, rpc_reply_errno(&reply), "%s",
                           rpc_reply_text(&reply));
    xdrmem_create(&xdrs, (char *)message + head, (u_int)(length - (size_t)head), XDR_DECODE);
    if (!glusterd_portbybrick.xdr_results(&xdrs, &res))
        return errtext_set(&c->attach.glusterd.why, EPROTO, "malformed answer");
    c->attach.port = res.op_ret < 0 || res.port <= 0 || res.port > 65535 ? 0 : (uint16_t)res.port;
    c->attach.step = ATTACH_ASKED;
    list_enter(&c->g->tasks, &c->task);
    return 0;
}

const struct transport_user port_user = {
    .expect = port_expect,
    .expected = port_expected,
    .arrive = port_arrive,
    .landed = port_landed,
    .collected = port_collected,
};
