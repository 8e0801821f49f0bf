/* Rule 1: after an operation has ended nothing touches its memory again; what still comes for it is
 * drained, and the connection goes on. */
#include "tests/wire/rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define SIZE   64
#define RECORD (PEER_AT_READ_PAYLOAD + SIZE)
#define BRIEF  "?timeout=0.1"

/* Replies of READ and WRITE calls are kept back, but for their first `cut` bytes; the next call of
 * another kind lets them go, in the order they were asked for or in the opposite one, and is
 * answered after them. */
struct late {
    size_t cut;
    bool backwards, twice;
    struct peer_record kept[8];
    unsigned n;
};

static bool keep_back(struct peer_call *call, void *arg)
{
    struct late *late = arg;
    if (peer_is_fop(call, PEER_READ) || peer_is_fop(call, PEER_WRITE)) {
        struct peer_record *r = &late->kept[late->n++];
        peer_execute(call, r);
        peer_send(call->conn, r->at, late->cut);
        if (late->cut && !peer_settle(call->conn))
            peer_complain(call->peer, "the beginning of a reply was not taken");
        return true;
    }
    for (unsigned i = 0; i < late->n; i++) {
        struct peer_record *r = &late->kept[late->backwards ? late->n - 1 - i : i];
        peer_send(call->conn, r->at + late->cut, r->length - late->cut);
        if (late->twice)
            peer_send(call->conn, r->at, r->length);
        peer_record_free(r);
    }
    late->n = 0;
    return false;
}

/* Any call will do; only a slow machine makes it fail, and then it is made again. */
static void let_go(struct rig *rig)
{
    struct stat st;
    int rc = -ETIMEDOUT;
    for (int i = 0; i < 100 && rc == -ETIMEDOUT; i++)
        rc = gzc_fstat(rig->file, &st);
    cr_assert_eq(rc, 0, "the connection does not work any more: %s", strerror(-rc));
}

/* The reply stops after `cut` bytes; the deadline passes; the rest comes while the memory is filled
 * with something else, or gone. */
static void late_reply(size_t cut, const char *query, bool revoke)
{
    struct rig rig;
    struct guard g;
    struct late late = {.cut = cut};
    const size_t lengths[] = {20, 0, 1, SIZE - 21};
    rig_up(&rig, NULL, query, 1000);
    guard_make(&g, lengths, 4);
    rig_hook(&rig, keep_back, &late);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, g.n, 100), -ETIMEDOUT, "cut at %zu", cut);
    cr_assert(guard_intact(&g));
    rig_expect_text(&rig, "READ", "time");
    guard_fill(&g, 7777);
    if (revoke)
        guard_revoke(&g);
    let_go(&rig);
    if (revoke)
        guard_restore(&g);
    cr_assert(guard_holds(&g, 7777, SIZE), "cut at %zu: memory has changed", cut);
    cr_assert(guard_intact(&g));
    struct gzc_stats stats = rig_stats(&rig);
    cr_assert_eq(stats.replies_retired, 1, "cut at %zu: %zu", cut, (size_t)stats.replies_retired);
    cr_assert_eq(stats.replies_unmatched, 0);
    expect_one_connection(&rig);
    rig_hook(&rig, NULL, NULL);
    rig_expect_read(&rig, &g, 200);
    guard_free(&g);
    rig_down(&rig);
}

/* Where the state of the receiver changes, and around: mark, RPC header, fixed results, pieces. */
static const size_t cuts[] = {0,   1,   3,   4,   5,   8,   27,  28,  29,  36,        183,
                              187, 188, 199, 200, 201, 219, 220, 221, 222, RECORD - 1};
#define CUTS (sizeof(cuts) / sizeof(*cuts))

Test(rule1, late_reply_to_a_read)
{
    for (size_t i = 0; i < CUTS; i++)
        late_reply(cuts[i], BRIEF, false);
}

Test(rule1, late_reply_to_a_read_whose_memory_is_gone)
{
    for (size_t i = 0; i < CUTS; i++)
        late_reply(cuts[i], BRIEF, true);
}

Test(rule1, late_reply_with_busy_polling)
{
    for (size_t i = 0; i < CUTS; i += 4)
        late_reply(cuts[i], BRIEF "&busy_poll_us=50", true);
}

static void several_late(bool backwards, bool twice)
{
    enum { READS = 5 };
    struct rig rig;
    struct guard g[READS];
    struct late late = {.backwards = backwards, .twice = twice};
    rig_up(&rig, NULL, BRIEF, 1000);
    rig_hook(&rig, keep_back, &late);
    for (int i = 0; i < READS; i++) {
        guard_make_one(&g[i], SIZE);
        cr_assert_eq(gzc_preadv(rig.file, g[i].iov, 1, 10 * i), -ETIMEDOUT);
        guard_revoke(&g[i]);
    }
    let_go(&rig);
    struct gzc_stats stats = rig_stats(&rig);
    cr_assert_eq(stats.replies_retired, READS);
    cr_assert_eq(stats.replies_unmatched, twice ? READS : 0);
    rig_hook(&rig, NULL, NULL);
    for (int i = 0; i < READS; i++) {
        guard_restore(&g[i]);
        rig_expect_read(&rig, &g[i], 10 * i);
        guard_free(&g[i]);
    }
    expect_one_connection(&rig);
    rig_down(&rig);
}

Test(rule1, several_late_replies)
{
    several_late(false, false);
}

Test(rule1, several_late_replies_backwards)
{
    several_late(true, false);
}

Test(rule1, late_replies_twice)
{
    several_late(false, true);
}

/* The next READ is under way, into other memory, when the late reply comes in: only its own lands.
 */
static bool late_then_right(struct peer_call *call, void *arg)
{
    struct late *late = arg;
    if (!peer_is_fop(call, PEER_READ))
        return false;
    peer_execute(call, &late->kept[late->n++]);
    if (late->n == 1)
        return true;
    peer_send_record(call->conn, &late->kept[0]);
    peer_send_record(call->conn, &late->kept[1]);
    return true;
}

Test(rule1, late_reply_while_the_next_read_waits)
{
    struct rig rig;
    struct guard first, second;
    struct late late = {0};
    rig_up(&rig, NULL, "?timeout=0.5", 1000);
    guard_make_one(&first, SIZE);
    guard_make_one(&second, SIZE);
    rig_hook(&rig, late_then_right, &late);
    cr_assert_eq(gzc_preadv(rig.file, first.iov, 1, 0), -ETIMEDOUT);
    guard_revoke(&first);
    rig_expect_read(&rig, &second, 500);
    cr_assert_eq(rig_stats(&rig).replies_retired, 1);
    guard_free(&first);
    guard_free(&second);
    rig_down(&rig);
}

/* ---- writes ---------------------------------------------------------------------------------- */

Test(rule1, late_reply_to_a_write)
{
    struct rig rig;
    struct guard g;
    struct late late = {0};
    rig_up(&rig, NULL, BRIEF, 0);
    guard_make_one(&g, SIZE);
    guard_fill(&g, 300);
    rig_hook(&rig, keep_back, &late);
    cr_assert_eq(gzc_pwritev(rig.file, g.iov, 1, 0), -ETIMEDOUT);
    rig_expect_text(&rig, "WRITE", "time");
    guard_revoke(&g);
    let_go(&rig);
    cr_assert_eq(rig_stats(&rig).replies_retired, 1);
    cr_assert(rig_file_holds(rig.content, 0, SIZE, 300));
    guard_free(&g);
    rig_down(&rig);
}

/* Half of a WRITE has left when its time is over. The stream needs the rest of it, and the memory
 * is the caller's again: the peer sees the record whole, as it was when the call was made. What had
 * not begun to leave never does. */
static void half_sent_write(size_t size, unsigned expected)
{
    struct rig rig;
    struct guard g;
    rig_up(&rig, &small_sockets, "?timeout=0.2", 0);
    guard_make_one(&g, size);
    guard_fill(&g, 0);
    rig_hook(&rig, check_write, NULL);
    stop_reading(&rig);
    cr_assert_eq(gzc_pwritev(rig.file, g.iov, 1, 0), -ETIMEDOUT);
    cr_assert_gt(unsent(&rig), 0, "the call did not leave at all");
    cr_assert_lt(unsent(&rig), 512 << 10, "the sockets hold all of it: nothing is tested");
    guard_clear(&g);
    guard_revoke(&g);
    read_again(&rig);
    let_go(&rig);
    cr_assert_eq(calls_seen(&rig, PEER_WRITE), expected);
    cr_assert(rig_file_holds(rig.content, 0, size < 1 << 20 ? size : 1 << 20, 0));
    expect_one_connection(&rig);
    struct gzc_stats stats = rig_stats(&rig);
    cr_assert_eq(stats.replies_retired, expected);
    cr_assert_eq(stats.replies_unmatched, 0);
    guard_free(&g);
    rig_down(&rig);
}

Test(rule1, half_sent_write)
{
    half_sent_write(1 << 20, 1);
}

Test(rule1, half_sent_write_with_others_behind_it)
{
    half_sent_write(4 << 20, 1);
}

/* The peer goes while a WRITE is half out: the memory is free at once. */
Test(rule1, half_sent_write_on_a_connection_that_breaks)
{
    struct rig rig;
    struct guard g;
    struct stat st;
    rig_up(&rig, &small_sockets, "?timeout=0.2&reconnect_timeout=0", 0);
    guard_make_one(&g, 4 << 20);
    stop_reading(&rig);
    cr_assert_eq(gzc_pwritev(rig.file, g.iov, 1, 0), -ETIMEDOUT);
    guard_revoke(&g);
    peer_lock(rig.peer);
    peer_reset(peer_latest(rig.peer));
    peer_unlock(rig.peer);
    cr_assert_lt(gzc_fstat(rig.file, &st), 0);
    guard_free(&g);
    rig_down(&rig);
}
