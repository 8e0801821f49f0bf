/* gzc.h: handles in bytes, but for gzc_name_to_handle(). */
#include "volume/fhandle.h"

#include "api/handle.h"

#include <uuid/uuid.h>

int gzc_file_to_handle(gzc_file *file, struct gzc_handle *handle)
{
    fhandle_make(handle, file->volume->shared, file->remote.gfid);
    return 0;
}

ssize_t gzc_handle_path(gzc_volume *volume, const struct gzc_handle *handle, const char *name,
                        char *path, size_t size)
{
    int rc = handle_refuse(volume, false);
    const uint8_t *gfid = rc < 0 ? NULL : fhandle_gfid(handle, volume->shared);
    char uuid[UUID_STR_LEN];
    if (rc < 0)
        return rc;
    if (!gfid)
        return volume_fail(volume, &volume->why, -ESTALE, "a handle of another volume");
    if (name && (!*name || strchr(name, '/')))
        return volume_fail(volume, &volume->why, -EINVAL, "handle: not one name");
    uuid_unparse_lower(gfid, uuid);
    int length = snprintf(path, size, "/.gfid/%s%s%s", uuid, name ? "/" : "", name ? name : "");
    if ((size_t)length >= size)
        return volume_fail(volume, &volume->why, -ERANGE, "handle: the path is longer");
    return length;
}

int gzc_open_by_handle(gzc_volume *volume, const struct gzc_handle *handle, int flags,
                       gzc_file **file)
{
    char path[sizeof("/.gfid/") + UUID_STR_LEN];
    *file = NULL;
    ssize_t rc = gzc_handle_path(volume, handle, NULL, path, sizeof(path));
    return rc < 0 ? (int)rc : gzc_open(volume, path, flags, 0, file);
}

gzc_ticket gzc_open_by_handle_async(gzc_volume *volume, const struct gzc_handle *handle, int flags,
                                    gzc_file **file, const struct gzc_async *how)
{
    char path[sizeof("/.gfid/") + UUID_STR_LEN];
    *file = NULL;
    ssize_t rc = gzc_handle_path(volume, handle, NULL, path, sizeof(path));
    return rc < 0 ? rc : gzc_open_async(volume, path, flags, 0, file, how);
}
