/*
 * The system calls of a polled read, all of them, as the kernel sees them: a child reads, and is
 * traced. What it makes between two marks is counted by what it is for.
 */
#include "tests/guest/gateway_client.h"
#include "tests/lab/volume.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum {
    READS = 16,
    ROUNDS = 6,
    SMALL = 4096,
    LARGE = 1 << 20,
    PIECES_MOST = 4,
    MARK = 1000000, /* the number of no system call */
};

struct counts {
    unsigned doorbells; /* rdma_rxe learns of a post by a write to its device; others do not */
    unsigned watches;   /* watch_settled() */
    unsigned others;
    int64_t last_other; /* number of one */
};

static struct gateway_process gateway;

TestSuite(syscalls, .timeout = 200);

/* ---- the child ------------------------------------------------------------------------------- */

struct reading {
    const char *options;
    bool registered;
    int pieces;
    size_t size; /* of a piece */
};

static void must(bool what, const char *name, gzc_volume *v)
{
    if (what)
        return;
    fprintf(stderr, "%s: %s\n", name, v ? volume_text(v) : strerror(errno));
    _exit(1);
}

/* Rounds of reads, each between two marks. */
static void read_traced(const struct reading *reading)
{
    char uri[1024];
    gzc_volume *v = NULL;
    gzc_file *f = NULL;
    struct iovec iov[PIECES_MOST];
    size_t size = reading->size, bytes = (size_t)reading->pieces * size;
    must(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0, "ptrace", NULL);
    raise(SIGSTOP);
    snprintf(uri, sizeof(uri), "gluster+brick+rdma://%s%s?busy_poll_us=1000000&ping_timeout=0%s",
             getenv("RDMA_IP"), getenv("LAB_BRICK_PATH"), reading->options);
    must(gzc_mount(uri, &v) == 0, "mount", v);
    must(gzc_open(v, "/syscalls", O_RDWR | O_CREAT, 0644, &f) == 0, "open", v);
    /* each piece with as much that is not read to behind it, so that they do not touch */
    unsigned char *memory = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    must(memory != MAP_FAILED, "mmap", NULL);
    for (int i = 0; i < reading->pieces; i++)
        iov[i] = (struct iovec){memory + (size_t)i * 2 * size, size};
    must(gzc_pwritev(f, iov, reading->pieces, 0) == (ssize_t)bytes, "write", v);
    must(!reading->registered || gzc_register(v, memory, 2 * bytes) == 0, "register", v);
    for (int round = 0; round <= ROUNDS; round++) { /* the first to warm up */
        syscall(MARK, round);
        for (int i = 0; i < READS; i++)
            must(gzc_preadv(f, iov, reading->pieces, 0) == (ssize_t)bytes, "read", v);
        syscall(MARK, round);
    }
    must(gzc_close(f) == 0 && gzc_unlink(v, "/syscalls") == 0 && gzc_unmount(v) == 0, "end", NULL);
    _exit(0);
}

/* ---- the tracer ------------------------------------------------------------------------------ */

static void count(struct counts *counts, pid_t pid, const struct __ptrace_syscall_info *info)
{
    char path[64], target[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, (int)info->entry.args[0]);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    bool device = n > 0 && strncmp(target, "/dev/infiniband/uverbs", 22) == 0;
    if (info->entry.nr == SYS_write && device) {
        counts->doorbells++;
    } else if (info->entry.nr == SYS_ioctl && n > 0 && strstr(target, "[userfaultfd]")) {
        counts->watches++;
    } else {
        counts->others++;
        counts->last_other = (int64_t)info->entry.nr;
    }
}

/* Waits for a stop of the child's or of a thread of its, and says what it is. */
static pid_t next_stop(int *status)
{
    pid_t pid = waitpid(-1, status, __WALL);
    cr_assert_gt(pid, 0);
    cr_assert_neq(pid, gateway.pid, "the gateway has ended");
    return pid;
}

/* The counts of each round. */
static void trace(pid_t child, struct counts rounds[ROUNDS + 1])
{
    int status, marks = 0;
    struct __ptrace_syscall_info info;
    cr_assert_eq(waitpid(child, &status, __WALL), child);
    cr_assert(WIFSTOPPED(status));
    cr_assert_eq(ptrace(PTRACE_SETOPTIONS, child, NULL,
                        PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL),
                 0);
    memset(rounds, 0, (ROUNDS + 1) * sizeof(*rounds));
    pid_t pid = child;
    for (int signal = 0;;) {
        ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal);
        pid = next_stop(&status);
        signal = 0;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == child)
                break;
        } else if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            cr_assert_gt(ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info), 0);
            if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
                continue;
            if (info.entry.nr == MARK)
                marks++;
            else if (marks % 2)
                count(&rounds[marks / 2], pid, &info);
        } else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP) {
            signal = WSTOPSIG(status);
        }
    }
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %#x", status);
    cr_assert_eq(marks, 2 * (ROUNDS + 1));
}

/* In emulation a reply may take so long that the client sleeps for it: so it is the best of several
 * rounds that counts. What a read cannot do without is in each. */
static void expect(const struct reading *reading, unsigned doorbells, unsigned watches)
{
    struct counts rounds[ROUNDS + 1], best;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        read_traced(reading);
    trace(child, rounds);
    best = rounds[1];
    for (int i = 2; i <= ROUNDS; i++)
        if (rounds[i].others < best.others)
            best = rounds[i];
    fprintf(stderr,
            "# '%s', %s, %d of %zu bytes: %.3f doorbells, %.3f watches, %.3f others in a read\n",
            reading->options, reading->registered ? "registered" : "cached", reading->pieces,
            reading->size, (double)best.doorbells / READS, (double)best.watches / READS,
            (double)best.others / READS);
    cr_expect_eq(best.others, 0, "%u others, of which system call %ld", best.others,
                 (long)best.last_other);
    cr_expect_eq(best.doorbells, doorbells * READS, "%u doorbells", best.doorbells);
    cr_expect_eq(best.watches, watches * READS, "%u watches", best.watches);
}

/* The goal: none but what tells the software device of a post. */
Test(syscalls, none_with_registered_memory)
{
    gateway_start(&gateway, NULL);
    expect(&(struct reading){"", true, 1, SMALL}, 2, 0);
    expect(&(struct reading){"", true, PIECES_MOST, SMALL}, 2, 0);
    expect(&(struct reading){"", true, 1, LARGE}, 2, 0);
    expect(&(struct reading){"&rdma_trust=1", true, 1, SMALL}, 1, 0);
    expect(&(struct reading){"&rdma_trust=1", true, 1, LARGE}, 1, 0);
    gateway_stop(&gateway);
}

/* That nothing has happened to memory in the cache is asked for each piece. */
Test(syscalls, one_for_each_piece_in_the_cache)
{
    gateway_start(&gateway, NULL);
    expect(&(struct reading){"", false, 1, SMALL}, 2, 1);
    expect(&(struct reading){"", false, PIECES_MOST, SMALL}, 2, PIECES_MOST);
    expect(&(struct reading){"", false, 1, LARGE}, 2, 1);
    expect(&(struct reading){"&rdma_trust=1", false, 1, SMALL}, 1, 1);
    expect(&(struct reading){"&rdma_trust=1", false, 1, LARGE}, 1, 1);
    gateway_stop(&gateway);
}
