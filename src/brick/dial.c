#include "brick/dial.h"

#include <errno.h>
#include <netinet/in.h>

int dial_resolve(struct dial_host *host, const char *name, struct errtext *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int rc = getaddrinfo(name, NULL, &hints, &host->addresses);
    if (rc != 0) {
        host->addresses = NULL;
        return errtext_set(why, EHOSTUNREACH, "cannot resolve '%s': %s", name, gai_strerror(rc));
    }
    host->first = host->addresses;
    return 0;
}

void dial_host_free(struct dial_host *host)
{
    if (host->addresses)
        freeaddrinfo(host->addresses);
    host->addresses = host->first = NULL;
}

static void dial(struct dial *d)
{
    const struct addrinfo *address = d->host->first;
    struct sockaddr_storage to;
    memcpy(&to, address->ai_addr, address->ai_addrlen);
    if (to.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&to)->sin6_port = htons(d->port);
    else
        ((struct sockaddr_in *)&to)->sin_port = htons(d->port);
    d->left--;
    rpc_connect(d->conn, (struct sockaddr *)&to, address->ai_addrlen, d->deadline);
}

void dial_start(struct dial *d, struct rpc_conn *conn, struct dial_host *host, uint16_t port,
                uint64_t deadline)
{
    *d = (struct dial){.conn = conn, .host = host, .port = port, .deadline = deadline};
    for (struct addrinfo *address = host->addresses; address; address = address->ai_next)
        d->left++;
    dial(d);
}

bool dial_again(struct dial *d)
{
    struct addrinfo *next = d->host->first->ai_next;
    d->host->first = next ? next : d->host->addresses;
    if (!d->left || clock_now() >= d->deadline)
        return false;
    dial(d);
    return true;
}
