/*
 * span.h - what a stretch of a program took: wall time and processor time, in seconds.
 *
 * Processor time is that of the whole process, the library's threads included. The kernel knows
 * the sum exactly; how it divides into user and system is, on most kernels, sampled at the timer
 * tick, so a stretch whose user share matters must be some seconds long.
 */
#ifndef BENCH_SPAN_H
#define BENCH_SPAN_H

#include <sys/resource.h>
#include <time.h>

struct span {
    double wall;   /**< CLOCK_MONOTONIC */
    double user;   /**< getrusage: ru_utime */
    double system; /**< getrusage: ru_stime */
    double cpu;    /**< CLOCK_PROCESS_CPUTIME_ID: user and system */
};

static inline double span_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void span_add(struct span *span, double sign)
{
    struct rusage ru;

    getrusage(RUSAGE_SELF, &ru);
    span->user += sign * ((double)ru.ru_utime.tv_sec + (double)ru.ru_utime.tv_usec * 1e-6);
    span->system += sign * ((double)ru.ru_stime.tv_sec + (double)ru.ru_stime.tv_usec * 1e-6);
    span->cpu += sign * span_clock(CLOCK_PROCESS_CPUTIME_ID);
    span->wall += sign * span_clock(CLOCK_MONOTONIC);
}

/** Starts the clocks, or starts them again after span_stop(): what is between is not counted. The
 *  span was zero at first. */
static inline void span_start(struct span *span)
{
    span_add(span, -1);
}

/** Stops the clocks. The span holds the sum of its stretches. */
static inline void span_stop(struct span *span)
{
    span_add(span, 1);
}

#endif
