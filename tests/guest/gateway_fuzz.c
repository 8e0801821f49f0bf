/*
 * A hostile client that SENDs what it should with some bytes changed, at random from a seed, for
 * GZC_FUZZ_SECONDS (default 10). The gateway lives, serves a good client, gives everything back,
 * and, built with sanitizers, ends without a report.
 */
#include "tests/guest/gateway_client.h"
#include "tests/lab/volume.h"

#include "base/clock.h"

#include <criterion/criterion.h>

static uint64_t state;

/* xorshift64* */
static uint32_t rnd(uint32_t below)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * UINT64_C(0x2545F4914F6CDD1D)) >> 32) % below;
}

static uint8_t gfid[16];
static struct gc_call call;

static void valid_call(struct gc *c)
{
    unsigned slot = rnd(c->granted.credits);
    if (rnd(2)) {
        gc_read(c, &call, slot, gfid, rnd(100000), rnd(5000));
        call.writes = rnd(4);
        for (unsigned i = 0; i < call.writes; i++) {
            call.write[i].at = rnd(1 << 20);
            call.write[i].length = 1 + rnd(5000);
        }
    } else {
        gc_write(c, &call, slot, gfid, rnd(100000), rnd(5000));
        call.reads = rnd(4);
        for (unsigned i = 0; i < call.reads; i++) {
            call.read[i].at = rnd(1 << 20);
            call.read[i].length = 1 + rnd(5000);
            call.payload += call.read[i].length;
        }
    }
    call.is_long = rnd(8) == 0;
    call.long_at = (2 << 20) + slot * 4096;
    call.reply_at = 4 << 20;
    call.reply_length = rnd(2) * (1 + rnd(10000));
}

/* Bytes of the header and chunks are changed more than others. */
static void mutate(uint8_t *bytes, size_t *length)
{
    for (uint32_t n = rnd(3); n; n--) {
        size_t at = rnd(2) ? rnd((uint32_t)*length) : rnd(*length < 60 ? (uint32_t)*length : 60);
        bytes[at] = rnd(2) ? (uint8_t)rnd(256) : (uint8_t)(bytes[at] ^ (1u << rnd(8)));
    }
    if (rnd(20) == 0)
        *length = rnd((uint32_t)*length + 1);
}

static void hostile_send(struct gc *c)
{
    uint8_t bytes[GC_SEND];
    size_t length;
    if (rnd(10) == 0) {
        gc_cancel(c, call.xid ^ (rnd(2) ? 0 : 1u << rnd(32)));
        return;
    }
    valid_call(c);
    length = gc_encode(c, &call, bytes);
    if (rnd(8) == 0) /* most are as they should be, so that there is something to end */
        mutate(bytes, &length);
    gc_send(c, bytes, length);
}

/* One connection's life: until it is lost, or a hundred SENDs. What the answers say is not looked
 * at: the client has no right to any. */
static unsigned hostile_life(uint64_t until)
{
    struct gc c;
    unsigned sent = 0, under_way = 0;
    gc_open(&c, NULL);
    c.careless = true;
    while (!c.lost && sent < 100 && clock_now() < until) {
        if (under_way < 16) {
            hostile_send(&c);
            sent++;
            under_way++;
        }
        struct gc_event e = gc_wait(&c, 0);
        if (e.kind == GC_SLOT_WRITTEN || rnd(4) == 0)
            under_way = under_way ? under_way - 1 : 0;
    }
    gc_close(&c);
    return sent;
}

Test(gateway_fuzz, mutated_sends, .timeout = 900)
{
    const char *seconds = getenv("GZC_FUZZ_SECONDS"), *seed = getenv("GZC_FUZZ_SEED");
    struct gateway_process gateway;
    struct gc good;
    uint8_t own[16]; /* a file that the hostile client does not know */
    unsigned lives = 0, sent = 0;
    state = seed ? strtoull(seed, NULL, 0) : clock_now();
    fprintf(stderr, "GZC_FUZZ_SEED=%#llx\n", (unsigned long long)state);
    gc_file("hostile", 200000, gfid);
    gc_file("good", 10000, own);
    gateway_start(&gateway, NULL);
    gc_open(&good, NULL);
    uint64_t until = clock_now() + (seconds ? strtoull(seconds, NULL, 10) : 10) * NSEC_PER_SEC;
    while (clock_now() < until) {
        sent += hostile_life(until);
        lives++;
        if (lives % 16 == 0)
            gc_expect_works(&good, own);
    }
    fprintf(stderr, "%u connections, %u messages, %llu violations\n", lives, sent,
            (unsigned long long)gateway_stat(&gateway, "ended_violation"));
    cr_assert_gt(gateway_stat(&gateway, "ended_violation"), 0);
    gc_expect_works(&good, own);
    gc_close(&good);
    gateway_await(&gateway, "clients_accepted", lives + 1);
    for (int i = 0; i < 2000 && gateway_stat(&gateway, "clients"); i++)
        usleep(10000);
    cr_assert_eq(gateway_stat(&gateway, "clients"), 0);
    cr_assert_eq(gateway_stat(&gateway, "memory_used"), 0);
    gateway_stop(&gateway);
}
