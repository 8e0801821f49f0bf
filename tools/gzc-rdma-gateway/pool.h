/*
 * The memory that is registered with the devices: one arena, made at the start, of pages of which
 * runs are taken and given back. Everything that a device reads or writes lies in it.
 */
#ifndef GATEWAY_POOL_H
#define GATEWAY_POOL_H

#include "base/errtext.h"

#include <stddef.h>
#include <stdint.h>

#define POOL_PAGE 4096

struct pool {
    uint8_t *base;
    size_t pages, used, peak;
    size_t low;      /* no page before it is free */
    uint64_t *taken; /* a bit for each page */
};

/** Makes an arena of @p bytes, rounded down to pages. @return 0 or -ENOMEM. */
int pool_open(struct pool *p, size_t bytes, struct errtext *why);
void pool_close(struct pool *p);

/** Bytes that a run of @p bytes takes: whole pages. */
static inline size_t pool_round(size_t bytes)
{
    return (bytes + POOL_PAGE - 1) & ~(size_t)(POOL_PAGE - 1);
}

/** Takes a run of @p bytes (not 0), the lowest that is long enough. @return NULL: there is none
 * now. */
void *pool_take(struct pool *p, size_t bytes);
/** Gives back a run as it was taken. */
void pool_give(struct pool *p, void *memory, size_t bytes);

#endif
