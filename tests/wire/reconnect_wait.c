/* Operations that wait for a brick that is away: how that ends, and that they leave their memory
 * alone. */
#include "tests/wire/reconnect_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MIB   (1 << 20)
#define SIZE  3000
#define NEVER "?timeout=100&reconnect_timeout=100"

/* Operations of each kind, some of which were under way when the brick went, some of which have
 * begun since: those wait before anything has been sent. */
enum { SENT_READ, SENT_WRITE, SENT_STAT, READ, WRITE, LARGE_READ, LARGE_WRITE, STAT, MKDIR, ALL };

static struct {
    struct rig rig;
    struct guard g[ALL];
    struct told told[ALL];
    struct stat st[2];
    struct late late;
} s;

static bool is_transfer(unsigned i)
{
    return i != STAT && i != SENT_STAT && i != MKDIR;
}

static bool is_write(unsigned i)
{
    return i == SENT_WRITE || i == WRITE || i == LARGE_WRITE;
}

static size_t size_of(unsigned i)
{
    return i == LARGE_READ || i == LARGE_WRITE ? 6 * MIB : SIZE;
}

static void begin(unsigned i, unsigned timeout_ms)
{
    struct told *told = &s.told[i];
    *told = (struct told){.take = i % 2 ? REUSE_IT : REVOKE_IT, .offset = (uint64_t)i * 6 * MIB};
    if (is_transfer(i)) {
        told->memory = &s.g[i];
        guard_make_one(&s.g[i], size_of(i));
        guard_clear(&s.g[i]);
        if (is_write(i)) {
            guard_fill(&s.g[i], told->offset);
            told_write(&s.rig, told, timeout_ms);
        } else {
            told_read(&s.rig, told, timeout_ms);
        }
        return;
    }
    const struct gzc_async how = told_how(told, timeout_ms);
    told->ticket = i == MKDIR  ? gzc_mkdir_async(s.rig.volume, "made", 0755, &how)
                   : i == STAT ? gzc_stat_async(s.rig.volume, RIG_FILE, &s.st[0], &how)
                               : gzc_fstat_async(s.rig.file, &s.st[1], &how);
    cr_assert_gt(told->ticket, 0);
}

static bool keep_back(struct peer_call *call, void *arg)
{
    return peer_is_fop(call, PEER_FSTAT) || late_hook(call, arg);
}

/* The reply to the READ that was sent is half here. */
static void up(const char *query, unsigned timeout_ms)
{
    memset(&s, 0, sizeof(s));
    s.late.cut = PEER_AT_READ_PAYLOAD + SIZE / 2;
    rig_up(&s.rig, NULL, query, 0);
    rig_fill(s.rig.content, 0, ALL * 6 * MIB);
    rig_hook(&s.rig, keep_back, &s.late);
    begin(SENT_READ, timeout_ms);
    drive_until(&s.rig, &s.late.n, 1);
    s.late.cut = 0;
    begin(SENT_WRITE, timeout_ms);
    drive_until(&s.rig, &s.late.n, 2);
    begin(SENT_STAT, timeout_ms);
    brick_away(&s.rig);
    rig_hook(&s.rig, NULL, NULL);
    until_connected(&s.rig, false);
    for (unsigned i = READ; i < ALL; i++)
        begin(i, timeout_ms);
    for (unsigned i = 0; i < ALL; i++)
        cr_assert_eq(s.told[i].count, 0, "%u", i);
}

static void expect_all(ssize_t error)
{
    for (unsigned i = 0; i < ALL; i++) {
        ssize_t result = error ? error : is_transfer(i) ? (ssize_t)size_of(i) : 0;
        told_wait(&s.rig, &s.told[i]);
        cr_assert_eq(s.told[i].result, result, "%u: %zd: %s", i, s.told[i].result, s.told[i].error);
        if (!error && is_transfer(i))
            cr_assert_eq(s.told[i].good, size_of(i), "%u", i);
    }
}

/* The brick comes back, everything goes on, and what has ended is not heard of again. */
static void down(void)
{
    struct guard g;
    guard_make_one(&g, 200);
    brick_back(&s.rig);
    until_connected(&s.rig, true);
    rig_expect_read(&s.rig, &g, 50);
    barrier(&s.rig, 1);
    guard_free(&g);
    for (unsigned i = 0; i < ALL; i++) {
        cr_assert_eq(s.told[i].count, 1, "%u", i);
        if (is_transfer(i)) {
            told_memory(&s.told[i]);
            guard_free(&s.g[i]);
        }
    }
    late_free(&s.late);
    rig_down(&s.rig);
}

Test(reconnect_wait, until_it_is_back)
{
    up(NEVER, 0);
    brick_back(&s.rig);
    expect_all(0);
    cr_assert_eq(calls_seen(&s.rig, PEER_MKDIR), 1);
    cr_assert(rig_file_holds(s.rig.content, 0, ALL * 6 * MIB, 0));
    down();
}

Test(reconnect_wait, until_the_deadline)
{
    up(NEVER, 1500); /* more than getting there takes */
    expect_all(-ETIMEDOUT);
    cr_assert(strstr(s.told[READ].error, "READ: no connection in time: brick 127.0.0.1:/export"),
              "%s", s.told[READ].error);
    cr_assert(strstr(s.told[STAT].error, "LOOKUP 'file': no connection in time"), "%s",
              s.told[STAT].error);
    down();
    cr_assert_eq(s.told[MKDIR].count, 1);
}

Test(reconnect_wait, until_it_is_cancelled)
{
    up(NEVER, 0);
    for (unsigned i = 0; i < ALL; i++) {
        cr_assert_eq(gzc_cancel(s.rig.volume, s.told[i].ticket), 0);
        cr_assert_eq(s.told[i].count, 0, "completed inside gzc_cancel()");
    }
    expect_all(-ECANCELED);
    for (unsigned i = 0; i < ALL; i++)
        cr_assert_eq(gzc_cancel(s.rig.volume, s.told[i].ticket), -ENOENT);
    down();
}

/* A cancel that comes between the break and its being noticed. */
Test(reconnect_wait, cancelled_as_it_breaks)
{
    struct rig rig;
    struct guard g;
    struct late late = {0};
    struct told told = {.memory = &g, .take = REVOKE_IT};
    rig_up(&rig, NULL, NEVER, 1000);
    rig_hook(&rig, late_hook, &late);
    guard_make_one(&g, 100);
    told_read(&rig, &told, 0);
    drive_until(&rig, &late.n, 1);
    brick_away(&rig);
    cr_assert_eq(gzc_cancel(rig.volume, told.ticket), 0);
    told_expect(&rig, &told, -ECANCELED);
    rig_hook(&rig, NULL, NULL);
    brick_back(&rig);
    barrier(&rig, 1);
    cr_assert_eq(told.count, 1);
    cr_assert_eq(calls_seen(&rig, PEER_READ), 1);
    told_memory(&told);
    guard_free(&g);
    late_free(&late);
    rig_down(&rig);
}

/* The limit of the volume counts from the loss on: operations that come later than that fail at
 * once, until the brick is back. */
Test(reconnect_wait, until_the_limit)
{
    char text[512];
    struct stat st;
    up("?timeout=100&reconnect_timeout=0.4", 0);
    double start = rig_seconds();
    expect_all(-ENOTCONN);
    cr_assert_lt(rig_seconds() - start, PEER_PATIENCE_MS / 1e3);
    cr_assert(strstr(s.told[READ].error, "READ: no connection for 0.4 s: brick 127.0.0.1:/export"),
              "%s", s.told[READ].error);
    cr_assert(strstr(s.told[READ].error, "Connection refused"), "%s", s.told[READ].error);
    cr_assert_not(brick_info(&s.rig).connected);
    cr_assert(strstr(brick_info(&s.rig).error, "cannot connect"), "%s", brick_info(&s.rig).error);
    start = rig_seconds();
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(gzc_fstat(s.rig.file, &st), -ENOTCONN);
    cr_assert_lt(rig_seconds() - start, 20 * 0.3, "each waits for the limit");
    gzc_file_error(s.rig.file, text, sizeof(text));
    cr_assert(strstr(text, "FSTAT: no connection for 0.4 s"), "%s", text);
    down();
}

/* Nothing waits for the volume to go. */
Test(reconnect_wait, until_unmount)
{
    struct told closed = {0};
    up(NEVER, 0);
    const struct gzc_async how = told_how(&closed, 0);
    cr_assert_gt(gzc_close_async(s.rig.file, &how), 0);
    cr_assert_eq(gzc_unmount(s.rig.volume), 0);
    for (unsigned i = 0; i < ALL; i++) {
        cr_assert_eq(s.told[i].count, 1, "%u", i);
        cr_assert_eq(s.told[i].result, -ESHUTDOWN, "%u: %zd %s", i, s.told[i].result,
                     s.told[i].error);
        if (is_transfer(i)) {
            told_memory(&s.told[i]);
            guard_free(&s.g[i]);
        }
    }
    cr_assert_eq(closed.count, 1);
    late_free(&s.late);
    peer_stop(s.rig.peer);
}

/* ---- an event loop --------------------------------------------------------------------------- */

/* Nobody but the loop drives the volume, and nothing that it calls waits: the brick is noticed to
 * be away, connected to again, and what was begun meanwhile goes on. */
Test(reconnect_wait, in_an_event_loop)
{
    struct rig rig;
    struct guard g;
    struct told told = {.memory = &g, .take = REVOKE_IT};
    rig_up(&rig, NULL, NEVER, 1000);
    guard_make_one(&g, 100);
    struct pollfd p = {gzc_fd(rig.volume), POLLIN, 0};
    brick_away(&rig);
    while (brick_info(&rig).connected) {
        cr_assert_eq(poll(&p, 1, 5000), 1, "the end of the connection");
        gzc_poll(rig.volume, 0, 0);
    }
    told_read(&rig, &told, 0);
    double end = rig_seconds() + PEER_PATIENCE_MS / 1e3;
    for (unsigned tries = 0; !told.count;) {
        cr_assert_lt(rig_seconds(), end);
        cr_assert_eq(poll(&p, 1, 5000), 1, "another attempt");
        gzc_poll(rig.volume, 0, 0);
        bool refused = strstr(brick_info(&rig).error, "refused");
        if (refused && ++tries == 1)
            brick_back(&rig);
    }
    cr_assert_eq(told.result, 100, "%s", told.error);
    cr_assert_eq(told.good, 100);
    told_memory(&told);
    guard_free(&g);
    rig_down(&rig);
}

/* Waiting costs no polling: the leader sleeps from one attempt to the next. */
Test(reconnect_wait, sleeping)
{
    struct rig rig;
    struct stat st;
    rig_up(&rig, NULL, "?timeout=1.5&reconnect_timeout=100", 1000);
    brick_away(&rig);
    until_connected(&rig, false);
    uint64_t before = rig_stats(&rig).wait_syscalls;
    cr_assert_eq(gzc_fstat(rig.file, &st), -ETIMEDOUT);
    uint64_t waits = rig_stats(&rig).wait_syscalls - before;
    cr_assert_lt(waits, 40, "%u waits in 1.5 s", (unsigned)waits);
    brick_back(&rig);
    rig_down(&rig);
}
