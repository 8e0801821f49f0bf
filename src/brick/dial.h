/* Connecting to a host by name: its addresses are tried one after the other. */
#ifndef BRICK_DIAL_H
#define BRICK_DIAL_H

#include "rpc/conn.h"

#include <netdb.h>

struct dial {
    struct rpc_conn *conn;
    struct addrinfo *addresses, *next;
    uint64_t deadline;
};

/**
 * Begins to connect @p conn to @p host. Resolving the name blocks the calling thread.
 * @return 0: conn's user hears of the outcome, and must pass errors to dial_again(); -EHOSTUNREACH
 *         (the name does not resolve), with text in conn->why.
 */
int dial_start(struct dial *d, struct rpc_conn *conn, const char *host, uint16_t port,
               uint64_t deadline);
/** One address has failed. True if another one is being tried now. */
bool dial_again(struct dial *d);
/** Frees the addresses; may be called again and again. */
void dial_end(struct dial *d);

#endif
