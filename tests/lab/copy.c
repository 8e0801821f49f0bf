/* Copying between files on a real brick, beside copy_file_range(2) on its file system. */
#include "tests/lab/async.h"

#include <sys/stat.h>

#define MIB (1 << 20)

static gzc_volume *v;
static char path[2][128], local[2][600];
static gzc_file *in, *out;
static int from, to; /* the local ones */
static unsigned char p[12 * MIB], q[12 * MIB];

static void setup(void)
{
    v = mount_brick("");
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof(path[i]), "/copy%d-%d", i, getpid());
        snprintf(local[i], sizeof(local[i]), "%.400s/copy%d-%d", getenv("LAB_DIR"), i, getpid());
    }
    in = open_file(v, path[0], O_CREAT | O_EXCL | O_RDWR);
    out = open_file(v, path[1], O_CREAT | O_EXCL | O_RDWR);
    from = open(local[0], O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    to = open(local[1], O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    cr_assert(from >= 0 && to >= 0);
    pattern_fill(p, sizeof(p), 0);
    cr_assert_eq(gzc_pwrite(in, p, 10 * MIB, 0), 10 * MIB);
    cr_assert_eq(pwrite(from, p, 10 * MIB, 0), 10 * MIB);
}

static void end(void)
{
    cr_assert_eq(gzc_close(in), 0);
    cr_assert_eq(gzc_close(out), 0);
    for (int i = 0; i < 2; i++) {
        gzc_unlink(v, path[i]);
        unlink(local[i]);
    }
    close(from);
    close(to);
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(copy, .init = setup, .fini = end, .timeout = 120);

static ssize_t copied_async(gzc_file *a, off_t at, gzc_file *b, off_t to_at, size_t n)
{
    struct outcome o = {0};
    gzc_ticket ticket = gzc_copy_file_range_async(a, at, b, to_at, n, HOW(&o));
    if (ticket < 0)
        return (ssize_t)ticket;
    outcome_wait(v, &o);
    return o.result;
}

static ssize_t copied_locally(int a, off_t at, int b, off_t to_at, size_t n)
{
    ssize_t done = copy_file_range(a, &at, b, &to_at, n, 0);
    return done < 0 ? -errno : done;
}

static void same_bytes(gzc_file *a, int b)
{
    struct stat st;
    ssize_t n = pread(b, q, sizeof(q), 0);
    cr_assert_eq(gzc_fstat(a, &st), 0);
    cr_assert_eq(st.st_size, n);
    cr_assert_eq(gzc_pread(a, p, sizeof(p), 0), n);
    cr_assert_eq(memcmp(p, q, (size_t)n), 0);
}

Test(copy, as_the_file_system_does)
{
    static const struct {
        off_t at, to;
        size_t n;
    } calls[] = {
        {0, 0, 100},      {5, 3, 5 * MIB},     {10 * MIB - 10, 7, 100},
        {10 * MIB, 0, 5}, {20 * MIB, 0, 5},    {1, 11 * MIB, MIB - 1},
        {0, 0, 0},        {MIB, MIB, 9 * MIB},
    };
    for (int async = 0; async < 2; async++) {
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
            ssize_t mine = async
                               ? copied_async(in, calls[i].at, out, calls[i].to, calls[i].n)
                               : gzc_copy_file_range(in, calls[i].at, out, calls[i].to, calls[i].n);
            ssize_t other = copied_locally(from, calls[i].at, to, calls[i].to, calls[i].n);
            cr_assert_eq(mine, other, "%zu: %zd, the file system: %zd", i, mine, other);
            same_bytes(out, to);
        }
    }
    struct gzc_stats s;
    gzc_file_stats(out, &s, sizeof(s));
    cr_assert_eq(s.bytes_staged, 0); /* the brick has done it all */
}

Test(copy, within_one_file)
{
    static const struct {
        off_t at, to;
        size_t n;
    } calls[] = {
        {0, 10 * MIB, MIB}, {0, 100, 100},
        {0, 100, 101},      {100, 0, 101},
        {MIB, MIB, 5},      {11 * MIB - 5, 11 * MIB, 100}, /* up to the end there are but 5 */
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        ssize_t mine = gzc_copy_file_range(in, calls[i].at, in, calls[i].to, calls[i].n);
        ssize_t other = copied_locally(from, calls[i].at, from, calls[i].to, calls[i].n);
        cr_assert_eq(mine, other, "%zu: %zd, the file system: %zd", i, mine, other);
        same_bytes(in, from);
    }
}

Test(copy, what_is_refused)
{
    gzc_file *r = open_file(v, path[1], O_RDONLY), *w = open_file(v, path[0], O_WRONLY),
             *a = open_file(v, path[1], O_WRONLY | O_APPEND), *d = open_file(v, "/", O_RDONLY);
    char text[512];
    cr_assert_eq(gzc_copy_file_range(in, 0, r, 0, 5), -EBADF);
    cr_assert_eq(gzc_copy_file_range(w, 0, out, 0, 5), -EBADF);
    cr_assert_eq(gzc_copy_file_range(in, 0, a, 0, 5), -EBADF);
    cr_assert_eq(copied_async(in, 0, a, 0, 5), -EBADF);
    cr_assert_eq(gzc_copy_file_range(d, 0, out, 0, 5), -EISDIR);
    cr_assert_eq(gzc_copy_file_range(in, 0, d, 0, 5), -EISDIR);
    cr_assert_eq(gzc_copy_file_range(in, -1, out, 0, 5), -EINVAL);
    cr_assert_eq(gzc_copy_file_range(in, 0, out, -1, 5), -EINVAL);
    cr_assert_eq(gzc_copy_file_range(in, INT64_MAX - 2, out, 0, 5), -EOVERFLOW);
    cr_assert_lt(gzc_copy_file_range(in, 0, out, INT64_MAX - 10, 10), 0);
    gzc_file_error(out, text, sizeof(text));
    cr_assert_gt(strlen(text), 0);
    cr_assert_eq(gzc_close(r), 0);
    cr_assert_eq(gzc_close(w), 0);
    cr_assert_eq(gzc_close(a), 0);
    cr_assert_eq(gzc_close(d), 0);
}

/* It reads what was written before, and is there for what comes after. */
Test(copy, keeps_the_order_of_transfers)
{
    struct outcome o[4];
    for (int i = 0; i < 20; i++) {
        memset(o, 0, sizeof(o));
        memset(p, 'a' + i, 3 * MIB);
        cr_assert_gt(gzc_pwrite_async(in, p, 3 * MIB, 0, HOW(&o[0])), 0);
        cr_assert_gt(gzc_copy_file_range_async(in, 0, out, 5, 3 * MIB, HOW(&o[1])), 0);
        cr_assert_gt(gzc_copy_file_range_async(out, 5, in, 5 * MIB, 3 * MIB, HOW(&o[2])), 0);
        cr_assert_gt(gzc_pwrite_async(in, "xyz", 3, 5 * MIB + 100, HOW(&o[3])), 0);
        cr_assert_eq(gzc_pread(in, q, 3 * MIB, 5 * MIB), 3 * MIB);
        cr_assert_eq(memcmp(q + 100, "xyz", 3), 0);
        memcpy(q + 100, p, 3);
        cr_assert_eq(memcmp(p, q, 3 * MIB), 0);
        for (int k = 0; k < 3; k++)
            outcome_expect(v, &o[k], 3 * MIB);
        outcome_expect(v, &o[3], 3);
    }
}

Test(copy, cancelled_at_any_moment)
{
    struct outcome o, w;
    for (int i = 0; i < 200; i++) {
        o = w = (struct outcome){0};
        if (i % 3 == 0)
            cr_assert_gt(gzc_pwrite_async(i % 2 ? in : out, p, 2 * MIB, 0, HOW(&w)), 0);
        gzc_ticket ticket = gzc_copy_file_range_async(in, 0, out, 0, 2 * MIB, HOW(&o));
        cr_assert_gt(ticket, 0);
        for (int k = 0; k < i % 7; k++)
            gzc_poll(v, 0, k > 4);
        gzc_cancel(v, ticket);
        outcome_wait(v, &o);
        cr_assert(o.result == 2 * MIB || o.result == MIB || o.result == -ECANCELED, "%zd %s",
                  o.result, o.error);
        if (i % 3 == 0)
            outcome_expect(v, &w, 2 * MIB);
    }
    o = (struct outcome){0};
    cr_assert_gt(gzc_copy_file_range_async(in, 0, out, 0, MIB, HOW(&o, .timeout_ns = 1)), 0);
    outcome_wait(v, &o);
    cr_assert(o.result == MIB || o.result == -ETIMEDOUT, "%zd %s", o.result, o.error);
    /* closing waits for it */
    gzc_file *x = open_file(v, path[0], O_RDONLY);
    o = w = (struct outcome){0};
    cr_assert_gt(gzc_copy_file_range_async(x, 0, out, 0, 5 * MIB, HOW(&o)), 0);
    cr_assert_gt(gzc_close_async(x, HOW(&w)), 0);
    outcome_expect(v, &w, 0);
    outcome_expect(v, &o, 5 * MIB);
}

Test(copy, between_two_mounts)
{
    gzc_volume *second = mount_brick("");
    gzc_file *other = open_file(second, path[1], O_RDWR),
             *same = open_file(second, path[0], O_RDWR);
    cr_assert_eq(gzc_copy_file_range(in, 5, other, 7, 20 * MIB), 10 * MIB - 5);
    cr_assert_eq(copied_locally(from, 5, to, 7, 20 * MIB), 10 * MIB - 5);
    same_bytes(out, to);
    cr_assert_eq(gzc_copy_file_range(in, 20 * MIB, other, 7, 5), 0);
    cr_assert_eq(gzc_copy_file_range(in, 0, same, 5, 6), -EINVAL);
    cr_assert_eq(gzc_copy_file_range(in, 0, same, 6, 6), 6);
    cr_assert_eq(copied_async(in, 0, other, 0, 5), -EXDEV);
    cr_assert_eq(gzc_close(other), 0);
    cr_assert_eq(gzc_close(same), 0);
    cr_assert_eq(gzc_unmount(second), 0);
}
