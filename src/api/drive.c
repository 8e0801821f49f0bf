/* gzc.h: driving a volume: progress, its descriptor, its thread, cancelling. */
#include "api/handle.h"
#include "volume/mount.h"

#include <signal.h>

int gzc_cancel(gzc_volume *volume, gzc_ticket ticket)
{
    engine_lock(&volume->engine);
    int rc = async_cancel(volume, ticket);
    engine_unlock(&volume->engine);
    return rc;
}

int gzc_poll(gzc_volume *volume, unsigned max, int timeout_ms)
{
    struct engine *e = &volume->engine;
    uint64_t until = CLOCK_NEVER;
    int rc = volume_refuse_blocking(volume, &volume->why);
    if (rc < 0)
        return rc;
    if (timeout_ms >= 0)
        until = timeout_ms ? clock_now() + (uint64_t)timeout_ms * NSEC_PER_MSEC : 0;
    engine_lock(e);
    unsigned ran = engine_poll(e, max && max < INT32_MAX ? max : INT32_MAX, until);
    volume_unlock(volume);
    return (int)ran;
}

void gzc_send(gzc_volume *volume)
{
    engine_lock(&volume->engine);
    engine_flush(&volume->engine);
    engine_unlock(&volume->engine);
}

int gzc_fd(gzc_volume *volume)
{
    engine_lock(&volume->engine);
    int fd = engine_fd(&volume->engine);
    if (fd < 0)
        errtext_set(&volume->why, fd, "timerfd: %s", errtext_errno(fd));
    engine_unlock(&volume->engine);
    return fd;
}

static void *serve(void *arg)
{
    struct gzc_volume *v = arg;
    engine_lock(&v->engine);
    engine_wait(&v->engine, &v->thread_waiter);
    if (v->engine.stop)
        pthread_detach(pthread_self()); /* a callback has unmounted: nobody will join */
    volume_unlock(v);
    return NULL;
}

int gzc_thread_start(gzc_volume *volume)
{
    sigset_t all, before;
    if (volume->has_thread)
        return volume_fail(volume, &volume->why, -EALREADY, "the volume has its thread already");
    waiter_init(&volume->thread_waiter);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&volume->thread, NULL, serve, volume);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return volume_fail(volume, &volume->why, -rc, "no thread can be started");
    volume->has_thread = true;
    return 0;
}

int gzc_thread_stop(gzc_volume *volume)
{
    int rc = volume_refuse_blocking(volume, &volume->why);
    if (rc < 0)
        return rc;
    if (!volume->has_thread)
        return volume_fail(volume, &volume->why, -ESRCH, "the volume has no thread");
    engine_lock(&volume->engine);
    waiter_wake(&volume->engine, &volume->thread_waiter);
    engine_unlock(&volume->engine);
    pthread_join(volume->thread, NULL);
    volume->has_thread = false;
    return 0;
}

/* Locked. */
static int unmount_refuse(struct gzc_volume *v)
{
    if (v->blocked)
        return errtext_set(&v->why, EBUSY, "a blocking call is under way");
    if (__atomic_load_n(&v->handles, __ATOMIC_RELAXED))
        return errtext_set(&v->why, EBUSY, "files or directories are still open");
    return 0;
}

int gzc_unmount(gzc_volume *volume)
{
    if (!volume)
        return 0;
    struct engine *e = &volume->engine;
    bool callback = engine_in_callback(e);
    engine_lock(e);
    int rc = unmount_refuse(volume);
    if (rc == 0 && volume->has_thread && !callback) {
        engine_unlock(e);
        gzc_thread_stop(volume);
        engine_lock(e);
        rc = unmount_refuse(volume); /* its last callbacks may have opened something */
    }
    if (rc == 0)
        e->stop = true;
    if (rc < 0 || callback) /* in a callback: who leads ends it, when that has returned */
        engine_unlock(e);
    else
        volume_unlock(volume);
    return rc;
}
