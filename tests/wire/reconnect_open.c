/* What was open is opened again; what is closed meanwhile is not. */
#include "tests/wire/reconnect_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define QUICK "?timeout=30"

/* ---- open files and directories -------------------------------------------------------------- */

struct opens {
    uint32_t flags[64];
    unsigned n;
};

static bool note_opens(struct peer_call *call, void *arg)
{
    struct opens *o = arg;
    if (peer_is_fop(call, PEER_OPEN))
        o->flags[o->n++ % 64] = call->flags;
    return false;
}

/* All that is open is opened again, with its flags but for those that make or empty a file; what
 * was closed is not. */
Test(reconnect_open, flags)
{
    enum { FILES = 5 };
    static const int flags[FILES] = {O_RDONLY, O_WRONLY, O_RDWR | O_APPEND, O_RDWR | O_SYNC,
                                     O_RDWR | O_TRUNC};
    struct rig rig;
    struct opens opens = {0};
    gzc_file *files[FILES], *created[2];
    struct stat st;
    rig_up(&rig, NULL, QUICK, 0);
    for (unsigned i = 0; i < FILES; i++)
        cr_assert_eq(gzc_open(rig.volume, RIG_FILE, flags[i], 0, &files[i]), 0);
    for (unsigned i = 0; i < 2; i++)
        cr_assert_eq(gzc_open(rig.volume, i ? "new1" : "new0", O_RDWR | O_CREAT | O_EXCL | O_TRUNC,
                              0644, &created[i]),
                     0);
    rig_fill(rig.content, 0, 500);
    cr_assert_eq(gzc_close(files[0]), 0);
    cr_assert_eq(gzc_close(created[0]), 0);
    rig_hook(&rig, note_opens, &opens);
    peer_lock(rig.peer);
    peer_restart(rig.peer, true);
    peer_unlock(rig.peer);
    for (unsigned i = 1; i < FILES; i++)
        cr_assert_eq(gzc_fstat(files[i], &st), 0);
    cr_assert_eq(gzc_fstat(created[1], &st), 0);
    cr_assert_eq(gzc_fstat(rig.file, &st), 0);
    cr_assert_eq(opens.n, FILES + 1);
    for (unsigned i = 0; i < opens.n; i++)
        cr_assert_eq(opens.flags[i] & (O_CREAT | O_EXCL | O_TRUNC), 0);
    for (unsigned i = 1; i < FILES; i++) {
        unsigned found = 0;
        for (unsigned k = 0; k < opens.n; k++)
            found += opens.flags[k] == (uint32_t)(flags[i] & ~O_TRUNC);
        cr_assert_geq(found, 1, "flags %#x", flags[i]);
    }
    rig_use(&rig);
    for (unsigned i = 1; i < FILES; i++)
        cr_assert_eq(gzc_close(files[i]), 0);
    cr_assert_eq(gzc_close(created[1]), 0);
    rig_down(&rig);
}

/* A directory is read on where it was, each entry once. */
Test(reconnect_open, directory)
{
    enum { FILES = 30 };
    struct rig rig;
    gzc_dir *dir;
    struct gzc_dirent entry;
    unsigned seen[FILES] = {0}, i, n = 0;
    char name[32];
    int rc;
    rig_up(&rig, NULL, QUICK, 0);
    for (i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        cr_assert_geq(peer_add_file(rig.peer, name), 0);
    }
    cr_assert_eq(gzc_opendir(rig.volume, "/", &dir), 0);
    while ((rc = gzc_readdir(dir, &entry)) == 1) {
        if (sscanf(entry.name, "f%u", &i) == 1 && i < FILES)
            seen[i]++;
        if (++n % 9 == 0) {
            peer_lock(rig.peer);
            peer_restart(rig.peer, true);
            peer_unlock(rig.peer);
        }
    }
    cr_assert_eq(rc, 0);
    for (i = 0; i < FILES; i++)
        cr_assert_eq(seen[i], 1, "f%u: %u times", i, seen[i]);
    cr_assert_eq(gzc_closedir(dir), 0);
    rig_down(&rig);
}

struct refusal {
    uint8_t gfid[16]; /* of the file that cannot be opened */
    int32_t error;    /* 0: it can */
    bool know;        /* the next OPEN is of that file */
};

static bool refuse_open(struct peer_call *call, void *arg)
{
    struct refusal *refusal = arg;
    struct peer_record r = {0};
    if (!peer_is_fop(call, PEER_OPEN))
        return false;
    if (refusal->know)
        memcpy(refusal->gfid, call->gfid, 16);
    refusal->know = false;
    if (!refusal->error || memcmp(refusal->gfid, call->gfid, 16) != 0)
        return false;
    peer_refuse(call, refusal->error, &r);
    peer_send_record(call->conn, &r);
    return true;
}

/* A file that is gone, or not to be had any more: its operations say so, others do not care. Should
 * it be there again, so it is. */
Test(reconnect_open, a_file_that_cannot_be_opened)
{
    static const struct {
        int32_t brick;
        int told;
    } errors[] = {{ENOENT, -ESTALE}, {ESTALE, -ESTALE}, {EACCES, -EACCES}};
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct rig rig;
        struct refusal refusal = {.know = true};
        gzc_file *gone;
        struct stat st;
        char text[512], byte = 0;
        rig_up(&rig, NULL, QUICK, 1000);
        cr_assert_geq(peer_add_file(rig.peer, "gone"), 0);
        rig_hook(&rig, refuse_open, &refusal);
        cr_assert_eq(gzc_open(rig.volume, "gone", O_RDWR, 0, &gone), 0);
        peer_lock(rig.peer);
        refusal.error = errors[i].brick;
        peer_restart(rig.peer, true);
        peer_unlock(rig.peer);
        cr_assert_eq(gzc_pread(gone, &byte, 1, 0), errors[i].told);
        gzc_file_error(gone, text, sizeof(text));
        cr_assert(strstr(text, "READ: brick 127.0.0.1:/export: it was open when the connection "
                               "broke, and cannot be opened again: "),
                  "%s", text);
        cr_assert(strstr(text, strerror(-errors[i].told)), "%s", text);
        cr_assert_eq(gzc_pwrite(gone, &byte, 1, 0), errors[i].told);
        cr_assert_eq(gzc_fstat(gone, &st), errors[i].told);
        cr_assert_eq(gzc_fsync(gone), errors[i].told);
        rig_use(&rig);
        peer_lock(rig.peer);
        refusal.error = 0;
        peer_unlock(rig.peer);
        cr_assert_eq(gzc_pwrite(gone, &byte, 1, 0), 1);
        cr_assert_eq(gzc_fstat(gone, &st), 0);
        cr_assert_eq(gzc_close(gone), 0);
        rig_down(&rig);
    }
}

/* ---- closing --------------------------------------------------------------------------------- */

/* The descriptor went with the connection: there is nothing to be sent, nor waited for. */
Test(reconnect_open, closed_while_it_is_away)
{
    struct rig rig;
    gzc_dir *dir;
    rig_up(&rig, NULL, "?timeout=100&reconnect_timeout=100", 1000);
    cr_assert_eq(gzc_opendir(rig.volume, "/", &dir), 0);
    brick_away(&rig);
    until_connected(&rig, false);
    cr_assert_eq(gzc_close(rig.file), 0);
    cr_assert_eq(gzc_closedir(dir), 0);
    brick_back(&rig);
    until_connected(&rig, true);
    expect_seen(&rig, PEER_FLUSH, 0);
    expect_seen(&rig, PEER_RELEASE, 0);
    expect_seen(&rig, PEER_RELEASEDIR, 0);
    expect_seen(&rig, PEER_OPEN, 1);
    expect_seen(&rig, PEER_OPENDIR, 1);
    rig.file = NULL;
    rig_down(&rig);
}

struct kept_open {
    struct peer_conn *conn;
    struct peer_record reply;
    atomic_uint n;
    bool keep;
};

static bool keep_open_back(struct peer_call *call, void *arg)
{
    struct kept_open *k = arg;
    if (!peer_is_fop(call, PEER_OPEN) || !k->keep)
        return false;
    k->conn = call->conn;
    peer_execute(call, &k->reply);
    atomic_fetch_add(&k->n, 1);
    return true;
}

/* It is being opened again: what nobody wants by then is given back. */
Test(reconnect_open, closed_while_it_is_reopened)
{
    struct rig rig;
    struct kept_open k = {.keep = true};
    struct peer_counts counts;
    struct stat st;
    rig_up(&rig, NULL, QUICK, 1000);
    rig_hook(&rig, keep_open_back, &k);
    peer_lock(rig.peer);
    peer_restart(rig.peer, true);
    peer_unlock(rig.peer);
    drive_until(&rig, &k.n, 1);
    cr_assert_eq(gzc_close(rig.file), 0);
    expect_seen(&rig, PEER_RELEASE, 0);
    peer_lock(rig.peer);
    k.keep = false;
    peer_send_record(k.conn, &k.reply);
    peer_unlock(rig.peer);
    double end = rig_seconds() + PEER_PATIENCE_MS / 1e3;
    do {
        cr_assert_lt(rig_seconds(), end);
        gzc_poll(rig.volume, 0, 1);
        peer_counts(rig.peer, &counts);
    } while (counts.open_fds);
    expect_seen(&rig, PEER_RELEASE, 1);
    expect_seen(&rig, PEER_FLUSH, 0);
    cr_assert_eq(gzc_stat(rig.volume, RIG_FILE, &st), 0);
    rig.file = NULL;
    rig_down(&rig);
}

/* A file whose reopening takes long: its calls wait, with their deadlines; others go on. */
Test(reconnect_open, one_that_takes_long)
{
    struct rig rig;
    struct kept_open k = {.keep = true};
    struct stat st;
    char byte;
    rig_up(&rig, NULL, "?timeout=0.3", 1000);
    rig_hook(&rig, keep_open_back, &k);
    peer_lock(rig.peer);
    peer_restart(rig.peer, true);
    peer_unlock(rig.peer);
    cr_assert_eq(gzc_pread(rig.file, &byte, 1, 0), -ETIMEDOUT);
    cr_assert_eq(gzc_stat(rig.volume, RIG_FILE, &st), 0);
    expect_seen(&rig, PEER_OPEN, 2);
    peer_lock(rig.peer);
    k.keep = false;
    peer_send_record(k.conn, &k.reply);
    peer_unlock(rig.peer);
    rig_use(&rig);
    expect_seen(&rig, PEER_OPEN, 2);
    rig_down(&rig);
}

/* And a volume that goes meanwhile. */
Test(reconnect_open, unmount_while_it_is_reopened)
{
    struct rig rig;
    struct kept_open k = {.keep = true};
    rig_up(&rig, NULL, QUICK, 1000);
    rig_hook(&rig, keep_open_back, &k);
    peer_lock(rig.peer);
    peer_restart(rig.peer, true);
    peer_unlock(rig.peer);
    drive_until(&rig, &k.n, 1);
    cr_assert_eq(gzc_close(rig.file), 0);
    cr_assert_eq(gzc_unmount(rig.volume), 0);
    cr_assert(peer_wait_closed(rig.peer));
    peer_record_free(&k.reply);
    peer_stop(rig.peer);
}
