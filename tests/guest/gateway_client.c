#include "tests/guest/gateway_client.h"

#include "base/clock.h"
#include "proto/dict.h"
#include "proto/fop.h"
#include "proto/handshake.h"
#include "proto/hot.h"
#include "proto/rpc_msg.h"
#include "tests/lab/volume.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/xattr.h>

/* What works is not told: only the process that Criterion has made may speak to it, and a client
 * may be in a child of that, to be killed. */
#define must(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition))                                                                          \
            must_fail(__LINE__, #condition, "" __VA_ARGS__);                                       \
    } while (0)

static void must_fail(int line, const char *condition, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "gateway_client.c:%d: %s: %s\n", line, condition, text);
    cr_assert(false, "line %d: %s: %s", line, condition, text);
}

#define ANONYMOUS_FD (-2) /* a file by its gfid alone (GlusterFS's fd.h) */

/* ---- memory ---------------------------------------------------------------------------------- */

struct rdma_chunk gc_chunk(const struct gc *c, uint32_t at, uint32_t length)
{
    return (struct rdma_chunk){(uintptr_t)(c->bulk + at), length, c->mr->rkey};
}

static void make_memory(struct gc *c)
{
    c->ring_bytes = (size_t)(c->granted.credits + c->callbacks) * c->slot;
    size_t ring_most = (size_t)(c->credits + c->callbacks) * c->slot;
    size_t bytes = ring_most + (size_t)c->credits * GC_SEND + GC_BULK;
    c->memory = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
    must(c->memory);
    c->ring = c->memory;
    c->sends = c->ring + ring_most;
    c->bulk = c->sends + (size_t)c->credits * GC_SEND;
    c->mr = ibv_reg_mr(c->pd, c->memory, bytes,
                       IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ);
    must(c->mr, "%s", strerror(errno));
}

/* ---- connecting ------------------------------------------------------------------------------ */

static struct rdma_cm_event *next_event(struct gc *c)
{
    struct rdma_cm_event *event;
    struct pollfd p = {.fd = c->events->fd, .events = POLLIN};
    must(poll(&p, 1, GC_PATIENCE_MS) == 1, "no event of the connection manager's");
    must(rdma_get_cm_event(c->events, &event) == 0);
    return event;
}

static void expect_event(struct gc *c, enum rdma_cm_event_type wanted)
{
    struct rdma_cm_event *event = next_event(c);
    must(event->event == wanted, "%s instead of %s", rdma_event_str(event->event),
         rdma_event_str(wanted));
    rdma_ack_cm_event(event);
}

static void post_receive(struct gc *c)
{
    struct ibv_recv_wr wr = {0}, *bad;
    must(ibv_post_recv(c->id->qp, &wr, &bad) == 0);
}

static void make_queues(struct gc *c, bool receives)
{
    unsigned depth = c->credits + c->callbacks;
    must((c->pd = ibv_alloc_pd(c->id->verbs)) != NULL);
    must((c->cq = ibv_create_cq(c->id->verbs, (int)(2 * depth + 64), c, NULL, 0)));
    struct ibv_qp_init_attr attr = {
        .send_cq = c->cq,
        .recv_cq = c->cq,
        .qp_type = IBV_QPT_RC,
        .cap = {.max_send_wr = depth + 32, .max_recv_wr = depth, .max_send_sge = 1},
    };
    must(rdma_create_qp(c->id, c->pd, &attr) == 0, "%s", strerror(errno));
    for (unsigned i = 0; receives && i < depth; i++)
        post_receive(c);
}

/* What came with the acceptance or rejection. */
static int connected(struct gc *c)
{
    struct rdma_cm_event *event = next_event(c);
    const struct rdma_conn_param *p = &event->param.conn;
    int rc;
    if (event->event == RDMA_CM_EVENT_ESTABLISHED) {
        rc = rdma_accept_decode(p->private_data, p->private_data_len, (uint16_t)c->credits,
                                &c->granted);
        must(rc == 0, "the acceptance is malformed");
    } else {
        must(event->event == RDMA_CM_EVENT_REJECTED, "%s", rdma_event_str(event->event));
        rc = p->private_data_len
                 ? rdma_reject_decode(p->private_data, p->private_data_len, &c->rejected)
                 : -EPROTO;
        rc = rc ? -ECONNREFUSED : c->rejected.reason;
    }
    rdma_ack_cm_event(event);
    return rc;
}

int gc_connect(struct gc *c, const struct gc_options *options)
{
    static const struct gc_options none;
    const struct gc_options *o = options ? options : &none;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *address;
    char port[8];
    memset(c, 0, sizeof(*c));
    c->credits = o->credits ? o->credits : GC_CREDITS;
    c->callbacks = o->callbacks ? o->callbacks : GC_CALLBACKS;
    c->slot = o->slot ? o->slot : GC_SLOT;
    snprintf(port, sizeof(port), "%u", o->port ? o->port : RDMA_WIRE_PORT);
    must(getaddrinfo(o->host ? o->host : getenv("RDMA_IP"), port, &hints, &address) == 0);
    must((c->events = rdma_create_event_channel()));
    must(rdma_create_id(c->events, &c->id, c, RDMA_PS_TCP) == 0);
    must(rdma_resolve_addr(c->id, NULL, address->ai_addr, GC_PATIENCE_MS) == 0);
    freeaddrinfo(address);
    expect_event(c, RDMA_CM_EVENT_ADDR_RESOLVED);
    must(rdma_resolve_route(c->id, GC_PATIENCE_MS) == 0);
    expect_event(c, RDMA_CM_EVENT_ROUTE_RESOLVED);
    make_queues(c, !o->no_receives);

    uint8_t data[RDMA_REQUEST_BYTES];
    struct rdma_request request = {1, 1, (uint16_t)c->credits, (uint16_t)c->callbacks, c->slot};
    rdma_request_encode(data, &request);
    struct rdma_conn_param param = {
        .private_data = o->private_data ? o->private_data : data,
        .private_data_len = o->private_data ? o->private_length : sizeof(data),
        .responder_resources = 4,
        .initiator_depth = 4,
        .retry_count = 7,
        .rnr_retry_count = 7,
    };
    must(rdma_connect(c->id, &param) == 0);
    int rc = connected(c);
    if (rc == 0)
        make_memory(c);
    return rc;
}

void gc_close(struct gc *c)
{
    rdma_disconnect(c->id);
    rdma_destroy_qp(c->id);
    ibv_destroy_cq(c->cq);
    if (c->mr)
        ibv_dereg_mr(c->mr);
    ibv_dealloc_pd(c->pd);
    rdma_destroy_id(c->id);
    rdma_destroy_event_channel(c->events);
    free(c->memory);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* A completion that is none of a message's. */
static void completed(struct gc *c, const struct ibv_wc *wc)
{
    if (wc->status != IBV_WC_SUCCESS)
        c->lost = true;
}

/* Sends are signalled; a place is used again when its slot is, so after its completion. */
void gc_send(struct gc *c, const void *bytes, size_t length)
{
    static unsigned next;
    uint8_t *place = c->sends + (size_t)(next++ % c->credits) * GC_SEND;
    struct ibv_sge sge = {(uintptr_t)place, (uint32_t)length, c->mr->lkey};
    struct ibv_send_wr wr = {.wr_id = 1,
                             .sg_list = &sge,
                             .num_sge = 1,
                             .opcode = IBV_WR_SEND,
                             .send_flags = IBV_SEND_SIGNALED};
    struct ibv_send_wr *bad;
    must(length <= GC_SEND);
    memcpy(place, bytes, length);
    int rc = ibv_post_send(c->id->qp, &wr, &bad);
    must(rc == 0 || c->lost, "%s", strerror(rc));
}

uint32_t gc_xid(struct gc *c, unsigned slot)
{
    return ++c->generation << RDMA_SLOT_BITS | slot;
}

size_t gc_encode(struct gc *c, const struct gc_call *call, uint8_t *out)
{
    uint8_t *at = out + RDMA_HEADER_BYTES;
    struct rdma_header h = {
        .xid = call->xid,
        .kind = RDMA_CALL,
        .flags = (uint8_t)((call->is_long ? RDMA_LONG : 0) | (call->reply_length ? RDMA_REPLY : 0)),
        .reads = (uint8_t)call->reads,
        .writes = (uint8_t)call->writes,
        .callbacks = c->callbacks_taken,
        .message = call->message_length,
        .payload = call->payload,
    };
    rdma_header_encode(out, &h);
    struct rdma_chunk chunk;
    if (call->is_long) {
        chunk = gc_chunk(c, call->long_at, RDMA_MARK_BYTES + call->message_length);
        rdma_chunk_encode(at, &chunk);
        at += RDMA_CHUNK_BYTES;
    }
    if (call->reply_length) {
        chunk = gc_chunk(c, call->reply_at, call->reply_length);
        rdma_chunk_encode(at, &chunk);
        at += RDMA_CHUNK_BYTES;
    }
    for (unsigned i = 0; i < call->reads; i++, at += RDMA_CHUNK_BYTES) {
        chunk = gc_chunk(c, call->read[i].at, call->read[i].length);
        rdma_chunk_encode(at, &chunk);
    }
    for (unsigned i = 0; i < call->writes; i++, at += RDMA_CHUNK_BYTES) {
        chunk = gc_chunk(c, call->write[i].at, call->write[i].length);
        rdma_chunk_encode(at, &chunk);
    }
    uint8_t *record = call->is_long ? c->bulk + call->long_at : at;
    wire_put32(record, RPC_LAST_FRAGMENT | (call->message_length + call->payload));
    memcpy(record + RDMA_MARK_BYTES, call->message, call->message_length);
    wire_put32(record + RDMA_MARK_BYTES, call->xid);
    if (!call->is_long)
        at += RDMA_MARK_BYTES + call->message_length;
    if (call->in_line) {
        memcpy(at, call->in_line, call->payload);
        at += call->payload;
    }
    return (size_t)(at - out);
}

void gc_call(struct gc *c, const struct gc_call *call)
{
    uint8_t bytes[GC_SEND];
    gc_send(c, bytes, gc_encode(c, call, bytes));
}

static void send_header(struct gc *c, uint32_t xid, enum rdma_kind kind)
{
    uint8_t bytes[RDMA_HEADER_BYTES];
    struct rdma_header h = {.xid = xid, .kind = (uint8_t)kind, .callbacks = c->callbacks_taken};
    rdma_header_encode(bytes, &h);
    gc_send(c, bytes, sizeof(bytes));
}

void gc_cancel(struct gc *c, uint32_t xid)
{
    send_header(c, xid, RDMA_CANCEL);
}

void gc_credit(struct gc *c, uint32_t callbacks)
{
    c->callbacks_taken = callbacks;
    send_header(c, 0, RDMA_CREDIT);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void take_slot(struct gc *c, uint32_t immediate, struct gc_event *e)
{
    uint32_t slot = immediate & RDMA_CALLBACK_SLOT;
    if (slot == RDMA_CALLBACK_SLOT)
        slot = c->granted.credits + (immediate >> RDMA_SLOT_BITS) % c->callbacks;
    else
        must(slot < c->granted.credits);
    uint8_t *at = c->ring + (size_t)slot * c->slot;
    e->kind = GC_SLOT_WRITTEN;
    e->immediate = immediate;
    if (!c->careless) {
        must(rdma_slot_decode(at, c->slot, &e->head) == 0, "a malformed slot");
        must(e->head.xid == immediate);
    }
    e->message = at + RDMA_SLOT_HEAD_BYTES;
    post_receive(c);
}

/* The connection manager tells of a disconnect that no completion does. */
static bool disconnected(struct gc *c)
{
    struct pollfd p = {.fd = c->events->fd, .events = POLLIN};
    struct rdma_cm_event *event;
    if (poll(&p, 1, 0) != 1 || rdma_get_cm_event(c->events, &event) < 0)
        return false;
    bool yes = event->event == RDMA_CM_EVENT_DISCONNECTED;
    rdma_ack_cm_event(event);
    return yes;
}

struct gc_event gc_wait(struct gc *c, int ms)
{
    struct gc_event e = {.kind = GC_NOTHING};
    uint64_t until = clock_now() + (uint64_t)ms * NSEC_PER_MSEC;
    do {
        struct ibv_wc wc;
        c->lost = c->lost || disconnected(c); /* what has come before that is to be seen */
        int n = ibv_poll_cq(c->cq, 1, &wc);
        must(n >= 0);
        if (n && wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_RECV_RDMA_WITH_IMM) {
            take_slot(c, ntohl(wc.imm_data), &e);
            return e;
        }
        if (n)
            completed(c, &wc);
        if (!n && c->lost) {
            e.kind = GC_LOST;
            return e;
        }
        if (!n)
            sched_yield();
    } while (clock_now() < until);
    return e;
}

struct gc_event gc_expect(struct gc *c)
{
    struct gc_event e = gc_wait(c, GC_PATIENCE_MS);
    must(e.kind == GC_SLOT_WRITTEN, "%s", e.kind == GC_LOST ? "connection lost" : "no answer");
    return e;
}

void gc_expect_lost(struct gc *c)
{
    struct gc_event e;
    do
        e = gc_wait(c, GC_PATIENCE_MS);
    while (e.kind == GC_SLOT_WRITTEN);
    must(e.kind == GC_LOST, "the connection stays");
}

/* ---- RPC ------------------------------------------------------------------------------------- */

void gc_rpc(struct gc *c, struct gc_call *call, unsigned slot, uint32_t program, uint32_t version,
            uint32_t procedure)
{
    uint8_t credential[RPC_CRED_MAX];
    struct rpc_cred cred = {.pid = 1, .lk_owner_len = 8, .lk_owner = (const uint8_t *)"ownowner"};
    ssize_t length = rpc_cred_encode(credential, sizeof(credential), &cred);
    call->xid = gc_xid(c, slot);
    call->message_length = (uint32_t)rpc_call_encode(call->message, call->xid, program, version,
                                                     procedure, credential, (size_t)length);
}

static void io_call(struct gc *c, struct gc_call *call, unsigned slot, uint32_t procedure,
                    const uint8_t gfid[16], uint64_t offset, uint32_t size)
{
    memset(call, 0, offsetof(struct gc_call, read));
    call->in_line = NULL;
    call->payload = 0;
    gc_rpc(c, call, slot, GF_FOP_PROGRAM, GF_FOP_VERSION, procedure);
    hot_io_args_encode(call->message + call->message_length, gfid, ANONYMOUS_FD, offset, size, 0);
    call->message_length += HOT_IO_ARGS_BYTES;
}

void gc_read(struct gc *c, struct gc_call *call, unsigned slot, const uint8_t gfid[16],
             uint64_t offset, uint32_t size)
{
    io_call(c, call, slot, GF_FOP_READ, gfid, offset, size);
}

void gc_write(struct gc *c, struct gc_call *call, unsigned slot, const uint8_t gfid[16],
              uint64_t offset, uint32_t size)
{
    io_call(c, call, slot, GF_FOP_WRITE, gfid, offset, size);
}

int gc_op_ret(const struct gc_event *e)
{
    struct rpc_reply reply;
    ssize_t head = rpc_reply_parse(e->message, e->head.message, e->head.message, &reply);
    if (e->head.kind != RDMA_SLOT_REPLY || head <= 0 || reply.status != RPC_REPLY_SUCCESS ||
        reply.xid != e->immediate)
        return -1000;
    return (int32_t)wire_get32(e->message + head);
}

struct gc_event gc_attach(struct gc *c, const char *target)
{
    uint8_t bytes[RDMA_HEADER_BYTES + RDMA_CHUNK_BYTES + RDMA_TARGET_MAX];
    size_t length = strlen(target);
    struct rdma_header h = {.kind = RDMA_ATTACH, .message = (uint32_t)length};
    struct rdma_chunk ring = {(uintptr_t)c->ring, (uint32_t)c->ring_bytes, c->mr->rkey};
    rdma_header_encode(bytes, &h);
    rdma_chunk_encode(bytes + RDMA_HEADER_BYTES, &ring);
    memcpy(bytes + RDMA_HEADER_BYTES + RDMA_CHUNK_BYTES, target, length);
    gc_send(c, bytes, RDMA_HEADER_BYTES + RDMA_CHUNK_BYTES + length);
    return gc_expect(c);
}

/* As src/brick/setvolume.c does it. */
static void set_volume(struct gc *c)
{
    static unsigned number;
    struct gc_call call = {.reply_at = GC_BULK - 65536, .reply_length = 65536};
    struct dict d;
    char uuid[64];
    uint8_t blob[1024];
    snprintf(uuid, sizeof(uuid), "CTX_ID:test-%d-%u", getpid(), number++);
    dict_init(&d);
    dict_set_string(&d, "remote-subvolume", getenv("LAB_BRICK_PATH"));
    dict_set_string(&d, "process-uuid", uuid);
    dict_set_int(&d, "fops-version", GF_FOP_PROGRAM);
    dict_set_int(&d, "opversion", 110000);
    dict_set_int(&d, "clnt-lk-version", 1);
    ssize_t size = dict_opaque_encode(&d, blob, sizeof(blob));
    must(size > 0);
    dict_free(&d);
    gc_rpc(c, &call, 0, GF_HNDSK_PROGRAM, GF_HNDSK_VERSION, GF_HNDSK_SETVOLUME);
    wire_put32(call.message + call.message_length, (uint32_t)size);
    memcpy(call.message + call.message_length + 4, blob, (size_t)size);
    call.message_length += 4 + (uint32_t)wire_pad4((size_t)size);
    gc_call(c, &call);
    struct gc_event e = gc_expect(c);
    must(e.immediate == call.xid);
    const uint8_t *reply = e.head.kind == RDMA_SLOT_LONG ? c->bulk + call.reply_at : e.message;
    must(e.head.kind != RDMA_SLOT_ERROR, "%.*s", (int)e.head.message, (const char *)e.message);
    must((int32_t)wire_get32(reply + RPC_REPLY_BYTES) == 0, "SETVOLUME was refused");
}

void gc_open(struct gc *c, const struct gc_options *options)
{
    int rc = gc_connect(c, options);
    must(rc == 0, "rejected: %s", rdma_reject_text((uint8_t)rc));
    struct gc_event e = gc_attach(c, getenv("LAB_BRICK_PATH"));
    must(e.immediate == 0);
    must(e.head.kind == RDMA_SLOT_REPLY, "%.*s", (int)e.head.message, (const char *)e.message);
    set_volume(c);
}

const char *gc_file(const char *name, size_t size, uint8_t gfid[16])
{
    static char path[PATH_MAX];
    char own[64];
    gzc_volume *v = mount_brick("");
    snprintf(own, sizeof(own), "/%s-%d", name, getpid());
    gzc_file *f = open_file(v, own, O_CREAT | O_RDWR | O_TRUNC);
    unsigned char *data = malloc(size + 1);
    pattern_fill(data, size, 0);
    must(gzc_pwrite(f, data, size, 0) == (ssize_t)size);
    free(data);
    must(gzc_close(f) == 0);
    must(gzc_unmount(v) == 0);
    snprintf(path, sizeof(path), "%s%s", getenv("LAB_BRICK_PATH"), own);
    must(getxattr(path, "trusted.gfid", gfid, 16) == 16, "%s: %s", path, strerror(errno));
    return path;
}

void gc_expect_works(struct gc *c, const uint8_t gfid[16])
{
    struct gc_call call;
    gc_read(c, &call, 1, gfid, 100, 3000);
    call.writes = 2;
    call.write[0].at = 8192;
    call.write[0].length = 1000;
    call.write[1].at = 0;
    call.write[1].length = 2000;
    memset(c->bulk, 0, 16384);
    gc_call(c, &call);
    struct gc_event e = gc_expect(c);
    must(e.immediate == call.xid);
    must(gc_op_ret(&e) == 3000);
    must(e.head.payload == 3000);
    must(pattern_check(c->bulk + 8192, 1000, 100) == 1000);
    must(pattern_check(c->bulk, 2000, 1100) == 2000);
}
