/* Dictionaries in the old form, of handshakes and callbacks. */
#include "proto/dict.h"
#include "proto/handshake.h"
#include "proto_bytes.h"
#include "proto_captured.h"

#include <errno.h>

/* int: -5, s: "ab", b: 01 02 03 */
#define THREE                                                                                      \
    "00000003"                                                                                     \
    "00000003 00000003 696e7400 2d3500"                                                            \
    "00000001 00000003 7300 616200"                                                                \
    "00000001 00000003 6200 010203"

static struct dict three(void)
{
    struct dict d = {0};
    dict_set_int(&d, "int", -5);
    dict_set_string(&d, "s", "ab");
    dict_set_bytes(&d, "b", "\1\2\3", 3);
    return d;
}

static void assert_refused(const uint8_t *p, size_t n)
{
    struct dict d = {0};
    cr_assert_eq(dict_opaque_decode(&d, p, n), -EPROTO);
    cr_assert_eq(d.count, 0);
    cr_assert_null(d.pairs);
    cr_assert_null(d.wire);
}

Test(dict_opaque, known_bytes)
{
    struct bytes want = bytes_hex(THREE), got = bytes_copy(want.p, want.n);
    struct dict d = three();
    int64_t i;
    size_t n;
    memset(got.p, 0x5a, got.n);
    cr_assert_eq(dict_opaque_size(&d), (ssize_t)want.n);
    cr_assert_eq(dict_opaque_encode(&d, got.p, got.n), (ssize_t)want.n);
    assert_bytes(got, want.p, want.n);
    cr_assert_eq(dict_opaque_encode(&d, got.p, got.n - 1), -ENOSPC);
    dict_free(&d);

    cr_assert_eq(dict_opaque_decode(&d, want.p, want.n), 0);
    cr_assert_eq(d.count, 3);
    cr_assert_eq(dict_get_int(&d, "int", &i), 0);
    cr_assert_eq(i, -5);
    cr_assert_str_eq(dict_get_string(&d, "s"), "ab");
    cr_assert_eq(memcmp(dict_get_bytes(&d, "b", &n), "\1\2\3", 3), 0);
    cr_assert_eq(n, 3);
    cr_assert_null(dict_get_string(&d, "b"));
    cr_assert_eq(dict_opaque_encode(&d, got.p, got.n), (ssize_t)want.n);
    assert_bytes(got, want.p, want.n);
    dict_free(&d);
    bytes_free(want);
    bytes_free(got);
}

Test(dict_opaque, none_and_empty)
{
    struct dict none = DICT_NULL, empty = {0}, d = {0};
    uint8_t out[4];
    cr_assert_eq(dict_opaque_size(&none), 0);
    cr_assert_eq(dict_opaque_encode(&none, out, 0), 0);
    cr_assert_eq(dict_opaque_encode(&empty, out, sizeof(out)), 4);
    cr_assert_eq(wire_get32(out), 0);
    cr_assert_eq(dict_opaque_encode(&empty, out, 3), -ENOSPC);
    cr_assert_eq(dict_opaque_decode(&d, NULL, 0), 0);
    cr_assert_eq(d.count, -1);
    cr_assert_eq(dict_opaque_decode(&d, out, sizeof(out)), 0);
    cr_assert_eq(d.count, 0);
}

Test(dict_opaque, numbers)
{
    struct dict d = {0}, back = {0};
    uint8_t out[256];
    int64_t i;
    uint64_t u;
    dict_set_int(&d, "min", INT64_MIN);
    dict_set_int(&d, "max", INT64_MAX);
    dict_set_uint(&d, "umax", UINT64_MAX);
    dict_set_uint(&d, "zero", 0);
    ssize_t n = dict_opaque_encode(&d, out, sizeof(out));
    cr_assert_gt(n, 0);
    cr_assert_eq(dict_opaque_decode(&back, out, (size_t)n), 0);
    cr_assert_eq(dict_get_int(&back, "min", &i), 0);
    cr_assert_eq(i, INT64_MIN);
    cr_assert_eq(dict_get_int(&back, "max", &i), 0);
    cr_assert_eq(i, INT64_MAX);
    cr_assert_eq(dict_get_uint(&back, "umax", &u), 0);
    cr_assert_eq(u, UINT64_MAX);
    cr_assert_str_eq(dict_get_string(&back, "zero"), "0");
    dict_free(&d);
    dict_free(&back);
}

/* Types that the old form cannot carry come from the other decoder. */
Test(dict_opaque, types_it_lacks)
{
    static const char *const wire[] = {
        "00000014 00000001 00000001 00000003 6b310000 00000004 3ff00000 00000000",
        "00000030 00000001 00000001 00000003 6b310000 00000009"
        "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
    };
    for (size_t i = 0; i < 2; i++) {
        struct bytes b = bytes_hex(wire[i]);
        struct dict d = {0};
        uint8_t out[64];
        cr_assert_eq(dict_wire_decode(&d, b.p, b.n), 0);
        cr_assert_eq(dict_opaque_size(&d), -EINVAL);
        cr_assert_eq(dict_opaque_encode(&d, out, sizeof(out)), -EINVAL);
        dict_free(&d);
        bytes_free(b);
    }
}

Test(dict_opaque, random_round_trips)
{
    for (int round = 0; round < 500; round++) {
        struct dict d = {0}, back = {0};
        uint32_t pairs = rnd_below(20);
        for (uint32_t k = 0; k < pairs; k++) {
            char key[64];
            uint8_t value[256];
            rnd_name(key, 1 + rnd_below(60));
            rnd_fill(value, sizeof(value));
            cr_assert_eq(dict_set_bytes(&d, key, value, rnd_below(256)), 0);
        }
        size_t n = (size_t)dict_opaque_size(&d);
        struct bytes b = {malloc(n), n};
        cr_assert_eq(dict_opaque_encode(&d, b.p, n), (ssize_t)n);
        cr_assert_eq(dict_opaque_decode(&back, b.p, n), 0);
        cr_assert_eq(back.count, d.count);
        for (int32_t k = 0; k < d.count; k++) {
            size_t length;
            const uint8_t *value = dict_get_bytes(&back, d.pairs[k].key, &length);
            cr_assert_eq(length, d.pairs[k].length);
            cr_assert_eq(memcmp(value, d.pairs[k].value, length), 0);
        }
        dict_free(&d);
        dict_free(&back);
        bytes_free(b);
    }
}

Test(dict_opaque, truncated)
{
    struct bytes b = bytes_hex(THREE);
    for (size_t n = 1; n < b.n; n++) {
        struct bytes part = bytes_copy(b.p, n);
        assert_refused(part.p, n);
        bytes_free(part);
    }
    bytes_free(b);
}

Test(dict_opaque, hostile)
{
    static const char *const bad[] = {
        "00000001",                                         /* a pair that is not there */
        "00000000 00",                                      /* bytes behind */
        "00000000 00000000 00000000",                       /* and more */
        "ffffffff 00000001 00000001 6b00 31",               /* count -1 */
        "7fffffff 00000001 00000001 6b00 31",               /* far too many */
        "00000002 00000001 00000001 6b00 31",               /* one more than there are */
        "00000001 00000001 00000001 6b00 3132",             /* a byte behind */
        "00000001 00000000 00000002 00 3132",               /* empty key */
        "00000001 00000002 00000001 6b00 00 31",            /* NUL inside the key */
        "00000001 00000001 00000001 6b6b 31",               /* none behind it */
        "00000001 ffffffff 00000001 6b00 31",               /* negative lengths */
        "00000001 ffffffff 00000002 6b6b 3131",             /* without any NUL */
        "00000001 00000001 ffffffff 6b00 31",               /* of key and value */
        "00000001 7fffffff 00000001 6b00 31",               /* huge ones */
        "00000001 00000001 7fffffff 6b00 31",               /* of key and value */
        "00000001 00000001 00000002 6b00 31",               /* one too long */
        "00000002 00000001 00000001 6b00 31 00000001 0000", /* second pair cut */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct bytes b = bytes_hex(bad[i]);
        assert_refused(b.p, b.n);
        bytes_free(b);
    }
}

Test(dict_opaque, corrupted)
{
    struct bytes b = bytes_hex(THREE);
    for (size_t at = 0; at < b.n; at++) {
        for (unsigned v = 0; v < 256; v++) {
            struct bytes c = bytes_copy(b.p, b.n);
            struct dict d = {0};
            c.p[at] = (uint8_t)v;
            int rc = dict_opaque_decode(&d, c.p, c.n);
            cr_assert(rc == 0 || rc == -EPROTO);
            cr_assert(rc || dict_opaque_size(&d) == (ssize_t)c.n);
            dict_free(&d);
            bytes_free(c);
        }
    }
    bytes_free(b);
}

Test(dict_opaque, captured_setvolume)
{
    struct bytes b = bytes_hex(CAPTURED_SETVOLUME);
    struct gf_setvolume_res res = {0};
    struct dict d = {0};
    int64_t up;
    cr_assert_eq(bytes_decode((xdrproc_t)xdr_gf_setvolume_res, b.p + 24, b.n - 24, &res),
                 (long)b.n - 24);
    cr_assert_eq(res.op_ret, 0);
    cr_assert_eq(dict_opaque_decode(&d, res.dict.dict_val, res.dict.dict_len), 0);
    cr_assert_eq(d.count, 5);
    cr_assert_str_eq(dict_get_string(&d, "ERROR"), "Success");
    cr_assert_eq(dict_get_int(&d, "child_up", &up), 0);
    cr_assert_eq(up, 1);
    cr_assert_eq(strlen(dict_get_string(&d, "process-uuid")), 36);
    dict_free(&d);
    xdr_free((xdrproc_t)xdr_gf_setvolume_res, &res);
    bytes_free(b);

    b = bytes_hex(CAPTURED_SETVOLUME_ENOENT);
    memset(&res, 0, sizeof(res));
    cr_assert_eq(bytes_decode((xdrproc_t)xdr_gf_setvolume_res, b.p + 24, b.n - 24, &res),
                 (long)b.n - 24);
    cr_assert_eq(res.op_ret, -1);
    cr_assert_eq(res.op_errno, ENOENT);
    cr_assert_eq(dict_opaque_decode(&d, res.dict.dict_val, res.dict.dict_len), 0);
    cr_assert_str_eq(dict_get_string(&d, "ERROR"), "Brick not found");
    dict_free(&d);
    xdr_free((xdrproc_t)xdr_gf_setvolume_res, &res);
    bytes_free(b);
}
