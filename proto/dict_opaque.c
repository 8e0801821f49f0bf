/* The old encoding, of handshakes and callbacks. */
#include "proto/dict.h"
#include "proto/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The least pair: two lengths, one byte of a key and its NUL. */
#define PAIR_BYTES_MIN 10

/* A value in the old form. */
struct value {
    char number[24];
    const void *bytes; /* in `number`, or the pair's own */
    uint32_t length;
};

static int value_of(const struct dict_pair *pair, struct value *v)
{
    int n = 0;
    switch (pair->type) {
    case DICT_INT:
        n = snprintf(v->number, sizeof(v->number), "%" PRId64, (int64_t)wire_get64(pair->value));
        break;
    case DICT_UINT:
        n = snprintf(v->number, sizeof(v->number), "%" PRIu64, wire_get64(pair->value));
        break;
    case DICT_DOUBLE:
    case DICT_IATT:
    case DICT_MDATA:
        return -EINVAL;
    case DICT_STRING_OLD:
    case DICT_STRING:
    case DICT_BYTES:
    case DICT_GFID:
        break;
    }
    v->bytes = n ? (const void *)v->number : pair->value;
    v->length = n ? (uint32_t)n + 1 : pair->length;
    return 0;
}

ssize_t dict_opaque_size(const struct dict *d)
{
    size_t size = d->count < 0 ? 0 : 4;
    struct value v;
    for (int32_t i = 0; i < d->count; i++) {
        if (value_of(&d->pairs[i], &v) < 0)
            return -EINVAL;
        size += 8 + strlen(d->pairs[i].key) + 1 + v.length;
    }
    return (ssize_t)size;
}

ssize_t dict_opaque_encode(const struct dict *d, uint8_t *out, size_t size)
{
    ssize_t need = dict_opaque_size(d);
    if (need <= 0)
        return need;
    if ((size_t)need > size)
        return -ENOSPC;
    uint8_t *p = out;
    wire_put32(p, (uint32_t)d->count);
    p += 4;
    for (int32_t i = 0; i < d->count; i++) {
        size_t key_length = strlen(d->pairs[i].key);
        struct value v;
        value_of(&d->pairs[i], &v);
        wire_put32(p, (uint32_t)key_length);
        wire_put32(p + 4, v.length);
        memcpy(p + 8, d->pairs[i].key, key_length + 1);
        p += 8 + key_length + 1;
        if (v.length)
            memcpy(p, v.bytes, v.length);
        p += v.length;
    }
    return need;
}

static bool take_pair(struct wire_span *span, struct dict_pair *pair)
{
    uint32_t key_length;
    pair->type = DICT_STRING_OLD;
    if (!wire_take32(span, &key_length) || !wire_take32(span, &pair->length))
        return false;
    pair->key = (const char *)wire_take(span, (size_t)key_length + 1);
    /* its first NUL is the one behind it */
    if (!pair->key || !key_length ||
        memchr(pair->key, '\0', (size_t)key_length + 1) != pair->key + key_length)
        return false;
    pair->value = wire_take(span, pair->length);
    return pair->value;
}

int dict_opaque_decode(struct dict *d, const void *p, size_t length)
{
    struct wire_span span = {p, length};
    uint32_t count;

    dict_free(d);
    if (!length) {
        d->count = -1;
        return 0;
    }
    if (!wire_take32(&span, &count) || count > span.left / PAIR_BYTES_MIN)
        return -EPROTO;
    if (!count)
        return span.left ? -EPROTO : 0;

    size_t left = span.left;
    uint8_t *wire = malloc(left);
    struct dict_pair *pairs = calloc(count, sizeof(*pairs));
    int rc = wire && pairs ? 0 : -ENOMEM;
    if (!rc) {
        memcpy(wire, span.at, left);
        span.at = wire;
        for (uint32_t i = 0; i < count && !rc; i++)
            rc = take_pair(&span, &pairs[i]) ? 0 : -EPROTO;
        if (!rc && span.left)
            rc = -EPROTO;
    }
    if (rc) {
        free(pairs);
        free(wire);
        return rc;
    }
    *d = (struct dict){.count = (int32_t)count, .room = count, .pairs = pairs, .wire = wire};
    return 0;
}
