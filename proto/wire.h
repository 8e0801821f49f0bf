/*
 * Big-endian integers and bounded reading: XDR (RFC 4506) where a stream would be too much.
 *
 * A span is what is left of a message. wire_take() hands out pieces of it and never more than there
 * is, so that a decoder made of it cannot run over the end whatever the lengths in the message say.
 */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Reads 32 bits, big-endian, at any alignment. */
static inline uint32_t wire_get32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap32(v) : v;
}

/** Reads 64 bits, big-endian, at any alignment. */
static inline uint64_t wire_get64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap64(v) : v;
}

/** Writes 32 bits, big-endian, at any alignment. */
static inline void wire_put32(void *p, uint32_t v)
{
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof(v));
}

/** Writes 64 bits, big-endian, at any alignment. */
static inline void wire_put64(void *p, uint64_t v)
{
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
}

/** @p n rounded up to XDR's unit of 4 bytes. For n <= SIZE_MAX - 3. */
static inline size_t wire_pad4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

/** What is left of a message. The memory is somebody else's. */
struct wire_span {
    const uint8_t *at;
    size_t left;
};

/** Takes the next @p n bytes. @return where they are, or NULL (there are fewer; nothing is taken).
 */
static inline const uint8_t *wire_take(struct wire_span *span, size_t n)
{
    if (n > span->left)
        return NULL;
    const uint8_t *p = span->at;
    span->at += n;
    span->left -= n;
    return p;
}

/** Takes 32 bits. @return whether they were there. */
static inline bool wire_take32(struct wire_span *span, uint32_t *v)
{
    const uint8_t *p = wire_take(span, 4);
    if (!p)
        return false;
    *v = wire_get32(p);
    return true;
}

/** Takes 64 bits. @return whether they were there. */
static inline bool wire_take64(struct wire_span *span, uint64_t *v)
{
    const uint8_t *p = wire_take(span, 8);
    if (!p)
        return false;
    *v = wire_get64(p);
    return true;
}

/**
 * Takes a variable-length opaque (RFC 4506 section 4.10) of at most @p max bytes with its padding,
 * whose content does not matter. @return where its bytes are, @p *length of them; NULL (too long,
 * or the message ends before it does).
 */
static inline const uint8_t *wire_take_opaque(struct wire_span *span, uint32_t max,
                                              uint32_t *length)
{
    if (!wire_take32(span, length) || *length > max)
        return NULL;
    return wire_take(span, wire_pad4(*length));
}

#endif
