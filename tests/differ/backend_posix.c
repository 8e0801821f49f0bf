/* System calls on a FUSE mount, by a thread that has it as its root directory: so absolute symbolic
 * links mean the same here as to libgzc. Its working directory, umask and identity are its own. */
#include "backend.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

static int slots[SLOTS];
static unsigned openers[SLOTS], dir_openers[DIR_SLOTS];
static int working[IDENTITIES]; /* the identities' working directories */
static bool working_gone;       /* it has been removed, and the kernel does not let us in */
static DIR *dirs[DIR_SLOTS];
static bool as_root;
static char *memory; /* TRANSFER_MAX */

void backend_posix_open(const char *mount)
{
    if (unshare(CLONE_FS) || chdir(mount) || chroot("."))
        err(1, "%s", mount);
    memset(slots, -1, sizeof(slots));
    memset(working, -1, sizeof(working));
    memory = malloc(TRANSFER_MAX);
    if (!memory)
        err(1, NULL);
}

static void close_all(void)
{
    for (int i = 0; i < SLOTS; i++) {
        if (slots[i] >= 0)
            close(slots[i]);
        slots[i] = -1;
    }
    for (int i = 0; i < DIR_SLOTS; i++) {
        if (dirs[i])
            closedir(dirs[i]);
        dirs[i] = NULL;
    }
    for (int i = 0; i < IDENTITIES; i++) {
        if (working[i] >= 0)
            close(working[i]);
        working[i] = -1;
    }
}

void backend_posix_close(void)
{
    close_all();
    if (chdir("/"))
        err(1, "chdir");
    free(memory);
}

/* What root may do beside files, e.g. with attributes "trusted.". */
static void set_privileged(bool on)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data))
        err(1, "capget");
    data[0].effective &= ~(1u << CAP_SYS_ADMIN);
    data[0].effective |= on ? 1u << CAP_SYS_ADMIN : 0;
    if (syscall(SYS_capset, &header, data))
        err(1, "capset");
}

/* The C library's functions would change all threads. Entering the working directory needs no
 * permission: that was needed when it became it. */
static void become(unsigned who)
{
    const struct identity *i = &identities[as_root ? 0 : who];

    syscall(SYS_setfsuid, 0);
    working_gone = working[who] >= 0 && fchdir(working[who]) && errno == ESTALE;
    if (working_gone && chdir("/"))
        err(1, "chdir");
    if (syscall(SYS_setgroups, i->ngroups, i->groups))
        err(1, "setgroups");
    syscall(SYS_setfsgid, i->gid);
    syscall(SYS_setfsuid, i->uid);
    set_privileged(i->uid == 0);
    umask(i->umask);
}

static void make(const char *path)
{
    if (mkdir(path, 0777))
        err(1, "%s", path);
}

static void begin(const char *root)
{
    close_all();
    become(0);
    make_root(root, make);
    for (int i = 0; i < IDENTITIES; i++) {
        working[i] = open(root, O_PATH | O_DIRECTORY);
        if (working[i] < 0)
            err(1, "%s", root);
    }
}

static int64_t put_errno(int64_t value)
{
    return value < 0 ? -errno : value;
}

static int slot_open(unsigned who, int64_t slot, int fd)
{
    if (fd < 0)
        return -errno;
    if (slots[slot] >= 0)
        close(slots[slot]);
    slots[slot] = fd;
    openers[slot] = who;
    return 0;
}

/* FIFOs, sockets and devices work on their own host only, to libgzc; the kernel would open this
 * host's. */
static int open_here(const char *path, int flags, mode_t mode)
{
    struct stat st;
    int fd = open(path, flags | O_NONBLOCK, mode);

    if (fd < 0 || fstat(fd, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
        return fd;
    close(fd);
    errno = ENXIO;
    return -1;
}

static int64_t transfer(const struct step *s, int fd, struct outcome *o)
{
    struct iovec iov[PIECES_MAX];
    bool writes = step_name(s->kind)[0] == 'w' || step_name(s->kind)[1] == 'w';
    size_t length = (size_t)s->n[1];
    int64_t value;
    int n;

    if (length > TRANSFER_MAX)
        return -EINVAL;
    if (writes) {
        const char *arguments = step_arguments(s->kind);
        int64_t seed = s->n[strlen(arguments) - 1];
        pattern_fill(memory, length, seed);
    }
    switch (s->kind) {
    case STEP_read:
        value = read(fd, memory, length);
        break;
    case STEP_write:
        value = write(fd, memory, length);
        break;
    case STEP_readv:
        n = cut_pieces(iov, memory, length, s->n[2]);
        value = readv(fd, iov, n);
        break;
    case STEP_writev:
        n = cut_pieces(iov, memory, length, s->n[2]);
        value = writev(fd, iov, n);
        break;
    case STEP_pread:
        value = pread(fd, memory, length, s->n[2]);
        break;
    case STEP_pwrite:
        value = pwrite(fd, memory, length, s->n[2]);
        break;
    case STEP_preadv:
        n = cut_pieces(iov, memory, length, s->n[3]);
        value = preadv(fd, iov, n, s->n[2]);
        break;
    case STEP_pwritev:
        n = cut_pieces(iov, memory, length, s->n[3]);
        value = pwritev(fd, iov, n, s->n[2]);
        break;
    default:
        iov[0] = (struct iovec){memory, length};
        value = pwritev2(fd, iov, 1, s->n[2], (int)s->n[3]);
        break;
    }
    value = put_errno(value);
    if (!writes && value > 0)
        outcome_bytes(o, memory, (size_t)value);
    return value;
}

static int64_t stat_of(int failed, const struct stat *st, struct outcome *o)
{
    if (failed)
        return -errno;
    outcome_stat(o, st);
    return 0;
}

static int64_t statx_of(int fd, const char *path, int flags, struct outcome *o)
{
    struct statx x;

    if (statx(fd, path, flags, STATX_BASIC_STATS, &x))
        return -errno;
    outcome_statx(o, &x);
    return 0;
}
static int64_t list_dir(DIR *dir, int64_t from, struct outcome *o)
{
    char *names[4096];
    long behind[4096];
    size_t count = 0;
    struct dirent *entry;

    rewinddir(dir);
    while (errno = 0, count < 4096 && (entry = readdir(dir))) {
        if (asprintf(&names[count], "%u %s", entry->d_type, entry->d_name) < 0)
            err(1, NULL);
        behind[count++] = telldir(dir);
    }
    int64_t value = errno ? -errno : (int64_t)count;
    if (value > 0 && from >= 0) {
        size_t at = (size_t)from % count;
        seekdir(dir, behind[at]);
        while (at++, (entry = readdir(dir))) {
            if (at >= count || strcmp(strchr(names[at], ' ') + 1, entry->d_name) != 0)
                break;
        }
        outcome_print(o, "%s\n", at == count ? "the same again" : "not the same again");
    }
    outcome_list(o, names, count);
    return value;
}

static int64_t entries_of(const char *path, struct outcome *o)
{
    DIR *dir = opendir(path);

    if (!dir)
        return -errno;
    int64_t value = list_dir(dir, -1, o);
    closedir(dir);
    return value;
}

static int64_t data_of(int fd, struct outcome *o)
{
    int64_t total = 0, n;

    if (fd < 0)
        return -errno;
    while ((n = pread(fd, memory, TRANSFER_MAX, total)) > 0 && total < 2 * TRANSFER_MAX) {
        outcome_bytes(o, memory, (size_t)n);
        total += n;
    }
    return n < 0 ? -errno : total;
}

static int64_t data_of_path(const char *path, struct outcome *o)
{
    int fd = open_here(path, O_RDONLY | O_NOFOLLOW | O_NOATIME, 0);
    int64_t value = data_of(fd, o);

    if (fd >= 0)
        close(fd);
    return value;
}

/* Locks that belong to the open file description, as libgzc's belong to the handle. */
static int64_t lock_of(int fd, const struct step *s, struct outcome *o)
{
    struct flock lock = {
        .l_type = (short)s->n[1],
        .l_whence = (short)s->n[2],
        .l_start = s->n[3],
        .l_len = s->n[4],
    };

    if (fcntl(fd, s->kind == STEP_lock ? F_OFD_SETLK : F_OFD_GETLK, &lock))
        return -errno;
    if (s->kind == STEP_getlock)
        outcome_lock(o, &lock);
    return 0;
}

/* realpath(3), which asks the kernel. */
static int64_t real_path(const char *path, int64_t size, struct outcome *o)
{
    char *text = realpath(path, NULL);

    if (!text)
        return -errno;
    int64_t value = (int64_t)strlen(text);
    value = value < size ? outcome_path(o, text, value) : -ERANGE;
    free(text);
    return value;
}

static int64_t xattr_value(int64_t value, int64_t size, struct outcome *o)
{
    if (value < 0)
        return -errno;
    if (size > 0)
        outcome_bytes(o, memory, (size_t)value);
    return value;
}

static int64_t xattr_list(int64_t value, int64_t size, struct outcome *o)
{
    if (value < 0)
        return -errno;
    if (size > 0)
        outcome_xattrs(o, memory, (size_t)value);
    return value;
}

static int64_t run_on_slot(const struct step *s, int fd, struct outcome *o)
{
    const int64_t *n = s->n;
    struct timespec t[2];
    struct stat st;
    loff_t from, to;

    switch (s->kind) {
    case STEP_close:
        slots[n[0]] = -1;
        return put_errno(close(fd));
    case STEP_lseek:
        if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
            return -EISDIR; /* a directory's positions are not a file's */
        return put_errno(lseek(fd, n[1], (int)n[2]));
    case STEP_ftruncate:
        return put_errno(ftruncate(fd, n[1]));
    case STEP_fallocate:
        return put_errno(fallocate(fd, (int)n[1], n[2], n[3]));
    case STEP_copy:
        if (slots[n[2]] < 0)
            return -EBADF;
        from = n[1];
        to = n[3];
        return put_errno(copy_file_range(fd, &from, slots[n[2]], &to, (size_t)n[4], 0));
    case STEP_fsync:
        return put_errno(fsync(fd));
    case STEP_fdatasync:
        return put_errno(fdatasync(fd));
    case STEP_fchmod:
        return put_errno(fchmod(fd, (mode_t)n[1]));
    case STEP_fchown:
        return put_errno(fchown(fd, (uid_t)n[1], (gid_t)n[2]));
    case STEP_futimens:
        return put_errno(futimens(fd, times_of(n + 1, t)));
    case STEP_fstat:
        return stat_of(fstat(fd, &st), &st, o);
    case STEP_fstatx:
        return statx_of(fd, "", AT_EMPTY_PATH, o);
    case STEP_fgetxattr:
        return xattr_value(fgetxattr(fd, s->text[0], memory, (size_t)n[1]), n[1], o);
    case STEP_fsetxattr:
        return put_errno(fsetxattr(fd, s->text[0], memory, (size_t)n[1], (int)n[2]));
    case STEP_flistxattr:
        return xattr_list(flistxattr(fd, memory, (size_t)n[1]), n[1], o);
    case STEP_fremovexattr:
        return put_errno(fremovexattr(fd, s->text[0]));
    case STEP_lock:
    case STEP_getlock:
        return lock_of(fd, s, o);
    case STEP_fdata:
        return data_of(fd, o);
    default:
        return transfer(s, fd, o);
    }
}

static int64_t enter(unsigned who, int fd)
{
    if (fd < 0 || fchdir(fd))
        return put_errno(-1);
    close(working[who]);
    working[who] = fd;
    return 0;
}

static int64_t run_on_path(const struct step *s, const char *path, const char *second,
                           struct outcome *o)
{
    const int64_t *n = s->n;
    struct timespec t[2];
    struct stat st;
    struct statvfs vfs;

    switch (s->kind) {
    case STEP_open:
        return slot_open(s->who, n[0], open_here(path, (int)n[1], (mode_t)n[2]));
    case STEP_creat:
        return slot_open(s->who, n[0], open_here(path, O_CREAT | O_WRONLY | O_TRUNC, (mode_t)n[1]));
    case STEP_truncate:
        return put_errno(truncate(path, n[0]));
    case STEP_mkdir:
        return put_errno(mkdir(path, (mode_t)n[0]));
    case STEP_rmdir:
        return put_errno(rmdir(path));
    case STEP_unlink:
        return put_errno(unlink(path));
    case STEP_rename:
        return put_errno(renameat2(AT_FDCWD, path, AT_FDCWD, second, (unsigned)n[0]));
    case STEP_link:
        return put_errno(link(path, second));
    case STEP_symlink:
        return put_errno(symlink(path, second));
    case STEP_readlink:
        return outcome_path(o, memory, put_errno(readlink(path, memory, (size_t)n[0])));
    case STEP_mknod:
        return put_errno(mknod(path, (mode_t)n[0], (dev_t)n[1]));
    case STEP_chmod:
        return put_errno(chmod(path, (mode_t)n[0]));
    case STEP_chown:
        return put_errno(chown(path, (uid_t)n[0], (gid_t)n[1]));
    case STEP_lchown:
        return put_errno(lchown(path, (uid_t)n[0], (gid_t)n[1]));
    case STEP_utimens:
        return put_errno(utimensat(AT_FDCWD, path, times_of(n, t), 0));
    case STEP_lutimens:
        return put_errno(utimensat(AT_FDCWD, path, times_of(n, t), AT_SYMLINK_NOFOLLOW));
    case STEP_access: /* by the effective identity, which is what the thread has */
        return put_errno(syscall(SYS_faccessat2, AT_FDCWD, path, (int)n[0], AT_EACCESS));
    case STEP_stat:
        return stat_of(stat(path, &st), &st, o);
    case STEP_lstat:
        return stat_of(lstat(path, &st), &st, o);
    case STEP_statx:
        return statx_of(AT_FDCWD, path, (int)n[0], o);
    case STEP_statvfs:
        if (statvfs(path, &vfs))
            return -errno;
        outcome_statvfs(o, &vfs);
        return 0;
    case STEP_getxattr:
        return xattr_value(getxattr(path, s->text[1], memory, (size_t)n[0]), n[0], o);
    case STEP_lgetxattr:
        return xattr_value(lgetxattr(path, s->text[1], memory, (size_t)n[0]), n[0], o);
    case STEP_setxattr:
        return put_errno(setxattr(path, s->text[1], memory, (size_t)n[0], (int)n[1]));
    case STEP_lsetxattr:
        return put_errno(lsetxattr(path, s->text[1], memory, (size_t)n[0], (int)n[1]));
    case STEP_listxattr:
        return xattr_list(listxattr(path, memory, (size_t)n[0]), n[0], o);
    case STEP_llistxattr:
        return xattr_list(llistxattr(path, memory, (size_t)n[0]), n[0], o);
    case STEP_removexattr:
        return put_errno(removexattr(path, s->text[1]));
    case STEP_lremovexattr:
        return put_errno(lremovexattr(path, s->text[1]));
    case STEP_realpath:
        return real_path(path, n[0], o);
    case STEP_chdir:
        return enter(s->who, open(path, O_PATH | O_DIRECTORY));
    case STEP_entries:
        return entries_of(path, o);
    default:
        return data_of_path(path, o);
    }
}

static int64_t run_on_dir(const struct step *s, const char *path, struct outcome *o)
{
    DIR **dir = &dirs[s->n[0]], *opened;

    if (s->kind == STEP_opendir) {
        opened = opendir(path);
        if (!opened)
            return -errno;
        if (*dir)
            closedir(*dir);
        *dir = opened;
        dir_openers[s->n[0]] = s->who;
        return 0;
    }
    if (!*dir)
        return -EBADF;
    if (s->kind == STEP_list)
        return list_dir(*dir, s->n[1], o);
    opened = *dir;
    *dir = NULL;
    return put_errno(closedir(opened));
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
    /* what is open keeps the identity it was opened with, as in libgzc */
    become(slot                                             ? openers[s->n[0]]
           : arguments[0] == 'd' && s->kind != STEP_opendir ? dir_openers[s->n[0]]
                                                            : s->who);
    if (working_gone && step_is_relative(s))
        o->value = -ESTALE;
    else if (arguments[0] == 'd')
        o->value = run_on_dir(s, path, o);
    else if (!slot)
        o->value = run_on_path(s, path, second, o);
    else if (slots[s->n[0]] < 0)
        o->value = -EBADF;
    else if (s->kind == STEP_dup)
        o->value = slot_open(openers[s->n[0]], s->n[1], dup(slots[s->n[0]]));
    else
        o->value = run_on_slot(s, slots[s->n[0]], o);
}

void backend_posix_run_as_root(const char *root, const struct step *s, struct outcome *o)
{
    as_root = true;
    run(root, s, o);
    as_root = false;
}

const struct backend backend_posix = {"FUSE", begin, run};
