/* The order of overlapping transfers, as the server sees it: what has to wait is not sent. */
#include "src/volume/volume.h" /* before async_rig.h, whose gzc.h is the same file */
#include "tests/wire/async_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_SIZE 4000
#define OPS       8

/* A volume with a file that is open twice, whose replies are kept back; operations on it. */
struct stage {
    struct rig rig;
    gzc_file *second;
    unsigned connections;
    struct late late;
    struct told told[OPS];
    uint8_t memory[OPS][FILE_SIZE];
};

static struct stage s; /* each test has a process of its own */

static void up_with(const char *query, unsigned connections, int flags)
{
    memset(&s, 0, sizeof(s));
    rig_up(&s.rig, NULL, query, FILE_SIZE);
    s.connections = connections;
    cr_assert_eq(gzc_open(s.rig.volume, RIG_FILE, O_RDWR | flags, 0, &s.second), 0);
    rig_hook(&s.rig, late_hook, &s.late);
}

static void up(void)
{
    up_with("", 1, 0);
}

static void down(void)
{
    struct peer_counts counts;
    peer_counts(s.rig.peer, &counts);
    cr_assert_eq(counts.connections, s.connections);
    cr_assert_eq(counts.open, s.connections);
    late_free(&s.late);
    gzc_close(s.second);
    rig_down(&s.rig);
}

/* Begin operation `i`; a write writes bytes of 'a' + i. */
static void begin_write(unsigned i, gzc_file *file, size_t n, off_t at, unsigned timeout_ms)
{
    const struct gzc_async how = told_how(&s.told[i], timeout_ms);
    memset(s.memory[i], 'a' + (int)i, n);
    s.told[i].ticket = gzc_pwrite_async(file, s.memory[i], n, at, &how);
    cr_assert_gt(s.told[i].ticket, 0);
}

static void begin_read(unsigned i, gzc_file *file, size_t n, off_t at)
{
    const struct gzc_async how = told_how(&s.told[i], 0);
    s.told[i].ticket = gzc_pread_async(file, s.memory[i], n, at, &how);
    cr_assert_gt(s.told[i].ticket, 0);
}

/* After everything sent by now has come: so many calls are there, the last being `proc`. */
static void expect_sent(unsigned n, uint32_t proc)
{
    barrier(&s.rig, s.connections);
    cr_assert_eq(s.late.n, n, "%u calls were sent instead of %u", s.late.n, n);
    cr_assert_eq(s.late.kept[n - 1].proc, proc);
}

/* Call number `call` is answered, which ends operation `i`; then so many calls have been sent. */
static void answer(unsigned call, unsigned i, ssize_t result, unsigned sent)
{
    late_send(&s.rig, &s.late, call);
    told_expect(&s.rig, &s.told[i], result);
    barrier(&s.rig, s.connections);
    cr_assert_eq(s.late.n, sent, "%u calls were sent instead of %u", s.late.n, sent);
}

static void expect_bytes(off_t at, size_t n, int byte)
{
    uint8_t bytes[FILE_SIZE];
    cr_assert_eq(pread(s.rig.content, bytes, n, at), (ssize_t)n);
    for (size_t k = 0; k < n; k++)
        cr_assert_eq(bytes[k], byte, "byte %zu is '%c'", k, bytes[k]);
}

/* ---- reads and writes ------------------------------------------------------------------------ */

static void overlapping_writes(const char *query, unsigned connections)
{
    up_with(query, connections, 0);
    begin_write(0, s.rig.file, 100, 0, 0);
    begin_write(1, s.second, 100, 50, 0);
    begin_write(2, s.rig.file, 1, 149, 0);
    expect_sent(1, PEER_WRITE);
    answer(0, 0, 100, 2);
    answer(1, 1, 100, 3);
    answer(2, 2, 1, 3);
    expect_bytes(0, 50, 'a');
    expect_bytes(50, 99, 'b');
    expect_bytes(149, 1, 'c');
    down();
}

Test(async_order, overlapping_writes)
{
    overlapping_writes("", 1);
}

Test(async_order, overlapping_writes_on_four_connections)
{
    overlapping_writes("?nconnect=4", 4);
}

Test(async_order, what_does_not_overlap_is_sent_at_once)
{
    up();
    begin_write(0, s.rig.file, 100, 100, 0);
    begin_write(1, s.second, 100, 200, 0);
    begin_write(2, s.rig.file, 100, 0, 0);
    begin_read(3, s.second, 100, 300);
    expect_sent(4, PEER_READ);
    for (unsigned i = 0; i < 4; i++)
        answer(3 - i, 3 - i, 100, 4);
    down();
}

Test(async_order, a_read_waits_for_a_write)
{
    up();
    begin_write(0, s.rig.file, 100, 100, 0);
    begin_read(1, s.second, 100, 199);
    begin_read(2, s.rig.file, 100, 101);
    expect_sent(1, PEER_WRITE);
    late_send(&s.rig, &s.late, 0);
    told_expect(&s.rig, &s.told[0], 100);
    expect_sent(3, PEER_READ);
    answer(2, 2, 100, 3);
    answer(1, 1, 100, 3);
    cr_assert_eq(s.memory[1][0], 'a');
    cr_assert_eq(s.memory[1][1], guard_pattern(200));
    cr_assert_eq(s.memory[2][98], 'a');
    cr_assert_eq(s.memory[2][99], guard_pattern(200));
    down();
}

Test(async_order, a_write_does_not_wait_for_a_read)
{
    up();
    begin_read(0, s.rig.file, 100, 0);
    begin_write(1, s.second, 100, 0, 0);
    begin_read(2, s.second, 100, 0); /* waits */
    expect_sent(2, PEER_WRITE);
    begin_write(3, s.second, 100, 50, 0); /* for the write, not for the read that waits */
    answer(1, 1, 100, 4);
    answer(3, 3, 100, 4);
    answer(2, 2, 100, 4);
    answer(0, 0, 100, 4);
    down();
}

Test(async_order, not_kept)
{
    up_with("?ordered=0", 1, 0);
    begin_write(0, s.rig.file, 100, 0, 0);
    begin_write(1, s.second, 100, 0, 0);
    begin_read(2, s.second, 100, 0);
    expect_sent(3, PEER_READ);
    const struct gzc_async how = told_how(&s.told[3], 0);
    cr_assert_gt(gzc_fsync_async(s.rig.file, &how), 0);
    expect_sent(4, PEER_FSYNC);
    late_send_all(&s.rig, &s.late);
    for (unsigned i = 0; i < 4; i++)
        told_expect(&s.rig, &s.told[i], i < 3 ? 100 : 0);
    down();
}

/* Of another file nobody waits for. */
Test(async_order, another_file)
{
    gzc_file *other;
    up();
    cr_assert_geq(peer_add_file(s.rig.peer, "other"), 0);
    cr_assert_eq(gzc_open(s.rig.volume, "other", O_RDWR, 0, &other), 0);
    begin_write(0, s.rig.file, 100, 0, 0);
    begin_write(1, other, 100, 0, 0);
    expect_sent(2, PEER_WRITE);
    late_send_all(&s.rig, &s.late);
    told_expect(&s.rig, &s.told[0], 100);
    told_expect(&s.rig, &s.told[1], 100);
    cr_assert_eq(gzc_close(other), 0);
    down();
}

/* ---- the whole file -------------------------------------------------------------------------- */

Test(async_order, appending)
{
    up_with("", 1, O_APPEND);
    begin_write(0, s.second, 10, 0, 0);
    begin_write(1, s.second, 10, 3000, 0);   /* an append too, whatever its offset */
    begin_write(2, s.rig.file, 10, 2000, 0); /* not one, but an append may be anywhere */
    begin_read(3, s.rig.file, 10, 1000);
    expect_sent(1, PEER_WRITE);
    answer(0, 0, 10, 2);
    cr_assert_eq(s.told[2].count + s.told[3].count, 0);
    late_send(&s.rig, &s.late, 1);
    told_expect(&s.rig, &s.told[1], 10);
    expect_sent(4, PEER_READ);
    begin_read(4, s.second, 10, 1000); /* reads through such a handle are like others */
    expect_sent(5, PEER_READ);
    late_send_all(&s.rig, &s.late);
    for (unsigned i = 2; i < 5; i++)
        told_expect(&s.rig, &s.told[i], 10);
    down();
}

/* More than one call can take: one after the other. */
Test(async_order, large_append)
{
    enum { SIZE = 5 << 19 };
    struct guard g;
    up_with("", 1, O_APPEND);
    guard_make_one(&g, SIZE);
    s.told[0].memory = &g;
    const struct gzc_async how = told_how(&s.told[0], 0);
    cr_assert_gt(gzc_pwritev_async(s.second, g.iov, 1, 0, &how), 0);
    for (unsigned call = 0; call < 3; call++) {
        expect_sent(call + 1, PEER_WRITE);
        late_send(&s.rig, &s.late, call);
        drive_until(&s.rig, call < 2 ? &s.late.n : &s.told[0].count, call < 2 ? call + 2 : 1);
    }
    told_expect(&s.rig, &s.told[0], SIZE);
    guard_free(&g);
    down();
}

Test(async_order, ftruncate)
{
    up();
    begin_write(0, s.rig.file, 100, 3000, 0);
    const struct gzc_async how = told_how(&s.told[1], 0);
    cr_assert_gt(gzc_ftruncate_async(s.second, 50, &how), 0);
    begin_read(2, s.rig.file, 100, 0);
    begin_write(3, s.rig.file, 100, 2000, 0);
    expect_sent(1, PEER_WRITE);
    answer(0, 0, 100, 2);
    cr_assert_eq(s.late.kept[1].proc, PEER_FTRUNCATE);
    late_send(&s.rig, &s.late, 1);
    told_expect(&s.rig, &s.told[1], 0);
    expect_sent(4, PEER_WRITE);
    late_send_all(&s.rig, &s.late);
    told_expect(&s.rig, &s.told[2], 50);
    told_expect(&s.rig, &s.told[3], 100);
    down();
}

static void syncing(gzc_ticket (*sync)(gzc_file *, const struct gzc_async *))
{
    up();
    begin_read(0, s.rig.file, 100, 0);
    begin_write(1, s.rig.file, 100, 0, 0);
    begin_write(2, s.rig.file, 100, 1000, 0);
    const struct gzc_async how = told_how(&s.told[3], 0);
    s.told[3].ticket = sync(s.second, &how);
    cr_assert_gt(s.told[3].ticket, 0);
    begin_write(4, s.rig.file, 100, 500, 0); /* begun later: does not wait for it */
    expect_sent(4, PEER_WRITE);
    cr_assert_eq(calls_seen(&s.rig, PEER_FSYNC), 0);
    answer(1, 1, 100, 4);
    cr_assert_eq(calls_seen(&s.rig, PEER_FSYNC), 0);
    late_send(&s.rig, &s.late, 2);
    told_expect(&s.rig, &s.told[2], 100);
    expect_sent(5, PEER_FSYNC); /* with the read, and the later write, still under way */
    answer(4, 3, 0, 5);
    late_send_all(&s.rig, &s.late);
    told_expect(&s.rig, &s.told[0], 100);
    told_expect(&s.rig, &s.told[4], 100);
    down();
}

Test(async_order, fsync)
{
    syncing(gzc_fsync_async);
}

Test(async_order, fdatasync)
{
    syncing(gzc_fdatasync_async);
}

/* ---- those that wait ------------------------------------------------------------------------- */

/* 0 runs; 1 waits for it; 2 waits for 1, and 3 for 0 and 1. 1 gives up: 2 goes, 3 still waits. */
static void one_gives_up(bool cancel)
{
    up();
    begin_write(0, s.rig.file, 100, 0, 0);
    begin_write(1, s.second, 100, 50, cancel ? 0 : 60);
    begin_write(2, s.rig.file, 100, 120, 0);
    begin_read(3, s.rig.file, 100, 30);
    expect_sent(1, PEER_WRITE);
    if (cancel)
        cr_assert_eq(gzc_cancel(s.rig.volume, s.told[1].ticket), 0);
    told_expect(&s.rig, &s.told[1], cancel ? -ECANCELED : -ETIMEDOUT);
    cr_assert_not_null(strstr(s.told[1].error, "waiting"), "%s", s.told[1].error);
    cr_assert_eq(gzc_cancel(s.rig.volume, s.told[1].ticket), -ENOENT);
    expect_sent(2, PEER_WRITE);
    cr_assert_eq(s.late.kept[1].offset, 120);
    answer(0, 0, 100, 2); /* 3 overlaps 2 as well */
    answer(1, 2, 100, 3);
    answer(2, 3, 100, 3);
    expect_bytes(50, 50, 'a');
    expect_bytes(120, 100, 'c');
    cr_assert_eq(s.memory[3][69], 'a');
    cr_assert_eq(s.memory[3][70], guard_pattern(100));
    cr_assert_eq(s.memory[3][90], 'c');
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(s.told[i].count, 1);
    down();
}

Test(async_order, one_that_waits_is_cancelled)
{
    one_gives_up(true);
}

Test(async_order, one_that_waits_times_out)
{
    one_gives_up(false);
}

/* The one that all wait for ends without an answer. */
Test(async_order, the_first_times_out)
{
    up();
    begin_write(0, s.rig.file, 100, 0, 60);
    begin_write(1, s.second, 100, 50, 0);
    begin_read(2, s.second, 100, 100);
    expect_sent(1, PEER_WRITE);
    told_expect(&s.rig, &s.told[0], -ETIMEDOUT);
    expect_sent(2, PEER_WRITE);
    answer(1, 1, 100, 3);
    answer(2, 2, 100, 3);
    late_send_all(&s.rig, &s.late);
    barrier(&s.rig, 1);
    cr_assert_eq(rig_stats(&s.rig).replies_retired, 1);
    down();
}

/* All that wait time out at once, while the first goes on. */
Test(async_order, all_that_wait_time_out)
{
    up();
    begin_write(0, s.rig.file, 100, 0, 0);
    for (unsigned i = 1; i < OPS; i++)
        begin_write(i, i % 2 ? s.second : s.rig.file, 100, 99 * (i % 2), 40);
    for (unsigned i = 1; i < OPS; i++)
        told_expect(&s.rig, &s.told[i], -ETIMEDOUT);
    expect_sent(1, PEER_WRITE);
    answer(0, 0, 100, 1);
    s.told[0].count = 0;
    begin_write(0, s.rig.file, 100, 0, 0);
    expect_sent(2, PEER_WRITE);
    answer(1, 0, 100, 2);
    down();
}

/* A close waits for those that wait, and nothing of it comes before them. */
Test(async_order, close)
{
    struct told closed = {0};
    up();
    begin_write(0, s.rig.file, 100, 0, 0);
    begin_write(1, s.second, 100, 0, 0);
    const struct gzc_async how = told_how(&closed, 0);
    cr_assert_gt(gzc_close_async(s.second, &how), 0);
    s.second = NULL;
    expect_sent(1, PEER_WRITE);
    answer(0, 0, 100, 2);
    cr_assert_eq(closed.count, 0);
    cr_assert_eq(calls_seen(&s.rig, PEER_FLUSH), 0);
    late_send(&s.rig, &s.late, 1);
    told_expect(&s.rig, &s.told[1], 100);
    told_expect(&s.rig, &closed, 0);
    down();
}

/* The volume goes while some run and some wait: each completes, once, with an error. */
Test(async_order, unmount)
{
    struct told closed[2] = {0};
    up();
    for (unsigned i = 0; i < OPS; i++)
        begin_write(i, i % 2 ? s.second : s.rig.file, 100, 50 * i, 0);
    for (unsigned i = 0; i < 2; i++) {
        const struct gzc_async how = told_how(&closed[i], 0);
        cr_assert_gt(gzc_close_async(i ? s.second : s.rig.file, &how), 0);
    }
    cr_assert_eq(gzc_unmount(s.rig.volume), 0);
    for (unsigned i = 0; i < OPS; i++) {
        cr_assert_eq(s.told[i].count, 1);
        cr_assert_lt(s.told[i].result, 0);
        cr_assert_neq(s.told[i].error[0], '\0');
    }
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(closed[i].count, 1);
        cr_assert_lt(closed[i].result, 0);
    }
    cr_assert(peer_wait_closed(s.rig.peer));
    late_free(&s.late);
    peer_stop(s.rig.peer);
}

/* A blocking read waits as well. */
static void *blocking_read(void *arg)
{
    *(ssize_t *)arg = gzc_pread(s.second, s.memory[1], 100, 50);
    return NULL;
}

Test(async_order, a_blocking_read_waits)
{
    pthread_t thread;
    ssize_t n = 0;
    up();
    begin_write(0, s.rig.file, 100, 0, 0);
    cr_assert_eq(pthread_create(&thread, NULL, blocking_read, &n), 0);
    for (bool begun = false; !begun; sched_yield()) {
        engine_lock(&s.rig.volume->shared->engine);
        begun = s.rig.volume->blocked;
        engine_unlock(&s.rig.volume->shared->engine);
    }
    expect_sent(1, PEER_WRITE);
    late_send(&s.rig, &s.late, 0);
    told_expect(&s.rig, &s.told[0], 100);
    drive_until(&s.rig, &s.late.n, 2);
    late_send(&s.rig, &s.late, 1);
    pthread_join(thread, NULL);
    cr_assert_eq(n, 100);
    cr_assert_eq(s.memory[1][49], 'a');
    cr_assert_eq(s.memory[1][50], guard_pattern(100));
    down();
}

/* ---- all at once ----------------------------------------------------------------------------- */

enum { DEPTH = 24, ALL = 700, AREA = 600 };

struct step {
    struct told told;
    unsigned at, n, until; /* until: steps that had begun when it was over */
    bool write;
    uint8_t memory[200], expected[200];
};

static struct step steps[ALL];
static unsigned steps_begun, steps_over;

static void step_over(struct told *told)
{
    ((struct step *)told)->until = steps_begun;
    steps_over++;
}

static void step_begin(unsigned *seed, uint8_t *model)
{
    struct step *t = &steps[steps_begun++];
    gzc_file *file = rand_r(seed) % 2 ? s.rig.file : s.second;
    const struct gzc_async how = told_how(&t->told, 0);
    *t = (struct step){.told.then = step_over};
    t->n = 1 + (unsigned)rand_r(seed) % sizeof(t->memory);
    t->at = (unsigned)rand_r(seed) % (AREA - t->n);
    t->write = rand_r(seed) % 2;
    if (t->write) {
        memset(t->memory, rand_r(seed), t->n);
        memcpy(model + t->at, t->memory, t->n);
        cr_assert_gt(gzc_pwrite_async(file, t->memory, t->n, t->at, &how), 0);
    } else {
        memcpy(t->expected, model + t->at, t->n);
        cr_assert_gt(gzc_pread_async(file, t->memory, t->n, t->at, &how), 0);
    }
}

/* A byte is of the last write begun before the read, or of one begun while it was under way. */
static bool step_right(const struct step *t, unsigned byte)
{
    if (t->memory[byte] == t->expected[byte])
        return true;
    for (const struct step *w = t + 1; w < &steps[t->until]; w++)
        if (w->write && t->at + byte - w->at < w->n && w->memory[0] == t->memory[byte])
            return true;
    return false;
}

/* Random overlapping transfers, answered in any order: every read sees the writes begun before it,
 * and the file is in the end as if all had been one after the other. */
static void as_if_one_by_one(const char *query, unsigned connections, unsigned seed)
{
    static uint8_t model[AREA], content[AREA];
    up_with(query, connections, 0);
    cr_assert_eq(pread(s.rig.content, model, AREA, 0), AREA);
    steps_begun = steps_over = 0;
    double end = rig_seconds() + 60;
    while (steps_over < ALL) {
        cr_assert_lt(rig_seconds(), end);
        while (steps_begun < ALL && steps_begun - steps_over < DEPTH)
            step_begin(&seed, model);
        peer_lock(s.rig.peer);
        for (unsigned i = 0; i < s.late.n; i++)
            if (s.late.kept[i].reply.length && rand_r(&seed) % 4 == 0)
                peer_send_record(s.late.kept[i].conn, &s.late.kept[i].reply);
        peer_unlock(s.rig.peer);
        gzc_poll(s.rig.volume, 0, 1);
    }
    for (unsigned i = 0; i < ALL; i++) {
        cr_assert_eq(steps[i].told.count, 1);
        cr_assert_eq(steps[i].told.result, steps[i].n);
        for (unsigned k = 0; k < steps[i].n && !steps[i].write; k++)
            cr_assert(step_right(&steps[i], k), "read number %u, byte %u", i, k);
    }
    cr_assert_eq(pread(s.rig.content, content, AREA, 0), AREA);
    cr_assert_eq(memcmp(content, model, AREA), 0);
    down();
}

Test(async_order, as_if_one_by_one)
{
    as_if_one_by_one("", 1, 1);
    as_if_one_by_one("?nconnect=4", 4, 2);
    as_if_one_by_one("?nconnect=4&busy_poll_us=0", 4, 3);
}
