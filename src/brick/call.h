/*
 * Calls that outlive their connection.
 *
 *                 ready               answered
 *   brick_post ----------> rpc_post ------------> done()
 *        |           ^         |
 *        | not       | ready   | lost with its connection
 *        v           |         v
 *      waits <-------+----- brick_again: may it be executed twice?
 *        |                     | no
 *        +-- deadline, cancel, the brick stays away --> done(), with an error
 *
 * A call is ready when its session is up and the descriptor that it is on, if any, is open there. A
 * call that waits is in its session's list and costs nothing; its memory is nobody's target.
 */
#ifndef BRICK_CALL_H
#define BRICK_CALL_H

#include "rpc/conn.h"

struct caller;
struct remote;
struct session;

/** A call that its connection is lost with so many times is not sent again. */
#define BRICK_TRIES 8

/** The time goes with a call, and sets none by itself: SETATTR of times takes it for the ctime
 *  (posix-metadata.c: posix_update_utime_in_mdata). */
#define FOP_TIME_ALONE UINT32_C(0x80000000)

/** What an operation carries beside its arguments. */
struct fop_context {
    const struct caller *caller; /* needed until a call is encoded: fop_post() */
    uint64_t deadline;
    const void *owner; /* of the calls, for rpc_cancel() and brick_cancel() */
    uint32_t times;    /* RPC_CRED_..., of the inode, that its calls set beside those of their kind;
                          or FOP_TIME_ALONE */
    bool once;         /* a call may not be executed twice, though others of its kind may */
    bool cancelled;    /* posts no more calls: they end with -ECANCELED */
    bool keep;         /* is not to be cancelled */
    bool utime;        /* the volume keeps times by the clients' clocks (features/utime) */
    bool noatime;      /* of utime: reading moves no time */
};

/** Why a call has failed, where rpc_call.error does not tell it. */
enum brick_fate {
    FATE_PLAIN,
    FATE_UNKNOWN, /* it was under way when the connection broke, and is not to be done twice */
    FATE_TRIES,   /* BRICK_TRIES */
    FATE_AWAY,    /* it waited for the brick */
    FATE_CLOSED,  /* its descriptor was lost, and cannot be opened again */
    FATE_LOCKS,   /* its descriptor was lost, and is not opened again: there were locks on it */
};

/** What such a call has beside its rpc_call. The poster's memory, until done(). */
struct brick_call {
    struct session *session;
    struct remote *remote; /* that it is on, or NULL */
    struct rpc_call *rpc;
    const struct fop_context *context;
    /** It is ready: puts remote->fd in, and whatever sending has changed back, and posts it. May
     *  give the memory back. By the leader. */
    void (*go)(struct brick_call *call);
    struct brick_call *next; /* of those that wait */
    uint8_t tries;           /* times that it was lost; 0 to begin with */
    uint8_t fate;            /* enum brick_fate */
};

/** Lets a call wait that is not ready; or ends it, if there is nothing to wait for. Any thread. */
void brick_wait(struct brick_call *call);

/**
 * For done(), of a call that has an error: whether it goes again; then done() runs once more. Else
 * call->fate and rpc->error say how it has ended. @param twice  it may be executed twice.
 */
bool brick_again(struct brick_call *call, bool twice);

/** Ends the calls of @p owner that wait, with -ECANCELED. By the leader. */
void brick_cancel(struct session *s, const void *owner);

/* For session.c and remote.c; by the leader. */
/** Calls that are ready by now go; those on @p remote (may be NULL) end with @p error, if it is
 *  not 0. */
void brick_resume(struct session *s, const struct remote *remote, int error);
/** All that wait end with @p error. */
void brick_give_up(struct session *s, int error);
/** The session is lost: from now on there is a limit to waiting. */
void brick_limit(struct session *s);
/** Of session->patience. */
void brick_late(struct timer *timer);

#endif
