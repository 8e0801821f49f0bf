#include "volume/async.h"

#include <errno.h>
#include <stdlib.h>

#define PLACES_AT_ONCE 64
#define GENERATION_MAX UINT32_C(0x7fffffff)

/* ---- the pool -------------------------------------------------------------------------------- */

static int pool_grow(struct volume *v)
{
    struct async_pool *pool = &v->asyncs;
    if (pool->count == pool->room) {
        unsigned room = pool->room ? pool->room * 2 : 16;
        struct async **all = realloc(pool->all, room * sizeof(struct async *));
        if (!all)
            return -ENOMEM;
        pool->all = all;
        pool->room = room;
    }
    struct async *places = calloc(PLACES_AT_ONCE, sizeof(*places));
    if (!places)
        return -ENOMEM;
    for (unsigned i = PLACES_AT_ONCE; i-- > 0;) {
        places[i].index = pool->count * PLACES_AT_ONCE + i;
        places[i].generation = 1;
        places[i].volume = v;
        places[i].next = pool->free;
        pool->free = &places[i];
    }
    pool->all[pool->count++] = places;
    return 0;
}

int async_pool_init(struct volume *v)
{
    return pool_grow(v);
}

void async_pool_free(struct volume *v)
{
    for (unsigned i = 0; i < v->asyncs.count; i++)
        free(v->asyncs.all[i]);
    free(v->asyncs.all);
}

static struct async *pool_find(struct volume *v, gzc_ticket ticket)
{
    uint32_t index = (uint32_t)ticket, generation = (uint32_t)(ticket >> 32);
    if (ticket <= 0 || index / PLACES_AT_ONCE >= v->asyncs.count)
        return NULL;
    struct async *a = &v->asyncs.all[index / PLACES_AT_ONCE][index % PLACES_AT_ONCE];
    return a->op && a->generation == generation ? a : NULL;
}

/* ---- an operation ---------------------------------------------------------------------------- */

struct async *async_begin(struct volume *v)
{
    engine_lock(&v->engine);
    if (!v->asyncs.free && pool_grow(v) < 0) {
        engine_unlock(&v->engine);
        return NULL;
    }
    struct async *a = v->asyncs.free;
    v->asyncs.free = a->next;
    return a;
}

static void async_complete(struct op *op)
{
    struct async *a = op->arg;
    engine_complete(&a->volume->engine, &a->completion);
}

static void async_release(struct completion *completion)
{
    struct async *a = (struct async *)completion;
    struct volume *v = a->volume;
    struct gzc_volume *user = a->op->user;
    if (a->op->settle)
        a->op->settle(a->op);
    if (--user->running == 0 && user->gone)
        free(user);
    a->completion.result = a->op->result;
    a->completion.why = a->op->why;
    if (a->op != &a->io.op)
        free(a->op);
    a->op = NULL;
    a->generation = a->generation < GENERATION_MAX ? a->generation + 1 : 1;
    a->next = v->asyncs.free;
    v->asyncs.free = a;
}

gzc_ticket async_start(struct async *a, struct op *op, void (*start)(struct op *op),
                       const struct gzc_async *how)
{
    static const struct gzc_async plain;
    struct engine *e = &a->volume->engine;
    if (!how)
        how = &plain;
    gzc_ticket ticket = (gzc_ticket)a->generation << 32 | a->index;
    a->op = op;
    a->completion.done = how->done;
    a->completion.arg = how->arg;
    a->completion.release = async_release;
    op->arg = a;
    op->complete = async_complete;
    if (how->timeout_ns)
        op->context.deadline = how->timeout_ns + (clock_now() - clock_coarse()); /* never early */
    op->user->running++;
    op_begin(op, start);
    if (!(how->flags & GZC_MORE) && !engine_in_callback(e))
        engine_flush(e);
    engine_unlock(e);
    return ticket;
}

gzc_ticket op_submit(struct op *op, void (*start)(struct op *op), const struct gzc_async *how)
{
    struct volume *v = op->volume;
    struct async *a = async_begin(v);
    if (a)
        return async_start(a, op, start, how);
    engine_lock(&v->engine);
    op->result = errtext_set(&op->user->why, ENOMEM, "no memory for an operation");
    if (op->settle)
        op->settle(op);
    engine_unlock(&v->engine);
    free(op);
    return -ENOMEM;
}

int async_cancel(struct volume *v, gzc_ticket ticket)
{
    struct async *a = pool_find(v, ticket);
    return a ? op_cancel(a->op) : -ENOENT;
}
