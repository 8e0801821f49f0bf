/* The guest's RDMA device can do what the transport is made of: connections, and writes with
 * immediate. Windows are in windows.c. */
#include "tests/guest/pair.h"

#include <poll.h>
#include <unistd.h>

static struct pair p;

TestSuite(device, .timeout = 60);

Test(device, reports_what_is_needed)
{
    struct ibv_context **contexts = rdma_get_devices(NULL);
    struct ibv_device_attr attr;

    cr_assert_not_null(contexts);
    cr_assert_not_null(contexts[0], "no device");
    cr_assert_str_eq(ibv_get_device_name(contexts[0]->device), getenv("RDMA_DEVICE"));
    cr_assert_eq(ibv_query_device(contexts[0], &attr), 0);
    cr_expect(attr.device_cap_flags & IBV_DEVICE_MEM_MGT_EXTENSIONS);
    cr_expect(attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2B);
    cr_expect_geq(attr.max_mw, 65536);
    cr_expect_geq(attr.max_mr, 65536);
    cr_expect_geq(attr.max_qp_wr, 8192);
    cr_expect_geq(attr.max_srq_wr, 2048);
    cr_expect_geq(attr.max_sge, 16);
    cr_expect_geq(attr.max_qp_rd_atom, 16);
    rdma_free_devices(contexts);
}

static void expect_private(const struct side *side, const void *data, unsigned length,
                           unsigned padded)
{
    static const unsigned char zeros[256];

    cr_assert_eq(side->told_length, padded, "%u", side->told_length);
    cr_assert_arr_eq(side->told, data, length);
    cr_assert_arr_eq(side->told + length, zeros, padded - length);
}

/* The connection manager's messages have room of a fixed size; what was not sent is zero. */
static void private_data(const char *host)
{
    struct private_data data = {"twenty bytes of data", "twenty-eight bytes of answer", 20, 28};

    pair_open_with(&p, host, NULL, &data);
    expect_private(&p.server, data.ask, 20, 56);
    expect_private(&p.client, data.answer, 28, 196);
    /* Without the server's answer the client is told when it no longer waits, a minute later. */
    cr_assert_eq(rdma_disconnect(p.client.id), 0);
    pair_expect(&p.server, RDMA_CM_EVENT_DISCONNECTED);
    cr_assert_eq(rdma_disconnect(p.server.id), 0);
    pair_expect(&p.client, RDMA_CM_EVENT_DISCONNECTED);
    pair_close(&p);
}

Test(device, private_data_both_ways)
{
    private_data(getenv("RDMA_IP"));
}

Test(device, private_data_both_ways_ipv6)
{
    private_data(getenv("RDMA_IP6"));
}

Test(device, a_rejection_has_private_data)
{
    struct private_data none = {0};
    struct rdma_cm_event *event = pair_ask(&p, getenv("RDMA_IP"), NULL, &none);
    struct rdma_cm_id *id = event->id;

    cr_assert_eq(rdma_reject(id, "a reason", 8), 0);
    rdma_ack_cm_event(event);
    cr_assert_eq(rdma_destroy_id(id), 0);
    event = pair_event(&p.client, RDMA_CM_EVENT_REJECTED);
    cr_assert_eq(event->status, 28, "%d", event->status); /* the consumer's doing */
    rdma_ack_cm_event(event);
    expect_private(&p.client, "a reason", 8, 148);
}

/* ---- writes ---------------------------------------------------------------------------------- */

enum { SIZE = 1 << 20 };

static unsigned char *from, *to;
static struct ibv_mr *from_mr, *to_mr;

static void open_with_memory(void)
{
    pair_open(&p);
    from = aligned_alloc(4096, SIZE);
    to = aligned_alloc(4096, SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        from[i] = (unsigned char)(i * 7 + (i >> 8) * 13);
    memset(to, 0, SIZE);
    from_mr = ibv_reg_mr(p.server.pd, from, SIZE, IBV_ACCESS_LOCAL_WRITE);
    to_mr = ibv_reg_mr(p.client.pd, to, SIZE, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
    cr_assert(from_mr && to_mr);
}

static void close_with_memory(void)
{
    cr_assert_eq(ibv_dereg_mr(from_mr), 0);
    cr_assert_eq(ibv_dereg_mr(to_mr), 0);
    pair_close(&p);
    free(from);
    free(to);
}

/* Posts a write, or a write with immediate, to the same offset of the other side's memory. */
static void post_write(enum ibv_wr_opcode opcode, uint32_t offset, uint32_t length,
                       uint32_t immediate)
{
    struct ibv_sge sge = {(uintptr_t)from + offset, length, from_mr->lkey};
    struct ibv_send_wr wr = {.wr_id = immediate,
                             .opcode = opcode,
                             .sg_list = &sge,
                             .num_sge = length > 0,
                             .send_flags = IBV_SEND_SIGNALED,
                             .imm_data = htonl(immediate),
                             .wr.rdma = {(uintptr_t)to + offset, to_mr->rkey}};

    cr_assert_eq(side_post(&p.server, &wr, 1), 0);
}

/* A plain write, then one with immediate behind it: when the immediate is there, both are. */
Test(device, an_immediate_takes_a_receive_without_memory)
{
    open_with_memory();
    for (unsigned i = 0; i < PAIR_DEPTH; i++)
        cr_assert_eq(side_post_receive(&p.client, 1000), 0);
    for (uint32_t i = 0; i < 500; i++) {
        uint32_t offset = i % 16 * 65536, length = i % 7 * 10000;
        memset(to + offset, 0, 65536);
        post_write(IBV_WR_RDMA_WRITE, offset, length, i);
        post_write(IBV_WR_RDMA_WRITE_WITH_IMM, offset + length, i % 3, i);
        struct ibv_wc wc = side_expect(&p.client, IBV_WC_SUCCESS, 1000);
        cr_assert_eq(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
        cr_assert(wc.wc_flags & IBV_WC_WITH_IMM);
        cr_assert_eq(ntohl(wc.imm_data), i);
        cr_assert_eq(wc.byte_len, i % 3);
        cr_assert_arr_eq(to + offset, from + offset, length + i % 3);
        cr_assert_eq(to[offset + length + i % 3], 0);
        side_expect(&p.server, IBV_WC_SUCCESS, i);
        side_expect(&p.server, IBV_WC_SUCCESS, i);
        cr_assert_eq(side_post_receive(&p.client, 1000), 0);
    }
    close_with_memory();
}

Test(device, a_completion_wakes_who_polls)
{
    struct pollfd fd;
    struct ibv_cq *cq;
    void *context;

    open_with_memory();
    fd = (struct pollfd){.fd = p.client.wakes->fd, .events = POLLIN};
    cr_assert_eq(side_post_receive(&p.client, 1), 0);
    cr_assert_eq(ibv_req_notify_cq(p.client.cq, 0), 0);
    cr_assert_eq(poll(&fd, 1, 0), 0);
    post_write(IBV_WR_RDMA_WRITE_WITH_IMM, 0, 10, 5);
    cr_assert_eq(poll(&fd, 1, 1000 * PAIR_PATIENCE), 1);
    cr_assert_eq(ibv_get_cq_event(p.client.wakes, &cq, &context), 0);
    ibv_ack_cq_events(cq, 1);
    side_expect(&p.client, IBV_WC_SUCCESS, 1);
    side_expect(&p.server, IBV_WC_SUCCESS, 5);
    close_with_memory();
}

/* ---- counters -------------------------------------------------------------------------------- */

/*
 * What can be told from outside about how bytes moved; the device has no counters by opcode:
 *   rdma_sends  SENDs that have completed, the connection manager's datagrams among them; no writes
 *   rdma_recvs  receives that have completed: by SENDs, datagrams and immediates; plain writes
 *               take none
 *   psn         of the queue pair: one for each packet of SENDs and writes that it took in
 * Memory that is in no receive, and that nobody has read into, can only be written to.
 */
struct counts {
    unsigned long sends, receives;
    uint32_t psn; /* that the client's queue pair expects next */
};

static unsigned long counter(const char *name)
{
    char path[256], text[32] = "";

    snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
             getenv("RDMA_DEVICE"), name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    cr_assert_not_null(fgets(text, sizeof(text), f));
    fclose(f);
    return strtoul(text, NULL, 10);
}

static struct counts counts(void)
{
    struct ibv_qp_init_attr init;
    struct ibv_qp_attr attr;

    usleep(20000); /* counters read within a tick of the clock are the same */
    cr_assert_eq(ibv_query_qp(p.client.qp, &attr, IBV_QP_RQ_PSN, &init), 0);
    return (struct counts){counter("rdma_sends"), counter("rdma_recvs"), attr.rq_psn};
}

static void expect_counted(struct counts *before, unsigned sends, unsigned receives,
                           unsigned packets)
{
    struct counts now = counts();

    cr_expect_eq(now.sends - before->sends, sends, "%lu", now.sends - before->sends);
    cr_expect_eq(now.receives - before->receives, receives, "%lu", now.receives - before->receives);
    /* 24 bits */
    cr_expect_eq((now.psn - before->psn) & 0xffffff, packets, "%u", now.psn - before->psn);
    *before = now;
}

/* Nothing else may use the device meanwhile. */
Test(device, counters_tell_writes_from_sends)
{
    struct ibv_send_wr send = {.wr_id = 9, .opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED};
    struct ibv_qp_init_attr init;
    struct ibv_qp_attr attr;
    struct counts before;

    open_with_memory();
    cr_assert_eq(ibv_query_qp(p.client.qp, &attr, IBV_QP_PATH_MTU, &init), 0);
    cr_assert_eq(attr.path_mtu, IBV_MTU_4096);
    cr_assert_eq(side_post_receive(&p.client, 1), 0);
    cr_assert_eq(side_post_receive(&p.client, 2), 0);
    before = counts();
    post_write(IBV_WR_RDMA_WRITE, 0, 65536, 1);
    side_expect(&p.server, IBV_WC_SUCCESS, 1);
    expect_counted(&before, 0, 0, 65536 / 4096);
    post_write(IBV_WR_RDMA_WRITE_WITH_IMM, 0, 65537, 2);
    side_expect(&p.server, IBV_WC_SUCCESS, 2);
    expect_counted(&before, 0, 1, 65536 / 4096 + 1);
    cr_assert_eq(side_post(&p.server, &send, 1), 0);
    side_expect(&p.server, IBV_WC_SUCCESS, 9);
    expect_counted(&before, 1, 1, 1);
    close_with_memory();
}
