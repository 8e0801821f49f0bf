/* The peer's thread, its connections and what the test sees of them. */
#include "tests/wire/peer_internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/tcp.h> /* has more of struct tcp_info than netinet/tcp.h */
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LAST_FRAGMENT UINT32_C(0x80000000)
#define RECEIVE_STEP  (256 << 10)
#define CONNS         64 /* open at once */

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- buffers --------------------------------------------------------------------------------- */

/* A test that runs out of memory has failed. */
static void reserve(uint8_t **at, size_t *room, size_t wanted)
{
    if (wanted <= *room)
        return;
    *room = wanted + wanted / 2;
    *at = realloc(*at, *room);
    if (!*at)
        abort();
}

static void wake(struct peer *p)
{
    uint64_t one = 1;
    if (write(p->wake, &one, sizeof(one)) < 0)
        abort();
}

/* ---- a connection ---------------------------------------------------------------------------- */

static void conn_gone(struct peer_conn *conn)
{
    if (conn->fd < 0)
        return;
    close(conn->fd);
    conn->fd = -1;
    conn->in_length = conn->out_length = 0;
    conn->peer->counts.open--;
    pthread_cond_broadcast(&conn->peer->changed);
}

/* Sends what is queued as far as the socket takes it. */
static void conn_flush(struct peer_conn *conn)
{
    size_t done = 0;
    while (conn->fd >= 0 && done < conn->out_length) {
        ssize_t n =
            send(conn->fd, conn->out + done, conn->out_length - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            conn_gone(conn);
            return;
        }
        done += (size_t)n;
        conn->sent += (uint64_t)n;
    }
    if (conn->fd < 0)
        return;
    if (done)
        memmove(conn->out, conn->out + done, conn->out_length - done);
    conn->out_length -= done;
    if (conn->closing && conn->out_length == 0)
        conn_gone(conn);
}

bool peer_send(struct peer_conn *conn, const void *bytes, size_t n)
{
    if (conn->fd < 0 || conn->closing)
        return false;
    reserve(&conn->out, &conn->out_room, conn->out_length + n);
    if (n)
        memcpy(conn->out + conn->out_length, bytes, n);
    conn->out_length += n;
    conn_flush(conn);
    if (conn->out_length)
        wake(conn->peer);
    return conn->fd >= 0;
}

bool peer_send_record(struct peer_conn *conn, struct peer_record *r)
{
    bool sent = peer_send(conn, r->at, r->length);
    peer_record_free(r);
    return sent;
}

static bool same_end(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    return a->sin_family == b->sin_family && a->sin_port == b->sin_port &&
           a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static bool is_client_fd(const struct peer_conn *conn, int fd)
{
    struct sockaddr_in near = {0}, far = {0};
    socklen_t near_length = sizeof(near), far_length = sizeof(far);
    return getsockname(fd, (struct sockaddr *)&near, &near_length) == 0 &&
           getpeername(fd, (struct sockaddr *)&far, &far_length) == 0 &&
           same_end(&near, &conn->far) && same_end(&far, &conn->self);
}

int peer_client_fd(struct peer_conn *conn)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return -1;
    int found = -1;
    for (struct dirent *e; found < 0 && (e = readdir(dir));) {
        int fd = atoi(e->d_name);
        if (e->d_name[0] != '.' && fd != conn->fd && is_client_fd(conn, fd))
            found = fd;
    }
    closedir(dir);
    return found;
}

/* Both ends are sockets of this process: the client's own tells what it has received in all, and
 * what of that still waits to be taken out. */
static bool all_taken(struct peer_conn *conn, int client)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    int waiting = 0;
    return conn->out_length == 0 &&
           getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
           info.tcpi_bytes_received >= conn->sent && ioctl(client, FIONREAD, &waiting) == 0 &&
           waiting == 0;
}

bool peer_settle(struct peer_conn *conn)
{
    int client = conn->fd < 0 ? -1 : peer_client_fd(conn);
    if (client < 0)
        return false;
    uint64_t end = now_ms() + PEER_PATIENCE_MS;
    while (!all_taken(conn, client)) {
        if (now_ms() > end) {
            peer_complain(conn->peer, "the client did not take what was sent");
            return false;
        }
        conn_flush(conn);
        if (conn->fd < 0 || !is_client_fd(conn, client))
            return false;
        sched_yield();
    }
    return true;
}

bool peer_send_cut(struct peer_conn *conn, const void *bytes, size_t n, size_t cut)
{
    if (cut == 0 || cut >= n)
        return peer_send(conn, bytes, n);
    return peer_send(conn, bytes, cut) && peer_settle(conn) &&
           peer_send(conn, (const uint8_t *)bytes + cut, n - cut);
}

void peer_close(struct peer_conn *conn)
{
    conn->closing = true;
    conn_flush(conn);
    wake(conn->peer); /* a poll() that has begun keeps the socket open */
}

void peer_reset(struct peer_conn *conn)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (conn->fd < 0)
        return;
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    conn_gone(conn);
    wake(conn->peer); /* as above */
}

void peer_deafen(struct peer_conn *conn, bool deaf)
{
    conn->deaf = deaf;
    wake(conn->peer);
}

struct peer_conn *peer_latest(struct peer *p)
{
    return p->connections;
}

/* At p->self, which has the port then. */
static bool open_listener(struct peer *p)
{
    socklen_t length = sizeof(p->self);
    int on = 1;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->listener < 0)
        return false;
    setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* Connections inherit it, in time for the window that the handshake announces. */
    if (p->options.receive_buffer)
        setsockopt(p->listener, SOL_SOCKET, SO_RCVBUF, &p->options.receive_buffer, sizeof(int));
    return bind(p->listener, (struct sockaddr *)&p->self, sizeof(p->self)) == 0 &&
           listen(p->listener, 64) == 0 &&
           getsockname(p->listener, (struct sockaddr *)&p->self, &length) == 0;
}

void peer_restart(struct peer *p, bool reset)
{
    for (struct peer_conn *c = p->connections; c; c = c->next) {
        if (c->fd < 0)
            continue;
        if (reset)
            peer_reset(c);
        else
            peer_close(c);
    }
    for (int64_t fd = p->first_fd; fd < PEER_FDS; fd++) {
        if (p->fds[fd])
            p->first_fd = fd + 1;
        p->fds[fd] = NULL;
    }
    p->counts.open_fds = 0;
}

void peer_listen(struct peer *p, bool listens)
{
    if (listens == (p->listener >= 0))
        return;
    if (listens && !open_listener(p))
        peer_complain(p, "cannot listen on the port again");
    p->mute = !listens;
    wake(p);
    while (p->mute && p->listener >= 0) /* closed here, the poll() under way would keep it open */
        pthread_cond_wait(&p->changed, &p->lock);
}

/* ---- what comes in --------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void count_call(struct peer *p, const struct peer_call *call)
{
    struct peer_counts *c = &p->counts;
    if (call->prog == PEER_PROG_FOP && call->proc < PEER_FOPS) {
        c->fops[call->proc]++;
        c->write_bytes += call->payload_length;
    } else if (call->prog == PEER_PROG_DUMP) {
        *(call->proc == PEER_PING ? &c->pings : &c->dumps) += 1;
    } else if (call->prog == PEER_PROG_HANDSHAKE) {
        *(call->proc == PEER_SETVOLUME ? &c->setvolumes : &c->getspecs) += 1;
    } else if (call->prog == PEER_PROG_PORTMAP) {
        c->portbybricks++;
    }
}

static void conn_call(struct peer_conn *conn, const uint8_t *p, size_t length)
{
    struct peer *peer = conn->peer;
    struct peer_call call = {.peer = peer, .conn = conn};
    if (!peer_decode(&call, p, length)) {
        conn_gone(conn);
        return;
    }
    count_call(peer, &call);
    if (peer->options.hook && peer->options.hook(&call, peer->options.arg))
        return;
    struct peer_record reply = {0};
    peer_execute(&call, &reply);
    peer_send_record(conn, &reply);
}

/* Deals with the whole records that have come. */
static void conn_dispatch(struct peer_conn *conn)
{
    size_t done = 0;
    while (conn->fd >= 0 && !conn->closing && !conn->deaf && conn->in_length - done >= 4) {
        uint32_t mark = get32(conn->in + done), length = mark & ~LAST_FRAGMENT;
        if (!(mark & LAST_FRAGMENT) || length > UINT32_C(64) << 20) {
            peer_complain(conn->peer, "record mark %08x: not one fragment of sane length", mark);
            conn_gone(conn);
            return;
        }
        if (conn->in_length - done - 4 < length)
            break;
        conn_call(conn, conn->in + done + 4, length);
        done += 4 + (size_t)length;
    }
    if (done && conn->fd >= 0) {
        memmove(conn->in, conn->in + done, conn->in_length - done);
        conn->in_length -= done;
    }
}

static size_t conn_receive(struct peer_conn *conn, size_t max)
{
    reserve(&conn->in, &conn->in_room, conn->in_length + max);
    ssize_t n = recv(conn->fd, conn->in + conn->in_length, max, MSG_DONTWAIT);
    if (n > 0)
        conn->in_length += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        conn_gone(conn);
    return n > 0 ? (size_t)n : 0;
}

size_t peer_take(struct peer_conn *conn, size_t n)
{
    return conn->fd < 0 ? 0 : conn_receive(conn, n);
}

bool peer_taken(const struct peer_conn *conn, size_t at, void *to, size_t n)
{
    if (at + n > conn->in_length)
        return false;
    memcpy(to, conn->in + at, n);
    return true;
}

static void conn_accept(struct peer *p)
{
    struct sockaddr_in far = {0};
    socklen_t length = sizeof(far);
    int fd = accept4(p->listener, (struct sockaddr *)&far, &length, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct peer_conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        abort();
    *conn = (struct peer_conn){
        .next = p->connections,
        .peer = p,
        .fd = fd,
        .self = p->self,
        .far = far,
    };
    p->connections = conn;
    p->counts.connections++;
    p->counts.open++;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static unsigned gather(struct peer *p, struct pollfd *fds, struct peer_conn **conns)
{
    unsigned n = 2;
    fds[0] = (struct pollfd){p->wake, POLLIN, 0};
    fds[1] = (struct pollfd){p->listener, POLLIN, 0};
    for (struct peer_conn *c = p->connections; c && n < CONNS; c = c->next) {
        if (c->fd < 0)
            continue;
        short events = (short)((c->deaf ? 0 : POLLIN) | (c->out_length ? POLLOUT : 0));
        fds[n] = (struct pollfd){c->fd, events, 0};
        conns[n++] = c;
    }
    return n;
}

static void *run(void *arg)
{
    struct peer *p = arg;
    struct pollfd fds[CONNS];
    struct peer_conn *conns[CONNS];
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        if (p->mute && p->listener >= 0) {
            close(p->listener);
            p->listener = -1;
        }
        for (struct peer_conn *c = p->connections; c; c = c->next)
            conn_dispatch(c);
        pthread_cond_broadcast(&p->changed);
        unsigned n = gather(p, fds, conns);
        pthread_mutex_unlock(&p->lock);
        int ready = poll(fds, n, -1);
        pthread_mutex_lock(&p->lock);
        if (ready <= 0)
            continue;
        uint64_t woken;
        if (fds[0].revents && read(p->wake, &woken, sizeof(woken)) < 0)
            abort();
        for (unsigned i = 2; i < n; i++) {
            if (conns[i]->fd != fds[i].fd)
                continue; /* the test has closed it */
            if (fds[i].revents & POLLOUT)
                conn_flush(conns[i]);
            if (conns[i]->fd >= 0 && fds[i].revents & POLLIN && !conns[i]->deaf)
                conn_receive(conns[i], RECEIVE_STEP);
            else if (conns[i]->fd >= 0 && fds[i].revents & (POLLERR | POLLHUP))
                conn_gone(conns[i]);
        }
        if (fds[1].revents)
            conn_accept(p);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- start and stop -------------------------------------------------------------------------- */

static bool open_sockets(struct peer *p)
{
    p->self = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(p->options.port)};
    if (inet_pton(AF_INET, p->address, &p->self.sin_addr) != 1)
        return false;
    p->wake = eventfd(0, EFD_CLOEXEC);
    return p->wake >= 0 && open_listener(p);
}

static void peer_free(struct peer *p)
{
    while (p->connections) {
        struct peer_conn *c = p->connections;
        p->connections = c->next;
        conn_gone(c);
        free(c->in);
        free(c->out);
        free(c);
    }
    peer_tree_free(p);
    if (p->listener >= 0)
        close(p->listener);
    if (p->wake >= 0)
        close(p->wake);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

struct peer *peer_start(const struct peer_options *options)
{
    struct peer *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    if (options)
        p->options = *options;
    if (!p->options.export)
        p->options.export = "/export";
    snprintf(p->address, sizeof(p->address), "%s",
             p->options.address ? p->options.address : "127.0.0.1");
    p->listener = p->wake = -1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&p->lock, NULL);
    int rc = 0;
    if (!open_sockets(p) || !peer_tree_init(p) ||
        (rc = pthread_create(&p->thread, NULL, run, p)) != 0) {
        int error = rc ? rc : errno;
        peer_free(p);
        errno = error;
        return NULL;
    }
    return p;
}

void peer_stop(struct peer *p)
{
    if (!p)
        return;
    peer_lock(p);
    p->stop = true;
    wake(p);
    peer_unlock(p);
    pthread_join(p->thread, NULL);
    peer_free(p);
}

uint16_t peer_port(const struct peer *p)
{
    return ntohs(p->self.sin_port);
}

void peer_uri(const struct peer *p, const char *query, char *uri, size_t size)
{
    snprintf(uri, size, "gluster+brick://%s:%u%s%s", p->address, peer_port(p), p->options.export,
             query);
}

/* ---- what the test asks ---------------------------------------------------------------------- */

void peer_lock(struct peer *p)
{
    pthread_mutex_lock(&p->lock);
}

void peer_unlock(struct peer *p)
{
    pthread_mutex_unlock(&p->lock);
}

void peer_set_hook(struct peer *p, peer_hook *hook, void *arg)
{
    peer_lock(p);
    p->options.hook = hook;
    p->options.arg = arg;
    peer_unlock(p);
}

bool peer_wait(struct peer *p, bool (*holds)(struct peer *p, void *arg), void *arg)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += PEER_PATIENCE_MS / 1000;
    int rc = 0;
    bool held;
    peer_lock(p);
    while (!(held = holds(p, arg)) && rc == 0)
        rc = pthread_cond_timedwait(&p->changed, &p->lock, &end);
    peer_unlock(p);
    return held;
}

static bool none_open(struct peer *p, void *arg)
{
    (void)arg;
    return p->counts.open == 0;
}

bool peer_wait_closed(struct peer *p)
{
    return peer_wait(p, none_open, NULL);
}

void peer_counts(struct peer *p, struct peer_counts *counts)
{
    peer_lock(p);
    *counts = p->counts;
    peer_unlock(p);
}

void peer_complain(struct peer *p, const char *format, ...)
{
    if (p->complaint[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(p->complaint, sizeof(p->complaint), format, args);
    va_end(args);
}

const char *peer_complaint(struct peer *p, char *text, size_t size)
{
    peer_lock(p);
    snprintf(text, size, "%s", p->complaint);
    peer_unlock(p);
    return text;
}
