/*
 * Calls off the hot path: arguments and results by rpcgen's XDR routines, in the way of
 * clnt_call(3): a procedure, a routine and a structure for the arguments, a routine and a structure
 * for the results.
 */
#ifndef RPC_XDR_CALL_H
#define RPC_XDR_CALL_H

#include "rpc/conn.h"

#include <rpc/rpc.h>

struct xdr_call {
    struct rpc_call rpc; /* first */
    xdrproc_t xdr_results;
    void *results; /* the caller's; zeroed, then filled if rpc.error is 0; to be xdr_free()d */
    uint32_t arguments_at; /* bytes of rpc.message.head before the arguments */
    /** The call is over: rpc.error says whether there are results. As rpc_call.done. */
    void (*done)(struct xdr_call *call);
};

/** Results are rarely longer: attributes, names, some extended attributes. */
#define XDR_REPLY_USUAL (16u << 10)

struct xdr_procedure {
    uint32_t program, version, number;
    xdrproc_t xdr_arguments, xdr_results;
    uint32_t reply_max; /* bytes of the encoded results; 0: XDR_REPLY_USUAL is enough */
};

/** The encoded credential that a call carries, and how long the call may take. */
struct xdr_identity {
    const uint8_t *credential; /* flavour, length, body */
    size_t credential_length;
    uint64_t deadline;
    const void *owner; /* for rpc_cancel(); may be NULL */
};

/**
 * Makes a call ready for rpc_post(). The poster may do so again when it is over, if it has put
 * another function in rpc.done; which must free() rpc.message.head in the end, NULL too.
 * @return 0; or -ENOMEM, -E2BIG (arguments exceed the protocol's bounds), which is for
 *         rpc_post_failed().
 */
int xdr_call_encode(struct xdr_call *call, const struct xdr_procedure *proc,
                    const struct xdr_identity *identity, void *arguments, void *results,
                    void (*done)(struct xdr_call *));

/**
 * Encodes and posts a call. @p arguments are not needed any more when this returns. Failures to
 * encode (-ENOMEM, -E2BIG: arguments exceed the protocol's bounds) end the call like any other, in
 * done().
 */
void xdr_call_post(struct rpc_conn *conn, struct xdr_call *call, const struct xdr_procedure *proc,
                   const struct xdr_identity *identity, void *arguments, void *results,
                   void (*done)(struct xdr_call *));

#endif
