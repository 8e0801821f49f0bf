/* gzc-rdma-gateway: from RDMA clients to the bricks of this host. gateway.h is the map. */
#include "client.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EVENTS         64
#define CHECK_INTERVAL NSEC_PER_SEC

int source_add(struct gateway *g, struct source *s, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = s};
    if (epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    s->fd = fd;
    return 0;
}

void source_remove(struct gateway *g, struct source *s)
{
    if (s->fd >= 0)
        epoll_ctl(g->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    s->fd = -1;
}

void gateway_fail(struct gateway *g, const char *format, ...)
{
    char text[ERRTEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_event(LOG_LEVEL_ERROR, "failed", "%s", text);
    g->stop = true;
    g->status = EXIT_FAILURE;
}

/* ---- signals --------------------------------------------------------------------------------- */

static void signal_ready(struct source *s, uint32_t events)
{
    struct gateway *g = LIST_OF(s, struct gateway, signal_source);
    struct signalfd_siginfo info;
    (void)events;
    while (read(s->fd, &info, sizeof(info)) == sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGUSR1:
            stats_log(g);
            break;
        case SIGHUP:
            log_reopen();
            break;
        default:
            log_event(LOG_LEVEL_INFO, "ending", "%s", strsignal((int)info.ssi_signo));
            g->stop = true;
        }
    }
}

static int signals_start(struct gateway *g, struct errtext *why)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    int rc = fd < 0 ? -errno : source_add(g, &g->signal_source, fd, EPOLLIN);
    return rc < 0 ? errtext_set(why, rc, "signals: %s", errtext_errno(rc)) : 0;
}

/* Tells systemd, if it has started us (sd_notify(3)). */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    if (!length || length >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') /* the abstract namespace */
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    close(fd);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void poll_hot(struct gateway *g)
{
    struct list now;
    list_init(&now);
    list_splice(&now, &g->hot);
    for (struct list *i; (i = list_shift(&now));) {
        struct client *c = LIST_OF(i, struct client, hot);
        if (client_poll(c))
            list_enter(&g->hot, &c->hot);
    }
}

static void run_tasks(struct gateway *g)
{
    for (struct list *i; (i = list_shift(&g->tasks));) {
        struct client *c = LIST_OF(i, struct client, task);
        if (c->state != CLIENT_CLOSED)
            attach_task(c);
    }
}

static void reap(struct gateway *g)
{
    while (!list_empty(&g->dead))
        client_free(LIST_OF(g->dead.next, struct client, link));
    devices_reap(g);
}

/* Waits for something, unless there is something to do already. */
static void wait_events(struct gateway *g, uint64_t until)
{
    struct epoll_event events[EVENTS];
    bool idle = list_empty(&g->hot) && list_empty(&g->ready) && links_sleep(g);
    uint64_t now = clock_now();
    int ms = 0;
    if (idle && until > now)
        ms = (int)((until - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
    int n = epoll_wait(g->epoll_fd, events, EVENTS, ms);
    g->now = clock_now();
    for (int i = 0; i < n; i++) {
        struct source *s = events[i].data.ptr;
        s->ready(s, events[i].events);
    }
}

/* What has come from clients is sent to the bricks together, at the end of the turn; so is what has
 * come from bricks, each reply as it comes. Nothing is freed before that end. */
static void run(struct gateway *g)
{
    uint64_t check = g->now, report = g->now + g->options.stats_seconds * NSEC_PER_SEC;
    while (!g->stop) {
        wait_events(g, check);
        poll_hot(g);
        links_receive(g);
        run_tasks(g);
        if (!list_empty(&g->hungry))
            calls_feed(g);
        links_flush(g);
        if (g->now >= check) {
            check = g->now + CHECK_INTERVAL;
            clients_check(g);
        }
        if (g->options.stats_seconds && g->now >= report) {
            report = g->now + g->options.stats_seconds * NSEC_PER_SEC;
            stats_log(g);
        }
        reap(g);
    }
}

/* ---- start and end --------------------------------------------------------------------------- */

static int start(struct gateway *g, struct errtext *why)
{
    const struct options *o = &g->options;
    int rc = log_open(o->log, o->log_level, o->log_json, why);
    rc = rc ? rc : signals_start(g, why);
    rc = rc ? rc : pool_open(&g->pool, o->memory, why);
    rc = rc ? rc : devices_open(g, why);
    if (rc == 0 && o->stats_socket)
        rc = stats_serve(g, o->stats_socket, why);
    return rc ? rc : listen_start(g, why);
}

static void end(struct gateway *g)
{
    listen_stop(g);
    while (!list_empty(&g->clients))
        client_end(LIST_OF(g->clients.next, struct client, link), END_SHUTDOWN, "the gateway ends");
    reap(g);
    stats_serve_end(g);
    listen_end(g);
    devices_close(g);
    pool_close(&g->pool);
    if (g->signal_source.fd >= 0)
        close(g->signal_source.fd);
    close(g->epoll_fd);
    options_free(&g->options);
}

int main(int argc, char **argv)
{
    static struct gateway gateway;
    struct gateway *g = &gateway;
    struct errtext why = {""};
    options_parse(&g->options, argc, argv);
    g->cm_source.fd = g->stats_source.fd = g->signal_source.fd = -1;
    g->signal_source.ready = signal_ready;
    struct list *lists[] = {&g->devices, &g->listeners, &g->clients, &g->dead,
                            &g->hot,     &g->tasks,     &g->hungry,  &g->ready,
                            &g->unsent,  &g->drowsy,    &g->watches};
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        list_init(lists[i]);
    g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    g->now = clock_now();
    if (g->epoll_fd < 0 || start(g, &why) < 0) {
        if (!why.text[0])
            errtext_set(&why, errno, "%s", errtext_errno(errno));
        gateway_fail(g, "%s", why.text);
    } else {
        log_event(LOG_LEVEL_INFO, "ready", "%u clients, %zu MiB", g->options.clients,
                  g->options.memory >> 20);
        notify("READY=1");
    }
    run(g);
    notify("STOPPING=1");
    end(g);
    log_event(LOG_LEVEL_INFO, "ended", "status %d", g->status);
    log_close();
    return g->status;
}
