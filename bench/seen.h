/* seen.h - where a program's payload went, as the interposer of the tests recorded it. */
#ifndef BENCH_SEEN_H
#define BENCH_SEEN_H

#include <stddef.h>
#include <stdint.h>

/**
 * How many bytes the kernel moved between this process's TCP sockets and the given memory, out of
 * the log of tests/fault/interpose.h that the environment names.
 * @param direction  INTERPOSE_RECEIVED or INTERPOSE_SENT.
 * @return 0, -ENOENT (the environment names no log), or -errno.
 */
int seen_bytes(const void *memory, size_t size, int direction, uint64_t *bytes);

#endif
