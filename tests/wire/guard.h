/*
 * guard.h - memory around which nothing may be written.
 *
 *   | no access |  canaries  | piece | canaries | piece | canaries | last piece | no access |
 *
 * The pieces make an iovec. The last one ends where a page without access begins, so that a write
 * past it faults at once; every other byte is a canary that guard_intact() looks at.
 */
#ifndef TESTS_WIRE_GUARD_H
#define TESTS_WIRE_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct guard {
    struct iovec *iov;
    int n;
    size_t total; /* bytes of all pieces */
    uint8_t *map;
    size_t map_size, page;
};

/** The byte that a file of the tests has at @p offset. */
uint8_t guard_pattern(uint64_t offset);

/** Makes @p n pieces of @p lengths bytes; 0 too. Aborts without memory. */
void guard_make(struct guard *g, const size_t *lengths, int n);
/** One piece of @p length bytes. */
void guard_make_one(struct guard *g, size_t length);
void guard_free(struct guard *g);

/** Fills all pieces with bytes that are no pattern's and remembers the canaries anew. */
void guard_clear(struct guard *g);
/** Fills the pieces with the pattern from @p offset on. */
void guard_fill(struct guard *g, uint64_t offset);
/** No canary has changed. */
bool guard_intact(const struct guard *g);
/** The pieces' first @p n bytes are the pattern from @p offset on. */
bool guard_holds(const struct guard *g, uint64_t offset, size_t n);
/** The pieces' bytes from @p n on are as guard_clear() left them. */
bool guard_untouched(const struct guard *g, size_t n);
/** Takes the memory away, so that any access faults; gives it back. */
void guard_revoke(struct guard *g);
void guard_restore(struct guard *g);

#endif
