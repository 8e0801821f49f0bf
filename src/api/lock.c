/* gzc.h: locks. */
#include "volume/lock.h"

#include "api/file_call.h"

#include <fcntl.h>
#include <unistd.h>

static bool lock_known(int cmd, const struct flock *lock, enum gzc_lock_mode mode)
{
    if (cmd != F_GETLK && cmd != F_SETLK && cmd != F_SETLKW)
        return false;
    if (lock->l_type != F_RDLCK && lock->l_type != F_WRLCK &&
        !(lock->l_type == F_UNLCK && cmd != F_GETLK))
        return false;
    if (lock->l_whence != SEEK_SET && lock->l_whence != SEEK_CUR && lock->l_whence != SEEK_END)
        return false;
    return mode == GZC_LOCK_ADVISORY || mode == GZC_LOCK_MANDATORY;
}

static int lock_refuse(struct gzc_file *file, int cmd, const struct flock *lock,
                       enum gzc_lock_mode mode)
{
    if (!lock_known(cmd, lock, mode))
        return file_refuse(file, -EINVAL, "lock: not a command, a type or a mode that there is");
    if (file->remote.directory)
        return file_refuse(file, -EISDIR, "lock: it is a directory");
    if (cmd != F_GETLK && lock->l_type == F_RDLCK && !(file->access & FILE_READ))
        return file_refuse(file, -EBADF, "the file is open for writing only");
    if (cmd != F_GETLK && lock->l_type == F_WRLCK && !(file->access & FILE_WRITE))
        return file_refuse(file, -EBADF, "the file is open for reading only");
    return 0;
}

int gzc_file_lock(gzc_file *file, int cmd, struct flock *lock, enum gzc_lock_mode mode)
{
    struct lock_op op;
    int rc = lock_refuse(file, cmd, lock, mode);
    if (rc < 0)
        return rc;
    lock_init(&op, file, cmd, lock, mode == GZC_LOCK_MANDATORY);
    return (int)op_run(&op.file.op, lock_start, &file->why);
}

gzc_ticket gzc_file_lock_async(gzc_file *file, int cmd, struct flock *lock, enum gzc_lock_mode mode,
                               const struct gzc_async *how)
{
    int rc = lock_refuse(file, cmd, lock, mode);
    if (rc < 0)
        return rc;
    struct lock_op *op = malloc(sizeof(*op));
    if (!op)
        return file_refuse(file, -ENOMEM, "no memory for an operation");
    lock_init(op, file, cmd, lock, mode == GZC_LOCK_MANDATORY);
    return op_submit(&op->file.op, lock_start, how);
}

int gzc_posix_lock(gzc_file *file, int cmd, struct flock *lock)
{
    return gzc_file_lock(file, cmd, lock, GZC_LOCK_ADVISORY);
}

gzc_ticket gzc_posix_lock_async(gzc_file *file, int cmd, struct flock *lock,
                                const struct gzc_async *how)
{
    return gzc_file_lock_async(file, cmd, lock, GZC_LOCK_ADVISORY, how);
}

int gzc_set_lock_owner(gzc_file *file, const void *owner, size_t length)
{
    struct engine *e = &file->volume->shared->engine;
    int rc = -EINVAL;
    engine_lock(e);
    if (length > 0)
        rc = caller_set_owner(&file->caller, owner, length);
    if (rc == 0)
        io_head_init(file);
    else
        errtext_set(&file->why, rc, "a lock owner has 1 to 91 bytes");
    engine_unlock(e);
    return rc;
}
