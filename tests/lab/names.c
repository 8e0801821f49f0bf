/* Names and directories on a real brick. */
#include "tests/lab/volume.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

static gzc_volume *v;
static char dir[128];

static void setup(void)
{
    v = mount_brick("");
    snprintf(dir, sizeof(dir), "%s", own_path("names"));
    cr_assert_eq(gzc_mkdir(v, dir, 0755), 0, "%s", volume_text(v));
}

static void teardown(void)
{
    cr_assert_eq(gzc_rmdir(v, dir), 0, "%s", volume_text(v));
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(names, .init = setup, .fini = teardown, .timeout = 120);

/* "dir/NAME" in a buffer of its own for each call of up to four. */
static const char *in_dir(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", dir, name);
    return path;
}

static void touch(const char *path)
{
    gzc_close(open_file(v, path, O_CREAT | O_WRONLY));
}

Test(names, make_and_remove)
{
    struct stat st;
    cr_assert_eq(gzc_mkdir(v, in_dir("a"), 0751), 0);
    cr_assert_eq(gzc_stat(v, in_dir("a"), &st), 0);
    cr_assert(S_ISDIR(st.st_mode));
    mode_t mask = umask(0);
    umask(mask);
    cr_assert_eq(st.st_mode & 07777, 0751 & ~mask);
    cr_assert_eq(gzc_mkdir(v, in_dir("a"), 0755), -EEXIST);
    cr_assert_eq(gzc_mkdir(v, in_dir("x/y"), 0755), -ENOENT);
    touch(in_dir("a/f"));
    cr_assert_eq(gzc_rmdir(v, in_dir("a")), -ENOTEMPTY);
    cr_assert_eq(gzc_rmdir(v, in_dir("a/f")), -ENOTDIR);
    cr_assert_eq(gzc_mkdir(v, in_dir("a/f/g"), 0755), -ENOTDIR);
    int rc = gzc_unlink(v, in_dir("a"));
    cr_assert(rc == -EISDIR || rc == -EPERM, "%d", rc);
    cr_assert_eq(gzc_unlink(v, in_dir("a/f")), 0);
    cr_assert_eq(gzc_unlink(v, in_dir("a/f")), -ENOENT);
    cr_assert_eq(gzc_rmdir(v, in_dir("a")), 0);
    cr_assert_eq(gzc_rmdir(v, in_dir("a")), -ENOENT);
}

Test(names, the_root_has_no_name)
{
    struct stat st;
    cr_assert_eq(gzc_stat(v, "/", &st), 0);
    cr_assert(S_ISDIR(st.st_mode));
    cr_assert_eq(st.st_ino, 1);
    cr_assert_eq(gzc_stat(v, "", &st), -ENOENT);
    cr_assert_eq(gzc_rmdir(v, "/"), -EBUSY);
    cr_assert_eq(gzc_unlink(v, "/"), -EISDIR);
    cr_assert_eq(gzc_mkdir(v, "/", 0755), -EEXIST);
}

Test(names, paths_of_every_form)
{
    struct stat want, got;
    char path[PATH_MAX];
    cr_assert_eq(gzc_mkdir(v, in_dir("p"), 0755), 0);
    touch(in_dir("p/f"));
    cr_assert_eq(gzc_stat(v, in_dir("p/f"), &want), 0);
    static const char *const same[] = {"p/f",      "./p/./f",   "p//f",
                                       "p/../p/f", "../%s/p/f", "p/./../p//f"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        char tail[256];
        snprintf(tail, sizeof(tail), strstr(same[i], "%s") ? "../%s/p/f" : same[i], dir + 1);
        snprintf(path, sizeof(path), "%s/%s", dir, tail);
        cr_assert_eq(gzc_stat(v, path, &got), 0, "%s: %s", path, volume_text(v));
        cr_assert_eq(got.st_ino, want.st_ino, "%s", path);
    }
    snprintf(path, sizeof(path), "../../..%s/p/f", dir);
    cr_assert_eq(gzc_stat(v, path, &got), 0); /* above the root is the root */
    cr_assert_eq(gzc_stat(v, in_dir("p/"), &got), 0);
    cr_assert_eq(gzc_stat(v, in_dir("p/f/"), &got), -ENOTDIR);
    cr_assert_eq(gzc_stat(v, in_dir("p/f/."), &got), -ENOTDIR);
    cr_assert_eq(gzc_stat(v, in_dir("p/f/.."), &got), -ENOTDIR);
    cr_assert_eq(gzc_stat(v, in_dir("nope/.."), &got), -ENOENT);
    cr_assert_eq(gzc_rmdir(v, in_dir("p/.")), -EINVAL);
    cr_assert_eq(gzc_rmdir(v, in_dir("p/..")), -ENOTEMPTY);
    cr_assert_eq(gzc_unlink(v, in_dir("p/.")), -EISDIR);
    cr_assert_eq(gzc_mkdir(v, in_dir("p/."), 0755), -EEXIST);
    cr_assert_eq(gzc_mkdir(v, in_dir("..."), 0755), 0);
    cr_assert_eq(gzc_rmdir(v, in_dir("...")), 0);
    cr_assert_eq(gzc_unlink(v, in_dir("p/f")), 0);
    cr_assert_eq(gzc_mkdir(v, in_dir("p/q///"), 0755), 0);
    cr_assert_eq(gzc_rmdir(v, in_dir("p/q/")), 0);
    cr_assert_eq(gzc_rmdir(v, in_dir("p")), 0);
}

Test(names, names_of_255_bytes_and_no_more)
{
    char name[300];
    struct stat st;
    memset(name, 'n', sizeof(name));
    name[255] = '\0';
    touch(in_dir(name));
    cr_assert_eq(gzc_stat(v, in_dir(name), &st), 0);
    cr_assert_eq(gzc_unlink(v, in_dir(name)), 0);
    name[255] = 'n';
    name[256] = '\0';
    cr_assert_eq(gzc_stat(v, in_dir(name), &st), -ENAMETOOLONG);
    char *path = malloc(5000);
    memset(path, '/', 4096);
    path[4096] = '\0';
    cr_assert_eq(gzc_stat(v, path, &st), -ENAMETOOLONG);
    path[4095] = '\0';
    cr_assert_eq(gzc_stat(v, path, &st), 0);
    free(path);
}

Test(names, any_bytes_but_slash_and_nul)
{
    char name[3] = {0, 'x', 0};
    struct stat st;
    for (int c = 1; c < 256; c++) {
        if (c == '/')
            continue;
        name[0] = (char)c;
        touch(in_dir(name));
        cr_assert_eq(gzc_stat(v, in_dir(name), &st), 0);
        cr_assert_eq(gzc_unlink(v, in_dir(name)), 0);
    }
}

Test(names, a_directory_gives_each_entry_once)
{
    enum { N = 3000 }; /* several batches of READDIRP */
    static unsigned char seen[N];
    char name[64];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "entry-with-a-name-of-some-length-%d", i);
        touch(in_dir(name));
    }
    gzc_dir *d;
    struct gzc_dirent e;
    int rc, dots = 0, n = 0;
    cr_assert_eq(gzc_opendir(v, dir, &d), 0);
    while ((rc = gzc_readdir(d, &e)) == 1) {
        if (strcmp(e.name, ".") == 0 || strcmp(e.name, "..") == 0) {
            cr_assert_eq(e.type, DT_DIR);
            dots++;
            continue;
        }
        int i = atoi(strrchr(e.name, '-') + 1);
        cr_assert(i >= 0 && i < N && !seen[i], "%s", e.name);
        seen[i] = 1;
        n++;
        cr_assert_eq(e.type, DT_REG);
        cr_assert(e.has_stat);
        cr_assert(S_ISREG(e.st.st_mode));
        cr_assert_eq(e.st.st_ino, e.ino);
    }
    cr_assert_eq(rc, 0);
    cr_assert_eq(gzc_readdir(d, &e), 0, "the end stays the end");
    cr_assert_eq(dots, 2);
    cr_assert_eq(n, N);
    cr_assert_eq(gzc_closedir(d), 0);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "entry-with-a-name-of-some-length-%d", i);
        cr_assert_eq(gzc_unlink(v, in_dir(name)), 0);
    }
}

Test(names, opendir_wants_a_directory)
{
    gzc_dir *d;
    touch(in_dir("f"));
    cr_assert_eq(gzc_opendir(v, in_dir("f"), &d), -ENOTDIR);
    cr_assert_null(d);
    cr_assert_eq(gzc_opendir(v, in_dir("g"), &d), -ENOENT);
    cr_assert_not_null(strstr(volume_text(v), "/g"), "%s", volume_text(v));
    cr_assert_eq(gzc_unlink(v, in_dir("f")), 0);
}

Test(names, errors_name_call_and_brick)
{
    struct stat st;
    char want[512];
    cr_assert_eq(gzc_stat(v, "/nope", &st), -ENOENT);
    snprintf(want, sizeof(want), "LOOKUP '/nope': brick %s:%s: No such file or directory",
             getenv("LAB_BRICK_HOST"), getenv("LAB_BRICK_PATH"));
    cr_assert_str_eq(volume_text(v), want);
}
