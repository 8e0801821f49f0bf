/* client_posix.c - a mounted file system: pread and pwrite. Several requests at once are as many
 * threads, which is how a program gets them from a FUSE mount. The mount's own process, whose id is
 * in $LOAD_MOUNT_PID, does most of the work. */
#include "client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char client_name[] = "FUSE";

static char directory[PATH_MAX / 2];
static unsigned depth_all;

/* A worker's file, and the threads that do its requests, one each. */
struct client_file {
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct helper *helpers;
    unsigned n;
};

struct helper {
    struct client_file *file;
    struct request *request; /* to be done, or NULL */
    pthread_t thread;
};

int client_mount(const char *where, int spin, unsigned depth)
{
    (void)spin;
    depth_all = depth;
    return snprintf(directory, sizeof(directory), "%s", where) < (int)sizeof(directory)
               ? 0
               : -ENAMETOOLONG;
}

int client_open(const char *path, bool write, struct client_file **file)
{
    char name[PATH_MAX];
    struct client_file *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    snprintf(name, sizeof(name), "%s%s", directory, path);
    f->fd = open(name, write ? O_RDWR | O_CREAT : O_RDONLY, 0644);
    if (f->fd < 0) {
        free(f);
        return -errno;
    }
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    *file = f;
    return 0;
}

int client_close(struct client_file *f)
{
    close(f->fd);
    free(f->helpers);
    free(f);
    return 0;
}

void client_transfer(struct client_file *f, struct request *r)
{
    r->result = r->write ? pwrite(f->fd, r->buffer, r->length, r->offset)
                         : pread(f->fd, r->buffer, r->length, r->offset);
    if (r->result < 0)
        r->result = -errno;
}

static void *helper_main(void *arg)
{
    struct helper *h = arg;
    while (h->request) {
        struct request *r = h->request;
        h->request = NULL;
        client_transfer(h->file, r);
        load_complete(h->file, r); /* gives it back to us, unless it was the last */
    }
    return NULL;
}

/* The first time, a thread for each request; later, the request goes to its thread, which is the
 * one that calls. */
void client_submit(struct client_file *f, struct request *const requests[], unsigned n)
{
    if (f->helpers) {
        for (unsigned i = 0; i < n; i++)
            ((struct helper *)requests[i]->own)->request = requests[i];
        return;
    }
    f->helpers = calloc(n, sizeof(*f->helpers));
    f->n = n;
    for (unsigned i = 0; f->helpers && i < n; i++) {
        f->helpers[i] = (struct helper){.file = f, .request = requests[i]};
        requests[i]->own = &f->helpers[i];
    }
    for (unsigned i = 0; i < n; i++) {
        if (!f->helpers ||
            pthread_create(&f->helpers[i].thread, NULL, helper_main, &f->helpers[i])) {
            fprintf(stderr, "%s: no thread\n", client_name);
            exit(1);
        }
    }
}

void client_drive(struct client_file *f, const bool *done)
{
    for (unsigned i = 0; i < f->n; i++)
        pthread_join(f->helpers[i].thread, NULL);
    if (!__atomic_load_n(done, __ATOMIC_ACQUIRE))
        abort();
}

/* Of all its threads. The words of schedstat: nanoseconds on a CPU, nanoseconds waiting for one,
 * and how often the thread got one. */
void client_elsewhere(double *cpu, uint64_t *switches)
{
    const char *pid = getenv("LOAD_MOUNT_PID");
    char name[PATH_MAX];
    *cpu = 0;
    *switches = 0;
    snprintf(name, sizeof(name), "/proc/%s/task", pid ? pid : "none");
    DIR *tasks = opendir(name);
    for (struct dirent *d; tasks && (d = readdir(tasks));) {
        unsigned long long ns, runs;
        snprintf(name, sizeof(name), "/proc/%s/task/%s/schedstat", pid, d->d_name);
        FILE *f = d->d_name[0] == '.' ? NULL : fopen(name, "r");
        if (f && fscanf(f, "%llu %*u %llu", &ns, &runs) == 2) {
            *cpu += (double)ns / 1e9;
            *switches += runs;
        }
        if (f)
            fclose(f);
    }
    if (tasks)
        closedir(tasks);
}
