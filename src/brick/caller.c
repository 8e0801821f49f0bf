#include "brick/caller.h"

#include "gzc.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PID_AT     8
#define NGROUPS_AT 36

/* umask(2) can only be read by changing it, which other threads would see. */
static mode_t process_umask(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    unsigned mask = 022;
    char line[256];
    if (!status)
        return mask;
    while (fgets(line, sizeof(line), status))
        if (sscanf(line, "Umask: %o", &mask) == 1)
            break;
    fclose(status);
    return mask;
}

/* Encodes; without groups the group itself is sent at least, as rpc-clnt.c does. */
static int encode(struct caller *caller, const struct gzc_identity *who, const void *owner,
                  size_t owner_length)
{
    gid_t own = who->gid;
    struct rpc_cred cred = {
        .pid = who->pid ? who->pid : getpid(),
        .uid = who->uid,
        .gid = who->gid,
        .ngroups = who->ngroups ? who->ngroups : 1,
        .groups = who->ngroups ? who->groups : &own,
        .lk_owner_len = (uint32_t)owner_length,
        .lk_owner = owner,
    };
    if (owner_length > RPC_CRED_ITEMS_MAX)
        return -EINVAL;
    ssize_t length = rpc_cred_encode(caller->credential, sizeof(caller->credential), &cred);
    if (length < 0)
        return (int)length;
    caller->length = (size_t)length;
    caller->umask = who->umask & 0777;
    return 0;
}

static int encode_process(struct caller *caller, bool groups, const void *owner,
                          size_t owner_length)
{
    int n = groups ? getgroups(0, NULL) : 0;
    if (n < 0)
        return -errno;
    gid_t *list = calloc((size_t)n + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    n = n ? getgroups(n, list) : 0;
    struct gzc_identity who = {
        .uid = geteuid(),
        .gid = getegid(),
        .groups = list,
        .ngroups = n > 0 ? (unsigned)n : 0,
        .umask = process_umask(),
    };
    int rc = encode(caller, &who, owner, owner_length);
    free(list);
    return rc;
}

int caller_init(struct caller *caller, const struct gzc_identity *who, bool groups,
                const void *owner, size_t owner_length)
{
    if (!who)
        return encode_process(caller, groups, owner, owner_length);
    struct gzc_identity alone = *who;
    if (!groups)
        alone.ngroups = 0;
    return encode(caller, &alone, owner, owner_length);
}

int caller_set_owner(struct caller *caller, const void *owner, size_t length)
{
    uint32_t ngroups = wire_get32(caller->credential + NGROUPS_AT);
    uint8_t *p = caller->credential + NGROUPS_AT;
    if (length > RPC_CRED_ITEMS_MAX)
        return -EINVAL;
    if (ngroups > RPC_CRED_ITEMS_MAX - length)
        ngroups = (uint32_t)(RPC_CRED_ITEMS_MAX - length);
    wire_put32(p, ngroups);
    p += 4 + 4 * ngroups;
    wire_put32(p, (uint32_t)length);
    memset(p + 4, 0, wire_pad4(length));
    memcpy(p + 4, owner, length);
    caller->length = (size_t)(p + 4 + wire_pad4(length) - caller->credential);
    wire_put32(caller->credential + 4, (uint32_t)caller->length - 8);
    return 0;
}

const uint8_t *caller_owner(const struct caller *caller, size_t *length)
{
    const uint8_t *p = caller->credential + NGROUPS_AT;
    p += 4 + 4 * wire_get32(p);
    *length = wire_get32(p);
    return p + 4;
}

uint32_t caller_pid(const struct caller *caller)
{
    return wire_get32(caller->credential + PID_AT);
}
