/* gzc.h: names. */
#include "volume/names.h"

#include "api/handle.h"

#include <fcntl.h>

/* What an operation on a name is. */
struct name_kind {
    unsigned flags; /* of the walk */
    void (*start)(struct op *op);
    bool change; /* refused on a volume that is read-only */
};

static const struct name_kind kind_stat = {0, stat_start, false};
static const struct name_kind kind_lstat = {WALK_NOFOLLOW, stat_start, false};
static const struct name_kind kind_readlink = {WALK_NOFOLLOW, readlink_start, false};
static const struct name_kind kind_realpath = {0, realpath_start, false};
static const struct name_kind kind_chdir = {0, chdir_start, false};
static const struct name_kind kind_handle = {0, name_to_handle_start, false};
static const struct name_kind kind_handle_nofollow = {WALK_NOFOLLOW, name_to_handle_start, false};
static const struct name_kind kind_unlink = {WALK_PARENT, unlink_start, true};
static const struct name_kind kind_mkdir = {WALK_PARENT, mkdir_start, true};
static const struct name_kind kind_rmdir = {WALK_PARENT, rmdir_start, true};
static const struct name_kind kind_mknod = {WALK_PARENT, mknod_start, true};
static const struct name_kind kind_symlink = {WALK_PARENT, symlink_start, true};
static const struct name_kind kind_link = {WALK_NOFOLLOW, link_start, true};
static const struct name_kind kind_rename = {WALK_PARENT, rename_start, true};

static int64_t name_run(struct gzc_volume *v, const char *path, const struct name_kind *kind,
                        const struct name_args *args)
{
    int rc = handle_refuse(v, kind->change);
    if (rc < 0)
        return rc;
    struct name_op n;
    name_op_init(&n, v, path, kind->flags);
    n.args = *args;
    return op_run(&n.path.op, kind->start, &v->why);
}

/* Both paths are copied. */
static gzc_ticket name_submit(struct gzc_volume *v, const char *path, const struct name_kind *kind,
                              const struct name_args *args, const struct gzc_async *how)
{
    int rc = handle_refuse(v, kind->change);
    if (rc < 0)
        return rc;
    const char *other = args->other ? args->other : "";
    struct name_op *n = handle_new_op(v, sizeof(*n), &path, &other);
    if (!n)
        return -ENOMEM;
    name_op_init(n, v, path, kind->flags);
    n->args = *args;
    n->args.other = other;
    return op_submit(&n->path.op, kind->start, how);
}

int gzc_stat(gzc_volume *volume, const char *path, struct stat *st)
{
    return (int)name_run(volume, path, &kind_stat, &(struct name_args){.st = st});
}

gzc_ticket gzc_stat_async(gzc_volume *volume, const char *path, struct stat *st,
                          const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_stat, &(struct name_args){.st = st}, how);
}

int gzc_lstat(gzc_volume *volume, const char *path, struct stat *st)
{
    return (int)name_run(volume, path, &kind_lstat, &(struct name_args){.st = st});
}

gzc_ticket gzc_lstat_async(gzc_volume *volume, const char *path, struct stat *st,
                           const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_lstat, &(struct name_args){.st = st}, how);
}

ssize_t gzc_readlink(gzc_volume *volume, const char *path, char *buffer, size_t size)
{
    return (ssize_t)name_run(volume, path, &kind_readlink,
                             &(struct name_args){.buffer = buffer, .size = size});
}

gzc_ticket gzc_readlink_async(gzc_volume *volume, const char *path, char *buffer, size_t size,
                              const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_readlink,
                       &(struct name_args){.buffer = buffer, .size = size}, how);
}

ssize_t gzc_realpath(gzc_volume *volume, const char *path, char *buffer, size_t size)
{
    return (ssize_t)name_run(volume, path, &kind_realpath,
                             &(struct name_args){.buffer = buffer, .size = size});
}

gzc_ticket gzc_realpath_async(gzc_volume *volume, const char *path, char *buffer, size_t size,
                              const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_realpath,
                       &(struct name_args){.buffer = buffer, .size = size}, how);
}

int gzc_chdir(gzc_volume *volume, const char *path)
{
    return (int)name_run(volume, path, &kind_chdir, &(struct name_args){0});
}

gzc_ticket gzc_chdir_async(gzc_volume *volume, const char *path, const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_chdir, &(struct name_args){0}, how);
}

int gzc_unlink(gzc_volume *volume, const char *path)
{
    return (int)name_run(volume, path, &kind_unlink, &(struct name_args){0});
}

gzc_ticket gzc_unlink_async(gzc_volume *volume, const char *path, const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_unlink, &(struct name_args){0}, how);
}

int gzc_mkdir(gzc_volume *volume, const char *path, mode_t mode)
{
    return (int)name_run(volume, path, &kind_mkdir, &(struct name_args){.mode = mode});
}

gzc_ticket gzc_mkdir_async(gzc_volume *volume, const char *path, mode_t mode,
                           const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_mkdir, &(struct name_args){.mode = mode}, how);
}

int gzc_rmdir(gzc_volume *volume, const char *path)
{
    return (int)name_run(volume, path, &kind_rmdir, &(struct name_args){0});
}

gzc_ticket gzc_rmdir_async(gzc_volume *volume, const char *path, const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_rmdir, &(struct name_args){0}, how);
}

int gzc_mknod(gzc_volume *volume, const char *path, mode_t mode, dev_t dev)
{
    return (int)name_run(volume, path, &kind_mknod, &(struct name_args){.mode = mode, .dev = dev});
}

gzc_ticket gzc_mknod_async(gzc_volume *volume, const char *path, mode_t mode, dev_t dev,
                           const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_mknod, &(struct name_args){.mode = mode, .dev = dev},
                       how);
}

int gzc_symlink(gzc_volume *volume, const char *target, const char *path)
{
    return (int)name_run(volume, path, &kind_symlink, &(struct name_args){.other = target});
}

gzc_ticket gzc_symlink_async(gzc_volume *volume, const char *target, const char *path,
                             const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_symlink, &(struct name_args){.other = target}, how);
}

int gzc_link(gzc_volume *volume, const char *path, const char *new_path)
{
    return (int)name_run(volume, path, &kind_link, &(struct name_args){.other = new_path});
}

gzc_ticket gzc_link_async(gzc_volume *volume, const char *path, const char *new_path,
                          const struct gzc_async *how)
{
    return name_submit(volume, path, &kind_link, &(struct name_args){.other = new_path}, how);
}

/* gf_rename_args has no flags. */
static int rename_refuse(struct gzc_volume *v, unsigned flags)
{
    return flags ? volume_fail(v, &v->why, -EINVAL,
                               "rename: bricks have neither RENAME_NOREPLACE nor RENAME_EXCHANGE")
                 : 0;
}

int gzc_rename(gzc_volume *volume, const char *path, const char *new_path, unsigned flags)
{
    int rc = rename_refuse(volume, flags);
    const struct name_args args = {.other = new_path};
    return rc < 0 ? rc : (int)name_run(volume, path, &kind_rename, &args);
}

gzc_ticket gzc_rename_async(gzc_volume *volume, const char *path, const char *new_path,
                            unsigned flags, const struct gzc_async *how)
{
    int rc = rename_refuse(volume, flags);
    const struct name_args args = {.other = new_path};
    return rc < 0 ? rc : name_submit(volume, path, &kind_rename, &args, how);
}

/* NULL: a flag that there is not. */
static const struct name_kind *handle_kind(struct gzc_volume *v, int flags)
{
    if (flags & ~AT_SYMLINK_NOFOLLOW)
        volume_fail(v, &v->why, -EINVAL, "handle: a flag that is not supported");
    else
        return flags ? &kind_handle_nofollow : &kind_handle;
    return NULL;
}

int gzc_name_to_handle(gzc_volume *volume, const char *path, int flags, struct gzc_handle *handle)
{
    const struct name_kind *kind = handle_kind(volume, flags);
    return kind ? (int)name_run(volume, path, kind, &(struct name_args){.handle = handle})
                : -EINVAL;
}

gzc_ticket gzc_name_to_handle_async(gzc_volume *volume, const char *path, int flags,
                                    struct gzc_handle *handle, const struct gzc_async *how)
{
    const struct name_kind *kind = handle_kind(volume, flags);
    const struct name_args args = {.handle = handle};
    return kind ? name_submit(volume, path, kind, &args, how) : -EINVAL;
}
