/* Mounting: from a URI to a volume whose bricks are connected. */
#ifndef VOLUME_MOUNT_H
#define VOLUME_MOUNT_H

#include "volume/volume.h"

/**
 * Mounts @p uri for @p user, the first handle on a zeroed volume. Blocks. On failure shared->why
 * says why, and what has been made so far is for volume_unlock(), with shared->engine.stop.
 * @return 0 or -errno.
 */
int volume_mount(struct gzc_volume *user, const char *uri);
/** Makes @p user the handle of @p who; NULL: of the process, as it is now. @return 0, -ENOMEM. */
int volume_caller(struct gzc_volume *user, const struct gzc_identity *who);
/** Drops the volume's lock; or if it is to end, which no other thread takes part in, ends and frees
 *  it: what is still under way completes with -ESHUTDOWN, callbacks run.
 *  No file or directory is open. */
void volume_unlock(struct volume *v);

#endif
