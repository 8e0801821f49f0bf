#include "brick/session.h"

#include "brick/remote.h"
#include "brick/setvolume.h"
#include "proto/callback.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_INTERVAL (100 * NSEC_PER_MSEC)
#define RESTART_FIRST  (100 * NSEC_PER_MSEC)
#define RESTART_MOST   (3 * NSEC_PER_SEC)

static void next_connection(struct session *s);
static void session_begin(struct session *s);

/* All connections are closed. */
static int session_go_by(struct session *s, const struct transport_kind *kind)
{
    int rc = 0;
    for (unsigned i = 0; i < s->way.nconnect && rc == 0; i++)
        rc = rpc_conn_use(s->connections[i], kind, s->spec->path);
    return rc;
}

/* The gateway cannot be had: starts again by the other way. */
static bool session_fall_back(struct session *s)
{
    if (!s->way.fallback || s->fell_back || !s->host.addresses || clock_now() >= s->deadline)
        return false;
    s->fell_back = true;
    s->started_before++;
    if (session_go_by(s, s->way.fallback) < 0)
        return false;
    session_begin(s);
    return true;
}

/* ---- coming back ----------------------------------------------------------------------------- */

static void restart_fire(struct timer *timer)
{
    struct session *s = (struct session *)((char *)timer - offsetof(struct session, restart));
    s->starts++;
    s->started_before++;
    session_start(s, clock_now() + s->way.connect_timeout);
}

/* At once; then after a while that doubles. Half of it is chance, so that not all clients of a
 * brick that has come back are there at the same time. */
static void session_restart(struct session *s)
{
    uint64_t now = clock_now(), after = 0;
    if (s->starts) {
        after = s->starts < 6 ? RESTART_FIRST << (s->starts - 1) : RESTART_MOST;
        after = after / 2 + now % (after / 2);
    }
    timer_set(s->engine, &s->restart, now + after);
}

/* It was up. From here on it is not, for all that look: closing connections drops the lock. */
static void session_lost(struct session *s)
{
    uint64_t now = clock_now();
    s->generation++;
    s->patience_ends = now + s->keep;
    if (now - s->up_since >= RESTART_MOST)
        s->starts = 0;
    s->up_since = now;
    brick_limit(s);
}

/* It is another brick that answers there: it is not asked again. */
static void session_abandon(struct session *s)
{
    s->returns = false;
    brick_give_up(s, -ENOTCONN);
}

/* The start has failed, or a connection broke. */
static void session_down(struct session *s, int error, const struct errtext *why)
{
    bool was_up = s->state == SESSION_UP, starting = !was_up && s->state != SESSION_DOWN;
    bool refused = s->state == SESSION_HANDSHAKE && error == -EINVAL;
    s->state = SESSION_DOWN;
    s->why = *why;
    s->up = 0;
    s->address[0] = '\0';
    if (was_up)
        session_lost(s);
    timer_set(s->engine, &s->retry, CLOCK_NEVER);
    for (unsigned i = 0; i < s->way.nconnect; i++) {
        struct rpc_conn *conn = s->connections[i];
        if (conn->state != RPC_CLOSED) {
            conn->why = *why;
            rpc_conn_fail(conn, -ENOTCONN);
        }
    }
    if (starting && session_fall_back(s))
        return;
    if (s->returns && refused)
        session_abandon(s);
    else if (s->returns)
        session_restart(s);
    else if (starting)
        s->started(s, error);
}

static void session_is_up(struct session *s)
{
    s->state = SESSION_UP;
    s->up_since = clock_now();
    if (!s->returns) {
        s->started(s, 0);
        return;
    }
    remotes_reopen(s);
    brick_resume(s, NULL, 0);
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

/* A gateway that keeps silent is to leave as much time to the other way. */
static uint64_t connect_deadline(const struct session *s)
{
    uint64_t now = clock_now();
    bool other_way = s->way.fallback && !s->fell_back && now < s->deadline;
    return other_way ? now + (s->deadline - now) / 2 : s->deadline;
}

/* Brings up the connections one after the other; all being up, the session is. */
static void next_connection(struct session *s)
{
    if (s->up == s->way.nconnect) {
        session_is_up(s);
        return;
    }
    s->state = SESSION_CONNECT;
    dial_start(&s->dial, s->connections[s->up], &s->host, s->port, connect_deadline(s));
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
    if (s->state != SESSION_PORT)
        return; /* the session was stopped meanwhile */
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
    s->query.at = &s->host;
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

/* What each start begins with: the host's addresses; the way that is to be tried first. */
static int session_prepare(struct session *s, struct errtext *why)
{
    int rc = s->host.addresses ? 0 : dial_resolve(&s->host, s->spec->host, why);
    if (rc == 0 && s->fell_back && (rc = session_go_by(s, s->way.transport)) < 0)
        errtext_set(why, rc, "no memory");
    s->fell_back = false;
    return rc;
}

void session_start(struct session *s, uint64_t deadline)
{
    struct errtext why, reason;
    s->deadline = deadline;
    s->caller = (struct xdr_identity){
        .credential = s->identity->caller.credential,
        .credential_length = s->identity->caller.length,
        .deadline = deadline,
    };
    s->state = SESSION_CONNECT;
    int rc = session_prepare(s, &reason);
    if (rc < 0) {
        errtext_set(&why, rc, "%s: %s", s->label, reason.text);
        session_down(s, rc, &why);
    } else {
        session_begin(s);
    }
}

void session_keep(struct session *s, uint64_t keep)
{
    s->keep = keep;
    s->returns = keep > 0;
    if (s->returns && s->state == SESSION_DOWN) {
        session_lost(s);
        session_restart(s);
    }
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
    s->restart = (struct timer){.at = CLOCK_NEVER, .fire = restart_fire};
    s->patience = (struct timer){.at = CLOCK_NEVER, .fire = brick_late};
    s->waiting_end = &s->waiting;
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
    s->returns = false;
    errtext_set(&s->why, ESHUTDOWN, "%s: the volume is being unmounted", s->label);
    timer_remove(s->engine, &s->retry);
    timer_remove(s->engine, &s->restart);
    timer_remove(s->engine, &s->patience);
    glusterd_stop(&s->query);
    for (unsigned i = 0; i < s->way.nconnect; i++)
        if (s->connections[i])
            rpc_conn_fail(s->connections[i], -ESHUTDOWN);
    brick_give_up(s, -ESHUTDOWN);
}

void session_free(struct session *s)
{
    if (!s)
        return;
    session_stop(s);
    for (unsigned i = 0; i < s->way.nconnect; i++)
        rpc_conn_free(s->connections[i]);
    dial_host_free(&s->host);
    free(s);
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* Of a call that was answered, or not in time, or refused by RPC. */
static const char *reason_of(const struct rpc_call *call, int error)
{
    if (call->error == -ETIMEDOUT)
        return "no answer in time";
    if (call->error && call->error != -ECANCELED && call->conn->why.text[0])
        return call->conn->why.text;
    return errtext_errno(error); /* as the brick has answered */
}

/* s->why names the brick itself. */
void session_text(struct errtext *why, struct session *s, const struct rpc_call *call,
                  enum brick_fate fate, const char *name, const char *object, int error)
{
    char what[300];
    if (object)
        snprintf(what, sizeof(what), "%s '%.256s'", name, object);
    else
        snprintf(what, sizeof(what), "%s", name);
    if (fate == FATE_UNKNOWN)
        errtext_set(why, error,
                    "%s: the connection broke while it was under way; whether it was done is not "
                    "known: %s",
                    what, s->why.text);
    else if (fate == FATE_TRIES)
        errtext_set(why, error, "%s: the connection broke each of %d times that it was sent: %s",
                    what, BRICK_TRIES, s->why.text);
    else if (fate == FATE_AWAY && error == -ETIMEDOUT)
        errtext_set(why, error, "%s: no connection in time: %s", what, s->why.text);
    else if (fate == FATE_AWAY)
        errtext_set(why, error, "%s: no connection for %g s: %s", what,
                    (double)s->keep / (double)NSEC_PER_SEC, s->why.text);
    else if (fate == FATE_CLOSED)
        errtext_set(why, error,
                    "%s: %s: it was open when the connection broke, and cannot be opened again: %s",
                    what, s->label, errtext_errno(error));
    else if (fate == FATE_LOCKS)
        errtext_set(why, error,
                    "%s: %s: there were locks on it when the connection broke, which took them; it "
                    "is to be closed",
                    what, s->label);
    else if (call->lost || (call->error && s->state == SESSION_DOWN))
        errtext_set(why, error, "%s: %s", what, s->why.text);
    else
        errtext_set(why, error, "%s: %s: %.200s", what, s->label, reason_of(call, error));
}
