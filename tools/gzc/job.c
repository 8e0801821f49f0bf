#include "job.h"

#include "target.h"

#include <errno.h>
#include <string.h>

/* So often a waiting thread looks up, to see if it was interrupted. */
#define MOMENT_MS 100

static struct job *ready, **ready_end = &ready;

void job_hold(struct job *job)
{
    job->pending++;
}

void job_release(struct job *job)
{
    if (--job->pending)
        return;
    job->next = NULL;
    *ready_end = job;
    ready_end = &job->next;
}

void job_start(struct job *job, job_step *step)
{
    job_next(job, step);
    job_hold(job);
    job_release(job);
}

bool job_next(struct job *job, job_step *step)
{
    job->step = step;
    job->result = 0;
    job->error = 0;
    return true;
}

static void note(struct job *job, ssize_t result, const char *error)
{
    job->result = result;
    if (result < 0 && !job->error)
        job->error = reason_set(&job->why, (int)result, error);
}

static void done(void *arg, ssize_t result, const char *error)
{
    note(arg, result, error);
    job_release(arg);
}

struct gzc_async job_async(struct job *job)
{
    return (struct gzc_async){.done = done, .arg = job};
}

void job_begun(struct job *job, gzc_ticket ticket)
{
    if (ticket < 0)
        note(job, (ssize_t)ticket, "");
    else
        job_hold(job);
}

void job_did(struct job *job, ssize_t result)
{
    note(job, result, "");
}

void jobs_run(void)
{
    if (!ready)
        volumes_poll(MOMENT_MS);
    while (ready) {
        struct job *job = ready;
        ready = job->next;
        if (!ready)
            ready_end = &ready;
        job_hold(job); /* what the step begins may be over before it returns */
        if (job->step(job))
            job_release(job);
    }
}
