/* Regions in the order of their starts; memory.c uses it. */
#ifndef TRANSPORT_RDMA_INDEX_H
#define TRANSPORT_RDMA_INDEX_H

#include "transport/rdma/memory.h"

#include <string.h>

struct index {
    struct rdma_region **regions;
    unsigned n, room;
};

/** How many start at or before @p at. */
static inline unsigned index_upto(const struct index *x, uintptr_t at)
{
    unsigned low = 0, high = x->n;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (x->regions[middle]->start <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/** There is room. */
static inline void index_insert(struct index *x, struct rdma_region *r)
{
    unsigned i = index_upto(x, r->start);
    memmove(&x->regions[i + 1], &x->regions[i], (x->n - i) * sizeof(*x->regions));
    x->regions[i] = r;
    x->n++;
}

/** It is in there. */
static inline void index_remove(struct index *x, const struct rdma_region *r)
{
    unsigned i = index_upto(x, r->start);
    while (x->regions[i - 1] != r)
        i--;
    memmove(&x->regions[i - 1], &x->regions[i], (x->n - i) * sizeof(*x->regions));
    x->n--;
}

#endif
