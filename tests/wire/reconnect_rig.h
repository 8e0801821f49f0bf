/* reconnect_rig.h - a brick that goes away at an exact place, and comes back. */
#ifndef TESTS_WIRE_RECONNECT_RIG_H
#define TESTS_WIRE_RECONNECT_RIG_H

#include "tests/wire/async_rig.h"

/** Where it goes away, as if its process had been killed. */
struct cut {
    uint32_t prog;  /* 0: FOP */
    uint32_t proc;  /* the call of it */
    unsigned pass;  /* so many of them are served first */
    unsigned times; /* it goes, after that */
    bool before;    /* the call is not executed */
    size_t at;      /* bytes of the reply that still go out */
    bool reset;
    atomic_uint done;
};
/** The hook. */
bool cut_hook(struct peer_call *call, void *cut);

/** rig_up() with the hook in place from then on. */
void cut_up(struct rig *rig, struct cut *cut, const char *query, size_t size);

/** The brick is killed; up to the next brick_back() nobody can connect. */
void brick_away(struct rig *rig);
void brick_back(struct rig *rig);
/** Drives the volume until it knows that the brick is away, or is connected again. */
void until_connected(struct rig *rig, bool connected);
/** Reads from the file: all is well. */
void rig_use(struct rig *rig);
/** What gzc_brick_info() says. */
struct gzc_brick_info brick_info(struct rig *rig);
/** @p n calls @p proc have come. */
void expect_seen(struct rig *rig, uint32_t proc, unsigned n);
/** The brick was connected to so often. */
void expect_connections(struct rig *rig, unsigned n);

#endif
