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
 *  Paths          Bytes, separated by '/', from the root of the volume; a leading '/' is optional.
 *                 Names are at most 255 bytes (NAME_MAX), paths at most 4095 (PATH_MAX - 1).
 *  Identity       Operations run as the effective user, group and supplementary groups, and with
 *                 the umask, that the process had at gzc_mount().
 *  Time           A call takes at most the volume's `timeout`; then it fails with -ETIMEDOUT.
 *
 * Errors that any operation on a volume may give, beside those listed with it:
 *  -ENOTCONN      the brick is away, for longer than the volume's `reconnect_timeout`; or it went
 *                 while an operation was under way that must not be done twice (an append, making
 *                 or removing a name): the text says then that its outcome is not known
 *  -ESTALE        the file is gone: it was removed while the brick was away
 *  -ETIMEDOUT     no answer within the volume's `timeout`
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

#ifdef __cplusplus
extern "C" {
#endif

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
 *   fallback=tcp             connect by TCP where no gateway can be had
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
 * Unmounts, whatever state the volume is in, and frees the handle. Files and directories must have
 * been closed. Does not wait for the network. A NULL volume is ignored.
 * @return 0, or -EBUSY (files or directories are still open; nothing has been done).
 */
GZC_API int gzc_unmount(gzc_volume *volume);

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
 *               O_DSYNC, O_NOFOLLOW.
 * @param mode   permission bits of a file that is created; the umask is applied.
 * @return 0, or -ENOENT, -EEXIST, -EACCES, -EISDIR, -ENOTDIR, -ELOOP, -ENAMETOOLONG, -ENXIO (a
 *         FIFO, socket or device: those work on their own host only), -EINVAL (a flag that is not
 *         in the list), ...; *file is NULL then, and the text is on the volume.
 */
GZC_API int gzc_open(gzc_volume *volume, const char *path, int flags, mode_t mode, gzc_file **file);

/** gzc_open() with O_CREAT | O_WRONLY | O_TRUNC. */
GZC_API int gzc_create(gzc_volume *volume, const char *path, mode_t mode, gzc_file **file);

/**
 * Closes a file and frees the handle, whatever the result. The brick is told (FLUSH) and what it
 * answers is the result; data is not forced to stable storage. A NULL file is ignored.
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

/** Forces data and metadata of the file to the brick's stable storage, as fsync(2). */
GZC_API int gzc_fsync(gzc_file *file);
/** Forces the data, and the metadata needed to read it back, as fdatasync(2). */
GZC_API int gzc_fdatasync(gzc_file *file);
/** Sets the length in bytes, as ftruncate(2). -EINVAL (negative length, or a read-only handle). */
GZC_API int gzc_ftruncate(gzc_file *file, off_t length);
/**
 * Gives the space of bytes [@p offset, @p offset + @p length) back, which read as zeros from then
 * on; the length of the file stays: fallocate(2) with FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE.
 * @return 0, or -EINVAL (negative offset, length not positive), -EBADF (a read-only handle),
 *         -EOPNOTSUPP (the brick's file system cannot), ...
 */
GZC_API int gzc_discard(gzc_file *file, off_t offset, off_t length);
/** Attributes of an open file. st_dev is 0: it has no meaning on a volume. */
GZC_API int gzc_fstat(gzc_file *file, struct stat *st);

/* ---- names ----------------------------------------------------------------------------------- */

/** Attributes of what @p path names; a final symbolic link is followed. */
GZC_API int gzc_stat(gzc_volume *volume, const char *path, struct stat *st);
/** Attributes of what @p path names; a final symbolic link is not followed. */
GZC_API int gzc_lstat(gzc_volume *volume, const char *path, struct stat *st);
/** Removes a name that is not a directory's. -EISDIR (or -EPERM) on a directory. */
GZC_API int gzc_unlink(gzc_volume *volume, const char *path);
/** Makes a directory; the umask is applied to @p mode. */
GZC_API int gzc_mkdir(gzc_volume *volume, const char *path, mode_t mode);
/** Removes an empty directory. -ENOTEMPTY, -ENOTDIR, -EBUSY (the root). */
GZC_API int gzc_rmdir(gzc_volume *volume, const char *path);

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
