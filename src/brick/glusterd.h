/* Asking glusterd: one connection, one call, and it is closed again. */
#ifndef BRICK_GLUSTERD_H
#define BRICK_GLUSTERD_H

#include "brick/dial.h"
#include "proto/handshake.h"
#include "rpc/xdr_call.h"

#define GLUSTERD_PORT        24007
#define GLUSTERD_VOLFILE_MAX (1u << 20) /* that can come where replies are bounded: RDMA */

/** A question on its way. The memory is the asker's until done() has been called. */
struct glusterd_query {
    struct dial dial;
    struct dial_host *at, host; /* `at` NULL: the name is resolved, into `host` */
    struct rpc_conn *conn;      /* NULL: none is under way */
    char label[300];            /* "glusterd at host:port" */
    const struct transport_kind *transport;
    const struct xdr_procedure *procedure;
    const struct xdr_identity *identity;
    void *arguments, *results;
    struct xdr_call call;
    int error; /* -errno: the question was not answered */
    struct errtext why;
    void *arg; /* the asker's */
    /** By the leader; results are there if error is 0, to be xdr_free()d. */
    void (*done)(struct glusterd_query *q);
};

/** PORTBYBRICK (glusterd-pmap.c): the port of the brick whose export path is the argument. */
extern const struct xdr_procedure glusterd_portbybrick;
/** GETSPEC (glusterd-setvolume.c): the volfile. */
extern const struct xdr_procedure glusterd_getspec;

/** Asks; q->transport, procedure, identity (its deadline bounds the whole), arguments, results,
 * done are set.
 *  @return 0: done() will be called; -errno with text in q->why: it will not. */
int glusterd_ask(struct engine *e, struct glusterd_query *q, const char *host, uint16_t port);
/** Ends a question that is under way, if there is one, before its memory goes: done() is called
 *  soon, with an error, or not at all. */
void glusterd_stop(struct glusterd_query *q);

#endif
