/* What an operation costs, in counts: allocations, system calls, bytes through a buffer; and what a
 * volume costs. Linked with --wrap, so that every allocation of the library is seen. */
#include "tests/lab/async.h"

#include <malloc.h>
#include <sched.h>
#include <unistd.h>

static unsigned long allocations;

/* What the library has allocated and not freed. What libtirpc allocates for it is not seen, so that
 * blocks are remembered: not every one that is freed was counted. */
#define BLOCKS 4096
static const void *blocks[BLOCKS];
static unsigned long in_use; /* bytes */

static unsigned find_block(const void *p)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        if (blocks[i] == p)
            return i;
    abort(); /* more blocks than this expects */
}

static void *block_made(void *p)
{
    allocations++;
    if (p) {
        blocks[find_block(NULL)] = p;
        in_use += malloc_usable_size(p);
    }
    return p;
}

static void block_gone(void *p)
{
    for (unsigned i = 0; p && i < BLOCKS; i++) {
        if (blocks[i] == p) {
            blocks[i] = NULL;
            in_use -= malloc_usable_size(p);
            return;
        }
    }
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t m);
void __real_free(void *p);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t m);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

void *__wrap_malloc(size_t n)
{
    return block_made(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t m)
{
    return block_made(__real_calloc(n, m));
}

void *__wrap_realloc(void *p, size_t n)
{
    block_gone(p);
    return block_made(__real_realloc(p, n));
}

void *__wrap_reallocarray(void *p, size_t n, size_t m)
{
    block_gone(p);
    return block_made(__real_reallocarray(p, n, m));
}

void __wrap_free(void *p)
{
    block_gone(p);
    __real_free(p);
}

char *__wrap_strdup(const char *text)
{
    return block_made(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t n)
{
    return block_made(__real_strndup(text, n));
}

static gzc_volume *v;
static gzc_file *f;
static struct gzc_stats before;

static void setup(void)
{
    v = mount_brick("?busy_poll_us=0"); /* each look of the busy poller's would count */
    f = open_file(v, own_path("cost"), O_CREAT | O_TRUNC | O_RDWR);
}

static void teardown(void)
{
    gzc_close(f);
    gzc_unlink(v, own_path("cost"));
    gzc_unmount(v);
}

TestSuite(cost, .init = setup, .fini = teardown, .timeout = 60);

static void start(void)
{
    gzc_volume_stats(v, &before, sizeof(before));
    allocations = 0;
}

static struct gzc_stats since(void)
{
    struct gzc_stats now;
    gzc_volume_stats(v, &now, sizeof(now));
    now.calls -= before.calls;
    now.send_syscalls -= before.send_syscalls;
    now.receive_syscalls -= before.receive_syscalls;
    now.wait_syscalls -= before.wait_syscalls;
    now.bytes_landed -= before.bytes_landed;
    now.bytes_staged -= before.bytes_staged;
    return now;
}

Test(cost, the_wrap_sees_the_library)
{
    struct stat st;
    start();
    gzc_stat(v, "/", &st);
    cr_assert_gt(allocations, 0);
}

Test(cost, reads_and_writes_allocate_nothing)
{
    enum { N = 200 };
    static unsigned char block[3 << 20];
    struct iovec iov[600];
    for (int i = 0; i < 600; i++)
        iov[i] = (struct iovec){block + i * 5000, 4000};
    cr_assert_eq(gzc_pwrite(f, block, sizeof(block), 0), sizeof(block));
    start();
    for (int i = 0; i < N; i++) {
        cr_assert_eq(gzc_pwrite(f, block, 4096, i * 4096), 4096);
        cr_assert_eq(gzc_pread(f, block, 4096, i * 4096), 4096);
    }
    cr_assert_eq(gzc_pwrite(f, block, sizeof(block), 0), sizeof(block));
    cr_assert_eq(gzc_pread(f, block, sizeof(block), 0), sizeof(block));
    cr_assert_eq(gzc_pwritev(f, iov, 600, 0), 600 * 4000);
    cr_assert_eq(gzc_preadv(f, iov, 600, 0), 600 * 4000);
    cr_assert_eq(allocations, 0);
}

enum { DEPTH = 16, LARGE = 4 << 20 };

static struct outcome outcomes[DEPTH];
static unsigned char *async_memory; /* DEPTH blocks of 4 KiB, or one large one */
static unsigned left;
static bool again_writes;

/* Keeps the depth, writing and reading in turn. */
static void again(struct outcome *o)
{
    unsigned i = (unsigned)(o - outcomes);
    if (!left)
        return;
    left--;
    again_writes = !again_writes;
    if (again_writes)
        gzc_pwrite_async(f, async_memory + 4096 * i, 4096, 4096 * i, HOW(o));
    else
        gzc_pread_async(f, async_memory + 4096 * i, 4096, 4096 * i, HOW(o));
}

/* An operation on an open file allocates nothing: not one that is told by a callback either, large
 * or small, alone or among others. */
Test(cost, asynchronous_reads_and_writes_allocate_nothing)
{
    enum { N = 500 };
    static unsigned char memory[2 * LARGE];
    struct iovec iov[600];
    async_memory = memory;
    for (int i = 0; i < 600; i++)
        iov[i] = (struct iovec){memory + i * 8000, 7000};
    cr_assert_eq(gzc_pwrite(f, memory, LARGE, 0), LARGE);
    start();
    left = N;
    for (unsigned i = 0; i < DEPTH; i++) {
        outcomes[i].then = again;
        gzc_pread_async(f, memory + 4096 * i, 4096, 4096 * i, HOW(&outcomes[i]));
    }
    unsigned ran = 0;
    for (double end = seconds() + PATIENCE; ran < N + DEPTH && seconds() < end;)
        ran += (unsigned)gzc_poll(v, 0, 1000);
    cr_assert_eq(ran, N + DEPTH);
    cr_assert_eq(allocations, 0, "%lu, small", allocations);
    for (unsigned i = 0; i < 4; i++) {
        struct outcome a = {0}, b = {0}, c = {0};
        gzc_pwrite_async(f, memory, LARGE, 0, HOW(&a));
        gzc_pread_async(f, memory + LARGE, LARGE, LARGE, HOW(&b));
        gzc_pwritev_async(f, iov, 600, 2 * LARGE, HOW(&c));
        while (!a.count || !b.count || !c.count)
            gzc_poll(v, 0, 1000);
        cr_assert_eq(a.result, LARGE);
        cr_assert_eq(c.result, 600 * 7000);
        cr_assert_eq(gzc_pread(f, memory, LARGE, 0), LARGE);
    }
    cr_assert_eq(allocations, 0, "%lu, large", allocations);
}

/* A volume of one brick, with nothing open. */
Test(cost_of_a_volume, memory)
{
    enum { MOST = 256 << 10 };
    struct stat st;
    gzc_volume *w;
    cr_assert_eq(in_use, 0);
    w = mount_brick("");
    cr_assert_gt(in_use, 1000);
    cr_assert_leq(in_use, MOST, "%lu bytes", in_use);
    cr_assert_eq(gzc_stat(w, "/", &st), 0);
    gzc_file *file = open_file(w, own_path("cost"), O_CREAT | O_RDWR);
    cr_assert_eq(gzc_close(file), 0);
    cr_assert_eq(gzc_unlink(w, own_path("cost")), 0);
    cr_assert_leq(in_use, MOST, "%lu bytes after use", in_use);
    cr_assert_eq(gzc_unmount(w), 0);
    cr_assert_eq(in_use, 0, "%lu bytes after unmounting", in_use);
}

/* Polling on the only CPU takes it from whoever could answer. */
Test(cost, nobody_polls_on_a_single_cpu)
{
    enum { N = 200 };
    static unsigned char block[4096];
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    gzc_volume *adaptive = mount_brick("");
    gzc_file *file = open_file(adaptive, own_path("cost"), O_RDWR);
    cr_assert_eq(gzc_pwrite(file, block, sizeof(block), 0), sizeof(block));
    struct gzc_stats first, then;
    gzc_volume_stats(adaptive, &first, sizeof(first));
    for (int i = 0; i < N; i++)
        cr_assert_eq(gzc_pread(file, block, sizeof(block), 0), sizeof(block));
    gzc_volume_stats(adaptive, &then, sizeof(then));
    cr_assert_leq(then.receive_syscalls - first.receive_syscalls, N + N / 5);
    cr_assert_geq(then.wait_syscalls - first.wait_syscalls, N);
    gzc_close(file);
    gzc_unmount(adaptive);
}

Test(cost, a_small_call_is_one_send_one_receive_one_wait)
{
    enum { N = 500 };
    static unsigned char block[4096];
    for (int write = 0; write < 2; write++) {
        cr_assert_eq(gzc_pwrite(f, block, sizeof(block), 0), sizeof(block));
        start();
        for (int i = 0; i < N; i++)
            cr_assert_eq(write ? gzc_pwrite(f, block, sizeof(block), 0)
                               : gzc_pread(f, block, sizeof(block), 0),
                         sizeof(block));
        struct gzc_stats s = since();
        cr_assert_eq(s.calls, N);
        cr_assert_eq(s.send_syscalls, N);
        /* A reply may come in two pieces, and a wait may end early: now and then, not each time. */
        cr_assert_leq(s.receive_syscalls, N + N / 5, "%lu", s.receive_syscalls);
        cr_assert_leq(s.wait_syscalls, N + N / 5, "%lu", s.wait_syscalls);
        cr_assert_eq(s.bytes_landed, N * sizeof(block));
        cr_assert_eq(s.bytes_staged, 0);
    }
}
