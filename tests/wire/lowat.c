/* SO_RCVLOWAT: the rest of a large payload is slept for, not each of its segments. */
#include "tests/wire/rig.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <sys/socket.h>

enum { SIZE = 1 << 20, FIRST = 100 << 10, PIECE = 16 << 10 };

static int lowat(struct peer_conn *conn)
{
    int value = 0;
    socklen_t length = sizeof(value);
    getsockopt(peer_client_fd(conn), SOL_SOCKET, SO_RCVLOWAT, &value, &length);
    return value;
}

/* Waits until the client, about to sleep, has set a low-water mark of so many bytes. */
static bool lowat_comes_to(struct peer_conn *conn, int least, int most)
{
    for (double end = rig_seconds() + PEER_PATIENCE_MS / 1e3; rig_seconds() < end; sched_yield())
        if (lowat(conn) >= least && lowat(conn) <= most)
            return true;
    return false;
}

/* Sends a first part of the payload, and the rest in many pieces when the client sleeps. */
static bool trickle(struct peer_call *call, void *arg)
{
    struct peer_record r = {0};
    (void)arg;
    if (!peer_is_fop(call, PEER_READ) || call->size < SIZE)
        return false;
    if (!lowat_comes_to(call->conn, 1, 1))
        peer_complain(call->peer, "a low-water mark of %d while a header is due",
                      lowat(call->conn));
    peer_execute(call, &r);
    peer_send(call->conn, r.at, PEER_AT_READ_PAYLOAD + FIRST);
    if (!lowat_comes_to(call->conn, 2 * PIECE, SIZE))
        peer_complain(call->peer, "no low-water mark for a large payload");
    for (size_t at = PEER_AT_READ_PAYLOAD + FIRST; at < r.length; at += PIECE)
        peer_send(call->conn, r.at + at, r.length - at < PIECE ? r.length - at : PIECE);
    peer_record_free(&r);
    return true;
}

Test(lowat, a_large_payload_wakes_seldom)
{
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "?busy_poll_us=0", SIZE);
    guard_make_one(&g, SIZE);
    rig_hook(&rig, trickle, NULL);
    for (int i = 0; i < 3; i++) {
        struct gzc_stats before = rig_stats(&rig);
        guard_clear(&g);
        rig_expect_read(&rig, &g, 0);
        struct gzc_stats after = rig_stats(&rig);
        /* 58 pieces: without the mark each could wake it */
        cr_expect_leq(after.wait_syscalls - before.wait_syscalls, 12);
        cr_expect_eq(after.bytes_staged, 0);
    }
    guard_free(&g);
    guard_make_one(&g, 100); /* and a small reply wakes it as well as ever */
    rig_expect_read(&rig, &g, 5);
    guard_free(&g);
    rig_down(&rig);
}
