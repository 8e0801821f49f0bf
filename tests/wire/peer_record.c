/*
 * Bytes of replies and of calls of the server's.
 *
 *   | mark | xid | 1 REPLY | 0 accepted | verifier 0, 0 | accept_stat | body ...
 *   0      4     8         12           16              24            28
 */
#include "tests/wire/peer.h"

#include <stdlib.h>
#include <string.h>

#define LAST_FRAGMENT UINT32_C(0x80000000)

static const char pair_key[] = "peer.pair"; /* its NUL is sent too */

void peer_record_free(struct peer_record *r)
{
    free(r->at);
    *r = (struct peer_record){0};
}

static void store(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

void peer_poke(struct peer_record *r, size_t at, uint32_t value)
{
    if (at + 4 > r->length)
        abort();
    store(r->at + at, value);
}

uint32_t peer_peek(const struct peer_record *r, size_t at)
{
    if (at + 4 > r->length)
        abort();
    const uint8_t *p = r->at + at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void peer_resize(struct peer_record *r, size_t length)
{
    if (length > r->room) {
        r->room = length + length / 2 + 256;
        r->at = realloc(r->at, r->room);
        if (!r->at)
            abort();
    }
    if (length > r->length)
        memset(r->at + r->length, 0, length - r->length);
    r->length = length;
}

void peer_insert(struct peer_record *r, size_t at, const void *bytes, size_t n)
{
    size_t behind = r->length - at;
    peer_resize(r, r->length + n);
    memmove(r->at + at + n, r->at + at, behind);
    memcpy(r->at + at, bytes, n);
    for (unsigned i = 0; i < r->nfields; i++)
        if (r->fields[i].at >= at)
            r->fields[i].at += n;
}

void peer_seal(struct peer_record *r)
{
    peer_poke(r, PEER_AT_MARK, LAST_FRAGMENT | (uint32_t)(r->length - 4));
}

void peer_split(struct peer_record *out, const struct peer_record *whole, const size_t *sizes,
                unsigned n)
{
    const uint8_t *from = whole->at + 4;
    size_t left = whole->length - 4;
    for (unsigned i = 0; i < n; i++) {
        if (sizes[i] > left)
            abort();
        peer_put32(out, (uint32_t)sizes[i]);
        peer_put(out, from, sizes[i]);
        from += sizes[i];
        left -= sizes[i];
    }
    peer_put32(out, LAST_FRAGMENT | (uint32_t)left);
    peer_put(out, from, left);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

void peer_put(struct peer_record *r, const void *bytes, size_t n)
{
    size_t at = r->length;
    peer_resize(r, at + n);
    if (n)
        memcpy(r->at + at, bytes, n);
}

void peer_put32(struct peer_record *r, uint32_t value)
{
    uint8_t word[4];
    store(word, value);
    peer_put(r, word, sizeof(word));
}

void peer_put64(struct peer_record *r, uint64_t value)
{
    peer_put32(r, (uint32_t)(value >> 32));
    peer_put32(r, (uint32_t)value);
}

void peer_put_field(struct peer_record *r, const char *name, uint32_t value)
{
    if (r->nfields == PEER_FIELDS)
        abort();
    r->fields[r->nfields++] = (struct peer_field){r->length, name};
    peer_put32(r, value);
}

void peer_put_opaque(struct peer_record *r, const char *name, const void *bytes, size_t n)
{
    static const uint8_t padding[3];
    peer_put_field(r, name, (uint32_t)n);
    peer_put(r, bytes, n);
    peer_put(r, padding, (4 - n % 4) % 4);
}

static size_t padded(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

size_t peer_dict_bytes(size_t value_length)
{
    return value_length ? 4 + padded(sizeof(pair_key)) + 4 + 4 + padded(value_length) : 0;
}

void peer_put_dict(struct peer_record *r, size_t value_length)
{
    enum { TYPE_PTR = 6 };
    peer_put_field(r, "dict xdr_size", (uint32_t)peer_dict_bytes(value_length));
    if (value_length == 0) {
        peer_put_field(r, "dict count", (uint32_t)-1);
        peer_put_field(r, "dict pairs", 0);
        return;
    }
    uint8_t *value = malloc(value_length);
    if (!value)
        abort();
    memset(value, 0xd1, value_length);
    peer_put_field(r, "dict count", 1);
    peer_put_field(r, "dict pairs", 1);
    peer_put_opaque(r, "dict key length", pair_key, sizeof(pair_key));
    peer_put_field(r, "dict value type", TYPE_PTR);
    peer_put_opaque(r, "dict value length", value, value_length);
    free(value);
}

/* ---- whole messages -------------------------------------------------------------------------- */

void peer_begin_reply(struct peer_record *r, uint32_t xid)
{
    peer_put_field(r, "record mark", 0);
    peer_put32(r, xid);
    peer_put32(r, 1);
    peer_put32(r, 0);
    peer_put32(r, 0);
    peer_put_field(r, "verifier length", 0);
    peer_put32(r, 0);
}

void peer_make_read(struct peer_record *r, uint32_t xid, int32_t op_ret, int32_t op_errno,
                    const void *payload, size_t length, size_t dict_value_length)
{
    static const uint8_t iatt[148];
    peer_begin_reply(r, xid);
    peer_put_field(r, "op_ret", (uint32_t)op_ret);
    peer_put32(r, (uint32_t)op_errno);
    peer_put(r, iatt, sizeof(iatt));
    peer_put_field(r, "size", op_ret < 0 ? 0 : (uint32_t)op_ret);
    peer_put_dict(r, dict_value_length);
    peer_put(r, payload, length);
    peer_seal(r);
}

/* The opaque dict of the handshake: count, then | key length | value length | key NUL | value |,
 * unpadded (dict.c:dict_serialize_lk). */
static void put_pair(struct peer_record *r, const char *key, const char *value)
{
    peer_put_field(r, "opaque dict key length", (uint32_t)strlen(key));
    peer_put_field(r, "opaque dict value length", (uint32_t)strlen(value) + 1);
    peer_put(r, key, strlen(key) + 1);
    peer_put(r, value, strlen(value) + 1);
}

void peer_make_setvolume(struct peer_record *r, uint32_t xid, int32_t op_ret, int32_t op_errno,
                         const char *text)
{
    static const uint8_t padding[3];
    peer_begin_reply(r, xid);
    peer_put32(r, (uint32_t)op_ret);
    peer_put32(r, (uint32_t)op_errno);
    size_t length_at = r->length;
    peer_put_field(r, "opaque dict bytes", 0);
    peer_put_field(r, "opaque dict count", 4);
    put_pair(r, "ERROR", text);
    put_pair(r, "process-uuid", "peer");
    put_pair(r, "child_up", "1");
    put_pair(r, "clnt-lk-version", "0");
    size_t length = r->length - length_at - 4;
    peer_poke(r, length_at, (uint32_t)length);
    peer_put(r, padding, (4 - length % 4) % 4);
    peer_seal(r);
}

void peer_make_refusal(struct peer_record *r, uint32_t xid, uint32_t accept_stat)
{
    peer_begin_reply(r, xid);
    peer_poke(r, PEER_AT_ACCEPT_STAT, accept_stat);
    if (accept_stat == 2) {
        peer_put32(r, 330);
        peer_put32(r, 330);
    }
    peer_seal(r);
}

void peer_make_denial(struct peer_record *r, uint32_t xid, uint32_t reject_stat)
{
    peer_put_field(r, "record mark", 0);
    peer_put32(r, xid);
    peer_put32(r, 1);
    peer_put32(r, 1);
    peer_put32(r, reject_stat);
    if (reject_stat == 0) { /* RPC versions 2 to 2 */
        peer_put32(r, 2);
        peer_put32(r, 2);
    } else {
        peer_put32(r, 1); /* AUTH_BADCRED */
    }
    peer_seal(r);
}

/* ---- calls of the server's ------------------------------------------------------------------- */

static const char gfid_text[] = "7a6bf34e-5b02-4419-b666-af1c2d00b3cc";

static void put_text(struct peer_record *r, const char *name, const char *text)
{
    peer_put_opaque(r, name, text, strlen(text));
}

/* glusterfs3-xdr.x: gfs3_cbk_cache_invalidation_req; the attributes are three gf_iatt of 100 bytes,
 * with the three kinds of gfid, flags and expiry before them. */
static void put_invalidation(struct peer_record *r)
{
    static const uint8_t iatts[3 * 100];
    put_text(r, "gfid", gfid_text);
    peer_put32(r, 1);
    peer_put32(r, 0x18);
    peer_put32(r, 0);
    peer_put(r, iatts, sizeof(iatts));
    peer_put_opaque(r, "xdata", "", 0);
}

static void put_inodelk(struct peer_record *r)
{
    put_text(r, "gfid", gfid_text);
    peer_put32(r, 1);
    peer_put32(r, 0);
    peer_put64(r, 0);
    peer_put64(r, 0);
    peer_put32(r, 1);
    peer_put_opaque(r, "lk_owner", "owner123", 8);
    peer_put32(r, 1);
    put_text(r, "domain", "peer-domain");
    peer_put_opaque(r, "xdata", "", 0);
}

static void put_entrylk(struct peer_record *r)
{
    put_text(r, "gfid", gfid_text);
    peer_put32(r, 1);
    peer_put32(r, 1);
    put_text(r, "name", "some-name");
    put_text(r, "domain", "peer-domain");
    peer_put_opaque(r, "xdata", "", 0);
}

static void put_lease(struct peer_record *r)
{
    static const uint8_t id[16];
    put_text(r, "gfid", gfid_text);
    peer_put32(r, 1);
    peer_put(r, id, sizeof(id));
    peer_put_opaque(r, "xdata", "", 0);
}

void peer_make_callback(struct peer_record *r, uint32_t xid, uint32_t proc)
{
    peer_put_field(r, "record mark", 0);
    peer_put32(r, xid);
    peer_put32(r, 0);
    peer_put32(r, 2);
    peer_put32(r, PEER_PROG_CALLBACK);
    peer_put32(r, 1);
    peer_put32(r, proc);
    peer_put32(r, 0);
    peer_put_field(r, "credential length", 0);
    peer_put32(r, 0);
    peer_put_field(r, "verifier length", 0);
    switch (proc) {
    case 3: /* EVENT_NOTIFY */
        peer_put32(r, 1);
        peer_put_opaque(r, "dict", "", 0);
        break;
    case 5: /* CACHE_INVALIDATION */
        put_invalidation(r);
        break;
    case 8: /* RECALL_LEASE */
        put_lease(r);
        break;
    case 10: /* INODELK_CONTENTION */
        put_inodelk(r);
        break;
    case 11: /* ENTRYLK_CONTENTION */
        put_entrylk(r);
        break;
    default: /* FETCHSPEC, INO_FLUSH, GET_SNAPS, CHILD_UP, CHILD_DOWN, STATEDUMP: no body */
        break;
    }
    peer_seal(r);
}
