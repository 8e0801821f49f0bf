/* READ and WRITE without XDR streams, against rpcgen's code and a brick's own bytes. */
#include "proto/fop.h"
#include "proto/hot.h"
#include "proto/iatt.h"
#include "proto_bytes.h"
#include "proto_captured.h"

#include <errno.h>

#define RPC_HEADER 24

Test(hot, args_are_xdr)
{
    for (int i = 0; i < 1000; i++) {
        gf_io_args args = {
            .fd = (int64_t)rnd(),
            .offset = rnd(),
            .size = (uint32_t)rnd(),
            .flags = (uint32_t)rnd(),
            .xdata = DICT_NULL,
        };
        rnd_fill(args.gfid, sizeof(args.gfid));
        struct bytes read = bytes_xdr((xdrproc_t)xdr_gf_read_args, &args);
        struct bytes write = bytes_xdr((xdrproc_t)xdr_gf_write_args, &args);
        uint8_t out[HOT_IO_ARGS_BYTES];
        hot_io_args_encode(out, args.gfid, args.fd, args.offset, args.size, args.flags);
        assert_bytes(read, out, sizeof(out));
        assert_bytes(write, out, sizeof(out));
        bytes_free(read);
        bytes_free(write);
    }
}

/* A dictionary of a few keys; or an empty one, or none. */
static struct dict some_dict(int i)
{
    struct dict d = {.count = i % 3 ? 0 : -1};
    for (int k = 0; k < i % 7; k++) {
        char key[8] = {'k', (char)('0' + k)};
        cr_assert_eq(dict_set_string(&d, key, &"abcdefgh"[k]), 0);
    }
    return d;
}

static struct gf_iatt some_iatt(void)
{
    struct gf_iatt a;
    uint8_t raw[IATT_BYTES];
    rnd_fill(raw, sizeof(raw));
    iatt_decode(raw, &a);
    return a;
}

Test(hot, read_reply_is_xdr)
{
    for (int i = 0; i < 1000; i++) {
        int32_t op_ret = i % 5 ? (int32_t)rnd_below(1u << 31) : -1;
        struct gf_read_res want = {
            .op_ret = op_ret,
            .op_errno = (int32_t)rnd(),
            .stat = some_iatt(),
            .size = op_ret < 0 ? 0 : (uint32_t)op_ret,
            .xdata = some_dict(i),
        };
        struct bytes b = bytes_xdr((xdrproc_t)xdr_gf_read_res, &want);
        struct hot_read_reply r;
        cr_assert_geq(b.n, HOT_READ_FIXED);
        cr_assert_eq(hot_read_reply_decode(b.p, &r), 0);
        cr_assert_eq(r.op_ret, want.op_ret);
        cr_assert_eq(r.op_errno, want.op_errno);
        cr_assert_eq(r.size, want.size);
        cr_assert_eq(HOT_READ_FIXED + r.dict_bytes, b.n);
        struct bytes stat = bytes_xdr((xdrproc_t)xdr_gf_iatt, &want.stat);
        cr_assert_eq(memcmp(r.iatt, stat.p, stat.n), 0);
        bytes_free(stat);
        bytes_free(b);
        dict_free(&want.xdata);
    }
}

static void patch_read(size_t at, uint32_t word, int want)
{
    struct bytes b = bytes_hex(CAPTURED_READ_DICT);
    struct hot_read_reply r;
    wire_put32(b.p + RPC_HEADER + at, word);
    cr_assert_eq(hot_read_reply_decode(b.p + RPC_HEADER, &r), want, "%08x at %zu", word, at);
    bytes_free(b);
}

/* The reply has op_ret 5 and one pair in 40 bytes. */
Test(hot, read_reply_inconsistent)
{
    patch_read(0, 5, 0);
    patch_read(0, 6, -EPROTO);
    patch_read(0, 0x80000005, -EPROTO); /* failed, but there is payload */
    patch_read(156, 4, -EPROTO);
    patch_read(156, UINT32_MAX, -EPROTO);
    patch_read(160, 44, 0); /* all that can be known before the pairs are here */
    patch_read(160, 42, -EPROTO);
    patch_read(160, 0, -EPROTO);
    patch_read(160, 12, -EPROTO);
    patch_read(160, HOT_DICT_MAX, 0);
    patch_read(160, HOT_DICT_MAX + 4, -EPROTO);
    patch_read(160, 0xfffffffc, -EPROTO);
    patch_read(164, 0, -EPROTO);
    patch_read(164, UINT32_MAX, -EPROTO);
    patch_read(164, UINT32_MAX - 1, -EPROTO);
    patch_read(168, 2, -EPROTO);
    patch_read(168, 0, -EPROTO);
}

Test(hot, read_captured)
{
    static const struct {
        const char *text;
        int32_t op_ret, op_errno;
        uint32_t dict_bytes;
        const char *payload;
    } captured[] = {
        {CAPTURED_READ, 5, 0, 0, "hello"},
        {CAPTURED_READ_EOF, 12, ENOENT, 0, "hello world!"},
        {CAPTURED_READ_DICT, 5, 0, 40, "hello"},
        {CAPTURED_READ_EBADF, -1, EBADF, 0, ""},
    };
    for (size_t i = 0; i < sizeof(captured) / sizeof(*captured); i++) {
        struct bytes b = bytes_hex(captured[i].text);
        struct hot_read_reply r;
        cr_assert_eq(hot_read_reply_decode(b.p + RPC_HEADER, &r), 0);
        cr_assert_eq(r.op_ret, captured[i].op_ret);
        cr_assert_eq(r.op_errno, captured[i].op_errno);
        cr_assert_eq(r.dict_bytes, captured[i].dict_bytes);
        cr_assert_eq(r.size, strlen(captured[i].payload));
        size_t at = RPC_HEADER + HOT_READ_FIXED + r.dict_bytes;
        cr_assert_eq(b.n, at + r.size);
        cr_assert_eq(memcmp(b.p + at, captured[i].payload, r.size), 0);
        bytes_free(b);
    }
}

Test(hot, write_reply_is_xdr)
{
    for (int i = 0; i < 200; i++) {
        struct gf_prepost_res want = {
            .op_ret = (int32_t)rnd(),
            .op_errno = (int32_t)rnd(),
            .xdata = some_dict(i),
            .prestat = some_iatt(),
            .poststat = some_iatt(),
        };
        struct bytes b = bytes_xdr((xdrproc_t)xdr_gf_write_res, &want);
        struct bytes pre = bytes_xdr((xdrproc_t)xdr_gf_iatt, &want.prestat);
        struct bytes post = bytes_xdr((xdrproc_t)xdr_gf_iatt, &want.poststat);
        struct hot_write_reply r;
        cr_assert_eq(hot_write_reply_decode(b.p, b.n, &r), 0);
        cr_assert_eq(r.op_ret, want.op_ret);
        cr_assert_eq(r.op_errno, want.op_errno);
        cr_assert_eq(r.dict_bytes, b.n - 8 - 12 - pre.n - post.n);
        cr_assert_eq(memcmp(r.prestat, pre.p, pre.n), 0);
        cr_assert_eq(memcmp(r.poststat, post.p, post.n), 0);
        for (size_t n = 0; n < b.n; n++) {
            struct bytes part = bytes_copy(b.p, n);
            cr_assert_eq(hot_write_reply_decode(part.p, n, &r), -EPROTO, "%zu bytes", n);
            bytes_free(part);
        }
        struct bytes longer = {realloc(b.p, b.n + 4), b.n + 4};
        memset(longer.p + b.n, 0, 4);
        cr_assert_eq(hot_write_reply_decode(longer.p, longer.n, &r), -EPROTO);
        bytes_free(pre);
        bytes_free(post);
        bytes_free(longer);
        dict_free(&want.xdata);
    }
}

Test(hot, write_captured)
{
    static const struct {
        const char *text;
        int32_t op_ret, op_errno;
        uint32_t dict_bytes;
        uint64_t size;
    } captured[] = {
        {CAPTURED_WRITE, 11, 0, 0, 11},
        {CAPTURED_WRITE_DICT, 1, 0, 84, 12},
        {CAPTURED_WRITE_EBADF, -1, EBADF, 0, 0},
    };
    for (size_t i = 0; i < sizeof(captured) / sizeof(*captured); i++) {
        struct bytes b = bytes_hex(captured[i].text);
        struct hot_write_reply r;
        struct gf_iatt post;
        cr_assert_eq(hot_write_reply_decode(b.p + RPC_HEADER, b.n - RPC_HEADER, &r), 0);
        iatt_decode(r.poststat, &post);
        cr_assert_eq(r.op_ret, captured[i].op_ret);
        cr_assert_eq(r.op_errno, captured[i].op_errno);
        cr_assert_eq(r.dict_bytes, captured[i].dict_bytes);
        cr_assert_eq(post.size, captured[i].size);
        bytes_free(b);
    }
}

Test(hot, write_reply_inconsistent)
{
    static const struct {
        size_t at;
        uint32_t word;
    } bad[] = {
        {8, 4}, {8, 0xfffffffc}, {8, 296}, {12, 0xfffffffe}, {12, 1}, {16, 1}, {16, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct bytes b = bytes_hex(CAPTURED_WRITE);
        struct hot_write_reply r;
        wire_put32(b.p + RPC_HEADER + bad[i].at, bad[i].word);
        cr_assert_eq(hot_write_reply_decode(b.p + RPC_HEADER, b.n - RPC_HEADER, &r), -EPROTO);
        bytes_free(b);
    }
}
