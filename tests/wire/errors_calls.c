/* Calls that go wrong, and what the caller is told: the errno, a text that names the brick and the
 * call; memory that is intact; a volume that can still be unmounted. */
#include "tests/wire/rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

/* ---- calls ----------------------------------------------------------------------------------- */

struct refusal {
    uint32_t proc;
    int32_t error;
};

static bool refuse(struct peer_call *call, void *arg)
{
    const struct refusal *refusal = arg;
    struct peer_record r = {0};
    if (!peer_is_fop(call, refusal->proc))
        return false;
    peer_refuse(call, refusal->error, &r);
    peer_send_record(call->conn, &r);
    return true;
}

/* An errno of the brick's comes out as it is, the memory and the connection are as before. */
Test(calls, errno_of_the_brick)
{
    static const int32_t errors[] = {EIO, ENOSPC, EDQUOT, EROFS, ESTALE, EBADF, EACCES, EINVAL};
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "", 1000);
    guard_make_one(&g, 64);
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct refusal refusal = {PEER_READ, errors[i]};
        rig_hook(&rig, refuse, &refusal);
        guard_clear(&g);
        cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -errors[i]);
        rig_expect_text(&rig, "READ", strerror(errors[i]));
        cr_assert(guard_intact(&g) && guard_untouched(&g, 0));
        rig_hook(&rig, NULL, NULL);
        refusal.proc = PEER_WRITE;
        rig_hook(&rig, refuse, &refusal);
        cr_assert_eq(gzc_pwritev(rig.file, g.iov, 1, 0), -errors[i]);
        rig_expect_text(&rig, "WRITE", strerror(errors[i]));
        rig_hook(&rig, NULL, NULL);
        rig_expect_read(&rig, &g, 100);
    }
    guard_free(&g);
    rig_down(&rig);
}

/* A READ of the brick's that failed has no errno, or one that is none: EIO, and no crash. */
Test(calls, errno_that_is_none)
{
    static const int32_t errors[] = {0, -5, INT32_MIN, INT32_MAX, 1 << 20};
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "", 1000);
    guard_make_one(&g, 64);
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct refusal refusal = {PEER_READ, errors[i]};
        rig_hook(&rig, refuse, &refusal);
        cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -EIO, "errno %d", errors[i]);
        rig_hook(&rig, NULL, NULL);
    }
    guard_free(&g);
    rig_down(&rig);
}

static bool refuse_by_rpc(struct peer_call *call, void *arg)
{
    if (!peer_is_fop(call, PEER_READ))
        return false;
    uint32_t stat = *(uint32_t *)arg;
    struct peer_record r = {0};
    if (stat < 6)
        peer_make_refusal(&r, call->xid, stat);
    else
        peer_make_denial(&r, call->xid, stat - 6);
    peer_send_record(call->conn, &r);
    return true;
}

Test(calls, read_refused_by_rpc)
{
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "", 1000);
    guard_make_one(&g, 64);
    for (uint32_t stat = 1; stat < 8; stat++) {
        rig_hook(&rig, refuse_by_rpc, &stat);
        guard_clear(&g);
        cr_assert_lt(gzc_preadv(rig.file, g.iov, 1, 0), 0);
        rig_expect_text(&rig, "READ", "_");
        cr_assert(guard_intact(&g) && guard_untouched(&g, 0));
        rig_hook(&rig, NULL, NULL);
        rig_expect_read(&rig, &g, 100); /* the connection goes on */
    }
    guard_free(&g);
    rig_down(&rig);
}

/* ---- the connection -------------------------------------------------------------------------- */

struct ending {
    size_t cut;
    bool reset;
};

static bool end_connection(struct peer_call *call, void *arg)
{
    const struct ending *ending = arg;
    struct peer_record r = {0};
    if (!peer_is_fop(call, PEER_READ) && !peer_is_fop(call, PEER_WRITE))
        return false;
    peer_execute(call, &r);
    peer_send(call->conn, r.at, ending->cut);
    if (ending->reset) {
        peer_settle(call->conn);
        peer_reset(call->conn);
    } else {
        peer_close(call->conn);
    }
    peer_record_free(&r);
    return true;
}

/* The connection ends after `cut` bytes of the reply to a READ of 64 bytes. */
static void cut_connection(size_t cut, bool reset, bool write)
{
    struct rig rig;
    struct guard g;
    struct stat st;
    struct ending ending = {cut, reset};
    const size_t lengths[] = {1, 40, 0, 23};
    char text[512];
    rig_up(&rig, NULL, "?timeout=20&reconnect_timeout=0", 1000);
    guard_make(&g, lengths, 4);
    rig_hook(&rig, end_connection, &ending);
    ssize_t n = write ? gzc_pwritev(rig.file, g.iov, 4, 100) : gzc_preadv(rig.file, g.iov, 4, 100);
    cr_assert_eq(n, -ENOTCONN, "cut at %zu: %zd", cut, n);
    rig_expect_text(&rig, write ? "WRITE" : "READ", "connection");
    cr_assert(guard_intact(&g), "cut at %zu: memory around the iovec has changed", cut);
    rig_expect_closed(&rig);
    rig_hook(&rig, NULL, NULL);
    if (gzc_fstat(rig.file, &st) < 0) {
        gzc_file_error(rig.file, text, sizeof(text));
        cr_assert(strstr(text, "127.0.0.1:/export"), "%s", text);
    }
    guard_free(&g);
    rig_down(&rig);
}

Test(calls, connection_closed_at_every_byte_of_a_read)
{
    for (size_t cut = 0; cut < PEER_AT_READ_PAYLOAD + 64; cut++)
        cut_connection(cut, false, false);
}

Test(calls, connection_reset_at_every_byte_of_a_read)
{
    for (size_t cut = 0; cut < PEER_AT_READ_PAYLOAD + 64; cut++)
        cut_connection(cut, true, false);
}

Test(calls, connection_closed_at_every_byte_of_a_write)
{
    for (size_t cut = 0; cut < 28 + 8 + 12 + 2 * 148; cut += 3)
        cut_connection(cut, cut % 2, true);
}

/* What was read in order before the connection went counts; with nothing, the error does. */
static bool end_at_the_second(struct peer_call *call, void *arg)
{
    unsigned *seen = arg;
    if (!peer_is_fop(call, PEER_READ))
        return false;
    if (++*seen == 1) {
        struct peer_record r = {0};
        peer_execute(call, &r);
        peer_send_record(call->conn, &r);
        peer_settle(call->conn);
    } else if (*seen == 2) {
        peer_reset(call->conn);
    }
    return true;
}

Test(calls, connection_ends_in_a_transfer)
{
    struct rig rig;
    struct guard g;
    unsigned seen = 0;
    rig_up(&rig, NULL, "?timeout=20&reconnect_timeout=0", 4 << 20);
    guard_make_one(&g, 3 << 20);
    rig_hook(&rig, end_at_the_second, &seen);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 5), 1 << 20);
    cr_assert(guard_holds(&g, 5, 1 << 20));
    cr_assert(guard_intact(&g));
    guard_free(&g);
    rig_down(&rig);
}

/* ---- silence --------------------------------------------------------------------------------- */

static bool no_reads(struct peer_call *call, void *arg)
{
    (void)arg;
    return peer_is_fop(call, PEER_READ);
}

/* A brick that answers pings is alive: a call may take as long as its deadline. */
Test(calls, slow_brick_that_answers_pings)
{
    struct rig rig;
    struct guard g;
    struct peer_counts counts;
    rig_up(&rig, NULL, "?timeout=1&ping_timeout=0.2", 1000);
    guard_make_one(&g, 64);
    rig_hook(&rig, no_reads, NULL);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -ETIMEDOUT);
    peer_counts(rig.peer, &counts);
    cr_assert_geq(counts.pings, 2);
    cr_assert_eq(counts.connections, 1);
    rig_hook(&rig, NULL, NULL);
    rig_expect_read(&rig, &g, 100);
    guard_free(&g);
    rig_down(&rig);
}

/* One that does not is dead, long before the deadline. */
Test(calls, dead_brick_that_ignores_pings)
{
    struct rig rig;
    struct guard g;
    struct peer_counts counts;
    double start;
    rig_up(&rig, NULL, "?timeout=60&ping_timeout=0.3&reconnect_timeout=0", 1000);
    guard_make_one(&g, 64);
    rig_hook(&rig, rig_never_answer, NULL);
    start = rig_seconds();
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -ETIMEDOUT);
    cr_assert_geq(rig_seconds() - start, 0.25);
    cr_assert_lt(rig_seconds() - start, 30);
    rig_expect_text(&rig, "READ", "ping");
    rig_expect_closed(&rig);
    cr_assert(guard_intact(&g));
    peer_counts(rig.peer, &counts);
    cr_assert_geq(counts.pings, 1);
    guard_free(&g);
    rig_down(&rig);
}

/* Pings are off: silence ends with the deadline only, and costs the connection nothing. */
Test(calls, no_pings)
{
    struct rig rig;
    struct guard g;
    struct peer_counts counts;
    rig_up(&rig, NULL, "?timeout=0.5&ping_timeout=0", 1000);
    guard_make_one(&g, 64);
    rig_hook(&rig, no_reads, NULL);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -ETIMEDOUT);
    peer_counts(rig.peer, &counts);
    cr_assert_eq(counts.pings, 0);
    rig_hook(&rig, NULL, NULL);
    rig_expect_read(&rig, &g, 100);
    guard_free(&g);
    rig_down(&rig);
}

/* ---- oversized records ----------------------------------------------------------------------- */

static bool oversize(struct peer_call *call, void *arg)
{
    struct peer_record r = {0};
    if (!peer_is_fop(call, PEER_READ) && !peer_is_fop(call, PEER_FSTAT))
        return false;
    peer_execute(call, &r);
    peer_poke(&r, PEER_AT_MARK, *(uint32_t *)arg);
    peer_send_record(call->conn, &r);
    return true;
}

/* The mark says up to 2 GiB: refused at once, without that much memory and without a wait. */
Test(calls, oversized_record)
{
    static const uint32_t marks[] = {0xffffffff, 0xc0000001, 0x7fffffff, 0x40000001};
    for (size_t i = 0; i < 2 * sizeof(marks) / sizeof(*marks); i++) {
        struct rig rig;
        struct guard g;
        struct stat st;
        uint32_t mark = marks[i / 2];
        rig_up(&rig, NULL, "?timeout=60&reconnect_timeout=0", 1000);
        guard_make_one(&g, 64);
        rig_hook(&rig, oversize, &mark);
        ssize_t n = i % 2 ? gzc_fstat(rig.file, &st) : gzc_preadv(rig.file, g.iov, 1, 0);
        cr_assert_eq(n, -EPROTO, "mark %08x: %zd", mark, n);
        rig_expect_text(&rig, i % 2 ? "FSTAT" : "READ", "large");
        cr_assert(guard_intact(&g));
        rig_expect_closed(&rig);
        guard_free(&g);
        rig_down(&rig);
    }
}
