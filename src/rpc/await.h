/* The leader's waiting. For lead.c only. */
#ifndef RPC_AWAIT_H
#define RPC_AWAIT_H

#include "rpc/engine.h"

/** e->drowsy: the connections prepare for nobody to look at them until the descriptor polls ready.
 */
void engine_fall_asleep(struct engine *e);
bool engine_sleep(struct engine *e, uint64_t until);
bool engine_poll_and_sleep(struct engine *e, uint64_t until);

/**
 * The leader has nothing to do: polls for replies for a while, if that promises to be worth it, and
 * then sleeps in epoll, until something comes, it is kicked, or the time @p until (0: does neither,
 * but looks).
 * @return whether there may be something to do now.
 */
static inline bool engine_await(struct engine *e, uint64_t until)
{
    bool polls = e->busy_poll && e->posted && until;
    return polls ? engine_poll_and_sleep(e, until) : engine_sleep(e, until);
}

/** Another thread leads: polls for a while, as long as it would for replies, whether it stops or
 *  @p done is set. @return whether one of these is so. */
bool engine_await_lead(struct engine *e, const bool *done);

#endif
