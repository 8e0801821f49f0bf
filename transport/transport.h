/*
 * How bytes move between us and one peer: the contract between src/rpc and what is below it.
 *
 * A transport carries whole RPC messages. Outgoing, a message is gathered from its head and the
 * caller's memory. Incoming, the transport shows the first bytes of each message to its user, who
 * names the memory that the rest of it goes to: that is how READ payload lands in the caller's
 * iovec. Nothing above this file knows which transport it has.
 *
 * Threads. All of it runs under the engine's lock, but for the system calls that move data:
 *
 *      tx_prepare                 gathers what is queued       by the one thread that has `tx_busy`
 *      tx_issue     (unlocked)    the system call
 *      tx_finish                  what went out leaves the queue
 *
 *      rx_prepare                 chooses the target memory    by the thread that leads the engine
 *      rx_issue     (unlocked)    the system call, again and again when polling
 *      rx_finish                  takes in what came
 *
 * All other functions are called by the leader, or where said so by any thread.
 */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H

#include "base/counters.h"
#include "base/errtext.h"
#include "transport/iov.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/** Room that a message's head leaves in front of the RPC header for the transport's own use (TCP:
 *  the record mark, RFC 5531 section 11). */
#define TRANSPORT_HEADROOM 4
/** Every reply may be so long, its RPC header included. */
#define REPLY_SMALL 480

/** One RPC message on its way out, and what is known of its answer. Its memory is the user's until
 * it was sent or retired; that of `land` until the answer has come, or it was retired. */
struct message {
    struct message *next;
    uint8_t *head;             /* TRANSPORT_HEADROOM bytes, then the RPC call up to the payload */
    uint32_t head_length;      /* the headroom included */
    uint32_t payload_length;   /* bytes that follow the head, from `payload` */
    struct iov_cursor payload; /* the caller's memory; moves as it is sent */
    struct iov_cursor land;    /* where the reply's payload goes */
    uint32_t land_length;      /* bytes the caller has asked for; 0: the reply has no payload */
    uint32_t reply_max;        /* bytes of the reply without payload, if more than REPLY_SMALL */
    uint32_t sent;             /* bytes of head and payload that have gone out */
    bool queued;               /* the transport still has (part of) it to send */
    bool orphan;               /* a copy of the transport's own: the rest of a retired message */
};

/** What the user wants done with a message that has begun to arrive. */
enum arrival_kind {
    ARRIVAL_MORE,    /* ask again when `length` bytes of it are here */
    ARRIVAL_LAND,    /* all that follows is payload: exactly `length` bytes, into `to` */
    ARRIVAL_COLLECT, /* collect the whole message, then give it to collected() */
    ARRIVAL_SINK,    /* nobody waits for it: drain it */
};

struct arrival {
    enum arrival_kind kind;
    size_t length;
    struct iov_cursor to;
};

/** What the transport tells its user; all by the leader. Functions that return int give 0, or a
 * negative errno (with text in transport.why), upon which the transport's call returns that error
 * and the connection is to be closed. */
struct transport_user {
    /**
     * Is exactly one reply on its way, and nothing else that could come before it? Then, until
     * expected() is called, nothing new is sent; *to and *length give the memory that its payload
     * goes to (length 0: it has none).
     */
    bool (*expect)(void *user, struct iov_cursor *to, size_t *length);
    /** The receive that followed an expect() that said yes is over. */
    void (*expected)(void *user);
    /** The first @p have bytes of a message, from the xid on. @p whole is its length, SIZE_MAX
     *  while that is not known yet (more fragments to come). */
    int (*arrive)(void *user, const uint8_t *message, size_t have, size_t whole,
                  struct arrival *arrival);
    /** The payload of the message last shown is in: so many bytes went straight to their place and
     *  so many through a buffer. */
    int (*landed)(void *user, size_t direct, size_t staged);
    /** A collected message; its memory is valid during the call. */
    int (*collected)(void *user, const uint8_t *message, size_t length);
    /** This message's call fails, though the connection goes on: it cannot be sent, or the peer
     * will not answer it. @p error, and text in transport.why. By the leader, or the thread that
     * sends. TCP has nothing of the kind. */
    void (*refused)(void *user, struct message *m, int error);
    /** No reply will come to a call that has been retired. As above. */
    void (*forgotten)(void *user, uint32_t xid);
};

struct transport;

struct transport_ops {
    /** Begins to connect. 0: connected() will tell when the descriptor is writable; -errno. */
    int (*connect)(struct transport *t, const struct sockaddr *address, socklen_t length);
    /** The outcome of connect(), when the descriptor polls ready: 0, -errno, or -EINPROGRESS: not
     *  yet. */
    int (*connected)(struct transport *t);
    /** The peer's address. @return 0 or -errno. */
    int (*peer)(struct transport *t, struct sockaddr_storage *address);
    /** Closes the connection and forgets what is queued. Nobody sends. */
    void (*close)(struct transport *t);
    void (*free)(struct transport *t);

    /** Queues a message. Any thread. */
    void (*tx_queue)(struct transport *t, struct message *m);
    /** Gathers from the queue; false if there is nothing to send or the peer takes nothing now. */
    bool (*tx_prepare)(struct transport *t);
    void (*tx_issue)(struct transport *t);
    /** 1: there is more to send, and the peer takes it; 0; or -errno, with the connection broken.
     */
    int (*tx_finish)(struct transport *t);
    /** The peer may take more now (the descriptor polled writable). */
    void (*tx_ready)(struct transport *t);
    /** Lets go of a message's memory, and of that its reply would land in: a message that has not
     *  begun to go out never will; the rest of one that has is copied, as the stream cannot lose
     *  it. Nobody sends. @return 0; 1: no reply will come any more; -errno: the connection must be
     *  closed, the memory is let go of all the same. */
    int (*tx_retire)(struct transport *t, struct message *m);

    void (*rx_prepare)(struct transport *t);
    /** True if it brought something, be it an error; else it may be repeated. */
    bool (*rx_issue)(struct transport *t);
    /** 1: there may be more to receive; 0: not now; -errno: the connection is broken or over. */
    int (*rx_finish)(struct transport *t);
    /** The leader is about to sleep, and `drowsy` is set: makes the descriptor poll readable when
     * it is worth waking for, and not before. True: it is now, receive instead. */
    bool (*rx_sleep)(struct transport *t);
    /** The call whose reply is coming in has been retired: its memory is not touched again. True if
     *  the user had decided about the message already; the rest of it is drained then. */
    bool (*rx_retire)(struct transport *t);
};

struct transport {
    const struct transport_ops *ops;
    const struct transport_user *user_ops;
    void *user;
    struct counters *counters;
    struct errtext *why; /* text of a failure */
    bool received;       /* the last receive brought something */
    bool drowsy;         /* rx_sleep() has something to change */
    bool blocked;        /* the peer takes nothing now: tx_ready() when it polls writable */
    bool unsent;         /* receiving has left something to send, or made room for what is queued */
    unsigned credits;    /* calls under way at most, until their replies have come, retired or not;
                            0: no bound. Valid once connected, as the two below. */
    unsigned pieces;     /* of payload, in one message or reply, at most */
    uint32_t payload;    /* bytes of it at most */
    int fd;              /* to be polled; -1 while closed */
};

/** A way of moving bytes. */
struct transport_kind {
    /** A transport of this kind, closed. @param target  what the peer is to speak for, where it
     *  can be several: a brick's export path, "" for glusterd; stays valid. NULL: no memory. */
    struct transport *(*make)(const struct transport_kind *kind, const char *target,
                              const struct transport_user *ops, void *user,
                              struct counters *counters, struct errtext *why);
};

extern const struct transport_kind transport_tcp;

#endif
