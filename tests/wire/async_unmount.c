/* Unmounting while something is over that nobody has been told of yet. */
#include "tests/wire/async_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

/* The replies to a PING and to an OPEN or OPENDIR, which are sent together, in that order. */
struct together {
    struct peer_record ping, open;
    atomic_uint sent;
};

static bool keep_both(struct peer_call *call, void *arg)
{
    struct together *t = arg;
    struct peer_record both = {0};
    if (call->prog == PEER_PROG_DUMP && call->proc == PEER_PING)
        peer_execute(call, &t->ping);
    else if (peer_is_fop(call, PEER_OPEN) || peer_is_fop(call, PEER_OPENDIR))
        peer_execute(call, &t->open);
    else
        return false;
    if (!t->ping.length || !t->open.length)
        return true;
    peer_put(&both, t->ping.at, t->ping.length);
    peer_put(&both, t->open.at, t->open.length);
    peer_send_record(call->conn, &both);
    peer_record_free(&t->ping);
    peer_record_free(&t->open);
    atomic_fetch_add(&t->sent, 1);
    return true;
}

/* A file or directory has been opened, but its callback has not run when the volume goes: either
 * that is refused, as it is open; or the open fails. No handle is given out on a volume that is
 * gone. */
static void unmount_before_told(bool directory)
{
    struct rig rig;
    struct together t = {0};
    struct told ping = {0}, open = {0};
    gzc_file *file = NULL;
    gzc_dir *dir = NULL;
    uint64_t ns;
    rig_up(&rig, NULL, "", 100);
    cr_assert_eq(gzc_close(rig.file), 0);
    rig.file = NULL;
    rig_hook(&rig, keep_both, &t);
    struct gzc_async how = told_how(&ping, 0);
    cr_assert_gt(gzc_ping_async(rig.volume, 0, &ns, &how), 0);
    how = told_how(&open, 0);
    cr_assert_gt(directory ? gzc_opendir_async(rig.volume, "/", &dir, &how)
                           : gzc_open_async(rig.volume, RIG_FILE, O_RDWR, 0, &file, &how),
                 0);
    while (!ping.count)
        gzc_poll(rig.volume, 1, 1000);
    cr_assert_eq(open.count, 0, "told in the same round: nothing is tested");
    int rc = gzc_unmount(rig.volume);
    if (rc == 0) {
        cr_assert_eq(open.count, 1);
        cr_assert_lt(open.result, 0, "a handle on a volume that is gone");
        cr_assert(file == NULL && dir == NULL);
        cr_assert(peer_wait_closed(rig.peer));
        peer_stop(rig.peer);
        return;
    }
    cr_assert_eq(rc, -EBUSY);
    told_expect(&rig, &open, 0);
    if (directory)
        cr_assert_eq(gzc_closedir(dir), 0);
    else
        cr_assert_eq(gzc_close(file), 0);
    rig_down(&rig);
}

Test(async_unmount, open_file_not_told_yet)
{
    unmount_before_told(false);
}

Test(async_unmount, open_directory_not_told_yet)
{
    unmount_before_told(true);
}

/* In every state: calls that wait for slots, that are half sent, that were sent, half answered. */
Test(async_unmount, reads_and_writes_in_every_state)
{
    enum { READS = 1100 };
    static struct told told[READS + 1];
    struct told closed = {0};
    struct rig rig;
    struct guard g[READS + 1];
    struct late late = {.cut = 210};
    rig_up(&rig, &small_sockets, "", 4 << 20);
    rig_hook(&rig, late_hook, &late);
    for (unsigned i = 0; i <= READS; i++) {
        guard_make_one(&g[i], i == READS ? 3 << 20 : 64);
        told[i] = (struct told){.memory = &g[i], .take = REVOKE_IT};
        if (i == READS)
            told[i].offset = 1000;
    }
    told_read(&rig, &told[0], 0);
    drive_until(&rig, &late.n, 1);
    rig_hook(&rig, rig_never_answer, NULL);
    told_read(&rig, &told[1], 0);
    peer_lock(rig.peer);
    peer_deafen(peer_latest(rig.peer), true);
    peer_unlock(rig.peer);
    told_write(&rig, &told[READS], 0);
    for (unsigned i = 2; i < READS; i++)
        told_read(&rig, &told[i], 0);
    const struct gzc_async how = told_how(&closed, 0);
    cr_assert_gt(gzc_close_async(rig.file, &how), 0);
    cr_assert_eq(gzc_unmount(rig.volume), 0);
    for (unsigned i = 0; i <= READS; i++) {
        cr_assert_eq(told[i].count, 1);
        cr_assert_lt(told[i].result, 0);
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    cr_assert_eq(closed.count, 1);
    read_again(&rig);
    cr_assert(peer_wait_closed(rig.peer));
    late_free(&late);
    peer_stop(rig.peer);
}
