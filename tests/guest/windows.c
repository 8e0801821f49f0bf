/*
 * Memory windows of type 2 on the guest's device, as far as the transport builds on them.
 *
 * A life: allocated, with a key; bound to a part of a memory region and to a queue pair by
 * IBV_WR_BIND_MW, with another key; unbound by IBV_WR_LOCAL_INV or by being deallocated.
 *
 * What rxe of Linux 6.1 does otherwise than the specification says is not tried here, as one of
 * them panics the kernel: invalidating a window that is not bound; destroying a queue pair that has
 * windows bound to it (it hangs for a minute); and the range of a window is not checked, only that
 * of its region.
 */
#include "tests/guest/pair.h"

enum {
    SIZE = 8 << 20,
    FRESH = 'f', /* what is in the client's memory before */
    WRITTEN = 'w',
    LOCAL = 1000, /* first id of the client's own work requests */
};

static struct pair p;
static unsigned char *memory, *source;
static struct ibv_mr *region, *source_mr;

static void setup(void)
{
    pair_one_cpu();
    pair_open(&p);
    memory = aligned_alloc(4096, SIZE);
    source = aligned_alloc(4096, SIZE);
    memset(memory, FRESH, SIZE);
    memset(source, WRITTEN, SIZE);
    /* No remote access but by windows. */
    region = ibv_reg_mr(p.client.pd, memory, SIZE, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
    source_mr = ibv_reg_mr(p.server.pd, source, SIZE, IBV_ACCESS_LOCAL_WRITE);
    cr_assert(region && source_mr);
}

/* Windows are gone: each test has deallocated its own. */
static void teardown(void)
{
    cr_assert_eq(ibv_dereg_mr(region), 0);
    cr_assert_eq(ibv_dereg_mr(source_mr), 0);
    pair_close(&p);
    free(memory);
    free(source);
}

TestSuite(windows, .init = setup, .fini = teardown, .timeout = 60);

static struct ibv_mw *allocate(void)
{
    struct ibv_mw *mw = ibv_alloc_mw(p.client.pd, IBV_MW_TYPE_2);

    cr_assert_not_null(mw, "%s", strerror(errno));
    return mw;
}

static struct ibv_send_wr bind_request(struct ibv_mw *mw, const void *at, size_t length, int access)
{
    return (struct ibv_send_wr){
        .wr_id = LOCAL,
        .opcode = IBV_WR_BIND_MW,
        .bind_mw = {.mw = mw,
                    .rkey = ibv_inc_rkey(mw->rkey),
                    .bind_info = {region, (uintptr_t)at, length, (unsigned)access}}};
}

static struct ibv_send_wr invalidate_request(const struct ibv_mw *mw)
{
    return (struct ibv_send_wr){
        .wr_id = LOCAL + 1, .opcode = IBV_WR_LOCAL_INV, .invalidate_rkey = mw->rkey};
}

/* Posts the client's requests. The next bind of a window tells the device its key as it is then;
 * that posting does not note. */
static void post(struct ibv_send_wr *wr, unsigned n)
{
    cr_assert_eq(side_post(&p.client, wr, n), 0);
    for (unsigned i = 0; i < n; i++)
        if (wr[i].opcode == IBV_WR_BIND_MW)
            wr[i].bind_mw.mw->rkey = wr[i].bind_mw.rkey;
}

static void bind_window(struct ibv_mw *mw, const void *at, size_t length, int access)
{
    struct ibv_send_wr wr = bind_request(mw, at, length, access);

    wr.send_flags = IBV_SEND_SIGNALED;
    post(&wr, 1);
    cr_assert_eq(side_expect(&p.client, IBV_WC_SUCCESS, LOCAL).opcode, IBV_WC_BIND_MW);
}

static void invalidate(const struct ibv_mw *mw)
{
    struct ibv_send_wr wr = invalidate_request(mw);

    wr.send_flags = IBV_SEND_SIGNALED;
    post(&wr, 1);
    cr_assert_eq(side_expect(&p.client, IBV_WC_SUCCESS, LOCAL + 1).opcode, IBV_WC_LOCAL_INV);
}

static void post_rdma(struct side *side, const struct ibv_mr *mr, enum ibv_wr_opcode opcode,
                      const void *at, uint32_t length, uint32_t rkey)
{
    struct ibv_sge sge = {(uintptr_t)mr->addr, length, mr->lkey};
    struct ibv_send_wr wr = {.wr_id = 1,
                             .opcode = opcode,
                             .sg_list = &sge,
                             .num_sge = 1,
                             .send_flags = IBV_SEND_SIGNALED,
                             .wr.rdma = {(uintptr_t)at, rkey}};

    cr_assert_eq(side_post(side, &wr, 1), 0);
}

static void write_ends(enum ibv_wc_status status, const void *at, uint32_t length, uint32_t rkey)
{
    post_rdma(&p.server, source_mr, IBV_WR_RDMA_WRITE, at, length, rkey);
    side_expect(&p.server, status, 1);
}

/* The first byte from `at` on that is not `wanted`. */
static size_t run(size_t at, int wanted)
{
    while (at < SIZE && memory[at] == wanted)
        at++;
    return at;
}

/* Exactly these bytes have been written; none if start is end. */
static void expect_written(size_t start, size_t end)
{
    if (start == end) {
        cr_assert_eq(run(0, FRESH), SIZE);
        return;
    }
    cr_assert_eq(run(0, FRESH), start);
    cr_assert_eq(run(start, WRITTEN), end);
    cr_assert_eq(run(end, FRESH), SIZE);
}

Test(windows, a_window_is_the_only_way_in)
{
    struct ibv_mw *mw = allocate();

    bind_window(mw, memory + 100, 5000, IBV_ACCESS_REMOTE_WRITE);
    write_ends(IBV_WC_SUCCESS, memory + 100, 5000, mw->rkey);
    expect_written(100, 5100);
    write_ends(IBV_WC_REM_ACCESS_ERR, memory, 10, region->lkey);
    expect_written(100, 5100);
    ibv_dealloc_mw(mw);
}

Test(windows, after_invalidation_nothing_comes_in)
{
    struct ibv_mw *mw = allocate();

    bind_window(mw, memory, 4096, IBV_ACCESS_REMOTE_WRITE);
    invalidate(mw);
    write_ends(IBV_WC_REM_ACCESS_ERR, memory, 4096, mw->rkey);
    expect_written(0, 0);
    ibv_dealloc_mw(mw);
}

/* The transport's way: a call's chain unbinds what was bound for the last, binds, and sends;
 * without a completion of its own. The peer writes as soon as it has the call. */
Test(windows, bound_again_in_each_chain)
{
    struct ibv_sge sge = {(uintptr_t)source, 4, source_mr->lkey};
    struct ibv_recv_wr receive = {.wr_id = 2, .sg_list = &sge, .num_sge = 1}, *bad;
    struct ibv_sge key_sge = {(uintptr_t)memory + SIZE - 4, 4, region->lkey};
    struct ibv_mw *mw = allocate();
    uint32_t key, older = 0;

    for (int round = 0; round < 600; round++) { /* more than there are keys */
        struct ibv_send_wr chain[3];
        unsigned n = 0;
        cr_assert_eq(ibv_post_recv(p.server.qp, &receive, &bad), 0);
        if (round)
            chain[n++] = invalidate_request(mw);
        older = mw->rkey;
        chain[n++] = bind_request(mw, memory + round, 4096, IBV_ACCESS_REMOTE_WRITE);
        memcpy(memory + SIZE - 4, &chain[n - 1].bind_mw.rkey, 4);
        chain[n++] = (struct ibv_send_wr){.wr_id = 3,
                                          .opcode = IBV_WR_SEND,
                                          .sg_list = &key_sge,
                                          .num_sge = 1,
                                          .send_flags = IBV_SEND_SIGNALED};
        post(chain, n);
        side_expect(&p.server, IBV_WC_SUCCESS, 2);
        memcpy(&key, source, 4);
        write_ends(IBV_WC_SUCCESS, memory + round, 4096, key);
        side_expect(&p.client, IBV_WC_SUCCESS, 3);
    }
    write_ends(IBV_WC_REM_ACCESS_ERR, memory, 1, older);
    ibv_dealloc_mw(mw);
}

Test(windows, many_on_one_region)
{
    enum { MANY = 512, CHAIN = 32 };
    struct ibv_mw *mw[MANY];
    struct ibv_send_wr chain[CHAIN];

    for (int i = 0; i < MANY; i++)
        mw[i] = allocate();
    for (int i = 0; i < MANY; i += CHAIN) {
        for (int k = 0; k < CHAIN; k++)
            chain[k] =
                bind_request(mw[i + k], memory + (i + k) * 1000, 2000, IBV_ACCESS_REMOTE_WRITE);
        chain[CHAIN - 1].send_flags = IBV_SEND_SIGNALED;
        post(chain, CHAIN);
        side_expect(&p.client, IBV_WC_SUCCESS, LOCAL);
    }
    for (int i = 0; i < MANY; i++)
        write_ends(IBV_WC_SUCCESS, memory + i * 1000, 1000, mw[i]->rkey);
    expect_written(0, MANY * 1000);
    cr_assert_eq(ibv_dereg_mr(region), EINVAL, "a region goes although windows are bound to it");
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(ibv_dealloc_mw(mw[i]), 0);
}

Test(windows, of_one_queue_pair)
{
    struct private_data none = {0};
    struct ibv_mw *mw = allocate();
    struct ibv_mr *mr;
    struct pair other;

    bind_window(mw, memory, 4096, IBV_ACCESS_REMOTE_WRITE);
    pair_open_with(&other, getenv("RDMA_IP"), p.client.pd, &none);
    mr = ibv_reg_mr(other.server.pd, source, 4096, IBV_ACCESS_LOCAL_WRITE);
    cr_assert_not_null(mr);
    post_rdma(&other.server, mr, IBV_WR_RDMA_WRITE, memory, 4096, mw->rkey);
    side_expect(&other.server, IBV_WC_REM_ACCESS_ERR, 1);
    expect_written(0, 0);
    write_ends(IBV_WC_SUCCESS, memory, 4096, mw->rkey);
    cr_assert_eq(ibv_dereg_mr(mr), 0);
    side_close(&other.client, false);
    side_close(&other.server, true);
    ibv_dealloc_mw(mw);
}

Test(windows, for_reading_only)
{
    struct ibv_mw *mw = allocate();

    bind_window(mw, memory, 4096, IBV_ACCESS_REMOTE_READ);
    post_rdma(&p.server, source_mr, IBV_WR_RDMA_READ, memory, 4096, mw->rkey);
    side_expect(&p.server, IBV_WC_SUCCESS, 1);
    cr_assert_arr_eq(source, memory, 4096);
    write_ends(IBV_WC_REM_ACCESS_ERR, memory, 4096, mw->rkey);
    expect_written(0, 0);
    ibv_dealloc_mw(mw);
}

Test(windows, of_no_length_there_are_none)
{
    struct ibv_mw *mw = allocate();
    struct ibv_send_wr wr = bind_request(mw, memory, 0, IBV_ACCESS_REMOTE_WRITE);

    post(&wr, 1);
    side_expect(&p.client, IBV_WC_MW_BIND_ERR, LOCAL);
    ibv_dealloc_mw(mw);
}

/* ---- in the middle of a write ---------------------------------------------------------------- */

/* Begins to write everything, again and again: for seconds, unless it is stopped. */
static struct ibv_mw *write_under_way(void)
{
    struct ibv_mw *mw = allocate();
    struct ibv_sge sge = {(uintptr_t)source, SIZE, source_mr->lkey};
    struct ibv_send_wr wr[32];

    memset(memory, FRESH, SIZE);
    bind_window(mw, memory, SIZE, IBV_ACCESS_REMOTE_WRITE);
    for (unsigned i = 0; i < 32; i++)
        wr[i] = (struct ibv_send_wr){.opcode = IBV_WR_RDMA_WRITE,
                                     .sg_list = &sge,
                                     .num_sge = 1,
                                     .send_flags = i == 31 ? IBV_SEND_SIGNALED : 0,
                                     .wr.rdma = {(uintptr_t)memory, mw->rkey}};
    cr_assert_eq(side_post(&p.server, wr, 32), 0);
    while (__atomic_load_n(&memory[1 << 16], __ATOMIC_ACQUIRE) != WRITTEN)
        ;
    return mw;
}

/* From now on nothing is written, and the writer gets to know. False: it had been over before. */
static bool has_stopped(void)
{
    memset(memory, FRESH, SIZE);
    struct ibv_wc wc = side_wait(&p.server);
    if (wc.status == IBV_WC_SUCCESS)
        return false;
    cr_assert_eq(wc.status, IBV_WC_REM_ACCESS_ERR, "%s", ibv_wc_status_str(wc.status));
    expect_written(0, 0);
    return true;
}

/* The write's failure takes the queue pair to its error state, where what is posted is flushed:
 * it may have been executed or not, but the state means the same. */
Test(windows, invalidated_in_the_middle_of_a_write)
{
    bool stopped;

    do {
        struct ibv_mw *mw = write_under_way();
        struct ibv_send_wr wr = invalidate_request(mw);
        wr.send_flags = IBV_SEND_SIGNALED;
        post(&wr, 1);
        struct ibv_wc wc = side_wait(&p.client);
        cr_assert(wc.status == IBV_WC_SUCCESS || wc.status == IBV_WC_WR_FLUSH_ERR, "%s",
                  ibv_wc_status_str(wc.status));
        stopped = has_stopped();
        ibv_dealloc_mw(mw);
    } while (!stopped);
}

Test(windows, deallocated_in_the_middle_of_a_write)
{
    do
        cr_assert_eq(ibv_dealloc_mw(write_under_way()), 0);
    while (!has_stopped());
}
