/*
 * api.h - the few calls that the bench programs make of a client library.
 *
 * Each program is linked once with api_gzc.c and once with api_gfapi.c: it never has the other
 * library in its process, and what is measured around these calls is the same code.
 *
 * Every function returns -errno on failure. Not thread safe, but for what the library itself is.
 */
#ifndef BENCH_API_H
#define BENCH_API_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct api_volume;
struct api_file;

/** Name of the library, as it stands in tables: "libgzc", "libgfapi". */
extern const char api_name[];

/**
 * Mounts.
 * @param target   a URI for libgzc, the path of a client volfile for libgfapi.
 * @param volume   receives the volume; NULL on failure, of which the library's text, if it has
 *                 one, is written to the standard error.
 */
int api_mount(const char *target, struct api_volume **volume);
int api_unmount(struct api_volume *volume);

/** @param flags  O_RDONLY, or O_RDWR with or without O_CREAT | O_TRUNC. */
int api_open(struct api_volume *volume, const char *path, int flags, struct api_file **file);
int api_close(struct api_file *file);
ssize_t api_pread(struct api_file *file, void *buffer, size_t count, off_t offset);
ssize_t api_pwrite(struct api_file *file, const void *buffer, size_t count, off_t offset);

/**
 * Payload bytes since the mount that went straight between the socket and the caller's memory, and
 * those that went through a buffer of the library's. -ENOTSUP if the library does not count them.
 */
int api_bytes(struct api_volume *volume, uint64_t *landed, uint64_t *staged);

#endif
