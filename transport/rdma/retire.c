/*
 * Taking back a call whose reply has not come: deadline, cancel. When this returns neither the peer
 * nor the device touches its memory any more.
 *
 *   CANCEL: a sound gateway answers within microseconds, by the reply or in its stead. With that
 *           answer its memory is as free as with any reply. It is waited for, polling, with the
 *           engine's lock held: that is a bounded exception, of a few milliseconds.
 *   no answer: the windows are invalidated, which needs no peer. A late write of the peer's then
 *           ends the connection, and hits nothing.
 *   no windows, or no word of them: the queue pair goes, and with it every way to the memory.
 */
#include "transport/rdma/link.h"

#include "base/clock.h"
#include "proto/wire.h"

#include <errno.h>

#define ANSWER_TIME (5 * NSEC_PER_MSEC)
#define DEVICE_TIME (20 * NSEC_PER_MSEC)

static void list_remove(struct slot_list *list, struct link_slot *slot)
{
    struct slot_list rest;
    slot_list_init(&rest);
    while (list->first) {
        struct link_slot *s = slot_list_take(list);
        if (s != slot)
            slot_list_add(&rest, s);
    }
    slot_list_init(list);
    while (rest.first)
        slot_list_add(list, slot_list_take(&rest));
}

/* Takes in completions until so many work requests are done and, if `state` is not SLOT_IDLE, the
 * slot is in that state no more. */
static int wait_for(struct rdma_link *l, uint64_t done, const struct link_slot *slot,
                    enum link_slot_state state, uint64_t nanoseconds)
{
    uint64_t end = clock_now() + nanoseconds;
    int rc = 0;
    while (rc == 0 && (l->done < done || (state != SLOT_IDLE && slot->state == state))) {
        if (!l->ncompletions)
            l->ncompletions = ibv_poll_cq(l->cq, LINK_COMPLETIONS, l->completions);
        rc = link_take(l);
        if (rc == 0 && clock_now() > end)
            return -ETIMEDOUT;
    }
    return rc;
}

static int ask_back(struct rdma_link *l, struct link_slot *slot)
{
    if (!link_control_fits(l))
        return 0;
    link_control(l, RDMA_CANCEL, slot->xid, l->callbacks_told);
    int rc = link_post(l, true);
    if (rc == 0 && !l->deaf) {
        rc = wait_for(l, 0, slot, SLOT_SENT, ANSWER_TIME);
        l->deaf = rc == -ETIMEDOUT;
    }
    return rc == -ETIMEDOUT ? 0 : rc;
}

/* Invalidates what windows the slot has left, and waits until the device has done that, and so is
 * through with all that was posted before. */
static int take_back(struct rdma_link *l, struct link_slot *slot)
{
    unsigned n = link_bound(slot);
    if (slot->state == SLOT_INVALIDATING)
        return wait_for(l, slot->fence, NULL, SLOT_IDLE, DEVICE_TIME);
    if (!n && slot->state != SLOT_SENT)
        return 0;
    if (!link_has_room(l, n))
        return -ENOBUFS;
    if (!n && l->tx.signalled < l->tx.posted)
        return -EBUSY; /* no CANCEL could be posted: nothing will tell that the SEND is over */
    link_invalidate(l, slot);
    int rc = link_post(l, true);
    return rc ? rc : wait_for(l, l->tx.signalled, NULL, SLOT_IDLE, DEVICE_TIME);
}

/* Is there memory that the peer can reach as long as it stays registered? */
static bool is_exposed(const struct link_slot *slot)
{
    bool exposed = false;
    for (unsigned i = 0; i < slot->ngrants; i++)
        exposed |= slot->grants[i].exposed;
    return exposed;
}

/* A call that is under way, or just answered. */
static int recall(struct rdma_link *l, struct link_slot *slot)
{
    int rc = slot->state == SLOT_SENT ? ask_back(l, slot) : 0;
    if (rc == 0 && slot->state == SLOT_SENT && is_exposed(slot))
        rc = -ETIMEDOUT;
    rc = rc ? rc : take_back(l, slot);
    bool answered = slot->state != SLOT_SENT;
    if (rc < 0) {
        link_destroy_queue(l);
        return l->failed =
                   errtext_set(l->base.why, ENOTCONN,
                               "connection lost: a call under way on it had to be given up");
    }
    list_remove(&l->answered, slot);
    list_remove(&l->invalidating, slot);
    list_remove(&l->shown, slot);
    link_release(l, slot);
    if (!answered)
        slot->state = SLOT_LATE;
    return answered;
}

int link_tx_retire(struct transport *base, struct message *m)
{
    struct rdma_link *l = link_of(base);
    struct link_tx *tx = &l->tx;
    if (m->queued) {
        struct message **link = &tx->first;
        while (*link && *link != m)
            link = &(*link)->next;
        if (*link)
            *link = m->next;
        if (!*link)
            tx->end = link;
        m->queued = false;
        return 0;
    }
    struct link_slot *slot = link_slot(l, wire_get32(m->head + TRANSPORT_HEADROOM));
    if (slot->message != m || slot->state == SLOT_IDLE || !l->has_queue)
        return 0;
    tx->nrequests = tx->npieces = 0;
    int rc = recall(l, slot);
    base->drowsy = true; /* what has been taken in is still to be shown */
    return rc;
}
