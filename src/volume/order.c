#include "volume/order.h"

void order_init(struct order *o)
{
    *o = (struct order){.low = UINT64_MAX};
}

static bool overlap(const struct span *a, const struct span *b)
{
    return a->start < b->end && b->start < a->end;
}

/* Whether a write overlaps `span` that stands before it in the list, where it may not be yet. */
static bool must_wait(const struct order *o, const struct span *span)
{
    for (const struct span *s = o->first; s && s != span; s = s->next)
        if (s->write && overlap(s, span))
            return true;
    return false;
}

static void bound(struct order *o, const struct span *write)
{
    if (write->start < o->low)
        o->low = write->start;
    if (write->end > o->high)
        o->high = write->end;
}

static void append(struct order *o, struct span *span)
{
    struct span **link = &o->first;
    while (*link)
        link = &(*link)->next;
    *link = span;
    span->next = NULL;
    span->order = o;
}

bool order_enter_list(struct order *o, struct span *span)
{
    span->waits = span->start < o->high && o->low < span->end && must_wait(o, span);
    if (span->write || span->waits)
        append(o, span);
    if (span->write)
        bound(o, span);
    return !span->waits;
}

static void take_out(struct order *o, struct span *span)
{
    struct span **link = &o->first;
    while (*link != span)
        link = &(*link)->next;
    *link = span->next;
    span->order = NULL;
}

void order_leave(struct span *span)
{
    struct order *o = span->order;
    span->waits = false;
    take_out(o, span);
    if (!span->write)
        return;
    o->low = UINT64_MAX;
    o->high = 0;
    for (struct span *s = o->first, *next; s; s = next) {
        next = s->next;
        if (s->write)
            bound(o, s);
        if (!s->waits || must_wait(o, s))
            continue;
        s->waits = false;
        if (!s->write)
            take_out(o, s);
        s->go(s);
    }
}
