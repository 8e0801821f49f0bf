#include "rpc/engine.h"

#include "rpc/conn.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS 64

int engine_init(struct engine *e)
{
    *e = (struct engine){.epoll_fd = -1, .event_fd = -1, .next_timer = CLOCK_NEVER};
    e->over_end = &e->over;
    pthread_mutex_init(&e->lock, NULL);
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    e->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (e->epoll_fd < 0 || e->event_fd < 0 ||
        epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->event_fd, &event) < 0) {
        int err = -errno;
        engine_destroy(e);
        return err;
    }
    return 0;
}

void engine_destroy(struct engine *e)
{
    if (e->epoll_fd >= 0)
        close(e->epoll_fd);
    if (e->event_fd >= 0)
        close(e->event_fd);
    pthread_mutex_destroy(&e->lock);
}

void engine_kick(struct engine *e)
{
    if (__atomic_load_n(&e->sleep_until, __ATOMIC_RELAXED)) {
        uint64_t one = 1;
        ssize_t rc = write(e->event_fd, &one, sizeof(one));
        (void)rc; /* full: it is signalled already */
    }
}

void engine_over(struct engine *e, struct rpc_call *call)
{
    call->next = NULL;
    *e->over_end = call;
    e->over_end = &call->next;
    engine_kick(e);
}

/* ---- timers ---------------------------------------------------------------------------------- */

void timer_set(struct engine *e, struct timer *timer, uint64_t at)
{
    timer->at = at;
    if (at == CLOCK_NEVER)
        return; /* it stays listed until the list is looked through */
    if (!timer->listed) {
        timer->listed = true;
        timer->next = e->timers;
        e->timers = timer;
    }
    if (at < e->next_timer) {
        e->next_timer = at;
        if (at < __atomic_load_n(&e->sleep_until, __ATOMIC_RELAXED))
            engine_kick(e);
    }
}

void timer_remove(struct engine *e, struct timer *timer)
{
    timer->at = CLOCK_NEVER;
    if (!timer->listed)
        return;
    struct timer **link = &e->timers;
    while (*link != timer)
        link = &(*link)->next;
    *link = timer->next;
    timer->listed = false;
}

/* Takes one timer that is due off the list, and those that were cleared; sets next_timer. */
static struct timer *timer_take(struct engine *e, uint64_t now)
{
    struct timer *due = NULL;
    uint64_t next = CLOCK_NEVER;
    for (struct timer **link = &e->timers; *link;) {
        struct timer *timer = *link;
        bool fires = !due && timer->at <= now;
        if (fires)
            due = timer;
        if (fires || timer->at == CLOCK_NEVER) {
            *link = timer->next;
            timer->listed = false;
            continue;
        }
        if (timer->at < next)
            next = timer->at;
        link = &timer->next;
    }
    e->next_timer = next;
    return due;
}

static bool run_timers(struct engine *e)
{
    uint64_t now = clock_coarse();
    bool any = false;
    if (__atomic_load_n(&e->next_timer, __ATOMIC_RELAXED) > now)
        return false;
    for (;;) {
        engine_lock(e);
        struct timer *timer = timer_take(e, now);
        if (timer)
            timer->at = CLOCK_NEVER;
        engine_unlock(e);
        if (!timer)
            return any;
        timer->fire(timer);
        any = true;
    }
}

/* ---- a turn ---------------------------------------------------------------------------------- */

/* Closes connections whose sending has failed. Comes before run_over(): their calls' memory must
 * not be in use any more when done() runs. */
static void run_broken(struct engine *e)
{
    e->broken = false;
    for (struct rpc_conn *conn = e->connections; conn;) {
        struct rpc_conn *next = conn->next;
        int error = conn->broken;
        if (error) {
            engine_unlock(e);
            rpc_conn_fail(conn, error);
            engine_lock(e);
        }
        conn = next;
    }
}

static bool run_over(struct engine *e)
{
    if (!__atomic_load_n(&e->over, __ATOMIC_RELAXED) &&
        !__atomic_load_n(&e->broken, __ATOMIC_RELAXED))
        return false; /* sleeping looks again, under the lock */
    engine_lock(e);
    if (e->broken)
        run_broken(e);
    struct rpc_call *call = e->over;
    e->over = NULL;
    e->over_end = &e->over;
    engine_unlock(e);
    bool any = call;
    while (call) {
        struct rpc_call *next = call->next;
        call->done(call);
        call = next;
    }
    return any;
}

/* Every connection that is ready gets one receive; those that may have more stay in the list. */
static bool run_ready(struct engine *e)
{
    struct rpc_conn *conn = e->ready;
    bool any = conn;
    e->ready = NULL;
    while (conn) { /* receiving frees no connection */
        struct rpc_conn *next = conn->next_ready;
        conn->is_ready = false;
        rpc_conn_receive(conn);
        conn = next;
    }
    return any;
}

/* Tries every connection that something is expected on, for the time that `busy_poll` gives. */
static bool spin(struct engine *e)
{
    if (!e->busy_poll)
        return false;
    uint64_t end = clock_now() + e->busy_poll;
    do {
        for (struct rpc_conn *conn = e->connections; conn; conn = conn->next)
            if (conn->posted && rpc_conn_receive(conn))
                return true;
        if (__atomic_load_n(&e->over, __ATOMIC_RELAXED) ||
            __atomic_load_n(&e->broken, __ATOMIC_RELAXED))
            return true;
    } while (clock_now() < end);
    return false;
}

static void sleep_in_epoll(struct engine *e)
{
    struct epoll_event events[EVENTS];
    int timeout = -1;

    engine_lock(e);
    if (e->over || e->broken) {
        engine_unlock(e);
        return;
    }
    if (e->next_timer != CLOCK_NEVER) {
        uint64_t now = clock_coarse();
        uint64_t left = e->next_timer > now ? e->next_timer - now : 0;
        uint64_t ms = (left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
        timeout = ms > INT32_MAX ? INT32_MAX : (int)ms;
    }
    __atomic_store_n(&e->sleep_until, e->next_timer, __ATOMIC_RELAXED);
    engine_unlock(e);

    int n = epoll_wait(e->epoll_fd, events, EVENTS, timeout);
    counter_add(&e->counters.wait_syscalls, 1);

    __atomic_store_n(&e->sleep_until, 0, __ATOMIC_RELAXED); /* a kick too many does no harm */
    for (int i = 0; i < n; i++) {
        struct rpc_conn *conn = events[i].data.ptr;
        if (conn) {
            rpc_conn_event(conn, events[i].events);
        } else {
            uint64_t count;
            ssize_t rc = read(e->event_fd, &count, sizeof(count));
            (void)rc;
        }
    }
}

static void engine_turn(struct engine *e)
{
    bool any = run_timers(e);
    any |= run_ready(e);
    any |= run_over(e);
    if (any || spin(e))
        return;
    sleep_in_epoll(e);
}

/* ---- waiting --------------------------------------------------------------------------------- */

void waiter_init(struct waiter *w)
{
    *w = (struct waiter){.wake = PTHREAD_COND_INITIALIZER};
}

void waiter_wake(struct engine *e, struct waiter *w)
{
    if (e->leader == w) { /* our own thread's: nobody else looks */
        w->done = true;
        return;
    }
    engine_lock(e);
    w->done = true;
    if (w->sleeping)
        pthread_cond_signal(&w->wake);
    engine_unlock(e);
}

void engine_wait(struct engine *e, struct waiter *w)
{
    engine_lock(e);
    while (!w->done) {
        if (e->led) {
            w->sleeping = true;
            w->next = e->sleepers;
            e->sleepers = w;
            pthread_cond_wait(&w->wake, &e->lock);
            struct waiter **link = &e->sleepers;
            while (*link != w)
                link = &(*link)->next;
            *link = w->next;
            w->sleeping = false;
            continue;
        }
        e->led = true;
        e->leader = w;
        engine_unlock(e);
        while (!w->done)
            engine_turn(e);
        engine_lock(e);
        e->leader = NULL;
        e->led = false;
    }
    /* Whoever still sleeps takes the lead over, if nobody has it. */
    if (!e->led && e->sleepers)
        pthread_cond_signal(&e->sleepers->wake);
    engine_unlock(e);
}
