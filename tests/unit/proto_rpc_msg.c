/* RPC headers and the credential, against RFC 5531's structures and a brick's own bytes. */
#include "proto/hot.h"
#include "proto/rpc.h"
#include "proto/rpc_msg.h"
#include "proto_bytes.h"
#include "proto_captured.h"

#include <errno.h>

/* A whole READ call as a GlusterFS client sends it, record mark included. */
#define READ_CALL                                                                                  \
    "8000008c 00000002 00000000 00000002 0013d005 00000190 0000000c 0005f398"                      \
    "00000030 00000064 00000000 00000000 00000000 00000000 00000000 00000000"                      \
    "00000001 00000000 00000008 01020304 05060708 00000000 00000000 7a6bf34e"                      \
    "5b024419 b666af1c 2d00b3cc ffffffff fffffffe 00000000 00001000 00010000"                      \
    "00000000 00000000 ffffffff 00000000"

Test(rpc_msg, read_call)
{
    struct bytes want = bytes_hex(READ_CALL);
    static const uint8_t owner[] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t gfid[] = {0x7a, 0x6b, 0xf3, 0x4e, 0x5b, 0x02, 0x44, 0x19,
                                   0xb6, 0x66, 0xaf, 0x1c, 0x2d, 0x00, 0xb3, 0xcc};
    const uint32_t group = 0;
    const struct rpc_cred cred = {
        .pid = 100, .ngroups = 1, .groups = &group, .lk_owner_len = 8, .lk_owner = owner};
    uint8_t body[RPC_CRED_MAX], out[RPC_MARK_BYTES + 512];
    ssize_t n = rpc_cred_encode(body, sizeof(body), &cred);
    cr_assert_eq(n, 56);
    size_t length = rpc_call_encode(out + RPC_MARK_BYTES, 2, 1298437, 400, 12, body, (size_t)n);
    cr_assert_eq(length, 24 + 56 + 8);
    hot_io_args_encode(out + RPC_MARK_BYTES + length, gfid, -2, 4096, 65536, 0);
    length += HOT_IO_ARGS_BYTES;
    wire_put32(out, RPC_LAST_FRAGMENT | (uint32_t)length);
    assert_bytes((struct bytes){out, RPC_MARK_BYTES + length}, want.p, want.n);
    bytes_free(want);
}

static struct rpc_cred random_cred(uint32_t *groups, uint32_t ngroups, uint8_t *owner, uint32_t len)
{
    rnd_fill(groups, ngroups * sizeof(*groups));
    rnd_fill(owner, len);
    return (struct rpc_cred){
        .pid = (int32_t)rnd(),
        .uid = (uint32_t)rnd(),
        .gid = (uint32_t)rnd(),
        .flags = (uint32_t)rnd(),
        .ctime_nsec = (uint32_t)rnd(),
        .ctime_sec = rnd(),
        .ngroups = ngroups,
        .groups = groups,
        .lk_owner_len = len,
        .lk_owner = owner,
    };
}

/* Every number of groups with every length of lock owner: what leaves is the XDR of the same, with
 * the groups there is room for. */
Test(rpc_msg, credential_is_xdr)
{
    uint32_t groups[100];
    uint8_t owner[100];
    for (uint32_t len = 0; len <= 91; len++) {
        for (uint32_t ngroups = 0; ngroups <= 100; ngroups++) {
            struct rpc_cred c = random_cred(groups, ngroups, owner, len);
            uint32_t kept = ngroups < 91 - len ? ngroups : 91 - len;
            gf_cred_v3 x = {
                .pid = c.pid,
                .uid = c.uid,
                .gid = c.gid,
                .flags = c.flags,
                .ctime_nsec = c.ctime_nsec,
                .ctime_sec = c.ctime_sec,
                .groups = {kept, groups},
                .lk_owner = {len, (char *)owner},
            };
            struct bytes inner = bytes_xdr((xdrproc_t)xdr_gf_cred_v3, &x);
            onc_opaque_auth auth = {ONC_AUTH_GLUSTERFS_V3, {(u_int)inner.n, (char *)inner.p}};
            struct bytes want = bytes_xdr((xdrproc_t)xdr_onc_opaque_auth, &auth);

            struct bytes got = {malloc(want.n), want.n};
            cr_assert_eq(rpc_cred_encode(got.p, got.n, &c), (ssize_t)want.n);
            assert_bytes(got, want.p, want.n);
            cr_assert_leq(want.n, RPC_CRED_MAX);
            cr_assert_eq(rpc_cred_encode(got.p, got.n - 1, &c), -ENOSPC);
            bytes_free(inner);
            bytes_free(want);
            bytes_free(got);
        }
    }
}

Test(rpc_msg, credential_limits)
{
    uint32_t groups[100];
    uint8_t owner[100], out[RPC_CRED_MAX];
    struct rpc_cred c = random_cred(groups, 0, owner, 92);
    cr_assert_eq(rpc_cred_encode(out, sizeof(out), &c), -EINVAL);
    c.lk_owner_len = UINT32_MAX;
    cr_assert_eq(rpc_cred_encode(out, sizeof(out), &c), -EINVAL);
    c = random_cred(groups, 91, owner, 0);
    cr_assert_eq(rpc_cred_encode(out, sizeof(out), &c), 36 + 4 * 91 + 4 + 4);
}

Test(rpc_msg, credential_patched)
{
    uint32_t groups[3];
    uint8_t owner[8], a[RPC_CRED_MAX], b[RPC_CRED_MAX];
    struct rpc_cred c = random_cred(groups, 3, owner, 8);
    ssize_t n = rpc_cred_encode(a, sizeof(a), &c);
    c.flags = RPC_CRED_CTIME | RPC_CRED_MTIME;
    c.ctime_nsec = (uint32_t)rnd();
    c.ctime_sec = rnd();
    cr_assert_eq(rpc_cred_encode(b, sizeof(b), &c), n);
    wire_put32(a + RPC_CRED_FLAGS_AT, c.flags);
    wire_put32(a + RPC_CRED_NSEC_AT, c.ctime_nsec);
    wire_put64(a + RPC_CRED_SEC_AT, c.ctime_sec);
    assert_bytes((struct bytes){a, (size_t)n}, b, (size_t)n);
}

Test(rpc_msg, call_is_xdr)
{
    for (uint32_t len = 0; len <= RPC_AUTH_MAX; len += 4) {
        uint8_t body[RPC_AUTH_MAX];
        rnd_fill(body, len);
        onc_opaque_auth auth = {RPC_CRED_FLAVOUR, {len, (char *)body}};
        onc_rpc_msg m = {.xid = (uint32_t)rnd(), .body.type = ONC_CALL};
        m.body.onc_msg_body_u.call = (onc_call_body){.rpcvers = ONC_RPC_VERSION,
                                                     .prog = (uint32_t)rnd(),
                                                     .vers = (uint32_t)rnd(),
                                                     .proc = (uint32_t)rnd(),
                                                     .cred = auth};
        const onc_call_body *call = &m.body.onc_msg_body_u.call;
        struct bytes cred = bytes_xdr((xdrproc_t)xdr_onc_opaque_auth, &auth);
        struct bytes want = bytes_xdr((xdrproc_t)xdr_onc_rpc_msg, &m);
        struct bytes got = {malloc(want.n), want.n};
        cr_assert_eq(
            rpc_call_encode(got.p, m.xid, call->prog, call->vers, call->proc, cred.p, cred.n),
            want.n);
        assert_bytes(got, want.p, want.n);
        bytes_free(cred);
        bytes_free(want);
        bytes_free(got);
    }
}

/* ---- replies ---- */

static onc_rpc_msg accepted(onc_accept_stat stat, uint32_t verifier, char *body)
{
    onc_rpc_msg m = {.xid = (uint32_t)rnd(), .body.type = ONC_REPLY};
    onc_reply_body *reply = &m.body.onc_msg_body_u.reply;
    reply->stat = ONC_MSG_ACCEPTED;
    onc_accepted_reply *a = &reply->onc_reply_body_u.accepted;
    a->verf = (onc_opaque_auth){(uint32_t)rnd(), {verifier, body}};
    a->data.stat = stat;
    if (stat == ONC_PROG_MISMATCH)
        a->data.onc_accepted_data_u.mismatch =
            (onc_mismatch_info){(uint32_t)rnd(), (uint32_t)rnd()};
    return m;
}

static onc_rpc_msg denied(onc_reject_stat stat)
{
    onc_rpc_msg m = {.xid = (uint32_t)rnd(), .body.type = ONC_REPLY};
    onc_reply_body *reply = &m.body.onc_msg_body_u.reply;
    reply->stat = ONC_MSG_DENIED;
    onc_rejected_reply *r = &reply->onc_reply_body_u.rejected;
    r->stat = stat;
    if (stat == ONC_RPC_MISMATCH)
        r->onc_rejected_reply_u.mismatch = (onc_mismatch_info){(uint32_t)rnd(), (uint32_t)rnd()};
    else
        r->onc_rejected_reply_u.auth_stat = (uint32_t)rnd();
    return m;
}

/* The header parses whole; of any shorter part it is told whether more is to come. */
static struct rpc_reply check_reply(struct bytes header, uint32_t xid)
{
    const size_t results = 20;
    struct rpc_reply r, untouched;
    memset(&untouched, 0x5a, sizeof(untouched));
    for (size_t have = 0; have < header.n; have++) {
        struct bytes part = bytes_copy(header.p, have);
        r = untouched;
        cr_assert_eq(rpc_reply_parse(part.p, have, header.n + results, &r), 0, "have %zu", have);
        cr_assert_eq(rpc_reply_parse(part.p, have, header.n, &r), 0, "have %zu", have);
        cr_assert_eq(rpc_reply_parse(part.p, have, have, &r), -EPROTO, "record %zu", have);
        cr_assert_eq(memcmp(&r, &untouched, sizeof(r)), 0);
        bytes_free(part);
    }
    cr_assert_eq(rpc_reply_parse(header.p, header.n, header.n, &r), (ssize_t)header.n);
    cr_assert_eq(rpc_reply_parse(header.p, header.n, header.n + results, &r), (ssize_t)header.n);
    /* more in the buffer than belongs to the record */
    cr_assert_eq(rpc_reply_parse(header.p, header.n, header.n - 1, &r), -EPROTO);
    cr_assert_eq(r.xid, xid);
    return r;
}

static const enum rpc_reply_status accept_status[] = {
    [ONC_SUCCESS] = RPC_REPLY_SUCCESS,
    [ONC_PROG_UNAVAIL] = RPC_REPLY_PROG_UNAVAIL,
    [ONC_PROG_MISMATCH] = RPC_REPLY_PROG_MISMATCH,
    [ONC_PROC_UNAVAIL] = RPC_REPLY_PROC_UNAVAIL,
    [ONC_GARBAGE_ARGS] = RPC_REPLY_GARBAGE_ARGS,
    [ONC_SYSTEM_ERR] = RPC_REPLY_SYSTEM_ERR,
};

Test(rpc_msg, accepted_with_every_verifier)
{
    char verifier[RPC_AUTH_MAX];
    for (uint32_t len = 0; len <= RPC_AUTH_MAX; len++) {
        onc_accept_stat stat = len % 6;
        rnd_fill(verifier, len);
        onc_rpc_msg m = accepted(stat, len, verifier);
        struct bytes header = bytes_xdr((xdrproc_t)xdr_onc_rpc_msg, &m);
        if (len == 0 && stat == ONC_SUCCESS)
            cr_assert_eq(header.n, RPC_REPLY_BYTES);
        struct rpc_reply r = check_reply(header, m.xid);
        cr_assert_eq(r.status, accept_status[stat]);
        bytes_free(header);
    }
}

Test(rpc_msg, every_accept_stat)
{
    for (onc_accept_stat stat = ONC_SUCCESS; stat <= ONC_SYSTEM_ERR; stat++) {
        onc_rpc_msg m = accepted(stat, 0, NULL);
        struct bytes header = bytes_xdr((xdrproc_t)xdr_onc_rpc_msg, &m);
        struct rpc_reply r = check_reply(header, m.xid);
        onc_mismatch_info *mismatch = &m.body.onc_msg_body_u.reply.onc_reply_body_u.accepted.data
                                           .onc_accepted_data_u.mismatch;
        cr_assert_eq(r.status, accept_status[stat]);
        cr_assert_eq(r.low, stat == ONC_PROG_MISMATCH ? mismatch->low : 0);
        cr_assert_eq(r.high, stat == ONC_PROG_MISMATCH ? mismatch->high : 0);
        cr_assert_eq(r.auth_stat, 0);
        bytes_free(header);
    }
}

Test(rpc_msg, denied)
{
    onc_rpc_msg m = denied(ONC_RPC_MISMATCH);
    onc_rejected_reply *want = &m.body.onc_msg_body_u.reply.onc_reply_body_u.rejected;
    struct bytes header = bytes_xdr((xdrproc_t)xdr_onc_rpc_msg, &m);
    struct rpc_reply r = check_reply(header, m.xid);
    cr_assert_eq(r.status, RPC_REPLY_RPC_MISMATCH);
    cr_assert_eq(r.low, want->onc_rejected_reply_u.mismatch.low);
    cr_assert_eq(r.high, want->onc_rejected_reply_u.mismatch.high);
    bytes_free(header);

    m = denied(ONC_AUTH_ERROR);
    header = bytes_xdr((xdrproc_t)xdr_onc_rpc_msg, &m);
    r = check_reply(header, m.xid);
    cr_assert_eq(r.status, RPC_REPLY_AUTH_ERROR);
    cr_assert_eq(r.auth_stat, want->onc_rejected_reply_u.auth_stat);
    bytes_free(header);
}

Test(rpc_msg, not_a_reply)
{
    static const char *const bad[] = {
        "00000007 00000000 00000002 00000000 00000000 00000000 00000000", /* a call */
        "00000007 00000002 00000000 00000000 00000000 00000000",          /* msg_type 2 */
        "00000007 ffffffff 00000000 00000000 00000000 00000000",
        "00000007 00000001 00000002 00000000 00000000 00000000", /* reply_stat 2 */
        "00000007 00000001 00000000 00000000 00000000 00000006", /* accept_stat 6 */
        "00000007 00000001 00000000 00000000 00000000 ffffffff", /* accept_stat -1 */
        "00000007 00000001 00000001 00000002 00000000 00000000", /* reject_stat 2 */
        "00000007 00000001 00000000 00000000 00000191 00000000", /* verifier of 401 */
        "00000007 00000001 00000000 00000000 ffffffff 00000000", /* and of 2^32 - 1 */
        "00000007 00000001 00000000 00000000 fffffffd 00000000", /* whose padding wraps */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct bytes b = bytes_hex(bad[i]);
        struct rpc_reply r;
        cr_assert_eq(rpc_reply_parse(b.p, b.n, 4096, &r), -EPROTO, "%s", bad[i]);
        bytes_free(b);
    }
}

Test(rpc_msg, captured)
{
    static const struct {
        const char *text;
        enum rpc_reply_status status;
        ssize_t header;
    } captured[] = {
        {CAPTURED_READ, RPC_REPLY_SUCCESS, 24},
        {CAPTURED_PROG_MISMATCH, RPC_REPLY_PROG_MISMATCH, 32},
        {CAPTURED_PROG_UNAVAIL, RPC_REPLY_PROG_UNAVAIL, 24},
        {CAPTURED_PROC_UNAVAIL, RPC_REPLY_PROC_UNAVAIL, 24},
        {CAPTURED_GARBAGE_ARGS, RPC_REPLY_GARBAGE_ARGS, 24},
    };
    for (size_t i = 0; i < sizeof(captured) / sizeof(*captured); i++) {
        struct bytes b = bytes_hex(captured[i].text);
        struct rpc_reply r;
        cr_assert_eq(rpc_reply_parse(b.p, b.n, b.n, &r), captured[i].header);
        cr_assert_eq(r.status, captured[i].status);
        bytes_free(b);
    }
}

Test(rpc_msg, errno_and_text)
{
    static const struct {
        enum rpc_reply_status status;
        int error;
        const char *text;
    } want[] = {
        {RPC_REPLY_SUCCESS, 0, "SUCCESS"},
        {RPC_REPLY_PROG_UNAVAIL, -EPROTONOSUPPORT, "PROG_UNAVAIL"},
        {RPC_REPLY_PROG_MISMATCH, -EPROTONOSUPPORT, "PROG_MISMATCH"},
        {RPC_REPLY_PROC_UNAVAIL, -EPROTONOSUPPORT, "PROC_UNAVAIL"},
        {RPC_REPLY_GARBAGE_ARGS, -EBADMSG, "GARBAGE_ARGS"},
        {RPC_REPLY_SYSTEM_ERR, -EREMOTEIO, "SYSTEM_ERR"},
        {RPC_REPLY_RPC_MISMATCH, -EPROTONOSUPPORT, "RPC_MISMATCH"},
        {RPC_REPLY_AUTH_ERROR, -EACCES, "AUTH_ERROR"},
    };
    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
        const struct rpc_reply r = {.status = want[i].status};
        cr_assert_eq(rpc_reply_errno(&r), want[i].error);
        cr_assert_str_eq(rpc_reply_text(&r), want[i].text);
    }
}

/* ---- calls that a server makes ---- */

Test(rpc_msg, callback)
{
    char cred[RPC_AUTH_MAX], verf[RPC_AUTH_MAX];
    for (uint32_t len = 0; len <= RPC_AUTH_MAX; len += 37) {
        onc_rpc_msg m = {.xid = (uint32_t)rnd(), .body.type = ONC_CALL};
        onc_call_body *want = &m.body.onc_msg_body_u.call;
        rnd_fill(cred, len);
        *want = (onc_call_body){.rpcvers = 2,
                                .prog = (uint32_t)rnd(),
                                .vers = (uint32_t)rnd(),
                                .proc = (uint32_t)rnd(),
                                .cred = {(uint32_t)rnd(), {len, cred}},
                                .verf = {(uint32_t)rnd(), {RPC_AUTH_MAX - len, verf}}};
        struct bytes b = bytes_xdr((xdrproc_t)xdr_onc_rpc_msg, &m);
        struct rpc_callback got;
        cr_assert_eq(rpc_callback_parse(b.p, b.n, &got), 0);
        cr_assert_eq(got.program, want->prog);
        cr_assert_eq(got.version, want->vers);
        cr_assert_eq(got.procedure, want->proc);
        cr_assert_eq(got.body, b.n);
        for (size_t n = 0; n < b.n; n++) {
            struct bytes part = bytes_copy(b.p, n);
            cr_assert_eq(rpc_callback_parse(part.p, n, &got), -EPROTO, "%zu bytes", n);
            bytes_free(part);
        }
        bytes_free(b);
    }
}

Test(rpc_msg, not_a_callback)
{
    static const char *const bad[] = {
        "00000007 00000001 00000002 00000001 00000001 00000001 00000000 00000000 00000000 00000000",
        "00000007 00000000 00000003 00000001 00000001 00000001 00000000 00000000 00000000 00000000",
        "00000007 00000000 00000002 00000001 00000001 00000001 00000000 00000191 00000000 00000000",
        "00000007 00000000 00000002 00000001 00000001 00000001 00000000 ffffffff 00000000 00000000",
        "00000007 00000000 00000002 00000001 00000001 00000001 00000000 00000000 00000000 fffffffd",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct bytes b = bytes_hex(bad[i]);
        struct rpc_callback call;
        cr_assert_eq(rpc_callback_parse(b.p, b.n, &call), -EPROTO, "%s", bad[i]);
        bytes_free(b);
    }
}
