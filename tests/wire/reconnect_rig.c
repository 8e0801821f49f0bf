#include "tests/wire/reconnect_rig.h"

#include <criterion/criterion.h>

bool cut_hook(struct peer_call *call, void *arg)
{
    struct cut *cut = arg;
    struct peer_record r = {0};
    if (call->prog != (cut->prog ? cut->prog : PEER_PROG_FOP) || call->proc != cut->proc)
        return false;
    if (cut->pass && cut->pass--)
        return false;
    if (!cut->times)
        return false;
    cut->times--;
    if (!cut->before)
        peer_execute(call, &r);
    if (cut->at && cut->at < r.length) {
        peer_send(call->conn, r.at, cut->at);
        if (cut->reset) /* else it would be lost */
            peer_settle(call->conn);
    }
    peer_record_free(&r);
    atomic_fetch_add(&cut->done, 1);
    peer_restart(call->peer, cut->reset);
    return true;
}

void cut_up(struct rig *rig, struct cut *cut, const char *query, size_t size)
{
    rig_up(rig, NULL, query, size);
    rig_hook(rig, cut_hook, cut);
}

void brick_away(struct rig *rig)
{
    peer_lock(rig->peer);
    peer_listen(rig->peer, false);
    peer_restart(rig->peer, true);
    peer_unlock(rig->peer);
}

void brick_back(struct rig *rig)
{
    peer_lock(rig->peer);
    peer_listen(rig->peer, true);
    peer_unlock(rig->peer);
}

void rig_use(struct rig *rig)
{
    struct guard g;
    guard_make_one(&g, 200);
    rig_expect_read(rig, &g, 7);
    guard_free(&g);
}

struct gzc_brick_info brick_info(struct rig *rig)
{
    struct gzc_brick_info info;
    cr_assert_eq(gzc_brick_info(rig->volume, 0, &info, sizeof(info)), 0);
    return info;
}

void until_connected(struct rig *rig, bool connected)
{
    double end = rig_seconds() + PEER_PATIENCE_MS / 1e3;
    while (brick_info(rig).connected != connected) {
        cr_assert_lt(rig_seconds(), end, "%s", brick_info(rig).error);
        gzc_poll(rig->volume, 0, 1);
    }
}

void expect_seen(struct rig *rig, uint32_t proc, unsigned n)
{
    unsigned seen = calls_seen(rig, proc);
    cr_assert_eq(seen, n, "procedure %u: %u calls instead of %u", proc, seen, n);
}

void expect_connections(struct rig *rig, unsigned n)
{
    struct peer_counts counts;
    peer_counts(rig->peer, &counts);
    cr_assert_eq(counts.connections, n, "%u connections instead of %u",
                 (unsigned)counts.connections, n);
}
