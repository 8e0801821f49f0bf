#include "store.h"

#include "proto/wire.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

/* Where the fields are that change: proto/iatt.h. */
enum { IATT_SIZE = 48, IATT_BLOCKS = 56, IATT_MTIME = 88, IATT_CTIME = 96 };
enum { IATT_MTIME_NSEC = 116, IATT_CTIME_NSEC = 120 };

#define NSEC_PER_SEC 1000000000
#define PAGE         UINT64_C(4096)

const gf_gfid store_root = {[GF_GFID_BYTES - 1] = 1};

static struct file files[STORE_FILES];
static int64_t generation;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void store_lock(void)
{
    pthread_mutex_lock(&lock);
}

void store_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

int64_t store_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (int64_t)now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void iatt_make(uint8_t out[IATT_BYTES], const uint8_t *gfid, uint32_t mode, uint32_t uid,
                      uint32_t gid, int64_t now)
{
    struct gf_iatt iatt = {
        .flags = 0x17ff, /* what a brick of release 10 sends: all but btime and the like */
        .ino = wire_get64(gfid + 8),
        .dev = 2049,
        .atime = now / NSEC_PER_SEC,
        .mtime = now / NSEC_PER_SEC,
        .ctime = now / NSEC_PER_SEC,
        .atime_nsec = (u_int)(now % NSEC_PER_SEC),
        .mtime_nsec = (u_int)(now % NSEC_PER_SEC),
        .ctime_nsec = (u_int)(now % NSEC_PER_SEC),
        .nlink = S_ISDIR(mode) ? 2 : 1,
        .uid = uid,
        .gid = gid,
        .blksize = 4096,
        .mode = mode,
    };
    XDR xdrs;
    memcpy(iatt.gfid, gfid, GF_GFID_BYTES);
    xdrmem_create(&xdrs, (char *)out, IATT_BYTES, XDR_ENCODE);
    xdr_gf_iatt(&xdrs, &iatt);
    xdr_destroy(&xdrs);
}

void store_root_iatt(uint8_t out[IATT_BYTES])
{
    iatt_make(out, store_root, S_IFDIR | 0755, 0, 0, store_now());
    wire_put64(out + IATT_SIZE, PAGE);
}

void store_iatt(struct file *file, uint8_t out[IATT_BYTES])
{
    uint64_t size = atomic_load_explicit(&file->size, memory_order_relaxed);
    int64_t mtime = atomic_load_explicit(&file->mtime, memory_order_relaxed);
    uint64_t seconds = (uint64_t)(mtime / NSEC_PER_SEC);
    uint32_t nsec = (uint32_t)(mtime % NSEC_PER_SEC);
    memcpy(out, file->iatt, IATT_BYTES);
    wire_put64(out + IATT_SIZE, size);
    wire_put64(out + IATT_BLOCKS, (size + 511) / 512);
    wire_put64(out + IATT_MTIME, seconds);
    wire_put64(out + IATT_CTIME, seconds);
    wire_put32(out + IATT_MTIME_NSEC, nsec);
    wire_put32(out + IATT_CTIME_NSEC, nsec);
}

/* ---- READ and WRITE -------------------------------------------------------------------------- */

static int64_t make_fd(unsigned index)
{
    return ++generation * STORE_FILES + index;
}

struct file *store_file(int64_t fd, const uint8_t gfid[GF_GFID_BYTES])
{
    if (fd == GF_FD_ANONYMOUS) {
        store_lock();
        struct file *file = store_by_gfid(gfid);
        store_unlock();
        return file;
    }
    struct file *file = &files[(uint64_t)fd % STORE_FILES];
    bool known = fd > 0 && atomic_load_explicit(&file->used, memory_order_acquire) &&
                 atomic_load_explicit(&file->fd, memory_order_relaxed) == fd;
    return known ? file : NULL;
}

void store_written(struct file *file, uint64_t offset, uint64_t size, int64_t now)
{
    uint64_t end = size ? offset + size : 0;
    uint64_t old = atomic_load_explicit(&file->size, memory_order_relaxed);
    while (end > old && !atomic_compare_exchange_weak(&file->size, &old, end))
        ;
    atomic_store_explicit(&file->mtime, now, memory_order_relaxed);
}

/* ---- names and lengths ----------------------------------------------------------------------- */

struct file *store_next(unsigned *at)
{
    while (*at < STORE_FILES) {
        struct file *file = &files[(*at)++];
        if (file->used && file->linked)
            return file;
    }
    return NULL;
}

struct file *store_by_name(const char *name)
{
    struct file *file;
    unsigned at = 0;
    while ((file = store_next(&at)) && strcmp(file->name, name) != 0)
        ;
    return file;
}

struct file *store_by_gfid(const uint8_t gfid[GF_GFID_BYTES])
{
    struct file *file;
    unsigned at = 0;
    while ((file = store_next(&at)) && memcmp(file->gfid, gfid, GF_GFID_BYTES) != 0)
        ;
    return file;
}

/* From @p size on nothing is left: pages are given back, the rest of the last one is cleared. */
static void forget(struct file *file, uint64_t size, uint64_t old)
{
    uint64_t whole = (size + PAGE - 1) & ~(PAGE - 1);
    if (old <= size)
        return;
    memset(file->memory + size, 0, whole - size);
    if (old > whole)
        madvise(file->memory + whole, old - whole, MADV_DONTNEED);
}

int store_create(const char *name, const uint8_t gfid[GF_GFID_BYTES], uint32_t mode, uint32_t uid,
                 uint32_t gid, struct file **out)
{
    unsigned index = 0;
    while (index < STORE_FILES && files[index].used)
        index++;
    if (index == STORE_FILES)
        return ENOSPC;
    struct file *file = &files[index];
    if (!file->memory) {
        void *memory = mmap(NULL, STORE_FILE_MAX, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
            return ENOMEM;
        file->memory = memory;
    }
    int64_t now = store_now();
    iatt_make(file->iatt, gfid, S_IFREG | (mode & 07777), uid, gid, now);
    memcpy(file->gfid, gfid, GF_GFID_BYTES);
    memcpy(file->name, name, strlen(name) + 1);
    file->linked = true;
    file->opens = 0;
    file->size = 0;
    file->mtime = now;
    file->fd = make_fd(index);
    atomic_store_explicit(&file->used, true, memory_order_release);
    *out = file;
    return 0;
}

int store_truncate(struct file *file, uint64_t size)
{
    if (size > STORE_FILE_MAX)
        return EFBIG;
    uint64_t old = atomic_exchange(&file->size, size);
    forget(file, size, old);
    file->mtime = store_now();
    return 0;
}

int store_fill(struct file *file)
{
    if (file->size == 0)
        return 0;
    madvise(file->memory, file->size, MADV_HUGEPAGE); /* where there are none, pages will do */
    if (madvise(file->memory, file->size, MADV_POPULATE_WRITE) < 0)
        return ENOMEM;
    for (uint64_t at = 0; at + sizeof(at) <= file->size; at += sizeof(at))
        memcpy(file->memory + at, &at, sizeof(at));
    return 0;
}

static void remove_unused(struct file *file)
{
    if (file->linked || file->opens)
        return;
    atomic_store_explicit(&file->used, false, memory_order_release);
    forget(file, 0, atomic_exchange(&file->size, 0));
}

void store_unlink(struct file *file)
{
    file->linked = false;
    remove_unused(file);
}

void store_open(struct file *file)
{
    file->opens++;
}

void store_release(struct file *file)
{
    if (file->opens)
        file->opens--;
    remove_unused(file);
}

void store_release_all(void)
{
    for (unsigned i = 0; i < STORE_FILES; i++) {
        files[i].opens = 0;
        if (files[i].used)
            remove_unused(&files[i]);
    }
}
