/* Which addresses clients are let in from. */
#ifndef GATEWAY_ALLOW_H
#define GATEWAY_ALLOW_H

#include "base/errtext.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/** An address and how many of its bits count. IPv4 is kept as IPv4-mapped IPv6 (RFC 4291). */
struct allow_range {
    uint8_t address[16];
    unsigned bits;
};

/** All zero: only this host's own addresses. */
struct allow {
    bool any;
    struct allow_range *ranges;
    size_t count;
};

/** Adds ranges "ADDRESS[/BITS]", with commas between, or "any". @return 0, -EINVAL, -ENOMEM. */
int allow_add(struct allow *a, const char *text, struct errtext *why);
void allow_free(struct allow *a);
/** May a client with that address come in? */
bool allow_address(const struct allow *a, const struct sockaddr *address);

#endif
