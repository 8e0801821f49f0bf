/*
 * Random lies: valid messages of the gateway's with some of their bits changed, for some seconds.
 * The client may find the protocol broken as often as it likes, and connects again; it stays alive,
 * and what a call has left is not touched. $GZC_FUZZ_SECONDS, $GZC_FUZZ_SEED; the seed is printed.
 */
#include "tests/guest/link_rig.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct liar {
    uint64_t state;
    unsigned lies, answers;
};

/* splitmix64. */
static uint32_t dice(struct liar *liar, uint32_t sides)
{
    uint64_t x = liar->state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((x ^ (x >> 31)) % sides);
}

static void change(struct liar *liar, uint8_t *at, size_t n)
{
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff};
    if (!n)
        return;
    /* Mostly the header, and where the RPC header and the results begin. */
    size_t most = dice(liar, 2) ? 16 : dice(liar, 2) ? 60 : n;
    at += dice(liar, (uint32_t)(most < n ? most : n));
    *at = dice(liar, 2) ? bytes[dice(liar, sizeof(bytes))] : *at ^ (uint8_t)(1 << dice(liar, 8));
}

static void lie(struct liar *liar, const struct gate_call *call, struct gate_reply *r)
{
    const struct rdma_request *asked = &call->link->asked;
    switch (dice(liar, 12)) {
    case 0:
        r->immediate ^= 1u << dice(liar, 32);
        break;
    case 1:
        r->slot_number = dice(liar, asked->credits + asked->callbacks);
        break;
    case 2:
        r->payload_bytes = dice(liar, (uint32_t)r->payload_bytes + 1);
        break;
    case 3:
        r->bulk_bytes = dice(liar, (uint32_t)r->bulk_bytes + 1);
        break;
    case 4:
        r->slot_bytes = dice(liar, (uint32_t)r->slot_bytes + 1);
        break;
    case 5:
        if (r->bulk)
            change(liar, r->bulk, r->bulk_bytes);
        break;
    default:
        change(liar, r->slot, r->slot_bytes);
    }
}

static bool fuzz(struct gate_call *call, void *arg)
{
    struct liar *liar = arg;
    struct gate_reply r;
    if (call->header.kind != RDMA_CALL && call->header.kind != RDMA_ATTACH)
        return false;
    /* Connecting takes several messages: it is to succeed most times. */
    bool often = gate_is_fop(call, PEER_READ) || gate_is_fop(call, PEER_WRITE) ||
                 gate_is_fop(call, PEER_READDIRP);
    liar->answers++;
    gate_execute(call, &r);
    if (dice(liar, often ? 3 : 40) == 0) {
        liar->lies++;
        for (unsigned n = 1 + dice(liar, 3); n; n--)
            lie(liar, call, &r);
    }
    uint32_t special = dice(liar, often ? 60 : 1000);
    if (special == 0)
        gate_callback(call->link, 1 + dice(liar, PEER_CALLBACKS));
    if (special == 1)
        gate_send(call->link, &r, dice(liar, 32));
    if (special != 2) /* no answer at all */
        gate_answer(call, &r);
    if (special == 3)
        gate_answer(call, &r);
    if (special == 4)
        gate_disconnect(call->link);
    gate_reply_free(&r);
    return true;
}

static void use_directory(gzc_volume *volume)
{
    struct gzc_dirent entry;
    gzc_dir *dir;
    if (gzc_opendir(volume, "/", &dir) < 0)
        return;
    while (gzc_readdir(dir, &entry) == 1)
        cr_assert_lt(strlen(entry.name), 256);
    gzc_closedir(dir);
}

/* Some transfers at once; the memory of each is watched until all are over. False: the connection
 * is no more. */
static bool use_file(struct rig *rig, struct liar *own)
{
    enum { N = 8 };
    struct guard g[N];
    struct told told[N];
    unsigned begun = 0;
    for (; begun < N; begun++) {
        struct told *t = &told[begun];
        size_t lengths[3];
        for (int k = 0; k < 3; k++)
            lengths[k] = dice(own, dice(own, 2) ? 300 : 20000);
        guard_make(&g[begun], lengths, 3);
        *t = (struct told){.memory = &g[begun], .take = REUSE_IT, .offset = dice(own, 1000)};
        bool writes = dice(own, 2);
        if (writes)
            guard_fill(&g[begun], t->offset);
        struct gzc_async how = told_how(t, 50 + dice(own, 300));
        t->ticket = (writes ? gzc_pwritev_async : gzc_preadv_async)(rig->file, g[begun].iov, 3,
                                                                    (off_t)t->offset, &how);
        if (t->ticket < 0) {
            guard_free(&g[begun]);
            break;
        }
    }
    for (unsigned i = 0; i < begun; i++)
        told_wait(rig, &told[i]);
    bool open = true;
    for (unsigned i = 0; i < begun; i++) {
        told_memory(&told[i]);
        guard_free(&g[i]);
        open &= told[i].result != -ENOTCONN && told[i].result != -EPROTO;
    }
    return open;
}

static void run(const char *query)
{
    const char *seconds = getenv("GZC_FUZZ_SECONDS"), *seed = getenv("GZC_FUZZ_SEED");
    struct liar liar = {.state = seed ? strtoull(seed, NULL, 0) : 1}, own = {.state = ~liar.state};
    struct rig rig = {0};
    char uri[256];
    unsigned mounts = 0, files = 0;
    cr_log_info("seed %llu", (unsigned long long)liar.state);
    const struct gate_options options = {
        .payload = RDMA_BULK_LEAST,
        .message = RDMA_BULK_LEAST,
        .inline_bytes = 2048,
        .hook = fuzz,
        .arg = &liar,
    };
    struct gate *gate = gate_start(&options);
    cr_assert_not_null(gate);
    rig.peer = gate_peer(gate);
    int content = peer_add_file(rig.peer, RIG_FILE);
    link_uri(gate_port(gate), query, uri, sizeof(uri));
    double end = rig_seconds() + (seconds ? atof(seconds) : 10);
    while (rig_seconds() < end) {
        /* What it is told to write is written, wherever. */
        rig_fill(content, 0, 64 << 10);
        if (gzc_mount(uri, &rig.volume) == 0) {
            mounts++;
            use_directory(rig.volume);
            if (gzc_open(rig.volume, RIG_FILE, 2, 0, &rig.file) == 0) {
                files++;
                for (int i = 0; i < 20 && use_file(&rig, &own); i++)
                    ;
                gzc_close(rig.file);
            }
        }
        cr_assert_eq(gzc_unmount(rig.volume), 0);
    }
    gate_set_hook(gate, NULL, NULL);
    cr_log_info("%u mounts, %u files, %u lies in %u answers", mounts, files, liar.lies,
                liar.answers);
    cr_assert_gt(mounts, 0);
    cr_assert_gt(files, 0);
    cr_assert_gt(liar.lies, 10);
    cr_assert(gate_wait_closed(gate));
    gate_stop(gate);
    peer_stop(rig.peer);
}

Test(link_fuzz, with_windows, .timeout = 600)
{
    run("?reconnect_timeout=0&timeout=0.3&connect_timeout=0.5&rdma_credits=16");
}

/* A connection that breaks comes back. */
Test(link_fuzz, reconnecting, .timeout = 600)
{
    run("?reconnect_timeout=0.3&timeout=0.3&connect_timeout=0.5&rdma_credits=16");
}

Test(link_fuzz, trusted, .timeout = 600)
{
    run("?reconnect_timeout=0&timeout=0.3&connect_timeout=0.5&rdma_credits=16&rdma_trust=1");
}
