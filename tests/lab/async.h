/* What the tests of asynchronous operations on a real brick share. */
#ifndef TESTS_LAB_ASYNC_H
#define TESTS_LAB_ASYNC_H

#include "tests/lab/volume.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#define PATIENCE 20 /* seconds; reached only when a test fails */

/** What a callback was told. */
struct outcome {
    atomic_uint count;
    ssize_t result;
    char error[512];
    void (*then)(struct outcome *outcome); /* runs last in the callback */
    void *arg;
};

static inline void outcome_done(void *arg, ssize_t result, const char *error)
{
    struct outcome *o = arg;
    o->result = result;
    snprintf(o->error, sizeof(o->error), "%s", error);
    atomic_fetch_add(&o->count, 1);
    if (o->then)
        o->then(o);
}

/** For the last argument of an asynchronous form. */
#define HOW(outcome, ...)                                                                          \
    (&(const struct gzc_async){.done = outcome_done, .arg = (outcome), __VA_ARGS__})

static inline double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/** Drives the volume until it has completed, once. */
static inline void outcome_wait(gzc_volume *v, struct outcome *o)
{
    double end = seconds() + PATIENCE;
    while (!o->count) {
        cr_assert_lt(seconds(), end, "it does not complete");
        gzc_poll(v, 0, 1000);
    }
    cr_assert_eq(o->count, 1);
}

static inline void outcome_expect(gzc_volume *v, struct outcome *o, ssize_t result)
{
    outcome_wait(v, o);
    cr_assert_eq(o->result, result, "%zd instead of %zd: %s", o->result, result, o->error);
}

#endif
