/* Calls that were under way when the connection broke: which are sent again, which are not. */
#include "tests/wire/reconnect_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MIB   (1 << 20)
#define QUICK "?timeout=30"

/* ---- reads and writes ------------------------------------------------------------------------ */

static void cut_transfer(size_t at, bool reset, bool write)
{
    struct rig rig;
    struct guard g;
    struct cut cut = {.proc = write ? PEER_WRITE : PEER_READ, .times = 1, .at = at, .reset = reset};
    const size_t lengths[] = {1, 40, 0, 23};
    cut_up(&rig, &cut, QUICK, 1000);
    guard_make(&g, lengths, 4);
    if (write) {
        guard_fill(&g, 5000);
        cr_assert_eq(gzc_pwritev(rig.file, g.iov, 4, 100), 64, "cut at %zu", at);
        cr_assert(rig_file_holds(rig.content, 100, 64, 5000), "cut at %zu", at);
    } else {
        rig_expect_read(&rig, &g, 100);
    }
    cr_assert(guard_intact(&g), "cut at %zu: memory around the iovec has changed", at);
    cr_assert_eq(cut.done, 1);
    expect_seen(&rig, cut.proc, 2);
    expect_seen(&rig, PEER_OPEN, 2);
    expect_connections(&rig, 2);
    cr_assert(write || rig_file_stats(&rig).bytes_staged == 0);
    guard_free(&g);
    rig_down(&rig);
}

Test(reconnect_calls, read_cut_at_every_place)
{
    for (size_t at = 0; at < PEER_AT_READ_PAYLOAD + 64; at += at < 40 ? 1 : 9)
        cut_transfer(at, at % 2, false);
    for (size_t at = PEER_AT_READ_PAYLOAD - 2; at < PEER_AT_READ_PAYLOAD + 64; at += 3)
        cut_transfer(at, at % 2, false);
}

Test(reconnect_calls, write_cut_at_every_place)
{
    for (size_t at = 0; at < 28 + 8 + 12 + 2 * 148; at += 11)
        cut_transfer(at, at % 2, true);
}

/* 5 MiB, in calls of 1 MiB, four of them under way: some are answered, some are sent again, the
 * rest for the first time. */
static void cut_large(bool write, unsigned pass, bool before)
{
    struct rig rig;
    struct guard g;
    struct cut cut = {.proc = write ? PEER_WRITE : PEER_READ,
                      .times = 1,
                      .pass = pass,
                      .before = before,
                      .at = write ? 0 : 300000};
    cut_up(&rig, &cut, QUICK, 5 * MIB);
    guard_make_one(&g, 5 * MIB);
    if (write) {
        guard_fill(&g, 3);
        cr_assert_eq(gzc_pwritev(rig.file, g.iov, 1, 0), 5 * MIB);
        cr_assert(rig_file_holds(rig.content, 0, 5 * MIB, 3));
    } else {
        rig_expect_read(&rig, &g, 0);
    }
    cr_assert_eq(cut.done, 1);
    cr_assert_gt(calls_seen(&rig, cut.proc), 5);
    expect_connections(&rig, 2);
    guard_free(&g);
    rig_down(&rig);
}

Test(reconnect_calls, large_transfers)
{
    for (unsigned pass = 0; pass < 5; pass++) {
        cut_large(false, pass, false);
        cut_large(true, pass, pass % 2);
    }
}

/* All were executed, the first is half answered; the memory of each is gone as soon as it has
 * completed. */
Test(reconnect_calls, sixty_four_under_way)
{
    enum { OPS = 64, SIZE = 3000 };
    struct rig rig;
    struct guard g[OPS];
    struct told told[OPS] = {0};
    struct late late = {.cut = 150};
    rig_up(&rig, NULL, QUICK, OPS * 2 * SIZE);
    rig_hook(&rig, late_hook, &late);
    for (unsigned i = 0; i < OPS; i++) {
        bool write = i % 3 == 1;
        guard_make_one(&g[i], SIZE);
        told[i] = (struct told){.memory = &g[i], .offset = i * 2 * SIZE};
        told[i].take = i % 2 ? REVOKE_IT : REUSE_IT;
        if (write)
            guard_fill(&g[i], told[i].offset);
        if (write)
            told_write(&rig, &told[i], 0);
        else
            told_read(&rig, &told[i], 0);
        if (i == 0)
            drive_until(&rig, &late.n, 1);
        late.cut = 0;
    }
    drive_until(&rig, &late.n, OPS);
    for (unsigned i = 0; i < OPS; i++)
        cr_assert_eq(told[i].count, 0);
    rig_hook(&rig, check_write, NULL);
    peer_lock(rig.peer);
    peer_restart(rig.peer, true);
    peer_unlock(rig.peer);
    for (unsigned i = 0; i < OPS; i++) {
        told_expect(&rig, &told[i], SIZE);
        cr_assert_eq(told[i].good, SIZE);
    }
    barrier(&rig, 1);
    expect_connections(&rig, 2);
    for (unsigned i = 0; i < OPS; i++) {
        cr_assert_eq(told[i].count, 1);
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    cr_assert(rig_file_holds(rig.content, 0, OPS * 2 * SIZE, 0));
    late_free(&late);
    rig_down(&rig);
}

/* A write whose reply was lost is still under way: what overlaps it waits, and comes after it. */
Test(reconnect_calls, order_of_overlapping_writes)
{
    struct rig rig;
    struct guard g[2];
    struct told told[2];
    struct cut cut = {.proc = PEER_WRITE, .times = 1};
    cut_up(&rig, &cut, QUICK, 1000);
    for (unsigned i = 0; i < 2; i++) {
        guard_make_one(&g[i], 100);
        guard_fill(&g[i], i * 7777);
        told[i] = (struct told){.memory = &g[i], .take = REVOKE_IT, .offset = 10};
        told_write(&rig, &told[i], 0);
    }
    for (unsigned i = 0; i < 2; i++)
        told_expect(&rig, &told[i], 100);
    expect_seen(&rig, PEER_WRITE, 3);
    cr_assert(rig_file_holds(rig.content, 10, 100, 7777));
    for (unsigned i = 0; i < 2; i++) {
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    rig_down(&rig);
}

/* ---- the table ------------------------------------------------------------------------------- */

static gzc_file *other;
static gzc_dir *dir;

static int all_of(ssize_t n, ssize_t wanted)
{
    return n < 0 ? (int)n : (int)(n - wanted);
}

static int do_read(struct rig *rig)
{
    char c[8];
    return all_of(gzc_pread(rig->file, c, 8, 0), 8);
}

static int do_write(struct rig *rig)
{
    return all_of(gzc_pwrite(rig->file, "12345678", 8, 0), 8);
}

static int do_append(struct rig *rig)
{
    (void)rig;
    return all_of(gzc_pwrite(other, "12345678", 8, 0), 8);
}

static int do_fstat(struct rig *rig)
{
    struct stat st;
    return gzc_fstat(rig->file, &st);
}

static int do_fsync(struct rig *rig)
{
    return gzc_fsync(rig->file);
}

static int do_ftruncate(struct rig *rig)
{
    return gzc_ftruncate(rig->file, 77);
}

static int do_stat(struct rig *rig)
{
    struct stat st;
    return gzc_stat(rig->volume, "link", &st);
}

static int do_open(struct rig *rig)
{
    gzc_file *f;
    int rc = gzc_open(rig->volume, RIG_FILE, O_RDWR | O_TRUNC, 0, &f);
    return rc ? rc : gzc_close(f);
}

static int do_create(struct rig *rig)
{
    gzc_file *f;
    int rc = gzc_open(rig->volume, "made", O_RDWR | O_CREAT, 0644, &f);
    return rc ? rc : gzc_close(f);
}

static int do_create_exclusively(struct rig *rig)
{
    gzc_file *f;
    int rc = gzc_open(rig->volume, "made", O_RDWR | O_CREAT | O_EXCL, 0644, &f);
    return rc ? rc : gzc_close(f);
}

static int do_unlink(struct rig *rig)
{
    return gzc_unlink(rig->volume, "victim");
}

static int do_mkdir(struct rig *rig)
{
    return gzc_mkdir(rig->volume, "made", 0755);
}

static int do_rmdir(struct rig *rig)
{
    return gzc_rmdir(rig->volume, "empty");
}

static int do_opendir(struct rig *rig)
{
    gzc_dir *d;
    int rc = gzc_opendir(rig->volume, "/", &d);
    return rc ? rc : gzc_closedir(d);
}

static int do_readdir(struct rig *rig)
{
    struct gzc_dirent entry;
    (void)rig;
    return all_of(gzc_readdir(dir, &entry), 1);
}

static int do_close(struct rig *rig)
{
    (void)rig;
    int rc = gzc_close(other);
    other = NULL;
    return rc;
}

static int do_closedir(struct rig *rig)
{
    (void)rig;
    int rc = gzc_closedir(dir);
    dir = NULL;
    return rc;
}

/* `seen`: the calls of its kind that a brick sees which executes the first and then goes. */
static const struct row {
    const char *name;
    uint32_t proc;
    int (*run)(struct rig *rig);
    bool twice; /* else it fails, and says so */
    unsigned seen;
} rows[] = {
    {"READ", PEER_READ, do_read, true, 2},
    {"WRITE", PEER_WRITE, do_write, true, 2},
    {"WRITE", PEER_WRITE, do_append, false, 1},
    {"FSTAT", PEER_FSTAT, do_fstat, true, 2},
    {"FSYNC", PEER_FSYNC, do_fsync, true, 2},
    {"FTRUNCATE", PEER_FTRUNCATE, do_ftruncate, true, 2},
    {"LOOKUP", PEER_LOOKUP, do_stat, true, 3},
    {"READLINK", PEER_READLINK, do_stat, true, 2},
    {"OPEN", PEER_OPEN, do_open, true, 4}, /* two are opened again */
    {"CREATE", PEER_CREATE, do_create, true, 1},
    {"CREATE", PEER_CREATE, do_create_exclusively, false, 1},
    {"UNLINK", PEER_UNLINK, do_unlink, false, 1},
    {"MKDIR", PEER_MKDIR, do_mkdir, false, 1},
    {"RMDIR", PEER_RMDIR, do_rmdir, false, 1},
    {"OPENDIR", PEER_OPENDIR, do_opendir, true, 3},
    {"READDIRP", PEER_READDIRP, do_readdir, true, 2},
    {"FLUSH", PEER_FLUSH, do_close, true, 1},
    {"RELEASE", PEER_RELEASE, do_close, true, 1},
    {"RELEASEDIR", PEER_RELEASEDIR, do_closedir, true, 1},
};

static void rig_with_all(struct rig *rig, const char *query)
{
    rig_up(rig, NULL, query, 1000);
    peer_add_link(rig->peer, "link", RIG_FILE);
    peer_add_dir(rig->peer, "empty");
    cr_assert_geq(peer_add_file(rig->peer, "victim"), 0);
    cr_assert_eq(gzc_open(rig->volume, RIG_FILE, O_WRONLY | O_APPEND, 0, &other), 0);
    cr_assert_eq(gzc_opendir(rig->volume, "/", &dir), 0);
}

static void close_all(struct rig *rig)
{
    gzc_close(other);
    gzc_closedir(dir);
    rig_down(rig);
}

static void expect_unknown(struct rig *rig, const struct row *row, int rc)
{
    char text[512];
    cr_assert_eq(rc, -ENOTCONN, "%s: %d", row->name, rc);
    if (row->proc == PEER_WRITE)
        gzc_file_error(other, text, sizeof(text));
    else
        gzc_error(rig->volume, text, sizeof(text));
    cr_assert(strstr(text, row->name) && strstr(text, "whether it was done is not known") &&
                  strstr(text, "127.0.0.1:/export"),
              "%s: '%s'", row->name, text);
}

/* The brick executes the call, and goes before it answers. */
Test(reconnect_calls, by_the_table)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *row = &rows[i];
        struct rig rig;
        struct cut cut = {.proc = row->proc, .times = 1, .reset = i % 2};
        rig_with_all(&rig, QUICK);
        unsigned before = calls_seen(&rig, row->proc);
        rig_hook(&rig, cut_hook, &cut);
        int rc = row->run(&rig);
        cr_assert_eq(cut.done, 1, "%s: not called", row->name);
        if (row->twice)
            cr_assert_eq(rc, 0, "%s: %d", row->name, rc);
        else
            expect_unknown(&rig, row, rc);
        unsigned seen = calls_seen(&rig, row->proc) - before;
        cr_assert_eq(seen, row->seen, "%s: %u instead of %u", row->name, seen, row->seen);
        struct stat st;
        cr_assert_eq(gzc_fstat(rig.file, &st), 0, "after %s", row->name); /* it goes on */
        close_all(&rig);
    }
}

/* As before there was any of this: each fails. */
Test(reconnect_calls, none_if_so_asked)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *row = &rows[i];
        struct rig rig;
        struct cut cut = {.proc = row->proc, .times = 1};
        struct stat st;
        rig_with_all(&rig, "?timeout=30&reconnect_timeout=0");
        unsigned before = calls_seen(&rig, row->proc);
        rig_hook(&rig, cut_hook, &cut);
        int rc = row->run(&rig);
        bool told = row->proc != PEER_RELEASE; /* closing a file gives what FLUSH has given */
        cr_assert_eq(rc, told ? -ENOTCONN : 0, "%s: %d", row->name, rc);
        cr_assert_eq(calls_seen(&rig, row->proc) - before, 1, "%s", row->name);
        cr_assert_eq(gzc_fstat(rig.file, &st), -ENOTCONN);
        expect_connections(&rig, 1);
        close_all(&rig);
    }
}

/* What had not gone out when the connection broke was not executed: it goes, whatever it is. */
Test(reconnect_calls, what_was_not_sent)
{
    struct rig rig;
    struct guard g;
    struct told large = {.memory = &g, .take = REVOKE_IT}, made = {0};
    rig_up(&rig, &small_sockets, QUICK, 0);
    guard_make_one(&g, 3 * MIB);
    guard_fill(&g, 0);
    stop_reading(&rig);
    told_write(&rig, &large, 0);
    const struct gzc_async how = told_how(&made, 0);
    cr_assert_gt(gzc_mkdir_async(rig.volume, "made", 0755, &how), 0);
    take_some(&rig, 100 << 10);
    cr_assert_gt(unsent(&rig), 0);
    expect_seen(&rig, PEER_MKDIR, 0);
    peer_lock(rig.peer);
    peer_restart(rig.peer, true);
    peer_unlock(rig.peer);
    told_expect(&rig, &made, 0);
    told_expect(&rig, &large, 3 * MIB);
    expect_seen(&rig, PEER_MKDIR, 1);
    cr_assert(rig_file_holds(rig.content, 0, 3 * MIB, 0));
    told_memory(&large);
    guard_free(&g);
    rig_down(&rig);
}

/* ---- no end of it ---------------------------------------------------------------------------- */

/* A call that the brick dies of each time is not sent for ever. */
Test(reconnect_calls, a_call_that_kills)
{
    struct rig rig;
    struct guard g;
    struct cut cut = {.proc = PEER_READ, .times = 1000, .before = true};
    cut_up(&rig, &cut, "?timeout=100", 1000);
    guard_make_one(&g, 64);
    guard_clear(&g);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -ENOTCONN);
    rig_expect_text(&rig, "READ", "each of 8 times");
    expect_seen(&rig, PEER_READ, 8);
    cr_assert(guard_intact(&g) && guard_untouched(&g, 0));
    rig_hook(&rig, NULL, NULL);
    rig_expect_read(&rig, &g, 100);
    guard_free(&g);
    rig_down(&rig);
}

static bool too_long(struct peer_call *call, void *arg)
{
    unsigned *times = arg;
    struct peer_record r = {0};
    if (!peer_is_fop(call, PEER_READ) || !*times)
        return false;
    --*times;
    peer_execute(call, &r);
    peer_poke(&r, PEER_AT_OP_RET, call->size + 1);
    peer_send_record(call->conn, &r);
    return true;
}

/* Nor is one sent again that the brick has answered with what breaks the protocol; others go on. */
Test(reconnect_calls, a_reply_that_breaks_the_protocol)
{
    struct rig rig;
    struct guard g;
    unsigned times = 1;
    rig_up(&rig, NULL, QUICK, 1000);
    rig_hook(&rig, too_long, &times);
    guard_make_one(&g, 64);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -EPROTO);
    expect_seen(&rig, PEER_READ, 1);
    rig_expect_read(&rig, &g, 100);
    expect_connections(&rig, 2);
    guard_free(&g);
    rig_down(&rig);
}
