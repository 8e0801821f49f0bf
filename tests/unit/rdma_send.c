/* What a client SENDs to the RDMA gateway, against the tables of docs/rdma-wire.md. */
#include "proto/rdma_wire.h"
#include "proto_bytes.h"

#include <errno.h>
#include <stdbool.h>

#define XID 0x00400805u

/* A SEND to be encoded, right but for what a test makes wrong. */
struct draft {
    struct rdma_header h;
    struct rdma_chunk long_call, reply, ring, reads[255], writes[255];
    uint32_t xid;  /* that the record begins with */
    uint32_t flip; /* bits of the mark */
    bool bare;     /* a CALL without mark and call, though it is not LONG */
    size_t tail;   /* bytes that do not belong there */
};

static struct rdma_chunk chunk(uint32_t length)
{
    return (struct rdma_chunk){0x7f0000001000 + rnd_below(1 << 20), length, (uint32_t)rnd()};
}

static struct draft draft(enum rdma_kind kind)
{
    return (struct draft){
        .h = {.xid = kind == RDMA_ATTACH ? 0 : XID, .kind = (uint8_t)kind, .callbacks = 77},
        .xid = XID,
        .ring = chunk(4096),
    };
}

/* A READ of two pieces. */
static struct draft reading(void)
{
    struct draft d = draft(RDMA_CALL);
    d.h.message = 140;
    d.h.writes = 2;
    d.writes[0] = chunk(4096);
    d.writes[1] = chunk(1000);
    return d;
}

/* A WRITE of 5 bytes, inline. */
static struct draft writing(void)
{
    struct draft d = draft(RDMA_CALL);
    d.h.message = 140;
    d.h.payload = 5;
    return d;
}

/* A WRITE of two pieces, to be fetched. */
static struct draft fetched(void)
{
    struct draft d = draft(RDMA_CALL);
    d.h.message = 140;
    d.h.payload = 5096;
    d.h.reads = 2;
    d.reads[0] = chunk(1000);
    d.reads[1] = chunk(4096);
    return d;
}

/* A call that is fetched, as is its payload, and may have a long reply. */
static struct draft long_both(void)
{
    struct draft d = fetched();
    d.h.flags = RDMA_LONG | RDMA_REPLY;
    d.h.message = 70000;
    d.long_call = chunk(4 + d.h.message);
    d.reply = chunk(1 << 20);
    return d;
}

static struct draft attaching(uint32_t name)
{
    struct draft d = draft(RDMA_ATTACH);
    d.h.message = name;
    return d;
}

static uint8_t *add_chunks(uint8_t *p, const struct rdma_chunk *c, unsigned n)
{
    for (; n--; p += RDMA_CHUNK_BYTES)
        rdma_chunk_encode(p, c++);
    return p;
}

/* The draft as a SEND, in memory of exactly its length. */
static struct bytes encode(const struct draft *d)
{
    const struct rdma_header *h = &d->h;
    uint8_t *out = malloc(1 << 17), *p = out + RDMA_HEADER_BYTES;
    cr_assert_not_null(out);
    rdma_header_encode(out, h);
    p = add_chunks(p, &d->long_call, !!(h->flags & RDMA_LONG) && h->kind == RDMA_CALL);
    p = add_chunks(p, &d->reply, !!(h->flags & RDMA_REPLY) && h->kind == RDMA_CALL);
    p = add_chunks(p, &d->ring, h->kind == RDMA_ATTACH);
    if (h->kind == RDMA_CALL) {
        p = add_chunks(p, d->reads, h->reads);
        p = add_chunks(p, d->writes, h->writes);
    }
    if (h->kind == RDMA_ATTACH) {
        memset(p, 'x', h->message);
        p += h->message;
    } else if (h->kind == RDMA_CALL && !(h->flags & RDMA_LONG) && !d->bare) {
        size_t length = h->message + (h->reads ? 0 : h->payload);
        rnd_fill(p, 4 + length);
        wire_put32(p, (0x80000000u | (h->message + h->payload)) ^ d->flip);
        wire_put32(p + 4, d->xid);
        p += 4 + length;
    }
    memset(p, 0, d->tail);
    struct bytes b = bytes_copy(out, (size_t)(p - out) + d->tail);
    free(out);
    return b;
}

static int try(const struct draft *d)
{
    struct rdma_send s;
    struct bytes b = encode(d);
    int rc = rdma_send_decode(b.p, b.n, &s);
    bytes_free(b);
    return rc;
}

#define assert_good(d)      cr_assert_eq(try(&(d)), 0)
#define assert_bad(d)       cr_assert_eq(try(&(d)), -EPROTO)
#define assert_ok(d, right) cr_assert_eq(try(&(d)), (right) ? 0 : -EPROTO)

/* ---- as drawn -------------------------------------------------------------------------------- */

Test(rdma_send, header_and_chunk_bytes)
{
    const struct rdma_header h = {0x00400805, RDMA_CALL, RDMA_REPLY, 1, 2, 77, 140, 5096};
    const struct rdma_chunk c = {0x0102030405060708, 0x090a0b0c, 0x0d0e0f10};
    struct rdma_chunk got;
    struct bytes header = bytes_hex("00400805 01 02 01 02 0000004d 0000008c 000013e8 00000000");
    struct bytes piece = bytes_hex("0102030405060708 090a0b0c 0d0e0f10");
    uint8_t out[RDMA_HEADER_BYTES];
    memset(out, 0xff, sizeof(out));
    rdma_header_encode(out, &h);
    assert_bytes(header, out, RDMA_HEADER_BYTES);
    rdma_chunk_encode(out, &c);
    assert_bytes(piece, out, RDMA_CHUNK_BYTES);
    rdma_chunk_decode(piece.p, &got);
    cr_assert(got.address == c.address && got.length == c.length && got.rkey == c.rkey);
    bytes_free(header);
    bytes_free(piece);
}

/* Takes hexadecimal text apart. */
static struct bytes decode_hex(const char *hex, struct rdma_send *s)
{
    struct bytes b = bytes_hex(hex);
    memset(s, 0xff, sizeof(*s));
    cr_assert_eq(rdma_send_decode(b.p, b.n, s), 0);
    return b;
}

Test(rdma_send, read_as_drawn)
{
    struct rdma_send s;
    struct bytes b = decode_hex("00400805 01 02 00 02 0000004d 00000008 00000000 ffffffff"
                                "1111111111111000 00010000 22222222" /* reply */
                                "3333333333333000 00001000 44444444" /* writes */
                                "5555555555555000 00000200 66666666"
                                "80000008 00400805 00000000",
                                &s);
    cr_assert(s.header.xid == XID && s.header.kind == RDMA_CALL && s.header.flags == RDMA_REPLY);
    cr_assert(s.header.reads == 0 && s.header.writes == 2 && s.header.callbacks == 77);
    cr_assert(s.header.message == 8 && s.header.payload == 0);
    cr_assert(s.reply.address == 0x1111111111111000 && s.reply.length == 65536);
    cr_assert_eq(s.reply.rkey, 0x22222222);
    cr_assert_eq(s.writes, b.p + 40);
    cr_assert_eq(s.writes_length, 0x1200);
    cr_assert_eq(s.record, b.p + 72);
    cr_assert_null(s.target);
    bytes_free(b);
}

Test(rdma_send, writes_as_drawn)
{
    struct rdma_send s;
    struct bytes b = decode_hex("00400805 01 00 00 00 00000000 00000008 00000003 00000000"
                                "8000000b 00400805 00000000 aabbcc",
                                &s);
    cr_assert(s.header.payload == 3 && s.record == b.p + 24 && s.writes_length == 0);
    bytes_free(b);
    b = decode_hex("00400805 01 01 02 00 00000000 00000008 00003000 00000000"
                   "1111111111111000 0000000c 22222222" /* mark and call */
                   "3333333333333000 00001000 44444444" /* reads */
                   "5555555555555000 00002000 66666666",
                   &s);
    cr_assert(s.header.flags == RDMA_LONG && s.header.reads == 2 && s.header.payload == 0x3000);
    cr_assert(s.long_call.address == 0x1111111111111000 && s.long_call.length == 12);
    cr_assert_eq(s.long_call.rkey, 0x22222222);
    cr_assert_eq(s.reads, b.p + 40);
    cr_assert_null(s.record);
    bytes_free(b);
}

Test(rdma_send, others_as_drawn)
{
    struct rdma_send s;
    struct bytes b = decode_hex("00000000 02 00 00 00 00000000 00000006 00000000 00000000"
                                "1111111111111000 00020000 22222222 2f627269636b",
                                &s);
    cr_assert(s.header.kind == RDMA_ATTACH && s.ring.length == 0x20000);
    cr_assert(s.ring.address == 0x1111111111111000 && s.ring.rkey == 0x22222222);
    cr_assert(s.target == b.p + 40 && memcmp(s.target, "/brick", s.header.message) == 0);
    cr_assert_null(s.record);
    bytes_free(b);
    b = decode_hex("00000000 03 00 00 00 ffffffff 00000000 00000000 00000000", &s);
    cr_assert(s.header.kind == RDMA_CREDIT && s.header.callbacks == UINT32_MAX && !s.record);
    bytes_free(b);
    b = decode_hex("00400805 04 00 00 00 00000001 00000000 00000000 00000000", &s);
    cr_assert(s.header.kind == RDMA_CANCEL && s.header.xid == XID && !s.record && !s.target);
    bytes_free(b);
}

static size_t head_bytes(enum rdma_kind kind, int flags, uint8_t reads, uint8_t writes)
{
    const struct rdma_header h = {
        .kind = (uint8_t)kind, .flags = (uint8_t)flags, .reads = reads, .writes = writes};
    return rdma_send_head_bytes(&h);
}

Test(rdma_send, where_the_call_begins)
{
    cr_assert_eq(head_bytes(RDMA_CALL, 0, 0, 0), 28);
    cr_assert_eq(head_bytes(RDMA_CALL, 0, 0, 3), 28 + 3 * 16);
    cr_assert_eq(head_bytes(RDMA_CALL, 0, 255, 0), 28 + 255 * 16);
    cr_assert_eq(head_bytes(RDMA_CALL, RDMA_REPLY, 1, 0), 28 + 2 * 16);
    cr_assert_eq(head_bytes(RDMA_CALL, RDMA_LONG, 1, 0), 24 + 2 * 16);
    cr_assert_eq(head_bytes(RDMA_CALL, RDMA_LONG | RDMA_REPLY, 255, 255), 24 + 512 * 16);
    cr_assert_eq(head_bytes(RDMA_ATTACH, 0, 0, 0), 40);
    cr_assert_eq(head_bytes(RDMA_CREDIT, 0, 0, 0), 24);
    cr_assert_eq(head_bytes(RDMA_CANCEL, 0, 0, 0), 24);
}

static void assert_chunks(const uint8_t *encoded, const struct rdma_chunk *want, unsigned n)
{
    struct rdma_chunk c;
    for (; n--; encoded += RDMA_CHUNK_BYTES, want++) {
        rdma_chunk_decode(encoded, &c);
        cr_assert(c.address == want->address && c.length == want->length && c.rkey == want->rkey);
    }
}

/* As many pieces as a header can tell. */
Test(rdma_send, all_pieces)
{
    struct rdma_send s;
    for (int writes = 0; writes <= 1; writes++) {
        struct draft d = draft(RDMA_CALL);
        uint32_t sum = 0;
        d.h.message = 140;
        *(writes ? &d.h.writes : &d.h.reads) = 255;
        for (unsigned i = 0; i < 255; i++) {
            uint32_t length = 1 + rnd_below(100000);
            (writes ? d.writes : d.reads)[i] = chunk(length);
            sum += length;
        }
        d.h.payload = writes ? 0 : sum;
        struct bytes b = encode(&d);
        cr_assert_eq(rdma_send_decode(b.p, b.n, &s), 0);
        cr_assert_eq(s.writes_length, writes ? sum : 0);
        assert_chunks(writes ? s.writes : s.reads, writes ? d.writes : d.reads, 255);
        cr_assert_eq(s.record + RDMA_MARK_BYTES, b.p + rdma_send_head_bytes(&d.h));
        bytes_free(b);
    }
}

/* ---- length ---------------------------------------------------------------------------------- */

Test(rdma_send, every_other_length_is_refused)
{
    const struct draft drafts[] = {reading(),          writing(),    fetched(),
                                   long_both(),        attaching(9), draft(RDMA_CREDIT),
                                   draft(RDMA_CANCEL), attaching(0)};
    for (size_t i = 0; i < sizeof(drafts) / sizeof(drafts[0]); i++) {
        struct rdma_send s;
        struct draft d = drafts[i];
        struct bytes whole = encode(&d);
        cr_assert_eq(rdma_send_decode(whole.p, whole.n, &s), 0, "%zu", i);
        for (size_t n = 0; n < whole.n; n++) {
            struct bytes b = bytes_copy(whole.p, n);
            cr_assert_eq(rdma_send_decode(b.p, b.n, &s), -EPROTO, "%zu cut to %zu", i, n);
            bytes_free(b);
        }
        for (d.tail = 1; d.tail <= 32; d.tail++)
            assert_bad(d);
        bytes_free(whole);
    }
}

/* Each flag and count announces what has to be there. */
Test(rdma_send, a_piece_is_missing_or_too_many)
{
    const struct draft drafts[] = {reading(), writing(), fetched(), long_both()};
    for (size_t i = 0; i < sizeof(drafts) / sizeof(drafts[0]); i++) {
        struct rdma_send s;
        for (unsigned at = 4; at < 8; at++) {
            for (unsigned v = 0; v < 256; v++) {
                struct bytes b = encode(&drafts[i]);
                bool same = b.p[at] == v;
                b.p[at] = (uint8_t)v;
                int rc = rdma_send_decode(b.p, b.n, &s);
                cr_assert_eq(rc, same ? 0 : -EPROTO, "%zu: %u at %u", i, v, at);
                bytes_free(b);
            }
        }
    }
}

/* ---- header ---------------------------------------------------------------------------------- */

Test(rdma_send, unknown_kinds)
{
    for (unsigned kind = 0; kind < 256; kind++) {
        struct draft d = draft(RDMA_CANCEL);
        d.h.kind = (uint8_t)kind;
        if (kind != RDMA_CALL && kind != RDMA_ATTACH)
            assert_ok(d, kind == RDMA_CREDIT || kind == RDMA_CANCEL);
    }
}

Test(rdma_send, unknown_flags)
{
    for (unsigned bit = 2; bit < 8; bit++) {
        const struct draft drafts[] = {reading(), writing(), fetched(), long_both()};
        for (size_t i = 0; i < sizeof(drafts) / sizeof(drafts[0]); i++) {
            struct draft d = drafts[i];
            assert_good(d);
            d.h.flags |= (uint8_t)(1 << bit);
            assert_bad(d);
        }
    }
}

Test(rdma_send, zero_is_not_looked_at)
{
    const struct draft drafts[] = {reading(), long_both(), attaching(3), draft(RDMA_CREDIT)};
    for (size_t i = 0; i < sizeof(drafts) / sizeof(drafts[0]); i++) {
        struct rdma_send s;
        struct bytes b = encode(&drafts[i]);
        wire_put32(b.p + 20, UINT32_MAX);
        cr_assert_eq(rdma_send_decode(b.p, b.n, &s), 0);
        bytes_free(b);
    }
}

Test(rdma_send, attach_and_bare_kinds_have_nothing_else)
{
    for (unsigned kind = RDMA_ATTACH; kind <= RDMA_CANCEL; kind++) {
        struct draft d = kind == RDMA_ATTACH ? attaching(12) : draft((enum rdma_kind)kind);
        for (unsigned bit = 0; bit < 8; bit++) {
            d.h.flags = (uint8_t)(1 << bit);
            assert_bad(d);
            d.h.flags = 0;
        }
        d.h.reads = 1;
        assert_bad(d);
        d.h.reads = 0;
        d.h.writes = 1;
        assert_bad(d);
        d.h.writes = 0;
        d.h.payload = 1;
        assert_bad(d);
        d.tail = 1; /* there it is */
        assert_bad(d);
        d.tail = 0;
        d.h.payload = 0;
        assert_good(d);
        if (kind != RDMA_ATTACH) {
            d.h.message = 1;
            assert_bad(d);
        }
    }
}

Test(rdma_send, attach)
{
    for (uint32_t name = 0; name <= 1100; name++) {
        struct draft d = attaching(name);
        assert_ok(d, name <= 1024);
    }
    for (unsigned bit = 0; bit < 32; bit++) {
        struct draft d = attaching(12);
        d.h.xid = UINT32_C(1) << bit;
        assert_bad(d);
    }
}

/* ---- record ---------------------------------------------------------------------------------- */

Test(rdma_send, mark_and_xid)
{
    const struct draft drafts[] = {reading(), writing(), fetched()};
    for (size_t i = 0; i < sizeof(drafts) / sizeof(drafts[0]); i++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            struct draft d = drafts[i];
            d.flip = UINT32_C(1) << bit;
            assert_bad(d);
            d = drafts[i];
            d.xid ^= UINT32_C(1) << bit;
            assert_bad(d);
        }
    }
}

/* What a LONG's chunk holds is checked by itself, when it has been fetched. */
Test(rdma_send, fetched_record)
{
    const struct draft d = long_both();
    uint8_t record[RDMA_RECORD_LEAST];
    wire_put32(record, 0x80000000u | (70000 + 5096));
    wire_put32(record + 4, XID);
    cr_assert_eq(rdma_record_check(record, &d.h), 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        record[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(rdma_record_check(record, &d.h), -EPROTO, "%u", bit);
        record[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* A call holds its xid, though payload could make up for it. */
Test(rdma_send, shortest_call)
{
    for (uint32_t message = 0; message < 8; message++) {
        struct draft d = writing();
        d.h.message = message;
        assert_ok(d, message >= 4);
        d = long_both();
        d.h.message = message;
        d.long_call.length = 4 + message;
        assert_ok(d, message >= 4);
    }
}

/* Message and payload fit the mark's 31 bits. */
Test(rdma_send, longest_call)
{
    struct draft d = fetched();
    for (uint32_t over = 0; over < 3; over++) {
        d.h.payload = 0x7fffffff - d.h.message + over;
        d.reads[1].length = d.h.payload - d.reads[0].length;
        assert_ok(d, !over);
    }
    d = draft(RDMA_CALL);
    d.h.flags = RDMA_LONG;
    const uint32_t lengths[] = {0x7fffffff, 0x80000000, 0xfffffff0,
                                0xfffffffb, 0xfffffffc, 0xffffffff};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        d.h.message = lengths[i];
        d.long_call.length = 4 + lengths[i];
        assert_ok(d, !i);
    }
    d = long_both();
    d.h.payload = 0x7fffffff - d.h.message;
    d.reads[0].length = d.h.payload - d.reads[1].length;
    assert_good(d);
    d.h.message++;
    d.long_call.length++;
    assert_bad(d);
    d = long_both();
    d.h.message = 0xffffff00; /* the sum is small modulo 2^32 */
    d.long_call.length = 4 + d.h.message;
    assert_bad(d);
}

/* ---- payload --------------------------------------------------------------------------------- */

Test(rdma_send, reads_add_up)
{
    const struct draft drafts[] = {fetched(), long_both()};
    for (size_t i = 0; i < sizeof(drafts) / sizeof(drafts[0]); i++) {
        struct draft d = drafts[i];
        d.reads[0].length++;
        assert_bad(d);
        d.reads[1].length--;
        assert_good(d);
        d.reads[0].length--;
        assert_bad(d);
        d.h.payload = 0;
        assert_bad(d);
    }
}

/* Not modulo 2^32 either. */
Test(rdma_send, reads_beyond_32_bits)
{
    struct draft d = fetched();
    d.reads[0].length = 0xffffffff;
    d.reads[1].length = d.h.payload + 1;
    assert_bad(d);
}

Test(rdma_send, inline_or_fetched)
{
    struct draft d = fetched();
    d.tail = d.h.payload;
    assert_bad(d);
}

Test(rdma_send, no_payload_with_writes)
{
    struct draft d = reading();
    d.h.payload = 1;
    assert_bad(d);
    d = fetched();
    d.h.writes = 1;
    d.writes[0] = chunk(4096);
    assert_bad(d);
    d.h.flags = RDMA_LONG;
    d.long_call = chunk(4 + d.h.message);
    assert_bad(d);
    d.h.writes = 0;
    assert_good(d);
}

Test(rdma_send, writes_add_up_to_32_bits)
{
    struct rdma_send s;
    struct draft d = reading();
    d.writes[0].length = 0xfffffff0;
    d.writes[1].length = 0xf;
    struct bytes b = encode(&d);
    cr_assert_eq(rdma_send_decode(b.p, b.n, &s), 0);
    cr_assert_eq(s.writes_length, UINT32_MAX);
    bytes_free(b);
    d.writes[1].length++;
    assert_bad(d);
}

Test(rdma_send, long_has_its_own_chunk)
{
    struct draft d = long_both();
    d.long_call.length++;
    assert_bad(d);
    d.long_call.length -= 2;
    assert_bad(d);
    d.long_call.length = 0;
    assert_bad(d);
}

/* Payload of a LONG would have no mark and call before it. */
Test(rdma_send, long_has_no_inline_payload)
{
    struct draft d = long_both();
    d.h.reads = 0;
    assert_bad(d);
    d.tail = d.h.payload;
    assert_bad(d);
    d.tail = 0;
    d.h.payload = 0;
    assert_good(d);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/* Where there is a chunk, one is empty, or goes beyond the last address, or just not. */
static void try_chunk(struct draft *d, struct rdma_chunk *c)
{
    const struct rdma_chunk good = *c;
    cr_assert_eq(try(d), 0);
    c->address = -(uint64_t)good.length - 1;
    cr_assert_eq(try(d), 0);
    c->address++;
    cr_assert_eq(try(d), -EPROTO);
    c->address++;
    cr_assert_eq(try(d), -EPROTO);
    c->address = UINT64_MAX;
    cr_assert_eq(try(d), -EPROTO);
    c->address = 0;
    cr_assert_eq(try(d), 0);
    *c = good;
}

Test(rdma_send, no_chunk_wraps_around)
{
    struct draft d = long_both();
    try_chunk(&d, &d.long_call);
    try_chunk(&d, &d.reply);
    try_chunk(&d, &d.reads[0]);
    try_chunk(&d, &d.reads[1]);
    d = reading();
    try_chunk(&d, &d.writes[0]);
    try_chunk(&d, &d.writes[1]);
    d = attaching(3);
    try_chunk(&d, &d.ring);
}

Test(rdma_send, no_chunk_is_empty)
{
    struct draft d = long_both();
    d.reply.length = 0;
    assert_bad(d);
    d = fetched(); /* adds up all the same */
    d.reads[0].length = d.h.payload;
    d.reads[1].length = 0;
    assert_bad(d);
    d = reading();
    d.writes[1].length = 0;
    assert_bad(d);
    d = attaching(3);
    d.ring.length = 0;
    assert_bad(d);
}
