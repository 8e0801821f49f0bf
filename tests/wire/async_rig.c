#include "tests/wire/async_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define OTHER_BYTES 123456789 /* an offset whose pattern no test has in its file */

/* ---- operations ------------------------------------------------------------------------------ */

static size_t right_bytes(const struct guard *g, uint64_t offset)
{
    size_t n = 0;
    for (int i = 0; i < g->n; i++) {
        const uint8_t *p = g->iov[i].iov_base;
        for (size_t k = 0; k < g->iov[i].iov_len; k++, n++)
            if (p[k] != guard_pattern(offset + n))
                return n;
    }
    return n;
}

static void take_away(struct told *told)
{
    struct guard *g = told->memory;
    if (told->take == LEAVE_IT)
        return;
    guard_fill(g, OTHER_BYTES);
    if (told->take == REVOKE_IT)
        guard_revoke(g);
    else
        ASAN_POISON_MEMORY_REGION(g->map + g->page, g->map_size - 2 * g->page);
}

static void told_done(void *arg, ssize_t result, const char *error)
{
    struct told *told = arg;
    told->result = result;
    snprintf(told->error, sizeof(told->error), "%s", error);
    bool first = atomic_fetch_add(&told->count, 1) == 0;
    if (first && told->memory) {
        told->good = right_bytes(told->memory, told->offset);
        take_away(told);
    }
    if (told->then)
        told->then(told);
}

struct gzc_async told_how(struct told *told, unsigned timeout_ms)
{
    return (struct gzc_async){
        .done = told_done,
        .arg = told,
        .timeout_ns = (uint64_t)timeout_ms * 1000000,
    };
}

void told_read(struct rig *rig, struct told *told, unsigned timeout_ms)
{
    struct gzc_async how = told_how(told, timeout_ms);
    told->ticket =
        gzc_preadv_async(rig->file, told->memory->iov, told->memory->n, (off_t)told->offset, &how);
    cr_assert_gt(told->ticket, 0, "%lld", (long long)told->ticket);
}

void told_write(struct rig *rig, struct told *told, unsigned timeout_ms)
{
    struct gzc_async how = told_how(told, timeout_ms);
    told->ticket =
        gzc_pwritev_async(rig->file, told->memory->iov, told->memory->n, (off_t)told->offset, &how);
    cr_assert_gt(told->ticket, 0, "%lld", (long long)told->ticket);
}

void drive_until(struct rig *rig, atomic_uint *value, unsigned wanted)
{
    double end = rig_seconds() + PEER_PATIENCE_MS / 1e3;
    while (atomic_load(value) < wanted) {
        cr_assert_lt(rig_seconds(), end, "%u of %u", atomic_load(value), wanted);
        gzc_poll(rig->volume, 0, 1);
    }
}

void told_wait(struct rig *rig, struct told *told)
{
    drive_until(rig, &told->count, 1);
    cr_assert_eq(told->count, 1);
}

void told_expect(struct rig *rig, struct told *told, ssize_t result)
{
    told_wait(rig, told);
    cr_assert_eq(told->result, result, "%zd instead of %zd: %s", told->result, result, told->error);
    cr_assert_eq(result < 0, told->error[0] != '\0', "%zd: '%s'", result, told->error);
}

void told_memory(struct told *told)
{
    struct guard *g = told->memory;
    if (told->take == REVOKE_IT)
        guard_restore(g);
    else
        ASAN_UNPOISON_MEMORY_REGION(g->map + g->page, g->map_size - 2 * g->page);
    cr_assert(guard_intact(g), "memory around the iovec has changed");
    if (told->take != LEAVE_IT)
        cr_assert(guard_holds(g, OTHER_BYTES, g->total), "memory has changed after the end");
}

static void barrier_passed(void *arg, ssize_t result, const char *error)
{
    atomic_uint *passed = arg;
    cr_assert_eq(result, 0, "%zd %s", result, error);
    atomic_fetch_add(passed, 1);
}

void barrier(struct rig *rig, unsigned connections)
{
    atomic_uint passed = 0;
    struct stat st[16];
    for (unsigned i = 0; i < connections; i++) {
        const struct gzc_async how = {.done = barrier_passed, .arg = &passed};
        cr_assert_gt(gzc_fstat_async(rig->file, &st[i], &how), 0);
    }
    drive_until(rig, &passed, connections);
}

/* ---- replies that are kept back -------------------------------------------------------------- */

static bool is_kept(const struct peer_call *call)
{
    return peer_is_fop(call, PEER_READ) || peer_is_fop(call, PEER_WRITE) ||
           peer_is_fop(call, PEER_FSYNC) || peer_is_fop(call, PEER_FTRUNCATE);
}

bool late_hook(struct peer_call *call, void *arg)
{
    struct late *late = arg;
    if (!is_kept(call) || (late->pass && late->pass--))
        return false;
    unsigned n = atomic_load(&late->n);
    if (n == late->room) {
        late->room = n ? 2 * n : 16;
        late->kept = realloc(late->kept, late->room * sizeof(*late->kept));
        if (!late->kept)
            abort();
    }
    struct kept *k = &late->kept[n];
    *k = (struct kept){call->conn, call->proc, call->offset, late->cut, {0}};
    peer_execute(call, &k->reply);
    if (k->cut > k->reply.length)
        k->cut = k->reply.length - 1;
    peer_send(call->conn, k->reply.at, k->cut);
    if (k->cut && !peer_settle(call->conn))
        peer_complain(call->peer, "the beginning of a reply was not taken");
    atomic_store(&late->n, n + 1);
    return true;
}

static void send_rest(struct kept *k)
{
    if (k->reply.length)
        peer_send(k->conn, k->reply.at + k->cut, k->reply.length - k->cut);
    peer_record_free(&k->reply);
    k->reply = (struct peer_record){0};
}

void late_send(struct rig *rig, struct late *late, unsigned i)
{
    peer_lock(rig->peer);
    send_rest(&late->kept[i]);
    peer_unlock(rig->peer);
}

void late_send_all(struct rig *rig, struct late *late)
{
    peer_lock(rig->peer);
    for (unsigned i = 0; i < late->n; i++)
        send_rest(&late->kept[i]);
    peer_unlock(rig->peer);
}

void late_free(struct late *late)
{
    for (unsigned i = 0; i < late->n; i++)
        peer_record_free(&late->kept[i].reply);
    free(late->kept);
}

/* ---- a peer that does not read --------------------------------------------------------------- */

void take_some(struct rig *rig, size_t n)
{
    double end = rig_seconds() + PEER_PATIENCE_MS / 1e3;
    while (n) {
        cr_assert_lt(rig_seconds(), end, "%zu bytes have not come", n);
        peer_lock(rig->peer);
        n -= peer_take(peer_latest(rig->peer), n);
        peer_unlock(rig->peer);
        gzc_poll(rig->volume, 0, 1);
    }
}

/* ---- what has come --------------------------------------------------------------------------- */
