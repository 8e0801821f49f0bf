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

/** Refuses an operation on a volume whose mount has failed, and a change on one that is read-only:
 *  -ENOTCONN, -EROFS, else 0. */
static inline int handle_refuse(struct gzc_volume *v, bool change)
{
    if (!__atomic_load_n(&v->shared->mounted, __ATOMIC_RELAXED))
        return volume_fail(v, &v->why, -ENOTCONN, "the volume is not mounted");
    if (change && v->shared->topology.read_only)
        return volume_fail(v, &v->why, -EROFS, "the volume is read-only");
    return 0;
}

/**
 * Memory for an asynchronous operation on @p path, to be freed by op_submit(): @p size bytes, and a
 * copy of the path behind them, at *copy. NULL: no memory, with the text set.
 */
static inline void *handle_new_op(struct gzc_volume *v, size_t size, const char *path,
                                  const char **copy)
{
    size_t length = strlen(path) + 1;
    char *op = malloc(size + length);
    if (op)
        *copy = memcpy(op + size, path, length);
    else
        volume_fail(v, &v->why, -ENOMEM, "no memory for an operation");
    return op;
}

#endif
