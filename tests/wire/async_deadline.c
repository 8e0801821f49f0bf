/* Deadlines of single operations: rule 1 in every state, and when they come. */
#include "tests/wire/async_states.h"

#include <criterion/criterion.h>
#include <errno.h>

#define TICK 0.011 /* seconds that a deadline is looked at early, by a coarse clock */

Test(async_deadline, reply_to_a_read_cut)
{
    for (unsigned i = 0; i < read_cuts_count; i++)
        end_read_at(BY_DEADLINE, read_cuts[i], "", i % 2 ? REUSE_IT : REVOKE_IT);
}

Test(async_deadline, reply_to_a_read_cut_busy_polling)
{
    for (unsigned i = 0; i < read_cuts_count; i += 3)
        end_read_at(BY_DEADLINE, read_cuts[i], "?busy_poll_us=100000", REVOKE_IT);
}

Test(async_deadline, reply_to_a_write_cut)
{
    const size_t cuts[] = {0, 3, 20, 28, 36, 100};
    for (unsigned i = 0; i < sizeof(cuts) / sizeof(*cuts); i++)
        end_write_at(BY_DEADLINE, cuts[i]);
}

Test(async_deadline, waiting_for_a_slot)
{
    end_waiting_for_a_slot(BY_DEADLINE);
}

Test(async_deadline, behind_a_blocked_socket)
{
    end_behind_a_blocked_socket(BY_DEADLINE);
}

Test(async_deadline, half_sent)
{
    end_half_sent(BY_DEADLINE, 1 << 20, 0);
    end_half_sent(BY_DEADLINE, 1 << 20, 300000);
    end_half_sent(BY_DEADLINE, 5 << 20, 0);
    end_half_sent(BY_DEADLINE, 5 << 20, 700001);
}

Test(async_deadline, half_sent_and_the_connection_breaks)
{
    end_half_sent_and_break(BY_DEADLINE);
}

Test(async_deadline, large_read_midway)
{
    end_large_read(BY_DEADLINE);
}

Test(async_deadline, large_write_midway)
{
    end_large_write(BY_DEADLINE);
}

/* ---- when ------------------------------------------------------------------------------------ */

struct timed {
    struct told told;
    struct guard g;
    double begun, ended;
    unsigned after; /* how many others had ended before */
    unsigned *ended_count;
};

static void note_time(struct told *told)
{
    struct timed *t = told->arg;
    t->ended = rig_seconds();
    t->after = (*t->ended_count)++;
}

/* Each has its own, in no order; the volume's is another; a call that none bounds goes on. */
static void deadlines_each(const char *query)
{
    enum { N = 6 };
    static const unsigned ms[N] = {210, 30, 0, 90, 60, 150}, order[N] = {4, 0, 5, 2, 1, 3};
    struct rig rig;
    struct late late = {0};
    struct timed t[N] = {0};
    unsigned ended = 0;
    rig_up(&rig, NULL, query, 1000);
    rig_hook(&rig, late_hook, &late);
    for (unsigned i = 0; i < N; i++) {
        guard_make_one(&t[i].g, 8);
        t[i].told = (struct told){
            .memory = &t[i].g, .offset = 20 * i, .take = REVOKE_IT, .then = note_time};
        t[i].told.arg = &t[i];
        t[i].ended_count = &ended;
        t[i].begun = rig_seconds();
        told_read(&rig, &t[i].told, ms[i]);
    }
    for (unsigned i = 0; i < N; i++) {
        double took;
        if (!ms[i])
            continue;
        told_expect(&rig, &t[i].told, -ETIMEDOUT);
        took = t[i].ended - t[i].begun;
        cr_assert_geq(took, ms[i] / 1e3 - TICK, "%u ms ended after %g s", ms[i], took);
        cr_assert_lt(took, ms[i] / 1e3 + 1, "%u ms ended after %g s", ms[i], took);
        cr_assert_eq(t[i].after, order[i], "%u ms was number %u", ms[i], t[i].after);
    }
    cr_assert_eq(t[2].told.count, 0);
    late_send_all(&rig, &late);
    told_expect(&rig, &t[2].told, 8);
    cr_assert_eq(t[2].told.good, 8);
    barrier(&rig, 1);
    cr_assert_eq(rig_stats(&rig).replies_retired, N - 1);
    for (unsigned i = 0; i < N; i++) {
        told_memory(&t[i].told);
        guard_free(&t[i].g);
    }
    expect_one_connection(&rig);
    late_free(&late);
    rig_down(&rig);
}

Test(async_deadline, each_its_own)
{
    deadlines_each("?timeout=20");
    deadlines_each("?timeout=20&busy_poll_us=0");
}

/* The volume's bounds those that name none. */
Test(async_deadline, the_volumes)
{
    struct rig rig;
    struct guard g[2];
    struct late late = {0};
    struct told brief = {.memory = &g[0]}, longer = {.memory = &g[1]};
    rig_up(&rig, NULL, "?timeout=0.2", 1000);
    rig_hook(&rig, late_hook, &late);
    guard_make_one(&g[0], 8);
    guard_make_one(&g[1], 8);
    told_read(&rig, &longer, 19000);
    told_read(&rig, &brief, 0);
    told_expect(&rig, &brief, -ETIMEDOUT);
    cr_assert_eq(longer.count, 0);
    late_send_all(&rig, &late);
    told_expect(&rig, &longer, 8);
    guard_free(&g[0]);
    guard_free(&g[1]);
    late_free(&late);
    rig_down(&rig);
}

/* A leader that polls its socket all the time looks at the deadlines too. */
Test(async_deadline, is_seen_while_polling)
{
    struct rig rig;
    struct guard g;
    struct late late = {0};
    struct told told = {.memory = &g};
    rig_up(&rig, NULL, "?busy_poll_us=1000000", 1000);
    rig_hook(&rig, late_hook, &late);
    guard_make_one(&g, 8);
    double begun = rig_seconds();
    told_read(&rig, &told, 50);
    while (!told.count)
        gzc_poll(rig.volume, 0, 5000);
    double took = rig_seconds() - begun;
    cr_assert_lt(took, 0.5, "50 ms were over after %g s", took);
    guard_free(&g);
    late_free(&late);
    rig_down(&rig);
}

/* The reply comes so late that its slot has been used for many other calls. */
Test(async_deadline, reply_after_many_other_calls)
{
    struct rig rig;
    struct guard g, other;
    struct late late = {0};
    struct told told = {.memory = &g, .take = REVOKE_IT};
    rig_up(&rig, NULL, "", 1000);
    rig_hook(&rig, late_hook, &late);
    guard_make_one(&g, 8);
    guard_make_one(&other, 8);
    told_read(&rig, &told, 30);
    told_expect(&rig, &told, -ETIMEDOUT);
    rig_hook(&rig, NULL, NULL);
    for (unsigned i = 0; i < 100; i++)
        rig_expect_read(&rig, &other, i);
    late_send_all(&rig, &late);
    rig_expect_read(&rig, &other, 5);
    rig_expect_read(&rig, &other, 6);
    told_memory(&told);
    struct gzc_stats stats = rig_stats(&rig);
    cr_assert_eq(stats.replies_retired, 1);
    cr_assert_eq(stats.replies_unmatched, 0);
    guard_free(&g);
    guard_free(&other);
    late_free(&late);
    rig_down(&rig);
}

/* READs are never answered. */
static bool lose_reads(struct peer_call *call, void *arg)
{
    atomic_uint *lost = arg;
    if (!peer_is_fop(call, PEER_READ))
        return false;
    atomic_fetch_add(lost, 1);
    return true;
}

/* More calls are given up, and never answered, than there can be under way: others go on, those
 * that have been waiting meanwhile too. */
Test(async_deadline, replies_that_never_come)
{
    enum { CALLS = 1100 };
    static struct told told[CALLS];
    struct rig rig;
    struct guard g;
    struct stat st;
    atomic_uint lost = 0;
    rig_up(&rig, NULL, "", 1000);
    rig_hook(&rig, lose_reads, &lost);
    guard_make_one(&g, 8);
    for (unsigned i = 0; i < 3; i++) {
        struct told waits = {0};
        for (unsigned k = 0; k < CALLS; k++) {
            told[k] = (struct told){.memory = &g};
            told_read(&rig, &told[k], 200);
        }
        const struct gzc_async how = told_how(&waits, 5000);
        cr_assert_gt(gzc_fstat_async(rig.file, &st, &how), 0);
        for (unsigned k = 0; k < CALLS; k++)
            told_expect(&rig, &told[k], -ETIMEDOUT);
        told_expect(&rig, &waits, 0);
        barrier(&rig, 1);
    }
    cr_assert_gt(lost, 2048);
    rig_hook(&rig, NULL, NULL);
    rig_expect_read(&rig, &g, 5);
    expect_one_connection(&rig);
    guard_free(&g);
    rig_down(&rig);
}
