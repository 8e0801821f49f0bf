/*
 * peer.h - a scripted server for tests: a GlusterFS brick, and a glusterd, that can misbehave at an
 * exact place.
 *
 * It speaks the protocol from bytes of its own (peer_decode.c, peer_record.c share nothing with
 * proto/), so that it is independent evidence. A peer is one listening socket with one thread that
 * polls; the client under test runs in a thread of the test, in the same process. Left alone it
 * serves a small tree of files, each file's content being a memfd of the test's.
 *
 * Scripting. The hook is shown every call before it is executed and answers it by hand, or lets
 * the peer do so:
 *
 *      static bool cut_reply(struct peer_call *call, void *arg)
 *      {
 *          struct peer_record r = {0};
 *          if (!peer_is_fop(call, PEER_READ))
 *              return false;                            // the peer executes and answers it
 *          peer_execute(call, &r);                      // the right reply, as bytes ...
 *          peer_send(call->conn, r.at, 100);            // ... sent in two slices, the second
 *          peer_settle(call->conn);                     // after the client has taken the first
 *          peer_send(call->conn, r.at + 100, r.length - 100);
 *          peer_record_free(&r);
 *          return true;
 *      }
 *
 * A record can be changed at will before it is sent: every length, count and presence word in it is
 * listed in fields[]. To answer later keep call->conn and call->xid, or the finished record.
 * To never answer return true and do nothing.
 *
 * Locking. The peer's thread holds the peer's lock whenever it does not poll, so in the hook too.
 * Functions marked [locked] are called from the hook, or from any thread between peer_lock() and
 * peer_unlock(). The others must not be called from the hook. Criterion's assertions must not be
 * used in the hook (they leave through longjmp): peer_complain() instead.
 *
 * What comes in is checked: one fragment per record, every length exact, the size of a WRITE equal
 * to its payload, dictionaries well formed, credentials of the right flavour, SETVOLUME first. The
 * first violation stays as the peer's complaint; a test ends with peer_complaint() == "".
 *
 * Protocol facts: RFC 5531 sections 9 and 11; GlusterFS protocol-common.h (numbers),
 * glusterfs4-xdr.x (shapes), rpcsvc.c and server-handshake.c (behaviour).
 */
#ifndef TESTS_WIRE_PEER_H
#define TESTS_WIRE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;
struct peer_conn;

/** Upper bound of every wait in here, in milliseconds: reached only when a test fails. */
#define PEER_PATIENCE_MS 20000

/** Program numbers (protocol-common.h). */
enum {
    PEER_PROG_DUMP = 123451501,
    PEER_PROG_HANDSHAKE = 14398633,
    PEER_PROG_PORTMAP = 34123456,
    PEER_PROG_FOP = 1298437,
    PEER_PROG_CALLBACK = 52743234,
};

/** Procedures. Of DUMP, of HANDSHAKE, of PORTMAP, then of FOP. */
enum { PEER_DUMP = 1, PEER_PING = 2 };
enum { PEER_SETVOLUME = 1, PEER_GETSPEC = 2 };
enum { PEER_PORTBYBRICK = 1 };
enum {
    PEER_STAT = 1,
    PEER_READLINK = 2,
    PEER_MKDIR = 4,
    PEER_UNLINK = 5,
    PEER_RMDIR = 6,
    PEER_TRUNCATE = 10,
    PEER_OPEN = 11,
    PEER_READ = 12,
    PEER_WRITE = 13,
    PEER_FLUSH = 15,
    PEER_FSYNC = 16,
    PEER_OPENDIR = 20,
    PEER_CREATE = 23,
    PEER_FTRUNCATE = 24,
    PEER_FSTAT = 25,
    PEER_LOOKUP = 27,
    PEER_READDIRP = 40,
    PEER_RELEASE = 41,
    PEER_RELEASEDIR = 42,
    PEER_FOPS = 57, /* one more than the last */
};
/** Procedures of CALLBACK: 1 FETCHSPEC ... 11 ENTRYLK_CONTENTION. */
#define PEER_CALLBACKS 11

/** Where things stand in a reply, in bytes from the record mark on; from SIZE on in READ's only. */
enum {
    PEER_AT_MARK = 0,
    PEER_AT_XID = 4,
    PEER_AT_TYPE = 8,
    PEER_AT_REPLY_STAT = 12,
    PEER_AT_VERIFIER = 16,
    PEER_AT_VERIFIER_LENGTH = 20,
    PEER_AT_ACCEPT_STAT = 24,
    PEER_AT_OP_RET = 28,
    PEER_AT_OP_ERRNO = 32,
    PEER_AT_READ_SIZE = 184,
    PEER_AT_READ_DICT = 188,
    PEER_AT_READ_PAYLOAD = 200, /* if the dict is empty */
};

/* ---- records --------------------------------------------------------------------------------- */

/** A 32-bit word of a record that a hostile server could lie with. */
struct peer_field {
    size_t at;
    const char *name; /* static */
};

#define PEER_FIELDS 96

/** One record as it goes over the wire, its mark included. {0} is an empty one. */
struct peer_record {
    uint8_t *at;
    size_t length, room;
    struct peer_field fields[PEER_FIELDS];
    unsigned nfields;
};

void peer_record_free(struct peer_record *r);
/** Sets, gives the big-endian word at byte @p at. */
void peer_poke(struct peer_record *r, size_t at, uint32_t value);
uint32_t peer_peek(const struct peer_record *r, size_t at);
/** Puts bytes between those that are there, fields move along; the mark stays as it is. */
void peer_insert(struct peer_record *r, size_t at, const void *bytes, size_t n);
/** Cuts the record off, or lengthens it with zeros; the mark stays as it is. */
void peer_resize(struct peer_record *r, size_t length);
/** Makes the mark say what the record holds, as one fragment. */
void peer_seal(struct peer_record *r);
/**
 * Gives in @p out the bytes of @p whole (one fragment) in @p n + 1 fragments: @p sizes bytes, 0
 * too, in the first n, the rest in the last.
 */
void peer_split(struct peer_record *out, const struct peer_record *whole, const size_t *sizes,
                unsigned n);

/** The beginnings of all that follows: an accepted reply with accept_stat SUCCESS, without a body.
 *  Bodies are put behind with peer_put*(), peer_seal() ends it. */
void peer_begin_reply(struct peer_record *r, uint32_t xid);
void peer_put(struct peer_record *r, const void *bytes, size_t n);
void peer_put32(struct peer_record *r, uint32_t value);
void peer_put64(struct peer_record *r, uint64_t value);
/** A word that is listed in fields[]. */
void peer_put_field(struct peer_record *r, const char *name, uint32_t value);
/** XDR opaque<> (RFC 4506 section 4.10): length, bytes, padding; the length is listed. */
void peer_put_opaque(struct peer_record *r, const char *name, const void *bytes, size_t n);
/** A gfx_dict: NULL if @p value_length is 0; else one pair "peer.pair" of @p value_length bytes of
 *  type PTR, which makes peer_dict_bytes() bytes of pairs. */
void peer_put_dict(struct peer_record *r, size_t value_length);
size_t peer_dict_bytes(size_t value_length);

/** A whole reply to READ: op_ret and op_errno as given, payload and dict in any combination. */
void peer_make_read(struct peer_record *r, uint32_t xid, int32_t op_ret, int32_t op_errno,
                    const void *payload, size_t length, size_t dict_value_length);
/** A whole reply to SETVOLUME; @p text is that of "ERROR". */
void peer_make_setvolume(struct peer_record *r, uint32_t xid, int32_t op_ret, int32_t op_errno,
                         const char *text);
/** A reply that has only a header: accept_stat 1..5 (2, PROG_MISMATCH, with two versions). */
void peer_make_refusal(struct peer_record *r, uint32_t xid, uint32_t accept_stat);
/** A denied reply: reject_stat 0 (RPC_MISMATCH, with two versions) or 1 (AUTH_ERROR). */
void peer_make_denial(struct peer_record *r, uint32_t xid, uint32_t reject_stat);
/** A call of the server's with the body that procedure @p proc of CALLBACK has. */
void peer_make_callback(struct peer_record *r, uint32_t xid, uint32_t proc);

/* ---- calls ----------------------------------------------------------------------------------- */

/** A call, decoded. Arguments that a procedure does not have are 0; pointers are valid until the
 *  hook returns. */
struct peer_call {
    struct peer *peer;
    struct peer_conn *conn;
    uint32_t xid, prog, vers, proc;
    uint32_t flavour; /* of the credential */
    uint8_t gfid[16], pargfid[16];
    uint8_t gfid_req[16]; /* of the dict */
    int64_t fd;
    uint64_t offset;
    uint32_t size, flags, mode;
    char name[1024];        /* of an entry; PORTBYBRICK's brick; GETSPEC's key */
    const uint8_t *payload; /* WRITE's */
    size_t payload_length;
    const uint8_t *dict; /* SETVOLUME's */
    size_t dict_length;
};

bool peer_is_fop(const struct peer_call *call, uint32_t proc);
/** The hook: false lets the peer execute and answer the call. */
typedef bool peer_hook(struct peer_call *call, void *arg);

/** Executes a call as a brick or glusterd would and makes its reply, without sending it. [locked]
 */
void peer_execute(struct peer_call *call, struct peer_record *reply);
/** Makes the reply that says op_ret -1 and @p op_errno, in the shape of the call's. [locked] */
void peer_refuse(struct peer_call *call, int32_t op_errno, struct peer_record *reply);

/* ---- connections; all [locked] --------------------------------------------------------------- */

/** Sends bytes, whatever they are, after those that are under way. Does not block: what the socket
 *  does not take goes out later. False: the connection is gone. */
bool peer_send(struct peer_conn *conn, const void *bytes, size_t n);
/** Sends a record and frees it. */
bool peer_send_record(struct peer_conn *conn, struct peer_record *r);
/**
 * Waits until the client has taken everything sent so far out of its socket. It must be in a
 * library call that receives. False: the connection is gone, or PEER_PATIENCE_MS are over.
 */
bool peer_settle(struct peer_conn *conn);
/** peer_send() in two slices with a peer_settle() between; one slice if @p cut is 0 or @p n. */
bool peer_send_cut(struct peer_conn *conn, const void *bytes, size_t n, size_t cut);
/** Closes after what is under way: FIN. */
void peer_close(struct peer_conn *conn);
/** Closes at once: RST. What the client has not taken yet is lost. */
void peer_reset(struct peer_conn *conn);
/** Stops reading the socket, or goes on. */
void peer_deafen(struct peer_conn *conn, bool deaf);
/** Takes up to @p n bytes out of the socket of a connection that is not read; they wait until it is
 *  read again. @return how many there were. */
size_t peer_take(struct peer_conn *conn, size_t n);
/** Copies bytes of what has been taken and not been dealt with: @p n, from byte @p at on. False: so
 *  many are not there. */
bool peer_taken(const struct peer_conn *conn, size_t at, void *to, size_t n);
/** The client's end of the connection, a descriptor of this process; -1 if it is closed. */
int peer_client_fd(struct peer_conn *conn);
/** The connection accepted last; NULL: none yet. */
struct peer_conn *peer_latest(struct peer *p);
/** As if the brick's process had been killed and started again: all connections end, with RST if
 *  @p reset, and nothing is open; descriptors have other numbers from here on. Files stay. */
void peer_restart(struct peer *p, bool reset);
/** Stops listening, so that nobody can connect; or listens again, on the same port. Not from the
 *  hook. */
void peer_listen(struct peer *p, bool listens);

/* ---- the peer -------------------------------------------------------------------------------- */

struct peer_options {
    const char *address; /* to listen on; default 127.0.0.1 */
    uint16_t port;       /* default: any */
    int receive_buffer;  /* SO_RCVBUF of connections; 0: the system's */
    const char *export;  /* path that SETVOLUME must name; default /export */
    const char *volfile; /* what GETSPEC gives; NULL: ENOENT. The test's, until peer_stop() */
    int32_t brick_port;  /* what PORTBYBRICK gives; 0: the peer's own; -1: the brick is down */
    bool no_fop_400;     /* DUMP does not list it, and calls to it give PROG_MISMATCH */
    peer_hook *hook;
    void *arg;
};

/** What has come in. */
struct peer_counts {
    uint64_t fops[PEER_FOPS]; /* calls per procedure */
    uint64_t write_bytes;     /* payload of WRITE calls */
    uint64_t pings, dumps, setvolumes, getspecs, portbybricks;
    uint64_t connections; /* accepted */
    uint64_t open;        /* connections that are up now */
    uint64_t open_fds;    /* fds opened and not released */
};

/** Starts a peer; NULL options: all defaults. NULL (errno): no socket, no thread. */
struct peer *peer_start(const struct peer_options *options);
/** Closes all connections, ends the thread, frees everything. NULL is ignored. */
void peer_stop(struct peer *p);

uint16_t peer_port(const struct peer *p);
/** Writes "gluster+brick://address:port/export" and @p query, e.g. "?timeout=1", into @p uri. */
void peer_uri(const struct peer *p, const char *query, char *uri, size_t size);
/** Another hook from now on; NULL: none. When this returns the former one does not run. */
void peer_set_hook(struct peer *p, peer_hook *hook, void *arg);

void peer_lock(struct peer *p);
void peer_unlock(struct peer *p);
/** Waits until @p holds is true; it is asked, [locked], whenever the peer has done something.
 *  False: PEER_PATIENCE_MS are over. */
bool peer_wait(struct peer *p, bool (*holds)(struct peer *p, void *arg), void *arg);
/** Waits until no connection is open. */
bool peer_wait_closed(struct peer *p);
void peer_counts(struct peer *p, struct peer_counts *counts);

/** Adds a regular file in the root, of mode 0644. @return a descriptor, the peer's, of a memfd that
 *  is the file's content: the test sizes, fills and reads it at any time. -1 (errno). */
int peer_add_file(struct peer *p, const char *name);
/** The same descriptor of a file there is, e.g. one that the client has made; -1: none. */
int peer_file(struct peer *p, const char *name);
/** Adds a directory, a symbolic link, in the root. */
int peer_add_dir(struct peer *p, const char *name);
int peer_add_link(struct peer *p, const char *name, const char *target);

/** Notes a failure found in a hook; the first one stays. [locked] */
void peer_complain(struct peer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Copies the first complaint; "" if there is none. @return @p text. */
const char *peer_complaint(struct peer *p, char *text, size_t size);

#endif
