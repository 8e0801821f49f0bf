/* Word of unmapped memory: what is told of, when, and what the watcher leaves behind. */
#include "transport/rdma/watch.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef ROUNDS
#define ROUNDS 10000
#endif

enum { PAGE = 4096, PAGES = 16, SIZE = PAGES * PAGE };

struct subject {
    struct watch_user user; /* first */
    unsigned told;          /* calls of stale() */
    struct watch w;
};

static struct subject s;
static struct errtext why;

static void stale(struct watch_user *user, struct watch *watch)
{
    struct subject *subject = (struct subject *)user;

    cr_assert_not(watch->live);
    cr_assert_eq(pthread_mutex_trylock(&user->lock), EBUSY);
    subject->told++;
}

static void begin(struct subject *subject, unsigned most)
{
    *subject = (struct subject){.user = {.stale = stale}};
    pthread_mutex_init(&subject->user.lock, NULL);
    cr_assert_eq(watch_open(&subject->user, most, &why), 0, "%s", why.text);
}

static void setup(void)
{
    begin(&s, 64);
}

TestSuite(watch, .init = setup, .timeout = 60);

static char *map(size_t size)
{
    char *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    cr_assert_neq(p, MAP_FAILED);
    return p;
}

static int add(struct subject *subject, struct watch *w, const void *at, size_t size)
{
    return watch_add(w, &subject->user, (uintptr_t)at, (uintptr_t)at + size);
}

static void watch_for(struct subject *subject, struct watch *w, const void *at, size_t size)
{
    int rc;

    while ((rc = add(subject, w, at, size)) == -EAGAIN) /* another thread unmaps */
        sched_yield();
    cr_assert_eq(rc, 0, "%s", strerror(-rc));
}

static void watch(const void *at, size_t size)
{
    int rc = add(&s, &s.w, at, size);

    cr_assert_eq(rc, 0, "%s", strerror(-rc));
}

static bool is_live(struct subject *subject)
{
    pthread_mutex_lock(&subject->user.lock);
    bool live = subject->w.live;
    pthread_mutex_unlock(&subject->user.lock);
    return live;
}

/* Whether another userfaultfd can have the range, which it cannot while it is registered. */
static bool is_free(const void *at, size_t size)
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
    return err == 0;
}

/* ---- what is told of ------------------------------------------------------------------------- */

static void expect_told(const char *what)
{
    cr_assert_not(is_live(&s), "%s was not told of", what);
    cr_assert_eq(s.told, 1, "%s: %u times", what, s.told);
    watch_remove(&s.w);
    s.told = 0;
}

Test(watch, unmapping)
{
    static const struct {
        const char *what;
        int before, watched, from, pages; /* watched pages, unmapped pages */
    } cases[] = {
        {"all of it", 4, 8, 4, 8},      {"its first page", 4, 8, 4, 1},
        {"its last page", 4, 8, 11, 1}, {"its middle", 4, 8, 7, 2},
        {"over its start", 4, 8, 2, 4}, {"over its end", 4, 8, 10, 4},
        {"more than all", 4, 8, 0, 16},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *p = map(SIZE);
        watch(p + cases[i].before * PAGE, (size_t)cases[i].watched * PAGE);
        munmap(p + cases[i].from * PAGE, (size_t)cases[i].pages * PAGE);
        expect_told(cases[i].what);
        munmap(p, SIZE);
    }
}

Test(watch, mapping_over_it)
{
    char *p = map(SIZE);

    watch(p, SIZE);
    cr_assert_neq(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                  MAP_FAILED);
    expect_told("MAP_FIXED");
}

Test(watch, remapping)
{
    char *p = map(SIZE), *to = map(2 * SIZE), *next;

    watch(p, SIZE);
    next = mremap(p, SIZE, 2 * SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    cr_assert_eq(next, to);
    pthread_mutex_lock(&s.user.lock);
    cr_assert_not(s.w.live);
    pthread_mutex_unlock(&s.user.lock);
    expect_told("mremap elsewhere");
    cr_assert(is_free(to, SIZE), "what was moved is still registered where it is now");

    watch(to, SIZE);
    cr_assert_neq(mremap(to + SIZE - 2 * PAGE, 2 * PAGE, PAGE, 0), MAP_FAILED);
    expect_told("mremap to a smaller size");

    watch(to, SIZE - PAGE);
    next = mremap(to, SIZE - PAGE, SIZE - PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    cr_assert_neq(next, MAP_FAILED);
    expect_told("mremap with DONTUNMAP");
    cr_assert(is_free(to, SIZE - PAGE) && is_free(next, SIZE - PAGE));
}

Test(watch, discarding)
{
    char *p = map(SIZE);
    static const int advices[] = {MADV_DONTNEED, MADV_FREE};

    for (int i = 0; i < 2; i++) {
        watch(p, SIZE);
        cr_assert_eq(madvise(p + 3 * PAGE, PAGE, advices[i]), 0);
        expect_told(i ? "MADV_FREE" : "MADV_DONTNEED");
        cr_assert(is_free(p, SIZE));
    }
}

Test(watch, shrinking_the_heap)
{
    char *end = sbrk(0), *start = end + (-(uintptr_t)end % PAGE);

    cr_assert_eq(brk(start + SIZE), 0);
    memset(start, 1, SIZE);
    watch(start, SIZE);
    cr_assert_eq(brk(start + PAGE), 0);
    expect_told("brk");
}

Test(watch, nothing_is_told_of_what_changes_no_pages)
{
    char *p = map(SIZE);

    watch(p + PAGE, 4 * PAGE);
    munmap(p, PAGE);
    munmap(p + 5 * PAGE, SIZE - 5 * PAGE);
    cr_assert_eq(mprotect(p + PAGE, 4 * PAGE, PROT_NONE), 0);
    cr_assert_eq(mprotect(p + PAGE, 4 * PAGE, PROT_READ | PROT_WRITE), 0);
    cr_assert_eq(madvise(p + PAGE, 4 * PAGE, MADV_PAGEOUT), 0);
    memset(p + PAGE, 2, 4 * PAGE);
    cr_assert(is_live(&s));
    cr_assert_eq(s.told, 0);
}

/* ---- what is left registered ----------------------------------------------------------------- */

Test(watch, a_removed_watch_leaves_nothing)
{
    char *p = map(SIZE);
    struct watch other, third;

    watch(p, 8 * PAGE);
    cr_assert_eq(add(&s, &other, p + 4 * PAGE, 8 * PAGE), 0);
    cr_assert_eq(add(&s, &third, p + 5 * PAGE, PAGE), 0);
    watch_remove(&s.w);
    cr_assert(is_free(p, 4 * PAGE));
    cr_assert_not(is_free(p + 4 * PAGE, PAGE));
    watch_remove(&other);
    cr_assert(is_free(p, 5 * PAGE));
    cr_assert_not(is_free(p + 5 * PAGE, PAGE));
    cr_assert(is_free(p + 6 * PAGE, SIZE - 6 * PAGE));
    watch_remove(&third);
    cr_assert(is_free(p, SIZE));
    munmap(p, SIZE);
    cr_assert_eq(s.told, 0);
}

Test(watch, what_is_told_of_leaves_nothing)
{
    char *p = map(SIZE);
    struct watch other;

    watch(p, 8 * PAGE);
    cr_assert_eq(add(&s, &other, p, 2 * PAGE), 0);
    munmap(p + 4 * PAGE, PAGE);
    cr_assert_not(is_live(&s));
    cr_assert_not(is_free(p, 2 * PAGE), "another watch's memory is not watched any more");
    cr_assert(is_free(p + 2 * PAGE, 2 * PAGE) && is_free(p + 5 * PAGE, SIZE - 5 * PAGE));
    munmap(p, PAGE);
    pthread_mutex_lock(&s.user.lock);
    cr_assert_not(other.live);
    pthread_mutex_unlock(&s.user.lock);
    cr_assert_eq(s.told, 2);
}

Test(watch, users_are_told_apart)
{
    struct subject other;
    char *p = map(SIZE);

    begin(&other, 1);
    watch(p, 2 * PAGE);
    cr_assert_eq(add(&other, &other.w, p + PAGE, 2 * PAGE), 0);
    munmap(p, PAGE);
    cr_assert(!is_live(&s) && is_live(&other));
    munmap(p + PAGE, PAGE);
    cr_assert_not(is_live(&other));
    cr_assert(s.told == 1 && other.told == 1);
    watch_close(&other.user);
}

/* A program that grows what is watched leaves more registered than anybody has asked for. A child
 * that still has the descriptor must not keep that so, with nobody to read its events. */
Test(watch, a_forked_child_keeps_nothing_alive)
{
    char *p = map(2 * SIZE);
    int fds[2], status;
    char byte;

    munmap(p + SIZE, SIZE);
    watch(p, SIZE);
    cr_assert_eq(mremap(p, SIZE, SIZE + PAGE, 0), p);
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        close(fds[1]);
        munmap(p, PAGE); /* nobody is told, and nobody needed */
        _exit(read(fds[0], &byte, 1) != 0);
    }
    cr_assert(is_live(&s), "a child's memory is its own");
    watch_remove(&s.w);
    watch_close(&s.user);
    munmap(p, SIZE + PAGE);
    close(fds[1]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

/* ---- what is not watched --------------------------------------------------------------------- */

Test(watch, only_private_memory)
{
    int file = open("/proc/self/exe", O_RDONLY), memory = memfd_create("watch", 0);
    char *hole = map(SIZE);
    struct {
        const char *what;
        char *at;
    } cases[] = {
        {"a file", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0)},
        {"a memfd", mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0)},
        {"a private memfd", mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, memory, 0)},
        {"shared memory",
         mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)},
        {"nothing", hole},
    };

    cr_assert_eq(ftruncate(memory, SIZE), 0);
    munmap(hole, SIZE);
    for (int touched = 0; touched < 2; touched++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
            cr_assert_neq(cases[i].at, MAP_FAILED);
            cr_assert_eq(add(&s, &s.w, cases[i].at, PAGE), -ENOTSUP, "%s", cases[i].what);
            cr_assert_not(s.w.live);
            if (i >= 1 && i <= 3) {
                cr_assert(is_free(cases[i].at, PAGE), "%s is left registered", cases[i].what);
                cases[i].at[0] = 1;
            }
        }
    }
}

Test(watch, memory_that_is_shared_in_part)
{
    char *p = map(3 * PAGE);

    cr_assert_neq(
        mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        MAP_FAILED);
    cr_assert_eq(add(&s, &s.w, p, 2 * PAGE), -ENOTSUP);
    cr_assert_eq(add(&s, &s.w, p + PAGE, 2 * PAGE), -ENOTSUP);
    cr_assert(is_free(p, 3 * PAGE));
}

Test(watch, what_another_userfaultfd_watches)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    char *p = map(SIZE);
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register request = {
        .range = {.start = (uintptr_t)p + PAGE, .len = PAGE},
        .mode = UFFDIO_REGISTER_MODE_MISSING,
    };

    cr_assert_eq(ioctl(fd, UFFDIO_API, &api), 0);
    cr_assert_eq(ioctl(fd, UFFDIO_REGISTER, &request), 0);
    cr_assert_eq(add(&s, &s.w, p, SIZE), -EBUSY);
    cr_assert_not(is_free(p + PAGE, PAGE), "the other has lost it");
    cr_assert(is_free(p, PAGE));
}

Test(watch, as_many_as_were_promised)
{
    struct watch w[65];
    char *p = map(65 * PAGE);

    for (int i = 0; i < 64; i++)
        cr_assert_eq(add(&s, &w[i], p + i * PAGE, PAGE), 0);
    cr_assert_eq(add(&s, &w[64], p + 64 * PAGE, PAGE), -ENOBUFS);
    watch_remove(&w[5]);
    cr_assert_eq(add(&s, &w[64], p + 64 * PAGE, PAGE), 0);
    munmap(p, 65 * PAGE);
    pthread_mutex_lock(&s.user.lock);
    cr_assert_eq(s.told, 64);
    pthread_mutex_unlock(&s.user.lock);
}

/* ---- in time --------------------------------------------------------------------------------- */

/* An address that is used again at once by who has unmapped it: what was there is never found. */
Test(watch, an_address_that_is_used_again)
{
    char *p = map(SIZE);

    for (int i = 0; i < ROUNDS; i++) {
        watch(p, SIZE);
        if (i % 3 == 0) {
            munmap(p, SIZE);
            cr_assert_eq(mmap(p, SIZE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
                         p);
        } else if (i % 3 == 1) {
            cr_assert_eq(mmap(p, SIZE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                         p);
        } else {
            cr_assert_eq(madvise(p, SIZE, MADV_DONTNEED), 0);
        }
        cr_assert_not(is_live(&s), "round %d", i);
        watch_remove(&s.w);
    }
}

/* As long as somebody has a user's lock, unmapping waits; and it is known that there is something
 * to be told. */
static void *unmap(void *p)
{
    munmap(p, SIZE);
    return NULL;
}

Test(watch, what_is_not_told_of_yet_is_known)
{
    char *p = map(SIZE);
    pthread_t thread;

    watch(p, SIZE);
    pthread_mutex_lock(&s.user.lock);
    cr_assert(watch_settled());
    cr_assert_eq(pthread_create(&thread, NULL, unmap, p), 0);
    while (watch_settled())
        sched_yield();
    cr_assert(s.w.live);
    pthread_mutex_unlock(&s.user.lock);
    pthread_join(thread, NULL);
    cr_assert(watch_settled());
    cr_assert_not(is_live(&s));
}

/* An address that another thread gets while who has unmapped it still waits to be heard. */
struct reuse {
    char *p;
    atomic_int round; /* begun by the thread that unmaps */
    pthread_barrier_t barrier;
};

static void *unmap_each_round(void *argument)
{
    struct reuse *r = argument;

    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&r->barrier);
        munmap(r->p, SIZE);
        pthread_barrier_wait(&r->barrier);
    }
    return NULL;
}

Test(watch, an_address_that_another_thread_gets)
{
    struct reuse r = {.p = map(SIZE)};
    pthread_t thread;
    int unsettled = 0;

    pthread_barrier_init(&r.barrier, NULL, 2);
    cr_assert_eq(pthread_create(&thread, NULL, unmap_each_round, &r), 0);
    for (int i = 0; i < ROUNDS; i++) {
        watch(r.p, SIZE);
        pthread_barrier_wait(&r.barrier);
        while (mmap(r.p, SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != r.p)
            ;
        pthread_mutex_lock(&s.user.lock);
        bool settled = watch_settled();
        cr_assert_not(settled && s.w.live, "round %d: what was there before is found", i);
        pthread_mutex_unlock(&s.user.lock);
        unsettled += !settled;
        pthread_barrier_wait(&r.barrier);
        watch_remove(&s.w);
    }
    pthread_join(thread, NULL);
    cr_log_info("%d of %d rounds were too early", unsettled, ROUNDS);
}

/* ---- many threads ---------------------------------------------------------------------------- */

/* Each with memory of its own, half of them with a user of its own; all contend for the watcher. */
struct worker {
    struct subject own, *subject;
    struct watch w[4];
    unsigned seed;
};

static void *work(void *argument)
{
    struct worker *me = argument;

    for (int i = 0; i < ROUNDS / 50; i++) {
        char *p = map(SIZE);
        int dead = rand_r(&me->seed) % 4, early = rand_r(&me->seed) % 2;
        char *at = p + 4 * dead * PAGE;
        for (int k = 0; k < 4; k++)
            watch_for(me->subject, &me->w[k], p + 4 * k * PAGE, 4 * PAGE);
        if (rand_r(&me->seed) % 2) /* a hole would be another thread's */
            cr_assert_eq(mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                         at);
        else
            cr_assert_eq(madvise(at, PAGE, MADV_DONTNEED), 0);
        pthread_mutex_lock(&me->subject->user.lock);
        for (int k = 0; k < 4; k++)
            cr_assert_eq(me->w[k].live, k != dead);
        pthread_mutex_unlock(&me->subject->user.lock);
        if (early)
            munmap(p, SIZE);
        for (int k = 0; k < 4; k++)
            watch_remove(&me->w[k]);
        if (!early)
            munmap(p, SIZE);
    }
    return NULL;
}

Test(watch, many_threads)
{
    enum { THREADS = 6 };
    static struct worker workers[THREADS];
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        workers[i].seed = (unsigned)i;
        workers[i].subject = i % 2 ? &s : &workers[i].own;
        if (i % 2 == 0)
            begin(&workers[i].own, 4);
        cr_assert_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i += 2)
        watch_close(&workers[i].own.user);
    char *p = map(SIZE);
    watch(p, SIZE);
    munmap(p, SIZE);
    cr_assert_not(is_live(&s));
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* The id of the watcher's thread, 0: none. */
static int watcher_thread(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    char path[300], name[32] = "";
    int id = 0;

    while (!id && (task = readdir(tasks))) {
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
        FILE *f = fopen(path, "r");
        if (f && fgets(name, sizeof(name), f) && !strcmp(name, "gzc-watch\n"))
            id = atoi(task->d_name);
        if (f)
            fclose(f);
    }
    closedir(tasks);
    return id;
}

/* A thread that has been joined is still listed for a moment, until the kernel has put it away. */
static bool watcher_thread_ends(void)
{
    for (time_t end = time(NULL) + 20; watcher_thread() && time(NULL) < end;)
        sched_yield();
    return !watcher_thread();
}

static unsigned long long blocked_signals(int thread)
{
    char path[64], line[128];
    unsigned long long blocked = 0;

    snprintf(path, sizeof(path), "/proc/self/task/%d/status", thread);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f))
        sscanf(line, "SigBlk: %llx", &blocked);
    fclose(f);
    return blocked;
}

Test(watch, the_thread_is_there_while_there_are_users)
{
    struct subject other;
    int thread = watcher_thread();

    cr_assert_neq(thread, 0);
    cr_assert(blocked_signals(thread) & 1u << (SIGINT - 1));
    cr_assert(blocked_signals(thread) & 1u << (SIGPROF - 1));
    begin(&other, 1);
    cr_assert_eq(watcher_thread(), thread);
    watch_close(&s.user);
    cr_assert_eq(watcher_thread(), thread);
    watch_close(&other.user);
    cr_assert(watcher_thread_ends());
    for (int i = 0; i < 100; i++) {
        char *p = map(SIZE);
        begin(&s, 1);
        watch(p, SIZE);
        munmap(p, SIZE);
        cr_assert_not(is_live(&s));
        watch_close(&s.user);
    }
    cr_assert(watcher_thread_ends());
}

static void forbid_userfaultfd(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(*code), .filter = code};

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(watch_refused, without_userfaultfd)
{
    forbid_userfaultfd();
    pthread_mutex_init(&s.user.lock, NULL);
    cr_assert_eq(watch_open(&s.user, 1, &why), -EPERM);
    cr_assert_str_eq(why.text, "userfaultfd, for word of unmapped memory: Operation not permitted");
    cr_assert_eq(watcher_thread(), 0);
}
