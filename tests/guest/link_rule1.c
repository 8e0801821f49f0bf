/*
 * Rule 1 by RDMA: when an operation has completed, nothing touches its memory again. The gateway
 * keeps answers back, the operation is ended; its memory is taken away in its callback, and the
 * gateway then tries to reach it all the same, with what it has been given.
 */
#include "tests/guest/link_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define PATIENT "&ordered=0&reconnect_timeout=0"

/* ---- one operation --------------------------------------------------------------------------- */

struct ending {
    bool writes, cancels, trusts;
    enum gate_cancel answer;
    unsigned pieces;
    size_t size;
    bool half; /* of the payload has been written before */
};

static void begin(struct link_rig *l, const struct ending *e, struct told *told, struct guard *g)
{
    size_t lengths[8];
    for (unsigned i = 0; i < e->pieces; i++)
        lengths[i] = e->size / e->pieces;
    guard_make(g, lengths, (int)e->pieces);
    *told = (struct told){.memory = g, .take = REUSE_IT};
    if (e->writes)
        guard_fill(g, 0);
    unsigned timeout = e->cancels ? 0 : 200;
    (e->writes ? told_write : told_read)(&l->rig, told, timeout);
}

static bool keep_half(struct gate_call *call, void *arg)
{
    if (!gate_keep_all(call, arg))
        return false;
    for (unsigned i = 0; gate_kept(call->gate, i); i++) {
        struct gate_kept *kept = gate_kept(call->gate, i);
        if (!gate_kept(call->gate, i + 1))
            gate_write_payload(&kept->call, &kept->reply, kept->reply.payload_bytes / 2);
    }
    return true;
}

/* Everything that the gateway could still do to that call's memory. False: some of it worked. */
static bool is_out_of_reach(struct gate_kept *kept)
{
    const struct gate_call *call = &kept->call;
    uint8_t byte[64] = {0};
    enum ibv_wc_status status = IBV_WC_SUCCESS;
    if (call->header.writes)
        status = gate_write(call->link, call->writes[0].address, call->writes[0].rkey, byte, 64);
    else if (call->header.reads)
        status = gate_read(call->link, call->reads[0].address, call->reads[0].rkey, byte, 64);
    else
        return true; /* it has never been told of it */
    return status != IBV_WC_SUCCESS;
}

static bool has_cancelled(struct gate *gate, void *arg)
{
    (void)arg;
    return gate_counts_locked(gate)->cancels == 1;
}

static void end_early(const struct ending *e)
{
    struct link_rig l;
    struct guard g;
    struct told told;
    link_up(&l, NULL, e->trusts ? "?rdma_trust=1" PATIENT : "?nconnect=1" PATIENT, 1 << 20);
    gate_set_cancel(l.gate, e->answer);
    link_hook(&l, e->half ? keep_half : gate_keep_all, NULL);
    begin(&l, e, &told, &g);
    cr_assert(gate_wait_kept(l.gate, 1));
    if (e->cancels)
        cr_assert_eq(gzc_cancel(l.rig.volume, told.ticket), 0);
    told_expect(&l.rig, &told, e->cancels ? -ECANCELED : -ETIMEDOUT);
    /* It may have been in vain to wait for an answer, so that the queue pair is gone before. */
    cr_assert(e->trusts || gate_wait(l.gate, has_cancelled, NULL));
    link_hook(&l, NULL, NULL);

    /* With windows the connection goes on, unless the gateway answers too late to have been waited
     * for, and by writing to them. Without, it depends on how soon the gateway answers. */
    if (!e->trusts && (e->answer != GATE_REPLY || e->writes))
        link_read(&l, 5000, 3);
    cr_assert_eq(gate_counts(l.gate).links, 1);
    /* A gateway that is trusted, and has kept its word, could write at any time. */
    if (!e->trusts || e->answer == GATE_DEAF) {
        gate_lock(l.gate);
        bool safe = is_out_of_reach(gate_kept(l.gate, 0));
        gate_unlock(l.gate);
        cr_assert(safe, "the gateway still reaches it");
    }
    told_memory(&told);
    link_down(&l);
    guard_free(&g);
}

/* By deadline and by cancel, reads and writes, in the ways that memory is granted. */
static void end_all(bool trusts, enum gate_cancel answer)
{
    static const struct {
        unsigned pieces;
        size_t size;
    } shapes[] = {{1, 4096}, {4, 64 << 10}};
    for (unsigned i = 0; i < 8; i++)
        end_early(&(struct ending){
            .writes = i & 1,
            .cancels = i & 2,
            .trusts = trusts,
            .answer = answer,
            .pieces = shapes[i >> 2].pieces,
            .size = shapes[i >> 2].size,
        });
}

Test(link_rule1, ended_early, .timeout = 60)
{
    end_all(false, GATE_CANCELLED);
}

Test(link_rule1, ended_early_trusted, .timeout = 60)
{
    end_all(true, GATE_CANCELLED);
}

Test(link_rule1, ended_early_without_an_answer, .timeout = 60)
{
    end_all(false, GATE_DEAF);
}

Test(link_rule1, ended_early_without_an_answer_trusted, .timeout = 60)
{
    end_all(true, GATE_DEAF);
}

/* The real answer comes in the stead of CANCELLED. */
Test(link_rule1, ended_early_and_answered, .timeout = 60)
{
    end_all(false, GATE_REPLY);
}

Test(link_rule1, half_of_the_payload_written, .timeout = 60)
{
    for (unsigned i = 0; i < 4; i++)
        end_early(&(struct ending){
            .cancels = i & 1,
            .trusts = i & 2,
            .answer = GATE_DEAF,
            .pieces = 4,
            .size = 64 << 10,
            .half = true,
        });
}

/* ---- states before and after ----------------------------------------------------------------- */

/* It waits for a credit: the gateway never hears of it. */
Test(link_rule1, waiting_for_a_credit, .timeout = 60)
{
    struct link_rig l;
    struct guard g[3];
    struct told told[3];
    link_up(&l, NULL, "?rdma_credits=1" PATIENT, 4096);
    link_hook(&l, gate_keep_all, NULL);
    for (int i = 0; i < 3; i++) {
        guard_make_one(&g[i], 512);
        told[i] = (struct told){.memory = &g[i], .take = REVOKE_IT};
        told_read(&l.rig, &told[i], i == 1 ? 100 : 0);
    }
    cr_assert(gate_wait_kept(l.gate, 1));
    cr_assert_eq(gzc_cancel(l.rig.volume, told[2].ticket), 0);
    told_expect(&l.rig, &told[2], -ECANCELED);
    told_expect(&l.rig, &told[1], -ETIMEDOUT);
    cr_assert_eq(gate_counts(l.gate).cancels, 0);
    gate_lock(l.gate);
    cr_assert_eq(gate_send_kept(gate_kept(l.gate, 0)), IBV_WC_SUCCESS);
    gate_unlock(l.gate);
    told_expect(&l.rig, &told[0], 512);
    cr_assert_eq(told[0].good, 512);
    cr_assert_eq(calls_seen(&l.rig, PEER_READ), 0);
    for (int i = 0; i < 3; i++) {
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    link_down(&l);
}

/* The answer is there, but nobody has looked: its windows are bound still. */
Test(link_rule1, answered_but_not_taken_in, .timeout = 60)
{
    struct link_rig l;
    struct guard g;
    struct told told = {.memory = &g, .take = REVOKE_IT};
    link_up(&l, NULL, "?nconnect=1" PATIENT, 4096);
    link_hook(&l, gate_keep_all, NULL);
    guard_make_one(&g, 4096);
    told_read(&l.rig, &told, 0);
    cr_assert(gate_wait_kept(l.gate, 1));
    cr_assert_eq(gzc_cancel(l.rig.volume, told.ticket), 0);
    gate_lock(l.gate);
    cr_assert_eq(gate_send_kept(gate_kept(l.gate, 0)), IBV_WC_SUCCESS);
    gate_unlock(l.gate);
    told_wait(&l.rig, &told);
    cr_assert(told.result == -ECANCELED || told.result == 4096);
    gate_lock(l.gate);
    bool safe = is_out_of_reach(gate_kept(l.gate, 0));
    gate_unlock(l.gate);
    cr_assert(safe);
    told_memory(&told);
    guard_free(&g);
    link_down(&l);
}

/* The windows of a call that has succeeded are gone when that is told. */
Test(link_rule1, after_success, .timeout = 60)
{
    for (int writes = 0; writes < 2; writes++) {
        struct link_rig l;
        struct guard g;
        struct told told = {.memory = &g, .take = REUSE_IT};
        link_up(&l, NULL, "?nconnect=1" PATIENT, 32768);
        link_hook(&l, gate_keep_all, NULL);
        guard_make_one(&g, 32768);
        guard_fill(&g, 0);
        (writes ? told_write : told_read)(&l.rig, &told, 0);
        cr_assert(gate_wait_kept(l.gate, 1));
        gate_lock(l.gate);
        cr_assert_eq(gate_send_kept(gate_kept(l.gate, 0)), IBV_WC_SUCCESS);
        gate_unlock(l.gate);
        told_expect(&l.rig, &told, 32768);
        gate_lock(l.gate);
        bool safe = is_out_of_reach(gate_kept(l.gate, 0));
        gate_unlock(l.gate);
        cr_assert(safe);
        told_memory(&told);
        guard_free(&g);
        link_down(&l);
    }
}

/* Nor does the key of an earlier call reach the next one's memory, in the same place. */
Test(link_rule1, keys_are_not_used_again, .timeout = 60)
{
    struct link_rig l;
    struct guard g;
    struct told told[2];
    link_up(&l, NULL, "?rdma_credits=1" PATIENT, 32768);
    link_hook(&l, gate_keep_all, NULL);
    guard_make_one(&g, 32768);
    for (unsigned i = 0; i < 2; i++) {
        told[i] = (struct told){.memory = &g, .take = REUSE_IT};
        told_read(&l.rig, &told[i], 0);
        cr_assert(gate_wait_kept(l.gate, i + 1));
        gate_lock(l.gate);
        if (i == 0)
            cr_assert_eq(gate_send_kept(gate_kept(l.gate, 0)), IBV_WC_SUCCESS);
        else
            cr_assert(is_out_of_reach(gate_kept(l.gate, 0)));
        if (i == 1)
            gate_disconnect(gate_latest(l.gate));
        gate_unlock(l.gate);
        told_wait(&l.rig, &told[i]);
        told_memory(&told[i]);
    }
    guard_free(&g);
    link_down(&l);
}

/* Its reply comes when the slot is LATE; it is drained, and the slot serves again. */
static void answer_late(enum gate_cancel what, bool writes)
{
    struct link_rig l;
    struct guard g;
    struct told told = {.memory = &g, .take = REVOKE_IT};
    link_up(&l, NULL, "?rdma_credits=1" PATIENT, 4096);
    gate_set_cancel(l.gate, GATE_DEAF);
    link_hook(&l, gate_keep_all, NULL);
    guard_make_one(&g, 1024);
    guard_fill(&g, 0);
    (writes ? told_write : told_read)(&l.rig, &told, 0);
    cr_assert(gate_wait_kept(l.gate, 1));
    cr_assert_eq(gzc_cancel(l.rig.volume, told.ticket), 0);
    told_expect(&l.rig, &told, -ECANCELED);
    link_hook(&l, NULL, NULL);
    uint64_t completions = rig_stats(&l.rig).completions;
    gate_lock(l.gate);
    struct gate_kept *kept = gate_kept(l.gate, 0);
    struct gate_reply r;
    if (what == GATE_CANCELLED) {
        gate_error(&kept->call, RDMA_ERROR_CANCELLED, "late", &r);
        cr_assert_eq(gate_answer(&kept->call, &r), IBV_WC_SUCCESS);
        gate_reply_free(&r);
    } else {
        cr_assert_eq(gate_send_kept(kept), IBV_WC_SUCCESS);
    }
    gate_unlock(l.gate);
    for (double end = rig_seconds() + 20; rig_stats(&l.rig).completions == completions;) {
        cr_assert_lt(rig_seconds(), end);
        gzc_poll(l.rig.volume, 0, 1);
    }
    link_read(&l, 4096, 0); /* there is only one credit */
    cr_assert_eq(rig_stats(&l.rig).replies_retired, what != GATE_CANCELLED);
    cr_assert_eq(gate_counts(l.gate).links, 1);
    told_memory(&told);
    guard_free(&g);
    link_down(&l);
}

Test(link_rule1, answered_late_by_a_reply, .timeout = 60)
{
    answer_late(GATE_REPLY, true);
}

Test(link_rule1, answered_late_by_cancelled, .timeout = 60)
{
    answer_late(GATE_CANCELLED, true);
    answer_late(GATE_CANCELLED, false);
}

/* A gateway that never answers, and has all credits in the end. */
Test(link_rule1, all_credits_lost, .timeout = 60)
{
    enum { N = 3 };
    struct link_rig l;
    struct guard g[N];
    struct told told[N];
    link_up(&l, NULL, "?rdma_credits=2" PATIENT, 4096);
    gate_set_cancel(l.gate, GATE_DEAF);
    link_hook(&l, gate_keep_all, NULL);
    for (unsigned i = 0; i < N; i++) {
        guard_make_one(&g[i], 1024);
        told[i] = (struct told){.memory = &g[i], .take = REVOKE_IT};
        told_read(&l.rig, &told[i], 0);
        if (i == 2)
            break;
        cr_assert(gate_wait_kept(l.gate, i + 1));
        cr_assert_eq(gzc_cancel(l.rig.volume, told[i].ticket), 0);
        told_expect(&l.rig, &told[i], -ECANCELED);
    }
    told_expect(&l.rig, &told[2], -ETIMEDOUT);
    cr_assert(strstr(told[2].error, "none of 2 calls"), "%s", told[2].error);
    link_expect_closed(&l);
    for (unsigned i = 0; i < N; i++) {
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    link_down(&l);
}

/* They have come back, but nobody has looked: the connection is as good as ever. */
Test(link_rule1, all_credits_have_come_back, .timeout = 60)
{
    enum { N = 2 };
    struct link_rig l;
    struct guard g[N];
    struct told told[N];
    link_up(&l, NULL, "?rdma_credits=2" PATIENT, 4096);
    gate_set_cancel(l.gate, GATE_DEAF);
    link_hook(&l, gate_keep_all, NULL);
    for (unsigned i = 0; i < N; i++) {
        guard_make_one(&g[i], 1024);
        told[i] = (struct told){.memory = &g[i], .take = REVOKE_IT};
        told_read(&l.rig, &told[i], 0);
        cr_assert(gate_wait_kept(l.gate, i + 1));
        cr_assert_eq(gzc_cancel(l.rig.volume, told[i].ticket), 0);
        told_expect(&l.rig, &told[i], -ECANCELED);
    }
    link_hook(&l, NULL, NULL);
    gate_lock(l.gate);
    for (unsigned i = 0; i < N; i++) {
        struct gate_kept *kept = gate_kept(l.gate, i);
        struct gate_reply r;
        gate_error(&kept->call, RDMA_ERROR_CANCELLED, "at last", &r);
        cr_assert_eq(gate_answer(&kept->call, &r), IBV_WC_SUCCESS);
        gate_reply_free(&r);
    }
    gate_unlock(l.gate);
    link_read(&l, 4096, 0);
    cr_assert_eq(gate_counts(l.gate).links, 1);
    for (unsigned i = 0; i < N; i++) {
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    link_down(&l);
}

/* ---- many operations, and ends of all of them ------------------------------------------------ */

enum { MANY = 64 };

struct crowd {
    struct link_rig l;
    struct guard g[MANY];
    struct told told[MANY];
};

static void crowd_up(struct crowd *c, const struct gate_options *options, const char *query)
{
    link_up(&c->l, options, query, 64 << 10);
    link_hook(&c->l, gate_keep_all, NULL);
    for (unsigned i = 0; i < MANY; i++) {
        guard_make_one(&c->g[i], i % 4 ? 2000 : 20000);
        c->told[i] = (struct told){.memory = &c->g[i], .take = REUSE_IT};
        if (i % 2)
            guard_fill(&c->g[i], 0);
        (i % 2 ? told_write : told_read)(&c->l.rig, &c->told[i], 0);
    }
    cr_assert(gate_wait_kept(c->l.gate, MANY));
}

/* All have ended, with errors; nothing of them is in reach. */
static void crowd_over(struct crowd *c)
{
    gate_lock(c->l.gate);
    for (unsigned i = 0; i < MANY; i++)
        is_out_of_reach(gate_kept(c->l.gate, i));
    gate_unlock(c->l.gate);
    for (unsigned i = 0; i < MANY; i++) {
        cr_assert_eq(c->told[i].count, 1);
        cr_assert_lt(c->told[i].result, 0);
        told_memory(&c->told[i]);
        guard_free(&c->g[i]);
    }
}

static void cancel_all(const char *query, enum gate_cancel answer)
{
    static struct crowd c;
    crowd_up(&c, NULL, query);
    gate_set_cancel(c.l.gate, answer);
    for (unsigned i = 0; i < MANY; i++)
        cr_assert_eq(gzc_cancel(c.l.rig.volume, c.told[i].ticket), 0);
    for (unsigned i = 0; i < MANY; i++)
        told_wait(&c.l.rig, &c.told[i]);
    crowd_over(&c);
    link_down(&c.l);
}

Test(link_rule1, all_cancelled, .timeout = 60)
{
    cancel_all("?nconnect=1" PATIENT, GATE_CANCELLED);
}

Test(link_rule1, all_cancelled_and_no_answer, .timeout = 60)
{
    cancel_all("?nconnect=1" PATIENT, GATE_DEAF);
}

Test(link_rule1, all_cancelled_and_no_answer_trusted, .timeout = 60)
{
    cancel_all("?rdma_trust=1" PATIENT, GATE_DEAF);
}

static void disconnect_all(const char *query)
{
    static struct crowd c;
    crowd_up(&c, NULL, query);
    gate_lock(c.l.gate);
    gate_disconnect(gate_latest(c.l.gate));
    gate_unlock(c.l.gate);
    for (unsigned i = 0; i < MANY; i++) {
        told_wait(&c.l.rig, &c.told[i]);
        cr_assert_eq(c.told[i].result, -ENOTCONN, "%s", c.told[i].error);
        cr_assert(strstr(c.told[i].error, "RDMA"), "%s", c.told[i].error);
    }
    crowd_over(&c);
    link_down(&c.l);
}

Test(link_rule1, disconnected, .timeout = 60)
{
    disconnect_all("?nconnect=1" PATIENT);
}

Test(link_rule1, disconnected_trusted, .timeout = 60)
{
    disconnect_all("?rdma_trust=1" PATIENT);
}

static void unmount_all(const char *query)
{
    static struct crowd c;
    struct told closed = {0};
    crowd_up(&c, NULL, query);
    const struct gzc_async how = told_how(&closed, 0);
    cr_assert_gt(gzc_close_async(c.l.rig.file, &how), 0);
    cr_assert_eq(gzc_unmount(c.l.rig.volume), 0);
    crowd_over(&c);
    cr_assert_eq(closed.count, 1);
    cr_assert(gate_wait_closed(c.l.gate));
    gate_stop(c.l.gate);
    peer_stop(c.l.rig.peer);
}

Test(link_rule1, unmounted, .timeout = 60)
{
    unmount_all("?nconnect=1" PATIENT);
}

Test(link_rule1, unmounted_trusted, .timeout = 60)
{
    unmount_all("?rdma_trust=1" PATIENT);
}

/* The gateway's process is killed. */
static void kill_it(const char *query)
{
    enum { N = 8 };
    struct rig rig = {0};
    struct guard g[N];
    struct told told[N];
    char uri[256], text[512] = "";
    uint16_t port;
    const struct gate_options options = {.hook = gate_keep_all};
    int pid = gate_fork(&options, RIG_FILE, 64 << 10, &port), status;
    cr_assert_gt(pid, 0);
    link_uri(port, query, uri, sizeof(uri));
    int rc = gzc_mount(uri, &rig.volume);
    gzc_error(rig.volume, text, sizeof(text));
    cr_assert_eq(rc, 0, "%s", text);
    cr_assert_eq(gzc_open(rig.volume, RIG_FILE, 2, 0, &rig.file), 0);
    for (unsigned i = 0; i < N; i++) {
        guard_make_one(&g[i], 9000);
        told[i] = (struct told){.memory = &g[i], .take = REVOKE_IT};
        (i % 2 ? told_write : told_read)(&rig, &told[i], 0);
    }
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    for (unsigned i = 0; i < N; i++) {
        told_wait(&rig, &told[i]);
        cr_assert_eq(told[i].result, -ENOTCONN, "%zd: %s", told[i].result, told[i].error);
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    gzc_close(rig.file);
    cr_assert_eq(gzc_unmount(rig.volume), 0);
}

Test(link_rule1, gateway_killed, .timeout = 60)
{
    kill_it("?nconnect=1" PATIENT);
}

Test(link_rule1, gateway_killed_trusted, .timeout = 60)
{
    kill_it("?rdma_trust=1&busy_poll_us=0" PATIENT);
}
