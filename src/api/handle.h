/* What the public functions share. */
#ifndef API_HANDLE_H
#define API_HANDLE_H

#include "volume/async.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Copies a handle's text out, as snprintf(). */
static inline size_t handle_text(const struct gzc_volume *v, const struct errtext *why, char *text,
                                 size_t size)
{
    struct engine *e = &v->shared->engine;
    engine_lock(e);
    int n = snprintf(text, size, "%s", why->text);
    engine_unlock(e);
    return (size_t)n;
}

/** Refuses a change on a volume that is read-only: -EROFS, else 0. */
static inline int handle_refuse_change(struct gzc_volume *v, struct errtext *why)
{
    return v->shared->topology.read_only ? volume_fail(v, why, -EROFS, "the volume is read-only")
                                         : 0;
}

/** Refuses an operation on a volume whose mount has failed, and a change on one that is read-only:
 *  -ENOTCONN, -EROFS, else 0. */
static inline int handle_refuse(struct gzc_volume *v, bool change)
{
    if (!__atomic_load_n(&v->shared->mounted, __ATOMIC_RELAXED))
        return volume_fail(v, &v->why, -ENOTCONN, "the volume is not mounted");
    return change ? handle_refuse_change(v, &v->why) : 0;
}

/**
 * Memory for an asynchronous operation, to be freed by op_submit(): @p size bytes, and behind them
 * a copy of each of two strings, at *first and *second, as they are the caller's. NULL: no memory,
 * with the text set.
 */
static inline void *handle_new_op(struct gzc_volume *v, size_t size, const char **first,
                                  const char **second)
{
    size_t one = strlen(*first) + 1, two = second ? strlen(*second) + 1 : 0;
    char *op = malloc(size + one + two);
    if (!op) {
        volume_fail(v, &v->why, -ENOMEM, "no memory for an operation");
        return NULL;
    }
    *first = memcpy(op + size, *first, one);
    if (second)
        *second = memcpy(op + size + one, *second, two);
    return op;
}

#endif
