/* Clients that break docs/rdma-wire.md: each is let go, and one that keeps to it notices nothing.
 */
#include "tests/guest/gateway_client.h"
#include "tests/lab/volume.h"

#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>

static struct gateway_process gateway;
static struct gc good, bad;
static struct gc_call call;
static uint8_t gfid[16];
static uint8_t bytes[GC_SEND];
static size_t length;

TestSuite(gateway_hostile, .timeout = 180);

static void begin(const char *const *options)
{
    gc_file("file", 100000, gfid);
    gateway_start(&gateway, options);
    gc_open(&good, NULL);
}

static void end(void)
{
    gc_expect_works(&good, gfid);
    gc_close(&good);
    gateway_await(&gateway, "ended_left", 1);
    cr_assert_eq(gateway_stat(&gateway, "memory_used"), 0);
    gateway_stop(&gateway);
}

/* ---- before it is a client ------------------------------------------------------------------- */

static void expect_reason(const struct gc_options *o, int reason)
{
    cr_expect_eq(gc_connect(&bad, o), reason);
    gc_close(&bad);
}

Test(gateway_hostile, private_data)
{
    uint8_t data[64];
    struct rdma_request r = {1, 1, 8, 2, 512};
    begin(NULL);
    uint64_t used = gateway_stat(&gateway, "memory_used");
    memset(data, 0x5a, sizeof(data));
    expect_reason(&(struct gc_options){.private_data = data, .private_length = 20},
                  RDMA_REJECT_MALFORMED);
    expect_reason(&(struct gc_options){.private_data = data, .private_length = 56},
                  RDMA_REJECT_MALFORMED);
    memset(data, 0, sizeof(data));
    expect_reason(&(struct gc_options){.private_data = data, .private_length = 1},
                  RDMA_REJECT_MALFORMED);
    rdma_request_encode(data, &r);
    data[4] = 19;
    expect_reason(&(struct gc_options){.private_data = data, .private_length = 20},
                  RDMA_REJECT_MALFORMED);
    r.credits = 0;
    rdma_request_encode(data, &r);
    expect_reason(&(struct gc_options){.private_data = data, .private_length = 20},
                  RDMA_REJECT_MALFORMED);
    r = (struct rdma_request){2, 3, 8, 2, 512};
    rdma_request_encode(data, &r);
    expect_reason(&(struct gc_options){.private_data = data, .private_length = 20},
                  RDMA_REJECT_VERSION);
    cr_assert_eq(bad.rejected.version_min, 1);
    cr_assert_eq(bad.rejected.version_max, 1);
    cr_assert_eq(gateway_stat(&gateway, "rejected_malformed"), 5);
    cr_assert_leq(gateway_stat(&gateway, "memory_used"), used);
    end();
}

Test(gateway_hostile, too_many)
{
    struct gc second;
    begin((const char *[]){"--clients", "2", NULL});
    gc_open(&second, NULL);
    expect_reason(NULL, RDMA_REJECT_TOO_MANY);
    gc_close(&second);
    gateway_await(&gateway, "ended_left", 1);
    gc_open(&second, NULL); /* there is room again */
    gc_close(&second);
    gateway_await(&gateway, "ended_left", 2);
    gc_expect_works(&good, gfid);
    gc_close(&good);
    gateway_stop(&gateway);
}

/* Each of them may have a quarter of it, and yet every call of theirs is served. */
Test(gateway_hostile, no_memory)
{
    enum { N = 64 };
    static struct gc all[N];
    unsigned n = 0;
    begin((const char *[]){"--memory", "8M", "--client-memory", "2M", NULL});
    while (n < N && gc_connect(&all[n], NULL) == 0)
        n++;
    cr_assert_lt(n, N);
    cr_assert_gt(n, 3);
    cr_assert_eq(all[n].rejected.reason, RDMA_REJECT_NO_MEMORY);
    gc_close(&all[n]);
    gc_read(&good, &call, 2, gfid, 0, good.granted.payload); /* the largest of calls */
    call.writes = 1;
    call.write[0].length = good.granted.payload;
    call.reply_at = 4 << 20;
    call.reply_length = good.granted.message;
    gc_call(&good, &call);
    struct gc_event e = gc_expect(&good);
    cr_assert_eq(gc_op_ret(&e), 100000);
    gc_expect_works(&good, gfid);
    for (unsigned i = 0; i < n; i++)
        gc_close(&all[i]);
    gateway_await(&gateway, "ended_left", n);
    expect_reason(NULL, 0);
    gateway_await(&gateway, "ended_left", n + 1);
    gc_expect_works(&good, gfid);
    gc_close(&good);
    gateway_stop(&gateway);
}

static void expect_allowed(const char *list, const char *host, bool allowed)
{
    gateway_start(&gateway, (const char *[]){"--allow", list, NULL});
    cr_expect_eq(gc_connect(&bad, &(struct gc_options){.host = host}),
                 allowed ? 0 : RDMA_REJECT_NOT_ALLOWED, "%s in %s", host, list);
    gc_close(&bad);
    if (allowed)
        gateway_await(&gateway, "ended_left", 1);
    else
        cr_assert_eq(gateway_stat(&gateway, "rejected_not_allowed"), 1);
    gateway_stop(&gateway);
}

Test(gateway_hostile, addresses)
{
    const char *v4 = getenv("RDMA_IP"), *v6 = getenv("RDMA_IP6");
    expect_allowed("192.0.2.1", v4, false);
    expect_allowed("192.0.2.0/24,10.99.0.0/31", v4, true);
    expect_allowed("10.99.0.2/31", v4, false);
    expect_allowed("10.99.0.1", v6, false);
    expect_allowed("fd99::/16", v6, true);
    expect_allowed("fd98::/16", v6, false);
    expect_allowed("any", v6, true);
}

/* ---- once it is one -------------------------------------------------------------------------- */

static void open_bad(void)
{
    gc_open(&bad, NULL);
}

/* The next SEND: a READ of 4 KiB as it should be, to be spoiled. */
static void make_read(void)
{
    gc_read(&bad, &call, 0, gfid, 0, 4096);
    call.writes = 1;
    call.write[0].at = 0;
    call.write[0].length = 4096;
    length = gc_encode(&bad, &call, bytes);
}

/* The violation has been sent: the client is let go for it, and the good one is as ever. It does
 * not go itself before: where the device has found it out, its going could be seen first. */
static void expect_violation(const char *what)
{
    static uint64_t violations;
    gc_send(&bad, bytes, length);
    gateway_await(&gateway, "ended_violation", ++violations);
    gc_expect_lost(&bad);
    gc_close(&bad);
    cr_expect(gateway_logged(&gateway, what), "no '%s' in the log", what);
    gc_expect_works(&good, gfid);
}

enum { CHUNK_AT = RDMA_HEADER_BYTES, RECORD_AT = CHUNK_AT + RDMA_CHUNK_BYTES };

Test(gateway_hostile, malformed_sends)
{
    static const struct {
        size_t at;
        uint8_t value;
    } spoiled[] = {
        {4, 0}, /* kinds that there are not */
        {4, 9},
        {5, 0x80},             /* a flag */
        {6, 1},                /* a chunk more than there is */
        {15, 1},               /* a message that is shorter than what is there */
        {19, 1},               /* payload that is not there */
        {CHUNK_AT + 10, 0},    /* a chunk of nothing, its length being 0x1000 */
        {RECORD_AT, 0x00},     /* the mark: not the last fragment */
        {RECORD_AT + 3, 1},    /* and not the length */
        {RECORD_AT + 7, 0xff}, /* another xid than the header's */
    };
    begin(NULL);
    for (size_t i = 0; i < sizeof(spoiled) / sizeof(*spoiled); i++) {
        open_bad();
        make_read();
        bytes[spoiled[i].at] = spoiled[i].value;
        expect_violation("a malformed message");
    }
    static const size_t lengths[] = {0, 1, RDMA_HEADER_BYTES - 1, RDMA_HEADER_BYTES, RECORD_AT + 3};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        open_bad();
        make_read();
        length = lengths[i];
        expect_violation("a malformed message");
    }
    open_bad();
    make_read();
    wire_put64(bytes + CHUNK_AT, UINT64_MAX - 100); /* around the end of the address space */
    expect_violation("a malformed message");
    end();
}

Test(gateway_hostile, not_what_was_negotiated)
{
    begin(NULL);
    open_bad();
    make_read();
    wire_put32(bytes, GC_CREDITS);
    wire_put32(bytes + RECORD_AT + 4, GC_CREDITS);
    expect_violation("a slot beyond the credits");

    open_bad();
    make_read();
    wire_put32(bytes, RDMA_CALLBACK_SLOT);
    wire_put32(bytes + RECORD_AT + 4, RDMA_CALLBACK_SLOT);
    expect_violation("a slot beyond the credits");

    open_bad();
    make_read();
    wire_put32(bytes + CHUNK_AT + 8, bad.granted.payload + 1);
    expect_violation("more payload than was granted");

    open_bad();
    make_read();
    wire_put32(bytes + RECORD_AT + 8, RPC_MSG_REPLY);
    expect_violation("no RPC call");

    open_bad(); /* more than fits a receive */
    make_read();
    length = bad.granted.inline_bytes + 1;
    expect_violation("longer than granted");
    end();
}

/* The first of two in one slot waits: the brick stands still. */
Test(gateway_hostile, two_calls_in_one_slot)
{
    begin(NULL);
    open_bad();
    kill(atoi(getenv("LAB_BRICK_PID")), SIGSTOP);
    make_read();
    gc_send(&bad, bytes, length);
    make_read();
    gc_send(&bad, bytes, length);
    gc_expect_lost(&bad);
    kill(atoi(getenv("LAB_BRICK_PID")), SIGCONT);
    gc_close(&bad);
    gateway_await(&gateway, "ended_violation", 1);
    cr_assert(gateway_logged(&gateway, "two calls in one slot"));
    end();
}

Test(gateway_hostile, long_calls)
{
    begin(NULL);
    for (int i = 0; i < 4; i++) {
        open_bad();
        gc_read(&bad, &call, 0, gfid, 0, 4096);
        call.writes = 1;
        call.write[0].length = 4096;
        call.is_long = true;
        call.long_at = 65536;
        length = gc_encode(&bad, &call, bytes);
        if (i == 0) {
            wire_put32(bad.bulk + 65536, 100); /* the mark */
            expect_violation("a long call that is not what its header says");
        } else if (i == 1) {
            wire_put32(bad.bulk + 65536 + 4, 100); /* the xid */
            expect_violation("a long call that is not what its header says");
        } else if (i == 2) {
            wire_put32(bad.bulk + 65536 + 8, RPC_MSG_REPLY);
            expect_violation("a long call that is not what its header says");
        } else {
            uint32_t message = bad.granted.message + 4;
            wire_put32(bytes + 12, message);
            wire_put32(bytes + RDMA_HEADER_BYTES + 8, message + 4);
            expect_violation("longer than was granted");
        }
    }
    end();
}

/* Chunks of memory that is not the client's to name. The device finds out. */
Test(gateway_hostile, wrong_keys)
{
    begin(NULL);
    open_bad();
    make_read();
    bytes[CHUNK_AT + 15] ^= 0xff;
    expect_violation("memory that it named cannot be used");

    open_bad(); /* beyond the region */
    make_read();
    wire_put64(bytes + CHUNK_AT, (uintptr_t)bad.bulk + GC_BULK - 100);
    expect_violation("memory that it named cannot be used");

    open_bad(); /* the good one's memory, by the good one's key */
    make_read();
    struct rdma_chunk stolen = gc_chunk(&good, 0, 4096);
    rdma_chunk_encode(bytes + CHUNK_AT, &stolen);
    memset(good.bulk, 0x77, 4096);
    expect_violation("memory that it named cannot be used");

    open_bad(); /* to be fetched from */
    gc_write(&bad, &call, 0, gfid, 200000, 4096);
    call.reads = 1;
    call.read[0].length = call.payload = 4096;
    length = gc_encode(&bad, &call, bytes);
    bytes[CHUNK_AT + 15] ^= 0xff;
    expect_violation("memory that it named cannot be used");

    open_bad(); /* for a reply */
    gc_read(&bad, &call, 0, gfid, 0, 4096);
    call.reply_length = 65536;
    length = gc_encode(&bad, &call, bytes);
    bytes[CHUNK_AT + 15] ^= 0xff;
    expect_violation("memory that it named cannot be used");
    end();
}

static size_t make_attach(const char *target, size_t target_length)
{
    struct rdma_header h = {.kind = RDMA_ATTACH, .message = (uint32_t)target_length};
    struct rdma_chunk ring = {(uintptr_t)bad.ring, (uint32_t)bad.ring_bytes, bad.mr->rkey};
    rdma_header_encode(bytes, &h);
    rdma_chunk_encode(bytes + CHUNK_AT, &ring);
    memcpy(bytes + RECORD_AT, target, target_length);
    return length = RECORD_AT + target_length;
}

Test(gateway_hostile, attaching)
{
    begin(NULL);
    open_bad();
    make_attach("/x", 2);
    expect_violation("a second ATTACH");

    cr_assert_eq(gc_connect(&bad, NULL), 0);
    make_read();
    expect_violation("a message before ATTACH");

    cr_assert_eq(gc_connect(&bad, NULL), 0);
    make_attach("/x", 2);
    wire_put32(bytes + CHUNK_AT + 8, (uint32_t)bad.ring_bytes - 64);
    expect_violation("ATTACH with a ring of");

    cr_assert_eq(gc_connect(&bad, NULL), 0);
    make_attach("", 0);
    bytes[CHUNK_AT + 15] ^= 0xff; /* found out when it is answered */
    expect_violation("memory that it named cannot be used");

    cr_assert_eq(gc_connect(&bad, NULL), 0);
    make_attach("/a\0b", 4);
    gc_send(&bad, bytes, length);
    struct gc_event e = gc_expect(&bad);
    cr_assert_eq(e.head.kind, RDMA_SLOT_ERROR);
    cr_assert_eq(e.head.code, RDMA_ERROR_BROKEN);
    gc_expect_lost(&bad);
    gc_close(&bad);
    end();
}

Test(gateway_hostile, callbacks_that_were_not_sent)
{
    begin(NULL);
    open_bad();
    struct rdma_header h = {.kind = RDMA_CREDIT, .callbacks = 1};
    rdma_header_encode(bytes, &h);
    length = RDMA_HEADER_BYTES;
    expect_violation("more callbacks than it was sent");
    open_bad();
    make_read();
    wire_put32(bytes + 8, UINT32_MAX);
    expect_violation("more callbacks than it was sent");
    end();
}

/* What is no SEND: a write with immediate takes a receive as well. */
Test(gateway_hostile, a_write_with_immediate)
{
    struct ibv_send_wr wr = {.wr_id = 2,
                             .opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
                             .send_flags = IBV_SEND_SIGNALED,
                             .imm_data = 5};
    struct ibv_send_wr *wrong;
    begin(NULL);
    open_bad();
    cr_assert_eq(ibv_post_send(bad.id->qp, &wr, &wrong), 0);
    gc_expect_lost(&bad);
    gc_close(&bad);
    gateway_await(&gateway, "ended_violation", 1);
    cr_assert(gateway_logged(&gateway, "no SEND"));
    end();
}

/* It does not post what it needs for its answers. */
Test(gateway_hostile, no_receives)
{
    begin(NULL);
    cr_assert_eq(gc_connect(&bad, &(struct gc_options){.no_receives = true}), 0);
    make_attach("", 0);
    gc_send(&bad, bytes, length);
    gc_expect_lost(&bad);
    gc_close(&bad);
    gateway_await(&gateway, "clients", 1);
    end();
}

/* It connects and says nothing: others must not wait for its place for ever. */
Test(gateway_hostile, silence)
{
    begin(NULL);
    cr_assert_eq(gc_connect(&bad, NULL), 0);
    gc_expect_lost(&bad);
    gc_close(&bad);
    gateway_await(&gateway, "ended_timeout", 1);
    end();
}
