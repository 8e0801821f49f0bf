/*
 * The engine: what makes a volume's connections move, without a thread of its own.
 *
 * One lock guards what submitting threads and the engine share: the xid tables, the send queues,
 * the list of calls that are over. It is never held across a system call that moves data, nor while
 * a completion runs.
 *
 * Of the threads that wait, one leads: it alone receives on every connection, runs timers and
 * completions, and retires calls. So all of that state has one owner at a time and needs no lock.
 * When the leader's own wait is over it hands the lead to another thread that waits.
 *
 *      submit:  lock, take a slot, queue, [unlock, sendmsg, lock], unlock
 *      wait:    lead or sleep until the operation has completed
 *      turn:    receive what is ready, run what is over, run timers, else sleep in epoll
 */
#ifndef RPC_ENGINE_H
#define RPC_ENGINE_H

#include "base/clock.h"
#include "base/counters.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct rpc_call;
struct rpc_conn;

/** Runs once, at `at` or later, by the leader, without the lock. The memory is its owner's. */
struct timer {
    uint64_t at; /* nanoseconds, monotonic; CLOCK_NEVER: not set */
    void (*fire)(struct timer *timer);
    struct timer *next;
    bool listed;
};

/** A thread's wait for one thing. Lives on its stack. */
struct waiter {
    bool done;
    bool sleeping;
    pthread_cond_t wake;
    struct waiter *next;
};

struct engine {
    pthread_mutex_t lock;
    bool led;
    struct waiter *leader;   /* what the leading thread waits for */
    struct waiter *sleepers; /* threads that wait while another leads */
    int epoll_fd;
    int event_fd;         /* wakes the leader */
    uint64_t sleep_until; /* 0: the leader is awake; else when it will look again by itself */
    struct timer *timers;
    uint64_t next_timer;
    struct rpc_conn *ready; /* leader's: connections that may have something to receive */
    struct rpc_call *over, **over_end; /* calls that have ended and await their done() */
    struct rpc_conn *connections;      /* all that are connecting or open */
    bool broken;                       /* one of them is to be closed */
    uint64_t busy_poll;                /* nanoseconds to spin before sleeping */
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

/** Prepares a wait; before anything that could complete it is started. */
void waiter_init(struct waiter *w);
/** Waits until waiter_wake(), driving the engine meanwhile if nobody else does. */
void engine_wait(struct engine *e, struct waiter *w);
/** Ends a wait. By the leader, without the lock. */
void waiter_wake(struct engine *e, struct waiter *w);

/** Sets (or moves) a timer to @p at, or clears it with CLOCK_NEVER. Locked. */
void timer_set(struct engine *e, struct timer *timer, uint64_t at);

/** Hands a call that has ended to the leader, who runs its done(). Locked. */
void engine_over(struct engine *e, struct rpc_call *call);

/** Takes a timer off the list, before its memory goes. Locked. */
void timer_remove(struct engine *e, struct timer *timer);

/** Makes the leader look around again, if it sleeps. Locked. */
void engine_kick(struct engine *e);

#endif
