/*
 * What a brick has open for us. A descriptor is lost with the session that it was opened in, and is
 * opened again, by gfid, as soon as the next one is up: calls on it wait for that.
 *
 *   the session's generation:  0 ---- broken ---> 1 ---- broken ---> 2
 *   the descriptor's:          0 ---------------- 0 --- reopened --> 2: open
 *
 * Locks are lost with it too, for others to take. What was locked is not opened again, so that its
 * calls fail, as with GlusterFS's option client.strict-locks.
 */
#ifndef BRICK_REMOTE_H
#define BRICK_REMOTE_H

#include "brick/session.h"

struct fop;

struct remote {
    struct session *session;
    int64_t fd;          /* the brick's */
    unsigned generation; /* of the session, that fd is of */
    uint32_t flags;      /* to open it again with */
    bool directory;
    bool locked;           /* there are locks on it, of any owner */
    unsigned lock_changes; /* locks granted on it */
    uint8_t gfid[16];
    const struct caller *caller; /* for whom it is open; lives as long as this */
    struct reopen *reopen;       /* being opened again */
    struct remote *next, **link;
};

/** @p fop has opened a file or directory for @p caller. It is kept open until remote_close(). */
void remote_opened(struct remote *r, const struct fop *fop, const struct caller *caller,
                   const uint8_t *gfid, int64_t fd, int flags, bool directory);
/** It is not opened again from here on. Nothing is sent. May be called on a zeroed one, and again
 *  and again. */
void remote_close(struct remote *r);

/** Whether fd is open. */
static inline bool remote_is_open(const struct remote *r)
{
    return r->generation == r->session->generation;
}

/** Whether there were locks on it when its session was lost. */
static inline bool remote_locks_lost(const struct remote *r)
{
    return r->locked && !remote_is_open(r);
}

/** Opens it again, unless that is under way already; then calls on it go, or end. */
void remote_reopen(struct remote *r);
/** The session is up again: all of them. */
void remotes_reopen(struct session *s);

#endif
