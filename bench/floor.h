/*
 * floor.h - what the socket floor does before and after its loop: reach a brick, log in, open a
 * file, close it. Not timed, so encoded the comfortable way.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "proto/gfid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define FLOOR_CRED_MAX 64
/* Bytes of a READ's or WRITE's head, from the record mark to the arguments' end. */
#define FLOOR_HEAD_MAX 160

/** A brick: what a URI gluster+brick://HOST:PORT/EXPORT[//...][?...] says. */
struct floor_target {
    struct sockaddr_storage address;
    socklen_t length;
    char export[1024];
};

/** A connection with one file open on it. */
struct floor_connection {
    int socket;
    gf_gfid gfid;
    int64_t fd;
    uint8_t cred[FLOOR_CRED_MAX];
    size_t cred_length;
};

/** Resolves a URI. @return 0, -EINVAL (not such a URI), -EHOSTUNREACH (unknown host). */
int floor_target(const char *uri, struct floor_target *target);
/** Connects, logs in and opens a file of the volume; for writing, makes it if there is none.
 *  @return 0 or -errno; then nothing is open. */
int floor_open(const struct floor_target *target, const char *path, bool write,
               struct floor_connection *connection);
/** FLUSH, RELEASE, and the connection goes. */
int floor_close(struct floor_connection *connection);
/**
 * Encodes the head of a READ or WRITE, offset and size zero; the record mark is that of the head
 * alone. @return its length; the arguments are the last HOT_IO_ARGS_BYTES of it.
 */
size_t floor_head(const struct floor_connection *connection, uint32_t procedure, uint32_t xid,
                  uint8_t out[FLOOR_HEAD_MAX]);

/** Says what went wrong, and ends the program. */
_Noreturn void floor_die(const char *what, int error);

#endif
