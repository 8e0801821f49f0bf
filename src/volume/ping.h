/* A sign of life of one brick, on demand. */
#ifndef VOLUME_PING_H
#define VOLUME_PING_H

#include "volume/op.h"

struct ping_op {
    struct op op; /* first */
    struct rpc_call call;
    struct session *session;
    uint64_t begun;
    uint64_t *nanoseconds; /* the round-trip time; set on success */
    uint8_t head[RPC_HEAD_MAX];
};

void ping_init(struct ping_op *p, struct gzc_volume *v, struct session *s, uint64_t *nanoseconds);
void ping_start(struct op *op);

#endif
