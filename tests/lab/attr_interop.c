/* Attributes beside an official client on the same volume, with features/utime. */
#include "tests/lab/lab.h"
#include "tests/lab/volume.h"

#include <errno.h>
#include <sys/statvfs.h>

static struct lab_cluster lab;
static gzc_volume *v;
static char uri[PATH_MAX + 16];

/* $LAB_DIR/m becomes a FUSE mount of the volume. */
static void fuse_mount(void)
{
    cr_assert_eq(lab_run(&lab.lab,
                         "mkdir -p $LAB_DIR/m && mount -t glusterfs -o attribute-timeout=0 "
                         "%s:/one $LAB_DIR/m",
                         lab.host),
                 0, "%s", lab.lab.output);
}

static void begin(void)
{
    const char *volumes[] = {"one", NULL};
    int rc = lab_cluster_start(&lab, volumes);
    cr_assert_eq(rc, 0, "cluster: %s", strerror(-rc));
    /* What it has in a cache would be of the past. */
    cr_assert_eq(
        lab_run(&lab.lab, "gluster --mode=script volume set one performance.stat-prefetch off"), 0,
        "%s", lab.lab.output);
    fuse_mount();
    snprintf(uri, sizeof(uri), "gluster://%s/one", lab.host);
    cr_assert_eq(gzc_mount(uri, &v), 0, "%s", volume_text(v));
}

static void end(void)
{
    cr_assert_eq(gzc_unmount(v), 0);
    cr_assert_eq(lab_run(&lab.lab, "umount $LAB_DIR/m"), 0, "%s", lab.lab.output);
    cr_assert_eq(lab_cluster_stop(&lab), 0);
}

TestSuite(attr_interop, .init = begin, .fini = end, .timeout = 120);

/* A line of shell in the FUSE mount, and what it prints. */
#define FUSE(line, ...)                                                                            \
    cr_assert_eq(lab_run(&lab.lab, "(cd $LAB_DIR/m && " line ")", ##__VA_ARGS__), 0, "%s",         \
                 lab.lab.output)
#define FUSE_SAYS(want, line, ...)                                                                 \
    do {                                                                                           \
        FUSE(line, ##__VA_ARGS__);                                                                 \
        cr_assert_str_eq(lab.lab.output, want, "%s: '%s'", line, lab.lab.output);                  \
    } while (0)

#define STAT_TIMES "TZ=UTC stat -c '%%x %%y' "

static const struct timespec times[2] = {{.tv_sec = 86400, .tv_nsec = 123456789},
                                         {.tv_sec = 172800, .tv_nsec = 987654321}};
static const char times_text[] = "1970-01-02 00:00:00.123456789 +0000 "
                                 "1970-01-03 00:00:00.987654321 +0000\n";

static void expect_times(const char *path)
{
    struct stat st;
    cr_assert_eq(gzc_stat(v, path, &st), 0);
    cr_assert_eq(st.st_atim.tv_sec, times[0].tv_sec, "%ld", st.st_atim.tv_sec);
    cr_assert_eq(st.st_atim.tv_nsec, times[0].tv_nsec);
    cr_assert_eq(st.st_mtim.tv_sec, times[1].tv_sec, "%ld", st.st_mtim.tv_sec);
    cr_assert_eq(st.st_mtim.tv_nsec, times[1].tv_nsec);
}

Test(attr_interop, times_through_both_clients)
{
    struct stat before, after;
    gzc_file *f = open_file(v, "/f", O_CREAT | O_RDWR);
    cr_assert_eq(gzc_utimens(v, "/f", times), 0);
    FUSE_SAYS(times_text, STAT_TIMES "f");
    expect_times("/f");
    FUSE(
        "TZ=UTC touch -ad '1980-01-01 00:00:00.5' f && TZ=UTC touch -md '1981-01-01 00:00:00.25' f");
    cr_assert_eq(gzc_fstat(f, &before), 0);
    cr_assert_eq(before.st_atim.tv_sec, 315532800);
    cr_assert_eq(before.st_atim.tv_nsec, 500000000);
    cr_assert_eq(before.st_mtim.tv_sec, 347155200);
    cr_assert_eq(before.st_mtim.tv_nsec, 250000000);

    /* One is kept; the time of the change is this client's. */
    cr_assert_eq(gzc_utimens(v, "/f", (struct timespec[2]){times[0], {.tv_nsec = UTIME_OMIT}}), 0);
    cr_assert_eq(gzc_fstat(f, &after), 0);
    cr_assert_eq(after.st_atim.tv_sec, times[0].tv_sec);
    cr_assert_eq(after.st_mtim.tv_sec, 347155200);
    cr_assert(after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
              (after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
               after.st_ctim.tv_nsec > before.st_ctim.tv_nsec));
    before = after;
    cr_assert_eq(gzc_chmod(v, "/f", 0600), 0);
    cr_assert_eq(gzc_stat(v, "/f", &after), 0);
    cr_assert(after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
              after.st_ctim.tv_nsec > before.st_ctim.tv_nsec);
    cr_assert_eq(after.st_mtim.tv_sec, 347155200);
    cr_assert_eq(gzc_futimens(f, times), 0);
    FUSE_SAYS(times_text, STAT_TIMES "f");
    cr_assert_eq(gzc_close(f), 0);
}

/* A change through a client that stamps its calls would lose the other times of a file that has no
 * record of them: one that a client without features/utime has made. */
Test(attr_interop, a_file_of_a_client_that_keeps_no_times)
{
    gzc_volume *plain;
    gzc_file *f;
    cr_assert_eq(lab_run(&lab.lab,
                         "gluster system:: getspec one | awk '/^volume one-utime/ { drop = 1 } "
                         "!drop { sub(/one-utime/, \"one-dht\"); print } "
                         "/^end-volume/ { drop = 0 }' >$LAB_DIR/plain.vol"),
                 0, "%s", lab.lab.output);
    snprintf(uri, sizeof(uri), "file:%s/plain.vol", lab.lab.dir);
    cr_assert_eq(gzc_mount(uri, &plain), 0, "%s", volume_text(plain));
    cr_assert_eq(gzc_mkdir(plain, "/d", 0755), 0);
    cr_assert_eq(gzc_open(plain, "/d/f", O_CREAT | O_RDWR, 0644, &f), 0);
    cr_assert_eq(gzc_futimens(f, times), 0);
    gzc_close(f);
    cr_assert_eq(gzc_utimens(plain, "/d", times), 0);
    gzc_unmount(plain);
    cr_assert_neq(lab_run(&lab.lab, "getfattr -n trusted.glusterfs.mdata %s/one/0/d/f", lab.bricks),
                  0, "it is to have none");
    cr_assert_eq(gzc_chmod(v, "/d/f", 0600), 0);
    expect_times("/d/f");
    expect_times("/d");
    FUSE_SAYS(times_text, STAT_TIMES "d/f");
    cr_assert_eq(lab_run(&lab.lab, "getfattr -n trusted.glusterfs.mdata %s/one/0/d/f", lab.bricks),
                 0, "%s", lab.lab.output);
}

/* As of a time before the volume had features/utime. */
Test(attr_interop, a_file_that_the_brick_keeps_no_times_of)
{
    gzc_close(open_file(v, "/f", O_CREAT | O_RDWR));
    cr_assert_eq(lab_run(&lab.lab,
                         "umount $LAB_DIR/m && setfattr -x trusted.glusterfs.mdata %s/one/0/f && "
                         "brick_kill one 0 && brick_restart one",
                         lab.bricks),
                 0, "%s", lab.lab.output);
    cr_assert_eq(gzc_utimens(v, "/f", times), 0);
    expect_times("/f");
    fuse_mount();
    FUSE_SAYS(times_text, STAT_TIMES "f");
}

Test(attr_interop, extended_attributes_through_both_clients)
{
    char value[64], list[256];
    gzc_close(open_file(v, "/f", O_CREAT | O_RDWR));
    cr_assert_eq(gzc_setxattr(v, "/f", "user.ours", "one", 3, 0), 0);
    cr_assert_eq(gzc_setxattr(v, "/f", "trusted.ours", "two", 3, 0), 0);
    FUSE_SAYS("# file: f\ntrusted.ours=\"two\"\nuser.ours=\"one\"\n\n", "getfattr -d -m - f");
    FUSE("setfattr -x user.ours f && setfattr -n user.theirs -v three f");
    cr_assert_eq(gzc_getxattr(v, "/f", "user.theirs", value, sizeof(value)), 5);
    cr_assert_eq(memcmp(value, "three", 5), 0);
    cr_assert_eq(gzc_getxattr(v, "/f", "user.ours", value, sizeof(value)), -ENODATA);
    cr_assert_eq(gzc_listxattr(v, "/f", list, sizeof(list)), 25); /* trusted.ours, user.theirs */
    cr_assert_eq(gzc_listxattr(v, "/", list, sizeof(list)), 0);
    FUSE_SAYS("", "getfattr -d -m - .");
    FUSE("getfattr --only-values -n glusterfs.gfid.string f");
    ssize_t n = gzc_getxattr(v, "/f", "glusterfs.gfid.string", value, sizeof(value));
    cr_assert_eq(n, 36);
    cr_assert_eq(strncmp(lab.lab.output, value, 36), 0, "%s", lab.lab.output);
    /* What FUSE refuses we refuse. */
    static const char *const own[] = {"trusted.gfid", "trusted.glusterfs.volume-id"};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(gzc_setxattr(v, "/f", own[i], "x", 1, 0), -EPERM);
        cr_assert_neq(lab_run(&lab.lab, "setfattr -n %s -v x $LAB_DIR/m/f", own[i]), 0);
    }
}

Test(attr_interop, a_volume_that_is_read_only)
{
    struct statvfs st;
    struct statx stx;
    char c;
    gzc_volume *ro;
    gzc_file *f;
    gzc_close(open_file(v, "/f", O_CREAT | O_RDWR));
    cr_assert_eq(gzc_setxattr(v, "/f", "user.a", "x", 1, 0), 0);
    cr_assert_eq(lab_run(&lab.lab,
                         "gluster system:: getspec one >$LAB_DIR/one.vol && "
                         "printf 'volume ro\\n type features/read-only\\n option read-only on\\n "
                         "subvolumes one\\nend-volume\\n' >>$LAB_DIR/one.vol"),
                 0, "%s", lab.lab.output);
    snprintf(uri, sizeof(uri), "file:%s/one.vol", lab.lab.dir);
    cr_assert_eq(gzc_mount(uri, &ro), 0, "%s", volume_text(ro));
    cr_assert_eq(gzc_open(ro, "/f", O_RDONLY, 0, &f), 0, "%s", volume_text(ro));
    cr_assert_eq(gzc_statvfs(ro, "/", &st), 0);
    cr_assert(st.f_flag & ST_RDONLY);
    cr_assert_eq(gzc_statx(ro, "/f", 0, &stx), 0);
    cr_assert_eq(gzc_access(ro, "/f", R_OK), 0);
    cr_assert_eq(gzc_access(ro, "/f", W_OK), -EROFS);
    cr_assert_eq(gzc_getxattr(ro, "/f", "user.a", &c, 1), 1);
    cr_assert_eq(gzc_flistxattr(f, NULL, 0), 7);
    cr_assert_eq(gzc_chmod(ro, "/f", 0600), -EROFS);
    cr_assert_eq(gzc_lchown(ro, "/f", 1, 1), -EROFS);
    cr_assert_eq(gzc_utimens(ro, "/f", NULL), -EROFS);
    cr_assert_eq(gzc_truncate(ro, "/f", 0), -EROFS);
    cr_assert_eq(gzc_setxattr(ro, "/f", "user.a", "y", 1, 0), -EROFS);
    cr_assert_eq(gzc_removexattr(ro, "/f", "user.a"), -EROFS);
    cr_assert_eq(gzc_fchmod(f, 0600), -EROFS);
    cr_assert_eq(gzc_fsetxattr(f, "user.a", "y", 1, 0), -EROFS);
    char text[128];
    gzc_file_error(f, text, sizeof(text));
    cr_assert_str_eq(text, "the volume is read-only");
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(ro), 0);
}
