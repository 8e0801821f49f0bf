#include "brick/session.h"

#include "brick/setvolume.h"
#include "proto/callback.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_INTERVAL (100 * NSEC_PER_MSEC)

static void next_connection(struct session *s);
static void session_begin(struct session *s);

/* The gateway cannot be had: starts again by the other way. */
static bool session_fall_back(struct session *s)
{
    if (!s->way.fallback || s->fell_back || clock_now() >= s->deadline)
        return false;
    s->fell_back = true;
    for (unsigned i = 0; i < s->way.nconnect; i++)
        if (rpc_conn_use(s->connections[i], s->way.fallback, s->spec->path) < 0)
            return false;
    session_begin(s);
    return true;
}

/* The start has failed, or a connection broke. */
static void session_down(struct session *s, int error, const struct errtext *why)
{
    bool starting = s->state != SESSION_UP && s->state != SESSION_DOWN;
    dial_end(&s->dial);
    s->state = SESSION_DOWN;
    s->why = *why;
    s->up = 0;
    s->address[0] = '\0';
    timer_set(s->engine, &s->retry, CLOCK_NEVER);
    for (unsigned i = 0; i < s->way.nconnect; i++) {
        struct rpc_conn *conn = s->connections[i];
        if (conn->state != RPC_CLOSED) {
            conn->why = *why;
            rpc_conn_fail(conn, -ENOTCONN);
        }
    }
    if (starting && !session_fall_back(s))
        s->started(s, error);
}

/* ---- handshake ------------------------------------------------------------------------------- */

static void shake_hands(struct session *s);

static void retry_fire(struct timer *timer)
{
    shake_hands((struct session *)((char *)timer - offsetof(struct session, retry)));
}

static void hands_shaken(struct xdr_call *call)
{
    struct session *s = (struct session *)((char *)call - offsetof(struct session, handshake));
    struct rpc_conn *conn = call->rpc.conn;
    struct errtext why;
    int error = setvolume_end(s, call, &why);
    if (s->state != SESSION_HANDSHAKE)
        return; /* the connection broke, and the session knows */
    if (error == -EAGAIN && clock_now() + RETRY_INTERVAL < s->deadline) {
        timer_set(s->engine, &s->retry, clock_now() + RETRY_INTERVAL);
        return;
    }
    if (error == 0 && (error = rpc_ping_start(conn, s->way.ping_timeout)) < 0)
        errtext_set(&why, error, "%s: no memory", s->label);
    if (error) {
        session_down(s, error, &why);
        return;
    }
    s->up++;
    next_connection(s);
}

static void shake_hands(struct session *s)
{
    setvolume_begin(s, s->connections[s->up], &s->handshake, hands_shaken);
}

/* ---- connections ----------------------------------------------------------------------------- */

/* Notes the peer's address, for people. */
static void name_peer(struct session *s, struct transport *t)
{
    struct sockaddr_storage peer;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (t->ops->peer(t, &peer) == 0 &&
        getnameinfo((struct sockaddr *)&peer, sizeof(peer), host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(s->address, sizeof(s->address),
                 peer.ss_family == AF_INET6 ? "[%.48s]:%.5s" : "%.48s:%.5s", host, port);
}

static void session_connected(struct rpc_conn *conn, int error)
{
    struct session *s = conn->arg;
    if (s->state != SESSION_CONNECT)
        return;
    if (error && dial_again(&s->dial))
        return;
    dial_end(&s->dial);
    if (error) {
        struct errtext why;
        errtext_set(&why, error, "%s: cannot connect to port %u: %s", s->label, s->port,
                    conn->why.text);
        session_down(s, error, &why);
        return;
    }
    name_peer(s, conn->transport);
    s->state = SESSION_HANDSHAKE;
    shake_hands(s);
}
static void connection_down(struct rpc_conn *conn, int error)
{
    struct session *s = conn->arg;
    if (s->state == SESSION_DOWN)
        return; /* session_down() is closing them all */
    struct errtext why;
    errtext_set(&why, error, "%s: %s", s->label, conn->why.text);
    session_down(s, error, &why);
}

static void connection_callback(struct rpc_conn *conn, uint32_t program, uint32_t procedure,
                                const uint8_t *body, size_t length)
{
    (void)body, (void)length;
    /* A multiplexed brick goes while its process and the TCP connection stay (client.c). All other
     * callbacks ask for what we have nothing of: caches (INO_FLUSH, CACHE_INVALIDATION), leases
     * (RECALL_LEASE), locks that outlive their operation (contention); or do not concern a brick's
     * client (FETCHSPEC, EVENT_NOTIFY, GET_SNAPS, STATEDUMP). */
    if (program == GF_CBK_PROGRAM && procedure == GF_CBK_CHILD_DOWN && conn->state == RPC_OPEN) {
        struct errtext why;
        struct session *s = conn->arg;
        errtext_set(&why, ENOTCONN, "%s: the server says that the brick is down", s->label);
        session_down(s, -ENOTCONN, &why);
    }
}

static const struct rpc_conn_user session_user = {
    session_connected,
    connection_down,
    connection_callback,
};

/* Brings up the connections one after the other; all being up, the session is. */
static void next_connection(struct session *s)
{
    if (s->up == s->way.nconnect) {
        s->state = SESSION_UP;
        s->started(s, 0);
        return;
    }
    s->state = SESSION_CONNECT;
    struct rpc_conn *conn = s->connections[s->up];
    int rc = dial_start(&s->dial, conn, s->spec->host, s->port, s->deadline);
    if (rc < 0) {
        struct errtext why;
        errtext_set(&why, rc, "%s: %s", s->label, conn->why.text);
        session_down(s, rc, &why);
    }
}

/* ---- port ------------------------------------------------------------------------------------ */

static void port_known(struct glusterd_query *q)
{
    struct session *s = q->arg;
    struct errtext why;
    int error = q->error;
    int32_t port = s->query_results.port;
    if (error)
        errtext_set(&why, error, "%s: asking for its port: %s", s->label, q->why.text);
    else if (s->query_results.op_ret < 0)
        error = errtext_set(&why, ENOTCONN,
                            "%s: not running (is the volume started?): %s knows no port for it",
                            s->label, q->label);
    else if (port <= 0 || port > UINT16_MAX)
        error = errtext_set(&why, EPROTO, "%s: %s gave port %d", s->label, q->label, port);
    xdr_free((xdrproc_t)xdr_gf_portbybrick_res, (char *)&s->query_results);
    if (error) {
        session_down(s, error, &why);
        return;
    }
    s->port = (uint16_t)port;
    next_connection(s);
}

static void ask_port(struct session *s)
{
    s->state = SESSION_PORT;
    s->query_arguments.brick = (char *)s->spec->path;
    memset(&s->query_results, 0, sizeof(s->query_results));
    s->query.arg = s;
    s->query.transport = &transport_tcp;
    s->query.procedure = &glusterd_portbybrick;
    s->query.identity = &s->caller;
    s->query.arguments = &s->query_arguments;
    s->query.results = &s->query_results;
    s->query.done = port_known;
    int rc = glusterd_ask(s->engine, &s->query, s->spec->host, GLUSTERD_PORT);
    if (rc < 0) {
        struct errtext why;
        errtext_set(&why, rc, "%s: asking for its port: %s", s->label, s->query.why.text);
        session_down(s, rc, &why);
    }
}

/* ---- the session ----------------------------------------------------------------------------- */

static void session_begin(struct session *s)
{
    s->up = 0;
    s->port = s->way.gateway && !s->fell_back ? s->way.gateway : s->spec->port;
    if (s->port)
        next_connection(s);
    else
        ask_port(s);
}

void session_start(struct session *s, uint64_t deadline)
{
    s->deadline = deadline;
    s->caller = (struct xdr_identity){
        .credential = s->identity->credential,
        .credential_length = s->identity->credential_length,
        .deadline = deadline,
    };
    s->fell_back = false;
    session_begin(s);
}

struct session *session_new(struct engine *e, const struct brick_spec *spec,
                            const struct identity *identity, const struct session_way *way)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->engine = e;
    s->spec = spec;
    s->identity = identity;
    s->way = *way;
    s->retry = (struct timer){.at = CLOCK_NEVER, .fire = retry_fire};
    snprintf(s->label, sizeof(s->label), "brick %s:%s", spec->host, spec->path);
    errtext_set(&s->why, ENOTCONN, "%s: not connected yet", s->label);
    for (unsigned i = 0; i < way->nconnect; i++) {
        s->connections[i] = rpc_conn_new(e, way->transport, spec->path, &session_user, s);
        if (!s->connections[i]) {
            session_free(s);
            return NULL;
        }
    }
    return s;
}

void session_stop(struct session *s)
{
    s->state = SESSION_DOWN;
    errtext_set(&s->why, ESHUTDOWN, "%s: the volume is being unmounted", s->label);
    dial_end(&s->dial);
    timer_remove(s->engine, &s->retry);
    for (unsigned i = 0; i < s->way.nconnect; i++)
        if (s->connections[i])
            rpc_conn_fail(s->connections[i], -ESHUTDOWN);
}

void session_free(struct session *s)
{
    if (!s)
        return;
    session_stop(s);
    for (unsigned i = 0; i < s->way.nconnect; i++)
        rpc_conn_free(s->connections[i]);
    free(s);
}

void session_text(struct errtext *why, struct session *s, const struct rpc_call *call,
                  const char *name, const char *object, int error)
{
    const char *quote = object ? "'" : "", *space = object ? " " : "";
    const char *reason = errtext_errno(error); /* as the brick has answered */
    if (call->error && s->state == SESSION_DOWN) {
        errtext_set(why, error, "%s%s%s%.256s%s: %s", name, space, quote, object ? object : "",
                    quote, s->why.text);
        return;
    }
    if (call->error == -ETIMEDOUT)
        reason = "no answer in time";
    else if (call->error && call->conn->why.text[0])
        reason = call->conn->why.text;
    errtext_set(why, error, "%s%s%s%.256s%s: %s: %.200s", name, space, quote, object ? object : "",
                quote, s->label, reason);
}
