/* For whom calls are made: what bricks check permissions against. */
#ifndef BRICK_CALLER_H
#define BRICK_CALLER_H

#include "proto/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gzc_identity;

/** Bytes of the lock owner that a handle has by itself. With so many, the protocol has room for
 * 83 groups (xdr-common.h: GF_AUTH_GLUSTERFS_MAX_GROUPS). */
#define CALLER_LK_OWNER 8

struct caller {
    uint8_t credential[408]; /* AUTH_GLUSTERFS_v3: flavour, length, body */
    size_t length;
    mode_t umask;
};

/**
 * Encodes a caller.
 * @param who     NULL: the process as it is now: effective ids, supplementary groups, umask
 * @param groups  supplementary groups are sent (option send-gids); else the brick looks them up
 * @param owner   lock owner, of at most 91 bytes; groups that it leaves no room for are left out,
 * as GlusterFS's own client leaves them out
 * @return 0, -ENOMEM or -EINVAL.
 */
int caller_init(struct caller *caller, const struct gzc_identity *who, bool groups,
                const void *owner, size_t owner_length);

/** The user, as it stands behind flavour, length and pid. */
static inline uid_t caller_uid(const struct caller *caller)
{
    return wire_get32(caller->credential + 12);
}

/** Puts another lock owner in its place; groups that it leaves no room for go. @return 0 or
 *  -EINVAL: longer than 91 bytes. */
int caller_set_owner(struct caller *caller, const void *owner, size_t length);

/** The lock owner, *length bytes. */
const uint8_t *caller_owner(const struct caller *caller, size_t *length);
/** The process id that bricks are told. */
uint32_t caller_pid(const struct caller *caller);

#endif
