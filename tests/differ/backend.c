#include "backend.h"

#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

const struct identity identities[IDENTITIES] = {
    {.umask = 0},
    {.uid = 1000, .gid = 1000, .umask = 027},
    {.uid = 1001, .gid = 1001, .groups = {1000, 2000}, .ngroups = 2, .umask = 022},
};

void outcome_clear(struct outcome *o)
{
    o->value = 0;
    o->length = 0;
    o->error[0] = '\0';
    memset(&o->st, 0, sizeof(o->st));
}

void outcome_free(struct outcome *o)
{
    free(o->bytes);
    o->bytes = NULL;
    o->length = o->room = 0;
}

void outcome_bytes(struct outcome *o, const void *bytes, size_t length)
{
    if (o->room - o->length < length) {
        o->room = 2 * (o->length + length);
        o->bytes = realloc(o->bytes, o->room);
        if (!o->bytes)
            err(1, NULL);
    }
    if (length > 0)
        memcpy(o->bytes + o->length, bytes, length);
    o->length += length;
}

void outcome_print(struct outcome *o, const char *format, ...)
{
    char *text;
    va_list args;

    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0)
        err(1, NULL);
    outcome_bytes(o, text, (size_t)length);
    free(text);
}

/* Clocks are between 2020 and 2050; what the generator sets is not. */
bool is_set_time(struct timespec t)
{
    return t.tv_sec < 1577836800 || t.tv_sec > 2524608000;
}

static void print_time(struct outcome *o, const char *name, struct timespec t)
{
    if (is_set_time(t))
        outcome_print(o, " %s=%lld.%09ld", name, (long long)t.tv_sec, t.tv_nsec);
    else
        outcome_print(o, " %s=now", name);
}

void outcome_stat(struct outcome *o, const struct stat *st)
{
    o->st = *st;
    if (!st->st_nlink) {
        outcome_print(o, "type=%06o nlink=0 size=%lld", st->st_mode & S_IFMT,
                      (long long)st->st_size);
        return;
    }
    outcome_print(o, "mode=%06o nlink=%lu uid=%u gid=%u", st->st_mode, (unsigned long)st->st_nlink,
                  st->st_uid, st->st_gid);
    if (!S_ISDIR(st->st_mode))
        outcome_print(o, " size=%lld", (long long)st->st_size);
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
        outcome_print(o, " rdev=%u:%u", major(st->st_rdev), minor(st->st_rdev));
    print_time(o, "atime", st->st_atim);
    print_time(o, "mtime", st->st_mtim);
}

void outcome_statx(struct outcome *o, const struct statx *x)
{
    struct stat st = {
        .st_mode = x->stx_mode,
        .st_nlink = x->stx_nlink,
        .st_uid = x->stx_uid,
        .st_gid = x->stx_gid,
        .st_size = (off_t)x->stx_size,
        .st_rdev = makedev(x->stx_rdev_major, x->stx_rdev_minor),
        .st_atim = {x->stx_atime.tv_sec, x->stx_atime.tv_nsec},
        .st_mtim = {x->stx_mtime.tv_sec, x->stx_mtime.tv_nsec},
        .st_ctim = {x->stx_ctime.tv_sec, x->stx_ctime.tv_nsec},
    };
    outcome_stat(o, &st);
}

void outcome_statvfs(struct outcome *o, const struct statvfs *vfs)
{
    outcome_print(o, "bsize=%lu frsize=%lu blocks=%llu files=%llu namemax=%lu", vfs->f_bsize,
                  vfs->f_frsize, (unsigned long long)vfs->f_blocks,
                  (unsigned long long)vfs->f_files, vfs->f_namemax);
}

void outcome_lock(struct outcome *o, const struct flock *lock)
{
    outcome_print(o, "type=%d", lock->l_type);
    if (lock->l_type != F_UNLCK)
        outcome_print(o, " whence=%d start=%lld length=%lld", lock->l_whence,
                      (long long)lock->l_start, (long long)lock->l_len);
}

int64_t outcome_path(struct outcome *o, char *text, int64_t value)
{
    if (value > 1 && text[0] == '/')
        text[1] = '*';
    if (value > 0)
        outcome_bytes(o, text, (size_t)value);
    return value;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void outcome_list(struct outcome *o, char **list, size_t count)
{
    if (count > 0)
        qsort(list, count, sizeof(*list), by_name);
    for (size_t i = 0; i < count; i++) {
        outcome_bytes(o, list[i], strlen(list[i]) + 1);
        free(list[i]);
    }
}

void outcome_xattrs(struct outcome *o, const char *list, size_t length)
{
    char *names[1024];
    size_t count = 0;

    for (size_t at = 0; at < length && count < 1024; at += strlen(list + at) + 1) {
        if (!(names[count++] = strdup(list + at)))
            err(1, NULL);
    }
    outcome_list(o, names, count);
}

void make_root(const char *root, void (*make)(const char *path))
{
    char path[PATH_ROOM];

    for (const char *end = root; end;) {
        end = strchr(end + 1, '/');
        snprintf(path, sizeof(path), "%.*s", end ? (int)(end - root) : (int)strlen(root), root);
        make(path);
    }
}

const char *backend_path(const char *root, const char *path, char *buffer)
{
    if (path[0] == '^')
        snprintf(buffer, PATH_ROOM, "/%s", path + 1);
    else
        snprintf(buffer, PATH_ROOM, "%s%s", path[0] == '/' ? root : "", path);
    return buffer;
}

const struct timespec *times_of(const int64_t *n, struct timespec t[2])
{
    if (n[1] == NSEC_NULL)
        return NULL;
    for (int i = 0; i < 2; i++) {
        int64_t ns = n[2 * i + 1];
        t[i] = (struct timespec){n[2 * i], ns == NSEC_NOW    ? UTIME_NOW
                                           : ns == NSEC_OMIT ? UTIME_OMIT
                                                             : (long)ns};
    }
    return t;
}

void pattern_fill(char *to, size_t length, int64_t seed)
{
    for (size_t i = 0; i < length; i++)
        to[i] = (char)pattern_byte((uint64_t)seed, i);
}

int cut_pieces(struct iovec *iov, void *buffer, size_t length, int64_t pieces)
{
    char *at = buffer;
    int n = 0;

    if (pieces < 1 || pieces > PIECES_MAX)
        pieces = 1;
    for (; n < pieces - 1; n++) {
        size_t piece = pattern_byte((uint64_t)pieces, (uint64_t)n) % (length / 2 + 1);
        iov[n] = (struct iovec){at, piece};
        at += piece;
        length -= piece;
    }
    iov[n++] = (struct iovec){at, length};
    return n;
}
