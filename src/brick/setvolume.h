/* SETVOLUME: a client introduces itself to a brick (server-setvolume.c:server_setvolume). */
#ifndef BRICK_SETVOLUME_H
#define BRICK_SETVOLUME_H

#include "brick/session.h"

/** Sends SETVOLUME on @p conn; @p done runs when it is over, and calls setvolume_end(). */
void setvolume_begin(struct session *s, struct rpc_conn *conn, struct xdr_call *call,
                     void (*done)(struct xdr_call *));
/** The outcome: 0; or -errno, with text in @p why: -EACCES (refused), -ENOENT (no such brick
 * there), -EINVAL (e.g. it belongs to another volume), -EAGAIN (not ready: worth another try), ...
 */
int setvolume_end(struct session *s, struct xdr_call *call, struct errtext *why);

#endif
