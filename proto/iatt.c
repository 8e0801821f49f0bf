#include "proto/iatt.h"

#include "proto/wire.h"

#include <string.h>
#include <sys/sysmacros.h>

void iatt_decode(const uint8_t raw[IATT_BYTES], struct gf_iatt *iatt)
{
    *iatt = (struct gf_iatt){
        .flags = wire_get64(raw + 16),
        .ino = wire_get64(raw + 24),
        .dev = wire_get64(raw + 32),
        .rdev = wire_get64(raw + 40),
        .size = wire_get64(raw + 48),
        .blocks = wire_get64(raw + 56),
        .attributes = wire_get64(raw + 64),
        .attributes_mask = wire_get64(raw + 72),
        .atime = (int64_t)wire_get64(raw + 80),
        .mtime = (int64_t)wire_get64(raw + 88),
        .ctime = (int64_t)wire_get64(raw + 96),
        .btime = (int64_t)wire_get64(raw + 104),
        .atime_nsec = wire_get32(raw + 112),
        .mtime_nsec = wire_get32(raw + 116),
        .ctime_nsec = wire_get32(raw + 120),
        .btime_nsec = wire_get32(raw + 124),
        .nlink = wire_get32(raw + 128),
        .uid = wire_get32(raw + 132),
        .gid = wire_get32(raw + 136),
        .blksize = wire_get32(raw + 140),
        .mode = wire_get32(raw + 144),
    };
    memcpy(iatt->gfid, raw, GF_GFID_BYTES);
}

void iatt_to_stat(const struct gf_iatt *iatt, struct stat *st)
{
    *st = (struct stat){
        .st_ino = iatt->ino,
        .st_mode = iatt->mode,
        .st_nlink = iatt->nlink,
        .st_uid = iatt->uid,
        .st_gid = iatt->gid,
        /* major and minor number of 32 bits each: iatt.h, ia_makedev */
        .st_rdev = makedev((unsigned)(iatt->rdev >> 32), (unsigned)iatt->rdev),
        .st_size = (off_t)iatt->size,
        .st_blksize = iatt->blksize,
        .st_blocks = (blkcnt_t)iatt->blocks,
        .st_atim = {iatt->atime, iatt->atime_nsec},
        .st_mtim = {iatt->mtime, iatt->mtime_nsec},
        .st_ctim = {iatt->ctime, iatt->ctime_nsec},
    };
}
