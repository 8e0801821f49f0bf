/* Every asynchronous form does what its blocking form does: result and text are the same. */
#include "tests/lab/async.h"
#include "tests/lab/lab.h"

static gzc_volume *v;
static gzc_file *f;
static char text[512]; /* of the blocking form's failure */
static struct outcome o;

#define NO_TEXT ((void)(text[0] = '\0'))

/* @param want     the result; ANY_ERROR: that of the blocking form, a failure
 * @param get_text gets the text of the blocking form's failure
 * @param ticket   the asynchronous form's, with HOW(&o) */
#define ANY_ERROR 1000
#define BOTH(want, get_text, blocking, ticket)                                                     \
    do {                                                                                           \
        ssize_t result = (blocking);                                                               \
        cr_assert(result == (want) || ((want) == ANY_ERROR && result < 0), "%s: %zd", #blocking,   \
                  result);                                                                         \
        text[0] = '\0';                                                                            \
        if (result < 0)                                                                            \
            get_text;                                                                              \
        o = (struct outcome){0};                                                                   \
        same((ticket), result, #ticket);                                                           \
    } while (0)

static void same(gzc_ticket ticket, ssize_t result, const char *what)
{
    cr_assert_gt(ticket, 0, "%s: %lld", what, (long long)ticket);
    cr_assert_eq(o.count, 0, "%s: told before it was driven", what);
    outcome_wait(v, &o);
    cr_assert_eq(o.result, result, "%s: %zd instead of %zd: %s", what, o.result, result, o.error);
    cr_assert_eq(strcmp(o.error, text), 0, "%s: '%s' instead of '%s'", what, o.error, text);
    cr_assert_eq(result < 0, text[0] != '\0', "%s", what);
    cr_assert_eq(gzc_poll(v, 0, 0), 0, "%s: completed again", what);
}

#define OF_VOLUME  gzc_error(v, text, sizeof(text))
#define OF_FILE(x) gzc_file_error(x, text, sizeof(text))
#define OF_DIR(x)  gzc_dir_error(x, text, sizeof(text))

/* What is refused before it begins: the same number and text, and nothing is told. */
#define BOTH_REFUSE(want, get_text, blocking, ticket)                                              \
    do {                                                                                           \
        char first[512];                                                                           \
        cr_assert_eq((blocking), (want), "%s", #blocking);                                         \
        get_text;                                                                                  \
        strcpy(first, text);                                                                       \
        cr_assert_neq(first[0], '\0');                                                             \
        o = (struct outcome){0};                                                                   \
        cr_assert_eq((ticket), (want), "%s", #ticket);                                             \
        get_text;                                                                                  \
        cr_assert_eq(strcmp(first, text), 0, "'%s' instead of '%s'", text, first);                 \
        cr_assert_eq(gzc_poll(v, 0, 0), 0);                                                        \
        cr_assert_eq(o.count, 0);                                                                  \
    } while (0)

static const char *path(const char *name)
{
    static char paths[4][160];
    static unsigned next;
    char *p = paths[next++ % 4];
    snprintf(p, 160, "%s/%s", own_path("forms"), name);
    return p;
}

static void setup(void)
{
    v = mount_brick("");
    cr_assert_eq(gzc_mkdir(v, own_path("forms"), 0755), 0, "%s", volume_text(v));
    f = open_file(v, path("file"), O_CREAT | O_RDWR);
}

static void teardown(void)
{
    gzc_close(f);
    gzc_unmount(v);
}

TestSuite(async_forms, .init = setup, .fini = teardown, .timeout = 60);

Test(async_forms, names)
{
    struct stat a, b;
    BOTH(0, NO_TEXT, gzc_stat(v, path("file"), &a), gzc_stat_async(v, path("file"), &b, HOW(&o)));
    cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
    memset(&b, 0, sizeof(b));
    BOTH(0, NO_TEXT, gzc_lstat(v, path("file"), &a), gzc_lstat_async(v, path("file"), &b, HOW(&o)));
    cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
    BOTH(-ENOENT, OF_VOLUME, gzc_stat(v, path("none"), &a),
         gzc_stat_async(v, path("none"), &b, HOW(&o)));
    BOTH(-ENOENT, OF_VOLUME, gzc_lstat(v, path("none/x"), &a),
         gzc_lstat_async(v, path("none/x"), &b, HOW(&o)));

    BOTH(0, NO_TEXT, gzc_mkdir(v, path("d1"), 0755), gzc_mkdir_async(v, path("d2"), 0755, HOW(&o)));
    BOTH(-EEXIST, OF_VOLUME, gzc_mkdir(v, path("d1"), 0755),
         gzc_mkdir_async(v, path("d1"), 0755, HOW(&o)));
    BOTH(-ENOTDIR, OF_VOLUME, gzc_rmdir(v, path("file")),
         gzc_rmdir_async(v, path("file"), HOW(&o)));
    BOTH(0, NO_TEXT, gzc_rmdir(v, path("d1")), gzc_rmdir_async(v, path("d2"), HOW(&o)));
    BOTH(-ENOENT, OF_VOLUME, gzc_unlink(v, path("none")),
         gzc_unlink_async(v, path("none"), HOW(&o)));
    gzc_close(open_file(v, path("u1"), O_CREAT | O_RDWR));
    gzc_close(open_file(v, path("u2"), O_CREAT | O_RDWR));
    BOTH(0, NO_TEXT, gzc_unlink(v, path("u1")), gzc_unlink_async(v, path("u2"), HOW(&o)));
    char name[300] = "/";
    memset(name + 1, 'a', 256);
    BOTH(-ENAMETOOLONG, OF_VOLUME, gzc_mkdir(v, name, 0755),
         gzc_mkdir_async(v, name, 0755, HOW(&o)));
}

Test(async_forms, files)
{
    gzc_file *a = NULL, *b = (gzc_file *)&o;
    BOTH(-ENOENT, OF_VOLUME, gzc_open(v, path("none"), O_RDWR, 0, &a),
         gzc_open_async(v, path("none"), O_RDWR, 0, &b, HOW(&o)));
    cr_assert_null(b);
    BOTH(-EISDIR, OF_VOLUME, gzc_create(v, own_path("forms"), 0644, &a),
         gzc_create_async(v, own_path("forms"), 0644, &b, HOW(&o)));
    cr_assert_null(b);
    BOTH_REFUSE(-EINVAL, OF_VOLUME, gzc_open(v, path("file"), O_TMPFILE, 0, &a),
                gzc_open_async(v, path("file"), O_TMPFILE, 0, &b, HOW(&o)));
    cr_assert_null(b);
    BOTH(0, NO_TEXT, gzc_open(v, path("file"), O_RDWR, 0, &a),
         gzc_open_async(v, path("file"), O_RDWR, 0, &b, HOW(&o)));
    cr_assert(a && b && a != b);
    BOTH(0, NO_TEXT, gzc_close(a), gzc_close_async(b, HOW(&o)));
    BOTH(0, NO_TEXT, gzc_create(v, path("new1"), 0640, &a),
         gzc_create_async(v, path("new2"), 0640, &b, HOW(&o)));
    cr_assert(a && b);
    struct stat one, other;
    BOTH(0, NO_TEXT, gzc_fstat(a, &one), gzc_fstat_async(b, &other, HOW(&o)));
    cr_assert_eq(one.st_mode, other.st_mode);
    BOTH(0, NO_TEXT, gzc_close(a), gzc_close_async(b, HOW(&o)));
}

Test(async_forms, reading_and_writing)
{
    static unsigned char out[3 << 20], in[3 << 20];
    struct iovec iov[3] = {{out, 1 << 20}, {out + (1 << 20), 5}, {out + (1 << 20) + 5, 1 << 20}};
    struct iovec into[2] = {{in, 100}, {in + 100, (2 << 20) - 95}};
    const ssize_t size = (2 << 20) + 5;
    struct stat st;
    pattern_fill(out, sizeof(out), 0);
    BOTH(size, NO_TEXT, gzc_pwritev(f, iov, 3, 0), gzc_pwritev_async(f, iov, 3, 0, HOW(&o)));
    BOTH(size, NO_TEXT, gzc_preadv(f, into, 2, 0), gzc_preadv_async(f, into, 2, 0, HOW(&o)));
    cr_assert_eq(pattern_check(in, (size_t)size, 0), size);
    memset(in, 0, sizeof(in));
    BOTH(100, NO_TEXT, gzc_pread(f, in, 4000, size - 100),
         gzc_pread_async(f, in, 4000, size - 100, HOW(&o)));
    cr_assert_eq(pattern_check(in, 100, (uint64_t)size - 100), 100);
    BOTH(0, NO_TEXT, gzc_pread(f, in, 100, size), gzc_pread_async(f, in, 100, size, HOW(&o)));
    BOTH(0, NO_TEXT, gzc_pread(f, in, 0, 0), gzc_pread_async(f, in, 0, 0, HOW(&o)));
    BOTH(0, NO_TEXT, gzc_pwritev(f, NULL, 0, 0), gzc_pwritev_async(f, NULL, 0, 0, HOW(&o)));
    BOTH(7, NO_TEXT, gzc_pwrite(f, out, 7, 50), gzc_pwrite_async(f, out, 7, 50, HOW(&o)));
    BOTH(0, NO_TEXT, gzc_fsync(f), gzc_fsync_async(f, HOW(&o)));
    BOTH(0, NO_TEXT, gzc_fdatasync(f), gzc_fdatasync_async(f, HOW(&o)));
    BOTH(0, NO_TEXT, gzc_discard(f, 60, 10), gzc_discard_async(f, 80, 10, HOW(&o)));
    char zeros[10] = {0};
    for (off_t at = 60; at <= 80; at += 20) {
        cr_assert_eq(gzc_pread(f, in, 10, at), 10);
        cr_assert_arr_eq(in, zeros, 10);
    }
    BOTH(0, NO_TEXT, gzc_ftruncate(f, 10), gzc_ftruncate_async(f, 20, HOW(&o)));
    BOTH(0, NO_TEXT, gzc_fstat(f, &st), gzc_fstat_async(f, &st, HOW(&o)));
    cr_assert_eq(st.st_size, 20);
}

Test(async_forms, reading_and_writing_fail)
{
    gzc_file *r = open_file(v, path("file"), O_RDONLY), *w = open_file(v, path("file"), O_WRONLY);
    char c = 'x';
    struct iovec huge[2] = {{&c, SSIZE_MAX}, {&c, SSIZE_MAX}}, iov = {&c, 1};
    BOTH(ANY_ERROR, OF_FILE(f), gzc_pwrite(f, &c, 1, INT64_MAX - 1),
         gzc_pwrite_async(f, &c, 1, INT64_MAX - 1, HOW(&o)));
    BOTH(ANY_ERROR, OF_FILE(f), gzc_pwritev(f, &iov, 1, INT64_MAX - 1),
         gzc_pwritev_async(f, &iov, 1, INT64_MAX - 1, HOW(&o)));
    BOTH(ANY_ERROR, OF_FILE(f), gzc_ftruncate(f, INT64_MAX),
         gzc_ftruncate_async(f, INT64_MAX, HOW(&o)));
    BOTH_REFUSE(-EBADF, OF_FILE(w), gzc_pread(w, &c, 1, 0), gzc_pread_async(w, &c, 1, 0, HOW(&o)));
    BOTH_REFUSE(-EBADF, OF_FILE(r), gzc_pwrite(r, &c, 1, 0),
                gzc_pwrite_async(r, &c, 1, 0, HOW(&o)));
    BOTH_REFUSE(-EINVAL, OF_FILE(f), gzc_pread(f, &c, 1, -1),
                gzc_pread_async(f, &c, 1, -1, HOW(&o)));
    BOTH_REFUSE(-EINVAL, OF_FILE(f), gzc_preadv(f, &iov, -1, 0),
                gzc_preadv_async(f, &iov, -1, 0, HOW(&o)));
    BOTH_REFUSE(-EINVAL, OF_FILE(f), gzc_pwritev(f, huge, 2, 0),
                gzc_pwritev_async(f, huge, 2, 0, HOW(&o)));
    BOTH_REFUSE(-EBADF, OF_FILE(r), gzc_discard(r, 0, 1), gzc_discard_async(r, 0, 1, HOW(&o)));
    BOTH_REFUSE(-EINVAL, OF_FILE(f), gzc_discard(f, 0, 0), gzc_discard_async(f, 0, 0, HOW(&o)));
    BOTH_REFUSE(-EINVAL, OF_FILE(f), gzc_discard(f, -1, 5), gzc_discard_async(f, -1, 5, HOW(&o)));
    BOTH_REFUSE(-EFBIG, OF_FILE(f), gzc_discard(f, 2, INT64_MAX),
                gzc_discard_async(f, 2, INT64_MAX, HOW(&o)));
    BOTH_REFUSE(-EINVAL, OF_FILE(r), gzc_ftruncate(r, 0), gzc_ftruncate_async(r, 0, HOW(&o)));
    BOTH_REFUSE(-EINVAL, OF_FILE(f), gzc_ftruncate(f, -1), gzc_ftruncate_async(f, -1, HOW(&o)));
    cr_assert_eq(gzc_close(r), 0);
    cr_assert_eq(gzc_close(w), 0);
}

Test(async_forms, directories)
{
    gzc_dir *a, *b = (gzc_dir *)&o;
    struct gzc_dirent x, y;
    int n = 0, rc;
    for (int i = 0; i < 30; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        gzc_close(open_file(v, path(name), O_CREAT | O_RDWR));
    }
    BOTH(-ENOENT, OF_VOLUME, gzc_opendir(v, path("none"), &a),
         gzc_opendir_async(v, path("none"), &b, HOW(&o)));
    cr_assert_null(b);
    BOTH(-ENOTDIR, OF_VOLUME, gzc_opendir(v, path("file"), &a),
         gzc_opendir_async(v, path("file"), &b, HOW(&o)));
    BOTH(0, NO_TEXT, gzc_opendir(v, own_path("forms"), &a),
         gzc_opendir_async(v, own_path("forms"), &b, HOW(&o)));
    cr_assert(a && b);
    while ((rc = gzc_readdir(a, &x)) == 1) {
        o = (struct outcome){0};
        cr_assert_gt(gzc_readdir_async(b, &y, HOW(&o)), 0);
        outcome_expect(v, &o, 1);
        cr_assert_str_eq(x.name, y.name);
        cr_assert_eq(x.ino, y.ino);
        cr_assert_eq(x.type, y.type);
        n++;
    }
    cr_assert_eq(rc, 0);
    cr_assert_eq(n, 33); /* and the file, and two dots */
    BOTH(0, NO_TEXT, gzc_readdir(a, &x), gzc_readdir_async(b, &y, HOW(&o)));
    BOTH(0, NO_TEXT, gzc_closedir(a), gzc_closedir_async(b, HOW(&o)));
}

Test(async_forms, ping)
{
    uint64_t a = 0, b = 0;
    BOTH(0, NO_TEXT, gzc_ping(v, 0, &a), gzc_ping_async(v, 0, &b, HOW(&o)));
    cr_assert_gt(b, 0);
    BOTH_REFUSE(-EINVAL, OF_VOLUME, gzc_ping(v, 1, &a), gzc_ping_async(v, 1, &b, HOW(&o)));
}

/* Nobody needs to be told, and how it was to be run is not needed afterwards. */
Test(async_forms, nobody_is_told)
{
    char back[5];
    cr_assert_gt(gzc_pwrite_async(f, "quiet", 5, 0, NULL), 0);
    cr_assert_eq(gzc_pread(f, back, 5, 0), 5); /* in this order */
    cr_assert_eq(memcmp(back, "quiet", 5), 0);
    const struct gzc_async nobody = {0};
    cr_assert_gt(gzc_pwrite_async(f, "still", 5, 0, &nobody), 0);
    cr_assert_eq(gzc_pread(f, back, 5, 0), 5);
    cr_assert_eq(memcmp(back, "still", 5), 0);
    struct gzc_async how = {.done = outcome_done, .arg = &o};
    o = (struct outcome){0};
    cr_assert_gt(gzc_pwrite_async(f, "abc", 3, 0, &how), 0);
    memset(&how, 0xff, sizeof(how));
    outcome_expect(v, &o, 3);
}

/* Paths are copied: for the text of a failure too. */
Test(async_forms, paths_are_copied)
{
    struct stat st;
    char *name = strdup(path("d/missing"));
    o = (struct outcome){0};
    cr_assert_gt(gzc_stat_async(v, name, &st, HOW(&o)), 0);
    memset(name, 'x', strlen(name));
    free(name);
    outcome_expect(v, &o, -ENOENT);
    cr_assert_not_null(strstr(o.error, path("d/missing")), "%s", o.error);
}

/* The brick is gone: each fails as its blocking form does, those that close too. */
Test(async_forms, without_the_brick)
{
    struct lab_brick brick;
    gzc_volume *shared = v;
    gzc_file *files[3];
    gzc_dir *dirs[3];
    struct gzc_dirent entry;
    struct stat st;
    uint64_t ns;
    char c[8], uri[sizeof(brick.uri) + 32];
    struct iovec iov = {c, 8};
    cr_assert_eq(lab_brick_start(&brick, NULL), 0);
    snprintf(uri, sizeof(uri), "%s?reconnect_timeout=0", brick.uri);
    cr_assert_eq(gzc_mount(uri, &v), 0, "%s", volume_text(v));
    for (int i = 0; i < 3; i++) {
        files[i] = open_file(v, "/f", O_CREAT | O_RDWR);
        cr_assert_eq(gzc_opendir(v, "/", &dirs[i]), 0);
    }
    lab_brick_kill(&brick);
    gzc_file *x = files[0], *made;
    cr_assert_eq(gzc_fstat(x, &st), -ENOTCONN); /* it is known from here on */
    BOTH(-ENOTCONN, OF_FILE(x), gzc_pread(x, c, 8, 0), gzc_pread_async(x, c, 8, 0, HOW(&o)));
    BOTH(-ENOTCONN, OF_FILE(x), gzc_preadv(x, &iov, 1, 0),
         gzc_preadv_async(x, &iov, 1, 0, HOW(&o)));
    BOTH(-ENOTCONN, OF_FILE(x), gzc_pwrite(x, c, 8, 0), gzc_pwrite_async(x, c, 8, 0, HOW(&o)));
    BOTH(-ENOTCONN, OF_FILE(x), gzc_pwritev(x, &iov, 1, 0),
         gzc_pwritev_async(x, &iov, 1, 0, HOW(&o)));
    BOTH(-ENOTCONN, OF_FILE(x), gzc_fsync(x), gzc_fsync_async(x, HOW(&o)));
    BOTH(-ENOTCONN, OF_FILE(x), gzc_fdatasync(x), gzc_fdatasync_async(x, HOW(&o)));
    BOTH(-ENOTCONN, OF_FILE(x), gzc_ftruncate(x, 0), gzc_ftruncate_async(x, 0, HOW(&o)));
    BOTH(-ENOTCONN, OF_FILE(x), gzc_fstat(x, &st), gzc_fstat_async(x, &st, HOW(&o)));
    BOTH(-ENOTCONN, OF_DIR(dirs[0]), gzc_readdir(dirs[0], &entry),
         gzc_readdir_async(dirs[0], &entry, HOW(&o)));
    BOTH(-ENOTCONN, OF_VOLUME, gzc_ping(v, 0, &ns), gzc_ping_async(v, 0, &ns, HOW(&o)));
    BOTH(-ENOTCONN, OF_VOLUME, gzc_create(v, "/g", 0644, &made),
         gzc_create_async(v, "/g", 0644, &made, HOW(&o)));
    BOTH(-ENOTCONN, OF_VOLUME, gzc_unlink(v, "/f"), gzc_unlink_async(v, "/f", HOW(&o)));
    BOTH(-ENOTCONN, OF_VOLUME, gzc_rmdir(v, "/f"), gzc_rmdir_async(v, "/f", HOW(&o)));
    BOTH(-ENOTCONN, OF_VOLUME, gzc_closedir(dirs[0]), gzc_closedir_async(dirs[1], HOW(&o)));
    BOTH(-ENOTCONN, OF_VOLUME, gzc_close(files[0]), gzc_close_async(files[1], HOW(&o)));
    cr_assert_eq(gzc_closedir(dirs[2]), -ENOTCONN);
    cr_assert_eq(gzc_close(files[2]), -ENOTCONN);
    cr_assert_eq(gzc_unmount(v), 0);
    cr_assert_eq(lab_brick_stop(&brick), 0);
    v = shared;
}
