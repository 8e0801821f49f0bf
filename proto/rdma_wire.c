#include "proto/rdma_wire.h"

#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdbool.h>

#define MAGIC UINT32_C(0x475A5244) /* "GZRD" */

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static bool within(uint32_t v, uint32_t least, uint32_t most)
{
    return v >= least && v <= most;
}

/* ---- private data ---------------------------------------------------------------------------- */

static void private_begin(uint8_t *out, uint8_t length)
{
    memset(out, 0, length);
    wire_put32(out, MAGIC);
    out[4] = length;
}

/* Is there a structure of at least @p least bytes? Behind it may be padding. */
static bool private_ok(const uint8_t *in, size_t length, size_t least)
{
    return length >= least && wire_get32(in) == MAGIC && in[4] >= least && in[4] <= length;
}

void rdma_request_encode(uint8_t out[RDMA_REQUEST_BYTES], const struct rdma_request *r)
{
    private_begin(out, RDMA_REQUEST_BYTES);
    out[5] = r->version_min;
    out[6] = r->version_max;
    put16(out + 8, r->credits);
    put16(out + 10, r->callbacks);
    wire_put32(out + 12, r->slot);
}

int rdma_request_decode(const uint8_t *in, size_t length, struct rdma_request *r)
{
    if (!private_ok(in, length, RDMA_REQUEST_BYTES))
        return -EPROTO;
    *r = (struct rdma_request){
        .version_min = in[5],
        .version_max = in[6],
        .credits = get16(in + 8),
        .callbacks = get16(in + 10),
        .slot = wire_get32(in + 12),
    };
    bool ok = r->version_min <= r->version_max && within(r->credits, 1, RDMA_CREDITS_MAX) &&
              within(r->callbacks, 1, RDMA_CALLBACKS_MAX) &&
              (r->callbacks & (r->callbacks - 1)) == 0 &&
              within(r->slot, RDMA_SLOT_LEAST, RDMA_SLOT_MOST) && r->slot % RDMA_SLOT_UNIT == 0;
    return ok ? 0 : -EPROTO;
}

void rdma_accept_encode(uint8_t out[RDMA_ACCEPT_BYTES], const struct rdma_accept *a)
{
    private_begin(out, RDMA_ACCEPT_BYTES);
    out[5] = a->version;
    put16(out + 8, a->credits);
    put16(out + 10, a->pieces);
    wire_put32(out + 12, a->inline_bytes);
    wire_put32(out + 16, a->payload);
    wire_put32(out + 20, a->message);
}

int rdma_accept_decode(const uint8_t *in, size_t length, uint16_t asked, struct rdma_accept *a)
{
    if (!private_ok(in, length, RDMA_ACCEPT_BYTES))
        return -EPROTO;
    *a = (struct rdma_accept){
        .version = in[5],
        .credits = get16(in + 8),
        .pieces = get16(in + 10),
        .inline_bytes = wire_get32(in + 12),
        .payload = wire_get32(in + 16),
        .message = wire_get32(in + 20),
    };
    bool ok = within(a->credits, 1, asked) && within(a->pieces, 1, RDMA_PIECES_MAX) &&
              within(a->inline_bytes, RDMA_INLINE_LEAST, RDMA_INLINE_MOST) &&
              within(a->payload, RDMA_BULK_LEAST, RDMA_BULK_MOST) &&
              within(a->message, RDMA_BULK_LEAST, RDMA_BULK_MOST);
    return ok ? 0 : -EPROTO;
}

void rdma_reject_encode(uint8_t out[RDMA_REJECT_BYTES], const struct rdma_reject *r)
{
    private_begin(out, RDMA_REJECT_BYTES);
    out[5] = r->version_min;
    out[6] = r->version_max;
    out[7] = r->reason;
}

int rdma_reject_decode(const uint8_t *in, size_t length, struct rdma_reject *r)
{
    if (!private_ok(in, length, RDMA_REJECT_BYTES))
        return -EPROTO;
    *r = (struct rdma_reject){in[5], in[6], in[7]};
    return r->version_min <= r->version_max ? 0 : -EPROTO;
}

const char *rdma_reject_text(uint8_t reason)
{
    switch (reason) {
    case RDMA_REJECT_MALFORMED:
        return "the request is malformed";
    case RDMA_REJECT_VERSION:
        return "no common version of the protocol";
    case RDMA_REJECT_NOT_ALLOWED:
        return "this client's address is not allowed";
    case RDMA_REJECT_TOO_MANY:
        return "there are too many clients";
    case RDMA_REJECT_NO_MEMORY:
        return "the gateway has no memory for another client";
    case RDMA_REJECT_ENDING:
        return "the gateway is shutting down";
    }
    return "for a reason that is not known here";
}

/* ---- from the client ------------------------------------------------------------------------- */

static size_t chunks(const struct rdma_header *h)
{
    return (size_t) !!(h->flags & RDMA_LONG) + !!(h->flags & RDMA_REPLY) + h->reads + h->writes +
           (h->kind == RDMA_ATTACH);
}

size_t rdma_send_head_bytes(const struct rdma_header *h)
{
    bool marked = h->kind == RDMA_CALL && !(h->flags & RDMA_LONG);
    return RDMA_HEADER_BYTES + RDMA_CHUNK_BYTES * chunks(h) + (marked ? RDMA_MARK_BYTES : 0);
}

void rdma_header_encode(uint8_t out[RDMA_HEADER_BYTES], const struct rdma_header *h)
{
    wire_put32(out, h->xid);
    out[4] = h->kind;
    out[5] = h->flags;
    out[6] = h->reads;
    out[7] = h->writes;
    wire_put32(out + 8, h->callbacks);
    wire_put32(out + 12, h->message);
    wire_put32(out + 16, h->payload);
    wire_put32(out + 20, 0);
}

static void header_decode(const uint8_t in[RDMA_HEADER_BYTES], struct rdma_header *h)
{
    *h = (struct rdma_header){
        .xid = wire_get32(in),
        .kind = in[4],
        .flags = in[5],
        .reads = in[6],
        .writes = in[7],
        .callbacks = wire_get32(in + 8),
        .message = wire_get32(in + 12),
        .payload = wire_get32(in + 16),
    };
}

void rdma_chunk_encode(uint8_t out[RDMA_CHUNK_BYTES], const struct rdma_chunk *c)
{
    wire_put64(out, c->address);
    wire_put32(out + 8, c->length);
    wire_put32(out + 12, c->rkey);
}

void rdma_chunk_decode(const uint8_t in[RDMA_CHUNK_BYTES], struct rdma_chunk *c)
{
    *c = (struct rdma_chunk){wire_get64(in), wire_get32(in + 8), wire_get32(in + 12)};
}

int rdma_record_check(const uint8_t record[RDMA_RECORD_LEAST], const struct rdma_header *h)
{
    uint32_t mark = RPC_LAST_FRAGMENT | (h->message + h->payload);
    return wire_get32(record) == mark && wire_get32(record + RDMA_MARK_BYTES) == h->xid ? 0
                                                                                        : -EPROTO;
}

static bool take_chunk(struct wire_span *span, struct rdma_chunk *c)
{
    const uint8_t *p = wire_take(span, RDMA_CHUNK_BYTES);
    if (!p)
        return false;
    rdma_chunk_decode(p, c);
    return c->length && c->address <= UINT64_MAX - c->length;
}

/* Takes @p n chunks; *length becomes that of all of them. */
static bool take_chunks(struct wire_span *span, unsigned n, const uint8_t **encoded,
                        uint64_t *length)
{
    struct rdma_chunk c;
    *encoded = span->at;
    *length = 0;
    while (n--) {
        if (!take_chunk(span, &c))
            return false;
        *length += c.length;
    }
    return true;
}

/* Takes the mark and what it announces, which must be all that is left. */
static bool take_record(struct wire_span *span, struct rdma_send *s)
{
    const struct rdma_header *h = &s->header;
    size_t length = RDMA_MARK_BYTES + (size_t)h->message + (h->reads ? 0 : h->payload);
    if (span->left != length)
        return false;
    s->record = wire_take(span, length);
    return rdma_record_check(s->record, h) == 0;
}

static bool call_ok(struct wire_span *span, struct rdma_send *s)
{
    const struct rdma_header *h = &s->header;
    uint64_t reads, writes;
    if (h->flags & ~(RDMA_LONG | RDMA_REPLY) || (h->writes && h->payload))
        return false;
    /* the mark has 31 bits for it, and the xid is part of it */
    if (h->message < RDMA_RECORD_LEAST - RDMA_MARK_BYTES ||
        (uint64_t)h->message + h->payload > RPC_FRAGMENT_MAX)
        return false;
    if ((h->flags & RDMA_LONG && !take_chunk(span, &s->long_call)) ||
        (h->flags & RDMA_REPLY && !take_chunk(span, &s->reply)) ||
        !take_chunks(span, h->reads, &s->reads, &reads) ||
        !take_chunks(span, h->writes, &s->writes, &writes))
        return false;
    if ((h->reads && reads != h->payload) || writes > UINT32_MAX)
        return false;
    s->writes_length = (uint32_t)writes;
    if (!(h->flags & RDMA_LONG))
        return take_record(span, s);
    return s->long_call.length == RDMA_MARK_BYTES + h->message && (h->reads || !h->payload) &&
           !span->left;
}

static bool attach_ok(struct wire_span *span, struct rdma_send *s)
{
    const struct rdma_header *h = &s->header;
    if (h->xid || h->flags || h->reads || h->writes || h->payload || h->message > RDMA_TARGET_MAX)
        return false;
    if (!take_chunk(span, &s->ring) || span->left != h->message)
        return false;
    s->target = span->at;
    return true;
}

/* CREDIT and CANCEL. */
static bool bare_ok(const struct wire_span *span, const struct rdma_header *h)
{
    return !h->flags && !h->reads && !h->writes && !h->message && !h->payload && !span->left;
}

int rdma_send_decode(const uint8_t *in, size_t length, struct rdma_send *s)
{
    struct wire_span span = {in, length};
    const uint8_t *header = wire_take(&span, RDMA_HEADER_BYTES);
    bool ok = false;
    if (!header)
        return -EPROTO;
    *s = (struct rdma_send){0};
    header_decode(header, &s->header);
    switch (s->header.kind) {
    case RDMA_CALL:
        ok = call_ok(&span, s);
        break;
    case RDMA_ATTACH:
        ok = attach_ok(&span, s);
        break;
    case RDMA_CREDIT:
    case RDMA_CANCEL:
        ok = bare_ok(&span, &s->header);
        break;
    }
    return ok ? 0 : -EPROTO;
}

/* ---- from the gateway ------------------------------------------------------------------------ */

void rdma_slot_encode(uint8_t out[RDMA_SLOT_HEAD_BYTES], const struct rdma_slot_head *s)
{
    wire_put32(out, s->xid);
    out[4] = s->kind;
    out[5] = s->code;
    put16(out + 6, 0);
    wire_put32(out + 8, s->message);
    wire_put32(out + 12, s->payload);
}

int rdma_slot_decode(const uint8_t in[RDMA_SLOT_HEAD_BYTES], size_t slot, struct rdma_slot_head *s)
{
    *s = (struct rdma_slot_head){
        .xid = wire_get32(in),
        .kind = in[4],
        .code = in[5],
        .message = wire_get32(in + 8),
        .payload = wire_get32(in + 12),
    };
    bool callback = (s->xid & RDMA_CALLBACK_SLOT) == RDMA_CALLBACK_SLOT;
    bool error = s->kind == RDMA_SLOT_ERROR;
    if (!within(s->kind, RDMA_SLOT_REPLY, RDMA_SLOT_CALLBACK) ||
        callback != (s->kind == RDMA_SLOT_CALLBACK) ||
        !within(s->code, error ? RDMA_ERROR_TOO_LONG : 0, error ? RDMA_ERROR_NO_MEMORY : 0))
        return -EPROTO;
    bool fits = slot >= RDMA_SLOT_HEAD_BYTES && s->message <= slot - RDMA_SLOT_HEAD_BYTES;
    return fits || s->kind == RDMA_SLOT_LONG ? 0 : -EPROTO;
}
