#include "pool.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define WORD_BITS 64

int pool_open(struct pool *p, size_t bytes, struct errtext *why)
{
    *p = (struct pool){.pages = bytes / POOL_PAGE};
    p->taken = calloc((p->pages + WORD_BITS - 1) / WORD_BITS, sizeof(*p->taken));
    void *base = mmap(NULL, p->pages * POOL_PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || !p->taken) {
        free(p->taken);
        return errtext_set(why, ENOMEM, "no memory for an arena of %zu bytes", bytes);
    }
    p->base = base;
    return 0;
}

void pool_close(struct pool *p)
{
    if (p->base)
        munmap(p->base, p->pages * POOL_PAGE);
    free(p->taken);
    *p = (struct pool){0};
}

/* The first page from `at` on that is taken, or is free; p->pages if there is none. */
static size_t pool_find(const struct pool *p, size_t at, bool taken)
{
    while (at < p->pages) {
        uint64_t word = p->taken[at / WORD_BITS];
        word = (taken ? word : ~word) >> at % WORD_BITS;
        if (word) {
            at += (size_t)__builtin_ctzll(word);
            return at < p->pages ? at : p->pages;
        }
        at = (at / WORD_BITS + 1) * WORD_BITS;
    }
    return p->pages;
}

/* Flips the bits of a run. */
static void pool_flip(struct pool *p, size_t at, size_t pages)
{
    while (pages) {
        size_t bit = at % WORD_BITS;
        size_t n = WORD_BITS - bit < pages ? WORD_BITS - bit : pages;
        uint64_t ones = n == WORD_BITS ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
        p->taken[at / WORD_BITS] ^= ones << bit;
        at += n;
        pages -= n;
    }
}

void *pool_take(struct pool *p, size_t bytes)
{
    size_t pages = pool_round(bytes) / POOL_PAGE;
    p->low = pool_find(p, p->low, false);
    for (size_t at = p->low, end; pages <= p->pages && at <= p->pages - pages;
         at = pool_find(p, end, false)) {
        end = pool_find(p, at, true);
        if (end - at < pages)
            continue;
        pool_flip(p, at, pages);
        p->used += pages;
        if (p->used > p->peak)
            p->peak = p->used;
        return p->base + at * POOL_PAGE;
    }
    return NULL;
}

void pool_give(struct pool *p, void *memory, size_t bytes)
{
    size_t at = (size_t)((uint8_t *)memory - p->base) / POOL_PAGE;
    size_t pages = pool_round(bytes) / POOL_PAGE;
    pool_flip(p, at, pages);
    p->used -= pages;
    if (at < p->low)
        p->low = at;
}
