/*
 * RPC message headers (RFC 5531 section 9) for the hot path: built and parsed in place.
 *
 *   call    xid | 0 | 2 | prog | vers | proc | credential | 0 0 | arguments
 *   reply   xid | 1 | 0 | verifier | accept_stat [low high] | results
 *           xid | 1 | 1 | 0 low high
 *           xid | 1 | 1 | 1 auth_stat
 *
 * On TCP a record mark stands before each (RFC 5531 section 11).
 */
#ifndef PROTO_RPC_MSG_H
#define PROTO_RPC_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/* record marking */
#define RPC_MARK_BYTES    4
#define RPC_LAST_FRAGMENT 0x80000000u
#define RPC_FRAGMENT_MAX  0x7fffffffu

#define RPC_VERSION  2
#define RPC_AUTH_MAX 400 /* bytes in a credential's or verifier's body: RFC 5531 section 8.2 */

/* Least bytes of a reply's header: accepted and executed, with an empty verifier. */
#define RPC_REPLY_BYTES 24

/* Word at offset 4 of a message. */
enum rpc_msg_type { RPC_MSG_CALL = 0, RPC_MSG_REPLY = 1 };

/*
 * AUTH_GLUSTERFS_v3 (glusterfs4-xdr.x, auth-glusterfs.c):
 *
 *    0 flavour 390040   4 length   8 pid   12 uid   16 gid   20 flags
 *   24 ctime_nsec      28 ctime_sec (64 bits)
 *   36 number of groups | groups | length of lk_owner | lk_owner
 *
 * The flags and the time change with each call (features/utime); the rest does not, so a hot path
 * keeps an encoded credential and writes over these.
 */
#define RPC_CRED_FLAVOUR  390040
#define RPC_CRED_FLAGS_AT 20
#define RPC_CRED_NSEC_AT  24
#define RPC_CRED_SEC_AT   28
#define RPC_CRED_MAX      (8 + RPC_AUTH_MAX)
/* A server rejects a lock owner that is longer than this less the number of groups. */
#define RPC_CRED_ITEMS_MAX 91

/* bits of flags: which times the call sets to ctime (stack.h) */
#define RPC_CRED_CTIME        0x01
#define RPC_CRED_MTIME        0x02
#define RPC_CRED_ATIME        0x04
#define RPC_CRED_PARENT_CTIME 0x08
#define RPC_CRED_PARENT_MTIME 0x10
#define RPC_CRED_PARENT_ATIME 0x20

/** Whom a call is made for. The arrays are the caller's. */
struct rpc_cred {
    int32_t pid;
    uint32_t uid, gid, flags, ctime_nsec;
    uint64_t ctime_sec;
    uint32_t ngroups;
    const uint32_t *groups;
    uint32_t lk_owner_len;
    const uint8_t *lk_owner;
};

/**
 * Encodes a credential from its flavour on. Groups beyond what the protocol has room for are left
 * out, as GlusterFS's own client does.
 * @return its length, a multiple of 4 and at most RPC_CRED_MAX; -EINVAL (lock owner longer than
 *         RPC_CRED_ITEMS_MAX); -ENOSPC (@p size is too small).
 */
ssize_t rpc_cred_encode(uint8_t *out, size_t size, const struct rpc_cred *cred);

/**
 * Writes the header of a call, from the xid to the null verifier; no record mark.
 * @param out       24 + cred_len + 8 bytes
 * @param cred      as rpc_cred_encode() left it
 * @return bytes written.
 */
size_t rpc_call_encode(uint8_t *out, uint32_t xid, uint32_t prog, uint32_t vers, uint32_t proc,
                       const uint8_t *cred, size_t cred_len);

enum rpc_reply_status {
    RPC_REPLY_SUCCESS,
    RPC_REPLY_PROG_UNAVAIL,
    RPC_REPLY_PROG_MISMATCH,
    RPC_REPLY_PROC_UNAVAIL,
    RPC_REPLY_GARBAGE_ARGS,
    RPC_REPLY_SYSTEM_ERR,
    RPC_REPLY_RPC_MISMATCH,
    RPC_REPLY_AUTH_ERROR,
};

/** The header of a reply. */
struct rpc_reply {
    uint32_t xid;
    enum rpc_reply_status status;
    uint32_t low, high; /* of PROG_MISMATCH and RPC_MISMATCH: versions the server has; else 0 */
    uint32_t auth_stat; /* of AUTH_ERROR; else 0 */
};

/**
 * Parses the header of a reply.
 * @param p       the message from its xid on
 * @param have    bytes of it that are there
 * @param record  length of the whole message
 * @return length of the header, at which the results begin; 0: more bytes are needed; -EPROTO: not
 *         a reply, malformed, or the record ends inside the header. *reply is set only with > 0.
 */
ssize_t rpc_reply_parse(const uint8_t *p, size_t have, size_t record, struct rpc_reply *reply);

/** Whether a reply of at least RPC_REPLY_BYTES is what a server that is well sends: accepted, with
 * an empty verifier of AUTH_NONE, and executed. Its results begin at RPC_REPLY_BYTES. */
static inline bool rpc_reply_is_plain(const uint8_t *p)
{
    static const uint8_t plain[RPC_REPLY_BYTES - 4] = {0, 0, 0, RPC_MSG_REPLY};
    return memcmp(p + 4, plain, sizeof(plain)) == 0;
}

/**
 * What a reply's status means for the call: 0, -EPROTONOSUPPORT (the server lacks the program, its
 * version, the procedure or the RPC version), -EBADMSG (GARBAGE_ARGS), -EREMOTEIO (SYSTEM_ERR),
 * -EACCES (AUTH_ERROR).
 */
int rpc_reply_errno(const struct rpc_reply *reply);

/** The status in RFC 5531's words, e.g. "PROG_MISMATCH". A static string. */
const char *rpc_reply_text(const struct rpc_reply *reply);

/** The header of a call that a server makes. */
struct rpc_callback {
    uint32_t program, version, procedure;
    size_t body; /* length of the header, at which the arguments begin */
};

/**
 * Parses the header of a call. Credential and verifier may be anything. No reply is expected, so
 * the xid does not matter.
 * @param p  the message from its xid on, all of it
 * @return 0, or -EPROTO: not a call, not RPC version 2, or malformed.
 */
int rpc_callback_parse(const uint8_t *p, size_t length, struct rpc_callback *call);

#endif
