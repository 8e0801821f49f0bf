#include "tests/wire/async_states.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#define SIZE   64
#define RECORD (PEER_AT_READ_PAYLOAD + SIZE)
#define MIB    (1 << 20)
#define SLOTS  1024 /* calls under way on one connection */
/* Until the state is reached: more than that takes. */
#define DEADLINE_MS 400

static unsigned deadline(enum ending by)
{
    return by == BY_DEADLINE ? DEADLINE_MS : 0;
}

/* The operations, begun with deadline(), are in the state that is to be tested; they end, with
 * `result` or, if that is 0, as they must when nothing has been moved. */
static void end_all(struct rig *rig, struct told *told, unsigned n, enum ending by, ssize_t result)
{
    for (unsigned i = 0; i < n; i++)
        cr_assert_eq(told[i].count, 0, "ended before the state was reached: %zd", told->result);
    for (unsigned i = 0; i < n && by == BY_CANCEL; i++) {
        cr_assert_eq(gzc_cancel(rig->volume, told[i].ticket), 0);
        cr_assert_eq(told[i].count, 0, "completed inside gzc_cancel()");
    }
    for (unsigned i = 0; i < n; i++) {
        told_expect(rig, &told[i], result ? result : by == BY_CANCEL ? -ECANCELED : -ETIMEDOUT);
        cr_assert_eq(gzc_cancel(rig->volume, told[i].ticket), -ENOENT);
    }
}

static void end(struct rig *rig, struct told *told, enum ending by, ssize_t result)
{
    end_all(rig, told, 1, by, result);
}

/* All replies that are due have come: so many were drained, and the connection is well. */
static void expect_well(struct rig *rig, unsigned retired)
{
    struct guard g;
    struct gzc_stats stats;
    barrier(rig, 1);
    stats = rig_stats(rig);
    cr_assert_eq(stats.replies_retired, retired, "%u", (unsigned)stats.replies_retired);
    cr_assert_eq(stats.replies_unmatched, 0, "%u", (unsigned)stats.replies_unmatched);
    expect_one_connection(rig);
    rig_hook(rig, NULL, NULL);
    guard_make_one(&g, 100);
    rig_fill(rig->content, 0, 1000);
    rig_expect_read(rig, &g, 200);
    guard_free(&g);
}

/* ---- replies --------------------------------------------------------------------------------- */

const size_t read_cuts[] = {0, 3, 4, 5, 27, 28, 36, 187, 199, 200, 201, 220, 221, RECORD - 1};
const unsigned read_cuts_count = sizeof(read_cuts) / sizeof(*read_cuts);

void end_read_at(enum ending by, size_t cut, const char *query, int take)
{
    struct rig rig;
    struct guard g;
    struct late late = {.cut = cut};
    struct told told = {.memory = &g, .take = take, .offset = 100};
    const size_t lengths[] = {20, 0, 1, SIZE - 21};
    rig_up(&rig, NULL, query, 1000);
    guard_make(&g, lengths, 4);
    rig_hook(&rig, late_hook, &late);
    told_read(&rig, &told, deadline(by));
    drive_until(&rig, &late.n, 1);
    end(&rig, &told, by, 0);
    late_send_all(&rig, &late);
    expect_well(&rig, 1);
    cr_assert_eq(told.count, 1, "completed again");
    told_memory(&told);
    guard_free(&g);
    late_free(&late);
    rig_down(&rig);
}

void end_write_at(enum ending by, size_t cut)
{
    struct rig rig;
    struct guard g;
    struct late late = {.cut = cut};
    struct told told = {.memory = &g, .take = REVOKE_IT, .offset = 300};
    rig_up(&rig, NULL, "", 0);
    guard_make_one(&g, SIZE);
    guard_fill(&g, 300);
    rig_hook(&rig, late_hook, &late);
    told_write(&rig, &told, deadline(by));
    drive_until(&rig, &late.n, 1);
    end(&rig, &told, by, 0);
    cr_assert(rig_file_holds(rig.content, 300, SIZE, 300));
    late_send_all(&rig, &late);
    expect_well(&rig, 1);
    cr_assert_eq(told.count, 1);
    told_memory(&told);
    guard_free(&g);
    late_free(&late);
    rig_down(&rig);
}

/* ---- before it is sent ----------------------------------------------------------------------- */

void end_waiting_for_a_slot(enum ending by)
{
    enum { WRITE = SLOTS, READ, LAST, ALL };
    struct rig rig;
    struct late late = {0};
    struct guard *g = calloc(ALL, sizeof(*g));
    struct told *told = calloc(ALL, sizeof(*told));
    rig_up(&rig, NULL, "", 1 << 20);
    rig_hook(&rig, late_hook, &late);
    for (unsigned i = 0; i < ALL; i++) {
        bool ends = i == WRITE || i == READ;
        guard_make_one(&g[i], 8);
        told[i] = (struct told){.memory = &g[i], .offset = 16 * i};
        told[i].take = ends ? REVOKE_IT : LEAVE_IT;
        if (i == WRITE)
            told_write(&rig, &told[i], deadline(by));
        else
            told_read(&rig, &told[i], ends ? deadline(by) : 0);
    }
    drive_until(&rig, &late.n, SLOTS);
    end_all(&rig, &told[WRITE], 2, by, 0); /* and READ */
    cr_assert_eq(late.n, SLOTS);
    late_send_all(&rig, &late);
    drive_until(&rig, &late.n, SLOTS + 1); /* LAST has a slot now */
    cr_assert_eq(late.kept[SLOTS].offset, 16 * LAST);
    late_send_all(&rig, &late);
    for (unsigned i = 0; i < ALL; i++) {
        if (i != WRITE && i != READ) {
            told_expect(&rig, &told[i], 8);
            cr_assert_eq(told[i].good, 8);
        }
    }
    rig_hook(&rig, NULL, NULL);
    expect_well(&rig, 0);
    cr_assert_eq(calls_seen(&rig, PEER_WRITE), 0);
    for (unsigned i = 0; i < ALL; i++) {
        cr_assert_eq(told[i].count, 1);
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    free(g);
    free(told);
    late_free(&late);
    rig_down(&rig);
}

void end_behind_a_blocked_socket(enum ending by)
{
    enum { LARGE, WRITE, READ, LAST, ALL };
    struct rig rig;
    struct guard g[ALL];
    struct told told[ALL] = {0};
    rig_up(&rig, &small_sockets, "", 5 * MIB);
    for (unsigned i = 0; i < ALL; i++) {
        guard_make_one(&g[i], i == LARGE ? MIB : SIZE);
        guard_fill(&g[i], i * 2 * MIB);
        told[i] = (struct told){.memory = &g[i], .take = REVOKE_IT, .offset = i * 2 * MIB};
    }
    rig_hook(&rig, check_write, NULL);
    stop_reading(&rig);
    told_write(&rig, &told[LARGE], 0);
    cr_assert_gt(unsent(&rig), 0);
    told_write(&rig, &told[WRITE], deadline(by));
    told_read(&rig, &told[READ], deadline(by));
    told_write(&rig, &told[LAST], 0);
    end_all(&rig, &told[WRITE], 2, by, 0); /* and READ */
    read_again(&rig);
    told_expect(&rig, &told[LARGE], MIB);
    told_expect(&rig, &told[LAST], SIZE);
    cr_assert(rig_file_holds(rig.content, 0, MIB, 0));
    cr_assert(rig_file_holds(rig.content, LAST * 2 * MIB, SIZE, LAST * 2 * MIB));
    expect_well(&rig, 0);
    cr_assert_eq(calls_seen(&rig, PEER_WRITE), 2, "what had not left was sent");
    for (unsigned i = 0; i < ALL; i++) {
        cr_assert_eq(told[i].count, 1);
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    rig_down(&rig);
}

/* ---- half sent ------------------------------------------------------------------------------- */

/* The stream needs the rest of what has begun to leave: the peer sees it whole, as it was when the
 * operation began. What had not begun never leaves. */
void end_half_sent(enum ending by, size_t size, size_t taken)
{
    struct rig rig;
    struct guard g;
    struct told told = {.memory = &g, .take = REVOKE_IT};
    rig_up(&rig, &small_sockets, "", 0);
    guard_make_one(&g, size);
    guard_fill(&g, 0);
    rig_hook(&rig, check_write, NULL);
    stop_reading(&rig);
    told_write(&rig, &told, deadline(by));
    take_some(&rig, taken);
    cr_assert_gt(unsent(&rig), 0, "the call did not leave at all");
    cr_assert_lt(unsent(&rig), MIB - (int)taken, "the sockets hold all of it: nothing is tested");
    end(&rig, &told, by, 0);
    read_again(&rig);
    expect_well(&rig, 1);
    cr_assert_eq(calls_seen(&rig, PEER_WRITE), 1);
    cr_assert(rig_file_holds(rig.content, 1000, MIB - 1000, 1000));
    cr_assert_eq(told.count, 1);
    told_memory(&told);
    guard_free(&g);
    rig_down(&rig);
}

void end_half_sent_and_break(enum ending by)
{
    struct rig rig;
    struct guard g;
    struct told told = {.memory = &g, .take = REVOKE_IT}, next = {0};
    struct stat st;
    rig_up(&rig, &small_sockets, "?reconnect_timeout=0", 0);
    guard_make_one(&g, 5 * MIB);
    guard_fill(&g, 0);
    stop_reading(&rig);
    told_write(&rig, &told, deadline(by));
    end(&rig, &told, by, 0);
    peer_lock(rig.peer);
    peer_reset(peer_latest(rig.peer));
    peer_unlock(rig.peer);
    const struct gzc_async how = told_how(&next, 0);
    cr_assert_gt(gzc_fstat_async(rig.file, &st, &how), 0);
    told_expect(&rig, &next, -ENOTCONN);
    cr_assert_eq(told.count, 1);
    told_memory(&told);
    guard_free(&g);
    rig_down(&rig);
}

/* ---- several calls --------------------------------------------------------------------------- */

void end_large_read(enum ending by)
{
    struct rig rig;
    struct guard g;
    struct late late = {.pass = 1};
    struct told told = {.memory = &g, .take = REVOKE_IT};
    rig_up(&rig, NULL, "", 5 * MIB);
    guard_make_one(&g, 5 * MIB);
    rig_hook(&rig, late_hook, &late);
    told_read(&rig, &told, deadline(by) * 2);
    drive_until(&rig, &late.n, 4); /* the first is answered, so that the fifth was sent */
    peer_lock(rig.peer);
    late.kept[0].cut = PEER_AT_READ_PAYLOAD + MIB / 2;
    peer_send(late.kept[0].conn, late.kept[0].reply.at, late.kept[0].cut);
    peer_unlock(rig.peer);
    uint64_t half = late.kept[0].offset + MIB / 2 - 1;
    volatile uint8_t *last = (uint8_t *)g.iov->iov_base + half;
    for (double start = rig_seconds(); *last != guard_pattern(half);) {
        cr_assert_lt(rig_seconds() - start, PEER_PATIENCE_MS / 1e3);
        gzc_poll(rig.volume, 0, 1);
    }
    end(&rig, &told, by, MIB); /* what was moved in order counts */
    cr_assert_geq(told.good, MIB + MIB / 2);
    late_send_all(&rig, &late);
    expect_well(&rig, 4);
    cr_assert_eq(told.count, 1);
    told_memory(&told);
    guard_free(&g);
    late_free(&late);
    rig_down(&rig);
}

void end_large_write(enum ending by)
{
    struct rig rig;
    struct guard g;
    struct late late = {.pass = 1};
    struct told told = {.memory = &g, .take = REVOKE_IT};
    rig_up(&rig, NULL, "", 0);
    guard_make_one(&g, 5 * MIB);
    guard_fill(&g, 0);
    rig_hook(&rig, late_hook, &late);
    told_write(&rig, &told, deadline(by) * 2);
    drive_until(&rig, &late.n, 4);
    end(&rig, &told, by, MIB);
    late_send_all(&rig, &late);
    expect_well(&rig, 4);
    cr_assert_eq(calls_seen(&rig, PEER_WRITE), 5);
    cr_assert(rig_file_holds(rig.content, 1000, 5 * MIB - 1000, 1000));
    cr_assert_eq(told.count, 1);
    told_memory(&told);
    guard_free(&g);
    late_free(&late);
    rig_down(&rig);
}
