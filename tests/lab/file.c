/* Files on a real brick: what gzc.h promises of open, read, write and the rest. */
#include "tests/lab/volume.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#define MIB (1 << 20)

static gzc_volume *v;
static const char *path;

static void setup(void)
{
    v = mount_brick("");
    path = own_path("file");
}

static void teardown(void)
{
    gzc_unlink(v, path);
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(file, .init = setup, .fini = teardown, .timeout = 120);

static struct gzc_stats stats_of(const gzc_file *f)
{
    struct gzc_stats s;
    gzc_file_stats(f, &s, sizeof(s));
    return s;
}

/* Writes the pattern over [0, n). */
static gzc_file *make_file(size_t n)
{
    gzc_file *f = open_file(v, path, O_CREAT | O_TRUNC | O_RDWR);
    unsigned char *p = malloc(n ? n : 1);
    pattern_fill(p, n, 0);
    cr_assert_eq(gzc_pwrite(f, p, n, 0), (ssize_t)n);
    free(p);
    return f;
}

Test(file, sizes_around_the_split_round_trip_and_land)
{
    static const size_t sizes[] = {1,           511,     512,          4095,    4096,
                                   65537,       MIB - 1, MIB,          MIB + 1, 2 * MIB,
                                   4 * MIB + 3, 9 * MIB, 17 * MIB + 11};
    unsigned char *p = malloc(18 * MIB), *q = malloc(18 * MIB);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = sizes[i];
        gzc_file *f = open_file(v, path, O_CREAT | O_TRUNC | O_RDWR);
        pattern_fill(p, n, 0);
        cr_assert_eq(gzc_pwrite(f, p, n, 0), (ssize_t)n);
        memset(q, 0xee, n + 64);
        cr_assert_eq(gzc_pread(f, q, n, 0), (ssize_t)n);
        cr_assert_eq(pattern_check(q, n, 0), n, "size %zu", n);
        cr_assert_eq(q[n], 0xee, "a byte behind the buffer was touched");
        struct gzc_stats s = stats_of(f);
        cr_assert_eq(s.bytes_landed, 2 * n, "size %zu: landed %lu", n, s.bytes_landed);
        cr_assert_eq(s.bytes_staged, 0);
        cr_assert_eq(s.calls, 2 * ((n + MIB - 1) / MIB));
        cr_assert_eq(gzc_close(f), 0);
    }
    free(p);
    free(q);
}

Test(file, iovecs_of_any_count_and_shape)
{
    static const int counts[] = {1, 2, 3, 255, 256, 257, 1023, 1024, 1025, 5000};
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        int n = counts[c];
        struct iovec *out = calloc((size_t)n, sizeof(*out)), *in = calloc((size_t)n, sizeof(*in));
        size_t total = 0;
        for (int i = 0; i < n; i++) { /* lengths 0, 1, 2, ... and now and then a large one */
            size_t length = (size_t)i % 7 == 3 ? 0 : (size_t)i % 50 == 11 ? 4096 : (size_t)i % 7;
            if (n < 4)
                length += 1;
            out[i] = (struct iovec){malloc(length + 1), length};
            in[i] = (struct iovec){calloc(1, length + 1), length};
            pattern_fill(out[i].iov_base, length, total);
            total += length;
        }
        gzc_file *f = open_file(v, path, O_CREAT | O_TRUNC | O_RDWR);
        cr_assert_eq(gzc_pwritev(f, out, n, 0), (ssize_t)total);
        cr_assert_eq(gzc_preadv(f, in, n, 0), (ssize_t)total);
        for (int i = 0; i < n; i++) {
            cr_assert_eq(memcmp(in[i].iov_base, out[i].iov_base, in[i].iov_len), 0,
                         "piece %d of %d", i, n);
            cr_assert_eq(((char *)in[i].iov_base)[in[i].iov_len], 0, "behind piece %d", i);
            free(in[i].iov_base);
            free(out[i].iov_base);
        }
        cr_assert_eq(stats_of(f).bytes_landed, 2 * total);
        cr_assert_eq(stats_of(f).bytes_staged, 0);
        gzc_close(f);
        free(in);
        free(out);
    }
}

Test(file, nothing_to_move_moves_nothing)
{
    gzc_file *f = make_file(10);
    char c;
    struct iovec none[3] = {{&c, 0}, {NULL, 0}, {&c, 0}};
    uint64_t calls = stats_of(f).calls;
    cr_assert_eq(gzc_pread(f, &c, 0, 0), 0);
    cr_assert_eq(gzc_pwrite(f, &c, 0, 0), 0);
    cr_assert_eq(gzc_preadv(f, none, 3, 0), 0);
    cr_assert_eq(gzc_pwritev(f, none, 3, 100), 0);
    cr_assert_eq(gzc_preadv(f, NULL, 0, 0), 0);
    cr_assert_eq(stats_of(f).calls, calls);
    gzc_close(f);
}

Test(file, reads_end_at_the_end)
{
    unsigned char *p = malloc(4 * MIB);
    static const size_t sizes[] = {0, 1, 1000, MIB, MIB + 1, 2 * MIB + 5};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = sizes[i];
        gzc_file *f = make_file(n);
        cr_assert_eq(gzc_pread(f, p, 4 * MIB, 0), (ssize_t)n);
        cr_assert_eq(pattern_check(p, n, 0), n);
        cr_assert_eq(gzc_pread(f, p, 100, (off_t)n), 0);
        cr_assert_eq(gzc_pread(f, p, 3 * MIB, (off_t)n + 12345678), 0);
        if (n) {
            cr_assert_eq(gzc_pread(f, p, 100, (off_t)n - 1), 1);
            cr_assert_eq(p[0], pattern_at(n - 1));
        }
        gzc_close(f);
    }
    free(p);
}

Test(file, offsets_past_4_GiB)
{
    static const uint64_t offsets[] = {(1ULL << 32) - 5, 1ULL << 32, 5ULL << 30, 1ULL << 40};
    gzc_file *f = open_file(v, path, O_CREAT | O_TRUNC | O_RDWR);
    unsigned char p[100], q[100];
    struct stat st;
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        off_t at = (off_t)offsets[i];
        pattern_fill(p, sizeof(p), offsets[i]);
        cr_assert_eq(gzc_pwrite(f, p, sizeof(p), at), sizeof(p));
        cr_assert_eq(gzc_pread(f, q, sizeof(q), at), sizeof(q));
        cr_assert_eq(memcmp(p, q, sizeof(p)), 0);
        cr_assert_eq(gzc_fstat(f, &st), 0);
        cr_assert_eq(st.st_size, at + 100);
    }
    cr_assert_eq(gzc_pread(f, q, sizeof(q), 1 << 30), sizeof(q)); /* a hole */
    for (size_t i = 0; i < sizeof(q); i++)
        cr_assert_eq(q[i], 0);
    gzc_close(f);
}

Test(file, append_goes_to_the_end)
{
    gzc_close(make_file(1000));
    gzc_file *f = open_file(v, path, O_WRONLY | O_APPEND);
    size_t n = 3 * MIB + 17;
    unsigned char *p = malloc(n + 1000);
    pattern_fill(p, n, 1000);
    cr_assert_eq(gzc_pwrite(f, p, n, 5), (ssize_t)n);
    cr_assert_eq(gzc_pwrite(f, "end", 3, 0), 3);
    gzc_close(f);
    f = open_file(v, path, O_RDONLY);
    cr_assert_eq(gzc_pread(f, p, n + 1000, 0), (ssize_t)n + 1000);
    cr_assert_eq(pattern_check(p, n + 1000, 0), n + 1000);
    char end[4] = "";
    cr_assert_eq(gzc_pread(f, end, 4, (off_t)n + 1000), 3);
    cr_assert_str_eq(end, "end");
    gzc_close(f);
    free(p);
}

Test(file, direct_io)
{
    gzc_file *f = open_file(v, path, O_CREAT | O_TRUNC | O_RDWR | O_DIRECT);
    unsigned char *p = aligned_alloc(4096, 2 * MIB), *q = aligned_alloc(4096, 2 * MIB);
    pattern_fill(p, 2 * MIB, 0);
    cr_assert_eq(gzc_pwrite(f, p, 2 * MIB, 0), 2 * MIB);
    cr_assert_eq(gzc_pread(f, q, 2 * MIB, 0), 2 * MIB);
    cr_assert_eq(memcmp(p, q, 2 * MIB), 0);
    gzc_close(f);
    free(p);
    free(q);
}

Test(file, open_flags)
{
    gzc_file *f;
    char c = 'x', text[256];
    cr_assert_eq(gzc_open(v, path, O_RDWR, 0, &f), -ENOENT);
    cr_assert_null(f);
    cr_assert_not_null(strstr(volume_text(v), path), "%s", volume_text(v));
    cr_assert_eq(gzc_open(v, path, O_RDWR | O_CREAT | O_EXCL, 0640, &f), 0);
    gzc_close(f);
    cr_assert_eq(gzc_open(v, path, O_RDWR | O_CREAT | O_EXCL, 0640, &f), -EEXIST);
    cr_assert_eq(gzc_open(v, path, O_RDWR | O_TMPFILE, 0640, &f), -EINVAL);
    cr_assert_eq(gzc_open(v, "/", O_RDWR, 0, &f), -EISDIR);
    cr_assert_eq(gzc_open(v, "/", O_RDWR | O_CREAT, 0644, &f), -EISDIR);

    f = open_file(v, path, O_RDONLY);
    cr_assert_eq(gzc_pwrite(f, &c, 1, 0), -EBADF);
    gzc_file_error(f, text, sizeof(text));
    cr_assert_str_eq(text, "the file is open for reading only");
    cr_assert_eq(gzc_ftruncate(f, 1), -EINVAL);
    gzc_close(f);

    f = open_file(v, path, O_WRONLY);
    cr_assert_eq(gzc_pread(f, &c, 1, 0), -EBADF);
    cr_assert_eq(gzc_pwrite(f, &c, 1, 10), 1);
    cr_assert_eq(gzc_pwrite(f, &c, 1, -1), -EINVAL);
    cr_assert_eq(gzc_pwrite(f, &c, 1, INT64_MAX), -EINVAL);
    struct iovec huge[2] = {{&c, SSIZE_MAX}, {&c, 1}};
    cr_assert_eq(gzc_pwritev(f, huge, 2, 0), -EINVAL);
    cr_assert_eq(gzc_pwritev(f, huge, -1, 0), -EINVAL);
    gzc_close(f);

    struct stat st;
    f = open_file(v, path, O_WRONLY | O_TRUNC);
    cr_assert_eq(gzc_fstat(f, &st), 0);
    cr_assert_eq(st.st_size, 0);
    gzc_close(f);
    cr_assert_eq(gzc_create(v, path, 0600, &f), 0);
    cr_assert_eq(gzc_pread(f, &c, 1, 0), -EBADF);
    gzc_close(f);
}

Test(file, truncate_sync_and_stat)
{
    gzc_file *f = make_file(5000);
    struct stat st, by_name, on_disk;
    char disk[PATH_MAX];
    cr_assert_eq(gzc_fsync(f), 0);
    cr_assert_eq(gzc_fdatasync(f), 0);
    cr_assert_eq(gzc_ftruncate(f, 1234), 0);
    cr_assert_eq(gzc_fstat(f, &st), 0);
    cr_assert_eq(st.st_size, 1234);
    cr_assert_eq(gzc_ftruncate(f, 1 << 30), 0);
    cr_assert_eq(gzc_ftruncate(f, -1), -EINVAL);
    cr_assert_eq(gzc_fstat(f, &st), 0);
    cr_assert_eq(gzc_stat(v, path, &by_name), 0);
    snprintf(disk, sizeof(disk), "%s%s", getenv("LAB_BRICK_PATH"), path);
    cr_assert_eq(stat(disk, &on_disk), 0);
    cr_assert_eq(st.st_size, on_disk.st_size);
    cr_assert_eq(st.st_mode, on_disk.st_mode);
    cr_assert_eq(st.st_uid, on_disk.st_uid);
    cr_assert_eq(st.st_gid, on_disk.st_gid);
    cr_assert_eq(st.st_nlink, on_disk.st_nlink - 1, "the brick's own link under .glusterfs");
    cr_assert_eq(st.st_blocks, on_disk.st_blocks);
    cr_assert_eq(st.st_mtim.tv_sec, on_disk.st_mtim.tv_sec);
    cr_assert_eq(st.st_mtim.tv_nsec, on_disk.st_mtim.tv_nsec);
    cr_assert_eq(st.st_ino, by_name.st_ino);
    cr_assert_eq(memcmp(&st, &by_name, sizeof(st)), 0);
    gzc_close(f);
}

Test(file, an_unlinked_open_file_goes_on)
{
    gzc_file *f = make_file(100);
    unsigned char p[100];
    cr_assert_eq(gzc_unlink(v, path), 0);
    cr_assert_eq(gzc_pread(f, p, 100, 0), 100);
    cr_assert_eq(pattern_check(p, 100, 0), 100);
    cr_assert_eq(gzc_pwrite(f, p, 100, 100), 100);
    cr_assert_eq(gzc_close(f), 0);
}

Test(file, unmount_refuses_while_handles_are_open)
{
    gzc_file *f = make_file(1);
    gzc_dir *d;
    cr_assert_eq(gzc_unmount(v), -EBUSY);
    cr_assert_str_eq(volume_text(v), "files or directories are still open");
    gzc_close(f);
    cr_assert_eq(gzc_opendir(v, "/", &d), 0);
    cr_assert_eq(gzc_unmount(v), -EBUSY);
    gzc_closedir(d);
}

Test(file, nconnect_and_busy_poll_change_nothing_but_speed)
{
    static const char *const options[] = {"?nconnect=1&busy_poll_us=100", "?nconnect=2",
                                          "?nconnect=16&busy_poll_us=50"};
    for (size_t i = 0; i < 3; i++) {
        gzc_volume *w = mount_brick(options[i]);
        gzc_file *f = open_file(w, path, O_CREAT | O_TRUNC | O_RDWR);
        unsigned char *p = malloc(8 * MIB), *q = malloc(8 * MIB);
        pattern_fill(p, 8 * MIB, 0);
        cr_assert_eq(gzc_pwrite(f, p, 8 * MIB, 0), 8 * MIB);
        cr_assert_eq(gzc_pread(f, q, 8 * MIB, 0), 8 * MIB);
        cr_assert_eq(memcmp(p, q, 8 * MIB), 0);
        cr_assert_eq(stats_of(f).bytes_landed, 16 * MIB);
        gzc_close(f);
        cr_assert_eq(gzc_unmount(w), 0);
        free(p);
        free(q);
    }
}
