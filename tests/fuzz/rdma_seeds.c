/*
 * Writes the corpus of the rdma_* targets: one file for each thing that is said on the wire, as our
 * own encoders make it. Each must be accepted, so that fuzzing begins behind the first check.
 *
 *     fuzz-rdma-seeds DIR      makes DIR/rdma_send/read and so on; DIR is there
 */
#include "proto/fop.h"
#include "proto/hot.h"
#include "proto/rdma_wire.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define XID 0x00400805

static const char *dir;

static void save(const char *target, const char *name, const uint8_t *p, size_t n)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, target);
    mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s", dir, target, name);
    FILE *f = fopen(path, "w");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0)
        err(1, "%s", path);
}

/* ---- private data ---------------------------------------------------------------------------- */

static void save_private(void)
{
    const struct rdma_request request = {1, 1, 64, 4, 1024};
    const struct rdma_accept accept = {1, 64, 16, 4096, 1 << 20, 1 << 20};
    const struct rdma_reject reject = {1, 1, RDMA_REJECT_NOT_ALLOWED};
    uint8_t out[56] = {0};
    struct rdma_request r;
    struct rdma_accept a;
    struct rdma_reject j;
    rdma_request_encode(out, &request);
    if (rdma_request_decode(out, RDMA_REQUEST_BYTES, &r) != 0)
        errx(1, "request");
    save("rdma_private", "request", out, RDMA_REQUEST_BYTES);
    save("rdma_private", "request-padded", out, sizeof(out));
    out[4] = 32;
    save("rdma_private", "request-longer", out, sizeof(out));
    rdma_accept_encode(out, &accept);
    if (rdma_accept_decode(out, RDMA_ACCEPT_BYTES, 64, &a) != 0)
        errx(1, "accept");
    save("rdma_private", "accept", out, RDMA_ACCEPT_BYTES);
    rdma_reject_encode(out, &reject);
    if (rdma_reject_decode(out, RDMA_REJECT_BYTES, &j) != 0)
        errx(1, "reject");
    save("rdma_private", "reject", out, RDMA_REJECT_BYTES);
}

/* ---- from the client ------------------------------------------------------------------------- */

/* A call; of procedures other than READ and WRITE the arguments are wrong, which does not matter
 * here.
 * @return its length. */
static size_t put_call(uint8_t *out, uint32_t proc)
{
    static const uint8_t gfid[16] = {0x7a, 0x6b, 0xf3, 0x4e, 0x5b, 0x02, 0x44, 0x19,
                                     0xb6, 0x66, 0xaf, 0x1c, 0x2d, 0x00, 0xb3, 0xcc};
    const struct rpc_cred cred = {.pid = 100};
    uint8_t body[RPC_CRED_MAX];
    ssize_t n = rpc_cred_encode(body, sizeof(body), &cred);
    if (n < 0)
        errx(1, "credential");
    size_t length = rpc_call_encode(out, XID, 1298437, 400, proc, body, (size_t)n);
    hot_io_args_encode(out + length, gfid, -2, 4096, 65536, 0);
    return length + HOT_IO_ARGS_BYTES;
}

/* The chunks that the header announces, of 4 KiB each but the first of a LONG. */
static uint8_t *put_chunks(uint8_t *p, const struct rdma_header *h)
{
    struct rdma_chunk c = {0x7f12345ff000, 4 + h->message, 0x1234};
    unsigned n = (unsigned)!!(h->flags & RDMA_REPLY) + h->reads + h->writes;
    if (h->flags & RDMA_LONG) {
        rdma_chunk_encode(p, &c);
        p += RDMA_CHUNK_BYTES;
    }
    for (c.length = 4096; n--; p += RDMA_CHUNK_BYTES) {
        c.address += 8192;
        rdma_chunk_encode(p, &c);
    }
    return p;
}

static void save_send(const char *name, const uint8_t *out, const uint8_t *end)
{
    struct rdma_send s;
    if (rdma_send_decode(out, (size_t)(end - out), &s) != 0)
        errx(1, "%s", name);
    save("rdma_send", name, out, (size_t)(end - out));
}

/* @param h  message and, if in reads, payload are filled in here */
static void save_call(const char *name, uint32_t proc, struct rdma_header h)
{
    uint8_t out[16384], call[1024], *p = out + RDMA_HEADER_BYTES;
    size_t length = put_call(call, proc);
    h.xid = XID;
    h.kind = RDMA_CALL;
    h.message = (uint32_t)length;
    if (h.reads)
        h.payload = 4096u * h.reads;
    rdma_header_encode(out, &h);
    p = put_chunks(p, &h);
    if (!(h.flags & RDMA_LONG)) {
        wire_put32(p, RPC_LAST_FRAGMENT | (h.message + h.payload));
        memcpy(p + RDMA_MARK_BYTES, call, length);
        p += RDMA_MARK_BYTES + length;
        if (!h.reads) {
            memset(p, 'x', h.payload);
            p += h.payload;
        }
    }
    save_send(name, out, p);
}

static void save_calls(void)
{
    save_call("read", GF_FOP_READ, (struct rdma_header){.writes = 1});
    save_call("read-pieces", GF_FOP_READ, (struct rdma_header){.writes = 3, .callbacks = 7});
    save_call("read-most-pieces", GF_FOP_READ, (struct rdma_header){.writes = 255});
    save_call("write-inline", GF_FOP_WRITE, (struct rdma_header){.payload = 100});
    save_call("write", GF_FOP_WRITE, (struct rdma_header){.reads = 1});
    save_call("write-pieces", GF_FOP_WRITE, (struct rdma_header){.reads = 3});
    save_call("write-long", GF_FOP_WRITE, (struct rdma_header){.flags = RDMA_LONG, .reads = 2});
    save_call("lookup", GF_FOP_LOOKUP, (struct rdma_header){.flags = RDMA_REPLY});
    save_call("lookup-long", GF_FOP_LOOKUP, (struct rdma_header){.flags = RDMA_LONG | RDMA_REPLY});
}

static void save_attach(const char *name, const char *target)
{
    const struct rdma_chunk ring = {0x7f12345ff000, 68 * 1024, 0x1234};
    const struct rdma_header h = {.kind = RDMA_ATTACH, .message = (uint32_t)strlen(target)};
    uint8_t out[256], *p = out + RDMA_HEADER_BYTES;
    rdma_header_encode(out, &h);
    rdma_chunk_encode(p, &ring);
    p += RDMA_CHUNK_BYTES;
    memcpy(p, target, h.message);
    save_send(name, out, p + h.message);
}

static void save_bare(const char *name, enum rdma_kind kind)
{
    const struct rdma_header h = {.xid = XID, .kind = (uint8_t)kind, .callbacks = 7};
    uint8_t out[RDMA_HEADER_BYTES];
    rdma_header_encode(out, &h);
    save_send(name, out, out + sizeof(out));
}

/* ---- from the gateway ------------------------------------------------------------------------ */

static void save_slot(const char *name, struct rdma_slot_head s)
{
    uint8_t out[512] = {0};
    struct rdma_slot_head got;
    rdma_slot_encode(out, &s);
    wire_put32(out + RDMA_SLOT_HEAD_BYTES, s.xid);
    if (rdma_slot_decode(out, sizeof(out), &got) != 0)
        errx(1, "%s", name);
    save("rdma_slot", name, out, sizeof(out));
}

static void save_slots(void)
{
    save_slot("reply", (struct rdma_slot_head){XID, RDMA_SLOT_REPLY, 0, 196, 0});
    save_slot("reply-read", (struct rdma_slot_head){XID, RDMA_SLOT_REPLY, 0, 196, 65536});
    save_slot("reply-attached", (struct rdma_slot_head){0, RDMA_SLOT_REPLY, 0, 0, 0});
    save_slot("long", (struct rdma_slot_head){XID, RDMA_SLOT_LONG, 0, 70000, 0});
    save_slot("error", (struct rdma_slot_head){0, RDMA_SLOT_ERROR, RDMA_ERROR_UNREACHABLE, 22, 0});
    save_slot("callback", (struct rdma_slot_head){2047, RDMA_SLOT_CALLBACK, 0, 60, 0});
}

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(2, "usage: fuzz-rdma-seeds DIR");
    dir = argv[1];
    save_private();
    save_calls();
    save_attach("attach-brick", "/bricks/one");
    save_attach("attach-glusterd", "");
    save_bare("credit", RDMA_CREDIT);
    save_bare("cancel", RDMA_CANCEL);
    save_slots();
    return 0;
}
