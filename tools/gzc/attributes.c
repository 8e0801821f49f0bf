#include "attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static int fail(struct reason *why, int error, gzc_volume *volume, const char *what)
{
    struct reason text;
    if (volume)
        reason_volume(&text, error, volume);
    else
        reason_set(&text, error, "");
    snprintf(why->text, sizeof(why->text), "%.200s: %.800s", what, text.text);
    return error;
}

/* ---- extended attributes --------------------------------------------------------------------- */

#define USER "user."

bool xattrs_any(const char *list, size_t size)
{
    for (const char *name = list; name < list + size; name += strlen(name) + 1)
        if (strncmp(name, USER, strlen(USER)) == 0)
            return true;
    return false;
}

static ssize_t get(gzc_volume *volume, const char *path, const char *name, char *value, size_t size)
{
    if (volume)
        return name ? gzc_lgetxattr(volume, path, name, value, size)
                    : gzc_llistxattr(volume, path, value, size);
    ssize_t n = name ? lgetxattr(path, name, value, size) : llistxattr(path, value, size);
    return n < 0 ? -errno : n;
}

/* A value, or with no name the list of names, whatever its size. Memory of the caller's, even on
 * failure. */
static ssize_t get_whole(gzc_volume *volume, const char *path, const char *name, char **value)
{
    size_t room = 4096;
    ssize_t n;
    *value = NULL;
    do {
        room *= 2;
        *value = need(realloc(*value, room));
        n = get(volume, path, name, *value, room);
    } while (n == -ERANGE);
    return n;
}

int xattrs_copy(gzc_volume *from_volume, const char *from, gzc_volume *to_volume, const char *to,
                struct reason *why)
{
    char *list, *value;
    ssize_t length = get_whole(from_volume, from, NULL, &list);
    int rc = length < 0 && length != -EOPNOTSUPP
                 ? fail(why, (int)length, from_volume, "extended attributes")
                 : 0;
    for (char *name = list; length > 0 && name < list + length && rc == 0;
         name += strlen(name) + 1) {
        if (strncmp(name, USER, strlen(USER)) != 0)
            continue;
        ssize_t size = get_whole(from_volume, from, name, &value);
        if (size < 0) {
            rc = fail(why, (int)size, from_volume, name);
        } else {
            rc = to_volume ? gzc_lsetxattr(to_volume, to, name, value, (size_t)size, 0)
                 : lsetxattr(to, name, value, (size_t)size, 0) < 0 ? -errno
                                                                   : 0;
            if (rc < 0)
                fail(why, rc, to_volume, name);
        }
        free(value);
    }
    free(list);
    return rc;
}

/* ---- owner, permissions, times --------------------------------------------------------------- */

mode_t preserved_mode(const struct preserve *p, const struct stat *st)
{
    return st->st_mode & (p->owner || st->st_uid == geteuid() ? 07777 : 0777);
}

int attributes_set(gzc_volume *volume, const char *path, const struct preserve *p,
                   const struct stat *st, struct reason *why)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    int rc = 0;
    if (p->owner) {
        rc = volume ? gzc_lchown(volume, path, st->st_uid, st->st_gid)
             : lchown(path, st->st_uid, st->st_gid) < 0 ? -errno
                                                        : 0;
        if (rc < 0)
            return fail(why, rc, volume, "owner");
    }
    if (p->mode && !S_ISLNK(st->st_mode)) {
        mode_t mode = preserved_mode(p, st);
        rc = volume ? gzc_chmod(volume, path, mode) : chmod(path, mode) < 0 ? -errno : 0;
        if (rc < 0)
            return fail(why, rc, volume, "permissions");
    }
    if (p->times) {
        rc = volume ? gzc_lutimens(volume, path, times)
             : utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno
                                                                         : 0;
        if (rc < 0)
            return fail(why, rc, volume, "times");
    }
    return 0;
}
