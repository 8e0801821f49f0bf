/*
 * What the tests of registered memory have in common. That data lands where the program sees it is
 * tried by writing there from another queue pair.
 */
#ifndef TESTS_GUEST_MEMORY_H
#define TESTS_GUEST_MEMORY_H

#include "transport/rdma/memory.h"

#include "tests/guest/pair.h"

#include <sys/mman.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    MB = 1 << 20,
    SIZE = 16 * PAGE,
    ROUNDS = 100,
    REMOTE = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE,
};

static struct pair p;
static unsigned char *source; /* of what the peer writes */
static struct ibv_mr *source_mr;
static struct rdma_memory *m;
static struct errtext why;
static pthread_mutex_t peer = PTHREAD_MUTEX_INITIALIZER;

static inline void begin(int access, size_t bytes, unsigned regions)
{
    struct rdma_memory_limits limits = {.bytes = bytes, .regions = regions};

    rdma_memory_free(m);
    cr_assert_eq(rdma_memory_new(p.client.pd, access, &limits, &m, &why), 0, "%s", why.text);
}

static inline void setup(void)
{
    pair_open(&p);
    source = aligned_alloc(PAGE, SIZE);
    source_mr = ibv_reg_mr(p.server.pd, source, SIZE, IBV_ACCESS_LOCAL_WRITE);
    cr_assert_not_null(source_mr);
    begin(REMOTE, 64 * MB, 0);
}

static inline void teardown(void)
{
    rdma_memory_free(m);
    cr_assert_eq(ibv_dereg_mr(source_mr), 0);
    pair_close(&p);
    free(source);
}

static inline struct rdma_memory_counters count(void)
{
    struct rdma_memory_counters c;

    rdma_memory_count(m, &c);
    return c;
}

/* Bytes that are pinned for devices, but for the peer's. */
static inline size_t pinned(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    size_t kib = SIZE_MAX;

    while (fgets(line, sizeof(line), f))
        sscanf(line, "VmPin: %zu", &kib);
    fclose(f);
    return kib * 1024 - SIZE;
}

static inline unsigned char *map_with(size_t size, int protection, int flags)
{
    unsigned char *at = mmap(NULL, size, protection, flags, -1, 0);

    cr_assert_neq(at, MAP_FAILED, "%s", strerror(errno));
    return at;
}

static inline unsigned char *map(size_t size)
{
    return map_with(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
}

static inline void map_there(unsigned char *at, size_t size)
{
    cr_assert_eq(mmap(at, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
                 at, "%s", strerror(errno));
}

static inline struct rdma_region *get(const void *at, size_t length)
{
    struct rdma_region *r = NULL;
    int rc = rdma_memory_get(m, at, length, true, &r, &why);

    cr_assert_eq(rc, 0, "%s", why.text);
    cr_assert(r->start <= (uintptr_t)at && (uintptr_t)at + length <= r->end);
    cr_assert_eq((uintptr_t)r->mr->addr, r->start);
    cr_assert_eq(r->mr->length, r->end - r->start);
    return r;
}

/* The peer writes, or reads, by a region's key. */
static void transfer(struct rdma_region *r, enum ibv_wr_opcode opcode, const void *at,
                     uint32_t length, enum ibv_wc_status status)
{
    struct ibv_sge sge = {(uintptr_t)source, length, source_mr->lkey};
    struct ibv_send_wr wr = {
        .wr_id = 1,
        .opcode = opcode,
        .sg_list = &sge,
        .num_sge = 1,
        .send_flags = IBV_SEND_SIGNALED,
        .wr.rdma = {(uintptr_t)at, r->mr->rkey},
    };

    cr_assert_eq(side_post(&p.server, &wr, 1), 0);
    side_expect(&p.server, status, 1);
}

/* The peer writes something new, and the program sees it. */
static inline void land_by(struct rdma_region *r, unsigned char *at, uint32_t length)
{
    static uint32_t value;

    pthread_mutex_lock(&peer);
    value++;
    for (uint32_t i = 0; i < length; i += 64)
        memcpy(source + i, &value, sizeof(value));
    transfer(r, IBV_WR_RDMA_WRITE, at, length, IBV_WC_SUCCESS);
    for (uint32_t i = 0; i + sizeof(value) <= length; i += 64)
        cr_assert_arr_eq(at + i, source + i, sizeof(value), "at byte %u", i);
    pthread_mutex_unlock(&peer);
}

static inline void land(unsigned char *at, uint32_t length)
{
    struct rdma_region *r = get(at, length);

    land_by(r, at, length);
    rdma_memory_put(m, r);
}

/* Whether a range is found without registering it. */
static inline bool is_hit(const void *at, size_t length)
{
    uint64_t before = count().hits;

    rdma_memory_put(m, get(at, length));
    return count().hits > before;
}

#endif
