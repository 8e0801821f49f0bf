/*
 * The watcher. What it rests on, of Linux 5.18 and later:
 *
 *   operation                            event   told
 *   munmap, brk, MAP_FIXED over it,      UNMAP   when the pages are gone, and others may map there
 *     mremap to a smaller size
 *   mremap elsewhere                     REMAP   the same; UNMAP follows (not with DONTUNMAP)
 *   MADV_DONTNEED, MADV_FREE             REMOVE  before the pages go
 *
 * The calling thread puts the event into a queue, holding no lock of the kernel's, and waits until
 * somebody reads it; so when the call returns the event *is being* read or has been. An event has
 * the whole range of the call, which may be more or less than a watch's, and there is one even if
 * several watches are in it.
 *
 * 1. The thread that unmaps and goes on.
 *
 *      application                      watcher
 *      munmap()  ...... event ......>   poll() returns
 *        waits                          takes the users' locks
 *        returns  <.................    read()
 *      takes its lock: waits            marks what is stale
 *        goes on   <................    drops the locks
 *
 *    Since the locks are taken *before* the event is read, nobody who has seen the call return can
 *    still find as valid what it has made stale.
 *
 * 2. Another thread, to which the kernel gives the address in the meantime.
 *
 *      thread A                                 thread B
 *      munmap(X): the pages go
 *                                               mmap() returns X; there is no event yet
 *      puts the event into the queue
 *
 *    Nothing that B does makes the event be read. But in the same critical section of the kernel's
 *    in which the pages go, and which B's mmap() is behind, the userfaultfd is marked as changing,
 *    until A has gone on; while it is marked, every ioctl that changes pages ends with EAGAIN.
 *    watch_settled() asks by one that would end with EINVAL otherwise. Not marked, and the lock
 *    held: every event of before has been read, under the lock. (The mark is a counter since 5.15;
 *    a flag before, which one of two threads cleared for both.)
 *
 * 3. Discarding (REMOVE). Between the event and the pages' going the memory could be registered
 *    again: only for a transfer that is under way while its memory is being discarded, which no
 *    program may do.
 *
 * The ranges are registered for write-protection and never protected, so no page fault is ever
 * delivered. They must be private anonymous memory. Of files userfaultfd watches nothing. Shared
 * memory it does watch, but truncating its file, punching a hole (fallocate, MADV_REMOVE of another
 * process) and shmdt() come without an event; UFFDIO_CONTINUE, which only such memory takes, tells
 * which it is. Huge pages (hugetlb) would want ranges of whole ones; they are told by lacking
 * UFFDIO_ZEROPAGE. For either there is gzc_register().
 *
 * What else happens to memory, and why an address goes on to name its pinned pages:
 *   fork()                  pinned pages are copied for the child, the parent keeps them (5.12).
 *                           So ibv_fork_init(), which would hide memory from the child, is not
 *                           called. The child's mappings are not watched.
 *   MADV_FREE, reclaim,     a page that a device has a reference on is neither freed (5.18) nor
 *     PAGEOUT, COLD         swapped out
 *   migration, compaction,  that reference makes them fail; when it is pinned, a page is moved to
 *     NUMA balancing, KSM,  where it may stay
 *     collapsing to THP
 *   splitting of THP,       the pages stay
 *     mprotect
 *   mremap in place, stack  what is added is registered with userfaultfd too: its events are
 *     that grows            ignored
 *   process_madvise()       of other processes: nothing that discards; of this one: as madvise()
 * Not covered: MADV_GUARD_INSTALL (6.13) takes pages away without an event. Who puts guard pages
 * where data was read to, removes them and reads there again must do without the cache. So must a
 * program that has a userfaultfd of its own for the same memory: a range has one only.
 *
 * A forked child inherits the descriptor. As long as it has it, closing ours would leave ranges
 * registered that nobody reads the events of, so that unmapping them waits for ever. So ranges are
 * unregistered one by one, and the child closes it.
 *
 * Locks, in the order in which they are taken:
 *   life      opening and closing. The watcher takes it never: under it one may allocate
 *   members   the list of users
 *   a user's
 *   table     the watches
 */
#include "transport/rdma/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFD_FEATURE_EXACT_ADDRESS
#define UFFD_FEATURE_EXACT_ADDRESS (1 << 11)
#endif

/* Nothing is done with exact addresses: they are of 5.18. */
#define FEATURES                                                                                   \
    (UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE |             \
     UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_EXACT_ADDRESS)
#define STACK_BYTES (64u << 10)
#define EVENTS      16
#define TRIAL_MS    10000 /* for a thread to begin; reached only when something is wrong */

struct entry {
    uintptr_t start, end;
    struct watch *watch;
};

static struct {
    pthread_mutex_t life, members, table;
    struct watch_user *users;
    struct entry *entries;
    unsigned n, room, promised;
    int fd, stop; /* userfaultfd; eventfd that ends the thread */
    pthread_t thread;
    void *trial; /* a page, see try_out() */
    sem_t tried;
    size_t page;
} watcher = {
    .life = PTHREAD_MUTEX_INITIALIZER,
    .members = PTHREAD_MUTEX_INITIALIZER,
    .table = PTHREAD_MUTEX_INITIALIZER,
    .fd = -1,
    .stop = -1,
};

/* ---- the kernel's part ----------------------------------------------------------------------- */

bool watch_settled(void)
{
    struct uffdio_writeprotect nothing = {.range = {.len = 0}};
    return ioctl(watcher.fd, UFFDIO_WRITEPROTECT, &nothing) < 0 && errno == EINVAL;
}

static void unregister(uintptr_t start, uintptr_t end)
{
    struct uffdio_range range = {.start = start, .len = end - start};
    ioctl(watcher.fd, UFFDIO_UNREGISTER, &range); /* what is not mapped any more is no error */
}

/* @return 0, -ENOTSUP: shared memory, -EAGAIN: not to be found out now. */
static int check_private(uintptr_t page)
{
    struct uffdio_continue request = {
        .range = {.start = page, .len = watcher.page},
        .mode = UFFDIO_CONTINUE_MODE_DONTWAKE,
    };
    int err = ioctl(watcher.fd, UFFDIO_CONTINUE, &request) < 0 ? errno : 0;
    return err == EINVAL ? 0 : err == EAGAIN ? -EAGAIN : -ENOTSUP;
}

/* Unregisters those parts of a range that no watch is for. Under `table`. */
static void let_go(uintptr_t start, uintptr_t end)
{
    while (start < end) {
        uintptr_t covered = start, next = end;
        for (const struct entry *e = watcher.entries; e < watcher.entries + watcher.n; e++) {
            if (e->start <= start && e->end > covered)
                covered = e->end;
            else if (e->start > start && e->start < next)
                next = e->start;
        }
        if (covered == start)
            unregister(start, next);
        start = covered > start ? covered : next;
    }
}

/* ---- watches --------------------------------------------------------------------------------- */

/* Under `table`. */
static void take_out(unsigned i)
{
    watcher.entries[i].watch->live = false;
    watcher.entries[i] = watcher.entries[--watcher.n];
    if (i < watcher.n)
        watcher.entries[i].watch->entry = i;
}

/* Under `table`. @return 0 or -errno. */
static int put_in(struct watch *w)
{
    struct uffdio_register request = {
        .range = {.start = w->start, .len = w->end - w->start},
        .mode = UFFDIO_REGISTER_MODE_WP,
    };
    if (watcher.n == watcher.room)
        return -ENOBUFS;
    if (ioctl(watcher.fd, UFFDIO_REGISTER, &request) < 0) {
        int err = errno;
        if (err == ENOMEM) /* may have come half-way; the others come before anything is done */
            let_go(w->start, w->end);
        return err == ENOMEM || err == EBUSY ? -err : -ENOTSUP;
    }
    int rc = request.ioctls & (UINT64_C(1) << _UFFDIO_ZEROPAGE) ? 0 : -ENOTSUP;
    rc = rc ? rc : check_private(w->start);
    rc = rc ? rc : check_private(w->end - watcher.page);
    if (rc < 0) {
        let_go(w->start, w->end);
        return rc;
    }
    w->entry = watcher.n;
    w->live = true;
    watcher.entries[watcher.n++] = (struct entry){w->start, w->end, w};
    return 0;
}

int watch_add(struct watch *w, struct watch_user *user, uintptr_t start, uintptr_t end)
{
    *w = (struct watch){.user = user, .start = start, .end = end};
    pthread_mutex_lock(&watcher.table);
    int rc = put_in(w);
    pthread_mutex_unlock(&watcher.table);
    return rc;
}

void watch_remove(struct watch *w)
{
    pthread_mutex_lock(&watcher.table);
    if (w->live) {
        take_out(w->entry);
        let_go(w->start, w->end);
    }
    pthread_mutex_unlock(&watcher.table);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* All watches that touch the range are over. What is `gone` has lost its registration with its
 * mapping. Under all locks but `life`. */
static void end_watches(uintptr_t start, uintptr_t end, bool gone)
{
    for (unsigned i = 0; i < watcher.n;) {
        struct entry e = watcher.entries[i];
        if (e.start >= end || e.end <= start) {
            i++;
            continue;
        }
        take_out(i);
        e.watch->user->stale(e.watch->user, e.watch);
        if (!gone) {
            let_go(e.start, e.end);
            continue;
        }
        if (e.start < start)
            let_go(e.start, start);
        if (e.end > end)
            let_go(end, e.end);
    }
}

static void handle(const struct uffd_msg *event)
{
    uintptr_t from = event->arg.remap.from, length = event->arg.remap.len;
    switch (event->event) {
    case UFFD_EVENT_UNMAP:
        end_watches(event->arg.remove.start, event->arg.remove.end, true);
        break;
    case UFFD_EVENT_REMOVE:
        end_watches(event->arg.remove.start, event->arg.remove.end, false);
        break;
    case UFFD_EVENT_REMAP: /* the registration has moved, or with DONTUNMAP has been doubled */
        end_watches(from, from + length, false);
        let_go(event->arg.remap.to, event->arg.remap.to + length);
        break;
    default:
        break;
    }
}

/* With the locks of all users: only what is read tells whose an event is, and then it is late. */
static void take_events(void)
{
    struct uffd_msg events[EVENTS];
    pthread_mutex_lock(&watcher.members);
    for (struct watch_user *u = watcher.users; u; u = u->next)
        pthread_mutex_lock(&u->lock);
    pthread_mutex_lock(&watcher.table);
    ssize_t bytes = read(watcher.fd, events, sizeof(events));
    for (ssize_t i = 0; i < bytes / (ssize_t)sizeof(*events); i++)
        handle(&events[i]);
    pthread_mutex_unlock(&watcher.table);
    for (struct watch_user *u = watcher.users; u; u = u->next)
        pthread_mutex_unlock(&u->lock);
    pthread_mutex_unlock(&watcher.members);
}

/* It allocates and frees nothing: that could wait for itself. */
static void *watcher_main(void *unused)
{
    (void)unused;
    struct pollfd fds[] = {{watcher.stop, POLLIN, 0}, {watcher.fd, POLLIN, 0}};
    munmap(watcher.trial, watcher.page);
    sem_post(&watcher.tried);
    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        take_events();
    }
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* In a forked child: watch.c's beginning. */
static void forget_in_child(void)
{
    if (watcher.fd >= 0)
        close(watcher.fd);
    watcher.fd = -1;
}

static void hook_fork(void)
{
    watcher.page = (size_t)sysconf(_SC_PAGESIZE);
    pthread_atfork(NULL, NULL, forget_in_child);
}

static int start_thread(void)
{
    pthread_attr_t attr;
    sigset_t all, before;
    size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, least > STACK_BYTES ? least : STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&watcher.thread, &attr, watcher_main, NULL);
    if (err == EINVAL) /* thread-local variables of the program's that want more */
        err = pthread_create(&watcher.thread, NULL, watcher_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (err == 0)
        pthread_setname_np(watcher.thread, "gzc-watch");
    return -err;
}

/* Does this kernel do what all rests on? The thread begins by unmapping a watched page, which is to
 * be held up, announced by poll(), and marked as a change until it has been read. */
static bool try_out(void)
{
    struct uffd_msg event;
    struct pollfd fd = {watcher.fd, POLLIN, 0};
    return poll(&fd, 1, TRIAL_MS) == 1 && !watch_settled() &&
           read(watcher.fd, &event, sizeof(event)) == sizeof(event) &&
           event.event == UFFD_EVENT_UNMAP && event.arg.remove.start == (uintptr_t)watcher.trial;
}

static void end_thread(void)
{
    uint64_t one = 1;
    while (write(watcher.stop, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static void close_all(void)
{
    if (watcher.fd >= 0)
        close(watcher.fd);
    if (watcher.stop >= 0)
        close(watcher.stop);
    watcher.fd = watcher.stop = -1;
}

static int open_kernel(void)
{
    struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};
    sem_init(&watcher.tried, 0, 0);
    watcher.stop = eventfd(0, EFD_CLOEXEC);
    watcher.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (watcher.stop < 0 || watcher.fd < 0)
        return -errno;
    if (ioctl(watcher.fd, UFFDIO_API, &api) < 0 || !watch_settled())
        return -ENOTSUP;
    watcher.trial = mmap(NULL, watcher.page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (watcher.trial == MAP_FAILED)
        return -ENOMEM;
    struct uffdio_register request = {
        .range = {.start = (uintptr_t)watcher.trial, .len = watcher.page},
        .mode = UFFDIO_REGISTER_MODE_WP,
    };
    int rc = ioctl(watcher.fd, UFFDIO_REGISTER, &request) < 0 ? -ENOTSUP : start_thread();
    if (rc < 0)
        munmap(watcher.trial, watcher.page);
    return rc;
}

/* Under `life`. */
static int start(struct errtext *why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, hook_fork);
    int rc = open_kernel();
    if (rc == 0 && !try_out()) {
        rc = -ENOTSUP;
        end_thread();
        close(watcher.fd); /* lets it go on if it waits */
        watcher.fd = -1;
        pthread_join(watcher.thread, NULL);
    }
    if (rc == 0) { /* until then nothing is settled */
        while (sem_wait(&watcher.tried) < 0)
            ;
    }
    if (rc < 0) {
        close_all();
        return errtext_set(why, rc, "userfaultfd, for word of unmapped memory: %s",
                           errtext_errno(rc));
    }
    return 0;
}

/* Under `life`, with no users left: there are no watches, so nobody waits for the thread. */
static void stop(void)
{
    end_thread();
    pthread_join(watcher.thread, NULL);
    close_all();
    free(watcher.entries);
    watcher.entries = NULL;
    watcher.room = 0;
}

/* Under `life`. The memory is got and given back while no other lock is held. */
static int make_room(unsigned room)
{
    if (room <= watcher.room)
        return 0;
    struct entry *more = malloc(room * sizeof(*more)), *old;
    if (!more)
        return -ENOMEM;
    pthread_mutex_lock(&watcher.table);
    old = watcher.entries;
    if (watcher.n)
        memcpy(more, old, watcher.n * sizeof(*more));
    watcher.entries = more;
    watcher.room = room;
    pthread_mutex_unlock(&watcher.table);
    free(old);
    return 0;
}

int watch_open(struct watch_user *user, unsigned most, struct errtext *why)
{
    pthread_mutex_lock(&watcher.life);
    int rc = watcher.users ? 0 : start(why);
    if (rc == 0 && make_room(watcher.promised + most) < 0) {
        rc = errtext_set(why, ENOMEM, "no memory");
        if (!watcher.users)
            stop();
    }
    if (rc == 0) {
        watcher.promised += most;
        user->most = most;
        pthread_mutex_lock(&watcher.members);
        user->next = watcher.users;
        watcher.users = user;
        pthread_mutex_unlock(&watcher.members);
    }
    pthread_mutex_unlock(&watcher.life);
    return rc;
}

void watch_close(struct watch_user *user)
{
    pthread_mutex_lock(&watcher.life);
    pthread_mutex_lock(&watcher.members);
    struct watch_user **link = &watcher.users;
    while (*link != user)
        link = &(*link)->next;
    *link = user->next;
    pthread_mutex_unlock(&watcher.members);
    watcher.promised -= user->most;
    if (!watcher.users)
        stop();
    pthread_mutex_unlock(&watcher.life);
}
