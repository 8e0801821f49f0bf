/* Mounting: from a URI to a volume whose bricks are connected. */
#ifndef VOLUME_MOUNT_H
#define VOLUME_MOUNT_H

#include "volume/volume.h"

/**
 * Mounts @p uri on @p v, which is zeroed. Blocks. On failure v->why says why, and what has been
 * made so far is for volume_free().
 * @return 0 or -errno.
 */
int volume_mount(struct gzc_volume *v, const char *uri);
/** Closes the connections and frees everything. No handle is open, no call under way. */
void volume_free(struct gzc_volume *v);

#endif
