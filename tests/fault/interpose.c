/*
 * interpose.c - libinterpose.so: records where the bytes of TCP sockets land and leave from.
 *
 * Stands before the C library's receiving and sending functions, the checked variants that
 * _FORTIFY_SOURCE calls among them, and keeps the log that interpose.h describes. System calls
 * made without the C library are not seen: who relies on the log compares its sum with what the
 * kernel says of the socket (TCP_INFO).
 */
#undef _FORTIFY_SOURCE /* its inline functions have the names that are defined here */
#include "tests/fault/interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* The C library's own function of that name. */
#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

static int log_fd = -1;

EXPORT void interpose_log(const char *path)
{
    if (log_fd >= 0)
        close(log_fd);
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

__attribute__((constructor)) static void log_open(void)
{
    const char *path = getenv(INTERPOSE_LOG);
    if (path)
        interpose_log(path);
}

static bool is_tcp(int fd)
{
    int protocol = 0;
    socklen_t n = sizeof(protocol);
    return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &n) == 0 && protocol == IPPROTO_TCP;
}

/* The kernel has moved n bytes to or from the pieces, in their order. Returns n. */
static ssize_t note(int direction, int fd, const struct iovec *iov, size_t count, ssize_t n)
{
    int saved = errno;
    size_t left = n > 0 ? (size_t)n : 0;

    if (log_fd >= 0 && left && is_tcp(fd)) {
        struct interpose_record r = {
            .pid = (uint32_t)getpid(),
            .direction = (uint32_t)direction,
            .fd = (uint64_t)fd,
        };
        for (size_t i = 0; i < count && left; i++) {
            size_t moved = iov[i].iov_len < left ? iov[i].iov_len : left;
            size_t sample = moved < sizeof(r.sample) ? moved : sizeof(r.sample);
            if (!moved)
                continue;
            r.address = (uint64_t)iov[i].iov_base;
            r.length = moved;
            memset(r.sample, 0, sizeof(r.sample));
            memcpy(r.sample, iov[i].iov_base, sample);
            /* A log with holes would prove nothing. */
            if (REAL(write)(log_fd, &r, sizeof(r)) != sizeof(r))
                abort();
            left -= moved;
        }
    }
    errno = saved;
    return n;
}

static ssize_t note_one(int direction, int fd, const void *buffer, ssize_t n)
{
    struct iovec iov = {(void *)buffer, n > 0 ? (size_t)n : 0};
    return note(direction, fd, &iov, 1, n);
}

/* ---- receiving ------------------------------------------------------------------------------- */

EXPORT ssize_t read(int fd, void *buffer, size_t count)
{
    return note_one(INTERPOSE_RECEIVED, fd, buffer, REAL(read)(fd, buffer, count));
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int count)
{
    return note(INTERPOSE_RECEIVED, fd, iov, (size_t)count, REAL(readv)(fd, iov, count));
}

EXPORT ssize_t recv(int fd, void *buffer, size_t count, int flags)
{
    ssize_t n = REAL(recv)(fd, buffer, count, flags);
    return flags & MSG_PEEK ? n : note_one(INTERPOSE_RECEIVED, fd, buffer, n);
}

EXPORT ssize_t recvfrom(int fd, void *restrict buffer, size_t count, int flags,
                        struct sockaddr *restrict address, socklen_t *restrict length)
{
    ssize_t n = REAL(recvfrom)(fd, buffer, count, flags, address, length);
    return flags & MSG_PEEK ? n : note_one(INTERPOSE_RECEIVED, fd, buffer, n);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t n = REAL(recvmsg)(fd, message, flags);
    return flags & MSG_PEEK
               ? n
               : note(INTERPOSE_RECEIVED, fd, message->msg_iov, message->msg_iovlen, n);
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags,
                    struct timespec *timeout)
{
    int n = REAL(recvmmsg)(fd, messages, count, flags, timeout);
    for (int i = 0; i < n && !(flags & MSG_PEEK); i++)
        note(INTERPOSE_RECEIVED, fd, messages[i].msg_hdr.msg_iov, messages[i].msg_hdr.msg_iovlen,
             messages[i].msg_len);
    return n;
}

ssize_t __read_chk(int fd, void *buffer, size_t count, size_t size);
EXPORT ssize_t __read_chk(int fd, void *buffer, size_t count, size_t size)
{
    return note_one(INTERPOSE_RECEIVED, fd, buffer, REAL(__read_chk)(fd, buffer, count, size));
}

ssize_t __recv_chk(int fd, void *buffer, size_t count, size_t size, int flags);
EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t count, size_t size, int flags)
{
    ssize_t n = REAL(__recv_chk)(fd, buffer, count, size, flags);
    return flags & MSG_PEEK ? n : note_one(INTERPOSE_RECEIVED, fd, buffer, n);
}

ssize_t __recvfrom_chk(int fd, void *restrict buffer, size_t count, size_t size, int flags,
                       struct sockaddr *restrict address, socklen_t *restrict length);
EXPORT ssize_t __recvfrom_chk(int fd, void *restrict buffer, size_t count, size_t size, int flags,
                              struct sockaddr *restrict address, socklen_t *restrict length)
{
    ssize_t n = REAL(__recvfrom_chk)(fd, buffer, count, size, flags, address, length);
    return flags & MSG_PEEK ? n : note_one(INTERPOSE_RECEIVED, fd, buffer, n);
}

/* ---- sending --------------------------------------------------------------------------------- */

EXPORT ssize_t write(int fd, const void *buffer, size_t count)
{
    return note_one(INTERPOSE_SENT, fd, buffer, REAL(write)(fd, buffer, count));
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
    return note(INTERPOSE_SENT, fd, iov, (size_t)count, REAL(writev)(fd, iov, count));
}

EXPORT ssize_t send(int fd, const void *buffer, size_t count, int flags)
{
    return note_one(INTERPOSE_SENT, fd, buffer, REAL(send)(fd, buffer, count, flags));
}

EXPORT ssize_t sendto(int fd, const void *buffer, size_t count, int flags,
                      const struct sockaddr *address, socklen_t length)
{
    return note_one(INTERPOSE_SENT, fd, buffer,
                    REAL(sendto)(fd, buffer, count, flags, address, length));
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return note(INTERPOSE_SENT, fd, message->msg_iov, message->msg_iovlen,
                REAL(sendmsg)(fd, message, flags));
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    int n = REAL(sendmmsg)(fd, messages, count, flags);
    for (int i = 0; i < n; i++)
        note(INTERPOSE_SENT, fd, messages[i].msg_hdr.msg_iov, messages[i].msg_hdr.msg_iovlen,
             messages[i].msg_len);
    return n;
}
