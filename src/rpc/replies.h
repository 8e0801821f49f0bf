/* What arrives on a connection finds its call here. For conn.c and replies.c only. */
#ifndef RPC_REPLIES_H
#define RPC_REPLIES_H

#include "rpc/conn.h"

/* transport_user functions, see transport/transport.h */
int rpc_arrive(void *user, const uint8_t *message, size_t have, size_t whole,
               struct arrival *arrival);
int rpc_landed(void *user, size_t direct, size_t staged);
int rpc_collected(void *user, const uint8_t *message, size_t length);

/** The posted call with this xid, or NULL. */
struct rpc_call *rpc_match(struct rpc_conn *conn, uint32_t xid);
/** The reply to a retired call, which the slot of @p xid waits for, has come; false: it does not.
 */
bool rpc_replied_late(struct rpc_conn *conn, uint32_t xid);
/** Ends a posted call whose reply is in: from here on its memory is not touched. By the leader. */
void rpc_replied(struct rpc_conn *conn, struct rpc_call *call, int error);

#endif
