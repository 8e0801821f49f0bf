/*
 * transfer.c - moves one file through a client library and says what it took.
 *
 * One call at a time is outstanding; payload cycles through page-aligned memory, which is one block
 * unless told otherwise. Making data and hashing it are outside of what is timed; the hash is of
 * the very bytes that the timed calls moved. Results are lines "name=value" on standard output.
 */
#include "api.h"
#include "numbers.h"
#include "seen.h"
#include "span.h"
#include "tests/fault/interpose.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    WARM_UP = 1000,   /* calls before the clocks of `random` start */
    SMALL_READ = 4096 /* what `mount` reads */
};

struct job {
    const char *target;
    const char *path;
    uint64_t size;
    uint64_t block;
    uint64_t count;
    uint64_t seed;
    uint64_t memory;
    unsigned char *pool;
    uint64_t slots; /* blocks that fit into the pool */
    struct span span;
    struct api_volume *volume;
    struct api_file *file;
};

static int complain(const char *what, int rc)
{
    fprintf(stderr, "%s: %s: %s\n", api_name, what, strerror(-rc));
    return rc;
}

static void pool_fill(const struct job *job)
{
    uint64_t state = job->seed;
    for (size_t i = 0; i < job->memory; i += sizeof(state)) {
        uint64_t word = next_random(&state);
        memcpy(job->pool + i, &word, sizeof(word));
    }
}

static unsigned char *slot(const struct job *job, uint64_t block)
{
    return job->pool + block % job->slots * job->block;
}

/* The content of a file's block: its slot of the pool with the block's number in front, so that no
 * two blocks are alike and one in another's place changes the hash. */
static unsigned char *block_make(const struct job *job, uint64_t block)
{
    unsigned char *p = slot(job, block);
    memcpy(p, &block, sizeof(block));
    return p;
}

static size_t block_length(const struct job *job, uint64_t block)
{
    uint64_t left = job->size - block * job->block;
    return left < job->block ? left : job->block;
}

static uint64_t block_count(const struct job *job)
{
    return (job->size + job->block - 1) / job->block;
}

static void print_hash(EVP_MD_CTX *hash)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    EVP_DigestFinal_ex(hash, digest, &n);
    printf("sha256=");
    for (unsigned i = 0; i < n; i++)
        printf("%02x", digest[i]);
    printf("\n");
}

/* What was moved, what it took, and where it went: by the library's own count, and as seen from
 * outside if the interposer is there. */
static int print_span(const struct job *job, uint64_t calls, uint64_t bytes, int direction)
{
    uint64_t landed, staged, seen;
    int rc = api_bytes(job->volume, &landed, &staged);

    printf("calls=%lu\nbytes=%lu\n", calls, bytes);
    printf("wall=%.6f\nuser=%.6f\nsystem=%.6f\ncpu=%.6f\n", job->span.wall, job->span.user,
           job->span.system, job->span.cpu);
    if (rc == 0)
        printf("landed=%lu\nstaged=%lu\n", landed, staged);
    if (seen_bytes(job->pool, job->memory, direction, &seen) == 0)
        printf("seen=%lu\n", seen);
    return rc == -ENOTSUP ? 0 : rc;
}

static int do_write(struct job *job)
{
    EVP_MD_CTX *hash;
    uint64_t blocks = block_count(job);
    int rc = api_open(job->volume, job->path, O_RDWR | O_CREAT | O_TRUNC, &job->file);

    if (rc < 0)
        return complain("open", rc);
    pool_fill(job);

    span_start(&job->span);
    for (uint64_t b = 0; b < blocks; b++) {
        size_t n = block_length(job, b);
        ssize_t done = api_pwrite(job->file, block_make(job, b), n, (off_t)(b * job->block));
        if (done != (ssize_t)n)
            return complain("write", done < 0 ? (int)done : -EIO);
    }
    /* A library that writes behind has not written yet; closing makes it. */
    rc = api_close(job->file);
    span_stop(&job->span);
    job->file = NULL;
    if (rc < 0)
        return complain("close", rc);

    hash = EVP_MD_CTX_new();
    EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    for (uint64_t b = 0; b < blocks; b++)
        EVP_DigestUpdate(hash, block_make(job, b), block_length(job, b));
    print_hash(hash);
    EVP_MD_CTX_free(hash);
    return print_span(job, blocks, job->size, INTERPOSE_SENT);
}

static int do_read(struct job *job)
{
    EVP_MD_CTX *hash;
    uint64_t blocks = block_count(job);
    int rc = api_open(job->volume, job->path, O_RDONLY, &job->file);

    if (rc < 0)
        return complain("open", rc);
    hash = EVP_MD_CTX_new();
    EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    /* The clocks run while the memory is filled, and stand still while it is hashed. */
    for (uint64_t first = 0, end; first < blocks; first = end) {
        end = first + job->slots < blocks ? first + job->slots : blocks;
        span_start(&job->span);
        for (uint64_t b = first; b < end; b++) {
            size_t n = block_length(job, b);
            ssize_t done = api_pread(job->file, slot(job, b), n, (off_t)(b * job->block));
            if (done != (ssize_t)n)
                return complain("read", done < 0 ? (int)done : -EIO);
        }
        span_stop(&job->span);
        for (uint64_t b = first; b < end; b++)
            EVP_DigestUpdate(hash, slot(job, b), block_length(job, b));
    }
    print_hash(hash);
    EVP_MD_CTX_free(hash);
    return print_span(job, blocks, job->size, INTERPOSE_RECEIVED);
}

static int do_random(struct job *job)
{
    uint64_t state = job->seed, blocks = job->size / job->block;
    int rc = api_open(job->volume, job->path, O_RDONLY, &job->file);

    if (rc < 0)
        return complain("open", rc);
    for (uint64_t i = 0; i < WARM_UP + job->count; i++) {
        uint64_t b = next_random(&state) % blocks;
        if (i == WARM_UP)
            span_start(&job->span);
        ssize_t done = api_pread(job->file, slot(job, i), job->block, (off_t)(b * job->block));
        if (done != (ssize_t)job->block)
            return complain("read", done < 0 ? (int)done : -EIO);
    }
    span_stop(&job->span);
    return print_span(job, job->count, job->count * job->block, INTERPOSE_RECEIVED);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What a program pays that wants 4 KiB of a file: the median of each step, and of the sum. */
static int do_mount(struct job *job)
{
    enum { MOUNT, OPEN, READ, CLOSE, UNMOUNT, STEPS, TOTAL = STEPS };
    static const char *const names[] = {"mount", "open", "read", "close", "unmount", "total"};
    double *times = calloc((STEPS + 1) * job->count, sizeof(*times));
    int rc = times ? 0 : -ENOMEM;

    for (uint64_t i = 0; rc == 0 && i < job->count; i++) {
        struct api_volume *volume;
        struct api_file *file;
        double clock[STEPS + 1];
        ssize_t n;

        clock[MOUNT] = span_clock(CLOCK_MONOTONIC);
        if ((rc = api_mount(job->target, &volume)) < 0)
            return complain("mount", rc);
        clock[OPEN] = span_clock(CLOCK_MONOTONIC);
        if ((rc = api_open(volume, job->path, O_RDONLY, &file)) < 0)
            return complain("open", rc);
        clock[READ] = span_clock(CLOCK_MONOTONIC);
        if ((n = api_pread(file, job->pool, SMALL_READ, 0)) != SMALL_READ)
            return complain("read", n < 0 ? (int)n : -EIO);
        clock[CLOSE] = span_clock(CLOCK_MONOTONIC);
        if ((rc = api_close(file)) < 0)
            return complain("close", rc);
        clock[UNMOUNT] = span_clock(CLOCK_MONOTONIC);
        /* The result is not checked: libgfapi reports frames it has leaked as a failure. */
        api_unmount(volume);
        clock[STEPS] = span_clock(CLOCK_MONOTONIC);

        for (int step = 0; step < STEPS; step++)
            times[(uint64_t)step * job->count + i] = clock[step + 1] - clock[step];
        times[TOTAL * job->count + i] = clock[STEPS] - clock[MOUNT];
    }
    for (int step = 0; rc == 0 && step <= TOTAL; step++) {
        double *row = times + (uint64_t)step * job->count;
        qsort(row, job->count, sizeof(*row), by_value);
        printf("%s=%.6f\n", names[step], row[job->count / 2]);
    }
    free(times);
    return rc;
}

/* A volume for the modes that measure transfer, not mounting. It is left to the end of the process:
 * libgfapi's way of unmounting takes ten seconds, and `mount` measures it. */
static int on_volume(struct job *job, int (*work)(struct job *))
{
    int rc = api_mount(job->target, &job->volume);

    if (rc < 0)
        return complain("mount", rc);
    if ((rc = work(job)) < 0)
        return rc;
    if (job->file && (rc = api_close(job->file)) < 0)
        return complain("close", rc);
    return 0;
}

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s write|read|random|mount TARGET [option...]\n\n"
            "Moves a file through %s, one call outstanding, and prints what it took.\n\n"
            "  write    writes the file from its start, and closes it\n"
            "  read     reads it from its start\n"
            "  random   reads blocks at random offsets\n"
            "  mount    mount, open, read 4 KiB, close, unmount: the medians\n\n"
            "  TARGET          %s\n"
            "  --path PATH     file on the volume                (default /transfer)\n"
            "  --size BYTES    of the file; K, M, G may follow   (default 1G)\n"
            "  --block BYTES   of one call                       (default 1M; random 4K)\n"
            "  --memory BYTES  that payload cycles through       (default one block)\n"
            "  --count N       calls of random, mounts of mount  (default 200000; 20)\n"
            "  --seed N        of content and offsets            (default 1)\n",
            program, api_name,
            strcmp(api_name, "libgzc") == 0 ? "URI of the volume" : "path of a client volfile");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*work)(struct job *);
        uint64_t block;
        uint64_t count;
    } modes[] = {
        {"write", do_write, 1 << 20, 1},
        {"read", do_read, 1 << 20, 1},
        {"random", do_random, 4096, 200000},
        {"mount", do_mount, 1 << 20, 20},
    };
    static const struct option options[] = {
        {"path", required_argument, NULL, 'p'},
        {"size", required_argument, NULL, 's'},
        {"block", required_argument, NULL, 'b'},
        {"count", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 'S'},
        {"memory", required_argument, NULL, 'm'},
        {0},
    };
    struct job job = {.path = "/transfer", .size = 1 << 30, .seed = 1};
    size_t mode = 0, n_modes = sizeof(modes) / sizeof(modes[0]);
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool ok = true;
        switch (c) {
        case 'p':
            job.path = optarg;
            break;
        case 's':
            ok = parse_number(optarg, &job.size);
            break;
        case 'b':
            ok = parse_number(optarg, &job.block);
            break;
        case 'c':
            ok = parse_number(optarg, &job.count);
            break;
        case 'S':
            ok = parse_number(optarg, &job.seed);
            break;
        case 'm':
            ok = parse_number(optarg, &job.memory);
            break;
        default:
            ok = false;
        }
        if (!ok)
            return usage(argv[0]);
    }
    if (argc - optind != 2)
        return usage(argv[0]);
    while (mode < n_modes && strcmp(argv[optind], modes[mode].name) != 0)
        mode++;
    if (mode == n_modes)
        return usage(argv[0]);
    job.target = argv[optind + 1];
    if (!job.block)
        job.block = modes[mode].block;
    if (!job.count)
        job.count = modes[mode].count;
    if (!job.memory)
        job.memory = job.block;
    if (job.block > job.memory || job.block < sizeof(uint64_t) || job.size < job.block)
        return usage(argv[0]);
    job.slots = job.memory / job.block;

    job.pool = mmap(NULL, job.memory, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (job.pool == MAP_FAILED) {
        complain("mmap", -errno);
        return 1;
    }
    printf("api=%s\nmode=%s\nblock=%lu\n", api_name, modes[mode].name, job.block);
    return (modes[mode].work == do_mount ? do_mount(&job) : on_volume(&job, modes[mode].work)) < 0;
}
