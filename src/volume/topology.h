/* The topology: what the translators of a volfile ask of libgzc. */
#ifndef VOLUME_TOPOLOGY_H
#define VOLUME_TOPOLOGY_H

#include "base/errtext.h"
#include "brick/spec.h"
#include "volume/uri.h"
#include "volume/volfile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What to connect to and how to behave. Strings and translators are the volfile's or the URI's. */
struct topology {
    const char *name; /* of the volume: the translator on top is called like it */
    bool utime;       /* calls carry the client's clock and what it applies to (features/utime) */
    bool noatime;     /* of utime: reading does not move the access time */
    bool read_only;   /* every change fails with EROFS (features/read-only) */
    size_t nbricks;
    struct brick_spec *bricks;
};

/**
 * Works out the topology of @p vf, which must outlive it. Served are volumes of one brick.
 * @return 0, to be freed with topology_free(); -ENOTSUP (a translator, transport or TLS that this
 *         version does not serve; the text names it), -EINVAL (an option missing or malformed),
 *         -ENOMEM, with nothing to free.
 */
int topology_of_volfile(const struct volfile *vf, struct topology *t, struct errtext *why);

/**
 * The topology of the one brick that a URI_BRICK @p uri, which must outlive it, names. Volume and
 * brick are called like the export path, as they are in the brick's own volfile. Whether the volume
 * wants `utime` is not to be known without its volfile: taken as no.
 * @return 0, to be freed with topology_free(); -ENOMEM.
 */
int topology_of_brick(const struct gzc_uri *uri, struct topology *t, struct errtext *why);

/** Frees what @p t holds and clears it; may be called on a cleared one. */
void topology_free(struct topology *t);

#endif
