/* Registered memory: what is found again, what must not be, and how pieces become one. */
#include "tests/guest/memory.h"

#include <sys/wait.h>

TestSuite(memory, .init = setup, .fini = teardown, .timeout = 120);

/* ---- found again ----------------------------------------------------------------------------- */

Test(memory, what_is_used_again_is_not_registered_again)
{
    unsigned char *at = map(SIZE);

    land(at + 100, 5000);
    cr_assert_eq(count().registrations, 1);
    for (int i = 0; i < 1000; i++)
        rdma_memory_put(m, get(at + i, 2 * PAGE - (size_t)i));
    land(at, 2 * PAGE);
    cr_assert_eq(count().registrations, 1);
    cr_assert_eq(count().hits, 1001);
    cr_assert_eq(count().bytes, 2 * PAGE);
    cr_assert_eq(pinned(), 2 * PAGE);
    cr_assert_eq(rdma_memory_registrations(m), 1);
}

Test(memory, several_references)
{
    unsigned char *at = map(SIZE);
    struct rdma_region *first = get(at, SIZE), *second = get(at + PAGE, PAGE);

    cr_assert_eq(first, second);
    rdma_memory_put(m, first);
    land_by(second, at + PAGE, PAGE);
    rdma_memory_put(m, second);
    cr_assert_eq(count().registrations, 1);
}

/* ---- must not be found ----------------------------------------------------------------------- */

Test(memory, unmapped_and_mapped_again)
{
    unsigned char *at = map(SIZE);

    for (int i = 0; i < ROUNDS; i++) {
        land(at, SIZE);
        munmap(at, SIZE);
        map_there(at, SIZE);
    }
    cr_assert_eq(count().invalidations, ROUNDS);
    cr_assert_eq(count().uncached, 0);
}

Test(memory, unmapped_in_part)
{
    unsigned char *at = map(SIZE);

    for (int i = 0; i < ROUNDS; i++) {
        land(at, SIZE);
        munmap(at + 5 * PAGE, PAGE);
        map_there(at + 5 * PAGE, PAGE);
    }
}

Test(memory, mapped_over)
{
    unsigned char *at = map(SIZE);

    for (int i = 0; i < ROUNDS; i++) {
        land(at, SIZE);
        cr_assert_eq(mmap(at + i % 16 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                     at + i % 16 * PAGE);
    }
}

Test(memory, moved_away)
{
    unsigned char *at = map(SIZE), *other = map(SIZE);

    for (int i = 0; i < ROUNDS; i++) {
        land(at, SIZE);
        cr_assert_eq(mremap(at, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, other), other);
        map_there(at, SIZE);
        land(other, SIZE);
    }
    cr_assert_neq(mremap(at, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL), MAP_FAILED, "%s",
                  strerror(errno));
    land(at, SIZE);
}

Test(memory, discarded)
{
    unsigned char *at = map(SIZE);

    for (int i = 0; i < ROUNDS; i++) {
        land(at, SIZE);
        cr_assert_eq(madvise(at + i % 16 * PAGE, PAGE, MADV_DONTNEED), 0);
    }
}

/* What goes on by itself: no event, and the pages stay. */
Test(memory, pages_that_stay)
{
    unsigned char *at = map(SIZE);
    int status;

    land(at, SIZE);
    pid_t child = fork();
    if (child == 0) {
        memset(at, 'c', SIZE);
        _exit(0);
    }
    memset(at, 'p', SIZE); /* a copy is made for the child, not for us */
    land(at, SIZE);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    land(at, SIZE);
    cr_assert_eq(mprotect(at, SIZE, PROT_NONE), 0);
    cr_assert_eq(mprotect(at, SIZE, PROT_READ | PROT_WRITE), 0);
    land(at, SIZE);
    cr_assert_eq(madvise(at, SIZE, MADV_PAGEOUT), 0);
    memset(at, 'q', SIZE);
    land(at, SIZE);
    cr_assert_eq(madvise(at, SIZE, MADV_MERGEABLE), 0);
    cr_assert_eq(count().registrations, 1);
    cr_assert_eq(madvise(at, SIZE, MADV_FREE), 0);
    land(at, SIZE);
}

static unsigned char *handed;
static pthread_barrier_t barrier;

static void *unmap_each_round(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        munmap(handed, SIZE);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

/* Another thread gets the address while who has unmapped it still waits for the watcher. */
Test(memory, an_address_that_another_thread_gets)
{
    pthread_t thread;

    handed = map(SIZE);
    pthread_barrier_init(&barrier, NULL, 2);
    cr_assert_eq(pthread_create(&thread, NULL, unmap_each_round, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        land(handed, SIZE);
        pthread_barrier_wait(&barrier);
        while (mmap(handed, SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != handed)
            ;
        land(handed, SIZE);
        pthread_barrier_wait(&barrier);
    }
    pthread_join(thread, NULL);
}

Test(memory, a_stale_region_lives_as_long_as_it_is_used)
{
    unsigned char *at = map(SIZE);
    struct rdma_region *used = get(at, SIZE);

    munmap(at + 8 * PAGE, 8 * PAGE);
    struct rdma_region *other = get(at, PAGE);
    cr_assert_neq(other, used);
    land_by(used, at + PAGE, PAGE);
    land_by(other, at, PAGE);
    rdma_memory_put(m, used);
    rdma_memory_put(m, other);
    cr_assert_eq(pinned(), PAGE);
    cr_assert_eq(count().invalidations, 1);
}

/* Whoever uses the cache next deregisters it, or rdma_memory_reap(). */
Test(memory, stale_memory_is_deregistered)
{
    unsigned char *at = map(SIZE);

    land(at, SIZE);
    munmap(at, SIZE);
    rdma_memory_reap(m);
    cr_assert_eq(pinned(), 0);
    cr_assert_eq(count().bytes, 0);

    at = map(SIZE);
    unsigned char *other = map(SIZE) + SIZE / 2;
    land(other, PAGE);
    land(at, SIZE);
    munmap(at, SIZE);
    land(other, PAGE);
    cr_assert_eq(pinned(), PAGE);
}

static void *discard_each_round(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS / 2; i++) {
        pthread_barrier_wait(&barrier);
        while (count().bytes == MB / 2) /* until both halves are being registered */
            sched_yield();
        cr_assert_eq(madvise(handed, PAGE, MADV_DONTNEED), 0);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

/* While memory is being registered, a part of it that only the cache has an interest in goes. */
Test(memory, discarded_while_it_is_registered)
{
    pthread_t thread;

    handed = map(MB);
    pthread_barrier_init(&barrier, NULL, 2);
    cr_assert_eq(pthread_create(&thread, NULL, discard_each_round, NULL), 0);
    for (int i = 0; i < ROUNDS / 2; i++) {
        rdma_memory_put(m, get(handed, MB / 2));
        pthread_barrier_wait(&barrier);
        rdma_memory_put(m, get(handed + MB / 2, MB / 2));
        pthread_barrier_wait(&barrier);
        land(handed, PAGE);
        cr_assert_eq(madvise(handed + MB / 2, PAGE, MADV_DONTNEED), 0);
    }
    pthread_join(thread, NULL);
}

static void *use_each_round(void *size)
{
    for (int i = 0; i < ROUNDS / 2; i++) {
        pthread_barrier_wait(&barrier);
        rdma_memory_put(m, get(handed, i % 2 ? MB : *(size_t *)size));
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

/* Who is first, or is done first, makes no difference to what is found after. */
Test(memory, registered_by_two_at_once)
{
    size_t less = MB / 2;
    pthread_t thread;

    pthread_barrier_init(&barrier, NULL, 2);
    cr_assert_eq(pthread_create(&thread, NULL, use_each_round, &less), 0);
    for (int i = 0; i < ROUNDS / 2; i++) {
        handed = map(MB);
        pthread_barrier_wait(&barrier);
        rdma_memory_put(m, get(handed, MB));
        pthread_barrier_wait(&barrier);
        cr_assert_eq(count().regions, 1);
        cr_assert_eq(count().bytes, MB);
        cr_assert(is_hit(handed, MB));
        munmap(handed, MB);
        rdma_memory_reap(m);
        cr_assert_eq(pinned(), 0);
    }
    pthread_join(thread, NULL);
}

/* ---- pieces that touch ----------------------------------------------------------------------- */

Test(memory, a_pool_of_buffers_becomes_few_regions)
{
    enum { BUFFERS = 2048 };
    unsigned char *pool = map(BUFFERS * PAGE);
    unsigned order[BUFFERS], seed = 1;

    for (unsigned i = 0; i < BUFFERS; i++)
        order[i] = i;
    for (unsigned i = BUFFERS - 1; i; i--) {
        unsigned k = (unsigned)rand_r(&seed) % (i + 1), was = order[i];
        order[i] = order[k];
        order[k] = was;
    }
    for (unsigned i = 0; i < BUFFERS; i++)
        rdma_memory_put(m, get(pool + order[i] * PAGE, PAGE));
    cr_assert_leq(count().regions, 64, "%u regions", count().regions);
    cr_assert_leq(count().bytes, 2 * BUFFERS * PAGE);
    for (unsigned i = 0; i < BUFFERS; i++)
        cr_assert(is_hit(pool + i * PAGE, PAGE));
    land(pool + 7 * PAGE + 100, PAGE);
}

/* Each transfer has half of its pages in common with the next. */
Test(memory, a_window_that_slides)
{
    enum { WINDOW = 4 * MB, STEP = MB, ALL = 96 * MB };
    unsigned char *at = map(ALL);

    begin(REMOTE, 256 * (size_t)MB, 0);
    for (size_t i = 0; i + WINDOW <= ALL; i += STEP)
        rdma_memory_put(m, get(at + i, WINDOW));
    cr_assert_leq(count().bytes, 4 * (size_t)ALL);
    cr_assert_leq(count().regions, 24, "%u regions", count().regions);
    for (size_t i = 0; i + WINDOW <= ALL; i += STEP)
        cr_assert(is_hit(at + i, WINDOW), "at %zu", i);
}

Test(memory, what_is_in_use_may_be_absorbed)
{
    unsigned char *at = map(SIZE);
    struct rdma_region *first = get(at, 2 * PAGE), *all = get(at + PAGE, 4 * PAGE);

    cr_assert_neq(first, all);
    cr_assert(all->start == (uintptr_t)at && all->end == (uintptr_t)at + 5 * PAGE);
    land_by(first, at, 2 * PAGE);
    rdma_memory_put(m, first);
    land_by(all, at, 5 * PAGE);
    rdma_memory_put(m, all);
    cr_assert_eq(count().regions, 1);
    cr_assert_eq(pinned(), 5 * PAGE);
}

/* ---- many threads ---------------------------------------------------------------------------- */

struct worker {
    unsigned char *shared;
    unsigned seed;
};

/* Memory of its own that comes and goes, and memory of all that stays; sometimes the peer writes.
 */
static void *work(void *argument)
{
    struct worker *me = argument;

    for (int i = 0; i < ROUNDS / 4; i++) {
        unsigned char *own = map(SIZE);
        for (int k = 0; k < 4; k++) {
            unsigned char *at = k % 2 ? me->shared + rand_r(&me->seed) % 64 * SIZE : own;
            size_t length = 1 + (size_t)rand_r(&me->seed) % SIZE;
            if (k % 2)
                rdma_memory_put(m, get(at, length));
            else
                land(at, (uint32_t)length);
        }
        munmap(own, SIZE);
    }
    return NULL;
}

Test(memory, many_threads)
{
    enum { THREADS = 6 };
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    unsigned char *shared = map(65 * SIZE);

    begin(REMOTE, 40 * SIZE, 12);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){shared, (unsigned)i};
        cr_assert_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    rdma_memory_reap(m);
    cr_assert_leq(count().bytes, 40 * SIZE);
    cr_assert_leq(count().regions, 12);
    cr_assert_eq(pinned(), count().bytes);
    munmap(shared, 65 * SIZE);
    rdma_memory_reap(m);
    cr_assert(count().bytes == 0 && pinned() == 0 && count().regions == 0);
}
