/* Leading: what the thread that leads does in a turn, and who leads. */
#include "base/errtext.h"
#include "rpc/await.h"
#include "rpc/conn.h"

#include <stdlib.h>

#define COMPLETIONS_AT_ONCE 32 /* between two takings of the lock */

/* ---- a turn ---------------------------------------------------------------------------------- */

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

static void run_timers(struct engine *e)
{
    for (struct timer *timer; (timer = timer_take(e, e->now));) {
        timer->at = CLOCK_NEVER;
        timer->fire(timer);
    }
}

/* Closes connections whose sending has failed. */
static void close_broken(struct engine *e)
{
    e->broken = false;
    for (struct rpc_conn *conn = e->connections; conn;) {
        struct rpc_conn *next = conn->next;
        if (conn->broken)
            rpc_conn_fail(conn, conn->broken);
        conn = next;
    }
}

/* Tasks come after close_broken(): by then nothing of theirs is being sent any more. */
static void run_tasks(struct engine *e)
{
    for (;;) {
        if (e->broken)
            close_broken(e);
        struct task *task = e->tasks;
        if (!task)
            return;
        e->tasks = task->next;
        if (!e->tasks)
            e->tasks_end = &e->tasks;
        task->run(task);
    }
}

static const char *completion_text(const struct completion *c)
{
    if (c->result >= 0)
        return "";
    return c->why ? c->why->text : errtext_errno((int)c->result);
}

/* The completions are released under the lock, several at once, and told without it. */
static unsigned run_completions(struct engine *e, unsigned max)
{
    struct completion now[COMPLETIONS_AT_ONCE];
    unsigned ran = 0;
    while (e->completions && ran < max) {
        unsigned n = 0;
        while (e->completions && n < COMPLETIONS_AT_ONCE && ran + n < max) {
            struct completion *c = e->completions;
            e->completions = c->next;
            if (!e->completions)
                e->completions_end = &e->completions;
            c->release(c);
            now[n++] = *c;
        }
        engine_unlock(e);
        for (unsigned i = 0; i < n; i++) {
            if (now[i].done)
                now[i].done(now[i].arg, now[i].result, completion_text(&now[i]));
            free(now[i].why);
        }
        engine_lock(e);
        ran += n;
    }
    return ran;
}

/* Every connection that is ready gets its share of receives; those that may have more stay in the
 * list. Receiving frees no connection. */
static void run_ready(struct engine *e)
{
    struct rpc_conn *conn = e->ready;
    e->ready = NULL;
    while (conn) {
        struct rpc_conn *next = conn->next_ready;
        conn->is_ready = false;
        rpc_conn_receive(conn);
        conn = next;
    }
}

void engine_flush(struct engine *e)
{
    while (e->unsent) {
        struct rpc_conn *conn = e->unsent;
        e->unsent = conn->next_unsent;
        conn->is_unsent = false;
        rpc_conn_flush(conn);
    }
}

static void wake_pollers(struct engine *e)
{
    for (struct waiter *w = e->sleepers; w; w = w->next) {
        if (w->polls) {
            w->done = true;
            pthread_cond_signal(&w->wake);
        }
    }
}

static bool have_work(const struct engine *e)
{
    return e->ready || e->tasks || e->completions || e->unsent || e->broken ||
           e->next_timer <= e->now;
}

/* One turn: does what there is to do; or if that is nothing, waits for something, no longer than to
 * `until`. Returns the completions run; *idle: nothing was to be done, and nothing has come. */
static unsigned lead_turn(struct engine *e, unsigned max, uint64_t until, bool *idle)
{
    unsigned ran = 0;
    *idle = !have_work(e) && !engine_await(e, until);
    if (*idle)
        return 0;
    if (e->ready)
        run_ready(e);
    if (e->next_timer <= e->now)
        run_timers(e);
    if (e->tasks || e->broken)
        run_tasks(e);
    if (e->completions)
        ran = run_completions(e, max);
    if (e->unsent)
        engine_flush(e);
    if (ran && e->sleepers)
        wake_pollers(e);
    return ran;
}

/* ---- who leads ------------------------------------------------------------------------------- */

static void lead_take(struct engine *e)
{
    __atomic_store_n(&e->leader, pthread_self(), __ATOMIC_RELAXED);
}

/* Somebody who sleeps is to take the lead, if nobody has it. Without such a thread, the application
 * learns from the descriptor when there is something to do. */
static void lead_offer_now(struct engine *e)
{
    if (e->sleepers) {
        pthread_cond_signal(&e->sleepers->wake);
        return;
    }
    if (e->drowsy)
        engine_fall_asleep(e);
    if (have_work(e))
        engine_kick(e);
    else
        engine_arm(e);
}

static inline void lead_offer(struct engine *e)
{
    if (!e->leader && (e->sleepers || e->timer_fd >= 0))
        lead_offer_now(e);
}

static void lead_drop(struct engine *e)
{
    __atomic_store_n(&e->leader, (pthread_t)0, __ATOMIC_RELAXED);
}

void engine_drain(struct engine *e)
{
    lead_take(e); /* what callbacks may not do, they may not do in the end either */
    do
        run_tasks(e);
    while (run_completions(e, UINT32_MAX));
    lead_drop(e);
}

/* Sleeps until signalled, or the time has come. */
static void waiter_sleep(struct engine *e, struct waiter *w, uint64_t until)
{
    w->wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    w->next = e->sleepers;
    e->sleepers = w;
    if (until == CLOCK_NEVER) {
        pthread_cond_wait(&w->wake, &e->lock);
    } else {
        struct timespec ts = {(time_t)(until / NSEC_PER_SEC), (long)(until % NSEC_PER_SEC)};
        pthread_cond_clockwait(&w->wake, &e->lock, CLOCK_MONOTONIC, &ts);
    }
    struct waiter **link = &e->sleepers;
    while (*link != w)
        link = &(*link)->next;
    *link = w->next;
}

void waiter_rouse(struct engine *e, struct waiter *w)
{
    for (struct waiter *s = e->sleepers; s; s = s->next) {
        if (s == w) {
            pthread_cond_signal(&w->wake);
            return;
        }
    }
    engine_kick(e); /* it may be the leader's */
}

void engine_wait(struct engine *e, struct waiter *w)
{
    bool idle;
    while (!w->done && !e->stop) {
        if (e->leader) {
            if (!engine_await_lead(e, &w->done))
                waiter_sleep(e, w, CLOCK_NEVER);
            continue;
        }
        lead_take(e);
        while (!w->done && !e->stop)
            lead_turn(e, UINT32_MAX, CLOCK_NEVER, &idle);
        lead_drop(e);
    }
    lead_offer(e);
}

unsigned engine_poll(struct engine *e, unsigned max, uint64_t until)
{
    struct waiter w;
    waiter_init(&w);
    w.polls = true;
    engine_flush(e);
    while (e->leader && !w.done) {
        if (until != CLOCK_NEVER && clock_now() >= until)
            return 0;
        waiter_sleep(e, &w, until);
    }
    unsigned ran = 0;
    if (!w.done) {
        bool idle, late;
        lead_take(e);
        do {
            ran = lead_turn(e, max, until, &idle);
            late = until == 0 ? idle : until != CLOCK_NEVER && clock_now() >= until;
        } while (!ran && !late && !e->stop);
        lead_drop(e);
    }
    lead_offer(e);
    return ran;
}
