/* TCP transport: the connection. Record marking is described in tcp_receive.c. */
#include "transport/tcp.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int tcp_connect(struct transport *base, const struct sockaddr *address, socklen_t length)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, address, length) < 0 && errno != EINPROGRESS) {
        int err = -errno;
        close(fd);
        return err;
    }
    base->fd = fd;
    tcp_of(base)->rx.lowat = 1;
    return 0;
}

static int tcp_connected(struct transport *base)
{
    int err = 0;
    socklen_t length = sizeof(err);
    if (getsockopt(base->fd, SOL_SOCKET, SO_ERROR, &err, &length) < 0)
        return -errno;
    return -err;
}

static int tcp_peer(struct transport *base, struct sockaddr_storage *address)
{
    socklen_t length = sizeof(*address);
    return getpeername(base->fd, (struct sockaddr *)address, &length) < 0 ? -errno : 0;
}

static void tcp_close(struct transport *base)
{
    struct tcp *t = tcp_of(base);
    tcp_tx_reset(&t->tx);
    base->blocked = false;
    tcp_rx_reset(&t->rx);
    t->rx.failed = 0;
    t->rx.fragments = false;
    if (base->fd >= 0)
        close(base->fd);
    base->fd = -1;
}

static void tcp_free(struct transport *base)
{
    tcp_close(base);
    free(tcp_of(base)->rx.body);
    free(base);
}

static const struct transport_ops tcp_ops = {
    .connect = tcp_connect,
    .connected = tcp_connected,
    .peer = tcp_peer,
    .close = tcp_close,
    .free = tcp_free,
    .tx_queue = tcp_tx_queue,
    .tx_prepare = tcp_tx_prepare,
    .tx_issue = tcp_tx_issue,
    .tx_finish = tcp_tx_finish,
    .tx_ready = tcp_tx_ready,
    .tx_retire = tcp_tx_retire,
    .rx_prepare = tcp_rx_prepare,
    .rx_issue = tcp_rx_issue,
    .rx_finish = tcp_rx_finish,
    .rx_sleep = tcp_rx_sleep,
    .rx_retire = tcp_rx_retire,
};

static struct transport *tcp_make(const struct transport_kind *kind, const char *target,
                                  const struct transport_user *ops, void *user,
                                  struct counters *counters, struct errtext *why)
{
    (void)kind, (void)target;
    struct tcp *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->rx.body = malloc(TCP_BODY_FIRST);
    if (!t->rx.body) {
        free(t);
        return NULL;
    }
    t->rx.body_room = TCP_BODY_FIRST;
    tcp_rx_reset(&t->rx);
    tcp_tx_reset(&t->tx);
    t->base = (struct transport){
        .ops = &tcp_ops,
        .user_ops = ops,
        .user = user,
        .counters = counters,
        .why = why,
        .pieces = UINT_MAX,
        .payload = UINT32_MAX,
        .fd = -1,
    };
    return &t->base;
}

const struct transport_kind transport_tcp = {tcp_make};
