#include "brick/glusterd.h"

#include <errno.h>
#include <stdio.h>

const struct xdr_procedure glusterd_portbybrick = {
    GF_PMAP_PROGRAM,
    GF_PMAP_VERSION,
    GF_PMAP_PORTBYBRICK,
    (xdrproc_t)xdr_gf_portbybrick_args,
    (xdrproc_t)xdr_gf_portbybrick_res,
    0,
};

const struct xdr_procedure glusterd_getspec = {
    GF_HNDSK_PROGRAM,
    GF_HNDSK_VERSION,
    GF_HNDSK_GETSPEC,
    (xdrproc_t)xdr_gf_getspec_args,
    (xdrproc_t)xdr_gf_getspec_res,
    GLUSTERD_VOLFILE_MAX,
};

static void query_free(struct glusterd_query *q)
{
    rpc_conn_free(q->conn);
    q->conn = NULL;
    dial_host_free(&q->host);
}

static void query_done(struct xdr_call *call)
{
    struct glusterd_query *q =
        (struct glusterd_query *)((char *)call - offsetof(struct glusterd_query, call));
    if (!q->error && call->rpc.error) {
        const char *text = call->rpc.error == -ETIMEDOUT ? "no answer in time" : q->conn->why.text;
        q->error = errtext_set(&q->why, call->rpc.error, "%s: %s", q->label, text);
    }
    query_free(q);
    q->done(q);
}

static void query_connected(struct rpc_conn *conn, int error)
{
    struct glusterd_query *q = conn->arg;
    if (error && dial_again(&q->dial))
        return;
    if (error) /* the call below ends at once, and done() runs where the connection may go */
        q->error = errtext_set(&q->why, error, "%s: %s", q->label, conn->why.text);
    xdr_call_post(conn, &q->call, q->procedure, q->identity, q->arguments, q->results, query_done);
}

static void query_down(struct rpc_conn *conn, int error)
{
    (void)conn, (void)error; /* the call has ended with it */
}

static void query_callback(struct rpc_conn *conn, uint32_t program, uint32_t procedure,
                           const uint8_t *body, size_t length)
{
    (void)conn, (void)program, (void)procedure, (void)body, (void)length;
}

static const struct rpc_conn_user query_user = {query_connected, query_down, query_callback};

int glusterd_ask(struct engine *e, struct glusterd_query *q, const char *host, uint16_t port)
{
    struct errtext why;
    q->error = 0;
    q->host = (struct dial_host){0};
    snprintf(q->label, sizeof(q->label), "glusterd at %.255s:%u", host, port);
    int rc = q->at ? 0 : dial_resolve(&q->host, host, &why);
    if (rc < 0)
        return errtext_set(&q->why, rc, "%s: %s", q->label, why.text);
    q->conn = rpc_conn_new(e, q->transport, "", &query_user, q);
    if (!q->conn) {
        dial_host_free(&q->host);
        return errtext_set(&q->why, ENOMEM, "%s: no memory", q->label);
    }
    dial_start(&q->dial, q->conn, q->at ? q->at : &q->host, port, q->identity->deadline);
    return 0;
}

void glusterd_stop(struct glusterd_query *q)
{
    if (!q->conn)
        return;
    if (q->conn->state == RPC_OPEN)
        rpc_conn_fail(q->conn, -ESHUTDOWN); /* the call ends with it */
    else if (q->conn->state == RPC_CONNECTING)
        query_free(q);
}
