/* client_gzc.c - libgzc: one volume and one file for all workers. */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <gzc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

const char client_name[] = "libgzc";

static gzc_volume *volume;
static gzc_file *file;
static unsigned users;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int client_mount(const char *where, int spin, unsigned depth)
{
    char uri[4096], text[512];
    (void)depth;
    snprintf(uri, sizeof(uri), "%s%c%s", where, strchr(where, '?') ? '&' : '?',
             spin ? "busy_poll_us=adaptive" : "busy_poll_us=0");
    int rc = gzc_mount(uri, &volume);
    if (rc < 0) {
        gzc_error(volume, text, sizeof(text));
        fprintf(stderr, "%s\n", text);
    }
    return rc;
}

int client_open(const char *path, bool write, struct client_file **opened)
{
    int rc = 0;
    pthread_mutex_lock(&lock);
    if (!file)
        rc = gzc_open(volume, path, write ? O_RDWR | O_CREAT : O_RDONLY, 0644, &file);
    users += rc == 0;
    pthread_mutex_unlock(&lock);
    *opened = (struct client_file *)file;
    return rc;
}

int client_close(struct client_file *opened)
{
    int rc = 0;
    (void)opened;
    pthread_mutex_lock(&lock);
    if (--users == 0) {
        rc = gzc_close(file);
        file = NULL;
        gzc_unmount(volume);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

void client_transfer(struct client_file *f, struct request *r)
{
    (void)f;
    r->result = r->write ? gzc_pwrite(file, r->buffer, r->length, r->offset)
                         : gzc_pread(file, r->buffer, r->length, r->offset);
}

static void done(void *arg, ssize_t result, const char *error)
{
    struct request *r = arg;
    (void)error;
    r->result = result;
    load_complete(NULL, r);
}

void client_submit(struct client_file *f, struct request *const requests[], unsigned n)
{
    (void)f;
    for (unsigned i = 0; i < n; i++) {
        struct request *r = requests[i];
        const struct gzc_async how = {
            .done = done,
            .arg = r,
            .flags = i + 1 < n ? GZC_MORE : 0,
        };
        gzc_ticket rc = r->write ? gzc_pwrite_async(file, r->buffer, r->length, r->offset, &how)
                                 : gzc_pread_async(file, r->buffer, r->length, r->offset, &how);
        if (rc < 0) {
            r->result = (ssize_t)rc;
            load_complete(NULL, r);
        }
    }
}

void client_drive(struct client_file *f, const bool *over)
{
    (void)f;
    /* Not for ever: another worker's gzc_poll() may just have run our last callback. */
    while (!__atomic_load_n(over, __ATOMIC_ACQUIRE))
        gzc_poll(volume, 0, 20);
}

int client_syscalls(uint64_t *sends, uint64_t *receives, uint64_t *waits)
{
    struct gzc_stats stats;
    gzc_volume_stats(volume, &stats, sizeof(stats));
    *sends = stats.send_syscalls;
    *receives = stats.receive_syscalls;
    *waits = stats.wait_syscalls;
    return 0;
}
