/*
 * Dictionaries: lists of key and value that go with nearly every call.
 *
 * The protocol has two encodings. One struct serves both; a value is kept as it stands on the wire.
 *
 * gfx_dict (glusterfs4-xdr.x, glusterfs3.h:dict_to_xdr), in file operations, XDR:
 *
 *   xdr_size | count | count | { key<> (NUL included) | type | value } ...
 *
 *   xdr_size: bytes of the pairs. count -1: no dictionary at all, which is not an empty one.
 *
 * The old form (dict.c:dict_serialize_lk), in handshakes and callbacks, inside an XDR opaque:
 *
 *   count | { key length (without NUL) | value length | key | NUL | value } ...
 *
 *   without padding and without types: integers are ASCII decimal, strings and these with a NUL.
 *
 * A zeroed struct is an empty dictionary. Not thread safe: one thread at a time.
 */
#ifndef PROTO_DICT_H
#define PROTO_DICT_H

#include "proto/gfid.h"

#include <rpc/types.h>
#include <rpc/xdr.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* Words of gfx_dict before the pairs. */
#define DICT_HEADER_BYTES 12
/* Most bytes of pairs that are sent or taken. */
#define DICT_PAIRS_MAX (16u << 20)

/* Numbers of the wire (dict.h: gf_dict_data_type_t). */
enum dict_type {
    DICT_STRING_OLD = 1, /* bytes; every value of the old form becomes this */
    DICT_INT = 2,        /* 8 bytes, big-endian */
    DICT_UINT = 3,       /* 8 bytes, big-endian */
    DICT_DOUBLE = 4,     /* 8 bytes, IEEE 754 big-endian */
    DICT_STRING = 5,     /* bytes, NUL included */
    DICT_BYTES = 6,
    DICT_GFID = 7,  /* 16 bytes */
    DICT_IATT = 8,  /* 148 bytes: iatt_decode() */
    DICT_MDATA = 9, /* DICT_MDATA_BYTES: seconds, then nanoseconds, of atime, mtime, ctime */
};

/** A pair. All memory belongs to the dictionary. */
struct dict_pair {
    const char *key; /* NUL-terminated */
    const uint8_t *value;
    uint32_t length; /* of the value */
    enum dict_type type;
    void *memory; /* of this pair alone; NULL: it lies in dict.wire */
};

struct dict {
    int32_t count; /* -1: no dictionary */
    uint32_t room; /* pairs allocated */
    struct dict_pair *pairs;
    uint8_t *wire; /* the bytes that a decoder has made the pairs of */
};

#define DICT_MDATA_BYTES 36
/** An inode's times (glusterfs4-xdr.x: gfx_mdata_iatt). */
struct mdata {
    struct timespec atime, mtime, ctime;
};

#define DICT_NULL                                                                                  \
    {                                                                                              \
        .count = -1                                                                                \
    }

/** Makes an empty dictionary. */
void dict_init(struct dict *d);
/** Frees what the dictionary holds; it is empty then. */
void dict_free(struct dict *d);

/*
 * Setters replace the value of a key that is there. Key and value are copied. They make a
 * dictionary of none (count -1).
 * @return 0, -EINVAL (empty key, or pair larger than DICT_PAIRS_MAX), -ENOMEM; the dictionary is
 *         as before then.
 */
int dict_set_int(struct dict *d, const char *key, int64_t value);
int dict_set_uint(struct dict *d, const char *key, uint64_t value);
/** The NUL goes with the string. */
int dict_set_string(struct dict *d, const char *key, const char *value);
int dict_set_bytes(struct dict *d, const char *key, const void *value, size_t length);
int dict_set_gfid(struct dict *d, const char *key, const uint8_t gfid[GF_GFID_BYTES]);
int dict_set_mdata(struct dict *d, const char *key, const struct mdata *value);

/** The first pair with that key, or NULL. Valid until the dictionary changes. */
const struct dict_pair *dict_find(const struct dict *d, const char *key);

/**
 * An integer: DICT_INT, DICT_UINT, or ASCII decimal with or without a NUL behind it.
 * @return 0, -ENOENT (no such key), -EINVAL (not an integer), -ERANGE (one that does not fit);
 *         *value is set only with 0.
 */
int dict_get_int(const struct dict *d, const char *key, int64_t *value);
/** As dict_get_int(); -ERANGE for a negative one. */
int dict_get_uint(const struct dict *d, const char *key, uint64_t *value);
/** A string: NULL if there is no such key or its last byte is not a NUL. Valid until the dictionary
 *  changes. */
const char *dict_get_string(const struct dict *d, const char *key);
/** A value of variable length, @p *length bytes; NULL if there is no such key or it has another
 *  type. Valid until the dictionary changes. */
const uint8_t *dict_get_bytes(const struct dict *d, const char *key, size_t *length);
/** A gfid: DICT_GFID, or 16 bytes of DICT_BYTES as a brick sends trusted.gfid; else NULL. */
const uint8_t *dict_get_gfid(const struct dict *d, const char *key);

/**
 * Codec of gfx_dict for rpcgen's code. Decodes into a zeroed or initialised dictionary; it must be
 * freed (dict_free(), xdr_free()) afterwards, and is empty after a failure. What stays allocated is
 * at most 3 times the message's bytes; for a moment it may be DICT_PAIRS_MAX.
 * @return TRUE; FALSE: no memory, the message ends too early, or what it says is inconsistent.
 */
bool_t xdr_dict(XDR *xdrs, struct dict *d);

/**
 * Measures the gfx_dict that begins at @p p, header included, without looking into its pairs.
 * @return its length, a multiple of 4 and at most @p left; -EPROTO.
 */
ssize_t dict_wire_length(const uint8_t *p, size_t left);
/**
 * Decodes a gfx_dict of exactly @p length bytes, header included. @p d as with xdr_dict().
 * @return 0, -EPROTO, -ENOMEM.
 */
int dict_wire_decode(struct dict *d, const uint8_t *p, size_t length);

/**
 * Bytes that the old form takes; 0 for none (count -1).
 * @return that, or -EINVAL (a value of a type that the old form does not have: DICT_DOUBLE,
 *         DICT_IATT, DICT_MDATA).
 */
ssize_t dict_opaque_size(const struct dict *d);
/** Encodes the old form; integers become text. @return bytes written, -EINVAL as above, -ENOSPC (@p
 * size too small). */
ssize_t dict_opaque_encode(const struct dict *d, uint8_t *out, size_t size);
/**
 * Decodes the old form; 0 bytes are no dictionary (count -1). The bytes are copied. @p d as with
 * xdr_dict(); what stays allocated is at most 5 times @p length.
 * @return 0, -EPROTO, -ENOMEM.
 */
int dict_opaque_decode(struct dict *d, const void *p, size_t length);

#endif
