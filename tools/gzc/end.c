#include "end.h"

#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What a system call returned, as the job's outcome. */
static void did(struct job *job, ssize_t result)
{
    job_did(job, result < 0 ? -errno : result);
}

/* ---- open ------------------------------------------------------------------------------------ */

static bool is_stream(int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 || !S_ISREG(st.st_mode);
}

static void open_local(struct end *e, struct job *job, int flags, mode_t mode)
{
    e->fd = open(e->path, flags | O_CLOEXEC, mode);
    e->stream = e->fd >= 0 && is_stream(e->fd);
    did(job, e->fd < 0 ? -1 : 0);
}

static void open_end(struct end *e, struct job *job, int flags, mode_t mode)
{
    struct gzc_async how = job_async(job);
    if (e->volume)
        job_begun(job, gzc_open_async(e->volume, e->path, flags, mode, &e->file, &how));
    else
        open_local(e, job, flags, mode);
}

static void use_stream(struct end *e, struct job *job, int fd)
{
    e->fd = fd;
    e->stream = true;
    job_did(job, 0);
}

void end_open_source(struct end *e, struct job *job)
{
    if (e->path)
        open_end(e, job, O_RDONLY, 0);
    else
        use_stream(e, job, STDIN_FILENO);
}

void end_create(struct end *e, struct job *job, mode_t mode)
{
    if (e->path)
        open_end(e, job, O_WRONLY | O_CREAT | O_EXCL, mode);
    else
        use_stream(e, job, STDOUT_FILENO);
}

void end_overwrite(struct end *e, struct job *job)
{
    open_end(e, job, O_WRONLY | O_TRUNC, 0);
}

void end_stat(struct end *e, struct job *job, struct stat *st)
{
    struct gzc_async how = job_async(job);
    if (e->volume)
        job_begun(job, gzc_stat_async(e->volume, e->path, st, &how));
    else
        did(job, stat(e->path, st));
}

/* ---- read and write -------------------------------------------------------------------------- */

static ssize_t read_local(struct end *e, char *buffer, size_t size, off_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = e->stream ? read(e->fd, buffer + done, size - done)
                              : pread(e->fd, buffer + done, size - done, offset + (off_t)done);
        if (n == 0)
            break;
        if (n < 0 && (errno != EINTR || interrupted()))
            return n;
        if (n > 0)
            done += (size_t)n;
    }
    return (ssize_t)done;
}

static ssize_t write_local(struct end *e, const char *buffer, size_t size, off_t offset)
{
    ssize_t n;
    do {
        n = e->stream ? write(e->fd, buffer, size) : pwrite(e->fd, buffer, size, offset);
    } while (n < 0 && errno == EINTR && !interrupted());
    return n;
}

void end_read(struct end *e, struct job *job, void *buffer, size_t size, off_t offset)
{
    struct gzc_async how = job_async(job);
    if (e->file)
        job_begun(job, gzc_pread_async(e->file, buffer, size, offset, &how));
    else
        did(job, read_local(e, buffer, size, offset));
}

void end_write(struct end *e, struct job *job, const void *buffer, size_t size, off_t offset)
{
    struct gzc_async how = job_async(job);
    if (e->file)
        job_begun(job, gzc_pwrite_async(e->file, buffer, size, offset, &how));
    else
        did(job, write_local(e, buffer, size, offset));
}

void end_seek(struct end *e, struct job *job, off_t offset, int whence)
{
    struct gzc_async how = job_async(job);
    if (e->file)
        job_begun(job, gzc_lseek_async(e->file, offset, whence, &how));
    else
        did(job, lseek(e->fd, offset, whence));
}

void end_truncate(struct end *e, struct job *job, off_t size)
{
    struct gzc_async how = job_async(job);
    if (e->file)
        job_begun(job, gzc_ftruncate_async(e->file, size, &how));
    else
        did(job, ftruncate(e->fd, size));
}

void end_sync(struct end *e, struct job *job)
{
    struct gzc_async how = job_async(job);
    if (e->file) {
        job_begun(job, gzc_fsync_async(e->file, &how));
        return;
    }
    did(job, fsync(e->fd));
    posix_fadvise(e->fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* ---- attributes ------------------------------------------------------------------------------ */

void end_list_xattrs(struct end *e, struct job *job, char *list, size_t size)
{
    struct gzc_async how = job_async(job);
    if (e->file)
        job_begun(job, gzc_flistxattr_async(e->file, list, size, &how));
    else
        did(job, flistxattr(e->fd, list, size));
}

void end_chown(struct end *e, struct job *job, uid_t uid, gid_t gid)
{
    struct gzc_async how = job_async(job);
    if (e->file)
        job_begun(job, gzc_fchown_async(e->file, uid, gid, &how));
    else
        did(job, fchown(e->fd, uid, gid));
}

void end_chmod(struct end *e, struct job *job, mode_t mode)
{
    struct gzc_async how = job_async(job);
    if (e->file)
        job_begun(job, gzc_fchmod_async(e->file, mode, &how));
    else
        did(job, fchmod(e->fd, mode));
}

void end_utimens(struct end *e, struct job *job, const struct timespec times[2])
{
    struct gzc_async how = job_async(job);
    if (e->file)
        job_begun(job, gzc_futimens_async(e->file, times, &how));
    else
        did(job, futimens(e->fd, times));
}

/* ---- the end --------------------------------------------------------------------------------- */

void end_close(struct end *e, struct job *job)
{
    struct gzc_async how = job_async(job);
    if (e->file)
        job_begun(job, gzc_close_async(e->file, &how));
    else if (e->path && !e->volume && e->fd >= 0)
        did(job, close(e->fd));
    e->file = NULL;
    e->fd = -1;
}

const char *end_discard(struct end *e)
{
    struct stat st;
    if (!e->opened || !e->path)
        return "";
    if (e->created) {
        int rc = e->volume ? gzc_unlink(e->volume, e->path) : unlink(e->path);
        return rc == 0 ? "; the file has been removed" : "; AN INCOMPLETE FILE REMAINS";
    }
    if (!e->volume && stat(e->path, &st) == 0 && !S_ISREG(st.st_mode))
        return "";
    int rc = e->volume ? gzc_truncate(e->volume, e->path, 0) : truncate(e->path, 0);
    return rc == 0 ? "; the file, which existed before, is empty now"
                   : "; AN INCOMPLETE FILE REMAINS";
}
