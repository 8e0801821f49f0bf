/* What the tests of attributes share: a directory of their own, and where the brick keeps it. */
#ifndef TESTS_LAB_ATTR_H
#define TESTS_LAB_ATTR_H

#include "tests/lab/async.h"

#include <limits.h>

static gzc_volume *v;
static char dir[128];
static struct outcome o;

/** The result of an asynchronous form, which has HOW(&o). */
#define ASYNC(ticket) (o = (struct outcome){0}, outcome_result(v, &o, (ticket)))

static inline ssize_t outcome_result(gzc_volume *volume, struct outcome *outcome, gzc_ticket ticket)
{
    cr_assert_gt(ticket, 0, "%lld %s", (long long)ticket, volume_text(volume));
    outcome_wait(volume, outcome);
    cr_assert_eq(outcome->result < 0, outcome->error[0] != '\0');
    return outcome->result;
}

static inline void attr_setup(const char *test)
{
    v = mount_brick("");
    snprintf(dir, sizeof(dir), "%s", own_path(test));
    cr_assert_eq(gzc_mkdir(v, dir, 0755), 0, "%s", volume_text(v));
}

/** The directory goes with the brick. */
static inline void attr_teardown(void)
{
    cr_assert_eq(gzc_unmount(v), 0);
}

/** "dir/NAME" in a buffer of its own for each call of up to four. */
static inline const char *in_dir(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", dir, name);
    return path;
}

/** Where the brick keeps it. */
static inline const char *brick_path(const char *name)
{
    static char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s%s", getenv("LAB_BRICK_PATH"), in_dir(name));
    return path;
}

static inline gzc_file *make_file(const char *name)
{
    return open_file(v, in_dir(name), O_CREAT | O_RDWR);
}

/** The volume as somebody else, of no other groups. */
static inline gzc_volume *as(uid_t uid, gid_t gid)
{
    const struct gzc_identity who = {.uid = uid, .gid = gid, .umask = 022};
    gzc_volume *other;
    cr_assert_eq(gzc_as(v, &who, &other), 0, "%s", volume_text(v));
    return other;
}

#endif
