/*
 * client.h - one way of reaching a file on a brick, as load.c drives it.
 *
 * Each client_*.c implements this; linked with load.c it is a program load-*, so no library ever
 * shares its process with another, and what is measured around these calls is the same code.
 *
 * Blocking, a worker thread calls client_transfer() for one request after the other. Otherwise it
 * submits its requests, and client_drive() runs until they are through; load_complete() tells of
 * each one, and begins the next in its place.
 *
 * Functions return -errno on failure.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct client_file;
struct worker;

/** One read or write. Its memory stays. */
struct request {
    struct worker *worker; /* load.c's */
    uint64_t begun;        /* load.c's: nanoseconds */
    void *buffer;
    size_t length;
    off_t offset;
    bool write;
    ssize_t result; /* the client's: bytes, or -errno */
    void *own;      /* the client's; NULL before the first use */
};

/** Name of the client in tables. */
extern const char client_name[];

/**
 * Reaches the volume. @param where  a URI for libgzc and the floor, the path of a client volfile
 * for libgfapi, a directory for POSIX. @param spin  busy polling: 0 never, 1 as the client would
 * by itself. @param depth  requests at once, all workers together.
 */
int client_mount(const char *where, int spin, unsigned depth);
/** Opens the file for a worker, by the worker's thread. Workers may get one and the same. */
int client_open(const char *path, bool write, struct client_file **file);
int client_close(struct client_file *file);

/** Does one request and returns when it is over; request->result says how it went. */
void client_transfer(struct client_file *file, struct request *request);

/** Begins requests, with as few system calls as the client can. Ends each with load_complete(). */
void client_submit(struct client_file *file, struct request *const requests[], unsigned n);
/** Makes progress until *done, which load_complete() sets (in any thread); by a worker's thread. */
void client_drive(struct client_file *file, const bool *done);

/* The next two are optional. */

/** System calls so far that sent, received, and waited, if the client counts them; or -ENOTSUP. */
int client_syscalls(uint64_t *sends, uint64_t *receives, uint64_t *waits);

/** CPU seconds and context switches so far of other processes that do the client's work; 0 if there
 *  are none. */
void client_elsewhere(double *cpu, uint64_t *switches);

/** load.c's: the request is over. Any thread; may call client_submit(). */
void load_complete(struct client_file *file, struct request *request);

#endif
