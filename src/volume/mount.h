/* Mounting: from a URI to a volume whose bricks are connected. */
#ifndef VOLUME_MOUNT_H
#define VOLUME_MOUNT_H

#include "volume/volume.h"

/**
 * Mounts @p uri on @p v, which is zeroed. Blocks. On failure v->why says why, and what has been
 * made so far is for volume_unlock(), with v->engine.stop.
 * @return 0 or -errno.
 */
int volume_mount(struct gzc_volume *v, const char *uri);
/** Drops the volume's lock; or if it is to end, which no other thread takes part in, ends and frees
 *  it: what is still under way completes with -ESHUTDOWN, callbacks run, then the handle is gone.
 *  No file or directory is open. */
void volume_unlock(struct gzc_volume *v);

#endif
