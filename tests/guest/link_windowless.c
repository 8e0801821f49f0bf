/*
 * A device without memory windows, and a gateway that is not trusted: memory is registered for each
 * call, and for nothing else, since it can be reached for as long as it is registered.
 */
#include "tests/guest/link_rig.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>

#define FILE_BYTES 65536
#define SIZE       8192

/* In the place of libibverbs' own. */
int ibv_query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
    static int (*real)(struct ibv_context *, struct ibv_device_attr *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "ibv_query_device");
    int rc = real(context, attr);
    attr->device_cap_flags &= ~(unsigned)(IBV_DEVICE_MEM_WINDOW | IBV_DEVICE_MEM_WINDOW_TYPE_2A |
                                          IBV_DEVICE_MEM_WINDOW_TYPE_2B);
    return rc;
}

/* A READ's payload goes there. */
struct way {
    struct gate_link *link;
    struct rdma_chunk chunk;
};

static bool note_way(struct gate_call *call, void *arg)
{
    if (gate_is_fop(call, PEER_READ))
        *(struct way *)arg = (struct way){call->link, call->writes[0]};
    return false;
}

static void expect_out_of_reach(struct link_rig *l, const struct way *way)
{
    uint8_t bytes[64] = {0};
    gate_lock(l->gate);
    enum ibv_wc_status status =
        gate_write(way->link, way->chunk.address, way->chunk.rkey, bytes, sizeof(bytes));
    gate_unlock(l->gate);
    cr_assert_neq(status, IBV_WC_SUCCESS, "the gateway still reaches it");
}

Test(link_windowless, registers_for_each_call, .timeout = 60)
{
    enum { CALLS = 10 };
    struct link_rig l;
    struct guard g;
    link_up(&l, NULL, "", FILE_BYTES);
    guard_make_one(&g, SIZE);
    struct gzc_stats from = rig_stats(&l.rig);
    for (unsigned i = 0; i < CALLS; i++)
        rig_expect_read(&l.rig, &g, i);
    struct gzc_stats to = rig_stats(&l.rig);
    cr_expect_eq(to.registrations - from.registrations, CALLS);
    cr_expect_eq(to.work_requests - from.work_requests, CALLS);
    link_write(&l, SIZE, 77); /* fetched */
    link_write(&l, 100, 5);   /* goes with the call */
    guard_free(&g);
    link_down(&l);
}

/* gzc_register() must not leave a way open either. */
Test(link_windowless, registered_memory_stays_out_of_reach, .timeout = 60)
{
    struct link_rig l;
    struct guard g;
    struct way way = {0};
    link_up(&l, NULL, "?reconnect_timeout=0", FILE_BYTES);
    link_hook(&l, note_way, &way);
    guard_make_one(&g, SIZE);
    struct gzc_stats from = rig_stats(&l.rig);
    cr_assert_eq(gzc_register(l.rig.volume, g.iov[0].iov_base, SIZE), 0);
    cr_expect_eq(rig_stats(&l.rig).registrations, from.registrations);
    rig_expect_read(&l.rig, &g, 0);
    cr_expect_eq(rig_stats(&l.rig).registrations, from.registrations + 1);
    expect_out_of_reach(&l, &way);
    cr_assert_eq(gzc_unregister(l.rig.volume, g.iov[0].iov_base, SIZE), 0);
    cr_assert(guard_holds(&g, 0, SIZE));
    guard_free(&g);
    link_down(&l);
}

/* A call that is given up takes the queue pair with it, unless the gateway lets go. */
Test(link_windowless, a_call_that_is_given_up, .timeout = 60)
{
    static const enum gate_cancel answers[] = {GATE_CANCELLED, GATE_DEAF};
    for (unsigned i = 0; i < 2; i++) {
        struct link_rig l;
        struct guard g;
        struct told told = {.memory = &g, .take = REVOKE_IT};
        link_up(&l, NULL, "?ordered=0&reconnect_timeout=0", FILE_BYTES);
        gate_set_cancel(l.gate, answers[i]);
        link_hook(&l, gate_keep_all, NULL);
        guard_make_one(&g, SIZE);
        told_read(&l.rig, &told, 0);
        cr_assert(gate_wait_kept(l.gate, 1));
        struct gate_call *call = &gate_kept(l.gate, 0)->call;
        struct way way = {call->link, call->writes[0]};
        cr_assert_eq(gzc_cancel(l.rig.volume, told.ticket), 0);
        told_expect(&l.rig, &told, -ECANCELED);
        expect_out_of_reach(&l, &way);
        if (answers[i] == GATE_DEAF)
            link_expect_closed(&l);
        told_memory(&told);
        guard_free(&g);
        link_down(&l);
    }
}
