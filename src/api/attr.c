/* gzc.h: attributes. */
#include "api/attr.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- beginning ------------------------------------------------------------------------------- */

static struct errtext *target_why(struct attr_target target)
{
    return target.file ? &target.file->why : &target.volume->why;
}

static int refuse(struct attr_target target, const struct attr_call *call)
{
    int rc = target.file ? 0 : handle_refuse(target.volume, false);
    if (rc < 0)
        return rc;
    if (call->error)
        return volume_fail(target.volume, target_why(target), call->error, call->text);
    return call->change ? handle_refuse_change(target.volume, target_why(target)) : 0;
}

int64_t attr_run(struct attr_target target, struct attr_call call)
{
    int rc = refuse(target, &call);
    if (rc < 0)
        return rc;
    struct attr_op a;
    attr_op_init(&a, target.volume, target.path, target.walk, target.file);
    a.args = call.args;
    return op_run(&a.path.op, call.start, target_why(target));
}

gzc_ticket attr_submit(struct attr_target target, struct attr_call call,
                       const struct gzc_async *how)
{
    int rc = refuse(target, &call);
    if (rc < 0)
        return rc;
    struct attr_op *a = target.file ? malloc(sizeof(*a))
                                    : handle_new_op(target.volume, sizeof(*a), &target.path, NULL);
    if (!a)
        return volume_fail(target.volume, target_why(target), -ENOMEM,
                           "no memory for an operation");
    attr_op_init(a, target.volume, target.path, target.walk, target.file);
    a->args = call.args;
    return op_submit(&a->path.op, call.start, how);
}

/* ---- truncate -------------------------------------------------------------------------------- */

static struct attr_call truncate_call(off_t length)
{
    return (struct attr_call){
        .start = truncate_start,
        .change = true,
        .error = length < 0 ? -EINVAL : 0,
        .text = "negative length",
        .args.length = (uint64_t)length,
    };
}

int gzc_truncate(gzc_volume *volume, const char *path, off_t length)
{
    return (int)attr_run(attr_path(volume, path), truncate_call(length));
}

gzc_ticket gzc_truncate_async(gzc_volume *volume, const char *path, off_t length,
                              const struct gzc_async *how)
{
    return attr_submit(attr_path(volume, path), truncate_call(length), how);
}

/* ---- chmod ----------------------------------------------------------------------------------- */

static struct attr_call chmod_call(mode_t mode)
{
    return (struct attr_call){
        .start = setattr_start,
        .change = true,
        .args.set = {.valid = GF_SET_ATTR_MODE, .mode = mode & 07777},
    };
}

int gzc_chmod(gzc_volume *volume, const char *path, mode_t mode)
{
    return (int)attr_run(attr_path(volume, path), chmod_call(mode));
}

gzc_ticket gzc_chmod_async(gzc_volume *volume, const char *path, mode_t mode,
                           const struct gzc_async *how)
{
    return attr_submit(attr_path(volume, path), chmod_call(mode), how);
}

int gzc_fchmod(gzc_file *file, mode_t mode)
{
    return (int)attr_run(attr_file(file), chmod_call(mode));
}

gzc_ticket gzc_fchmod_async(gzc_file *file, mode_t mode, const struct gzc_async *how)
{
    return attr_submit(attr_file(file), chmod_call(mode), how);
}

/* ---- chown ----------------------------------------------------------------------------------- */

static struct attr_call chown_call(uid_t uid, gid_t gid)
{
    uint32_t valid =
        (uid != (uid_t)-1 ? GF_SET_ATTR_UID : 0) | (gid != (gid_t)-1 ? GF_SET_ATTR_GID : 0);
    return (struct attr_call){
        .start = setattr_start,
        .change = true,
        .args.set = {.valid = valid, .uid = uid, .gid = gid},
    };
}

int gzc_chown(gzc_volume *volume, const char *path, uid_t uid, gid_t gid)
{
    return (int)attr_run(attr_path(volume, path), chown_call(uid, gid));
}

gzc_ticket gzc_chown_async(gzc_volume *volume, const char *path, uid_t uid, gid_t gid,
                           const struct gzc_async *how)
{
    return attr_submit(attr_path(volume, path), chown_call(uid, gid), how);
}

int gzc_lchown(gzc_volume *volume, const char *path, uid_t uid, gid_t gid)
{
    return (int)attr_run(attr_link(volume, path), chown_call(uid, gid));
}

gzc_ticket gzc_lchown_async(gzc_volume *volume, const char *path, uid_t uid, gid_t gid,
                            const struct gzc_async *how)
{
    return attr_submit(attr_link(volume, path), chown_call(uid, gid), how);
}

int gzc_fchown(gzc_file *file, uid_t uid, gid_t gid)
{
    return (int)attr_run(attr_file(file), chown_call(uid, gid));
}

gzc_ticket gzc_fchown_async(gzc_file *file, uid_t uid, gid_t gid, const struct gzc_async *how)
{
    return attr_submit(attr_file(file), chown_call(uid, gid), how);
}

/* ---- utimens --------------------------------------------------------------------------------- */

static bool time_is_odd(struct timespec t)
{
    return t.tv_nsec != UTIME_NOW && t.tv_nsec != UTIME_OMIT &&
           (t.tv_nsec < 0 || t.tv_nsec > 999999999);
}

/* Bits of SETATTR for one of the times. */
static uint32_t time_valid(struct timespec t, uint32_t set, uint32_t now)
{
    return t.tv_nsec == UTIME_OMIT ? 0 : t.tv_nsec == UTIME_NOW ? set | now : set;
}

static struct attr_call utimens_call(const struct timespec *times)
{
    static const struct timespec both_now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
    if (!times)
        times = both_now;
    uint32_t valid = time_valid(times[0], GF_SET_ATTR_ATIME, GF_SET_ATTR_ATIME_NOW) |
                     time_valid(times[1], GF_SET_ATTR_MTIME, GF_SET_ATTR_MTIME_NOW);
    return (struct attr_call){
        .start = valid ? setattr_start : nothing_start,
        .change = true,
        .error = time_is_odd(times[0]) || time_is_odd(times[1]) ? -EINVAL : 0,
        .text = "nanoseconds of a time are neither below 10^9 nor UTIME_NOW or UTIME_OMIT",
        .args.set = {.valid = valid, .atime = times[0], .mtime = times[1]},
    };
}

int gzc_utimens(gzc_volume *volume, const char *path, const struct timespec *times)
{
    return (int)attr_run(attr_path(volume, path), utimens_call(times));
}

gzc_ticket gzc_utimens_async(gzc_volume *volume, const char *path, const struct timespec *times,
                             const struct gzc_async *how)
{
    return attr_submit(attr_path(volume, path), utimens_call(times), how);
}

int gzc_lutimens(gzc_volume *volume, const char *path, const struct timespec *times)
{
    return (int)attr_run(attr_link(volume, path), utimens_call(times));
}

gzc_ticket gzc_lutimens_async(gzc_volume *volume, const char *path, const struct timespec *times,
                              const struct gzc_async *how)
{
    return attr_submit(attr_link(volume, path), utimens_call(times), how);
}

int gzc_futimens(gzc_file *file, const struct timespec *times)
{
    return (int)attr_run(attr_file(file), utimens_call(times));
}

gzc_ticket gzc_futimens_async(gzc_file *file, const struct timespec *times,
                              const struct gzc_async *how)
{
    return attr_submit(attr_file(file), utimens_call(times), how);
}

/* ---- access ---------------------------------------------------------------------------------- */

static struct attr_call access_call(int mode)
{
    return (struct attr_call){
        .start = access_start,
        .error = mode & ~(R_OK | W_OK | X_OK) ? -EINVAL : 0,
        .text = "access: not of R_OK, W_OK and X_OK",
        .args.mask = mode,
    };
}

int gzc_access(gzc_volume *volume, const char *path, int mode)
{
    return (int)attr_run(attr_path(volume, path), access_call(mode));
}

gzc_ticket gzc_access_async(gzc_volume *volume, const char *path, int mode,
                            const struct gzc_async *how)
{
    return attr_submit(attr_path(volume, path), access_call(mode), how);
}

/* ---- statvfs --------------------------------------------------------------------------------- */

static struct attr_call statvfs_call(struct statvfs *st)
{
    return (struct attr_call){.start = statvfs_start, .args.statvfs = st};
}

int gzc_statvfs(gzc_volume *volume, const char *path, struct statvfs *st)
{
    return (int)attr_run(attr_path(volume, path), statvfs_call(st));
}

gzc_ticket gzc_statvfs_async(gzc_volume *volume, const char *path, struct statvfs *st,
                             const struct gzc_async *how)
{
    return attr_submit(attr_path(volume, path), statvfs_call(st), how);
}

/* ---- statx ----------------------------------------------------------------------------------- */

static struct attr_call statx_call(int flags, struct statx *stx)
{
    return (struct attr_call){
        .start = statx_start,
        .error = flags & ~(AT_SYMLINK_NOFOLLOW | AT_STATX_SYNC_TYPE) ? -EINVAL : 0,
        .text = "statx: a flag that is not supported",
        .args.statx = stx,
    };
}

static struct attr_target statx_target(gzc_volume *volume, const char *path, int flags)
{
    return flags & AT_SYMLINK_NOFOLLOW ? attr_link(volume, path) : attr_path(volume, path);
}

int gzc_statx(gzc_volume *volume, const char *path, int flags, struct statx *stx)
{
    return (int)attr_run(statx_target(volume, path, flags), statx_call(flags, stx));
}

gzc_ticket gzc_statx_async(gzc_volume *volume, const char *path, int flags, struct statx *stx,
                           const struct gzc_async *how)
{
    return attr_submit(statx_target(volume, path, flags), statx_call(flags, stx), how);
}

int gzc_fstatx(gzc_file *file, struct statx *stx)
{
    return (int)attr_run(attr_file(file), statx_call(0, stx));
}

gzc_ticket gzc_fstatx_async(gzc_file *file, struct statx *stx, const struct gzc_async *how)
{
    return attr_submit(attr_file(file), statx_call(0, stx), how);
}
