/* A workload of reads and writes at a depth of 64, kept up by its own callbacks, whoever drives the
 * volume: one thread, several, the volume's own, blocking calls, an event loop. */
#include "tests/lab/async.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>

#define PLACES 32 /* each has a write and a read of the same bytes under way */
#define ROUNDS 16 /* of each: 1024 operations in all */
#define AREA   (3 << 20)

struct place {
    struct outcome write, read;
    unsigned number, round, seed;
    size_t n, skip, length; /* of the write; of the read in it */
    off_t at;
    unsigned char *out, *in;
};

static gzc_volume *v;
static gzc_file *f;
static struct place places[PLACES];
static atomic_uint over, wrong, inside;
static atomic_bool only_one; /* callbacks run in this thread alone */
static pthread_t driver;

static void place_begin(struct place *p)
{
    bool large = rand_r(&p->seed) % 24 == 0;
    p->n = 1 + (unsigned)rand_r(&p->seed) % (large ? AREA / 2 : 16384);
    p->at = (off_t)p->number * AREA + rand_r(&p->seed) % (AREA / 2);
    p->skip = (unsigned)rand_r(&p->seed) % p->n;
    p->length = 1 + (unsigned)rand_r(&p->seed) % (p->n - p->skip);
    memset(p->in, 0, p->length);
    pattern_fill(p->out, p->n, (uint64_t)p->at + p->round * 12345);
    gzc_ticket t = gzc_pwrite_async(f, p->out, p->n, p->at, HOW(&p->write, .flags = GZC_MORE));
    gzc_ticket u = gzc_pread_async(f, p->in, p->length, p->at + (off_t)p->skip, HOW(&p->read));
    if (t <= 0 || u <= 0)
        atomic_fetch_add(&wrong, 1000);
}

/* The write has ended before the read was sent. */
static void place_over(struct outcome *o)
{
    struct place *p = o->arg;
    if (atomic_fetch_add(&inside, 1) || (only_one && !pthread_equal(driver, pthread_self())))
        atomic_fetch_add(&wrong, 100000);
    bool whole = o->result == (ssize_t)(o == &p->write ? p->n : p->length);
    if (!whole || o->count != 2 * p->round + 1)
        atomic_fetch_add(&wrong, 1);
    if (o == &p->read) {
        uint64_t offset = (uint64_t)p->at + p->skip + p->round * 12345;
        if (p->write.count != o->count || pattern_check(p->in, p->length, offset) != p->length)
            atomic_fetch_add(&wrong, 1);
        p->round++;
        atomic_fetch_add(&p->write.count, 1); /* so that one more of either is seen */
        atomic_fetch_add(&p->read.count, 1);
        if (p->round < ROUNDS)
            place_begin(p);
    }
    atomic_fetch_sub(&inside, 1);
    atomic_fetch_add(&over, 1);
}

static bool all_over(void)
{
    return atomic_load(&over) == 2 * PLACES * ROUNDS;
}

static void load_up(const char *options)
{
    v = mount_brick(options);
    f = open_file(v, own_path("load"), O_CREAT | O_TRUNC | O_RDWR);
    for (unsigned i = 0; i < PLACES; i++) {
        places[i] = (struct place){.number = i, .seed = i + 1};
        places[i].out = malloc(AREA);
        places[i].in = malloc(AREA);
        places[i].write = (struct outcome){.then = place_over, .arg = &places[i]};
        places[i].read = places[i].write;
    }
}

static void load_begin(void)
{
    for (unsigned i = 0; i < PLACES; i++)
        place_begin(&places[i]);
}

static void load_down(void)
{
    struct gzc_stats s;
    cr_assert(all_over(), "%u of %u", atomic_load(&over), 2 * PLACES * ROUNDS);
    cr_assert_eq(wrong, 0, "%u", atomic_load(&wrong));
    cr_assert_eq(gzc_poll(v, 0, 0), 0, "more has completed");
    for (unsigned i = 0; i < PLACES; i++) {
        cr_assert_eq(places[i].write.count, 2 * ROUNDS);
        cr_assert_eq(places[i].read.count, 2 * ROUNDS);
        free(places[i].out);
        free(places[i].in);
    }
    gzc_volume_stats(v, &s, sizeof(s));
    cr_assert_eq(s.bytes_staged, 0);
    cr_assert_eq(s.calls, s.replies);
    cr_assert_eq(s.replies_unmatched + s.replies_retired, 0);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unlink(v, own_path("load")), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(async_load, .timeout = 120);

/* ---- who drives ------------------------------------------------------------------------------ */

static void *poll_until_over(void *arg)
{
    atomic_uint *ran = arg;
    double end = seconds() + 60;
    while (!all_over() && seconds() < end) {
        int n = gzc_poll(v, 0, 100);
        if (n < 0)
            atomic_fetch_add(&wrong, 1);
        else
            atomic_fetch_add(ran, (unsigned)n);
    }
    return NULL;
}

static void polled_by(const char *options, unsigned threads)
{
    pthread_t thread[8];
    atomic_uint ran = 0;
    load_up(options);
    load_begin();
    for (unsigned i = 1; i < threads; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, poll_until_over, &ran), 0);
    poll_until_over(&ran);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(thread[i], NULL);
    cr_assert_eq(ran, 2 * PLACES * ROUNDS, "gzc_poll() has counted %u", atomic_load(&ran));
    load_down();
}

Test(async_load, polled_by_one_thread)
{
    polled_by("", 1);
}

Test(async_load, polled_by_one_thread_on_four_connections)
{
    polled_by("?nconnect=4", 1);
}

Test(async_load, polled_by_one_thread_without_order)
{
    polled_by("?busy_poll_us=0&nconnect=2", 1);
}

Test(async_load, polled_by_several_threads)
{
    polled_by("", 5);
}

/* Reads and writes of a file of its own, meanwhile. */
static void *blocking_calls(void *arg)
{
    size_t id = (size_t)arg;
    unsigned char out[5000], in[5000];
    char path[160];
    gzc_file *own;
    snprintf(path, sizeof(path), "/load-%d-%zu", getpid(), id);
    if (gzc_open(v, path, O_CREAT | O_TRUNC | O_RDWR, 0644, &own) < 0) {
        atomic_fetch_add(&wrong, 1);
        return NULL;
    }
    double end = seconds() + 60;
    for (unsigned i = 0; (!all_over() || i < 50) && seconds() < end; i++) {
        struct stat st;
        pattern_fill(out, sizeof(out), i * id);
        if (gzc_pwrite(own, out, sizeof(out), i) != sizeof(out) ||
            gzc_pread(own, in, sizeof(in), i) != sizeof(in) || memcmp(in, out, sizeof(in)) != 0 ||
            gzc_stat(v, path, &st) != 0)
            atomic_fetch_add(&wrong, 1);
    }
    if (gzc_close(own) != 0 || gzc_unlink(v, path) != 0)
        atomic_fetch_add(&wrong, 1);
    return NULL;
}

/* Nobody polls: the callbacks run in threads that wait for something else. */
static void beside_blocking_calls(const char *options, bool own_thread)
{
    pthread_t thread[4];
    load_up(options);
    if (own_thread)
        cr_assert_eq(gzc_thread_start(v), 0);
    load_begin();
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, blocking_calls, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    if (own_thread)
        cr_assert_eq(gzc_thread_stop(v), 0);
    load_down();
}

Test(async_load, beside_blocking_calls)
{
    beside_blocking_calls("", false);
}

Test(async_load, beside_blocking_calls_on_four_connections)
{
    beside_blocking_calls("?nconnect=4&busy_poll_us=20", false);
}

Test(async_load, volumes_own_thread_beside_blocking_calls)
{
    beside_blocking_calls("", true);
}

/* All is submitted, and completes, without this thread ever driving. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void place_over_and_tell(struct outcome *o)
{
    place_over(o);
    pthread_mutex_lock(&lock);
    if (all_over())
        pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

Test(async_load, volumes_own_thread)
{
    load_up("");
    for (unsigned i = 0; i < PLACES; i++)
        places[i].write.then = places[i].read.then = place_over_and_tell;
    cr_assert_eq(gzc_thread_start(v), 0);
    load_begin();
    pthread_mutex_lock(&lock);
    while (!all_over())
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    cr_assert_eq(gzc_thread_stop(v), 0);
    load_down();
}

/* An event loop. Readable means that there is something to do, but for now and then: what makes it
 * readable may have been dealt with since, once for each operation. */
static void event_loop(const char *options)
{
    unsigned rounds = 0, idle = 0;
    struct gzc_stats before, after;
    load_up(options);
    driver = pthread_self();
    only_one = true;
    struct pollfd p = {gzc_fd(v), POLLIN, 0};
    cr_assert_geq(p.fd, 0);
    cr_assert_eq(gzc_fd(v), p.fd);
    load_begin();
    for (double end = seconds() + 60; !all_over(); rounds++) {
        cr_assert_lt(seconds(), end);
        cr_assert_eq(poll(&p, 1, PATIENCE * 1000), 1, "not readable, %u are over", over);
        gzc_volume_stats(v, &before, sizeof(before));
        int n = gzc_poll(v, 0, 0);
        gzc_volume_stats(v, &after, sizeof(after));
        after.wait_syscalls = before.wait_syscalls;
        idle += n == 0 && memcmp(&before, &after, sizeof(before)) == 0;
    }
    cr_assert_leq(idle, 2 * PLACES * ROUNDS, "%u of %u rounds had nothing to do", idle, rounds);
    gzc_poll(v, 0, 0);
    cr_assert_eq(poll(&p, 1, 100), 0, "readable, and all is over");
    load_down();
}

Test(async_load, event_loop)
{
    event_loop("");
    over = 0;
    event_loop("?nconnect=4");
}

Test(async_load, event_loop_without_busy_polling)
{
    event_loop("?busy_poll_us=0");
}
