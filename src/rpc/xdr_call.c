#include "rpc/xdr_call.h"

#include "proto/rpc_msg.h"

#include <errno.h>
#include <stdlib.h>

#define VERIFIER_BYTES 8
#define CALL_FIXED     24 /* xid, CALL, rpcvers, prog, vers, proc */

static int xdr_call_decode(struct rpc_call *rpc, const uint8_t *body, size_t length)
{
    struct xdr_call *call = (struct xdr_call *)rpc;
    XDR xdrs;
    xdrmem_create(&xdrs, (char *)body, (u_int)length, XDR_DECODE);
    if (!call->xdr_results(&xdrs, call->results) || xdr_getpos(&xdrs) != length)
        return -EPROTO;
    return 0;
}

static void xdr_call_done(struct rpc_call *rpc)
{
    struct xdr_call *call = (struct xdr_call *)rpc;
    free(rpc->message.head);
    rpc->message.head = NULL;
    call->done(call);
}

int xdr_call_encode(struct xdr_call *call, const struct xdr_procedure *proc,
                    const struct xdr_identity *identity, void *arguments, void *results,
                    void (*done)(struct xdr_call *))
{
    *call = (struct xdr_call){
        .rpc.decode = xdr_call_decode,
        .rpc.done = xdr_call_done,
        .rpc.deadline = identity->deadline,
        .rpc.owner = identity->owner,
        .xdr_results = proc->xdr_results,
        .results = results,
        .done = done,
    };
    size_t size = xdr_sizeof(proc->xdr_arguments, arguments);
    size_t head = TRANSPORT_HEADROOM + CALL_FIXED + identity->credential_length + VERIFIER_BYTES;
    uint8_t *message = malloc(head + size);
    if (!message)
        return -ENOMEM;
    call->rpc.message.head = message;
    call->arguments_at = (uint32_t)head;
    call->rpc.message.reply_max = proc->reply_max ? proc->reply_max : XDR_REPLY_USUAL;
    rpc_call_encode(message + TRANSPORT_HEADROOM, 0, proc->program, proc->version, proc->number,
                    identity->credential, identity->credential_length);
    XDR xdrs;
    xdrmem_create(&xdrs, (char *)message + head, (u_int)size, XDR_ENCODE);
    if (!proc->xdr_arguments(&xdrs, arguments))
        return -E2BIG;
    call->rpc.message.head_length = (uint32_t)(head + xdr_getpos(&xdrs));
    return 0;
}

void xdr_call_post(struct rpc_conn *conn, struct xdr_call *call, const struct xdr_procedure *proc,
                   const struct xdr_identity *identity, void *arguments, void *results,
                   void (*done)(struct xdr_call *))
{
    int error = xdr_call_encode(call, proc, identity, arguments, results, done);
    if (error)
        rpc_post_failed(conn, &call->rpc, error);
    else
        rpc_post(conn, &call->rpc);
}
