#include "link.h"

#include <errno.h>
#include <sys/epoll.h>

#define RECEIVES_AT_ONCE 64 /* then it is another link's turn */

static void link_connected(struct link *l)
{
    int rc = l->transport->ops->connected(l->transport);
    if (rc == -EINPROGRESS)
        return;
    if (rc < 0) {
        errtext_set(&l->why, rc, "%s", errtext_errno(rc));
        link_close(l);
    } else {
        l->open = true;
    }
    l->connected(l, rc);
}

/* Edge-triggered: an event is told once. */
static void link_event(struct source *s, uint32_t events)
{
    struct link *l = LIST_OF(s, struct link, source);
    if (!l->transport)
        return;
    if (!l->open)
        link_connected(l);
    if (!l->open)
        return;
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        l->hung_up = true;
    if (l->hung_up || events & EPOLLIN)
        list_enter(&l->g->ready, &l->ready);
    if (events & EPOLLOUT && l->transport->blocked) {
        l->transport->ops->tx_ready(l->transport);
        list_enter(&l->g->unsent, &l->unsent);
    }
}

void link_init(struct link *l, struct gateway *g, void (*connected)(struct link *, int),
               void (*down)(struct link *, int))
{
    *l = (struct link){
        .g = g,
        .source = {-1, link_event},
        .connected = connected,
        .down = down,
    };
    list_init(&l->ready);
    list_init(&l->unsent);
    list_init(&l->drowsy);
}

int link_connect(struct link *l, const struct sockaddr *address, socklen_t length,
                 const struct transport_user *ops, void *user)
{
    struct transport *t =
        transport_tcp.make(&transport_tcp, "", ops, user, &l->g->stats.tcp, &l->why);
    if (!t)
        return errtext_set(&l->why, ENOMEM, "no memory for a connection");
    l->transport = t;
    l->open = l->hung_up = false;
    int rc = t->ops->connect(t, address, length);
    if (rc == 0)
        rc = source_add(l->g, &l->source, t->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    if (rc < 0) {
        link_close(l);
        return errtext_set(&l->why, rc, "%s", errtext_errno(rc));
    }
    return 0;
}

void link_send(struct link *l, struct message *m)
{
    l->transport->ops->tx_queue(l->transport, m);
    list_enter(&l->g->unsent, &l->unsent);
}

void link_close(struct link *l)
{
    source_remove(l->g, &l->source);
    list_remove(&l->ready);
    list_remove(&l->unsent);
    list_remove(&l->drowsy);
    if (l->transport)
        l->transport->ops->free(l->transport);
    l->transport = NULL;
    l->open = false;
}

static void link_receive(struct link *l)
{
    struct transport *t = l->transport;
    for (unsigned left = RECEIVES_AT_ONCE; left; left--) {
        t->ops->rx_prepare(t);
        t->ops->rx_issue(t);
        int rc = t->ops->rx_finish(t);
        if (t->unsent)
            list_enter(&l->g->unsent, &l->unsent);
        if (rc < 0) {
            l->down(l, rc);
            return;
        }
        if (rc == 0 && !l->hung_up) {
            if (t->drowsy)
                list_enter(&l->g->drowsy, &l->drowsy);
            return;
        }
    }
    list_enter(&l->g->ready, &l->ready);
}

void links_receive(struct gateway *g)
{
    struct list now;
    list_init(&now);
    list_splice(&now, &g->ready);
    for (struct list *i; (i = list_shift(&now));)
        link_receive(LIST_OF(i, struct link, ready));
}

void links_flush(struct gateway *g)
{
    for (struct list *i; (i = list_shift(&g->unsent));) {
        struct link *l = LIST_OF(i, struct link, unsent);
        struct transport *t = l->transport;
        int rc = 1;
        while (rc > 0 && t->ops->tx_prepare(t)) {
            t->ops->tx_issue(t);
            rc = t->ops->tx_finish(t);
        }
        if (rc < 0)
            l->down(l, rc);
    }
}

bool links_sleep(struct gateway *g)
{
    for (struct list *i; (i = list_shift(&g->drowsy));) {
        struct link *l = LIST_OF(i, struct link, drowsy);
        if (l->transport->ops->rx_sleep(l->transport))
            list_enter(&g->ready, &l->ready);
    }
    return list_empty(&g->ready);
}
