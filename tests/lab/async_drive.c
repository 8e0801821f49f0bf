/* Driving a volume: gzc_poll(), gzc_send() and GZC_MORE, gzc_fd(), gzc_thread_start(). */
#include "tests/lab/async.h"
#include "tests/lab/lab.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

static gzc_volume *v;
static gzc_file *f;

static void setup(void)
{
    v = mount_brick("");
    f = open_file(v, own_path("drive"), O_CREAT | O_RDWR);
}

static void teardown(void)
{
    gzc_close(f);
    gzc_unlink(v, own_path("drive"));
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(async_drive, .init = setup, .fini = teardown, .timeout = 60);

/* Of no bytes: it is over when it has begun, but for telling. */
static void begin_nothing(struct outcome *o)
{
    char c;
    cr_assert_gt(gzc_pread_async(f, &c, 0, 0, HOW(o)), 0);
}

/* ---- gzc_poll -------------------------------------------------------------------------------- */

Test(async_drive, poll_runs_no_more_than_asked_for)
{
    struct outcome o[100] = {0};
    for (int i = 0; i < 100; i++)
        begin_nothing(&o[i]);
    cr_assert_eq(gzc_poll(v, 3, 0), 3);
    cr_assert_eq(o[2].count, 1);
    cr_assert_eq(o[3].count, 0);
    cr_assert_eq(gzc_poll(v, 1, -1), 1);
    cr_assert_eq(gzc_poll(v, 0, 0), 96);
    cr_assert_eq(gzc_poll(v, 0, 0), 0);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(o[i].count, 1);
}

Test(async_drive, poll_waits_as_long_as_asked_for)
{
    double start = seconds();
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(gzc_poll(v, 0, 0), 0);
    cr_assert_lt(seconds() - start, 1);
    start = seconds();
    cr_assert_eq(gzc_poll(v, 0, 60), 0);
    cr_assert_geq(seconds() - start, 0.055);
    cr_assert_lt(seconds() - start, 2);
    struct outcome o = {0};
    struct stat st;
    gzc_fstat_async(f, &st, HOW(&o));
    cr_assert_eq(gzc_poll(v, 0, -1), 1);
    cr_assert_eq(o.count, 1);
}

static void *poll_a_while(void *arg)
{
    *(int *)arg = gzc_poll(v, 0, 200);
    return NULL;
}

/* Another thread leads for as long: the time is over for both. */
Test(async_drive, poll_beside_another)
{
    pthread_t thread;
    int there = -1;
    double start = seconds();
    cr_assert_eq(pthread_create(&thread, NULL, poll_a_while, &there), 0);
    cr_assert_eq(gzc_poll(v, 0, 60), 0);
    cr_assert_geq(seconds() - start, 0.055);
    cr_assert_lt(seconds() - start, 2);
    pthread_join(thread, NULL);
    cr_assert_eq(there, 0);
}

/* ---- sending --------------------------------------------------------------------------------- */

static uint64_t sends(void)
{
    struct gzc_stats s;
    gzc_volume_stats(v, &s, sizeof(s));
    return s.send_syscalls;
}

enum { MANY = 16 };

static struct outcome many[MANY];
static char bytes[MANY][512];

/* The last of them without GZC_MORE, if `all`. */
static void begin_many(bool all)
{
    memset(many, 0, sizeof(many));
    for (unsigned i = 0; i < MANY; i++) {
        unsigned more = all && i == MANY - 1 ? 0 : GZC_MORE;
        cr_assert_gt(
            gzc_pwrite_async(f, bytes[i], sizeof(bytes[i]), 1024 * i, HOW(&many[i], .flags = more)),
            0);
    }
}

static void wait_many(void)
{
    for (unsigned i = 0; i < MANY; i++)
        outcome_expect(v, &many[i], sizeof(bytes[i]));
}

Test(async_drive, more_sends_together)
{
    uint64_t before = sends();
    begin_many(true);
    cr_assert_eq(sends() - before, 1);
    wait_many();
    cr_assert_eq(sends() - before, 1);
}

Test(async_drive, send_sends_what_waits)
{
    uint64_t before = sends();
    begin_many(false);
    cr_assert_eq(sends(), before, "it was sent at once");
    gzc_send(v);
    cr_assert_eq(sends() - before, 1);
    gzc_send(v);
    cr_assert_eq(sends() - before, 1);
    wait_many();
    cr_assert_eq(sends() - before, 1);
}

Test(async_drive, poll_sends_what_waits)
{
    uint64_t before = sends();
    begin_many(false);
    gzc_poll(v, 0, 0);
    cr_assert_eq(sends() - before, 1);
    wait_many();
}

Test(async_drive, a_blocking_call_sends_what_waits)
{
    struct stat st;
    uint64_t before = sends();
    begin_many(false);
    cr_assert_eq(gzc_fstat(f, &st), 0);
    cr_assert_eq(sends() - before, 1);
    wait_many();
}

static struct stat stats[MANY];
static struct outcome stated[MANY];

static void begin_stat(struct outcome *o)
{
    size_t i = (size_t)(o - many);
    gzc_fstat_async(f, &stats[i], HOW(&stated[i]));
}

/* What callbacks begin goes out when all of them have run. */
Test(async_drive, what_callbacks_begin_is_sent_together)
{
    memset(many, 0, sizeof(many));
    memset(stated, 0, sizeof(stated));
    for (unsigned i = 0; i < MANY; i++) {
        many[i].then = begin_stat;
        begin_nothing(&many[i]);
    }
    uint64_t before = sends();
    cr_assert_eq(gzc_poll(v, 0, 0), MANY);
    cr_assert_eq(sends() - before, 1);
    for (unsigned i = 0; i < MANY; i++)
        outcome_expect(v, &stated[i], 0);
}

/* ---- gzc_fd ---------------------------------------------------------------------------------- */

static bool readable(int ms)
{
    struct pollfd p = {gzc_fd(v), POLLIN, 0};
    return poll(&p, 1, ms) == 1;
}

/* Polls until the descriptor says that there is nothing to do. */
static void exhaust(void)
{
    double end = seconds() + PATIENCE;
    while (readable(0)) {
        cr_assert_lt(seconds(), end, "readable for ever");
        gzc_poll(v, 0, 0);
    }
}

Test(async_drive, fd_tells_what_there_is_to_do)
{
    struct outcome o[3] = {0}, last = {0};
    struct stat st;
    exhaust();
    cr_assert_not(readable(50), "with nothing to do");
    for (int i = 0; i < 3; i++)
        begin_nothing(&o[i]);
    cr_assert(readable(0));
    cr_assert_eq(gzc_poll(v, 1, 0), 1);
    cr_assert(readable(0), "two are left");
    cr_assert_eq(gzc_poll(v, 2, 0), 2);
    exhaust();
    cr_assert_gt(gzc_fstat_async(f, &st, HOW(&last)), 0);
    cr_assert(readable(PATIENCE * 1000));
    outcome_expect(v, &last, 0);
    exhaust();
    cr_assert_eq(gzc_fstat(f, &st), 0); /* nobody needs to be told of that */
    exhaust();
    cr_assert_not(readable(50));
}

/* The descriptor that is had when something is left to do already knows of it. */
Test(async_drive, fd_had_late)
{
    struct outcome o = {0};
    begin_nothing(&o);
    cr_assert(readable(0));
    outcome_wait(v, &o);
}

static void *wait_readable(void *arg)
{
    *(bool *)arg = readable(PATIENCE * 1000);
    return NULL;
}

static void *begin_nothing_there(void *arg)
{
    begin_nothing(arg);
    return NULL;
}

/* It becomes readable while another thread polls it already: something was begun, something was
 * cancelled. */
Test(async_drive, fd_wakes_a_poll)
{
    pthread_t thread;
    bool woken = false;
    struct outcome o = {0};
    exhaust();
    cr_assert_eq(pthread_create(&thread, NULL, begin_nothing_there, &o), 0);
    cr_assert(readable(PATIENCE * 1000));
    pthread_join(thread, NULL);
    outcome_wait(v, &o);
    exhaust();
    o.count = 0;
    cr_assert_eq(pthread_create(&thread, NULL, wait_readable, &woken), 0);
    begin_nothing(&o);
    pthread_join(thread, NULL);
    cr_assert(woken);
    outcome_wait(v, &o);
}

/* ---- a brick that does not answer ------------------------------------------------------------ */

static struct lab_brick brick;
static gzc_volume *deaf;
static gzc_file *on_deaf;

static void deaf_up(const char *options)
{
    char uri[8192];
    cr_assert_eq(lab_brick_start(&brick, NULL), 0);
    snprintf(uri, sizeof(uri), "%s%s", brick.uri, options);
    cr_assert_eq(gzc_mount(uri, &deaf), 0, "%s", volume_text(deaf));
    on_deaf = open_file(deaf, "/f", O_CREAT | O_RDWR);
    lab_brick_signal(&brick, SIGSTOP);
}

static void deaf_down(void)
{
    lab_brick_signal(&brick, SIGCONT);
    cr_assert_eq(gzc_close(on_deaf), 0);
    cr_assert_eq(gzc_unmount(deaf), 0);
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

/* Deadlines make it readable, when they come, and no more often than that. */
Test(async_drive, fd_tells_of_deadlines)
{
    static const unsigned ms[] = {40, 160, 90, 260};
    struct outcome o[4] = {0};
    struct stat st[4];
    unsigned rounds = 0;
    deaf_up("?ping_timeout=0");
    struct pollfd p = {gzc_fd(deaf), POLLIN, 0};
    double start = seconds();
    for (unsigned i = 0; i < 4; i++)
        cr_assert_gt(gzc_fstat_async(on_deaf, &st[i], HOW(&o[i], .timeout_ns = ms[i] * 1000000u)),
                     0);
    for (; !(o[0].count && o[1].count && o[2].count && o[3].count); rounds++) {
        cr_assert_eq(poll(&p, 1, PATIENCE * 1000), 1, "not readable");
        gzc_poll(deaf, 0, 0);
        double now = seconds() - start;
        for (unsigned i = 0; i < 4; i++)
            cr_assert_eq(o[i].count, now < ms[i] / 1e3 - 0.011 ? 0 : o[i].count, "%u ms: %g", ms[i],
                         now);
    }
    cr_assert_lt(seconds() - start, 2);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(o[i].count, 1);
        cr_assert_eq(o[i].result, -ETIMEDOUT);
    }
    cr_assert_leq(rounds, 40, "%u rounds for four deadlines", rounds);
    deaf_down();
}

/* A cancel makes it readable. */
Test(async_drive, fd_tells_of_a_cancel)
{
    struct outcome o = {0};
    struct stat st;
    deaf_up("");
    struct pollfd p = {gzc_fd(deaf), POLLIN, 0};
    gzc_ticket t = gzc_fstat_async(on_deaf, &st, HOW(&o));
    for (unsigned n = 0; poll(&p, 1, 0) == 1; n++) {
        cr_assert_lt(n, 20, "readable, with nothing to do");
        gzc_poll(deaf, 0, 0);
    }
    cr_assert_eq(gzc_cancel(deaf, t), 0);
    cr_assert_eq(poll(&p, 1, 0), 1);
    cr_assert_eq(gzc_poll(deaf, 0, 0), 1);
    cr_assert_eq(o.result, -ECANCELED);
    deaf_down();
}

static void *poll_deaf(void *arg)
{
    *(int *)arg = gzc_poll(deaf, 0, -1);
    return NULL;
}

/* A thread that waits in gzc_poll(-1) is woken by a cancel, and by what is begun meanwhile. */
Test(async_drive, a_cancel_wakes_the_thread_that_polls)
{
    pthread_t thread;
    int ran = -1;
    struct outcome o = {0};
    struct stat st;
    deaf_up("?busy_poll_us=0");
    gzc_ticket t = gzc_fstat_async(on_deaf, &st, HOW(&o));
    cr_assert_eq(pthread_create(&thread, NULL, poll_deaf, &ran), 0);
    cr_assert_eq(gzc_cancel(deaf, t), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(ran, 1);
    cr_assert_eq(o.result, -ECANCELED);
    deaf_down();
}

/* ---- the volume's own thread ----------------------------------------------------------------- */

struct seen {
    pthread_t self;
    sigset_t blocked;
    int stop;
};

static void look_around(struct outcome *o)
{
    struct seen *seen = o->arg;
    seen->self = pthread_self();
    seen->stop = gzc_thread_stop(v);
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
}

Test(async_drive, thread)
{
    struct seen seen = {0};
    struct stat st;
    cr_assert_eq(gzc_thread_stop(v), -ESRCH);
    for (int i = 0; i < 20; i++) {
        struct outcome o = {.then = look_around, .arg = &seen};
        cr_assert_eq(gzc_thread_start(v), 0);
        cr_assert_eq(gzc_thread_start(v), -EALREADY);
        cr_assert_gt(gzc_fstat_async(f, &st, HOW(&o)), 0);
        double end = seconds() + PATIENCE;
        while (!atomic_load(&o.count) && seconds() < end)
            sched_yield();
        cr_assert_eq(gzc_thread_stop(v), 0); /* waits for the callback to return */
        cr_assert_eq(o.count, 1);
        cr_assert_eq(o.result, 0);
        cr_assert_not(pthread_equal(seen.self, pthread_self()));
        cr_assert_eq(seen.stop, -EDEADLK);
        cr_assert(sigismember(&seen.blocked, SIGINT) && sigismember(&seen.blocked, SIGTERM) &&
                  sigismember(&seen.blocked, SIGALRM));
        cr_assert_eq(gzc_thread_stop(v), -ESRCH);
    }
    sigset_t here;
    pthread_sigmask(SIG_SETMASK, NULL, &here);
    cr_assert_not(sigismember(&here, SIGTERM));
}

/* Unmounting ends it. */
Test(async_drive, unmount_ends_the_thread)
{
    gzc_volume *other = mount_brick("");
    cr_assert_eq(gzc_thread_start(other), 0);
    cr_assert_eq(gzc_unmount(other), 0);
}

/* -EBUSY: nothing has been done, so the thread is still there. */
Test(async_drive, an_unmount_that_fails_leaves_the_thread)
{
    struct outcome o = {0};
    struct stat st;
    cr_assert_eq(gzc_thread_start(v), 0);
    cr_assert_eq(gzc_unmount(v), -EBUSY); /* the file is open */
    cr_assert_gt(gzc_fstat_async(f, &st, HOW(&o)), 0);
    cr_assert_eq(gzc_thread_stop(v), 0, "the thread is gone");
    outcome_wait(v, &o);
}
