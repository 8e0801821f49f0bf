#include "calls.h"

#include "proto/dict.h"
#include "proto/fop.h"
#include "proto/handshake.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Bytes for a reply without its list; the largest results, CREATE's, are 520. */
#define FIXED_MAX 2048
/* Most bytes of a list. */
#define LIST_MAX (1u << 20)

static const gf_gfid null_gfid;

/* ---- replies --------------------------------------------------------------------------------- */

/* What is being answered. */
struct answer {
    const struct call *call;
    uint8_t *record;
    size_t length;
};

void reply_head(uint8_t *out, size_t length, uint32_t xid, enum onc_accept_stat stat)
{
    memset(out, 0, REPLY_HEAD);
    wire_put32(out, RPC_LAST_FRAGMENT | (uint32_t)(length - RPC_MARK_BYTES));
    wire_put32(out + 4, xid);
    wire_put32(out + 8, RPC_MSG_REPLY);
    wire_put32(out + 24, stat);
}

/* Begins a reply with room for @p more bytes behind its results. */
static uint8_t *make(struct answer *a, size_t more)
{
    a->length = 0;
    a->record = malloc(FIXED_MAX + more);
    return a->record;
}

static void finish(struct answer *a, size_t length, enum onc_accept_stat stat)
{
    a->length = length;
    reply_head(a->record, length, a->call->xid, stat);
}

static void refuse(struct answer *a, enum onc_accept_stat stat, uint32_t version)
{
    size_t length = REPLY_HEAD;
    if (!make(a, 0))
        return;
    if (stat == ONC_PROG_MISMATCH) { /* lowest and highest version there is */
        wire_put32(a->record + length, version);
        wire_put32(a->record + length + 4, version);
        length += 8;
    }
    finish(a, length, stat);
}

/* Answers with results, and with what follows them in `list`. */
static void answer_with(struct answer *a, xdrproc_t proc, void *results, const void *list,
                        size_t list_length)
{
    XDR xdrs;
    if (!make(a, list_length))
        return;
    xdrmem_create(&xdrs, (char *)a->record + REPLY_HEAD, FIXED_MAX - REPLY_HEAD, XDR_ENCODE);
    size_t length = REPLY_HEAD;
    if (proc(&xdrs, results)) {
        length += xdr_getpos(&xdrs);
        if (list_length)
            memcpy(a->record + length, list, list_length);
        finish(a, length + list_length, ONC_SUCCESS);
    } else {
        free(a->record);
        a->record = NULL;
    }
    xdr_destroy(&xdrs);
}

/* ---- handshakes ------------------------------------------------------------------------------ */

static bool arguments(const struct call *call, xdrproc_t proc, void *args)
{
    XDR xdrs;
    xdrmem_create(&xdrs, (char *)call->args, (u_int)call->length, XDR_DECODE);
    bool ok = proc(&xdrs, args) && xdr_getpos(&xdrs) == call->length;
    xdr_destroy(&xdrs);
    if (!ok)
        xdr_free(proc, args);
    return ok;
}

/* server-handshake.c:server_setvolume. */
static int setvolume_error(const gf_setvolume_args *args, const char *export)
{
    struct dict d = DICT_NULL;
    int64_t fops = 0;
    int error = EINVAL;
    if (dict_opaque_decode(&d, args->dict.dict_val, args->dict.dict_len) == 0) {
        const char *path = dict_get_string(&d, "remote-subvolume");
        if (path && strcmp(path, export) != 0)
            error = ENOENT;
        else if (path && dict_get_string(&d, "process-uuid") &&
                 dict_get_int(&d, "fops-version", &fops) == 0 && fops == GF_FOP_PROGRAM)
            error = 0;
    }
    dict_free(&d);
    return error;
}

static void setvolume(struct answer *a, const char *export)
{
    gf_setvolume_args args = {0};
    if (!arguments(a->call, (xdrproc_t)xdr_gf_setvolume_args, &args)) {
        refuse(a, ONC_GARBAGE_ARGS, 0);
        return;
    }
    int error = setvolume_error(&args, export);
    xdr_free((xdrproc_t)xdr_gf_setvolume_args, (char *)&args);

    uint8_t pairs[512];
    struct dict d = DICT_NULL;
    const char *text = error == ENOENT ? "Brick not found" : error ? "bad request" : "Success";
    dict_set_string(&d, "ERROR", text);
    dict_set_string(&d, "process-uuid", "nullbrick");
    dict_set_string(&d, "child_up", "1");
    dict_set_string(&d, "clnt-lk-version", "0");
    ssize_t length = dict_opaque_encode(&d, pairs, sizeof(pairs));
    dict_free(&d);
    gf_setvolume_res res = {.op_ret = error ? -1 : 0, .op_errno = error};
    if (length > 0) {
        res.dict.dict_val = (char *)pairs;
        res.dict.dict_len = (u_int)length;
    }
    answer_with(a, (xdrproc_t)xdr_gf_setvolume_res, &res, NULL, 0);
    *a->call->introduced = !error;
}

static size_t put_program(uint8_t *out, const char *name, uint64_t number, uint64_t version)
{
    size_t length = strlen(name), padded = wire_pad4(length);
    wire_put32(out, 1);
    wire_put32(out + 4, (uint32_t)length);
    memset(out + 8, 0, padded);
    memcpy(out + 8, name, length);
    wire_put64(out + 8 + padded, number);
    wire_put64(out + 16 + padded, version);
    return 24 + padded;
}

static void dump(struct answer *a)
{
    gf_dump_args args;
    if (!arguments(a->call, (xdrproc_t)xdr_gf_dump_args, &args)) {
        refuse(a, ONC_GARBAGE_ARGS, 0);
        return;
    }
    gf_dump_res res = {.gfs_id = args.gfs_id};
    uint8_t list[256];
    size_t length = put_program(list, "GlusterFS 4.x v1", GF_FOP_PROGRAM, GF_FOP_VERSION);
    length += put_program(list + length, "GF-DUMP", GF_DUMP_PROGRAM, GF_DUMP_VERSION);
    length += put_program(list + length, "GlusterFS Handshake", GF_HNDSK_PROGRAM, GF_HNDSK_VERSION);
    wire_put32(list + length, 0);
    answer_with(a, (xdrproc_t)xdr_gf_dump_res, &res, list, length + 4);
}

static void ping(struct answer *a)
{
    static char nothing[12]; /* rpcsvc.c:rpcsvc_ping */
    gf_ping_res res = {.xdata = {sizeof(nothing), nothing}};
    answer_with(a, (xdrproc_t)xdr_gf_ping_res, &res, NULL, 0);
}

/* ---- file operations ------------------------------------------------------------------------- */

union fop_args {
    gf_lookup_args lookup;
    gf_gfid_args gfid;
    gf_fd_args fd;
    gf_open_args open;
    gf_create_args create;
    gf_unlink_args unlink;
    gf_fsync_args fsync;
    gf_truncate_args truncate;
    gf_ftruncate_args ftruncate;
    gf_list_args list;
    gf_readlink_args readlink;
    gf_mkdir_args mkdir;
    gf_rmdir_args rmdir;
};

/* All begin with op_ret, op_errno, xdata. */
union fop_res {
    gf_common_res common;
    gf_lookup_res lookup;
    gf_iatt_res iatt;
    gf_prepost_res prepost;
    gf_parent_res parent;
    gf_entry_res entry;
    gf_fd_res fd;
    gf_create_res create;
    gf_readlink_res readlink;
};

/* What there is to do for a call, beside the reply's fixed part. */
struct work {
    const struct call *call;
    union fop_args args;
    union fop_res res;
    uint8_t *list; /* READDIRP's */
    size_t list_length;
};

static bool is(const uint8_t *gfid, const uint8_t *other)
{
    return memcmp(gfid, other, GF_GFID_BYTES) == 0;
}

static void file_iatt(struct file *file, struct gf_iatt *iatt)
{
    uint8_t raw[IATT_BYTES];
    if (file)
        store_iatt(file, raw);
    else
        store_root_iatt(raw);
    iatt_decode(raw, iatt);
}

/* A name that a file can have in the directory. */
static int name_error(const gf_gfid parent, const char *name)
{
    if (!is(parent, store_root))
        return ESTALE;
    if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return EINVAL;
    return 0;
}

static int do_lookup(struct work *w)
{
    const gf_lookup_args *args = &w->args.lookup;
    bool by_gfid = !is(args->gfid, null_gfid);
    struct file *file = NULL;
    if (by_gfid && !is(args->gfid, store_root)) {
        if (!(file = store_by_gfid(args->gfid)))
            return ESTALE;
    } else if (!by_gfid) {
        int error = name_error(args->pargfid, args->bname);
        if (error)
            return error;
        if (!(file = store_by_name(args->bname)))
            return ENOENT;
    }
    file_iatt(file, &w->res.lookup.stat);
    file_iatt(NULL, &w->res.lookup.postparent);
    return 0;
}

static int do_stat(struct work *w)
{
    struct file *file = NULL;
    if (!is(w->args.gfid.gfid, store_root) && !(file = store_by_gfid(w->args.gfid.gfid)))
        return ESTALE;
    file_iatt(file, &w->res.iatt.stat);
    return 0;
}

/* The file of a descriptor. The lock is held, so nothing anonymous here. */
static int by_fd(int64_t fd, const gf_gfid gfid, struct file **file)
{
    *file = fd == GF_FD_ANONYMOUS ? store_by_gfid(gfid) : store_file(fd, gfid);
    return *file ? 0 : EBADF;
}

static int do_fstat(struct work *w)
{
    struct file *file = NULL;
    if (w->args.fd.fd != STORE_DIR_FD && by_fd(w->args.fd.fd, w->args.fd.gfid, &file))
        return EBADF;
    file_iatt(file, &w->res.iatt.stat);
    return 0;
}

static int do_open(struct work *w)
{
    const gf_open_args *args = &w->args.open;
    if (is(args->gfid, store_root))
        return EISDIR;
    struct file *file = store_by_gfid(args->gfid);
    if (!file)
        return ENOENT;
    if (args->flags & O_APPEND)
        return EOPNOTSUPP;
    if (args->flags & O_TRUNC)
        store_truncate(file, 0);
    store_open(file);
    w->res.fd.fd = file->fd;
    return 0;
}

static int do_create(struct work *w)
{
    const gf_create_args *args = &w->args.create;
    const uint8_t *gfid = dict_get_gfid(&args->xdata, "gfid-req");
    struct file *file;
    int error = name_error(args->pargfid, args->bname);
    if (error)
        return error;
    if (!gfid || is(gfid, null_gfid))
        return EINVAL;
    if (args->flags & O_APPEND)
        return EOPNOTSUPP;
    if (store_by_name(args->bname) || store_by_gfid(gfid))
        return EEXIST;
    error = store_create(args->bname, gfid, args->mode & ~args->umask, w->call->uid, w->call->gid,
                         &file);
    if (error)
        return error;
    store_open(file);
    w->res.create.fd = (uint64_t)file->fd;
    file_iatt(file, &w->res.create.stat);
    file_iatt(NULL, &w->res.create.preparent);
    file_iatt(NULL, &w->res.create.postparent);
    return 0;
}

static int do_unlink(struct work *w)
{
    const gf_unlink_args *args = &w->args.unlink;
    int error = name_error(args->pargfid, args->bname);
    struct file *file = error ? NULL : store_by_name(args->bname);
    if (!file)
        return error ? error : ENOENT;
    store_unlink(file);
    file_iatt(NULL, &w->res.parent.preparent);
    file_iatt(NULL, &w->res.parent.postparent);
    return 0;
}

static int do_fsync(struct work *w)
{
    struct file *file;
    int error = by_fd(w->args.fsync.fd, w->args.fsync.gfid, &file);
    if (error)
        return error;
    file_iatt(file, &w->res.prepost.prestat);
    w->res.prepost.poststat = w->res.prepost.prestat;
    return 0;
}

static int truncate_file(struct work *w, struct file *file, uint64_t size)
{
    file_iatt(file, &w->res.prepost.prestat);
    int error = store_truncate(file, size);
    file_iatt(file, &w->res.prepost.poststat);
    return error;
}

static int do_truncate(struct work *w)
{
    struct file *file = store_by_gfid(w->args.truncate.gfid);
    return file ? truncate_file(w, file, w->args.truncate.offset) : ENOENT;
}

static int do_ftruncate(struct work *w)
{
    struct file *file;
    int error = by_fd(w->args.ftruncate.fd, w->args.ftruncate.gfid, &file);
    return error ? error : truncate_file(w, file, w->args.ftruncate.offset);
}

static int do_flush(struct work *w)
{
    struct file *file;
    return by_fd(w->args.fd.fd, w->args.fd.gfid, &file);
}

static int do_release(struct work *w)
{
    struct file *file;
    int error = by_fd(w->args.fd.fd, w->args.fd.gfid, &file);
    if (!error)
        store_release(file);
    return error;
}

static int do_opendir(struct work *w)
{
    if (!is(w->args.gfid.gfid, store_root))
        return store_by_gfid(w->args.gfid.gfid) ? ENOTDIR : ENOENT;
    w->res.fd.fd = STORE_DIR_FD;
    return 0;
}

static int do_releasedir(struct work *w)
{
    return w->args.fd.fd == STORE_DIR_FD ? 0 : EBADF;
}

static int do_readlink(struct work *w)
{
    static char nothing[1];
    w->res.readlink.path = nothing;
    return EINVAL; /* nothing here is a symbolic link */
}

static int do_unsupported(struct work *w)
{
    (void)w;
    return EOPNOTSUPP; /* the directory has none below it */
}

/* An entry of READDIRP's list, as proto/dirlist.h draws it. */
static size_t put_entry(uint8_t *out, uint64_t off, const char *name, struct file *file,
                        uint64_t ino)
{
    static const uint8_t no_dict[DICT_HEADER_BYTES] = {[4] = 0xff, 0xff, 0xff, 0xff};
    size_t length = strlen(name), padded = wire_pad4(length);
    uint8_t *behind = out + 32 + padded;
    wire_put32(out, 1);
    wire_put64(out + 4, ino);
    wire_put64(out + 12, off);
    wire_put32(out + 20, (uint32_t)length);
    wire_put32(out + 24, file ? DT_REG : DT_DIR);
    wire_put32(out + 28, (uint32_t)length);
    memset(out + 32, 0, padded);
    memcpy(out + 32, name, length);
    memset(behind, 0, IATT_BYTES);
    if (file)
        store_iatt(file, behind);
    memcpy(behind + IATT_BYTES, no_dict, sizeof(no_dict));
    return 32 + padded + IATT_BYTES + sizeof(no_dict);
}

/* An entry's offset: "." is 1, ".." is 2, a file's its place in the table and 3. */
static int do_readdirp(struct work *w)
{
    enum { ENTRY_MAX = 32 + GF_NAME_MAX + 1 + IATT_BYTES + DICT_HEADER_BYTES };
    const gf_list_args *args = &w->args.list;
    size_t room = args->size < LIST_MAX ? args->size : LIST_MAX;
    uint64_t off = args->offset;
    struct file *file = NULL;
    int32_t n = 0;
    if (args->fd != STORE_DIR_FD)
        return EBADF;
    if (room < ENTRY_MAX)
        room = ENTRY_MAX;
    if (!(w->list = malloc(room + 4)))
        return ENOMEM;
    uint8_t *out = w->list;
    while (room - (size_t)(out - w->list) >= ENTRY_MAX) {
        unsigned at = off > 2 ? (unsigned)(off < STORE_FILES + 2 ? off - 2 : STORE_FILES) : 0;
        if (off < 2) {
            off++;
            out += put_entry(out, off, off == 1 ? "." : "..", NULL, off == 1 ? 1 : UINT64_MAX);
        } else if ((file = store_next(&at))) {
            off = at + 2;
            out += put_entry(out, off, file->name, file, wire_get64(file->gfid + 8));
        } else {
            w->res.common.op_errno = ENOENT; /* the end: posix-inode-fd-ops.c:posix_do_readdir */
            break;
        }
        n++;
    }
    wire_put32(out, 0);
    w->list_length = (size_t)(out - w->list) + 4;
    w->res.common.op_ret = n;
    return 0;
}

static const struct {
    xdrproc_t arguments, results;
    int (*execute)(struct work *w); /* 0 or the errno */
} fops[] = {
#define FOP(number, args, res, execute)                                                            \
    [GF_FOP_##number] = {(xdrproc_t)xdr_gf_##args##_args, (xdrproc_t)xdr_gf_##res##_res, execute}
    FOP(LOOKUP, lookup, lookup, do_lookup),
    FOP(STAT, stat, stat, do_stat),
    FOP(FSTAT, fstat, fstat, do_fstat),
    FOP(READLINK, readlink, readlink, do_readlink),
    FOP(OPEN, open, open, do_open),
    FOP(CREATE, create, create, do_create),
    FOP(FLUSH, flush, flush, do_flush),
    FOP(FSYNC, fsync, fsync, do_fsync),
    FOP(TRUNCATE, truncate, truncate, do_truncate),
    FOP(FTRUNCATE, ftruncate, ftruncate, do_ftruncate),
    FOP(RELEASE, release, release, do_release),
    FOP(UNLINK, unlink, unlink, do_unlink),
    FOP(OPENDIR, opendir, opendir, do_opendir),
    FOP(READDIRP, readdirp, readdirp, do_readdirp),
    FOP(RELEASEDIR, releasedir, releasedir, do_releasedir),
    FOP(MKDIR, mkdir, mkdir, do_unsupported),
    FOP(RMDIR, rmdir, rmdir, do_unsupported),
#undef FOP
};

static void file_operation(struct answer *a)
{
    struct work w = {.call = a->call};
    uint32_t proc = a->call->proc;
    if (proc >= sizeof(fops) / sizeof(fops[0]) || !fops[proc].execute) {
        refuse(a, ONC_PROC_UNAVAIL, 0);
        return;
    }
    if (!*a->call->introduced || !arguments(a->call, fops[proc].arguments, &w.args)) {
        refuse(a, ONC_GARBAGE_ARGS, 0);
        return;
    }
    store_lock();
    int error = fops[proc].execute(&w);
    store_unlock();
    if (error) {
        w.res.common.op_ret = -1;
        w.res.common.op_errno = error;
        if (proc == GF_FOP_READDIRP && !w.list)
            w.list = calloc(1, w.list_length = 4); /* the end of a list without entries */
    }
    w.res.common.xdata = (struct dict)DICT_NULL;
    if (!w.list_length || w.list)
        answer_with(a, fops[proc].results, &w.res, w.list, w.list_length);
    xdr_free(fops[proc].arguments, (char *)&w.args);
    free(w.list);
}

/* ---- programs -------------------------------------------------------------------------------- */

uint8_t *call_answer(const struct call *call, const char *export, size_t *length)
{
    struct answer a = {.call = call};
    uint32_t version = call->prog == GF_FOP_PROGRAM     ? GF_FOP_VERSION
                       : call->prog == GF_DUMP_PROGRAM  ? GF_DUMP_VERSION
                       : call->prog == GF_HNDSK_PROGRAM ? GF_HNDSK_VERSION
                                                        : 0;
    if (!version)
        refuse(&a, ONC_PROG_UNAVAIL, 0);
    else if (call->vers != version)
        refuse(&a, ONC_PROG_MISMATCH, version);
    else if (call->prog == GF_FOP_PROGRAM)
        file_operation(&a);
    else if (call->prog == GF_HNDSK_PROGRAM && call->proc == GF_HNDSK_SETVOLUME)
        setvolume(&a, export);
    else if (call->prog == GF_DUMP_PROGRAM && call->proc == GF_DUMP_DUMP)
        dump(&a);
    else if (call->prog == GF_DUMP_PROGRAM && call->proc == GF_DUMP_PING)
        ping(&a);
    else
        refuse(&a, ONC_PROC_UNAVAIL, 0);
    *length = a.length;
    return a.record;
}
