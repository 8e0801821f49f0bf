#include "generator.h"

#include "random.h"

#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { KNOWN_MAX = 60, PATH_ROOM = 8192 };

struct known {
    char *path; /* absolute, in the test's directory */
    char type;  /* f, d, l, or o for others */
};

struct generator {
    uint64_t random;
    struct known known[KNOWN_MAX];
    size_t count;
    bool open[SLOTS], dir_open[DIR_SLOTS];
    bool moved[IDENTITIES]; /* its working directory is not the test's any more */
    enum step_kind kinds[2048];
    size_t nkinds;
};

static uint64_t below(struct generator *g, uint64_t n)
{
    return random_below(&g->random, n);
}

/* In that many of a hundred cases. */
static bool chance(struct generator *g, unsigned percent)
{
    return below(g, 100) < percent;
}

#define PICK(g, ...)                                                                               \
    ((const int64_t[]){                                                                            \
        __VA_ARGS__}[below(g, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))])

/* How often each kind is made, of those that are not made once. */
static const unsigned char weights[STEP_KINDS] = {
    [STEP_open] = 60,    [STEP_close] = 25,   [STEP_write] = 15,    [STEP_pwrite] = 30,
    [STEP_pread] = 15,   [STEP_read] = 12,    [STEP_mkdir] = 25,    [STEP_unlink] = 22,
    [STEP_rename] = 35,  [STEP_link] = 15,    [STEP_symlink] = 18,  [STEP_rmdir] = 14,
    [STEP_creat] = 12,   [STEP_lseek] = 12,   [STEP_ftruncate] = 8, [STEP_fallocate] = 14,
    [STEP_copy] = 12,    [STEP_mknod] = 8,    [STEP_chmod] = 18,    [STEP_chown] = 10,
    [STEP_stat] = 15,    [STEP_lstat] = 10,   [STEP_access] = 10,   [STEP_utimens] = 8,
    [STEP_setxattr] = 8, [STEP_getxattr] = 6, [STEP_opendir] = 6,   [STEP_list] = 8,
    [STEP_lock] = 8,     [STEP_getlock] = 5,  [STEP_realpath] = 8,  [STEP_chdir] = 2,
    [STEP_statvfs] = 1,  [STEP_dup] = 4,      [STEP_truncate] = 8,  [STEP_readlink] = 8,
    [STEP_entries] = 4,  [STEP_data] = 0,     [STEP_fdata] = 0,
};

struct generator *generator_new(uint64_t seed)
{
    struct generator *g = calloc(1, sizeof(*g));

    if (!g)
        err(1, NULL);
    g->random = seed;
    for (enum step_kind k = 0; k < STEP_KINDS; k++) {
        unsigned weight = weights[k] ? weights[k] : k == STEP_data || k == STEP_fdata ? 0 : 4;
        for (unsigned i = 0; i < weight; i++)
            g->kinds[g->nkinds++] = k;
    }
    return g;
}

void generator_free(struct generator *g)
{
    for (size_t i = 0; i < g->count; i++)
        free(g->known[i].path);
    free(g);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static void append(char *path, const char *text)
{
    size_t n = strlen(path);

    snprintf(path + n, PATH_ROOM - n, "%s", text);
}

static void append_name(struct generator *g, char *path)
{
    static const char *const odd[] = {".hidden", "...",  "with space", "\xff\xfe\x80",
                                      "-",       "\t\n", "\xc3\xa4",   "%41"};
    char name[300];

    if (chance(g, 80)) {
        snprintf(name, sizeof(name), "%c", (char)('a' + below(g, 10)));
    } else if (chance(g, 60)) {
        snprintf(name, sizeof(name), "%s", odd[below(g, sizeof(odd) / sizeof(odd[0]))]);
    } else {
        size_t n = (size_t)PICK(g, 254, 255, 255, 255, 256);
        memset(name, 'L', n);
        name[n] = '\0';
    }
    append(path, name);
}

/* Something known, of a type or (0) any. "" if there is nothing. */
static const char *known_path(struct generator *g, char type)
{
    if (g->count > 0) {
        size_t from = below(g, g->count);
        for (size_t i = 0; i < g->count; i++) {
            const struct known *k = &g->known[(from + i) % g->count];
            if (!type || k->type == type)
                return k->path;
        }
    }
    return "";
}

static void append_oddity(struct generator *g, char *path)
{
    switch (below(g, 9)) {
    case 0:
        append(path, "/");
        break;
    case 1:
        append(path, "//.///");
        break;
    case 2:
        append(path, "/.");
        break;
    case 3:
        append(path, "/..");
        break;
    case 4:
        append(path, "/../");
        append_name(g, path);
        break;
    case 5:
        append(path, "/./");
        append_name(g, path);
        break;
    case 6:
        append(path, "/");
        append_name(g, path);
        append(path, "/");
        append_name(g, path);
        break;
    case 7:
        append(path, "//");
        append_name(g, path);
        append(path, "/");
        break;
    default: /* near PATH_MAX; of slashes, which cost nothing on the way */
        for (size_t n = strlen(path), want = 3900 + below(g, 220); n < want; n++)
            append(path, "/");
        append_name(g, path);
        break;
    }
}

/* A path for an operation that wants something there (f, d, l, 0 for anything), or nothing (n). */
static char *make_path(struct generator *g, unsigned who, char want)
{
    char path[PATH_ROOM] = "";

    if (chance(g, 2))
        return strdup(PICK(g, 0, 1) ? "" : ".");
    if (want == 'n' ? chance(g, 15) : chance(g, 75)) {
        append(path, known_path(g, want == 'n' || chance(g, 15) ? 0 : want));
    } else {
        append(path, chance(g, 70) ? known_path(g, chance(g, 15) ? 'l' : 'd') : "");
        append(path, "/");
        append_name(g, path);
    }
    if (path[0] == '\0' || chance(g, 8))
        append_oddity(g, path);
    /* relative, if that is the same; or if not, rarely */
    if (path[0] == '/' && path[1] && path[1] != '/' && chance(g, g->moved[who] ? 15 : 50))
        memmove(path, path + 1, strlen(path));
    char *copy = strdup(path);
    if (!copy)
        err(1, NULL);
    return copy;
}

/* What a symbolic link says: a path from the root, from its directory, nowhere, or itself. */
static char *make_target(struct generator *g)
{
    char text[PATH_ROOM] = "";

    switch (below(g, 6)) {
    case 0:
    case 1:
        append(text, known_path(g, chance(g, 50) ? 'd' : 0));
        break;
    case 2:
        append(text, "../");
        append_name(g, text);
        break;
    case 3:
        append(text, "./");
        append_name(g, text);
        append(text, chance(g, 30) ? "/" : "");
        break;
    case 4:
        if (chance(g, 10))
            while (strlen(text) < (size_t)PICK(g, 4000, 4095))
                append(text, "x");
        else
            append(text, known_path(g, 'l'));
        break;
    default:
        append_name(g, text);
        break;
    }
    char *copy = strdup(text[0] || chance(g, 5) ? text : "a");
    if (!copy)
        err(1, NULL);
    return copy;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static int64_t any_slot(struct generator *g)
{
    return (int64_t)below(g, SLOTS);
}

static int64_t open_slot(struct generator *g)
{
    int64_t from = any_slot(g);

    for (int64_t i = 0; i < SLOTS && chance(g, 98); i++) {
        if (g->open[(from + i) % SLOTS])
            return (from + i) % SLOTS;
    }
    return from;
}

static int64_t size_of_transfer(struct generator *g)
{
    switch (below(g, 12)) {
    case 0:
        return PICK(g, 0, 1, 2, 3);
    case 1:
        return PICK(g, 511, 512, 513, 4095, 4096, 4097);
    case 2:
        return PICK(g, 65535, 65537, 131071, 131072, 131073);
    case 3:
        return chance(g, 10) ? PICK(g, 1048575, 1048576, 1048577, 1500001) : 4096;
    default:
        return (int64_t)below(g, 20000);
    }
}

static int64_t offset(struct generator *g)
{
    switch (below(g, 16)) {
    case 0:
        return 0;
    case 1:
        return chance(g, 25) ? PICK(g, -1, INT64_MIN, INT64_MAX, INT64_MAX - 4095) : 0;
    case 2:
    case 3:
    case 4:
        return 4096 * (int64_t)below(g, 32);
    default:
        return (int64_t)below(g, chance(g, 20) ? 300000 : 40000);
    }
}

/* Without the bits that set the user or group id: before it changes such a file the kernel that
 * FUSE is in sends a chmod that takes them away, which moves times, and which its owner alone may
 * do. */
static int64_t permissions(struct generator *g)
{
    return chance(g, 60) ? PICK(g, 0777, 0755, 0700, 0644, 0666, 0600, 0444, 0)
                         : (int64_t)(below(g, 010000) & 01777);
}

static int64_t open_flags(struct generator *g)
{
    static const struct {
        int flag;
        unsigned percent;
    } flags[] = {
        {O_CREAT, 50}, {O_EXCL, 12},     {O_TRUNC, 15},     {O_APPEND, 15}, {O_NOFOLLOW, 8},
        {O_SYNC, 3},   {O_DSYNC, 3},     {O_DIRECTORY, 6},  {O_NOATIME, 5}, {O_CLOEXEC, 10},
        {O_NOCTTY, 5}, {O_NONBLOCK, 10}, {O_LARGEFILE, 10}, {O_DIRECT, 1},
    };
    int64_t value = PICK(g, O_RDONLY, O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR);

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (chance(g, flags[i].percent))
            value |= flags[i].flag;
    }
    return value;
}

/* Seconds that no clock gives, and that the brick's file system can keep. */
static int64_t seconds(struct generator *g)
{
    return PICK(g, 0, 1, 1000000000, 1234567890, 3000000000, 4294967295, 86399);
}

static int64_t nanoseconds(struct generator *g)
{
    return chance(g, 3) ? PICK(g, 1000000000, 2000000000)
                        : PICK(g, 0, 1, 999999999, 123456789, 1000, NSEC_NOW, NSEC_OMIT, NSEC_NULL);
}

static int64_t owner(struct generator *g)
{
    return PICK(g, 0, 1000, 1001, 2000, -1);
}

static void attribute_name(struct generator *g, char **name)
{
    static const char *const names[] = {"user.a",
                                        "user.b",
                                        "user.long-name-of-an-attribute",
                                        "user.\xff\x01",
                                        "trusted.t",
                                        "user.",
                                        "",
                                        "nothing.known",
                                        "user.c",
                                        "user.d",
                                        "user.dir",
                                        "security.mine"};
    char text[300];

    snprintf(text, sizeof(text), "%s", names[below(g, sizeof(names) / sizeof(names[0]))]);
    if (chance(g, 3)) {
        memset(text, 'x', 256);
        memcpy(text, "user.", 5);
        text[PICK(g, 254, 255, 256)] = '\0';
    }
    *name = strdup(text);
    if (!*name)
        err(1, NULL);
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* The numbers of a kind that are not slots or seeds, from s->n[at]. */
static void make_numbers(struct generator *g, struct step *s, int64_t *n)
{
    switch (s->kind) {
    case STEP_open:
        n[1] = open_flags(g);
        n[2] = permissions(g);
        break;
    case STEP_creat:
        n[1] = permissions(g);
        break;
    case STEP_mkdir:
    case STEP_chmod:
        n[0] = s->kind == STEP_mkdir && chance(g, 70) ? 0777 : permissions(g);
        break;
    case STEP_fchmod:
        n[1] = permissions(g);
        break;
    case STEP_read:
    case STEP_write:
    case STEP_readv:
    case STEP_writev:
        n[1] = size_of_transfer(g);
        n[2] = (int64_t)below(g, 20);
        break;
    case STEP_pread:
    case STEP_pwrite:
    case STEP_preadv:
    case STEP_pwritev:
    case STEP_pwritev2:
        n[1] = size_of_transfer(g);
        n[2] = offset(g);
        n[3] = s->kind == STEP_pwritev2 ? PICK(g, 0, RWF_DSYNC, RWF_SYNC, RWF_HIPRI)
                                        : (int64_t)below(g, 20);
        break;
    case STEP_lseek:
        n[1] = chance(g, 10) ? -offset(g) : offset(g);
        n[2] = PICK(g, SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE,
                    chance(g, 10) ? 77 : SEEK_SET);
        break;
    case STEP_ftruncate:
        n[1] = offset(g);
        break;
    case STEP_truncate:
        n[0] = offset(g);
        break;
    case STEP_fallocate:
        /* not FALLOC_FL_ZERO_RANGE: through FUSE that allocates, and says that all is well
         * (fuse-bridge.c: fuse_fallocate_resume) */
        n[1] = PICK(g, 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
        n[2] = offset(g);
        n[3] = size_of_transfer(g);
        break;
    case STEP_copy:
        n[1] = offset(g);
        n[3] = offset(g);
        n[4] = size_of_transfer(g);
        break;
    case STEP_mknod:
        n[0] = permissions(g) |
               PICK(g, S_IFIFO, S_IFSOCK, S_IFREG, S_IFREG, S_IFCHR, S_IFBLK, 0, S_IFDIR);
        if (s->who && (S_ISCHR(n[0]) || S_ISBLK(n[0])))
            n[0] ^= (n[0] & S_IFMT) ^ S_IFIFO; /* devices: the kernel's mknod(2) is for root only */
        n[1] = (n[0] & S_IFMT) == S_IFCHR || (n[0] & S_IFMT) == S_IFBLK
                   ? (int64_t)makedev(1 + below(g, 200), below(g, 256))
                   : 0;
        break;
    case STEP_chown:
    case STEP_lchown:
        n[0] = owner(g);
        n[1] = owner(g);
        break;
    case STEP_fchown:
        n[1] = owner(g);
        n[2] = owner(g);
        break;
    case STEP_utimens:
    case STEP_lutimens:
    case STEP_futimens:
        n += s->kind == STEP_futimens;
        n[0] = seconds(g);
        n[1] = nanoseconds(g);
        n[2] = seconds(g);
        do
            n[3] = nanoseconds(g);
        while (n[3] == NSEC_NULL);
        break;
    case STEP_access:
        n[0] = chance(g, 3) ? 010 : (int64_t)below(g, 8);
        break;
    case STEP_statx:
        n[0] = PICK(g, 0, AT_SYMLINK_NOFOLLOW);
        break;
    case STEP_readlink:
        n[0] = PICK(g, 4096, 4096, 4096, 8, 1);
        break;
    case STEP_realpath:
        n[0] = 4096;
        break;
    case STEP_getxattr:
    case STEP_lgetxattr:
    case STEP_listxattr:
    case STEP_llistxattr:
    case STEP_fgetxattr:
    case STEP_flistxattr:
        n += step_name(s->kind)[0] == 'f';
        n[0] = PICK(g, 65536, 65536, 65536, 0, 10);
        break;
    case STEP_setxattr:
    case STEP_lsetxattr:
    case STEP_fsetxattr:
        n += s->kind == STEP_fsetxattr;
        n[0] = PICK(g, 0, 1, 10, 200, 1000, 3000);
        n[1] = PICK(g, 0, 0, XATTR_CREATE, XATTR_REPLACE);
        break;
    case STEP_list:
        n[1] = chance(g, 30) ? -1 : (int64_t)below(g, 20);
        break;
    case STEP_lock:
    case STEP_getlock:
        n[1] =
            s->kind == STEP_lock ? PICK(g, F_RDLCK, F_WRLCK, F_UNLCK) : PICK(g, F_RDLCK, F_WRLCK);
        n[2] = PICK(g, SEEK_SET, SEEK_SET, SEEK_CUR, SEEK_END);
        n[3] = (int64_t)below(g, 100);
        n[4] = (int64_t)below(g, 50);
        break;
    default:
        break;
    }
}

/* What the paths of a step should name, in order. */
static const char *wanted(enum step_kind kind)
{
    switch (kind) {
    case STEP_open:
    case STEP_truncate:
        return "f";
    case STEP_creat:
    case STEP_mkdir:
    case STEP_mknod:
    case STEP_symlink:
        return "nn";
    case STEP_rmdir:
    case STEP_opendir:
    case STEP_entries:
    case STEP_chdir:
        return "d";
    case STEP_unlink:
        return "f";
    case STEP_link:
        return "fn";
    case STEP_readlink:
        return "l";
    default:
        return NULL;
    }
}

struct step generator_next(struct generator *g)
{
    struct step s = {.kind = g->kinds[below(g, g->nkinds)]};
    unsigned number = 0, text = 0;
    const char *want = wanted(s.kind);

    s.who = chance(g, 75) ? 0 : 1 + (unsigned)below(g, IDENTITIES - 1);
    make_numbers(g, &s, s.n);
    for (const char *a = step_arguments(s.kind); *a; a++) {
        switch (*a) {
        case 'h':
            s.n[number] = s.kind == STEP_open || s.kind == STEP_creat || number == 1 ? any_slot(g)
                                                                                     : open_slot(g);
            break;
        case 'd':
            s.n[number] = (int64_t)below(g, DIR_SLOTS);
            break;
        case 's':
            s.n[number] = (int64_t)below(g, 1000);
            break;
        case 'p':
            s.text[text] = make_path(g, s.who,
                                     want && want[text] ? want[text]
                                     : s.kind == STEP_rename && text == 1 && chance(g, 60) ? 'n'
                                                                                           : 0);
            break;
        case 't':
            s.text[text] = make_target(g);
            break;
        case 'a':
            attribute_name(g, &s.text[text]);
            break;
        default:
            break;
        }
        if (strchr("pta", *a))
            text++;
        else
            number++;
    }
    return s;
}

/* ---- what has come of them ------------------------------------------------------------------- */

static void forget(struct generator *g, const char *path)
{
    for (size_t i = 0; i < g->count; i++) {
        if (strcmp(g->known[i].path, path) == 0) {
            free(g->known[i].path);
            g->known[i] = g->known[--g->count];
            return;
        }
    }
}

static void remember(struct generator *g, const char *path, char type)
{
    forget(g, path);
    if (strlen(path) > 1000)
        return;
    if (g->count == KNOWN_MAX)
        forget(g, g->known[below(g, g->count)].path);
    char *copy = strdup(path);
    if (!copy)
        err(1, NULL);
    g->known[g->count++] = (struct known){copy, type};
}

static void renamed(struct generator *g, const char *from, const char *to)
{
    size_t n = strlen(from);
    char path[PATH_ROOM];
    char type = 'f';

    for (size_t i = 0; i < g->count; i++) {
        struct known *k = &g->known[i];
        if (strcmp(k->path, from) == 0) {
            type = k->type;
        } else if (strncmp(k->path, from, n) == 0 && k->path[n] == '/') {
            snprintf(path, sizeof(path), "%s%s", to, k->path + n);
            free(k->path);
            k->path = strdup(path);
            if (!k->path)
                err(1, NULL);
        }
    }
    forget(g, from);
    remember(g, to, type);
}

/* As an absolute path; approximately, as nothing depends on it. */
static const char *absolute(const char *path, char *buffer)
{
    snprintf(buffer, PATH_ROOM, "%s%s", path[0] == '/' ? "" : "/", path);
    size_t n = strlen(buffer);
    while (n > 1 && buffer[n - 1] == '/')
        buffer[--n] = '\0';
    return buffer;
}

void generator_note(struct generator *g, const struct step *s, int64_t value)
{
    char a[PATH_ROOM], b[PATH_ROOM];

    if (s->kind == STEP_close) {
        g->open[s->n[0]] = false;
        return;
    }
    if (value < 0)
        return;
    const char *path = s->text[0] ? absolute(s->text[0], a) : "";
    const char *second = s->text[1] ? absolute(s->text[1], b) : "";
    switch (s->kind) {
    case STEP_open:
    case STEP_creat:
        g->open[s->n[0]] = true;
        if (s->kind == STEP_creat || s->n[1] & O_CREAT)
            remember(g, path, 'f');
        break;
    case STEP_dup:
        g->open[s->n[1]] = true;
        break;
    case STEP_mkdir:
        remember(g, path, 'd');
        break;
    case STEP_mknod:
        remember(g, path, S_ISREG(s->n[0]) || !(s->n[0] & S_IFMT) ? 'f' : 'o');
        break;
    case STEP_symlink:
        remember(g, second, 'l');
        break;
    case STEP_link:
        remember(g, second, 'f');
        break;
    case STEP_rename:
        renamed(g, path, second);
        break;
    case STEP_unlink:
    case STEP_rmdir:
        forget(g, path);
        break;
    case STEP_chdir:
        g->moved[s->who] = true;
        break;
    default:
        break;
    }
}
