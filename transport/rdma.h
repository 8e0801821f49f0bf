/*
 * RDMA: connections to gzc-rdma-gateway. docs/rdma-wire.md is the wire.
 *
 * The connections of a volume share, for each device, a protection domain, a shared receive queue
 * and the cache of registered memory; struct rdma is what they share.
 */
#ifndef TRANSPORT_RDMA_H
#define TRANSPORT_RDMA_H

#include "transport/transport.h"

struct rdma;

struct rdma_options {
    bool trust;       /* the caller's memory may stay registered with remote access */
    size_t cache;     /* bytes of it that stay registered at most; 0: none */
    unsigned credits; /* calls under way on a connection that are asked for */
};

/** @return 0; -ENOTSUP (libgzc was built without RDMA), -ENODEV (no RDMA device), -ENOMEM, with
 * text.
 */
int rdma_new(const struct rdma_options *options, struct rdma **rdma, struct errtext *why);
/** All its transports have been freed. NULL is ignored. */
void rdma_free(struct rdma *rdma);

/** The kind of transport that takes part in @p rdma. */
const struct transport_kind *rdma_transport(const struct rdma *rdma);

/**
 * Registers [@p address, @p address + @p length) until rdma_unregister(), on each device that is in
 * use or will be, and may keep memory registered: has windows, or the gateway is trusted. The
 * caller neither unmaps nor remaps it before. Any thread, without the engine's lock.
 * @return 0, -ENOMEM (memory-lock limit), -EFAULT, ... with text.
 */
int rdma_register(struct rdma *rdma, void *address, size_t length, struct errtext *why);
/** @return 0 or -ENOENT: no such registration. */
int rdma_unregister(struct rdma *rdma, void *address, size_t length, struct errtext *why);

/** Registrations of callers' memory so far, those of rdma_register() too. Any thread. */
uint64_t rdma_registrations(struct rdma *rdma);

#endif
