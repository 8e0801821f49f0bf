/* Connecting to a host by name: its addresses are tried one after the other. */
#ifndef BRICK_DIAL_H
#define BRICK_DIAL_H

#include "rpc/conn.h"

#include <netdb.h>

/** A host's addresses. Whoever connects to it often resolves its name once. */
struct dial_host {
    struct addrinfo *addresses;
    struct addrinfo *first; /* of them, to be tried: the last one that was good */
};

struct dial {
    struct rpc_conn *conn;
    struct dial_host *host;
    uint16_t port;
    unsigned left; /* addresses that have not been tried */
    uint64_t deadline;
};

/** Resolves @p name, which blocks. @return 0, to be freed with dial_host_free(); -EHOSTUNREACH,
 * with text, and nothing to free. */
int dial_resolve(struct dial_host *host, const char *name, struct errtext *why);
/** Zeroed ones too; may be called again and again. */
void dial_host_free(struct dial_host *host);

/** Begins to connect @p conn to @p host, which must stay: conn's user hears of the outcome, and
 * must pass errors to dial_again(). */
void dial_start(struct dial *d, struct rpc_conn *conn, struct dial_host *host, uint16_t port,
                uint64_t deadline);
/** One address has failed. True if another one is being tried now. */
bool dial_again(struct dial *d);

#endif
