/* Dictionaries: values by key, and gfx_dict, the encoding of file operations. */
#include "proto/dict.h"
#include "proto/iatt.h"
#include "proto_bytes.h"
#include "proto_captured.h"

#include <errno.h>

/* ---- values ---- */

Test(dict, set_and_get)
{
    struct dict d;
    static const uint8_t gfid[16] = {1, 2, 3, [15] = 16};
    int64_t i;
    uint64_t u;
    size_t n;
    dict_init(&d);
    cr_assert_eq(dict_set_int(&d, "int", -5), 0);
    cr_assert_eq(dict_set_uint(&d, "uint", UINT64_MAX), 0);
    cr_assert_eq(dict_set_string(&d, "string", "text"), 0);
    cr_assert_eq(dict_set_bytes(&d, "bytes", "a\0b", 3), 0);
    cr_assert_eq(dict_set_bytes(&d, "nothing", NULL, 0), 0);
    cr_assert_eq(dict_set_gfid(&d, "gfid", gfid), 0);
    cr_assert_eq(d.count, 6);
    cr_assert_eq(dict_get_int(&d, "int", &i), 0);
    cr_assert_eq(i, -5);
    cr_assert_eq(dict_get_uint(&d, "uint", &u), 0);
    cr_assert_eq(u, UINT64_MAX);
    cr_assert_str_eq(dict_get_string(&d, "string"), "text");
    cr_assert_eq(memcmp(dict_get_bytes(&d, "bytes", &n), "a\0b", 3), 0);
    cr_assert_eq(n, 3);
    cr_assert_not_null(dict_get_bytes(&d, "nothing", &n));
    cr_assert_eq(n, 0);
    cr_assert_eq(memcmp(dict_get_gfid(&d, "gfid"), gfid, 16), 0);

    cr_assert_null(dict_find(&d, "in"));
    cr_assert_null(dict_get_string(&d, "bytes"), "not terminated");
    cr_assert_null(dict_get_string(&d, "nothing"));
    cr_assert_null(dict_get_string(&d, "int"));
    cr_assert_null(dict_get_string(&d, "gfid"));
    cr_assert_null(dict_get_bytes(&d, "int", &n));
    cr_assert_null(dict_get_bytes(&d, "none", &n));
    cr_assert_null(dict_get_gfid(&d, "string"));
    cr_assert_null(dict_get_gfid(&d, "none"));
    dict_free(&d);
    cr_assert_eq(d.count, 0);
}

Test(dict, set_replaces)
{
    struct dict d = {0};
    for (int round = 0; round < 3; round++) {
        for (int k = 0; k < 100; k++) {
            char key[8];
            snprintf(key, sizeof(key), "key%d", k);
            cr_assert_eq(dict_set_int(&d, key, 1000 * round + k), 0);
        }
    }
    cr_assert_eq(d.count, 100);
    for (int k = 0; k < 100; k++) {
        int64_t v;
        char key[8];
        snprintf(key, sizeof(key), "key%d", k);
        cr_assert_eq(dict_get_int(&d, key, &v), 0);
        cr_assert_eq(v, 2000 + k);
    }
    cr_assert_eq(dict_set_string(&d, "key7", "seven"), 0);
    cr_assert_str_eq(dict_get_string(&d, "key7"), "seven");
    dict_free(&d);
}

Test(dict, set_makes_one_of_none)
{
    struct dict d = DICT_NULL;
    cr_assert_null(dict_find(&d, "k"));
    cr_assert_eq(dict_set_int(&d, "k", 1), 0);
    cr_assert_eq(d.count, 1);
    dict_free(&d);
}

Test(dict, set_limits)
{
    struct dict d = {0};
    uint8_t *large = calloc(1, DICT_PAIRS_MAX);
    cr_assert_eq(dict_set_int(&d, "", 1), -EINVAL);
    cr_assert_eq(dict_set_bytes(&d, "k", large, DICT_PAIRS_MAX - 1), -EINVAL);
    cr_assert_eq(dict_set_bytes(&d, "k", large, SIZE_MAX), -EINVAL);
    cr_assert_eq(d.count, 0);
    /* fits as such, but not with its lengths */
    cr_assert_eq(dict_set_bytes(&d, "k", large, DICT_PAIRS_MAX - 2), 0);
    const u_int room = DICT_PAIRS_MAX + 64;
    char *out = malloc(room);
    XDR xdrs;
    xdrmem_create(&xdrs, out, room, XDR_ENCODE);
    cr_assert_not(xdr_dict(&xdrs, &d));
    free(out);
    dict_free(&d);
    free(large);
}

Test(dict, numbers_in_text)
{
    static const struct {
        const char *text;
        size_t length;
        int int_rc;
        int64_t i;
        int uint_rc;
        uint64_t u;
    } cases[] = {
        {"0", 1, 0, 0, 0, 0},
        {"42", 2, 0, 42, 0, 42},
        {"42", 3, 0, 42, 0, 42}, /* with the NUL */
        {"-7", 3, 0, -7, -ERANGE, 0},
        {"-0", 2, 0, 0, 0, 0},
        {"007", 3, 0, 7, 0, 7},
        {"9223372036854775807", 19, 0, INT64_MAX, 0, INT64_MAX},
        {"9223372036854775808", 19, -ERANGE, 0, 0, 1ull << 63},
        {"-9223372036854775808", 20, 0, INT64_MIN, -ERANGE, 0},
        {"-9223372036854775809", 20, -ERANGE, 0, -ERANGE, 0},
        {"18446744073709551615", 20, -ERANGE, 0, 0, UINT64_MAX},
        {"18446744073709551616", 20, -ERANGE, 0, -ERANGE, 0},
        {"99999999999999999999999", 23, -ERANGE, 0, -ERANGE, 0},
        {"", 0, -EINVAL, 0, -EINVAL, 0},
        {"", 1, -EINVAL, 0, -EINVAL, 0},
        {"-", 1, -EINVAL, 0, -EINVAL, 0},
        {"--1", 3, -EINVAL, 0, -EINVAL, 0},
        {"+1", 2, -EINVAL, 0, -EINVAL, 0},
        {" 1", 2, -EINVAL, 0, -EINVAL, 0},
        {"1 ", 2, -EINVAL, 0, -EINVAL, 0},
        {"0x1", 3, -EINVAL, 0, -EINVAL, 0},
        {"1\0002", 3, -EINVAL, 0, -EINVAL, 0},
        {"1\0", 3, -EINVAL, 0, -EINVAL, 0}, /* two NULs */
        {"99999999999999999999999x", 24, -EINVAL, 0, -EINVAL, 0},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        struct dict d = {0};
        int64_t i = 99;
        uint64_t u = 99;
        cr_assert_eq(dict_set_bytes(&d, "n", cases[c].text, cases[c].length), 0);
        cr_assert_eq(dict_get_int(&d, "n", &i), cases[c].int_rc, "case %zu", c);
        cr_assert_eq(i, cases[c].int_rc ? 99 : cases[c].i, "case %zu", c);
        cr_assert_eq(dict_get_uint(&d, "n", &u), cases[c].uint_rc, "case %zu", c);
        cr_assert_eq(u, cases[c].uint_rc ? 99 : cases[c].u, "case %zu", c);
        dict_free(&d);
    }
}

Test(dict, numbers_of_both_types)
{
    struct dict d = {0};
    int64_t i;
    uint64_t u;
    dict_set_int(&d, "min", INT64_MIN);
    dict_set_uint(&d, "large", 1ull << 63);
    dict_set_uint(&d, "small", 3);
    dict_set_gfid(&d, "gfid", (const uint8_t[16]){0});
    cr_assert_eq(dict_get_int(&d, "min", &i), 0);
    cr_assert_eq(i, INT64_MIN);
    cr_assert_eq(dict_get_uint(&d, "min", &u), -ERANGE);
    cr_assert_eq(dict_get_int(&d, "large", &i), -ERANGE);
    cr_assert_eq(dict_get_uint(&d, "large", &u), 0);
    cr_assert_eq(u, 1ull << 63);
    cr_assert_eq(dict_get_int(&d, "small", &i), 0);
    cr_assert_eq(i, 3);
    cr_assert_eq(dict_get_int(&d, "gfid", &i), -EINVAL);
    cr_assert_eq(dict_get_int(&d, "none", &i), -ENOENT);
    dict_free(&d);
}

/* ---- gfx_dict ---- */

#define EMPTY "00000000 00000000 00000000"
#define NONE  "00000000 ffffffff 00000000"
/* k1: -2; k2: 258; k3: "ab"; k4: 3 bytes; k5: gfid; in the order of the keys */
#define FIVE                                                                                       \
    "00000070 00000005 00000005"                                                                   \
    "00000003 6b310000 00000002 ffffffff fffffffe"                                                 \
    "00000003 6b320000 00000003 00000000 00000102"                                                 \
    "00000003 6b330000 00000005 00000003 61620000"                                                 \
    "00000003 6b340000 00000006 00000005 01020304 05000000"                                        \
    "00000003 6b350000 00000007 00010203 04050607 08090a0b 0c0d0e0f"
#define FIVE_PAIRS (3 * 20 + 24 + 28)

static struct dict five(void)
{
    struct dict d = {0};
    static const uint8_t gfid[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    dict_set_int(&d, "k1", -2);
    dict_set_uint(&d, "k2", 258);
    dict_set_string(&d, "k3", "ab");
    dict_set_bytes(&d, "k4", "\1\2\3\4\5", 5);
    dict_set_gfid(&d, "k5", gfid);
    return d;
}

static void assert_encodes(struct dict *d, const char *hex)
{
    struct bytes want = bytes_hex(hex), got = bytes_xdr((xdrproc_t)xdr_dict, d);
    assert_bytes(got, want.p, want.n);
    bytes_free(want);
    bytes_free(got);
}

/* Both decoders take it, give the same, and that encodes to the same bytes again. */
static void assert_decodes(const uint8_t *p, size_t n, int32_t count)
{
    struct dict a = {0}, b = {0};
    cr_assert_eq(bytes_decode((xdrproc_t)xdr_dict, p, n, &a), (long)n);
    cr_assert_eq(dict_wire_length(p, n), (ssize_t)n);
    cr_assert_eq(dict_wire_length(p, n + 4), (ssize_t)n);
    cr_assert_eq(dict_wire_decode(&b, p, n), 0);
    cr_assert_eq(a.count, count);
    cr_assert_eq(b.count, count);
    struct bytes again = bytes_xdr((xdrproc_t)xdr_dict, &a);
    assert_bytes(again, p, n);
    bytes_free(again);
    again = bytes_xdr((xdrproc_t)xdr_dict, &b);
    assert_bytes(again, p, n);
    bytes_free(again);
    xdr_free((xdrproc_t)xdr_dict, &a);
    dict_free(&b);
    cr_assert_null(a.pairs);
}

/* Both decoders refuse it and leave an empty dictionary. */
static void assert_refused(const uint8_t *p, size_t n)
{
    struct dict a = {0}, b = {0};
    cr_assert_eq(bytes_decode((xdrproc_t)xdr_dict, p, n, &a), -1);
    cr_assert_eq(a.count, 0);
    cr_assert_null(a.pairs);
    cr_assert_null(a.wire);
    cr_assert_eq(dict_wire_decode(&b, p, n), -EPROTO);
    cr_assert_eq(b.count, 0);
    cr_assert_null(b.pairs);
    cr_assert_null(b.wire);
}

static void assert_refused_hex(const char *hex)
{
    struct bytes b = bytes_hex(hex);
    assert_refused(b.p, b.n);
    bytes_free(b);
}

Test(dict_wire, known_bytes)
{
    struct dict empty = {0}, none = DICT_NULL, d = five();
    assert_encodes(&empty, EMPTY);
    assert_encodes(&none, NONE);
    assert_encodes(&d, FIVE);
    dict_free(&d);

    struct bytes b = bytes_hex(EMPTY);
    assert_decodes(b.p, b.n, 0);
    bytes_free(b);
    b = bytes_hex(NONE);
    assert_decodes(b.p, b.n, -1);
    bytes_free(b);
    b = bytes_hex(FIVE);
    assert_decodes(b.p, b.n, 5);

    int64_t i;
    size_t n;
    cr_assert_eq(dict_wire_decode(&d, b.p, b.n), 0);
    cr_assert_eq(dict_get_int(&d, "k1", &i), 0);
    cr_assert_eq(i, -2);
    cr_assert_str_eq(dict_get_string(&d, "k3"), "ab");
    cr_assert_eq(memcmp(dict_get_bytes(&d, "k4", &n), "\1\2\3\4\5", 5), 0);
    cr_assert_eq(n, 5);
    cr_assert_eq(dict_get_gfid(&d, "k5")[15], 15);
    /* what was decoded can be changed */
    cr_assert_eq(dict_set_string(&d, "k1", "other"), 0);
    cr_assert_eq(dict_set_int(&d, "k6", 6), 0);
    cr_assert_str_eq(dict_get_string(&d, "k1"), "other");
    cr_assert_eq(d.count, 6);
    dict_free(&d);
    bytes_free(b);
}

Test(dict_wire, every_type)
{
    struct {
        uint32_t type, length;
        bool variable;
    } types[] = {{1, 7, true}, {2, 8, false},  {3, 8, false},   {4, 8, false}, {5, 7, true},
                 {6, 0, true}, {7, 16, false}, {8, 148, false}, {9, 36, false}};
    for (size_t t = 0; t < 9; t++) {
        uint32_t padded = (types[t].length + 3) & ~3u, value = padded + (types[t].variable ? 4 : 0);
        uint8_t p[256] = {0}, *v = p + 24;
        wire_put32(p, 12 + value);
        wire_put32(p + 4, 1);
        wire_put32(p + 8, 1);
        memcpy(p + 12, "\0\0\0\3ab\0", 8);
        wire_put32(p + 20, types[t].type);
        if (types[t].variable) {
            wire_put32(v, types[t].length);
            v += 4;
        }
        rnd_fill(v, types[t].length);
        struct bytes b = bytes_copy(p, 24 + value);
        assert_decodes(b.p, b.n, 1);
        struct dict d = {0};
        cr_assert_eq(dict_wire_decode(&d, b.p, b.n), 0);
        const struct dict_pair *pair = dict_find(&d, "ab");
        cr_assert_eq(pair->type, types[t].type);
        cr_assert_eq(pair->length, types[t].length);
        cr_assert_eq(memcmp(pair->value, v, types[t].length), 0);
        dict_free(&d);

        static const uint32_t unknown[] = {0, 10, 11, 0x80000001, UINT32_MAX};
        for (size_t u = 0; u < 5; u++) {
            wire_put32(b.p + 20, unknown[u]);
            assert_refused(b.p, b.n);
        }
        bytes_free(b);
    }
}

Test(dict_wire, random_round_trips)
{
    for (int round = 0; round < 500; round++) {
        struct dict d = {0};
        uint32_t n = rnd_below(20);
        for (uint32_t k = 0; k < n; k++) {
            char key[64];
            uint8_t value[256];
            rnd_name(key, 1 + rnd_below(60));
            rnd_fill(value, sizeof(value));
            cr_assert_eq(dict_set_bytes(&d, key, value, rnd_below(256)), 0);
        }
        struct bytes b = bytes_xdr((xdrproc_t)xdr_dict, &d);
        assert_decodes(b.p, b.n, d.count);
        bytes_free(b);
        dict_free(&d);
    }
}

Test(dict_wire, truncated)
{
    struct bytes b = bytes_hex(FIVE);
    for (size_t n = 0; n < b.n; n++) {
        struct bytes part = bytes_copy(b.p, n);
        assert_refused(part.p, n);
        cr_assert_eq(dict_wire_length(part.p, n), -EPROTO);
        if (n >= DICT_HEADER_BYTES) { /* a header that fits, pairs that do not */
            wire_put32(part.p, (uint32_t)n - DICT_HEADER_BYTES);
            assert_refused(part.p, n);
        }
        bytes_free(part);
    }
    bytes_free(b);
}

Test(dict_wire, length_limit)
{
    uint8_t header[DICT_HEADER_BYTES];
    wire_put32(header, DICT_PAIRS_MAX);
    wire_put32(header + 4, 1);
    wire_put32(header + 8, 1);
    cr_assert_eq(dict_wire_length(header, SIZE_MAX), DICT_HEADER_BYTES + DICT_PAIRS_MAX);
    wire_put32(header, DICT_PAIRS_MAX + 4);
    cr_assert_eq(dict_wire_length(header, SIZE_MAX), -EPROTO);
}

Test(dict_wire, inconsistent_header)
{
    static const struct {
        uint32_t xdr_size, count, pairs_len;
    } bad[] = {
        {FIVE_PAIRS, 4, 5},
        {FIVE_PAIRS, 5, 4},
        {FIVE_PAIRS, 4, 4},
        {FIVE_PAIRS, 6, 6},
        {FIVE_PAIRS, 5, 6},
        {FIVE_PAIRS - 4, 5, 5},
        {FIVE_PAIRS + 4, 5, 5},
        {FIVE_PAIRS - 1, 5, 5},
        {FIVE_PAIRS, 0, 0},
        {FIVE_PAIRS, UINT32_MAX, 0},
        {FIVE_PAIRS, UINT32_MAX, 5},
        {FIVE_PAIRS, UINT32_MAX, UINT32_MAX},
        {FIVE_PAIRS, 0x7fffffff, 0x7fffffff},
        {0, UINT32_MAX, 1},
        {0, UINT32_MAX - 1, 0},
        {0, 0x80000000, 0},
        {0, 0, 1},
        {0, 1, 1},
        {DICT_PAIRS_MAX, 5, 5},
        {DICT_PAIRS_MAX + 4, 5, 5},
        {0xfffffffc, 5, 5},
        {0xfffffffc, 0x0fffffff, 0x0fffffff},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct bytes b = bytes_hex(FIVE);
        cr_assert_eq(b.n, 12 + FIVE_PAIRS);
        wire_put32(b.p, bad[i].xdr_size);
        wire_put32(b.p + 4, bad[i].count);
        wire_put32(b.p + 8, bad[i].pairs_len);
        assert_refused(b.p, b.n);
        bytes_free(b);
    }
}

Test(dict_wire, bad_pairs)
{
    static const char *const bad[] = {
        /* keys: without NUL, with one inside, with two behind, empty, without even a NUL */
        "00000014 00000001 00000001 00000002 6b310000 00000002 00000000 00000001",
        "00000014 00000001 00000001 00000003 6b003100 00000002 00000000 00000001",
        "00000014 00000001 00000001 00000004 6b310000 00000002 00000000 00000001",
        "00000014 00000001 00000001 00000001 00000000 00000002 00000000 00000001",
        "00000010 00000001 00000001 00000000 00000002 00000000 00000001",
        /* key longer than all */
        "00000014 00000001 00000001 0000000d 6b310000 00000002 00000000 00000001",
        "00000014 00000001 00000001 ffffffff 6b310000 00000002 00000000 00000001",
        "00000014 00000001 00000001 fffffffd 6b310000 00000002 00000000 00000001",
        /* value longer than all */
        "00000014 00000001 00000001 00000003 6b310000 00000006 00000005 01020304",
        "00000014 00000001 00000001 00000003 6b310000 00000006 ffffffff 01020304",
        "00000014 00000001 00000001 00000003 6b310000 00000006 fffffffd 01020304",
        /* value shorter than its type's */
        "00000010 00000001 00000001 00000003 6b310000 00000002 00000000",
        "00000014 00000001 00000001 00000003 6b310000 00000007 00000000 00000000",
        /* bytes behind the last pair */
        "00000018 00000001 00000001 00000003 6b310000 00000002 00000000 00000001 00000000",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_refused_hex(bad[i]);
}

/* Whatever one byte is changed to, decoding ends well: refused, or a dictionary that encodes. */
Test(dict_wire, corrupted)
{
    struct bytes b = bytes_hex(FIVE);
    for (size_t at = 0; at < b.n; at++) {
        for (unsigned v = 0; v < 256; v++) {
            struct bytes c = bytes_copy(b.p, b.n);
            struct dict d = {0};
            c.p[at] = (uint8_t)v;
            int rc = dict_wire_decode(&d, c.p, c.n);
            cr_assert(rc == 0 || rc == -EPROTO);
            if (!rc) {
                struct bytes again = bytes_xdr((xdrproc_t)xdr_dict, &d);
                cr_assert_eq(again.n, c.n);
                bytes_free(again);
            }
            dict_free(&d);
            bytes_free(c);
        }
    }
    bytes_free(b);
}

Test(dict_wire, captured_lookup)
{
    struct bytes b = bytes_hex(CAPTURED_LOOKUP);
    const uint8_t *at = b.p + 24 + 8;
    ssize_t n = dict_wire_length(at, b.n - 32);
    cr_assert_eq((size_t)n, b.n - 32 - 2 * IATT_BYTES);
    assert_decodes(at, (size_t)n, 4);
    struct dict d = {0};
    uint64_t fds;
    size_t length;
    cr_assert_eq(dict_wire_decode(&d, at, (size_t)n), 0);
    cr_assert_eq(memcmp(dict_get_bytes(&d, "user.test", &length), "value", 5), 0);
    cr_assert_eq(length, 5);
    cr_assert_eq(dict_get_uint(&d, "glusterfs.open-fd-count", &fds), 0);
    cr_assert_eq(fds, 1);
    cr_assert_eq(memcmp(dict_get_gfid(&d, "trusted.gfid"), at + n, 16), 0);
    cr_assert_eq(memcmp(dict_get_bytes(&d, "glusterfs.content", &length), "hello world!", 12), 0);
    dict_free(&d);
    bytes_free(b);
}

Test(dict_wire, captured_setxattr)
{
    struct bytes b = bytes_hex(CAPTURED_SETXATTR);
    assert_decodes(b.p + 32, b.n - 32, 3);
    struct dict d = {0};
    struct gf_iatt iatt;
    cr_assert_eq(dict_wire_decode(&d, b.p + 32, b.n - 32), 0);
    const struct dict_pair *pair = dict_find(&d, "virt-gf-poststat");
    cr_assert_eq(pair->type, DICT_IATT);
    iatt_decode(pair->value, &iatt);
    cr_assert_eq(iatt.size, 12);
    dict_free(&d);
    bytes_free(b);
}
