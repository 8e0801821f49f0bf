/* What an operation costs, in counts: allocations, system calls, bytes through a buffer. Linked
 * with
 * --wrap, so that every allocation of the library is seen. */
#include "tests/lab/volume.h"

#include <unistd.h>

static unsigned long allocations;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
    allocations++;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
    allocations++;
    return __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
    allocations++;
    return __real_realloc(p, n);
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
