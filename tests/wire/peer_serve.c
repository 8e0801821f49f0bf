/* What an honest brick and an honest glusterd answer. */
#include "tests/wire/peer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t null_gfid[16];

/* ---- replies --------------------------------------------------------------------------------- */

/* Every reply but READ's: op_ret, op_errno, dict. */
static void begin(struct peer_call *call, struct peer_record *r, int32_t op_ret, int32_t op_errno)
{
    peer_begin_reply(r, call->xid);
    peer_put32(r, (uint32_t)op_ret);
    peer_put32(r, (uint32_t)op_errno);
    peer_put_dict(r, 0);
}

/* How many attributes, and other bytes, the results of a procedure have behind the dict. */
static void put_zeros(struct peer_record *r, uint32_t proc)
{
    static const uint8_t zeros[8];
    unsigned iatts = 0, bytes = 0;
    switch (proc) {
    case PEER_STAT:
    case PEER_FSTAT:
        iatts = 1;
        break;
    case PEER_READLINK:
        iatts = 1;
        bytes = 4;
        break;
    case PEER_LOOKUP:
    case PEER_WRITE:
    case PEER_TRUNCATE:
    case PEER_FTRUNCATE:
    case PEER_FSYNC:
    case PEER_UNLINK:
    case PEER_RMDIR:
        iatts = 2;
        break;
    case PEER_MKDIR:
        iatts = 3;
        break;
    case PEER_CREATE:
        iatts = 3;
        bytes = 8;
        break;
    case PEER_OPEN:
    case PEER_OPENDIR:
        bytes = 8;
        break;
    case PEER_READDIRP:
        bytes = 4;
        break;
    }
    while (iatts--)
        peer_put_iatt(r, NULL);
    peer_put(r, zeros, bytes);
}

void peer_refuse(struct peer_call *call, int32_t op_errno, struct peer_record *reply)
{
    peer_record_free(reply);
    if (peer_is_fop(call, PEER_READ)) {
        peer_make_read(reply, call->xid, -1, op_errno, NULL, 0, 0);
        return;
    }
    begin(call, reply, -1, op_errno);
    put_zeros(reply, call->proc);
    peer_seal(reply);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int64_t fd_open(struct peer *p, struct peer_node *node)
{
    for (int64_t fd = p->first_fd; fd < PEER_FDS; fd++) {
        if (p->fds[fd])
            continue;
        p->fds[fd] = node;
        p->counts.open_fds++;
        return fd;
    }
    abort();
}

/* The node of the call's fd; anonymous, -2: of its gfid. */
static struct peer_node *fd_node(struct peer_call *call)
{
    struct peer *p = call->peer;
    if (call->fd == -2)
        return peer_node_by_gfid(p, call->gfid);
    return call->fd >= 0 && call->fd < PEER_FDS ? p->fds[call->fd] : NULL;
}

static int serve_read(struct peer_call *call, struct peer_node *node, struct peer_record *r)
{
    struct stat st;
    if (call->size == 0)
        return EINVAL;
    if (fstat(node->memfd, &st) < 0)
        return errno;
    uint64_t size = (uint64_t)st.st_size, left = call->offset < size ? size - call->offset : 0;
    size_t n = left < call->size ? (size_t)left : call->size;
    peer_begin_reply(r, call->xid);
    peer_put_field(r, "op_ret", (uint32_t)n);
    peer_put32(r, left <= call->size ? ENOENT : 0); /* posix_readv: the end has been reached */
    peer_put_iatt(r, node);
    peer_put_field(r, "size", (uint32_t)n);
    peer_put_dict(r, 0);
    size_t head = r->length;
    peer_resize(r, head + n);
    if (n && pread(node->memfd, r->at + head, n, (off_t)call->offset) != (ssize_t)n)
        return EIO;
    return 0;
}

static int serve_write(struct peer_call *call, struct peer_node *node, struct peer_record *r)
{
    size_t n = call->payload_length;
    if (n && pwrite(node->memfd, call->payload, n, (off_t)call->offset) != (ssize_t)n)
        return errno;
    begin(call, r, (int32_t)n, 0);
    peer_put_iatt(r, node);
    peer_put_iatt(r, node);
    return 0;
}

static int serve_fd(struct peer_call *call, struct peer_record *r)
{
    struct peer *p = call->peer;
    struct peer_node *node = fd_node(call);
    if (!node)
        return EBADF;
    switch (call->proc) {
    case PEER_READ:
        return serve_read(call, node, r);
    case PEER_WRITE:
        return serve_write(call, node, r);
    case PEER_FTRUNCATE:
        if (ftruncate(node->memfd, (off_t)call->offset) < 0)
            return errno;
        /* fall through */
    case PEER_FSYNC:
        begin(call, r, 0, 0);
        peer_put_iatt(r, node);
        peer_put_iatt(r, node);
        return 0;
    case PEER_FSTAT:
        begin(call, r, 0, 0);
        peer_put_iatt(r, node);
        return 0;
    case PEER_RELEASE:
    case PEER_RELEASEDIR:
        if (call->fd >= 0) {
            p->fds[call->fd] = NULL;
            p->counts.open_fds--;
        }
        begin(call, r, 0, 0);
        return 0;
    default: /* FLUSH */
        begin(call, r, 0, 0);
        return 0;
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

static int serve_make(struct peer_call *call, struct peer_record *r)
{
    struct peer *p = call->peer;
    struct peer_node *parent = peer_node_by_gfid(p, call->pargfid);
    bool dir = call->proc == PEER_MKDIR;
    if (!parent)
        return ESTALE;
    if (peer_node_by_name(p, call->pargfid, call->name))
        return EEXIST;
    if (memcmp(call->gfid_req, null_gfid, 16) == 0) {
        peer_complain(p, "no gfid-req in the call that makes '%s'", call->name);
        return dir ? EPERM : EINVAL;
    }
    uint32_t mode = (dir ? S_IFDIR : S_IFREG) | (call->mode & 07777);
    struct peer_node *node = peer_node_add(p, call->name, mode, call->pargfid, call->gfid_req);
    if (!node)
        return ENOMEM;
    begin(call, r, 0, 0);
    peer_put_iatt(r, node);
    if (!dir)
        peer_put64(r, (uint64_t)fd_open(p, node));
    peer_put_iatt(r, parent);
    peer_put_iatt(r, parent);
    return 0;
}

static int serve_remove(struct peer_call *call, struct peer_record *r)
{
    struct peer *p = call->peer;
    struct peer_node *parent = peer_node_by_gfid(p, call->pargfid);
    struct peer_node *node = peer_node_by_name(p, call->pargfid, call->name);
    if (!parent || !node)
        return parent ? ENOENT : ESTALE;
    if (call->proc == PEER_UNLINK && S_ISDIR(node->mode))
        return EISDIR;
    if (call->proc == PEER_RMDIR && !S_ISDIR(node->mode))
        return ENOTDIR;
    if (call->proc == PEER_RMDIR && peer_node_has_entries(p, node))
        return ENOTEMPTY;
    node->unlinked = true;
    begin(call, r, 0, 0);
    peer_put_iatt(r, parent);
    peer_put_iatt(r, parent);
    return 0;
}

static int serve_lookup(struct peer_call *call, struct peer_record *r)
{
    struct peer *p = call->peer;
    bool by_gfid = memcmp(call->gfid, null_gfid, 16) != 0;
    struct peer_node *node = by_gfid ? peer_node_by_gfid(p, call->gfid)
                                     : peer_node_by_name(p, call->pargfid, call->name);
    if (!node)
        return by_gfid ? ESTALE : ENOENT;
    begin(call, r, 0, 0);
    peer_put_iatt(r, node);
    peer_put_iatt(r, peer_node_by_gfid(p, node->parent));
    return 0;
}

static int serve_readlink(struct peer_record *r, struct peer_call *call, struct peer_node *node)
{
    char target[4096];
    if (!S_ISLNK(node->mode))
        return EINVAL;
    ssize_t n = pread(node->memfd, target, sizeof(target), 0);
    begin(call, r, (int32_t)n, 0);
    peer_put_iatt(r, node);
    peer_put_opaque(r, "target length", target, (size_t)n);
    return 0;
}

static int serve_gfid(struct peer_call *call, struct peer_record *r)
{
    struct peer *p = call->peer;
    struct peer_node *node = peer_node_by_gfid(p, call->gfid);
    if (!node)
        return ESTALE;
    switch (call->proc) {
    case PEER_STAT:
        begin(call, r, 0, 0);
        peer_put_iatt(r, node);
        return 0;
    case PEER_READLINK:
        return serve_readlink(r, call, node);
    case PEER_TRUNCATE:
        if (ftruncate(node->memfd, (off_t)call->offset) < 0)
            return errno;
        begin(call, r, 0, 0);
        peer_put_iatt(r, node);
        peer_put_iatt(r, node);
        return 0;
    case PEER_OPENDIR:
        if (!S_ISDIR(node->mode))
            return ENOTDIR;
        break;
    default: /* OPEN */
        if (S_ISDIR(node->mode))
            return EISDIR;
        if (call->flags & O_TRUNC && ftruncate(node->memfd, 0) < 0)
            return errno;
        break;
    }
    begin(call, r, 0, 0);
    peer_put64(r, (uint64_t)fd_open(p, node));
    return 0;
}

/* READDIRP: "." and ".." without attributes, then what stands in the directory, six entries to a
 * batch. An entry's offset is its number, counted from 1; the last batch says ENOENT. */
static int serve_list(struct peer_call *call, struct peer_record *r)
{
    enum { BATCH = 6 };
    struct peer *p = call->peer;
    struct peer_node *dir = fd_node(call);
    if (!dir || !S_ISDIR(dir->mode))
        return EBADF;
    int32_t sent = 0;
    uint64_t number = 0;
    struct peer_node *node = p->nodes;
    begin(call, r, 0, 0);
    while (sent < BATCH) {
        bool dot = number < 2;
        if (!dot) {
            while (node && (node->unlinked || memcmp(node->parent, dir->gfid, 16) != 0))
                node = node->next;
            if (!node)
                break;
        }
        const char *name = number == 0 ? "." : number == 1 ? ".." : node->name;
        if (++number > call->offset) {
            peer_put_field(r, "entry present", 1);
            peer_put64(r, dot ? 1 : peer_gfid_ino(node->gfid));
            peer_put64(r, number);
            peer_put_field(r, "entry length", (uint32_t)strlen(name));
            peer_put32(r, (dot ? S_IFDIR : node->mode) >> 12);
            peer_put_opaque(r, "entry name length", name, strlen(name));
            peer_put_iatt(r, dot ? NULL : node);
            peer_put_dict(r, 0);
            sent++;
        }
        if (!dot)
            node = node->next;
    }
    peer_put_field(r, "entry present", 0);
    peer_poke(r, PEER_AT_OP_RET, (uint32_t)sent);
    peer_poke(r, PEER_AT_OP_ERRNO, sent < BATCH ? ENOENT : 0);
    return 0;
}

/* ---- programs -------------------------------------------------------------------------------- */

static void serve_fop(struct peer_call *call, struct peer_record *r)
{
    enum { PROG_MISMATCH = 2, PROC_UNAVAIL = 3, GARBAGE_ARGS = 4 };
    int error;
    if (call->vers != PEER_FOP_VERS || call->peer->options.no_fop_400) {
        peer_make_refusal(r, call->xid, PROG_MISMATCH);
        return;
    }
    if (!call->conn->introduced) { /* what a brick answers to a client it does not know */
        peer_complain(call->peer, "procedure %u before SETVOLUME", call->proc);
        peer_make_refusal(r, call->xid, GARBAGE_ARGS);
        return;
    }
    switch (call->proc) {
    case PEER_READ:
    case PEER_WRITE:
    case PEER_FLUSH:
    case PEER_FSYNC:
    case PEER_FSTAT:
    case PEER_FTRUNCATE:
    case PEER_RELEASE:
    case PEER_RELEASEDIR:
        error = serve_fd(call, r);
        break;
    case PEER_STAT:
    case PEER_READLINK:
    case PEER_TRUNCATE:
    case PEER_OPEN:
    case PEER_OPENDIR:
        error = serve_gfid(call, r);
        break;
    case PEER_CREATE:
    case PEER_MKDIR:
        error = serve_make(call, r);
        break;
    case PEER_UNLINK:
    case PEER_RMDIR:
        error = serve_remove(call, r);
        break;
    case PEER_LOOKUP:
        error = serve_lookup(call, r);
        break;
    case PEER_READDIRP:
        error = serve_list(call, r);
        break;
    default:
        peer_complain(call->peer, "procedure %u is not one the peer knows", call->proc);
        peer_make_refusal(r, call->xid, PROC_UNAVAIL);
        return;
    }
    if (error)
        peer_refuse(call, error, r);
    else
        peer_seal(r);
}

/* server-handshake.c:server_setvolume. */
static void serve_setvolume(struct peer_call *call, struct peer_record *r)
{
    const char *path = peer_dict_text(call->dict, call->dict_length, "remote-subvolume");
    const char *uuid = peer_dict_text(call->dict, call->dict_length, "process-uuid");
    const char *fops = peer_dict_text(call->dict, call->dict_length, "fops-version");
    if (!path || !uuid || !fops || strcmp(fops, "1298437") != 0) {
        peer_complain(call->peer, "SETVOLUME without its keys");
        peer_make_setvolume(r, call->xid, -1, EINVAL, "a key is missing");
    } else if (strcmp(path, call->peer->options.export) != 0) {
        peer_make_setvolume(r, call->xid, -1, ENOENT, "Brick not found");
    } else {
        call->conn->introduced = true;
        peer_make_setvolume(r, call->xid, 0, 0, "Success");
    }
}

/* glusterd-handshake.c:__server_getspec; a brick knows no volfile. */
static void serve_getspec(struct peer_call *call, struct peer_record *r)
{
    const char *volfile = call->peer->options.volfile;
    const char *min = peer_dict_text(call->dict, call->dict_length, "min-op-version");
    const char *max = peer_dict_text(call->dict, call->dict_length, "max-op-version");
    if (!min || !max)
        peer_complain(call->peer, "GETSPEC without op-versions");
    peer_begin_reply(r, call->xid);
    peer_put32(r, volfile ? (uint32_t)strlen(volfile) : (uint32_t)-1);
    peer_put32(r, volfile ? 0 : ENOENT);
    peer_put_opaque(r, "volfile length", volfile, volfile ? strlen(volfile) : 0);
    peer_put_opaque(r, "xdata length", NULL, 0);
    peer_seal(r);
}

/* glusterd-pmap.c:__gluster_pmap_portbybrick. */
static void serve_portbybrick(struct peer_call *call, struct peer_record *r)
{
    int32_t port = call->peer->options.brick_port;
    if (port == 0)
        port = peer_port(call->peer);
    peer_begin_reply(r, call->xid);
    peer_put32(r, port < 0 ? (uint32_t)-1 : 0);
    peer_put32(r, 0);
    peer_put32(r, port < 0 ? 0 : 1);
    peer_put32(r, port < 0 ? 0 : (uint32_t)port);
    peer_seal(r);
}

static void put_program(struct peer_record *r, const char *name, uint64_t number, uint64_t version)
{
    peer_put_field(r, "program present", 1);
    peer_put_opaque(r, "program name length", name, strlen(name));
    peer_put64(r, number);
    peer_put64(r, version);
}

/* rpcsvc.c:rpcsvc_dump, rpcsvc_ping. */
static void serve_dump(struct peer_call *call, struct peer_record *r)
{
    static const uint8_t xdata[12];
    peer_begin_reply(r, call->xid);
    if (call->proc == PEER_DUMP)
        peer_put64(r, call->offset);
    peer_put32(r, 0);
    peer_put32(r, 0);
    if (call->proc == PEER_PING) {
        peer_put_opaque(r, "xdata length", xdata, sizeof(xdata));
    } else {
        if (!call->peer->options.no_fop_400)
            put_program(r, "GlusterFS 4.x v1", PEER_PROG_FOP, PEER_FOP_VERS);
        put_program(r, "GF-DUMP", PEER_PROG_DUMP, 1);
        put_program(r, "GlusterFS Handshake", PEER_PROG_HANDSHAKE, 2);
        put_program(r, "Gluster Portmap", PEER_PROG_PORTMAP, 1);
        peer_put_field(r, "program present", 0);
    }
    peer_seal(r);
}

void peer_execute(struct peer_call *call, struct peer_record *reply)
{
    enum { PROG_UNAVAIL = 1, PROC_UNAVAIL = 3 };
    uint32_t refused = 0;
    switch (call->prog) {
    case PEER_PROG_FOP:
        serve_fop(call, reply);
        break;
    case PEER_PROG_HANDSHAKE:
        if (call->proc == PEER_SETVOLUME)
            serve_setvolume(call, reply);
        else if (call->proc == PEER_GETSPEC)
            serve_getspec(call, reply);
        else
            refused = PROC_UNAVAIL;
        break;
    case PEER_PROG_PORTMAP:
        serve_portbybrick(call, reply);
        break;
    case PEER_PROG_DUMP:
        serve_dump(call, reply);
        break;
    default:
        refused = PROG_UNAVAIL;
        break;
    }
    if (refused) {
        peer_complain(call->peer, "program %u, procedure %u: unknown", call->prog, call->proc);
        peer_make_refusal(reply, call->xid, refused);
    }
}
