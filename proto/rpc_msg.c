#include "proto/rpc_msg.h"

#include "proto/wire.h"

#include <errno.h>

/* words of RFC 5531 section 9 */
enum { ACCEPTED = 0, DENIED = 1 };
enum { REJECT_RPC_MISMATCH = 0, REJECT_AUTH_ERROR = 1 };
enum { AUTH_FLAVOUR_NONE = 0 };

#define CALL_FIXED 24 /* xid, CALL, rpcvers, prog, vers, proc */
#define CRED_FIXED 40 /* flavour to number of groups */

ssize_t rpc_cred_encode(uint8_t *out, size_t size, const struct rpc_cred *cred)
{
    if (cred->lk_owner_len > RPC_CRED_ITEMS_MAX)
        return -EINVAL;
    uint32_t ngroups = cred->ngroups;
    if (ngroups > RPC_CRED_ITEMS_MAX - cred->lk_owner_len)
        ngroups = RPC_CRED_ITEMS_MAX - cred->lk_owner_len;
    size_t padded = wire_pad4(cred->lk_owner_len);
    size_t total = CRED_FIXED + 4 * (size_t)ngroups + 4 + padded;
    if (total > size)
        return -ENOSPC;

    wire_put32(out, RPC_CRED_FLAVOUR);
    wire_put32(out + 4, (uint32_t)total - 8);
    wire_put32(out + 8, (uint32_t)cred->pid);
    wire_put32(out + 12, cred->uid);
    wire_put32(out + 16, cred->gid);
    wire_put32(out + RPC_CRED_FLAGS_AT, cred->flags);
    wire_put32(out + RPC_CRED_NSEC_AT, cred->ctime_nsec);
    wire_put64(out + RPC_CRED_SEC_AT, cred->ctime_sec);
    wire_put32(out + 36, ngroups);
    uint8_t *p = out + CRED_FIXED;
    for (uint32_t i = 0; i < ngroups; i++, p += 4)
        wire_put32(p, cred->groups[i]);
    wire_put32(p, cred->lk_owner_len);
    p += 4;
    memset(p, 0, padded);
    if (cred->lk_owner_len)
        memcpy(p, cred->lk_owner, cred->lk_owner_len);
    return (ssize_t)total;
}

size_t rpc_call_encode(uint8_t *out, uint32_t xid, uint32_t prog, uint32_t vers, uint32_t proc,
                       const uint8_t *cred, size_t cred_len)
{
    wire_put32(out, xid);
    wire_put32(out + 4, RPC_MSG_CALL);
    wire_put32(out + 8, RPC_VERSION);
    wire_put32(out + 12, prog);
    wire_put32(out + 16, vers);
    wire_put32(out + 20, proc);
    memcpy(out + CALL_FIXED, cred, cred_len);
    wire_put32(out + CALL_FIXED + cred_len, AUTH_FLAVOUR_NONE);
    wire_put32(out + CALL_FIXED + cred_len + 4, 0);
    return CALL_FIXED + cred_len + 8;
}

/* The part of a message that is here, and how far the message goes on. */
struct partial {
    struct wire_span here;
    size_t beyond;
};

/* Takes the next n bytes. 1; 0: they are not here yet; -EPROTO: the message ends before them. */
static int take(struct partial *m, size_t n, const uint8_t **p)
{
    *p = wire_take(&m->here, n);
    if (*p)
        return 1;
    return n <= m->here.left + m->beyond ? 0 : -EPROTO;
}

static int take32(struct partial *m, uint32_t *v)
{
    const uint8_t *p;
    int rc = take(m, 4, &p);
    if (rc == 1)
        *v = wire_get32(p);
    return rc;
}

static int parse_versions(struct partial *m, struct rpc_reply *r)
{
    int rc = take32(m, &r->low);
    return rc == 1 ? take32(m, &r->high) : rc;
}

static int parse_accepted(struct partial *m, struct rpc_reply *r)
{
    /* accept_stat's values, in their order */
    static const enum rpc_reply_status status[] = {
        RPC_REPLY_SUCCESS,      RPC_REPLY_PROG_UNAVAIL, RPC_REPLY_PROG_MISMATCH,
        RPC_REPLY_PROC_UNAVAIL, RPC_REPLY_GARBAGE_ARGS, RPC_REPLY_SYSTEM_ERR,
    };
    uint32_t flavour, length, stat;
    const uint8_t *verifier;
    int rc;

    if ((rc = take32(m, &flavour)) != 1 || (rc = take32(m, &length)) != 1)
        return rc;
    if (length > RPC_AUTH_MAX)
        return -EPROTO;
    if ((rc = take(m, wire_pad4(length), &verifier)) != 1 || (rc = take32(m, &stat)) != 1)
        return rc;
    if (stat >= sizeof(status) / sizeof(*status))
        return -EPROTO;
    r->status = status[stat];
    return r->status == RPC_REPLY_PROG_MISMATCH ? parse_versions(m, r) : 1;
}

static int parse_denied(struct partial *m, struct rpc_reply *r)
{
    uint32_t stat;
    int rc = take32(m, &stat);
    if (rc != 1)
        return rc;
    switch (stat) {
    case REJECT_RPC_MISMATCH:
        r->status = RPC_REPLY_RPC_MISMATCH;
        return parse_versions(m, r);
    case REJECT_AUTH_ERROR:
        r->status = RPC_REPLY_AUTH_ERROR;
        return take32(m, &r->auth_stat);
    }
    return -EPROTO;
}

static int parse_reply(struct partial *m, struct rpc_reply *r)
{
    uint32_t type, stat;
    int rc;

    if ((rc = take32(m, &r->xid)) != 1 || (rc = take32(m, &type)) != 1)
        return rc;
    if (type != RPC_MSG_REPLY)
        return -EPROTO;
    if ((rc = take32(m, &stat)) != 1)
        return rc;
    switch (stat) {
    case ACCEPTED:
        return parse_accepted(m, r);
    case DENIED:
        return parse_denied(m, r);
    }
    return -EPROTO;
}

ssize_t rpc_reply_parse(const uint8_t *p, size_t have, size_t record, struct rpc_reply *reply)
{
    if (have > record)
        have = record;
    struct partial m = {{p, have}, record - have};
    struct rpc_reply r = {0};
    int rc = parse_reply(&m, &r);
    if (rc != 1)
        return rc;
    *reply = r;
    return m.here.at - p;
}

int rpc_reply_errno(const struct rpc_reply *reply)
{
    switch (reply->status) {
    case RPC_REPLY_SUCCESS:
        return 0;
    case RPC_REPLY_PROG_UNAVAIL:
    case RPC_REPLY_PROG_MISMATCH:
    case RPC_REPLY_PROC_UNAVAIL:
    case RPC_REPLY_RPC_MISMATCH:
        return -EPROTONOSUPPORT;
    case RPC_REPLY_GARBAGE_ARGS:
        return -EBADMSG;
    case RPC_REPLY_SYSTEM_ERR:
        return -EREMOTEIO;
    case RPC_REPLY_AUTH_ERROR:
        return -EACCES;
    }
    return -EPROTO;
}

const char *rpc_reply_text(const struct rpc_reply *reply)
{
    switch (reply->status) {
    case RPC_REPLY_SUCCESS:
        return "SUCCESS";
    case RPC_REPLY_PROG_UNAVAIL:
        return "PROG_UNAVAIL";
    case RPC_REPLY_PROG_MISMATCH:
        return "PROG_MISMATCH";
    case RPC_REPLY_PROC_UNAVAIL:
        return "PROC_UNAVAIL";
    case RPC_REPLY_GARBAGE_ARGS:
        return "GARBAGE_ARGS";
    case RPC_REPLY_SYSTEM_ERR:
        return "SYSTEM_ERR";
    case RPC_REPLY_RPC_MISMATCH:
        return "RPC_MISMATCH";
    case RPC_REPLY_AUTH_ERROR:
        return "AUTH_ERROR";
    }
    return "unknown status";
}

int rpc_callback_parse(const uint8_t *p, size_t length, struct rpc_callback *call)
{
    struct wire_span span = {p, length};
    const uint8_t *fixed = wire_take(&span, CALL_FIXED);
    uint32_t flavour, bytes;

    if (!fixed || wire_get32(fixed + 4) != RPC_MSG_CALL || wire_get32(fixed + 8) != RPC_VERSION)
        return -EPROTO;
    /* the credential, the verifier */
    for (int i = 0; i < 2; i++) {
        if (!wire_take32(&span, &flavour) || !wire_take_opaque(&span, RPC_AUTH_MAX, &bytes))
            return -EPROTO;
    }
    *call = (struct rpc_callback){
        .program = wire_get32(fixed + 12),
        .version = wire_get32(fixed + 16),
        .procedure = wire_get32(fixed + 20),
        .body = (size_t)(span.at - p),
    };
    return 0;
}
