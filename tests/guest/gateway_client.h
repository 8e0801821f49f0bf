/*
 * A client of gzc-rdma-gateway made of bare verbs: it does what docs/rdma-wire.md says, or, being
 * told every byte that it sends, does not. And the gateway itself, as a child of the test.
 *
 * One region of memory, all of it open to the gateway:
 *
 *   | ring | SENDs, one place for each slot | bulk ... |
 *
 * Failures of what must work are the test's.
 */
#ifndef TESTS_GUEST_GATEWAY_CLIENT_H
#define TESTS_GUEST_GATEWAY_CLIENT_H

#include "proto/rdma_wire.h"

#include <limits.h>
#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    GC_BULK = 12 << 20, /* bytes */
    GC_SEND = 16384,    /* bytes of a SEND's place */
    GC_CREDITS = 64,    /* asked for by default */
    GC_CALLBACKS = 4,
    GC_SLOT = 512,
    GC_PATIENCE_MS = 20000, /* reached only when a test fails */
};

/* ---- the gateway ----------------------------------------------------------------------------- */

struct gateway_process {
    pid_t pid;
    char dir[PATH_MAX]; /* its log and sockets */
};

/** Starts it; returns when it is ready. @param options  NULL-terminated; the brick of with-brick,
 *  16 MiB of memory and the address of the guest are given first, so that these come after. */
void gateway_start(struct gateway_process *g, const char *const *options);
/** Ends it with SIGTERM; its status must be 0, which a leak makes it not be. */
void gateway_stop(struct gateway_process *g);
/** One of its counters. */
uint64_t gateway_stat(const struct gateway_process *g, const char *name);
/** Waits until a counter is so high; fails the test if that does not come. */
void gateway_await(const struct gateway_process *g, const char *name, uint64_t value);
/** Is that in its log? */
bool gateway_logged(const struct gateway_process *g, const char *text);

/* ---- a client -------------------------------------------------------------------------------- */

/** What it asks for. All zero is the default. */
struct gc_options {
    const char *host; /* $RDMA_IP */
    uint16_t port;    /* 24008 */
    unsigned credits, callbacks;
    uint32_t slot;
    const void *private_data; /* instead of what it should be */
    uint8_t private_length;
    bool no_receives;
};

struct gc {
    struct rdma_event_channel *events;
    struct rdma_cm_id *id;
    struct ibv_pd *pd;
    struct ibv_cq *cq;
    struct ibv_mr *mr;
    uint8_t *memory;
    uint8_t *ring, *sends, *bulk;
    size_t ring_bytes;
    unsigned credits, callbacks;
    uint32_t slot;
    struct rdma_accept granted;
    struct rdma_reject rejected;
    uint32_t callbacks_taken;
    unsigned generation;
    bool lost;
    bool careless; /* its chunks may lie in its own slots: what is in those is not looked at */
};

/** @return 0; the reason, if it was rejected; -ECONNREFUSED if there was none. */
int gc_connect(struct gc *c, const struct gc_options *options);
void gc_close(struct gc *c);
/** Connects and attaches to the brick of with-brick, and logs in there. */
void gc_open(struct gc *c, const struct gc_options *options);

/** What has come. */
enum gc_kind { GC_NOTHING, GC_SLOT_WRITTEN, GC_LOST };
struct gc_event {
    enum gc_kind kind;
    uint32_t immediate;
    struct rdma_slot_head head; /* checked by rdma_slot_decode() */
    const uint8_t *message;     /* in the ring */
};

/** Waits for a message of the gateway's. Lost: the gateway has closed the connection. */
struct gc_event gc_wait(struct gc *c, int ms);
/** Waits for a message, which must come. */
struct gc_event gc_expect(struct gc *c);
/** Waits until the connection is closed, which must come; messages before are passed over. */
void gc_expect_lost(struct gc *c);

/** SENDs bytes as they are. */
void gc_send(struct gc *c, const void *bytes, size_t length);
/** An ATTACH as it should be. @return the answer. */
struct gc_event gc_attach(struct gc *c, const char *target);

/** A call to be made. Chunks are pieces of the bulk memory. */
struct gc_call {
    uint32_t xid;
    uint8_t message[2048]; /* RPC call without payload; the xid is put in */
    uint32_t message_length;
    bool is_long; /* sent by way of `long_at` in the bulk memory */
    uint32_t long_at;
    uint32_t reply_length; /* a reply chunk at `reply_at`; 0: none */
    uint32_t reply_at;
    unsigned reads, writes;
    struct {
        uint32_t at, length;
    } read[255], write[255];
    const uint8_t *in_line; /* payload in the SEND */
    uint32_t payload;       /* of reads or inline */
};

struct rdma_chunk gc_chunk(const struct gc *c, uint32_t at, uint32_t length);
/** The next xid of a slot. */
uint32_t gc_xid(struct gc *c, unsigned slot);
/** Encodes the SEND that a call is. @return its length. */
size_t gc_encode(struct gc *c, const struct gc_call *call, uint8_t *out);
/** Encodes and sends it. */
void gc_call(struct gc *c, const struct gc_call *call);
void gc_cancel(struct gc *c, uint32_t xid);
/** Tells how many callbacks were taken in. */
void gc_credit(struct gc *c, uint32_t callbacks);

/* ---- RPC ------------------------------------------------------------------------------------- */

/** Begins a call in slot @p slot: an RPC header, which arguments are to follow. */
void gc_rpc(struct gc *c, struct gc_call *call, unsigned slot, uint32_t program, uint32_t version,
            uint32_t procedure);
/** Makes a READ or WRITE of a file by its gfid, in slot @p slot. Chunks and payload are the
 *  caller's to add. */
void gc_read(struct gc *c, struct gc_call *call, unsigned slot, const uint8_t gfid[16],
             uint64_t offset, uint32_t size);
void gc_write(struct gc *c, struct gc_call *call, unsigned slot, const uint8_t gfid[16],
              uint64_t offset, uint32_t size);
/** op_ret of a READ or WRITE, or -1000 if it is not a reply that was executed. */
int gc_op_ret(const struct gc_event *e);

/** A new file of @p size bytes of the pattern (tests/lab/volume.h), and its gfid. @return its path
 *  on disk, static. */
const char *gc_file(const char *name, size_t size, uint8_t gfid[16]);
/** Reads and compares, by chunks: whether the client is as well as ever. */
void gc_expect_works(struct gc *c, const uint8_t gfid[16]);

#endif
