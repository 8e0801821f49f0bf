/* What a volume's RDMA connections share on one device. */
#ifndef TRANSPORT_RDMA_DOMAIN_H
#define TRANSPORT_RDMA_DOMAIN_H

#include "transport/rdma.h"
#include "transport/rdma/memory.h"

#include <pthread.h>

/** Memory that a program has registered. */
struct rdma_pin {
    struct rdma_pin *next;
    void *address;
    size_t length;
};

struct rdma {
    struct transport_kind kind; /* first */
    struct rdma_options options;
    pthread_mutex_t lock; /* of the two lists */
    struct rdma_domain *domains;
    struct rdma_pin *pins;
};

struct rdma_domain {
    struct rdma_domain *next;
    struct ibv_context *verbs; /* librdmacm's, which keeps it open */
    struct ibv_device_attr attr;
    bool windows; /* of type 2 are used: what follows needs no remote access of its own */
    struct ibv_pd *pd;
    struct ibv_srq *srq;
    int surplus; /* receives that belong to nobody any more; negative: that others must do without
                  */
    struct rdma_memory *memory;
};

/** The domain of a device, made when it is first asked for. NULL with text. By the leader. */
struct rdma_domain *rdma_domain_get(struct rdma *rdma, struct ibv_context *verbs,
                                    struct errtext *why);

/** Posts @p n receives without memory. By the leader. @return 0 or -errno. */
int rdma_domain_post(struct rdma_domain *domain, unsigned n);
/** A connection that has posted @p n receives is gone. Its peer has used up @p consumed of them,
 *  which may be more: those were other connections'. By the leader. @return 0 or -errno. */
int rdma_domain_forget(struct rdma_domain *domain, unsigned n, unsigned consumed);

/** Access that memory which is granted by way of a window, or by itself, is registered with. */
static inline int rdma_domain_access(const struct rdma_domain *domain, int remote)
{
    int local = remote & IBV_ACCESS_REMOTE_WRITE ? IBV_ACCESS_LOCAL_WRITE : 0;
    return local | (domain->windows ? IBV_ACCESS_MW_BIND : remote);
}

#endif
