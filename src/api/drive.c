/* gzc.h: driving a volume: progress, its descriptor, its thread, cancelling. */
#include "api/handle.h"
#include "volume/mount.h"

#include <signal.h>

int gzc_cancel(gzc_volume *volume, gzc_ticket ticket)
{
    engine_lock(&volume->shared->engine);
    int rc = async_cancel(volume->shared, ticket);
    engine_unlock(&volume->shared->engine);
    return rc;
}

int gzc_poll(gzc_volume *volume, unsigned max, int timeout_ms)
{
    struct volume *v = volume->shared; /* a callback may unmount the handle */
    struct engine *e = &v->engine;
    uint64_t until = CLOCK_NEVER;
    int rc = volume_refuse_blocking(volume, &volume->why);
    if (rc < 0)
        return rc;
    if (timeout_ms >= 0)
        until = timeout_ms ? clock_now() + (uint64_t)timeout_ms * NSEC_PER_MSEC : 0;
    engine_lock(e);
    unsigned ran = engine_poll(e, max && max < INT32_MAX ? max : INT32_MAX, until);
    volume_unlock(v);
    return (int)ran;
}

void gzc_send(gzc_volume *volume)
{
    struct engine *e = &volume->shared->engine;
    engine_lock(e);
    engine_flush(e);
    engine_unlock(e);
}

int gzc_fd(gzc_volume *volume)
{
    struct engine *e = &volume->shared->engine;
    engine_lock(e);
    int fd = engine_fd(e);
    if (fd < 0)
        errtext_set(&volume->why, fd, "timerfd: %s", errtext_errno(fd));
    engine_unlock(e);
    return fd;
}

static void *serve(void *arg)
{
    struct volume *v = arg;
    engine_lock(&v->engine);
    engine_wait(&v->engine, &v->thread_waiter);
    if (v->engine.stop)
        pthread_detach(pthread_self()); /* a callback has unmounted: nobody will join */
    volume_unlock(v);
    return NULL;
}

int gzc_thread_start(gzc_volume *volume)
{
    struct volume *v = volume->shared;
    sigset_t all, before;
    if (v->has_thread)
        return volume_fail(volume, &volume->why, -EALREADY, "the volume has its thread already");
    waiter_init(&v->thread_waiter);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&v->thread, NULL, serve, v);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return volume_fail(volume, &volume->why, -rc, "no thread can be started");
    v->has_thread = true;
    return 0;
}

static void thread_stop(struct volume *v)
{
    engine_lock(&v->engine);
    waiter_wake(&v->engine, &v->thread_waiter);
    engine_unlock(&v->engine);
    pthread_join(v->thread, NULL);
    v->has_thread = false;
}

int gzc_thread_stop(gzc_volume *volume)
{
    int rc = volume_refuse_blocking(volume, &volume->why);
    if (rc < 0)
        return rc;
    if (!volume->shared->has_thread)
        return volume_fail(volume, &volume->why, -ESRCH, "the volume has no thread");
    thread_stop(volume->shared);
    return 0;
}

/* Locked. */
static int unmount_refuse(struct gzc_volume *volume)
{
    if (volume->blocked)
        return errtext_set(&volume->why, EBUSY, "a blocking call is under way");
    if (__atomic_load_n(&volume->handles, __ATOMIC_RELAXED))
        return errtext_set(&volume->why, EBUSY, "files or directories are still open");
    return 0;
}

/* Locked. The handle goes when its operations are over; with the last one the mount. */
static void handle_drop(struct gzc_volume *volume)
{
    struct volume *v = volume->shared;
    volume->gone = true;
    if (--v->users == 0) {
        v->engine.stop = true;
        v->last = volume; /* callbacks of what is under way may still call with it */
        volume->running++;
    } else if (!volume->running) {
        free(volume);
    }
}

int gzc_unmount(gzc_volume *volume)
{
    if (!volume)
        return 0;
    struct volume *v = volume->shared;
    struct engine *e = &v->engine;
    bool callback = engine_in_callback(e);
    engine_lock(e);
    int rc = unmount_refuse(volume);
    if (rc == 0 && v->users == 1 && v->has_thread && !callback) {
        engine_unlock(e);
        thread_stop(v);
        engine_lock(e);
        rc = unmount_refuse(volume); /* its last callbacks may have opened something */
    }
    if (rc == 0)
        handle_drop(volume);
    if (rc < 0 || callback) /* in a callback: who leads ends it, when that has returned */
        engine_unlock(e);
    else
        volume_unlock(v);
    return rc;
}
