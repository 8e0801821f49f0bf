/*
 * Waiting for something to happen. A wake-up from an idle CPU takes longer than a brick takes for a
 * small read; so for as long as that is worth it the leader tries to receive again and again before
 * it sleeps (option busy_poll_us).
 *
 * Adaptive polling. Polling is worth it where what is waited for comes soon. The average of the
 * latest waits says when to expect it: polling goes on for twice that long, if that is short. Now
 * and then it is tried even if it has not been worth it lately. A payload comes in many pieces
 * close to each other, with a longer gap where the server has to fetch the next; so while one
 * arrives, polling goes on over such a gap.
 *
 * The poller yields the CPU each time around, so that whoever works on the reply gets it. If it has
 * been gone for long then, and no reply is there, something else wants the CPU: a sleeper is woken
 * when it is its turn, a poller has to wait for its next one. So polling is left for a number of
 * waits, which doubles each time that happens again.
 */
#include "rpc/await.h"

#include "rpc/conn.h"

#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS       64
#define WORTH        (150 * NSEC_PER_USEC) /* waits longer than this, on average, are slept through */
#define POLL_LEAST   (20 * NSEC_PER_USEC)
#define POLL_ARRIVAL (150 * NSEC_PER_USEC) /* while the rest of a payload is awaited */
#define POLL_PROBE   (100 * NSEC_PER_USEC)
#define PROBE_EVERY  64
#define GONE         (300 * NSEC_PER_USEC) /* for so long others had the CPU */
#define SHUN_LEAST   64                    /* waits */
#define SHUN_MOST    8192
#define AVERAGE_SPAN 8 /* waits */

static bool payload_arrives(const struct engine *e)
{
    for (const struct rpc_conn *conn = e->connections; conn; conn = conn->next)
        if (conn->arriving)
            return true;
    return false;
}

/* How long to poll; 0: not at all. */
static uint64_t poll_time(struct engine *e)
{
    if (e->busy_poll != ENGINE_ADAPTIVE)
        return e->busy_poll;
    if (e->shun) {
        e->shun--;
        return 0;
    }
    if (e->wait_average > WORTH)
        return ++e->waits % PROBE_EVERY ? 0 : POLL_PROBE;
    return e->wait_average * 2 + (payload_arrives(e) ? POLL_ARRIVAL : POLL_LEAST);
}

static void poll_learn(struct engine *e, uint64_t waited)
{
    if (waited > 4 * WORTH)
        waited = 4 * WORTH; /* one long wait is forgotten soon */
    e->wait_average += waited / AVERAGE_SPAN - e->wait_average / AVERAGE_SPAN;
}

static void poll_shun(struct engine *e)
{
    e->shun = e->shun_next < SHUN_LEAST ? SHUN_LEAST : e->shun_next;
    e->shun_next = e->shun < SHUN_MOST ? e->shun * 2 : e->shun;
}

/* Receives on every connection that owes us replies, without the lock, until one brings something
 * or `end`. */
static bool poll_connections(struct engine *e, uint64_t start, uint64_t end)
{
    struct rpc_conn *polled = NULL;
    for (struct rpc_conn *conn = e->connections; conn; conn = conn->next) {
        if (rpc_conn_poll_begin(conn)) {
            conn->next_polled = polled;
            polled = conn;
        }
    }
    if (!polled)
        return false;

    bool adaptive = e->busy_poll == ENGINE_ADAPTIVE, came = false, gone = false;
    uint64_t now = start, before;
    e->attention = false;
    e->state = ENGINE_POLLING;
    engine_unlock(e);
    do {
        for (struct rpc_conn *conn = polled; conn; conn = conn->next_polled)
            came |= rpc_conn_poll(conn);
        if (came || gone || __atomic_load_n(&e->attention, __ATOMIC_RELAXED))
            break;
        if (adaptive)
            sched_yield();
        before = now;
        now = clock_now();
        gone = adaptive && now - before > GONE;
    } while (gone || now < end);
    engine_lock(e);
    e->state = ENGINE_AWAKE;
    e->now = now;
    for (struct rpc_conn *conn = polled; conn; conn = conn->next_polled)
        rpc_conn_poll_end(conn);
    if (gone && !came)
        poll_shun(e);
    else if (came && e->shun_next)
        e->shun_next--; /* what goes well for as many waits is forgiven */
    return came || e->attention;
}

static int sleep_milliseconds(const struct engine *e, uint64_t until)
{
    if (until == 0)
        return 0;
    if (e->next_timer < until)
        until = e->next_timer;
    if (until == CLOCK_NEVER)
        return -1;
    uint64_t left = until > e->now ? until - e->now : 0;
    uint64_t ms = (left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static void drain(int fd)
{
    uint64_t count;
    ssize_t rc = read(fd, &count, sizeof(count));
    (void)rc; /* empty is as good */
}

void engine_fall_asleep(struct engine *e)
{
    e->drowsy = false;
    for (struct rpc_conn *conn = e->connections; conn; conn = conn->next) {
        if (conn->transport->drowsy && conn->transport->ops->rx_sleep(conn->transport))
            rpc_conn_make_ready(conn);
        e->drowsy |= conn->transport->drowsy;
    }
}

bool engine_sleep(struct engine *e, uint64_t until)
{
    struct epoll_event events[EVENTS];
    int timeout = sleep_milliseconds(e, until);
    if (e->drowsy)
        engine_fall_asleep(e);
    if (e->ready)
        return true;
    e->sleep_until = e->next_timer;
    e->state = ENGINE_SLEEPING;
    engine_unlock(e);
    int n = epoll_wait(e->epoll_fd, events, EVENTS, timeout);
    engine_lock(e);
    e->state = ENGINE_AWAKE;
    counter_add(&e->counters.wait_syscalls, 1);
    bool late = n <= 0; /* then exactly: the coarse clock might say that it is too early still */
    for (int i = 0; i < n; i++) {
        void *what = events[i].data.ptr;
        if (what == &e->event_fd) {
            e->kicked = false;
            drain(e->event_fd);
        } else if (what == &e->timer_fd) {
            late = true;
            e->timer_fd_at = CLOCK_NEVER;
            drain(e->timer_fd);
        } else {
            rpc_conn_event(what, events[i].events);
        }
    }
    e->now = late ? clock_now() : clock_coarse();
    return n > 0;
}

bool engine_poll_and_sleep(struct engine *e, uint64_t until)
{
    uint64_t start = clock_now(), end = start + poll_time(e);
    uint64_t latest = until < e->next_timer ? until : e->next_timer;
    bool came = end > start && poll_connections(e, start, end < latest ? end : latest);
    if (!came)
        came = engine_sleep(e, until);
    if (came)
        poll_learn(e, clock_now() - start);
    return came;
}

bool engine_await_lead(struct engine *e, const bool *done)
{
    uint64_t end = poll_time(e);
    if (!end)
        return false;
    end += clock_now();
    engine_unlock(e);
    while (!__atomic_load_n(done, __ATOMIC_RELAXED) &&
           __atomic_load_n(&e->leader, __ATOMIC_RELAXED) && clock_now() < end)
        sched_yield();
    engine_lock(e);
    return *done || !e->leader;
}
