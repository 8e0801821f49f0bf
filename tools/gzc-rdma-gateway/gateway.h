/*
 * gzc-rdma-gateway: docs/rdma-wire.md says what it does. One thread, one loop.
 *
 *   main.c     start, loop, signals, end      options.c  command line       log.c stats.c
 *   listen.c   rdma_cm: who comes and goes    allow.c    who may            device.c  verbs devices
 *   client.c   one client: what it SENDs      attach.c   what it talks to   port.c    glusterd
 *   call.c     one call's way                 post.c     work requests      pool.c    memory
 *   brick.c    replies from the brick         link.c     a TCP connection
 *
 * Ending. What is to be freed may be in use further up the stack: client_end() only marks a client,
 * and the loop frees it when nothing of it runs.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "allow.h"
#include "list.h"
#include "log.h"
#include "pool.h"
#include "stats.h"

#include <netdb.h>
#include <rdma/rdma_cma.h>

/* What is granted to a client at most. */
#define GATEWAY_INLINE  8192 /* a WRITE of 4 KiB, with room for its call and many chunks */
#define GATEWAY_PAYLOAD (1u << 20)
#define GATEWAY_MESSAGE (4u << 20) /* the longest volfile */
/* A client that takes longer to attach, or whose brick does, is let go. */
#define GATEWAY_ATTACH_SECONDS 10
/* A silent client is written nothing to after so long, which fails if its host has gone. */
#define GATEWAY_SILENCE_SECONDS 20

/** Where a server is, as it was given and as it resolved. */
struct endpoint {
    char *path; /* the brick's; NULL: glusterd */
    char *name; /* "host:port" */
    struct addrinfo *addresses;
};

struct options {
    char **listen; /* addresses; none: all */
    size_t listen_count;
    struct endpoint glusterd;
    struct endpoint *bricks;
    size_t brick_count;
    struct allow allow;
    unsigned clients, credits;
    size_t memory, client_memory;
    const char *log;
    enum log_level log_level;
    bool log_json;
    unsigned stats_seconds; /* 0: not by itself */
    const char *stats_socket;
};

/** Something that the loop waits for. */
struct source {
    int fd;
    void (*ready)(struct source *s, uint32_t epoll_events);
};

/** Whom events of rdma_cm are for: rdma_cm_id.context. */
struct cm_owner {
    void (*event)(struct cm_owner *owner, const struct rdma_cm_event *event);
};

struct gateway {
    struct options options;
    struct stats stats;
    struct pool pool;
    struct rdma_event_channel *events;
    int epoll_fd;
    bool stop;
    int status; /* the program's exit status */
    unsigned client_count;
    size_t fixed_bytes;    /* of all clients */
    size_t largest_call;   /* that was granted to any */
    uint64_t now;          /* of this turn */
    struct list devices;   /* struct device */
    struct list listeners; /* struct listener */
    struct list watches;   /* struct listener, too: one for each device, that tells when it goes */
    struct list clients;   /* struct client, all that have not ended */
    struct list dead;      /* to be freed at the end of the turn */
    struct list hot;       /* clients whose completion queue is polled, not armed */
    struct list tasks;     /* clients whose attach goes on */
    struct list hungry;    /* clients with calls that wait for memory, in turn */
    struct list ready;     /* links that there is something to receive on */
    struct list unsent;    /* links that there is something to send on */
    struct list drowsy;    /* links that want to be told before the loop sleeps */
    struct source cm_source, signal_source, stats_source;
};

/* options.c */
/** Parses the command line; ends the program if it is wrong, or asks for help. */
void options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);
/** Resolves "HOST[:PORT]"; an IPv6 address that a port follows has brackets. @param flags  of
 *  getaddrinfo(). @return 0 or -EINVAL; *out is to be freed by freeaddrinfo(). */
int endpoint_resolve(const char *text, const char *default_port, int flags, struct addrinfo **out,
                     struct errtext *why);

/* main.c */
/** Begins to wait for @p events. @return 0 or -errno. */
int source_add(struct gateway *g, struct source *s, int fd, uint32_t events);
void source_remove(struct gateway *g, struct source *s);
/** Ends the program, when the turn is over. */
void gateway_fail(struct gateway *g, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* listen.c */
/** Opens the event channel and listens on all the addresses. @return 0 or -errno. */
int listen_start(struct gateway *g, struct errtext *why);
/** Lets nobody in any more. */
void listen_stop(struct gateway *g);
/** Closes the event channel; no id is left. */
void listen_end(struct gateway *g);

#endif
