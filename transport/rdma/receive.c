/*
 * Completions, and the replies that they tell of.
 *
 * Taking in (link_take) does the bookkeeping: whose call has been answered, how much of the send
 * queue is done. Showing (link_show) tells the transport's user, and runs only in rx_finish: a call
 * is shown when the peer can reach its memory no more. In between the reply stays in its slot of
 * the ring, which nobody else is given. It is copied before it is looked at: the peer can write
 * there.
 */
#include "transport/rdma/link.h"

#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SLOT_MASK ((1u << RDMA_SLOT_BITS) - 1)

static int broken(struct rdma_link *l, const char *what)
{
    return errtext_set(l->base.why, EPROTO, "the RDMA gateway breaks the protocol: %s", what);
}

/* ---- taking in ------------------------------------------------------------------------------- */

static int take_callback(struct rdma_link *l, uint32_t number)
{
    if (l->state != LINK_OPEN || number != (l->callbacks_in & (UINT32_MAX >> RDMA_SLOT_BITS)) ||
        l->callbacks_in - l->callbacks_told >= l->asked.callbacks)
        return broken(l, "a callback out of turn");
    l->callbacks_in++;
    return 0;
}

/* The peer is through with a call: its windows go, then it is shown. */
static int take_reply(struct rdma_link *l, uint32_t xid)
{
    uint32_t index = xid & SLOT_MASK;
    if (index == RDMA_CALLBACK_SLOT)
        return take_callback(l, xid >> RDMA_SLOT_BITS);
    if (l->state == LINK_ATTACH && xid == 0 && !l->attached) {
        l->attached = true;
        return 0;
    }
    struct link_slot *slot = index < l->granted.credits ? &l->slots[index] : NULL;
    if (!slot || l->state != LINK_OPEN || slot->xid != xid ||
        (slot->state != SLOT_SENT && slot->state != SLOT_LATE))
        return broken(l, "an immediate of no call that is under way");
    l->deaf = false;
    bool windows = link_bound(slot);
    slot->state = windows ? SLOT_ANSWERED : SLOT_SHOWN;
    slot_list_add(windows ? &l->answered : &l->shown, slot);
    l->base.unsent |= windows;
    return 0;
}

/* Work requests up to the number `done` have been completed. */
static void take_done(struct rdma_link *l, uint64_t done)
{
    l->done = done;
    while (l->invalidating.first && l->invalidating.first->fence <= done) {
        struct link_slot *slot = slot_list_take(&l->invalidating);
        slot->state = SLOT_SHOWN;
        slot_list_add(&l->shown, slot);
    }
    if (l->base.blocked) {
        l->base.blocked = false;
        l->base.unsent = true;
    }
}

static int take_completion(struct rdma_link *l, const struct ibv_wc *wc)
{
    if (wc->status == IBV_WC_RETRY_EXC_ERR)
        return errtext_set(l->base.why, ENOTCONN,
                           "connection lost: RDMA: the peer does not answer");
    if (wc->status != IBV_WC_SUCCESS)
        return errtext_set(l->base.why, ENOTCONN, "connection lost: RDMA: %s",
                           ibv_wc_status_str(wc->status));
    if (!(wc->opcode & IBV_WC_RECV)) {
        take_done(l, wc->wr_id);
        return 0;
    }
    if (wc->opcode != IBV_WC_RECV_RDMA_WITH_IMM)
        return broken(l, "a SEND");
    return take_reply(l, ntohl(wc->imm_data));
}

int link_take(struct rdma_link *l)
{
    int rc = 0;
    for (int i = 0; i < l->ncompletions; i++) {
        l->consumed += l->completions[i].wr_id == LINK_RECEIVE;
        rc = rc ? rc : take_completion(l, &l->completions[i]);
    }
    if (l->ncompletions < 0)
        rc = errtext_set(l->base.why, ENOTCONN, "connection lost: RDMA: completions cannot be had");
    else
        counter_add(&l->base.counters->completions, (uint64_t)l->ncompletions);
    l->ncompletions = 0;
    if (rc == 0 && l->consumed) {
        rc = rdma_domain_post(l->domain, l->consumed);
        l->consumed = 0;
    }
    return rc;
}

/* ---- showing --------------------------------------------------------------------------------- */

static int copy_out(struct rdma_link *l, const uint8_t *from, size_t n)
{
    if (n > l->copy_room || !l->copy) {
        uint8_t *room = realloc(l->copy, n + 1);
        if (!room)
            return errtext_set(l->base.why, ENOMEM, "no memory for a reply of %zu bytes", n);
        l->copy = room;
        l->copy_room = n;
    }
    memcpy(l->copy, from, n);
    return 0;
}

int link_read_slot(struct rdma_link *l, unsigned index, struct rdma_slot_head *head)
{
    const uint8_t *at = l->ring + (size_t)index * l->asked.slot;
    uint8_t bytes[RDMA_SLOT_HEAD_BYTES];
    memcpy(bytes, at, sizeof(bytes));
    if (rdma_slot_decode(bytes, l->asked.slot, head) < 0)
        return broken(l, "a malformed slot");
    return head->kind == RDMA_SLOT_LONG ? 0 : copy_out(l, at + sizeof(bytes), head->message);
}

/* A whole message, in l->copy, and so many bytes of payload where it belongs. It is the reply to
 * the slot's call and to no other, whose memory might still be in reach; without a slot it is none.
 */
static int show_message(struct rdma_link *l, const struct link_slot *slot, size_t length,
                        size_t payload)
{
    const struct transport_user *user = l->base.user_ops;
    struct arrival a;
    if (length < 24) /* the shortest of RPC messages, RFC 5531 section 9 */
        return broken(l, "a message too short");
    bool reply = wire_get32(l->copy + 4) != RPC_MSG_CALL;
    if (slot ? !reply || wire_get32(l->copy) != slot->xid : reply)
        return broken(l, "a message that is not the slot's");
    int rc = user->arrive(l->base.user, l->copy, length, length + payload, &a);
    if (rc < 0 || a.kind == ARRIVAL_SINK)
        return rc;
    if (a.kind == ARRIVAL_LAND)
        return a.length == payload ? user->landed(l->base.user, payload, 0)
                                   : broken(l, "payload of another length than the reply says");
    if (a.kind == ARRIVAL_MORE || payload)
        return broken(l, "a reply cut short, or payload that nobody asked for");
    return user->collected(l->base.user, l->copy, length);
}

void link_release(struct rdma_link *l, struct link_slot *slot)
{
    for (unsigned i = 0; i < slot->ngrants; i++) {
        struct link_grant *grant = &slot->grants[i];
        if (grant->region)
            rdma_memory_put(l->domain->memory, grant->region);
        grant->region = NULL;
        grant->bound = grant->exposed = false;
    }
    slot->ngrants = 0;
    struct link_bulk *bulk[] = {slot->call, slot->reply};
    for (unsigned i = 0; i < 2; i++) {
        if (bulk[i]) {
            bulk[i]->next = l->bulk;
            l->bulk = bulk[i];
        }
    }
    slot->call = slot->reply = NULL;
    slot->message = NULL;
    slot->state = SLOT_IDLE;
}

/* The peer cannot answer a call, for a reason that is the call's alone. */
static int show_error(struct rdma_link *l, struct message *m, const struct rdma_slot_head *head)
{
    int error = head->code == RDMA_ERROR_TOO_LONG    ? EMSGSIZE
                : head->code == RDMA_ERROR_NO_MEMORY ? ENOBUFS
                                                     : 0;
    if (!error || head->payload)
        return broken(l, "an error that no call has");
    l->base.user_ops->refused(l->base.user, m,
                              errtext_set(l->base.why, error, "the RDMA gateway: %.*s",
                                          head->message < 200 ? (int)head->message : 200,
                                          (const char *)l->copy));
    return 0;
}

static int show_slot(struct rdma_link *l, struct link_slot *slot)
{
    struct message *m = slot->message;
    struct rdma_slot_head head;
    int rc = link_read_slot(l, (unsigned)(slot - l->slots), &head);
    if (rc == 0 && (head.xid != slot->xid || head.kind == RDMA_SLOT_CALLBACK))
        rc = broken(l, "a slot of another call");
    if (rc == 0 && head.kind == RDMA_SLOT_LONG) {
        if (!slot->reply || head.message > slot->reply->size)
            rc = broken(l, "a reply longer than its chunk");
        else
            rc = copy_out(l, slot->reply->bytes, head.message);
    }
    link_release(l, slot);
    if (rc < 0)
        return rc;
    if (head.kind != RDMA_SLOT_ERROR)
        return show_message(l, slot, head.message, head.payload);
    if (m)
        return show_error(l, m, &head);
    l->base.user_ops->forgotten(l->base.user, slot->xid);
    return 0;
}

static int show_callback(struct rdma_link *l)
{
    uint32_t number = l->callbacks_shown++;
    struct rdma_slot_head head;
    int rc = link_read_slot(l, l->granted.credits + number % l->asked.callbacks, &head);
    if (rc < 0)
        return rc;
    if (head.kind != RDMA_SLOT_CALLBACK || head.payload)
        return broken(l, "a callback's slot without one");
    return show_message(l, NULL, head.message, 0);
}

static int link_show(struct rdma_link *l)
{
    int rc = 0;
    while (rc == 0 && l->shown.first)
        rc = show_slot(l, slot_list_take(&l->shown));
    while (rc == 0 && l->callbacks_shown != l->callbacks_in)
        rc = show_callback(l);
    if (l->callbacks_shown - l->callbacks_told >= LINK_CALLBACKS / 2)
        l->base.unsent = true;
    return rc;
}

/* ---- the transport's functions --------------------------------------------------------------- */

/* After a sleep: which of the three descriptors has woken us. */
static void link_wake(struct rdma_link *l)
{
    struct ibv_cq *cq;
    void *context;
    l->armed = false;
    l->base.drowsy = true;
    rdma_memory_reap(l->domain->memory);
    while (ibv_get_cq_event(l->channel, &cq, &context) == 0)
        ibv_ack_cq_events(cq, 1);
    if (l->failed == 0)
        l->failed = link_events(l);
}

void link_rx_prepare(struct transport *base)
{
    struct rdma_link *l = link_of(base);
    if (l->armed)
        link_wake(l);
}

static bool link_has_news(const struct rdma_link *l)
{
    return l->ncompletions || l->failed || l->shown.first || l->callbacks_shown != l->callbacks_in;
}

bool link_rx_issue(struct transport *base)
{
    struct rdma_link *l = link_of(base);
    if (!link_has_news(l))
        l->ncompletions = ibv_poll_cq(l->cq, LINK_COMPLETIONS, l->completions);
    return link_has_news(l);
}

int link_rx_finish(struct transport *base)
{
    struct rdma_link *l = link_of(base);
    bool more = l->ncompletions == LINK_COMPLETIONS;
    base->received = link_has_news(l);
    int rc = l->failed;
    rc = rc ? rc : link_take(l);
    rc = rc ? rc : link_show(l);
    base->drowsy = !l->armed;
    return rc < 0 ? rc : more;
}

bool link_rx_sleep(struct transport *base)
{
    struct rdma_link *l = link_of(base);
    if (!l->armed) {
        rdma_memory_reap(l->domain->memory);
        ibv_req_notify_cq(l->cq, 0);
        l->armed = true;
        base->drowsy = false;
    }
    return link_rx_issue(base); /* what has come before it was armed wakes nobody */
}

/* Messages are shown whole: there is none half landed. */
bool link_rx_retire(struct transport *base)
{
    (void)base;
    return false;
}
