/* client_gfapi.c - GlusterFS's own library. A request that is over is told of by one of the
 * library's threads, which begins the next at once: nothing is handed to another thread. */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <glusterfs/api/glfs.h>
#include <time.h>

const char client_name[] = "libgfapi";

static glfs_t *fs;

/* The library sets errno, but not on every path out. */
static int failure(void)
{
    return errno ? -errno : -EIO;
}

int client_mount(const char *where, int spin, unsigned depth)
{
    (void)spin, (void)depth;
    errno = 0;
    fs = glfs_new("load");
    if (!fs)
        return failure();
    /* Level 1 is "emergency": its log, like its messages, is nothing to measure. */
    if (glfs_set_logging(fs, "/dev/null", 1) || glfs_set_volfile(fs, where) || glfs_init(fs))
        return failure();
    return 0;
}

int client_open(const char *path, bool write, struct client_file **file)
{
    errno = 0;
    glfs_fd_t *fd =
        write ? glfs_creat(fs, path, O_RDWR | O_CREAT, 0644) : glfs_open(fs, path, O_RDONLY);
    *file = (struct client_file *)fd;
    return fd ? 0 : failure();
}

/* The volume is left to the end of the process: unmounting takes ten seconds. */
int client_close(struct client_file *file)
{
    errno = 0;
    return glfs_close((glfs_fd_t *)file) ? failure() : 0;
}

void client_transfer(struct client_file *file, struct request *r)
{
    glfs_fd_t *fd = (glfs_fd_t *)file;
    errno = 0;
    r->result = r->write ? glfs_pwrite(fd, r->buffer, r->length, r->offset, 0, NULL, NULL)
                         : glfs_pread(fd, r->buffer, r->length, r->offset, 0, NULL);
    if (r->result < 0)
        r->result = failure();
}

static void done(glfs_fd_t *fd, ssize_t result, struct glfs_stat *before, struct glfs_stat *after,
                 void *arg)
{
    struct request *r = arg;
    (void)before, (void)after;
    r->result = result < 0 ? failure() : result;
    load_complete((struct client_file *)fd, r);
}

void client_submit(struct client_file *file, struct request *const requests[], unsigned n)
{
    glfs_fd_t *fd = (glfs_fd_t *)file;
    for (unsigned i = 0; i < n; i++) {
        struct request *r = requests[i];
        errno = 0;
        int rc = r->write ? glfs_pwrite_async(fd, r->buffer, (int)r->length, r->offset, 0, done, r)
                          : glfs_pread_async(fd, r->buffer, r->length, r->offset, 0, done, r);
        if (rc < 0) {
            r->result = failure();
            load_complete(file, r);
        }
    }
}

/* The library's threads do it all. Seldom enough to be nothing beside their own context switches.
 */
void client_drive(struct client_file *file, const bool *over)
{
    const struct timespec tick = {0, 20000000};
    (void)file;
    while (!__atomic_load_n(over, __ATOMIC_ACQUIRE))
        nanosleep(&tick, NULL);
}
