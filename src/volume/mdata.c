#include "volume/mdata.h"

#include "proto/dict.h"

#include <string.h>

#define MDATA_KEY     "trusted.glusterfs.mdata" /* glusterfs.h: GF_XATTR_MDATA_KEY */
#define SET_MDATA_KEY "set-ctime-mdata"         /* CTIME_MDATA_XDATA_KEY */

int mdata_request(const struct op *op, struct dict *xdata)
{
    return op->context.utime ? dict_set_int(xdata, MDATA_KEY, 1) : 0;
}

bool mdata_is_missing(const struct op *op, const gf_lookup_res *res)
{
    return op->context.utime && !op->volume->topology.read_only &&
           !dict_find(&res->xdata, MDATA_KEY);
}

int mdata_make(struct op *op, struct fop *fop, const struct gf_iatt *stat,
               void (*step)(struct op *))
{
    const struct mdata mdata = {
        .atime = {stat->atime, stat->atime_nsec},
        .mtime = {stat->mtime, stat->mtime_nsec},
        .ctime = {stat->ctime, stat->ctime_nsec},
    };
    struct fop_context context = op->context;
    gf_setxattr_args args = {0};
    int rc = dict_set_mdata(&args.xattrs, SET_MDATA_KEY, &mdata);
    if (rc == 0) {
        memcpy(args.gfid, stat->gfid, sizeof(args.gfid));
        op_round(op, 1, step);
        /* not the user's doing: without stamp, and as the brick allows it */
        op->context.caller = &op->volume->timekeeper;
        op->context.utime = false;
        op_post(op, fop, fop->brick.session, GF_FOP_SETXATTR, &args);
        op->context.caller = context.caller;
        op->context.utime = context.utime;
    }
    dict_free(&args.xattrs);
    return rc;
}
