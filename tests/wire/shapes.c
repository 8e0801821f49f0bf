/* Transfers of every shape: pieces of the iovec, sizes, offsets. */
#include "tests/wire/rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* Reads and writes through an iovec, at offsets of the file that are the pattern's. */
static void transfer(struct rig *rig, const size_t *lengths, int n, uint64_t offset)
{
    struct guard g;
    struct gzc_stats before = rig_file_stats(rig);
    guard_make(&g, lengths, n);
    rig_fill(rig->content, offset, g.total);
    rig_expect_read(rig, &g, (off_t)offset);
    guard_fill(&g, offset + 13);
    ssize_t written = gzc_pwritev(rig->file, g.iov, g.n, (off_t)offset);
    cr_assert_eq(written, (ssize_t)g.total, "%d pieces: %zd", n, written);
    cr_assert(rig_file_holds(rig->content, offset, g.total, offset + 13), "%d pieces", n);
    cr_assert(guard_holds(&g, offset + 13, g.total) && guard_intact(&g));
    struct gzc_stats after = rig_file_stats(rig);
    cr_assert_eq(after.bytes_landed - before.bytes_landed, 2 * g.total);
    cr_assert_eq(after.bytes_staged, before.bytes_staged);
    cr_assert_eq(after.calls - before.calls, 2 * ((g.total + MIB - 1) / MIB));
    guard_free(&g);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

/* IOV_MAX of Linux is 1024; the library's own windows are smaller. */
static const int counts[] = {1,   2,   3,   63,  64,   65,   254,  255,
                             256, 257, 258, 512, 1023, 1024, 1025, 5000};
#define COUNTS (sizeof(counts) / sizeof(*counts))
#define MOST   5000

static void each_count(size_t (*length)(int i))
{
    struct rig rig;
    size_t lengths[MOST];
    rig_up(&rig, NULL, "", 100);
    for (int i = 0; i < MOST; i++)
        lengths[i] = length(i);
    for (size_t i = 0; i < COUNTS; i++)
        transfer(&rig, lengths, counts[i], 7);
    rig_down(&rig);
}

static size_t one_byte(int i)
{
    (void)i;
    return 1;
}

static size_t odd(int i)
{
    return (size_t)i * 37 % 101 + 1;
}

static size_t often_nothing(int i)
{
    return i % 3 ? 0 : 5;
}

static size_t mostly_nothing(int i)
{
    return i == 0 || i == 4000 ? 9 : 0;
}

/* More than a call's worth: pieces go over the border of 1 MiB. */
static size_t large(int i)
{
    return 1000 + (size_t)i % 7;
}

Test(shapes, pieces_of_one_byte)
{
    each_count(one_byte);
}

Test(shapes, pieces_of_odd_lengths)
{
    each_count(odd);
}

Test(shapes, pieces_of_nothing)
{
    each_count(often_nothing);
}

Test(shapes, hardly_any_piece_of_something)
{
    each_count(mostly_nothing);
}

Test(shapes, pieces_over_several_calls)
{
    each_count(large);
}

/* Nothing at all, in any number of pieces, is nothing: no call is made. */
Test(shapes, no_bytes)
{
    struct rig rig;
    struct iovec iov[3] = {{0}};
    rig_up(&rig, NULL, "", 100);
    struct gzc_stats before = rig_stats(&rig);
    for (int n = 0; n <= 3; n++) {
        cr_assert_eq(gzc_preadv(rig.file, iov, n, 0), 0);
        cr_assert_eq(gzc_pwritev(rig.file, iov, n, 0), 0);
    }
    cr_assert_eq(gzc_preadv(rig.file, NULL, 0, 0), 0);
    cr_assert_eq(rig_stats(&rig).calls, before.calls);
    rig_down(&rig);
}

/* Several pieces may be the same memory: of a write always, of a read the last one wins. */
Test(shapes, write_of_the_same_memory_again_and_again)
{
    enum { TIMES = 2000 };
    struct rig rig;
    struct guard g;
    struct iovec iov[TIMES];
    rig_up(&rig, NULL, "", 0);
    guard_make_one(&g, 100);
    guard_fill(&g, 0);
    for (int i = 0; i < TIMES; i++)
        iov[i] = g.iov[0];
    cr_assert_eq(gzc_pwritev(rig.file, iov, TIMES, 0), TIMES * 100);
    for (uint64_t i = 0; i < TIMES; i++)
        cr_assert(rig_file_holds(rig.content, i * 100, 100, 0));
    guard_free(&g);
    rig_down(&rig);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

Test(shapes, sizes_around_a_call)
{
    static const size_t sizes[] = {
        1,           2,           511,     512,         513,         4095,        4096,
        65535,       65536,       MIB - 1, MIB,         MIB + 1,     2 * MIB - 1, 2 * MIB,
        2 * MIB + 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 5 * MIB + 3, 9 * MIB,
    };
    struct rig rig;
    rig_up(&rig, NULL, "", 100);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        transfer(&rig, &sizes[i], 1, 11);
    rig_down(&rig);
}

Test(shapes, sizes_over_several_connections)
{
    const size_t size = 17 * MIB + 5;
    struct rig rig;
    rig_up(&rig, NULL, "?nconnect=3", 100);
    transfer(&rig, &size, 1, 3);
    rig_down(&rig);
}

/* Replies in the opposite order of the calls, as far as they are under way together. */
struct turned {
    struct peer_conn *conn;
    struct peer_record kept;
};

static bool turn(struct peer_call *call, void *arg)
{
    struct turned *t = arg;
    struct peer_record r = {0};
    if (!peer_is_fop(call, PEER_READ))
        return false;
    peer_execute(call, &r);
    if (t->kept.length == 0) {
        t->kept = r;
        return true;
    }
    peer_send_record(call->conn, &r);
    peer_send_record(call->conn, &t->kept);
    return true;
}

Test(shapes, replies_out_of_order)
{
    struct rig rig;
    struct guard g;
    struct turned t = {0};
    rig_up(&rig, NULL, "", 12 * MIB);
    guard_make_one(&g, 12 * MIB); /* an even number of calls */
    rig_hook(&rig, turn, &t);
    rig_expect_read(&rig, &g, 0);
    guard_free(&g);
    rig_down(&rig);
}

/* ---- the end of the file --------------------------------------------------------------------- */

static void expect_short(struct rig *rig, size_t size, size_t want, uint64_t offset)
{
    struct guard g;
    const size_t lengths[] = {want / 3, want - want / 3};
    guard_make(&g, lengths, 2);
    size_t there = offset < size ? size - (size_t)offset : 0;
    size_t expected = there < want ? there : want;
    ssize_t n = gzc_preadv(rig->file, g.iov, 2, (off_t)offset);
    cr_assert_eq(n, (ssize_t)expected, "%zu bytes at %zu of %zu: %zd", want, (size_t)offset, size,
                 n);
    cr_assert(guard_holds(&g, offset, expected));
    cr_assert(guard_untouched(&g, expected), "memory behind the end of the file has changed");
    cr_assert(guard_intact(&g));
    guard_free(&g);
}

Test(shapes, end_of_file)
{
    static const size_t sizes[] = {0, 1, 100, 4096, MIB, MIB + 1, 2 * MIB - 1, 3 * MIB + 17};
    struct rig rig;
    rig_up(&rig, NULL, "", 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        size_t size = sizes[i];
        cr_assert_eq(ftruncate(rig.content, 0), 0);
        rig_fill(rig.content, 0, size);
        expect_short(&rig, size, size + 1, 0);
        expect_short(&rig, size, 10, size);
        expect_short(&rig, size, 10, size + 1);
        expect_short(&rig, size, 10, size > 3 ? size - 3 : 0);
        expect_short(&rig, size, 6 * MIB, 0);
        expect_short(&rig, size, 6 * MIB, size / 2);
    }
    rig_down(&rig);
}

/* Short in the middle: the second of several calls gives less. What was read in order counts. */
static bool second_is_short(struct peer_call *call, void *arg)
{
    unsigned *seen = arg;
    struct peer_record r = {0}, cut = {0};
    if (!peer_is_fop(call, PEER_READ) || ++*seen != 2)
        return false;
    peer_execute(call, &r);
    peer_make_read(&cut, call->xid, 100, 0, r.at + PEER_AT_READ_PAYLOAD, 100, 0);
    peer_send_record(call->conn, &cut);
    peer_record_free(&r);
    return true;
}

Test(shapes, short_in_the_middle)
{
    struct rig rig;
    struct guard g;
    unsigned seen = 0;
    rig_up(&rig, NULL, "", 4 * MIB);
    guard_make_one(&g, 4 * MIB);
    rig_hook(&rig, second_is_short, &seen);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), (ssize_t)MIB + 100);
    cr_assert(guard_holds(&g, 0, MIB + 100));
    cr_assert(guard_intact(&g));
    guard_free(&g);
    rig_down(&rig);
}

/* A brick that writes less than it was given says so. */
static bool write_half(struct peer_call *call, void *arg)
{
    struct peer_record r = {0};
    (void)arg;
    if (!peer_is_fop(call, PEER_WRITE))
        return false;
    peer_execute(call, &r);
    peer_poke(&r, PEER_AT_OP_RET, call->size / 2);
    peer_send_record(call->conn, &r);
    return true;
}

Test(shapes, short_write)
{
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "", 0);
    guard_make_one(&g, 3 * MIB);
    guard_fill(&g, 0);
    rig_hook(&rig, write_half, NULL);
    cr_assert_eq(gzc_pwritev(rig.file, g.iov, 1, 0), (ssize_t)MIB / 2);
    guard_free(&g);
    rig_down(&rig);
}

/* ---- offsets --------------------------------------------------------------------------------- */

Test(shapes, large_offsets)
{
    static const uint64_t offsets[] = {
        (UINT64_C(1) << 31) - 5, UINT64_C(1) << 31, (UINT64_C(1) << 32) - 5, UINT64_C(1) << 32,
        (UINT64_C(1) << 32) + 1, UINT64_C(1) << 40, (UINT64_C(1) << 43) - 3,
    };
    const size_t lengths[] = {3, 0, 97, MIB};
    struct rig rig;
    rig_up(&rig, NULL, "", 100);
    for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
        transfer(&rig, lengths, 4, offsets[i]);
        struct stat st;
        cr_assert_eq(gzc_fstat(rig.file, &st), 0);
        cr_assert_eq((uint64_t)st.st_size, offsets[i] + 100 + MIB);
    }
    rig_down(&rig);
}

Test(shapes, impossible_offsets_and_sizes)
{
    struct rig rig;
    char byte = 0;
    struct iovec iov = {&byte, 1};
    struct iovec huge[] = {{&byte, SIZE_MAX / 2}, {&byte, SIZE_MAX / 2}, {&byte, 3}};
    rig_up(&rig, NULL, "", 100);
    struct gzc_stats before = rig_stats(&rig);
    cr_assert_eq(gzc_preadv(rig.file, &iov, 1, -1), -EINVAL);
    cr_assert_eq(gzc_pwritev(rig.file, &iov, 1, -1), -EINVAL);
    cr_assert_eq(gzc_preadv(rig.file, &iov, -1, 0), -EINVAL);
    cr_assert_eq(gzc_preadv(rig.file, huge, 3, 0), -EINVAL);
    cr_assert_eq(gzc_pwritev(rig.file, huge, 2, 0), -EINVAL);
    cr_assert_eq(gzc_pwritev(rig.file, &iov, 1, INT64_MAX), -EINVAL);
    cr_assert_eq(rig_stats(&rig).calls, before.calls);
    rig_down(&rig);
}
