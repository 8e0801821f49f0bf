#include "stats.h"

#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

const char *end_reason_name(enum end_reason reason)
{
    static const char *const names[END_REASONS] = {
        [END_LEFT] = "left",     [END_VIOLATION] = "violation", [END_ATTACH] = "attach",
        [END_BRICK] = "brick",   [END_TIMEOUT] = "timeout",     [END_MEMORY] = "memory",
        [END_DEVICE] = "device", [END_SHUTDOWN] = "shutdown",
    };
    return names[reason];
}

static const char *const reject_names[8] = {
    [RDMA_REJECT_MALFORMED] = "malformed",     [RDMA_REJECT_VERSION] = "version",
    [RDMA_REJECT_NOT_ALLOWED] = "not_allowed", [RDMA_REJECT_TOO_MANY] = "too_many",
    [RDMA_REJECT_NO_MEMORY] = "no_memory",     [RDMA_REJECT_ENDING] = "ending",
};

static const char *const error_names[8] = {
    [RDMA_ERROR_TOO_LONG] = "too_long",       [RDMA_ERROR_CANCELLED] = "cancelled",
    [RDMA_ERROR_UNREACHABLE] = "unreachable", [RDMA_ERROR_REFUSED] = "refused",
    [RDMA_ERROR_BROKEN] = "broken",           [RDMA_ERROR_NO_MEMORY] = "no_memory",
};

/* Whoever wants the counters gets them by name, one by one. */
typedef void stats_visit(void *arg, const char *name, uint64_t value);

static void visit_table(stats_visit *visit, void *arg, const char *prefix, const char *const *names,
                        const uint64_t *values, size_t count)
{
    char name[64];
    for (size_t i = 0; i < count; i++) {
        if (!names[i])
            continue;
        snprintf(name, sizeof(name), "%s_%s", prefix, names[i]);
        visit(arg, name, values[i]);
    }
}

static void stats_walk(const struct gateway *g, stats_visit *visit, void *arg)
{
    const struct stats *s = &g->stats;
    const char *reasons[END_REASONS];
    for (unsigned i = 0; i < END_REASONS; i++)
        reasons[i] = end_reason_name(i);
    visit(arg, "clients", g->client_count);
#define X(name, text) visit(arg, #name, s->name);
    STATS_COUNTERS(X)
#undef X
    visit(arg, "memory", g->pool.pages * (uint64_t)POOL_PAGE);
    visit(arg, "memory_used", g->pool.used * (uint64_t)POOL_PAGE);
    visit(arg, "memory_peak", g->pool.peak * (uint64_t)POOL_PAGE);
    visit(arg, "receive_syscalls", s->tcp.receive_syscalls);
    visit(arg, "send_syscalls", s->tcp.send_syscalls);
    visit_table(visit, arg, "ended", reasons, s->ended, END_REASONS);
    visit_table(visit, arg, "rejected", reject_names, s->rejected, 8);
    visit_table(visit, arg, "error", error_names, s->error_codes, 8);
}

static void visit_log(void *arg, const char *name, uint64_t value)
{
    log_number(arg, name, value);
}

void stats_log(const struct gateway *g)
{
    struct log_line l;
    log_begin(&l, LOG_LEVEL_INFO, "statistics");
    stats_walk(g, visit_log, &l);
    log_end(&l);
}

/* ---- the socket ------------------------------------------------------------------------------ */

struct json {
    char text[8192];
    size_t length;
};

static void visit_json(void *arg, const char *name, uint64_t value)
{
    struct json *j = arg;
    int n = snprintf(j->text + j->length, sizeof(j->text) - j->length, "%s\"%s\": %llu",
                     j->length ? ",\n  " : "{\n  ", name, (unsigned long long)value);
    if (n > 0 && (size_t)n < sizeof(j->text) - j->length)
        j->length += (size_t)n;
}

/* A socket's buffer takes far more than this text: nobody waits. */
static void stats_accept(struct source *s, uint32_t events)
{
    struct gateway *g = LIST_OF(s, struct gateway, stats_source);
    struct json j = {.length = 0};
    (void)events;
    int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    stats_walk(g, visit_json, &j);
    struct iovec parts[] = {{j.text, j.length}, {(char *)"\n}\n", 3}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    sendmsg(fd, &message, MSG_NOSIGNAL);
    close(fd);
}

int stats_serve(struct gateway *g, const char *path, struct errtext *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof(address.sun_path))
        return errtext_set(why, ENAMETOOLONG, "socket %s: the path is too long", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -errno : 0;
    if (rc == 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        rc = -errno;
    if (rc == 0 && (chmod(path, 0660) < 0 || listen(fd, 8) < 0))
        rc = -errno;
    g->stats_source.ready = stats_accept;
    rc = rc ? rc : source_add(g, &g->stats_source, fd, EPOLLIN);
    if (rc < 0) {
        if (fd >= 0)
            close(fd);
        return errtext_set(why, rc, "socket %s: %s", path, errtext_errno(rc));
    }
    return 0;
}

void stats_serve_end(struct gateway *g)
{
    int fd = g->stats_source.fd;
    if (fd < 0)
        return;
    source_remove(g, &g->stats_source);
    close(fd);
    unlink(g->options.stats_socket);
}
