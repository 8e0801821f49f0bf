/*
 * A connection that carries RPC calls (RFC 5531): its xid table, deadlines, retirement.
 *
 *   xid:  | generation (22 bits) | slot (10 bits) |
 *
 * A posted call has a slot, and the slot's present generation. A reply finds its call by array
 * index and one comparison; a late, duplicate or forged one fails the comparison and is drained.
 *
 *              rpc_post            reply                 done()
 *   (idle) ------------> POSTED ---------> OVER -------------------> (idle)
 *                          |    deadline,   ^    a task of the leader's
 *                          |    cancel,     |
 *                          |    connection  |
 *                          +----------------+
 *                            retired: from here on its memory is the caller's again; the slot waits
 *                            for the reply, if the call had begun to go out
 *
 * Whatever happens, done() runs exactly once for each call posted, never from inside rpc_post().
 * All functions are to be called locked.
 */
#ifndef RPC_CONN_H
#define RPC_CONN_H

#include "base/errtext.h"
#include "rpc/engine.h"
#include "transport/transport.h"

#define RPC_SLOT_BITS 10
#define RPC_SLOTS     (1u << RPC_SLOT_BITS)
/* Head of a READ or WRITE call: mark, RPC header with the largest credential, arguments. */
#define RPC_HEAD_MAX 512

struct rpc_conn;

/** One call. The memory is the poster's and must stay until done() has been called. */
struct rpc_call {
    struct task over;
    struct message message; /* head, payload, land and their lengths, reply_max: the poster's */
    bool lands;             /* the reply is READ's, even if 0 bytes are asked for */
    uint64_t deadline;      /* nanoseconds, monotonic; CLOCK_NEVER */
    const void *owner;      /* for rpc_cancel(); may be NULL */
    /** Takes in the body of a reply (behind the RPC header) that the server executed: by the
     * leader. 0, or -errno (-EPROTO closes the connection). Not for calls that land. */
    int (*decode)(struct rpc_call *call, const uint8_t *body, size_t length);
    bool buffered; /* the payload's memory is the library's: none of it lands, it is staged */
    bool prompt;   /* done() may run while the reply is being received: it closes no connection */
    /** The call is over. By the leader; may post again, may free the memory. */
    void (*done)(struct rpc_call *call);

    /* results */
    int error;      /* 0: the server has answered; -errno: it has not, or refuses */
    int32_t op_ret; /* of a call that lands: READ's result */
    int32_t op_errno;
    uint32_t landed, staged; /* payload bytes of the reply, or of the call (a write's) */
    /* It has ended with its connection; unsent: before all of it had gone out, so that the server
     * has not executed it. */
    enum { RPC_NOT_LOST, RPC_LOST, RPC_LOST_UNSENT } lost;

    /* the connection's */
    struct rpc_conn *conn;
    struct rpc_call *next;
    uint32_t xid;
    bool posted;
};

/** Calls that the owner of a connection answers; all by the leader. */
struct rpc_conn_user {
    /** The outcome of rpc_connect(): 0, or -errno with text in conn->why. */
    void (*connected)(struct rpc_conn *conn, int error);
    /** The connection broke; its calls have been ended. Text in conn->why. */
    void (*down)(struct rpc_conn *conn, int error);
    /** The server made a call of its own. No reply is expected. */
    void (*callback)(struct rpc_conn *conn, uint32_t program, uint32_t procedure,
                     const uint8_t *body, size_t length);
};

struct rpc_slot {
    struct rpc_call *call; /* NULL: free, or waiting */
    uint32_t generation;
    bool waiting; /* its call was retired; not free until the reply has come and been drained */
};

struct rpc_conn {
    struct engine *engine;
    struct transport *transport;
    const struct rpc_conn_user *user;
    void *arg; /* the user's */
    enum { RPC_CLOSED, RPC_CONNECTING, RPC_OPEN } state;
    struct errtext why;    /* of the last failure */
    struct rpc_conn *next; /* engine's list */
    struct rpc_conn *next_ready, *next_unsent, *next_polled;
    bool is_ready, is_unsent;
    bool hung_up; /* no event will tell of the end again: receive until it shows */

    struct rpc_slot *slots;
    uint16_t *free_slots;
    unsigned free_count;
    struct rpc_call *queue, **queue_end; /* posted, waiting for a slot */
    unsigned posted;                     /* calls that have a slot */
    unsigned late;                       /* slots that wait for the reply to a retired call */

    bool tx_busy;        /* a thread sends; the lock is dropped meanwhile */
    bool tx_held;        /* there is something to send, but a reply is expected */
    unsigned tx_waiters; /* threads that need the sender to pause */
    pthread_cond_t tx_idle;
    int broken; /* sending failed: the leader is to close the connection with this error */

    struct rpc_call *latest; /* posted last, while it is */
    struct rpc_call
        *expecting;            /* the leader receives its reply and no other: nothing new is sent */
    struct rpc_call *arriving; /* whose reply is coming in */

    uint64_t earliest;     /* no posted call has an earlier deadline */
    struct timer deadline; /* at `earliest` */
    struct timer connect_timer;
    struct timer starved; /* all credits are out on calls that nobody waits for any more */
    int connect_error;

    uint64_t ping_interval; /* nanoseconds; 0: no pings */
    uint64_t heard;         /* receives that brought something */
    uint64_t heard_before;  /* that number when the ping timer last fired */
    bool pinged;            /* and nothing has been heard since */
    struct timer ping_timer;
    struct rpc_call *ping;
};

/** A closed connection by way of @p kind to @p target (struct transport_kind). NULL: no memory. */
struct rpc_conn *rpc_conn_new(struct engine *e, const struct transport_kind *kind,
                              const char *target, const struct rpc_conn_user *user, void *arg);
/** Gives a closed connection another transport. @return 0 or -ENOMEM: it keeps the one it has. */
int rpc_conn_use(struct rpc_conn *conn, const struct transport_kind *kind, const char *target);
/** Closes and frees. Calls still posted end with -ESHUTDOWN; the leader runs their done() later,
 *  in which call->conn is no longer valid. By the leader, or while nobody leads. */
void rpc_conn_free(struct rpc_conn *conn);

/** Begins to connect; user->connected tells the outcome, at the latest at @p deadline. */
void rpc_connect(struct rpc_conn *conn, const struct sockaddr *address, socklen_t length,
                 uint64_t deadline);

/** Breaks the connection with @p error and the text in conn->why: every call ends with it, then
 *  user->down runs. By the leader. */
void rpc_conn_fail(struct rpc_conn *conn, int error);

/** Posts a call, to be sent with the next engine_flush(). Any thread. */
void rpc_post(struct rpc_conn *conn, struct rpc_call *call);
/** Posts a call that has ended already, with @p error: only its done() is to run. Any thread. */
void rpc_post_failed(struct rpc_conn *conn, struct rpc_call *call, int error);
/** Retires all calls of @p owner, with -ECANCELED. By the leader. */
void rpc_cancel(struct engine *e, const void *owner);

/**
 * From now on, while calls are posted, silence of @p timeout nanoseconds makes the connection ask
 * for a sign of life (PING of the DUMP program, as GlusterFS's rpc-clnt-ping.c) and then fail with
 * -ETIMEDOUT. 0: off. By the leader, on an open connection. @return 0 or -ENOMEM.
 */
int rpc_ping_start(struct rpc_conn *conn, uint64_t timeout);
/** The connection has closed or is about to be freed. Locked. */
void rpc_ping_stop(struct rpc_conn *conn);
/** Makes @p call a ping, allocated by the caller with a head of RPC_HEAD_MAX bytes at @p head. */
void rpc_ping_call(struct rpc_call *call, uint8_t *head);

/* for lead.c and await.c */
/** Sends what is queued, as far as the peer takes it. Any thread. */
void rpc_conn_flush(struct rpc_conn *conn);
/** Receives what is there, or a fair share of it. By the leader. */
void rpc_conn_receive(struct rpc_conn *conn);
/** There may be something to receive. By the leader. */
void rpc_conn_make_ready(struct rpc_conn *conn);
/** The descriptor polled ready. By the leader. */
void rpc_conn_event(struct rpc_conn *conn, uint32_t epoll_events);
/** Busy polling by the leader: prepares a receive, if a reply is due; tries it, without the lock,
 *  true if that brought something or an error; takes in what came. */
bool rpc_conn_poll_begin(struct rpc_conn *conn);
bool rpc_conn_poll(struct rpc_conn *conn);
void rpc_conn_poll_end(struct rpc_conn *conn);

#endif
