/* Beside an official client on the same volume: each sees what the other has done. */
#include "tests/lab/async.h"
#include "tests/lab/lab.h"

#include <sys/sysmacros.h>

static struct lab_cluster lab;
static gzc_volume *v;

/* $LAB_DIR/m is a FUSE mount of the volume, made by Debian's glusterfs-client, without caches: what
 * the other client does is to be seen at once. */
static void begin(void)
{
    const char *volumes[] = {"one", NULL};
    char uri[128];
    int rc = lab_cluster_start(&lab, volumes);
    cr_assert_eq(rc, 0, "cluster: %s", strerror(-rc));
    cr_assert_eq(lab_run(&lab.lab,
                         "gluster volume set one performance.stat-prefetch off "
                         "performance.quick-read off && mkdir -p $LAB_DIR/m && "
                         "mount -t glusterfs -o attribute-timeout=0,entry-timeout=0,"
                         "negative-timeout=0 %s:/one $LAB_DIR/m",
                         lab.host),
                 0, "%s", lab.lab.output);
    snprintf(uri, sizeof(uri), "gluster://%s/one", lab.host);
    cr_assert_eq(gzc_mount(uri, &v), 0, "%s", volume_text(v));
}

static void end(void)
{
    cr_assert_eq(gzc_unmount(v), 0);
    cr_assert_eq(lab_run(&lab.lab, "umount $LAB_DIR/m"), 0, "%s", lab.lab.output);
    cr_assert_eq(lab_cluster_stop(&lab), 0);
}

TestSuite(interop, .init = begin, .fini = end, .timeout = 120);

/* A line of shell in the FUSE mount. */
#define FUSE(line, ...)                                                                            \
    cr_assert_eq(lab_run(&lab.lab, "(cd $LAB_DIR/m && " line ")", ##__VA_ARGS__), 0, "%s",         \
                 lab.lab.output)

Test(interop, data_both_ways)
{
    enum { N = 5000001 };
    static unsigned char p[N], q[N];
    pattern_fill(p, N, 0);
    gzc_file *f = open_file(v, "/ours", O_CREAT | O_RDWR);
    cr_assert_eq(gzc_pwrite(f, p, N, 0), N);
    cr_assert_eq(gzc_close(f), 0);
    FUSE("cp ours theirs && cmp ours theirs && stat -c %%s theirs");
    cr_assert_eq(atoi(lab.lab.output), N);
    f = open_file(v, "/theirs", O_RDONLY);
    cr_assert_eq(gzc_pread(f, q, N, 0), N);
    cr_assert_eq(memcmp(p, q, N), 0);
    cr_assert_eq(gzc_close(f), 0);
}

Test(interop, attributes_agree)
{
    struct stat st;
    FUSE("mkdir -p d/e && echo hello >d/e/f && chmod 2640 d/e/f && chown 12:34 d/e/f && "
         "ln d/e/f d/g");
    cr_assert_eq(gzc_stat(v, "/d/e/f", &st), 0);
    cr_assert_eq(st.st_mode, S_IFREG | 02640);
    cr_assert_eq(st.st_uid, 12);
    cr_assert_eq(st.st_gid, 34);
    cr_assert_eq(st.st_nlink, 2);
    cr_assert_eq(st.st_size, 6);
    ino_t ino = st.st_ino;
    FUSE("stat -c '%%i %%Y' d/e/f");
    char *end_of_ino;
    cr_assert_eq(strtoull(lab.lab.output, &end_of_ino, 10), ino);
    cr_assert_eq(strtoll(end_of_ino, NULL, 10), st.st_mtime);
    cr_assert_eq(gzc_stat(v, "/d/g", &st), 0);
    cr_assert_eq(st.st_ino, ino);
}

Test(interop, symbolic_links)
{
    struct stat st;
    gzc_file *f;
    FUSE("mkdir -p a/b c && echo target >a/b/file && ln -s ../a/b c/relative && "
         "ln -s /a/b/file c/absolute && ln -s relative/file c/chain && ln -s loop2 loop1 && "
         "ln -s loop1 loop2 && ln -s nowhere dangling && ln -s a/b/../../c dots");
    ino_t dir, file;
    cr_assert_eq(gzc_stat(v, "/a/b", &st), 0);
    dir = st.st_ino;
    cr_assert_eq(gzc_stat(v, "/a/b/file", &st), 0);
    file = st.st_ino;
    static const char *const to_file[] = {"/c/relative/file", "/c/absolute", "/c/chain",
                                          "/dots/chain", "/c/relative/../b/file"};
    for (size_t i = 0; i < sizeof(to_file) / sizeof(to_file[0]); i++) {
        cr_assert_eq(gzc_stat(v, to_file[i], &st), 0, "%s: %s", to_file[i], volume_text(v));
        cr_assert_eq(st.st_ino, file, "%s", to_file[i]);
    }
    cr_assert_eq(gzc_stat(v, "/c/relative", &st), 0);
    cr_assert_eq(st.st_ino, dir);
    cr_assert_eq(gzc_lstat(v, "/c/relative", &st), 0);
    cr_assert(S_ISLNK(st.st_mode));
    cr_assert_eq(gzc_lstat(v, "/c/relative/", &st), 0);
    cr_assert_eq(st.st_ino, dir, "a slash behind it wants the directory");
    cr_assert_eq(gzc_stat(v, "/loop1", &st), -ELOOP);
    cr_assert_eq(gzc_stat(v, "/loop1/x", &st), -ELOOP);
    cr_assert_eq(gzc_lstat(v, "/loop1", &st), 0);
    cr_assert_eq(gzc_stat(v, "/dangling", &st), -ENOENT);
    cr_assert_eq(gzc_stat(v, "/c/absolute/", &st), -ENOTDIR);
    cr_assert_eq(gzc_open(v, "/c/absolute", O_RDONLY | O_NOFOLLOW, 0, &f), -ELOOP);
    cr_assert_eq(gzc_open(v, "/dangling", O_RDWR | O_CREAT | O_EXCL, 0644, &f), -EEXIST);
    gzc_close(open_file(v, "/dangling", O_RDWR | O_CREAT));
    FUSE("test -f nowhere && test -L dangling");
    cr_assert_eq(gzc_unlink(v, "/c/absolute"), 0);
    /* on the brick, as FUSE remembers names for a second */
    FUSE("cd %s/one/0 && test -f a/b/file && ! test -L c/absolute", lab.bricks);
}

Test(interop, what_is_no_file_is_not_opened)
{
    gzc_file *f;
    struct stat st;
    FUSE("mkfifo fifo && mknod null c 1 3");
    cr_assert_eq(gzc_open(v, "/fifo", O_RDONLY, 0, &f), -ENXIO);
    cr_assert_eq(gzc_open(v, "/null", O_RDWR, 0, &f), -ENXIO);
    cr_assert_eq(gzc_stat(v, "/fifo", &st), 0);
    cr_assert(S_ISFIFO(st.st_mode));
    cr_assert_eq(gzc_stat(v, "/null", &st), 0);
    cr_assert(S_ISCHR(st.st_mode));
    cr_assert_eq(st.st_rdev, makedev(1, 3));
}

Test(interop, names_both_ways)
{
    FUSE("mkdir -p from/fuse && touch from/fuse/x");
    cr_assert_eq(gzc_unlink(v, "/from/fuse/x"), 0);
    cr_assert_eq(gzc_rmdir(v, "/from/fuse"), 0);
    cr_assert_eq(gzc_mkdir(v, "/from/gzc", 0700), 0);
    gzc_close(open_file(v, "/from/gzc/y", O_CREAT | O_WRONLY));
    FUSE("ls from && ls from/gzc && rm from/gzc/y && rmdir from/gzc from");
    cr_assert_str_eq(lab.lab.output, "gzc\ny\n");
}

Test(interop, entries_both_ways)
{
    struct stat st;
    char text[64];
    cr_assert_eq(gzc_mkdir(v, "/d", 0750), 0);
    cr_assert_eq(gzc_symlink(v, "d/file", "/link"), 0);
    cr_assert_eq(gzc_mknod(v, "/d/file", S_IFREG | 0640, 0), 0);
    cr_assert_eq(gzc_link(v, "/link", "/link2"), 0);
    cr_assert_eq(gzc_link(v, "/d/file", "/hard"), 0);
    cr_assert_eq(gzc_mknod(v, "/fifo", S_IFIFO | 0600, 0), 0);
    cr_assert_eq(gzc_mknod(v, "/tty", S_IFCHR | 0600, makedev(5, 0)), 0);
    FUSE("test -p fifo && test -c tty && test \"$(readlink link2)\" = d/file && echo x >link && "
         "test \"$(stat -c %%h hard)\" = 2 && test \"$(stat -c %%t:%%T tty)\" = 5:0 && cat hard");
    cr_assert_eq(gzc_rename(v, "/hard", "/d/renamed", 0), 0);
    FUSE("test ! -e hard && cat d/renamed && mv d/renamed over && ln -s over theirs && "
         "mknod null c 1 3 && ln over over2 && mkdir e && mv e f");
    cr_assert_eq(gzc_lstat(v, "/theirs", &st), 0);
    cr_assert(S_ISLNK(st.st_mode));
    cr_assert_eq(gzc_readlink(v, "/theirs", text, sizeof(text)), 4);
    cr_assert_eq(gzc_stat(v, "/theirs", &st), 0);
    cr_assert_eq(st.st_nlink, 3);
    cr_assert_eq(gzc_stat(v, "/null", &st), 0);
    cr_assert_eq(st.st_rdev, makedev(1, 3));
    cr_assert_eq(gzc_stat(v, "/e", &st), -ENOENT);
    cr_assert_eq(gzc_stat(v, "/f", &st), 0);
}

/* What a file that was opened by one client and replaced by the other is then. */
Test(interop, a_file_that_was_replaced)
{
    char byte = 0;
    struct stat st;
    FUSE("echo 1 >f && echo 2 >new");
    gzc_file *f = open_file(v, "/f", O_RDONLY);
    FUSE("mv new f");
    cr_assert_eq(gzc_pread(f, &byte, 1, 0), 1);
    cr_assert_eq(byte, '1');
    cr_assert_eq(gzc_fstat(f, &st), 0);
    cr_assert_eq(gzc_close(f), 0);
    f = open_file(v, "/f", O_RDONLY);
    cr_assert_eq(gzc_pread(f, &byte, 1, 0), 1);
    cr_assert_eq(byte, '2');
    cr_assert_eq(gzc_close(f), 0);
}

/* Seconds and nanoseconds of the last access, modification and change, as both clients see them. */
static void same_times(const char *what, const char *path)
{
    struct stat st;
    char ours[128];
    cr_assert_eq(gzc_lstat(v, path, &st), 0, "%s: %s", what, path);
    snprintf(ours, sizeof(ours), "%lld.%09ld %lld.%09ld %lld.%09ld", (long long)st.st_atim.tv_sec,
             st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
             (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    FUSE("stat -c '%%.9X %%.9Y %%.9Z' .%s", path);
    lab.lab.output[strcspn(lab.lab.output, "\n")] = '\0';
    cr_assert_str_eq(lab.lab.output, ours, "%s: %s", what, path);
}

Test(interop, times_agree)
{
    FUSE("mkdir d && echo x >d/f");
    same_times("made by FUSE", "/d/f");
    gzc_file *f = open_file(v, "/d/g", O_CREAT | O_RDWR);
    same_times("made", "/d/g");
    same_times("made in it", "/d");
    cr_assert_eq(gzc_pwrite(f, "x", 1, 0), 1);
    same_times("written", "/d/g");
    cr_assert_eq(gzc_ftruncate(f, 100), 0);
    same_times("cut", "/d/g");
    gzc_close(f);
    cr_assert_eq(gzc_link(v, "/d/g", "/d/h"), 0);
    same_times("linked", "/d/g");
    same_times("linked in it", "/d");
    cr_assert_eq(gzc_rename(v, "/d/h", "/i", 0), 0);
    same_times("renamed", "/i");
    same_times("renamed from it", "/d");
    same_times("renamed to it", "/");
    cr_assert_eq(gzc_symlink(v, "x", "/d/l"), 0);
    same_times("symbolic link", "/d/l");
    cr_assert_eq(gzc_mknod(v, "/d/p", S_IFIFO | 0600, 0), 0);
    same_times("FIFO", "/d/p");
    cr_assert_eq(gzc_unlink(v, "/i"), 0);
    same_times("removed", "/d/g");
    same_times("removed from it", "/");
}

/* A process that locks bytes of a file by way of FUSE: first byte, length; or says "held". Then it
 * holds them until there is a file of the name that it is given. */
static const char locker[] =
    "import fcntl, os, sys, time\n"
    "f = open('locked', 'r+')\n"
    "try: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, int(sys.argv[2]), int(sys.argv[1]))\n"
    "except BlockingIOError: sys.exit('held')\n"
    "if len(sys.argv) > 3:\n"
    "    open(sys.argv[3] + '.ready', 'w').close()\n"
    "    while not os.path.exists(sys.argv[3]): time.sleep(0.01)\n";

#define LOCKER "python3 $LAB_DIR/locker.py "

Test(interop, locks_both_ways)
{
    struct flock lock = {.l_type = F_WRLCK, .l_start = 5, .l_len = 10}, other = lock;
    struct outcome o = {0};
    char script[PATH_MAX + 16];
    snprintf(script, sizeof(script), "%s/locker.py", lab.lab.dir);
    FILE *file = fopen(script, "we");
    cr_assert_not_null(file);
    fputs(locker, file);
    fclose(file);
    gzc_file *f = open_file(v, "/locked", O_CREAT | O_RDWR);
    FUSE(LOCKER "0 10 $LAB_DIR/go >$LAB_DIR/locker.log 2>&1 & "
                "until test -e $LAB_DIR/go.ready -o -s $LAB_DIR/locker.log; do sleep 0.01; done; "
                "cat $LAB_DIR/locker.log; test -e $LAB_DIR/go.ready");
    cr_assert_eq(gzc_posix_lock(f, F_SETLK, &lock), -EAGAIN);
    cr_assert_eq(gzc_posix_lock(f, F_GETLK, &other), 0);
    cr_assert_eq(other.l_type, F_WRLCK);
    cr_assert_eq(other.l_start, 0);
    cr_assert_eq(other.l_len, 10);
    cr_assert_gt(gzc_posix_lock_async(f, F_SETLKW, &lock, HOW(&o)), 0);
    FUSE("touch $LAB_DIR/go");
    outcome_expect(v, &o, 0);
    /* ours are in their way */
    FUSE("! " LOCKER "7 1 2>&1");
    cr_assert_str_eq(lab.lab.output, "held\n");
    FUSE(LOCKER "20 1");
    cr_assert_eq(gzc_close(f), 0);
    FUSE(LOCKER "7 1");
}
