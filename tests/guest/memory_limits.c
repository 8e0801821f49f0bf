/* Registered memory: limits, pins, what is not cached, and what cannot be registered. */
#include "tests/guest/memory.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

TestSuite(memory_limits, .init = setup, .fini = teardown, .timeout = 120);

/* ---- what is not cached ---------------------------------------------------------------------- */

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

Test(memory_limits, shared_memory_and_huge_pages)
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

Test(memory_limits, without_a_cache)
{
    unsigned char *at = map(SIZE);

    begin(REMOTE, 0, 0);
    expect_uncached(at, "no cache");
    begin(REMOTE, PAGE - 1, 0);
    expect_uncached(at, "a cache of less than a page");
}

Test(memory_limits, without_userfaultfd)
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

/* ---- limits ---------------------------------------------------------------------------------- */

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

Test(memory_limits, least_recently_used_goes_first)
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

Test(memory_limits, so_many_regions)
{
    unsigned char *base = map(8 * 2 * SIZE);

    begin(REMOTE, 64 * MB, 2);
    for (int i = 0; i < 5; i++)
        land(apart(base, i), PAGE);
    cr_assert_eq(count().regions, 2);
    cr_assert_eq(count().evictions, 3);
    cr_assert(is_hit(apart(base, 3), PAGE) && is_hit(apart(base, 4), PAGE));
}

Test(memory_limits, what_is_in_use_is_not_evicted)
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

/* ---- pins ------------------------------------------------------------------------------------ */

Test(memory_limits, pinned_memory)
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

Test(memory_limits, pins_one_in_another)
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
Test(memory_limits, pins_stay)
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

/* ---- what cannot be written to, or is not there ---------------------------------------------- */

static const char constant[] = "in a read-only section";

Test(memory_limits, read_only_memory)
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
Test(memory_limits, memory_for_windows)
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

Test(memory_limits, no_memory_at_all)
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
