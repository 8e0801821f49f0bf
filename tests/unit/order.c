/* The order of overlapping transfers, against a model that looks at every pair of them. */
#include "volume/order.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { AHEAD, WAITS, RUNS, OVER }; /* a transfer's state */

struct transfer {
    struct span span; /* first */
    int state;
    unsigned gone; /* calls of its go() */
};

static void go(struct span *span)
{
    struct transfer *t = (struct transfer *)span;
    t->gone++;
    if (t->state == WAITS)
        t->state = RUNS;
}

static struct transfer transfer(uint64_t start, uint64_t end, bool write)
{
    return (struct transfer){.span = {.start = start, .end = end, .write = write, .go = go}};
}

static void enter(struct order *o, struct transfer *t)
{
    t->state = order_enter(o, &t->span) ? RUNS : WAITS;
    cr_assert_eq(t->gone, 0, "go() called from order_enter()");
}

/* As op.c does it: one that never was in a list has nothing to leave. */
static void leave(struct transfer *t)
{
    t->state = OVER;
    if (t->span.order)
        order_leave(&t->span);
}

/* ---- the model ------------------------------------------------------------------------------- */

static bool overlap(const struct transfer *a, const struct transfer *b)
{
    return a->span.start < b->span.end && b->span.start < a->span.end;
}

/* Whether transfer `i` of those that have begun, in their order, has to wait: an earlier write that
 * it overlaps is not over. */
static bool held(const struct transfer *all, unsigned i)
{
    for (unsigned k = 0; k < i; k++)
        if (all[k].span.write && all[k].state != OVER && overlap(&all[k], &all[i]))
            return true;
    return false;
}

/* Every transfer waits if and only if it has to: so overlapping writes never run at once, they run
 * in the order in which they began, and nobody waits without need. */
static void compare(const struct transfer *all, unsigned begun, const bool *had_to_wait)
{
    for (unsigned i = 0; i < begun; i++) {
        const struct transfer *t = &all[i];
        if (t->state == OVER)
            continue;
        cr_assert_eq(t->state == WAITS, held(all, i), "%s [%lu, %lu) number %u of %u %s",
                     t->span.write ? "write" : "read", t->span.start, t->span.end, i, begun,
                     t->state == WAITS ? "waits" : "runs");
        cr_assert_eq(t->span.waits, t->state == WAITS);
        cr_assert_eq(t->gone, had_to_wait[i] && t->state == RUNS, "go() called %u times", t->gone);
    }
}

/* `most` under way at once, of spans up to `longest` bytes within `room`; now and then one that
 * waits is given up. */
static void random_run(unsigned seed, unsigned most, unsigned room, unsigned longest)
{
    enum { ALL = 600 };
    struct transfer *all = calloc(ALL, sizeof(*all));
    bool *had_to_wait = calloc(ALL, sizeof(*had_to_wait));
    struct order o;
    unsigned begun = 0, over = 0;
    order_init(&o);
    while (over < ALL) {
        bool begin = begun < ALL && begun - over < most && (begun == over || rand_r(&seed) % 2);
        if (begin) {
            uint64_t start = (unsigned)rand_r(&seed) % room;
            uint64_t end = start + 1 + (unsigned)rand_r(&seed) % longest;
            bool whole = rand_r(&seed) % 40 == 0;
            all[begun] = whole ? transfer(0, UINT64_MAX, rand_r(&seed) % 2)
                               : transfer(start, end, rand_r(&seed) % 2);
            enter(&o, &all[begun]);
            had_to_wait[begun] = all[begun].state == WAITS;
            begun++;
        } else {
            struct transfer *t = &all[(unsigned)rand_r(&seed) % begun];
            if (t->state == OVER || (t->state == WAITS && rand_r(&seed) % 8))
                continue;
            unsigned gone = t->gone;
            leave(t);
            cr_assert_eq(t->gone, gone, "go() called of one that is over");
            over++;
        }
        compare(all, begun, had_to_wait);
    }
    cr_assert_null(o.first);
    cr_assert_eq(o.low, UINT64_MAX);
    cr_assert_eq(o.high, 0);
    free(all);
    free(had_to_wait);
}

Test(order, random)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        random_run(seed, 4, 50, 20);
        random_run(seed, 30, 100, 10);
        random_run(seed, 30, 1000, 5);
        random_run(seed, 60, 10, 10);
    }
}

/* ---- single cases ---------------------------------------------------------------------------- */

Test(order, neighbours_do_not_overlap)
{
    struct order o;
    struct transfer a = transfer(100, 200, true), before = transfer(0, 100, true),
                    behind = transfer(200, 300, false), first = transfer(100, 101, false),
                    last = transfer(199, 200, true);
    order_init(&o);
    enter(&o, &a);
    enter(&o, &before);
    enter(&o, &behind);
    enter(&o, &first);
    enter(&o, &last);
    cr_assert_eq(before.state, RUNS);
    cr_assert_eq(behind.state, RUNS);
    cr_assert_eq(first.state, WAITS);
    cr_assert_eq(last.state, WAITS);
    leave(&a);
    cr_assert_eq(first.state, RUNS);
    cr_assert_eq(last.state, RUNS);
}

Test(order, reads_hold_nobody_up)
{
    struct order o;
    struct transfer read = transfer(0, 100, false), write = transfer(0, 100, true),
                    waits = transfer(50, 60, false), behind = transfer(55, 70, true);
    order_init(&o);
    enter(&o, &read);
    enter(&o, &write);
    cr_assert_eq(write.state, RUNS);
    enter(&o, &waits);
    enter(&o, &behind); /* for the write, not for the read that waits */
    leave(&waits);
    cr_assert_eq(behind.state, WAITS);
    leave(&write);
    cr_assert_eq(behind.state, RUNS);
    leave(&read);
    leave(&behind);
    cr_assert_null(o.first);
}

/* One that waited for two goes when the second leaves, whichever that is. */
Test(order, waiting_for_two)
{
    for (int last = 0; last < 2; last++) {
        struct order o;
        struct transfer two[2] = {transfer(0, 10, true), transfer(20, 30, true)};
        struct transfer both = transfer(5, 25, true);
        order_init(&o);
        enter(&o, &two[0]);
        enter(&o, &two[1]);
        enter(&o, &both);
        leave(&two[!last]);
        cr_assert_eq(both.state, WAITS);
        leave(&two[last]);
        cr_assert_eq(both.gone, 1);
        leave(&both);
        cr_assert_null(o.first);
    }
}

/* One that waits and is given up lets those behind it go, but no further than they may. */
Test(order, given_up)
{
    struct order o;
    struct transfer first = transfer(0, 10, true), second = transfer(5, 20, true),
                    third = transfer(15, 30, true), fourth = transfer(8, 9, false);
    order_init(&o);
    enter(&o, &first);
    enter(&o, &second);
    enter(&o, &third);
    enter(&o, &fourth);
    cr_assert_eq(third.state, WAITS);
    leave(&second);
    cr_assert_eq(third.state, RUNS);
    cr_assert_eq(fourth.state, WAITS);
    leave(&first);
    cr_assert_eq(fourth.state, RUNS);
    cr_assert_eq(second.gone, 0);
}
