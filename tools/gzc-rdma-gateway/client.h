/* One client: its queue pair, what it was granted, its calls, and its connection to the brick. */
#ifndef GATEWAY_CLIENT_H
#define GATEWAY_CLIENT_H

#include "call.h"
#include "device.h"
#include "link.h"

enum client_state {
    CLIENT_ADMITTED,  /* accepted; ATTACH is due */
    CLIENT_ATTACHING, /* connecting to what it wants to talk to */
    CLIENT_RELAYING,
    CLIENT_ENDING, /* an ERROR answers ATTACH; then it is disconnected */
    CLIENT_CLOSED,
};

/** What is left to do for the answer to ATTACH. */
enum attach_step { ATTACH_NOTHING, ATTACH_ASK, ATTACH_ASKED, ATTACH_CONNECT };

struct attach {
    char target[RDMA_TARGET_MAX + 1];
    enum attach_step step;
    const struct addrinfo *next; /* to be tried */
    uint16_t port;               /* 0: that of the address */
    struct link glusterd;
    uint8_t *question; /* to glusterd; on the heap */
    struct message message;
};

/** A callback that finds no slot free. */
struct kept {
    struct list link;
    uint32_t length;
    uint8_t message[];
};

struct client {
    struct cm_owner cm; /* first */
    struct gateway *g;
    struct list link; /* in gateway.clients, or dead */
    struct list hot, task, hungry_link;
    enum client_state state;
    char name[64]; /* its address */

    struct device *device;
    struct rdma_cm_id *id;
    struct ibv_cq *cq;
    bool armed;
    uint64_t deadline; /* for ATTACH and its answer */
    uint64_t heard;    /* last completion */
    bool probing;      /* a write of nothing is under way */

    /* granted */
    unsigned credits, callbacks, pieces;
    uint32_t slot, payload, message;
    struct rdma_chunk ring;

    /* in the arena */
    uint8_t *fixed; /* receives, then the calls' staging */
    size_t fixed_bytes;
    size_t memory_used, memory_most; /* of its calls, now and at most */

    struct call *calls;
    struct call **slots; /* those under way, by the slot of their xid */
    struct list idle, hungry, posts;
    unsigned send_free;      /* room in the send queue */
    unsigned answers_posted; /* no more than credits */

    struct link brick;
    struct call *arriving;  /* whose reply is coming in */
    struct call *expecting; /* the latest that was sent, if it is still there */
    unsigned at_brick;      /* calls */
    unsigned late;          /* replies to come to calls that were cancelled */

    uint32_t callbacks_sent, callbacks_taken; /* modulo 2^32 */
    unsigned callbacks_busy;                  /* their calls, until written */
    struct list kept;
    size_t kept_bytes;

    struct attach attach;
};

/** What a client asks for, and gets. */
struct grant {
    struct rdma_request asked;
    struct rdma_accept given;
    size_t fixed_bytes, memory_most;
    size_t largest_call; /* one with the most of everything */
};

/* client.c */
/** Works out what can be granted; false: not enough memory. */
bool client_grant(const struct gateway *g, const struct device *d, struct grant *grant);
/** Makes a client of a connection request: queue pair, memory, receives posted. *out is set only
 *  with 0. @return 0, or -errno with text; the id is the caller's then. */
int client_new(struct gateway *g, struct device *d, struct rdma_cm_id *id, const char *name,
               const struct grant *grant, struct client **out, struct errtext *why);
/** Its completion queue, which was armed, has got something. */
void client_wake(struct client *c);
/** Takes in completions; false: there are none, and the queue is armed. */
bool client_poll(struct client *c);
/** Ends it, with a line in the log; the loop frees it later. Nothing if it has ended already. */
void client_end(struct client *c, enum end_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void client_free(struct client *c);
void clients_end_device(struct gateway *g, const struct device *d, const char *why);
/** Deadlines, and probing of silent clients. Now and then. */
void clients_check(struct gateway *g);
/** The receive goes back to where it came from. */
void client_receive_again(struct client *c, int receive);
/** Begins a line of the log about it. */
void client_log(const struct client *c, struct log_line *l, enum log_level level,
                const char *event);

/* attach.c */
void attach_init(struct client *c);
/** ATTACH has come. */
void attach_begin(struct client *c, const struct rdma_send *send);
/** Goes on with it; from the loop. */
void attach_task(struct client *c);
/** Answers ATTACH with an error, after which the client is disconnected. */
void attach_fail(struct client *c, enum rdma_error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void attach_free(struct client *c);

/* port.c */
/** Asks glusterd for the port of the brick attach.target; attach.glusterd is connected. Then
 *  attach_task() runs with step ATTACH_ASKED, and attach.port set, 0 if it has none. */
int port_ask(struct client *c);
extern const struct transport_user port_user;

/* brick.c */
extern const struct transport_user brick_user;
/** Lets go of a call at the brick: its memory is not touched again, and a reply that still comes is
 *  drained. */
void brick_retire(struct call *call);
/** Sends callbacks that were kept, as far as there are slots now. */
void brick_callbacks(struct client *c);
/** The client says it has taken so many in. False: that cannot be. */
bool brick_callbacks_taken(struct client *c, uint32_t taken);
void brick_free(struct client *c);

/* post.c */
/** What a work request is: in the low bits of wr_id; above them, the index of call or receive. */
enum post_kind { POST_RECEIVE, POST_FETCH, POST_ANSWER, POST_PROBE };
#define POST_KIND_BITS 2

/** Posts receive buffer @p receive. @return 0 or -errno. */
int post_receive(struct client *c, int receive);
/** Posts a call's fetches or answer, or queues it until there is room. */
void post_call(struct call *call);
/** Posts what waits, as far as there is room. */
void post_waiting(struct client *c);
/** Writes nothing, to see whether the client is still there. */
void post_probe(struct client *c);

#endif
