/* Calls on a range of an open file that move no payload. They take their turn as writes of it. */
#ifndef VOLUME_RANGE_H
#define VOLUME_RANGE_H

#include "volume/op.h"

/* Starts of a struct file_op with offset and length. */
void discard_start(struct op *op);
void zerofill_start(struct op *op);
/** With mode: 0 or FALLOC_FL_KEEP_SIZE, the two that a brick's FALLOCATE tells apart
 *  (posix-inode-fd-ops.c:posix_glfallocate). */
void fallocate_start(struct op *op);

#endif
