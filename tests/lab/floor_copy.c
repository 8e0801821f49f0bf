/*
 * floor_copy - moves a file through the socket floor of the benchmarks, so that a script can look
 * whether the bytes are right.
 *
 * usage: floor-copy MODE URI PATH BLOCK DEPTH SPIN
 *   read    the file goes to the standard output, which is a regular file
 *   write   the standard input, a regular file, goes to the file
 *   double  what the file holds is written behind it once more, reads and writes at the same time
 */
#include "bench/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LENGTH_MAX (INT64_C(1) << 30) /* of the file */
#define DEPTH_MAX  64

static enum { READ, WRITE, DOUBLE } mode;
static size_t block;
static off_t next, length = LENGTH_MAX;
static unsigned outstanding;
static bool done;

static void die(const char *what, ssize_t result)
{
    fprintf(stderr, "floor-copy: %s: %s\n", what, result ? strerror((int)-result) : "bad");
    exit(1);
}

static void check(const char *what, ssize_t got, ssize_t wanted)
{
    if (got != wanted)
        die(what, got < 0 ? got : 0);
}

/* The request's next block. @return false: there is none. */
static bool begin(struct request *r)
{
    if (next >= length)
        return false;
    r->offset = next;
    r->length = mode == DOUBLE && length - next < (off_t)block ? (size_t)(length - next) : block;
    r->write = mode == WRITE;
    next += (off_t)block;
    if (mode != WRITE)
        return true;
    ssize_t n = pread(STDIN_FILENO, r->buffer, block, r->offset);
    if (n < (ssize_t)block)
        length = 0;
    r->length = (size_t)n;
    return n > 0;
}

/* @return whether the request goes on. */
static bool go_on(struct request *r)
{
    if (r->result < 0)
        die(r->write ? "write" : "read", r->result);
    if (r->write) {
        check("short write", r->result, (ssize_t)r->length);
        return begin(r);
    }
    if (r->result < (ssize_t)block && r->offset + r->result < length && mode == READ)
        length = r->offset + r->result;
    if (mode == READ) {
        check("output", pwrite(STDOUT_FILENO, r->buffer, (size_t)r->result, r->offset), r->result);
        return begin(r);
    }
    r->offset += length;
    r->length = (size_t)r->result;
    r->write = true;
    return true;
}

void load_complete(struct client_file *file, struct request *r)
{
    if (go_on(r))
        client_submit(file, &r, 1);
    else if (--outstanding == 0)
        done = true;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"read", "write", "double"};
    struct client_file *file;
    if (argc != 7)
        die("usage", 0);
    while (strcmp(argv[1], modes[mode]) != 0)
        if (mode++ == DOUBLE)
            die("mode", 0);
    unsigned depth = (unsigned)atoi(argv[5]);
    if (depth == 0 || depth > DEPTH_MAX)
        die("depth", 0);
    block = (size_t)atol(argv[4]);
    int rc = client_mount(argv[2], atoi(argv[6]), depth);
    rc = rc ? rc : client_open(argv[3], mode != READ, &file);
    if (rc)
        die(argv[3], rc);
    static struct request requests[DEPTH_MAX];
    struct request *ready[DEPTH_MAX];
    if (mode == DOUBLE) { /* how long it is, to begin with */
        char *probe = malloc(LENGTH_MAX);
        struct request r = {.buffer = probe, .length = LENGTH_MAX};
        client_transfer(file, &r);
        length = r.result;
        free(probe);
    }
    for (unsigned i = 0; i < depth; i++) {
        requests[i].buffer = malloc(block);
        if (begin(&requests[i]))
            ready[outstanding++] = &requests[i];
    }
    if (depth == 1) {
        while (outstanding) {
            client_transfer(file, ready[0]);
            outstanding = go_on(ready[0]);
        }
    } else if (outstanding) {
        client_submit(file, ready, outstanding);
        client_drive(file, &done);
    }
    for (unsigned i = 0; i < depth; i++)
        free(requests[i].buffer);
    return client_close(file) < 0;
}
