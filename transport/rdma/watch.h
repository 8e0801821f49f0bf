/*
 * Word of memory that is unmapped, moved or given back to the kernel, by way of userfaultfd(2).
 *
 * A registration with a device pins the pages that an address named then. When the address comes to
 * name others, the device goes on with the old ones, and the program sees nothing of what lands
 * there. This tells of it, without taking the place of any function of the program's. watch.c says
 * what it rests on.
 *
 * It is one for the process. A thread of it is there while it has users, since the kernel holds
 * munmap() and its like up until their event has been read.
 *
 * MUST: whoever holds a user's lock does not allocate, free, or unmap. free() may give memory back,
 * which waits for the watcher, which waits for that lock.
 */
#ifndef TRANSPORT_RDMA_WATCH_H
#define TRANSPORT_RDMA_WATCH_H

#include "base/errtext.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct watch;

struct watch_user {
    /** The user's own. The watcher takes it before it reads an event, and calls stale() with it. */
    pthread_mutex_t lock;
    /**
     * What @p watch was for is not what it was; it is over. Called by the watcher's thread, with
     * the locks of all users held: it calls nothing of this file, and neither allocates nor frees.
     */
    void (*stale)(struct watch_user *user, struct watch *watch);
    struct watch_user *next; /* this and what follows: the watcher's */
    unsigned most;
};

/** A range that is watched. Its memory is the user's. */
struct watch {
    struct watch_user *user;
    uintptr_t start, end;
    bool live;      /* under the user's lock: nothing has happened to it */
    unsigned entry; /* the watcher's */
};

/**
 * Begins to be a user, with up to @p most watches at a time.
 * @return 0; -ENOSYS, -EPERM, -ENOTSUP: there is no userfaultfd as needed (kernel, seccomp);
 *         -ENOMEM, -EMFILE, -EAGAIN. With text.
 */
int watch_open(struct watch_user *user, unsigned most, struct errtext *why);
/** Ends it; its watches have been removed. Without its lock. Waits for the thread if the last. */
void watch_close(struct watch_user *user);

/**
 * Watches [@p start, @p end), whole pages, from now on. To be called before the memory is
 * registered with the device. Watches may overlap. Without the user's lock, or with it.
 * @return 0, or without text: -ENOTSUP (files, shared memory, huge pages, nothing mapped), -EBUSY
 *         (another userfaultfd watches it), -EAGAIN (something else is being unmapped just now),
 *         -ENOBUFS (too many), -ENOMEM.
 */
int watch_add(struct watch *watch, struct watch_user *user, uintptr_t start, uintptr_t end);
/** Ends a watch; nothing happens if it is over. When this has returned stale() does not come. */
void watch_remove(struct watch *watch);

/**
 * Is it certain that no watched memory has been unmapped of which there was no word yet? With the
 * user's lock held this says: whatever memory somebody has by now, all that was at its address
 * before has been told of. A system call that never waits.
 */
bool watch_settled(void);

#endif
