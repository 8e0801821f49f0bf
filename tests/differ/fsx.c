/*
 * Random operations on the data of one file, by two clients of the volume in turn: libgzc and a
 * FUSE mount. What the file must hold is kept in memory, and every read is compared with it.
 */
#include "backend.h"
#include "random.h"

#include "gzc.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: fsx --uri URI --mount DIRECTORY [option...]\n"
    "\n"
    "Status 0 if every operation did what it should.\n"
    "\n"
    "  --uri URI          the volume, for libgzc\n"
    "  --mount DIRECTORY  where it is mounted by FUSE, without caches\n"
    "  --ops N            operations (default 10000)\n"
    "  --seed N           of the random numbers (default: the time; it is printed)\n";

enum {
    FILE_MAX = 320 << 10, /* bytes */
    TRANSFER = 96 << 10,
    BATCH = 12,   /* asynchronous operations at once */
    HISTORY = 40, /* operations that are told when one has failed */
};

enum client { GZC, FUSE, CLIENTS };
enum handle { PLAIN, APPENDING, HANDLES };

static unsigned char model[FILE_MAX]; /* zeros behind the end */
static int64_t size;
static int64_t position[CLIENTS]; /* of the plain handles */

static gzc_volume *volume;
static gzc_file *files[HANDLES];
static int fds[HANDLES];
static char path[4200]; /* of the file in the mount */
static const char name[] = "/fsx";

static uint64_t randomness;
static unsigned char buffer[FILE_MAX];
static char history[HISTORY][160];
static uint64_t operation;

static uint64_t below(uint64_t n)
{
    return random_below(&randomness, n);
}

/* ---- what has been done ---------------------------------------------------------------------- */

static void note(enum client client, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(enum client client, const char *format, ...)
{
    char *line = history[operation % HISTORY];
    va_list args;

    int n = snprintf(line, sizeof(history[0]), "%llu %s ", (unsigned long long)operation,
                     client == GZC ? "libgzc" : "FUSE");
    va_start(args, format);
    vsnprintf(line + n, sizeof(history[0]) - (size_t)n, format, args);
    va_end(args);
}

static _Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void fail(const char *format, ...)
{
    va_list args;

    for (uint64_t i = operation > HISTORY ? operation - HISTORY + 1 : 0; i <= operation; i++)
        printf("%s\n", history[i % HISTORY]);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\nthe file should have %lld bytes\n", (long long)size);
    fflush(stdout);
    exit(1);
}

static void expect(const char *what, int64_t value, int64_t wanted)
{
    if (value == wanted)
        return;
    fail("%s gave %lld%s%s, not %lld", what, (long long)value, value < 0 ? " " : "",
         value < 0 ? strerrorname_np((int)-value) : "", (long long)wanted);
}

static void expect_bytes(const unsigned char *got, const unsigned char *wanted, int64_t offset,
                         int64_t length)
{
    for (int64_t i = 0; i < length; i++) {
        if (got[i] != wanted[i])
            fail("byte %lld is %#x, not %#x", (long long)(offset + i), got[i], wanted[i]);
    }
}

static int64_t by_errno(int64_t value)
{
    return value < 0 ? -errno : value;
}

/* ---- the file -------------------------------------------------------------------------------- */

static void open_handle(enum client client, enum handle h)
{
    int flags = O_RDWR | (h == APPENDING ? O_APPEND : 0);

    if (client == GZC) {
        expect("open", gzc_open(volume, name, flags, 0, &files[h]), 0);
    } else {
        fds[h] = open(path, flags);
        if (fds[h] < 0)
            fail("open: %s", strerrorname_np(errno));
    }
    if (h == PLAIN)
        position[client] = 0;
}

static void close_handle(enum client client, enum handle h)
{
    if (client == GZC)
        expect("close", gzc_close(files[h]), 0);
    else
        expect("close", by_errno(close(fds[h])), 0);
}

/* What a write leaves behind. */
static void model_write(const void *bytes, int64_t length, int64_t offset)
{
    memcpy(model + offset, bytes, (size_t)length);
    if (length > 0 && offset + length > size)
        size = offset + length;
}

static void model_truncate(int64_t length)
{
    if (length < size)
        memset(model + length, 0, (size_t)(size - length));
    size = length;
}

static void fill(unsigned char *to, int64_t length)
{
    uint64_t seed = random_next(&randomness);

    for (int64_t i = 0; i < length; i += 8) {
        uint64_t x = random_next(&seed);
        memcpy(to + i, &x, (size_t)(length - i < 8 ? length - i : 8));
    }
}

/* A range that ends at FILE_MAX at most. */
static void range(int64_t *offset, int64_t *length, int64_t most)
{
    *offset = (int64_t)below(FILE_MAX);
    if (below(4) == 0)
        *offset = *offset / 4096 * 4096;
    if (below(3) == 0 && size > 0)
        *offset = (int64_t)below((uint64_t)size);
    *length = (int64_t)below(below(8) ? 8192 : (uint64_t)most) + 1;
    if (below(6) == 0)
        *length = (*length + 4095) / 4096 * 4096;
    if (*length > FILE_MAX - *offset)
        *length = FILE_MAX - *offset;
}

/* ---- operations ------------------------------------------------------------------------------ */

/* At an offset, or where the handle is; in one piece or several. */
static void do_read(enum client c)
{
    struct iovec iov[PIECES_MAX];
    int64_t offset, length, value;
    bool here = below(3) == 0;

    range(&offset, &length, TRANSFER);
    if (here)
        offset = position[c];
    if (length > FILE_MAX - offset)
        length = FILE_MAX - offset;
    int n = cut_pieces(iov, buffer, (size_t)length, below(4) ? 1 : (int64_t)below(12));
    note(c, "read %lld at %lld%s in %d", (long long)length, (long long)offset,
         here ? " (position)" : "", n);
    memset(buffer, 0xaa, (size_t)length);
    if (c == GZC && here)
        value = gzc_readv(files[PLAIN], iov, n);
    else if (c == GZC)
        value = gzc_preadv(files[below(HANDLES)], iov, n, offset);
    else if (here)
        value = by_errno(readv(fds[PLAIN], iov, n));
    else
        value = by_errno(preadv(fds[below(HANDLES)], iov, n, offset));
    int64_t wanted = offset >= size ? 0 : size - offset < length ? size - offset : length;
    expect("read", value, wanted);
    expect_bytes(buffer, model + offset, offset, wanted);
    if (here)
        position[c] += wanted;
}

static void do_write(enum client c)
{
    struct iovec iov[PIECES_MAX];
    int64_t offset, length, value;
    unsigned how = (unsigned)below(8);
    bool here = how < 2, append = how == 2;

    range(&offset, &length, TRANSFER);
    if (here)
        offset = position[c];
    if (append)
        offset = size;
    if (length > FILE_MAX - offset)
        length = FILE_MAX - offset;
    fill(buffer, length);
    int n = cut_pieces(iov, buffer, (size_t)length, below(4) ? 1 : (int64_t)below(12));
    note(c, "write %lld at %lld%s in %d", (long long)length, (long long)offset,
         here     ? " (position);"
         : append ? " (append);"
                  : "",
         n);
    if (c == GZC && here)
        value = gzc_writev(files[PLAIN], iov, n);
    else if (c == GZC)
        value = gzc_pwritev(files[append ? APPENDING : PLAIN], iov, n, offset);
    else if (here)
        value = by_errno(writev(fds[PLAIN], iov, n));
    else
        value = by_errno(pwritev(fds[append ? APPENDING : PLAIN], iov, n, offset));
    expect("write", value, length);
    model_write(buffer, length, offset);
    if (here)
        position[c] += length;
}

static void do_seek(enum client c)
{
    int64_t to = (int64_t)below(FILE_MAX), value;
    int whence = (int)below(3);
    int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position[c] : size;

    note(c, "lseek to %lld, whence %d", (long long)to, whence);
    if (c == GZC)
        value = gzc_lseek(files[PLAIN], to - base, whence);
    else
        value = by_errno(lseek(fds[PLAIN], to - base, whence));
    expect("lseek", value, to);
    position[c] = to;
}

static void do_truncate(enum client c)
{
    int64_t to = (int64_t)below(below(3) ? FILE_MAX : (uint64_t)size + 1);
    bool by_name = below(3) == 0;
    int64_t value;

    note(c, "truncate to %lld%s", (long long)to, by_name ? " by name" : "");
    if (c == GZC)
        value = by_name ? gzc_truncate(volume, name, to) : gzc_ftruncate(files[PLAIN], to);
    else
        value = by_errno(by_name ? truncate(path, to) : ftruncate(fds[PLAIN], to));
    expect("truncate", value, 0);
    model_truncate(to);
}

static void do_fallocate(enum client c)
{
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_ZERO_RANGE};
    /* FALLOC_FL_ZERO_RANGE allocates through FUSE (fuse-bridge.c: fuse_fallocate_resume) */
    int mode = modes[below(c == GZC ? 4 : 3)];
    int64_t offset, length, value;

    range(&offset, &length, TRANSFER);
    note(c, "fallocate mode %d, %lld at %lld", mode, (long long)length, (long long)offset);
    if (c == GZC)
        value = gzc_fallocate(files[PLAIN], mode, offset, length);
    else
        value = by_errno(fallocate(fds[PLAIN], mode, offset, length));
    expect("fallocate", value, 0);
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        memset(model + offset, 0, (size_t)length);
    if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + length > size)
        size = offset + length;
}

static void do_copy(enum client c)
{
    int64_t from, to, length, value;

    range(&from, &length, TRANSFER);
    to = (int64_t)below(FILE_MAX);
    if (length > FILE_MAX - to)
        length = FILE_MAX - to;
    bool overlap = from < to + length && to < from + length;
    note(c, "copy %lld from %lld to %lld", (long long)length, (long long)from, (long long)to);
    if (c == GZC) {
        value = gzc_copy_file_range(files[PLAIN], from, files[PLAIN], to, (size_t)length);
    } else {
        /* the kernel cuts the range at the size that it knows of, and does not ask */
        struct stat st;
        loff_t in = from, out = to;
        expect("fstat", by_errno(fstat(fds[PLAIN], &st)), 0);
        value = by_errno(copy_file_range(fds[PLAIN], &in, fds[PLAIN], &out, (size_t)length, 0));
    }
    int64_t wanted = from >= size ? 0 : size - from < length ? size - from : length;
    if (overlap && value == -EINVAL) /* also if the end of the file cuts them apart */
        return;
    expect("copy", value, wanted);
    model_write(memmove(buffer, model + from, (size_t)wanted), wanted, to);
}

static void do_sync(enum client c)
{
    bool data = below(2);

    note(c, "%s", data ? "fdatasync" : "fsync");
    if (c == GZC)
        expect("fsync", data ? gzc_fdatasync(files[PLAIN]) : gzc_fsync(files[PLAIN]), 0);
    else
        expect("fsync", by_errno(data ? fdatasync(fds[PLAIN]) : fsync(fds[PLAIN])), 0);
}

static void do_stat(enum client c)
{
    struct stat st;

    note(c, "fstat");
    if (c == GZC)
        expect("fstat", gzc_fstat(files[PLAIN], &st), 0);
    else
        expect("fstat", by_errno(fstat(fds[PLAIN], &st)), 0);
    expect("size", st.st_size, size);
}

static void do_reopen(enum client c)
{
    enum handle h = (enum handle)below(HANDLES);

    note(c, "close and open %s", h == PLAIN ? "plain" : "appending");
    close_handle(c, h);
    open_handle(c, h);
}

static bool all_zero(int64_t from, int64_t to)
{
    while (from < to && !model[from])
        from++;
    return from >= to;
}

/* Where holes are is the file system's affair; but what is skipped as one must be zeros. */
static void do_seek_hole(enum client c)
{
    int64_t from = (int64_t)below(FILE_MAX), value;
    int whence = below(2) ? SEEK_DATA : SEEK_HOLE;

    note(c, "lseek from %lld for %s", (long long)from, whence == SEEK_DATA ? "data" : "a hole");
    if (c == GZC)
        value = gzc_lseek(files[PLAIN], from, whence);
    else
        value = by_errno(lseek(fds[PLAIN], from, whence));
    if (value >= 0)
        position[c] = value;
    if (from >= size) {
        expect("lseek", value, -ENXIO);
    } else if (whence == SEEK_HOLE) {
        if (value < from || value > size)
            fail("a hole at %lld", (long long)value);
    } else if (value == -ENXIO ? !all_zero(from, size)
                               : value < from || value >= size || !all_zero(from, value)) {
        fail("data at %lld", (long long)value);
    }
}

/* ---- several at once, by libgzc -------------------------------------------------------------- */

struct async {
    bool write, done;
    int64_t offset, length, result;
    unsigned char *bytes, *wanted;
};

static void async_done(void *arg, ssize_t result, const char *error)
{
    struct async *a = arg;

    (void)error;
    a->result = result;
    a->done = true;
}

/* A write does not wait for a read that was begun before it; everything else keeps its order. */
static bool disturbs(const struct async *batch, int n, const struct async *a)
{
    for (int i = 0; i < n; i++) {
        if (a->write && !batch[i].write && a->offset < batch[i].offset + batch[i].length &&
            batch[i].offset < a->offset + a->length)
            return true;
    }
    return false;
}

/* Inside of the file, so that its length does not depend on what comes first. */
static void do_batch(void)
{
    enum { MOST = 8192 };
    static unsigned char bytes[BATCH][MOST], wanted[BATCH][MOST];
    struct async batch[BATCH];
    int count = 2 + (int)below(BATCH - 1);

    note(GZC, "%d at once", count);
    for (int i = 0; i < count && size > 0; i++) {
        struct async *a = &batch[i];
        *a = (struct async){.write = below(2), .bytes = bytes[i], .wanted = wanted[i]};
        a->offset = (int64_t)below((uint64_t)size);
        a->length = 1 + (int64_t)below(MOST);
        if (a->length > size - a->offset)
            a->length = size - a->offset;
        a->write = a->write && !disturbs(batch, i, a);
        struct gzc_async how = {.done = async_done, .arg = a, .flags = below(2) ? GZC_MORE : 0};
        gzc_ticket ticket;
        if (a->write) {
            fill(a->bytes, a->length);
            model_write(a->bytes, a->length, a->offset);
            ticket = gzc_pwrite_async(files[PLAIN], a->bytes, (size_t)a->length, a->offset, &how);
        } else {
            memcpy(a->wanted, model + a->offset, (size_t)a->length);
            ticket = gzc_pread_async(files[PLAIN], a->bytes, (size_t)a->length, a->offset, &how);
        }
        if (ticket < 0)
            fail("begun: %s", strerrorname_np((int)-ticket));
    }
    for (int i = 0; i < count && size > 0; i++) {
        struct async *a = &batch[i];
        while (!a->done)
            gzc_poll(volume, 0, -1);
        expect(a->write ? "asynchronous write" : "asynchronous read", a->result, a->length);
        if (!a->write)
            expect_bytes(a->bytes, a->wanted, a->offset, a->length);
    }
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void check_all(enum client c)
{
    int64_t value;

    note(c, "read all");
    if (c == GZC)
        value = gzc_pread(files[PLAIN], buffer, FILE_MAX, 0);
    else
        value = by_errno(pread(fds[PLAIN], buffer, FILE_MAX, 0));
    expect("read", value, size);
    expect_bytes(buffer, model, 0, size);
}

static void step(void)
{
    enum client c = (enum client)below(CLIENTS);

    switch (below(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        do_read(c);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        do_write(c);
        break;
    case 9:
        do_seek(c);
        break;
    case 10:
    case 11:
        do_truncate(c);
        break;
    case 12:
    case 13:
        do_fallocate(c);
        break;
    case 14:
        do_copy(c);
        break;
    case 15:
        do_stat(c);
        break;
    case 16:
        do_seek_hole(c);
        break;
    case 17:
        if (below(4))
            do_reopen(c);
        else if (below(8) == 0)
            do_sync(c);
        else
            do_stat(c);
        break;
    default:
        do_batch();
        break;
    }
}

static void run(uint64_t ops)
{
    time_t begin = time(NULL), told = begin;
    gzc_file *file;

    expect("create", gzc_create(volume, name, 0644, &file), 0);
    expect("close", gzc_close(file), 0);
    for (int c = 0; c < CLIENTS; c++) {
        for (int h = 0; h < HANDLES; h++)
            open_handle((enum client)c, (enum handle)h);
    }
    for (operation = 1; operation <= ops; operation++) {
        step();
        if (operation % 500 == 0)
            check_all((enum client)(operation / 500 % CLIENTS));
        if (operation == ops || (operation % 1000 == 0 && time(NULL) >= told + 10)) {
            told = time(NULL);
            printf("%llu of %llu operations, %lld s\n", (unsigned long long)operation,
                   (unsigned long long)ops, (long long)(told - begin));
            fflush(stdout);
        }
    }
    for (int c = 0; c < CLIENTS; c++) {
        for (int h = 0; h < HANDLES; h++)
            close_handle((enum client)c, (enum handle)h);
    }
    expect("unlink", gzc_unlink(volume, name), 0);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"uri", required_argument, NULL, 'u'}, {"mount", required_argument, NULL, 'm'},
        {"ops", required_argument, NULL, 'n'}, {"seed", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0},
    };
    const char *uri = NULL, *mount = NULL;
    uint64_t ops = 10000, seed = (uint64_t)time(NULL);
    char text[512];
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
        switch (c) {
        case 'u':
            uri = optarg;
            break;
        case 'm':
            mount = optarg;
            break;
        case 'n':
            ops = strtoull(optarg, NULL, 0);
            break;
        case 's':
            seed = strtoull(optarg, NULL, 0);
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (!uri || !mount || optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    randomness = seed;
    snprintf(path, sizeof(path), "%s%s", mount, name);
    printf("--seed %llu --ops %llu\n", (unsigned long long)seed, (unsigned long long)ops);
    fflush(stdout);
    int rc = gzc_mount(uri, &volume);
    gzc_error(volume, text, sizeof(text));
    if (rc < 0)
        errx(1, "%s: %s", uri, text);
    run(ops);
    gzc_unmount(volume);
    return 0;
}
