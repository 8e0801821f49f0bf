/* gfx_dict, the encoding of file operations. */
#include "proto/dict.h"
#include "proto/iatt.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The least pair: length and 4 bytes of a key, type, an empty value's length. */
#define PAIR_BYTES_MIN 16

#define VARIABLE UINT32_MAX

/* Length of a value of that type: fixed, VARIABLE, or 0 (there is no such type). */
static uint32_t type_length(uint32_t type)
{
    switch (type) {
    case DICT_STRING_OLD:
    case DICT_STRING:
    case DICT_BYTES:
        return VARIABLE;
    case DICT_INT:
    case DICT_UINT:
    case DICT_DOUBLE:
        return 8;
    case DICT_GFID:
        return GF_GFID_BYTES;
    case DICT_IATT:
        return IATT_BYTES;
    case DICT_MDATA:
        return DICT_MDATA_BYTES;
    }
    return 0;
}

struct header {
    uint32_t xdr_size;
    int32_t count;
    uint32_t pairs_len;
};

static bool header_ok(const struct header *h)
{
    if (h->count <= 0)
        return h->count >= -1 && !h->pairs_len && !h->xdr_size;
    return h->pairs_len == (uint32_t)h->count && h->xdr_size % 4 == 0 &&
           h->xdr_size <= DICT_PAIRS_MAX && h->pairs_len <= h->xdr_size / PAIR_BYTES_MIN;
}

static bool take_pair(struct wire_span *span, struct dict_pair *pair)
{
    uint32_t key_size, type;
    pair->key = (const char *)wire_take_opaque(span, DICT_PAIRS_MAX, &key_size);
    /* its one NUL is its last byte, and not its first */
    if (!pair->key || key_size < 2 || memchr(pair->key, '\0', key_size) != pair->key + key_size - 1)
        return false;
    if (!wire_take32(span, &type))
        return false;
    pair->type = type;
    pair->length = type_length(type);
    if (pair->length == VARIABLE)
        pair->value = wire_take_opaque(span, DICT_PAIRS_MAX, &pair->length);
    else if (pair->length)
        pair->value = wire_take(span, pair->length);
    return pair->value;
}

/* Makes *d, which is empty, of the pairs in @p wire, which it owns from now on if all is well. */
static int adopt(struct dict *d, const struct header *h, uint8_t *wire)
{
    struct wire_span span = {wire, h->xdr_size};
    struct dict_pair *pairs = calloc(h->pairs_len, sizeof(*pairs));
    if (!pairs)
        return -ENOMEM;
    for (uint32_t i = 0; i < h->pairs_len; i++) {
        if (!take_pair(&span, &pairs[i])) {
            free(pairs);
            return -EPROTO;
        }
    }
    if (span.left) {
        free(pairs);
        return -EPROTO;
    }
    *d = (struct dict){.count = h->count, .room = h->pairs_len, .pairs = pairs, .wire = wire};
    return 0;
}

static struct header header_decode(const uint8_t *p)
{
    return (struct header){wire_get32(p), (int32_t)wire_get32(p + 4), wire_get32(p + 8)};
}

ssize_t dict_wire_length(const uint8_t *p, size_t left)
{
    if (left < DICT_HEADER_BYTES)
        return -EPROTO;
    struct header h = header_decode(p);
    if (!header_ok(&h) || h.xdr_size > left - DICT_HEADER_BYTES)
        return -EPROTO;
    return DICT_HEADER_BYTES + (ssize_t)h.xdr_size;
}

int dict_wire_decode(struct dict *d, const uint8_t *p, size_t length)
{
    dict_free(d);
    ssize_t wire_length = dict_wire_length(p, length);
    if (wire_length < 0 || (size_t)wire_length != length)
        return -EPROTO;
    struct header h = header_decode(p);
    if (h.count <= 0) {
        d->count = h.count;
        return 0;
    }
    uint8_t *wire = malloc(h.xdr_size);
    if (!wire)
        return -ENOMEM;
    memcpy(wire, p + DICT_HEADER_BYTES, h.xdr_size);
    int rc = adopt(d, &h, wire);
    if (rc)
        free(wire);
    return rc;
}

static bool_t xdr_header(XDR *xdrs, struct header *h)
{
    return xdr_u_int(xdrs, &h->xdr_size) && xdr_int(xdrs, &h->count) &&
           xdr_u_int(xdrs, &h->pairs_len);
}

static bool_t decode(XDR *xdrs, struct dict *d)
{
    struct header h;
    dict_free(d);
    if (!xdr_header(xdrs, &h) || !header_ok(&h))
        return FALSE;
    if (h.count <= 0) {
        d->count = h.count;
        return TRUE;
    }
    uint8_t *wire = malloc(h.xdr_size);
    if (wire && xdr_opaque(xdrs, (char *)wire, h.xdr_size) && adopt(d, &h, wire) == 0)
        return TRUE;
    free(wire);
    return FALSE;
}

static size_t pair_size(const struct dict_pair *pair)
{
    size_t value = type_length(pair->type) == VARIABLE ? 4 + wire_pad4(pair->length) : pair->length;
    return 4 + wire_pad4(strlen(pair->key) + 1) + 4 + value;
}

static bool_t encode_pair(XDR *xdrs, const struct dict_pair *pair)
{
    u_int key_size = (u_int)strlen(pair->key) + 1, type = pair->type, length = pair->length;
    if (!xdr_u_int(xdrs, &key_size) || !xdr_opaque(xdrs, (char *)pair->key, key_size) ||
        !xdr_u_int(xdrs, &type))
        return FALSE;
    if (type_length(type) == VARIABLE && !xdr_u_int(xdrs, &length))
        return FALSE;
    return xdr_opaque(xdrs, (char *)pair->value, length);
}

static bool_t encode(XDR *xdrs, const struct dict *d)
{
    size_t size = 0;
    for (int32_t i = 0; i < d->count; i++)
        size += pair_size(&d->pairs[i]);
    struct header h = {(uint32_t)size, d->count, d->count < 0 ? 0 : (uint32_t)d->count};
    if (size > DICT_PAIRS_MAX || !xdr_header(xdrs, &h))
        return FALSE;
    for (int32_t i = 0; i < d->count; i++) {
        if (!encode_pair(xdrs, &d->pairs[i]))
            return FALSE;
    }
    return TRUE;
}

bool_t xdr_dict(XDR *xdrs, struct dict *d)
{
    switch (xdrs->x_op) {
    case XDR_ENCODE:
        return encode(xdrs, d);
    case XDR_DECODE:
        return decode(xdrs, d);
    case XDR_FREE:
        dict_free(d);
        return TRUE;
    }
    return FALSE;
}
