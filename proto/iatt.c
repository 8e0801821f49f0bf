#include "proto/iatt.h"

#include "proto/wire.h"

#include <string.h>
#include <sys/sysmacros.h>

/* iatt.h of GlusterFS took the bits of its flags from statx(2), and has one more, of the gfid. */
#define STATX_KNOWN (STATX_BASIC_STATS | STATX_BTIME)
_Static_assert(GF_IATT_NLINK == STATX_NLINK && GF_IATT_BLOCKS == STATX_BLOCKS &&
                   GF_IATT_BTIME == STATX_BTIME,
               "bits of statx(2)");

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

static struct statx_timestamp timestamp(int64_t seconds, uint32_t nanoseconds)
{
    return (struct statx_timestamp){.tv_sec = seconds, .tv_nsec = nanoseconds};
}

void iatt_to_statx(const struct gf_iatt *iatt, struct statx *stx)
{
    *stx = (struct statx){
        .stx_mask = (uint32_t)iatt->flags & STATX_KNOWN,
        .stx_blksize = iatt->blksize,
        .stx_attributes = iatt->attributes,
        .stx_nlink = iatt->nlink,
        .stx_uid = iatt->uid,
        .stx_gid = iatt->gid,
        .stx_mode = (uint16_t)iatt->mode,
        .stx_ino = iatt->ino,
        .stx_size = iatt->size,
        .stx_blocks = iatt->blocks,
        .stx_attributes_mask = iatt->attributes_mask,
        .stx_atime = timestamp(iatt->atime, iatt->atime_nsec),
        .stx_ctime = timestamp(iatt->ctime, iatt->ctime_nsec),
        .stx_mtime = timestamp(iatt->mtime, iatt->mtime_nsec),
        .stx_rdev_major = (uint32_t)(iatt->rdev >> 32),
        .stx_rdev_minor = (uint32_t)iatt->rdev,
    };
    if (iatt->flags & GF_IATT_BTIME)
        stx->stx_btime = timestamp(iatt->btime, iatt->btime_nsec);
}
