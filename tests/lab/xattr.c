/* Extended attributes on a real brick: what gzc.h promises, compared with the brick's own file. */
#include "tests/lab/attr.h"

#include <linux/limits.h>
#include <sys/xattr.h>

static void setup(void)
{
    attr_setup("xattr");
}

TestSuite(xattr, .init = setup, .fini = attr_teardown, .timeout = 120);

/* The brick's file has this value. */
static void expect_value(const char *name, const char *key, const void *value, size_t size)
{
    static char have[XATTR_SIZE_MAX];
    ssize_t n = lgetxattr(brick_path(name), key, have, sizeof(have));
    cr_assert_eq(n, (ssize_t)size, "%s: %zd", key, n);
    cr_assert_eq(memcmp(have, value, size), 0, "%s", key);
}

static bool is_there(const char *name, const char *key)
{
    return lgetxattr(brick_path(name), key, NULL, 0) >= 0;
}

/* Whether a list of names has this one. */
static bool listed(const char *list, ssize_t length, const char *key)
{
    for (const char *p = list; p < list + length; p += strlen(p) + 1) {
        if (strcmp(p, key) == 0)
            return true;
    }
    return false;
}

/* ---- values ---------------------------------------------------------------------------------- */

Test(xattr, set_get_remove)
{
    gzc_file *f = make_file("f");
    char value[64];
    cr_assert_eq(gzc_symlink(v, "f", in_dir("link")), 0);
    cr_assert_eq(gzc_setxattr(v, in_dir("link"), "user.a", "one\0two", 7, 0), 0, "%s",
                 volume_text(v));
    expect_value("f", "user.a", "one\0two", 7);
    memset(value, 0x5a, sizeof(value));
    cr_assert_eq(gzc_getxattr(v, in_dir("link"), "user.a", value, sizeof(value)), 7);
    cr_assert_eq(memcmp(value, "one\0two\x5a", 8), 0);
    cr_assert_eq(ASYNC(gzc_setxattr_async(v, in_dir("f"), "user.b", "B", 1, 0, HOW(&o))), 0);
    expect_value("f", "user.b", "B", 1);
    cr_assert_eq(ASYNC(gzc_getxattr_async(v, in_dir("f"), "user.b", value, 1, HOW(&o))), 1);
    cr_assert_eq(value[0], 'B');
    cr_assert_eq(gzc_fsetxattr(f, "user.c", "CC", 2, 0), 0);
    expect_value("f", "user.c", "CC", 2);
    cr_assert_eq(gzc_fgetxattr(f, "user.c", value, sizeof(value)), 2);
    cr_assert_eq(ASYNC(gzc_fsetxattr_async(f, "user.c", "D", 1, 0, HOW(&o))), 0);
    expect_value("f", "user.c", "D", 1);
    cr_assert_eq(ASYNC(gzc_fgetxattr_async(f, "user.c", value, sizeof(value), HOW(&o))), 1);
    cr_assert_eq(value[0], 'D');
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.empty", NULL, 0, 0), 0);
    expect_value("f", "user.empty", "", 0);
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), "user.empty", value, sizeof(value)), 0);
    cr_assert_eq(gzc_setxattr(v, dir, "user.dir", "d", 1, 0), 0);
    expect_value("", "user.dir", "d", 1);

    cr_assert_eq(gzc_removexattr(v, in_dir("link"), "user.a"), 0);
    cr_assert(!is_there("f", "user.a"));
    cr_assert_eq(ASYNC(gzc_removexattr_async(v, in_dir("f"), "user.b", HOW(&o))), 0);
    cr_assert(!is_there("f", "user.b"));
    cr_assert_eq(gzc_fremovexattr(f, "user.c"), 0);
    cr_assert(!is_there("f", "user.c"));
    cr_assert_eq(ASYNC(gzc_fremovexattr_async(f, "user.empty", HOW(&o))), 0);
    cr_assert(!is_there("f", "user.empty"));
    cr_assert_eq(gzc_removexattr(v, in_dir("f"), "user.a"), -ENODATA);
    cr_assert_eq(gzc_fremovexattr(f, "user.a"), -ENODATA);
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), "user.a", value, 1), -ENODATA);
    cr_assert_eq(gzc_fgetxattr(f, "user.a", value, 1), -ENODATA);
    cr_assert_eq(gzc_close(f), 0);
}

/* user.* is not for them; trusted.* is. */
Test(xattr, of_symbolic_links)
{
    char value[8], list[256];
    ssize_t n;
    cr_assert_eq(gzc_symlink(v, "nowhere", in_dir("link")), 0);
    cr_assert_eq(gzc_lsetxattr(v, in_dir("link"), "user.a", "x", 1, 0), -EPERM);
    cr_assert_eq(gzc_lsetxattr(v, in_dir("link"), "trusted.a", "x", 1, 0), 0);
    expect_value("link", "trusted.a", "x", 1);
    cr_assert_eq(ASYNC(gzc_lsetxattr_async(v, in_dir("link"), "trusted.b", "y", 1, 0, HOW(&o))), 0);
    expect_value("link", "trusted.b", "y", 1);
    cr_assert_eq(gzc_lgetxattr(v, in_dir("link"), "trusted.a", value, 8), 1);
    cr_assert_eq(ASYNC(gzc_lgetxattr_async(v, in_dir("link"), "trusted.b", value, 8, HOW(&o))), 1);
    cr_assert_eq(value[0], 'y');
    n = gzc_llistxattr(v, in_dir("link"), list, sizeof(list));
    cr_assert_eq(n, 20, "%zd", n);
    cr_assert(listed(list, n, "trusted.a") && listed(list, n, "trusted.b"));
    cr_assert_eq(ASYNC(gzc_llistxattr_async(v, in_dir("link"), list, 20, HOW(&o))), 20);
    cr_assert_eq(gzc_lremovexattr(v, in_dir("link"), "trusted.a"), 0);
    cr_assert(!is_there("link", "trusted.a"));
    cr_assert_eq(ASYNC(gzc_lremovexattr_async(v, in_dir("link"), "trusted.b", HOW(&o))), 0);
    cr_assert(!is_there("link", "trusted.b"));
    cr_assert_eq(gzc_getxattr(v, in_dir("link"), "trusted.a", value, 8), -ENOENT);
}

Test(xattr, create_and_replace)
{
    gzc_file *f = make_file("f");
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.a", "1", 1, XATTR_REPLACE), -ENODATA);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.a", "2", 1, XATTR_CREATE), 0);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.a", "3", 1, XATTR_CREATE), -EEXIST);
    expect_value("f", "user.a", "2", 1);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.a", "4", 1, XATTR_REPLACE), 0);
    expect_value("f", "user.a", "4", 1);
    cr_assert_eq(gzc_fsetxattr(f, "user.a", "5", 1, XATTR_CREATE), -EEXIST);
    cr_assert_eq(gzc_fsetxattr(f, "user.b", "5", 1, XATTR_REPLACE), -ENODATA);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.a", "6", 1, 4), -EINVAL);
    cr_assert_eq(gzc_setxattr_async(v, in_dir("f"), "user.a", "6", 1, 4, HOW(&o)), -EINVAL);
    expect_value("f", "user.a", "4", 1);
    cr_assert_eq(gzc_close(f), 0);
}

Test(xattr, lengths)
{
    gzc_file *f = make_file("f");
    char value[16];
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.a", "0123456789", 10, 0), 0);
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), "user.a", NULL, 0), 10);
    cr_assert_eq(gzc_fgetxattr(f, "user.a", NULL, 0), 10);
    memset(value, 0x5a, sizeof(value));
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), "user.a", value, 9), -ERANGE);
    cr_assert_eq(gzc_fgetxattr(f, "user.a", value, 9), -ERANGE);
    cr_assert_eq(value[0], 0x5a);
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), "user.a", value, 10), 10);
    cr_assert_eq(value[10], 0x5a);
    cr_assert_eq(gzc_listxattr(v, in_dir("f"), NULL, 0), 7);
    cr_assert_eq(gzc_flistxattr(f, NULL, 0), 7);
    cr_assert_eq(gzc_listxattr(v, in_dir("f"), value, 6), -ERANGE);
    cr_assert_eq(gzc_listxattr(v, in_dir("f"), value, 7), 7);
    cr_assert_str_eq(value, "user.a");
    cr_assert_eq(gzc_close(f), 0);
}

Test(xattr, names_and_values_too_long)
{
    char name[XATTR_NAME_MAX + 2], value[1];
    static char large[XATTR_SIZE_MAX + 1];
    gzc_file *f = make_file("f");
    memset(name, 'n', sizeof(name) - 1);
    memcpy(name, "user.", 5);
    name[XATTR_NAME_MAX + 1] = '\0';
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), name, "x", 1, 0), -ERANGE);
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), name, value, 1), -ERANGE);
    cr_assert_eq(gzc_removexattr(v, in_dir("f"), name), -ERANGE);
    cr_assert_eq(gzc_fsetxattr_async(f, name, "x", 1, 0, HOW(&o)), -ERANGE);
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), "", value, 1), -ERANGE);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "", "x", 1, 0), -ERANGE);
    name[XATTR_NAME_MAX] = '\0';
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), name, "x", 1, 0), 0, "%s", volume_text(v));
    expect_value("f", name, "x", 1);
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), name, value, 1), 1);
    cr_assert_eq(gzc_removexattr(v, in_dir("f"), name), 0);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.l", large, sizeof(large), 0), -E2BIG);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "other.a", "x", 1, 0), -EOPNOTSUPP);
    cr_assert_eq(gzc_close(f), 0);
}

/* As large as the brick's file system takes, found out there: the same error above. */
Test(xattr, large_values)
{
    static char value[XATTR_SIZE_MAX], back[XATTR_SIZE_MAX];
    gzc_close(make_file("f"));
    gzc_close(make_file("g"));
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (char)(i * 7 + i / 251);
    for (size_t size = 1000; size <= sizeof(value); size += size / 3) {
        int want = lsetxattr(brick_path("g"), "user.l", value, size, 0) ? -errno : 0;
        cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.l", value, size, 0), want, "%zu: %s", size,
                     volume_text(v));
        if (want < 0)
            break;
        cr_assert_eq(gzc_getxattr(v, in_dir("f"), "user.l", back, sizeof(back)), (ssize_t)size);
        cr_assert_eq(memcmp(back, value, size), 0);
    }
}

/* ---- lists ----------------------------------------------------------------------------------- */

Test(xattr, lists)
{
    static char list[XATTR_LIST_MAX];
    char name[32];
    ssize_t n, length = 0;
    enum { N = 60 };
    gzc_file *f = make_file("f");
    cr_assert_eq(gzc_listxattr(v, in_dir("f"), list, sizeof(list)), 0);
    cr_assert_eq(gzc_flistxattr(f, list, sizeof(list)), 0);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "user.name-%d", i);
        cr_assert_eq(gzc_setxattr(v, in_dir("f"), name, "x", 1, 0), 0);
        length += (ssize_t)strlen(name) + 1;
    }
    ssize_t results[] = {
        gzc_listxattr(v, in_dir("f"), list, sizeof(list)),
        ASYNC(gzc_listxattr_async(v, in_dir("f"), list, sizeof(list), HOW(&o))),
        gzc_flistxattr(f, list, sizeof(list)),
        ASYNC(gzc_flistxattr_async(f, list, sizeof(list), HOW(&o))),
    };
    for (int i = 0; i < 4; i++)
        cr_assert_eq(results[i], length, "%d: %zd", i, results[i]);
    n = length;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "user.name-%d", i);
        cr_assert(listed(list, n, name), "%s", name);
    }
    cr_assert_eq(gzc_close(f), 0);
}

/* ---- whose names ----------------------------------------------------------------------------- */

Test(xattr, glusterfs_own_are_not_to_be_touched)
{
    static const char *const own[] = {
        "trusted.gfid",           "trusted.glusterfs.volume-id",
        "trusted.glusterfs.dht",  "trusted.afr.dirty",
        "trusted.afr.x-client-0", "trusted.glusterfs.mdata",
        "trusted.pgfid.0",        "trusted.gfid2path.0",
        "trusted.ec.size",        "glusterfs.open-fd-count",
    };
    gzc_file *f = make_file("f");
    char list[512];
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        cr_assert_eq(gzc_setxattr(v, in_dir("f"), own[i], "0123456789abcdef", 16, 0), -EPERM, "%s",
                     own[i]);
        cr_assert_eq(gzc_fsetxattr(f, own[i], "0123456789abcdef", 16, 0), -EPERM);
        cr_assert_eq(gzc_removexattr(v, in_dir("f"), own[i]), -EPERM);
        cr_assert_eq(gzc_fremovexattr(f, own[i]), -EPERM);
    }
    cr_assert_not_null(strstr(volume_text(v), "GlusterFS's own"), "%s", volume_text(v));
    /* They are on disk, and not in the list. */
    cr_assert(is_there("f", "trusted.gfid"));
    cr_assert_eq(lsetxattr(brick_path("f"), "trusted.afr.dirty", "\0\0\0\0", 4, 0), 0);
    cr_assert_eq(lsetxattr(brick_path("f"), "trusted.ec.size", "\0\0\0\0", 4, 0), 0);
    cr_assert_eq(gzc_listxattr(v, in_dir("f"), list, sizeof(list)), 0);
    cr_assert_eq(gzc_flistxattr(f, list, sizeof(list)), 0);
    cr_assert_eq(gzc_listxattr(v, "/", list, sizeof(list)), 0);
    cr_assert_eq(gzc_close(f), 0);
}

Test(xattr, questions_to_glusterfs)
{
    gzc_file *f = make_file("f");
    char value[PATH_MAX + 64], gfid[16], uuid[40];
    cr_assert_eq(lgetxattr(brick_path("f"), "trusted.gfid", gfid, 16), 16);
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), "glusterfs.gfid", value, sizeof(value)), 16);
    cr_assert_eq(memcmp(value, gfid, 16), 0);
    memset(value, 0, sizeof(value));
    cr_assert_eq(gzc_fgetxattr(f, "glusterfs.gfid.string", value, 36), 36);
    for (int i = 0, at = 0; i < 16; i++)
        at += sprintf(uuid + at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                      (unsigned char)gfid[i]);
    cr_assert_str_eq(value, uuid);
    ssize_t n = gzc_getxattr(v, in_dir("f"), "glusterfs.open-fd-count", value, sizeof(value));
    cr_assert_eq(n, 2, "%zd %s", n, volume_text(v)); /* with its NUL, as official clients give it */
    cr_assert_str_eq(value, "1");
    n = gzc_getxattr(v, in_dir("f"), "glusterfs.pathinfo", value, sizeof(value));
    cr_assert_gt(n, 0, "%s", volume_text(v));
    cr_assert_eq(value[n - 1], '\0');
    cr_assert_not_null(strstr(value, getenv("LAB_BRICK_PATH")), "%s", value);
    cr_assert_eq(gzc_close(f), 0);
}

Test(xattr, others)
{
    gzc_volume *other = as(1001, 1001), *owner = as(1002, 1002);
    gzc_file *f = make_file("f"), *g;
    char value[8], list[256];
    cr_assert_eq(gzc_chown(v, in_dir("f"), 1002, 1002), 0);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.a", "x", 1, 0), 0);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "trusted.a", "x", 1, 0), 0);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "security.a", "x", 1, 0), 0);
    cr_assert_eq(gzc_setxattr(owner, in_dir("f"), "user.b", "x", 1, 0), 0);
    cr_assert_eq(gzc_setxattr(other, in_dir("f"), "user.b", "y", 1, 0), -EACCES);
    cr_assert_eq(gzc_removexattr(other, in_dir("f"), "user.b"), -EACCES);
    cr_assert_eq(gzc_getxattr(other, in_dir("f"), "user.b", value, 8), 1);
    cr_assert_eq(gzc_setxattr(owner, in_dir("f"), "trusted.a", "y", 1, 0), -EPERM);
    cr_assert_eq(gzc_removexattr(owner, in_dir("f"), "trusted.a"), -EPERM);
    cr_assert_eq(gzc_getxattr(owner, in_dir("f"), "trusted.a", value, 8), -ENODATA);
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), "trusted.a", value, 8), 1);
    cr_assert_eq(gzc_setxattr(owner, in_dir("f"), "security.a", "y", 1, 0), -EPERM);
    cr_assert_eq(gzc_removexattr(owner, in_dir("f"), "security.a"), -EPERM);
    cr_assert_eq(gzc_getxattr(owner, in_dir("f"), "security.a", value, 8), 1);
    ssize_t n = gzc_listxattr(owner, in_dir("f"), list, sizeof(list));
    cr_assert(n > 0 && listed(list, n, "user.a") && listed(list, n, "security.a"));
    cr_assert(!listed(list, n, "trusted.a"), "as on Linux, only root sees these");
    n = gzc_listxattr(v, in_dir("f"), list, sizeof(list));
    cr_assert(n > 0 && listed(list, n, "trusted.a"));

    /* A descriptor gives no rights that its opener has not. */
    cr_assert_eq(gzc_open(other, in_dir("f"), O_RDONLY, 0, &g), 0);
    cr_assert_eq(gzc_fsetxattr(g, "user.b", "y", 1, 0), -EACCES);
    cr_assert_eq(gzc_fremovexattr(g, "user.b"), -EACCES);
    cr_assert_eq(gzc_fgetxattr(g, "trusted.a", value, 8), -ENODATA);
    cr_assert_eq(gzc_chmod(v, in_dir("f"), 0600), 0);
    cr_assert_eq(gzc_getxattr(other, in_dir("f"), "user.b", value, 8), -EACCES);
    cr_assert_eq(gzc_listxattr(other, in_dir("f"), list, sizeof(list)), -EACCES);
    cr_assert_eq(gzc_fgetxattr(g, "user.b", value, 8), -EACCES);
    cr_assert_eq(gzc_close(g), 0);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(other), 0);
    cr_assert_eq(gzc_unmount(owner), 0);
}

/* user::rw-, user:1001:r--, group::---, mask::r--, other::--- as the kernel keeps it. */
static const unsigned char acl[] = {
    2,  0, 0, 0,                         /* version */
    1,  0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* user */
    2,  0, 4, 0, 0xe9, 0x03, 0,    0,    /* user 1001 */
    4,  0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* group */
    16, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* mask */
    32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* other */
};

Test(xattr, access_control_lists)
{
    static const char access_list[] = "system.posix_acl_access",
                      default_list[] = "system.posix_acl_default";
    gzc_volume *other = as(1001, 1001), *third = as(1002, 1002);
    unsigned char value[128];
    gzc_close(make_file("f"));
    cr_assert_eq(gzc_chmod(v, in_dir("f"), 0600), 0);
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), access_list, value, sizeof(value)), -ENODATA);
    cr_assert_eq(gzc_access(other, in_dir("f"), R_OK), -EACCES);
    cr_assert_eq(gzc_setxattr(other, in_dir("f"), access_list, acl, sizeof(acl), 0), -EPERM);
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), access_list, acl, sizeof(acl), 0), 0, "%s",
                 volume_text(v));
    expect_value("f", access_list, acl, sizeof(acl));
    cr_assert_eq(gzc_getxattr(v, in_dir("f"), access_list, value, sizeof(value)), sizeof(acl));
    cr_assert_eq(memcmp(value, acl, sizeof(acl)), 0);
    cr_assert_eq(gzc_access(other, in_dir("f"), R_OK), 0);
    cr_assert_eq(gzc_access(other, in_dir("f"), W_OK), -EACCES);
    cr_assert_eq(gzc_access(third, in_dir("f"), R_OK), -EACCES);
    cr_assert_eq(gzc_removexattr(v, in_dir("f"), access_list), 0);
    cr_assert(!is_there("f", access_list));
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), default_list, acl, sizeof(acl), 0), -EACCES,
                 "of directories only");
    cr_assert_eq(gzc_setxattr(v, dir, default_list, acl, sizeof(acl), 0), 0);
    expect_value("", default_list, acl, sizeof(acl));
    cr_assert_eq(gzc_unmount(other), 0);
    cr_assert_eq(gzc_unmount(third), 0);
}

/* ---- files without a name, and no files ------------------------------------------------------ */

Test(xattr, a_file_that_was_removed)
{
    gzc_volume *owner = as(1001, 1001), *other = as(1002, 1002);
    gzc_file *f = make_file("f"), *g, *reads, *writes;
    char value[8], list[64];
    cr_assert_eq(gzc_setxattr(v, in_dir("f"), "user.a", "x", 1, 0), 0);
    cr_assert_eq(gzc_chown(v, in_dir("f"), 1001, 1001), 0);
    cr_assert_eq(gzc_chmod(v, in_dir("f"), 0666), 0);
    cr_assert_eq(gzc_open(owner, in_dir("f"), O_RDONLY, 0, &g), 0);
    cr_assert_eq(gzc_open(other, in_dir("f"), O_RDONLY, 0, &reads), 0);
    cr_assert_eq(gzc_open(other, in_dir("f"), O_WRONLY, 0, &writes), 0);
    cr_assert_eq(gzc_unlink(v, in_dir("f")), 0);
    cr_assert_eq(gzc_fgetxattr(f, "user.a", value, 8), 1);
    cr_assert_eq(gzc_fsetxattr(f, "user.b", "yy", 2, XATTR_CREATE), 0);
    cr_assert_eq(gzc_fsetxattr(f, "user.b", "yy", 2, XATTR_CREATE), -EEXIST);
    cr_assert_eq(gzc_fgetxattr(f, "user.b", value, 8), 2);
    cr_assert_eq(gzc_flistxattr(f, list, sizeof(list)), 14);
    cr_assert_eq(gzc_fremovexattr(f, "user.a"), 0);
    cr_assert_eq(gzc_fgetxattr(f, "user.a", value, 8), -ENODATA);
    cr_assert_eq(gzc_flistxattr(f, list, sizeof(list)), 7);
    cr_assert_eq(gzc_fsetxattr(f, "trusted.afr.dirty", "x", 1, 0), -EPERM);

    cr_assert_eq(gzc_fsetxattr(g, "user.b", "z", 1, 0), 0);
    cr_assert_eq(gzc_fgetxattr(reads, "user.b", value, 8), 1);
    cr_assert_eq(gzc_fsetxattr(reads, "user.b", "w", 1, 0), -EACCES);
    cr_assert_eq(gzc_fremovexattr(reads, "user.b"), -EACCES);
    cr_assert_eq(gzc_flistxattr(writes, list, sizeof(list)), -EACCES);
    cr_assert_eq(gzc_fsetxattr(writes, "user.b", "w", 1, 0), 0);
    cr_assert_eq(gzc_fsetxattr(writes, "system.posix_acl_access", acl, sizeof(acl), 0), -EPERM);
    cr_assert_eq(gzc_fgetxattr(g, "user.b", value, 8), 1);
    cr_assert_eq(value[0], 'w');
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_close(g), 0);
    cr_assert_eq(gzc_close(reads), 0);
    cr_assert_eq(gzc_close(writes), 0);
    cr_assert_eq(gzc_unmount(owner), 0);
    cr_assert_eq(gzc_unmount(other), 0);
}

Test(xattr, paths_that_lead_nowhere)
{
    static const struct {
        const char *name;
        int error;
    } paths[] = {{"none", -ENOENT}, {"f/x", -ENOTDIR}, {"loop", -ELOOP}};
    char c;
    gzc_close(make_file("f"));
    cr_assert_eq(gzc_symlink(v, "loop", in_dir("loop")), 0);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const char *path = in_dir(paths[i].name);
        cr_assert_eq(gzc_getxattr(v, path, "user.a", &c, 1), paths[i].error);
        cr_assert_eq(gzc_setxattr(v, path, "user.a", &c, 1, 0), paths[i].error);
        cr_assert_eq(gzc_listxattr(v, path, &c, 1), paths[i].error);
        cr_assert_eq(gzc_removexattr(v, path, "user.a"), paths[i].error);
    }
}

/* ---- asynchronous ---------------------------------------------------------------------------- */

Test(xattr, path_and_name_are_copied)
{
    gzc_close(make_file("f"));
    char *path = strdup(in_dir("f")), *name = strdup("user.copied");
    o = (struct outcome){0};
    cr_assert_gt(gzc_setxattr_async(v, path, name, "x", 1, 0, HOW(&o)), 0);
    memset(path, 'x', strlen(path));
    memset(name, 'x', strlen(name));
    free(path);
    free(name);
    outcome_expect(v, &o, 0);
    expect_value("f", "user.copied", "x", 1);
}
