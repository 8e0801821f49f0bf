/*
 * Zero-copy, seen from outside: where the kernel put the bytes of READ replies, and where it took
 * those of WRITE calls from. The interposer has recorded every call on every socket; the test
 * knows the caller's buffers. Payload must have moved between the socket and them, each byte once,
 * and nothing else may have; what moved between the socket and other memory is headers.
 */
#include "tests/fault/interpose.h"
#include "tests/lab/volume.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ARENA = 12 << 20,     /* the caller's memory: buffers with gaps between them */
    MAX_PIECES = 2000,    /* beyond IOV_MAX */
    MAX_HEADER = 512,     /* bytes of a call or reply without payload: about 200 as it is */
    PAYLOAD_RUN = 16,     /* this many bytes of the pattern in a row are no coincidence */
    FILE_SIZE = 16 << 20, /* of the file that is read */
    GAP = 0xee,           /* fills the gaps */
};

static gzc_volume *v;
static gzc_file *f;
static char log_path[] = "/tmp/gzc-addresses.XXXXXX";
static FILE *records;
static unsigned char *arena;
static unsigned char moved[ARENA];     /* how often each byte of the arena was moved */
static uint64_t caller_bytes;          /* moved to or from the arena */
static uint64_t header_bytes[3];       /* by direction: to or from other memory */
static uint64_t socket_bytes[3][1024]; /* by direction and socket, since the log began */

static void setup(void)
{
    int fd = mkstemp(log_path);
    cr_assert_geq(fd, 0);
    records = fdopen(fd, "r");
    interpose_log(log_path);
    unlink(log_path);
    arena = aligned_alloc(4096, ARENA);
    srandom(1);
    v = mount_brick("");
    f = open_file(v, own_path("addresses"), O_CREAT | O_TRUNC | O_RDWR);
}

static void teardown(void)
{
    gzc_close(f);
    gzc_unlink(v, own_path("addresses"));
    gzc_unmount(v);
    free(arena);
    fclose(records);
}

TestSuite(addresses, .init = setup, .fini = teardown, .timeout = 120);

static size_t random_up_to(size_t n)
{
    return (size_t)random() % (n + 1);
}

/* Cuts `size` bytes into pieces of random lengths, some of them empty, at random places of the
 * arena, in random order, with gaps between them. Returns their number. */
static int cut(struct iovec *iov, int pieces, size_t size)
{
    size_t gaps = ARENA - size, at = 0;

    for (int i = 0; i < pieces; i++) {
        size_t gap =
            random_up_to(gaps / (size_t)pieces * 2 < gaps ? gaps / (size_t)pieces * 2 : gaps);
        size_t length = i == pieces - 1 ? size : random_up_to(size / (size_t)(pieces - i) * 2);
        if (length > size || random() % 8 == 0)
            length = i == pieces - 1 ? size : 0;
        iov[i] = (struct iovec){arena + at + gap, length};
        at += gap + length;
        gaps -= gap;
        size -= length;
    }
    for (int i = pieces - 1; i > 0; i--) {
        int j = (int)random_up_to((size_t)i);
        struct iovec swap = iov[i];
        iov[i] = iov[j];
        iov[j] = swap;
    }
    return pieces;
}

/* Longest run of the file's pattern in a sample: within 256 bytes it goes up by 7. */
static size_t pattern_run(const unsigned char *p, size_t n)
{
    size_t run = 1, longest = 0;
    for (size_t i = 1; i < n; i++) {
        run = (unsigned char)(p[i] - p[i - 1]) == 7 ? run + 1 : 1;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* The record is of one of the caller's buffers: count its bytes, and look at those in the sample.
 */
static void note_caller(const struct interpose_record *r, const struct iovec *iov, int n,
                        off_t offset)
{
    const unsigned char *p = (const unsigned char *)r->address;
    uint64_t at = (uint64_t)offset;
    size_t sample = r->length < INTERPOSE_SAMPLE ? r->length : INTERPOSE_SAMPLE;
    int i = 0;

    while (i < n && !(p >= (unsigned char *)iov[i].iov_base &&
                      p + r->length <= (unsigned char *)iov[i].iov_base + iov[i].iov_len))
        at += iov[i++].iov_len;
    cr_assert_lt(i, n, "%lu bytes moved at a place of the arena that is no buffer", r->length);
    at += (uint64_t)(p - (unsigned char *)iov[i].iov_base);
    cr_assert_eq(pattern_check(r->sample, sample, at), sample,
                 "something else than payload was there first");
    for (size_t k = 0; k < r->length; k++)
        moved[p - arena + (ptrdiff_t)k]++;
    caller_bytes += r->length;
}

/* Reads what has been recorded since the last time. Payload may have moved in one direction only,
 * between the socket and the buffers; direction 0 is none. */
static void account(int direction, const struct iovec *iov, int n, off_t offset)
{
    struct interpose_record r;

    clearerr(records);
    while (fread(&r, sizeof(r), 1, records) == 1) {
        const unsigned char *p = (const unsigned char *)r.address;
        if (r.pid != (uint32_t)getpid())
            continue;
        cr_assert_lt(r.fd, 1024);
        socket_bytes[r.direction][r.fd] += r.length;
        if (p + r.length <= arena || p >= arena + ARENA) {
            size_t sample = r.length < INTERPOSE_SAMPLE ? r.length : INTERPOSE_SAMPLE;
            cr_assert_lt(pattern_run(r.sample, sample), PAYLOAD_RUN, "payload outside of buffers");
            header_bytes[r.direction] += r.length;
        } else {
            cr_assert_eq(r.direction, (uint32_t)direction);
            note_caller(&r, iov, n, offset);
        }
    }
}

static struct gzc_stats stats(void)
{
    struct gzc_stats s;
    gzc_volume_stats(v, &s, sizeof(s));
    return s;
}

/* One read or write of `size` bytes in that many pieces, and where its bytes went. */
static void move(int direction, size_t size, int pieces, off_t offset, size_t expected)
{
    static struct iovec iov[MAX_PIECES];
    int n = cut(iov, pieces, size);
    uint64_t at = (uint64_t)offset, before = caller_bytes;
    ssize_t done;

    memset(arena, GAP, ARENA);
    memset(moved, 0, ARENA);
    if (direction == INTERPOSE_SENT) {
        for (int i = 0; i < n; at += iov[i++].iov_len)
            pattern_fill(iov[i].iov_base, iov[i].iov_len, at);
        done = gzc_pwritev(f, iov, n, offset);
    } else {
        done = gzc_preadv(f, iov, n, offset);
    }
    cr_assert_eq(done, (ssize_t)expected);
    account(direction, iov, n, offset);
    cr_assert_eq(caller_bytes - before, expected);

    /* Every byte of the buffers once; as much of them as there was payload for. */
    at = (uint64_t)offset;
    for (int i = 0; i < n; i++) {
        for (size_t k = 0; k < iov[i].iov_len; k++, at++) {
            const unsigned char *p = (unsigned char *)iov[i].iov_base + k;
            int here = at < (uint64_t)offset + expected;
            cr_assert_eq(moved[p - arena], here, "moved %d times", moved[p - arena]);
            cr_assert_eq(*p, here ? pattern_at(at) : GAP);
        }
    }
}

/* The recorder has missed nothing: its sums are the kernel's, of every socket. */
static void nothing_missed(void)
{
    for (int fd = 0; fd < 1024; fd++) {
        struct tcp_info info = {0};
        socklen_t n = sizeof(info);
        if (!socket_bytes[INTERPOSE_RECEIVED][fd])
            continue;
        cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
        cr_assert_eq(socket_bytes[INTERPOSE_RECEIVED][fd], info.tcpi_bytes_received);
        cr_assert_eq(socket_bytes[INTERPOSE_SENT][fd],
                     info.tcpi_bytes_sent - info.tcpi_bytes_retrans);
    }
}

/* Moves all kinds of sizes and pieces in one direction; then looks at the sums. */
static void move_all(int direction)
{
    struct gzc_stats before, after;
    uint64_t payload = 0, headers[3];

    /* What is before belongs to no buffer. */
    account(0, NULL, 0, 0);
    memcpy(headers, header_bytes, sizeof(headers));
    before = stats();

    for (int i = 0; i < 64; i++, payload += 1 << 20)
        move(direction, 1 << 20, 1 + (int)random_up_to(63), (off_t)random_up_to(15 << 20), 1 << 20);
    for (int i = 0; i < 256; i++, payload += 4096)
        move(direction, 4096, 1 + (int)random_up_to(7), (off_t)random_up_to(15 << 20), 4096);
    /* More pieces than one system call takes, and more bytes than one call to the brick. */
    move(direction, 1 << 20, MAX_PIECES, 12345, 1 << 20);
    move(direction, 5 << 20, 33, 54321, 5 << 20);
    payload += 6 << 20;
    /* The end of the file in the middle. */
    if (direction == INTERPOSE_RECEIVED) {
        move(direction, 1 << 20, 17, FILE_SIZE - 100001, 100001);
        payload += 100001;
    }

    after = stats();
    cr_assert_eq(after.bytes_landed - before.bytes_landed, payload);
    cr_assert_eq(after.bytes_staged, 0);
    cr_assert_leq(header_bytes[INTERPOSE_SENT] - headers[INTERPOSE_SENT],
                  (after.calls - before.calls) * MAX_HEADER);
    cr_assert_leq(header_bytes[INTERPOSE_RECEIVED] - headers[INTERPOSE_RECEIVED],
                  (after.replies - before.replies + after.callbacks - before.callbacks) *
                      MAX_HEADER);
    nothing_missed();
}

Test(addresses, reads_land_in_the_callers_buffers)
{
    move(INTERPOSE_SENT, FILE_SIZE / 2, 1, 0, FILE_SIZE / 2);
    move(INTERPOSE_SENT, FILE_SIZE / 2, 1, FILE_SIZE / 2, FILE_SIZE / 2);
    move_all(INTERPOSE_RECEIVED);
}

Test(addresses, writes_leave_from_the_callers_buffers)
{
    move_all(INTERPOSE_SENT);
}
