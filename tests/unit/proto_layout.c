/*
 * Every structure of the .x files against its layout, told here a second time, field by field, from
 * GlusterFS's glusterfs4-xdr.x, glusterfs3-xdr.x and rpc-common-xdr.x: each field lands where it is
 * meant to, each bound holds, and no length of a cut message decodes.
 */
#include "proto/callback.h"
#include "proto/fop.h"
#include "proto/handshake.h"
#include "proto_bytes.h"

#include <stddef.h>

enum kind { WORD, LONG, RAW, TEXT, BLOB, DICTIONARY, ATTRIBUTES };

struct field {
    enum kind kind;
    size_t at;    /* in the C struct */
    uint32_t max; /* bytes of TEXT and BLOB; bytes, all of them, of RAW */
};

#define U32(f)                                                                                     \
    {                                                                                              \
        WORD, offsetof(T, f), 4                                                                    \
    }
#define U64(f)                                                                                     \
    {                                                                                              \
        LONG, offsetof(T, f), 8                                                                    \
    }
#define GFID(f)                                                                                    \
    {                                                                                              \
        RAW, offsetof(T, f), 16                                                                    \
    }
#define STR(f, max)                                                                                \
    {                                                                                              \
        TEXT, offsetof(T, f), max                                                                  \
    }
#define OPQ(f, max)                                                                                \
    {                                                                                              \
        BLOB, offsetof(T, f), max                                                                  \
    }
#define DICT(f)                                                                                    \
    {                                                                                              \
        DICTIONARY, offsetof(T, f), 0                                                              \
    }
#define IATT(f)                                                                                    \
    {                                                                                              \
        ATTRIBUTES, offsetof(T, f), 0                                                              \
    }
#define FLOCK(f)                                                                                   \
    U32(f.type), U32(f.whence), U64(f.start), U64(f.len), U32(f.pid), OPQ(f.lk_owner, 1024)
#define LEASE(f) U32(f.cmd), U32(f.type), GFID(f.id), U32(f.flags)
#define OLD_IATT(f)                                                                                \
    GFID(f.gfid), U64(f.ino), U64(f.dev), U32(f.mode), U32(f.nlink), U32(f.uid), U32(f.gid),       \
        U64(f.rdev), U64(f.size), U32(f.blksize), U64(f.blocks), U32(f.atime), U32(f.atime_nsec),  \
        U32(f.mtime), U32(f.mtime_nsec), U32(f.ctime), U32(f.ctime_nsec)
#define RESULT U32(op_ret), U32(op_errno), DICT(xdata)

/* rpcgen's form of a variable-length opaque */
struct blob {
    u_int length;
    char *bytes;
};

/* A value on the wire; at most this long in a test. */
struct piece {
    uint8_t bytes[8192];
    size_t length, content; /* with and without padding and length word */
};

static void make_dict(struct piece *p)
{
    struct dict d = {.count = rnd_below(4) ? 0 : -1};
    uint32_t pairs = rnd_below(4);
    for (uint32_t i = 0; i < pairs; i++) {
        char key[16];
        rnd_name(key, 1 + rnd_below(15));
        cr_assert_eq(dict_set_uint(&d, key, rnd()), 0);
    }
    struct bytes b = bytes_xdr((xdrproc_t)xdr_dict, &d);
    memcpy(p->bytes, b.p, b.n);
    p->length = b.n;
    bytes_free(b);
    dict_free(&d);
}

/* A random value; of `length` bytes if its length varies. */
static void make_piece(const struct field *f, uint32_t length, struct piece *p)
{
    memset(p, 0, sizeof(*p));
    switch (f->kind) {
    case WORD:
    case LONG:
    case RAW:
        p->length = f->max;
        rnd_fill(p->bytes, p->length);
        break;
    case ATTRIBUTES:
        p->length = 148;
        rnd_fill(p->bytes, p->length);
        break;
    case TEXT:
    case BLOB:
        cr_assert_leq(8 + (size_t)length, sizeof(p->bytes));
        wire_put32(p->bytes, length);
        rnd_name((char *)p->bytes + 4, length);
        p->content = length;
        p->length = 4 + wire_pad4(length);
        break;
    case DICTIONARY:
        make_dict(p);
        break;
    }
}

static void assert_encodes(xdrproc_t proc, void *value, const struct piece *p)
{
    struct bytes b = bytes_xdr(proc, value);
    assert_bytes(b, p->bytes, p->length);
    bytes_free(b);
}

/* The field of the C struct holds what the piece says. */
static void assert_field(const char *type, const struct field *f, uint8_t *value,
                         const struct piece *p)
{
    uint8_t *at = value + f->at;
    const struct blob *blob = (const struct blob *)at;
    uint32_t v32;
    uint64_t v64;
    switch (f->kind) {
    case WORD:
        memcpy(&v32, at, 4);
        cr_assert_eq(v32, wire_get32(p->bytes), "%s, field at %zu", type, f->at);
        break;
    case LONG:
        memcpy(&v64, at, 8);
        cr_assert_eq(v64, wire_get64(p->bytes), "%s, field at %zu", type, f->at);
        break;
    case RAW:
        cr_assert_eq(memcmp(at, p->bytes, f->max), 0, "%s, field at %zu", type, f->at);
        break;
    case TEXT:
        cr_assert_str_eq(*(char **)at, (const char *)p->bytes + 4, "%s", type);
        break;
    case BLOB:
        cr_assert_eq(blob->length, p->content, "%s, field at %zu", type, f->at);
        cr_assert(!p->content || !memcmp(blob->bytes, p->bytes + 4, p->content), "%s", type);
        break;
    case DICTIONARY:
        assert_encodes((xdrproc_t)xdr_dict, at, p);
        break;
    case ATTRIBUTES:
        assert_encodes((xdrproc_t)xdr_gf_iatt, at, p);
        break;
    }
}

enum { FIELDS_MAX = 64 };
static struct piece pieces[FIELDS_MAX];

/* A message of random fields, each of variable length having at most `most` bytes; field number
 * `long_one` has `length`. */
static struct bytes make_message(const struct field *fields, size_t n, uint32_t most,
                                 size_t long_one, uint32_t length)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t max = fields[i].max < most ? fields[i].max : most;
        make_piece(&fields[i], i == long_one ? length : rnd_below(max + 1), &pieces[i]);
        total += pieces[i].length;
    }
    struct bytes b = {malloc(total), total};
    uint8_t *p = b.p;
    for (size_t i = 0; i < n; p += pieces[i++].length)
        memcpy(p, pieces[i].bytes, pieces[i].length);
    return b;
}

static void check_message(const char *type, xdrproc_t proc, void *value, size_t size,
                          const struct field *fields, size_t n, struct bytes b)
{
    memset(value, 0, size);
    cr_assert_eq(bytes_decode(proc, b.p, b.n, value), (long)b.n, "%s", type);
    for (size_t i = 0; i < n; i++)
        assert_field(type, &fields[i], value, &pieces[i]);
    struct bytes again = bytes_xdr(proc, value);
    assert_bytes(again, b.p, b.n);
    bytes_free(again);
    xdr_free(proc, value);
}

static void check_refused(const char *type, xdrproc_t proc, void *value, size_t size,
                          struct bytes b)
{
    memset(value, 0, size);
    cr_assert_eq(bytes_decode(proc, b.p, b.n, value), -1, "%s, %zu bytes", type, b.n);
    xdr_free(proc, value);
}

static void check(const char *type, xdrproc_t proc, size_t size, const struct field *fields,
                  size_t n)
{
    void *value = malloc(size);
    struct bytes b;
    cr_assert_leq(n, FIELDS_MAX);
    for (int round = 0; round < 20; round++) {
        b = make_message(fields, n, 40, n, 0);
        check_message(type, proc, value, size, fields, n, b);
        bytes_free(b);
    }
    b = make_message(fields, n, 10, n, 0);
    for (size_t cut = 0; cut < b.n; cut++) {
        struct bytes part = bytes_copy(b.p, cut);
        check_refused(type, proc, value, size, part);
        bytes_free(part);
    }
    bytes_free(b);
    for (size_t i = 0; i < n; i++) {
        if ((fields[i].kind != TEXT && fields[i].kind != BLOB) || fields[i].max > 4095)
            continue;
        b = make_message(fields, n, 10, i, fields[i].max);
        check_message(type, proc, value, size, fields, n, b);
        bytes_free(b);
        b = make_message(fields, n, 10, i, fields[i].max + 1);
        check_refused(type, proc, value, size, b);
        bytes_free(b);
    }
    free(value);
}

#define CHECK(type, ...)                                                                           \
    do {                                                                                           \
        typedef type T;                                                                            \
        static const struct field fields[] = {__VA_ARGS__};                                        \
        check(#type, (xdrproc_t)xdr_##type, sizeof(type), fields,                                  \
              sizeof(fields) / sizeof(*fields));                                                   \
    } while (0)

Test(layout, parts)
{
    CHECK(gf_iatt, GFID(gfid), U64(flags), U64(ino), U64(dev), U64(rdev), U64(size), U64(blocks),
          U64(attributes), U64(attributes_mask), U64(atime), U64(mtime), U64(ctime), U64(btime),
          U32(atime_nsec), U32(mtime_nsec), U32(ctime_nsec), U32(btime_nsec), U32(nlink), U32(uid),
          U32(gid), U32(blksize), U32(mode));
}

Test(layout, name_args)
{
    CHECK(gf_lookup_args, GFID(gfid), GFID(pargfid), U32(flags), STR(bname, 255), DICT(xdata));
    CHECK(gf_stat_args, GFID(gfid), DICT(xdata));
    CHECK(gf_fstat_args, GFID(gfid), U64(fd), DICT(xdata));
    CHECK(gf_setattr_args, GFID(gfid), IATT(stat), U32(valid), DICT(xdata));
    CHECK(gf_fsetattr_args, GFID(gfid), U64(fd), IATT(stat), U32(valid), DICT(xdata));
    CHECK(gf_access_args, GFID(gfid), U32(mask), DICT(xdata));
    CHECK(gf_readlink_args, GFID(gfid), U32(size), DICT(xdata));
    CHECK(gf_statfs_args, GFID(gfid), DICT(xdata));
    CHECK(gf_create_args, GFID(pargfid), U32(flags), U32(mode), U32(umask), STR(bname, 255),
          DICT(xdata));
    CHECK(gf_mknod_args, GFID(pargfid), U64(dev), U32(mode), U32(umask), STR(bname, 255),
          DICT(xdata));
    CHECK(gf_mkdir_args, GFID(pargfid), U32(mode), U32(umask), STR(bname, 255), DICT(xdata));
    CHECK(gf_symlink_args, GFID(pargfid), STR(bname, 255), U32(umask), STR(target, 4095),
          DICT(xdata));
    CHECK(gf_link_args, GFID(gfid), GFID(newpargfid), STR(newbname, 255), DICT(xdata));
    CHECK(gf_unlink_args, GFID(pargfid), STR(bname, 255), U32(xflags), DICT(xdata));
    CHECK(gf_rmdir_args, GFID(pargfid), U32(xflags), STR(bname, 255), DICT(xdata));
    CHECK(gf_rename_args, GFID(oldpargfid), GFID(newpargfid), STR(oldbname, 255),
          STR(newbname, 255), DICT(xdata));
}

Test(layout, file_args)
{
    CHECK(gf_open_args, GFID(gfid), U32(flags), DICT(xdata));
    CHECK(gf_opendir_args, GFID(gfid), DICT(xdata));
    CHECK(gf_read_args, GFID(gfid), U64(fd), U64(offset), U32(size), U32(flags), DICT(xdata));
    CHECK(gf_write_args, GFID(gfid), U64(fd), U64(offset), U32(size), U32(flags), DICT(xdata));
    CHECK(gf_flush_args, GFID(gfid), U64(fd), DICT(xdata));
    CHECK(gf_release_args, GFID(gfid), U64(fd), DICT(xdata));
    CHECK(gf_releasedir_args, GFID(gfid), U64(fd), DICT(xdata));
    CHECK(gf_fsync_args, GFID(gfid), U64(fd), U32(data), DICT(xdata));
    CHECK(gf_fsyncdir_args, GFID(gfid), U64(fd), U32(data), DICT(xdata));
    CHECK(gf_truncate_args, GFID(gfid), U64(offset), DICT(xdata));
    CHECK(gf_ftruncate_args, GFID(gfid), U64(fd), U64(offset), DICT(xdata));
    CHECK(gf_fallocate_args, GFID(gfid), U64(fd), U32(flags), U64(offset), U64(size), DICT(xdata));
    CHECK(gf_discard_args, GFID(gfid), U64(fd), U64(offset), U64(size), DICT(xdata));
    CHECK(gf_zerofill_args, GFID(gfid), U64(fd), U64(offset), U64(size), DICT(xdata));
    CHECK(gf_seek_args, GFID(gfid), U64(fd), U64(offset), U32(what), DICT(xdata));
    CHECK(gf_copy_file_range_args, GFID(gfid_in), GFID(gfid_out), U64(fd_in), U64(fd_out),
          U64(off_in), U64(off_out), U32(size), U32(flags), DICT(xdata));
    CHECK(gf_rchecksum_args, GFID(gfid), U64(fd), U64(offset), U32(len), U32(flags), DICT(xdata));
    CHECK(gf_readdir_args, GFID(gfid), U64(fd), U64(offset), U32(size), DICT(xdata));
    CHECK(gf_readdirp_args, GFID(gfid), U64(fd), U64(offset), U32(size), DICT(xdata));
    CHECK(gf_ipc_args, U32(op), DICT(xdata));
}

Test(layout, xattr_and_lock_args)
{
    CHECK(gf_getxattr_args, GFID(gfid), U32(namelen), STR(name, 255), DICT(xdata));
    CHECK(gf_fgetxattr_args, GFID(gfid), U64(fd), U32(namelen), STR(name, 255), DICT(xdata));
    CHECK(gf_setxattr_args, GFID(gfid), U32(flags), DICT(xattrs), DICT(xdata));
    CHECK(gf_fsetxattr_args, GFID(gfid), U64(fd), U32(flags), DICT(xattrs), DICT(xdata));
    CHECK(gf_removexattr_args, GFID(gfid), STR(name, 255), DICT(xdata));
    CHECK(gf_fremovexattr_args, GFID(gfid), U64(fd), STR(name, 255), DICT(xdata));
    CHECK(gf_xattrop_args, GFID(gfid), U32(op), DICT(xattrs), DICT(xdata));
    CHECK(gf_fxattrop_args, GFID(gfid), U64(fd), U32(op), DICT(xattrs), DICT(xdata));
    CHECK(gf_lk_args, GFID(gfid), U64(fd), U32(cmd), U32(type), FLOCK(flock), DICT(xdata));
    CHECK(gf_inodelk_args, GFID(gfid), U32(cmd), U32(type), FLOCK(flock), STR(domain, 1023),
          DICT(xdata));
    CHECK(gf_finodelk_args, GFID(gfid), U64(fd), U32(cmd), U32(type), FLOCK(flock),
          STR(domain, 1023), DICT(xdata));
    CHECK(gf_entrylk_args, GFID(gfid), U32(cmd), U32(type), U64(namelen), STR(name, 255),
          STR(domain, 1023), DICT(xdata));
    CHECK(gf_fentrylk_args, GFID(gfid), U64(fd), U32(cmd), U32(type), U64(namelen), STR(name, 255),
          STR(domain, 1023), DICT(xdata));
    CHECK(gf_lease_args, GFID(gfid), LEASE(lease), DICT(xdata));
}

Test(layout, common_results)
{
    CHECK(gf_access_res, RESULT);
    CHECK(gf_flush_res, RESULT);
    CHECK(gf_fsyncdir_res, RESULT);
    CHECK(gf_inodelk_res, RESULT);
    CHECK(gf_finodelk_res, RESULT);
    CHECK(gf_entrylk_res, RESULT);
    CHECK(gf_fentrylk_res, RESULT);
    CHECK(gf_setxattr_res, RESULT);
    CHECK(gf_fsetxattr_res, RESULT);
    CHECK(gf_removexattr_res, RESULT);
    CHECK(gf_fremovexattr_res, RESULT);
    CHECK(gf_release_res, RESULT);
    CHECK(gf_releasedir_res, RESULT);
    CHECK(gf_ipc_res, RESULT);
    CHECK(gf_readdir_res, RESULT);
    CHECK(gf_readdirp_res, RESULT);
}

Test(layout, attribute_results)
{
    CHECK(gf_stat_res, RESULT, IATT(stat));
    CHECK(gf_fstat_res, RESULT, IATT(stat));
    CHECK(gf_lookup_res, RESULT, IATT(stat), IATT(postparent));
    CHECK(gf_write_res, RESULT, IATT(prestat), IATT(poststat));
    CHECK(gf_truncate_res, RESULT, IATT(prestat), IATT(poststat));
    CHECK(gf_ftruncate_res, RESULT, IATT(prestat), IATT(poststat));
    CHECK(gf_fsync_res, RESULT, IATT(prestat), IATT(poststat));
    CHECK(gf_setattr_res, RESULT, IATT(prestat), IATT(poststat));
    CHECK(gf_fsetattr_res, RESULT, IATT(prestat), IATT(poststat));
    CHECK(gf_fallocate_res, RESULT, IATT(prestat), IATT(poststat));
    CHECK(gf_discard_res, RESULT, IATT(prestat), IATT(poststat));
    CHECK(gf_zerofill_res, RESULT, IATT(prestat), IATT(poststat));
    CHECK(gf_unlink_res, RESULT, IATT(preparent), IATT(postparent));
    CHECK(gf_rmdir_res, RESULT, IATT(preparent), IATT(postparent));
    CHECK(gf_mknod_res, RESULT, IATT(stat), IATT(preparent), IATT(postparent));
    CHECK(gf_mkdir_res, RESULT, IATT(stat), IATT(preparent), IATT(postparent));
    CHECK(gf_symlink_res, RESULT, IATT(stat), IATT(preparent), IATT(postparent));
    CHECK(gf_link_res, RESULT, IATT(stat), IATT(preparent), IATT(postparent));
    CHECK(gf_copy_file_range_res, RESULT, IATT(stat), IATT(prestat), IATT(poststat));
    CHECK(gf_rename_res, RESULT, IATT(stat), IATT(preoldparent), IATT(postoldparent),
          IATT(prenewparent), IATT(postnewparent));
}

Test(layout, other_results)
{
    CHECK(gf_open_res, RESULT, U64(fd));
    CHECK(gf_opendir_res, RESULT, U64(fd));
    CHECK(gf_create_res, RESULT, IATT(stat), U64(fd), IATT(preparent), IATT(postparent));
    CHECK(gf_read_res, U32(op_ret), U32(op_errno), IATT(stat), U32(size), DICT(xdata));
    CHECK(gf_readlink_res, RESULT, IATT(stat), STR(path, 4095));
    CHECK(gf_statfs_res, RESULT, U64(bsize), U64(frsize), U64(blocks), U64(bfree), U64(bavail),
          U64(files), U64(ffree), U64(favail), U64(fsid), U64(flag), U64(namemax));
    CHECK(gf_lk_res, RESULT, FLOCK(flock));
    CHECK(gf_getxattr_res, RESULT, DICT(xattrs), IATT(prestat), IATT(poststat));
    CHECK(gf_fgetxattr_res, RESULT, DICT(xattrs), IATT(prestat), IATT(poststat));
    CHECK(gf_xattrop_res, RESULT, DICT(xattrs), IATT(prestat), IATT(poststat));
    CHECK(gf_fxattrop_res, RESULT, DICT(xattrs), IATT(prestat), IATT(poststat));
    CHECK(gf_seek_res, RESULT, U64(offset));
    CHECK(gf_rchecksum_res, RESULT, U32(flags), U32(weak), OPQ(strong, 64));
    CHECK(gf_lease_res, RESULT, LEASE(lease));
}

Test(layout, handshake)
{
    CHECK(gf_dump_args, U64(gfs_id));
    CHECK(gf_dump_res, U64(gfs_id), U32(op_ret), U32(op_errno));
    CHECK(gf_ping_res, U32(op_ret), U32(op_errno), OPQ(xdata, 1048576));
    CHECK(gf_setvolume_args, OPQ(dict, 1048576));
    CHECK(gf_setvolume_res, U32(op_ret), U32(op_errno), OPQ(dict, 1048576));
    CHECK(gf_getspec_args, U32(flags), STR(key, 4095), OPQ(xdata, 1048576));
    CHECK(gf_getspec_res, U32(op_ret), U32(op_errno), STR(spec, 4194304), OPQ(xdata, 1048576));
    CHECK(gf_portbybrick_args, STR(brick, 4095));
    CHECK(gf_portbybrick_res, U32(op_ret), U32(op_errno), U32(status), U32(port));
}

Test(layout, callback)
{
    CHECK(gf_event_notify_args, U32(op), OPQ(dict, 65536));
    CHECK(gf_cache_invalidation_args, STR(gfid, 36), U32(event_type), U32(flags),
          U32(expire_time_attr), OLD_IATT(stat), OLD_IATT(parent), OLD_IATT(oldparent),
          OPQ(xdata, 65536));
    CHECK(gf_recall_lease_args, GFID(gfid), U32(lease_type), GFID(lease_id), OPQ(xdata, 65536));
    CHECK(gf_inodelk_contention_args, GFID(gfid), FLOCK(flock), U32(pid), STR(domain, 1023),
          OPQ(xdata, 65536));
    CHECK(gf_entrylk_contention_args, GFID(gfid), U32(type), U32(pid), STR(name, 255),
          STR(domain, 1023), OPQ(xdata, 65536));
}

/* The order of enum gf_fop_procnum in protocol-common.h; 0: not used. */
Test(layout, fop_numbers)
{
#define F(name) GF_FOP_##name
    static const int fops[] = {
        0,
        F(STAT),
        F(READLINK),
        F(MKNOD),
        F(MKDIR),
        F(UNLINK),
        F(RMDIR),
        F(SYMLINK),
        F(RENAME),
        F(LINK),
        F(TRUNCATE),
        F(OPEN),
        F(READ),
        F(WRITE),
        F(STATFS),
        F(FLUSH),
        F(FSYNC),
        F(SETXATTR),
        F(GETXATTR),
        F(REMOVEXATTR),
        F(OPENDIR),
        F(FSYNCDIR),
        F(ACCESS),
        F(CREATE),
        F(FTRUNCATE),
        F(FSTAT),
        F(LK),
        F(LOOKUP),
        F(READDIR),
        F(INODELK),
        F(FINODELK),
        F(ENTRYLK),
        F(FENTRYLK),
        F(XATTROP),
        F(FXATTROP),
        F(FGETXATTR),
        F(FSETXATTR),
        F(RCHECKSUM),
        F(SETATTR),
        F(FSETATTR),
        F(READDIRP),
        F(RELEASE),
        F(RELEASEDIR),
        F(FREMOVEXATTR),
        F(FALLOCATE),
        F(DISCARD),
        F(ZEROFILL),
        F(IPC),
        F(SEEK),
        0,
        F(LEASE),
        0,
        0,
        0,
        0,
        0,
        F(COPY_FILE_RANGE),
    };
#undef F
    for (int i = 0; i < (int)(sizeof(fops) / sizeof(*fops)); i++)
        cr_assert(fops[i] == i || fops[i] == 0, "operation %d", i);
}
