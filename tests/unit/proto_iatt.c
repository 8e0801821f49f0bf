/* Attributes: the hand-written decoder against rpcgen's, and what a stat(2) caller gets of them. */
#include "proto/iatt.h"
#include "proto_bytes.h"
#include "proto_captured.h"

#include <sys/sysmacros.h>

static void assert_same(const struct gf_iatt *a, const struct gf_iatt *b)
{
    struct bytes x = bytes_xdr((xdrproc_t)xdr_gf_iatt, (void *)a);
    struct bytes y = bytes_xdr((xdrproc_t)xdr_gf_iatt, (void *)b);
    assert_bytes(x, y.p, y.n);
    bytes_free(x);
    bytes_free(y);
}

Test(iatt, decode_is_xdr)
{
    for (int i = 0; i < 1000; i++) {
        uint8_t raw[IATT_BYTES];
        struct gf_iatt want = {0}, got;
        rnd_fill(raw, sizeof(raw));
        memset(&got, 0x5a, sizeof(got));
        iatt_decode(raw, &got);
        cr_assert_eq(bytes_decode((xdrproc_t)xdr_gf_iatt, raw, sizeof(raw), &want), IATT_BYTES);
        assert_same(&got, &want);
        cr_assert_eq(memcmp(got.gfid, raw, 16), 0);
    }
}

/* The offsets of glusterfs4-xdr.x, one by one. */
Test(iatt, layout)
{
    uint8_t raw[IATT_BYTES];
    for (size_t i = 0; i < sizeof(raw); i++)
        raw[i] = (uint8_t)i;
    struct gf_iatt a;
    iatt_decode(raw, &a);
    cr_assert_eq(a.gfid[15], 15);
    cr_assert_eq(a.flags, 0x1011121314151617u);
    cr_assert_eq(a.ino, 0x18191a1b1c1d1e1fu);
    cr_assert_eq(a.dev, 0x2021222324252627u);
    cr_assert_eq(a.rdev, 0x28292a2b2c2d2e2fu);
    cr_assert_eq(a.size, 0x3031323334353637u);
    cr_assert_eq(a.blocks, 0x38393a3b3c3d3e3fu);
    cr_assert_eq(a.attributes, 0x4041424344454647u);
    cr_assert_eq(a.attributes_mask, 0x48494a4b4c4d4e4fu);
    cr_assert_eq(a.atime, 0x5051525354555657);
    cr_assert_eq(a.mtime, 0x58595a5b5c5d5e5f);
    cr_assert_eq(a.ctime, 0x6061626364656667);
    cr_assert_eq(a.btime, 0x68696a6b6c6d6e6f);
    cr_assert_eq(a.atime_nsec, 0x70717273u);
    cr_assert_eq(a.mtime_nsec, 0x74757677u);
    cr_assert_eq(a.ctime_nsec, 0x78797a7bu);
    cr_assert_eq(a.btime_nsec, 0x7c7d7e7fu);
    cr_assert_eq(a.nlink, 0x80818283u);
    cr_assert_eq(a.uid, 0x84858687u);
    cr_assert_eq(a.gid, 0x88898a8bu);
    cr_assert_eq(a.blksize, 0x8c8d8e8fu);
    cr_assert_eq(a.mode, 0x90919293u);
}

Test(iatt, to_stat)
{
    const struct gf_iatt a = {
        .ino = 0xb666af1c2d00b3cc,
        .dev = 0xfe00,
        .rdev = 0x8000000012,
        .size = 1ull << 40,
        .blocks = 17,
        .atime = -1,
        .mtime = 1ll << 33,
        .ctime = 3,
        .btime = 4,
        .atime_nsec = 999999999,
        .mtime_nsec = 2,
        .ctime_nsec = 3,
        .nlink = 5,
        .uid = 6,
        .gid = 7,
        .blksize = 4096,
        .mode = S_IFCHR | 0640,
    };
    struct stat st;
    memset(&st, 0x5a, sizeof(st));
    iatt_to_stat(&a, &st);
    cr_assert_eq(st.st_dev, 0);
    cr_assert_eq(st.st_ino, a.ino);
    cr_assert_eq(st.st_rdev, makedev(0x80, 0x12));
    cr_assert_eq(st.st_size, 1ll << 40);
    cr_assert_eq(st.st_blocks, 17);
    cr_assert_eq(st.st_blksize, 4096);
    cr_assert_eq(st.st_atim.tv_sec, -1);
    cr_assert_eq(st.st_atim.tv_nsec, 999999999);
    cr_assert_eq(st.st_mtim.tv_sec, 1ll << 33);
    cr_assert_eq(st.st_mtim.tv_nsec, 2);
    cr_assert_eq(st.st_ctim.tv_sec, 3);
    cr_assert_eq(st.st_ctim.tv_nsec, 3);
    cr_assert_eq(st.st_nlink, 5);
    cr_assert_eq(st.st_uid, 6);
    cr_assert_eq(st.st_gid, 7);
    cr_assert(S_ISCHR(st.st_mode));
    cr_assert_eq(st.st_mode & 07777, 0640);
}

Test(iatt, to_statx)
{
    struct gf_iatt a = {
        .flags = 0x1000 | STATX_BASIC_STATS | STATX_BTIME,
        .ino = 0xb666af1c2d00b3cc,
        .dev = 0xfe00,
        .rdev = 0x8000000012,
        .size = 1ull << 40,
        .blocks = 17,
        .attributes = 0x10,
        .attributes_mask = 0x30,
        .atime = -1,
        .mtime = 1ll << 33,
        .ctime = 3,
        .btime = 4,
        .atime_nsec = 999999999,
        .mtime_nsec = 2,
        .ctime_nsec = 5,
        .btime_nsec = 6,
        .nlink = 7,
        .uid = 8,
        .gid = 9,
        .blksize = 4096,
        .mode = S_IFCHR | 0640,
    };
    const struct statx want = {
        .stx_mask = STATX_BASIC_STATS | STATX_BTIME,
        .stx_blksize = 4096,
        .stx_attributes = 0x10,
        .stx_nlink = 7,
        .stx_uid = 8,
        .stx_gid = 9,
        .stx_mode = S_IFCHR | 0640,
        .stx_ino = a.ino,
        .stx_size = a.size,
        .stx_blocks = 17,
        .stx_attributes_mask = 0x30,
        .stx_atime = {.tv_sec = -1, .tv_nsec = 999999999},
        .stx_btime = {.tv_sec = 4, .tv_nsec = 6},
        .stx_ctime = {.tv_sec = 3, .tv_nsec = 5},
        .stx_mtime = {.tv_sec = 1ll << 33, .tv_nsec = 2},
        .stx_rdev_major = 0x80,
        .stx_rdev_minor = 0x12,
    };
    struct statx stx;
    memset(&stx, 0x5a, sizeof(stx));
    iatt_to_statx(&a, &stx);
    cr_assert_eq(memcmp(&stx, &want, sizeof(stx)), 0);
    a.flags &= ~(uint64_t)(STATX_BTIME | STATX_SIZE);
    iatt_to_statx(&a, &stx);
    cr_assert_eq(stx.stx_mask, STATX_BASIC_STATS & ~STATX_SIZE);
    cr_assert_eq(stx.stx_btime.tv_sec, 0);
    cr_assert_eq(stx.stx_btime.tv_nsec, 0);
}

/* A file of 12 bytes, mode 0644, as a brick described it. */
Test(iatt, captured)
{
    struct bytes b = bytes_hex(CAPTURED_READ_EOF);
    struct gf_iatt a;
    struct stat st;
    iatt_decode(b.p + 24 + 8, &a);
    iatt_to_stat(&a, &st);
    cr_assert_eq(a.flags, 0x17ff);
    cr_assert_eq(st.st_size, 12);
    cr_assert_eq(st.st_mode, S_IFREG | 0644);
    cr_assert_eq(st.st_nlink, 1);
    cr_assert_eq(st.st_ino, wire_get64(a.gfid + 8));
    bytes_free(b);
}
