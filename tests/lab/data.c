/* Positions, ranges and open flags on a real brick, each beside the same system call on a file of
 * the brick's own file system. */
#include "tests/lab/async.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define KIB (1 << 10)
#define MIB (1 << 20)

static gzc_volume *v;
static const char *path;
static gzc_file *f;
static int fd; /* the local file */
static char local[500], brick_path[PATH_MAX];
static blkcnt_t blocks_more; /* of the brick's file than of the local one */

/* The same bytes in both files, open for reading and writing. */
static void begin(size_t n)
{
    unsigned char *p = malloc(n + 1);
    v = mount_brick("");
    path = own_path("data");
    snprintf(local, sizeof(local), "%s/data-%d", getenv("LAB_DIR"), getpid());
    f = open_file(v, path, O_CREAT | O_EXCL | O_RDWR);
    fd = open(local, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0);
    pattern_fill(p, n, 0);
    cr_assert_eq(gzc_pwrite(f, p, n, 0), (ssize_t)n);
    cr_assert_eq(pwrite(fd, p, n, 0), (ssize_t)n);
    free(p);
    struct stat ours, theirs;
    snprintf(brick_path, sizeof(brick_path), "%s%s", getenv("LAB_BRICK_PATH"), path);
    cr_assert_eq(stat(brick_path, &ours), 0);
    cr_assert_eq(fstat(fd, &theirs), 0);
    blocks_more = ours.st_blocks - theirs.st_blocks;
}

static void setup(void)
{
    begin(10000);
}

static void end(void)
{
    cr_assert_eq(gzc_close(f), 0);
    close(fd);
    cr_assert_eq(gzc_unlink(v, path), 0);
    unlink(local);
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(data, .init = setup, .fini = end, .timeout = 120);

/* A call of ours, and the system call: the same result, or the same error. */
#define SAME(ours, theirs)                                                                         \
    do {                                                                                           \
        int64_t mine_ = (ours), other_ = (theirs);                                                 \
        if (other_ < 0)                                                                            \
            other_ = -errno;                                                                       \
        cr_assert_eq(mine_, other_, "%s: %ld, the file system: %ld", #ours, (long)mine_,           \
                     (long)other_);                                                                \
    } while (0)

/* An asynchronous form's result. */
#define OF(form)                                                                                   \
    ({                                                                                             \
        struct outcome o_ = {0};                                                                   \
        const struct gzc_async *how = HOW(&o_);                                                    \
        gzc_ticket ticket_ = (form);                                                               \
        if (ticket_ > 0)                                                                           \
            outcome_wait(v, &o_);                                                                  \
        ticket_ > 0 ? o_.result : (ssize_t)ticket_;                                                \
    })

static void same_position(void)
{
    SAME(gzc_lseek(f, 0, SEEK_CUR), lseek(fd, 0, SEEK_CUR));
}

/* Of sizes, and of blocks more than at first: the brick's file has extended attributes too.
 * GlusterFS tells of no blocks behind the end. */
static void same_attributes(void)
{
    struct stat a, b, on_brick;
    cr_assert_eq(gzc_fstat(f, &a), 0);
    cr_assert_eq(fstat(fd, &b), 0);
    cr_assert_eq(stat(brick_path, &on_brick), 0);
    cr_assert_eq(a.st_size, b.st_size, "%ld, the file system: %ld", a.st_size, b.st_size);
    cr_assert_eq(on_brick.st_blocks - b.st_blocks, blocks_more, "%ld more, at first %ld",
                 on_brick.st_blocks - b.st_blocks, blocks_more);
}

static void same_bytes(void)
{
    static unsigned char p[4 * MIB], q[4 * MIB];
    ssize_t n = pread(fd, q, sizeof(q), 0);
    cr_assert_eq(gzc_pread(f, p, sizeof(p), 0), n);
    cr_assert_eq(memcmp(p, q, (size_t)n), 0);
}

/* ---- the position ---------------------------------------------------------------------------- */

Test(data, reading_and_writing_move_the_position)
{
    unsigned char p[12000], q[12000];
    struct iovec ours[2] = {{p, 100}, {p + 100, 900}}, theirs[2] = {{q, 100}, {q + 100, 900}};
    for (int async = 0; async < 2; async++) {
        SAME(gzc_lseek(f, 0, SEEK_SET), lseek(fd, 0, SEEK_SET));
        SAME(async ? OF(gzc_read_async(f, p, 1000, how)) : gzc_read(f, p, 1000), read(fd, q, 1000));
        cr_assert_eq(pattern_check(p, 1000, 0), 1000);
        same_position();
        SAME(async ? OF(gzc_readv_async(f, ours, 2, how)) : gzc_readv(f, ours, 2),
             readv(fd, theirs, 2));
        cr_assert_eq(pattern_check(p, 1000, 1000), 1000);
        same_position();
        SAME(async ? OF(gzc_write_async(f, p, 500, how)) : gzc_write(f, p, 500), write(fd, q, 500));
        SAME(async ? OF(gzc_writev_async(f, ours, 2, how)) : gzc_writev(f, ours, 2),
             writev(fd, theirs, 2));
        same_position();
        same_bytes();
        SAME(gzc_read(f, p, sizeof(p)), read(fd, q, sizeof(q))); /* less than asked for */
        same_position();
        SAME(async ? OF(gzc_read_async(f, p, 10, how)) : gzc_read(f, p, 10), read(fd, q, 10));
        SAME(gzc_read(f, p, 0), read(fd, q, 0));
        same_position();
        SAME(gzc_write(f, p, 77), write(fd, q, 77));
        same_position();
        /* what has its own offset does not move it */
        SAME(gzc_pread(f, p, 10, 5), pread(fd, q, 10, 5));
        SAME(gzc_pwrite(f, p, 10, 5), pwrite(fd, q, 10, 5));
        same_position();
        memcpy(q, p, sizeof(q));
        for (int i = 0; i < 2; i++)
            pattern_fill(i ? q : p, 10000, 0);
        SAME(gzc_pwrite(f, p, 10000, 0), pwrite(fd, q, 10000, 0));
    }
}

Test(data, failed_calls_leave_the_position)
{
    gzc_file *r = open_file(v, path, O_RDONLY), *w = open_file(v, path, O_WRONLY);
    char c = 'x';
    cr_assert_eq(gzc_lseek(r, 5, SEEK_SET), 5);
    cr_assert_eq(gzc_lseek(w, 6, SEEK_SET), 6);
    cr_assert_eq(gzc_write(r, &c, 1), -EBADF);
    cr_assert_eq(gzc_read(w, &c, 1), -EBADF);
    cr_assert_eq(OF(gzc_write_async(r, &c, 1, how)), -EBADF);
    cr_assert_eq(gzc_lseek(r, 0, SEEK_CUR), 5);
    cr_assert_eq(gzc_lseek(w, 0, SEEK_CUR), 6);
    /* the brick refuses: too large for its file system */
    off_t far = INT64_MAX - 100;
    cr_assert_eq(gzc_lseek(w, far, SEEK_SET), far);
    cr_assert_lt(gzc_write(w, &c, 1), 0);
    cr_assert_eq(gzc_lseek(w, 0, SEEK_CUR), far);
    char many[200] = {0};
    cr_assert_eq(gzc_write(w, many, 200), -EINVAL); /* beyond the largest offset */
    cr_assert_eq(gzc_lseek(w, 0, SEEK_CUR), far);
    cr_assert_eq(gzc_close(r), 0);
    cr_assert_eq(gzc_close(w), 0);
}

/* Each has its own part of the file, in the order in which they were begun. */
Test(data, calls_at_the_position_follow_each_other)
{
    enum { N = 16, PIECE = 700 };
    static unsigned char p[N][PIECE];
    struct outcome o[N] = {0};
    for (int i = 0; i < N; i++)
        cr_assert_gt(gzc_read_async(f, p[i], PIECE, HOW(&o[i])), 0);
    for (int i = 0; i < N; i++) {
        ssize_t there = 10000 - (ssize_t)i * PIECE, n = there > PIECE ? PIECE
                                                        : there > 0   ? there
                                                                      : 0;
        outcome_expect(v, &o[i], n);
        cr_assert_eq(pattern_check(p[i], (size_t)n, (uint64_t)i * PIECE), n);
    }
    /* the last of them has set it right */
    cr_assert_eq(gzc_lseek(f, 0, SEEK_CUR), (off_t)(N - 1) * PIECE);
    cr_assert_eq(gzc_lseek(f, 20000, SEEK_SET), 20000);
    memset(o, 0, sizeof(o));
    for (int i = 0; i < N; i++) {
        pattern_fill(p[i], PIECE, 20000 + (uint64_t)i * PIECE);
        cr_assert_gt(gzc_write_async(f, p[i], PIECE, HOW(&o[i])), 0);
    }
    cr_assert_eq(gzc_lseek(f, 0, SEEK_END), 20000 + N * PIECE); /* it sees them */
    for (int i = 0; i < N; i++)
        outcome_expect(v, &o[i], PIECE);
    static unsigned char q[N * PIECE];
    cr_assert_eq(gzc_pread(f, q, sizeof(q), 20000), sizeof(q));
    cr_assert_eq(pattern_check(q, sizeof(q), 20000), sizeof(q));
    /* moved since: a short read does not move it back */
    unsigned char r[2000];
    memset(o, 0, sizeof(o));
    cr_assert_eq(gzc_lseek(f, -10, SEEK_END), 20000 + N * PIECE - 10);
    cr_assert_gt(gzc_read_async(f, r, sizeof(r), HOW(&o[0], .flags = GZC_MORE)), 0);
    cr_assert_eq(gzc_lseek(f, 1, SEEK_SET), 1);
    outcome_expect(v, &o[0], 10);
    cr_assert_eq(gzc_lseek(f, 0, SEEK_CUR), 1);
}

Test(data, appending_moves_the_position_to_the_end)
{
    static unsigned char p[3 * MIB];
    gzc_file *a = open_file(v, path, O_RDWR | O_APPEND);
    int b = open(local, O_RDWR | O_APPEND | O_CLOEXEC);
    SAME(gzc_read(a, p, 10), read(b, p, 10));
    SAME(gzc_write(a, p, 100), write(b, p, 100));
    SAME(gzc_lseek(a, 0, SEEK_CUR), lseek(b, 0, SEEK_CUR));
    SAME(gzc_read(a, p, 10), read(b, p, 10));
    SAME(gzc_pwrite(f, p, 50, 12000), pwrite(fd, p, 50, 12000)); /* another handle */
    SAME(gzc_write(a, p, sizeof(p)), write(b, p, sizeof(p)));
    SAME(gzc_lseek(a, 0, SEEK_CUR), lseek(b, 0, SEEK_CUR));
    SAME(gzc_lseek(a, 3, SEEK_SET), lseek(b, 3, SEEK_SET));
    SAME(OF(gzc_write_async(a, p, 7, how)), write(b, p, 7));
    SAME(gzc_lseek(a, 0, SEEK_CUR), lseek(b, 0, SEEK_CUR));
    same_bytes();
    cr_assert_eq(gzc_close(a), 0);
    close(b);
}

/* 4 MiB: data in the second quarter, and at the end. */
Test(data, lseek_as_the_file_system_does)
{
    static char block[64 * KIB];
    static const struct {
        off_t offset;
        int whence;
    } calls[] = {
        {0, SEEK_SET},
        {5, SEEK_SET},
        {-1, SEEK_SET},
        {1, SEEK_CUR},
        {-INT64_MAX, SEEK_CUR},
        {100, SEEK_SET},
        {50, SEEK_CUR},
        {-150, SEEK_CUR},
        {-1, SEEK_CUR},
        {0, SEEK_END},
        {100, SEEK_END},
        {-100, SEEK_END},
        {-5 * MIB, SEEK_END},
        {0, SEEK_DATA},
        {0, SEEK_HOLE},
        {MIB, SEEK_DATA},
        {MIB + 5, SEEK_DATA},
        {MIB + 5, SEEK_HOLE},
        {2 * MIB, SEEK_DATA},
        {4 * MIB - 1, SEEK_HOLE},
        {4 * MIB, SEEK_DATA},
        {4 * MIB, SEEK_HOLE},
        {5 * MIB, SEEK_HOLE},
        {-1, SEEK_DATA},
        {0, 17},
        {0, -1},
    };
    SAME(gzc_ftruncate(f, 0), ftruncate(fd, 0));
    for (size_t at = 0; at < MIB; at += sizeof(block))
        SAME(gzc_pwrite(f, block, sizeof(block), (off_t)(MIB + at)),
             pwrite(fd, block, sizeof(block), (off_t)(MIB + at)));
    SAME(gzc_pwrite(f, block, 10, 4 * MIB - 10), pwrite(fd, block, 10, 4 * MIB - 10));
    SAME(gzc_fsync(f), fsync(fd));
    for (int async = 0; async < 2; async++) {
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
            off_t at = calls[i].offset;
            int whence = calls[i].whence;
            SAME(async ? OF(gzc_lseek_async(f, at, whence, how)) : gzc_lseek(f, at, whence),
                 lseek(fd, at, whence));
            same_position();
        }
    }
    cr_assert_eq(gzc_lseek(f, INT64_MAX - 1, SEEK_SET), INT64_MAX - 1);
    cr_assert_eq(gzc_lseek(f, 2, SEEK_CUR), -EOVERFLOW);
    cr_assert_eq(gzc_lseek(f, INT64_MAX, SEEK_END), -EOVERFLOW);
}

Test(data, flags_of_a_transfer)
{
    unsigned char p[6000], q[6000];
    struct iovec ours[2] = {{p, 1000}, {p + 1000, 500}}, theirs[2] = {{q, 1000}, {q + 1000, 500}};
    static const int good[] = {0, RWF_DSYNC, RWF_SYNC, RWF_HIPRI, RWF_DSYNC | RWF_SYNC | RWF_HIPRI};
    pattern_fill(p, sizeof(p), 3);
    pattern_fill(q, sizeof(q), 3);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int flags = good[i];
        SAME(gzc_pwritev2(f, ours, 2, 300, flags), pwritev2(fd, theirs, 2, 300, flags));
        SAME(OF(gzc_pwritev2_async(f, ours, 2, 9000, flags, how)),
             pwritev2(fd, theirs, 2, 9000, flags));
        SAME(gzc_pwritev2(f, ours, 2, -1, flags), pwritev2(fd, theirs, 2, -1, flags));
        same_position();
        SAME(OF(gzc_pwritev2_async(f, ours, 2, -1, flags, how)),
             pwritev2(fd, theirs, 2, -1, flags));
        same_position();
        same_bytes();
        SAME(gzc_preadv2(f, ours, 2, 300, 0), preadv2(fd, theirs, 2, 300, 0));
        SAME(gzc_preadv2(f, ours, 2, -1, 0), preadv2(fd, theirs, 2, -1, 0));
        SAME(OF(gzc_preadv2_async(f, ours, 2, -1, 0, how)), preadv2(fd, theirs, 2, -1, 0));
        SAME(OF(gzc_preadv2_async(f, ours, 2, 20, 0, how)), preadv2(fd, theirs, 2, 20, 0));
        cr_assert_eq(memcmp(p, q, sizeof(p)), 0);
        same_position();
    }
    cr_assert_eq(gzc_pwritev2(f, ours, 2, 0, RWF_APPEND), -EOPNOTSUPP);
    cr_assert_eq(gzc_preadv2(f, ours, 2, 0, RWF_NOWAIT), -EOPNOTSUPP);
    cr_assert_eq(OF(gzc_preadv2_async(f, ours, 2, 0, 1 << 30, how)), -EOPNOTSUPP);
    SAME(gzc_preadv2(f, ours, 2, -2, 0), preadv2(fd, theirs, 2, -2, 0));
}

/* ---- ranges ---------------------------------------------------------------------------------- */

#define FALLOCATE(async, mode, at, n)                                                              \
    SAME((async) ? OF(gzc_fallocate_async(f, mode, at, n, how)) : gzc_fallocate(f, mode, at, n),   \
         fallocate(fd, mode, at, n))

Test(data, fallocate_as_the_file_system_does)
{
    const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    for (int async = 0; async < 2; async++) {
        off_t at = (off_t)async * MIB;
        FALLOCATE(async, 0, at + 8 * KIB, 256 * KIB);
        same_attributes();
        FALLOCATE(async, FALLOC_FL_KEEP_SIZE, at + 512 * KIB, 64 * KIB);
        same_attributes();
        FALLOCATE(async, punch, at + 16 * KIB, 128 * KIB);
        FALLOCATE(async, punch, 100, 300);
        same_attributes();
        FALLOCATE(async, FALLOC_FL_ZERO_RANGE, 500, 300);
        FALLOCATE(async, FALLOC_FL_ZERO_RANGE, at + 600 * KIB, 100 * KIB);
        same_attributes();
        same_bytes();
        FALLOCATE(async, 0, -1, 5);
        FALLOCATE(async, 0, 5, 0);
        FALLOCATE(async, 0, 5, -5);
        FALLOCATE(async, 0, 5, INT64_MAX);
        FALLOCATE(async, punch, 5, INT64_MAX);
        FALLOCATE(async, FALLOC_FL_PUNCH_HOLE, 0, 5);
        FALLOCATE(async, 1 << 20, 0, 5);
        cr_assert_eq(async ? OF(gzc_fallocate_async(f, FALLOC_FL_COLLAPSE_RANGE, 0, 4096, how))
                           : gzc_fallocate(f, FALLOC_FL_COLLAPSE_RANGE, 0, 4096),
                     -EOPNOTSUPP);
        same_attributes();
        same_bytes();
    }
    gzc_file *r = open_file(v, path, O_RDONLY);
    cr_assert_eq(gzc_fallocate(r, 0, 0, 5), -EBADF);
    cr_assert_eq(gzc_zerofill(r, 0, 5), -EBADF);
    cr_assert_eq(gzc_close(r), 0);
}

Test(data, zerofill_and_discard)
{
    SAME(gzc_zerofill(f, 100, 1000), fallocate(fd, FALLOC_FL_ZERO_RANGE, 100, 1000));
    SAME(OF(gzc_zerofill_async(f, 9000, 5000, how)),
         fallocate(fd, FALLOC_FL_ZERO_RANGE, 9000, 5000));
    same_bytes();
    same_attributes();
    SAME(gzc_discard(f, 3000, 3000),
         fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3000, 3000));
    same_bytes();
    cr_assert_eq(gzc_zerofill(f, -1, 5), -EINVAL);
    cr_assert_eq(OF(gzc_zerofill_async(f, 0, 0, how)), -EINVAL);
    cr_assert_eq(gzc_zerofill(f, 1, INT64_MAX), -EFBIG);
    /* in one call, much more than one transfer */
    struct stat st;
    cr_assert_eq(gzc_zerofill(f, 0, 256 * MIB), 0);
    cr_assert_eq(gzc_fstat(f, &st), 0);
    cr_assert_eq(st.st_size, 256 * MIB);
    cr_assert_eq(gzc_fallocate(f, 0, 0, 300 * MIB), 0);
    cr_assert_eq(gzc_fstat(f, &st), 0);
    cr_assert_eq(st.st_size, 300 * MIB);
    cr_assert_geq(st.st_blocks * 512, 300 * MIB);
}

/* They take their turn: what was begun before is there before, what was begun after, after. */
Test(data, ranges_keep_the_order_of_transfers)
{
    static unsigned char p[2 * MIB], q[2 * MIB];
    struct outcome o[4] = {0};
    for (int i = 0; i < 20; i++) {
        memset(o, 0, sizeof(o));
        memset(p, 'a', sizeof(p));
        cr_assert_gt(gzc_pwrite_async(f, p, sizeof(p), 0, HOW(&o[0])), 0);
        cr_assert_gt(gzc_zerofill_async(f, MIB / 2, MIB, HOW(&o[1])), 0);
        cr_assert_gt(gzc_pwrite_async(f, "bcd", 3, MIB, HOW(&o[2])), 0);
        cr_assert_gt(gzc_lseek_async(f, 0, SEEK_END, HOW(&o[3])), 0);
        cr_assert_eq(gzc_pread(f, q, sizeof(q), 0), sizeof(q));
        memset(p + MIB / 2, 0, MIB);
        memcpy(p + MIB, "bcd", 3);
        cr_assert_eq(memcmp(p, q, sizeof(p)), 0);
        outcome_expect(v, &o[0], sizeof(p));
        outcome_expect(v, &o[1], 0);
        memcpy(p + MIB, "\0\0", 3);
        outcome_expect(v, &o[2], 3);
        outcome_expect(v, &o[3], sizeof(p));
        cr_assert_eq(gzc_ftruncate(f, 0), 0);
    }
}

/* ---- handles --------------------------------------------------------------------------------- */

Test(data, a_second_reference)
{
    char a[10], b[10];
    gzc_file *d = gzc_dup(f), *e;
    cr_assert_not_null(d);
    cr_assert_eq(gzc_read(f, a, 10), 10);
    cr_assert_eq(gzc_read(d, b, 10), 10); /* the position is one */
    cr_assert_eq(pattern_check((unsigned char *)b, 10, 10), 10);
    cr_assert_eq(gzc_close(d), 0);
    cr_assert_eq(gzc_read(f, a, 10), 10);
    cr_assert_eq(gzc_lseek(f, 0, SEEK_CUR), 30);
    e = gzc_dup(gzc_dup(f));
    cr_assert_eq(gzc_unmount(v), -EBUSY);
    struct outcome o[3] = {0};
    cr_assert_gt(gzc_close_async(e, HOW(&o[0])), 0);
    cr_assert_gt(gzc_close_async(f, HOW(&o[1])), 0);
    outcome_expect(v, &o[0], 0);
    outcome_expect(v, &o[1], 0);
    cr_assert_eq(gzc_read(f, a, 10), 10); /* one is left */
    cr_assert_eq(gzc_unmount(v), -EBUSY);
    cr_assert_gt(gzc_close_async(f, HOW(&o[2])), 0);
    outcome_expect(v, &o[2], 0);
    f = open_file(v, path, O_RDWR);
}

Test(data, directories_can_be_opened)
{
    char dir[200], local_dir[510], c = 0;
    struct stat st, by_path;
    gzc_file *d = NULL;
    snprintf(dir, sizeof(dir), "%s.d", path);
    snprintf(local_dir, sizeof(local_dir), "%s.d", local);
    cr_assert_eq(gzc_mkdir(v, dir, 0755), 0);
    cr_assert_eq(mkdir(local_dir, 0755), 0);
    static const int flags[] = {
        O_RDONLY,
        O_RDONLY | O_DIRECTORY,
        O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
        O_WRONLY,
        O_RDWR,
        O_RDWR | O_DIRECTORY,
        O_RDONLY | O_CREAT,
        O_RDWR | O_CREAT,
        O_RDONLY | O_CREAT | O_EXCL,
        O_RDONLY | O_TRUNC,
    };
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        int theirs;
        SAME(gzc_open(v, dir, flags[i], 0644, &d),
             (theirs = open(local_dir, flags[i], 0644)) < 0 ? -1 : 0);
        if (theirs < 0) {
            cr_assert_null(d);
            continue;
        }
        struct iovec iov = {&c, 1};
        SAME(gzc_read(d, &c, 1), read(theirs, &c, 1));
        SAME(gzc_pread(d, &c, 1, 0), pread(theirs, &c, 1, 0));
        SAME(OF(gzc_preadv_async(d, &iov, 1, 0, how)), preadv(theirs, &iov, 1, 0));
        SAME(gzc_pwrite(d, &c, 1, 0), pwrite(theirs, &c, 1, 0));
        SAME(gzc_ftruncate(d, 0), ftruncate(theirs, 0));
        SAME(gzc_fallocate(d, 0, 0, 5), fallocate(theirs, 0, 0, 5));
        SAME(gzc_fsync(d), fsync(theirs));
        SAME(gzc_fdatasync(d), fdatasync(theirs));
        SAME(OF(gzc_fsync_async(d, how)), 0);
        cr_assert_eq(gzc_fstat(d, &st), 0);
        cr_assert_eq(gzc_stat(v, dir, &by_path), 0);
        cr_assert(S_ISDIR(st.st_mode));
        cr_assert_eq(st.st_ino, by_path.st_ino);
        cr_assert_eq(i == 1 ? OF(gzc_close_async(d, how)) : gzc_close(d), 0);
        close(theirs);
    }
    SAME(gzc_open(v, path, O_RDONLY | O_DIRECTORY, 0, &d), open(local, O_RDONLY | O_DIRECTORY));
    cr_assert_eq(gzc_open(v, dir, O_CREAT | O_DIRECTORY, 0644, &d), -EINVAL);
    cr_assert_eq(gzc_rmdir(v, dir), 0);
    rmdir(local_dir);
}

/* Whether the brick has the file open with all of some flags. */
static bool open_on_brick(int flags)
{
    char name[100], line[100];
    struct stat st, file;
    bool found = false;
    cr_assert_eq(stat(brick_path, &file), 0);
    for (int i = 0; i < 1000 && !found; i++) {
        snprintf(name, sizeof(name), "/proc/%s/fd/%d", getenv("LAB_BRICK_PID"), i);
        if (stat(name, &st) < 0 || st.st_ino != file.st_ino || st.st_dev != file.st_dev)
            continue;
        snprintf(name, sizeof(name), "/proc/%s/fdinfo/%d", getenv("LAB_BRICK_PID"), i);
        FILE *info = fopen(name, "re");
        int has = 0;
        while (info && fgets(line, sizeof(line), info))
            if (sscanf(line, "flags: %o", (unsigned *)&has) == 1)
                break;
        if (info)
            fclose(info);
        found = (has & flags) == flags;
    }
    return found;
}

Test(data, flags_of_opening)
{
    char c;
    struct stat before, after;
    gzc_file *g;
    /* long ago, so that reading would move it (relatime) */
    const struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 2000000}};
    cr_assert_eq(utimensat(AT_FDCWD, brick_path, times, 0), 0);
    g = open_file(v, path, O_RDONLY | O_NOATIME);
    cr_assert_eq(gzc_pread(g, &c, 1, 0), 1);
    cr_assert_eq(gzc_close(g), 0);
    cr_assert_eq(stat(brick_path, &after), 0);
    cr_assert_eq(after.st_atime, 1000000);
    /* as much as reading through the file system does */
    cr_assert_eq(utimensat(AT_FDCWD, local, times, 0), 0);
    cr_assert_eq(pread(fd, &c, 1, 0), 1);
    cr_assert_eq(gzc_pread(f, &c, 1, 0), 1);
    cr_assert_eq(stat(local, &before), 0);
    cr_assert_eq(stat(brick_path, &after), 0);
    cr_assert_eq(after.st_atime == 1000000, before.st_atime == 1000000);
    static const int good[] = {O_RSYNC,
                               O_SYNC,
                               O_DSYNC,
                               O_NOATIME,
                               O_NONBLOCK,
                               O_DIRECT,
                               O_CLOEXEC | O_NOCTTY | O_LARGEFILE};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int flags = O_RDWR | good[i];
        g = open_file(v, path, flags);
        cr_assert_eq(open_on_brick(flags), good[i] != (O_CLOEXEC | O_NOCTTY | O_LARGEFILE), "%#o",
                     flags);
        cr_assert_eq(gzc_close(g), 0);
    }
    cr_assert_eq(gzc_open(v, path, O_PATH, 0, &g), -EINVAL);
    cr_assert_eq(gzc_open(v, path, O_ASYNC, 0, &g), -EINVAL);
}
