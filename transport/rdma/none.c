/* Built without libibverbs and librdmacm: there is no RDMA, and a mount by it says so. */
#include "transport/rdma.h"

#include <errno.h>

int rdma_new(const struct rdma_options *options, struct rdma **rdma, struct errtext *why)
{
    (void)options;
    *rdma = NULL;
    return errtext_set(why, ENOTSUP,
                       "this libgzc was built without RDMA (libibverbs and librdmacm)");
}

void rdma_free(struct rdma *rdma)
{
    (void)rdma;
}

const struct transport_kind *rdma_transport(const struct rdma *rdma)
{
    (void)rdma;
    return &transport_tcp;
}

int rdma_register(struct rdma *rdma, void *address, size_t length, struct errtext *why)
{
    (void)rdma, (void)address, (void)length, (void)why;
    return 0;
}

int rdma_unregister(struct rdma *rdma, void *address, size_t length, struct errtext *why)
{
    (void)rdma, (void)address, (void)length, (void)why;
    return 0;
}

uint64_t rdma_registrations(struct rdma *rdma)
{
    (void)rdma;
    return 0;
}
