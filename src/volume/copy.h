/*
 * Copying between two open files of one mount: by the brick itself, or by reading and writing.
 *
 * It takes its turn twice, as a read of the source's range and as a write of the target's, with two
 * operations that are parts of it. They are begun together, so that of two copies the one that was
 * begun first has both turns first.
 */
#ifndef VOLUME_COPY_H
#define VOLUME_COPY_H

#include "volume/io.h"

/** Bytes copied by one COPY_FILE_RANGE at most, so that it can be cancelled between two. */
#define COPY_CALL_MAX (UINT32_C(64) << 20)
/** Bytes of the buffer, if the brick cannot: as many segments as are under way at once. */
#define COPY_BUFFER (IO_WINDOW * VOLUME_IO_MAX)

struct copy_op {
    struct op op; /* first */
    struct gzc_file *in, *out;
    uint64_t from, to;
    size_t count, done;
    struct op source, target; /* the two turns */
    unsigned come, over;      /* of them */
    bool on_brick;
    bool gave_up, ended;
    int error;      /* that it ends with if nothing was copied */
    struct fop fop; /* COPY_FILE_RANGE; FSTAT */
    uint8_t *buffer;
    struct iovec iov;  /* of it */
    struct io io;      /* reading into it, then writing */
    bool transferring; /* that is under way */
};

/** Whether bytes [from, from + count) and [to, to + count) have some in common. */
static inline bool copy_overlaps(uint64_t from, uint64_t to, uint64_t count)
{
    return from < to + count && to < from + count;
}

/** Both files are of one mount; the ranges end before INT64_MAX, and are not empty. */
void copy_init(struct copy_op *c, struct gzc_file *in, uint64_t from, struct gzc_file *out,
               uint64_t to, size_t count);
void copy_start(struct op *op);

#endif
