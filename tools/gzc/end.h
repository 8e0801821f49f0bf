/* The ends of a transfer: a file on a volume, a local file, or a standard stream. Each is read or
 * written from its beginning to its end, once. */
#ifndef GZC_END_H
#define GZC_END_H

#include "message.h"
#include "target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct end {
    const char *name;            /* what messages call it */
    const struct target *target; /* the volume it is on; NULL: local */
    const char *path;            /* on the volume or the local system; NULL: a standard stream */

    gzc_file *file; /* on a volume, while open */
    int fd;         /* local, while open */
    off_t at;       /* bytes read or written so far */
    uint64_t size;  /* of a source; 0 if not known */
    mode_t mode;    /* permission bits of a source */
    bool opened;    /* a sink that has been opened: what is in it is no longer what was there */
    bool created;   /* ... and that was not there before */
    struct reason why;
};

/* Functions that can fail return -errno and set `why`. */

/** Opens @p e, which must be a regular file if it is on a volume, and no directory otherwise. */
int end_open_source(struct end *e);
/** Opens @p e empty; a file that is not there is made with @p mode, less the umask. */
int end_open_sink(struct end *e, mode_t mode);

/** Reads up to @p size bytes. @return their number: less than asked for only at the end. -EINTR: a
 *  signal was noted (interrupt.h). */
ssize_t end_read(struct end *e, void *buffer, size_t size);
/** Writes all @p size bytes. -EINTR as with end_read(). @return 0. */
int end_write(struct end *e, const void *buffer, size_t size);

/** Forces what was written to stable storage, and a local file out of the page cache, so that
 *  reading it back means reading what is stored. */
int end_sync(struct end *e);
/** Closes what is open; a standard stream stays. */
int end_close(struct end *e);
/**
 * Sees to it that a closed sink does not look complete: removes the file if end_open_sink() made
 * it, empties it if it was there before. A sink that was not opened, and what is no regular file,
 * is left alone.
 * @return what to add to the message about the failure.
 */
const char *end_discard(struct end *e);

#endif
