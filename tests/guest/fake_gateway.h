/*
 * A gateway that does as it is told: docs/rdma-wire.md spoken with bare verbs, so that libgzc can
 * be met with everything that a real one would never do.
 *
 * Left alone it is honest. Behind it is the scripted brick of tests/wire/peer.h, whose functions it
 * calls: there is no socket between them. One thread deals with one message at a time, and waits
 * for each RDMA operation of its own: what has been written is there when the next thing is done.
 *
 * Scripting. The hook is shown every message of the client's before it is executed, and answers it
 * by hand, or lets the gateway do so:
 *
 *      static bool lie(struct gate_call *call, void *arg)
 *      {
 *          struct gate_reply r;
 *          if (!gate_is_fop(call, PEER_READ))
 *              return false;
 *          gate_execute(call, &r);                 // the right answer, as bytes ...
 *          r.immediate ^= 1 << 10;                 // ... changed at will
 *          gate_answer(call, &r);
 *          gate_reply_free(&r);
 *          return true;
 *      }
 *
 * Locking. The thread holds the lock whenever it does not wait for messages, so in the hook too.
 * What is marked [locked] is called from the hook, or between gate_lock() and gate_unlock().
 * Criterion's assertions must not be used in the hook: peer_complain(call->rpc.peer, ...) instead.
 */
#ifndef TESTS_GUEST_FAKE_GATEWAY_H
#define TESTS_GUEST_FAKE_GATEWAY_H

#include "proto/rdma_wire.h"
#include "tests/wire/peer.h"

#include <infiniband/verbs.h>
#include <stdbool.h>

struct gate;

/** A client's connection; stays until gate_stop(). */
struct gate_link {
    struct gate_link *next;
    struct gate *gate;
    struct rdma_request asked;
    struct rdma_accept granted;
    struct rdma_chunk ring;
    uint32_t callbacks_sent; /* by gate_callback() */
    uint32_t callbacks_told; /* of them the client has taken in */
    bool attached, open;
    struct gate_verbs *verbs;
};

/** A message of the client's. */
struct gate_call {
    struct gate *gate;
    struct gate_link *link;
    struct rdma_header header;
    struct rdma_chunk reply; /* if there is one */
    struct rdma_chunk reads[RDMA_PIECES_MAX], writes[RDMA_PIECES_MAX];
    struct peer_call rpc; /* of a CALL; valid until the hook returns */
};

/** An answer, as the bytes that are written; all in memory that may be written to. */
struct gate_reply {
    uint8_t *slot, *payload, *bulk; /* for slot, writes, reply chunk */
    size_t slot_bytes, payload_bytes, bulk_bytes;
    uint32_t immediate, slot_number;
};

typedef bool gate_hook(struct gate_call *call, void *arg);

/** What is made of a CANCEL, unless the hook takes it. */
enum gate_cancel {
    GATE_CANCELLED, /* ERROR CANCELLED in place of the answer that was kept back */
    GATE_DEAF,      /* nothing */
    GATE_REPLY      /* the answer that was kept back */
};

struct gate_options {
    const char *address; /* $RDMA_IP if NULL */
    /* What is granted; 0: credits as asked for, 64 pieces, 8 KiB inline, 1 MiB each. */
    uint16_t credits, pieces;
    uint32_t inline_bytes, payload, message;
    /* Private data instead of the right ones, of so many bytes; the connection is accepted, or
     * rejected; -1: not used. Zero is -1 if the pointer is NULL. */
    const void *accept, *reject;
    uint8_t accept_bytes, reject_bytes;
    bool mute; /* the first connection request is not answered, others are rejected */
    gate_hook *hook;
    void *arg;
};

/** What has come in. */
struct gate_counts {
    uint64_t links, open;
    uint64_t calls, attaches, credits, cancels;
    uint64_t inline_writes, fetched_writes, long_calls, long_replies;
    unsigned most_pieces; /* in a call */
};

/** Starts a gateway; NULL options: all defaults. NULL: it cannot be. */
struct gate *gate_start(const struct gate_options *options);
/** Closes all connections, ends the thread, frees everything but the brick. NULL is ignored. */
void gate_stop(struct gate *gate);
/** The same in a process of its own, with a file of the pattern of @p size bytes, until that is
 *  killed. @return its id. */
int gate_fork(const struct gate_options *options, const char *file, size_t size, uint16_t *port);
/** The brick behind it; to be stopped after the gateway. */
struct peer *gate_peer(struct gate *gate);
uint16_t gate_port(const struct gate *gate);
void gate_set_hook(struct gate *gate, gate_hook *hook, void *arg);
void gate_set_cancel(struct gate *gate, enum gate_cancel what);
struct gate_counts gate_counts(struct gate *gate);
void gate_lock(struct gate *gate);
void gate_unlock(struct gate *gate);
/** Waits until that is so; asked, [locked], whenever the gateway has done something. False:
 *  PEER_PATIENCE_MS are over. */
bool gate_wait(struct gate *gate, bool (*holds)(struct gate *gate, void *arg), void *arg);
/** Waits until no client is connected. */
bool gate_wait_closed(struct gate *gate);
/** Waits until @p n calls have been kept back. */
bool gate_wait_kept(struct gate *gate, unsigned n);

/* ---- all below [locked] ---------------------------------------------------------------------- */

const struct gate_counts *gate_counts_locked(const struct gate *gate);
/** The connection made last that is open; NULL: none. */
struct gate_link *gate_latest(struct gate *gate);
bool gate_is_fop(const struct gate_call *call, uint32_t proc);
/** Makes the answer that an honest gateway gives. */
void gate_execute(struct gate_call *call, struct gate_reply *reply);
/** Makes an ERROR. */
void gate_error(const struct gate_call *call, uint8_t code, const char *text,
                struct gate_reply *reply);
void gate_reply_free(struct gate_reply *reply);
/** Writes payload, bulk and slot, with its immediate last. */
enum ibv_wc_status gate_answer(const struct gate_call *call, const struct gate_reply *reply);
/** Writes only the first @p n bytes of the payload. */
enum ibv_wc_status gate_write_payload(const struct gate_call *call, const struct gate_reply *reply,
                                      size_t n);

/** Executes the call, and keeps the answer back. */
void gate_keep(struct gate_call *call);
/** A hook that keeps all READ and WRITE calls back. */
gate_hook gate_keep_all;
struct gate_kept {
    struct gate_call call;
    struct gate_reply reply;
    bool sent;
};
/** The @p i th of those kept back; NULL: there are not so many. */
struct gate_kept *gate_kept(struct gate *gate, unsigned i);
/** Sends its answer, unless that has been. */
enum ibv_wc_status gate_send_kept(struct gate_kept *kept);

/** Makes a call of the brick's, of procedure @p proc of CALLBACK; waits for no slot. */
enum ibv_wc_status gate_callback(struct gate_link *link, uint32_t proc);

/* RDMA operations, each waited for; what a connection that is gone gives is IBV_WC_WR_FLUSH_ERR. */
enum ibv_wc_status gate_write(struct gate_link *link, uint64_t address, uint32_t rkey,
                              const void *bytes, size_t n);
enum ibv_wc_status gate_write_immediate(struct gate_link *link, uint64_t address, uint32_t rkey,
                                        const void *bytes, size_t n, uint32_t immediate);
enum ibv_wc_status gate_read(struct gate_link *link, uint64_t address, uint32_t rkey, void *bytes,
                             size_t n);
enum ibv_wc_status gate_send(struct gate_link *link, const void *bytes, size_t n);
/** The connection ends. */
void gate_disconnect(struct gate_link *link);
/** Address of a slot of the ring; callback slots are behind those of the credits. */
uint64_t gate_slot(const struct gate_link *link, unsigned slot);

#endif
