/*
 * What a client sends, taken apart and checked.
 *
 *   | xid | 0 CALL | 2 | program | version | procedure | credential | verifier 0, 0 | arguments
 *   credential, v3: | 390040 | bytes | pid | uid | gid | flags | nsec | sec 8 | groups<> | owner<>
 * |
 */
#include "tests/wire/peer_internal.h"

#include <stdlib.h>
#include <string.h>

enum { AUTH_NONE = 0, AUTH_GLUSTERFS_V3 = 390040 };

/* Takes bytes from the front; `bad` once some were missing. */
struct in {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static const uint8_t *take(struct in *in, size_t n)
{
    static const uint8_t nothing[16];
    if (n > in->left || in->bad) {
        in->bad = true;
        in->left = 0;
        return n <= sizeof(nothing) ? nothing : NULL;
    }
    const uint8_t *p = in->at;
    in->at += n;
    in->left -= n;
    return p;
}

static uint32_t take32(struct in *in)
{
    const uint8_t *p = take(in, 4);
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t take64(struct in *in)
{
    uint64_t high = take32(in);
    return high << 32 | take32(in);
}

/* XDR opaque<>; the padding must be zero (RFC 4506 section 4.10). */
static const uint8_t *take_opaque(struct in *in, uint32_t *length)
{
    *length = take32(in);
    const uint8_t *p = take(in, *length);
    for (uint32_t pad = (4 - *length % 4) % 4; pad; pad--)
        if (*take(in, 1) != 0)
            in->bad = true;
    return in->bad ? NULL : p;
}

static void take_name(struct in *in, char *name, size_t size)
{
    uint32_t length;
    const uint8_t *p = take_opaque(in, &length);
    if (!p || length >= size || memchr(p, 0, length)) {
        in->bad = true;
        return;
    }
    memcpy(name, p, length);
    name[length] = '\0';
}

/* ---- dictionaries ---------------------------------------------------------------------------- */

/* A value of gfx_dict (glusterfs4-xdr.x: gfx_value). */
static void take_value(struct in *in, uint32_t type, bool gfid_req, struct peer_call *call)
{
    uint32_t length;
    const uint8_t *p;
    switch (type) {
    case 2: /* INT */
    case 3: /* UINT */
    case 4: /* DOUBLE */
        take(in, 8);
        break;
    case 1: /* STR_OLD */
    case 5: /* STR */
    case 6: /* PTR */
        take_opaque(in, &length);
        break;
    case 7: /* GFUUID */
        p = take(in, 16);
        if (gfid_req)
            memcpy(call->gfid_req, p, 16);
        break;
    case 8: /* IATT */
        in->bad |= !take(in, 148);
        break;
    case 9: /* MDATA */
        in->bad |= !take(in, 36);
        break;
    default:
        in->bad = true;
        break;
    }
}

static void take_dict(struct in *in, struct peer_call *call)
{
    uint32_t size = take32(in), count = take32(in), pairs = take32(in);
    if (count == UINT32_MAX) {
        in->bad |= size != 0 || pairs != 0;
        return;
    }
    if (count != pairs || size > in->left) {
        in->bad = true;
        return;
    }
    size_t behind = in->left - size;
    for (uint32_t i = 0; i < pairs && !in->bad; i++) {
        uint32_t length;
        const uint8_t *key = take_opaque(in, &length);
        if (!key || length == 0 || memchr(key, 0, length) != key + length - 1) {
            in->bad = true;
            return;
        }
        take_value(in, take32(in), strcmp((const char *)key, "gfid-req") == 0, call);
    }
    in->bad |= in->left != behind;
}

const char *peer_dict_text(const uint8_t *dict, size_t length, const char *key)
{
    struct in in = {dict, length, false};
    for (uint32_t n = take32(&in); n && !in.bad; n--) {
        uint32_t key_length = take32(&in), value_length = take32(&in);
        const uint8_t *k = take(&in, (size_t)key_length + 1);
        const uint8_t *v = take(&in, value_length);
        if (in.bad || k[key_length] != 0)
            return NULL;
        if (strcmp((const char *)k, key) == 0)
            return value_length && v[value_length - 1] == 0 ? (const char *)v : NULL;
    }
    return NULL;
}

/* An opaque dict takes exactly its bytes. */
static bool dict_exact(const uint8_t *dict, size_t length)
{
    struct in in = {dict, length, false};
    for (uint32_t n = take32(&in); n && !in.bad; n--) {
        uint32_t key_length = take32(&in), value_length = take32(&in);
        const uint8_t *k = take(&in, (size_t)key_length + 1);
        take(&in, value_length);
        if (!in.bad && k[key_length] != 0)
            return false;
    }
    return !in.bad && in.left == 0;
}

/* ---- arguments ------------------------------------------------------------------------------- */

/* g gfid, p parent's gfid, f fd, o offset, s size, l flags, m mode, n name, x a word that does not
 * matter here, d dict, P payload: all that is left. */
static const char *const shapes[PEER_FOPS] = {
    [PEER_STAT] = "gd",        [PEER_READLINK] = "gsd",   [PEER_MKDIR] = "pmxnd",
    [PEER_UNLINK] = "pnxd",    [PEER_RMDIR] = "pxnd",     [PEER_OPEN] = "gld",
    [PEER_READ] = "gfosld",    [PEER_WRITE] = "gfosldP",  [PEER_FLUSH] = "gfd",
    [PEER_FSYNC] = "gfxd",     [PEER_OPENDIR] = "gd",     [PEER_CREATE] = "plmxnd",
    [PEER_TRUNCATE] = "god",   [PEER_FTRUNCATE] = "gfod", [PEER_FSTAT] = "gfd",
    [PEER_LOOKUP] = "gplnd",   [PEER_READDIRP] = "gfosd", [PEER_RELEASE] = "gfd",
    [PEER_RELEASEDIR] = "gfd",
};

static void take_fop(struct in *in, struct peer_call *call)
{
    const char *shape = call->proc < PEER_FOPS ? shapes[call->proc] : NULL;
    if (!shape) {
        in->left = 0; /* answered with PROC_UNAVAIL */
        return;
    }
    for (; *shape; shape++) {
        switch (*shape) {
        case 'g':
            memcpy(call->gfid, take(in, 16), 16);
            break;
        case 'p':
            memcpy(call->pargfid, take(in, 16), 16);
            break;
        case 'f':
            call->fd = (int64_t)take64(in);
            break;
        case 'o':
            call->offset = take64(in);
            break;
        case 's':
            call->size = take32(in);
            break;
        case 'l':
            call->flags = take32(in);
            break;
        case 'm':
            call->mode = take32(in);
            break;
        case 'n':
            take_name(in, call->name, 256);
            break;
        case 'x':
            take32(in);
            break;
        case 'd':
            take_dict(in, call);
            break;
        case 'P':
            call->payload_length = in->left;
            call->payload = take(in, in->left);
            if (call->payload_length != call->size)
                in->bad = true;
            break;
        }
    }
}

static void take_handshake(struct in *in, struct peer_call *call)
{
    uint32_t length = 0;
    if (call->proc == PEER_GETSPEC) {
        call->flags = take32(in);
        take_name(in, call->name, sizeof(call->name));
    }
    call->dict = take_opaque(in, &length);
    call->dict_length = length;
    if (!call->dict || !dict_exact(call->dict, length))
        in->bad = true;
}

static void take_arguments(struct in *in, struct peer_call *call)
{
    switch (call->prog) {
    case PEER_PROG_FOP:
        take_fop(in, call);
        break;
    case PEER_PROG_HANDSHAKE:
        take_handshake(in, call);
        break;
    case PEER_PROG_PORTMAP:
        take_name(in, call->name, sizeof(call->name));
        break;
    case PEER_PROG_DUMP:
        if (call->proc == PEER_DUMP)
            call->offset = take64(in); /* gfs_id, to be echoed */
        break;
    default:
        in->left = 0; /* answered with PROG_UNAVAIL */
        break;
    }
}

/* ---- the call -------------------------------------------------------------------------------- */

/* auth-glusterfs.c:auth_glusterfs_v3_authenticate: at most 400 bytes, groups and owner at most 91.
 */
static bool credential_ok(struct in body, uint32_t flavour)
{
    if (flavour == AUTH_NONE)
        return body.left == 0;
    if (flavour != AUTH_GLUSTERFS_V3 || body.left > 400)
        return false;
    take(&body, 16);
    take(&body, 12);
    uint32_t groups = take32(&body), owner;
    for (uint32_t i = 0; i < groups && !body.bad; i++)
        take32(&body);
    take_opaque(&body, &owner);
    return !body.bad && body.left == 0 && groups >= 1 && groups + owner <= 91;
}

bool peer_decode(struct peer_call *call, const uint8_t *p, size_t length)
{
    struct in in = {p, length, false};
    struct peer *peer = call->peer;
    uint32_t n = 0;

    call->xid = take32(&in);
    uint32_t type = take32(&in), rpcvers = take32(&in);
    call->prog = take32(&in);
    call->vers = take32(&in);
    call->proc = take32(&in);
    call->flavour = take32(&in);
    const uint8_t *body = take_opaque(&in, &n);
    uint32_t verifier = take32(&in), verifier_length = take32(&in);
    if (in.bad || type != 0 || rpcvers != 2 || verifier != 0 || verifier_length != 0) {
        peer_complain(peer, "malformed RPC call header in a record of %zu bytes", length);
        return false;
    }
    if (!credential_ok((struct in){body, n, false}, call->flavour)) {
        peer_complain(peer, "xid %08x: malformed credential of flavour %u", call->xid,
                      call->flavour);
        return false;
    }
    if (call->flavour == AUTH_NONE && call->prog != PEER_PROG_DUMP) {
        peer_complain(peer, "xid %08x: program %u called without a credential", call->xid,
                      call->prog);
        return false;
    }
    take_arguments(&in, call);
    if (in.bad || in.left) {
        peer_complain(peer, "xid %08x: malformed arguments of program %u, procedure %u", call->xid,
                      call->prog, call->proc);
        return false;
    }
    return true;
}

bool peer_is_fop(const struct peer_call *call, uint32_t proc)
{
    return call->prog == PEER_PROG_FOP && call->proc == proc;
}
