/* What libgzc and the RDMA gateway say to each other, against the tables of docs/rdma-wire.md. */
#include "proto/rdma_wire.h"
#include "proto_bytes.h"

#include <errno.h>
#include <stdbool.h>

/* ---- private data ---------------------------------------------------------------------------- */

/* Private data of a kind, as it should be, and what decodes it. An acceptance answers a request of
 * 512 credits. */
struct private_kind {
    const char *name, *hex;
    size_t bytes;
    int (*decode)(const uint8_t *in, size_t length);
};

static int decode_request(const uint8_t *in, size_t length)
{
    struct rdma_request r;
    return rdma_request_decode(in, length, &r);
}

static int decode_accept(const uint8_t *in, size_t length)
{
    struct rdma_accept a;
    return rdma_accept_decode(in, length, 512, &a);
}

static int decode_reject(const uint8_t *in, size_t length)
{
    struct rdma_reject r;
    return rdma_reject_decode(in, length, &r);
}

enum { REQUEST, ACCEPT, REJECT, PRIVATE_KINDS };

static const struct private_kind kinds[PRIVATE_KINDS] = {
    {"request", "475a5244 14 02 03 00 0200 0010 00000400 00000000", 20, decode_request},
    {"accept", "475a5244 1c 01 0000 0100 0020 00001000 00100000 00020000 00000000", 28,
     decode_accept},
    {"reject", "475a5244 08 01 02 03", 8, decode_reject},
};

Test(rdma_private, request_bytes)
{
    const struct rdma_request want = {2, 3, 512, 16, 1024};
    uint8_t out[RDMA_REQUEST_BYTES];
    struct bytes b = bytes_hex(kinds[REQUEST].hex);
    rdma_request_encode(out, &want);
    assert_bytes(b, out, sizeof(out));
    struct rdma_request got;
    cr_assert_eq(rdma_request_decode(b.p, b.n, &got), 0);
    cr_assert(got.version_min == 2 && got.version_max == 3 && got.credits == 512);
    cr_assert(got.callbacks == 16 && got.slot == 1024);
    bytes_free(b);
}

Test(rdma_private, accept_bytes)
{
    const struct rdma_accept want = {1, 256, 32, 4096, 1 << 20, 1 << 17};
    uint8_t out[RDMA_ACCEPT_BYTES];
    struct bytes b = bytes_hex(kinds[ACCEPT].hex);
    rdma_accept_encode(out, &want);
    assert_bytes(b, out, sizeof(out));
    struct rdma_accept got;
    cr_assert_eq(rdma_accept_decode(b.p, b.n, 256, &got), 0);
    cr_assert(got.version == 1 && got.credits == 256 && got.pieces == 32);
    cr_assert(got.inline_bytes == 4096 && got.payload == 1 << 20 && got.message == 1 << 17);
    bytes_free(b);
}

Test(rdma_private, reject_bytes)
{
    const struct rdma_reject want = {1, 2, RDMA_REJECT_NOT_ALLOWED};
    uint8_t out[RDMA_REJECT_BYTES];
    struct bytes b = bytes_hex(kinds[REJECT].hex);
    rdma_reject_encode(out, &want);
    assert_bytes(b, out, sizeof(out));
    struct rdma_reject got;
    cr_assert_eq(rdma_reject_decode(b.p, b.n, &got), 0);
    cr_assert(got.version_min == 1 && got.version_max == 2 && got.reason == 3);
    bytes_free(b);
}

/* What is behind the structure does not matter: padding, or what a later version has there. */
Test(rdma_private, longer_and_padded)
{
    for (const struct private_kind *k = kinds; k < kinds + PRIVATE_KINDS; k++) {
        struct bytes b = bytes_hex(k->hex);
        uint8_t wide[196];
        memset(wide, 0xff, sizeof(wide));
        memcpy(wide, b.p, b.n);
        for (size_t n = b.n; n <= sizeof(wide); n++) {
            wide[4] = (uint8_t)b.n;
            cr_assert_eq(k->decode(wide, n), 0, "%s padded to %zu", k->name, n);
            wide[4] = (uint8_t)n;
            cr_assert_eq(k->decode(wide, n), 0, "%s of %zu bytes", k->name, n);
        }
        bytes_free(b);
    }
}

Test(rdma_private, truncated)
{
    for (const struct private_kind *k = kinds; k < kinds + PRIVATE_KINDS; k++) {
        struct bytes whole = bytes_hex(k->hex);
        cr_assert_eq(whole.n, k->bytes);
        cr_assert_eq(k->decode(whole.p, whole.n), 0);
        for (size_t n = 0; n < whole.n; n++) {
            struct bytes b = bytes_copy(whole.p, n);
            cr_assert_eq(k->decode(b.p, b.n), -EPROTO, "%s cut to %zu", k->name, n);
            if (n > 4) { /* even if it says so itself */
                b.p[4] = (uint8_t)n;
                cr_assert_eq(k->decode(b.p, b.n), -EPROTO, "short %s of %zu", k->name, n);
            }
            bytes_free(b);
        }
        bytes_free(whole);
    }
}

Test(rdma_private, length_and_magic)
{
    for (const struct private_kind *k = kinds; k < kinds + PRIVATE_KINDS; k++) {
        struct bytes b = bytes_hex(k->hex);
        for (unsigned n = 0; n < 256; n++) {
            b.p[4] = (uint8_t)n;
            cr_assert_eq(k->decode(b.p, b.n), n == b.n ? 0 : -EPROTO, "%s says %u", k->name, n);
        }
        b.p[4] = (uint8_t)b.n;
        for (unsigned bit = 0; bit < 32; bit++) {
            b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            cr_assert_eq(k->decode(b.p, b.n), -EPROTO, "%s, bit %u", k->name, bit);
            b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        bytes_free(b);
    }
}

/* Writes v at p in @p width bytes. */
static void put(uint8_t *p, unsigned width, uint32_t v)
{
    while (width--) {
        p[width] = (uint8_t)v;
        v >>= 8;
    }
}

/* Else a callback's slot would not follow from its number where the numbers begin anew. */
Test(rdma_private, callbacks_are_a_power_of_two)
{
    struct bytes b = bytes_hex(kinds[REQUEST].hex);
    for (unsigned n = 1; n <= 64; n++) {
        b.p[11] = (uint8_t)n;
        bool power = n == 1 || n == 2 || n == 4 || n == 8 || n == 16 || n == 32 || n == 64;
        cr_assert_eq(decode_request(b.p, b.n), power ? 0 : -EPROTO, "%u", n);
    }
    bytes_free(b);
}

Test(rdma_private, bounds)
{
    static const struct {
        int kind;
        unsigned at, width;
        uint32_t least, most;
    } fields[] = {
        {REQUEST, 5, 1, 0, 3}, /* versions: 2 to 3 */
        {REQUEST, 6, 1, 2, 255},
        {REQUEST, 8, 2, 1, 1023},
        {REQUEST, 10, 2, 1, 64},
        {REQUEST, 12, 4, 512, 65536},
        {ACCEPT, 5, 1, 0, 255},
        {ACCEPT, 8, 2, 1, 512},
        {ACCEPT, 10, 2, 1, 255},
        {ACCEPT, 12, 4, 1024, 65536},
        {ACCEPT, 16, 4, 65536, 64 << 20},
        {ACCEPT, 20, 4, 65536, 64 << 20},
        {REJECT, 5, 1, 0, 2}, /* versions: 1 to 2 */
        {REJECT, 6, 1, 1, 255},
        {REJECT, 7, 1, 0, 255}, /* an unknown reason is one */
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const struct private_kind *k = &kinds[fields[i].kind];
        uint32_t top = UINT32_MAX >> (32 - 8 * fields[i].width);
        uint32_t step = k->decode == decode_request && fields[i].at == 12 ? 64 : 1;
        const struct {
            uint32_t v;
            int want;
        } tries[] = {
            {fields[i].least, 0},
            {fields[i].most, 0},
            {fields[i].least - step, fields[i].least ? -EPROTO : 0},
            {fields[i].most + step, fields[i].most < top ? -EPROTO : 0},
            {0, fields[i].least ? -EPROTO : 0},
            {top, fields[i].most < top ? -EPROTO : 0},
        };
        for (size_t t = 0; t < sizeof(tries) / sizeof(tries[0]); t++) {
            struct bytes b = bytes_hex(k->hex);
            if (tries[t].v <= top) {
                put(b.p + fields[i].at, fields[i].width, tries[t].v);
                cr_assert_eq(k->decode(b.p, b.n), tries[t].want, "%s, at %u: %u", k->name,
                             fields[i].at, tries[t].v);
            }
            bytes_free(b);
        }
    }
}

Test(rdma_private, slot_is_a_multiple)
{
    struct bytes b = bytes_hex(kinds[REQUEST].hex);
    for (uint32_t slot = 512; slot <= 65536; slot++) {
        wire_put32(b.p + 12, slot);
        cr_assert_eq(decode_request(b.p, b.n), slot % 64 ? -EPROTO : 0, "%u", slot);
    }
    bytes_free(b);
}

Test(rdma_private, zero_fields)
{
    static const struct {
        int kind;
        unsigned at, width;
    } fields[] = {{REQUEST, 7, 1}, {REQUEST, 16, 4}, {ACCEPT, 6, 2}, {ACCEPT, 24, 4}};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const struct private_kind *k = &kinds[fields[i].kind];
        struct bytes b = bytes_hex(k->hex);
        put(b.p + fields[i].at, fields[i].width, UINT32_MAX);
        cr_assert_eq(k->decode(b.p, b.n), 0);
        bytes_free(b);
    }
}

Test(rdma_private, every_reason_has_a_text)
{
    for (unsigned i = 0; i < 256; i++) {
        const char *text = rdma_reject_text((uint8_t)i);
        cr_assert(text && *text);
        for (unsigned k = RDMA_REJECT_MALFORMED; k <= RDMA_REJECT_ENDING; k++)
            cr_assert((k == i) == (strcmp(text, rdma_reject_text((uint8_t)k)) == 0), "%u %u", i, k);
    }
}

/* ---- from the gateway ------------------------------------------------------------------------ */

#define SLOT "00400805 03 06 0000 00000030 00000007"

Test(rdma_slot, bytes)
{
    struct rdma_slot_head s = {0x400805, RDMA_SLOT_ERROR, RDMA_ERROR_NO_MEMORY, 48, 7};
    uint8_t out[RDMA_SLOT_HEAD_BYTES];
    struct bytes b = bytes_hex(SLOT);
    rdma_slot_encode(out, &s);
    assert_bytes(b, out, sizeof(out));
    memset(&s, 0xff, sizeof(s));
    memset(b.p + 6, 0xff, 2);
    cr_assert_eq(rdma_slot_decode(b.p, 512, &s), 0);
    cr_assert(s.xid == 0x400805 && s.kind == 3 && s.code == 6 && s.message == 48 && s.payload == 7);
    bytes_free(b);
}

static int decode_slot(size_t slot, struct rdma_slot_head s)
{
    uint8_t head[RDMA_SLOT_HEAD_BYTES];
    struct rdma_slot_head got;
    rdma_slot_encode(head, &s);
    return rdma_slot_decode(head, slot, &got);
}

Test(rdma_slot, kinds_and_codes)
{
    for (unsigned kind = 0; kind < 256; kind++) {
        for (unsigned code = 0; code < 256; code++) {
            struct rdma_slot_head s = {
                .xid = kind == 4 ? 2047 : 2046, .kind = (uint8_t)kind, .code = (uint8_t)code};
            bool ok = kind == 3 ? code >= 1 && code <= 6 : kind >= 1 && kind <= 4 && !code;
            cr_assert_eq(decode_slot(512, s), ok ? 0 : -EPROTO, "kind %u, code %u", kind, code);
        }
    }
}

/* A callback's immediate has 1023 for a slot, and no reply's has. */
Test(rdma_slot, callbacks_xid)
{
    for (uint32_t xid = 0; xid < 4096; xid++) {
        for (uint8_t kind = RDMA_SLOT_REPLY; kind <= RDMA_SLOT_CALLBACK; kind++) {
            struct rdma_slot_head s = {
                .xid = xid, .kind = kind, .code = kind == RDMA_SLOT_ERROR ? 1 : 0};
            bool ok = (kind == RDMA_SLOT_CALLBACK) == (xid % 1024 == 1023);
            cr_assert_eq(decode_slot(512, s), ok ? 0 : -EPROTO, "xid %u, kind %u", xid, kind);
        }
    }
}

Test(rdma_slot, message_fits)
{
    for (uint8_t kind = RDMA_SLOT_REPLY; kind <= RDMA_SLOT_CALLBACK; kind++) {
        static const size_t slots[] = {0, 15, 16, 17, 512, 576, 65536};
        struct rdma_slot_head s = {
            .xid = kind == RDMA_SLOT_CALLBACK ? 1023 : 0,
            .kind = kind,
            .code = kind == RDMA_SLOT_ERROR ? RDMA_ERROR_TOO_LONG : 0,
            .payload = UINT32_MAX, /* the caller's to compare with what was asked for */
        };
        for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
            uint32_t room = slots[i] < 16 ? 0 : (uint32_t)slots[i] - 16;
            const uint32_t tries[] = {0, room, room + 1, room + 16, UINT32_MAX};
            for (size_t t = 0; t < sizeof(tries) / sizeof(tries[0]); t++) {
                bool ok = kind == RDMA_SLOT_LONG || (slots[i] >= 16 && tries[t] <= room);
                s.message = tries[t];
                cr_assert_eq(decode_slot(slots[i], s), ok ? 0 : -EPROTO, "kind %u, %u in %zu", kind,
                             s.message, slots[i]);
            }
        }
    }
}
