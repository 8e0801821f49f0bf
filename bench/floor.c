#include "floor.h"

#include "proto/dict.h"
#include "proto/fop.h"
#include "proto/handshake.h"
#include "proto/hot.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uuid/uuid.h>

#define MESSAGE_MAX 65536

static const char scheme[] = "gluster+brick://";

void floor_die(const char *what, int error)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(error));
    exit(1);
}

int floor_target(const char *uri, struct floor_target *target)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char host[256], port[8];
    int at = 0;
    if (strncmp(uri, scheme, strlen(scheme)) != 0)
        return -EINVAL;
    uri += strlen(scheme);
    if (sscanf(uri, "%255[^:/]:%7[0-9]%n", host, port, &at) != 2 || uri[at] != '/')
        return -EINVAL;
    size_t length = strcspn(uri + at, "?");
    const char *inside = strstr(uri + at, "//");
    if (inside && (size_t)(inside - (uri + at)) < length)
        length = (size_t)(inside - (uri + at));
    if (length >= sizeof(target->export))
        return -EINVAL;
    memcpy(target->export, uri + at, length);
    target->export[length] = '\0';
    if (getaddrinfo(host, port, &hints, &found))
        return -EHOSTUNREACH;
    memcpy(&target->address, found->ai_addr, found->ai_addrlen);
    target->length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static int receive(int socket, void *to, size_t length)
{
    ssize_t n = recv(socket, to, length, MSG_WAITALL);
    return n == (ssize_t)length ? 0 : n < 0 ? -errno : -ECONNRESET;
}

/* Sends a call, and receives its reply. Results are decoded into zeroed memory; xdr_free() them. */
static int call(struct floor_connection *c, uint32_t program, uint32_t version, uint32_t procedure,
                xdrproc_t encode, void *args, xdrproc_t decode, void *results)
{
    uint8_t message[MESSAGE_MAX];
    XDR xdrs;
    size_t length = RPC_MARK_BYTES + rpc_call_encode(message + RPC_MARK_BYTES, 1, program, version,
                                                     procedure, c->cred, c->cred_length);
    xdrmem_create(&xdrs, (char *)message + length, (u_int)(sizeof(message) - length), XDR_ENCODE);
    if (!encode(&xdrs, args))
        return -EMSGSIZE;
    length += xdr_getpos(&xdrs);
    wire_put32(message, RPC_LAST_FRAGMENT | (uint32_t)(length - RPC_MARK_BYTES));
    if (send(c->socket, message, length, MSG_NOSIGNAL) != (ssize_t)length)
        return -errno;

    struct rpc_reply reply;
    int rc = receive(c->socket, message, RPC_MARK_BYTES);
    size_t record = rc ? 0 : wire_get32(message) & RPC_FRAGMENT_MAX;
    if (rc == 0 && record > sizeof(message))
        rc = -EMSGSIZE;
    if (rc == 0)
        rc = receive(c->socket, message, record);
    if (rc)
        return rc;
    ssize_t head = rpc_reply_parse(message, record, record, &reply);
    if (head <= 0 || (rc = rpc_reply_errno(&reply)) < 0)
        return rc ? rc : -EPROTO;
    xdrmem_create(&xdrs, (char *)message + head, (u_int)(record - (size_t)head), XDR_DECODE);
    return decode(&xdrs, results) ? 0 : -EPROTO;
}

/* Every result of a file operation begins with these. */
static int outcome(int rc, const void *results)
{
    const gf_common_res *common = results;
    return rc ? rc : common->op_ret < 0 ? -common->op_errno : 0;
}

#define FOP(c, number, name, args, res)                                                            \
    outcome(call(c, GF_FOP_PROGRAM, GF_FOP_VERSION, number, (xdrproc_t)xdr_gf_##name##_args, args, \
                 (xdrproc_t)xdr_gf_##name##_res, res),                                             \
            res)

/* ---- connecting ------------------------------------------------------------------------------ */

static int log_in(struct floor_connection *c, const char *export)
{
    uint8_t pairs[2048];
    char text[UUID_STR_LEN];
    uuid_t uuid;
    struct dict d;
    uuid_generate(uuid);
    uuid_unparse(uuid, text);
    dict_init(&d);
    int rc = dict_set_string(&d, "remote-subvolume", export);
    rc = rc ? rc : dict_set_string(&d, "process-uuid", text);
    rc = rc ? rc : dict_set_int(&d, "fops-version", GF_FOP_PROGRAM);
    rc = rc ? rc : dict_set_string(&d, "client-version", "floor");
    ssize_t length = rc ? rc : dict_opaque_encode(&d, pairs, sizeof(pairs));
    dict_free(&d);
    if (length < 0)
        return (int)length;
    gf_setvolume_args args = {.dict = {(u_int)length, (char *)pairs}};
    gf_setvolume_res res = {0};
    rc = call(c, GF_HNDSK_PROGRAM, GF_HNDSK_VERSION, GF_HNDSK_SETVOLUME,
              (xdrproc_t)xdr_gf_setvolume_args, &args, (xdrproc_t)xdr_gf_setvolume_res, &res);
    rc = rc ? rc : res.op_ret < 0 ? -res.op_errno : 0;
    xdr_free((xdrproc_t)xdr_gf_setvolume_res, (char *)&res);
    return rc;
}

static int reach(struct floor_connection *c, const struct floor_target *target)
{
    int one = 1;
    uint32_t group = getegid();
    uint64_t owner = (uintptr_t)c;
    struct rpc_cred cred = {
        .pid = getpid(),
        .uid = geteuid(),
        .gid = getegid(),
        .ngroups = 1,
        .groups = &group,
        .lk_owner_len = sizeof(owner),
        .lk_owner = (const uint8_t *)&owner,
    };
    c->cred_length = (size_t)rpc_cred_encode(c->cred, sizeof(c->cred), &cred);
    c->socket = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->socket < 0 ||
        connect(c->socket, (const struct sockaddr *)&target->address, target->length) < 0 ||
        setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
        return -errno;
    return log_in(c, target->export);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Finds a name in the directory c->gfid, which becomes the gfid of what was found. */
static int look_up(struct floor_connection *c, char *name)
{
    gf_lookup_args args = {.bname = name, .xdata = DICT_NULL};
    gf_lookup_res res = {0};
    memcpy(args.pargfid, c->gfid, GF_GFID_BYTES);
    int rc = FOP(c, GF_FOP_LOOKUP, lookup, &args, &res);
    if (rc == 0)
        memcpy(c->gfid, res.stat.gfid, GF_GFID_BYTES);
    xdr_free((xdrproc_t)xdr_gf_lookup_res, (char *)&res);
    return rc;
}

/* Makes a file in the directory c->gfid, which becomes the file's gfid. */
static int create(struct floor_connection *c, char *name)
{
    gf_create_args args = {.flags = O_RDWR, .mode = 0644, .bname = name};
    gf_create_res res = {0};
    memcpy(args.pargfid, c->gfid, GF_GFID_BYTES);
    uuid_generate(c->gfid);
    int rc = dict_set_gfid(&args.xdata, "gfid-req", c->gfid);
    rc = rc ? rc : FOP(c, GF_FOP_CREATE, create, &args, &res);
    c->fd = (int64_t)res.fd;
    dict_free(&args.xdata);
    xdr_free((xdrproc_t)xdr_gf_create_res, (char *)&res);
    return rc;
}

static int open_found(struct floor_connection *c, bool write)
{
    gf_open_args args = {.flags = write ? O_RDWR : O_RDONLY, .xdata = DICT_NULL};
    gf_open_res res = {0};
    memcpy(args.gfid, c->gfid, GF_GFID_BYTES);
    int rc = FOP(c, GF_FOP_OPEN, open, &args, &res);
    c->fd = res.fd;
    xdr_free((xdrproc_t)xdr_gf_open_res, (char *)&res);
    return rc;
}

static int open_path(struct floor_connection *c, char *path, bool write)
{
    static const gf_gfid root = {[GF_GFID_BYTES - 1] = 1};
    char *rest, *name = strtok_r(path, "/", &rest);
    memcpy(c->gfid, root, GF_GFID_BYTES);
    while (name) {
        char *next = strtok_r(NULL, "/", &rest);
        int rc = look_up(c, name);
        if (rc == -ENOENT && write && !next)
            return create(c, name);
        if (rc)
            return rc;
        name = next;
    }
    return open_found(c, write);
}

int floor_open(const struct floor_target *target, const char *path, bool write,
               struct floor_connection *c)
{
    char *copy = strdup(path);
    int rc = copy ? reach(c, target) : -ENOMEM;
    rc = rc ? rc : open_path(c, copy, write);
    free(copy);
    if (rc && c->socket >= 0)
        close(c->socket);
    return rc;
}

int floor_close(struct floor_connection *c)
{
    gf_fd_args args = {.fd = c->fd, .xdata = DICT_NULL};
    gf_common_res res = {0};
    memcpy(args.gfid, c->gfid, GF_GFID_BYTES);
    int rc = FOP(c, GF_FOP_FLUSH, flush, &args, &res);
    xdr_free((xdrproc_t)xdr_gf_flush_res, (char *)&res);
    int released = FOP(c, GF_FOP_RELEASE, release, &args, &res);
    xdr_free((xdrproc_t)xdr_gf_release_res, (char *)&res);
    close(c->socket);
    return rc ? rc : released;
}

size_t floor_head(const struct floor_connection *c, uint32_t procedure, uint32_t xid,
                  uint8_t out[FLOOR_HEAD_MAX])
{
    size_t length =
        RPC_MARK_BYTES + rpc_call_encode(out + RPC_MARK_BYTES, xid, GF_FOP_PROGRAM, GF_FOP_VERSION,
                                         procedure, c->cred, c->cred_length);
    hot_io_args_encode(out + length, c->gfid, c->fd, 0, 0, 0);
    length += HOT_IO_ARGS_BYTES;
    wire_put32(out, RPC_LAST_FRAGMENT | (uint32_t)(length - RPC_MARK_BYTES));
    return length;
}
