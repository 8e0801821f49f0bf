/* Work on volumes that one thread does side by side. A job is a row of steps: a step begins
 * operations, asynchronous ones on a volume and local ones on the spot, and when all are over the
 * next step runs, from jobs_run(). Steps may call blocking functions; callbacks of the library only
 * note what came out. */
#ifndef GZC_JOB_H
#define GZC_JOB_H

#include "message.h"

#include <gzc.h>
#include <stdbool.h>
#include <sys/types.h>

struct job;
/** @return true: job_next() has set what comes next; false: the job is over and may be gone. */
typedef bool job_step(struct job *job);

struct job {
    ssize_t result;    /* of what the last step began; of several, that of the last to end */
    int error;         /* -errno of the first of them that failed */
    struct reason why; /* its text */
    job_step *step;    /* what comes next */
    unsigned pending;  /* operations under way, and jobs that it waits for */
    struct job *next;  /* that is ready to run */
};

/** Gets the first step of a job, whose memory is zero, to run. */
void job_start(struct job *job, job_step *step);
/** In a step: sets the next, and forgets what came out so far. */
bool job_next(struct job *job, job_step *step);

/** How to begin an operation of the job. */
struct gzc_async job_async(struct job *job);
/** Takes what an _async function has returned. */
void job_begun(struct job *job, gzc_ticket ticket);
/** Notes the outcome of a local operation: a count or -errno. */
void job_did(struct job *job, ssize_t result);

/** Has the job wait for something else, until job_release(). */
void job_hold(struct job *job);
void job_release(struct job *job);

/** Runs the steps that are due; waits for some if none are, up to a moment. */
void jobs_run(void);

#endif
