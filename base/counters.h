/*
 * Counters of a volume, as gzc_volume_stats() gives them.
 *
 * Each counter has one writer at a time: the thread that leads the engine, or one that holds the
 * engine's lock. Readers need neither; so the adding is a relaxed load and store, no locked
 * instruction.
 */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdint.h>

struct counters {
    /* by the leader */
    uint64_t bytes_landed, bytes_staged;
    uint64_t replies, replies_retired, replies_unmatched, callbacks;
    uint64_t receive_syscalls, wait_syscalls;
    /* under the engine's lock */
    uint64_t calls, send_syscalls;
    uint64_t work_requests, doorbells, completions; /* RDMA */
};

static inline void counter_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
