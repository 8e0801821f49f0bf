/*
 * File handles: what names an inode of a volume for ever, in bytes.
 *
 *      | 1: version | 0 0 0 | first 4 bytes of the volume's id, or 0 | gfid (16) |
 */
#ifndef VOLUME_FHANDLE_H
#define VOLUME_FHANDLE_H

#include "volume/volume.h"

void fhandle_make(struct gzc_handle *handle, const struct volume *v, const uint8_t *gfid);
/** The gfid in it; NULL: it is of another volume, or nothing of ours. */
const uint8_t *fhandle_gfid(const struct gzc_handle *handle, const struct volume *v);

#endif
