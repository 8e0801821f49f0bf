/* TCP transport: the parts of a connection, shared by tcp.c, tcp_receive.c and tcp_send.c. */
#ifndef TRANSPORT_TCP_H
#define TRANSPORT_TCP_H

#include "transport/transport.h"

#define TCP_MARK_BYTES    4
#define TCP_LAST_FRAGMENT UINT32_C(0x80000000)
#define TCP_IOV_WINDOW    256  /* pieces per system call */
#define TCP_AHEAD         200  /* bytes received past a record's end at most: see tcp_receive.c */
#define TCP_STAGE         1024 /* when no payload can come at all */
#define TCP_BODY_FIRST    4096 /* room for nearly every message without payload */

enum rx_state { RX_HEAD, RX_LAND, RX_COLLECT, RX_SINK };

struct rx {
    enum rx_state state;
    uint8_t mark[TCP_MARK_BYTES];
    unsigned mark_have;
    uint32_t fragment_left; /* 0: a mark is due */
    bool last;              /* of the current fragment */
    bool fragments;         /* the peer sends records of several fragments: expect nothing */

    uint8_t *body; /* the record from the xid on, as far as it is no payload */
    size_t body_length, body_room;
    size_t need; /* RX_HEAD: body_length at which to ask the user */

    struct iov_cursor to; /* RX_LAND */
    size_t land_left, direct, staged;
    int lowat; /* SO_RCVLOWAT as it is set */

    /* One receive: | lead -> stage | target | tail | */
    struct iovec iov[TCP_IOV_WINDOW + 2];
    unsigned iov_count;
    size_t lead, target, asked;
    bool expecting; /* `target` is a guess */
    struct iov_cursor expected;
    int failed; /* the receive cannot be made: -errno */
    ssize_t result;
    unsigned issued; /* system calls since rx_prepare */
    uint8_t stage[TCP_STAGE];
    uint8_t tail[TCP_AHEAD];
};

struct tx {
    struct message *first, **end;
    struct iovec iov[TCP_IOV_WINDOW];
    unsigned iov_count;
    size_t asked;
    ssize_t result;
    bool woken; /* the descriptor has polled writable since tx_prepare() */
};

struct tcp {
    struct transport base; /* first */
    struct rx rx;
    struct tx tx;
};

static inline struct tcp *tcp_of(struct transport *t)
{
    return (struct tcp *)t;
}

/* tcp_receive.c */
void tcp_rx_reset(struct rx *rx);
void tcp_rx_prepare(struct transport *t);
bool tcp_rx_issue(struct transport *t);
int tcp_rx_finish(struct transport *t);
bool tcp_rx_sleep(struct transport *t);
bool tcp_rx_retire(struct transport *t);

/* tcp_send.c */
void tcp_tx_reset(struct tx *tx);
void tcp_tx_queue(struct transport *t, struct message *m);
bool tcp_tx_prepare(struct transport *t);
void tcp_tx_issue(struct transport *t);
int tcp_tx_finish(struct transport *t);
void tcp_tx_ready(struct transport *t);
int tcp_tx_retire(struct transport *t, struct message *m);

#endif
