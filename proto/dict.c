#include "proto/dict.h"

#include "proto/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void dict_init(struct dict *d)
{
    *d = (struct dict){0};
}

void dict_free(struct dict *d)
{
    for (int32_t i = 0; i < d->count; i++)
        free(d->pairs[i].memory);
    free(d->pairs);
    free(d->wire);
    dict_init(d);
}

const struct dict_pair *dict_find(const struct dict *d, const char *key)
{
    for (int32_t i = 0; i < d->count; i++) {
        if (strcmp(d->pairs[i].key, key) == 0)
            return &d->pairs[i];
    }
    return NULL;
}

/* A pair that is not used yet, behind the others; NULL: no memory. */
static struct dict_pair *pair_after_last(struct dict *d)
{
    uint32_t count = d->count < 0 ? 0 : (uint32_t)d->count;
    if (count == d->room) {
        uint32_t room = count < 8 ? 8 : 2 * count;
        struct dict_pair *pairs = reallocarray(d->pairs, room, sizeof(*pairs));
        if (!pairs)
            return NULL;
        d->pairs = pairs;
        d->room = room;
    }
    d->pairs[count] = (struct dict_pair){0};
    return &d->pairs[count];
}

static int set(struct dict *d, const char *key, enum dict_type type, const void *value,
               size_t length)
{
    size_t key_size = strlen(key) + 1;
    if (key_size == 1 || key_size > DICT_PAIRS_MAX || length > DICT_PAIRS_MAX - key_size)
        return -EINVAL;
    uint8_t *memory = malloc(length + key_size);
    if (!memory)
        return -ENOMEM;
    if (length)
        memcpy(memory, value, length);
    memcpy(memory + length, key, key_size);

    struct dict_pair *pair = (struct dict_pair *)dict_find(d, key);
    if (pair) {
        free(pair->memory);
    } else {
        pair = pair_after_last(d);
        if (!pair) {
            free(memory);
            return -ENOMEM;
        }
        d->count = d->count < 0 ? 1 : d->count + 1;
    }
    *pair = (struct dict_pair){
        .key = (const char *)memory + length,
        .value = memory,
        .length = (uint32_t)length,
        .type = type,
        .memory = memory,
    };
    return 0;
}

int dict_set_int(struct dict *d, const char *key, int64_t value)
{
    uint8_t raw[8];
    wire_put64(raw, (uint64_t)value);
    return set(d, key, DICT_INT, raw, sizeof(raw));
}

int dict_set_uint(struct dict *d, const char *key, uint64_t value)
{
    uint8_t raw[8];
    wire_put64(raw, value);
    return set(d, key, DICT_UINT, raw, sizeof(raw));
}

int dict_set_string(struct dict *d, const char *key, const char *value)
{
    return set(d, key, DICT_STRING, value, strlen(value) + 1);
}

int dict_set_bytes(struct dict *d, const char *key, const void *value, size_t length)
{
    return set(d, key, DICT_BYTES, value, length);
}

int dict_set_gfid(struct dict *d, const char *key, const uint8_t gfid[GF_GFID_BYTES])
{
    return set(d, key, DICT_GFID, gfid, GF_GFID_BYTES);
}

int dict_set_mdata(struct dict *d, const char *key, const struct mdata *value)
{
    uint8_t wire[DICT_MDATA_BYTES];
    wire_put64(wire, (uint64_t)value->atime.tv_sec);
    wire_put64(wire + 8, (uint64_t)value->mtime.tv_sec);
    wire_put64(wire + 16, (uint64_t)value->ctime.tv_sec);
    wire_put32(wire + 24, (uint32_t)value->atime.tv_nsec);
    wire_put32(wire + 28, (uint32_t)value->mtime.tv_nsec);
    wire_put32(wire + 32, (uint32_t)value->ctime.tv_nsec);
    return set(d, key, DICT_MDATA, wire, sizeof(wire));
}

static bool is_variable(const struct dict_pair *pair)
{
    return pair->type == DICT_BYTES || pair->type == DICT_STRING || pair->type == DICT_STRING_OLD;
}

struct number {
    bool negative;
    uint64_t magnitude;
};

/* [-]digits, perhaps with a NUL behind. */
static int parse_decimal(const uint8_t *text, size_t length, struct number *n)
{
    *n = (struct number){0};
    if (length && !text[length - 1])
        length--;
    if (length && *text == '-') {
        n->negative = true;
        text++;
        length--;
    }
    if (!length)
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
    }
    for (size_t i = 0; i < length; i++) {
        if (__builtin_mul_overflow(n->magnitude, 10, &n->magnitude) ||
            __builtin_add_overflow(n->magnitude, text[i] - '0', &n->magnitude))
            return -ERANGE;
    }
    return 0;
}

static int get_number(const struct dict *d, const char *key, struct number *n)
{
    const struct dict_pair *pair = dict_find(d, key);
    if (!pair)
        return -ENOENT;
    if (is_variable(pair))
        return parse_decimal(pair->value, pair->length, n);
    if (pair->type != DICT_INT && pair->type != DICT_UINT)
        return -EINVAL;
    uint64_t v = wire_get64(pair->value);
    n->negative = pair->type == DICT_INT && (int64_t)v < 0;
    n->magnitude = n->negative ? -v : v;
    return 0;
}

int dict_get_int(const struct dict *d, const char *key, int64_t *value)
{
    struct number n;
    int rc = get_number(d, key, &n);
    if (rc)
        return rc;
    if (n.magnitude > (uint64_t)INT64_MAX + n.negative)
        return -ERANGE;
    *value = (int64_t)(n.negative ? -n.magnitude : n.magnitude);
    return 0;
}

int dict_get_uint(const struct dict *d, const char *key, uint64_t *value)
{
    struct number n;
    int rc = get_number(d, key, &n);
    if (rc)
        return rc;
    if (n.negative && n.magnitude)
        return -ERANGE;
    *value = n.magnitude;
    return 0;
}

const uint8_t *dict_get_bytes(const struct dict *d, const char *key, size_t *length)
{
    const struct dict_pair *pair = dict_find(d, key);
    if (!pair || !is_variable(pair))
        return NULL;
    *length = pair->length;
    return pair->value;
}

const char *dict_get_string(const struct dict *d, const char *key)
{
    size_t length;
    const uint8_t *bytes = dict_get_bytes(d, key, &length);
    return bytes && length && !bytes[length - 1] ? (const char *)bytes : NULL;
}

const uint8_t *dict_get_gfid(const struct dict *d, const char *key)
{
    const struct dict_pair *pair = dict_find(d, key);
    if (!pair || pair->length != GF_GFID_BYTES)
        return NULL;
    return pair->type == DICT_GFID || pair->type == DICT_BYTES ? pair->value : NULL;
}
