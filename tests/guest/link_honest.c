/* The RDMA client and a gateway that does everything right: sizes, shapes, ways to drive it. */
#include "tests/guest/link_rig.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KI 1024
#define MI (1024 * KI)

/* All payload so far has gone between the device and the caller's memory. */
static void expect_landed(struct link_rig *l, uint64_t bytes)
{
    struct gzc_stats stats = rig_stats(&l->rig);
    cr_assert_eq(stats.bytes_staged, 0);
    cr_assert_eq(stats.bytes_landed, bytes, "%llu of %llu", (unsigned long long)stats.bytes_landed,
                 (unsigned long long)bytes);
    cr_assert_eq(stats.replies_retired + stats.replies_unmatched, 0);
    cr_assert_eq(stats.receive_syscalls + stats.send_syscalls, 0);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static const size_t sizes[] = {0,      1,    3,          511,   512,   4095,
                               4096,   4097, 8 * KI + 1, 65535, 65536, 128 * KI - 7,
                               MI - 1, MI,   MI + 1,     4 * MI};
#define NSIZES (sizeof(sizes) / sizeof(*sizes))

static void read_sizes(const char *query)
{
    struct link_rig l;
    uint64_t bytes = 0;
    link_up(&l, NULL, query, 4 * MI + 4096);
    for (size_t i = 0; i < NSIZES; i++) {
        link_read(&l, sizes[i], (off_t)(i * 3));
        bytes += sizes[i];
    }
    expect_landed(&l, bytes);
    link_down(&l);
}

static void write_sizes(const char *query)
{
    struct link_rig l;
    uint64_t bytes = 0;
    link_up(&l, NULL, query, 0);
    rig_hook(&l.rig, check_write, NULL);
    for (size_t i = 0; i < NSIZES; i++) {
        link_write(&l, sizes[i], (off_t)(i * 3));
        bytes += sizes[i];
    }
    expect_landed(&l, bytes);
    struct gate_counts counts = gate_counts(l.gate);
    cr_assert_geq(counts.inline_writes, 6);
    cr_assert_geq(counts.fetched_writes, 9);
    link_down(&l);
}

Test(link_honest, reads_of_all_sizes, .timeout = 60)
{
    read_sizes("");
}

Test(link_honest, reads_of_all_sizes_trusted, .timeout = 60)
{
    read_sizes("?rdma_trust=1");
}

Test(link_honest, reads_of_all_sizes_without_a_cache, .timeout = 60)
{
    read_sizes("?rdma_cache_mb=0");
}

Test(link_honest, writes_of_all_sizes, .timeout = 60)
{
    write_sizes("");
}

Test(link_honest, writes_of_all_sizes_trusted, .timeout = 60)
{
    write_sizes("?rdma_trust=1");
}

Test(link_honest, writes_of_all_sizes_without_a_cache, .timeout = 60)
{
    write_sizes("?rdma_cache_mb=0");
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static void pieces_guard(struct guard *g, unsigned n, unsigned seed)
{
    size_t *lengths = calloc(n, sizeof(*lengths));
    for (unsigned i = 0; i < n; i++) {
        seed = seed * 1103515245 + 12345;
        lengths[i] = n > 100 ? (seed >> 16) % 700 : (seed >> 16) % 9000;
    }
    lengths[n / 2] += 1;
    guard_make(g, lengths, (int)n);
    free(lengths);
}

/* Unaligned pieces, empty ones among them. */
static void all_pieces(const struct gate_options *options, const char *query, unsigned largest)
{
    static const unsigned counts[] = {1, 2, 3, 15, 16, 17, 33, 64, 200, 2000, UINT_MAX};
    struct link_rig l;
    uint64_t bytes = 0;
    link_up(&l, options, query, 2 * MI);
    rig_hook(&l.rig, check_write, NULL);
    for (size_t i = 0; counts[i] <= largest; i++) {
        struct guard g;
        pieces_guard(&g, counts[i], (unsigned)i);
        rig_expect_read(&l.rig, &g, 77);
        guard_fill(&g, 123);
        cr_assert_eq(gzc_pwritev(l.rig.file, g.iov, g.n, 123), (ssize_t)g.total);
        cr_assert(rig_file_holds(l.rig.content, 123, g.total, 123));
        cr_assert(guard_intact(&g));
        bytes += 2 * g.total;
        guard_free(&g);
    }
    expect_landed(&l, bytes);
    unsigned most = options && options->pieces ? options->pieces : 16;
    cr_assert_eq(gate_counts(l.gate).most_pieces, most, "%u", gate_counts(l.gate).most_pieces);
    link_down(&l);
}

Test(link_honest, iovecs, .timeout = 60)
{
    all_pieces(NULL, "", 2000);
}

Test(link_honest, iovecs_trusted, .timeout = 60)
{
    all_pieces(NULL, "?rdma_trust=1", 2000);
}

Test(link_honest, iovecs_where_one_piece_is_granted, .timeout = 120)
{
    all_pieces(&(struct gate_options){.pieces = 1}, "", 200);
}

Test(link_honest, the_least_that_can_be_granted, .timeout = 120)
{
    all_pieces(&(struct gate_options){.credits = 1,
                                      .pieces = 3,
                                      .inline_bytes = RDMA_INLINE_LEAST,
                                      .payload = RDMA_BULK_LEAST,
                                      .message = RDMA_BULK_LEAST},
               "", 200);
}

/* Memory that may not be written to: it can have no window, and is read all the same. */
Test(link_honest, writes_from_read_only_memory, .timeout = 60)
{
    static const uint8_t constant[64 * KI] = {1, 2, 3};
    struct link_rig l;
    uint8_t back[sizeof(constant)];
    link_up(&l, NULL, "", 0);
    for (size_t n = 100; n <= sizeof(constant); n *= 4) {
        char text[512] = "";
        ssize_t rc = gzc_pwrite(l.rig.file, constant, n, 0);
        gzc_file_error(l.rig.file, text, sizeof(text));
        cr_assert_eq(rc, (ssize_t)n, "%zd: %s", rc, text);
        cr_assert_eq(pread(l.rig.content, back, n, 0), (ssize_t)n);
        cr_assert_eq(memcmp(back, constant, n), 0);
    }
    link_down(&l);
}

/* A call whose memory is bad fails alone. */
Test(link_honest, memory_that_is_not_there, .timeout = 60)
{
    struct link_rig l;
    struct guard g;
    char text[512] = "";
    link_up(&l, NULL, "", 64 * KI);
    guard_make_one(&g, 32 * KI);
    guard_revoke(&g);
    void *gone = mmap(NULL, 32 * KI, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gone, 32 * KI);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(gzc_preadv(l.rig.file, g.iov, g.n, 0), -EFAULT);
        gzc_file_error(l.rig.file, text, sizeof(text));
        cr_assert(strstr(text, "register"), "%s", text);
        cr_assert_eq(gzc_pwrite(l.rig.file, gone, 32 * KI, 0), -EFAULT);
        cr_assert_eq(gzc_pwrite(l.rig.file, gone, 100, 0), -EFAULT);
        link_read(&l, 8 * KI, 5);
    }
    guard_restore(&g);
    rig_expect_read(&l.rig, &g, 1);
    guard_free(&g);
    link_down(&l);
}

/* ---- many at once ---------------------------------------------------------------------------- */

struct many {
    char query[48]; /* no pointer: Criterion hands it to another process */
    unsigned n;
    size_t size;
};

static void run_many(const struct many *m)
{
    struct link_rig l;
    struct guard *g = calloc(2 * m->n, sizeof(*g));
    struct told *told = calloc(2 * m->n, sizeof(*told));
    link_up(&l, NULL, m->query, m->n * m->size);
    rig_hook(&l.rig, check_write, NULL);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 2 * m->n; i++) {
            bool writes = i % 2;
            if (round == 0)
                guard_make_one(&g[i], m->size);
            guard_clear(&g[i]);
            told[i] = (struct told){.memory = &g[i], .offset = i / 2 * m->size, .take = REUSE_IT};
            if (writes)
                guard_fill(&g[i], told[i].offset);
            (writes ? told_write : told_read)(&l.rig, &told[i], 0);
        }
        for (unsigned i = 0; i < 2 * m->n; i++) {
            told_expect(&l.rig, &told[i], (ssize_t)m->size);
            cr_assert_eq(told[i].good, m->size, "%u: %zu bytes", i, told[i].good);
        }
        for (unsigned i = 0; i < 2 * m->n; i++)
            told_memory(&told[i]);
    }
    expect_landed(&l, 6 * m->n * m->size);
    for (unsigned i = 0; i < 2 * m->n; i++)
        guard_free(&g[i]);
    free(g);
    free(told);
    link_down(&l);
}

ParameterizedTestParameters(link_honest, many_at_once)
{
    static struct many many[] = {
        {"?ordered=0", 32, 4096},
        {"?ordered=0", 100, 4096},
        {"?ordered=0&rdma_credits=1", 100, 4096},
        {"?ordered=0&rdma_credits=2", 100, 4096},
        {"?ordered=0&rdma_credits=1023", 600, 512},
        {"?ordered=0&rdma_trust=1", 100, 4096},
        {"?ordered=0&rdma_trust=1&rdma_credits=1", 32, 4096},
        {"?ordered=0&nconnect=4", 100, 4096},
        {"?ordered=0&nconnect=4&rdma_credits=2", 100, 20000},
        {"?ordered=0&busy_poll_us=0", 100, 4096},
        {"?ordered=0&busy_poll_us=100000", 100, 4096},
        {"", 100, 30000},
    };
    return cr_make_param_array(struct many, many, sizeof(many) / sizeof(*many));
}

ParameterizedTest(struct many *m, link_honest, many_at_once, .timeout = 60)
{
    run_many(m);
}

/* What many connections of many calls need is there. */
Test(link_honest, many_connections_of_many_credits, .timeout = 120)
{
    struct link_rig l;
    link_up(&l, &(struct gate_options){.inline_bytes = RDMA_INLINE_LEAST},
            "?nconnect=16&rdma_credits=1023", 8 * KI);
    link_read(&l, 8 * KI, 0);
    cr_assert_eq(gate_counts(l.gate).links, 16);
    link_down(&l);
}

/* Calls that the gateway answers together lose their windows together. */
Test(link_honest, answers_that_come_together, .timeout = 60)
{
    enum { N = 16 };
    struct link_rig l;
    struct guard g[N];
    struct told told[N];
    link_up(&l, NULL, "", 64 * KI);
    link_hook(&l, gate_keep_all, NULL);
    for (unsigned i = 0; i < N; i++) {
        guard_make_one(&g[i], 4096);
        told[i] = (struct told){.memory = &g[i], .offset = i * 10, .take = REVOKE_IT};
        told_read(&l.rig, &told[i], 0);
    }
    gzc_send(l.rig.volume);
    cr_assert(gate_wait_kept(l.gate, N));
    uint64_t before = rig_stats(&l.rig).completions;
    gate_lock(l.gate);
    for (unsigned i = N; i--;)
        cr_assert_eq(gate_send_kept(gate_kept(l.gate, i)), IBV_WC_SUCCESS);
    gate_unlock(l.gate);
    for (unsigned i = 0; i < N; i++) {
        told_expect(&l.rig, &told[i], 4096);
        cr_assert_eq(told[i].good, 4096);
    }
    uint64_t completions = rig_stats(&l.rig).completions - before;
    cr_assert_leq(completions, N + 3, "%u", (unsigned)completions);
    for (unsigned i = 0; i < N; i++) {
        told_memory(&told[i]);
        guard_free(&g[i]);
    }
    link_down(&l);
}

/* ---- long calls and replies ------------------------------------------------------------------ */

Test(link_honest, directories_and_long_replies, .timeout = 60)
{
    struct link_rig l;
    struct gzc_dirent entry;
    gzc_dir *dir;
    char name[32];
    unsigned seen = 0;
    link_up(&l, NULL, "", 100);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "entry-%u", i);
        cr_assert_geq(peer_add_file(l.rig.peer, name), 0);
    }
    cr_assert_eq(gzc_opendir(l.rig.volume, "/", &dir), 0);
    while (gzc_readdir(dir, &entry) == 1)
        seen += strncmp(entry.name, "entry-", 6) == 0;
    cr_assert_eq(seen, 200);
    cr_assert_eq(gzc_closedir(dir), 0);
    cr_assert_gt(gate_counts(l.gate).long_replies, 0);
    link_down(&l);
}

/* Many groups and a long name make more than fits a SEND. */
Test(link_honest, long_calls, .timeout = 60)
{
    struct link_rig l;
    struct stat st;
    char name[256];
    gid_t groups[90];
    for (unsigned i = 0; i < 90; i++)
        groups[i] = 100000 + i;
    cr_assert_eq(setgroups(90, groups), 0);
    memset(name, 'n', 255);
    name[255] = '\0';
    link_up(&l, NULL, "", 100);
    cr_assert_eq(gzc_mkdir(l.rig.volume, name, 0755), 0);
    cr_assert_eq(gzc_stat(l.rig.volume, name, &st), 0);
    cr_assert_gt(gate_counts(l.gate).long_calls, 0);
    link_down(&l);
}

/* ---- what the server begins ------------------------------------------------------------------ */

static bool callbacks_taken(struct gate *gate, void *n)
{
    const struct gate_link *link = gate_latest(gate);
    return link && link->callbacks_told >= *(uint32_t *)n;
}

static void drive_callbacks(struct link_rig *l, uint64_t n)
{
    double end = rig_seconds() + 20;
    while (rig_stats(&l->rig).callbacks < n) {
        cr_assert_lt(rig_seconds(), end);
        gzc_poll(l->rig.volume, 0, 1);
    }
}

/* More than there are slots: with and without calls that tell that they have been taken in. */
Test(link_honest, callbacks, .timeout = 60)
{
    struct link_rig l;
    static const uint32_t harmless[] = {3, 5, 10, 11};
    link_up(&l, NULL, "", 8192);
    for (uint32_t i = 1; i <= 40; i++) {
        link_expect_open(&l);
        gate_lock(l.gate);
        enum ibv_wc_status status = gate_callback(gate_latest(l.gate), harmless[i % 4]);
        gate_unlock(l.gate);
        cr_assert_eq(status, IBV_WC_SUCCESS);
        drive_callbacks(&l, i);
        if (i % 8 == 0)
            link_read(&l, 4096, i);
        if (i % 4 == 0) {
            gzc_poll(l.rig.volume, 0, 0);
            cr_assert(gate_wait(l.gate, callbacks_taken, &i));
        }
    }
    cr_assert_gt(gate_counts(l.gate).credits, 0);
    link_down(&l);
}

/* ---- registered memory ----------------------------------------------------------------------- */

Test(link_honest, memory_registered_for_good, .timeout = 60)
{
    struct link_rig l;
    struct guard g;
    guard_make_one(&g, 256 * KI);
    link_up(&l, NULL, "?rdma_cache_mb=0", 256 * KI);
    cr_assert_eq(gzc_register(l.rig.volume, g.iov[0].iov_base, g.total), 0);
    uint64_t before = rig_stats(&l.rig).registrations;
    for (int i = 0; i < 10; i++)
        rig_expect_read(&l.rig, &g, 0);
    cr_assert_eq(rig_stats(&l.rig).registrations, before);
    cr_assert_eq(gzc_unregister(l.rig.volume, g.iov[0].iov_base, g.total), 0);
    rig_expect_read(&l.rig, &g, 0);
    cr_assert_gt(rig_stats(&l.rig).registrations, before);
    link_down(&l);
    guard_free(&g);
}
