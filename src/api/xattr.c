/* gzc.h: extended attributes. */
#include "volume/xattr.h"

#include "api/attr.h"

#include <linux/limits.h>
#include <sys/xattr.h>

/* ---- calls ----------------------------------------------------------------------------------- */

/* With a name, which is wrong as Linux finds it. */
static struct attr_call named_call(void (*start)(struct op *op), const char *name)
{
    struct attr_call call = {.start = start};
    size_t length = strlen(name);
    if (length == 0 || length > XATTR_NAME_MAX) {
        call.error = -ERANGE;
        call.text = "the name of an extended attribute has 1 to 255 bytes";
    } else {
        memcpy(call.args.xattr.name, name, length + 1);
    }
    return call;
}

static struct attr_call getxattr_call(const char *name, void *value, size_t size)
{
    struct attr_call call = named_call(getxattr_start, name);
    call.args.xattr.buffer = value;
    call.args.xattr.size = size;
    return call;
}

static struct attr_call setxattr_call(const char *name, const void *value, size_t size, int flags)
{
    struct attr_call call = named_call(setxattr_start, name);
    call.change = true;
    call.args.xattr.value = value;
    call.args.xattr.size = size;
    call.args.xattr.flags = flags;
    if (flags & ~(XATTR_CREATE | XATTR_REPLACE)) {
        call.error = -EINVAL;
        call.text = "setxattr: neither XATTR_CREATE nor XATTR_REPLACE";
    } else if (!call.error && size > XATTR_SIZE_MAX) {
        call.error = -E2BIG;
        call.text = "the value of an extended attribute has at most 65536 bytes";
    }
    return call;
}

static struct attr_call listxattr_call(char *list, size_t size)
{
    return (struct attr_call){
        .start = listxattr_start,
        .args.xattr = {.buffer = list, .size = size},
    };
}

static struct attr_call removexattr_call(const char *name)
{
    struct attr_call call = named_call(removexattr_start, name);
    call.change = true;
    return call;
}

/* ---- get ------------------------------------------------------------------------------------- */

ssize_t gzc_getxattr(gzc_volume *volume, const char *path, const char *name, void *value,
                     size_t size)
{
    return attr_run(attr_path(volume, path), getxattr_call(name, value, size));
}

gzc_ticket gzc_getxattr_async(gzc_volume *volume, const char *path, const char *name, void *value,
                              size_t size, const struct gzc_async *how)
{
    return attr_submit(attr_path(volume, path), getxattr_call(name, value, size), how);
}

ssize_t gzc_lgetxattr(gzc_volume *volume, const char *path, const char *name, void *value,
                      size_t size)
{
    return attr_run(attr_link(volume, path), getxattr_call(name, value, size));
}

gzc_ticket gzc_lgetxattr_async(gzc_volume *volume, const char *path, const char *name, void *value,
                               size_t size, const struct gzc_async *how)
{
    return attr_submit(attr_link(volume, path), getxattr_call(name, value, size), how);
}

ssize_t gzc_fgetxattr(gzc_file *file, const char *name, void *value, size_t size)
{
    return attr_run(attr_file(file), getxattr_call(name, value, size));
}

gzc_ticket gzc_fgetxattr_async(gzc_file *file, const char *name, void *value, size_t size,
                               const struct gzc_async *how)
{
    return attr_submit(attr_file(file), getxattr_call(name, value, size), how);
}

/* ---- set ------------------------------------------------------------------------------------- */

int gzc_setxattr(gzc_volume *volume, const char *path, const char *name, const void *value,
                 size_t size, int flags)
{
    return (int)attr_run(attr_path(volume, path), setxattr_call(name, value, size, flags));
}

gzc_ticket gzc_setxattr_async(gzc_volume *volume, const char *path, const char *name,
                              const void *value, size_t size, int flags,
                              const struct gzc_async *how)
{
    return attr_submit(attr_path(volume, path), setxattr_call(name, value, size, flags), how);
}

int gzc_lsetxattr(gzc_volume *volume, const char *path, const char *name, const void *value,
                  size_t size, int flags)
{
    return (int)attr_run(attr_link(volume, path), setxattr_call(name, value, size, flags));
}

gzc_ticket gzc_lsetxattr_async(gzc_volume *volume, const char *path, const char *name,
                               const void *value, size_t size, int flags,
                               const struct gzc_async *how)
{
    return attr_submit(attr_link(volume, path), setxattr_call(name, value, size, flags), how);
}

int gzc_fsetxattr(gzc_file *file, const char *name, const void *value, size_t size, int flags)
{
    return (int)attr_run(attr_file(file), setxattr_call(name, value, size, flags));
}

gzc_ticket gzc_fsetxattr_async(gzc_file *file, const char *name, const void *value, size_t size,
                               int flags, const struct gzc_async *how)
{
    return attr_submit(attr_file(file), setxattr_call(name, value, size, flags), how);
}

/* ---- list ------------------------------------------------------------------------------------ */

ssize_t gzc_listxattr(gzc_volume *volume, const char *path, char *list, size_t size)
{
    return attr_run(attr_path(volume, path), listxattr_call(list, size));
}

gzc_ticket gzc_listxattr_async(gzc_volume *volume, const char *path, char *list, size_t size,
                               const struct gzc_async *how)
{
    return attr_submit(attr_path(volume, path), listxattr_call(list, size), how);
}

ssize_t gzc_llistxattr(gzc_volume *volume, const char *path, char *list, size_t size)
{
    return attr_run(attr_link(volume, path), listxattr_call(list, size));
}

gzc_ticket gzc_llistxattr_async(gzc_volume *volume, const char *path, char *list, size_t size,
                                const struct gzc_async *how)
{
    return attr_submit(attr_link(volume, path), listxattr_call(list, size), how);
}

ssize_t gzc_flistxattr(gzc_file *file, char *list, size_t size)
{
    return attr_run(attr_file(file), listxattr_call(list, size));
}

gzc_ticket gzc_flistxattr_async(gzc_file *file, char *list, size_t size,
                                const struct gzc_async *how)
{
    return attr_submit(attr_file(file), listxattr_call(list, size), how);
}

/* ---- remove ---------------------------------------------------------------------------------- */

int gzc_removexattr(gzc_volume *volume, const char *path, const char *name)
{
    return (int)attr_run(attr_path(volume, path), removexattr_call(name));
}

gzc_ticket gzc_removexattr_async(gzc_volume *volume, const char *path, const char *name,
                                 const struct gzc_async *how)
{
    return attr_submit(attr_path(volume, path), removexattr_call(name), how);
}

int gzc_lremovexattr(gzc_volume *volume, const char *path, const char *name)
{
    return (int)attr_run(attr_link(volume, path), removexattr_call(name));
}

gzc_ticket gzc_lremovexattr_async(gzc_volume *volume, const char *path, const char *name,
                                  const struct gzc_async *how)
{
    return attr_submit(attr_link(volume, path), removexattr_call(name), how);
}

int gzc_fremovexattr(gzc_file *file, const char *name)
{
    return (int)attr_run(attr_file(file), removexattr_call(name));
}

gzc_ticket gzc_fremovexattr_async(gzc_file *file, const char *name, const struct gzc_async *how)
{
    return attr_submit(attr_file(file), removexattr_call(name), how);
}
