/* Lists of directory entries and of programs. */
#include "proto/dirlist.h"
#include "proto/fop.h"
#include "proto/handshake.h"
#include "proto/iatt.h"
#include "proto_bytes.h"
#include "proto_captured.h"

#include <errno.h>
#include <sys/resource.h>

/* A message that grows. */
struct text {
    uint8_t *p;
    size_t n, room;
};

static void put(struct text *t, const void *p, size_t n)
{
    if (t->n + n + 4 > t->room) {
        t->room = 2 * (t->n + n + 4);
        t->p = realloc(t->p, t->room);
        cr_assert_not_null(t->p);
    }
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void put32(struct text *t, uint32_t v)
{
    uint8_t raw[4];
    wire_put32(raw, v);
    put(t, raw, sizeof(raw));
}

static void put64(struct text *t, uint64_t v)
{
    uint8_t raw[8];
    wire_put64(raw, v);
    put(t, raw, sizeof(raw));
}

static void put_name(struct text *t, const char *name, uint32_t n)
{
    put32(t, n);
    put(t, name, n);
    put(t, "\0\0\0", wire_pad4(n) - n);
}

static void put_entry(struct text *t, const struct dirlist_entry *e, const uint8_t *raw)
{
    put32(t, 1);
    put64(t, e->ino);
    put64(t, e->off);
    put32(t, e->name_length);
    put32(t, e->type);
    put_name(t, e->name, e->name_length);
    if (raw) {
        put(t, raw, IATT_BYTES);
        put(t, e->dict, e->dict_length);
    }
}

static const uint8_t none[] = {0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0};

/* n entries, of which the names are 1 to 255 bytes long. Returns where each one begins. */
static struct bytes random_list(struct dirlist_entry *entries, char (*names)[256],
                                uint8_t (*raws)[IATT_BYTES], uint32_t n, bool plus)
{
    struct text t = {0};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t length = 1 + rnd_below(255);
        rnd_name(names[i], length);
        rnd_fill(raws[i], IATT_BYTES);
        entries[i] = (struct dirlist_entry){.ino = rnd(),
                                            .off = rnd(),
                                            .type = (uint32_t)rnd(),
                                            .name = names[i],
                                            .name_length = length,
                                            .dict = none,
                                            .dict_length = sizeof(none)};
        put_entry(&t, &entries[i], plus ? raws[i] : NULL);
    }
    put32(&t, 0);
    struct bytes b = bytes_copy(t.p, t.n);
    free(t.p);
    return b;
}

/* Number of entries to the end, or the error. */
static int walk(const void *p, size_t n, bool plus)
{
    struct dirlist list;
    struct dirlist_entry e;
    int entries = 0, rc;
    dirlist_init(&list, p, n, plus);
    while ((rc = dirlist_next(&list, &e)) == 1)
        entries++;
    cr_assert_eq(dirlist_next(&list, &e), rc, "what it has ended with stays");
    return rc ? rc : entries;
}

static void random_walk(bool plus)
{
    enum { N = 20 };
    struct dirlist_entry want[N], e;
    char names[N][256];
    uint8_t raws[N][IATT_BYTES];
    for (int round = 0; round < 50; round++) {
        uint32_t n = rnd_below(N + 1);
        struct bytes b = random_list(want, names, raws, n, plus);
        struct dirlist list;
        dirlist_init(&list, b.p, b.n, plus);
        for (uint32_t i = 0; i < n; i++) {
            cr_assert_eq(dirlist_next(&list, &e), 1);
            cr_assert_eq(e.ino, want[i].ino);
            cr_assert_eq(e.off, want[i].off);
            cr_assert_eq(e.type, want[i].type);
            cr_assert_eq(e.name_length, want[i].name_length);
            cr_assert_eq(memcmp(e.name, want[i].name, e.name_length), 0);
            struct bytes attributes = bytes_xdr((xdrproc_t)xdr_gf_iatt, &e.iatt);
            if (plus)
                assert_bytes(attributes, raws[i], IATT_BYTES);
            else
                cr_assert_eq(e.iatt.mode, 0);
            bytes_free(attributes);
            cr_assert_eq(e.dict != NULL, plus);
            cr_assert_eq(e.dict_length, plus ? sizeof(none) : 0);
        }
        cr_assert_eq(dirlist_next(&list, &e), 0);
        cr_assert_eq(dirlist_next(&list, &e), 0);
        bytes_free(b);
    }
}

Test(dirlist, random_readdir)
{
    random_walk(false);
}

Test(dirlist, random_readdirp)
{
    random_walk(true);
}

static void truncated(bool plus)
{
    struct dirlist_entry entries[3];
    char names[3][256];
    uint8_t raws[3][IATT_BYTES];
    struct bytes b = random_list(entries, names, raws, 3, plus);
    cr_assert_eq(walk(b.p, b.n, plus), 3);
    for (size_t n = 0; n < b.n; n++) {
        struct bytes part = bytes_copy(b.p, n);
        cr_assert_eq(walk(part.p, n, plus), -EPROTO, "%zu of %zu bytes", n, b.n);
        bytes_free(part);
    }
    bytes_free(b);
}

Test(dirlist, truncated_readdir)
{
    truncated(false);
}

Test(dirlist, truncated_readdirp)
{
    truncated(true);
}

Test(dirlist, names)
{
    char name[257];
    memset(name, 'n', sizeof(name));
    const struct {
        const char *name;
        uint32_t length;
        int want;
    } cases[] = {
        {"a", 1, 1},       {".", 1, 1},          {"..", 2, 1},         {"\xff\n", 2, 1},
        {name, 255, 1},    {"", 0, -EPROTO},     {name, 256, -EPROTO}, {"a/b", 3, -EPROTO},
        {"/", 1, -EPROTO}, {"a\0b", 3, -EPROTO}, {"ab\0", 3, -EPROTO}, {"\0", 1, -EPROTO},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (int plus = 0; plus < 2; plus++) {
            const struct dirlist_entry e = {.name = cases[i].name,
                                            .name_length = cases[i].length,
                                            .dict = none,
                                            .dict_length = sizeof(none)};
            uint8_t raw[IATT_BYTES] = {0};
            struct text t = {0};
            put_entry(&t, &e, plus ? raw : NULL);
            put32(&t, 0);
            cr_assert_eq(walk(t.p, t.n, plus), cases[i].want, "case %zu", i);
            free(t.p);
        }
    }
}

Test(dirlist, hostile)
{
    static const char *const bad[] = {
        "00000002", /* neither 0 nor 1 */
        "ffffffff",
        "00000000 00000000", /* bytes behind the end */
        "00000001 00000000 00000001 00000000 00000002 00000001 00000008 ffffffff 61000000 00000000",
        "00000001 00000000 00000001 00000000 00000002 00000001 00000008 fffffffd 61000000 00000000",
        "00000001 00000000 00000001 00000000 00000002 00000001 00000008 00000009 61000000 00000000",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct bytes b = bytes_hex(bad[i]);
        cr_assert_eq(walk(b.p, b.n, false), -EPROTO, "%s", bad[i]);
        cr_assert_eq(walk(b.p, b.n, true), -EPROTO, "%s", bad[i]);
        bytes_free(b);
    }
}

/* The dictionary of an entry must end inside the reply and agree with itself. */
Test(dirlist, bad_dict)
{
    static const char *const bad[] = {
        "00000004 ffffffff 00000000", "00000000 00000001 00000001", "fffffffc 00000001 00000001",
        "00000010 00000001 00000001", "00000000 ffffffff 00000001",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct bytes dict = bytes_hex(bad[i]);
        const struct dirlist_entry e = {
            .name = "n", .name_length = 1, .dict = dict.p, .dict_length = dict.n};
        uint8_t raw[IATT_BYTES] = {0};
        struct text t = {0};
        put_entry(&t, &e, raw);
        put32(&t, 0);
        cr_assert_eq(walk(t.p, t.n, true), -EPROTO, "%s", bad[i]);
        free(t.p);
        bytes_free(dict);
    }
}

/* A brick's own lists, from the RPC header on. */
static struct bytes captured(const char *text, size_t *at, gf_common_res *res)
{
    struct bytes b = bytes_hex(text);
    memset(res, 0, sizeof(*res));
    long used = bytes_decode((xdrproc_t)xdr_gf_readdir_res, b.p + 24, b.n - 24, res);
    cr_assert_gt(used, 0);
    *at = 24 + (size_t)used;
    return b;
}

Test(dirlist, captured)
{
    struct dirlist list;
    struct dirlist_entry e;
    gf_common_res res;
    size_t at;
    struct bytes b = captured(CAPTURED_READDIR, &at, &res);
    cr_assert_eq(res.op_ret, 3);
    cr_assert_eq(res.op_errno, ENOENT);
    cr_assert_eq(walk(b.p + at, b.n - at, false), 3);
    dirlist_init(&list, b.p + at, b.n - at, false);
    cr_assert_eq(dirlist_next(&list, &e), 1);
    cr_assert_eq(e.name_length, 5);
    cr_assert_eq(memcmp(e.name, "f.txt", 5), 0);
    cr_assert_eq(e.type, 8);
    cr_assert_eq(e.off, 0x1efce248700a9a17u);
    bytes_free(b);

    b = captured(CAPTURED_READDIRP, &at, &res);
    cr_assert_eq(walk(b.p + at, b.n - at, true), 3);
    dirlist_init(&list, b.p + at, b.n - at, true);
    cr_assert_eq(dirlist_next(&list, &e), 1);
    cr_assert_eq(memcmp(e.name, "f.txt", 5), 0);
    cr_assert_eq(e.iatt.size, 12);
    cr_assert_eq(e.iatt.ino, e.ino);
    struct dict d = {0};
    size_t length;
    cr_assert_eq(dict_wire_decode(&d, e.dict, e.dict_length), 0);
    cr_assert_eq(memcmp(dict_get_bytes(&d, "user.test", &length), "value", 5), 0);
    dict_free(&d);
    bytes_free(b);

    b = captured(CAPTURED_READDIRP_END, &at, &res);
    cr_assert_eq(res.op_ret, 0);
    cr_assert_eq(walk(b.p + at, b.n - at, true), 0);
    bytes_free(b);
}

/* ---- programs ---- */

static int walk_programs(const void *p, size_t n)
{
    struct dirlist list;
    struct proglist_entry e;
    int entries = 0, rc;
    proglist_init(&list, p, n);
    while ((rc = proglist_next(&list, &e)) == 1)
        entries++;
    cr_assert_eq(proglist_next(&list, &e), rc);
    return rc ? rc : entries;
}

Test(proglist, captured)
{
    static const struct {
        const char *name;
        uint64_t program, version;
    } want[] = {
        {"GlusterFS 4.x v1", GF_FOP_PROGRAM, GF_FOP_VERSION},
        {"GlusterFS 3.3", GF_FOP_PROGRAM, 330},
        {"GF-DUMP", GF_DUMP_PROGRAM, GF_DUMP_VERSION},
        {"GlusterFS Handshake", GF_HNDSK_PROGRAM, GF_HNDSK_VERSION},
    };
    struct bytes b = bytes_hex(CAPTURED_DUMP);
    struct gf_dump_res res = {0};
    long used = bytes_decode((xdrproc_t)xdr_gf_dump_res, b.p + 24, b.n - 24, &res);
    cr_assert_eq(used, 16);
    cr_assert_eq(res.op_ret, 0);
    struct dirlist list;
    struct proglist_entry e;
    proglist_init(&list, b.p + 40, b.n - 40);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(proglist_next(&list, &e), 1);
        cr_assert_eq(e.name_length, strlen(want[i].name));
        cr_assert_eq(memcmp(e.name, want[i].name, e.name_length), 0);
        cr_assert_eq(e.program, want[i].program);
        cr_assert_eq(e.version, want[i].version);
    }
    cr_assert_eq(proglist_next(&list, &e), 0);
    for (size_t n = 40; n < b.n; n++) {
        struct bytes part = bytes_copy(b.p + 40, n - 40);
        cr_assert_eq(walk_programs(part.p, part.n), -EPROTO);
        bytes_free(part);
    }
    bytes_free(b);
}

Test(proglist, hostile)
{
    static const char *const bad[] = {
        "00000002",
        "00000000 00000000",
        "00000001 ffffffff 61000000 00000000 00000001 00000000 00000001 00000000",
        "00000001 00000100 61000000 00000000 00000001 00000000 00000001 00000000",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct bytes b = bytes_hex(bad[i]);
        cr_assert_eq(walk_programs(b.p, b.n), -EPROTO, "%s", bad[i]);
        bytes_free(b);
    }
}

/* A million programs take no more stack than one. */
Test(proglist, long_list)
{
    struct text t = {0};
    const int n = 1000000;
    for (int i = 0; i < n; i++) {
        put32(&t, 1);
        put_name(&t, "p", 1);
        put64(&t, 1);
        put64(&t, 1);
    }
    put32(&t, 0);
    cr_assert_eq(setrlimit(RLIMIT_STACK, &(struct rlimit){1 << 20, 1 << 20}), 0);
    cr_assert_eq(walk_programs(t.p, t.n), n);
    free(t.p);
}
