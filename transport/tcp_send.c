/* TCP transport, sending: queued messages are gathered from their heads and the callers' memory, as
 * many as fit in one sendmsg; what the socket does not take waits until it polls writable. */
#include "transport/tcp.h"

#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Bytes per system call at most. Linux begins to transmit when it has copied all that a call
 * brings: a WRITE of 1 MiB in two calls is on its way while the rest is copied, which on the
 * loopback took a fifth less of the CPU's time, and less of everybody's. With 256 KiB and less the
 * receiver's wake-ups cost more than that gains. */
#define SEND_MOST (832u << 10)

void tcp_tx_queue(struct transport *base, struct message *m)
{
    struct tx *tx = &tcp_of(base)->tx;
    wire_put32(m->head, TCP_LAST_FRAGMENT | (m->head_length - TCP_MARK_BYTES + m->payload_length));
    m->sent = 0;
    m->queued = true;
    m->orphan = false;
    m->next = NULL;
    *tx->end = m;
    tx->end = &m->next;
}

bool tcp_tx_prepare(struct transport *base)
{
    struct tx *tx = &tcp_of(base)->tx;
    tx->iov_count = 0;
    tx->asked = 0;
    tx->woken = false;
    if (base->blocked)
        return false;
    for (struct message *m = tx->first;
         m && tx->iov_count < TCP_IOV_WINDOW && tx->asked < SEND_MOST; m = m->next) {
        if (m->payload_length == 0 && m->sent == 0) {
            tx->iov[tx->iov_count++] = (struct iovec){m->head, m->head_length};
            tx->asked += m->head_length;
            continue;
        }
        uint32_t payload_sent = 0;
        if (m->sent < m->head_length) {
            size_t head_left = m->head_length - m->sent;
            tx->iov[tx->iov_count++] = (struct iovec){m->head + m->sent, head_left};
            tx->asked += head_left;
        } else {
            payload_sent = m->sent - m->head_length;
        }
        size_t left = m->payload_length - payload_sent, bytes = 0;
        size_t room = tx->asked < SEND_MOST ? SEND_MOST - tx->asked : 0;
        size_t want = left < room ? left : room;
        tx->iov_count += iov_window(&m->payload, want, tx->iov + tx->iov_count,
                                    TCP_IOV_WINDOW - tx->iov_count, &bytes);
        tx->asked += bytes;
        if (bytes < left)
            break;
    }
    return tx->iov_count > 0;
}

void tcp_tx_issue(struct transport *base)
{
    struct tx *tx = &tcp_of(base)->tx;
    struct msghdr msg = {.msg_iov = tx->iov, .msg_iovlen = tx->iov_count};
    ssize_t n = sendmsg(base->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    tx->result = n < 0 ? -errno : n;
}

static void tx_pop(struct tx *tx)
{
    struct message *m = tx->first;
    tx->first = m->next;
    if (!tx->first)
        tx->end = &tx->first;
    m->queued = false;
    if (m->orphan)
        free(m);
}

/* Moves the queue on by `n` bytes that have gone out. */
static void tx_consume(struct tx *tx, size_t n)
{
    while (n) {
        struct message *m = tx->first;
        size_t left = (size_t)m->head_length + m->payload_length - m->sent;
        size_t take = n < left ? n : left;
        size_t head_left = m->sent < m->head_length ? m->head_length - m->sent : 0;
        if (take > head_left)
            iov_advance(&m->payload, take - head_left);
        m->sent += (uint32_t)take;
        n -= take;
        if (take == left)
            tx_pop(tx);
    }
}

int tcp_tx_finish(struct transport *base)
{
    struct tx *tx = &tcp_of(base)->tx;
    counter_add(&base->counters->send_syscalls, 1);
    if (tx->result == -EINTR)
        return 1;
    if (tx->result == -EAGAIN) {
        base->blocked = !tx->woken;
        return tx->woken;
    }
    if (tx->result < 0)
        return errtext_set(base->why, ENOTCONN, "connection lost: %s",
                           errtext_errno((int)tx->result));
    base->blocked = (size_t)tx->result < tx->asked && !tx->woken;
    struct message *m = tx->first;
    if (m->next || m->payload_length || m->sent || (size_t)tx->result < tx->asked) {
        tx_consume(tx, (size_t)tx->result);
        return tx->first && !base->blocked;
    }
    m->sent = m->head_length; /* the usual case: one message without payload */
    tx_pop(tx);
    return 0;
}

/* While another thread is in its sendmsg this may be what that has just missed: it tries again. */
void tcp_tx_ready(struct transport *base)
{
    base->blocked = false;
    tcp_of(base)->tx.woken = true;
}

int tcp_tx_retire(struct transport *base, struct message *m)
{
    struct tx *tx = &tcp_of(base)->tx;
    struct message **link = &tx->first;
    while (*link && *link != m)
        link = &(*link)->next;
    if (!*link)
        return 0;
    struct message *rest = NULL;
    if (m->sent) { /* half out: the stream needs the rest of it */
        size_t left = (size_t)m->head_length + m->payload_length - m->sent;
        rest = malloc(sizeof(*rest) + left);
        if (!rest)
            return errtext_set(base->why, ENOMEM, "no memory for the rest of a retired call");
        uint8_t *copy = (uint8_t *)(rest + 1);
        size_t head_left = m->sent < m->head_length ? m->head_length - m->sent : 0;
        memcpy(copy, m->head + m->sent, head_left);
        struct iov_cursor from = m->payload;
        iov_copy_out(&from, copy + head_left, left - head_left);
        *rest = (struct message){
            .head = copy,
            .head_length = (uint32_t)left,
            .queued = true,
            .orphan = true,
            .next = m->next,
        };
        *link = rest;
        link = &rest->next;
    } else {
        *link = m->next;
    }
    if (!*link)
        tx->end = link;
    m->queued = false;
    return 0;
}

void tcp_tx_reset(struct tx *tx)
{
    while (tx->first)
        tx_pop(tx);
    tx->end = &tx->first;
}
