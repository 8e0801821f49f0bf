/* The engine's lists: timers, tasks, completions. How threads take turns at them is in lead.c. */
#include "rpc/engine.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

int engine_init(struct engine *e)
{
    *e = (struct engine){
        .epoll_fd = -1,
        .event_fd = -1,
        .timer_fd = -1,
        .timer_fd_at = CLOCK_NEVER,
        .next_timer = CLOCK_NEVER,
    };
    e->tasks_end = &e->tasks;
    e->completions_end = &e->completions;
    pthread_mutex_init(&e->lock, NULL);
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    e->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &e->event_fd};
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
    if (e->timer_fd >= 0)
        close(e->timer_fd);
    pthread_mutex_destroy(&e->lock);
}

int engine_fd(struct engine *e)
{
    if (e->timer_fd < 0) {
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &e->timer_fd};
        if (fd < 0)
            return -errno;
        if (epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
            int err = -errno;
            close(fd);
            return err;
        }
        e->timer_fd = fd;
        engine_kick(e); /* what there is to do by now is not known to it */
    }
    return e->epoll_fd;
}

void engine_arm(struct engine *e)
{
    if (e->timer_fd < 0 || e->timer_fd_at == e->next_timer)
        return;
    uint64_t at = e->next_timer == CLOCK_NEVER ? 0 : e->next_timer; /* 0: disarmed */
    struct itimerspec when = {
        .it_value = {(time_t)(at / NSEC_PER_SEC), (long)(at % NSEC_PER_SEC)},
    };
    timerfd_settime(e->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    e->timer_fd_at = e->next_timer;
}

void engine_rouse(struct engine *e)
{
    bool signal = e->state == ENGINE_SLEEPING;
    if (e->state == ENGINE_POLLING)
        __atomic_store_n(&e->attention, true, __ATOMIC_RELAXED);
    if (!e->leader && e->timer_fd >= 0)
        signal = true;
    if (signal && !e->kicked) {
        uint64_t one = 1;
        ssize_t rc = write(e->event_fd, &one, sizeof(one));
        (void)rc; /* it cannot be full */
        e->kicked = true;
    }
}

void engine_defer(struct engine *e, struct task *task)
{
    task->next = NULL;
    *e->tasks_end = task;
    e->tasks_end = &task->next;
    engine_kick(e);
}

void engine_complete(struct engine *e, struct completion *completion)
{
    completion->next = NULL;
    *e->completions_end = completion;
    e->completions_end = &completion->next;
    engine_kick(e);
}

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
        if (e->state != ENGINE_SLEEPING || at < e->sleep_until)
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
