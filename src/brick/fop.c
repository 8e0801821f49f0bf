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
    enum {
        AGAIN,     /* may be executed twice: to the same effect */
        NOT_TWICE, /* fails, and says that what has become of it is not known */
        DONE,      /* by the loss itself */
    } if_lost;     /* with its connection */
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

/* Changing names is not repeatable: the second time it fails, or undoes what others have done
 * since. What a brick has open for us goes with the connection. */
#define KIND_OF(NAME, args, res, times, reply_max, if_lost)                                        \
    [GF_FOP_##NAME] = {                                                                            \
        #NAME,  (xdrproc_t)xdr_gf_##args##_args, (xdrproc_t)xdr_##res##_res, times, reply_max,     \
        if_lost}
#define KIND(NAME, name, times, if_lost) KIND_OF(NAME, name, gf_##name, times, 0, if_lost)

static const struct fop_kind kinds[] = {
    KIND(LOOKUP, lookup, 0, AGAIN),
    KIND(STAT, stat, 0, AGAIN),
    KIND(FSTAT, fstat, 0, AGAIN),
    KIND(ACCESS, access, 0, AGAIN),
    KIND(STATFS, statfs, 0, AGAIN),
    KIND(READLINK, readlink, 0, AGAIN),
    KIND(SETATTR, setattr, 0, AGAIN), /* which times: the poster knows */
    KIND(FSETATTR, fsetattr, 0, AGAIN),
    KIND(TRUNCATE, truncate, SETS_FILE, AGAIN),
    KIND(FTRUNCATE, ftruncate, SETS_FILE, AGAIN),
    KIND_OF(GETXATTR, getxattr, gf_getxattr, 0, FOP_XATTR_MAX, AGAIN),
    KIND_OF(FGETXATTR, fgetxattr, gf_fgetxattr, 0, FOP_XATTR_MAX, AGAIN),
    KIND(SETXATTR, setxattr, RPC_CRED_CTIME, AGAIN), /* but to create one: context.once */
    KIND(FSETXATTR, fsetxattr, RPC_CRED_CTIME, AGAIN),
    KIND(REMOVEXATTR, removexattr, RPC_CRED_CTIME, NOT_TWICE),
    KIND(FREMOVEXATTR, fremovexattr, RPC_CRED_CTIME, NOT_TWICE),
    KIND(OPEN, open, RPC_CRED_ATIME, AGAIN),
    KIND(CREATE, create, SETS_ALL, NOT_TWICE),
    KIND(READ, read, RPC_CRED_ATIME, AGAIN),
    KIND(WRITE, write, SETS_FILE, AGAIN), /* but for appends: io.c */
    KIND(FLUSH, flush, 0, DONE),
    KIND(FSYNC, fsync, 0, AGAIN),
    KIND(FSYNCDIR, fsyncdir, 0, AGAIN),
    KIND(FALLOCATE, fallocate, RPC_CRED_MTIME | RPC_CRED_ATIME, AGAIN),
    KIND(DISCARD, discard, 0, AGAIN),
    KIND(ZEROFILL, zerofill, RPC_CRED_MTIME | RPC_CRED_ATIME, AGAIN),
    KIND(SEEK, seek, 0, AGAIN),
    KIND(COPY_FILE_RANGE, copy_file_range, SETS_FILE, AGAIN),
    KIND(LK, lk, 0, AGAIN), /* what it may have locked has gone with the connection */
    KIND(RELEASE, release, 0, DONE),
    KIND(UNLINK, unlink, SETS_NAME, NOT_TWICE),
    KIND(MKDIR, mkdir, SETS_ALL, NOT_TWICE),
    KIND(MKNOD, mknod, SETS_ALL, NOT_TWICE),
    KIND(SYMLINK, symlink, SETS_ALL, NOT_TWICE),
    KIND(LINK, link, SETS_NAME, NOT_TWICE),
    KIND(RENAME, rename, SETS_NAME, NOT_TWICE),
    KIND(RMDIR, rmdir, SETS_NAME, NOT_TWICE),
    KIND(OPENDIR, opendir, RPC_CRED_ATIME, AGAIN),
    KIND_OF(READDIRP, readdirp, list, 0, FOP_LIST_MAX, AGAIN),
    KIND(RELEASEDIR, releasedir, 0, DONE),
};

const char *fop_name(uint32_t number)
{
    return kinds[number].name;
}

void fop_stamp(uint8_t *credential, uint32_t number, const struct fop_context *context)
{
    uint32_t times = context->utime ? kinds[number].times | context->times : 0;
    if (times == RPC_CRED_ATIME && context->noatime)
        times = 0;
    if (!times)
        return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    wire_put32(credential + RPC_CRED_FLAGS_AT, times & ~FOP_TIME_ALONE);
    wire_put32(credential + RPC_CRED_NSEC_AT, (uint32_t)now.tv_nsec);
    wire_put64(credential + RPC_CRED_SEC_AT, (uint64_t)now.tv_sec);
}

/* ---- posting --------------------------------------------------------------------------------- */

static struct fop *fop_of(struct brick_call *call)
{
    return (struct fop *)((char *)call - offsetof(struct fop, brick));
}

/* Whether the call goes again. */
static bool fop_lost(struct fop *fop)
{
    const struct fop_kind *kind = &kinds[fop->number];
    if (kind->if_lost == DONE && fop->call.rpc.lost && fop->brick.session->returns) {
        fop->call.rpc.error = 0;
        return false;
    }
    return brick_again(&fop->brick, kind->if_lost == AGAIN && !fop->brick.context->once);
}

static void fop_over(struct rpc_call *rpc)
{
    struct fop *fop = (struct fop *)rpc;
    if (rpc->error && fop_lost(fop))
        return;
    free(rpc->message.head);
    rpc->message.head = NULL;
    fop->error = rpc->error;
    if (!fop->error && fop->results.head.op_ret < 0) {
        int32_t err = fop->results.head.op_errno;
        fop->error = err > 0 && err < 4096 ? -err : -EIO;
    }
    fop->done(fop);
}

/* The arguments of a call on a descriptor begin with gfid and fd; those of one on two with both
 * gfids and both fds. */
static void fop_go(struct brick_call *brick)
{
    struct fop *fop = fop_of(brick);
    uint8_t *arguments = brick->rpc->message.head + fop->call.arguments_at;
    if (fop->target) {
        brick->remote = remote_is_open(fop->source) ? fop->target : fop->source;
        if (!remote_is_open(brick->remote)) {
            brick_wait(brick);
            return;
        }
        wire_put64(arguments + 2 * GF_GFID_BYTES, (uint64_t)fop->source->fd);
        wire_put64(arguments + 2 * GF_GFID_BYTES + 8, (uint64_t)fop->target->fd);
    } else if (brick->remote) {
        wire_put64(arguments + GF_GFID_BYTES, (uint64_t)brick->remote->fd);
    }
    fop->generation = brick->session->generation;
    rpc_post(session_connection(brick->session), brick->rpc);
}

static int fop_encode(struct fop *fop, void *arguments)
{
    const struct fop_kind *kind = &kinds[fop->number];
    const struct fop_context *context = fop->brick.context;
    const struct caller *caller = context->caller;
    const struct xdr_procedure procedure = {
        GF_FOP_PROGRAM,  GF_FOP_VERSION, fop->number,
        kind->arguments, kind->results,  kind->reply_max,
    };
    uint8_t credential[sizeof(caller->credential)];
    const struct xdr_identity identity = {
        credential,
        caller->length,
        context->deadline,
        context->owner,
    };
    memcpy(credential, caller->credential, caller->length);
    fop_stamp(credential, fop->number, context);
    return xdr_call_encode(&fop->call, &procedure, &identity, arguments, &fop->results, NULL);
}

static void post(struct session *s, struct remote *remote, struct fop *fop, uint32_t number,
                 void *arguments, const struct fop_context *context, void (*done)(struct fop *))
{
    fop->brick = (struct brick_call){
        .session = s,
        .remote = remote,
        .rpc = &fop->call.rpc,
        .context = context,
        .go = fop_go,
    };
    fop->number = number;
    fop->done = done;
    memset(&fop->results, 0, sizeof(fop->results));
    int error = fop_encode(fop, arguments);
    bool ready = remote ? remote_is_open(remote) : s->state == SESSION_UP;
    fop->call.rpc.done = fop_over;
    if (context->cancelled)
        error = -ECANCELED;
    if (error || (!ready && s->returns && kinds[number].if_lost == DONE))
        rpc_post_failed(session_connection(s), &fop->call.rpc, error);
    else if (ready)
        fop_go(&fop->brick);
    else
        brick_wait(&fop->brick);
}

void fop_post(struct session *s, struct remote *remote, struct fop *fop, uint32_t number,
              void *arguments, const struct fop_context *context, void (*done)(struct fop *))
{
    fop->source = fop->target = NULL;
    post(s, remote, fop, number, arguments, context, done);
}

void fop_post_copy(struct remote *source, struct remote *target, struct fop *fop,
                   gf_copy_file_range_args *arguments, const struct fop_context *context,
                   void (*done)(struct fop *))
{
    fop->source = source;
    fop->target = target;
    post(source->session, source, fop, GF_FOP_COPY_FILE_RANGE, arguments, context, done);
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
