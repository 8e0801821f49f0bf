#include "brick/session.h"
#include "proto/rpc_msg.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

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

static int take_credential(struct identity *identity, bool send_groups)
{
    int n = getgroups(0, NULL);
    if (n < 0)
        return -errno;
    gid_t *groups = calloc((size_t)n + 1, sizeof(*groups));
    if (!groups)
        return -ENOMEM;
    n = getgroups(n, groups);
    if (n <= 0 || !send_groups) { /* rpc-clnt.c sends the group itself at least */
        groups[0] = getegid();
        n = 1;
    }
    uint64_t owner = (uint64_t)(uintptr_t)identity;
    struct rpc_cred cred = {
        .pid = getpid(),
        .uid = geteuid(),
        .gid = getegid(),
        .ngroups = (uint32_t)n,
        .groups = groups,
        .lk_owner_len = SESSION_LK_OWNER,
        .lk_owner = (const uint8_t *)&owner,
    };
    ssize_t length = rpc_cred_encode(identity->credential, sizeof(identity->credential), &cred);
    free(groups);
    if (length < 0)
        return (int)length;
    identity->credential_length = (size_t)length;
    return 0;
}

int identity_take(struct identity *identity, bool groups)
{
    uuid_t uuid;
    char text[UUID_STR_LEN], host[64] = "";
    uuid_generate(uuid);
    uuid_unparse_lower(uuid, text);
    gethostname(host, sizeof(host) - 1);
    /* The form of GlusterFS's own clients (client-setvolume.c:client_setvolume); servers take any.
     */
    snprintf(identity->process_uuid, sizeof(identity->process_uuid),
             "CTX_ID:%s-GRAPH_ID:0-PID:%d-HOST:%s-PC_NAME:libgzc", text, getpid(), host);
    identity->umask = process_umask();
    return take_credential(identity, groups);
}
