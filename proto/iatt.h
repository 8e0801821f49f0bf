/*
 * Attributes as they stand on the wire: gfx_iattx of glusterfs4-xdr.x, 148 bytes.
 *
 *     0 gfid       16 flags   24 ino      32 dev     40 rdev
 *    48 size       56 blocks  64 attributes, mask
 *    80 atime      88 mtime   96 ctime   104 btime   (seconds, 64 bits)
 *   112 the same, nanoseconds, 32 bits each
 *   128 nlink     132 uid    136 gid     140 blksize 144 mode
 */
#ifndef PROTO_IATT_H
#define PROTO_IATT_H

#include "proto/shapes.h"

#include <stdint.h>
#include <sys/stat.h>

#define IATT_BYTES 148

/** Decodes attributes; as xdr_gf_iatt() does, which cannot fail on that many bytes. */
void iatt_decode(const uint8_t raw[IATT_BYTES], struct gf_iatt *iatt);

/** Fills the whole of *st. st_dev is 0: each brick has its own, and none means anything here. */
void iatt_to_stat(const struct gf_iatt *iatt, struct stat *st);

/** Fills the whole of *stx. stx_mask says what the brick has sent; what it has not is 0, the device
 *  too. */
void iatt_to_statx(const struct gf_iatt *iatt, struct statx *stx);

#endif
