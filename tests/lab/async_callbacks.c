/* What callbacks may do and may not, and closing and unmounting while operations are under way. */
#include "tests/lab/async.h"
#include "tests/lab/lab.h"

#include <pthread.h>
#include <sched.h>

static gzc_volume *v;
static gzc_file *f;
static unsigned char data[1 << 20];

static void setup(void)
{
    v = mount_brick("");
    f = open_file(v, own_path("callbacks"), O_CREAT | O_RDWR);
    pattern_fill(data, sizeof(data), 0);
    cr_assert_eq(gzc_pwrite(f, data, sizeof(data), 0), sizeof(data));
}

/* Tests that unmount themselves leave NULL behind. */
static void teardown(void)
{
    if (f)
        cr_assert_eq(gzc_close(f), 0);
    if (v)
        cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(async_callbacks, .init = setup, .fini = teardown, .timeout = 60);

/* ---- blocking calls in a callback ------------------------------------------------------------ */

struct refused {
    int rc[32];
    unsigned n;
    gzc_file *file;
    gzc_dir *dir, *fresh;
    gzc_volume *other;
    int elsewhere; /* a blocking call on another volume */
};

static void call_blocking(struct outcome *o)
{
    struct refused *r = o->arg;
    char c = 'x';
    struct iovec iov = {&c, 1};
    struct stat st;
    struct gzc_dirent entry;
    uint64_t ns;
    const int rc[] = {
        gzc_poll(v, 0, 0),
        gzc_open(v, own_path("callbacks"), O_RDWR, 0, &r->file),
        gzc_create(v, "/never", 0644, &r->file),
        gzc_stat(v, "/", &st),
        gzc_lstat(v, "/", &st),
        gzc_unlink(v, "/never"),
        gzc_mkdir(v, "/never", 0755),
        gzc_rmdir(v, "/never"),
        gzc_opendir(v, "/", &r->dir),
        gzc_readdir(r->fresh, &entry),
        gzc_closedir(r->fresh),
        (int)gzc_pread(f, &c, 1, 0),
        (int)gzc_preadv(f, &iov, 1, 0),
        (int)gzc_pwrite(f, &c, 1, 0),
        (int)gzc_pwritev(f, &iov, 1, 0),
        gzc_fsync(f),
        gzc_fdatasync(f),
        gzc_ftruncate(f, 0),
        gzc_fstat(f, &st),
        gzc_close(f),
        gzc_ping(v, 0, &ns),
        gzc_thread_stop(v),
    };
    r->n = sizeof(rc) / sizeof(*rc);
    memcpy(r->rc, rc, sizeof(rc));
    r->elsewhere = gzc_stat(r->other, "/", &st);
}

/* They are refused, and nothing is lost by trying. */
Test(async_callbacks, blocking_calls_are_refused)
{
    struct refused r = {.file = (gzc_file *)&r, .dir = (gzc_dir *)&r, .elsewhere = 1};
    struct outcome o = {.then = call_blocking, .arg = &r};
    struct gzc_dirent entry;
    struct stat st;
    unsigned char c;
    r.other = mount_brick("");
    cr_assert_eq(gzc_opendir(v, "/", &r.fresh), 0);
    cr_assert_gt(gzc_fstat_async(f, &st, HOW(&o)), 0);
    outcome_expect(v, &o, 0);
    for (unsigned i = 0; i < r.n; i++)
        cr_assert_eq(r.rc[i], -EDEADLK, "number %u gave %d", i, r.rc[i]);
    cr_assert_not_null(strstr(volume_text(v), "callback"), "%s", volume_text(v));
    cr_assert_eq(r.elsewhere, 0, "on another volume: %d", r.elsewhere);
    cr_assert_null(r.file);
    cr_assert_null(r.dir);
    cr_assert_eq(gzc_stat(v, "/never", &st), -ENOENT);
    cr_assert_eq(gzc_fstat(f, &st), 0);
    cr_assert_eq(st.st_size, sizeof(data));
    cr_assert_eq(gzc_pread(f, &c, 1, 77), 1);
    cr_assert_eq(c, data[77]);
    cr_assert_eq(gzc_readdir(r.fresh, &entry), 1);
    cr_assert_eq(gzc_closedir(r.fresh), 0);
    cr_assert_eq(gzc_unmount(r.other), 0);
}

/* ---- closing --------------------------------------------------------------------------------- */

enum { READS = 40 };

static struct outcome reads[READS], closed;
static unsigned char into[READS][30000];
static atomic_uint ended;

static void count_end(struct outcome *o)
{
    (void)o;
    atomic_fetch_add(&ended, 1);
}

static void begin_reads(gzc_file *file)
{
    for (unsigned i = 0; i < READS; i++) {
        reads[i] = (struct outcome){.then = count_end};
        cr_assert_gt(
            gzc_pread_async(file, into[i], sizeof(into[i]), (off_t)i * 20000, HOW(&reads[i])), 0);
    }
}

static void expect_reads(void)
{
    for (unsigned i = 0; i < READS; i++) {
        cr_assert_eq(reads[i].count, 1);
        cr_assert_eq(reads[i].result, sizeof(into[i]), "%zd %s", reads[i].result, reads[i].error);
        cr_assert_eq(pattern_check(into[i], sizeof(into[i]), i * 20000), sizeof(into[i]));
    }
}

static unsigned ended_at_close;

static void note_close(struct outcome *o)
{
    (void)o;
    ended_at_close = ended;
}

Test(async_callbacks, close_while_reads_are_under_way)
{
    begin_reads(f);
    closed = (struct outcome){.then = note_close};
    cr_assert_gt(gzc_close_async(f, HOW(&closed)), 0);
    f = NULL;
    outcome_expect(v, &closed, 0);
    cr_assert_eq(ended_at_close, READS, "closed after %u of them", ended_at_close);
    expect_reads();
}

Test(async_callbacks, blocking_close_while_reads_are_under_way)
{
    begin_reads(f);
    cr_assert_eq(gzc_close(f), 0);
    f = NULL;
    while (ended < READS) /* those that ended with it may still be to be told */
        cr_assert_gt(gzc_poll(v, 0, 0), 0);
    expect_reads();
}

static gzc_ticket close_ticket;

static void close_there(struct outcome *o)
{
    count_end(o);
    if (o == &reads[3])
        close_ticket = gzc_close_async(f, HOW(&closed));
}

Test(async_callbacks, close_in_a_callback)
{
    closed = (struct outcome){.then = note_close};
    begin_reads(f);
    reads[3].then = close_there;
    while (!reads[3].count)
        gzc_poll(v, 0, 1000);
    cr_assert_gt(close_ticket, 0);
    f = NULL;
    outcome_expect(v, &closed, 0);
    cr_assert_eq(ended_at_close, READS);
    expect_reads();
}

static struct outcome opened, written, read_back, listed, dir_closed;
static gzc_file *made;
static gzc_dir *list;
static struct gzc_dirent entry;
static char back[16];
static unsigned entries;

/* A chain: each callback begins the next operation. */
static void next_link(struct outcome *o)
{
    if (o->result < 0)
        return;
    if (o == &opened)
        gzc_pwrite_async(made, "chained", 8, 100, HOW(&written));
    else if (o == &written)
        gzc_pread_async(made, back, 8, 100, HOW(&read_back));
    else if (o == &read_back)
        gzc_close_async(made, HOW(&closed));
    else if (o == &closed)
        gzc_opendir_async(v, "/", &list, HOW(&listed));
    else if (o == &listed && list && o->result <= 1) {
        entries += o->result == 1;
        atomic_store(&o->count, 0);
        if (o->result == 1 || entries == 0)
            gzc_readdir_async(list, &entry, HOW(o));
        else
            gzc_closedir_async(list, HOW(&dir_closed));
    }
}

Test(async_callbacks, a_chain)
{
    char path[160];
    snprintf(path, sizeof(path), "%s-chain", own_path("callbacks"));
    opened.then = written.then = read_back.then = closed.then = listed.then = next_link;
    cr_assert_gt(gzc_open_async(v, path, O_CREAT | O_RDWR, 0644, &made, HOW(&opened)), 0);
    outcome_expect(v, &dir_closed, 0);
    cr_assert_str_eq(back, "chained");
    cr_assert_geq(entries, 4); /* two dots, this test's files */
    cr_assert_eq(gzc_unlink(v, path), 0);
}

/* ---- unmounting ------------------------------------------------------------------------------ */

enum { STATS = 30 };

static struct outcome stats[STATS], after[STATS];
static struct stat sts[STATS], sts_after[STATS];
static gzc_ticket refused_ticket;

static void begin_stats(gzc_volume *volume, void (*then)(struct outcome *))
{
    ended = 0;
    for (unsigned i = 0; i < STATS; i++) {
        stats[i] = (struct outcome){.then = then};
        cr_assert_gt(
            gzc_stat_async(volume, i % 3 ? "/" : own_path("callbacks"), &sts[i], HOW(&stats[i])),
            0);
    }
}

static void expect_stats(void)
{
    for (unsigned i = 0; i < STATS; i++) {
        cr_assert_eq(stats[i].count, 1, "number %u completed %u times", i, stats[i].count);
        cr_assert(stats[i].result == 0 || stats[i].error[0] != '\0');
    }
}

/* Also what callbacks try to begin when the volume goes. */
static void begin_another(struct outcome *o)
{
    size_t i = (size_t)(o - stats);
    gzc_ticket t = gzc_stat_async(v, "/", &sts_after[i], HOW(&after[i]));
    if (t <= 0)
        refused_ticket = t;
    after[i].arg = t > 0 ? &after[i] : NULL;
}

Test(async_callbacks, unmount_with_operations_under_way)
{
    cr_assert_eq(gzc_close(f), 0);
    f = NULL;
    begin_stats(v, begin_another);
    cr_assert_eq(gzc_unmount(v), 0);
    v = NULL;
    expect_stats();
    for (unsigned i = 0; i < STATS; i++)
        cr_assert_eq(after[i].count, after[i].arg != NULL);
    cr_assert(refused_ticket == 0 || refused_ticket == -ENOTCONN);
}

Test(async_callbacks, unmount_with_handles_being_closed)
{
    gzc_dir *d;
    cr_assert_eq(gzc_opendir(v, "/", &d), 0);
    struct outcome c = {0};
    begin_reads(f);
    cr_assert_gt(gzc_closedir_async(d, HOW(&c)), 0);
    cr_assert_gt(gzc_close_async(f, HOW(&closed)), 0);
    f = NULL;
    cr_assert_eq(gzc_unmount(v), 0);
    v = NULL;
    cr_assert_eq(closed.count, 1);
    cr_assert_eq(c.count, 1);
    for (unsigned i = 0; i < READS; i++)
        cr_assert_eq(reads[i].count, 1);
}

static struct outcome *unmounter = &stats[STATS / 2];
static atomic_int unmounted = 1;
static atomic_bool may_unmount; /* no other thread uses the volume any more */

static void unmount_there(struct outcome *o)
{
    while (!may_unmount)
        sched_yield();
    if (o == unmounter)
        unmounted = gzc_unmount(v);
    atomic_fetch_add(&ended, 1);
}

Test(async_callbacks, unmount_in_a_callback)
{
    cr_assert_eq(gzc_close(f), 0);
    f = NULL;
    begin_stats(v, unmount_there);
    may_unmount = true;
    unsigned ran = 0;
    while (unmounted == 1)
        ran += (unsigned)gzc_poll(v, 0, 1000);
    cr_assert_eq(unmounted, 0);
    cr_assert_leq(ran, STATS);
    v = NULL;
    expect_stats();
}

/* Of several completions at once the first unmounts: the others are told all the same. */
Test(async_callbacks, unmount_in_the_first_of_several_callbacks)
{
    struct outcome o[50] = {0};
    char c;
    unmounter = &o[0];
    o[0].then = unmount_there;
    for (unsigned i = 0; i < 50; i++)
        cr_assert_gt(gzc_pread_async(f, &c, 0, 0, HOW(&o[i])), 0);
    cr_assert_gt(gzc_close_async(f, HOW(&closed)), 0);
    f = NULL;
    begin_stats(v, unmount_there);
    may_unmount = true;
    while (unmounted == 1)
        gzc_poll(v, 1, 1000);
    cr_assert_eq(unmounted, 0);
    v = NULL;
    for (unsigned i = 0; i < 50; i++)
        cr_assert_eq(o[i].count, 1);
    cr_assert_eq(closed.count, 1);
    expect_stats();
}

static atomic_int thread_id;

static void unmount_in_the_thread(struct outcome *o)
{
    atomic_store(&thread_id, gettid());
    unmount_there(o);
}

static bool thread_is_there(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d", atomic_load(&thread_id));
    return access(path, F_OK) == 0;
}

Test(async_callbacks, unmount_in_a_callback_of_the_volumes_thread)
{
    cr_assert_eq(gzc_close(f), 0);
    f = NULL;
    cr_assert_eq(gzc_thread_start(v), 0);
    begin_stats(v, unmount_in_the_thread);
    may_unmount = true;
    double end = seconds() + PATIENCE;
    while (ended < STATS || thread_is_there()) {
        cr_assert_lt(seconds(), end, "%u of %u", ended, STATS);
        sched_yield();
    }
    v = NULL;
    cr_assert_eq(unmounted, 0);
    expect_stats();
}

static void unmount_and_note(struct outcome *o)
{
    *(int *)o->arg = gzc_unmount(v);
}

/* Refused, with nothing done: from anywhere while a handle is open, and from a callback that runs
 * in a blocking call. */
Test(async_callbacks, unmount_is_refused)
{
    struct stat st;
    int there = 1;
    struct outcome o = {.then = unmount_and_note, .arg = &there};
    cr_assert_eq(gzc_unmount(v), -EBUSY);
    cr_assert_not_null(strstr(volume_text(v), "open"), "%s", volume_text(v));
    cr_assert_gt(gzc_fstat_async(f, &st, HOW(&o)), 0);
    outcome_expect(v, &o, 0);
    cr_assert_eq(there, -EBUSY);
    cr_assert_eq(gzc_fstat(f, &st), 0);
    cr_assert_eq(gzc_close(f), 0);
    f = NULL;
    gzc_dir *d;
    cr_assert_eq(gzc_opendir(v, "/", &d), 0);
    cr_assert_eq(gzc_unmount(v), -EBUSY);
    cr_assert_eq(gzc_closedir(d), 0);
    there = 1;
    o.count = 0;
    cr_assert_gt(gzc_stat_async(v, "/", &st, HOW(&o)), 0);
    while (!o.count)
        cr_assert_eq(gzc_stat(v, "/", &st), 0); /* in one of these it runs */
    cr_assert_eq(there, -EBUSY);
}
