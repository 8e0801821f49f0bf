/* What a call costs in the steady state, with one under way at a time: the counts are promises. */
#include "tests/guest/link_rig.h"

#include <criterion/criterion.h>
#include <string.h>

enum { CALLS = 256, WARM = 8 };

struct cost {
    double registrations, requests, completions, doorbells;
    unsigned waits;
};

static struct cost measure(const char *query, size_t size, bool writes)
{
    struct link_rig l;
    struct guard g;
    struct gzc_stats from = {0};
    link_up(&l, NULL, query, 2 << 20);
    guard_make_one(&g, size);
    guard_fill(&g, 0);
    for (int i = 0; i < CALLS + WARM; i++) {
        if (i == WARM)
            from = rig_stats(&l.rig);
        ssize_t n = writes ? gzc_pwrite(l.rig.file, g.iov[0].iov_base, size, 0)
                           : gzc_pread(l.rig.file, g.iov[0].iov_base, size, i);
        cr_assert_eq(n, (ssize_t)size);
    }
    struct gzc_stats to = rig_stats(&l.rig);
    cr_assert_eq(to.calls - from.calls, CALLS);
    cr_assert_eq(to.bytes_staged, 0);
    struct cost cost = {
        .registrations = (double)(to.registrations - from.registrations),
        .requests = (double)(to.work_requests - from.work_requests) / CALLS,
        .completions = (double)(to.completions - from.completions) / CALLS,
        .doorbells = (double)(to.doorbells - from.doorbells) / CALLS,
        .waits = (unsigned)(to.wait_syscalls - from.wait_syscalls),
    };
    guard_free(&g);
    link_down(&l);
    return cost;
}

static void expect_cost(const struct cost *c, double requests, double completions, double doorbells)
{
    cr_assert_eq(c->registrations, 0, "%f registrations", c->registrations);
    cr_assert_leq(c->waits, 5 * CALLS / 2, "%u waits", c->waits);
    cr_assert_float_eq(c->requests, requests, 0.02, "%f work requests", c->requests);
    cr_assert_float_eq(c->completions, completions, 0.02, "%f completions", c->completions);
    cr_assert_float_eq(c->doorbells, doorbells, 0.02, "%f doorbells", c->doorbells);
}

/* SEND, a window bound, and invalidated; the immediate's completion and the invalidation's. */
Test(link_counts, read_4k, .timeout = 60)
{
    struct cost c = measure("", 4096, false);
    expect_cost(&c, 3, 2, 2);
}

Test(link_counts, read_1m, .timeout = 60)
{
    struct cost c = measure("", 1 << 20, false);
    expect_cost(&c, 3, 2, 2);
}

Test(link_counts, read_trusted, .timeout = 60)
{
    struct cost c = measure("?rdma_trust=1", 4096, false);
    expect_cost(&c, 1, 1, 1);
    c = measure("?rdma_trust=1", 1 << 20, false);
    expect_cost(&c, 1, 1, 1);
}

/* What goes with the SEND needs no window. */
Test(link_counts, write_4k, .timeout = 60)
{
    struct cost c = measure("", 4096, true);
    expect_cost(&c, 1, 1, 1);
}

Test(link_counts, write_1m, .timeout = 60)
{
    struct cost c = measure("", 1 << 20, true);
    expect_cost(&c, 3, 2, 2);
    c = measure("?rdma_trust=1", 1 << 20, true);
    expect_cost(&c, 1, 1, 1);
}

/* Asleep instead of polling: a wait for each completion, and no system calls but those. */
Test(link_counts, asleep, .timeout = 60)
{
    struct cost c = measure("?busy_poll_us=0", 4096, false);
    cr_assert_gt(c.waits, 0);
    expect_cost(&c, 3, 2, 2);
}
