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

static void append(struct order *o, struct span *span)
{
    span->order = o;
    span->next = NULL;
    span->previous = o->last;
    *(o->last ? &o->last->next : &o->first) = span;
    o->last = span;
    o->waiting += span->waits;
}

static void take_out(struct order *o, struct span *span)
{
    *(span->previous ? &span->previous->next : &o->first) = span->next;
    *(span->next ? &span->next->previous : &o->last) = span->previous;
    span->order = NULL;
    o->waiting -= span->waits;
    span->waits = false;
    if (!o->first)
        order_init(o);
}

bool order_enter_list(struct order *o, struct span *span)
{
    span->waits = span->start < o->high && o->low < span->end && must_wait(o, span);
    if (span->write || span->waits)
        append(o, span);
    if (span->write && span->start < o->low)
        o->low = span->start;
    if (span->write && span->end > o->high)
        o->high = span->end;
    return !span->waits;
}

void order_leave(struct span *span)
{
    struct order *o = span->order;
    take_out(o, span);
    if (!span->write)
        return;
    for (struct span *s = o->first, *next; s && o->waiting; s = next) {
        next = s->next;
        if (!s->waits || must_wait(o, s))
            continue;
        if (s->write) {
            s->waits = false;
            o->waiting--;
        } else {
            take_out(o, s);
        }
        s->go(s);
    }
}
