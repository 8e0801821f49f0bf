/* gzc_fd() against a server that sends in pieces: whatever has come makes it readable. */
#include "tests/wire/async_rig.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB  (1 << 20)
#define WAIT 5000 /* milliseconds until it counts as never */

/* An event loop until it has completed; counts rounds. */
static unsigned loop_until(struct rig *rig, struct told *told, const char *what)
{
    struct pollfd p = {gzc_fd(rig->volume), POLLIN, 0};
    unsigned rounds = 0;
    for (; !told->count; rounds++) {
        cr_assert_eq(poll(&p, 1, WAIT), 1, "not readable: %s", what);
        gzc_poll(rig->volume, 0, 0);
    }
    return rounds;
}

static bool readable(struct rig *rig)
{
    struct pollfd p = {gzc_fd(rig->volume), POLLIN, 0};
    return poll(&p, 1, 0) == 1;
}

static void exhaust(struct rig *rig)
{
    double end = rig_seconds() + PEER_PATIENCE_MS / 1e3;
    while (readable(rig)) {
        cr_assert_lt(rig_seconds(), end, "readable for ever");
        gzc_poll(rig->volume, 0, 0);
    }
}

static void begin(struct rig *rig, struct told *told, struct guard *g, uint64_t offset)
{
    *told = (struct told){.memory = g, .take = REUSE_IT, .offset = offset};
    told_read(rig, told, 0);
}

static void expect_right(struct told *told, size_t n)
{
    cr_assert_eq(told->result, (ssize_t)n, "%zd %s", told->result, told->error);
    cr_assert_eq(told->good, n);
    told_memory(told);
}

/* A large reply comes in two parts, the second after the client has begun to wait for it; then a
 * small one. What is waited for in the first must not be waited for in the second. */
static void large_then_small(const char *query, size_t first)
{
    struct rig rig;
    struct guard large, small;
    struct told told;
    struct late late = {0};
    rig_up(&rig, NULL, query, MIB);
    guard_make_one(&large, MIB);
    guard_make_one(&small, 100);
    for (unsigned i = 0; i < 4; i++) {
        unsigned n = late.n;
        rig_hook(&rig, late_hook, &late);
        begin(&rig, &told, &large, 0);
        drive_until(&rig, &late.n, n + 1);
        peer_lock(rig.peer);
        late.kept[n].cut = first;
        peer_send(late.kept[n].conn, late.kept[n].reply.at, first);
        peer_unlock(rig.peer);
        exhaust(&rig);
        cr_assert_eq(told.count, 0);
        late_send(&rig, &late, n);
        loop_until(&rig, &told, "the rest of a large reply");
        expect_right(&told, MIB);
        rig_hook(&rig, NULL, NULL);
        begin(&rig, &told, &small, 7);
        loop_until(&rig, &told, "a small reply behind a large one");
        expect_right(&told, 100);
    }
    guard_free(&large);
    guard_free(&small);
    late_free(&late);
    rig_down(&rig);
}

Test(async_loop, large_then_small)
{
    large_then_small("", 100 << 10);
    large_then_small("", (1 << 20) - 100);
    large_then_small("?busy_poll_us=0", 100 << 10);
    large_then_small("?busy_poll_us=0", 700 << 10);
}

/* Two replies, the second a bit of which comes right behind the first. */
static void in_pieces(const char *query, size_t cut)
{
    struct rig rig;
    struct guard g[2];
    struct told told[2];
    struct late late = {0};
    struct peer_record both = {0};
    char what[64];
    snprintf(what, sizeof(what), "cut at %zu", cut);
    rig_up(&rig, NULL, query, MIB);
    rig_hook(&rig, late_hook, &late);
    for (unsigned i = 0; i < 2; i++) {
        guard_make_one(&g[i], i ? 100 : 300 << 10);
        begin(&rig, &told[i], &g[i], 10 * i);
    }
    drive_until(&rig, &late.n, 2);
    exhaust(&rig);
    peer_lock(rig.peer);
    for (unsigned i = 0; i < 2; i++)
        peer_put(&both, late.kept[i].reply.at, late.kept[i].reply.length);
    peer_send(late.kept[0].conn, both.at, cut);
    peer_unlock(rig.peer);
    if (cut >= late.kept[0].reply.length) {
        loop_until(&rig, &told[0], what);
        exhaust(&rig);
    }
    peer_lock(rig.peer);
    peer_send(late.kept[0].conn, both.at + cut, both.length - cut);
    peer_unlock(rig.peer);
    loop_until(&rig, &told[0], what);
    loop_until(&rig, &told[1], what);
    expect_right(&told[0], 300 << 10);
    expect_right(&told[1], 100);
    peer_record_free(&both);
    for (unsigned i = 0; i < 2; i++)
        guard_free(&g[i]);
    late_free(&late);
    rig_down(&rig);
}

Test(async_loop, in_pieces)
{
    const size_t whole = PEER_AT_READ_PAYLOAD + (300 << 10);
    const size_t cuts[] = {1,         4,     100,       200,         10000,       250 << 10,
                           whole - 1, whole, whole + 1, whole + 199, whole + 200, whole + 299};
    for (unsigned i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
        in_pieces("", cuts[i]);
        in_pieces("?busy_poll_us=0", cuts[i]);
    }
}

/* A write that the peer takes slowly: that there is room again makes it readable. */
Test(async_loop, a_write_that_is_taken_slowly)
{
    struct rig rig;
    struct guard g;
    struct told told = {.memory = &g, .take = REVOKE_IT};
    rig_up(&rig, &small_sockets, "", 0);
    guard_make_one(&g, 3 * MIB);
    guard_fill(&g, 0);
    rig_hook(&rig, check_write, NULL);
    stop_reading(&rig);
    told_write(&rig, &told, 0);
    exhaust(&rig);
    cr_assert_eq(told.count, 0);
    read_again(&rig);
    unsigned rounds = loop_until(&rig, &told, "room for more");
    cr_assert_eq(told.result, 3 * MIB);
    cr_assert_gt(rounds, 3);
    told_memory(&told);
    guard_free(&g);
    rig_down(&rig);
}

/* The connection breaks: those that wait for it are told. */
Test(async_loop, a_connection_that_breaks)
{
    for (int reset = 0; reset < 2; reset++) {
        struct rig rig;
        struct guard g;
        struct told told = {.memory = &g, .take = REVOKE_IT};
        struct late late = {0};
        rig_up(&rig, NULL, "?reconnect_timeout=0", 1000);
        rig_hook(&rig, late_hook, &late);
        guard_make_one(&g, 100);
        told_read(&rig, &told, 0);
        drive_until(&rig, &late.n, 1);
        exhaust(&rig);
        peer_lock(rig.peer);
        if (reset)
            peer_reset(late.kept[0].conn);
        else
            peer_close(late.kept[0].conn);
        peer_unlock(rig.peer);
        loop_until(&rig, &told, reset ? "reset" : "closed");
        cr_assert_lt(told.result, 0);
        exhaust(&rig);
        told_memory(&told);
        guard_free(&g);
        late_free(&late);
        rig_down(&rig);
    }
}

/* Two replies come at once and gzc_poll() tells of one: the other makes it readable. */
Test(async_loop, what_is_left_behind)
{
    struct rig rig;
    struct guard g[2];
    struct told told[2];
    struct late late = {0};
    struct peer_record both = {0};
    rig_up(&rig, NULL, "", 1000);
    rig_hook(&rig, late_hook, &late);
    for (unsigned i = 0; i < 2; i++) {
        guard_make_one(&g[i], 100);
        begin(&rig, &told[i], &g[i], 10 * i);
    }
    drive_until(&rig, &late.n, 2);
    exhaust(&rig);
    peer_lock(rig.peer);
    for (unsigned i = 0; i < 2; i++)
        peer_put(&both, late.kept[i].reply.at, late.kept[i].reply.length);
    peer_send_record(late.kept[0].conn, &both);
    peer_unlock(rig.peer);
    cr_assert(readable(&rig));
    cr_assert_eq(gzc_poll(rig.volume, 1, 0), 1);
    loop_until(&rig, &told[1], "one that gzc_poll() has left behind");
    for (unsigned i = 0; i < 2; i++) {
        expect_right(&told[i], 100);
        guard_free(&g[i]);
    }
    late_free(&late);
    rig_down(&rig);
}
