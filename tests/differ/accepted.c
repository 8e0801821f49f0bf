#include "accepted.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

enum { ANY = -1 };

/* A name of more than 255 bytes. */
static bool has_long_name(const struct step *s)
{
    for (int i = 0; i < 2; i++) {
        for (const char *p = s->text[i]; p && *p;
             p += strcspn(p, "/") + (p[strcspn(p, "/")] == '/')) {
            if (strcspn(p, "/") > NAME_MAX)
                return true;
        }
    }
    return false;
}

static bool has_bad_nanoseconds(const struct step *s)
{
    const int64_t *n = s->n + (s->kind == STEP_futimens);

    return n[1] > 999999999 || n[3] > 999999999;
}

static bool has_negative_offset(const struct step *s)
{
    return s->n[2] < 0;
}

/*
 * Each with its reason, as narrow as it can be told: the operation, what each side returns, and a
 * condition on the step if that is not enough.
 */
struct difference {
    enum step_kind kind; /* STEP_KINDS: any */
    int gzc, fuse;       /* errno; 0: success */
    bool (*when)(const struct step *s);
};

static const struct difference differences[] = {
    /* libgzc looks at a name before it sends it, the kernel at the directory before the name. */
    {STEP_KINDS, ENAMETOOLONG, EACCES, has_long_name},
    {STEP_KINDS, ENAMETOOLONG, ENOENT, has_long_name},
    /* A working directory that has been removed: the FUSE client does not find it by its name. */
    {STEP_KINDS, ENOENT, ESTALE, step_is_relative},
    /* A brick that could not rename a directory, e.g. as the new name's is not empty, has lost the
     * link that it knows its path by (posix-entry-ops.c: posix_rename). */
    {STEP_realpath, ENODATA, 0, NULL},
    /* A brick looks a name up before it asks whether its directory may be searched. */
    {STEP_unlink, ENOENT, EACCES, NULL},
    {STEP_rmdir, ENOENT, EACCES, NULL},
    {STEP_rename, ENOENT, EACCES, NULL},
    {STEP_mknod, EEXIST, EACCES, NULL},
    {STEP_mkdir, EEXIST, EACCES, NULL},
    {STEP_symlink, EEXIST, EACCES, NULL},
    {STEP_link, EEXIST, EACCES, NULL},
    /* The kernel lets files and directories only have attributes "user.", with EPERM; a brick's
     * looks at permissions first. */
    {STEP_setxattr, EACCES, EPERM, NULL},
    {STEP_lsetxattr, EACCES, EPERM, NULL},
    {STEP_removexattr, EACCES, EPERM, NULL},
    {STEP_lremovexattr, EACCES, EPERM, NULL},
    {STEP_getxattr, EACCES, ENODATA, NULL},
    {STEP_lgetxattr, EACCES, ENODATA, NULL},
    /* Times that only an owner may set: features/access-control has EACCES for it. */
    {STEP_utimens, EACCES, EPERM, NULL},
    {STEP_lutimens, EACCES, EPERM, NULL},
    {STEP_futimens, EACCES, EPERM, NULL},
    /* Of two reasons, the one that is seen first. */
    {STEP_pread, EBADF, EINVAL, has_negative_offset},
    {STEP_preadv, EBADF, EINVAL, has_negative_offset},
    {STEP_pwrite, EBADF, EINVAL, has_negative_offset},
    {STEP_pwritev, EBADF, EINVAL, has_negative_offset},
    {STEP_pwritev2, EBADF, EINVAL, has_negative_offset},
    /* Linux looks at the end of the ranges when it has cut them at the end of the file. */
    {STEP_copy, EOVERFLOW, 0, NULL},
    /* libgzc looks at the times first. */
    {STEP_utimens, EINVAL, ANY, has_bad_nanoseconds},
    {STEP_lutimens, EINVAL, ANY, has_bad_nanoseconds},
    {STEP_futimens, EINVAL, ANY, has_bad_nanoseconds},
    /* A sticky directory: of others' entries features/access-control has EACCES for EPERM. */
    {STEP_rmdir, EACCES, EPERM, NULL},
    {STEP_unlink, EACCES, EPERM, NULL},
    {STEP_rename, EACCES, EPERM, NULL},
    /* What is no file is not opened, whoever may not. */
    {STEP_open, ENXIO, EACCES, NULL},
    {STEP_creat, ENXIO, EACCES, NULL},
    /* An open directory has no position. */
    {STEP_lseek, EISDIR, ANY, NULL},
    /* Directories are not locked on bricks; FUSE does it in this host's kernel. */
    {STEP_lock, EISDIR, 0, NULL},
    {STEP_lock, EISDIR, EBADF, NULL},
    {STEP_getlock, EISDIR, 0, NULL},
    /* The FUSE client finds the file of these by its name, which is gone; libgzc by what is open.
     * (Attributes of files without a name are not compared.) */
    {STEP_fchmod, ANY, ESTALE, NULL},
    {STEP_fchown, ANY, ESTALE, NULL},
    {STEP_futimens, ANY, ESTALE, NULL},
    {STEP_fgetxattr, ANY, ESTALE, NULL},
    {STEP_fsetxattr, ANY, ESTALE, NULL},
    {STEP_flistxattr, ANY, ESTALE, NULL},
    {STEP_fremovexattr, ANY, ESTALE, NULL},
};

/* Bricks check permissions themselves (features/access-control), and less than Linux: they let a
 * directory be moved that its mover must not write to, a file be linked that its linker must not
 * write to (sysctl fs.protected_hardlinks), an owner be set to the one that it is, and any times be
 * set by who may write. */
static const struct difference allowances[] = {
    {STEP_rename, 0, EACCES, NULL},  {STEP_link, 0, EPERM, NULL},
    {STEP_chown, 0, EPERM, NULL},    {STEP_lchown, 0, EPERM, NULL},
    {STEP_fchown, 0, EPERM, NULL},   {STEP_utimens, 0, EPERM, NULL},
    {STEP_lutimens, 0, EPERM, NULL}, {STEP_futimens, 0, EPERM, NULL},
};

static int errno_of(const struct outcome *o)
{
    return o->value < 0 ? (int)-o->value : 0;
}

static bool fits(const struct difference *d, size_t count, const struct step *s, int gzc, int fuse)
{
    for (; count > 0; d++, count--) {
        if ((d->kind == STEP_KINDS || d->kind == s->kind) && (d->gzc == ANY || d->gzc == gzc) &&
            (d->fuse == ANY || d->fuse == fuse) && (!d->when || d->when(s)))
            return true;
    }
    return false;
}

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

enum verdict accepted(const struct step *s, const struct outcome *gzc, const struct outcome *fuse)
{
    int a = errno_of(gzc), b = errno_of(fuse);

    if (fits(differences, COUNT(differences), s, a, b))
        return ACCEPTED;
    return fits(allowances, COUNT(allowances), s, a, b) ? ALLOWED : WRONG;
}
