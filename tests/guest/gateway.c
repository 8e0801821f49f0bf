/* What gzc-rdma-gateway does for a client that keeps to docs/rdma-wire.md, on a real brick. */
#include "tests/guest/gateway_client.h"
#include "tests/lab/volume.h"

#include "proto/hot.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MIB = 1 << 20 };

static struct gateway_process gateway;
static struct gc c;
static struct gc_call call;
static uint8_t gfid[16];

TestSuite(gateway, .timeout = 120);

/* A gateway, a file of `size` bytes, and a client that is logged in. */
static const char *begin(size_t size, const struct gc_options *options)
{
    const char *path = gc_file("file", size, gfid);
    gateway_start(&gateway, NULL);
    gc_open(&c, options);
    return path;
}

static void end(void)
{
    gc_close(&c);
    gateway_await(&gateway, "ended_left", 1);
    cr_assert_eq(gateway_stat(&gateway, "clients"), 0);
    cr_assert_eq(gateway_stat(&gateway, "memory_used"), 0);
    cr_assert_eq(gateway_stat(&gateway, "ended_violation"), 0);
    gateway_stop(&gateway);
}

/* Adds a piece to the writes of the call. */
static void write_to(uint32_t at, uint32_t length)
{
    call.write[call.writes].at = at;
    call.write[call.writes++].length = length;
}

static struct gc_event make_call(void)
{
    gc_call(&c, &call);
    struct gc_event e = gc_expect(&c);
    cr_assert_eq(e.immediate, call.xid);
    return e;
}

static void expect_read(uint64_t offset, uint32_t size, int want)
{
    struct gc_event e = make_call();
    uint64_t at = offset;
    (void)size;
    cr_assert_eq(gc_op_ret(&e), want);
    cr_assert_eq(e.head.payload, want);
    for (unsigned i = 0; i < call.writes; i++) {
        uint64_t left = offset + (uint64_t)want - at;
        size_t n = call.write[i].length < left ? call.write[i].length : left;
        cr_assert_eq(pattern_check(c.bulk + call.write[i].at, n, at), n, "chunk %u", i);
        at += n;
    }
}

Test(gateway, payload_of_a_read_goes_to_one_chunk)
{
    begin(MIB, NULL);
    static const uint32_t sizes[] = {1, 4096, 65537, MIB};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        memset(c.bulk, 0, sizes[i] + 1);
        gc_read(&c, &call, (unsigned)i, gfid, 0, sizes[i]);
        write_to(0, sizes[i]);
        expect_read(0, sizes[i], (int)sizes[i]);
        cr_assert_eq(c.bulk[sizes[i]], 0);
        sum += sizes[i];
    }
    gateway_await(&gateway, "bytes_written", sum);
    cr_assert_eq(gateway_stat(&gateway, "bytes_landed"), sum);
    cr_assert_eq(gateway_stat(&gateway, "bytes_staged"), 0);
    end();
}

Test(gateway, payload_of_a_read_goes_to_the_chunks_in_their_order)
{
    begin(300000, NULL);
    cr_assert_eq(c.granted.pieces, 255);
    gc_read(&c, &call, 3, gfid, 77, 255 * 1000);
    for (unsigned i = 0; i < 255; i++)
        write_to((254 - i) * 1024, 1000);
    expect_read(77, 255 * 1000, 255 * 1000);
    /* the file ends within the second chunk; the third is left alone */
    gc_read(&c, &call, 3, gfid, 300000 - 1500, 3000);
    memset(c.bulk, 0x55, 3 * 4096);
    write_to(8192, 1000);
    write_to(4096, 1000);
    write_to(0, 1000);
    expect_read(300000 - 1500, 3000, 1500);
    cr_assert_eq(c.bulk[4096 + 500], 0x55);
    cr_assert_eq(c.bulk[0], 0x55);
    end();
}

Test(gateway, a_read_at_the_end_of_a_file_brings_nothing)
{
    begin(1000, NULL);
    gc_read(&c, &call, 0, gfid, 5000, 4096);
    write_to(0, 4096);
    expect_read(5000, 4096, 0);
    end();
}

Test(gateway, a_read_that_fails_brings_the_error)
{
    static const uint8_t nobody[16] = {1, 2, 3};
    begin(1000, NULL);
    gc_read(&c, &call, 0, nobody, 0, 4096);
    write_to(0, 4096);
    struct gc_event e = make_call();
    cr_assert_eq(gc_op_ret(&e), -1);
    cr_assert_eq(e.head.payload, 0);
    end();
}

static void expect_on_disk(const char *path, uint64_t offset, size_t n)
{
    unsigned char *data = malloc(n);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    cr_assert_eq(fseek(f, (long)offset, SEEK_SET), 0);
    cr_assert_eq(fread(data, 1, n, f), n);
    cr_assert_eq(pattern_check(data, n, offset), n);
    fclose(f);
    free(data);
}

Test(gateway, a_small_write_is_in_the_send)
{
    static uint8_t data[4096];
    const char *path = begin(0, NULL);
    pattern_fill(data, sizeof(data), 0);
    gc_write(&c, &call, 0, gfid, 0, sizeof(data));
    call.in_line = data;
    call.payload = sizeof(data);
    struct gc_event e = make_call();
    cr_assert_eq(gc_op_ret(&e), sizeof(data));
    expect_on_disk(path, 0, sizeof(data));
    cr_assert_eq(gateway_stat(&gateway, "bytes_landed"), sizeof(data));
    cr_assert_eq(gateway_stat(&gateway, "bytes_fetched"), 0);
    end();
}

/* A WRITE of `pieces` chunks of `length` bytes, the last first in memory. */
static void write_call(unsigned slot, uint64_t offset, unsigned pieces, uint32_t length)
{
    gc_write(&c, &call, slot, gfid, offset, pieces * length);
    call.reads = pieces;
    call.payload = pieces * length;
    for (unsigned i = 0; i < pieces; i++) {
        call.read[i].at = (pieces - 1 - i) * length;
        call.read[i].length = length;
        pattern_fill(c.bulk + call.read[i].at, length, offset + i * length);
    }
}

Test(gateway, the_payload_of_a_large_write_is_fetched)
{
    const char *path = begin(0, NULL);
    write_call(5, 0, 1, MIB);
    struct gc_event e = make_call();
    cr_assert_eq(gc_op_ret(&e), MIB);
    write_call(5, MIB, 200, 1234);
    e = make_call();
    cr_assert_eq(gc_op_ret(&e), 200 * 1234);
    expect_on_disk(path, 0, MIB + 200 * 1234);
    cr_assert_eq(gateway_stat(&gateway, "bytes_fetched"), MIB + 200 * 1234);
    cr_assert_eq(gateway_stat(&gateway, "bytes_landed"), MIB + 200 * 1234);
    cr_assert_eq(gateway_stat(&gateway, "bytes_staged"), 0);
    end();
}

Test(gateway, a_long_call_is_fetched)
{
    const char *path = begin(100, NULL);
    write_call(2, 0, 3, 5000);
    call.is_long = true;
    call.long_at = MIB;
    struct gc_event e = make_call();
    cr_assert_eq(gc_op_ret(&e), 15000);
    expect_on_disk(path, 0, 15000);
    gc_read(&c, &call, 2, gfid, 0, 15000); /* without payload, and with chunks to write to */
    call.is_long = true;
    call.long_at = MIB;
    write_to(0, 15000);
    expect_read(0, 15000, 15000);
    end();
}

/* A READ without chunks: its payload is part of the message. */
Test(gateway, a_long_reply_goes_to_its_chunk_or_is_an_error)
{
    begin(100000, NULL);
    gc_read(&c, &call, 2, gfid, 0, 100000);
    call.reply_at = MIB;
    call.reply_length = 128 << 10;
    struct gc_event e = make_call();
    cr_assert_eq(e.head.kind, RDMA_SLOT_LONG);
    cr_assert_eq(e.head.message, RPC_REPLY_BYTES + HOT_READ_FIXED + 100000);
    cr_assert_eq(e.head.payload, 0);
    const uint8_t *reply = c.bulk + MIB;
    cr_assert_eq(wire_get32(reply), call.xid);
    cr_assert_eq(pattern_check(reply + RPC_REPLY_BYTES + HOT_READ_FIXED, 100000, 0), 100000);

    static const uint32_t rooms[] = {0, 100000};
    for (size_t i = 0; i < 2; i++) {
        gc_read(&c, &call, 2, gfid, 0, 100000);
        call.reply_at = MIB;
        call.reply_length = rooms[i];
        e = make_call();
        cr_assert_eq(e.head.kind, RDMA_SLOT_ERROR);
        cr_assert_eq(e.head.code, RDMA_ERROR_TOO_LONG);
    }
    gc_expect_works(&c, gfid);
    end();
}

/* Slots of 512 bytes hold a READ's head, and the slot's end is not written over. */
Test(gateway, all_credits_at_once)
{
    enum { N = 64, SIZE = 20000 };
    static uint32_t xids[N];
    static bool seen[N];
    begin(N * SIZE, &(struct gc_options){.credits = N});
    cr_assert_eq(c.granted.credits, N);
    for (int round = 0; round < 5; round++) {
        memset(c.bulk, 0, N * SIZE);
        memset(seen, 0, sizeof(seen));
        for (unsigned i = 0; i < N; i++) {
            gc_read(&c, &call, i, gfid, i * SIZE, SIZE);
            write_to(i * SIZE, SIZE);
            xids[i] = call.xid;
            gc_call(&c, &call);
        }
        for (unsigned i = 0; i < N; i++) {
            struct gc_event e = gc_expect(&c);
            unsigned slot = e.immediate % 1024;
            cr_assert_eq(e.immediate, xids[slot]);
            cr_assert_not(seen[slot]);
            seen[slot] = true;
            cr_assert_eq(gc_op_ret(&e), SIZE);
        }
        cr_assert_eq(pattern_check(c.bulk, N * SIZE, 0), N * SIZE);
    }
    cr_assert_eq(gateway_stat(&gateway, "bytes_staged"), 0);
    cr_assert_eq(gateway_stat(&gateway, "calls"), 1 + 5 * N);
    end();
}

/* A slot is used again as soon as its reply has come, in whatever state the gateway is with it. */
Test(gateway, a_slot_is_used_again_and_again)
{
    begin(4096, &(struct gc_options){.credits = 1});
    cr_assert_eq(c.granted.credits, 1);
    for (unsigned i = 0; i < 200; i++) {
        gc_read(&c, &call, 0, gfid, i, 512);
        write_to(0, 512);
        expect_read(i, 512, 512);
    }
    end();
}

Test(gateway, glusterd_that_is_not_there_is_unreachable)
{
    gateway_start(&gateway, (const char *[]){"--glusterd", "127.0.0.1:1", NULL});
    static const char *const targets[] = {"", "/no/such/brick"};
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(gc_connect(&c, NULL), 0);
        struct gc_event e = gc_attach(&c, targets[i]);
        cr_assert_eq(e.immediate, 0);
        cr_assert_eq(e.head.kind, RDMA_SLOT_ERROR);
        cr_assert_eq(e.head.code, RDMA_ERROR_UNREACHABLE);
        cr_assert_not_null(
            memmem(e.message, e.head.message, "127.0.0.1:1: Connection refused", 31));
        gc_expect_lost(&c);
        gc_close(&c);
    }
    cr_assert_eq(gc_connect(&c, NULL), 0);
    struct gc_event e = gc_attach(&c, "no path");
    cr_assert_eq(e.head.code, RDMA_ERROR_BROKEN);
    gc_expect_lost(&c);
    gc_close(&c);
    gateway_await(&gateway, "ended_attach", 3);
    gateway_stop(&gateway);
}

/* Grants are what was asked for, as far as the gateway's limits go. */
Test(gateway, grants)
{
    gateway_start(&gateway, (const char *[]){"--credits", "10", "--client-memory", "4M", NULL});
    cr_assert_eq(gc_connect(&c, &(struct gc_options){.credits = 4}), 0);
    cr_assert_eq(c.granted.credits, 4);
    gc_close(&c);
    cr_assert_eq(gc_connect(&c, &(struct gc_options){.credits = 100}), 0);
    cr_assert_eq(c.granted.credits, 10);
    cr_assert_geq(c.granted.payload, 65536);
    gc_close(&c);
    /* slots of 64 KiB: fewer of them */
    cr_assert_eq(gc_connect(&c, &(struct gc_options){.credits = 100, .slot = 65536}), 0);
    cr_assert_lt(c.granted.credits, 100);
    gc_close(&c);
    gateway_stop(&gateway);
}

/* A hundred READs of 512 KiB have no room in 4 MiB at once; each gets its memory in turn. */
Test(gateway, calls_wait_for_memory)
{
    enum { N = 20, SIZE = 512 << 10 };
    gc_file("file", N * SIZE, gfid);
    gateway_start(&gateway, (const char *[]){"--client-memory", "4M", NULL});
    gc_open(&c, NULL);
    for (int round = 0; round < 2; round++) {
        memset(c.bulk, 0, N * SIZE);
        for (unsigned i = 0; i < N; i++) {
            gc_read(&c, &call, i, gfid, i * SIZE, SIZE);
            write_to(i * SIZE, SIZE);
            gc_call(&c, &call);
        }
        for (unsigned i = 0; i < N; i++) {
            struct gc_event e = gc_expect(&c);
            cr_assert_eq(gc_op_ret(&e), SIZE);
        }
        cr_assert_eq(pattern_check(c.bulk, N * SIZE, 0), N * SIZE);
    }
    cr_assert_geq(gateway_stat(&gateway, "waits_memory"), N / 2);
    cr_assert_leq(gateway_stat(&gateway, "memory_peak"), 4 * MIB);
    end();
}

/* ---- cancelling ------------------------------------------------------------------------------ */

static void brick_signal(int number)
{
    cr_assert_eq(kill(atoi(getenv("LAB_BRICK_PID")), number), 0);
}

static void expect_cancelled(uint32_t xid)
{
    struct gc_event e = gc_expect(&c);
    cr_assert_eq(e.immediate, xid);
    cr_assert_eq(e.head.kind, RDMA_SLOT_ERROR);
    cr_assert_eq(e.head.code, RDMA_ERROR_CANCELLED);
    cr_assert_eq(e.head.payload, 0);
}

/* The brick stands still: the answer to CANCEL comes without it, and its late reply does not find
 * the call that has the slot then. */
Test(gateway, a_call_at_the_brick_is_cancelled)
{
    begin(MIB, NULL);
    brick_signal(SIGSTOP);
    gc_read(&c, &call, 7, gfid, 0, MIB);
    write_to(0, MIB);
    memset(c.bulk, 0x55, 2 * MIB);
    uint64_t sent = gateway_stat(&gateway, "send_syscalls");
    gc_call(&c, &call);
    gateway_await(&gateway, "send_syscalls", sent + 1);
    uint32_t old = call.xid;
    gc_cancel(&c, old);
    expect_cancelled(old);
    gc_read(&c, &call, 7, gfid, 1000, 5000);
    write_to(MIB, 5000);
    gc_call(&c, &call);
    gc_cancel(&c, old); /* which is over: it means nothing */
    brick_signal(SIGCONT);
    struct gc_event e = gc_expect(&c);
    cr_assert_eq(e.immediate, call.xid);
    cr_assert_eq(gc_op_ret(&e), 5000);
    cr_assert_eq(pattern_check(c.bulk + MIB, 5000, 1000), 5000);
    for (size_t i = 0; i < MIB; i++)
        cr_assert_eq(c.bulk[i], 0x55);
    cr_assert_eq(gateway_stat(&gateway, "replies_late"), 1);
    cr_assert_eq(gateway_stat(&gateway, "cancels"), 1);
    end();
}

/* More WRITEs than the sockets hold: one of them is half sent, others not at all, and these never
 * are. */
Test(gateway, calls_that_are_not_wholly_sent_are_cancelled)
{
    enum { N = 12 };
    static uint32_t xids[N];
    const char *path = begin(0, NULL);
    struct stat st;
    brick_signal(SIGSTOP);
    for (unsigned i = 0; i < N; i++) {
        write_call(i, i * MIB, 1, MIB);
        gc_call(&c, &call);
        xids[i] = call.xid;
    }
    gateway_await(&gateway, "bytes_fetched", 8 * MIB);
    for (unsigned i = N; i--;) {
        gc_cancel(&c, xids[i]);
        expect_cancelled(xids[i]);
    }
    cr_assert_gt(gateway_stat(&gateway, "bytes_staged"), 0);
    brick_signal(SIGCONT);
    /* the stream is whole: what comes behind the half-sent one is understood */
    write_call(0, 0, 1, 100000);
    struct gc_event e = make_call();
    cr_assert_eq(gc_op_ret(&e), 100000);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_lt(st.st_size, N * MIB);
    gc_expect_works(&c, gfid);
    end();
}

/* Calls that wait for memory while the brick stands still. */
Test(gateway, hungry_calls_are_cancelled)
{
    enum { N = 10 };
    static uint32_t xids[N];
    gc_file("file", MIB, gfid);
    gateway_start(&gateway, (const char *[]){"--client-memory", "4M", NULL});
    gc_open(&c, NULL);
    brick_signal(SIGSTOP);
    for (unsigned i = 0; i < N; i++) {
        gc_read(&c, &call, i, gfid, 0, MIB);
        write_to(0, MIB);
        gc_call(&c, &call);
        xids[i] = call.xid;
    }
    gateway_await(&gateway, "waits_memory", N / 2);
    for (unsigned i = N; i--;) {
        gc_cancel(&c, xids[i]);
        expect_cancelled(xids[i]);
    }
    brick_signal(SIGCONT);
    gc_expect_works(&c, gfid);
    end();
}

/* Whenever the CANCEL comes, the slot is answered once, with the reply or with the error. */
Test(gateway, cancels_at_any_time)
{
    enum { SIZE = 300000 };
    unsigned cancelled = 0;
    begin(SIZE, NULL);
    for (unsigned i = 0; i < 200; i++) {
        gc_read(&c, &call, 4, gfid, 0, SIZE);
        write_to(0, SIZE);
        gc_call(&c, &call);
        for (volatile unsigned wait = 0; wait < i * 2000; wait++)
            ;
        gc_cancel(&c, call.xid);
        struct gc_event e = gc_expect(&c);
        cr_assert_eq(e.immediate, call.xid);
        if (e.head.kind == RDMA_SLOT_ERROR)
            cancelled++;
        else
            cr_assert_eq(pattern_check(c.bulk, SIZE, 0), SIZE);
        cr_assert_eq(gc_wait(&c, 0).kind, GC_NOTHING);
    }
    cr_log_info("%u of 200 cancelled\n", cancelled);
    cr_assert_gt(cancelled, 0);
    gc_expect_works(&c, gfid);
    end();
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* A client in a process of its own, made before this one has opened any device. It waits for the
 * gateway, makes eight calls to a brick that stands still, and then waits to be killed. */
static pid_t make_victim(int begins, int ready)
{
    struct gc victim;
    char byte;
    pid_t child = fork();
    if (child)
        return child;
    if (read(begins, &byte, 1) != 1)
        _exit(1);
    gc_open(&victim, NULL);
    brick_signal(SIGSTOP);
    for (unsigned i = 0; i < 8; i++) {
        gc_read(&victim, &call, i, gfid, 0, MIB);
        write_to(0, MIB);
        gc_call(&victim, &call);
    }
    if (write(ready, "x", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

Test(gateway, a_client_that_is_killed_is_forgotten)
{
    int begins[2], ready[2];
    char byte;
    cr_assert(pipe(begins) == 0 && pipe(ready) == 0);
    gc_file("file", MIB, gfid);
    pid_t victim = make_victim(begins[0], ready[1]);
    gateway_start(&gateway, NULL);
    gc_open(&c, NULL);
    uint64_t before = gateway_stat(&gateway, "memory_used");
    cr_assert_eq(write(begins[1], "x", 1), 1);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    gateway_await(&gateway, "calls", 1 + 1 + 8);
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    gateway_await(&gateway, "ended_left", 1);
    brick_signal(SIGCONT);
    cr_assert_eq(gateway_stat(&gateway, "clients"), 1);
    cr_assert_leq(gateway_stat(&gateway, "memory_used"), before);
    gc_expect_works(&c, gfid);
    gc_close(&c);
    gateway_await(&gateway, "ended_left", 2);
    gateway_stop(&gateway);
}

Test(gateway, sigterm_disconnects_clients)
{
    begin(1000, NULL);
    gateway_stop(&gateway);
    gc_expect_lost(&c);
    gc_close(&c);
    struct gc_options none = {0};
    cr_assert_eq(gc_connect(&c, &none), -ECONNREFUSED);
    gc_close(&c);
}

Test(gateway, statistics_in_the_log)
{
    begin(10000, NULL);
    gc_expect_works(&c, gfid);
    kill(gateway.pid, SIGUSR1);
    gateway_await(&gateway, "calls", 1);
    for (int i = 0; i < 1000 && !gateway_logged(&gateway, "info statistics clients=1 "); i++)
        usleep(10000);
    cr_assert(gateway_logged(&gateway, "info statistics clients=1 "));
    cr_assert(gateway_logged(&gateway, " bytes_staged=0 "));
    end();
}

/* ---- starting -------------------------------------------------------------------------------- */

/* Root without the privilege to lock what it likes. */
Test(gateway, too_low_a_limit_on_locked_memory_is_told)
{
    FILE *said = popen("exec 2>&1; ulimit -l 1024; exec setpriv --bounding-set=-ipc_lock "
                       "--inh-caps=-ipc_lock $GZC_BUILD/gzc-rdma-gateway --memory 16M",
                       "r");
    char text[8192] = "";
    cr_assert_not_null(said);
    size_t n = fread(text, 1, sizeof(text) - 1, said);
    cr_assert_gt(n, 0);
    cr_assert_eq(WEXITSTATUS(pclose(said)), 1);
    cr_assert_not_null(strstr(text, "the limit on locked memory is 1048576; raise it"), "%s", text);
}

Test(gateway, wrong_options_are_told)
{
    static const char *const wrong[] = {
        "--memory 1K",    "--client-memory 512M", "--allow 10.0.0.0/33",
        "--credits 1024", "--brick /x",           "argument",
    };
    char line[256];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        snprintf(line, sizeof(line), "$GZC_BUILD/gzc-rdma-gateway %s 2>/dev/null", wrong[i]);
        cr_expect_eq(WEXITSTATUS(system(line)), 2, "%s", wrong[i]);
    }
}
