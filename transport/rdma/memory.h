/*
 * Memory that is registered with a device: what a program has registered, and a cache of what was
 * used lately. Each function is thread-safe, but for new and free.
 */
#ifndef TRANSPORT_RDMA_MEMORY_H
#define TRANSPORT_RDMA_MEMORY_H

#include "base/errtext.h"
#include "transport/rdma/watch.h"

#include <infiniband/verbs.h>
#include <stddef.h>

struct rdma_memory;

/** Registered memory. It stays so until the last reference is gone, whatever happens to it. */
struct rdma_region {
    struct ibv_mr *mr;    /* first; keys, and what is registered */
    int access;           /* that it is registered with; see rdma_memory_get() */
    uintptr_t start, end; /* covered */
    /* What follows is memory.c's. */
    enum { REGION_ONCE, REGION_NEW, REGION_CACHED, REGION_RETIRED, REGION_PINNED } state;
    unsigned references;
    struct rdma_region *next, *previous;
    struct watch watch;
};

struct rdma_memory_limits {
    size_t bytes;     /* that the cache keeps registered at most; 0: there is none */
    unsigned regions; /* in how many pieces at most; 0: 4096 */
};

struct rdma_memory_counters {
    uint64_t hits;          /* found registered */
    uint64_t registrations; /* of all kinds */
    uint64_t uncached;      /* of them, for one use only */
    uint64_t evictions;     /* for want of room */
    uint64_t invalidations; /* by the watch */
    size_t bytes;           /* that are cached now */
    unsigned regions;
};

/**
 * Makes the memory of a protection domain. Without userfaultfd it does without a cache.
 * @param access  what callers' memory is registered with, next to local access: IBV_ACCESS_MW_BIND,
 *                or IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE
 * @return 0 or -ENOMEM with text.
 */
int rdma_memory_new(struct ibv_pd *pd, int access, const struct rdma_memory_limits *limits,
                    struct rdma_memory **out, struct errtext *why);
/** Deregisters everything. Nobody holds a region, and no window is bound. NULL is ignored. */
void rdma_memory_free(struct rdma_memory *m);

/**
 * A reference on a region that covers [@p address, @p address + @p length): registered now, or
 * before. The memory stays mapped until the reference is put.
 * @param writable  the device is to write there. If not, memory that the program cannot write to is
 *                  taken as well. Such a region's access has no IBV_ACCESS_MW_BIND: no window can
 *                  be bound on it, the peer reads by its rkey, which ends when it is put.
 * @return 0; -ENOMEM (memory-lock limit), -EFAULT (not mapped, or not writable), -EINVAL (no
 *         length), or what else the device has to say, with text.
 */
int rdma_memory_get(struct rdma_memory *m, const void *address, size_t length, bool writable,
                    struct rdma_region **region, struct errtext *why);
/** Gives a reference back. Nothing uses the region's keys for the caller any more. */
void rdma_memory_put(struct rdma_memory *m, struct rdma_region *region);

/**
 * Registers memory until rdma_memory_unpin() of the same range; until then it must not be unmapped
 * or remapped. The same range may be pinned several times.
 * @return 0, or as rdma_memory_get().
 */
int rdma_memory_pin(struct rdma_memory *m, const void *address, size_t length, struct errtext *why);
/** Takes it back; references on the region stay good. @return 0 or -ENOENT without text. */
int rdma_memory_unpin(struct rdma_memory *m, const void *address, size_t length);

/** Deregisters what the watch has made useless; so do get and put. */
void rdma_memory_reap(struct rdma_memory *m);
/** A descriptor that polls readable while there is something to reap; -1: there never is. */
int rdma_memory_fd(const struct rdma_memory *m);

void rdma_memory_count(struct rdma_memory *m, struct rdma_memory_counters *counters);

/** Registrations of all kinds so far. */
uint64_t rdma_memory_registrations(struct rdma_memory *m);

#endif
