/*
 * Messages for the tests of proto/: made of hexadecimal text, of random values, and cut short. Each
 * lies in memory of exactly its length, so that AddressSanitizer sees a read beyond its end.
 */
#ifndef TEST_PROTO_BYTES_H
#define TEST_PROTO_BYTES_H

#include "proto/wire.h"

#include <criterion/criterion.h>
#include <rpc/types.h>
#include <rpc/xdr.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    uint8_t *p;
    size_t n;
};

static inline struct bytes bytes_copy(const void *p, size_t n)
{
    struct bytes b = {malloc(n), n};
    cr_assert_not_null(b.p);
    if (n)
        memcpy(b.p, p, n);
    return b;
}

/* Of hexadecimal digits; spaces are skipped. */
static inline struct bytes bytes_hex(const char *text)
{
    size_t n = 0;
    uint8_t *p = malloc(strlen(text) / 2 + 1);
    cr_assert_not_null(p);
    while (*text) {
        if (*text == ' ') {
            text++;
            continue;
        }
        char pair[3] = {text[0], text[1], 0};
        char *end;
        p[n++] = (uint8_t)strtoul(pair, &end, 16);
        cr_assert(end == pair + 2, "bad digits \"%s\"", pair);
        text += 2;
    }
    struct bytes b = bytes_copy(p, n);
    free(p);
    return b;
}

static inline void bytes_free(struct bytes b)
{
    free(b.p);
}

/* What rpcgen's code makes of *value. */
static inline struct bytes bytes_xdr(xdrproc_t proc, void *value)
{
    XDR xdrs;
    size_t n = xdr_sizeof(proc, value);
    uint8_t *p = malloc(n);
    cr_assert_not_null(p);
    xdrmem_create(&xdrs, (char *)p, (u_int)n, XDR_ENCODE);
    cr_assert(proc(&xdrs, value));
    cr_assert_eq(xdr_getpos(&xdrs), n);
    return (struct bytes){p, n};
}

/* Decodes into *value, zeroed by the caller. Returns the bytes used, or -1. */
static inline long bytes_decode(xdrproc_t proc, const void *p, size_t n, void *value)
{
    XDR xdrs;
    xdrmem_create(&xdrs, (char *)p, (u_int)n, XDR_DECODE);
    return proc(&xdrs, value) ? (long)xdr_getpos(&xdrs) : -1;
}

static inline void assert_bytes(struct bytes got, const void *want, size_t n)
{
    cr_assert_eq(got.n, n, "%zu bytes instead of %zu", got.n, n);
    for (size_t i = 0; i < n; i++) {
        uint8_t w = ((const uint8_t *)want)[i];
        cr_assert_eq(got.p[i], w, "byte %zu is %02x instead of %02x", i, got.p[i], w);
    }
}

/* splitmix64, always the same sequence. */
static inline uint64_t rnd(void)
{
    static uint64_t state = 20260801;
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint32_t rnd_below(uint32_t n)
{
    return (uint32_t)(rnd() % n);
}

static inline void rnd_fill(void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)rnd();
}

/* A name of n bytes without NUL or '/', and a NUL. */
static inline void rnd_name(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        do {
            p[i] = (char)rnd();
        } while (p[i] == '\0' || p[i] == '/');
    }
    p[n] = '\0';
}

#endif
