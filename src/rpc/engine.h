/*
 * The engine: what makes a volume's connections move, without a thread of its own.
 *
 * One lock guards everything below the public functions. It is dropped for what takes long or is
 * not ours: system calls that move data or wait, and the application's callbacks.
 *
 * Of the threads that wait, one leads: it alone receives, runs timers, tasks and completions, and
 * retires calls. When the leader's own wait is over it hands the lead to another thread that waits.
 * Threads that submit send by themselves.
 *
 *      submit:  lock, take a slot, queue; unless more is to come: flush [unlock, sendmsg, lock]
 *      wait:    lead, or sleep until somebody has done it for us
 *      turn:    receive what is ready, timers, tasks, completions, flush; else poll, else sleep
 *
 * "Locked" on a function says that the lock is held, and held again when it returns. Functions of
 * rpc, brick and volume are, unless they say otherwise.
 */
#ifndef RPC_ENGINE_H
#define RPC_ENGINE_H

#include "base/clock.h"
#include "base/counters.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct errtext;
struct rpc_conn;

#define ENGINE_ADAPTIVE UINT64_MAX /* of busy_poll */

/** Something for the leader to do soon, not nested in what is being done. Its owner's memory. */
struct task {
    void (*run)(struct task *task);
    struct task *next;
};

/** Runs once, at `at` or later, by the leader. The memory is its owner's. */
struct timer {
    uint64_t at; /* nanoseconds, monotonic; CLOCK_NEVER: not set */
    void (*fire)(struct timer *timer);
    struct timer *next;
    bool listed;
};

/** An outcome that the application is to be told. */
struct completion {
    void (*done)(void *arg, ssize_t result, const char *error); /* without the lock; or NULL */
    void *arg;
    ssize_t result;
    struct errtext *why; /* of a failure; malloc'ed, or NULL */
    /** Right before done(): fills in the results, here and elsewhere, and gives the memory back
     * that this structure is in, which stays as it is until the lock is dropped. */
    void (*release)(struct completion *completion);
    struct completion *next;
};

/** A thread's wait for one thing. Lives on its stack. */
struct waiter {
    bool done;
    bool polls; /* waits for any completion */
    pthread_cond_t wake;
    struct waiter *next;
};

struct engine {
    pthread_mutex_t lock;
    pthread_t leader;        /* 0: nobody leads */
    struct waiter *sleepers; /* threads that wait while another leads */

    int epoll_fd;
    int event_fd; /* wakes the leader */
    int timer_fd; /* -1 unless the application polls epoll_fd: at next_timer when nobody leads */
    uint64_t timer_fd_at;
    bool kicked; /* event_fd is, or is being, signalled */
    enum { ENGINE_AWAKE, ENGINE_POLLING, ENGINE_SLEEPING } state; /* of the leader */
    bool attention;                                               /* it is to stop polling */
    uint64_t sleep_until; /* or sleeping before this, if nobody kicks it */

    uint64_t now; /* coarse; as of the last submission or wait */
    struct timer *timers;
    uint64_t next_timer;
    struct task *tasks, **tasks_end;
    struct completion *completions, **completions_end;
    struct rpc_conn *ready;       /* may have something to receive */
    struct rpc_conn *unsent;      /* have something to send */
    struct rpc_conn *connections; /* all that are connecting or open */
    unsigned posted;              /* calls of all of them that have a slot */
    bool broken;                  /* one of them is to be closed */
    bool drowsy;                  /* one of them has something to do before the leader sleeps */
    bool stop;                    /* the volume goes: nobody waits any more */

    uint64_t busy_poll;    /* nanoseconds to poll before sleeping, or ENGINE_ADAPTIVE */
    uint64_t wait_average; /* nanoseconds; this and what follows: see await.c */
    unsigned waits, shun, shun_next;
    struct counters counters;
};

/** Prepares an engine. @return 0 or -errno. */
int engine_init(struct engine *e);
/** Frees what engine_init() made. All connections are closed, nobody waits. */
void engine_destroy(struct engine *e);

static inline void engine_lock(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
}

static inline void engine_unlock(struct engine *e)
{
    pthread_mutex_unlock(&e->lock);
}

/** Whether the calling thread leads, which outside the engine means: it runs a callback. No lock
 *  needed. */
static inline bool engine_in_callback(const struct engine *e)
{
    return __atomic_load_n(&e->leader, __ATOMIC_RELAXED) == pthread_self();
}

/** Prepares a wait; before anything that could complete it is started. */
static inline void waiter_init(struct waiter *w)
{
    w->done = w->polls = false; /* `wake` comes to be when it sleeps */
}
/** Waits until waiter_wake() or e->stop, leading meanwhile if nobody else does. Not from a
 *  callback. */
void engine_wait(struct engine *e, struct waiter *w);
/** Wakes the thread that sleeps, or leads, with this wait. */
void waiter_rouse(struct engine *e, struct waiter *w);
/** Ends a wait. */
static inline void waiter_wake(struct engine *e, struct waiter *w)
{
    __atomic_store_n(&w->done, true, __ATOMIC_RELAXED);
    if (e->sleepers || e->state != ENGINE_AWAKE)
        waiter_rouse(e, w);
}

/**
 * Leads, or if another thread does, waits for it to stop or to complete something; until at least
 * one completion has run or the time @p until (CLOCK_NEVER; 0: do not wait) has come.
 * @param max  completions to run at most. @return those that ran here.
 */
unsigned engine_poll(struct engine *e, unsigned max, uint64_t until);

/** Runs all tasks and completions that there are and that come of them. For the end of the engine,
 *  all connections being closed; nobody else leads. */
void engine_drain(struct engine *e);

/** A descriptor that is readable when engine_poll() has something to do. @return it, or -errno. */
int engine_fd(struct engine *e);

/** Sends what is queued on all connections, as far as they take it. */
void engine_flush(struct engine *e);

/** Sets (or moves) a timer to @p at, or clears it with CLOCK_NEVER. */
void timer_set(struct engine *e, struct timer *timer, uint64_t at);
/** Takes a timer off the list, before its memory goes. */
void timer_remove(struct engine *e, struct timer *timer);

/** Hands the leader a task. Any thread. */
void engine_defer(struct engine *e, struct task *task);
/** Hands the leader an outcome. Any thread. */
void engine_complete(struct engine *e, struct completion *completion);
/** Wakes the leader that polls or sleeps, or the application that polls the descriptor. */
void engine_rouse(struct engine *e);
/** Makes the leader look around again, if it polls or sleeps; or if nobody leads, the application
 *  that polls the descriptor. */
static inline void engine_kick(struct engine *e)
{
    if (e->state != ENGINE_AWAKE || !e->leader)
        engine_rouse(e);
}
/** Nobody leads: sets the descriptor's timer to the next timer. */
void engine_arm(struct engine *e);

#endif
