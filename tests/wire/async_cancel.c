/* Cancelling: rule 1 in every state, and what a ticket names. */
#include "tests/wire/async_states.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>

Test(async_cancel, reply_to_a_read_cut)
{
    for (unsigned i = 0; i < read_cuts_count; i++)
        end_read_at(BY_CANCEL, read_cuts[i], "", i % 2 ? REUSE_IT : REVOKE_IT);
}

Test(async_cancel, reply_to_a_read_cut_otherwise)
{
    for (unsigned i = 0; i < read_cuts_count; i++)
        end_read_at(BY_CANCEL, read_cuts[i], "?busy_poll_us=100000", i % 2 ? REVOKE_IT : REUSE_IT);
}

Test(async_cancel, reply_to_a_write_cut)
{
    for (size_t cut = 0; cut < 40; cut++)
        end_write_at(BY_CANCEL, cut);
}

Test(async_cancel, waiting_for_a_slot)
{
    end_waiting_for_a_slot(BY_CANCEL);
}

Test(async_cancel, behind_a_blocked_socket)
{
    end_behind_a_blocked_socket(BY_CANCEL);
}

Test(async_cancel, half_sent)
{
    end_half_sent(BY_CANCEL, 1 << 20, 0);
    end_half_sent(BY_CANCEL, 1 << 20, 300000);
    end_half_sent(BY_CANCEL, 5 << 20, 0);
    end_half_sent(BY_CANCEL, 5 << 20, 700001);
}

Test(async_cancel, half_sent_and_the_connection_breaks)
{
    end_half_sent_and_break(BY_CANCEL);
}

Test(async_cancel, large_read_midway)
{
    end_large_read(BY_CANCEL);
}

Test(async_cancel, large_write_midway)
{
    end_large_write(BY_CANCEL);
}

/* ---- tickets --------------------------------------------------------------------------------- */

struct pair {
    struct rig rig;
    struct late late;
    struct guard g[2];
    struct told told[2];
    int cancelled; /* what a callback's gzc_cancel() gave */
};

/* Two reads whose replies are kept back. */
static void pair_up(struct pair *p)
{
    *p = (struct pair){.cancelled = 1};
    rig_up(&p->rig, NULL, "", 1000);
    rig_hook(&p->rig, late_hook, &p->late);
    for (unsigned i = 0; i < 2; i++) {
        guard_make_one(&p->g[i], 8);
        p->told[i] =
            (struct told){.memory = &p->g[i], .offset = 100 * i, .take = REVOKE_IT, .arg = p};
    }
}

static void pair_begin(struct pair *p)
{
    told_read(&p->rig, &p->told[0], 0);
    told_read(&p->rig, &p->told[1], 0);
    drive_until(&p->rig, &p->late.n, 2);
}

static void pair_down(struct pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(p->told[i].count, 1);
        told_memory(&p->told[i]);
        guard_free(&p->g[i]);
    }
    expect_one_connection(&p->rig);
    late_free(&p->late);
    rig_down(&p->rig);
}

static void cancel_the_other(struct told *told)
{
    struct pair *p = told->arg;
    p->cancelled = gzc_cancel(p->rig.volume, p->told[1].ticket);
}

Test(async_cancel, in_the_callback_of_another)
{
    struct pair p;
    pair_up(&p);
    p.told[0].then = cancel_the_other;
    pair_begin(&p);
    late_send(&p.rig, &p.late, 0);
    told_expect(&p.rig, &p.told[0], 8);
    cr_assert_eq(p.cancelled, 0);
    told_expect(&p.rig, &p.told[1], -ECANCELED);
    late_send_all(&p.rig, &p.late);
    barrier(&p.rig, 1);
    cr_assert_eq(rig_stats(&p.rig).replies_retired, 1);
    pair_down(&p);
}

/* Both have ended when the first is told: the second's ticket names nothing any more. */
Test(async_cancel, in_the_callback_of_another_that_ended_with_it)
{
    struct pair p;
    pair_up(&p);
    p.told[0].then = cancel_the_other;
    pair_begin(&p);
    peer_lock(p.rig.peer);
    struct peer_record both = {0};
    for (unsigned i = 0; i < 2; i++)
        peer_put(&both, p.late.kept[i].reply.at, p.late.kept[i].reply.length);
    peer_send_record(p.late.kept[0].conn, &both);
    peer_unlock(p.rig.peer);
    told_expect(&p.rig, &p.told[0], 8);
    told_wait(&p.rig, &p.told[1]);
    /* They need not have been received together: then it was in time. */
    cr_assert(p.cancelled == 0 || p.cancelled == -ENOENT, "%d", p.cancelled);
    if (p.cancelled == -ENOENT)
        cr_assert_eq(p.told[1].result, 8);
    else
        cr_assert(p.told[1].result == 8 || p.told[1].result == -ECANCELED);
    pair_down(&p);
}

static void cancel_itself(struct told *told)
{
    struct pair *p = told->arg;
    p->cancelled = gzc_cancel(p->rig.volume, told->ticket);
}

Test(async_cancel, in_its_own_callback)
{
    struct pair p;
    pair_up(&p);
    p.told[0].then = cancel_itself;
    pair_begin(&p);
    late_send_all(&p.rig, &p.late);
    told_expect(&p.rig, &p.told[0], 8);
    told_expect(&p.rig, &p.told[1], 8);
    cr_assert_eq(p.cancelled, -ENOENT);
    barrier(&p.rig, 1);
    pair_down(&p);
}

Test(async_cancel, twice)
{
    struct pair p;
    pair_up(&p);
    pair_begin(&p);
    cr_assert_eq(gzc_cancel(p.rig.volume, p.told[0].ticket), 0);
    cr_assert_eq(gzc_cancel(p.rig.volume, p.told[0].ticket), 0);
    told_expect(&p.rig, &p.told[0], -ECANCELED);
    cr_assert_eq(gzc_cancel(p.rig.volume, p.told[0].ticket), -ENOENT);
    late_send_all(&p.rig, &p.late);
    told_expect(&p.rig, &p.told[1], 8);
    barrier(&p.rig, 1);
    pair_down(&p);
}

/* The place that an ended operation had is another's now; a few ways to miss are tried too. */
Test(async_cancel, stale_and_made_up_tickets)
{
    struct pair p;
    gzc_ticket made_up[] = {0, -1, INT64_MIN, INT64_MAX, 1, (gzc_ticket)1 << 32 | 0xffffffff};
    pair_up(&p);
    for (unsigned i = 0; i < 200; i++) {
        p.late.pass = 1;
        p.told[0].count = 0;
        p.told[0].take = p.told[1].take = LEAVE_IT;
        told_read(&p.rig, &p.told[0], 0);
        told_expect(&p.rig, &p.told[0], 8);
        cr_assert_eq(gzc_cancel(p.rig.volume, p.told[0].ticket), -ENOENT);
        p.told[1].count = 0;
        unsigned kept = p.late.n;
        told_read(&p.rig, &p.told[1], 0);
        drive_until(&p.rig, &p.late.n, kept + 1);
        cr_assert_neq(p.told[1].ticket, p.told[0].ticket);
        cr_assert_eq(gzc_cancel(p.rig.volume, p.told[0].ticket), -ENOENT, "stale");
        for (unsigned k = 0; k < sizeof(made_up) / sizeof(*made_up); k++)
            cr_assert_eq(gzc_cancel(p.rig.volume, made_up[k]), -ENOENT, "made up %u", k);
        late_send_all(&p.rig, &p.late);
        told_expect(&p.rig, &p.told[1], 8);
        cr_assert_eq(p.told[1].good, 8);
        cr_assert_eq(p.told[0].count, 1);
    }
    pair_down(&p);
}

/* FLUSH is kept back. */
static bool keep_flush(struct peer_call *call, void *arg)
{
    atomic_uint *came = arg;
    if (!peer_is_fop(call, PEER_FLUSH))
        return false;
    atomic_fetch_add(came, 1);
    return atomic_load(came) == 1;
}

Test(async_cancel, a_close_is_not_cancelled)
{
    struct rig rig;
    struct told told = {0};
    gzc_file *second;
    atomic_uint came = 0;
    rig_up(&rig, NULL, "", 1000);
    cr_assert_eq(gzc_open(rig.volume, RIG_FILE, O_RDWR, 0, &second), 0);
    rig_hook(&rig, keep_flush, &came);
    const struct gzc_async how = told_how(&told, 100);
    told.ticket = gzc_close_async(second, &how);
    cr_assert_gt(told.ticket, 0);
    drive_until(&rig, &came, 1);
    cr_assert_eq(gzc_cancel(rig.volume, told.ticket), -EINVAL);
    barrier(&rig, 1);
    cr_assert_eq(told.count, 0);
    told_expect(&rig, &told, -ETIMEDOUT); /* the handle is gone all the same */
    cr_assert_eq(gzc_cancel(rig.volume, told.ticket), -ENOENT);
    rig_down(&rig);
}

Test(async_cancel, a_close_that_waits_is_not_cancelled)
{
    struct pair p;
    struct told closed = {0};
    pair_up(&p);
    pair_begin(&p);
    const struct gzc_async how = told_how(&closed, 0);
    closed.ticket = gzc_close_async(p.rig.file, &how);
    cr_assert_eq(gzc_cancel(p.rig.volume, closed.ticket), -EINVAL);
    cr_assert_eq(gzc_cancel(p.rig.volume, p.told[0].ticket), 0);
    told_expect(&p.rig, &p.told[0], -ECANCELED);
    cr_assert_eq(closed.count, 0, "closed under a read");
    cr_assert_eq(calls_seen(&p.rig, PEER_FLUSH), 0);
    late_send_all(&p.rig, &p.late);
    told_expect(&p.rig, &p.told[1], 8);
    told_expect(&p.rig, &closed, 0);
    p.rig.file = NULL;
    pair_down(&p);
}

/* Names too: each round of an operation on a path can be the one that is cancelled. */
Test(async_cancel, operations_on_names)
{
    struct rig rig;
    struct stat st;
    rig_up(&rig, NULL, "", 1000);
    rig_hook(&rig, rig_never_answer, NULL);
    for (unsigned i = 0; i < 5; i++) {
        struct told told = {0};
        gzc_file *file = (gzc_file *)&rig;
        gzc_dir *dir = (gzc_dir *)&rig;
        const struct gzc_async how = told_how(&told, 0);
        gzc_volume *v = rig.volume;
        told.ticket = i == 0   ? gzc_stat_async(v, "/" RIG_FILE, &st, &how)
                      : i == 1 ? gzc_open_async(v, RIG_FILE, O_RDONLY, 0, &file, &how)
                      : i == 2 ? gzc_mkdir_async(v, "d", 0755, &how)
                      : i == 3 ? gzc_opendir_async(v, "/", &dir, &how)
                               : gzc_unlink_async(v, RIG_FILE, &how);
        cr_assert_gt(told.ticket, 0);
        cr_assert_eq(gzc_cancel(v, told.ticket), 0);
        told_expect(&rig, &told, -ECANCELED);
        cr_assert(i != 1 || file == NULL);
        cr_assert(i != 3 || dir == NULL);
    }
    rig_hook(&rig, NULL, NULL);
    barrier(&rig, 1);
    rig_down(&rig);
}
