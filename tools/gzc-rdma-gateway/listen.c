/* rdma_cm: listening, letting clients in, and learning that they have gone. */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define BACKLOG 64
/* Times that a write is tried again when the client has no receive posted. It must have. */
#define RNR_RETRIES 6
#define RETRIES     7
#define LAST_POLLS  64

struct listener {
    struct cm_owner cm; /* first */
    struct list link;
    struct gateway *g;
    struct rdma_cm_id *id;
};

static void name_address(char *out, size_t size, const struct sockaddr *address)
{
    char host[64], port[8];
    socklen_t length =
        address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (getnameinfo(address, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(out, size, "?");
    else
        snprintf(out, size, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* ---- events of a client's -------------------------------------------------------------------- */

static void client_event(struct cm_owner *owner, const struct rdma_cm_event *event)
{
    struct client *c = (struct client *)owner;
    switch (event->event) {
    case RDMA_CM_EVENT_DISCONNECTED:
        for (int i = 0; i < LAST_POLLS && client_poll(c); i++) /* what came before tells why */
            ;
        client_end(c, END_LEFT, "disconnected");
        return;
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE:
    case RDMA_CM_EVENT_REJECTED:
        client_end(c, END_LEFT, "it did not finish connecting");
        return;
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
        client_end(c, END_DEVICE, "the device is being removed");
        device_remove(c->device, "it is being removed");
        return;
    default:
        return;
    }
}

/* ---- admission ------------------------------------------------------------------------------- */

static void client_reject(struct gateway *g, struct rdma_cm_id *id, const char *name,
                          enum rdma_reject_reason reason, const char *text)
{
    struct log_line l;
    uint8_t data[RDMA_REJECT_BYTES];
    struct rdma_reject reject = {
        .version_min = RDMA_WIRE_VERSION,
        .version_max = RDMA_WIRE_VERSION,
        .reason = (uint8_t)reason,
    };
    rdma_reject_encode(data, &reject);
    rdma_reject(id, data, sizeof(data));
    rdma_destroy_id(id);
    g->stats.clients_rejected++;
    g->stats.rejected[reason]++;
    log_begin(&l, LOG_LEVEL_WARNING, "client-rejected");
    log_text(&l, "client", name);
    log_text(&l, "reason", rdma_reject_text((uint8_t)reason));
    if (text[0])
        log_text(&l, "text", text);
    log_end(&l);
}

static int client_accept(struct client *c, const struct grant *grant, uint8_t depth,
                         struct errtext *why)
{
    uint8_t data[RDMA_ACCEPT_BYTES];
    unsigned most = (unsigned)c->device->attributes.max_qp_init_rd_atom;
    rdma_accept_encode(data, &grant->given);
    struct rdma_conn_param param = {
        .private_data = data,
        .private_data_len = sizeof(data),
        .initiator_depth = depth < most ? depth : (uint8_t)most,
        .retry_count = RETRIES,
        .rnr_retry_count = RNR_RETRIES,
    };
    c->id->context = c;
    c->cm.event = client_event;
    return rdma_accept(c->id, &param) < 0
               ? errtext_set(why, errno, "accepting: %s", errtext_errno(errno))
               : 0;
}

/* Is the request one that can be granted? 0, or why not. */
static enum rdma_reject_reason judge(struct gateway *g, struct rdma_cm_id *id,
                                     const struct rdma_conn_param *param,
                                     struct rdma_request *asked)
{
    if (g->stop)
        return RDMA_REJECT_ENDING;
    if (!allow_address(&g->options.allow, rdma_get_peer_addr(id)))
        return RDMA_REJECT_NOT_ALLOWED;
    if (rdma_request_decode(param->private_data, param->private_data_len, asked) < 0)
        return RDMA_REJECT_MALFORMED;
    if (asked->version_min > RDMA_WIRE_VERSION || asked->version_max < RDMA_WIRE_VERSION)
        return RDMA_REJECT_VERSION;
    if (!param->initiator_depth) /* its memory could not be read from */
        return RDMA_REJECT_MALFORMED;
    if (g->client_count >= g->options.clients)
        return RDMA_REJECT_TOO_MANY;
    return 0;
}

static void client_admit(struct gateway *g, struct rdma_cm_id *id,
                         const struct rdma_conn_param *param)
{
    struct grant grant;
    struct errtext why = {""};
    struct client *c = NULL;
    char name[80];
    name_address(name, sizeof(name), rdma_get_peer_addr(id));
    enum rdma_reject_reason reason = judge(g, id, param, &grant.asked);
    if (!reason) {
        struct device *d = device_get(g, id->verbs, &why);
        if (!d || !client_grant(g, d, &grant) || client_new(g, d, id, name, &grant, &c, &why) < 0)
            reason = RDMA_REJECT_NO_MEMORY;
    }
    if (reason) {
        client_reject(g, id, name, reason, why.text);
        return;
    }
    g->stats.clients_accepted++;
    if (client_accept(c, &grant, param->initiator_depth, &why) < 0)
        client_end(c, END_DEVICE, "%s", why.text);
}

/* ---- listening ------------------------------------------------------------------------------- */

static void listener_free(struct listener *l)
{
    list_remove(&l->link);
    rdma_destroy_id(l->id);
    free(l);
}

static void listener_event(struct cm_owner *owner, const struct rdma_cm_event *event)
{
    struct listener *l = (struct listener *)owner;
    struct gateway *g = l->g;
    if (event->event != RDMA_CM_EVENT_DEVICE_REMOVAL)
        return;
    listener_free(l);
    log_event(LOG_LEVEL_ERROR, "listener-removed", "its device is being removed");
    if (list_empty(&g->listeners))
        gateway_fail(g, "there is no address left to listen on");
}

static int listener_new(struct gateway *g, const struct addrinfo *a, struct errtext *why)
{
    struct listener *l = calloc(1, sizeof(*l));
    char name[80];
    if (!l)
        return errtext_set(why, ENOMEM, "no memory");
    l->g = g;
    l->cm.event = listener_event;
    list_init(&l->link);
    if (rdma_create_id(g->events, &l->id, l, RDMA_PS_TCP) < 0) {
        free(l);
        return errtext_set(why, errno, "rdma_create_id: %s", errtext_errno(errno));
    }
    name_address(name, sizeof(name), a->ai_addr);
    if (rdma_bind_addr(l->id, a->ai_addr) < 0 || rdma_listen(l->id, BACKLOG) < 0) {
        int error = errno;
        listener_free(l);
        return errtext_set(why, error, "cannot listen on %s: %s", name, errtext_errno(error));
    }
    list_append(&g->listeners, &l->link);
    log_event(LOG_LEVEL_INFO, "listening", "%s", name);
    return 0;
}

static int listen_on(struct gateway *g, const char *text, const char *port, struct errtext *why)
{
    struct addrinfo *all;
    int rc = endpoint_resolve(text, port, AI_PASSIVE | AI_NUMERICHOST, &all, why);
    if (rc < 0)
        return rc;
    rc = listener_new(g, all, why);
    freeaddrinfo(all);
    return rc;
}

/* An event is acknowledged before it is acted on: that may destroy the id that it came for. */
static void events_ready(struct source *s, uint32_t epoll_events)
{
    struct gateway *g = LIST_OF(s, struct gateway, cm_source);
    struct rdma_cm_event *event;
    (void)epoll_events;
    while (rdma_get_cm_event(g->events, &event) == 0) {
        uint8_t data[256];
        struct rdma_cm_event copy = *event;
        struct rdma_conn_param *param = &copy.param.conn;
        bool request = copy.event == RDMA_CM_EVENT_CONNECT_REQUEST;
        if (request && param->private_data && param->private_data_len)
            param->private_data = memcpy(data, param->private_data, param->private_data_len);
        rdma_ack_cm_event(event);
        if (request) {
            client_admit(g, copy.id, param);
            continue;
        }
        struct cm_owner *owner = copy.id->context;
        if (owner)
            owner->event(owner, &copy);
    }
}

/* ---- devices that go ------------------------------------------------------------------------- */

static void watch_event(struct cm_owner *owner, const struct rdma_cm_event *event)
{
    struct listener *l = (struct listener *)owner;
    struct gateway *g = l->g;
    const struct ibv_context *verbs = l->id->verbs;
    if (event->event != RDMA_CM_EVENT_DEVICE_REMOVAL)
        return;
    listener_free(l);
    for (struct list *i = g->devices.next; i != &g->devices; i = i->next) {
        struct device *d = LIST_OF(i, struct device, link);
        if (d->verbs == verbs) {
            device_remove(d, "it is being removed");
            return;
        }
    }
}

static bool is_watched(const struct gateway *g, const struct ibv_context *verbs)
{
    for (struct list *i = g->watches.next; i != &g->watches; i = i->next)
        if (LIST_OF(i, struct listener, link)->id->verbs == verbs)
            return true;
    return false;
}

/* Binds an id to the device that has this address, if there is one that has no id yet. */
static void watch_address(struct gateway *g, struct sockaddr *address)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (!l)
        return;
    l->g = g;
    l->cm.event = watch_event;
    list_init(&l->link);
    if (rdma_create_id(g->events, &l->id, l, RDMA_PS_TCP) < 0)
        free(l);
    else if (rdma_bind_addr(l->id, address) < 0 || !l->id->verbs || is_watched(g, l->id->verbs))
        listener_free(l);
    else
        list_append(&g->watches, &l->link);
}

/* That a device is to go is told to what is bound to it. Listening on all addresses is not, clients
 * may be gone themselves by then, and some devices do not go before the gateway has closed them. */
static void devices_watch(struct gateway *g)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return;
    for (struct ifaddrs *a = all; a; a = a->ifa_next)
        if (a->ifa_addr &&
            (a->ifa_addr->sa_family == AF_INET || a->ifa_addr->sa_family == AF_INET6))
            watch_address(g, a->ifa_addr);
    freeifaddrs(all);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

int listen_start(struct gateway *g, struct errtext *why)
{
    char port[8];
    snprintf(port, sizeof(port), "%d", RDMA_WIRE_PORT);
    g->events = rdma_create_event_channel();
    if (!g->events)
        return errtext_set(why, errno, "no RDMA connection manager: %s", errtext_errno(errno));
    int flags = fcntl(g->events->fd, F_GETFL), rc = 0;
    g->cm_source.ready = events_ready;
    if (flags < 0 || fcntl(g->events->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        rc = -errno;
    rc = rc ? rc : source_add(g, &g->cm_source, g->events->fd, EPOLLIN);
    if (rc < 0)
        return errtext_set(why, rc, "event channel: %s", errtext_errno(rc));
    for (size_t i = 0; i < g->options.listen_count && rc == 0; i++)
        rc = listen_on(g, g->options.listen[i], port, why);
    if (!g->options.listen_count) { /* all addresses of both families, or of IPv4 */
        rc = listen_on(g, "[::]", port, why);
        if (rc < 0)
            rc = listen_on(g, "0.0.0.0", port, why);
    }
    if (rc == 0)
        devices_watch(g);
    return rc;
}

void listen_stop(struct gateway *g)
{
    while (!list_empty(&g->listeners))
        listener_free(LIST_OF(g->listeners.next, struct listener, link));
    while (!list_empty(&g->watches))
        listener_free(LIST_OF(g->watches.next, struct listener, link));
}

void listen_end(struct gateway *g)
{
    source_remove(g, &g->cm_source);
    if (g->events)
        rdma_destroy_event_channel(g->events);
    g->events = NULL;
}
