/*
 * What libgzc and gzc-rdma-gateway say to each other beside RPC messages: docs/rdma-wire.md draws
 * it. Everything here is pure: no verbs, no memory, no state. Both sides use all of it, so that
 * each function is tested against its opposite.
 *
 * Decoders take bytes from the network: they check every value that has a bound of its own, and
 * that the parts fit the length. What depends on what was negotiated is the caller's to check.
 */
#ifndef PROTO_RDMA_WIRE_H
#define PROTO_RDMA_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RDMA_WIRE_PORT    24008
#define RDMA_WIRE_VERSION 1

#define RDMA_SLOT_BITS     10   /* of an xid: the slot in the ring */
#define RDMA_CALLBACK_SLOT 1023 /* of an immediate: a callback */
#define RDMA_CREDITS_MAX   1023
#define RDMA_CALLBACKS_MAX 64 /* a power of two: it divides the numbers, which begin anew */
#define RDMA_PIECES_MAX    255
#define RDMA_UNCOUNTED     16 /* ATTACH, CREDIT and CANCEL unacknowledged at most */
#define RDMA_SLOT_UNIT     64 /* bytes of a slot are a multiple of it */
#define RDMA_SLOT_LEAST    512
#define RDMA_SLOT_MOST     65536
#define RDMA_INLINE_LEAST  1024
#define RDMA_INLINE_MOST   65536
#define RDMA_BULK_LEAST    65536                /* of `payload` and `message` of an acceptance */
#define RDMA_BULK_MOST     (UINT32_C(64) << 20) /* no sound peer grants more */
#define RDMA_TARGET_MAX    1024
#define RDMA_MARK_BYTES    4
#define RDMA_RECORD_LEAST  8 /* mark, and the xid that every RPC message begins with */

/* ---- private data ---------------------------------------------------------------------------- */

#define RDMA_REQUEST_BYTES 20
#define RDMA_ACCEPT_BYTES  28
#define RDMA_REJECT_BYTES  8

struct rdma_request {
    uint8_t version_min, version_max;
    uint16_t credits;
    uint16_t callbacks;
    uint32_t slot;
};

struct rdma_accept {
    uint8_t version;
    uint16_t credits;
    uint16_t pieces;
    uint32_t inline_bytes;
    uint32_t payload;
    uint32_t message;
};

enum rdma_reject_reason {
    RDMA_REJECT_MALFORMED = 1,
    RDMA_REJECT_VERSION,
    RDMA_REJECT_NOT_ALLOWED,
    RDMA_REJECT_TOO_MANY,
    RDMA_REJECT_NO_MEMORY,
    RDMA_REJECT_ENDING
};

struct rdma_reject {
    uint8_t version_min, version_max;
    uint8_t reason;
};

void rdma_request_encode(uint8_t out[RDMA_REQUEST_BYTES], const struct rdma_request *r);
/** @return 0 or -EPROTO. Versions are checked only to be a range. */
int rdma_request_decode(const uint8_t *in, size_t length, struct rdma_request *r);
void rdma_accept_encode(uint8_t out[RDMA_ACCEPT_BYTES], const struct rdma_accept *a);
/** @return 0 or -EPROTO (also if it grants more credits than @p asked). */
int rdma_accept_decode(const uint8_t *in, size_t length, uint16_t asked, struct rdma_accept *a);
void rdma_reject_encode(uint8_t out[RDMA_REJECT_BYTES], const struct rdma_reject *r);
/** @return 0 or -EPROTO. An unknown reason is no error. */
int rdma_reject_decode(const uint8_t *in, size_t length, struct rdma_reject *r);
/** What a reason means, for people. A static string. */
const char *rdma_reject_text(uint8_t reason);

/* ---- from the client ------------------------------------------------------------------------- */

#define RDMA_HEADER_BYTES 24
#define RDMA_CHUNK_BYTES  16

enum rdma_kind { RDMA_CALL = 1, RDMA_ATTACH, RDMA_CREDIT, RDMA_CANCEL };
enum rdma_flag { RDMA_LONG = 1, RDMA_REPLY = 2 };

struct rdma_chunk {
    uint64_t address;
    uint32_t length;
    uint32_t rkey;
};

/** A SEND's header. */
struct rdma_header {
    uint32_t xid;
    uint8_t kind;
    uint8_t flags;
    uint8_t reads, writes;
    uint32_t callbacks;
    uint32_t message;
    uint32_t payload;
};

/** Bytes of the header, the chunks that it announces, and the mark (of CALL, unless LONG): RPC call
 *  or target begins there. */
size_t rdma_send_head_bytes(const struct rdma_header *h);

void rdma_header_encode(uint8_t out[RDMA_HEADER_BYTES], const struct rdma_header *h);
void rdma_chunk_encode(uint8_t out[RDMA_CHUNK_BYTES], const struct rdma_chunk *c);
void rdma_chunk_decode(const uint8_t in[RDMA_CHUNK_BYTES], struct rdma_chunk *c);

/**
 * Checks mark and xid of a record against its header: for one that was fetched from a LONG's chunk.
 * Of a record in a SEND rdma_send_decode() has done it.
 * @return 0 or -EPROTO.
 */
int rdma_record_check(const uint8_t record[RDMA_RECORD_LEAST], const struct rdma_header *h);

/** A SEND taken apart; pointers go into it. */
struct rdma_send {
    struct rdma_header header;
    struct rdma_chunk long_call;   /* if flags & RDMA_LONG */
    struct rdma_chunk reply;       /* if flags & RDMA_REPLY */
    struct rdma_chunk ring;        /* of ATTACH */
    const uint8_t *reads, *writes; /* encoded chunks, valid ones */
    uint32_t writes_length;        /* of all of them */
    const uint8_t *record;         /* mark and call, and inline payload; NULL if LONG or no CALL */
    const uint8_t *target;         /* of ATTACH: header.message bytes, no NUL behind; else NULL */
};

/**
 * Takes a SEND of @p length bytes apart. Checks everything that the page says of it but what was
 * negotiated: lengths that add up, mark and xid, chunks that are not empty and do not wrap around.
 * A CALL's header.message is at least 4, and message and payload together fit a mark.
 * @return 0 or -EPROTO: what *s holds then means nothing.
 */
int rdma_send_decode(const uint8_t *in, size_t length, struct rdma_send *s);

/* ---- from the gateway ------------------------------------------------------------------------ */

#define RDMA_SLOT_HEAD_BYTES 16

enum rdma_slot_kind { RDMA_SLOT_REPLY = 1, RDMA_SLOT_LONG, RDMA_SLOT_ERROR, RDMA_SLOT_CALLBACK };

enum rdma_error_code {
    RDMA_ERROR_TOO_LONG = 1,
    RDMA_ERROR_CANCELLED,
    RDMA_ERROR_UNREACHABLE,
    RDMA_ERROR_REFUSED,
    RDMA_ERROR_BROKEN,
    RDMA_ERROR_NO_MEMORY
};

struct rdma_slot_head {
    uint32_t xid;
    uint8_t kind;
    uint8_t code;
    uint32_t message;
    uint32_t payload;
};

void rdma_slot_encode(uint8_t out[RDMA_SLOT_HEAD_BYTES], const struct rdma_slot_head *s);
/** @return 0 or -EPROTO (unknown kind or code, a callback whose xid does not say so or the reverse,
 *  or a message that does not fit @p slot bytes although it is in the slot). */
int rdma_slot_decode(const uint8_t in[RDMA_SLOT_HEAD_BYTES], size_t slot, struct rdma_slot_head *s);

#endif
