/* Rule 2: payload lands only inside the posted iovec; a reply longer than asked for, or that lies
 * about its length, is a protocol error and the end of the connection. */
#include "tests/wire/rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define SIZE 64

/* A READ reply of `payload` bytes which says `op_ret`, `size`, and has `extra` more in its mark,
 * as fragments of `fragment` bytes (0: one). */
struct lie {
    int32_t op_ret;
    uint32_t size;
    size_t payload;
    int32_t extra;
    size_t fragment;
    size_t dict;
};

static bool tell(struct peer_call *call, void *arg)
{
    const struct lie *lie = arg;
    struct peer_record r = {0}, split = {0};
    uint8_t payload[4096];
    if (!peer_is_fop(call, PEER_READ))
        return false;
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = guard_pattern(call->offset + i);
    peer_make_read(&r, call->xid, lie->op_ret, 0, payload, lie->payload, lie->dict);
    peer_poke(&r, PEER_AT_READ_SIZE, lie->size);
    size_t sizes[128];
    unsigned n = 0;
    if (lie->fragment) {
        for (size_t left = r.length - 4; left > lie->fragment && n < 128; n++) {
            sizes[n] = lie->fragment;
            left -= lie->fragment;
        }
        peer_split(&split, &r, sizes, n);
        peer_send_record(call->conn, &split);
    } else {
        peer_poke(&r, PEER_AT_MARK, 0x80000000 | (uint32_t)((int32_t)r.length - 4 + lie->extra));
        peer_send(call->conn, r.at, r.length);
    }
    if (lie->extra > 0)
        peer_close(call->conn); /* a client that waits for more does not wait for ever */
    peer_record_free(&r);
    return true;
}

static void expect_refused(const struct lie *lie, const char *words)
{
    struct rig rig;
    struct guard g;
    struct stat st;
    const size_t lengths[] = {1, 30, 0, SIZE - 31};
    rig_up(&rig, NULL, "?timeout=20&reconnect_timeout=0", 8192);
    guard_make(&g, lengths, 4);
    rig_hook(&rig, tell, (void *)lie);
    ssize_t n = gzc_preadv(rig.file, g.iov, g.n, 11);
    cr_assert_eq(n, -EPROTO, "op_ret %d, size %u, payload %zu, mark %+d, fragments of %zu: %zd",
                 lie->op_ret, lie->size, lie->payload, lie->extra, lie->fragment, n);
    cr_assert(guard_intact(&g), "op_ret %d: memory around the iovec has changed", lie->op_ret);
    rig_expect_text(&rig, "READ", words);
    rig_expect_closed(&rig);
    rig_hook(&rig, NULL, NULL);
    gzc_fstat(rig.file, &st); /* must not crash */
    guard_free(&g);
    rig_down(&rig);
}

Test(rule2, longer_than_asked_for)
{
    static const struct lie lies[] = {
        {SIZE + 1, SIZE + 1, SIZE + 1, 0, 0, 0},
        {SIZE + 1, SIZE + 1, SIZE, 1, 0, 0},
        {SIZE + 1, SIZE + 1, SIZE + 1, 0, 0, 100},
        {4096, 4096, 4096, 0, 0, 0},
        {SIZE + 1, SIZE + 1, SIZE + 1, 0, 40, 0},
        {SIZE + 1, SIZE + 1, SIZE + 1, 0, 200, 0},
        {4096, 4096, 4096, 0, 201, 0},
        {INT32_MAX, INT32_MAX, SIZE, 0, 0, 0},
        {INT32_MAX, INT32_MAX, SIZE, INT32_MAX - 400, 0, 0},
        {1 << 30, 1 << 30, 4096, (1 << 30) - 5000, 0, 0},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++)
        expect_refused(&lies[i], "");
    expect_refused(&lies[0], "65");
    expect_refused(&lies[0], "64 were asked for");
}

/* op_ret is within bounds, the record is not as long as it says. */
Test(rule2, record_and_result_disagree)
{
    static const struct lie lies[] = {
        {SIZE, SIZE, SIZE + 1, 0, 0, 0},
        {SIZE, SIZE, SIZE + 4, 0, 0, 0},
        {SIZE, SIZE, 4096, 0, 0, 0},
        {SIZE, SIZE, SIZE - 1, 0, 0, 0},
        {SIZE, SIZE, 0, 0, 0, 0},
        {SIZE - 1, SIZE - 1, SIZE, 0, 0, 0},
        {0, 0, 1, 0, 0, 0},
        {0, 0, SIZE, 0, 0, 0},
        {SIZE, SIZE, SIZE + 1, 0, 40, 0},
        {SIZE, SIZE, SIZE + 1, 0, 200, 0},
        {SIZE, SIZE, SIZE + 1, 0, 260, 0},
        {SIZE, SIZE, SIZE - 1, 0, 40, 0},
        {SIZE, SIZE, SIZE - 1, 0, 196, 0},
        {SIZE - 1, SIZE - 1, SIZE, 0, 100, 0},
        {SIZE, SIZE, SIZE, 1, 0, 0},
        {SIZE, SIZE, SIZE, -1, 0, 0},
        {SIZE, SIZE, SIZE, -SIZE, 0, 0},
        {SIZE, SIZE, SIZE, -SIZE - 1, 0, 0},
        {SIZE, SIZE, SIZE, -200, 0, 0},
        {SIZE, SIZE, SIZE + 1, 0, 0, 1000},
        {SIZE, SIZE, SIZE - 1, 0, 0, 1000},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++)
        expect_refused(&lies[i], "");
}

/* READ tells its length twice: op_ret and size. */
Test(rule2, size_and_result_disagree)
{
    static const struct lie lies[] = {
        {SIZE, SIZE - 1, SIZE, 0, 0, 0},   {SIZE, 0, SIZE, 0, 0, 0},
        {SIZE, UINT32_MAX, SIZE, 0, 0, 0}, {SIZE, SIZE + 1, SIZE + 1, 0, 0, 0},
        {SIZE - 1, SIZE, SIZE, 0, 0, 0},   {0, SIZE, SIZE, 0, 0, 0},
        {10, 0x80000000, 10, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++)
        expect_refused(&lies[i], "");
}

/* A reply that is too long does not end a transfer of several calls well either: bytes before the
 * gap may count, those after must not. */
struct second {
    unsigned seen;
};

static bool second_too_long(struct peer_call *call, void *arg)
{
    struct second *s = arg;
    struct peer_record r = {0};
    if (!peer_is_fop(call, PEER_READ) || ++s->seen != 2)
        return false;
    peer_execute(call, &r);
    peer_poke(&r, PEER_AT_OP_RET, call->size + 1);
    peer_poke(&r, PEER_AT_READ_SIZE, call->size + 1);
    peer_put(&r, "x", 1);
    peer_seal(&r);
    peer_send_record(call->conn, &r);
    return true;
}

Test(rule2, too_long_in_the_middle_of_a_transfer)
{
    struct rig rig;
    struct guard g;
    struct second s = {0};
    rig_up(&rig, NULL, "?timeout=20&reconnect_timeout=0", 4 << 20);
    guard_make_one(&g, 3 << 20);
    rig_hook(&rig, second_too_long, &s);
    ssize_t n = gzc_preadv(rig.file, g.iov, 1, 0);
    cr_assert(n == -EPROTO || n == 1 << 20, "%zd", n);
    cr_assert(guard_intact(&g));
    cr_assert(n < 0 || guard_holds(&g, 0, (size_t)n));
    rig_expect_closed(&rig);
    guard_free(&g);
    rig_down(&rig);
}
