/* gzc.h: directories. */
#include "volume/dir.h"

#include "api/handle.h"

#include <errno.h>
#include <stdlib.h>

int gzc_opendir(gzc_volume *volume, const char *path, gzc_dir **dir)
{
    *dir = NULL;
    int rc = handle_refuse(volume, false);
    if (rc < 0)
        return rc;
    struct gzc_dir *d = calloc(1, sizeof(*d));
    if (!d)
        return volume_fail(volume, &volume->why, -ENOMEM, "no memory for a directory");
    d->volume = volume;
    struct opendir_op op = {.dir = d};
    path_op_init(&op.path, volume, path, 0);
    rc = (int)op_run(&op.path.op, opendir_start, &volume->why);
    path_op_free(&op.path);
    if (rc < 0) {
        free(d);
        return rc;
    }
    handle_opened(volume);
    *dir = d;
    return 0;
}

int gzc_readdir(gzc_dir *dir, struct gzc_dirent *entry)
{
    for (;;) {
        if (dir_next(dir, entry))
            return 1;
        if (dir->end)
            return 0;
        struct dir_op op = {.dir = dir};
        op_init(&op.op, dir->volume);
        int rc = (int)op_run(&op.op, readdir_start, &dir->why);
        if (rc < 0)
            return rc;
    }
}

int gzc_closedir(gzc_dir *dir)
{
    if (!dir)
        return 0;
    struct dir_op op = {.dir = dir};
    op_init(&op.op, dir->volume);
    int rc = (int)op_run(&op.op, closedir_start, &dir->volume->why);
    handle_closed(dir->volume);
    free(dir->list);
    free(dir);
    return rc;
}

size_t gzc_dir_error(const gzc_dir *dir, char *text, size_t size)
{
    return handle_text(dir->volume, &dir->why, text, size);
}
