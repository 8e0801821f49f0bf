/* Rule 3: a reply that matches no posted call is drained and counted, never trusted. */
#include "tests/wire/rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 64

enum target { READ_REPLY, BIG_READ_REPLY, PLAIN_REPLY, REFUSAL, DENIAL };

/* What comes before, or behind, the right reply to a READ. */
struct forgery {
    uint32_t (*xid)(uint32_t right);
    enum target kind;
    size_t cut;  /* of the stream: forged, then right; or right, then forged */
    bool behind; /* the forged reply comes second */
    bool never;  /* the right one does not come */
    unsigned count;
};

static uint32_t zero(uint32_t xid)
{
    (void)xid;
    return 0;
}
static uint32_t all_ones(uint32_t xid)
{
    (void)xid;
    return UINT32_MAX;
}
static uint32_t above(uint32_t xid)
{
    return xid + 1;
}
static uint32_t below(uint32_t xid)
{
    return xid - 1;
}
static uint32_t next_generation(uint32_t xid)
{
    return xid + (1 << 10);
}
static uint32_t former_generation(uint32_t xid)
{
    return xid - (1 << 10);
}
static uint32_t high_bit(uint32_t xid)
{
    return xid ^ 0x80000000;
}
static uint32_t same(uint32_t xid)
{
    return xid;
}
/* Behind the right reply those that the next call could have are left out: a server that guesses
 * right cannot be told from one that answers. */
static uint32_t (*const xids[])(uint32_t) = {
    former_generation, high_bit, same, zero, all_ones, above, below, next_generation,
};
enum { XIDS_BEHIND = 3, XIDS_BEFORE = 8, SAME = 2 };

/* A well formed reply, with bytes in it that no file has. */
static void forge(struct peer_record *r, uint32_t xid, enum target kind)
{
    static uint8_t poison[8 << 20];
    memset(poison, 0xee, sizeof(poison));
    switch (kind) {
    case READ_REPLY:
        peer_make_read(r, xid, SIZE, 0, poison, SIZE, 0);
        break;
    case BIG_READ_REPLY:
        peer_make_read(r, xid, sizeof(poison), 0, poison, sizeof(poison), 4000);
        break;
    case PLAIN_REPLY:
        peer_begin_reply(r, xid);
        peer_put(r, poison, 3000);
        peer_seal(r);
        break;
    case REFUSAL:
        peer_make_refusal(r, xid, 2);
        break;
    case DENIAL:
        peer_make_denial(r, xid, 1);
        break;
    }
}

static bool send_forged(struct peer_call *call, void *arg)
{
    struct forgery *f = arg;
    struct peer_record stream = {0}, forged = {0}, right = {0};
    if (!peer_is_fop(call, PEER_READ))
        return false;
    peer_execute(call, &right);
    forge(&forged, f->xid(call->xid), f->kind);
    if (f->behind)
        peer_put(&stream, right.at, right.length);
    for (unsigned i = 0; i < (f->count ? f->count : 1); i++)
        peer_put(&stream, forged.at, forged.length);
    if (!f->behind && !f->never)
        peer_put(&stream, right.at, right.length);
    if (!peer_send_cut(call->conn, stream.at, stream.length, f->cut))
        peer_complain(call->peer, "stream was not taken");
    peer_record_free(&stream);
    peer_record_free(&forged);
    peer_record_free(&right);
    return true;
}

static void expect_ignored(struct rig *rig, struct guard *g, struct forgery *f)
{
    struct gzc_stats before = rig_stats(rig);
    unsigned n = f->count ? f->count : 1;
    rig_hook(rig, send_forged, f);
    rig_expect_read(rig, g, 77);
    rig_hook(rig, NULL, NULL);
    rig_expect_read(rig, g, 300); /* behind whatever came */
    struct gzc_stats after = rig_stats(rig);
    cr_assert_eq(after.replies_unmatched - before.replies_unmatched, n, "cut at %zu: %zu unmatched",
                 f->cut, (size_t)(after.replies_unmatched - before.replies_unmatched));
    cr_assert_eq(after.replies - before.replies, 2);
    cr_assert_eq(after.replies_retired, 0);
    struct peer_counts counts;
    peer_counts(rig->peer, &counts);
    cr_assert_eq(counts.connections, 1, "the connection was given up");
}

static void each_forgery(enum target kind)
{
    struct rig rig;
    struct guard g;
    const size_t lengths[] = {3, SIZE - 3};
    rig_up(&rig, NULL, "", 1000);
    guard_make(&g, lengths, 2);
    for (int i = 0; i < XIDS_BEFORE; i++) {
        struct forgery f = {.xid = xids[i], .kind = kind};
        if (i != SAME)
            expect_ignored(&rig, &g, &f);
        f.behind = true;
        f.count = 3;
        if (i < XIDS_BEHIND)
            expect_ignored(&rig, &g, &f);
    }
    guard_free(&g);
    rig_down(&rig);
}

Test(rule3, forged_read_replies)
{
    each_forgery(READ_REPLY);
}

Test(rule3, forged_read_replies_of_8_mib)
{
    each_forgery(BIG_READ_REPLY);
}

Test(rule3, forged_plain_replies)
{
    each_forgery(PLAIN_REPLY);
}

Test(rule3, forged_refusals)
{
    each_forgery(REFUSAL);
    each_forgery(DENIAL);
}

/* In two slices, cut at every byte of both records. */
Test(rule3, forged_then_right_cut_at_every_byte)
{
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "", 1000);
    guard_make_one(&g, SIZE);
    for (size_t cut = 1; cut < 2 * (PEER_AT_READ_PAYLOAD + SIZE); cut++) {
        struct forgery f = {.xid = above, .kind = READ_REPLY, .cut = cut};
        expect_ignored(&rig, &g, &f);
    }
    guard_free(&g);
    rig_down(&rig);
}

/* A reply comes twice: the second one is no call's, also if it comes while the slot is in use
 * again, for other memory. */
Test(rule3, duplicate_replies)
{
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "", 1000);
    guard_make_one(&g, SIZE);
    for (int i = 0; i < 50; i++) {
        struct forgery f = {.xid = same, .kind = READ_REPLY, .behind = true, .count = 2};
        expect_ignored(&rig, &g, &f);
    }
    guard_free(&g);
    rig_down(&rig);
}

/* Only forged ones come: the call ends when its time is over, and the connection lives. */
Test(rule3, forged_replies_only)
{
    struct rig rig;
    struct guard g;
    struct forgery f = {.xid = above, .kind = READ_REPLY, .never = true, .count = 4};
    rig_up(&rig, NULL, "?timeout=0.5", 1000);
    guard_make_one(&g, SIZE);
    rig_hook(&rig, send_forged, &f);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -ETIMEDOUT);
    cr_assert(guard_intact(&g));
    rig_hook(&rig, NULL, NULL);
    rig_expect_read(&rig, &g, 100);
    cr_assert_eq(rig_stats(&rig).replies_unmatched, 4);
    guard_free(&g);
    rig_down(&rig);
}

/* ---- calls of the server's ------------------------------------------------------------------- */

struct callbacks {
    uint32_t proc;
    size_t cut;
};

static bool call_back(struct peer_call *call, void *arg)
{
    const struct callbacks *c = arg;
    struct peer_record stream = {0}, made = {0}, right = {0};
    if (!peer_is_fop(call, PEER_READ))
        return false;
    peer_execute(call, &right);
    peer_make_callback(&made, call->xid, c->proc); /* their xids are a space of their own */
    peer_put(&stream, made.at, made.length);
    peer_put(&stream, right.at, right.length);
    peer_put(&stream, made.at, made.length);
    peer_send_cut(call->conn, stream.at, stream.length, c->cut);
    peer_record_free(&stream);
    peer_record_free(&made);
    peer_record_free(&right);
    return true;
}

/* Each kind before and behind a reply, cut at every byte as long as somebody waits for the reply,
 * with the xid of the call under way. */
Test(rule3, callbacks_are_no_replies)
{
    enum { CHILD_DOWN = 7 };
    struct rig rig;
    struct guard g;
    struct callbacks c = {0};
    rig_up(&rig, NULL, "", 1000);
    guard_make_one(&g, SIZE);
    uint64_t expected = 0;
    for (c.proc = 1; c.proc <= PEER_CALLBACKS; c.proc++) {
        struct peer_record made = {0};
        if (c.proc == CHILD_DOWN)
            continue;
        peer_make_callback(&made, 0, c.proc);
        size_t reply_end = made.length + PEER_AT_READ_PAYLOAD + SIZE;
        peer_record_free(&made);
        for (size_t cut = 0; cut < reply_end; cut++, expected += 2) {
            rig_hook(&rig, NULL, NULL);
            c.cut = cut;
            rig_hook(&rig, call_back, &c);
            rig_expect_read(&rig, &g, 5);
        }
    }
    rig_hook(&rig, NULL, NULL);
    rig_expect_read(&rig, &g, 6);
    struct gzc_stats stats = rig_stats(&rig);
    cr_assert_eq(stats.callbacks, expected);
    cr_assert_eq(stats.replies_unmatched, 0);
    struct peer_counts counts;
    peer_counts(rig.peer, &counts);
    cr_assert_eq(counts.connections, 1);
    guard_free(&g);
    rig_down(&rig);
}

/* CHILD_DOWN: the brick behind a port that goes on serving others is down (client-callback.c). */
Test(rule3, child_down_ends_the_calls)
{
    struct rig rig;
    struct guard g;
    struct callbacks c = {.proc = 7};
    rig_up(&rig, NULL, "?timeout=20&reconnect_timeout=0", 1000);
    guard_make_one(&g, SIZE);
    rig_hook(&rig, call_back, &c);
    ssize_t n = gzc_preadv(rig.file, g.iov, 1, 0);
    cr_assert_eq(n, -ENOTCONN, "%zd", n);
    cr_assert(guard_intact(&g));
    guard_free(&g);
    rig_down(&rig);
}
