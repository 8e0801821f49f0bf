/* Making, linking, renaming and finding entries, on a real brick. Each operation is tried in both
 * forms. What local file systems do in corner cases is what is wanted here, too. */
#include "tests/lab/async.h"

#include <limits.h>
#include <sys/sysmacros.h>

static gzc_volume *v;
static char dir[128], brick[PATH_MAX];

static void setup(void)
{
    v = mount_brick("");
    snprintf(dir, sizeof(dir), "%s", own_path("entries"));
    snprintf(brick, sizeof(brick), "%s%s", getenv("LAB_BRICK_PATH"), dir);
    cr_assert_eq(gzc_mkdir(v, dir, 0755), 0, "%s", volume_text(v));
    cr_assert_eq(gzc_chdir(v, dir), 0, "%s", volume_text(v));
}

static void teardown(void)
{
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(entries, .init = setup, .fini = teardown, .timeout = 120);

/* The outcome of an asynchronous form. */
static ssize_t told(struct outcome *o, gzc_ticket ticket)
{
    if (ticket < 0)
        return (ssize_t)ticket;
    outcome_wait(v, o);
    ssize_t result = o->result;
    *o = (struct outcome){0};
    return result;
}

static struct outcome o;
#define TOLD(form, ...) told(&o, form(v, __VA_ARGS__, HOW(&o)))

/* On the brick's own file system, where there is no library in between. */
static struct stat on_brick(const char *name)
{
    char path[PATH_MAX + 300];
    struct stat st = {0};
    snprintf(path, sizeof(path), "%s/%s", brick, name);
    if (lstat(path, &st) < 0)
        st.st_mode = 0;
    return st;
}

static void touch(const char *name)
{
    gzc_close(open_file(v, name, O_CREAT | O_WRONLY));
}

Test(entries, symbolic_links)
{
    char text[PATH_MAX + 10];
    struct stat st;
    cr_assert_eq(gzc_symlink(v, "some/where", "l1"), 0);
    cr_assert_eq(TOLD(gzc_symlink_async, "else", "l2"), 0);
    cr_assert(S_ISLNK(on_brick("l1").st_mode));
    cr_assert_eq(gzc_readlink(v, "l1", text, sizeof(text)), 10);
    cr_assert_eq(memcmp(text, "some/where", 10), 0);
    cr_assert_eq(TOLD(gzc_readlink_async, "l2", text, 3), 3, "cut");
    cr_assert_eq(memcmp(text, "els", 3), 0);
    cr_assert_eq(gzc_readlink(v, "l1", text, 0), -EINVAL);
    cr_assert_eq(gzc_readlink(v, ".", text, sizeof(text)), -EINVAL);
    cr_assert_eq(gzc_readlink(v, "none", text, sizeof(text)), -ENOENT);
    cr_assert_eq(gzc_symlink(v, "x", "l1"), -EEXIST);
    cr_assert_eq(gzc_symlink(v, "x", "l1/"), -EEXIST);
    cr_assert_eq(gzc_symlink(v, "x", "l9/"), -ENOENT);
    cr_assert_eq(gzc_symlink(v, "", "l9"), -ENOENT);
    memset(text, 't', 4096);
    text[4096] = '\0';
    cr_assert_eq(gzc_symlink(v, text, "l9"), -ENAMETOOLONG);
    text[4095] = '\0';
    cr_assert_eq(gzc_symlink(v, text, "long"), 0, "%s", volume_text(v));
    char again[PATH_MAX];
    cr_assert_eq(gzc_readlink(v, "long", again, sizeof(again)), 4095);
    cr_assert_eq(memcmp(text, again, 4095), 0);

    touch("file");
    cr_assert_eq(gzc_mkdir(v, "sub", 0755), 0);
    cr_assert_eq(gzc_symlink(v, "../file", "sub/up"), 0);
    cr_assert_eq(gzc_symlink(v, "sub", "into"), 0);
    cr_assert_eq(gzc_stat(v, "into/up", &st), 0);
    cr_assert_eq(st.st_ino, gzc_lstat(v, "file", &st) ? 0 : st.st_ino);
    cr_assert_eq(gzc_lstat(v, "into", &st), 0);
    cr_assert(S_ISLNK(st.st_mode));
    cr_assert_eq(gzc_lstat(v, "into/", &st), 0);
    cr_assert(S_ISDIR(st.st_mode));
    cr_assert_eq(gzc_symlink(v, "loop", "loop"), 0);
    cr_assert_eq(gzc_stat(v, "loop", &st), -ELOOP);
    cr_assert_eq(gzc_stat(v, "loop/x", &st), -ELOOP);
    cr_assert_eq(gzc_lstat(v, "loop", &st), 0);
    char name[16], target[16] = "file";
    for (int i = 0; i <= 40; i++) { /* Linux follows 40 */
        snprintf(name, sizeof(name), "c%d", i);
        cr_assert_eq(gzc_symlink(v, target, name), 0);
        memcpy(target, name, sizeof(target));
    }
    cr_assert_eq(gzc_stat(v, "c39", &st), 0);
    cr_assert_eq(gzc_stat(v, "c40", &st), -ELOOP);
}

Test(entries, hard_links)
{
    struct stat a, b;
    touch("f");
    cr_assert_eq(gzc_link(v, "f", "g"), 0);
    cr_assert_eq(TOLD(gzc_link_async, "f", "h"), 0);
    cr_assert_eq(gzc_stat(v, "f", &a), 0);
    cr_assert_eq(gzc_stat(v, "h", &b), 0);
    cr_assert_eq(a.st_ino, b.st_ino);
    cr_assert_eq(b.st_nlink, 3);
    cr_assert_eq(gzc_link(v, "f", "g"), -EEXIST);
    cr_assert_eq(gzc_link(v, "none", "x"), -ENOENT);
    cr_assert_eq(gzc_link(v, "f", "none/x"), -ENOENT);
    cr_assert_eq(gzc_link(v, "f/", "x"), -ENOTDIR);
    cr_assert_eq(gzc_link(v, "f", "x/"), -ENOENT);
    cr_assert_eq(gzc_link(v, ".", "x"), -EPERM);
    cr_assert_eq(gzc_symlink(v, "f", "s"), 0);
    cr_assert_eq(gzc_link(v, "s", "s2"), 0);
    cr_assert(S_ISLNK(on_brick("s2").st_mode), "the link, not what it points to");
    cr_assert_eq(gzc_unlink(v, "f"), 0);
    cr_assert_eq(gzc_unlink(v, "g/"), -ENOTDIR);
    cr_assert_eq(gzc_unlink(v, "none/"), -ENOENT);
    cr_assert_eq(gzc_unlink(v, "../entries/"), -ENOENT);
    cr_assert_eq(gzc_stat(v, "h", &b), 0);
    cr_assert_eq(b.st_nlink, 2);
}

Test(entries, special_files)
{
    struct stat st;
    gzc_file *f;
    mode_t mask = umask(0);
    umask(mask);
    cr_assert_eq(gzc_mknod(v, "fifo", S_IFIFO | 0666, 0), 0);
    cr_assert_eq(TOLD(gzc_mknod_async, "socket", S_IFSOCK | 0640, 0), 0);
    cr_assert_eq(gzc_mknod(v, "null", S_IFCHR | 0600, makedev(1, 3)), 0);
    cr_assert_eq(gzc_mknod(v, "disk", S_IFBLK | 0600, makedev(259, 70000)), 0);
    cr_assert_eq(gzc_mknod(v, "plain", S_IFREG | 0600, 0), 0);
    cr_assert_eq(gzc_mknod(v, "typeless", 0600, 0), 0);
    cr_assert_eq(on_brick("fifo").st_mode, (S_IFIFO | 0666) & ~mask);
    cr_assert_eq(on_brick("socket").st_mode, (S_IFSOCK | 0640) & ~mask);
    cr_assert_eq(on_brick("null").st_rdev, makedev(1, 3));
    cr_assert_eq(on_brick("disk").st_rdev, makedev(259, 70000));
    cr_assert(S_ISREG(on_brick("typeless").st_mode));
    cr_assert_eq(gzc_stat(v, "disk", &st), 0);
    cr_assert_eq(st.st_rdev, makedev(259, 70000));
    cr_assert_eq(gzc_mknod(v, "d", S_IFDIR | 0700, 0), -EPERM);
    cr_assert_eq(gzc_mknod(v, "l", S_IFLNK | 0700, 0), -EINVAL);
    cr_assert_eq(gzc_mknod(v, "fifo", S_IFIFO | 0666, 0), -EEXIST);
    cr_assert_eq(gzc_open(v, "fifo", O_RDONLY, 0, &f), -ENXIO);
    cr_assert_eq(gzc_open(v, "plain", O_RDONLY, 0, &f), 0);
    gzc_close(f);
}

Test(entries, renaming)
{
    struct stat st, before;
    touch("a");
    cr_assert_eq(gzc_stat(v, "a", &before), 0);
    cr_assert_eq(gzc_rename(v, "a", "b", 0), 0);
    cr_assert_eq(gzc_stat(v, "a", &st), -ENOENT);
    cr_assert_eq(TOLD(gzc_rename_async, "b", "c", 0), 0);
    cr_assert_eq(gzc_stat(v, "c", &st), 0);
    cr_assert_eq(st.st_ino, before.st_ino);
    touch("over");
    cr_assert_eq(gzc_rename(v, "c", "over", 0), 0);
    cr_assert_eq(gzc_stat(v, "over", &st), 0);
    cr_assert_eq(st.st_ino, before.st_ino);
    cr_assert_eq(gzc_mkdir(v, "d1", 0755), 0);
    cr_assert_eq(gzc_mkdir(v, "d2", 0755), 0);
    cr_assert_eq(gzc_rename(v, "over", "d1/f", 0), 0);
    cr_assert_eq(gzc_rename(v, "d1", "d2", 0), 0, "over an empty directory");
    cr_assert_eq(gzc_stat(v, "d2/f", &st), 0);
    cr_assert_eq(gzc_mkdir(v, "d3", 0755), 0);
    cr_assert_eq(gzc_rename(v, "d3", "d2", 0), -ENOTEMPTY);
    cr_assert_eq(gzc_rename(v, "d3", "d2/f", 0), -ENOTDIR);
    cr_assert_eq(gzc_rename(v, "d2/f", "d3", 0), -EISDIR);
    cr_assert_eq(gzc_rename(v, "d2", "d2/sub", 0), -EINVAL);
    cr_assert_eq(gzc_rename(v, "d2/f", "d2", 0), -ENOTEMPTY);
    cr_assert_eq(gzc_rename(v, "d2/f", "d2/f", 0), 0, "itself");
    cr_assert_eq(gzc_link(v, "d2/f", "d2/g"), 0);
    cr_assert_eq(gzc_rename(v, "d2/f", "d2/g", 0), 0, "another name of the same inode");
    cr_assert_eq(gzc_stat(v, "d2/f", &st), 0);
    cr_assert_eq(gzc_rename(v, "d2/f/", "x", 0), -ENOTDIR);
    cr_assert_eq(gzc_rename(v, "d2/f", "x/", 0), -ENOTDIR);
    cr_assert_eq(gzc_rename(v, "none/", "x", 0), -ENOENT);
    cr_assert_eq(gzc_rename(v, "d3/", "d4/", 0), 0);
    cr_assert_eq(gzc_rename(v, ".", "x", 0), -EBUSY);
    cr_assert_eq(gzc_rename(v, "d4", "..", 0), -EBUSY);
    cr_assert_eq(gzc_rename(v, "d4", "/", 0), -EBUSY);
    cr_assert_eq(gzc_rename(v, "d4", "none/x", 0), -ENOENT);
    cr_assert_eq(gzc_rename(v, "d4", "x", RENAME_NOREPLACE), -EINVAL);
    cr_assert_not_null(strstr(volume_text(v), "RENAME_NOREPLACE"));
    cr_assert_eq(TOLD(gzc_rename_async, "d4", "x", RENAME_EXCHANGE), -EINVAL);
    cr_assert_eq(gzc_stat(v, "d4", &st), 0);
}

/* A file that others have replaced or removed stays what it was to those who have it open. */
Test(entries, a_file_that_was_replaced)
{
    gzc_volume *other = mount_brick("");
    char byte = 0;
    touch("f");
    gzc_file *f = open_file(v, "f", O_RDWR);
    cr_assert_eq(gzc_pwrite(f, "1", 1, 0), 1);
    cr_assert_eq(gzc_chdir(other, dir), 0);
    gzc_file *g = open_file(other, "new", O_CREAT | O_RDWR);
    cr_assert_eq(gzc_pwrite(g, "2", 1, 0), 1);
    gzc_close(g);
    cr_assert_eq(gzc_rename(other, "new", "f", 0), 0);
    cr_assert_eq(gzc_pread(f, &byte, 1, 0), 1);
    cr_assert_eq(byte, '1', "the file that was opened");
    g = open_file(v, "f", O_RDONLY);
    cr_assert_eq(gzc_pread(g, &byte, 1, 0), 1);
    cr_assert_eq(byte, '2', "the file that has the name");
    cr_assert_eq(gzc_unlink(other, "f"), 0);
    cr_assert_eq(gzc_pread(g, &byte, 1, 0), 1);
    gzc_close(f);
    gzc_close(g);
    gzc_unmount(other);
}

Test(entries, a_working_directory)
{
    struct stat st, here;
    char path[PATH_MAX], want[PATH_MAX];
    cr_assert_eq(gzc_mkdir(v, "w", 0755), 0);
    cr_assert_eq(gzc_mkdir(v, "w/x", 0755), 0);
    touch("w/f");
    cr_assert_eq(gzc_chdir(v, "w/x"), 0);
    cr_assert_eq(gzc_stat(v, "../f", &st), 0, "%s", volume_text(v));
    cr_assert_eq(gzc_stat(v, "../../w/x/../f", &st), 0, "%s", volume_text(v));
    cr_assert_eq(gzc_stat(v, ".", &here), 0);
    cr_assert_eq(gzc_stat(v, "..", &st), 0);
    cr_assert_eq(gzc_stat(v, "../x", &st), 0);
    cr_assert_eq(st.st_ino, here.st_ino);
    cr_assert_eq(TOLD(gzc_chdir_async, "../f"), -ENOTDIR);
    cr_assert_eq(gzc_chdir(v, "none"), -ENOENT);
    cr_assert_eq(gzc_realpath(v, ".", path, sizeof(path)), (ssize_t)strlen(dir) + 4);
    snprintf(want, sizeof(want), "%s/w/x", dir);
    cr_assert_str_eq(path, want);
    snprintf(want, sizeof(want), "%s/w", dir);
    snprintf(path, sizeof(path), "%s/y", dir);
    cr_assert_eq(gzc_rename(v, want, path, 0), 0);
    cr_assert_eq(gzc_stat(v, "../f", &st), 0, "the directory stays the same when it is renamed");
    cr_assert_eq(gzc_realpath(v, "..", path, sizeof(path)), (ssize_t)strlen(dir) + 2);
    cr_assert_eq(TOLD(gzc_chdir_async, "/"), 0);
    cr_assert_eq(gzc_stat(v, dir + 1, &st), 0);
}

Test(entries, real_paths)
{
    char path[PATH_MAX], want[PATH_MAX];
    cr_assert_eq(gzc_mkdir(v, "d", 0755), 0);
    touch("d/f");
    cr_assert_eq(gzc_symlink(v, "d/f", "l"), 0);
    cr_assert_eq(gzc_symlink(v, "d", "k"), 0);
    snprintf(want, sizeof(want), "%s/d/f", dir);
    static const char *const same[] = {"d/f", "l", "k/f", "d/../d/./f", "k/../k/f"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        ssize_t n = gzc_realpath(v, same[i], path, sizeof(path));
        cr_assert_eq(n, (ssize_t)strlen(want), "%s: %zd %s", same[i], n, volume_text(v));
        cr_assert_str_eq(path, want);
    }
    cr_assert_eq(TOLD(gzc_realpath_async, "/", path, sizeof(path)), 1);
    cr_assert_str_eq(path, "/");
    cr_assert_eq(gzc_realpath(v, dir, path, sizeof(path)), (ssize_t)strlen(dir));
    cr_assert_str_eq(path, dir);
    cr_assert_eq(gzc_realpath(v, "d/f", path, strlen(want)), -ERANGE);
    cr_assert_eq(gzc_realpath(v, "d/none", path, sizeof(path)), -ENOENT);
}

/* The caller's strings are not looked at any more once an operation has begun. */
Test(entries, paths_are_copied)
{
    char from[64] = "p", to[64] = "q";
    touch("p");
    gzc_ticket t = gzc_rename_async(v, from, to, 0, HOW(&o));
    memset(from, 'x', sizeof(from));
    memset(to, 'x', sizeof(to));
    cr_assert_eq(told(&o, t), 0);
    cr_assert(S_ISREG(on_brick("q").st_mode));
}

/* The times are the client's clock's, on both the inode and the directory. */
Test(entries, changes_set_times)
{
    struct stat a, b, d;
    touch("t");
    cr_assert_eq(gzc_stat(v, "t", &a), 0);
    cr_assert_eq(gzc_link(v, "t", "u"), 0);
    cr_assert_eq(gzc_stat(v, "t", &b), 0);
    cr_assert(b.st_ctim.tv_sec > a.st_ctim.tv_sec || b.st_ctim.tv_nsec != a.st_ctim.tv_nsec);
    cr_assert_eq(gzc_stat(v, ".", &d), 0);
    cr_assert(d.st_mtim.tv_sec >= a.st_ctim.tv_sec);
}
