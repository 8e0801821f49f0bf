#include "device.h"

#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>

static void device_close(struct device *d)
{
    struct gateway *g = d->g;
    list_remove(&d->link);
    source_remove(g, &d->channel_source);
    source_remove(g, &d->async_source);
    if (d->channel)
        ibv_destroy_comp_channel(d->channel);
    if (d->mr)
        ibv_dereg_mr(d->mr);
    if (d->pd)
        ibv_dealloc_pd(d->pd);
    free(d);
}

/* A completion queue that was armed has got something. */
static void channel_ready(struct source *s, uint32_t events)
{
    struct device *d = LIST_OF(s, struct device, channel_source);
    struct ibv_cq *cq;
    void *context;
    (void)events;
    while (ibv_get_cq_event(d->channel, &cq, &context) == 0) {
        ibv_ack_cq_events(cq, 1);
        client_wake(context);
    }
}

/* Events of queue pairs come as completions or by rdma_cm, too. */
static void async_ready(struct source *s, uint32_t events)
{
    struct device *d = LIST_OF(s, struct device, async_source);
    struct ibv_async_event event;
    (void)events;
    while (ibv_get_async_event(d->verbs, &event) == 0) {
        ibv_ack_async_event(&event);
        if (event.event_type == IBV_EVENT_DEVICE_FATAL)
            device_remove(d, "the device has failed");
    }
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* Pins the arena. The usual reason for that to fail is the limit on locked memory. */
static int device_register(struct device *d, struct errtext *why)
{
    const struct pool *pool = &d->g->pool;
    const char *name = ibv_get_device_name(d->verbs->device);
    size_t bytes = pool->pages * POOL_PAGE;
    struct rlimit limit = {0};
    d->mr = ibv_reg_mr(d->pd, pool->base, bytes, IBV_ACCESS_LOCAL_WRITE);
    if (d->mr)
        return 0;
    int error = errno;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if ((error == ENOMEM || error == EPERM || error == EAGAIN) && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur < bytes)
        return errtext_set(why, ENOMEM,
                           "%s: cannot register %zu bytes: the limit on locked memory is %llu; "
                           "raise it (ulimit -l, LimitMEMLOCK= of systemd) or lower --memory",
                           name, bytes, (unsigned long long)limit.rlim_cur);
    return errtext_set(why, error, "%s: cannot register %zu bytes: %s", name, bytes,
                       errtext_errno(error));
}

static int device_prepare(struct device *d, struct errtext *why)
{
    const char *name = ibv_get_device_name(d->verbs->device);
    int rc = ibv_query_device(d->verbs, &d->attributes);
    if (rc)
        return errtext_set(why, rc, "%s: cannot be queried: %s", name, errtext_errno(rc));
    d->pd = ibv_alloc_pd(d->verbs);
    d->channel = ibv_create_comp_channel(d->verbs);
    if (!d->pd || !d->channel)
        return errtext_set(why, errno, "%s: %s", name, errtext_errno(errno));
    rc = device_register(d, why);
    if (rc < 0)
        return rc;
    rc = set_nonblocking(d->channel->fd);
    rc = rc ? rc : set_nonblocking(d->verbs->async_fd);
    rc = rc ? rc : source_add(d->g, &d->channel_source, d->channel->fd, EPOLLIN);
    rc = rc ? rc : source_add(d->g, &d->async_source, d->verbs->async_fd, EPOLLIN);
    return rc ? errtext_set(why, rc, "%s: %s", name, errtext_errno(rc)) : 0;
}

struct device *device_get(struct gateway *g, struct ibv_context *verbs, struct errtext *why)
{
    for (struct list *l = g->devices.next; l != &g->devices; l = l->next) {
        struct device *d = LIST_OF(l, struct device, link);
        if (d->verbs == verbs && !d->gone)
            return d;
    }
    struct device *d = calloc(1, sizeof(*d));
    if (!d) {
        errtext_set(why, ENOMEM, "no memory for a device");
        return NULL;
    }
    d->g = g;
    d->verbs = verbs;
    d->channel_source = (struct source){-1, channel_ready};
    d->async_source = (struct source){-1, async_ready};
    list_append(&g->devices, &d->link);
    if (device_prepare(d, why) < 0) {
        device_close(d);
        return NULL;
    }
    log_event(LOG_LEVEL_INFO, "device", "%s", ibv_get_device_name(verbs->device));
    return d;
}

int devices_open(struct gateway *g, struct errtext *why)
{
    int count = 0;
    struct ibv_context **all = rdma_get_devices(&count);
    for (int i = 0; all && i < count; i++) {
        if (!device_get(g, all[i], why)) {
            rdma_free_devices(all);
            return -ENODEV;
        }
    }
    if (all)
        rdma_free_devices(all);
    return count ? 0 : errtext_set(why, ENODEV, "there is no RDMA device");
}

void devices_close(struct gateway *g)
{
    while (!list_empty(&g->devices))
        device_close(LIST_OF(g->devices.next, struct device, link));
}

void devices_reap(struct gateway *g)
{
    for (struct list *l = g->devices.next, *next; l != &g->devices; l = next) {
        struct device *d = LIST_OF(l, struct device, link);
        next = l->next;
        if (d->gone && !d->clients)
            device_close(d);
    }
}

/* The last one takes the gateway with it: the connection manager's library keeps its devices open
 * for the process's life, and many cannot go, or come back, before they are closed. */
void device_remove(struct device *d, const char *why)
{
    struct gateway *g = d->g;
    if (d->gone)
        return;
    log_event(LOG_LEVEL_ERROR, "device-removed", "%s: %s", ibv_get_device_name(d->verbs->device),
              why);
    d->gone = true;
    clients_end_device(g, d, why);
    for (struct list *l = g->devices.next; l != &g->devices; l = l->next)
        if (!LIST_OF(l, struct device, link)->gone)
            return;
    gateway_fail(g, "there is no RDMA device left");
}
