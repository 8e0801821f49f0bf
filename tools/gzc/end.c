#include "end.h"

#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int local_error(struct end *e)
{
    return reason_set(&e->why, -errno, "");
}

static int volume_error(struct end *e, int error)
{
    return reason_volume(&e->why, error, e->target->volume);
}

/* ---- open ------------------------------------------------------------------------------------ */

static int remote_open_source(struct end *e)
{
    /* By name first: opening a FIFO or a device would open it on the brick's host. */
    struct stat st;
    int rc = gzc_stat(e->target->volume, e->path, &st);
    if (rc < 0)
        return volume_error(e, rc);
    if (S_ISDIR(st.st_mode))
        return reason_set(&e->why, -EISDIR, "");
    if (!S_ISREG(st.st_mode))
        return reason_set(&e->why, -EINVAL, "not a regular file");
    rc = gzc_open(e->target->volume, e->path, O_RDONLY, 0, &e->file);
    if (rc < 0)
        return volume_error(e, rc);
    e->size = (uint64_t)st.st_size;
    e->mode = st.st_mode & 0777;
    return 0;
}

static int local_open_source(struct end *e)
{
    struct stat st;
    e->fd = e->path ? open(e->path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (e->fd < 0)
        return local_error(e);
    int rc = fstat(e->fd, &st) < 0 ? local_error(e)
             : S_ISDIR(st.st_mode) ? reason_set(&e->why, -EISDIR, "")
                                   : 0;
    if (rc < 0) {
        end_close(e);
        return rc;
    }
    if (S_ISREG(st.st_mode))
        e->size = (uint64_t)st.st_size;
    e->mode = e->path ? st.st_mode & 0777 : 0666;
    return 0;
}

int end_open_source(struct end *e)
{
    e->at = 0;
    return e->target ? remote_open_source(e) : local_open_source(e);
}

static int remote_open_sink(struct end *e, mode_t mode)
{
    gzc_volume *volume = e->target->volume;
    int rc = gzc_open(volume, e->path, O_WRONLY | O_CREAT | O_EXCL, mode, &e->file);
    e->created = rc == 0;
    if (rc == -EEXIST) {
        struct stat st;
        rc = gzc_stat(volume, e->path, &st);
        if (rc == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
            return reason_set(&e->why, -EINVAL, "not a regular file");
        if (rc == 0)
            rc = gzc_open(volume, e->path, O_WRONLY | O_TRUNC, 0, &e->file);
    }
    return rc < 0 ? volume_error(e, rc) : 0;
}

static int local_open_sink(struct end *e, mode_t mode)
{
    if (!e->path) {
        e->fd = STDOUT_FILENO;
        return 0;
    }
    e->fd = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    e->created = e->fd >= 0;
    if (e->fd < 0 && errno == EEXIST)
        e->fd = open(e->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    return e->fd < 0 ? local_error(e) : 0;
}

int end_open_sink(struct end *e, mode_t mode)
{
    e->at = 0;
    int rc = e->target ? remote_open_sink(e, mode) : local_open_sink(e, mode);
    e->opened = rc == 0;
    return rc;
}

/* ---- read and write -------------------------------------------------------------------------- */

ssize_t end_read(struct end *e, void *buffer, size_t size)
{
    if (e->file) {
        ssize_t n = gzc_pread(e->file, buffer, size, e->at);
        if (n < 0)
            return reason_file(&e->why, (int)n, e->file);
        e->at += n;
        return n;
    }
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(e->fd, (char *)buffer + done, size - done);
        if (n == 0)
            break;
        if (n < 0 && (errno != EINTR || interrupted()))
            return local_error(e);
        if (n > 0)
            done += (size_t)n;
    }
    e->at += (off_t)done;
    return (ssize_t)done;
}

int end_write(struct end *e, const void *buffer, size_t size)
{
    for (size_t done = 0; done < size;) {
        const char *from = (const char *)buffer + done;
        ssize_t n = e->file ? gzc_pwrite(e->file, from, size - done, e->at)
                            : write(e->fd, from, size - done);
        if (n < 0 && e->file)
            return reason_file(&e->why, (int)n, e->file);
        if (n < 0 && (errno != EINTR || interrupted()))
            return local_error(e);
        if (n == 0)
            return reason_set(&e->why, -EIO, "nothing was written");
        if (n > 0) {
            done += (size_t)n;
            e->at += n;
        }
    }
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

int end_sync(struct end *e)
{
    if (e->file) {
        int rc = gzc_fsync(e->file);
        return rc < 0 ? reason_file(&e->why, rc, e->file) : 0;
    }
    if (fsync(e->fd) < 0)
        return local_error(e);
    posix_fadvise(e->fd, 0, 0, POSIX_FADV_DONTNEED);
    return 0;
}

int end_close(struct end *e)
{
    int rc = 0;
    if (e->file) {
        rc = gzc_close(e->file);
        if (rc < 0)
            volume_error(e, rc);
    } else if (e->path && e->fd >= 0 && close(e->fd) < 0) {
        rc = local_error(e);
    }
    e->file = NULL;
    e->fd = -1;
    return rc;
}

static bool remote_truncate(struct end *e)
{
    gzc_file *file;
    return gzc_open(e->target->volume, e->path, O_WRONLY | O_TRUNC, 0, &file) == 0 &&
           gzc_close(file) == 0;
}

const char *end_discard(struct end *e)
{
    struct stat st;
    if (!e->opened || !e->path)
        return "";
    if (e->created) {
        int rc = e->target ? gzc_unlink(e->target->volume, e->path) : unlink(e->path);
        return rc == 0 ? "; the file has been removed" : "; AN INCOMPLETE FILE REMAINS";
    }
    if (!e->target && stat(e->path, &st) == 0 && !S_ISREG(st.st_mode))
        return "";
    bool emptied = e->target ? remote_truncate(e) : truncate(e->path, 0) == 0;
    return emptied ? "; the file, which existed before, is empty now"
                   : "; AN INCOMPLETE FILE REMAINS";
}
