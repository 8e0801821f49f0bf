#include "brick/session.h"

#include <stdio.h>
#include <unistd.h>
#include <uuid/uuid.h>

int identity_take(struct identity *identity)
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
    return caller_init(&identity->caller, NULL, true, &identity, CALLER_LK_OWNER);
}
