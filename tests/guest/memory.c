/*
 * Registered memory: what is found again, what must not be, limits, and what it does for memory
 * that cannot be registered. That data lands where the program sees it is tried by writing there
 * from another queue pair.
 */
#include "transport/rdma/memory.h"

#include "tests/guest/pair.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    MB = 1 << 20,
    SIZE = 16 * PAGE,
    ROUNDS = 100,
    REMOTE = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE,
};

static struct pair p;
static unsigned char *source; /* of what the peer writes */
static struct ibv_mr *source_mr;
static struct rdma_memory *m;
static struct errtext why;
static pthread_mutex_t peer = PTHREAD_MUTEX_INITIALIZER;

static void begin(int access, size_t bytes, unsigned regions)
{
    struct rdma_memory_limits limits = {.bytes = bytes, .regions = regions};

    rdma_memory_free(m);
    cr_assert_eq(rdma_memory_new(p.client.pd, access, &limits, &m, &why), 0, "%s", why.text);
}

static void setup(void)
{
    pair_open(&p);
    source = aligned_alloc(PAGE, SIZE);
    source_mr = ibv_reg_mr(p.server.pd, source, SIZE, IBV_ACCESS_LOCAL_WRITE);
    cr_assert_not_null(source_mr);
    begin(REMOTE, 64 * MB, 0);
}

static void teardown(void)
{
    rdma_memory_free(m);
    cr_assert_eq(ibv_dereg_mr(source_mr), 0);
    pair_close(&p);
    free(source);
}

TestSuite(memory, .init = setup, .fini = teardown, .timeout = 120);

static struct rdma_memory_counters count(void)
{
    struct rdma_memory_counters c;

    rdma_memory_count(m, &c);
    return c;
}

/* Bytes that are pinned for devices, but for the peer's. */
static size_t pinned(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    size_t kib = SIZE_MAX;

    while (fgets(line, sizeof(line), f))
        sscanf(line, "VmPin: %zu", &kib);
    fclose(f);
    return kib * 1024 - SIZE;
}

static unsigned char *map_with(size_t size, int protection, int flags)
{
    unsigned char *at = mmap(NULL, size, protection, flags, -1, 0);

    cr_assert_neq(at, MAP_FAILED, "%s", strerror(errno));
    return at;
}

static unsigned char *map(size_t size)
{
    return map_with(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
}

static void map_there(unsigned char *at, size_t size)
{
    cr_assert_eq(mmap(at, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
                 at, "%s", strerror(errno));
}

static struct rdma_region *get(const void *at, size_t length)
{
    struct rdma_region *r = NULL;
    int rc = rdma_memory_get(m, at, length, true, &r, &why);

    cr_assert_eq(rc, 0, "%s", why.text);
    cr_assert(r->start <= (uintptr_t)at && (uintptr_t)at + length <= r->end);
    cr_assert_eq((uintptr_t)r->mr->addr, r->start);
    cr_assert_eq(r->mr->length, r->end - r->start);
    return r;
}

/* The peer writes, or reads, by a region's key. */
static void transfer(struct rdma_region *r, enum ibv_wr_opcode opcode, const void *at,
                     uint32_t length, enum ibv_wc_status status)
{
    struct ibv_sge sge = {(uintptr_t)source, length, source_mr->lkey};
    struct ibv_send_wr wr = {
        .wr_id = 1,
        .opcode = opcode,
        .sg_list = &sge,
        .num_sge = 1,
        .send_flags = IBV_SEND_SIGNALED,
        .wr.rdma = {(uintptr_t)at, r->mr->rkey},
    };

    cr_assert_eq(side_post(&p.server, &wr, 1), 0);
    side_expect(&p.server, status, 1);
}

/* The peer writes something new, and the program sees it. */
static void land_by(struct rdma_region *r, unsigned char *at, uint32_t length)
{
    static uint32_t value;

    pthread_mutex_lock(&peer);
    value++;
    for (uint32_t i = 0; i < length; i += 64)
        memcpy(source + i, &value, sizeof(value));
    transfer(r, IBV_WR_RDMA_WRITE, at, length, IBV_WC_SUCCESS);
    for (uint32_t i = 0; i + sizeof(value) <= length; i += 64)
        cr_assert_arr_eq(at + i, source + i, sizeof(value), "at byte %u", i);
    pthread_mutex_unlock(&peer);
}

static void land(unsigned char *at, uint32_t length)
{
    struct rdma_region *r = get(at, length);

    land_by(r, at, length);
    rdma_memory_put(m, r);
}

/* Whether a range is found without registering it. */
static bool is_hit(const void *at, size_t length)
{
    uint64_t before = count().hits;

    rdma_memory_put(m, get(at, length));
    return count().hits > before;
}

/* ---- found again ------------------------------------------------------------------------------
 */

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

/* ---- must not be found ------------------------------------------------------------------------
 */

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
    for (int i = 0; i < ROUNDS; i++) {
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
    for (int i = 0; i < ROUNDS; i++) {
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
    for (int i = 0; i < ROUNDS; i++) {
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
    for (int i = 0; i < ROUNDS; i++) {
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

/* ---- what is not cached ------------------------------------------------------------------------
 */

static void expect_uncached(unsigned char *at, const char *what)
{
    uint64_t registrations = count().registrations, uncached = count().uncached;

    for (int i = 0; i < 3; i++) {
        struct rdma_region *r = get(at + 10, 100);
        cr_assert(r->start == (uintptr_t)at + 10 && r->end == r->start + 100,
                  "%s: more is registered than was asked for", what);
        land_by(r, at + 10, 100);
        rdma_memory_put(m, r);
        cr_assert_eq(pinned(), 0, "%s", what);
    }
    cr_assert_eq(count().registrations, registrations + 3, "%s", what);
    cr_assert_eq(count().uncached, uncached + 3, "%s", what);
    cr_assert_eq(count().bytes, 0, "%s", what);
}

Test(memory, shared_memory_and_huge_pages)
{
    int fd = memfd_create("memory", 0);
    unsigned char *at;

    cr_assert_eq(ftruncate(fd, SIZE), 0);
    at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    expect_uncached(at, "a memfd");
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_eq(ftruncate(fd, SIZE), 0);
    expect_uncached(at, "a memfd that was cut");

    FILE *f = fopen("/proc/sys/vm/nr_hugepages", "w");
    cr_assert(f && fputs("2", f) >= 0 && fclose(f) == 0);
    at = map_with(2 * MB, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE);
    expect_uncached(at, "huge pages");
    rdma_memory_put(m, get(at, 2 * MB));
    cr_assert_eq(count().bytes, 0, "a whole huge page");
}

Test(memory, without_a_cache)
{
    unsigned char *at = map(SIZE);

    begin(REMOTE, 0, 0);
    expect_uncached(at, "no cache");
    begin(REMOTE, PAGE - 1, 0);
    expect_uncached(at, "a cache of less than a page");
}

Test(memory, without_userfaultfd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(*code), .filter = code};
    unsigned char *at = map(SIZE);

    rdma_memory_free(m);
    m = NULL;
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    begin(REMOTE, 64 * MB, 0);
    expect_uncached(at, "without userfaultfd");
}

/* ---- limits ------------------------------------------------------------------------------------
 */

/* The i-th of ranges that do not touch each other. */
static unsigned char *apart(unsigned char *base, int i)
{
    return base + i * 2 * SIZE;
}

/* As long as it is, no other userfaultfd can have it. */
static bool is_watched(const void *at, size_t size)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register request = {
        .range = {.start = (uintptr_t)at, .len = size},
        .mode = UFFDIO_REGISTER_MODE_MISSING,
    };

    cr_assert_eq(ioctl(fd, UFFDIO_API, &api), 0);
    int err = ioctl(fd, UFFDIO_REGISTER, &request) < 0 ? errno : 0;
    cr_assert(err == 0 || err == EBUSY, "%s", strerror(err));
    close(fd);
    return err;
}

Test(memory, least_recently_used_goes_first)
{
    unsigned char *base = map(8 * 2 * SIZE);

    begin(REMOTE, 3 * SIZE, 0);
    for (int i = 0; i < 3; i++)
        land(apart(base, i), SIZE);
    cr_assert(is_hit(apart(base, 0), SIZE));
    land(apart(base, 3), SIZE);
    cr_assert_eq(count().evictions, 1);
    cr_assert_eq(count().bytes, 3 * SIZE);
    cr_assert_eq(pinned(), 3 * SIZE);
    cr_assert(is_watched(apart(base, 0), SIZE) && !is_watched(apart(base, 1), SIZE));
    cr_assert(is_hit(apart(base, 0), SIZE) && is_hit(apart(base, 2), SIZE) &&
              is_hit(apart(base, 3), SIZE));
    cr_assert_not(is_hit(apart(base, 1), SIZE));
    rdma_memory_put(m, get(apart(base, 5), 3 * SIZE / 2));
    cr_assert_eq(count().evictions, 4);
    cr_assert_leq(pinned(), 3 * SIZE);
}

Test(memory, so_many_regions)
{
    unsigned char *base = map(8 * 2 * SIZE);

    begin(REMOTE, 64 * MB, 2);
    for (int i = 0; i < 5; i++)
        land(apart(base, i), PAGE);
    cr_assert_eq(count().regions, 2);
    cr_assert_eq(count().evictions, 3);
    cr_assert(is_hit(apart(base, 3), PAGE) && is_hit(apart(base, 4), PAGE));
}

Test(memory, what_is_in_use_is_not_evicted)
{
    unsigned char *base = map(8 * 2 * SIZE);
    struct rdma_region *r[3];

    begin(REMOTE, 2 * SIZE, 0);
    for (int i = 0; i < 3; i++)
        r[i] = get(apart(base, i), SIZE);
    cr_assert_eq(count().uncached, 1);
    for (int i = 0; i < 3; i++) {
        land_by(r[i], apart(base, i), SIZE);
        rdma_memory_put(m, r[i]);
    }
    cr_assert(is_hit(apart(base, 0), SIZE) && is_hit(apart(base, 1), SIZE));
    cr_assert_not(is_hit(apart(base, 2), 3 * SIZE), "more than the limit is cached");
    cr_assert_eq(count().bytes, 2 * SIZE);
}

/* A process without the right to lock as much as it likes. What is open when rights change is of no
 * use any more, so this comes first. */
static void setup_limited(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    struct rlimit limit = {MB + SIZE, MB + SIZE};

    cr_assert_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    cr_assert_eq(syscall(SYS_capset, &header, data), 0);
    cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    setup();
}

TestSuite(memory_limited, .init = setup_limited, .fini = teardown, .timeout = 120);

Test(memory_limited, a_limit_on_locked_memory)
{
    unsigned char *at = map(4 * MB);
    struct rdma_region *r, *held;

    land(at, SIZE);
    held = get(at + MB, SIZE);
    cr_assert_eq(rdma_memory_get(m, at + 2 * MB, 2 * MB, true, &r, &why), -ENOMEM);
    char text[ERRTEXT_SIZE];
    snprintf(text, sizeof(text),
             "registering 2097152 bytes with RDMA device %s: the limit on locked memory is %d "
             "bytes, of which libgzc holds %d here; raise it (ulimit -l, or LimitMEMLOCK= in a "
             "systemd unit)",
             ibv_get_device_name(p.client.pd->context->device), MB + SIZE, SIZE);
    cr_assert_str_eq(why.text, text);
    cr_assert_eq(rdma_memory_pin(m, at + 2 * MB, 2 * MB, &why), -ENOMEM);
    cr_assert_str_eq(why.text, text);
    land_by(held, at + MB, SIZE);
    rdma_memory_put(m, held);
}

Test(memory_limited, the_cache_makes_way)
{
    unsigned char *at = map(4 * MB);

    land(at, SIZE);
    rdma_memory_put(m, get(at + MB, 7 * MB / 8));
    rdma_memory_put(m, get(at + 2 * MB, 7 * MB / 8)); /* nothing is free but by evicting */
    cr_assert_eq(count().evictions, 2);
    cr_assert_leq(pinned(), MB);
    cr_assert_eq(rdma_memory_pin(m, at + 3 * MB, MB, &why), 0, "%s", why.text);
    cr_assert_eq(pinned(), MB);
}

/* ---- pieces that touch -------------------------------------------------------------------------
 */

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

/* ---- pins --------------------------------------------------------------------------------------
 */

Test(memory, pinned_memory)
{
    unsigned char *at = map(SIZE);

    begin(REMOTE, 0, 0);
    cr_assert_eq(rdma_memory_pin(m, at + 100, 2 * PAGE, &why), 0);
    cr_assert_eq(rdma_memory_registrations(m), 1);
    land(at + 100, 2 * PAGE);
    cr_assert(is_hit(at + 200, PAGE));
    cr_assert_not(is_hit(at, PAGE));
    cr_assert_eq(rdma_memory_unpin(m, at + 100, PAGE), -ENOENT);
    cr_assert_eq(rdma_memory_unpin(m, at + 101, 2 * PAGE), -ENOENT);
    struct rdma_region *used = get(at + 100, 10);
    cr_assert_eq(rdma_memory_unpin(m, at + 100, 2 * PAGE), 0);
    cr_assert_eq(rdma_memory_unpin(m, at + 100, 2 * PAGE), -ENOENT);
    cr_assert_not(is_hit(at + 100, 10));
    land_by(used, at + 100, 10);
    rdma_memory_put(m, used);
    cr_assert_eq(pinned(), 0);
}

Test(memory, pins_one_in_another)
{
    unsigned char *at = map(64 * PAGE);

    begin(REMOTE, 0, 0);
    cr_assert_eq(rdma_memory_pin(m, at, 64 * PAGE, &why), 0);
    cr_assert_eq(rdma_memory_pin(m, at, 64 * PAGE, &why), 0);
    for (int i = 0; i < 60; i++)
        cr_assert_eq(rdma_memory_pin(m, at + i * PAGE, PAGE, &why), 0);
    cr_assert(is_hit(at + 61 * PAGE, PAGE) && is_hit(at + 5 * PAGE, PAGE) && is_hit(at, 3 * PAGE));
    cr_assert_eq(rdma_memory_unpin(m, at, 64 * PAGE), 0);
    cr_assert(is_hit(at + 61 * PAGE, PAGE));
    cr_assert_eq(rdma_memory_unpin(m, at, 64 * PAGE), 0);
    cr_assert_not(is_hit(at + 61 * PAGE, PAGE));
    for (int i = 59; i >= 0; i--) {
        cr_assert(is_hit(at + i * PAGE, PAGE));
        cr_assert_eq(rdma_memory_unpin(m, at + i * PAGE, PAGE), 0);
        cr_assert_not(is_hit(at + i * PAGE, PAGE));
    }
    cr_assert_eq(pinned(), 0);
}

/* It is the program's to keep in place: neither room nor the watch take it away. */
Test(memory, pins_stay)
{
    unsigned char *base = map(8 * 2 * SIZE);

    begin(REMOTE, SIZE, 0);
    cr_assert_eq(rdma_memory_pin(m, base, SIZE, &why), 0);
    for (int i = 1; i < 8; i++)
        land(apart(base, i), SIZE);
    munmap(apart(base, 1), SIZE);
    uint64_t registrations = count().registrations;
    land(base, SIZE);
    cr_assert_eq(count().registrations, registrations);
    cr_assert_eq(count().bytes, SIZE);
    cr_assert_eq(rdma_memory_pin(m, NULL, SIZE, &why), -EFAULT);
}

/* ---- what cannot be written to, or is not there ------------------------------------------------
 */

static const char constant[] = "in a read-only section";

Test(memory, read_only_memory)
{
    unsigned char *at = map_with(SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
    const void *places[] = {at, constant};
    struct rdma_region *r, *none;

    begin(IBV_ACCESS_MW_BIND, 64 * MB, 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(rdma_memory_get(m, places[i], sizeof(constant), true, &r, &why), -EFAULT);
        cr_assert_not_null(strstr(why.text, "not mapped, not writable, or of a file"));
        cr_assert_eq(rdma_memory_get(m, places[i], sizeof(constant), false, &r, &why), 0, "%s",
                     why.text);
        cr_assert_eq(r->access, IBV_ACCESS_REMOTE_READ);
        transfer(r, IBV_WR_RDMA_READ, places[i], sizeof(constant), IBV_WC_SUCCESS);
        cr_assert_arr_eq(source, places[i], sizeof(constant));
        cr_assert_eq(rdma_memory_get(m, places[i], sizeof(constant), true, &none, &why), -EFAULT);
        rdma_memory_put(m, r);
        cr_assert_eq(pinned(), 0);
    }
}

/* Memory is registered for windows to be bound on it: that is no access of the peer's yet. */
Test(memory, memory_for_windows)
{
    unsigned char *at = map(SIZE);
    struct rdma_region *r;

    begin(IBV_ACCESS_MW_BIND, 64 * MB, 0);
    cr_assert_eq(rdma_memory_get(m, at, SIZE, false, &r, &why), 0);
    cr_assert(r->access & IBV_ACCESS_MW_BIND && r->access & IBV_ACCESS_LOCAL_WRITE);
    cr_assert_eq(get(at, SIZE), r);
    transfer(r, IBV_WR_RDMA_WRITE, at, PAGE, IBV_WC_REM_ACCESS_ERR);
    rdma_memory_put(m, r);
    rdma_memory_put(m, r);
}

Test(memory, no_memory_at_all)
{
    unsigned char *at = map(SIZE);
    struct rdma_region *r;

    cr_assert_eq(rdma_memory_get(m, at, 0, true, &r, &why), -EINVAL);
    cr_assert_not_null(strstr(why.text, "cannot be registered"), "%s", why.text);
    cr_assert_eq(rdma_memory_get(m, at, SIZE_MAX, true, &r, &why), -EINVAL);
    cr_assert_not_null(strstr(why.text, "cannot be registered"), "%s", why.text);
    munmap(at + PAGE, PAGE);
    cr_assert_eq(rdma_memory_get(m, at, 3 * PAGE, true, &r, &why), -EFAULT);
    char text[ERRTEXT_SIZE];
    snprintf(text, sizeof(text), "registering %d bytes at %p with RDMA device %s: ", 3 * PAGE,
             (void *)at, ibv_get_device_name(p.client.pd->context->device));
    cr_assert_eq(strncmp(why.text, text, strlen(text)), 0, "%s", why.text);
    cr_assert_eq(rdma_memory_get(m, at, 3 * PAGE, false, &r, &why), -EFAULT);
    cr_assert(count().bytes == 0 && pinned() == 0);
    land(at, PAGE);
}

/* ---- many threads ------------------------------------------------------------------------------
 */

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
