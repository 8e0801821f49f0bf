#include "transport/rdma/domain.h"

#include "transport/rdma/link.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define RECEIVES 32768 /* in the shared receive queue at most; they have no memory */

/* ---- domains --------------------------------------------------------------------------------- */

static bool has_windows(const struct ibv_device_attr *attr)
{
    unsigned flags = attr->device_cap_flags;
    return flags & (IBV_DEVICE_MEM_WINDOW_TYPE_2A | IBV_DEVICE_MEM_WINDOW_TYPE_2B) &&
           flags & IBV_DEVICE_MEM_MGT_EXTENSIONS;
}

static void domain_free(struct rdma_domain *d)
{
    rdma_memory_free(d->memory);
    if (d->srq)
        ibv_destroy_srq(d->srq);
    if (d->pd)
        ibv_dealloc_pd(d->pd);
    free(d);
}

/* With neither windows nor trust nothing may stay registered, as it would be with remote access:
 * there is no cache, and gzc_register() has no effect. */
static bool may_keep(const struct rdma *rdma, const struct rdma_domain *d)
{
    return d->windows || rdma->options.trust;
}

static int domain_pin(struct rdma *rdma, struct rdma_domain *d, void *address, size_t length,
                      struct errtext *why)
{
    return may_keep(rdma, d) ? rdma_memory_pin(d->memory, address, length, why) : 0;
}

static int domain_memory(struct rdma *rdma, struct rdma_domain *d, struct errtext *why)
{
    struct rdma_memory_limits limits = {.bytes = may_keep(rdma, d) ? rdma->options.cache : 0};
    int access = d->windows ? IBV_ACCESS_MW_BIND : IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
    int rc = rdma_memory_new(d->pd, access, &limits, &d->memory, why);
    for (struct rdma_pin *pin = rdma->pins; rc == 0 && pin; pin = pin->next)
        rc = domain_pin(rdma, d, pin->address, pin->length, why);
    return rc;
}

static struct rdma_domain *domain_new(struct rdma *rdma, struct ibv_context *verbs,
                                      struct errtext *why)
{
    struct rdma_domain *d = calloc(1, sizeof(*d));
    const char *name = ibv_get_device_name(verbs->device);
    if (!d) {
        errtext_set(why, ENOMEM, "no memory");
        return NULL;
    }
    d->verbs = verbs;
    int err = ibv_query_device(verbs, &d->attr);
    struct ibv_srq_init_attr srq = {.attr = {.max_wr = RECEIVES, .max_sge = 1}};
    if (d->attr.max_srq_wr > 0 && d->attr.max_srq_wr < RECEIVES)
        srq.attr.max_wr = (uint32_t)d->attr.max_srq_wr;
    d->windows = !rdma->options.trust && has_windows(&d->attr);
    if (err || !(d->pd = ibv_alloc_pd(verbs)) || !(d->srq = ibv_create_srq(d->pd, &srq)))
        errtext_set(why, err ? err : errno, "RDMA device %s: %s", name,
                    errtext_errno(err ? err : errno));
    else if (domain_memory(rdma, d, why) == 0)
        return d;
    domain_free(d);
    return NULL;
}

struct rdma_domain *rdma_domain_get(struct rdma *rdma, struct ibv_context *verbs,
                                    struct errtext *why)
{
    pthread_mutex_lock(&rdma->lock);
    struct rdma_domain *d = rdma->domains;
    while (d && d->verbs != verbs)
        d = d->next;
    if (!d && (d = domain_new(rdma, verbs, why))) {
        d->next = rdma->domains;
        rdma->domains = d;
    }
    pthread_mutex_unlock(&rdma->lock);
    return d;
}

int rdma_domain_post(struct rdma_domain *d, unsigned n)
{
    for (d->surplus -= (int)n; d->surplus < 0; d->surplus++) {
        struct ibv_recv_wr request = {0}, *bad;
        int err = ibv_post_srq_recv(d->srq, &request, &bad);
        if (err)
            return -err;
    }
    return 0;
}

int rdma_domain_forget(struct rdma_domain *d, unsigned n, unsigned consumed)
{
    d->surplus += (int)n - (int)consumed;
    return rdma_domain_post(d, 0);
}

/* ---- what the volume has of it --------------------------------------------------------------- */

int rdma_register(struct rdma *rdma, void *address, size_t length, struct errtext *why)
{
    struct rdma_pin *pin = malloc(sizeof(*pin));
    if (!pin)
        return errtext_set(why, ENOMEM, "no memory");
    *pin = (struct rdma_pin){.address = address, .length = length};
    int rc = 0;
    pthread_mutex_lock(&rdma->lock);
    struct rdma_domain *d = rdma->domains;
    for (; d && rc == 0; d = d->next)
        rc = domain_pin(rdma, d, address, length, why);
    if (rc == 0) {
        pin->next = rdma->pins;
        rdma->pins = pin;
    } else {
        for (struct rdma_domain *done = rdma->domains; done->next != d; done = done->next)
            rdma_memory_unpin(done->memory, address, length);
        free(pin);
    }
    pthread_mutex_unlock(&rdma->lock);
    return rc;
}

int rdma_unregister(struct rdma *rdma, void *address, size_t length, struct errtext *why)
{
    pthread_mutex_lock(&rdma->lock);
    struct rdma_pin **link = &rdma->pins, *pin;
    while ((pin = *link) && (pin->address != address || pin->length != length))
        link = &pin->next;
    if (pin) {
        *link = pin->next;
        for (struct rdma_domain *d = rdma->domains; d; d = d->next)
            rdma_memory_unpin(d->memory, address, length);
    }
    pthread_mutex_unlock(&rdma->lock);
    if (!pin)
        return errtext_set(why, ENOENT, "%zu bytes at %p are not registered", length, address);
    free(pin);
    return 0;
}

/* What librdmacm and libibverbs have opened for a process is refused to its children by Linux. */
static bool first_use(void)
{
    static pid_t user;
    pid_t none = 0, self = getpid();
    return __atomic_compare_exchange_n(&user, &none, self, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED) ||
           none == self;
}

int rdma_new(const struct rdma_options *options, struct rdma **rdma, struct errtext *why)
{
    int n = 0;
    struct ibv_device **devices = ibv_get_device_list(&n);
    if (devices)
        ibv_free_device_list(devices);
    *rdma = NULL;
    if (n == 0)
        return errtext_set(why, ENODEV, "there is no RDMA device on this host");
    if (!first_use())
        return errtext_set(why, ENOTSUP,
                           "RDMA was used before this process was forked: it cannot be used here "
                           "(threads can)");
    struct rdma *r = calloc(1, sizeof(*r));
    if (!r)
        return errtext_set(why, ENOMEM, "no memory");
    r->kind.make = link_make;
    r->options = *options;
    pthread_mutex_init(&r->lock, NULL);
    *rdma = r;
    return 0;
}

void rdma_free(struct rdma *rdma)
{
    if (!rdma)
        return;
    while (rdma->domains) {
        struct rdma_domain *d = rdma->domains;
        rdma->domains = d->next;
        domain_free(d);
    }
    while (rdma->pins) {
        struct rdma_pin *pin = rdma->pins;
        rdma->pins = pin->next;
        free(pin);
    }
    pthread_mutex_destroy(&rdma->lock);
    free(rdma);
}

const struct transport_kind *rdma_transport(const struct rdma *rdma)
{
    return &rdma->kind;
}

uint64_t rdma_registrations(struct rdma *rdma)
{
    uint64_t n = 0;
    pthread_mutex_lock(&rdma->lock);
    for (struct rdma_domain *d = rdma->domains; d; d = d->next) {
        n += rdma_memory_registrations(d->memory);
    }
    pthread_mutex_unlock(&rdma->lock);
    return n;
}
