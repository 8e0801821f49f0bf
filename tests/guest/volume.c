/*
 * A volume mounted by RDMA, from the outside: a real gateway, a real brick, a real device. What a
 * read costs; that data lands where the program sees it, whatever it does with its memory; what a
 * user is told.
 */
#include "tests/lab/volume.h"
#include "base/clock.h"
#include "tests/guest/gateway_client.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { KIB = 1 << 10, MIB = 1 << 20, FILE_BYTES = 8 * MIB };

static struct gateway_process gateway;

TestSuite(volume, .timeout = 200);

static gzc_volume *mount_by_rdma(const char *options)
{
    char uri[1024];
    gzc_volume *v;
    snprintf(uri, sizeof(uri), "gluster+brick+rdma://%s%s%s", getenv("RDMA_IP"),
             getenv("LAB_BRICK_PATH"), options);
    int rc = gzc_mount(uri, &v);
    cr_assert_eq(rc, 0, "mount: %d %s", rc, volume_text(v));
    return v;
}

/* A gateway, a volume, a file that has the pattern. */
static gzc_volume *begin(const char *options, gzc_file **f)
{
    gateway_start(&gateway, NULL);
    gzc_volume *v = mount_by_rdma(options);
    *f = open_file(v, own_path("volume"), O_RDWR | O_CREAT);
    unsigned char *all = malloc(FILE_BYTES);
    pattern_fill(all, FILE_BYTES, 0);
    cr_assert_eq(gzc_pwrite(*f, all, FILE_BYTES, 0), FILE_BYTES, "%s", volume_text(v));
    free(all);
    return v;
}

static void end(gzc_volume *v, gzc_file *f)
{
    cr_expect_eq(gzc_close(f), 0);
    gzc_unlink(v, own_path("volume"));
    cr_expect_eq(gzc_unmount(v), 0);
    gateway_stop(&gateway);
}

static void expect_read(gzc_file *f, void *at, size_t n, off_t offset)
{
    char text[256];
    ssize_t rc = gzc_pread(f, at, n, offset);
    gzc_file_error(f, text, sizeof(text));
    cr_assert_eq(rc, (ssize_t)n, "%zd %s", rc, text);
    size_t bad = pattern_check(at, n, (uint64_t)offset);
    cr_assert_eq(bad, n, "byte %zu of %zu", bad, n);
}

static void *map(void *at, size_t n, int flags)
{
    void *p = mmap(at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    cr_assert_neq(p, MAP_FAILED);
    return p;
}

/* ---- what a read costs ----------------------------------------------------------------------- */

static uint64_t device_counter(const char *name)
{
    char path[256], text[32] = "";
    snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
             getenv("RDMA_DEVICE"), name);
    FILE *file = fopen(path, "re");
    cr_assert(file && fgets(text, sizeof(text), file), "%s", path);
    fclose(file);
    return strtoull(text, NULL, 10);
}

struct cost {
    double requests, doorbells, completions;
    uint64_t registrations, waits;
};

/* Reads one after the other, polling; all counted, by us, by the gateway and by the device. */
static struct cost cost_of_reads(gzc_volume *v, gzc_file *f, size_t size, unsigned n)
{
    struct gzc_stats a, b;
    unsigned char *buffer = map(NULL, size, 0);
    for (unsigned i = 0; i < 2; i++)
        expect_read(f, buffer, size, 0);
    uint64_t written = gateway_stat(&gateway, "bytes_written");
    uint64_t sends = device_counter("rdma_sends"), packets = device_counter("sent_pkts");
    gzc_volume_stats(v, &a, sizeof(a));
    for (unsigned i = 0; i < n; i++)
        expect_read(f, buffer, size, (off_t)(i * size % FILE_BYTES));
    gzc_volume_stats(v, &b, sizeof(b));
    packets = device_counter("sent_pkts") - packets;

    /* All of it by RDMA: the device has sent one SEND for each call, none of which has room for a
     * payload, and more packets than those; the gateway has written every byte, staging none; and
     * so it was landed. Each reply came as a write with immediate, or link_take() had refused it.
     */
    cr_expect_eq(b.bytes_landed - a.bytes_landed, n * size);
    cr_expect_eq(b.bytes_staged, 0);
    cr_expect_eq(gateway_stat(&gateway, "bytes_written") - written, n * size);
    cr_expect_eq(gateway_stat(&gateway, "bytes_staged"), 0);
    cr_expect_eq(device_counter("rdma_sends") - sends, n, "%lu SENDs",
                 device_counter("rdma_sends") - sends);
    cr_expect_geq(packets, n * (2 + size / (4 * KIB)));
    munmap(buffer, size);
    struct cost cost = {
        .requests = (double)(b.work_requests - a.work_requests) / n,
        .doorbells = (double)(b.doorbells - a.doorbells) / n,
        .completions = (double)(b.completions - a.completions) / n,
        .registrations = b.registrations - a.registrations,
        .waits = b.wait_syscalls - a.wait_syscalls,
    };
    fprintf(
        stderr,
        "# read of %zu KiB: %.3f work requests, %.3f posts, %.3f completions, %lu registrations "
        "and %lu waits in %u reads\n",
        size / KIB, cost.requests, cost.doorbells, cost.completions, cost.registrations, cost.waits,
        n);
    return cost;
}

/* A SEND and a completion; at times one of the SENDs' own, so that the queue knows them done. That
 * nothing is waited for is for syscalls.c to see: in emulation a reply may take longer than is
 * polled. */
Test(volume, a_read_costs_one_send_and_one_completion_with_a_trusted_gateway)
{
    gzc_file *f;
    gzc_volume *v = begin("?rdma_trust=1&busy_poll_us=1000000&ping_timeout=0", &f);
    for (size_t size = 4 * KIB; size <= MIB; size *= 256) {
        unsigned n = size < MIB ? 400 : 30;
        struct cost c = cost_of_reads(v, f, size, n);
        cr_expect_eq(c.requests, 1);
        cr_expect_eq(c.doorbells, 1);
        cr_expect_leq(c.completions, 1.02);
        cr_expect_eq(c.registrations, 0);
    }
    end(v, f);
}

/* And a window that is bound, and invalidated, which is waited for. */
Test(volume, a_read_costs_a_window_more_without_trust)
{
    gzc_file *f;
    gzc_volume *v = begin("?busy_poll_us=1000000&ping_timeout=0", &f);
    for (size_t size = 4 * KIB; size <= MIB; size *= 256) {
        unsigned n = size < MIB ? 400 : 30;
        struct cost c = cost_of_reads(v, f, size, n);
        cr_expect_eq(c.requests, 3);
        cr_expect_eq(c.doorbells, 2);
        cr_expect_eq(c.completions, 2);
        cr_expect_eq(c.registrations, 0);
    }
    end(v, f);
}

/* ---- any memory ------------------------------------------------------------------------------ */

/* Written from, and read into, pieces of every size, of the heap, the stack, read-only data. */
Test(volume, any_memory_will_do)
{
    static const char constant[300000] = "what the linker puts into read-only memory";
    static unsigned char zeroed[100000];
    unsigned char stack[5000];
    gzc_file *f;
    gzc_volume *v = begin("", &f);
    cr_assert_eq(gzc_pwrite(f, constant, sizeof(constant), 0), (ssize_t)sizeof(constant));
    cr_assert_eq(gzc_pwrite(f, constant, 100, 5 * MIB), 100);
    unsigned char *heap = malloc(sizeof(constant));
    cr_assert_eq(gzc_pread(f, heap, sizeof(constant), 0), (ssize_t)sizeof(constant));
    cr_expect_eq(memcmp(heap, constant, sizeof(constant)), 0);
    cr_assert_eq(gzc_pread(f, stack, 100, 5 * MIB), 100);
    cr_expect_eq(memcmp(stack, constant, 100), 0);
    expect_read(f, zeroed, sizeof(zeroed), MIB);
    expect_read(f, stack, sizeof(stack), 2 * MIB + 1);

    enum { PIECES = 1000 };
    struct iovec iov[PIECES];
    size_t total = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        iov[i].iov_len = i * 37 % 700; /* some are empty */
        iov[i].iov_base = malloc(iov[i].iov_len + 1);
        total += iov[i].iov_len;
    }
    cr_assert_eq(gzc_preadv(f, iov, PIECES, 3 * MIB), (ssize_t)total);
    uint64_t at = 3 * MIB;
    for (unsigned i = 0; i < PIECES; at += iov[i++].iov_len)
        cr_expect_eq(pattern_check(iov[i].iov_base, iov[i].iov_len, at), iov[i].iov_len);
    cr_assert_eq(gzc_pwritev(f, iov, PIECES, 6 * MIB), (ssize_t)total);
    unsigned char *back = malloc(total);
    cr_assert_eq(gzc_pread(f, back, total, 6 * MIB), (ssize_t)total);
    cr_expect_eq(pattern_check(back, total, 3 * MIB), total);
    for (unsigned i = 0; i < PIECES; i++)
        free(iov[i].iov_base);
    free(back);
    free(heap);
    struct gzc_stats stats;
    gzc_volume_stats(v, &stats, sizeof(stats));
    cr_expect_eq(stats.bytes_staged, 0);
    end(v, f);
}

/* The registration names the old pages: each way to put others at the address must be noticed, or
 * the data lands where the program does not see it. */
Test(volume, memory_that_is_remapped_between_reads)
{
    enum { ROUNDS = 60, SIZE = 256 * KIB };
    gzc_file *f;
    gzc_volume *v = begin("", &f);
    unsigned char *p = map(NULL, SIZE, 0), *q = map(NULL, SIZE, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        off_t offset = (off_t)(i * 4099);
        expect_read(f, p, SIZE, offset);
        switch (i % 5) {
        case 0:
            munmap(p, SIZE);
            cr_assert_eq(map(p, SIZE, MAP_FIXED_NOREPLACE), p);
            break;
        case 1:
            map(p, SIZE, MAP_FIXED);
            break;
        case 2:
            cr_assert_eq(madvise(p, SIZE, MADV_DONTNEED), 0);
            break;
        case 3: /* other memory moves to where this was */
            cr_assert_eq(mremap(q, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, p), p);
            q = map(NULL, SIZE, 0);
            break;
        case 4: /* a part of it */
            map(p + SIZE / 2, 4 * KIB, MAP_FIXED);
            break;
        }
        expect_read(f, p, SIZE, offset + 1);
    }
    munmap(p, SIZE);
    munmap(q, SIZE);
    end(v, f);
}

static size_t pinned_kib(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[128];
    size_t kib = SIZE_MAX;
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f))
        sscanf(line, "VmPin: %zu", &kib);
    fclose(f);
    return kib;
}

/* Unmapped memory is given back to the system, also if the volume has nothing to do: asleep in its
 * thread, or in an event loop of the program's. */
Test(volume, memory_that_is_unmapped_while_nothing_is_done)
{
    gzc_file *f;
    gzc_volume *v = begin("", &f);
    unsigned char small[512];
    expect_read(f, small, sizeof(small), 0); /* what begin() has unmapped is deregistered */
    size_t before = pinned_kib();
    for (int threaded = 0; threaded < 2; threaded++) {
        unsigned char *p = map(NULL, 4 * MIB, 0);
        expect_read(f, p, 4 * MIB, 0);
        cr_assert_geq(pinned_kib(), before + 4 * KIB);
        cr_assert_eq(threaded ? gzc_thread_start(v) : 0, 0);
        struct pollfd fd = {.fd = gzc_fd(v), .events = POLLIN};
        uint64_t until = clock_now() + 20 * NSEC_PER_SEC;
        munmap(p, 4 * MIB);
        while (pinned_kib() > before && clock_now() < until) {
            if (threaded)
                sched_yield();
            else if (poll(&fd, 1, 100) == 1)
                gzc_poll(v, 0, 0);
        }
        cr_expect_leq(pinned_kib(), before, "threaded %d: %zu KiB", threaded,
                      pinned_kib() - before);
        cr_assert_eq(threaded ? gzc_thread_stop(v) : 0, 0);
    }
    end(v, f);
}

/* What malloc() gives back and takes again is not registered each time; more than the cache may
 * keep is, and old registrations go. */
Test(volume, the_cache_has_a_limit)
{
    enum { BUFFERS = 16, SIZE = 256 * KIB };
    gzc_file *f;
    struct gzc_stats a, b;
    unsigned char *buffers[BUFFERS];
    gzc_volume *v = begin("?rdma_cache_mb=1", &f);
    for (unsigned i = 0; i < BUFFERS; i++) {
        buffers[i] = map(NULL, SIZE, 0);
        map(NULL, 4 * KIB, 0); /* keeps neighbours apart */
    }
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < BUFFERS; i++)
            expect_read(f, buffers[i], SIZE, (off_t)i * 1000);
    gzc_volume_stats(v, &a, sizeof(a));
    cr_expect_geq(a.registrations, 3 * BUFFERS, "%lu", a.registrations);
    for (unsigned round = 0; round < 10; round++)
        for (unsigned i = BUFFERS - 2; i < BUFFERS; i++)
            expect_read(f, buffers[i], SIZE, (off_t)i * 1000);
    gzc_volume_stats(v, &b, sizeof(b));
    cr_expect_eq(b.registrations, a.registrations);
    for (unsigned i = 0; i < BUFFERS; i++)
        munmap(buffers[i], SIZE);
    end(v, f);
}

Test(volume, registered_memory)
{
    gzc_file *f;
    struct gzc_stats a, b;
    gzc_volume *v = begin("?rdma_cache_mb=0", &f);
    unsigned char *p = map(NULL, MIB, 0);
    gzc_volume_stats(v, &a, sizeof(a));
    expect_read(f, p, MIB, 0);
    gzc_volume_stats(v, &b, sizeof(b));
    cr_expect_eq(b.registrations - a.registrations, 1, "without a cache, one for each read");
    cr_assert_eq(gzc_register(v, p, MIB), 0, "%s", volume_text(v));
    cr_expect_eq(gzc_register(v, p + 5, 5), 0, "%s", volume_text(v));
    cr_expect_eq(gzc_unregister(v, p + 5, 5), 0);
    gzc_volume_stats(v, &a, sizeof(a));
    for (unsigned i = 0; i < 10; i++)
        expect_read(f, p + i * 7, MIB - 1000, i * 1000);
    gzc_volume_stats(v, &b, sizeof(b));
    cr_expect_eq(b.registrations, a.registrations);
    cr_expect_eq(gzc_unregister(v, p, MIB - 1), -ENOENT);
    cr_expect_eq(gzc_unregister(v, p, MIB), 0);
    cr_expect_eq(gzc_unregister(v, p, MIB), -ENOENT);
    munmap(p, MIB);
    cr_expect_eq(gzc_register(v, p, MIB), -EFAULT);
    end(v, f);
}

/* Linux bounds what a user may pin; the text says what to do. */
Test(volume, the_limit_on_locked_memory)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    struct rlimit limit = {512 * KIB, 512 * KIB};
    gateway_start(&gateway, NULL);
    cr_assert_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    data[0].permitted &= ~(1u << CAP_IPC_LOCK);
    cr_assert_eq(syscall(SYS_capset, &header, data), 0);
    cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);

    gzc_volume *v = mount_by_rdma("");
    gzc_file *f = open_file(v, own_path("volume"), O_RDWR | O_CREAT);
    unsigned char *p = map(NULL, 16 * MIB, 0);
    char text[512];
    pattern_fill(p, 16 * MIB, 0);
    cr_expect_eq(gzc_pwrite(f, p, 8 * MIB, 0), -ENOMEM);
    gzc_file_error(f, text, sizeof(text));
    cr_expect(strstr(text, "524288 bytes") && strstr(text, "ulimit -l"), "%s", text);
    /* The connection has not suffered; what was registered makes room for what is wanted now. */
    for (unsigned i = 0; i < 64; i++)
        cr_assert_eq(gzc_pwrite(f, p + i * 128 * KIB, 128 * KIB, (off_t)(i * 128 * KIB)),
                     128 * KIB);
    cr_expect_eq(gzc_register(v, p, MIB), -ENOMEM);
    cr_expect(strstr(volume_text(v), "ulimit -l"), "%s", volume_text(v));
    munmap(p, 16 * MIB);
    end(v, f);
}

/* ---- what a user is told --------------------------------------------------------------------- */

static void expect_no_mount(const char *uri, int error, const char *text)
{
    gzc_volume *v;
    int rc = gzc_mount(uri, &v);
    cr_expect_eq(rc, error, "%s: %d %s", uri, rc, volume_text(v));
    cr_expect(strstr(volume_text(v), text), "%s: %s", uri, volume_text(v));
    gzc_unmount(v);
}

Test(volume, errors_of_mounting)
{
    char uri[1024];
    const char *ip = getenv("RDMA_IP");
    snprintf(uri, sizeof(uri), "gluster+brick+rdma://%s:24009/b", ip);
    expect_no_mount(uri, -ECONNREFUSED, "no RDMA gateway listens there");
    expect_no_mount("gluster+brick+rdma://203.0.113.1/b", -EHOSTUNREACH, "no RDMA device reaches");
    gateway_start(&gateway, NULL);
    snprintf(uri, sizeof(uri), "gluster+brick+rdma://%s/no/such/brick", ip);
    expect_no_mount(uri, -ENOTCONN, "/no/such/brick");
    gateway_stop(&gateway);
    const char *nobody[] = {"--allow", "203.0.113.1", NULL};
    gateway_start(&gateway, nobody);
    snprintf(uri, sizeof(uri), "gluster+brick+rdma://%s/b", ip);
    expect_no_mount(uri, -EACCES, "the RDMA gateway refuses");
    gateway_stop(&gateway);
}

/* Libraries of RDMA's cannot be used on after a fork; that is said, rather than found out. */
Test(volume, a_forked_process_is_told)
{
    gateway_start(&gateway, NULL);
    gzc_volume *v = mount_by_rdma("");
    pid_t child = fork();
    if (child == 0) {
        gzc_volume *w;
        char text[256];
        int rc = gzc_mount("gluster+brick+rdma://192.0.2.1/b", &w);
        gzc_error(w, text, sizeof(text));
        _exit(rc == -ENOTSUP && strstr(text, "forked") ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    gzc_unmount(v);
    gateway_stop(&gateway);
}

/* ---- calls that are taken back --------------------------------------------------------------- */

struct outcome {
    bool done;
    ssize_t result;
    char error[256];
};

static void note(void *arg, ssize_t result, const char *error)
{
    struct outcome *o = arg;
    o->done = true;
    o->result = result;
    snprintf(o->error, sizeof(o->error), "%s", error);
}

static void await(gzc_volume *v, const struct outcome *o)
{
    while (!o->done)
        gzc_poll(v, 0, 1000);
}

/* Returns when it has stopped: all its threads. */
static void stop_process(pid_t pid)
{
    char path[64], line[512];
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    for (const char *state = ""; strncmp(state, ") T", 3) != 0;) {
        FILE *stat = fopen(path, "re");
        cr_assert(stat && fgets(line, sizeof(line), stat));
        fclose(stat);
        state = strrchr(line, ')');
        cr_assert_not_null(state);
    }
}

/* A read of 64 KiB while `stopped` is, with a deadline that passes; then it goes on, and what it
 * still has in hand for that call must not show in the memory. */
static void read_in_vain(gzc_volume *v, gzc_file *f, pid_t stopped)
{
    enum { SIZE = 64 * KIB };
    unsigned char *p = map(NULL, SIZE, 0);
    expect_read(f, p, SIZE, 0);
    struct outcome o = {0};
    struct gzc_async how = {.done = note, .arg = &o, .timeout_ns = 200000000};
    stop_process(stopped);
    cr_assert_gt(gzc_pread_async(f, p, SIZE, 0, &how), 0);
    await(v, &o);
    cr_expect_eq(o.result, -ETIMEDOUT, "%zd %s", o.result, o.error);
    memset(p, 0xee, SIZE);
    cr_assert_eq(kill(stopped, SIGCONT), 0);
    unsigned char other[512];
    for (unsigned i = 0; i < 20; i++)
        expect_read(f, other, sizeof(other), (off_t)i * 4096);
    for (unsigned i = 0; i < SIZE; i++)
        cr_assert_eq(p[i], 0xee, "byte %u was written after the read had ended", i);
    munmap(p, SIZE);
}

static uint64_t clients_accepted(void)
{
    return gateway_stat(&gateway, "clients_accepted");
}

/* The gateway lets go at once, so the connection stays, trusted or not. */
Test(volume, a_deadline_while_the_brick_sleeps)
{
    static const char *const options[] = {"", "?rdma_trust=1"};
    pid_t brick = (pid_t)atoi(getenv("LAB_BRICK_PID"));
    for (unsigned i = 0; i < 2; i++) {
        gzc_file *f;
        gzc_volume *v = begin(options[i], &f);
        uint64_t before = clients_accepted();
        for (unsigned round = 0; round < 3; round++)
            read_in_vain(v, f, brick);
        /* The answer to CANCEL may come too late for the few milliseconds there are: in emulation.
         */
        cr_expect_lt(clients_accepted() - before, 3, "the connection has been made anew each time");
        end(v, f);
    }
}

/* The gateway does not answer. When it wakes up it serves what it has received: its write hits a
 * window that is no more, or a queue pair that is gone; and the client connects again. */
Test(volume, a_deadline_while_the_gateway_sleeps)
{
    static const char *const options[] = {"", "?rdma_trust=1"};
    for (unsigned i = 0; i < 2; i++) {
        gzc_file *f;
        gzc_volume *v = begin(options[i], &f);
        for (unsigned round = 0; round < 3; round++)
            read_in_vain(v, f, gateway.pid);
        end(v, f);
    }
}

/* A gateway that is gone and comes back: the next read finds it. */
Test(volume, a_gateway_that_is_restarted)
{
    gzc_file *f;
    gzc_volume *v = begin("", &f);
    unsigned char p[5000];
    expect_read(f, p, sizeof(p), 0);
    gateway_stop(&gateway);
    gateway_start(&gateway, NULL);
    expect_read(f, p, sizeof(p), 77);
    kill(gateway.pid, SIGKILL);
    waitpid(gateway.pid, NULL, 0);
    gateway_start(&gateway, NULL);
    expect_read(f, p, sizeof(p), 99);
    end(v, f);
}
