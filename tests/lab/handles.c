/* Inodes by handles, in bytes, on a real brick. */
#include "tests/lab/async.h"

#include <limits.h>

static gzc_volume *v;
static char dir[128];

static void setup(void)
{
    v = mount_brick("");
    snprintf(dir, sizeof(dir), "%s", own_path("handles"));
    cr_assert_eq(gzc_mkdir(v, dir, 0755), 0, "%s", volume_text(v));
    cr_assert_eq(gzc_chdir(v, dir), 0, "%s", volume_text(v));
}

static void teardown(void)
{
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(handles, .init = setup, .fini = teardown, .timeout = 60);

static struct gzc_handle handle_of(const char *path)
{
    struct gzc_handle h;
    cr_assert_eq(gzc_name_to_handle(v, path, 0, &h), 0, "%s: %s", path, volume_text(v));
    return h;
}

static const char *path_of(const struct gzc_handle *h, const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    ssize_t n = gzc_handle_path(v, h, name, path, PATH_MAX);
    cr_assert_eq(n, (ssize_t)strlen(path), "%s", volume_text(v));
    return path;
}

Test(handles, outlive_renames_and_mounts)
{
    gzc_file *f = open_file(v, "f", O_CREAT | O_RDWR);
    struct gzc_handle h = handle_of("f"), of_file;
    cr_assert_eq(gzc_file_to_handle(f, &of_file), 0);
    cr_assert_eq(memcmp(&h, &of_file, sizeof(h)), 0);
    cr_assert_eq(gzc_pwrite(f, "data", 4, 0), 4);
    gzc_close(f);
    cr_assert_eq(gzc_rename(v, "f", "elsewhere", 0), 0);

    gzc_volume *other = mount_brick("");
    char data[8];
    cr_assert_eq(gzc_open_by_handle(other, &h, O_RDWR, &f), 0, "%s", volume_text(other));
    cr_assert_eq(gzc_pread(f, data, sizeof(data), 0), 4);
    cr_assert_eq(memcmp(data, "data", 4), 0);
    gzc_close(f);
    gzc_unmount(other);

    struct outcome o = {0};
    cr_assert_gt(gzc_open_by_handle_async(v, &h, O_RDONLY, &f, HOW(&o)), 0);
    outcome_expect(v, &o, 0);
    gzc_close(f);
    cr_assert_eq(gzc_unlink(v, "elsewhere"), 0);
    cr_assert_eq(gzc_open_by_handle(v, &h, O_RDWR, &f), -ESTALE, "%s", volume_text(v));
    cr_assert_null(f);
}

Test(handles, stand_for_paths)
{
    struct stat a, b;
    cr_assert_eq(gzc_mkdir(v, "d", 0755), 0);
    struct gzc_handle d = handle_of("d"), root = handle_of("/");
    gzc_close(open_file(v, path_of(&d, "f"), O_CREAT | O_RDWR));
    cr_assert_eq(gzc_stat(v, "d/f", &a), 0);
    cr_assert_eq(gzc_stat(v, path_of(&d, "f"), &b), 0);
    cr_assert_eq(a.st_ino, b.st_ino);
    cr_assert_eq(gzc_rename(v, path_of(&d, "f"), path_of(&d, "g"), 0), 0);
    struct gzc_handle g = handle_of("d/g");
    cr_assert_eq(gzc_link(v, path_of(&g, NULL), path_of(&d, "h")), 0);
    cr_assert_eq(gzc_stat(v, path_of(&g, NULL), &b), 0);
    cr_assert_eq(b.st_nlink, 2);
    cr_assert_eq(gzc_stat(v, path_of(&d, ".."), &a), 0, "%s", volume_text(v));
    cr_assert_eq(gzc_stat(v, dir, &b), 0);
    cr_assert_eq(a.st_ino, b.st_ino);
    cr_assert_eq(gzc_stat(v, path_of(&root, ".."), &a), 0);
    cr_assert_eq(a.st_ino, 1);
    cr_assert_eq(gzc_symlink(v, "g", path_of(&d, "s")), 0);
    struct gzc_handle s;
    struct outcome o = {0};
    cr_assert_gt(gzc_name_to_handle_async(v, "d/s", AT_SYMLINK_NOFOLLOW, &s, HOW(&o)), 0);
    outcome_expect(v, &o, 0);
    char text[8];
    cr_assert_eq(gzc_readlink(v, path_of(&s, NULL), text, sizeof(text)), 1);
    gzc_file *f;
    cr_assert_eq(gzc_open_by_handle(v, &s, O_RDONLY, &f), -ELOOP);
    gzc_dir *list;
    cr_assert_eq(gzc_opendir(v, path_of(&d, NULL), &list), 0);
    gzc_closedir(list);
    cr_assert_eq(gzc_stat(v, path_of(&g, "x"), &a), -ENOTDIR, "%s", volume_text(v));
    char slash[PATH_MAX];
    snprintf(slash, sizeof(slash), "%s/", path_of(&g, NULL));
    cr_assert_eq(gzc_stat(v, slash, &a), -ENOTDIR);
}

Test(handles, what_is_none)
{
    struct gzc_handle h = handle_of("."), bad = h;
    char path[PATH_MAX];
    struct stat st;
    bad.bytes[0]++;
    cr_assert_eq(gzc_handle_path(v, &bad, NULL, path, sizeof(path)), -ESTALE);
    bad = h;
    bad.bytes[4]++; /* another volume's */
    gzc_file *f;
    cr_assert_eq(gzc_open_by_handle(v, &bad, O_RDONLY, &f), -ESTALE);
    cr_assert_eq(gzc_handle_path(v, &h, "a/b", path, sizeof(path)), -EINVAL);
    cr_assert_eq(gzc_handle_path(v, &h, "", path, sizeof(path)), -EINVAL);
    cr_assert_eq(gzc_handle_path(v, &h, NULL, path, 43), -ERANGE);
    cr_assert_eq(gzc_handle_path(v, &h, NULL, path, 44), 43);
    bad = h;
    bad.bytes[20]++; /* an inode that there is not */
    cr_assert_eq(gzc_handle_path(v, &bad, NULL, path, sizeof(path)), 43);
    cr_assert_eq(gzc_stat(v, path, &st), -ESTALE);
    cr_assert_eq(gzc_name_to_handle(v, ".", 1 << 20, &h), -EINVAL);
    cr_assert_eq(gzc_name_to_handle(v, "none", 0, &h), -ENOENT);
    /* a directory that is called so is one, unless a gfid follows */
    cr_assert_eq(gzc_stat(v, "/.gfid/x", &st), -ENOENT);
}
