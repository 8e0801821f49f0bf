/*
 * load.c - one case of the comparison: reads or writes on one file through one client, for a time,
 * and what that took.
 *
 * Workers are threads. With one request each they use the client's blocking call; with more, each
 * keeps its share of requests under way: whoever is told of one that is over begins the next in its
 * place. The clocks run after a warm-up, from one moment to another, while the load goes on: what
 * starting and stopping cost is not in them. Results are lines "name=value" on standard output.
 */
#include "client.h"
#include "histogram.h"
#include "numbers.h"
#include "span.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct load {
    const char *where, *path;
    bool write, random;
    int spin;
    unsigned depth, threads;
    uint64_t block, size, seed;
    double seconds, warm_up;
    bool measuring, stopping; /* read by the workers: atomic */
    pthread_barrier_t opened; /* by all workers; main waits, too */
};

struct worker {
    struct load *load;
    pthread_t thread;
    struct client_file *file;
    struct request *requests;
    unsigned char *memory;
    unsigned depth;
    uint64_t first, blocks; /* of the file: this worker's part, if the pattern is sequential */
    uint64_t next, state;   /* atomic: of one worker's requests several may end at once */
    unsigned left;          /* requests under way: atomic */
    bool done;
    uint64_t calls; /* atomic */
    struct histogram latency;
};

/* Most clients count no system calls, and have no process that works for them. */
__attribute__((weak)) int client_syscalls(uint64_t *sends, uint64_t *receives, uint64_t *waits)
{
    (void)sends, (void)receives, (void)waits;
    return -ENOTSUP;
}

__attribute__((weak)) void client_elsewhere(double *cpu, uint64_t *switches)
{
    *cpu = 0;
    *switches = 0;
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void request_make(struct worker *w, struct request *r)
{
    const struct load *load = w->load;
    uint64_t block = load->random
                         ? next_random(&w->state) % (load->size / load->block)
                         : w->first + __atomic_fetch_add(&w->next, 1, __ATOMIC_RELAXED) % w->blocks;
    r->offset = (off_t)(block * load->block);
    r->begun = now();
}

static _Noreturn void fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s: %s\n", client_name, what, strerror(error));
    _exit(1); /* other threads go on meanwhile */
}

static void request_account(struct worker *w, const struct request *r)
{
    if (r->result != (ssize_t)r->length)
        fail(r->write ? "write" : "read", r->result < 0 ? (int)-r->result : EIO);
    __atomic_add_fetch(&w->calls, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&w->load->measuring, __ATOMIC_RELAXED))
        histogram_add(&w->latency, now() - r->begun);
}

void load_complete(struct client_file *file, struct request *r)
{
    struct worker *w = r->worker;
    request_account(w, r);
    if (!__atomic_load_n(&w->load->stopping, __ATOMIC_RELAXED)) {
        request_make(w, r);
        client_submit(file, &r, 1);
    } else if (__atomic_sub_fetch(&w->left, 1, __ATOMIC_ACQ_REL) == 0) {
        __atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
    }
}

static void run_blocking(struct worker *w)
{
    struct request *r = w->requests;
    while (!__atomic_load_n(&w->load->stopping, __ATOMIC_RELAXED)) {
        request_make(w, r);
        client_transfer(w->file, r);
        request_account(w, r);
    }
}

static void run_asynchronous(struct worker *w)
{
    struct request **all = calloc(w->depth, sizeof(struct request *));
    if (!all)
        fail("memory", ENOMEM);
    for (unsigned i = 0; i < w->depth; i++) {
        all[i] = &w->requests[i];
        request_make(w, all[i]);
    }
    w->left = w->depth;
    client_submit(w->file, all, w->depth);
    client_drive(w->file, &w->done);
    free(all);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    int rc = client_open(w->load->path, w->load->write, &w->file);
    if (rc < 0)
        fail("open", -rc);
    pthread_barrier_wait(&w->load->opened);
    if (w->depth == 1)
        run_blocking(w);
    else
        run_asynchronous(w);
    client_close(w->file);
    return NULL;
}

static void worker_init(struct worker *w, struct load *load, unsigned index)
{
    uint64_t blocks = load->size / load->block;
    *w = (struct worker){
        .load = load,
        .depth = load->depth / load->threads,
        .first = blocks / load->threads * index,
        .blocks = blocks / load->threads,
        .state = load->seed + index * 1000003,
    };
    w->requests = calloc(w->depth, sizeof(*w->requests));
    w->memory = mmap(NULL, w->depth * load->block, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (!w->requests || w->memory == MAP_FAILED)
        fail("memory", ENOMEM);
    for (unsigned i = 0; i < w->depth; i++) {
        w->requests[i].worker = w;
        w->requests[i].buffer = w->memory + i * load->block;
        w->requests[i].length = load->block;
        w->requests[i].write = load->write;
    }
}

/* ---- measuring ------------------------------------------------------------------------------- */

struct mark {
    struct span span;
    struct rusage usage;
    uint64_t calls, sends, receives, waits;
    double cpu_elsewhere;
    uint64_t switches_elsewhere;
    bool counts;
};

static void mark_take(struct mark *m, const struct worker *workers, unsigned n)
{
    *m = (struct mark){0};
    for (unsigned i = 0; i < n; i++)
        m->calls += __atomic_load_n(&workers[i].calls, __ATOMIC_RELAXED);
    m->counts = client_syscalls(&m->sends, &m->receives, &m->waits) == 0;
    client_elsewhere(&m->cpu_elsewhere, &m->switches_elsewhere);
    getrusage(RUSAGE_SELF, &m->usage);
    span_stop(&m->span);
}

/* Sleeps once: what wakes this thread would be counted as the client's. */
static void rest(double seconds)
{
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) < 0)
        ;
}

static void report(const struct load *load, uint64_t all_calls, const struct mark *a,
                   const struct mark *b, const struct histogram *h)
{
    uint64_t calls = b->calls - a->calls;
    printf("client=%s\nall=%lu\ncalls=%lu\nbytes=%lu\n", client_name, all_calls, calls,
           calls * load->block);
    printf("wall=%.6f\nuser=%.6f\nsystem=%.6f\ncpu=%.6f\n", b->span.wall - a->span.wall,
           b->span.user - a->span.user, b->span.system - a->span.system, b->span.cpu - a->span.cpu);
    printf("elsewhere=%.6f\nswitches_elsewhere=%lu\n", b->cpu_elsewhere - a->cpu_elsewhere,
           b->switches_elsewhere - a->switches_elsewhere);
    printf("voluntary=%ld\ninvoluntary=%ld\n", b->usage.ru_nvcsw - a->usage.ru_nvcsw,
           b->usage.ru_nivcsw - a->usage.ru_nivcsw);
    printf("p50=%.2f\np99=%.2f\np999=%.2f\n", histogram_at(h, 0.50) / 1e3,
           histogram_at(h, 0.99) / 1e3, histogram_at(h, 0.999) / 1e3);
    if (a->counts)
        printf("sends=%lu\nreceives=%lu\nwaits=%lu\n", b->sends - a->sends,
               b->receives - a->receives, b->waits - a->waits);
}

static void run(struct load *load)
{
    struct worker *workers = calloc(load->threads, sizeof(*workers));
    struct histogram *all = calloc(1, sizeof(*all));
    uint64_t all_calls = 0;
    struct mark a, b;
    int rc = client_mount(load->where, load->spin, load->depth);
    if (rc < 0 || !workers || !all)
        fail("mount", rc < 0 ? -rc : ENOMEM);
    pthread_barrier_init(&load->opened, NULL, load->threads + 1);
    for (unsigned i = 0; i < load->threads; i++) {
        worker_init(&workers[i], load, i);
        rc = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
        if (rc)
            fail("thread", rc);
    }
    pthread_barrier_wait(&load->opened);
    rest(load->warm_up);
    mark_take(&a, workers, load->threads);
    __atomic_store_n(&load->measuring, true, __ATOMIC_RELAXED);
    rest(load->seconds);
    __atomic_store_n(&load->measuring, false, __ATOMIC_RELAXED);
    mark_take(&b, workers, load->threads);
    __atomic_store_n(&load->stopping, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < load->threads; i++) {
        pthread_join(workers[i].thread, NULL);
        histogram_merge(all, &workers[i].latency);
        all_calls += workers[i].calls;
    }
    report(load, all_calls, &a, &b, all);
}

/* ---- the command line ------------------------------------------------------------------------ */

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s WHERE [option...]\n\n"
            "Reads or writes one file through %s for a while, and prints what it took.\n\n"
            "  --path PATH          file on the volume              (default /load)\n"
            "  --size BYTES         of it; K, M, G may follow       (default 256M)\n"
            "  --op read|write                                      (default read)\n"
            "  --pattern seq|random                                 (default random)\n"
            "  --block BYTES        of one call                     (default 4K)\n"
            "  --depth N            calls under way, of all threads (default 1)\n"
            "  --threads N          on the one file                 (default 1)\n"
            "  --seconds S          with the clocks running         (default 1)\n"
            "  --warm-up S          before that                     (default a fifth of it)\n"
            "  --spin 0|1           whether to poll, as the client would by itself (default 0)\n"
            "  --seed N                                             (default 1)\n",
            program, client_name);
    return 2;
}

static bool parse_count(const char *text, unsigned *value)
{
    uint64_t number;
    if (!parse_number(text, &number) || number > 1 << 16)
        return false;
    *value = (unsigned)number;
    return true;
}

static bool parse_seconds(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && !*end && *value >= 0 && *value < 1e6;
}

/* Which of two words; false: neither. */
static bool parse_word(const char *text, const char *no, const char *yes, bool *value)
{
    *value = strcmp(text, yes) == 0;
    return *value || strcmp(text, no) == 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"path", required_argument, NULL, 'p'},    {"size", required_argument, NULL, 's'},
        {"op", required_argument, NULL, 'o'},      {"pattern", required_argument, NULL, 'P'},
        {"block", required_argument, NULL, 'b'},   {"depth", required_argument, NULL, 'd'},
        {"threads", required_argument, NULL, 't'}, {"seconds", required_argument, NULL, 'S'},
        {"warm-up", required_argument, NULL, 'w'}, {"spin", required_argument, NULL, 'y'},
        {"seed", required_argument, NULL, 'r'},    {0},
    };
    struct load load = {
        .path = "/load",
        .random = true,
        .depth = 1,
        .threads = 1,
        .block = 4096,
        .size = 256 << 20,
        .seed = 1,
        .seconds = 1,
        .warm_up = -1,
    };
    unsigned spin = 0;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool ok = c == 'p'   ? (load.path = optarg, true)
                  : c == 's' ? parse_number(optarg, &load.size)
                  : c == 'o' ? parse_word(optarg, "read", "write", &load.write)
                  : c == 'P' ? parse_word(optarg, "seq", "random", &load.random)
                  : c == 'b' ? parse_number(optarg, &load.block)
                  : c == 'd' ? parse_count(optarg, &load.depth)
                  : c == 't' ? parse_count(optarg, &load.threads)
                  : c == 'S' ? parse_seconds(optarg, &load.seconds)
                  : c == 'w' ? parse_seconds(optarg, &load.warm_up)
                  : c == 'y' ? parse_count(optarg, &spin)
                  : c == 'r' ? parse_number(optarg, &load.seed)
                             : false;
        if (!ok)
            return usage(argv[0]);
    }
    load.spin = (int)spin;
    if (load.warm_up < 0)
        load.warm_up = load.seconds / 5;
    if (argc - optind != 1 || !load.block || !load.threads || load.depth < load.threads ||
        load.depth % load.threads || load.size / load.block < load.threads)
        return usage(argv[0]);
    load.where = argv[optind];
    run(&load);
    return 0;
}
