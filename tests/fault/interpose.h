/*
 * interpose.h - the log of libinterpose.so: what the kernel moved between TCP sockets and memory.
 *
 * With LD_PRELOAD=libinterpose.so and INTERPOSE_LOG=file, every receiving or sending call of the
 * C library on a TCP socket that moved bytes appends records to the file: one for each piece of
 * memory that the kernel wrote to or read from. A program may be linked with the library instead,
 * before the C library.
 */
#ifndef TESTS_FAULT_INTERPOSE_H
#define TESTS_FAULT_INTERPOSE_H

#include <stdint.h>

#define INTERPOSE_LOG "INTERPOSE_LOG"

enum { INTERPOSE_RECEIVED = 1, INTERPOSE_SENT = 2, INTERPOSE_SAMPLE = 256 };

struct interpose_record {
    uint32_t pid;                           /**< process that made the call */
    uint32_t direction;                     /**< INTERPOSE_RECEIVED or INTERPOSE_SENT */
    uint64_t fd;                            /**< the socket */
    uint64_t address;                       /**< of the piece, in that process's memory */
    uint64_t length;                        /**< bytes moved to or from it, at least 1 */
    unsigned char sample[INTERPOSE_SAMPLE]; /**< its first bytes as they were moved, the rest 0 */
};

/** Ends the log there was, and appends to the file @p path from now on. For one that is linked. */
void interpose_log(const char *path);

#endif
