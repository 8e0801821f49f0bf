/* libgzc, with a handle for each identity. */
#include "backend.h"

#include "gzc.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

static gzc_volume *volumes[IDENTITIES];
static gzc_file *slots[SLOTS];
static gzc_dir *dirs[DIR_SLOTS];
static char *memory; /* TRANSFER_MAX */

/* Ends the program. */
static void fail(int rc, gzc_volume *v, const char *what)
{
    char text[512];

    gzc_error(v, text, sizeof(text));
    errx(1, "libgzc: %s: %s: %s", what, strerror(-rc), text);
}

void backend_gzc_open(const char *uri)
{
    gzc_volume *mounted;
    int rc = gzc_mount(uri, &mounted);

    if (rc < 0)
        fail(rc, mounted, uri);
    for (int i = 0; i < IDENTITIES; i++) {
        struct gzc_identity who = {
            .uid = identities[i].uid,
            .gid = identities[i].gid,
            .groups = identities[i].groups,
            .ngroups = identities[i].ngroups,
            .umask = identities[i].umask,
        };
        rc = gzc_as(mounted, &who, &volumes[i]);
        if (rc < 0)
            fail(rc, mounted, "gzc_as");
    }
    gzc_unmount(mounted);
    memory = malloc(TRANSFER_MAX);
    if (!memory)
        err(1, NULL);
}

static void close_all(void)
{
    for (int i = 0; i < SLOTS; i++) {
        gzc_close(slots[i]);
        slots[i] = NULL;
    }
    for (int i = 0; i < DIR_SLOTS; i++) {
        gzc_closedir(dirs[i]);
        dirs[i] = NULL;
    }
}

void backend_gzc_close(void)
{
    close_all();
    for (int i = 0; i < IDENTITIES; i++) {
        int rc = gzc_unmount(volumes[i]);
        if (rc < 0)
            errx(1, "libgzc: unmount: %s", strerror(-rc));
    }
    free(memory);
}

static void make(const char *path)
{
    int rc = gzc_mkdir(volumes[0], path, 0777);

    if (rc < 0)
        fail(rc, volumes[0], path);
}

static void begin(const char *root)
{
    close_all();
    make_root(root, make);
    for (int i = 0; i < IDENTITIES; i++) {
        int rc = gzc_chdir(volumes[i], root);
        if (rc < 0)
            fail(rc, volumes[i], root);
    }
}

static int slot_open(int64_t slot, int rc, gzc_file *file)
{
    if (rc < 0)
        return rc;
    gzc_close(slots[slot]);
    slots[slot] = file;
    return 0;
}

static int64_t transfer(const struct step *s, gzc_file *file, struct outcome *o)
{
    struct iovec iov[PIECES_MAX];
    bool writes = step_name(s->kind)[0] == 'w' || step_name(s->kind)[1] == 'w';
    size_t length = (size_t)s->n[1];
    int64_t value;
    int n;

    if (length > TRANSFER_MAX)
        return -EINVAL;
    if (writes)
        pattern_fill(memory, length, s->n[strlen(step_arguments(s->kind)) - 1]);
    switch (s->kind) {
    case STEP_read:
        value = gzc_read(file, memory, length);
        break;
    case STEP_write:
        value = gzc_write(file, memory, length);
        break;
    case STEP_readv:
        n = cut_pieces(iov, memory, length, s->n[2]);
        value = gzc_readv(file, iov, n);
        break;
    case STEP_writev:
        n = cut_pieces(iov, memory, length, s->n[2]);
        value = gzc_writev(file, iov, n);
        break;
    case STEP_pread:
        value = gzc_pread(file, memory, length, s->n[2]);
        break;
    case STEP_pwrite:
        value = gzc_pwrite(file, memory, length, s->n[2]);
        break;
    case STEP_preadv:
        n = cut_pieces(iov, memory, length, s->n[3]);
        value = gzc_preadv(file, iov, n, s->n[2]);
        break;
    case STEP_pwritev:
        n = cut_pieces(iov, memory, length, s->n[3]);
        value = gzc_pwritev(file, iov, n, s->n[2]);
        break;
    default:
        iov[0] = (struct iovec){memory, length};
        value = gzc_pwritev2(file, iov, 1, s->n[2], (int)s->n[3]);
        break;
    }
    if (!writes && value > 0)
        outcome_bytes(o, memory, (size_t)value);
    return value;
}

static int64_t stat_of(int rc, const struct stat *st, struct outcome *o)
{
    if (rc == 0)
        outcome_stat(o, st);
    return rc;
}

static int64_t statx_of(int rc, const struct statx *x, struct outcome *o)
{
    if (rc == 0)
        outcome_statx(o, x);
    return rc;
}

static int64_t list_dir(gzc_dir *dir, int64_t from, struct outcome *o)
{
    char *names[4096];
    int64_t behind[4096];
    size_t count = 0;
    struct gzc_dirent entry;
    int rc = 0;

    gzc_rewinddir(dir);
    while (count < 4096 && (rc = gzc_readdir(dir, &entry)) > 0) {
        if (asprintf(&names[count], "%u %s", entry.type, entry.name) < 0)
            err(1, NULL);
        behind[count++] = gzc_telldir(dir);
    }
    int64_t value = rc < 0 ? rc : (int64_t)count;
    if (value > 0 && from >= 0) {
        size_t at = (size_t)from % count;
        gzc_seekdir(dir, behind[at]);
        while (at++, gzc_readdir(dir, &entry) > 0) {
            if (at >= count || strcmp(strchr(names[at], ' ') + 1, entry.name) != 0)
                break;
        }
        outcome_print(o, "%s\n", at == count ? "the same again" : "not the same again");
    }
    outcome_list(o, names, count);
    return value;
}

static int64_t entries_of(gzc_volume *v, const char *path, struct outcome *o)
{
    gzc_dir *dir;
    int rc = gzc_opendir(v, path, &dir);

    if (rc < 0)
        return rc;
    int64_t value = list_dir(dir, -1, o);
    gzc_closedir(dir);
    return value;
}

static int64_t data_of(gzc_file *file, struct outcome *o)
{
    int64_t total = 0, n;

    while ((n = gzc_pread(file, memory, TRANSFER_MAX, total)) > 0 && total < 2 * TRANSFER_MAX) {
        outcome_bytes(o, memory, (size_t)n);
        total += n;
    }
    return n < 0 ? n : total;
}

static int64_t data_of_path(gzc_volume *v, const char *path, struct outcome *o)
{
    gzc_file *file;
    int rc = gzc_open(v, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME, 0, &file);

    if (rc < 0)
        return rc;
    int64_t value = data_of(file, o);
    gzc_close(file);
    return value;
}

static int64_t lock_of(gzc_file *file, const struct step *s, struct outcome *o)
{
    struct flock lock = {
        .l_type = (short)s->n[1],
        .l_whence = (short)s->n[2],
        .l_start = s->n[3],
        .l_len = s->n[4],
    };
    int rc = gzc_posix_lock(file, s->kind == STEP_lock ? F_SETLK : F_GETLK, &lock);

    if (rc == 0 && s->kind == STEP_getlock)
        outcome_lock(o, &lock);
    return rc;
}

static int64_t xattr_value(int64_t value, int64_t size, struct outcome *o)
{
    if (value > 0 && size > 0)
        outcome_bytes(o, memory, (size_t)value);
    return value;
}

static int64_t xattr_list(int64_t value, int64_t size, struct outcome *o)
{
    if (value > 0 && size > 0)
        outcome_xattrs(o, memory, (size_t)value);
    return value;
}

static int64_t run_on_slot(const struct step *s, gzc_file *file, struct outcome *o)
{
    const int64_t *n = s->n;
    struct timespec t[2];
    struct stat st;
    struct statx x;

    switch (s->kind) {
    case STEP_close:
        slots[n[0]] = NULL;
        return gzc_close(file);
    case STEP_dup:
        return slot_open(n[1], 0, gzc_dup(file));
    case STEP_lseek:
        if (gzc_fstat(file, &st) == 0 && S_ISDIR(st.st_mode))
            return -EISDIR; /* a directory's positions are not a file's */
        return gzc_lseek(file, n[1], (int)n[2]);
    case STEP_ftruncate:
        return gzc_ftruncate(file, n[1]);
    case STEP_fallocate:
        return gzc_fallocate(file, (int)n[1], n[2], n[3]);
    case STEP_copy:
        if (!slots[n[2]])
            return -EBADF;
        return gzc_copy_file_range(file, n[1], slots[n[2]], n[3], (size_t)n[4]);
    case STEP_fsync:
        return gzc_fsync(file);
    case STEP_fdatasync:
        return gzc_fdatasync(file);
    case STEP_fchmod:
        return gzc_fchmod(file, (mode_t)n[1]);
    case STEP_fchown:
        return gzc_fchown(file, (uid_t)n[1], (gid_t)n[2]);
    case STEP_futimens:
        return gzc_futimens(file, times_of(n + 1, t));
    case STEP_fstat:
        return stat_of(gzc_fstat(file, &st), &st, o);
    case STEP_fstatx:
        return statx_of(gzc_fstatx(file, &x), &x, o);
    case STEP_fgetxattr:
        return xattr_value(gzc_fgetxattr(file, s->text[0], memory, (size_t)n[1]), n[1], o);
    case STEP_fsetxattr:
        return gzc_fsetxattr(file, s->text[0], memory, (size_t)n[1], (int)n[2]);
    case STEP_flistxattr:
        return xattr_list(gzc_flistxattr(file, memory, (size_t)n[1]), n[1], o);
    case STEP_fremovexattr:
        return gzc_fremovexattr(file, s->text[0]);
    case STEP_lock:
    case STEP_getlock:
        return lock_of(file, s, o);
    case STEP_fdata:
        return data_of(file, o);
    default:
        return transfer(s, file, o);
    }
}

static int64_t run_on_path(const struct step *s, const char *path, const char *second,
                           struct outcome *o)
{
    gzc_volume *v = volumes[s->who];
    const int64_t *n = s->n;
    struct timespec t[2];
    struct stat st;
    struct statx x;
    struct statvfs vfs;
    gzc_file *file;
    int rc;

    switch (s->kind) {
    case STEP_open:
        rc = gzc_open(v, path, (int)n[1], (mode_t)n[2], &file);
        return slot_open(n[0], rc, file);
    case STEP_creat:
        rc = gzc_create(v, path, (mode_t)n[1], &file);
        return slot_open(n[0], rc, file);
    case STEP_truncate:
        return gzc_truncate(v, path, n[0]);
    case STEP_mkdir:
        return gzc_mkdir(v, path, (mode_t)n[0]);
    case STEP_rmdir:
        return gzc_rmdir(v, path);
    case STEP_unlink:
        return gzc_unlink(v, path);
    case STEP_rename:
        return gzc_rename(v, path, second, (unsigned)n[0]);
    case STEP_link:
        return gzc_link(v, path, second);
    case STEP_symlink:
        return gzc_symlink(v, path, second);
    case STEP_readlink:
        return outcome_path(o, memory, gzc_readlink(v, path, memory, (size_t)n[0]));
    case STEP_mknod:
        return gzc_mknod(v, path, (mode_t)n[0], (dev_t)n[1]);
    case STEP_chmod:
        return gzc_chmod(v, path, (mode_t)n[0]);
    case STEP_chown:
        return gzc_chown(v, path, (uid_t)n[0], (gid_t)n[1]);
    case STEP_lchown:
        return gzc_lchown(v, path, (uid_t)n[0], (gid_t)n[1]);
    case STEP_utimens:
        return gzc_utimens(v, path, times_of(n, t));
    case STEP_lutimens:
        return gzc_lutimens(v, path, times_of(n, t));
    case STEP_access:
        return gzc_access(v, path, (int)n[0]);
    case STEP_stat:
        return stat_of(gzc_stat(v, path, &st), &st, o);
    case STEP_lstat:
        return stat_of(gzc_lstat(v, path, &st), &st, o);
    case STEP_statx:
        return statx_of(gzc_statx(v, path, (int)n[0], &x), &x, o);
    case STEP_statvfs:
        rc = gzc_statvfs(v, path, &vfs);
        if (rc == 0)
            outcome_statvfs(o, &vfs);
        return rc;
    case STEP_getxattr:
        return xattr_value(gzc_getxattr(v, path, s->text[1], memory, (size_t)n[0]), n[0], o);
    case STEP_lgetxattr:
        return xattr_value(gzc_lgetxattr(v, path, s->text[1], memory, (size_t)n[0]), n[0], o);
    case STEP_setxattr:
        return gzc_setxattr(v, path, s->text[1], memory, (size_t)n[0], (int)n[1]);
    case STEP_lsetxattr:
        return gzc_lsetxattr(v, path, s->text[1], memory, (size_t)n[0], (int)n[1]);
    case STEP_listxattr:
        return xattr_list(gzc_listxattr(v, path, memory, (size_t)n[0]), n[0], o);
    case STEP_llistxattr:
        return xattr_list(gzc_llistxattr(v, path, memory, (size_t)n[0]), n[0], o);
    case STEP_removexattr:
        return gzc_removexattr(v, path, s->text[1]);
    case STEP_lremovexattr:
        return gzc_lremovexattr(v, path, s->text[1]);
    case STEP_realpath:
        return outcome_path(o, memory, gzc_realpath(v, path, memory, (size_t)n[0]));
    case STEP_chdir:
        return gzc_chdir(v, path);
    case STEP_entries:
        return entries_of(v, path, o);
    default:
        return data_of_path(v, path, o);
    }
}

static int64_t run_on_dir(const struct step *s, const char *path, struct outcome *o)
{
    gzc_dir **dir = &dirs[s->n[0]], *opened;

    if (s->kind == STEP_opendir) {
        int rc = gzc_opendir(volumes[s->who], path, &opened);
        if (rc < 0)
            return rc;
        gzc_closedir(*dir);
        *dir = opened;
        return 0;
    }
    if (!*dir)
        return -EBADF;
    if (s->kind == STEP_list)
        return list_dir(*dir, s->n[1], o);
    opened = *dir;
    *dir = NULL;
    return gzc_closedir(opened);
}

static void run(const char *root, const struct step *s, struct outcome *o)
{
    static char buffers[2][PATH_ROOM];
    const char *arguments = step_arguments(s->kind);
    bool slot = arguments[0] == 'h' && arguments[1] != 'p';
    const char *path = slot || !s->text[0] ? NULL : backend_path(root, s->text[0], buffers[0]);
    const char *second = slot || !s->text[1] ? NULL : backend_path(root, s->text[1], buffers[1]);

    outcome_clear(o);
    if (strstr(step_name(s->kind), "setxattr"))
        pattern_fill(memory, (size_t)s->n[slot], s->n[slot + 2]);
    if (arguments[0] == 'd')
        o->value = run_on_dir(s, path, o);
    else if (!slot)
        o->value = run_on_path(s, path, second, o);
    else if (!slots[s->n[0]])
        o->value = -EBADF;
    else
        o->value = run_on_slot(s, slots[s->n[0]], o);
    if (o->value < 0 && !slot)
        gzc_error(volumes[s->who], o->error, sizeof(o->error));
}

const struct backend backend_gzc = {"libgzc", begin, run};
