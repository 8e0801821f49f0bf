/* The ends of a transfer: a file on a volume, a local file, or a standard stream. */
#ifndef GZC_END_H
#define GZC_END_H

#include "job.h"

#include <gzc.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct end {
    const char *name;   /* what messages call it */
    gzc_volume *volume; /* that it is on; NULL: local */
    const char *path;   /* on the volume or the local system; NULL: a standard stream */

    gzc_file *file; /* on a volume, while open */
    int fd;         /* local, while open */
    bool stream;    /* local, and no regular file: read and written once, from the beginning */
    bool opened;    /* a sink that has been opened: what is in it is no longer what was there */
    bool created;   /* ... and that was not there before */
};

/* Each of these begins an operation of @p job, whose outcome is the job's. */

void end_open_source(struct end *e, struct job *job);
/** Makes a file with @p mode, less the umask. -EEXIST. */
void end_create(struct end *e, struct job *job, mode_t mode);
/** Opens a file that is there, and empties it. */
void end_overwrite(struct end *e, struct job *job);
/** Looks at what is there, following symbolic links. */
void end_stat(struct end *e, struct job *job, struct stat *st);
/** Reads @p size bytes; less only at the end, or where a signal was noted: -EINTR. */
void end_read(struct end *e, struct job *job, void *buffer, size_t size, off_t offset);
/** Writes at most @p size bytes. */
void end_write(struct end *e, struct job *job, const void *buffer, size_t size, off_t offset);
/** SEEK_DATA or SEEK_HOLE. */
void end_seek(struct end *e, struct job *job, off_t offset, int whence);
void end_truncate(struct end *e, struct job *job, off_t size);
/** Forces what was written to stable storage, and a local file out of the page cache, so that
 *  reading it back means reading what is stored. */
void end_sync(struct end *e, struct job *job);
void end_list_xattrs(struct end *e, struct job *job, char *list, size_t size);
void end_chown(struct end *e, struct job *job, uid_t uid, gid_t gid);
void end_chmod(struct end *e, struct job *job, mode_t mode);
void end_utimens(struct end *e, struct job *job, const struct timespec times[2]);
/** Closes what is open; a standard stream stays. */
void end_close(struct end *e, struct job *job);

/**
 * Sees to it that a closed sink does not look complete: removes the file if end_create() made it,
 * empties it if it was there before. A sink that was not opened, and what is no regular file, is
 * left alone. Waits.
 * @return what to add to the message about the failure.
 */
const char *end_discard(struct end *e);

#endif
