/*
 * Registered memory.
 *
 *   get --hit------------------------------------------------------------> region
 *    \--miss: room is made --> watched --> ibv_reg_mr --> CACHED --------> region
 *                                  \ cannot be watched, or no room: ONCE > region --put--> gone
 *
 *   CACHED --evicted, stale, absorbed--> RETIRED --no reference left--> gone
 *
 * Cached regions are whole pages. None contains another: in the order of their starts they are in
 * the order of their ends, too. So if any contains [start, end), it is the last one that starts at
 * or before `start`: it has the largest end of those. That makes a hit a binary search.
 *
 *      |--------|
 *           |----------|        they may overlap, though
 *                  |------|
 *
 * What a miss touches is *absorbed*: the new region is registered for all of it, which is known to
 * be mapped. Else a pool of small buffers would take as many regions, and a window that slides over
 * memory a region for each position. But each absorbed page is registered again. So only regions
 * are absorbed that are no larger than what has been gathered so far, as in a binary counter: a
 * page is registered again when its region has about doubled, and n misses in a row cost n log n.
 * Those up to ABSORB_SMALL cost hardly more than the system call and always go.
 *
 * A region that is retired is never found again, and is deregistered with its last reference;
 * what the watcher retires is deregistered by the next caller of any function here, since the
 * watcher itself must not free; a descriptor tells whoever sleeps. System calls that may wait are
 * made without the lock.
 *
 * A hit needs watch_settled() (watch.c says why), one short system call. Pinned memory needs none.
 */
#include "transport/rdma/memory.h"

#include "transport/rdma/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define REGIONS      4096
#define ABSORB_SMALL ((size_t)1 << 20)
#define ABSORB_MOST  ((size_t)64 << 20)

struct rdma_memory {
    struct watch_user user; /* first; its lock is this cache's */
    struct ibv_pd *pd;
    int access;
    bool cache;
    struct rdma_memory_limits limits;
    size_t page;
    struct index cached;
    struct rdma_region unused;   /* head of the list of cached ones, least recently used first */
    struct rdma_region *retired; /* without references, to be deregistered */
    int word;        /* eventfd, readable when the watcher has added to them; -1: none */
    bool told;       /* it is readable */
    unsigned coming; /* regions that are being registered for the cache */
    struct rdma_memory_counters count;

    pthread_mutex_t pinning; /* pin and unpin, one at a time; taken before the other lock */
    struct index pins;       /* these may contain each other */
    size_t longest;          /* pin ever */
    size_t pinned;           /* bytes */
};

static size_t size_of(const struct rdma_region *r)
{
    return r->end - r->start;
}

/* ---- finding --------------------------------------------------------------------------------- */

static struct rdma_region *find_cached(const struct rdma_memory *m, uintptr_t start, uintptr_t end)
{
    unsigned i = index_upto(&m->cached, start);
    return i && m->cached.regions[i - 1]->end >= end ? m->cached.regions[i - 1] : NULL;
}

static struct rdma_region *find_pinned(const struct rdma_memory *m, uintptr_t start, uintptr_t end)
{
    for (unsigned i = index_upto(&m->pins, start); i; i--) {
        struct rdma_region *r = m->pins.regions[i - 1];
        if (r->end >= end)
            return r;
        if (end - r->start > m->longest)
            break;
    }
    return NULL;
}

/* ---- the cache, under its lock --------------------------------------------------------------- */

static void unused_add(struct rdma_memory *m, struct rdma_region *r)
{
    r->next = &m->unused;
    r->previous = m->unused.previous;
    r->previous->next = m->unused.previous = r;
}

static void unused_remove(struct rdma_region *r)
{
    r->previous->next = r->next;
    r->next->previous = r->previous;
}

/* Takes a region out of the cache. */
static void retire(struct rdma_memory *m, struct rdma_region *r)
{
    index_remove(&m->cached, r);
    m->count.bytes -= size_of(r);
    r->state = REGION_RETIRED;
    if (r->references)
        return;
    unused_remove(r);
    r->next = m->retired;
    m->retired = r;
}

static void memory_stale(struct watch_user *user, struct watch *watch)
{
    struct rdma_memory *m = (struct rdma_memory *)user;
    struct rdma_region *r =
        (struct rdma_region *)((char *)watch - offsetof(struct rdma_region, watch));
    m->count.invalidations += r->state == REGION_CACHED || r->state == REGION_NEW;
    if (r->state != REGION_CACHED)
        return;
    retire(m, r);
    if (m->retired && !m->told)
        m->told = eventfd_write(m->word, 1) == 0;
}

/* Evicts until there is room for one more of `bytes`, which are within the limit. */
static bool make_room(struct rdma_memory *m, size_t bytes)
{
    while (m->count.bytes > m->limits.bytes - bytes ||
           m->cached.n + m->coming >= m->limits.regions) {
        if (m->unused.next == &m->unused)
            return false;
        retire(m, m->unused.next);
        m->count.evictions++;
    }
    return true;
}

static bool evict_all(struct rdma_memory *m)
{
    bool any = m->unused.next != &m->unused || m->retired;
    while (m->unused.next != &m->unused) {
        retire(m, m->unused.next);
        m->count.evictions++;
    }
    return any;
}

static bool touches(const struct rdma_region *r, const struct rdma_region *other)
{
    return r->start <= other->end && other->start <= r->end;
}

/* Extends a new region over those that it touches, and retires those that it then contains. */
static void absorb(struct rdma_memory *m, struct rdma_region *new)
{
    size_t most = m->limits.bytes / 2 < ABSORB_MOST ? m->limits.bytes / 2 : ABSORB_MOST;
    bool more = true;
    while (more) {
        more = false;
        for (unsigned i = index_upto(&m->cached, new->end); i; i--) {
            struct rdma_region *r = m->cached.regions[i - 1];
            if (!touches(r, new))
                break; /* earlier ones end earlier */
            uintptr_t start = r->start < new->start ? r->start : new->start;
            uintptr_t end = r->end > new->end ? r->end : new->end;
            size_t gathered = size_of(new) > ABSORB_SMALL ? size_of(new) : ABSORB_SMALL;
            if (end - start != size_of(new) && (size_of(r) > gathered || end - start > most))
                continue;
            more |= end - start != size_of(new);
            new->start = start;
            new->end = end;
            retire(m, r);
        }
    }
}

/* ---- registering, without the lock ----------------------------------------------------------- */

static void destroy(struct rdma_region *r)
{
    watch_remove(&r->watch);
    if (r->mr)
        ibv_dereg_mr(r->mr);
    free(r);
}

static void destroy_all(struct rdma_region *list)
{
    while (list) {
        struct rdma_region *r = list;
        list = r->next;
        destroy(r);
    }
}

static struct rdma_region *unlock(struct rdma_memory *m)
{
    struct rdma_region *retired = m->retired;
    eventfd_t n;
    m->retired = NULL;
    if (m->told)
        eventfd_read(m->word, &n);
    m->told = false;
    pthread_mutex_unlock(&m->user.lock);
    return retired;
}

static void unlock_and_reap(struct rdma_memory *m)
{
    destroy_all(unlock(m));
}

/* @return 0 or -errno without text. */
static int region_register(struct rdma_memory *m, struct rdma_region *r, int access)
{
    bool again;
    do {
        r->mr = ibv_reg_mr(m->pd, (void *)r->start, size_of(r), access);
        int err = r->mr ? 0 : errno;
        again = false;
        pthread_mutex_lock(&m->user.lock);
        m->count.registrations += err == 0;
        if (err == ENOMEM)
            again = evict_all(m);
        unlock_and_reap(m);
        if (err && !again)
            return -err;
    } while (again);
    r->access = access;
    return 0;
}

static int no_memory(struct rdma_memory *m, size_t length, struct errtext *why)
{
    struct rlimit limit;
    pthread_mutex_lock(&m->user.lock);
    size_t held = m->count.bytes + m->pinned;
    pthread_mutex_unlock(&m->user.lock);
    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return errtext_set(why, ENOMEM,
                           "registering %zu bytes with RDMA device %s: out of memory, or of the "
                           "device's resources; %zu bytes are registered already",
                           length, ibv_get_device_name(m->pd->context->device), held);
    return errtext_set(why, ENOMEM,
                       "registering %zu bytes with RDMA device %s: the limit on locked memory is "
                       "%llu bytes, of which libgzc holds %zu here; raise it (ulimit -l, or "
                       "LimitMEMLOCK= in a systemd unit)",
                       length, ibv_get_device_name(m->pd->context->device),
                       (unsigned long long)limit.rlim_cur, held);
}

static int refused(struct rdma_memory *m, const struct rdma_region *r, bool writable, int rc,
                   struct errtext *why)
{
    if (rc == -ENOMEM)
        return no_memory(m, size_of(r), why);
    return errtext_set(why, rc, "registering %zu bytes at %p with RDMA device %s: %s", size_of(r),
                       (void *)r->start, ibv_get_device_name(m->pd->context->device),
                       rc != -EFAULT ? errtext_errno(rc)
                       : writable    ? "not mapped, not writable, or of a file"
                                     : "not mapped, or of a file");
}

/* For one use: exactly what was asked for. */
static int register_once(struct rdma_memory *m, struct rdma_region *r, bool writable,
                         struct errtext *why)
{
    int rc = region_register(m, r, m->access | IBV_ACCESS_LOCAL_WRITE);
    if (rc == -EFAULT && !writable) /* binding a window counts as writing */
        rc = region_register(m, r, IBV_ACCESS_REMOTE_READ);
    if (rc < 0)
        return refused(m, r, writable, rc, why);
    pthread_mutex_lock(&m->user.lock);
    m->count.uncached++;
    pthread_mutex_unlock(&m->user.lock);
    return 0;
}

/* Puts a region that has been registered into the cache, unless something has come between. */
static void enter(struct rdma_memory *m, struct rdma_region *r)
{
    pthread_mutex_lock(&m->user.lock);
    m->coming--;
    if (!r->watch.live || find_cached(m, r->start, r->end)) {
        m->count.bytes -= size_of(r);
        m->count.uncached++;
        r->state = REGION_RETIRED;
    } else {
        for (unsigned i = index_upto(&m->cached, r->end - 1); i; i--) {
            struct rdma_region *other = m->cached.regions[i - 1];
            if (other->start < r->start)
                break;
            if (other->end <= r->end)
                retire(m, other);
        }
        r->state = REGION_CACHED;
        index_insert(&m->cached, r);
    }
    unlock_and_reap(m);
}

/* @return whether the region, watched, registered and with a reference, is or was in the cache. */
static bool register_cached(struct rdma_memory *m, struct rdma_region *r)
{
    uintptr_t start = r->start, end = r->end;
    r->start = start / m->page * m->page;
    r->end = (end + m->page - 1) / m->page * m->page;
    pthread_mutex_lock(&m->user.lock);
    bool room = r->end > r->start && size_of(r) <= m->limits.bytes;
    if (room) {
        absorb(m, r);
        room = make_room(m, size_of(r));
    }
    if (room) {
        m->count.bytes += size_of(r);
        m->coming++;
        r->state = REGION_NEW;
    }
    unlock_and_reap(m);
    if (room && watch_add(&r->watch, &m->user, r->start, r->end) == 0 &&
        region_register(m, r, m->access | IBV_ACCESS_LOCAL_WRITE) == 0) {
        enter(m, r);
        return true;
    }
    watch_remove(&r->watch);
    pthread_mutex_lock(&m->user.lock);
    if (room) {
        m->count.bytes -= size_of(r);
        m->coming--;
    }
    pthread_mutex_unlock(&m->user.lock);
    r->state = REGION_ONCE;
    r->start = start;
    r->end = end;
    return false;
}

/* ---- get and put ----------------------------------------------------------------------------- */

static int check_range(const void *address, size_t length, struct errtext *why)
{
    if (length == 0 || (uintptr_t)address + length < length)
        return errtext_set(why, EINVAL, "%zu bytes at %p cannot be registered", length, address);
    return 0;
}

static struct rdma_region *region_new(const void *address, size_t length, struct errtext *why)
{
    struct rdma_region *r = calloc(1, sizeof(*r));
    if (!r) {
        errtext_set(why, ENOMEM, "no memory");
        return NULL;
    }
    r->start = (uintptr_t)address;
    r->end = r->start + length;
    r->references = 1;
    return r;
}

static struct rdma_region *get_registered(struct rdma_memory *m, uintptr_t start, uintptr_t end,
                                          bool *settled)
{
    struct rdma_region *r = find_pinned(m, start, end);
    if (!r) {
        *settled = m->cache && watch_settled();
        if (*settled)
            r = find_cached(m, start, end);
    }
    if (r) {
        if (r->references++ == 0)
            unused_remove(r);
        m->count.hits++;
    }
    return r;
}

int rdma_memory_get(struct rdma_memory *m, const void *address, size_t length, bool writable,
                    struct rdma_region **region, struct errtext *why)
{
    uintptr_t start = (uintptr_t)address;
    bool settled = false;
    int rc = check_range(address, length, why);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&m->user.lock);
    *region = get_registered(m, start, start + length, &settled);
    struct rdma_region *retired = unlock(m);
    if (retired)
        destroy_all(retired);
    if (*region)
        return 0;
    struct rdma_region *r = region_new(address, length, why);
    if (!r)
        return -ENOMEM;
    if (!settled || !register_cached(m, r))
        rc = register_once(m, r, writable, why);
    if (rc < 0) {
        free(r);
        return rc;
    }
    *region = r;
    return 0;
}

void rdma_memory_put(struct rdma_memory *m, struct rdma_region *r)
{
    pthread_mutex_lock(&m->user.lock);
    if (--r->references == 0) {
        if (r->state == REGION_CACHED) {
            unused_add(m, r);
        } else {
            r->next = m->retired;
            m->retired = r;
        }
    }
    struct rdma_region *retired = unlock(m);
    if (retired)
        destroy_all(retired);
}

/* ---- pins ------------------------------------------------------------------------------------ */

/* Under `pinning`. */
static int pins_grow(struct rdma_memory *m)
{
    unsigned room = m->pins.room ? 2 * m->pins.room : 16;
    if (m->pins.n < m->pins.room)
        return 0;
    struct rdma_region **more = malloc(room * sizeof(struct rdma_region *)), **old;
    if (!more)
        return -ENOMEM;
    pthread_mutex_lock(&m->user.lock);
    old = m->pins.regions;
    if (m->pins.n)
        memcpy(more, old, m->pins.n * sizeof(struct rdma_region *));
    m->pins.regions = more;
    m->pins.room = room;
    pthread_mutex_unlock(&m->user.lock);
    free(old);
    return 0;
}

int rdma_memory_pin(struct rdma_memory *m, const void *address, size_t length, struct errtext *why)
{
    int rc = check_range(address, length, why);
    struct rdma_region *r = rc ? NULL : region_new(address, length, why);
    if (!r)
        return rc ? rc : -ENOMEM;
    r->state = REGION_PINNED;
    rc = region_register(m, r, m->access | IBV_ACCESS_LOCAL_WRITE);
    if (rc < 0) {
        refused(m, r, true, rc, why);
        free(r);
        return rc;
    }
    pthread_mutex_lock(&m->pinning);
    rc = pins_grow(m);
    if (rc == 0) {
        pthread_mutex_lock(&m->user.lock);
        index_insert(&m->pins, r);
        m->pinned += length;
        if (length > m->longest)
            m->longest = length;
        pthread_mutex_unlock(&m->user.lock);
    }
    pthread_mutex_unlock(&m->pinning);
    if (rc < 0) {
        destroy(r);
        return errtext_set(why, ENOMEM, "no memory");
    }
    return 0;
}

int rdma_memory_unpin(struct rdma_memory *m, const void *address, size_t length)
{
    uintptr_t start = (uintptr_t)address;
    struct rdma_region *r = NULL;
    pthread_mutex_lock(&m->pinning);
    pthread_mutex_lock(&m->user.lock);
    for (unsigned i = index_upto(&m->pins, start); i; i--) {
        r = m->pins.regions[i - 1];
        if (r->start != start || size_of(r) == length)
            break;
    }
    bool found = r && r->start == start && size_of(r) == length;
    if (found) {
        index_remove(&m->pins, r);
        m->pinned -= length;
    }
    pthread_mutex_unlock(&m->user.lock);
    pthread_mutex_unlock(&m->pinning);
    if (!found)
        return -ENOENT;
    rdma_memory_put(m, r);
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

void rdma_memory_reap(struct rdma_memory *m)
{
    pthread_mutex_lock(&m->user.lock);
    unlock_and_reap(m);
}

int rdma_memory_fd(const struct rdma_memory *m)
{
    return m->word;
}

void rdma_memory_count(struct rdma_memory *m, struct rdma_memory_counters *counters)
{
    pthread_mutex_lock(&m->user.lock);
    *counters = m->count;
    counters->regions = m->cached.n;
    pthread_mutex_unlock(&m->user.lock);
}

uint64_t rdma_memory_registrations(struct rdma_memory *m)
{
    pthread_mutex_lock(&m->user.lock);
    uint64_t n = m->count.registrations;
    pthread_mutex_unlock(&m->user.lock);
    return n;
}

int rdma_memory_new(struct ibv_pd *pd, int access, const struct rdma_memory_limits *limits,
                    struct rdma_memory **out, struct errtext *why)
{
    unsigned regions = limits->regions ? limits->regions : REGIONS;
    struct rdma_memory *m = calloc(1, sizeof(*m));
    struct rdma_region **index = calloc(regions, sizeof(struct rdma_region *));
    *out = m;
    if (!m || !index) {
        free(m);
        free(index);
        *out = NULL;
        return errtext_set(why, ENOMEM, "no memory");
    }
    m->user.stale = memory_stale;
    m->pd = pd;
    m->access = access;
    m->limits = (struct rdma_memory_limits){limits->bytes, regions};
    m->page = (size_t)sysconf(_SC_PAGESIZE);
    m->cached = (struct index){.regions = index, .room = regions};
    m->unused.next = m->unused.previous = &m->unused;
    pthread_mutex_init(&m->user.lock, NULL);
    pthread_mutex_init(&m->pinning, NULL);
    m->word = limits->bytes ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    m->cache = m->word >= 0 && watch_open(&m->user, regions, NULL) == 0;
    return 0;
}

void rdma_memory_free(struct rdma_memory *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->user.lock);
    while (m->cached.n)
        retire(m, m->cached.regions[m->cached.n - 1]);
    unlock_and_reap(m);
    for (unsigned i = 0; i < m->pins.n; i++)
        destroy(m->pins.regions[i]);
    if (m->cache)
        watch_close(&m->user);
    if (m->word >= 0)
        close(m->word);
    pthread_mutex_destroy(&m->user.lock);
    pthread_mutex_destroy(&m->pinning);
    free(m->pins.regions);
    free(m->cached.regions);
    free(m);
}
