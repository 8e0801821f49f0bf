/*
 * gzc.h - the public interface of libgzc, a client library for GlusterFS volumes.
 *
 * Conventions of every function here, unless its own comment says otherwise:
 *
 *  Errors         A negative return value is -errno; zero or a count is success. The global errno
 *                 is never touched. The text of the last failure, naming the brick and the call it
 *                 happened on, is had from the handle the function was called with: gzc_error(),
 *                 gzc_file_error(), gzc_dir_error().
 *  Output         The library never prints and never exits.
 *  Threads        Any number of threads may use one volume and one file at once. A directory
 *                 handle belongs to one thread at a time. No function may be called on a handle
 *                 that another thread is closing. The library starts no thread of its own: the
 *                 calling threads drive the connections, one of them leading at any moment.
 *  Memory         Buffers stay the caller's. A read lands payload straight in the iovec's memory
 *                 and a write leaves straight from it; from the moment a call has returned,
 *                 whatever its result, the library and the kernel no longer touch that memory.
 *                 What a write's buffer holds must not change while the call runs.
 *  Paths          Bytes, separated by '/'. Those that begin with '/' are from the root of the
 *                 volume, others from the handle's working directory (gzc_chdir()), which is the
 *                 root to begin with. Names are at most 255 bytes (NAME_MAX), paths at most 4095
 *                 (PATH_MAX - 1). `/.gfid/UUID`, with a gfid in the form of RFC 4122, is the inode
 *                 that has it, and `/.gfid/UUID/name` a name in that directory: see gzc_handle.
 *  Identity       Operations run as the effective user, group and supplementary groups, and with
 *                 the umask, that the process had at gzc_mount(); or as the one that gzc_as() made
 *                 the handle for. A file or directory keeps the identity it was opened with.
 *  Time           A call takes at most the volume's `timeout`; then it fails with -ETIMEDOUT.
 *
 * Errors that any operation on a volume may give, beside those listed with it:
 *  -ENOTCONN      the brick is away, for longer than the volume's `reconnect_timeout`; or it went
 *                 while an operation was under way that must not be done twice (an append, making
 *                 or removing a name): the text says then that its outcome is not known
 *  -ESTALE        the file is gone: it was removed while the brick was away
 *  -ETIMEDOUT     no answer within the volume's `timeout`
 *  -ESHUTDOWN     it was under way, asynchronously, when the volume was unmounted
 *  -EPROTO        the server sent something that breaks the protocol; the connection was closed
 *  -ENOMEM        no memory; reads and writes on an open file allocate none and do not give it
 *  and whatever errno the brick's file system gives.
 */
#ifndef GZC_H
#define GZC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct flock;    /* <fcntl.h> */
struct statvfs;  /* <sys/statvfs.h> */
struct timespec; /* <time.h> */
struct statx;    /* <sys/stat.h> with _GNU_SOURCE, or <linux/stat.h> */

#define GZC_API __attribute__((visibility("default")))

/** A mounted volume. */
typedef struct gzc_volume gzc_volume;
/** An open file. */
typedef struct gzc_file gzc_file;
/** An open directory. */
typedef struct gzc_dir gzc_dir;

/** The version of the library in use, e.g. "0.1.0". A static string. */
GZC_API const char *gzc_version(void);

/* ---- volumes --------------------------------------------------------------------------------- */

/**
 * Mounts the volume that @p uri names.
 *
 *   gluster[+tcp]://server[:port][,server[:port]...]/volume[/path][?option=value&...]
 *       asks glusterd (port 24007) on the first server that answers for the volume's volfile
 *   gluster+rdma://server[:port][,server[:port]...]/volume[/path][?...]
 *       the same by RDMA: on each host gzc-rdma-gateway(8), at that port (24008), speaks for
 *       glusterd and the bricks
 *   gluster+brick://host:port/export-path[//path][?...]
 *       talks to one brick, without glusterd
 *   gluster+brick+rdma://host[:port]/export-path[//path][?...]
 *       the same by way of the gateway at that port
 *   file:volfile[//path][?...]
 *       takes the volfile from a local file
 *
 * Options:
 *   timeout=SECONDS          bound on every operation            (default 1800, as frame-timeout)
 *   connect_timeout=SECONDS  bound on connecting and handshake   (default 10)
 *   ping_timeout=SECONDS     silence until a brick counts as dead (default: the volfile's, or 42;
 *                            0 turns pings off)
 *   reconnect_timeout=SECONDS  how long operations wait for a brick that was lost, which is
 *                            connected to again while the volume is driven
 *                            (default 42; 0: it stays lost)
 *   nconnect=N               connections to each brick, 1..16    (default 1)
 *   busy_poll_us=N           microseconds to spin for a reply before sleeping, 0: never; or
 *                            `adaptive`: as long as replies have lately been worth waiting for
 *                            (default adaptive)
 *   ordered=0|1              keep the order of overlapping reads and writes, see
 *                            gzc_pwritev_async()                 (default 1)
 *   volume_id=UUID           refuse a brick of another volume    (gluster+brick only)
 *
 * Options for RDMA:
 *   fallback=tcp             connect by TCP where no gateway can be had, or this host has no RDMA
 *   rdma_trust=0|1           1: memory stays registered with remote access, which saves work for
 *                            each call; then the gateway can read and write what has been
 *                            registered at any time. 0: for as long as the call is under way only
 *                            (default 0)
 *   rdma_cache_mb=N          MiB of the caller's memory that stay registered with the device at
 *                            most; 0: none. Memory that userfaultfd(2) cannot watch is not cached.
 *                            While there is a cache a thread waits for word of unmapped memory
 *                            (default 1024)
 *   rdma_credits=N           calls under way on a connection, 1..1023  (default 64)
 *
 * Bytes of a path that mean something in a URI are written as %XX. An IPv6 address stands in [].
 *
 * @param volume  receives the handle. It is set on failure too, so that gzc_error() can tell why,
 *                and must be given to gzc_unmount() in either case; NULL only with -ENOMEM.
 * @return 0, or -EINVAL (URI, option or volfile malformed), -EHOSTUNREACH (a name that does not
 *         resolve), -ECONNREFUSED/-EHOSTUNREACH/-ETIMEDOUT (no server or brick answers),
 *         -ENOENT (no such volume, or a brick without that export path), -ENOTCONN (a brick that is
 *         not running; all of them if the volume is stopped), -EACCES (the brick refuses this
 *         client), -ENOTSUP (a kind of volume that libgzc does not
 *         serve, with the translator in the text; or RDMA, in a libgzc built without), -ENODEV (no
 *         RDMA device here), -EPROTO.
 */
GZC_API int gzc_mount(const char *uri, gzc_volume **volume);

/**
 * Frees the handle, and unmounts with the last one, whatever state the volume is in. Files and
 * directories opened with it must have been closed. Does not wait for the network. A NULL volume is
 * ignored.
 * @return 0, or -EBUSY (files or directories are still open; nothing has been done).
 */
GZC_API int gzc_unmount(gzc_volume *volume);

/** Who operations are made for. All zero is root, with the umask 0. */
struct gzc_identity {
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /**< supplementary groups. The protocol has room for 83 (less a lock owner
                              of more than 8 bytes); those behind are left out. A volume with
                              `server.manage-gids` on looks up all of a user's groups itself. */
    unsigned ngroups;
    pid_t pid;    /**< as bricks see it, e.g. in locks; 0: this process's */
    mode_t umask; /**< of what is created */
};

/**
 * Makes another handle on a mount, for operations as @p who: the same connections, thread and
 * counters, but an identity, a working directory and a last error of its own. Costs one small
 * allocation and nothing on the network.
 *
 * @param who  needed during the call only; NULL: the process as it is now.
 * @param as   receives the handle, to be given to gzc_unmount(), after which the others go on. The
 *             mount ends with its last handle. NULL on failure, with the text on @p volume.
 * @return 0, -ENOMEM, -ENOTCONN (the volume is not mounted).
 */
GZC_API int gzc_as(gzc_volume *volume, const struct gzc_identity *who, gzc_volume **as);

/** Makes a directory the one that relative paths of this handle begin at; it is known by its gfid
 *  from then on, and stays the same when it is renamed. -ENOTDIR, -EACCES (no search permission).
 */
GZC_API int gzc_chdir(gzc_volume *volume, const char *path);
/**
 * The absolute path of what @p path names, without symbolic links, "." and "..".
 * @param size  of @p buffer, which is NUL-terminated.
 * @return the length, or -ERANGE (@p size is too small), -ENOENT, ...
 */
GZC_API ssize_t gzc_realpath(gzc_volume *volume, const char *path, char *buffer, size_t size);

/**
 * Copies the text of the last failure on @p volume (mount and operations on paths), without a
 * newline, NUL-terminated and cut at @p size; "" when nothing has failed. Thread safe: with several
 * threads failing at once it is the text of one of them.
 * @return the length of the whole text, as snprintf() does.
 */
GZC_API size_t gzc_error(const gzc_volume *volume, char *text, size_t size);

/** The path part of the URI that the volume was mounted with, decoded; "/" if it had none. Lives as
 *  long as the volume. */
GZC_API const char *gzc_uri_path(const gzc_volume *volume);

/* ---- files ----------------------------------------------------------------------------------- */

/**
 * Opens a file.
 *
 * @param flags  as open(2): O_RDONLY, O_WRONLY or O_RDWR, with O_CREAT, O_EXCL, O_TRUNC, O_APPEND,
 *               O_DIRECT (alignment is the caller's duty, the brick's file system decides), O_SYNC,
 *               O_RSYNC, O_DSYNC, O_NOFOLLOW, O_DIRECTORY, O_NOATIME, O_NONBLOCK (for mandatory
 *               locks alone, see gzc_file_lock()). O_CLOEXEC, O_NOCTTY and O_LARGEFILE change
 *               nothing. A directory can be opened O_RDONLY, for gzc_fsync(), which makes changes
 *               of its names stable, and for its attributes; it cannot be read: -EISDIR.
 * @param mode   permission bits of a file that is created; the umask is applied.
 * @return 0, or -ENOENT, -EEXIST, -EACCES, -EISDIR, -ENOTDIR, -ELOOP, -ENAMETOOLONG, -ENXIO (a
 *         FIFO, socket or device: those work on their own host only), -EINVAL (O_DIRECTORY with
 *         O_CREAT; a flag that is not in the list; O_PATH, O_TMPFILE and O_ASYNC are not), ...;
 *         *file is NULL then, and the text is on the volume.
 */
GZC_API int gzc_open(gzc_volume *volume, const char *path, int flags, mode_t mode, gzc_file **file);

/** gzc_open() with O_CREAT | O_WRONLY | O_TRUNC. */
GZC_API int gzc_create(gzc_volume *volume, const char *path, mode_t mode, gzc_file **file);

/**
 * Gives a second reference to an open file, as dup(2): position, flags and locks are one. Both are
 * closed with gzc_close(); the file is closed, and its locks go, with the last. Any thread.
 * @return @p file.
 */
GZC_API gzc_file *gzc_dup(gzc_file *file);

/**
 * Closes a file and frees the handle, whatever the result. The brick is told (FLUSH), releases the
 * locks of the handle's lock owner, and what it answers is the result; data is not forced to stable
 * storage. A NULL file is ignored.
 */
GZC_API int gzc_close(gzc_file *file);

/** As gzc_error(), for a file. */
GZC_API size_t gzc_file_error(const gzc_file *file, char *text, size_t size);

/**
 * Reads from @p offset into @p iov, straight into the caller's memory.
 *
 * @param iovcnt  any number, beyond IOV_MAX too; pieces may be of zero length.
 * @return the number of bytes read: less than asked for only at the end of the file, 0 past it; or
 *         -EBADF (write-only handle), -EINVAL (negative offset or count, or more than SSIZE_MAX
 *         bytes), ... A failure after some bytes had been read in order gives their number.
 */
GZC_API ssize_t gzc_preadv(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset);
/** gzc_preadv() into one buffer. */
GZC_API ssize_t gzc_pread(gzc_file *file, void *buffer, size_t count, off_t offset);

/**
 * Writes @p iov at @p offset, straight from the caller's memory. The write has reached the brick's
 * file system when this returns; gzc_fsync() forces it to stable storage. With O_APPEND the offset
 * is ignored and the data goes to the end of the file; a write larger than 1 MiB is then several
 * appends in a row, between which another client's may come.
 *
 * @return the number of bytes written; or -EBADF (read-only handle), -ENOSPC, -EDQUOT, -EFBIG,
 *         -EINVAL, ... A failure after some bytes had been written in order gives their number.
 */
GZC_API ssize_t gzc_pwritev(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset);
/** gzc_pwritev() from one buffer. */
GZC_API ssize_t gzc_pwrite(gzc_file *file, const void *buffer, size_t count, off_t offset);

/**
 * gzc_preadv() and gzc_pwritev() with flags, as preadv2(2) and pwritev2(2): RWF_DSYNC and RWF_SYNC
 * (the write is on stable storage when it has completed), RWF_HIPRI (changes nothing). An
 * @p offset of -1 means the handle's position, as in gzc_read(). -EOPNOTSUPP: another flag.
 */
GZC_API ssize_t gzc_preadv2(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset,
                            int flags);
GZC_API ssize_t gzc_pwritev2(gzc_file *file, const struct iovec *iov, int iovcnt, off_t offset,
                             int flags);

/**
 * Reads or writes at the handle's position, which begins at 0. The position moves when the call
 * begins, so that several can be under way, one behind the other; a call that transfers less sets
 * it to where it ended, unless it has been moved since. After a write with O_APPEND it is the end
 * of the file.
 * @return as gzc_preadv(), gzc_pwritev().
 */
GZC_API ssize_t gzc_read(gzc_file *file, void *buffer, size_t count);
GZC_API ssize_t gzc_readv(gzc_file *file, const struct iovec *iov, int iovcnt);
GZC_API ssize_t gzc_write(gzc_file *file, const void *buffer, size_t count);
GZC_API ssize_t gzc_writev(gzc_file *file, const struct iovec *iov, int iovcnt);
/**
 * Moves the position, as lseek(2). SEEK_END, SEEK_DATA and SEEK_HOLE ask the brick.
 * @return the position; or -EINVAL (@p whence, or it would be negative), -ENXIO (SEEK_DATA and
 *         SEEK_HOLE: behind the end, or no more data), -EOVERFLOW (beyond INT64_MAX).
 */
GZC_API off_t gzc_lseek(gzc_file *file, off_t offset, int whence);

/** Forces data and metadata of the file to the brick's stable storage, as fsync(2). */
GZC_API int gzc_fsync(gzc_file *file);
/** Forces the data, and the metadata needed to read it back, as fdatasync(2). */
GZC_API int gzc_fdatasync(gzc_file *file);
/** Sets the length in bytes, as ftruncate(2). -EINVAL (negative length, or a read-only handle). */
GZC_API int gzc_ftruncate(gzc_file *file, off_t length);
/**
 * Gives the space of bytes [@p offset, @p offset + @p length) back, which read as zeros from then
 * on; the length of the file stays: fallocate(2) with FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE.
 * @return 0, or -EINVAL (negative offset, length not positive), -EFBIG (beyond INT64_MAX), -EBADF
 *         (a read-only handle), -EOPNOTSUPP (the brick's file system cannot), ...
 */
GZC_API int gzc_discard(gzc_file *file, off_t offset, off_t length);
/** Writes zeros to bytes [@p offset, @p offset + @p length), without sending them; the file grows
 * if they reach beyond its end. @return as gzc_discard(). */
GZC_API int gzc_zerofill(gzc_file *file, off_t offset, off_t length);
/**
 * Allocates, frees or zeroes a range, as fallocate(2).
 * @param mode  0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE (is
 *              gzc_discard()), FALLOC_FL_ZERO_RANGE (is gzc_zerofill()).
 * @return as gzc_discard(), -ENOSPC, or -EOPNOTSUPP (another mode: the protocol has none).
 */
GZC_API int gzc_fallocate(gzc_file *file, int mode, off_t offset, off_t length);
/**
 * Copies between two files, or within one if the ranges do not overlap. The brick does it by itself
 * if both are on the same brick of one mount, and it can; otherwise the bytes are read and written,
 * which the counters tell as staged. Between two mounts the asynchronous form gives -EXDEV. It is a
 * read of the one range and a write of the other, see gzc_pwritev_async(). A failure's text is on
 * @p out.
 * @param count  is cut to 1 GiB.
 * @return the bytes copied: less than asked for at the end of @p in, or when a failure came after
 *         some had been copied; or -EINVAL (ranges overlap, negative offset), -EBADF (also: @p out
 *         was opened with O_APPEND), -EISDIR, -EOVERFLOW, ...
 */
GZC_API ssize_t gzc_copy_file_range(gzc_file *in, off_t in_offset, gzc_file *out, off_t out_offset,
                                    size_t count);
/** Attributes of an open file. st_dev is 0: it has no meaning on a volume. */
GZC_API int gzc_fstat(gzc_file *file, struct stat *st);
/** The same as statx(2) has them; stx_mask says what is there. There is room for the birth time,
 *  but bricks up to GlusterFS 11 do not send it. */
GZC_API int gzc_fstatx(gzc_file *file, struct statx *stx);

/* ---- locks ----------------------------------------------------------------------------------- */

/**
 * POSIX byte-range locks, as fcntl(2): F_GETLK, F_SETLK, F_SETLKW. They belong to the handle's lock
 * owner, which is the handle itself unless gzc_set_lock_owner() says otherwise; they go when the
 * handle is closed, and when the client dies. l_pid is that of the identity. A brick that is lost
 * loses them: from then on the operations of a handle that has some fail with -EBADFD until it is
 * closed.
 *
 * F_SETLKW waits without bound unless its gzc_async has a timeout_ns; deadlocks are not detected.
 * If it has to wait, the brick takes from the owner what it has locked in that range already. When
 * it fails, with -ETIMEDOUT or -ECANCELED, the owner holds nothing in that range. (A brick that
 * does not answer, or is older than GlusterFS 10 and has put the call into its queue, is given 5
 * seconds; it may grant the lock later, until the handle is closed.)
 * @return 0; or -EAGAIN (held by another), -EBADF (F_RDLCK on a write-only handle, F_WRLCK on a
 *         read-only one), -EISDIR, -EINVAL, -EOVERFLOW.
 */
GZC_API int gzc_posix_lock(gzc_file *file, int cmd, struct flock *lock);

/** Of gzc_file_lock(). */
enum gzc_lock_mode {
    GZC_LOCK_ADVISORY = 0,
    /** On a volume with `locks.mandatory-locking` forced or optimal reads and writes of others that
     *  the lock forbids wait for it, or fail with -EAGAIN if their file was opened with O_NONBLOCK.
     *  If it is forced, advisory locks do that too. */
    GZC_LOCK_MANDATORY = 1,
};
/** gzc_posix_lock(), advisory or mandatory. */
GZC_API int gzc_file_lock(gzc_file *file, int cmd, struct flock *lock, enum gzc_lock_mode mode);

/** Sets whose the handle's locks, reads and writes are, from the next call on: @p length bytes of
 *  the program's choice, 1 to 91, compared as a whole. -EINVAL: length. */
GZC_API int gzc_set_lock_owner(gzc_file *file, const void *owner, size_t length);

/* ---- names ----------------------------------------------------------------------------------- */

/** Attributes of what @p path names; a final symbolic link is followed. */
GZC_API int gzc_stat(gzc_volume *volume, const char *path, struct stat *st);
/** Attributes of what @p path names; a final symbolic link is not followed. */
GZC_API int gzc_lstat(gzc_volume *volume, const char *path, struct stat *st);
/** gzc_stat(), or with AT_SYMLINK_NOFOLLOW gzc_lstat(), as gzc_fstatx(). -EINVAL: another flag. */
GZC_API int gzc_statx(gzc_volume *volume, const char *path, int flags, struct statx *stx);
/** Whether this handle's identity may do something: F_OK, or of R_OK, W_OK and X_OK. Root may, for
 *  bricks, execute everything. -EACCES, -EROFS. */
GZC_API int gzc_access(gzc_volume *volume, const char *path, int mode);
/** The file system that holds @p path. Sizes are those of the volume. */
GZC_API int gzc_statvfs(gzc_volume *volume, const char *path, struct statvfs *st);

/** Removes a name that is not a directory's. -EISDIR (or -EPERM) on a directory. */
GZC_API int gzc_unlink(gzc_volume *volume, const char *path);
/** Makes a directory; the umask is applied to @p mode. */
GZC_API int gzc_mkdir(gzc_volume *volume, const char *path, mode_t mode);
/** Removes an empty directory. -ENOTEMPTY, -ENOTDIR, -EBUSY (the root). */
GZC_API int gzc_rmdir(gzc_volume *volume, const char *path);
/** Makes a FIFO, socket, device or regular file, as mknod(2); the umask is applied. */
GZC_API int gzc_mknod(gzc_volume *volume, const char *path, mode_t mode, dev_t dev);
/** Makes a symbolic link @p path with the text @p target. */
GZC_API int gzc_symlink(gzc_volume *volume, const char *target, const char *path);
/**
 * Copies out a symbolic link's text, without a NUL, cut at @p size.
 * @return the bytes copied, -EINVAL (not a symbolic link), ...
 */
GZC_API ssize_t gzc_readlink(gzc_volume *volume, const char *path, char *buffer, size_t size);
/** Gives the inode of @p path another name. A final symbolic link is not followed. -EPERM: a
 *  directory. */
GZC_API int gzc_link(gzc_volume *volume, const char *path, const char *new_path);
/**
 * Renames, replacing what @p new_path named, as rename(2).
 * @param flags  0. Bricks can neither refuse to replace nor exchange: RENAME_NOREPLACE and
 *               RENAME_EXCHANGE give -EINVAL, as renameat2(2) on file systems without them.
 */
GZC_API int gzc_rename(gzc_volume *volume, const char *path, const char *new_path, unsigned flags);

/* ---- attributes ------------------------------------------------------------------------------ */

/*
 * Of a path, following a final symbolic link; with l, not following it; with f, of an open file,
 * whatever it was opened for, directories too. It is the identity that counts, not how the file was
 * opened, unless the file has been removed: then what needs write permission needs a handle open
 * for writing or the owner, and only root changes the owner.
 */

/** Sets the length in bytes; needs write permission. Counts as a write of the whole file, see
 *  gzc_pwritev_async(). -EISDIR, -EINVAL (negative length, or neither a file nor a directory). */
GZC_API int gzc_truncate(gzc_volume *volume, const char *path, off_t length);
/** Sets the permission bits. -EPERM: neither the owner nor root. */
GZC_API int gzc_chmod(gzc_volume *volume, const char *path, mode_t mode);
GZC_API int gzc_fchmod(gzc_file *file, mode_t mode);
/** Sets owner and group; (uid_t)-1 and (gid_t)-1 leave one as it is. */
GZC_API int gzc_chown(gzc_volume *volume, const char *path, uid_t uid, gid_t gid);
GZC_API int gzc_lchown(gzc_volume *volume, const char *path, uid_t uid, gid_t gid);
GZC_API int gzc_fchown(gzc_file *file, uid_t uid, gid_t gid);
/** Sets the times of last access, times[0], and modification, times[1], as utimensat(2): UTIME_NOW
 *  and UTIME_OMIT in tv_nsec; NULL: both now, by the clock of this host. -EACCES: neither the owner
 *  nor root, nor write permission, which bricks find enough for any time. */
GZC_API int gzc_utimens(gzc_volume *volume, const char *path, const struct timespec *times);
GZC_API int gzc_lutimens(gzc_volume *volume, const char *path, const struct timespec *times);
GZC_API int gzc_futimens(gzc_file *file, const struct timespec *times);

/**
 * Copies out the value of an extended attribute. There is no trusted.* but for root. The names that
 * GlusterFS gives answers to are had too: glusterfs.gfid, glusterfs.gfid.string, and of a path
 * glusterfs.pathinfo.
 * @param size  of @p value; 0: only the length is wanted.
 * @return its length; or -ENODATA (there is none of that name), -ERANGE (@p size is too small, or
 *         the name is longer than 255 bytes, or empty), -EACCES (no read permission), -EOPNOTSUPP
 * (a name space that the brick does not have), ...
 */
GZC_API ssize_t gzc_getxattr(gzc_volume *volume, const char *path, const char *name, void *value,
                             size_t size);
GZC_API ssize_t gzc_lgetxattr(gzc_volume *volume, const char *path, const char *name, void *value,
                              size_t size);
GZC_API ssize_t gzc_fgetxattr(gzc_file *file, const char *name, void *value, size_t size);
/**
 * Sets an extended attribute.
 * @param flags  0, XATTR_CREATE (-EEXIST if it is there), XATTR_REPLACE (-ENODATA if not).
 * @return 0, -ENOSPC or -E2BIG (too large for the brick's file system, or for Linux: 65,536 bytes),
 *         -ERANGE (the name), -EACCES (no write permission), -EPERM (GlusterFS's own, in trusted.*
 *         and glusterfs.*; trusted.* and security.*, but for root; user.* of a symbolic link), ...
 */
GZC_API int gzc_setxattr(gzc_volume *volume, const char *path, const char *name, const void *value,
                         size_t size, int flags);
GZC_API int gzc_lsetxattr(gzc_volume *volume, const char *path, const char *name, const void *value,
                          size_t size, int flags);
GZC_API int gzc_fsetxattr(gzc_file *file, const char *name, const void *value, size_t size,
                          int flags);
/** Lists the names, each with its NUL, as listxattr(2). GlusterFS's own are not among them, and for
 *  others than root no trusted.*. Needs read permission, which Linux does not ask for.
 *  @return the length of the list; -ERANGE, ... */
GZC_API ssize_t gzc_listxattr(gzc_volume *volume, const char *path, char *list, size_t size);
GZC_API ssize_t gzc_llistxattr(gzc_volume *volume, const char *path, char *list, size_t size);
GZC_API ssize_t gzc_flistxattr(gzc_file *file, char *list, size_t size);
/** Removes an extended attribute. -ENODATA: there is none of that name. Else as gzc_setxattr(). */
GZC_API int gzc_removexattr(gzc_volume *volume, const char *path, const char *name);
GZC_API int gzc_lremovexattr(gzc_volume *volume, const char *path, const char *name);
GZC_API int gzc_fremovexattr(gzc_file *file, const char *name);

/* ---- handles --------------------------------------------------------------------------------- */

/** What a file server gives its clients to name an inode by: bytes that stay valid as long as the
 *  inode exists, across renames, mounts and restarts, and can be kept anywhere. */
struct gzc_handle {
    unsigned char bytes[24]; /**< version, the volume's and the inode's id: opaque */
};

/** Handle of what @p path names; with AT_SYMLINK_NOFOLLOW of a final symbolic link itself. */
GZC_API int gzc_name_to_handle(gzc_volume *volume, const char *path, int flags,
                               struct gzc_handle *handle);
/** Handle of an open file. Asks nobody. */
GZC_API int gzc_file_to_handle(gzc_file *file, struct gzc_handle *handle);
/**
 * The path of an inode by its handle, or with @p name of that name in it: `/.gfid/UUID/name`, good
 * for every function that takes one. ".." behind a directory's handle is looked up from the brick.
 * @param name  NULL or one name, without '/'.
 * @return the length; or -ESTALE (the handle is of another volume, or of no libgzc), -ERANGE,
 *         -EINVAL (@p name). That the inode exists is not looked at.
 */
GZC_API ssize_t gzc_handle_path(gzc_volume *volume, const struct gzc_handle *handle,
                                const char *name, char *path, size_t size);
/** gzc_open() of gzc_handle_path(). -ESTALE: there is no such inode any more. */
GZC_API int gzc_open_by_handle(gzc_volume *volume, const struct gzc_handle *handle, int flags,
                               gzc_file **file);

/* ---- directories ----------------------------------------------------------------------------- */

/** One entry of a directory. */
struct gzc_dirent {
    const char *name; /**< NUL-terminated; valid until the next call with this gzc_dir */
    uint64_t ino;     /**< inode number, as st_ino */
    int64_t cookie;   /**< position behind this entry; opaque */
    unsigned type;    /**< DT_REG, DT_DIR, ... of <dirent.h> */
    int has_stat;     /**< nonzero if the brick sent the attributes too */
    struct stat st;   /**< attributes, if has_stat */
};

/** Opens a directory. On failure *dir is NULL and the text is on the volume. */
GZC_API int gzc_opendir(gzc_volume *volume, const char *path, gzc_dir **dir);
/**
 * Gives the next entry, "." and ".." too.
 * @return 1 with an entry, 0 at the end, -errno.
 */
GZC_API int gzc_readdir(gzc_dir *dir, struct gzc_dirent *entry);
/** The position behind the entry that was read last: its cookie, 0 at the beginning. */
GZC_API int64_t gzc_telldir(gzc_dir *dir);
/** Goes on behind the entry that had @p cookie, of this or another handle on the same directory.
 *  Asks nobody; what is not a cookie gives -EINVAL or the end from the next gzc_readdir(). */
GZC_API void gzc_seekdir(gzc_dir *dir, int64_t cookie);
/** Begins anew, with what is there by then. */
GZC_API void gzc_rewinddir(gzc_dir *dir);
/** Closes a directory and frees the handle. A NULL dir is ignored. */
GZC_API int gzc_closedir(gzc_dir *dir);
/** As gzc_error(), for a directory. */
GZC_API size_t gzc_dir_error(const gzc_dir *dir, char *text, size_t size);

/* ---- asynchronous operations ----------------------------------------------------------------- */

/*
 * Every operation on a mounted volume has an asynchronous form, called as the blocking one with
 * `_async` behind its name. It begins the operation and returns; the outcome is told by calling
 * `done`. The blocking form is the same code and a wait.
 *
 *  Submitting     A form returns the operation's ticket, or -errno: then nothing has begun and
 *                 `done` is not called. It never waits for the network and never calls `done`.
 *  Completing     For each operation begun, `done` is called exactly once: with what the blocking
 *                 form would have returned, and the text of a failure. It runs in a thread that
 *                 drives the volume: one in gzc_poll(), one in any blocking call, or the volume's
 *                 own (gzc_thread_start()); one callback at a time.
 *  Memory         Buffers, the iovec array, and what results go to (a struct stat, a handle) must
 *                 stay until `done` is called. From then on, whatever the result, the library and
 *                 the kernel no longer touch them. Paths are copied.
 *  In callbacks   `done` may begin operations, cancel them and unmount the volume. What callbacks
 *                 begin is sent together when they are through. Blocking calls on the same volume
 *                 give -EDEADLK there, but for gzc_unmount().
 *  Order          Operations run in any order, with one exception: reads and writes through one
 *                 volume whose bytes overlap, see gzc_pwritev_async().
 *  Handles        A file or directory may be closed while operations on it are under way: closing
 *                 waits for them. None may be begun after that.
 */

/** Tells the outcome of an operation. @param error  the failure's text, valid during the call; ""
 *  when @p result is not negative. */
typedef void gzc_done(void *arg, ssize_t result, const char *error);

/** Names an operation under way; always positive. Not used again while the volume is mounted,
 *  until 2^31 operations later. */
typedef int64_t gzc_ticket;

/** How an operation is to be run. All zero is a default. Not needed any more once it has begun. */
struct gzc_async {
    gzc_done *done;      /**< NULL: nobody is told */
    void *arg;           /**< its first argument */
    uint64_t timeout_ns; /**< nanoseconds until it fails with -ETIMEDOUT; 0: the volume's `timeout`.
                              Looked at every few milliseconds. */
    unsigned flags;      /**< GZC_MORE or 0 */
};

/** More is about to be begun: what this operation sends may wait for it, and go out in the same
 *  system call. The next operation without this flag, gzc_send(), gzc_poll() or any blocking call
 *  sends it. */
#define GZC_MORE 1u

GZC_API gzc_ticket gzc_open_async(gzc_volume *volume, const char *path, int flags, mode_t mode,
                                  gzc_file **file, const struct gzc_async *how);
GZC_API gzc_ticket gzc_create_async(gzc_volume *volume, const char *path, mode_t mode,
                                    gzc_file **file, const struct gzc_async *how);
/** The handle is gone when `done` is called. Cannot be cancelled. */
GZC_API gzc_ticket gzc_close_async(gzc_file *file, const struct gzc_async *how);

GZC_API gzc_ticket gzc_preadv_async(gzc_file *file, const struct iovec *iov, int iovcnt,
                                    off_t offset, const struct gzc_async *how);
GZC_API gzc_ticket gzc_pread_async(gzc_file *file, void *buffer, size_t count, off_t offset,
                                   const struct gzc_async *how);
/**
 * As gzc_pwritev(). Unless the volume was mounted with `ordered=0`, overlapping transfers of one
 * file through this volume, by whichever handles, keep the order in which they were begun: a write
 * waits for earlier writes that it overlaps, a read for earlier writes that it overlaps. A write
 * does not wait for earlier reads. gzc_ftruncate() and appending count as writes of the whole file,
 * gzc_fsync() as a read of it: so it covers all writes begun before it. Transfers that do not
 * overlap never wait for each other, and may run in any order, with one connection or several.
 */
GZC_API gzc_ticket gzc_pwritev_async(gzc_file *file, const struct iovec *iov, int iovcnt,
                                     off_t offset, const struct gzc_async *how);
GZC_API gzc_ticket gzc_pwrite_async(gzc_file *file, const void *buffer, size_t count, off_t offset,
                                    const struct gzc_async *how);
GZC_API gzc_ticket gzc_fsync_async(gzc_file *file, const struct gzc_async *how);
GZC_API gzc_ticket gzc_fdatasync_async(gzc_file *file, const struct gzc_async *how);
GZC_API gzc_ticket gzc_ftruncate_async(gzc_file *file, off_t length, const struct gzc_async *how);
/** Counts as a write of those bytes, see gzc_pwritev_async(). */
GZC_API gzc_ticket gzc_discard_async(gzc_file *file, off_t offset, off_t length,
                                     const struct gzc_async *how);
GZC_API gzc_ticket gzc_fstat_async(gzc_file *file, struct stat *st, const struct gzc_async *how);

GZC_API gzc_ticket gzc_stat_async(gzc_volume *volume, const char *path, struct stat *st,
                                  const struct gzc_async *how);
GZC_API gzc_ticket gzc_lstat_async(gzc_volume *volume, const char *path, struct stat *st,
                                   const struct gzc_async *how);
GZC_API gzc_ticket gzc_unlink_async(gzc_volume *volume, const char *path,
                                    const struct gzc_async *how);
GZC_API gzc_ticket gzc_mkdir_async(gzc_volume *volume, const char *path, mode_t mode,
                                   const struct gzc_async *how);
GZC_API gzc_ticket gzc_rmdir_async(gzc_volume *volume, const char *path,
                                   const struct gzc_async *how);

GZC_API gzc_ticket gzc_opendir_async(gzc_volume *volume, const char *path, gzc_dir **dir,
                                     const struct gzc_async *how);
/** As gzc_readdir(): the result is 1 with an entry, or 0. One at a time on one directory. */
GZC_API gzc_ticket gzc_readdir_async(gzc_dir *dir, struct gzc_dirent *entry,
                                     const struct gzc_async *how);
/** The handle is gone when `done` is called. Cannot be cancelled. */
GZC_API gzc_ticket gzc_closedir_async(gzc_dir *dir, const struct gzc_async *how);

GZC_API gzc_ticket gzc_chdir_async(gzc_volume *volume, const char *path,
                                   const struct gzc_async *how);
GZC_API gzc_ticket gzc_realpath_async(gzc_volume *volume, const char *path, char *buffer,
                                      size_t size, const struct gzc_async *how);

GZC_API gzc_ticket gzc_preadv2_async(gzc_file *file, const struct iovec *iov, int iovcnt,
                                     off_t offset, int flags, const struct gzc_async *how);
GZC_API gzc_ticket gzc_pwritev2_async(gzc_file *file, const struct iovec *iov, int iovcnt,
                                      off_t offset, int flags, const struct gzc_async *how);
GZC_API gzc_ticket gzc_read_async(gzc_file *file, void *buffer, size_t count,
                                  const struct gzc_async *how);
GZC_API gzc_ticket gzc_readv_async(gzc_file *file, const struct iovec *iov, int iovcnt,
                                   const struct gzc_async *how);
GZC_API gzc_ticket gzc_write_async(gzc_file *file, const void *buffer, size_t count,
                                   const struct gzc_async *how);
GZC_API gzc_ticket gzc_writev_async(gzc_file *file, const struct iovec *iov, int iovcnt,
                                    const struct gzc_async *how);
GZC_API gzc_ticket gzc_lseek_async(gzc_file *file, off_t offset, int whence,
                                   const struct gzc_async *how);
GZC_API gzc_ticket gzc_zerofill_async(gzc_file *file, off_t offset, off_t length,
                                      const struct gzc_async *how);
GZC_API gzc_ticket gzc_fallocate_async(gzc_file *file, int mode, off_t offset, off_t length,
                                       const struct gzc_async *how);
GZC_API gzc_ticket gzc_copy_file_range_async(gzc_file *in, off_t in_offset, gzc_file *out,
                                             off_t out_offset, size_t count,
                                             const struct gzc_async *how);
GZC_API gzc_ticket gzc_fstatx_async(gzc_file *file, struct statx *stx, const struct gzc_async *how);

/** F_SETLKW has no bound but timeout_ns. A lock that is granted while its cancelling is on its way
 *  is given back before `done` is called; @p lock must stay until then. */
GZC_API gzc_ticket gzc_posix_lock_async(gzc_file *file, int cmd, struct flock *lock,
                                        const struct gzc_async *how);
GZC_API gzc_ticket gzc_file_lock_async(gzc_file *file, int cmd, struct flock *lock,
                                       enum gzc_lock_mode mode, const struct gzc_async *how);

GZC_API gzc_ticket gzc_statx_async(gzc_volume *volume, const char *path, int flags,
                                   struct statx *stx, const struct gzc_async *how);
GZC_API gzc_ticket gzc_access_async(gzc_volume *volume, const char *path, int mode,
                                    const struct gzc_async *how);
GZC_API gzc_ticket gzc_statvfs_async(gzc_volume *volume, const char *path, struct statvfs *st,
                                     const struct gzc_async *how);
GZC_API gzc_ticket gzc_mknod_async(gzc_volume *volume, const char *path, mode_t mode, dev_t dev,
                                   const struct gzc_async *how);
GZC_API gzc_ticket gzc_symlink_async(gzc_volume *volume, const char *target, const char *path,
                                     const struct gzc_async *how);
GZC_API gzc_ticket gzc_readlink_async(gzc_volume *volume, const char *path, char *buffer,
                                      size_t size, const struct gzc_async *how);
GZC_API gzc_ticket gzc_link_async(gzc_volume *volume, const char *path, const char *new_path,
                                  const struct gzc_async *how);
GZC_API gzc_ticket gzc_rename_async(gzc_volume *volume, const char *path, const char *new_path,
                                    unsigned flags, const struct gzc_async *how);

GZC_API gzc_ticket gzc_truncate_async(gzc_volume *volume, const char *path, off_t length,
                                      const struct gzc_async *how);
GZC_API gzc_ticket gzc_chmod_async(gzc_volume *volume, const char *path, mode_t mode,
                                   const struct gzc_async *how);
GZC_API gzc_ticket gzc_fchmod_async(gzc_file *file, mode_t mode, const struct gzc_async *how);
GZC_API gzc_ticket gzc_chown_async(gzc_volume *volume, const char *path, uid_t uid, gid_t gid,
                                   const struct gzc_async *how);
GZC_API gzc_ticket gzc_lchown_async(gzc_volume *volume, const char *path, uid_t uid, gid_t gid,
                                    const struct gzc_async *how);
GZC_API gzc_ticket gzc_fchown_async(gzc_file *file, uid_t uid, gid_t gid,
                                    const struct gzc_async *how);
GZC_API gzc_ticket gzc_utimens_async(gzc_volume *volume, const char *path,
                                     const struct timespec *times, const struct gzc_async *how);
GZC_API gzc_ticket gzc_lutimens_async(gzc_volume *volume, const char *path,
                                      const struct timespec *times, const struct gzc_async *how);
GZC_API gzc_ticket gzc_futimens_async(gzc_file *file, const struct timespec *times,
                                      const struct gzc_async *how);

GZC_API gzc_ticket gzc_getxattr_async(gzc_volume *volume, const char *path, const char *name,
                                      void *value, size_t size, const struct gzc_async *how);
GZC_API gzc_ticket gzc_lgetxattr_async(gzc_volume *volume, const char *path, const char *name,
                                       void *value, size_t size, const struct gzc_async *how);
GZC_API gzc_ticket gzc_fgetxattr_async(gzc_file *file, const char *name, void *value, size_t size,
                                       const struct gzc_async *how);
GZC_API gzc_ticket gzc_setxattr_async(gzc_volume *volume, const char *path, const char *name,
                                      const void *value, size_t size, int flags,
                                      const struct gzc_async *how);
GZC_API gzc_ticket gzc_lsetxattr_async(gzc_volume *volume, const char *path, const char *name,
                                       const void *value, size_t size, int flags,
                                       const struct gzc_async *how);
GZC_API gzc_ticket gzc_fsetxattr_async(gzc_file *file, const char *name, const void *value,
                                       size_t size, int flags, const struct gzc_async *how);
GZC_API gzc_ticket gzc_listxattr_async(gzc_volume *volume, const char *path, char *list,
                                       size_t size, const struct gzc_async *how);
GZC_API gzc_ticket gzc_llistxattr_async(gzc_volume *volume, const char *path, char *list,
                                        size_t size, const struct gzc_async *how);
GZC_API gzc_ticket gzc_flistxattr_async(gzc_file *file, char *list, size_t size,
                                        const struct gzc_async *how);
GZC_API gzc_ticket gzc_removexattr_async(gzc_volume *volume, const char *path, const char *name,
                                         const struct gzc_async *how);
GZC_API gzc_ticket gzc_lremovexattr_async(gzc_volume *volume, const char *path, const char *name,
                                          const struct gzc_async *how);
GZC_API gzc_ticket gzc_fremovexattr_async(gzc_file *file, const char *name,
                                          const struct gzc_async *how);

GZC_API gzc_ticket gzc_name_to_handle_async(gzc_volume *volume, const char *path, int flags,
                                            struct gzc_handle *handle, const struct gzc_async *how);
GZC_API gzc_ticket gzc_open_by_handle_async(gzc_volume *volume, const struct gzc_handle *handle,
                                            int flags, gzc_file **file,
                                            const struct gzc_async *how);

GZC_API gzc_ticket gzc_ping_async(gzc_volume *volume, int index, uint64_t *nanoseconds,
                                  const struct gzc_async *how);

/**
 * Asks for an operation to end early. Its `done` is still called, once, later, and never from
 * inside this call: with -ECANCELED, or with its result if that was in already. What the server has
 * been asked to do it may do all the same: a cancelled write may have been written, in part or as
 * a whole. Any thread, callbacks too.
 * @return 0; or -ENOENT (it has completed, or there never was such a ticket), -EINVAL (it closes a
 *         handle).
 */
GZC_API int gzc_cancel(gzc_volume *volume, gzc_ticket ticket);

/**
 * Drives the volume: sends, receives, and calls `done` of the operations that have completed. Waits
 * until there was at least one, or the time is over. If another thread drives the volume already,
 * waits for it to stop or to call a `done`.
 *
 * @param max         callbacks to run at most; 0: no bound. More may be left to the next call.
 * @param timeout_ms  -1: wait as long as it takes; 0: do not wait.
 * With several threads in it, which of them runs a callback is chance: one that waits for something
 * of its own should give a time-out, and look.
 *
 * @return the number of callbacks that this call has run, which may be 0; or -EDEADLK (called from
 *         a callback). After a callback has unmounted the volume the handle is gone.
 */
GZC_API int gzc_poll(gzc_volume *volume, unsigned max, int timeout_ms);

/** Sends what was begun with GZC_MORE. */
GZC_API void gzc_send(gzc_volume *volume);

/**
 * A descriptor that polls readable (POLLIN, EPOLLIN; level-triggered) when gzc_poll(volume, ..., 0)
 * has something to do, deadlines included. Nothing else may be done with it; it is closed by
 * gzc_unmount(). Submitting needs no poll afterwards.
 * @return the descriptor, or -errno.
 */
GZC_API int gzc_fd(gzc_volume *volume);

/**
 * Starts a thread that drives the volume until gzc_thread_stop() or gzc_unmount(). Callbacks run in
 * it. All its signals are blocked. @return 0, -EALREADY (there is one), or as pthread_create(3).
 */
GZC_API int gzc_thread_start(gzc_volume *volume);
/** Stops it. @return 0, -ESRCH (there is none), -EDEADLK (called from a callback). */
GZC_API int gzc_thread_stop(gzc_volume *volume);

/* ---- memory for RDMA ------------------------------------------------------------------------- */

/**
 * Registers memory with RDMA devices until gzc_unregister() or gzc_unmount(), so that reads and
 * writes there find it registered, whatever the cache does. It must be writable, and must not be
 * unmapped or remapped before. Without this, memory is registered when it is first used. Does
 * nothing on a volume that is not mounted by RDMA.
 * @return 0, -ENOMEM (also: the limit on locked memory, RLIMIT_MEMLOCK, is too small; the text says
 *         so), -EFAULT (not mapped, or not writable).
 */
GZC_API int gzc_register(gzc_volume *volume, void *address, size_t length);
/** Takes back a gzc_register() of the same memory. -ENOENT: there is none. */
GZC_API int gzc_unregister(gzc_volume *volume, void *address, size_t length);

/* ---- what is going on ------------------------------------------------------------------------ */

/** Counters since mount or open; they only grow. */
struct gzc_stats {
    uint64_t bytes_landed;      /**< payload moved between the socket and the caller's memory */
    uint64_t bytes_staged;      /**< payload that went through a buffer of the library's */
    uint64_t calls;             /**< RPC calls sent */
    uint64_t replies;           /**< replies that matched a posted call */
    uint64_t replies_retired;   /**< replies that came after their call was retired; drained */
    uint64_t replies_unmatched; /**< replies that match no call ever posted; drained */
    uint64_t callbacks;         /**< calls that a server made to us */
    uint64_t receive_syscalls;  /**< recvmsg */
    uint64_t send_syscalls;     /**< sendmsg */
    uint64_t wait_syscalls;     /**< epoll waits */
    /* of RDMA, for which there are no system calls to count but waits */
    uint64_t work_requests; /**< posted: SENDs, memory windows bound and invalidated */
    uint64_t doorbells;     /**< times that some were posted */
    uint64_t completions;   /**< taken from completion queues */
    uint64_t registrations; /**< of memory with a device */
};

/**
 * Counters of a volume. @p size is sizeof(struct gzc_stats) as the caller was compiled: that many
 * bytes are filled, counters the library does not know being 0.
 */
GZC_API int gzc_volume_stats(const gzc_volume *volume, struct gzc_stats *stats, size_t size);
/** Counters of a file: bytes and calls of its reads and writes; the rest are 0. */
GZC_API int gzc_file_stats(const gzc_file *file, struct gzc_stats *stats, size_t size);

/** A brick as the volume sees it. */
struct gzc_brick_info {
    char name[256];       /**< name of the protocol/client translator in the volfile */
    char host[256];       /**< as the volfile gives it */
    char path[1024];      /**< export path on that host */
    char address[64];     /**< address and port of the connection; "" when there is none */
    char error[256];      /**< why it is not connected; "" when it is */
    int connected;        /**< nonzero: the handshake is done and the brick serves */
    unsigned connections; /**< that are up, at most `nconnect` */
    char transport[8];    /**< "tcp" or "rdma" */
};

/** Number of bricks of the volume. */
GZC_API int gzc_brick_count(const gzc_volume *volume);
/** Describes brick @p index, counted from 0 in the volfile's order. -EINVAL: no such brick.
 *  @p size is sizeof(struct gzc_brick_info) as the caller was compiled. */
GZC_API int gzc_brick_info(gzc_volume *volume, int index, struct gzc_brick_info *info, size_t size);
/** Name of the volume, as in the volfile or the URI. Lives as long as the volume. */
GZC_API const char *gzc_volume_name(const gzc_volume *volume);
/** The glusterd "host:port" that gave the volfile; "" if none did. Lives as long as the volume. */
GZC_API const char *gzc_volume_server(const gzc_volume *volume);
/** Calls @p each for every option in force: those of the URI, and those of the volfile as
 *  "translator.option". Stops at, and returns, the first nonzero that @p each returns. */
GZC_API int gzc_volume_options(const gzc_volume *volume,
                               int (*each)(void *arg, const char *name, const char *value),
                               void *arg);
/** Sends a ping to brick @p index and waits for its answer.
 *  @param nanoseconds  receives the round-trip time. */
GZC_API int gzc_ping(gzc_volume *volume, int index, uint64_t *nanoseconds);

#ifdef __cplusplus
}
#endif

#endif
