#include "brick/fop.h"

#include "proto/dirlist.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uuid/uuid.h>

/* Which times an operation sets. */
enum {
    SETS_FILE = RPC_CRED_CTIME | RPC_CRED_MTIME,
    SETS_PARENT = RPC_CRED_PARENT_CTIME | RPC_CRED_PARENT_MTIME,
    SETS_NAME = RPC_CRED_CTIME | SETS_PARENT,
    SETS_ALL = SETS_FILE | RPC_CRED_ATIME | SETS_PARENT,
};

struct fop_kind {
    const char *name;
    xdrproc_t arguments, results;
    uint32_t times;
    uint32_t reply_max; /* as in xdr_procedure */
};

/* Looks through a list once, while the connection that it came on can still be blamed for it. */
static bool list_valid(const struct fop_list_res *res)
{
    struct dirlist list;
    struct dirlist_entry entry;
    int rc, n = 0;
    if (res->op_ret < 0)
        return true;
    dirlist_init(&list, res->list, res->length, true);
    while ((rc = dirlist_next(&list, &entry)) > 0)
        n++;
    return rc == 0 && n == res->op_ret;
}

/* READDIRP's results: the fixed part, then a list whose length the record gives. */
static bool_t xdr_list_res(XDR *xdrs, struct fop_list_res *res)
{
    gf_readdirp_res fixed = {0};
    if (xdrs->x_op == XDR_FREE) {
        free(res->list);
        res->list = NULL;
        return TRUE;
    }
    bool_t ok = xdr_gf_readdirp_res(xdrs, &fixed);
    res->op_ret = fixed.op_ret;
    res->op_errno = fixed.op_errno;
    xdrs->x_op = XDR_FREE;
    xdr_gf_readdirp_res(xdrs, &fixed);
    xdrs->x_op = XDR_DECODE;
    if (!ok)
        return FALSE;
    res->length = xdrs->x_handy; /* what an xdrmem stream has left */
    res->list = malloc(res->length ? res->length : 1);
    return res->list && xdr_opaque(xdrs, (char *)res->list, (u_int)res->length) && list_valid(res);
}

#define KIND(NAME, args, res, times)                                                               \
    [GF_FOP_##NAME] = {#NAME, (xdrproc_t)xdr_gf_##args##_args, (xdrproc_t)xdr_##res##_res, times, 0}

static const struct fop_kind kinds[] = {
    KIND(LOOKUP, lookup, gf_lookup, 0),
    KIND(STAT, stat, gf_stat, 0),
    KIND(FSTAT, fstat, gf_fstat, 0),
    KIND(READLINK, readlink, gf_readlink, 0),
    KIND(OPEN, open, gf_open, RPC_CRED_ATIME),
    KIND(CREATE, create, gf_create, SETS_ALL),
    KIND(READ, read, gf_read, RPC_CRED_ATIME),
    KIND(WRITE, write, gf_write, SETS_FILE),
    KIND(FLUSH, flush, gf_flush, 0),
    KIND(FSYNC, fsync, gf_fsync, 0),
    KIND(FTRUNCATE, ftruncate, gf_ftruncate, SETS_FILE),
    KIND(DISCARD, discard, gf_discard, 0),
    KIND(RELEASE, release, gf_release, 0),
    KIND(UNLINK, unlink, gf_unlink, SETS_NAME),
    KIND(MKDIR, mkdir, gf_mkdir, SETS_ALL),
    KIND(RMDIR, rmdir, gf_rmdir, SETS_NAME),
    KIND(OPENDIR, opendir, gf_opendir, RPC_CRED_ATIME),
    [GF_FOP_READDIRP] = {"READDIRP", (xdrproc_t)xdr_gf_readdirp_args, (xdrproc_t)xdr_list_res, 0,
                         FOP_LIST_MAX},
    KIND(RELEASEDIR, releasedir, gf_releasedir, 0),
};

const char *fop_name(uint32_t number)
{
    return kinds[number].name;
}

void fop_stamp(uint8_t *credential, uint32_t number, const struct fop_context *context)
{
    uint32_t times = context->utime ? kinds[number].times : 0;
    if (times == RPC_CRED_ATIME && context->noatime)
        times = 0;
    if (!times)
        return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    wire_put32(credential + RPC_CRED_FLAGS_AT, times);
    wire_put32(credential + RPC_CRED_NSEC_AT, (uint32_t)now.tv_nsec);
    wire_put64(credential + RPC_CRED_SEC_AT, (uint64_t)now.tv_sec);
}

static void fop_done(struct xdr_call *call)
{
    struct fop *fop = (struct fop *)call;
    fop->error = call->rpc.error;
    if (!fop->error && fop->results.head.op_ret < 0) {
        int32_t err = fop->results.head.op_errno;
        fop->error = err > 0 && err < 4096 ? -err : -EIO;
    }
    fop->done(fop);
}

static void fop_cancelled(struct rpc_call *call)
{
    fop_done((struct xdr_call *)call);
}

void fop_post(struct session *s, struct fop *fop, uint32_t number, void *arguments,
              const struct fop_context *context, void (*done)(struct fop *))
{
    const struct fop_kind *kind = &kinds[number];
    const struct xdr_procedure procedure = {
        GF_FOP_PROGRAM, GF_FOP_VERSION, number, kind->arguments, kind->results, kind->reply_max,
    };
    uint8_t credential[sizeof(s->identity->credential)];
    struct xdr_identity identity = {
        credential,
        s->identity->credential_length,
        context->deadline,
        context->owner,
    };
    memcpy(credential, s->identity->credential, s->identity->credential_length);
    fop_stamp(credential, number, context);
    fop->session = s;
    fop->number = number;
    fop->done = done;
    memset(&fop->results, 0, sizeof(fop->results));
    if (context->cancelled) {
        fop->call = (struct xdr_call){.rpc.done = fop_cancelled};
        rpc_post_failed(session_connection(s), &fop->call.rpc, -ECANCELED);
        return;
    }
    xdr_call_post(session_connection(s), &fop->call, &procedure, &identity, arguments,
                  &fop->results, fop_done);
}

int fop_request_gfid(struct dict *xdata)
{
    uint8_t gfid[GF_GFID_BYTES];
    uuid_generate_random(gfid);
    return dict_set_gfid(xdata, "gfid-req", gfid);
}

void fop_free_results(struct fop *fop)
{
    xdr_free(kinds[fop->number].results, (char *)&fop->results);
    memset(&fop->results, 0, sizeof(fop->results));
}
