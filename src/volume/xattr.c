#include "volume/xattr.h"

#include "brick/caller.h"
#include "proto/dict.h"
#include "proto/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <uuid/uuid.h>

#define UUID_TEXT 36

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* What its translators keep on bricks (glusterfs.h, bit-rot-common.h, ec.h), and the names that are
 * questions and orders to them. Official clients hide and refuse most of these, each translator its
 * own: dht-common.c, afr-inode-read.c, afr-inode-write.c, ec-inode-write.c, shard.c, fuse-bridge.c,
 * and on the brick posix-inode-fd-ops.c. */
bool xattr_is_own(const char *name)
{
    static const char *const own[] = {
        "trusted.glusterfs.", "trusted.gfid", "trusted.pgfid.",   "trusted.afr.",
        "trusted.ec.",        "glusterfs.",   "trusted.bit-rot.",
    };
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (begins_with(name, own[i]))
            return true;
    }
    return false;
}

/* What the kernel does not let through to a file system (fs/xattr.c:xattr_permission,
 * security/commoncap.c:cap_inode_setxattr), and bricks do not look at: they have all rights there,
 * whoever asks. */
static bool is_for_root(struct op *op, const char *prefix)
{
    struct attr_op *a = attr_op_of(op);
    return begins_with(a->args.xattr.name, prefix) && caller_uid(op->context.caller) != 0;
}

/* Ends the operation, as it may not change this name. */
static bool refuse_change(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    const char *name = a->args.xattr.name;
    if (xattr_is_own(name))
        errtext_set(op_why(op), EPERM, "'%s' is GlusterFS's own", name);
    else if (is_for_root(op, "trusted.") || is_for_root(op, "security."))
        errtext_set(op_why(op), EPERM, "'%s' is for root to change", name);
    else
        return false;
    op_finish(op, -EPERM);
    return true;
}

static int may_read(struct attr_op *a, const gf_iatt *stat)
{
    bool owner = caller_uid(a->path.op.context.caller) == stat->uid;
    return owner || (a->file->flags & O_ACCMODE) != O_WRONLY ? 0 : -EACCES;
}

static int may_change(struct attr_op *a, const gf_iatt *stat)
{
    bool owner = caller_uid(a->path.op.context.caller) == stat->uid;
    if (begins_with(a->args.xattr.name, "system.")) /* access control lists */
        return owner ? 0 : -EPERM;
    return owner || (a->file->flags & O_ACCMODE) != O_RDONLY ? 0 : -EACCES;
}

/* Hands bytes over. @return their number, or -ERANGE: the caller has less room. */
static int64_t give(struct op *op, const void *bytes, size_t length)
{
    struct attr_op *a = attr_op_of(op);
    size_t size = a->args.xattr.size;
    if (size && length > size)
        return errtext_set(op_why(op), ERANGE, "%zu bytes, and room for %zu", length, size);
    if (size && length)
        memcpy(a->args.xattr.buffer, bytes, length);
    return (int64_t)length;
}

/* ---- get ------------------------------------------------------------------------------------- */

/* What is on disk comes as it is. A brick's answer to a question may be a number, which official
 * clients make text of, and count the NUL (dict.c:data_from_uint32). */
static int64_t give_value(struct op *op, const struct dict_pair *pair)
{
    char text[24];
    if (pair->type == DICT_INT)
        snprintf(text, sizeof(text), "%" PRId64, (int64_t)wire_get64(pair->value));
    else if (pair->type == DICT_UINT)
        snprintf(text, sizeof(text), "%" PRIu64, wire_get64(pair->value));
    else
        return give(op, pair->value, pair->length);
    return give(op, text, strlen(text) + 1);
}

static void getxattr_done(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    const struct dict_pair *pair = NULL;
    int64_t length = 0;
    if (!a->fop.error)
        pair = dict_find(&a->fop.results.xattr.xattrs, a->args.xattr.name);
    if (pair)
        length = give_value(op, pair);
    fop_free_results(&a->fop);
    if (a->fop.error)
        attr_fail(a);
    else if (pair)
        op_finish(op, length);
    else
        attr_refuse(a, -ENODATA);
}

/* Asks for the name, or if that is "" for all. */
static void getxattr_post(struct op *op, void (*done)(struct op *op))
{
    struct attr_op *a = attr_op_of(op);
    char *name = a->args.xattr.name;
    if (a->by_fd) {
        gf_fgetxattr_args args = {.namelen = (u_int)strlen(name), .name = name};
        memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
        attr_post(a, GF_FOP_FGETXATTR, &args, done);
    } else {
        gf_getxattr_args args = {.namelen = (u_int)strlen(name), .name = name};
        memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
        attr_post(a, GF_FOP_GETXATTR, &args, done);
    }
}

/* glusterfs.gfid and glusterfs.gfid.string are answered by the client (fuse-bridge.c:
 * fuse_getxattr_resume). */
static void getxattr_go(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    const char *name = a->args.xattr.name;
    char text[UUID_TEXT + 1];
    if (strcmp(name, "glusterfs.gfid") == 0) {
        op_finish(op, give(op, attr_gfid(a), GF_GFID_BYTES));
    } else if (strcmp(name, "glusterfs.gfid.string") == 0) {
        uuid_unparse_lower(attr_gfid(a), text);
        op_finish(op, give(op, text, UUID_TEXT));
    } else if (is_for_root(op, "trusted.")) {
        attr_refuse(a, -ENODATA);
    } else {
        getxattr_post(op, getxattr_done);
    }
}

void getxattr_start(struct op *op)
{
    attr_start(op, getxattr_go, may_read);
}

/* ---- list ------------------------------------------------------------------------------------ */

static void listxattr_done(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    const struct dict *d = &a->fop.results.xattr.xattrs;
    char *list = a->args.xattr.buffer;
    size_t room = a->args.xattr.size, length = 0;
    for (int32_t i = 0; !a->fop.error && i < d->count; i++) {
        const char *name = d->pairs[i].key;
        size_t size = strlen(name) + 1;
        bool hidden = begins_with(name, "trusted.") && caller_uid(op->context.caller) != 0;
        if (hidden || xattr_is_own(name))
            continue;
        if (room && length + size <= room)
            memcpy(list + length, name, size);
        length += size;
    }
    fop_free_results(&a->fop);
    if (a->fop.error)
        attr_fail(a);
    else if (room && length > room)
        attr_refuse(a, -ERANGE);
    else
        op_finish(op, (int64_t)length);
}

static void listxattr_go(struct op *op)
{
    getxattr_post(op, listxattr_done);
}

void listxattr_start(struct op *op)
{
    attr_start(op, listxattr_go, may_read);
}

/* ---- set, remove ----------------------------------------------------------------------------- */

static void setxattr_go(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    u_int flags = (u_int)a->args.xattr.flags;
    struct dict xattrs = {0};
    if (refuse_change(op))
        return;
    int rc = dict_set_bytes(&xattrs, a->args.xattr.name, a->args.xattr.value, a->args.xattr.size);
    if (rc < 0) {
        attr_refuse(a, rc);
        return;
    }
    op->context.once = flags & XATTR_CREATE;
    if (a->by_fd) {
        gf_fsetxattr_args args = {.flags = flags, .xattrs = xattrs};
        memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
        attr_post(a, GF_FOP_FSETXATTR, &args, attr_done);
    } else {
        gf_setxattr_args args = {.flags = flags, .xattrs = xattrs};
        memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
        attr_post(a, GF_FOP_SETXATTR, &args, attr_done);
    }
    dict_free(&xattrs);
}

void setxattr_start(struct op *op)
{
    attr_start(op, setxattr_go, may_change);
}

static void removexattr_go(struct op *op)
{
    struct attr_op *a = attr_op_of(op);
    if (refuse_change(op))
        return;
    if (a->by_fd) {
        gf_fremovexattr_args args = {.name = a->args.xattr.name};
        memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
        attr_post(a, GF_FOP_FREMOVEXATTR, &args, attr_done);
    } else {
        gf_removexattr_args args = {.name = a->args.xattr.name};
        memcpy(args.gfid, attr_gfid(a), sizeof(args.gfid));
        attr_post(a, GF_FOP_REMOVEXATTR, &args, attr_done);
    }
}

void removexattr_start(struct op *op)
{
    attr_start(op, removexattr_go, may_change);
}
