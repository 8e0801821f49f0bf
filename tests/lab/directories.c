/* Reading directories on a real brick: large ones, ones that change meanwhile, positions. */
#include "tests/lab/async.h"

#include <dirent.h>
#include <limits.h>
#include <malloc.h>

#define DEPTH 64

static gzc_volume *v;
static char dir[128];

static void setup(void)
{
    v = mount_brick("");
    snprintf(dir, sizeof(dir), "%s", own_path("directories"));
    cr_assert_eq(gzc_mkdir(v, dir, 0755), 0, "%s", volume_text(v));
    cr_assert_eq(gzc_chdir(v, dir), 0);
}

static void teardown(void)
{
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(directories, .init = setup, .fini = teardown, .timeout = 240);

/* ---- making many entries --------------------------------------------------------------------- */

static unsigned begun, made, wanted;

static void make_next(void);

static void one_made(void *arg, ssize_t result, const char *error)
{
    (void)arg;
    cr_assert_eq(result, 0, "%s", error);
    made++;
    make_next();
}

static void make_next(void)
{
    char name[64];
    if (begun == wanted)
        return;
    snprintf(name, sizeof(name), "entry-with-a-name-of-some-length-%06u", begun++);
    const struct gzc_async how = {.done = one_made};
    cr_assert_gt(gzc_mknod_async(v, name, S_IFREG | 0600, 0, &how), 0);
}

static void make(unsigned n)
{
    begun = made = 0;
    wanted = n;
    for (unsigned i = 0; i < DEPTH; i++)
        make_next();
    while (made < n)
        gzc_poll(v, 0, 1000);
}

/* So many that the brick would take a minute for them: on its own disk, behind its back. It lists
 * them as any others, but for their attributes. */
static void make_on_brick(unsigned n)
{
    char path[PATH_MAX];
    for (unsigned i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s%s/entry-with-a-name-of-some-length-%06u",
                 getenv("LAB_BRICK_PATH"), dir, i);
        cr_assert_eq(mknod(path, S_IFREG | 0600, 0), 0);
    }
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static unsigned number_of(const char *name)
{
    return (unsigned)atoi(strrchr(name, '-') + 1);
}

/* ---- tests ----------------------------------------------------------------------------------- */

Test(directories, hundred_thousand_entries_in_bounded_memory)
{
    enum { N = 100000, MOST = 2 << 20 };
    static unsigned char seen[N];
    gzc_dir *d;
    struct gzc_dirent e;
    unsigned n = 0;
    int rc;
    make_on_brick(N);
    size_t before = mallinfo2().uordblks, most = before;
    cr_assert_eq(gzc_opendir(v, ".", &d), 0);
    while ((rc = gzc_readdir(d, &e)) == 1) {
        if (is_dots(e.name))
            continue;
        unsigned i = number_of(e.name);
        cr_assert(i < N && !seen[i], "%s", e.name);
        seen[i] = 1;
        if (++n % 1000 == 0 && mallinfo2().uordblks > most)
            most = mallinfo2().uordblks;
    }
    cr_assert_eq(rc, 0);
    cr_assert_eq(n, N);
    cr_assert_lt(most - before, MOST, "%zu bytes", most - before);
    cr_assert_eq(gzc_closedir(d), 0);
}

/* What is there all the time is given once; what comes or goes meanwhile, once at most. */
Test(directories, that_change_while_they_are_read)
{
    enum { N = 6000 };
    static unsigned char seen[N], fresh[N];
    gzc_dir *d;
    struct gzc_dirent e;
    char name[64];
    unsigned n = 0;
    int rc;
    make(N);
    cr_assert_eq(gzc_opendir(v, ".", &d), 0);
    while ((rc = gzc_readdir(d, &e)) == 1) {
        if (is_dots(e.name))
            continue;
        unsigned i = number_of(e.name);
        unsigned char *which = strncmp(e.name, "fresh", 5) == 0 ? fresh : seen;
        cr_assert(i < N && !which[i], "%s twice", e.name);
        which[i] = 1;
        if (++n % 7)
            continue;
        /* every third entry goes, read or not; others come */
        snprintf(name, sizeof(name), "entry-with-a-name-of-some-length-%06u", n / 7 * 3);
        cr_assert_eq(gzc_unlink(v, name), 0);
        snprintf(name, sizeof(name), "fresh-%06u", n / 7);
        cr_assert_eq(gzc_mknod(v, name, S_IFREG | 0600, 0), 0);
    }
    cr_assert_eq(rc, 0);
    for (unsigned i = 0; i < N; i++)
        cr_assert(seen[i] || i % 3 == 0, "%u is missing", i);
    cr_assert_eq(gzc_closedir(d), 0);
}

Test(directories, positions)
{
    enum { N = 2500 };
    static int64_t cookies[N + 3];
    static char names[N + 3][64];
    gzc_dir *d, *other;
    struct gzc_dirent e;
    unsigned n = 0;
    make(N);
    cr_assert_eq(gzc_opendir(v, ".", &d), 0);
    cr_assert_eq(gzc_telldir(d), 0);
    while (gzc_readdir(d, &e) == 1) {
        cr_assert_lt(n, N + 2);
        cr_assert_eq(gzc_telldir(d), e.cookie);
        snprintf(names[n], sizeof(names[n]), "%s", e.name);
        cookies[n++] = gzc_telldir(d);
    }
    cr_assert_eq(n, N + 2);
    cr_assert_eq(gzc_opendir(v, ".", &other), 0);
    for (unsigned i = 0, at = 1234; i < 50; i++, at = (at * 31 + 7) % (n - 1)) {
        gzc_dir *one = i % 2 ? d : other;
        gzc_seekdir(one, cookies[at]);
        cr_assert_eq(gzc_readdir(one, &e), 1);
        cr_assert_str_eq(e.name, names[at + 1]);
    }
    gzc_seekdir(d, cookies[n - 1]);
    cr_assert_eq(gzc_readdir(d, &e), 0, "behind the last");
    cr_assert_eq(gzc_mknod(v, "late", S_IFREG | 0600, 0), 0);
    gzc_rewinddir(d);
    bool late = false;
    for (n = 0; gzc_readdir(d, &e) == 1; n++)
        late |= strcmp(e.name, "late") == 0;
    cr_assert_eq(n, N + 3);
    cr_assert(late);
    cr_assert_eq(gzc_closedir(d), 0);
    cr_assert_eq(gzc_closedir(other), 0);
}
