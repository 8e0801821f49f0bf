/* Calls on their way out: memory is granted to the peer, and the SEND put together. */
#include "transport/rdma/link.h"

#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>

#define SIGNAL_EVERY (LINK_SENDS / 4)

/* ---- work requests --------------------------------------------------------------------------- */

bool link_has_room(const struct rdma_link *l, unsigned n)
{
    const struct link_tx *tx = &l->tx;
    return tx->posted - l->done + tx->nrequests + n <= LINK_SENDS &&
           tx->nrequests + n <= LINK_REQUESTS;
}

struct ibv_send_wr *link_request(struct rdma_link *l, enum ibv_wr_opcode opcode)
{
    struct link_tx *tx = &l->tx;
    struct ibv_send_wr *request = &tx->requests[tx->nrequests++];
    *request = (struct ibv_send_wr){.wr_id = tx->posted + tx->nrequests, .opcode = opcode};
    return request;
}

int link_bind(struct rdma_link *l, struct link_grant *grant, struct ibv_mr *mr, const void *at,
              uint32_t length, int access)
{
    if (!grant->window) {
        grant->window = ibv_alloc_mw(l->domain->pd, IBV_MW_TYPE_2);
        if (!grant->window)
            return errtext_set(&l->tx.why, errno, "RDMA memory window: %s", errtext_errno(errno));
    }
    grant->rkey = ibv_inc_rkey(grant->window->rkey);
    grant->bound = true;
    struct ibv_send_wr *request = link_request(l, IBV_WR_BIND_MW);
    request->bind_mw.mw = grant->window;
    request->bind_mw.rkey = grant->rkey;
    request->bind_mw.bind_info = (struct ibv_mw_bind_info){
        .mr = mr,
        .addr = (uintptr_t)at,
        .length = length,
        .mw_access_flags = (unsigned)access,
    };
    return 0;
}

unsigned link_bound(const struct link_slot *slot)
{
    unsigned n = 0;
    for (unsigned i = 0; i < slot->ngrants; i++)
        n += slot->grants[i].bound;
    return n;
}

unsigned link_invalidate(struct rdma_link *l, struct link_slot *slot)
{
    unsigned n = 0;
    for (unsigned i = 0; i < slot->ngrants; i++) {
        if (!slot->grants[i].bound)
            continue;
        slot->grants[i].bound = false;
        link_request(l, IBV_WR_LOCAL_INV)->invalidate_rkey = slot->grants[i].rkey;
        n++;
    }
    return n;
}

int link_post(struct rdma_link *l, bool signal)
{
    struct link_tx *tx = &l->tx;
    unsigned n = tx->nrequests;
    struct ibv_send_wr *bad;
    if (!n)
        return 0;
    for (unsigned i = 0; i + 1 < n; i++)
        tx->requests[i].next = &tx->requests[i + 1];
    if (signal || tx->posted + n - tx->signalled >= SIGNAL_EVERY) {
        tx->requests[n - 1].send_flags |= IBV_SEND_SIGNALED;
        tx->signalled = tx->posted + n;
    }
    tx->posted += n;
    tx->nrequests = 0;
    int rc = -ibv_post_send(l->id->qp, tx->requests, &bad);
    /* A window's next key is made from its present one, which is the poster's to note. */
    for (unsigned i = 0; rc == 0 && i < n; i++)
        if (tx->requests[i].opcode == IBV_WR_BIND_MW)
            tx->requests[i].bind_mw.mw->rkey = tx->requests[i].bind_mw.rkey;
    return rc;
}

bool link_control_fits(const struct rdma_link *l)
{
    return link_has_room(l, 1) && l->control_fence[l->control_next] <= l->done;
}

void link_control(struct rdma_link *l, uint8_t kind, uint32_t xid, uint32_t callbacks)
{
    struct link_tx *tx = &l->tx;
    unsigned i = l->control_next;
    l->control_next = (i + 1) % LINK_CONTROLS;
    uint8_t *send = l->controls + i * RDMA_HEADER_BYTES;
    struct rdma_header h = {.xid = xid, .kind = kind, .callbacks = callbacks};
    rdma_header_encode(send, &h);
    struct ibv_sge *piece = &tx->pieces[tx->npieces++];
    *piece = (struct ibv_sge){(uintptr_t)send, RDMA_HEADER_BYTES, l->sends_mr->lkey};
    struct ibv_send_wr *request = link_request(l, IBV_WR_SEND);
    request->send_flags = IBV_SEND_SIGNALED;
    request->sg_list = piece;
    request->num_sge = 1;
    l->control_fence[i] = tx->posted + tx->nrequests;
}

/* ---- granting -------------------------------------------------------------------------------- */

/* Makes the peer's way to memory that is registered: by a window, where the device has them and
 * unless that memory cannot have one. */
static int grant(struct rdma_link *l, struct link_slot *slot, struct ibv_mr *mr, bool windows,
                 const void *at, uint32_t length, int access, struct rdma_chunk *chunk)
{
    struct link_grant *mine = &slot->grants[slot->ngrants++];
    int rc = 0;
    mine->region = NULL;
    if (l->domain->windows && windows)
        rc = link_bind(l, mine, mr, at, length, access);
    else
        mine->rkey = mr->rkey, mine->exposed = true;
    *chunk = (struct rdma_chunk){(uintptr_t)at, length, mine->rkey};
    return rc;
}

/* A piece of the caller's. */
static int grant_piece(struct rdma_link *l, struct link_slot *slot, const struct iovec *piece,
                       int access, struct rdma_chunk *chunk)
{
    struct link_grant *mine = &slot->grants[slot->ngrants];
    struct rdma_region *region;
    int rc = rdma_memory_get(l->domain->memory, piece->iov_base, piece->iov_len,
                             access & IBV_ACCESS_REMOTE_WRITE, &region, &l->tx.why);
    if (rc < 0)
        return rc;
    rc = grant(l, slot, region->mr, region->access & IBV_ACCESS_MW_BIND, piece->iov_base,
               (uint32_t)piece->iov_len, access, chunk);
    mine->region = region;
    return rc;
}

/* A piece that the device itself sends from. */
static int hold_piece(struct rdma_link *l, struct link_slot *slot, const struct iovec *piece,
                      struct ibv_sge *sge)
{
    struct link_grant *mine = &slot->grants[slot->ngrants];
    struct rdma_region *region;
    int rc = rdma_memory_get(l->domain->memory, piece->iov_base, piece->iov_len, false, &region,
                             &l->tx.why);
    if (rc < 0)
        return rc;
    slot->ngrants++;
    mine->region = region;
    *sge = (struct ibv_sge){
        .addr = (uintptr_t)piece->iov_base,
        .length = (uint32_t)piece->iov_len,
        .lkey = region->mr->lkey,
    };
    return 0;
}

static struct link_bulk *bulk_get(struct rdma_link *l, size_t size)
{
    for (struct link_bulk **link = &l->tx.spare; *link; link = &(*link)->next) {
        struct link_bulk *bulk = *link;
        if (bulk->size >= size) {
            *link = bulk->next;
            return bulk;
        }
    }
    struct link_bulk *bulk = malloc(sizeof(*bulk) + size);
    if (!bulk) {
        errtext_set(&l->tx.why, ENOMEM, "no memory");
        return NULL;
    }
    bulk->size = size;
    bulk->mr =
        ibv_reg_mr(l->domain->pd, bulk->bytes, size,
                   rdma_domain_access(l->domain, IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE));
    if (!bulk->mr) {
        errtext_set(&l->tx.why, errno, "registering %zu bytes of libgzc's own for RDMA: %s", size,
                    errtext_errno(errno));
        free(bulk);
        return NULL;
    }
    return bulk;
}

/* ---- a SEND ---------------------------------------------------------------------------------- */

/* What a call's SEND is made of, in the order in which it is put together. */
struct draft {
    struct rdma_header header;
    struct rdma_chunk chunks[LINK_GRANTS];
    unsigned nchunks;
    struct iovec pieces[LINK_PIECES];
    size_t npieces;
    bool fetched; /* the payload by RDMA READ */
};

static int draft_long_call(struct rdma_link *l, struct link_slot *slot, const struct message *m,
                           struct draft *d)
{
    size_t reply = RDMA_SLOT_HEAD_BYTES + (size_t)m->reply_max;
    if (RDMA_HEADER_BYTES + (LINK_GRANTS * RDMA_CHUNK_BYTES) + m->head_length > LINK_SEND_BYTES) {
        slot->call = bulk_get(l, m->head_length);
        if (!slot->call)
            return -ENOMEM;
        memcpy(slot->call->bytes, m->head, m->head_length);
        d->header.flags |= RDMA_LONG;
        int rc = grant(l, slot, slot->call->mr, true, slot->call->bytes, m->head_length,
                       IBV_ACCESS_REMOTE_READ, &d->chunks[d->nchunks++]);
        if (rc < 0)
            return rc;
    }
    if (reply > l->asked.slot) {
        uint32_t room = m->reply_max < l->granted.message ? m->reply_max : l->granted.message;
        slot->reply = bulk_get(l, room);
        if (!slot->reply)
            return -ENOMEM;
        d->header.flags |= RDMA_REPLY;
        return grant(l, slot, slot->reply->mr, true, slot->reply->bytes, room,
                     IBV_ACCESS_REMOTE_WRITE, &d->chunks[d->nchunks++]);
    }
    return 0;
}

static int draft_payload(struct rdma_link *l, struct link_slot *slot, const struct message *m,
                         struct draft *d)
{
    bool out = m->payload_length > 0;
    size_t want = out ? m->payload_length : m->land_length, bytes;
    if (!want)
        return 0;
    d->npieces = iov_window(out ? &m->payload : &m->land, want, d->pieces, LINK_PIECES, &bytes);
    if (bytes < want || want > l->granted.payload)
        return errtext_set(&l->tx.why, EMSGSIZE, "%zu bytes do not fit an RDMA call", want);
    size_t head = RDMA_HEADER_BYTES + d->nchunks * RDMA_CHUNK_BYTES + m->head_length;
    d->fetched = out && (d->header.flags & RDMA_LONG || want > LINK_INLINE ||
                         head + want > l->granted.inline_bytes || d->npieces > l->inline_pieces);
    if (out && !d->fetched)
        return 0;
    for (size_t i = 0; i < d->npieces; i++) {
        int rc = grant_piece(l, slot, &d->pieces[i],
                             out ? IBV_ACCESS_REMOTE_READ : IBV_ACCESS_REMOTE_WRITE,
                             &d->chunks[d->nchunks++]);
        if (rc < 0)
            return rc;
    }
    if (out)
        d->header.reads = (uint8_t)d->npieces;
    else
        d->header.writes = (uint8_t)d->npieces;
    d->npieces = 0;
    return 0;
}

/* Header, chunks, record: into the slot's place; inline payload leaves from where it is. */
static int draft_send(struct rdma_link *l, struct link_slot *slot, const struct message *m,
                      struct draft *d)
{
    struct link_tx *tx = &l->tx;
    uint8_t *start = l->sends + (size_t)(slot - l->slots) * LINK_SEND_BYTES, *at = start;
    rdma_header_encode(at, &d->header);
    at += RDMA_HEADER_BYTES;
    for (unsigned i = 0; i < d->nchunks; i++, at += RDMA_CHUNK_BYTES)
        rdma_chunk_encode(at, &d->chunks[i]);
    if (!(d->header.flags & RDMA_LONG)) {
        memcpy(at, m->head, m->head_length);
        at += m->head_length;
    }
    struct ibv_sge *pieces = &tx->pieces[tx->npieces];
    pieces[0] = (struct ibv_sge){(uintptr_t)start, (uint32_t)(at - start), l->sends_mr->lkey};
    for (size_t i = 0; i < d->npieces; i++) {
        int rc = hold_piece(l, slot, &d->pieces[i], &pieces[i + 1]);
        if (rc < 0)
            return rc;
    }
    struct ibv_send_wr *request = link_request(l, IBV_WR_SEND);
    request->sg_list = pieces;
    request->num_sge = (int)d->npieces + 1;
    tx->npieces += (unsigned)d->npieces + 1;
    return 0;
}

/* Adds the requests that a message takes. If it cannot be sent, none are left, and nothing of its
 * memory is held. */
static int link_marshal(struct rdma_link *l, struct message *m)
{
    struct link_tx *tx = &l->tx;
    uint32_t xid = wire_get32(m->head + TRANSPORT_HEADROOM);
    struct link_slot *slot = link_slot(l, xid);
    unsigned requests = tx->nrequests, pieces = tx->npieces;
    struct draft d = {.header = {
                          .xid = xid,
                          .kind = RDMA_CALL,
                          .callbacks = tx->callbacks,
                          .message = m->head_length - RDMA_MARK_BYTES,
                          .payload = m->payload_length,
                      }};
    wire_put32(m->head,
               UINT32_C(0x80000000) | (m->head_length - RDMA_MARK_BYTES + m->payload_length));
    int rc = draft_long_call(l, slot, m, &d);
    rc = rc ? rc : draft_payload(l, slot, m, &d);
    rc = rc ? rc : draft_send(l, slot, m, &d);
    if (rc < 0) {
        tx->nrequests = requests;
        tx->npieces = pieces;
        for (unsigned i = 0; i < slot->ngrants; i++)
            slot->grants[i].bound = false; /* it has not been posted */
        return rc;
    }
    slot->xid = xid;
    slot->message = m;
    slot->state = SLOT_SENT;
    return 0;
}

/* ---- the transport's functions --------------------------------------------------------------- */

void link_tx_queue(struct transport *base, struct message *m)
{
    struct link_tx *tx = &link_of(base)->tx;
    m->sent = 0;
    m->queued = true;
    m->orphan = false;
    m->next = NULL;
    *tx->end = m;
    tx->end = &m->next;
}

/* The slots that have been answered lose their windows, all with one completion. */
static void prepare_invalidations(struct rdma_link *l)
{
    struct slot_list batch;
    slot_list_init(&batch);
    while (l->answered.first && link_has_room(l, link_bound(l->answered.first))) {
        struct link_slot *slot = slot_list_take(&l->answered);
        link_invalidate(l, slot);
        slot_list_add(&batch, slot);
    }
    if (!batch.first)
        return;
    struct ibv_send_wr *last = &l->tx.requests[l->tx.nrequests - 1];
    last->send_flags |= IBV_SEND_SIGNALED;
    l->tx.signalled = last->wr_id;
    while (batch.first) {
        struct link_slot *slot = slot_list_take(&batch);
        slot->state = SLOT_INVALIDATING;
        slot->fence = last->wr_id;
        slot_list_add(&l->invalidating, slot);
    }
}

/* Work requests that a message takes at most: a window for each chunk, and the SEND. */
static unsigned requests_of(const struct message *m)
{
    size_t pieces = m->payload_length ? m->payload.count : m->land_length ? m->land.count : 0;
    return (unsigned)(pieces < LINK_PIECES ? pieces : LINK_PIECES) + LINK_GRANTS - LINK_PIECES + 1;
}

bool link_tx_prepare(struct transport *base)
{
    struct rdma_link *l = link_of(base);
    struct link_tx *tx = &l->tx;
    base->unsent = false;
    tx->n = tx->npieces = tx->nrequests = 0;
    tx->failed = 0;
    tx->callbacks = l->callbacks_shown;
    if (!l->has_queue)
        return false;
    prepare_invalidations(l);
    unsigned requests = 1; /* for a CREDIT */
    for (struct message *m = tx->first; m && tx->n < LINK_BATCH; m = m->next) {
        requests += requests_of(m);
        if (!link_has_room(l, requests))
            break;
        tx->batch[tx->n++] = m;
    }
    base->blocked = (tx->first && !tx->n) || l->answered.first;
    tx->credit = !tx->n && l->callbacks_shown - l->callbacks_told >= LINK_CALLBACKS / 2 &&
                 link_control_fits(l);
    if (tx->n || tx->credit)
        l->callbacks_told = tx->callbacks;
    if (tx->n) {
        tx->spare = l->bulk;
        l->bulk = NULL;
    }
    return tx->n || tx->nrequests || tx->credit;
}

void link_tx_issue(struct transport *base)
{
    struct rdma_link *l = link_of(base);
    struct link_tx *tx = &l->tx;
    for (unsigned i = 0; i < tx->n; i++)
        tx->errors[i] = link_marshal(l, tx->batch[i]);
    if (tx->credit)
        link_control(l, RDMA_CREDIT, 0, tx->callbacks);
    tx->failed = link_post(l, false);
}

int link_tx_finish(struct transport *base)
{
    struct rdma_link *l = link_of(base);
    struct link_tx *tx = &l->tx;
    while (tx->spare) {
        struct link_bulk *bulk = tx->spare;
        tx->spare = bulk->next;
        bulk->next = l->bulk;
        l->bulk = bulk;
    }
    for (unsigned i = 0; i < tx->n; i++) {
        struct message *m = tx->first;
        tx->first = m->next;
        if (!tx->first)
            tx->end = &tx->first;
        m->queued = false;
        m->sent = tx->errors[i] ? 0 : m->head_length + m->payload_length;
    }
    counter_add(&base->counters->doorbells, 1);
    counter_add(&base->counters->work_requests, tx->posted - tx->counted);
    tx->counted = tx->posted;
    for (unsigned i = 0; i < tx->n; i++) {
        struct message *m = tx->batch[i];
        if (!tx->errors[i])
            continue;
        link_release(l, link_slot(l, wire_get32(m->head + TRANSPORT_HEADROOM)));
        *base->why = tx->why;
        base->user_ops->refused(base->user, m, tx->errors[i]);
    }
    tx->n = 0;
    if (tx->failed < 0)
        return errtext_set(base->why, ENOTCONN, "connection lost: RDMA: %s",
                           errtext_errno(tx->failed));
    return (tx->first || l->answered.first) && !base->blocked;
}

void link_tx_ready(struct transport *base)
{
    base->blocked = false;
}

void link_tx_reset(struct rdma_link *l)
{
    struct link_tx *tx = &l->tx;
    for (struct message *m = tx->first; m; m = m->next)
        m->queued = false;
    tx->first = NULL;
    tx->end = &tx->first;
}
