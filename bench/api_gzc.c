/* The bench programs' client library: libgzc. */
#include "api.h"
#include "gzc.h"

#include <stdio.h>

const char api_name[] = "libgzc";

/* The opaque types are the library's own handles. */
static gzc_volume *volume_of(struct api_volume *volume)
{
    return (gzc_volume *)volume;
}

static gzc_file *file_of(struct api_file *file)
{
    return (gzc_file *)file;
}

int api_mount(const char *target, struct api_volume **volume)
{
    gzc_volume *v;
    int rc = gzc_mount(target, &v);

    *volume = (struct api_volume *)v;
    if (rc < 0) {
        char text[512] = "";
        if (v)
            gzc_error(v, text, sizeof(text));
        fprintf(stderr, "%s: %s\n", api_name, text);
        gzc_unmount(v);
        *volume = NULL;
    }
    return rc;
}

int api_unmount(struct api_volume *volume)
{
    return gzc_unmount(volume_of(volume));
}

int api_open(struct api_volume *volume, const char *path, int flags, struct api_file **file)
{
    gzc_file *f;
    int rc = gzc_open(volume_of(volume), path, flags, 0644, &f);

    *file = (struct api_file *)f;
    return rc;
}

int api_close(struct api_file *file)
{
    return gzc_close(file_of(file));
}

ssize_t api_pread(struct api_file *file, void *buffer, size_t count, off_t offset)
{
    return gzc_pread(file_of(file), buffer, count, offset);
}

ssize_t api_pwrite(struct api_file *file, const void *buffer, size_t count, off_t offset)
{
    return gzc_pwrite(file_of(file), buffer, count, offset);
}

int api_bytes(struct api_volume *volume, uint64_t *landed, uint64_t *staged)
{
    struct gzc_stats stats;
    int rc = gzc_volume_stats(volume_of(volume), &stats, sizeof(stats));

    *landed = stats.bytes_landed;
    *staged = stats.bytes_staged;
    return rc;
}
