/* A position in an iovec array: what is left of the caller's memory to fill or to send. */
#ifndef TRANSPORT_IOV_H
#define TRANSPORT_IOV_H

#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

/** The next byte is iov[0].iov_base + skip. The array and its memory are the caller's. */
struct iov_cursor {
    const struct iovec *iov;
    size_t count; /* pieces from iov on */
    size_t skip;  /* bytes of iov[0] that are done; less than its length unless count is 0 */
};

/** Moves past pieces that have no byte left, so that iov[0] + skip is a byte or count is 0. */
static inline void iov_settle(struct iov_cursor *c)
{
    while (c->count && c->skip >= c->iov->iov_len) {
        c->skip = 0;
        c->iov++;
        c->count--;
    }
}

static inline struct iov_cursor iov_cursor(const struct iovec *iov, size_t count)
{
    struct iov_cursor c = {iov, count, 0};
    iov_settle(&c);
    return c;
}

/** Moves on by @p n bytes, which the cursor must have. */
static inline void iov_advance(struct iov_cursor *c, size_t n)
{
    while (n) {
        size_t left = c->iov->iov_len - c->skip;
        if (n < left) {
            c->skip += n;
            return;
        }
        n -= left;
        c->skip = 0;
        c->iov++;
        c->count--;
    }
    iov_settle(c);
}

/**
 * Lays out the next @p want bytes as at most @p max pieces at @p out, empty pieces left out.
 * @return pieces used; *bytes is how much they hold (less than @p want if @p max was too few).
 */
static inline size_t iov_window(const struct iov_cursor *c, size_t want, struct iovec *out,
                                size_t max, size_t *bytes)
{
    size_t used = 0, skip = c->skip, total = 0;
    for (size_t i = 0; i < c->count && total < want && used < max; i++) {
        size_t length = c->iov[i].iov_len - skip;
        if (length > want - total)
            length = want - total;
        if (length)
            out[used++] = (struct iovec){(char *)c->iov[i].iov_base + skip, length};
        total += length;
        skip = 0;
    }
    *bytes = total;
    return used;
}

/** Bytes of the next @p pieces pieces, empty ones not counted, but no more than @p want. */
static inline size_t iov_bytes(const struct iov_cursor *c, size_t want, size_t pieces)
{
    size_t total = 0, skip = c->skip;
    for (size_t i = 0; i < c->count && total < want && pieces; i++) {
        size_t length = c->iov[i].iov_len - skip;
        pieces -= length > 0;
        total += length;
        skip = 0;
    }
    return total < want ? total : want;
}

/** Copies @p n bytes, which the cursor must have, into its memory, and moves on. */
static inline void iov_copy_in(struct iov_cursor *c, const void *from, size_t n)
{
    const char *p = from;
    while (n) {
        size_t left = c->iov->iov_len - c->skip;
        size_t take = n < left ? n : left;
        memcpy((char *)c->iov->iov_base + c->skip, p, take);
        p += take;
        n -= take;
        iov_advance(c, take);
    }
}

/** Copies @p n bytes, which the cursor must have, out of its memory, and moves on. */
static inline void iov_copy_out(struct iov_cursor *c, void *to, size_t n)
{
    char *p = to;
    while (n) {
        size_t left = c->iov->iov_len - c->skip;
        size_t take = n < left ? n : left;
        memcpy(p, (const char *)c->iov->iov_base + c->skip, take);
        p += take;
        n -= take;
        iov_advance(c, take);
    }
}

#endif
