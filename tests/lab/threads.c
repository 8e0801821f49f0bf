/* Many threads on one volume and one file, and what it costs them. */
#include "tests/lab/volume.h"

#include <pthread.h>
#include <unistd.h>

#define THREADS 6
#define ROUNDS  150

static gzc_volume *v;
static gzc_file *f;
static const char *path;

/* Each thread has a part of the file to itself, and writes and reads it at random. */
static void *work(void *arg)
{
    size_t id = (size_t)arg;
    unsigned seed = (unsigned)id;
    unsigned char *out = malloc(1 << 20), *in = malloc(1 << 20);
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = 1 + (size_t)rand_r(&seed) % (rand_r(&seed) % 4 ? 8192 : 1 << 20);
        off_t at = (off_t)(id << 22) + rand_r(&seed) % (2 << 20);
        struct stat st;
        memset(out, i + (int)id, n);
        memset(in, 0, n);
        cr_assert_eq(gzc_pwrite(f, out, n, at), (ssize_t)n);
        cr_assert_eq(gzc_pread(f, in, n, at), (ssize_t)n);
        cr_assert_eq(memcmp(in, out, n), 0);
        if (i % 20 == 0)
            cr_assert_eq(gzc_stat(v, path, &st), 0);
    }
    free(out);
    free(in);
    return NULL;
}

static void run(const char *options)
{
    pthread_t threads[THREADS];
    struct gzc_stats s;
    v = mount_brick(options);
    path = own_path("threads");
    f = open_file(v, path, O_CREAT | O_TRUNC | O_RDWR);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)i);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    gzc_volume_stats(v, &s, sizeof(s));
    cr_assert_eq(s.bytes_staged, 0);
    cr_assert_eq(s.calls, s.replies);
    cr_assert_eq(s.replies_unmatched + s.replies_retired, 0);
    gzc_close(f);
    cr_assert_eq(gzc_unlink(v, path), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

Test(threads, one_connection, .timeout = 240)
{
    run("");
}

Test(threads, four_connections_and_spinning, .timeout = 240)
{
    run("?nconnect=4&busy_poll_us=30");
}
