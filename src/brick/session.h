/*
 * The session with one brick: where it is, who we are to it, the connections.
 *
 *   DOWN --start--> PORT (ask glusterd, unless known) --> CONNECT --> HANDSHAKE --+--> UP
 *   |  ^                                                     ^   next connection  |    |
 *   |  |                                                     +--------------------+    |
 *   |  +---- any failure; a broken connection takes the whole session down ------------+
 *   |
 *   +--> once it is kept: starts again by itself, at once, then after 0.1 s, 0.2 s ... 3 s
 *
 * All connections of a start are one client to the brick: they send the same process-uuid with the
 * same credential (client_t.c:gf_client_get), so they share remote descriptors and locks. The next
 * start is another client's.
 */
#ifndef BRICK_SESSION_H
#define BRICK_SESSION_H

#include "brick/call.h"
#include "brick/caller.h"
#include "brick/glusterd.h"
#include "brick/spec.h"

#include <sys/types.h>

#define SESSION_CONNECTIONS 16

/** Which client we are to the bricks, and for whom connections are made. */
struct identity {
    char process_uuid[192]; /* but for the number of the start */
    struct caller caller;
};

/** Takes the process's names, and its caller. @return 0 or -errno. */
int identity_take(struct identity *identity);

/** How to reach a brick. */
struct session_way {
    const struct transport_kind *transport;
    uint16_t gateway; /* port of the gateway on the brick's host; 0: none, the brick itself */
    const struct transport_kind *fallback; /* if the gateway cannot be had; NULL: fail */
    unsigned nconnect;
    uint64_t ping_timeout;    /* nanoseconds; 0: off */
    uint64_t connect_timeout; /* nanoseconds; of every start but the first */
};

struct session {
    struct engine *engine;
    const struct brick_spec *spec;
    const struct identity *identity;
    struct session_way way;
    bool fell_back;  /* this start goes by way.fallback */
    char label[512]; /* "brick host:/export/path", for texts */

    enum session_state {
        SESSION_DOWN,
        SESSION_PORT,
        SESSION_CONNECT,
        SESSION_HANDSHAKE,
        SESSION_UP
    } state;
    struct dial_host host;
    uint16_t port;
    uint64_t deadline;       /* of the start */
    unsigned started_before; /* starts before it */
    struct rpc_conn *connections[SESSION_CONNECTIONS];
    unsigned up;           /* of them, with the handshake done */
    unsigned next;         /* round robin */
    struct errtext why;    /* why it is DOWN */
    uint8_t volume_id[16]; /* as the brick has said; zero: it has not */
    char address[64];      /* of the peer, once connected */

    struct dial dial;
    struct glusterd_query query; /* for the port */
    gf_portbybrick_args query_arguments;
    gf_portbybrick_res query_results;
    struct xdr_identity caller; /* of the query and the handshake */
    struct xdr_call handshake;
    gf_setvolume_res handshake_results;
    struct timer retry; /* the brick was not ready: shake hands again */

    bool returns;         /* a session that is lost comes back, and calls wait for it */
    unsigned generation;  /* how often it has been lost */
    uint64_t keep;        /* nanoseconds; of session_keep() */
    unsigned starts;      /* in a row that have come to nothing, or not lasted */
    uint64_t up_since;    /* or was up */
    struct timer restart; /* the next of them */

    struct brick_call *waiting, **waiting_end;
    uint64_t patience_ends; /* calls have waited for the brick long enough then */
    struct timer patience;  /* no call that waits has an earlier limit */
    struct remote *remotes; /* what is to be open */

    void *arg;
    /** The start has succeeded, or failed with -errno and text in `why`. By the leader, or from
     *  inside session_start() if it fails at once. Not of a session that is kept. */
    void (*started)(struct session *s, int error);
};

/** A session with the brick of @p spec, DOWN; spec and identity must outlive it. NULL: no memory.
 */
struct session *session_new(struct engine *e, const struct brick_spec *spec,
                            const struct identity *identity, const struct session_way *way);
/** Closes the connections: their calls end with -ESHUTDOWN. By the leader, or while nobody leads.
 */
void session_stop(struct session *s);
/** Closes and frees, without waiting for the network. NULL is ignored. No call is under way, and no
 *  other thread uses the engine. */
void session_free(struct session *s);

/** Brings a session that is DOWN up; s->started tells the outcome, by @p deadline. Blocks while the
 *  brick's name is resolved, the first time. */
void session_start(struct session *s, uint64_t deadline);
/**
 * From now on a session that is lost starts again by itself, until it is up; unless the brick says
 * that it is not the one that we mean. Calls wait for it, up to @p keep nanoseconds from the loss
 * on; later ones fail until it is up. 0: it stays down. By the leader, or while nobody leads.
 */
void session_keep(struct session *s, uint64_t keep);

/** The connection for the next call: each in turn. One is given on a session that is down too;
 * calls posted on it end with -ENOTCONN. Any thread. */
static inline struct rpc_conn *session_connection(struct session *s)
{
    return s->connections[s->way.nconnect == 1 ? 0 : s->next++ % s->way.nconnect];
}

/**
 * Text for call @p name ("LOOKUP") that failed with @p error: what failed, where and why. @p
 * object, which it was about, may be NULL. @p fate  FATE_PLAIN if it is no brick_call. By the
 * leader.
 */
void session_text(struct errtext *why, struct session *s, const struct rpc_call *call,
                  enum brick_fate fate, const char *name, const char *object, int error);

#endif
