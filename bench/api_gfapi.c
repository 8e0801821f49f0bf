/* The bench programs' client library: GlusterFS's own, libgfapi. */
#include "api.h"

#include <errno.h>
#include <fcntl.h>
#include <glusterfs/api/glfs.h>

const char api_name[] = "libgfapi";

/* The opaque types are the library's own handles. */
static glfs_t *volume_of(struct api_volume *volume)
{
    return (glfs_t *)volume;
}

static glfs_fd_t *file_of(struct api_file *file)
{
    return (glfs_fd_t *)file;
}

/* The library sets errno, but not on every path out. */
static int failure(void)
{
    return errno ? -errno : -EIO;
}

int api_mount(const char *target, struct api_volume **volume)
{
    glfs_t *fs;
    int rc;

    *volume = NULL;
    errno = 0;
    fs = glfs_new("bench");
    if (!fs)
        return failure();
    /* Level 1 is "emergency": its log, like its messages, is nothing to measure. */
    if (glfs_set_logging(fs, "/dev/null", 1) || glfs_set_volfile(fs, target) || glfs_init(fs)) {
        rc = failure();
        glfs_fini(fs);
        return rc;
    }
    *volume = (struct api_volume *)fs;
    return 0;
}

int api_unmount(struct api_volume *volume)
{
    errno = 0;
    return glfs_fini(volume_of(volume)) ? failure() : 0;
}

int api_open(struct api_volume *volume, const char *path, int flags, struct api_file **file)
{
    glfs_fd_t *fd;

    errno = 0;
    fd = flags & O_CREAT ? glfs_creat(volume_of(volume), path, flags, 0644)
                         : glfs_open(volume_of(volume), path, flags);
    *file = (struct api_file *)fd;
    return fd ? 0 : failure();
}

int api_close(struct api_file *file)
{
    errno = 0;
    return glfs_close(file_of(file)) ? failure() : 0;
}

ssize_t api_pread(struct api_file *file, void *buffer, size_t count, off_t offset)
{
    ssize_t n = glfs_pread(file_of(file), buffer, count, offset, 0, NULL);
    return n < 0 ? failure() : n;
}

ssize_t api_pwrite(struct api_file *file, const void *buffer, size_t count, off_t offset)
{
    ssize_t n = glfs_pwrite(file_of(file), buffer, count, offset, 0, NULL, NULL);
    return n < 0 ? failure() : n;
}

int api_bytes(struct api_volume *volume, uint64_t *landed, uint64_t *staged)
{
    (void)volume;
    *landed = *staged = 0;
    return -ENOTSUP;
}
