/* A real brick that is killed, stopped and moved while it is in use: every byte that was
 * acknowledged is there, and every operation ends well or says why not. */
#include "tests/lab/lab.h"
#include "tests/lab/volume.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define THREADS 4
#define BLOCK   (100 << 10)
#define BLOCKS  24 /* of each thread */

static struct lab_brick brick;
static struct lab_cluster cluster;

static void end(void)
{
    if (brick.lab.pid)
        cr_assert_eq(lab_brick_stop(&brick), 0);
    if (cluster.lab.pid)
        cr_assert_eq(lab_cluster_stop(&cluster), 0);
}

TestSuite(reconnect, .fini = end, .timeout = 120);

static gzc_volume *mount_uri(const char *uri, const char *options)
{
    char whole[8192];
    gzc_volume *v;
    snprintf(whole, sizeof(whole), "%s%s", uri, options);
    int rc = gzc_mount(whole, &v);
    cr_assert_eq(rc, 0, "%s: %d %s", whole, rc, volume_text(v));
    return v;
}

static gzc_volume *begin(const char *options)
{
    int rc = lab_brick_start(&brick, NULL);
    cr_assert_eq(rc, 0, "brick: %s", strerror(-rc));
    return mount_uri(brick.uri, options);
}

/* ---- writers that read what they have written ------------------------------------------------ */

/* Each block is written again and again, every time with other bytes. */
struct writer {
    pthread_t thread;
    gzc_file *file;
    unsigned number;
    uint64_t version[BLOCKS]; /* that was acknowledged; 0: none */
    char error[700];
    bool failed;
};

static struct writer writers[THREADS];
static atomic_bool stop;
static atomic_uint rounds; /* blocks written and read, by all */

static off_t place(const struct writer *w, unsigned block)
{
    return (off_t)(block * THREADS + w->number) * BLOCK;
}

/* The pattern's offsets that a version has. */
static uint64_t bytes_of(const struct writer *w, unsigned block, uint64_t version)
{
    return (uint64_t)place(w, block) + version * 1000003;
}

static bool writer_failed(struct writer *w, const char *what, ssize_t got)
{
    char text[512];
    gzc_file_error(w->file, text, sizeof(text));
    snprintf(w->error, sizeof(w->error), "%s: %zd %s", what, got, text);
    w->failed = true;
    return false;
}

static bool writer_check(struct writer *w, unsigned block, unsigned char *buffer)
{
    memset(buffer, 0, BLOCK);
    ssize_t n = gzc_pread(w->file, buffer, BLOCK, place(w, block));
    if (n != BLOCK)
        return writer_failed(w, "read", n);
    size_t good = pattern_check(buffer, BLOCK, bytes_of(w, block, w->version[block]));
    return good == BLOCK || writer_failed(w, "not what was acknowledged, at", (ssize_t)good);
}

static bool writer_write(struct writer *w, unsigned block, unsigned char *buffer)
{
    uint64_t version = w->version[block] + 1;
    pattern_fill(buffer, BLOCK, bytes_of(w, block, version));
    ssize_t n = gzc_pwrite(w->file, buffer, BLOCK, place(w, block));
    if (n != BLOCK)
        return writer_failed(w, "write", n);
    w->version[block] = version;
    return true;
}

static void *writer_run(void *arg)
{
    struct writer *w = arg;
    unsigned char *buffer = malloc(BLOCK);
    for (unsigned i = 0; buffer && !stop; i++) {
        unsigned block = i * 7 % BLOCKS, other = i * 5 % BLOCKS;
        if (!writer_write(w, block, buffer))
            break;
        if (w->version[other] && !writer_check(w, other, buffer))
            break;
        atomic_fetch_add(&rounds, 1);
    }
    free(buffer);
    return NULL;
}

static void writers_start(gzc_file *file)
{
    stop = false;
    rounds = 0;
    memset(writers, 0, sizeof(writers));
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i].file = file;
        writers[i].number = i;
        cr_assert_eq(pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]), 0);
    }
}

/* So much more has been written and read, or one has failed. */
static void writers_advance(unsigned n)
{
    unsigned until = rounds + n;
    bool failed = false;
    while (rounds < until && !failed) {
        for (unsigned i = 0; i < THREADS; i++)
            failed |= writers[i].failed;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void writers_end(void)
{
    unsigned char *buffer = malloc(BLOCK);
    stop = true;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(writers[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        struct writer *w = &writers[i];
        cr_assert_not(w->failed, "%s", w->error);
        for (unsigned block = 0; block < BLOCKS; block++)
            cr_assert(!w->version[block] || writer_check(w, block, buffer), "%s", w->error);
    }
    free(buffer);
}

Test(reconnect, killed_and_started_again)
{
    gzc_volume *v = begin("?timeout=60");
    gzc_file *f = open_file(v, "/f", O_CREAT | O_RDWR);
    writers_start(f);
    for (unsigned i = 0; i < 4; i++) {
        writers_advance(20);
        cr_assert_eq(lab_brick_kill(&brick), 0);
        cr_assert_eq(lab_brick_restart(&brick), 0);
    }
    writers_advance(20);
    writers_end();
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

Test(reconnect, several_connections)
{
    gzc_volume *v = begin("?timeout=60&nconnect=4");
    gzc_file *f = open_file(v, "/f", O_CREAT | O_RDWR);
    writers_start(f);
    for (unsigned i = 0; i < 2; i++) {
        writers_advance(20);
        cr_assert_eq(lab_brick_restart(&brick), 0);
    }
    writers_advance(20);
    writers_end();
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

/* It answers no ping, so that the connection is given up; then it goes on. A brick that was not
 * killed may still execute what it has of the old connection: blocks are written once here. */
Test(reconnect, stopped_for_a_while)
{
    enum { SIZE = 64 << 10 };
    static unsigned char p[SIZE], q[SIZE];
    gzc_volume *v = begin("?timeout=60&ping_timeout=0.4");
    gzc_file *f = open_file(v, "/f", O_CREAT | O_RDWR);
    struct gzc_brick_info info;
    gzc_ticket t;
    for (unsigned i = 0; i < 3; i++) {
        off_t at = (off_t)i * SIZE;
        pattern_fill(p, SIZE, (uint64_t)at);
        lab_brick_signal(&brick, SIGSTOP);
        t = gzc_pwrite_async(f, p, SIZE, at, NULL);
        cr_assert_gt(t, 0);
        do {
            gzc_poll(v, 0, 10);
            cr_assert_eq(gzc_brick_info(v, 0, &info, sizeof(info)), 0);
        } while (info.connected);
        cr_assert_not_null(strstr(info.error, "ping"), "%s", info.error);
        lab_brick_signal(&brick, SIGCONT);
        cr_assert_eq(gzc_fsync(f), 0);
        cr_assert_eq(gzc_cancel(v, t), -ENOENT); /* it is over: fsync waits for it */
        cr_assert_eq(gzc_pread(f, q, SIZE, at), SIZE);
        cr_assert_eq(pattern_check(q, SIZE, (uint64_t)at), SIZE);
    }
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

/* ---- appends --------------------------------------------------------------------------------- */

/* Records of their number. Each that was acknowledged is there once; one whose fate was not known
 * is there once or not at all; they are in order. */
Test(reconnect, appends_are_not_done_twice)
{
    enum { RECORDS = 400, EVERY = 80 };
    gzc_volume *v = begin("?timeout=60");
    gzc_file *f = open_file(v, "/f", O_CREAT | O_WRONLY | O_APPEND);
    bool acknowledged[RECORDS] = {0}, there[RECORDS] = {0};
    char text[512];
    struct stat st;
    int last = -1;
    for (int i = 0; i < RECORDS; i++) {
        if (i % EVERY == EVERY / 2)
            cr_assert_eq(lab_brick_restart(&brick), 0);
        ssize_t n = gzc_pwrite(f, &i, sizeof(i), 0);
        acknowledged[i] = n == sizeof(i);
        if (acknowledged[i])
            continue;
        gzc_file_error(f, text, sizeof(text));
        cr_assert_eq(n, -ENOTCONN, "%zd %s", n, text);
        cr_assert_not_null(strstr(text, "whether it was done is not known"), "%s", text);
    }
    cr_assert_eq(gzc_close(f), 0);
    f = open_file(v, "/f", O_RDONLY);
    cr_assert_eq(gzc_fstat(f, &st), 0);
    for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(int)) {
        int i;
        cr_assert_eq(gzc_pread(f, &i, sizeof(i), at), sizeof(i));
        cr_assert(i > last && i < RECORDS, "record %d behind %d", i, last);
        there[i] = true;
        last = i;
    }
    for (int i = 0; i < RECORDS; i++)
        cr_assert(there[i] || !acknowledged[i], "record %d is lost", i);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

/* ---- what is open ---------------------------------------------------------------------------- */

Test(reconnect, files_and_directories_stay_open)
{
    enum { FILES = 300 };
    gzc_volume *v = begin("?timeout=60");
    gzc_file *files[8], *gone;
    gzc_dir *dir;
    struct gzc_dirent entry;
    unsigned seen[FILES] = {0}, n = 0, number;
    char name[32], c, text[512];
    int rc;
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "/f%u", i);
        gzc_file *f = open_file(v, name, O_CREAT | O_EXCL | O_RDWR);
        c = (char)i;
        cr_assert_eq(gzc_pwrite(f, &c, 1, 0), 1);
        if (i < 8)
            files[i] = f;
        else
            cr_assert_eq(gzc_close(f), 0);
    }
    gone = open_file(v, "/f9", O_RDWR);
    cr_assert_eq(gzc_unlink(v, "/f9"), 0);
    cr_assert_eq(gzc_opendir(v, "/", &dir), 0);
    while ((rc = gzc_readdir(dir, &entry)) == 1) {
        if (sscanf(entry.name, "f%u", &number) == 1 && number < FILES)
            seen[number]++;
        if (++n == 20)
            cr_assert_eq(lab_brick_restart(&brick), 0);
    }
    cr_assert_eq(rc, 0);
    for (unsigned i = 0; i < FILES; i++)
        cr_assert_eq(seen[i], i != 9, "f%u: %u times", i, seen[i]);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(gzc_pread(files[i], &c, 1, 0), 1);
        cr_assert_eq(c, (char)i);
        cr_assert_eq(gzc_close(files[i]), 0);
    }
    cr_assert_eq(gzc_pread(gone, &c, 1, 0), -ESTALE);
    gzc_file_error(gone, text, sizeof(text));
    cr_assert_not_null(strstr(text, "cannot be opened again"), "%s", text);
    cr_assert_eq(gzc_close(gone), 0);
    cr_assert_eq(gzc_closedir(dir), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

/* Nobody comes back: the limit, and then no wait at all. */
Test(reconnect, killed_for_good)
{
    gzc_volume *v = begin("?timeout=60&reconnect_timeout=0.5");
    gzc_file *f = open_file(v, "/f", O_CREAT | O_RDWR);
    struct timespec from, to;
    char c = 'x', text[512];
    lab_brick_kill(&brick);
    clock_gettime(CLOCK_MONOTONIC, &from);
    cr_assert_eq(gzc_pwrite(f, &c, 1, 0), -ENOTCONN);
    clock_gettime(CLOCK_MONOTONIC, &to);
    cr_assert_lt(to.tv_sec - from.tv_sec, 30);
    gzc_file_error(f, text, sizeof(text));
    cr_assert_not_null(strstr(text, "WRITE: no connection for 0.5 s: brick 127.0.0.1:"), "%s",
                       text);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

/* ---- glusterd -------------------------------------------------------------------------------- */

static unsigned brick_port(gzc_volume *v)
{
    struct gzc_brick_info info;
    cr_assert_eq(gzc_brick_info(v, 0, &info, sizeof(info)), 0);
    const char *colon = strrchr(info.address, ':');
    cr_assert_not_null(colon, "'%s' %s", info.address, info.error);
    return (unsigned)strtoul(colon + 1, NULL, 10);
}

/* The port that the brick had is taken when it is started again, so that it gets another. */
Test(reconnect, another_port)
{
    const char *volumes[] = {"one", NULL};
    char uri[128];
    int rc = lab_cluster_start(&cluster, volumes);
    cr_assert_eq(rc, 0, "cluster: %s", strerror(-rc));
    snprintf(uri, sizeof(uri), "gluster://%s/one", cluster.host);
    gzc_volume *v = mount_uri(uri, "?timeout=60");
    gzc_file *f = open_file(v, "/f", O_CREAT | O_RDWR);
    unsigned before = brick_port(v);
    writers_start(f);
    writers_advance(20);
    cr_assert_eq(lab_run(&cluster.lab, "brick_kill one 0"), 0);
    int squatter = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)before)};
    setsockopt(squatter, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    cr_assert_eq(bind(squatter, (struct sockaddr *)&at, sizeof(at)), 0, "%s", strerror(errno));
    cr_assert_eq(lab_run(&cluster.lab, "brick_restart one"), 0, "%s", cluster.lab.output);
    writers_advance(20);
    cr_assert_neq(brick_port(v), before);
    /* Now glusterd goes and comes, which nobody needs while the brick is there; then the brick. */
    cr_assert_eq(lab_run(&cluster.lab, "glusterd_kill"), 0);
    writers_advance(20);
    cr_assert_eq(lab_run(&cluster.lab, "glusterd_start"), 0);
    cr_assert_eq(lab_run(&cluster.lab, "brick_kill one 0"), 0);
    cr_assert_eq(lab_run(&cluster.lab, "brick_restart one"), 0, "%s", cluster.lab.output);
    writers_advance(20);
    writers_end();
    close(squatter);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}
