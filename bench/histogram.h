/*
 * histogram.h - latencies, log-linear: 32 steps for each power of two, so that any value is known
 * to 3 percent. Several threads may add.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_SIZE = 40 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t counts[HISTOGRAM_SIZE];
};

/** Counts a latency of so many nanoseconds. */
static inline void histogram_add(struct histogram *h, uint64_t value)
{
    /* value >> power is in [32, 64), or power is 0 */
    unsigned power = value < 2 * HISTOGRAM_STEPS ? 0 : 58 - (unsigned)__builtin_clzll(value);
    uint64_t index = power * HISTOGRAM_STEPS + (value >> power);
    if (index >= HISTOGRAM_SIZE)
        index = HISTOGRAM_SIZE - 1;
    __atomic_add_fetch(&h->counts[index], 1, __ATOMIC_RELAXED);
}

static inline void histogram_merge(struct histogram *to, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_SIZE; i++)
        to->counts[i] += from->counts[i];
}

/** The latency that the share @p quantile of all is below, in nanoseconds. 0 if there are none. */
static inline double histogram_at(const struct histogram *h, double quantile)
{
    uint64_t all = 0, below = 0;
    for (unsigned i = 0; i < HISTOGRAM_SIZE; i++)
        all += h->counts[i];
    for (unsigned i = 0; i < HISTOGRAM_SIZE; i++) {
        below += h->counts[i];
        if (all && (double)below >= quantile * (double)all) {
            unsigned power = i < 2 * HISTOGRAM_STEPS ? 0 : i / HISTOGRAM_STEPS - 1;
            uint64_t width = UINT64_C(1) << power;
            return (double)((i - power * HISTOGRAM_STEPS) * width) + (double)width / 2;
        }
    }
    return 0;
}

#endif
