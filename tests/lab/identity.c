/* Who operations are made for: handles on one mount with identities of their own. */
#include "tests/lab/async.h"

#include <limits.h>

static gzc_volume *v;
static char dir[128], brick[PATH_MAX];

static void setup(void)
{
    v = mount_brick("");
    snprintf(dir, sizeof(dir), "%s", own_path("identity"));
    snprintf(brick, sizeof(brick), "%s%s", getenv("LAB_BRICK_PATH"), dir);
    cr_assert_eq(gzc_mkdir(v, dir, 0755), 0, "%s", volume_text(v));
    cr_assert_eq(chmod(brick, 01777), 0);
    cr_assert_eq(gzc_chdir(v, dir), 0);
}

static void teardown(void)
{
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(identity, .init = setup, .fini = teardown, .timeout = 60);

static gzc_volume *as(uid_t uid, gid_t gid, const gid_t *groups, unsigned n, mode_t mask)
{
    gzc_volume *user;
    const struct gzc_identity who = {
        .uid = uid, .gid = gid, .groups = groups, .ngroups = n, .umask = mask};
    cr_assert_eq(gzc_as(v, &who, &user), 0, "%s", volume_text(v));
    cr_assert_eq(gzc_chdir(user, dir), 0, "%s", volume_text(user));
    return user;
}

static struct stat on_brick(const char *name)
{
    char path[PATH_MAX + 300];
    struct stat st = {0};
    snprintf(path, sizeof(path), "%s/%s", brick, name);
    cr_assert_eq(lstat(path, &st), 0, "%s", path);
    return st;
}

Test(identity, of_what_is_created)
{
    gzc_volume *user = as(1001, 2001, NULL, 0, 027);
    gzc_close(open_file(user, "f", O_CREAT | O_RDWR));
    cr_assert_eq(gzc_mkdir(user, "d", 0777), 0);
    cr_assert_eq(gzc_symlink(user, "x", "l"), 0);
    cr_assert_eq(gzc_mknod(user, "p", S_IFIFO | 0666, 0), 0);
    static const char *const names[] = {"f", "d", "l", "p"};
    for (size_t i = 0; i < 4; i++) {
        struct stat st = on_brick(names[i]);
        cr_assert_eq(st.st_uid, 1001, "%s", names[i]);
        cr_assert_eq(st.st_gid, 2001, "%s", names[i]);
    }
    cr_assert_eq(on_brick("f").st_mode & 0777, 0640);
    cr_assert_eq(on_brick("d").st_mode & 0777, 0750);
    cr_assert_eq(gzc_unmount(user), 0);
}

Test(identity, permissions_are_the_bricks)
{
    gzc_file *f;
    gzc_volume *owner = as(1001, 2001, NULL, 0, 0), *other = as(1002, 2002, NULL, 0, 0);
    f = open_file(owner, "f", O_CREAT | O_RDWR);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_open(other, "f", O_RDWR, 0, &f), -EACCES);
    cr_assert_not_null(strstr(volume_text(other), "Permission denied"), "%s", volume_text(other));
    char text[8];
    cr_assert_eq(gzc_error(owner, text, sizeof(text)), 0, "an error is its handle's");
    cr_assert_eq(gzc_unlink(other, "f"), -EACCES, "the directory is sticky");
    cr_assert_eq(gzc_open(other, "f", O_RDONLY, 0, &f), 0);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unlink(owner, "f"), 0);
    cr_assert_eq(gzc_unmount(owner), 0);
    cr_assert_eq(gzc_unmount(other), 0);
}

Test(identity, supplementary_groups)
{
    enum { MANY = 200, ROOM = 83 };
    gid_t groups[MANY];
    gzc_file *f;
    for (unsigned i = 0; i < MANY; i++)
        groups[i] = 5000 + i;
    gzc_close(open_file(v, "f", O_CREAT | O_RDWR));
    char path[PATH_MAX + 8];
    snprintf(path, sizeof(path), "%s/f", brick);
    cr_assert_eq(chmod(path, 0660), 0);
    gzc_volume *few = as(1001, 2001, groups, 3, 0), *many = as(1001, 2001, groups, MANY, 0);
    cr_assert_eq(chown(path, 0, 5002), 0);
    cr_assert_eq(gzc_open(few, "f", O_RDWR, 0, &f), 0, "%s", volume_text(few));
    gzc_close(f);
    cr_assert_eq(gzc_open(many, "f", O_RDWR, 0, &f), 0, "%s", volume_text(many));
    gzc_close(f);
    cr_assert_eq(chown(path, 0, 5003), 0);
    cr_assert_eq(gzc_open(few, "f", O_RDWR, 0, &f), -EACCES);
    cr_assert_eq(chown(path, 0, 5000 + ROOM - 1), 0);
    cr_assert_eq(gzc_open(many, "f", O_RDWR, 0, &f), 0, "%s", volume_text(many));
    gzc_close(f);
    cr_assert_eq(chown(path, 0, 5000 + ROOM), 0);
    cr_assert_eq(gzc_open(many, "f", O_RDWR, 0, &f), -EACCES, "there is no room for it");
    cr_assert_eq(gzc_unmount(few), 0);
    cr_assert_eq(gzc_unmount(many), 0);
}

Test(identity, a_file_keeps_the_one_it_was_opened_with)
{
    gzc_file *f;
    gzc_volume *user = as(1001, 2001, NULL, 0, 077);
    f = open_file(user, "f", O_CREAT | O_RDWR);
    cr_assert_eq(gzc_unmount(user), -EBUSY, "a file is open");
    cr_assert_eq(gzc_pwrite(f, "x", 1, 0), 1);
    cr_assert_eq(gzc_ftruncate(f, 10), 0);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(on_brick("f").st_size, 10);
    cr_assert_eq(gzc_unmount(user), 0);
}

static void unmount_in_callback(struct outcome *done)
{
    cr_assert_eq(gzc_unmount(done->arg), 0);
}

Test(identity, handles_go_one_by_one)
{
    gzc_volume *user = as(0, 0, NULL, 0, 0), *third = as(0, 0, NULL, 0, 0);
    struct outcome o = {0};
    struct stat st;
    /* what is under way when its handle goes completes all the same */
    cr_assert_gt(gzc_stat_async(user, "none/none", &st, HOW(&o)), 0);
    cr_assert_eq(gzc_unmount(user), 0);
    outcome_expect(v, &o, -ENOENT);
    struct outcome last = {.then = unmount_in_callback, .arg = third};
    cr_assert_gt(gzc_stat_async(third, ".", &st, HOW(&last)), 0);
    outcome_expect(v, &last, 0);
    cr_assert_eq(gzc_stat(v, ".", &st), 0, "the mount goes on");
    /* the first may go before the others */
    gzc_volume *rest = as(0, 0, NULL, 0, 0);
    cr_assert_eq(gzc_unmount(v), 0);
    cr_assert_eq(gzc_stat(rest, ".", &st), 0);
    v = rest;
}

/* A handle that is opened while its volume's handle goes is not left behind. */
Test(identity, opened_too_late)
{
    gzc_volume *user = as(0, 0, NULL, 0, 0);
    gzc_file *f = NULL;
    gzc_dir *d = NULL;
    struct outcome o = {0}, p = {0};
    cr_assert_gt(gzc_open_async(user, "f", O_CREAT | O_RDWR, 0600, &f, HOW(&o)), 0);
    cr_assert_gt(gzc_opendir_async(user, ".", &d, HOW(&p)), 0);
    cr_assert_eq(gzc_unmount(user), 0);
    outcome_expect(v, &o, -ESHUTDOWN);
    outcome_wait(v, &p);
    cr_assert_eq(p.result, -ESHUTDOWN);
    cr_assert(!f && !d);
}

Test(identity, of_the_process_by_default)
{
    gzc_volume *same;
    cr_assert_eq(gzc_as(v, NULL, &same), 0);
    cr_assert_eq(gzc_chdir(same, dir), 0);
    gzc_close(open_file(same, "f", O_CREAT | O_RDWR));
    cr_assert_eq(on_brick("f").st_uid, geteuid());
    cr_assert_eq(gzc_unmount(same), 0);
}
