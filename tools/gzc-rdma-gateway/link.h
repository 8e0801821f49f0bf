/*
 * A TCP connection to a server on this host: libgzc's own transport, driven by the gateway's loop.
 * What is shown and taken of messages is the transport's user's (transport/transport.h).
 */
#ifndef GATEWAY_LINK_H
#define GATEWAY_LINK_H

#include "gateway.h"
#include "transport/transport.h"

struct link {
    struct gateway *g;
    struct source source;
    struct list ready, unsent, drowsy; /* in the gateway's lists of these names */
    struct transport *transport;       /* NULL: closed */
    struct errtext why;
    bool open, hung_up;
    /** The outcome of link_connect(): 0 or -errno. The link is closed if it has failed. */
    void (*connected)(struct link *l, int error);
    /** It has broken: -errno, and text in `why`. */
    void (*down)(struct link *l, int error);
};

void link_init(struct link *l, struct gateway *g, void (*connected)(struct link *, int),
               void (*down)(struct link *, int));
/** Begins to connect. @return 0: connected() will tell; -errno, and text in `why`: it will not. */
int link_connect(struct link *l, const struct sockaddr *address, socklen_t length,
                 const struct transport_user *ops, void *user);
/** Queues a message; it goes out at the end of the turn. */
void link_send(struct link *l, struct message *m);
/** Closes it, if it is open, and forgets what is queued. Not from inside the transport's user. */
void link_close(struct link *l);

/** The loop's turn: receives on links that are ready, a share for each; sends on those that have
 *  something to. */
void links_receive(struct gateway *g);
void links_flush(struct gateway *g);
/** The loop is about to sleep. False: there is something to receive after all. */
bool links_sleep(struct gateway *g);

#endif
