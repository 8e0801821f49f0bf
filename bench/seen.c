#include "seen.h"
#include "tests/fault/interpose.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Of the piece at `a`, the bytes that are in the memory at `b` too. */
static uint64_t overlap(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length)
{
    uint64_t start = a > b ? a : b;
    uint64_t end = a + a_length < b + b_length ? a + a_length : b + b_length;
    return end > start ? end - start : 0;
}

int seen_bytes(const void *memory, size_t size, int direction, uint64_t *bytes)
{
    const char *path = getenv(INTERPOSE_LOG);
    struct interpose_record r;
    FILE *log;

    *bytes = 0;
    if (!path)
        return -ENOENT;
    log = fopen(path, "re");
    if (!log)
        return -errno;
    while (fread(&r, sizeof(r), 1, log) == 1)
        if (r.pid == (uint32_t)getpid() && r.direction == (uint32_t)direction)
            *bytes += overlap(r.address, r.length, (uint64_t)memory, size);
    fclose(log);
    return 0;
}
