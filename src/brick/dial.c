#include "brick/dial.h"

#include <errno.h>
#include <stdio.h>

int dial_start(struct dial *d, struct rpc_conn *conn, const char *host, uint16_t port,
               uint64_t deadline)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    *d = (struct dial){.conn = conn, .deadline = deadline};
    int rc = getaddrinfo(host, service, &hints, &d->addresses);
    if (rc != 0)
        return errtext_set(&conn->why, EHOSTUNREACH, "cannot resolve '%s': %s", host,
                           gai_strerror(rc));
    d->next = d->addresses;
    dial_again(d);
    return 0;
}

bool dial_again(struct dial *d)
{
    struct addrinfo *address = d->next;
    if (!address || clock_now() >= d->deadline)
        return false;
    d->next = address->ai_next;
    rpc_connect(d->conn, address->ai_addr, address->ai_addrlen, d->deadline);
    return true;
}

void dial_end(struct dial *d)
{
    if (d->addresses)
        freeaddrinfo(d->addresses);
    d->addresses = d->next = NULL;
}
