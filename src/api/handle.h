/* What the public functions share. */
#ifndef API_HANDLE_H
#define API_HANDLE_H

#include "volume/volume.h"

#include <errno.h>
#include <stdio.h>

static inline void handle_opened(struct gzc_volume *v)
{
    __atomic_add_fetch(&v->handles, 1, __ATOMIC_RELAXED);
}

static inline void handle_closed(struct gzc_volume *v)
{
    __atomic_sub_fetch(&v->handles, 1, __ATOMIC_RELAXED);
}

/** Copies a handle's text out, as snprintf(). */
static inline size_t handle_text(const struct gzc_volume *v, const struct errtext *why, char *text,
                                 size_t size)
{
    struct engine *e = (struct engine *)&v->engine; /* its lock alone changes */
    engine_lock(e);
    int n = snprintf(text, size, "%s", why->text);
    engine_unlock(e);
    return (size_t)n;
}

/** Refuses an operation on a volume whose mount has failed, and a change on one that is read-only:
 *  -ENOTCONN, -EROFS, else 0. */
static inline int handle_refuse(struct gzc_volume *v, bool change)
{
    if (!v->mounted)
        return volume_fail(v, &v->why, -ENOTCONN, "the volume is not mounted");
    if (change && v->topology.read_only)
        return volume_fail(v, &v->why, -EROFS, "the volume is read-only");
    return 0;
}

#endif
