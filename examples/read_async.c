/*
 * read_async URI FILE - copies a file of a volume to a local one, with 16 reads under way.
 *
 * Each read has a slot with a buffer of its own. When it completes its callback writes the buffer
 * out and begins the slot's next read; so there are always 16, until the end of the file shows.
 * Which of them completes first does not matter: each knows its offset.
 */
#include <errno.h>
#include <fcntl.h>
#include <gzc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 16, BLOCK = 256 * 1024 };

struct copy {
    gzc_file *from;
    int to;
    off_t next;         /* offset of the next read */
    unsigned under_way; /* reads */
    bool end, failed;   /* begin no more reads; and why */
    unsigned long long copied;
};

struct slot {
    struct copy *copy;
    off_t offset;
    char buffer[BLOCK];
};

static void fail(struct copy *copy, const char *text)
{
    if (!copy->failed)
        fprintf(stderr, "%s\n", text);
    copy->failed = copy->end = true;
}

static bool write_all(int fd, const char *data, size_t size, off_t offset)
{
    while (size) {
        ssize_t n = pwrite(fd, data, size, offset);
        if (n < 0)
            return false;
        data += n;
        size -= (size_t)n;
        offset += n;
    }
    return true;
}

static void begin_read(struct slot *slot);

/* Called by gzc_poll(). The payload is in the buffer: it has been received right there. */
static void read_done(void *arg, ssize_t result, const char *error)
{
    struct slot *slot = arg;
    struct copy *copy = slot->copy;

    copy->under_way--;
    if (result < 0)
        fail(copy, error);
    else if (!write_all(copy->to, slot->buffer, (size_t)result, slot->offset))
        fail(copy, strerror(errno));
    else
        copy->copied += (unsigned long long)result;
    if (result < BLOCK) /* a read is short at the end of the file only */
        copy->end = true;
    if (!copy->end)
        begin_read(slot);
}

static void begin_read(struct slot *slot)
{
    struct copy *copy = slot->copy;
    /* GZC_MORE: what is begun goes out together, in gzc_poll() or at the end of the callbacks. */
    struct gzc_async how = {.done = read_done, .arg = slot, .flags = GZC_MORE};

    slot->offset = copy->next;
    copy->next += BLOCK;
    copy->under_way++;
    gzc_ticket rc = gzc_pread_async(copy->from, slot->buffer, BLOCK, slot->offset, &how);
    if (rc < 0) /* nothing has begun: the library does not call read_done() */
        read_done(slot, (ssize_t)rc, "a read cannot be begun");
}

int main(int argc, char **argv)
{
    static struct slot slots[SLOTS];
    struct copy copy = {0};
    gzc_volume *volume;
    char text[512];

    if (argc != 3)
        return fprintf(stderr, "usage: read_async URI FILE\n"), 2;
    copy.to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (copy.to < 0)
        return perror(argv[2]), 1;
    if (gzc_mount(argv[1], &volume) < 0 ||
        gzc_open(volume, gzc_uri_path(volume), O_RDONLY, 0, &copy.from) < 0) {
        gzc_error(volume, text, sizeof(text));
        fail(&copy, text);
    }

    for (int i = 0; i < SLOTS && !copy.end; i++) {
        slots[i].copy = &copy;
        begin_read(&slots[i]);
    }
    while (copy.under_way)
        gzc_poll(volume, 0, -1); /* runs all callbacks that are due; waits until there is one */

    if (close(copy.to) < 0)
        fail(&copy, strerror(errno));
    gzc_close(copy.from);
    gzc_unmount(volume); /* of a volume whose mount has failed, too */
    if (!copy.failed)
        printf("%llu bytes\n", copy.copied);
    return copy.failed;
}
