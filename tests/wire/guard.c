#include "tests/wire/guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GAP    24   /* canaries between two pieces: not a multiple of much */
#define CANARY 0xa5 /* outside of the pieces */
#define BLANK  0x5a /* inside, before anything has come */

uint8_t guard_pattern(uint64_t offset)
{
    uint64_t x = (offset + 1) * UINT64_C(0x9e3779b97f4a7c15);
    uint8_t byte = (uint8_t)(x >> 56);
    return byte == CANARY || byte == BLANK ? 0x33 : byte;
}

void guard_make(struct guard *g, const size_t *lengths, int n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = page;
    *g = (struct guard){.n = n, .page = page};
    for (int i = 0; i < n; i++) {
        g->total += lengths[i];
        bytes += lengths[i] + GAP;
    }
    bytes = (bytes + page - 1) / page * page;
    g->map_size = bytes + 2 * page;
    g->map = mmap(NULL, g->map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g->iov = calloc((size_t)n + 1, sizeof(*g->iov));
    if (g->map == MAP_FAILED || !g->iov)
        abort();
    guard_restore(g);
    uint8_t *end = g->map + g->map_size - page;
    for (int i = n - 1; i >= 0; i--) {
        g->iov[i] = (struct iovec){end - lengths[i], lengths[i]};
        end -= lengths[i] + GAP;
    }
    guard_clear(g);
}

void guard_make_one(struct guard *g, size_t length)
{
    guard_make(g, &length, 1);
}

void guard_free(struct guard *g)
{
    munmap(g->map, g->map_size);
    free(g->iov);
}

void guard_clear(struct guard *g)
{
    memset(g->map + g->page, CANARY, g->map_size - 2 * g->page);
    for (int i = 0; i < g->n; i++)
        memset(g->iov[i].iov_base, BLANK, g->iov[i].iov_len);
}

void guard_fill(struct guard *g, uint64_t offset)
{
    for (int i = 0; i < g->n; i++) {
        uint8_t *p = g->iov[i].iov_base;
        for (size_t k = 0; k < g->iov[i].iov_len; k++)
            p[k] = guard_pattern(offset++);
    }
}

bool guard_intact(const struct guard *g)
{
    const uint8_t *p = g->map + g->page;
    for (int i = 0; i < g->n; i++) {
        const uint8_t *piece = g->iov[i].iov_base;
        for (; p < piece; p++)
            if (*p != CANARY)
                return false;
        p = piece + g->iov[i].iov_len;
    }
    return true;
}

bool guard_holds(const struct guard *g, uint64_t offset, size_t n)
{
    for (int i = 0; i < g->n && n; i++) {
        const uint8_t *p = g->iov[i].iov_base;
        for (size_t k = 0; k < g->iov[i].iov_len && n; k++, n--)
            if (p[k] != guard_pattern(offset++))
                return false;
    }
    return n == 0;
}

bool guard_untouched(const struct guard *g, size_t n)
{
    for (int i = 0; i < g->n; i++) {
        const uint8_t *p = g->iov[i].iov_base;
        for (size_t k = 0; k < g->iov[i].iov_len; k++) {
            if (n)
                n--;
            else if (p[k] != BLANK)
                return false;
        }
    }
    return true;
}

static void protect(struct guard *g, int access)
{
    if (mprotect(g->map + g->page, g->map_size - 2 * g->page, access) < 0)
        abort();
}

void guard_revoke(struct guard *g)
{
    protect(g, PROT_NONE);
}

void guard_restore(struct guard *g)
{
    protect(g, PROT_READ | PROT_WRITE);
}
