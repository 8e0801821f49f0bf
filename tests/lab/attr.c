/* Attributes on a real brick: what gzc.h promises, compared with the brick's own file. */
#include "tests/lab/attr.h"
#include "tests/lab/lab.h"

#include <limits.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

static void setup(void)
{
    attr_setup("attr");
}

TestSuite(attr, .init = setup, .fini = attr_teardown, .timeout = 120);

static struct stat on_brick(const char *name)
{
    struct stat st;
    cr_assert_eq(lstat(brick_path(name), &st), 0, "%s", brick_path(name));
    return st;
}

static unsigned mode_of(const char *name)
{
    return on_brick(name).st_mode & 07777;
}

/* ---- mode, owner ----------------------------------------------------------------------------- */

Test(attr, chmod)
{
    gzc_file *f = make_file("f");
    cr_assert_eq(gzc_symlink(v, "f", in_dir("link")), 0);
    cr_assert_eq(gzc_chmod(v, in_dir("f"), 07751), 0, "%s", volume_text(v));
    cr_assert_eq(mode_of("f"), 07751);
    cr_assert_eq(gzc_chmod(v, in_dir("link"), S_IFREG | 0604), 0); /* the type is ignored */
    cr_assert_eq(mode_of("f"), 0604);
    cr_assert_eq(mode_of("link"), 0777);
    cr_assert_eq(ASYNC(gzc_chmod_async(v, in_dir("f"), 0, HOW(&o))), 0);
    cr_assert_eq(mode_of("f"), 0);
    cr_assert_eq(gzc_fchmod(f, 02711), 0);
    cr_assert_eq(mode_of("f"), 02711);
    cr_assert_eq(ASYNC(gzc_fchmod_async(f, 0644, HOW(&o))), 0);
    cr_assert_eq(mode_of("f"), 0644);
    cr_assert_eq(gzc_chmod(v, dir, 01770), 0);
    cr_assert_eq(mode_of(""), 01770);
    cr_assert_eq(gzc_close(f), 0);
}

static void expect_owner(const char *name, uid_t uid, gid_t gid)
{
    struct stat st = on_brick(name);
    cr_assert_eq(st.st_uid, uid, "%s: %u", name, st.st_uid);
    cr_assert_eq(st.st_gid, gid, "%s: %u", name, st.st_gid);
}

Test(attr, chown)
{
    gzc_file *f = make_file("f");
    cr_assert_eq(gzc_symlink(v, "f", in_dir("link")), 0);
    cr_assert_eq(gzc_chmod(v, in_dir("f"), 06755), 0);
    cr_assert_eq(gzc_chown(v, in_dir("link"), 1001, 1002), 0);
    expect_owner("f", 1001, 1002);
    expect_owner("link", 0, 0);
    cr_assert_eq(mode_of("f"), 0755, "as chown(2) takes set-user-ID and set-group-ID away");
    cr_assert_eq(gzc_chown(v, in_dir("f"), (uid_t)-1, 1003), 0);
    expect_owner("f", 1001, 1003);
    cr_assert_eq(gzc_chown(v, in_dir("f"), 1004, (gid_t)-1), 0);
    expect_owner("f", 1004, 1003);
    cr_assert_eq(gzc_chown(v, in_dir("f"), (uid_t)-1, (gid_t)-1), 0);
    expect_owner("f", 1004, 1003);
    cr_assert_eq(ASYNC(gzc_chown_async(v, in_dir("link"), 1, 4000000000u, HOW(&o))), 0);
    expect_owner("f", 1, 4000000000u);
    cr_assert_eq(gzc_lchown(v, in_dir("link"), 5, 6), 0);
    expect_owner("link", 5, 6);
    cr_assert_eq(ASYNC(gzc_lchown_async(v, in_dir("link"), 7, 8, HOW(&o))), 0);
    expect_owner("link", 7, 8);
    expect_owner("f", 1, 4000000000u);
    cr_assert_eq(gzc_fchown(f, 9, (gid_t)-1), 0);
    expect_owner("f", 9, 4000000000u);
    cr_assert_eq(ASYNC(gzc_fchown_async(f, (uid_t)-1, 10, HOW(&o))), 0);
    expect_owner("f", 9, 10);
    cr_assert_eq(gzc_fchown(f, (uid_t)-1, (gid_t)-1), 0);
    expect_owner("f", 9, 10);
    cr_assert_eq(gzc_close(f), 0);
}

/* ---- times ----------------------------------------------------------------------------------- */

#define AT(seconds, nanoseconds)                                                                   \
    {                                                                                              \
        .tv_sec = (seconds), .tv_nsec = (nanoseconds)                                              \
    }

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Both the brick's file and gzc_lstat() have these times. */
static void expect_times(const char *name, const struct timespec times[2])
{
    struct stat disk = on_brick(name), seen;
    cr_assert_eq(gzc_lstat(v, in_dir(name), &seen), 0);
    cr_assert(same_time(disk.st_atim, times[0]), "%s: %ld.%ld", name, disk.st_atim.tv_sec,
              disk.st_atim.tv_nsec);
    cr_assert(same_time(disk.st_mtim, times[1]), "%s: %ld.%ld", name, disk.st_mtim.tv_sec,
              disk.st_mtim.tv_nsec);
    cr_assert(same_time(seen.st_atim, times[0]));
    cr_assert(same_time(seen.st_mtim, times[1]));
}

Test(attr, times_are_set_to_the_nanosecond)
{
    static const struct timespec sets[][2] = {
        {AT(1, 2), AT(1234567890, 987654321)},
        {AT(0, 0), AT(0, 999999999)},
        {AT(-5, 1), AT(-1, 5)},               /* before 1970 */
        {AT(1L << 32, 7), AT(1L << 33, 123)}, /* after 2038, and 2106 */
    };
    gzc_file *f = make_file("f");
    cr_assert_eq(gzc_symlink(v, "f", in_dir("link")), 0);
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        const struct timespec *t = sets[i], swapped[2] = {t[1], t[0]};
        cr_assert_eq(gzc_utimens(v, in_dir("link"), t), 0, "%s", volume_text(v));
        expect_times("f", t);
        cr_assert_eq(ASYNC(gzc_utimens_async(v, in_dir("link"), swapped, HOW(&o))), 0);
        expect_times("f", swapped);
        cr_assert_eq(gzc_lutimens(v, in_dir("link"), t), 0);
        expect_times("link", t);
        cr_assert_eq(ASYNC(gzc_lutimens_async(v, in_dir("link"), swapped, HOW(&o))), 0);
        expect_times("link", swapped);
        expect_times("f", swapped);
        cr_assert_eq(gzc_futimens(f, t), 0);
        expect_times("f", t);
        cr_assert_eq(ASYNC(gzc_futimens_async(f, swapped, HOW(&o))), 0);
        expect_times("f", swapped);
    }
    cr_assert_eq(gzc_close(f), 0);
}

Test(attr, times_are_omitted)
{
    gzc_file *f = make_file("f");
    struct timespec t[2] = {AT(100, 1), AT(200, 2)};
    cr_assert_eq(gzc_utimens(v, in_dir("f"), t), 0);
    t[0] = (struct timespec)AT(300, 3);
    cr_assert_eq(gzc_utimens(v, in_dir("f"), (struct timespec[2]){t[0], AT(7, UTIME_OMIT)}), 0);
    expect_times("f", t);
    t[1] = (struct timespec)AT(400, 4);
    cr_assert_eq(gzc_futimens(f, (struct timespec[2]){AT(7, UTIME_OMIT), t[1]}), 0);
    expect_times("f", t);
    struct stat before = on_brick("f");
    const struct timespec neither[2] = {AT(7, UTIME_OMIT), AT(8, UTIME_OMIT)};
    cr_assert_eq(gzc_utimens(v, in_dir("f"), neither), 0);
    cr_assert_eq(gzc_futimens(f, neither), 0);
    cr_assert_eq(ASYNC(gzc_utimens_async(v, in_dir("f"), neither, HOW(&o))), 0);
    expect_times("f", t);
    cr_assert(same_time(on_brick("f").st_ctim, before.st_ctim));
    cr_assert_eq(gzc_utimens(v, in_dir("none"), neither), 0, "as Linux, which looks at nothing");
    cr_assert_eq(gzc_close(f), 0);
}

static bool between(struct timespec a, struct timespec t, struct timespec b)
{
    return (a.tv_sec < t.tv_sec || (a.tv_sec == t.tv_sec && a.tv_nsec <= t.tv_nsec)) &&
           (t.tv_sec < b.tv_sec || (t.tv_sec == b.tv_sec && t.tv_nsec <= b.tv_nsec));
}

/* Of the times of `name`, those in the mask (1 atime, 2 mtime) are now, the others t's. */
#define EXPECT_NOW(name, mask, t, call)                                                            \
    do {                                                                                           \
        struct timespec from, to;                                                                  \
        clock_gettime(CLOCK_REALTIME, &from);                                                      \
        cr_assert_eq((call), 0, "%s", #call);                                                      \
        clock_gettime(CLOCK_REALTIME, &to);                                                        \
        struct stat st = on_brick(name);                                                           \
        cr_assert((mask)&1 ? between(from, st.st_atim, to) : same_time(st.st_atim, (t)[0]), "%s",  \
                  #call);                                                                          \
        cr_assert((mask)&2 ? between(from, st.st_mtim, to) : same_time(st.st_mtim, (t)[1]), "%s",  \
                  #call);                                                                          \
    } while (0)

Test(attr, times_are_now)
{
    gzc_file *f = make_file("f");
    const struct timespec t[2] = {AT(100, 1), AT(200, 2)}, now = AT(9, UTIME_NOW);
    const struct timespec first[2] = {now, t[1]}, second[2] = {t[0], now}, both[2] = {now, now},
                          other[2] = {AT(1, UTIME_OMIT), now};
    cr_assert_eq(gzc_utimens(v, in_dir("f"), t), 0);
    EXPECT_NOW("f", 1, t, gzc_utimens(v, in_dir("f"), first));
    EXPECT_NOW("f", 2, t, gzc_utimens(v, in_dir("f"), second));
    EXPECT_NOW("f", 3, t, gzc_utimens(v, in_dir("f"), both));
    cr_assert_eq(gzc_utimens(v, in_dir("f"), t), 0);
    EXPECT_NOW("f", 3, t, gzc_utimens(v, in_dir("f"), NULL));
    cr_assert_eq(gzc_utimens(v, in_dir("f"), t), 0);
    EXPECT_NOW("f", 2, t, gzc_futimens(f, other));
    EXPECT_NOW("f", 3, t, gzc_futimens(f, NULL));
    EXPECT_NOW("f", 3, t, ASYNC(gzc_futimens_async(f, NULL, HOW(&o))));
    EXPECT_NOW("f", 3, t, ASYNC(gzc_utimens_async(v, in_dir("f"), NULL, HOW(&o))));
    cr_assert_eq(gzc_close(f), 0);
}

/* ---- truncate -------------------------------------------------------------------------------- */

Test(attr, truncate)
{
    gzc_file *f = make_file("f");
    char c = 1;
    cr_assert_eq(gzc_pwrite(f, "hello", 5, 0), 5);
    cr_assert_eq(gzc_symlink(v, "f", in_dir("link")), 0);
    cr_assert_eq(gzc_truncate(v, in_dir("link"), 3), 0);
    cr_assert_eq(on_brick("f").st_size, 3);
    cr_assert_eq(ASYNC(gzc_truncate_async(v, in_dir("f"), 1L << 33, HOW(&o))), 0);
    cr_assert_eq(on_brick("f").st_size, 1L << 33);
    cr_assert_eq(gzc_pread(f, &c, 1, 4), 1);
    cr_assert_eq(c, 0);
    cr_assert_eq(gzc_truncate(v, in_dir("f"), 0), 0);
    cr_assert_eq(on_brick("f").st_size, 0);
    cr_assert_eq(gzc_truncate(v, in_dir("f"), -1), -EINVAL);
    cr_assert_eq(gzc_truncate_async(v, in_dir("f"), -1, HOW(&o)), -EINVAL);
    cr_assert_eq(gzc_truncate(v, in_dir("f"), INT64_MAX), -EFBIG);
    cr_assert_eq(gzc_truncate(v, dir, 0), -EISDIR);
    cr_assert_eq(gzc_mknod(v, in_dir("fifo"), S_IFIFO | 0644, 0), 0);
    cr_assert_eq(gzc_truncate(v, in_dir("fifo"), 0), -EINVAL);
    cr_assert_eq(gzc_close(f), 0);
}

/* Writes of the same bytes wait for each other, each for a round trip, so that most have not even
 * been sent when the path has been looked up. */
Test(attr, truncate_does_not_overtake_writes)
{
    enum { N = 64 };
    static char block[4096];
    static struct outcome writes[N];
    gzc_file *f = make_file("f");
    for (int i = 0; i < N; i++)
        cr_assert_gt(gzc_pwrite_async(f, block, sizeof(block), 0, HOW(&writes[i])), 0);
    cr_assert_eq(ASYNC(gzc_truncate_async(v, in_dir("f"), 7, HOW(&o))), 0);
    for (int i = 0; i < N; i++)
        outcome_expect(v, &writes[i], sizeof(block));
    cr_assert_eq(on_brick("f").st_size, 7);
    cr_assert_eq(gzc_close(f), 0);
}

/* ---- access, statvfs, statx ------------------------------------------------------------------ */

Test(attr, access)
{
    gzc_close(make_file("f"));
    gzc_volume *user = as(1001, 1001), *group = as(1002, 1003), *other = as(1004, 1004);
    cr_assert_eq(gzc_chown(v, in_dir("f"), 1001, 1003), 0);
    for (int mode = 0; mode < 0777; mode += 0123) {
        const struct {
            gzc_volume *who;
            int may;
        } each[] = {{user, mode >> 6}, {group, mode >> 3 & 7}, {other, mode & 7}};
        cr_assert_eq(gzc_chmod(v, in_dir("f"), (mode_t)mode), 0);
        for (int i = 0; i < 3; i++) {
            for (int want = 0; want < 8; want++) {
                int result = (each[i].may & want) == want ? 0 : -EACCES;
                cr_assert_eq(gzc_access(each[i].who, in_dir("f"), want), result, "%d: %o %d", i,
                             (unsigned)mode, want);
                cr_assert_eq(ASYNC(gzc_access_async(each[i].who, in_dir("f"), want, HOW(&o))),
                             result);
            }
        }
    }
    cr_assert_eq(gzc_access(v, in_dir("f"), R_OK | W_OK), 0);
    cr_assert_eq(gzc_access(v, in_dir("none"), F_OK), -ENOENT);
    cr_assert_eq(gzc_access(v, in_dir("none"), R_OK), -ENOENT);
    cr_assert_eq(gzc_access(v, in_dir("f"), 8), -EINVAL);
    cr_assert_eq(gzc_access_async(v, in_dir("f"), 9, HOW(&o)), -EINVAL);
    cr_assert_eq(gzc_chmod(v, dir, 0700), 0);
    cr_assert_eq(gzc_access(other, in_dir("f"), F_OK), -EACCES);
    cr_assert_eq(gzc_unmount(user), 0);
    cr_assert_eq(gzc_unmount(group), 0);
    cr_assert_eq(gzc_unmount(other), 0);
}

Test(attr, statvfs)
{
    struct statvfs want, got, again;
    memset(&got, 0x5a, sizeof(got));
    cr_assert_eq(gzc_statvfs(v, dir, &got), 0, "%s", volume_text(v));
    cr_assert_eq(statvfs(getenv("LAB_BRICK_PATH"), &want), 0);
    cr_assert_eq(got.f_bsize, want.f_bsize);
    cr_assert_eq(got.f_frsize, want.f_frsize);
    cr_assert_eq(got.f_blocks, want.f_blocks);
    cr_assert_eq(got.f_files, want.f_files);
    cr_assert_eq(got.f_fsid, want.f_fsid);
    cr_assert_eq(got.f_namemax, want.f_namemax);
    cr_assert_eq(got.f_flag & ST_RDONLY, 0);
    /* Others use the file system meanwhile. */
    cr_assert(got.f_bfree && got.f_bfree <= want.f_blocks);
    cr_assert(got.f_bavail && got.f_bavail <= got.f_bfree);
    cr_assert(got.f_ffree <= want.f_files && got.f_favail <= got.f_ffree);
    cr_assert_eq(ASYNC(gzc_statvfs_async(v, "/", &again, HOW(&o))), 0);
    cr_assert_eq(again.f_blocks, want.f_blocks);
    cr_assert_eq(again.f_namemax, want.f_namemax);
    cr_assert_eq(gzc_statvfs(v, in_dir("none"), &got), -ENOENT);
}

static void same_attributes(const char *name, const struct statx *got)
{
    struct statx want;
    struct stat st;
    cr_assert_eq(statx(AT_FDCWD, brick_path(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &want),
                 0);
    cr_assert_eq(gzc_lstat(v, in_dir(name), &st), 0);
    /* Bricks up to GlusterFS 11 send no time of birth. */
    cr_assert_eq(got->stx_mask, STATX_BASIC_STATS, "%s: %x", name, got->stx_mask);
    cr_assert_eq(got->stx_btime.tv_sec, 0);
    cr_assert_eq(got->stx_mode, want.stx_mode);
    cr_assert_eq(got->stx_nlink, want.stx_nlink - 1, "and the brick's link by gfid");
    cr_assert_eq(got->stx_uid, want.stx_uid);
    cr_assert_eq(got->stx_gid, want.stx_gid);
    cr_assert_eq(got->stx_size, want.stx_size);
    cr_assert_eq(got->stx_blocks, st.st_blocks, "which the brick makes up from the size");
    cr_assert_eq(got->stx_blksize, want.stx_blksize);
    cr_assert_eq(got->stx_rdev_major, want.stx_rdev_major);
    cr_assert_eq(got->stx_rdev_minor, want.stx_rdev_minor);
    cr_assert_eq(got->stx_atime.tv_sec, want.stx_atime.tv_sec);
    cr_assert_eq(got->stx_atime.tv_nsec, want.stx_atime.tv_nsec);
    cr_assert_eq(got->stx_mtime.tv_sec, want.stx_mtime.tv_sec);
    cr_assert_eq(got->stx_mtime.tv_nsec, want.stx_mtime.tv_nsec);
    cr_assert_eq(got->stx_ctime.tv_sec, want.stx_ctime.tv_sec);
    cr_assert_eq(got->stx_ctime.tv_nsec, want.stx_ctime.tv_nsec);
    cr_assert_eq(got->stx_ino, st.st_ino);
    cr_assert_eq(got->stx_dev_major, 0);
    cr_assert_eq(got->stx_dev_minor, 0);
    cr_assert_eq(got->stx_attributes & ~got->stx_attributes_mask, 0);
}

Test(attr, statx)
{
    gzc_file *f = make_file("f");
    struct statx stx;
    cr_assert_eq(gzc_pwrite(f, "hello", 5, 10000), 5);
    cr_assert_eq(gzc_chown(v, in_dir("f"), 17, 18), 0);
    cr_assert_eq(gzc_link(v, in_dir("f"), in_dir("g")), 0);
    cr_assert_eq(gzc_symlink(v, "f", in_dir("link")), 0);
    cr_assert_eq(gzc_lchown(v, in_dir("link"), 19, 20), 0);
    memset(&stx, 0x5a, sizeof(stx));
    cr_assert_eq(gzc_statx(v, in_dir("link"), 0, &stx), 0);
    same_attributes("f", &stx);
    memset(&stx, 0x5a, sizeof(stx));
    cr_assert_eq(ASYNC(gzc_statx_async(v, in_dir("g"), AT_STATX_FORCE_SYNC, &stx, HOW(&o))), 0);
    same_attributes("g", &stx);
    cr_assert_eq(gzc_statx(v, in_dir("link"), AT_SYMLINK_NOFOLLOW, &stx), 0);
    same_attributes("link", &stx);
    cr_assert_eq(ASYNC(gzc_statx_async(v, in_dir("link"), AT_SYMLINK_NOFOLLOW, &stx, HOW(&o))), 0);
    same_attributes("link", &stx);
    memset(&stx, 0x5a, sizeof(stx));
    cr_assert_eq(gzc_fstatx(f, &stx), 0);
    same_attributes("f", &stx);
    memset(&stx, 0x5a, sizeof(stx));
    cr_assert_eq(ASYNC(gzc_fstatx_async(f, &stx, HOW(&o))), 0);
    same_attributes("f", &stx);
    cr_assert_eq(gzc_statx(v, in_dir("f"), AT_EMPTY_PATH, &stx), -EINVAL);
    cr_assert_eq(gzc_statx_async(v, in_dir("f"), AT_EMPTY_PATH, &stx, HOW(&o)), -EINVAL);
    cr_assert_eq(gzc_statx(v, in_dir("none"), 0, &stx), -ENOENT);
    cr_assert_eq(gzc_close(f), 0);
}

/* ---- failing --------------------------------------------------------------------------------- */

static const struct timespec some_times[2] = {AT(1, 2), AT(3, 4)};

/* Every operation on a path. */
static int on_path(gzc_volume *who, int which, const char *path)
{
    struct statvfs st;
    struct statx stx;
    switch (which) {
    case 0:
        return gzc_chmod(who, path, 0644);
    case 1:
        return gzc_chown(who, path, 1, 2);
    case 2:
        return gzc_utimens(who, path, some_times);
    case 3:
        return gzc_truncate(who, path, 0);
    case 4:
        return gzc_access(who, path, R_OK);
    case 5:
        return gzc_statvfs(who, path, &st);
    case 6:
        return gzc_statx(who, path, 0, &stx);
    case 7:
        return gzc_lchown(who, path, 1, 2);
    default:
        return gzc_lutimens(who, path, some_times);
    }
}

Test(attr, paths_that_lead_nowhere)
{
    char name[NAME_MAX + 2];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    gzc_close(make_file("f"));
    cr_assert_eq(gzc_symlink(v, "loop", in_dir("loop")), 0);
    for (int i = 0; i < 9; i++) {
        cr_assert_eq(on_path(v, i, in_dir("none")), -ENOENT, "%d", i);
        cr_assert_eq(on_path(v, i, in_dir("none/x")), -ENOENT, "%d", i);
        cr_assert_eq(on_path(v, i, in_dir("f/x")), -ENOTDIR, "%d", i);
        cr_assert_eq(on_path(v, i, in_dir("f/")), -ENOTDIR, "%d", i);
        cr_assert_eq(on_path(v, i, in_dir("loop/x")), -ELOOP, "%d", i);
        cr_assert_eq(on_path(v, i, in_dir(name)), -ENAMETOOLONG, "%d", i);
        cr_assert_eq(on_path(v, i, in_dir("loop")), i < 7 ? -ELOOP : 0, "%d", i);
    }
    cr_assert_eq(on_path(v, 0, in_dir("none")), -ENOENT);
    cr_assert_not_null(strstr(volume_text(v), in_dir("none")), "%s", volume_text(v));
}

Test(attr, what_others_may_not)
{
    static const struct timespec odd[][2] = {
        {AT(0, 1000000000), AT(0, 0)}, {AT(0, 0), AT(0, -1)}, {AT(0, 0), AT(0, UTIME_NOW + 2)}};
    gzc_file *f = make_file("f"), *g;
    gzc_volume *other = as(1001, 1001), *owner = as(1002, 1002);
    cr_assert_eq(gzc_chown(v, in_dir("f"), 1002, 1002), 0);
    cr_assert_eq(gzc_chmod(v, in_dir("f"), 0644), 0);
    cr_assert_eq(gzc_chmod(other, in_dir("f"), 0666), -EPERM);
    cr_assert_eq(gzc_chown(other, in_dir("f"), 1001, (gid_t)-1), -EPERM);
    cr_assert_eq(gzc_chown(other, in_dir("f"), (uid_t)-1, 1001), -EPERM);
    cr_assert_eq(gzc_chown(owner, in_dir("f"), 1001, (gid_t)-1), -EPERM);
    cr_assert_eq(gzc_chown(owner, in_dir("f"), (uid_t)-1, 1001), -EPERM);
    cr_assert_eq(gzc_chown(owner, in_dir("f"), 1002, 1002), 0);
    cr_assert_eq(gzc_truncate(other, in_dir("f"), 0), -EACCES);
    cr_assert_eq(gzc_utimens(other, in_dir("f"), some_times), -EACCES);
    cr_assert_eq(gzc_utimens(owner, in_dir("f"), some_times), 0);
    cr_assert_eq(gzc_chmod(owner, in_dir("f"), 0640), 0);
    cr_assert_eq(gzc_truncate(owner, in_dir("f"), 7), 0);
    expect_owner("f", 1002, 1002);
    cr_assert_eq(on_brick("f").st_size, 7);

    cr_assert_eq(gzc_chmod(v, in_dir("f"), 0644), 0);
    cr_assert_eq(gzc_open(other, in_dir("f"), O_RDONLY, 0, &g), 0);
    cr_assert_eq(gzc_fchmod(g, 0666), -EPERM);
    cr_assert_eq(gzc_fchown(g, 1001, 1001), -EPERM);
    cr_assert_eq(gzc_futimens(g, NULL), -EACCES);
    char text[256];
    gzc_file_error(g, text, sizeof(text));
    cr_assert_not_null(strstr(text, "SETATTR"), "%s", text);
    cr_assert_eq(gzc_close(g), 0);

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        cr_assert_eq(gzc_utimens(v, in_dir("f"), odd[i]), -EINVAL);
        cr_assert_eq(gzc_lutimens(v, in_dir("f"), odd[i]), -EINVAL);
        cr_assert_eq(gzc_futimens(f, odd[i]), -EINVAL);
        cr_assert_eq(gzc_utimens_async(v, in_dir("f"), odd[i], HOW(&o)), -EINVAL);
        cr_assert_eq(gzc_lutimens_async(v, in_dir("f"), odd[i], HOW(&o)), -EINVAL);
        cr_assert_eq(gzc_futimens_async(f, odd[i], HOW(&o)), -EINVAL);
    }

    cr_assert_eq(gzc_chmod(v, dir, 0700), 0);
    for (int i = 0; i < 9; i++)
        cr_assert_eq(on_path(owner, i, in_dir("f")), -EACCES, "%d", i);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(other), 0);
    cr_assert_eq(gzc_unmount(owner), 0);
}

/* ---- files without a name -------------------------------------------------------------------- */

Test(attr, a_file_that_was_removed)
{
    gzc_file *f = make_file("f");
    struct statx stx;
    cr_assert_eq(gzc_unlink(v, in_dir("f")), 0);
    cr_assert_eq(gzc_fchmod(f, 0601), 0, "%s", volume_text(v));
    cr_assert_eq(gzc_fchown(f, 3, 4), 0);
    cr_assert_eq(gzc_futimens(f, some_times), 0);
    cr_assert_eq(gzc_fstatx(f, &stx), 0);
    cr_assert_eq(stx.stx_mode, S_IFREG | 0601);
    cr_assert_eq(stx.stx_uid, 3);
    cr_assert_eq(stx.stx_gid, 4);
    cr_assert_eq(stx.stx_atime.tv_sec, 1);
    cr_assert_eq(stx.stx_atime.tv_nsec, 2);
    cr_assert_eq(stx.stx_mtime.tv_sec, 3);
    cr_assert_eq(stx.stx_mtime.tv_nsec, 4);
    cr_assert_eq(stx.stx_nlink, 0);
    cr_assert_eq(gzc_close(f), 0);
}

Test(attr, an_open_directory)
{
    gzc_file *d;
    struct statx stx;
    cr_assert_eq(gzc_mkdir(v, in_dir("d"), 0755), 0);
    cr_assert_eq(gzc_open(v, in_dir("d"), O_RDONLY | O_DIRECTORY, 0, &d), 0, "%s", volume_text(v));
    for (int removed = 0; removed < 2; removed++) {
        cr_assert_eq(gzc_fchmod(d, 01700), 0);
        cr_assert_eq(gzc_fchown(d, 5, 6), 0);
        cr_assert_eq(gzc_futimens(d, some_times), 0);
        cr_assert_eq(gzc_fstatx(d, &stx), 0);
        cr_assert_eq(stx.stx_mode, S_IFDIR | 01700);
        cr_assert_eq(stx.stx_uid, 5);
        cr_assert_eq(stx.stx_mtime.tv_nsec, 4);
        cr_assert_eq(gzc_fsetxattr(d, "user.a", "x", 1, 0), 0);
        cr_assert_eq(gzc_flistxattr(d, NULL, 0), 7);
        cr_assert_eq(gzc_fremovexattr(d, "user.a"), 0);
        if (!removed)
            cr_assert_eq(gzc_rmdir(v, in_dir("d")), 0);
    }
    cr_assert_eq(gzc_close(d), 0);
}

/* A brick looks at nobody's rights there. */
Test(attr, a_file_that_was_removed_is_still_its_owners)
{
    gzc_volume *owner = as(1001, 1001), *other = as(1002, 1002);
    gzc_file *f, *reads, *writes;
    struct statx stx;
    gzc_close(make_file("f"));
    cr_assert_eq(gzc_chown(v, in_dir("f"), 1001, 1001), 0);
    cr_assert_eq(gzc_chmod(v, in_dir("f"), 0666), 0);
    cr_assert_eq(gzc_open(owner, in_dir("f"), O_RDONLY, 0, &f), 0);
    cr_assert_eq(gzc_open(other, in_dir("f"), O_RDONLY, 0, &reads), 0);
    cr_assert_eq(gzc_open(other, in_dir("f"), O_WRONLY, 0, &writes), 0);
    cr_assert_eq(gzc_unlink(v, in_dir("f")), 0);
    cr_assert_eq(gzc_fchmod(reads, 0777), -EPERM);
    cr_assert_eq(gzc_fchmod(writes, 0777), -EPERM);
    cr_assert_eq(gzc_fchown(writes, 1002, (gid_t)-1), -EPERM);
    cr_assert_eq(gzc_fchown(f, 1002, (gid_t)-1), -EPERM);
    cr_assert_eq(gzc_fchown(f, (uid_t)-1, 1002), -EPERM);
    cr_assert_eq(gzc_fchown(f, 1001, 1001), 0);
    cr_assert_eq(gzc_fchown(reads, (uid_t)-1, (gid_t)-1), 0);
    cr_assert_eq(gzc_futimens(reads, NULL), -EACCES);
    cr_assert_eq(gzc_futimens(writes, NULL), 0);
    cr_assert_eq(gzc_futimens(f, some_times), 0);
    cr_assert_eq(gzc_fchmod(f, 0600), 0);
    cr_assert_eq(gzc_fstatx(reads, &stx), 0);
    cr_assert_eq(stx.stx_mode, S_IFREG | 0600);
    cr_assert_eq(stx.stx_uid, 1001);
    cr_assert_eq(stx.stx_gid, 1001);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_close(reads), 0);
    cr_assert_eq(gzc_close(writes), 0);
    cr_assert_eq(gzc_unmount(owner), 0);
    cr_assert_eq(gzc_unmount(other), 0);
}

/* ---- asynchronous ---------------------------------------------------------------------------- */

Test(attr, what_is_given_is_copied)
{
    gzc_close(make_file("f"));
    char *path = strdup(in_dir("f"));
    struct timespec times[2] = {AT(11, 12), AT(13, 14)};
    o = (struct outcome){0};
    cr_assert_gt(gzc_utimens_async(v, path, times, HOW(&o)), 0);
    memset(path, 'x', strlen(path));
    memset(times, 0xff, sizeof(times));
    free(path);
    outcome_expect(v, &o, 0);
    expect_times("f", (const struct timespec[2]){AT(11, 12), AT(13, 14)});
}

/* A brick that does not answer: deadlines and cancels, while the path is walked and later. */
Test(attr, deadline_and_cancel)
{
    struct lab_brick brick;
    struct outcome late = {0}, gone = {0};
    struct statx stx;
    gzc_volume *deaf;
    cr_assert_eq(lab_brick_start(&brick, NULL), 0);
    cr_assert_eq(gzc_mount(brick.uri, &deaf), 0, "%s", volume_text(deaf));
    gzc_file *f = open_file(deaf, "/f", O_CREAT | O_RDWR);
    cr_assert_eq(lab_brick_signal(&brick, SIGSTOP), 0);
    cr_assert_gt(gzc_chmod_async(deaf, "/f", 0600, HOW(&late, .timeout_ns = 20000000)), 0);
    outcome_expect(deaf, &late, -ETIMEDOUT);
    late = (struct outcome){0};
    cr_assert_gt(gzc_fstatx_async(f, &stx, HOW(&late, .timeout_ns = 20000000)), 0);
    gzc_ticket ticket = gzc_futimens_async(f, NULL, HOW(&gone));
    cr_assert_eq(gzc_cancel(deaf, ticket), 0);
    outcome_expect(deaf, &gone, -ECANCELED);
    gone = (struct outcome){0};
    ticket = gzc_truncate_async(deaf, "/f", 0, HOW(&gone));
    cr_assert_eq(gzc_cancel(deaf, ticket), 0);
    outcome_expect(deaf, &gone, -ECANCELED);
    outcome_expect(deaf, &late, -ETIMEDOUT);
    cr_assert_eq(lab_brick_signal(&brick, SIGCONT), 0);
    cr_assert_eq(gzc_chmod(deaf, "/f", 0604), 0);
    cr_assert_eq(gzc_fstatx(f, &stx), 0);
    cr_assert_eq(stx.stx_mode, S_IFREG | 0604);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(deaf), 0);
    cr_assert_eq(lab_brick_stop(&brick), 0);
}
