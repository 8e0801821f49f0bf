/* What a call costs in the steady state, with one under way at a time: the counts are promises. */
#include "tests/guest/link_rig.h"

#include <criterion/criterion.h>
#include <string.h>

enum { WARM = 4 };

struct cost {
    unsigned calls;
    uint64_t registrations, requests, completions, doorbells, waits;
};

static struct cost measure(const char *query, size_t size, bool writes)
{
    struct link_rig l;
    struct guard g;
    struct gzc_stats from = {0};
    unsigned calls = size > 65536 ? 16 : 128;
    link_up(&l, NULL, query, 2 << 20);
    guard_make_one(&g, size);
    guard_fill(&g, 0);
    for (unsigned i = 0; i < calls + WARM; i++) {
        if (i == WARM)
            from = rig_stats(&l.rig);
        ssize_t n = writes ? gzc_pwrite(l.rig.file, g.iov[0].iov_base, size, 0)
                           : gzc_pread(l.rig.file, g.iov[0].iov_base, size, i);
        cr_assert_eq(n, (ssize_t)size);
    }
    struct gzc_stats to = rig_stats(&l.rig);
    cr_assert_eq(to.calls - from.calls, calls);
    cr_assert_eq(to.bytes_staged, 0);
    guard_free(&g);
    link_down(&l);
    return (struct cost){
        .calls = calls,
        .registrations = to.registrations - from.registrations,
        .requests = to.work_requests - from.work_requests,
        .completions = to.completions - from.completions,
        .doorbells = to.doorbells - from.doorbells,
        .waits = to.wait_syscalls - from.wait_syscalls,
    };
}

static void expect_cost(const char *query, size_t size, bool writes, unsigned requests,
                        unsigned completions, unsigned doorbells)
{
    struct cost c = measure(query, size, writes);
    cr_assert_eq(c.registrations, 0, "%u registrations", (unsigned)c.registrations);
    cr_assert_eq(c.requests, requests * c.calls, "%u work requests for %u calls",
                 (unsigned)c.requests, c.calls);
    cr_assert_eq(c.doorbells, doorbells * c.calls, "%u doorbells for %u calls",
                 (unsigned)c.doorbells, c.calls);
    /* Of requests that have no completion of their own, one now and then has. */
    uint64_t least = (uint64_t)completions * c.calls, most = least + (c.calls + 99) / 100;
    cr_assert(least <= c.completions && c.completions <= most, "%u completions for %u calls",
              (unsigned)c.completions, c.calls);
    /* For each completion that is slept for: one, and one more if the descriptor was ready early.
     */
    cr_assert_leq(c.waits, 2 * completions * c.calls, "%u waits", (unsigned)c.waits);
}

/* SEND, a window bound, and invalidated; the immediate's completion and the invalidation's. */
Test(link_counts, reads, .timeout = 60)
{
    expect_cost("", 4096, false, 3, 2, 2);
    expect_cost("", 1 << 20, false, 3, 2, 2);
}

Test(link_counts, reads_asleep, .timeout = 60)
{
    expect_cost("?busy_poll_us=0", 4096, false, 3, 2, 2);
}

Test(link_counts, reads_trusted, .timeout = 60)
{
    expect_cost("?rdma_trust=1", 4096, false, 1, 1, 1);
    expect_cost("?rdma_trust=1", 1 << 20, false, 1, 1, 1);
}

/* What goes with the SEND needs no window. */
Test(link_counts, writes, .timeout = 60)
{
    expect_cost("", 4096, true, 1, 1, 1);
    expect_cost("", 1 << 20, true, 3, 2, 2);
}

Test(link_counts, writes_trusted, .timeout = 60)
{
    expect_cost("?rdma_trust=1", 4096, true, 1, 1, 1);
    expect_cost("?rdma_trust=1", 1 << 20, true, 1, 1, 1);
}
