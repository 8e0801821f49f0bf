/* Moving the position of an open file; what reading and writing there does to it is in io.c. */
#ifndef VOLUME_SEEK_H
#define VOLUME_SEEK_H

#include "volume/op.h"

/** Start of a struct file_op with mode (SEEK_...) and offset (an off_t). What asks the brick takes
 *  its turn as a read of the whole file: it sees the writes begun before. */
void seek_start(struct op *op);

#endif
