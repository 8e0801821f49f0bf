/*
 * A gateway that lies, in every way that the protocol has room for. The client closes the
 * connection, says why, and has touched nothing but the memory of the call; or, where the lie is
 * about one call only, that call fails alone.
 */
#include "tests/guest/link_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES 65536
#define ASKED      4096

/* ---- immediates ------------------------------------------------------------------------------ */

static bool answer_twice(struct gate_call *call, void *arg)
{
    struct gate_reply r;
    (void)arg;
    if (!gate_is_fop(call, PEER_READ))
        return false;
    gate_execute(call, &r);
    gate_answer(call, &r);
    r.payload_bytes = 0; /* that memory is out of reach */
    gate_answer(call, &r);
    gate_reply_free(&r);
    return true;
}

Test(link_hostile, an_answer_twice, .timeout = 60)
{
    struct link_rig l;
    struct guard g;
    link_up(&l, NULL, "?reconnect_timeout=0", FILE_BYTES);
    link_hook(&l, answer_twice, NULL);
    guard_make_one(&g, ASKED);
    ssize_t n = gzc_preadv(l.rig.file, g.iov, g.n, 0);
    cr_assert(n == ASKED || n == -EPROTO || n == -ENOTCONN, "%zd", n);
    n = gzc_preadv(l.rig.file, g.iov, g.n, 0);
    link_expect_broken(&l, "twice", n, "no call that is under way");
    cr_assert(guard_intact(&g));
    guard_free(&g);
    link_down(&l);
}

static void expect_end(struct link_rig *l, const char *words)
{
    struct gzc_brick_info info;
    for (double end = rig_seconds() + 20; rig_seconds() < end;) {
        gzc_poll(l->rig.volume, 0, 1);
        cr_assert_eq(gzc_brick_info(l->rig.volume, 0, &info, sizeof(info)), 0);
        if (!info.connected)
            break;
    }
    cr_assert(!info.connected, "nothing has happened");
    cr_assert(strstr(info.error, words), "does not say '%s': '%s'", words, info.error);
    link_expect_closed(l);
}

/* Many immediates, of all kinds, with nobody looking: more than there are receives. */
Test(link_hostile, a_flood_of_immediates, .timeout = 60)
{
    struct link_rig l;
    link_up(&l, NULL, "?reconnect_timeout=0&rdma_credits=4", FILE_BYTES);
    gate_lock(l.gate);
    struct gate_link *link = gate_latest(l.gate);
    for (unsigned i = 0; i < 4u + link->asked.callbacks; i++)
        cr_assert_eq(gate_write_immediate(link, link->ring.address, link->ring.rkey, "flood", 5, i),
                     IBV_WC_SUCCESS);
    gate_unlock(l.gate);
    expect_end(&l, "no call that is under way");
    link_down(&l);
}

/* Receives that one connection's peer has used up are not missing on the next. */
Test(link_hostile, floods_that_come_again, .timeout = 60)
{
    struct link_rig l;
    link_up(&l, NULL, "?reconnect_timeout=20&rdma_credits=4", FILE_BYTES);
    for (uint64_t round = 0; round < 3; round++) {
        link_read(&l, ASKED, 0);
        gate_lock(l.gate);
        struct gate_link *link = gate_latest(l.gate);
        for (unsigned i = 0; i < 4u + link->asked.callbacks; i++)
            gate_write_immediate(link, link->ring.address, link->ring.rkey, "flood", 5, i);
        gate_unlock(l.gate);
        for (double end = rig_seconds() + 20; gate_counts(l.gate).links < round + 2;) {
            cr_assert_lt(rig_seconds(), end, "round %u: nothing has happened", (unsigned)round);
            gzc_poll(l.rig.volume, 0, 1);
        }
    }
    link_read(&l, ASKED, 0);
    link_down(&l);
}

Test(link_hostile, a_send, .timeout = 60)
{
    for (size_t n = 0; n < 100; n += 64) {
        struct link_rig l;
        char bytes[100] = "";
        link_up(&l, NULL, "?reconnect_timeout=0", FILE_BYTES);
        gate_lock(l.gate);
        gate_send(gate_latest(l.gate), bytes, n);
        gate_unlock(l.gate);
        expect_end(&l, n ? "connection lost" : "a SEND");
        link_down(&l);
    }
}

/* ---- callbacks ------------------------------------------------------------------------------- */

static void callback_as(struct link_rig *l, uint32_t number, uint8_t kind, uint32_t payload,
                        uint32_t message)
{
    uint8_t slot[RDMA_SLOT_HEAD_BYTES + 64] = {0};
    struct rdma_slot_head head = {
        .xid = XID(number, RDMA_CALLBACK_SLOT),
        .kind = kind,
        .message = message,
        .payload = payload,
    };
    rdma_slot_encode(slot, &head);
    gate_lock(l->gate);
    struct gate_link *link = gate_latest(l->gate);
    gate_write_immediate(link, gate_slot(link, link->granted.credits + number % 8), link->ring.rkey,
                         slot, sizeof(slot), head.xid);
    gate_unlock(l->gate);
}

Test(link_hostile, callbacks, .timeout = 60)
{
    static const struct {
        uint32_t number, payload, message;
        uint8_t kind;
        const char *words;
    } cases[] = {
        {1, 0, 40, RDMA_SLOT_CALLBACK, "out of turn"},
        {0x3fffff, 0, 40, RDMA_SLOT_CALLBACK, "out of turn"},
        {0, 0, 40, RDMA_SLOT_REPLY, "malformed slot"},
        {0, 0, 40, RDMA_SLOT_ERROR, "malformed slot"},
        {0, 1, 40, RDMA_SLOT_CALLBACK, "callback's slot"},
        {0, 0, 0, RDMA_SLOT_CALLBACK, "too short"},
        {0, 0, UINT32_MAX, RDMA_SLOT_CALLBACK, "malformed slot"},
        {0, 0, 64, RDMA_SLOT_CALLBACK, "malformed"}, /* its RPC message is all zeros */
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct link_rig l;
        link_up(&l, NULL, "?reconnect_timeout=0", FILE_BYTES);
        callback_as(&l, cases[i].number, cases[i].kind, cases[i].payload, cases[i].message);
        expect_end(&l, cases[i].words);
        link_down(&l);
    }
}

Test(link_hostile, more_callbacks_than_slots, .timeout = 60)
{
    struct link_rig l;
    link_up(&l, NULL, "?reconnect_timeout=0", FILE_BYTES);
    gate_lock(l.gate);
    struct gate_link *link = gate_latest(l.gate);
    for (unsigned i = 0; i <= link->asked.callbacks; i++)
        gate_callback(link, 3);
    gate_unlock(l.gate);
    expect_end(&l, "out of turn");
    link_down(&l);
}

/* A reply that completes a call must come by the call's own slot: not by another call's, nor as a
 * callback. Until then the call's memory is in reach. */
static void reply_elsewhere(bool callback)
{
    struct link_rig l;
    struct guard g[2];
    struct told told[2];
    uint8_t bytes[64] = {0};
    link_up(&l, NULL, "?ordered=0&reconnect_timeout=0", FILE_BYTES);
    link_hook(&l, gate_keep_all, NULL);
    for (int i = 0; i < 2; i++) {
        guard_make_one(&g[i], ASKED);
        told[i] = (struct told){.memory = &g[i], .take = REUSE_IT};
        told_read(&l.rig, &told[i], 0);
    }
    cr_assert(gate_wait_kept(l.gate, 2));
    gate_lock(l.gate);
    struct gate_kept *one = gate_kept(l.gate, 0), *other = gate_kept(l.gate, 1);
    struct gate_reply r = other->reply;
    unsigned slot = callback ? 64 : one->reply.slot_number;
    r.slot[SLOT_KIND] = callback ? RDMA_SLOT_CALLBACK : RDMA_SLOT_REPLY;
    r.immediate = callback ? XID(0, RDMA_CALLBACK_SLOT) : one->reply.immediate;
    r.slot_number = slot;
    link_poke(r.slot + SLOT_XID, r.immediate);
    if (callback)
        link_poke(r.slot + SLOT_PAYLOAD, 0);
    gate_answer(&one->call, &r);
    gate_unlock(l.gate);
    for (int i = 0; i < 2; i++)
        told_wait(&l.rig, &told[i]);
    gate_lock(l.gate);
    enum ibv_wc_status status = gate_write(other->call.link, other->call.writes[0].address,
                                           other->call.writes[0].rkey, bytes, sizeof(bytes));
    gate_unlock(l.gate);
    cr_assert_neq(status, IBV_WC_SUCCESS);
    for (int i = 0; i < 2; i++) {
        cr_assert_lt(told[i].result, 0, "%d: %zd", i, told[i].result);
        cr_assert(strstr(told[i].error, "not the slot's"), "%s", told[i].error);
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    link_down(&l);
}

Test(link_hostile, a_reply_by_the_slot_of_another, .timeout = 60)
{
    reply_elsewhere(false);
}

Test(link_hostile, a_reply_as_a_callback, .timeout = 60)
{
    reply_elsewhere(true);
}

/* ---- long replies ---------------------------------------------------------------------------- */

static bool lie_about_length(struct gate_call *call, void *arg)
{
    struct gate_reply r;
    if (!gate_is_fop(call, PEER_READDIRP))
        return false;
    gate_execute(call, &r);
    r.slot[SLOT_KIND] = RDMA_SLOT_LONG;
    link_poke(r.slot + SLOT_MESSAGE, call->reply.length + *(const uint32_t *)arg);
    gate_answer(call, &r);
    gate_reply_free(&r);
    return true;
}

Test(link_hostile, replies_longer_than_their_chunk, .timeout = 60)
{
    static const uint32_t more[] = {1, UINT32_MAX / 2};
    for (unsigned i = 0; i < 2; i++) {
        struct link_rig l;
        struct gzc_dirent entry;
        gzc_dir *dir;
        char text[512];
        link_up(&l, NULL, "?reconnect_timeout=0", FILE_BYTES);
        link_hook(&l, lie_about_length, (void *)&more[i]);
        int rc = gzc_opendir(l.rig.volume, "/", &dir);
        cr_assert_eq(rc, 0);
        rc = gzc_readdir(dir, &entry);
        gzc_dir_error(dir, text, sizeof(text));
        cr_assert(rc == -EPROTO || rc == -ENOTCONN, "%d: %s", rc, text);
        cr_assert(strstr(text, "longer than its chunk"), "%s", text);
        gzc_closedir(dir);
        link_expect_closed(&l);
        link_down(&l);
    }
}

/* ---- errors ---------------------------------------------------------------------------------- */

static bool answer_error(struct gate_call *call, void *arg)
{
    struct gate_reply r;
    if (!gate_is_fop(call, PEER_READ))
        return false;
    gate_error(call, *(uint8_t *)arg, "what the gateway says", &r);
    gate_answer(call, &r);
    gate_reply_free(&r);
    return true;
}

Test(link_hostile, errors, .timeout = 60)
{
    static const struct {
        uint8_t code;
        int result; /* 0: the connection ends */
    } cases[] = {
        {RDMA_ERROR_TOO_LONG, -EMSGSIZE}, {RDMA_ERROR_NO_MEMORY, -ENOBUFS},
        {RDMA_ERROR_CANCELLED, 0},        {RDMA_ERROR_UNREACHABLE, 0},
        {RDMA_ERROR_REFUSED, 0},          {RDMA_ERROR_BROKEN, 0},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct link_rig l;
        struct guard g;
        char text[512];
        uint8_t code = cases[i].code;
        link_up(&l, NULL, "?reconnect_timeout=0", FILE_BYTES);
        link_hook(&l, answer_error, &code);
        guard_make_one(&g, ASKED);
        ssize_t n = gzc_preadv(l.rig.file, g.iov, g.n, 0);
        gzc_file_error(l.rig.file, text, sizeof(text));
        cr_assert(guard_untouched(&g, 0));
        if (cases[i].result) {
            cr_assert_eq(n, cases[i].result, "%zd: %s", n, text);
            cr_assert(strstr(text, "what the gateway says"), "%s", text);
            link_hook(&l, NULL, NULL);
            link_read(&l, ASKED, 1);
            cr_assert_eq(gate_counts(l.gate).links, 1);
        } else {
            link_expect_broken(&l, "error", n, "an error that no call has");
        }
        guard_free(&g);
        link_down(&l);
    }
}

/* ---- the ring, rewritten while it is read ---------------------------------------------------- */

static void *rewrite(void *arg)
{
    struct link_rig *l = arg;
    uint8_t slot[512];
    for (unsigned i = 0; i < 3000; i++) {
        gate_lock(l->gate);
        struct gate_link *link = gate_latest(l->gate);
        struct gate_kept *kept = gate_kept(l->gate, 0);
        if (link && kept) {
            memset(slot, 0xff, sizeof(slot));
            memcpy(slot, kept->reply.slot, kept->reply.slot_bytes);
            link_poke(slot + SLOT_MESSAGE, i % 2 ? UINT32_MAX : 496);
            slot[SLOT_KIND] = (uint8_t)(1 + i % 4);
            gate_write(link, gate_slot(link, i / 64 % 8), link->ring.rkey, slot, sizeof(slot));
        }
        gate_unlock(l->gate);
    }
    return NULL;
}

static bool keep_the_first(struct gate_call *call, void *arg)
{
    (void)arg;
    if (gate_is_fop(call, PEER_READ) && !gate_kept(call->gate, 0)) {
        gate_keep(call);
        gate_send_kept(gate_kept(call->gate, 0));
        return true;
    }
    return false;
}

/* Whatever is read, nothing is touched that should not be; most of it ends the connection. */
Test(link_hostile, the_ring_is_rewritten, .timeout = 60)
{
    struct link_rig l;
    struct guard g;
    pthread_t writer;
    link_up(&l, NULL, "?reconnect_timeout=2", FILE_BYTES);
    link_hook(&l, keep_the_first, NULL);
    guard_make_one(&g, ASKED);
    rig_expect_read(&l.rig, &g, 0);
    cr_assert_eq(pthread_create(&writer, NULL, rewrite, &l), 0);
    unsigned good = 0;
    for (unsigned i = 0; i < 400; i++) {
        guard_clear(&g);
        ssize_t n = gzc_preadv(l.rig.file, g.iov, g.n, 0);
        cr_assert(guard_intact(&g));
        if (n > 0)
            cr_assert(guard_holds(&g, 0, (size_t)n));
        good += n == ASKED;
    }
    pthread_join(writer, NULL);
    cr_assert_gt(good, 0);
    guard_free(&g);
    link_hook(&l, NULL, NULL);
    gzc_close(l.rig.file);
    cr_assert_eq(gzc_unmount(l.rig.volume), 0);
    gate_stop(l.gate);
    peer_stop(l.rig.peer);
}

/* ---- other connections' memory --------------------------------------------------------------- */

/* What one queue pair has been given is no use on another. */
Test(link_hostile, keys_on_another_queue_pair, .timeout = 60)
{
    struct link_rig l;
    struct guard g;
    struct told told = {.memory = &g, .take = REUSE_IT};
    uint8_t bytes[64] = {0};
    link_up(&l, NULL, "?nconnect=2&reconnect_timeout=0", FILE_BYTES);
    link_hook(&l, gate_keep_all, NULL);
    guard_make_one(&g, ASKED);
    told_read(&l.rig, &told, 0);
    cr_assert(gate_wait_kept(l.gate, 1));
    gate_lock(l.gate);
    const struct gate_call *call = &gate_kept(l.gate, 0)->call;
    struct gate_link *other = gate_latest(l.gate);
    if (other == call->link)
        other = other->next;
    cr_assert(other && other->open);
    enum ibv_wc_status status =
        gate_write(other, call->writes[0].address, call->writes[0].rkey, bytes, sizeof(bytes));
    gate_unlock(l.gate);
    cr_assert_eq(status, IBV_WC_REM_ACCESS_ERR, "%s", ibv_wc_status_str(status));
    cr_assert(guard_untouched(&g, 0));
    gate_lock(l.gate);
    gate_disconnect(other);
    gate_unlock(l.gate);
    told_wait(&l.rig, &told);
    told_memory(&told);
    guard_free(&g);
    link_down(&l);
}

/* Memory beside what was granted, though of the same registration or close to it. */
Test(link_hostile, addresses_beyond, .timeout = 60)
{
    struct link_rig l;
    struct guard g;
    struct told told = {.memory = &g, .take = REUSE_IT};
    uint8_t bytes[64] = {0};
    link_up(&l, NULL, "?reconnect_timeout=0", FILE_BYTES);
    link_hook(&l, gate_keep_all, NULL);
    guard_make_one(&g, ASKED);
    told_read(&l.rig, &told, 0);
    cr_assert(gate_wait_kept(l.gate, 1));
    gate_lock(l.gate);
    const struct gate_call *call = &gate_kept(l.gate, 0)->call;
    enum ibv_wc_status status = gate_write(call->link, call->writes[0].address + (64 << 20),
                                           call->writes[0].rkey, bytes, sizeof(bytes));
    gate_disconnect(call->link);
    gate_unlock(l.gate);
    cr_assert_eq(status, IBV_WC_REM_ACCESS_ERR, "%s", ibv_wc_status_str(status));
    told_expect(&l.rig, &told, -ENOTCONN);
    told_memory(&told);
    guard_free(&g);
    link_down(&l);
}
