/*
 * RDMA transport: the parts of a connection, a link, shared by this directory's files. The wire is
 * docs/rdma-wire.md.
 *
 *   domain.c   what links on one device share: protection domain, receives, registered memory
 *   memory.c   the cache of registered memory (index.h); watch.c says when memory is unmapped
 *   connect.c  a link's life: addresses, queue pair, private data, ATTACH
 *   send.c     calls: memory is granted to the peer, the SEND is put together
 *   receive.c  completions, replies; grants are taken back
 *   retire.c   taking a call back before its reply has come
 *
 * A call's slot is that of its xid. All that is posted to the send queue is posted by one thread at
 * a time (tx_prepare to tx_finish, or a retirement while nobody sends), so that its order is known:
 *
 *      | invalidations of what has been answered | windows, SEND | windows, SEND | ...
 *
 * `posted` counts work requests; a signalled one carries its number, so that a completion says how
 * many are done. SENDs and windows are unsignalled, but for one now and then.
 */
#ifndef TRANSPORT_RDMA_LINK_H
#define TRANSPORT_RDMA_LINK_H

#include "proto/rdma_wire.h"
#include "transport/rdma.h"
#include "transport/rdma/domain.h"

#include <rdma/rdma_cma.h>

#define LINK_PIECES      16 /* of payload in a message at most */
#define LINK_GRANTS      (LINK_PIECES + 2)
#define LINK_BATCH       16   /* messages in one post */
#define LINK_REQUESTS    128  /* work requests in one post */
#define LINK_SENDS       512  /* depth of the send queue */
#define LINK_SEND_BYTES  1024 /* of a SEND's head */
#define LINK_INLINE      4096 /* payload that is rather sent than fetched */
#define LINK_SLOT_BYTES  (REPLY_SMALL + 32)
#define LINK_CALLBACKS   8
#define LINK_COMPLETIONS 32 /* polled at once */
#define LINK_CONTROLS    (RDMA_UNCOUNTED - 2)
#define LINK_RECEIVE     0 /* wr_id of a receive; those of the send queue are counted from 1 */

/** Memory of the caller's, or ours, that the peer may reach or the device sends from. */
struct link_grant {
    struct rdma_region *region; /* NULL: ours */
    struct ibv_mw *window;      /* stays with the slot; NULL: none was needed yet */
    uint32_t rkey;              /* of the window as it was bound last, or of the registration */
    bool bound;
    bool exposed; /* by the registration's own rkey */
};

/** Registered memory for calls and replies that are too long for a SEND or a slot. */
struct link_bulk {
    struct link_bulk *next;
    struct ibv_mr *mr;
    size_t size;
    uint8_t bytes[];
};

struct link_slot {
    /**
     *  IDLE --SEND--> SENT --immediate--> ANSWERED --posted--> INVALIDATING --done--> SHOWN -->
     * IDLE |  \--immediate, no windows---------------------------------->/
     *                  +--retired, its windows invalidated--> LATE --immediate------>/
     */
    enum link_slot_state {
        SLOT_IDLE,
        SLOT_SENT,
        SLOT_ANSWERED,
        SLOT_INVALIDATING,
        SLOT_LATE,
        SLOT_SHOWN
    } state;
    uint32_t xid;
    struct message *message; /* of a call that is not retired */
    uint64_t fence;          /* INVALIDATING: over when so many work requests are done */
    struct link_slot *next;  /* in the list of its state */
    struct link_bulk *call, *reply;
    unsigned ngrants;
    struct link_grant grants[LINK_GRANTS];
};

struct slot_list {
    struct link_slot *first, **end;
};

/** What one thread at a time sends. */
struct link_tx {
    struct message *first, **end;      /* queued */
    struct message *batch[LINK_BATCH]; /* the first n of them, being sent */
    unsigned n;
    int errors[LINK_BATCH]; /* why they cannot */
    struct errtext why;
    int failed; /* posting: -errno */
    unsigned callbacks;
    bool credit;
    struct link_bulk *spare; /* to be used by the messages being sent */

    struct ibv_send_wr requests[LINK_REQUESTS];
    struct ibv_sge pieces[LINK_BATCH * (LINK_PIECES + 1) + 1];
    unsigned nrequests, npieces;
    uint64_t posted, signalled; /* work requests so far; up to the last signalled one */
    uint64_t counted;           /* of them in the volume's counters */
};

struct rdma_link {
    struct transport base; /* first */
    struct rdma *rdma;
    const char *target;
    enum { LINK_CLOSED, LINK_ADDRESS, LINK_ROUTE, LINK_CONNECT, LINK_ATTACH, LINK_OPEN } state;
    struct rdma_event_channel *events;
    struct rdma_cm_id *id;
    struct rdma_domain *domain;
    struct ibv_comp_channel *channel;
    struct ibv_cq *cq;
    bool has_queue; /* the queue pair is there: the device may touch memory */
    bool attached;  /* the gateway has answered ATTACH */
    bool armed;     /* the completion channel will tell of the next completion */
    bool woken;     /* the descriptor has polled ready */

    struct rdma_request asked;
    struct rdma_accept granted;
    unsigned inline_pieces;
    uint8_t *sends, *controls, *ring; /* one allocation, two registrations */
    struct ibv_mr *sends_mr, *ring_mr;
    struct link_grant ring_grant;
    struct link_slot *slots; /* asked.credits of them */
    struct link_bulk *bulk;  /* unused */
    uint64_t control_fence[LINK_CONTROLS];
    unsigned control_next;

    struct link_tx tx;
    uint64_t done; /* work requests of tx.posted */
    struct slot_list answered, invalidating, shown;

    struct ibv_wc completions[LINK_COMPLETIONS];
    int ncompletions;  /* polled, not taken in yet */
    int failed;        /* taking in some of them, earlier */
    unsigned consumed; /* receives, to be posted again */
    uint32_t callbacks_in, callbacks_shown, callbacks_told;
    bool deaf;     /* the peer has not answered a CANCEL lately */
    uint8_t *copy; /* of a reply */
    size_t copy_room;
};

static inline struct rdma_link *link_of(struct transport *t)
{
    return (struct rdma_link *)t;
}

static inline struct link_slot *link_slot(struct rdma_link *l, uint32_t xid)
{
    return &l->slots[xid & ((1u << RDMA_SLOT_BITS) - 1)];
}

static inline size_t ring_bytes(const struct rdma_link *l)
{
    return ((size_t)l->asked.credits + l->asked.callbacks) * l->asked.slot;
}

static inline void slot_list_init(struct slot_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static inline void slot_list_add(struct slot_list *list, struct link_slot *slot)
{
    slot->next = NULL;
    *list->end = slot;
    list->end = &slot->next;
}

static inline struct link_slot *slot_list_take(struct slot_list *list)
{
    struct link_slot *slot = list->first;
    list->first = slot->next;
    if (!list->first)
        list->end = &list->first;
    return slot;
}

/* connect.c */
struct transport *link_make(const struct transport_kind *kind, const char *target,
                            const struct transport_user *ops, void *user, struct counters *counters,
                            struct errtext *why);
/** Takes in what the connection manager has to tell. @return 0, or -errno: the link is over. */
int link_events(struct rdma_link *l);
/** Takes the queue pair down: when this has returned the device touches no memory of a caller's. */
void link_destroy_queue(struct rdma_link *l);

/* send.c */
void link_tx_queue(struct transport *t, struct message *m);
bool link_tx_prepare(struct transport *t);
void link_tx_issue(struct transport *t);
int link_tx_finish(struct transport *t);
void link_tx_ready(struct transport *t);
void link_tx_reset(struct rdma_link *l);
/** Room for @p n more work requests? As what is done changes with completions: under the lock. */
bool link_has_room(const struct rdma_link *l, unsigned n);
/** Adds a work request to those to be posted. */
struct ibv_send_wr *link_request(struct rdma_link *l, enum ibv_wr_opcode opcode);
/** Adds the request that binds a window on memory that @p mr covers. @return 0 or -errno. */
int link_bind(struct rdma_link *l, struct link_grant *grant, struct ibv_mr *mr, const void *at,
              uint32_t length, int access);
/** Adds the requests that invalidate a slot's windows. @return how many. */
unsigned link_invalidate(struct rdma_link *l, struct link_slot *slot);
/** How many of a slot's windows are bound. */
unsigned link_bound(const struct link_slot *slot);
/** Room for one more message of just a header? Under the lock, as above. */
bool link_control_fits(const struct rdma_link *l);
/** Adds a message of just a header, for which there is room. */
void link_control(struct rdma_link *l, uint8_t kind, uint32_t xid, uint32_t callbacks);
/** Posts what has been added, the last of it signalled if @p signal. @return 0 or -errno. */
int link_post(struct rdma_link *l, bool signal);

/* receive.c */
void link_rx_prepare(struct transport *t);
bool link_rx_issue(struct transport *t);
int link_rx_finish(struct transport *t);
bool link_rx_sleep(struct transport *t);
bool link_rx_retire(struct transport *t);
/** Takes in the completions that were polled: no word to the user yet. @return 0 or -errno. */
int link_take(struct rdma_link *l);
/** Gives back what a slot's call held: memory that the peer cannot reach any more. */
void link_release(struct rdma_link *l, struct link_slot *slot);
/** Copies a message out of a slot of the ring. @return 0 or -errno. */
int link_read_slot(struct rdma_link *l, unsigned index, struct rdma_slot_head *head);

/* retire.c */
int link_tx_retire(struct transport *t, struct message *m);

#endif
