/*
 * TCP with record marking (RFC 5531 section 11).
 *
 *   record:   | mark | fragment ............. | mark | last fragment .... |
 *   mark:     bit 31: last fragment of the record; bits 0..30: bytes that follow
 *
 * Gluster sends one fragment per record; several are taken too.
 *
 * Receiving. A READ reply is the least header that payload ever follows:
 *
 *   0      4             28                         200
 *   | mark | RPC reply   | READ's fixed results     | payload ...
 *
 * So after the end of a record no more than 200 bytes (AHEAD) are ever received into a buffer of
 * ours: whatever comes next, its payload is not among them. In the steady state one recvmsg takes
 * the rest of a payload straight into the caller's memory and the next reply's first 200 bytes into
 * `tail`. When one reply alone is on its way (user_ops->expect), one recvmsg takes its header, its
 * payload and what may follow. If that guess was wrong (a callback of the server's came first, the
 * reply was short and something follows), what stands in the wrong place is fed through the same
 * state machine from a copy, and counted as staged.
 *
 * rx_feed() is the state machine; bytes that the kernel has put in their place already only move
 * its counts.
 */
#include "transport/tcp.h"

#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define FRAGMENT_MAX (UINT32_C(1) << 30)  /* what GlusterFS itself takes at most */
#define BODY_MAX     (UINT32_C(16) << 20) /* a message without payload, e.g. a volfile */
#define BODY_STEP    (UINT32_C(64) << 10) /* grows no faster than bytes really come */
#define RPC_HEAD_MIN 20 /* the shortest RPC message: a refused credential (RFC 5531) */
#define READ_HEAD    (TCP_AHEAD - TCP_MARK_BYTES)
#define SINK_PIECES  64
/* Bytes of a payload that are slept for at least: the bounds of SO_RCVLOWAT. A trickle of 256 KiB
 * within a ping's time-out still counts as a sign of life. */
#define LOWAT_MIN (64 << 10)
#define LOWAT_MAX (256 << 10)

void tcp_rx_reset(struct rx *rx)
{
    rx->state = RX_HEAD;
    rx->mark_have = 0;
    rx->fragment_left = 0;
    rx->last = false;
    rx->body_length = 0;
    rx->need = RPC_HEAD_MIN;
}

static int rx_reserve(struct tcp *t, size_t room)
{
    struct rx *rx = &t->rx;
    if (room <= rx->body_room)
        return 0;
    if (room > BODY_MAX)
        return errtext_set(t->base.why, EPROTO, "message of %zu bytes or more is too large", room);
    size_t doubled = rx->body_room * 2;
    size_t size = doubled > room ? doubled : room;
    uint8_t *body = realloc(rx->body, size);
    if (!body)
        return errtext_set(t->base.why, ENOMEM, "no memory for a message of %zu bytes", room);
    rx->body = body;
    rx->body_room = size;
    return 0;
}

/* Length of the record without marks; SIZE_MAX while more fragments are to come. */
static size_t rx_whole(const struct rx *rx)
{
    return rx->last ? rx->body_length + rx->fragment_left : SIZE_MAX;
}

/* What follows is payload, `carried` bytes of it. */
static int rx_land(struct tcp *t, const struct arrival *a, size_t carried)
{
    struct rx *rx = &t->rx;
    if (carried != a->length)
        return errtext_set(t->base.why, EPROTO,
                           "reply announces %zu bytes of payload but carries %zu", a->length,
                           carried);
    rx->state = RX_LAND;
    rx->to = a->to;
    rx->land_left = a->length;
    rx->direct = rx->staged = 0;
    return 0;
}

/* Enough of the record's head is here for the user to decide. */
static int rx_decide(struct tcp *t)
{
    struct rx *rx = &t->rx;
    while (rx->state == RX_HEAD && rx->body_length >= rx->need) {
        struct arrival a = {.kind = ARRIVAL_SINK};
        size_t whole = rx_whole(rx);
        int rc = t->base.user_ops->arrive(t->base.user, rx->body, rx->body_length, whole, &a);
        if (rc < 0)
            return rc;
        switch (a.kind) {
        case ARRIVAL_MORE:
            if (a.length > whole)
                return errtext_set(t->base.why, EPROTO,
                                   "message of %zu bytes is too short, needs %zu", whole, a.length);
            rc = rx_reserve(t, a.length);
            if (rc < 0)
                return rc;
            rx->need = a.length;
            break;
        case ARRIVAL_LAND:
            rc = rx_land(t, &a, rx->last ? rx->fragment_left : a.length);
            if (rc < 0)
                return rc;
            break;
        case ARRIVAL_COLLECT:
            if (whole != SIZE_MAX && whole > BODY_MAX)
                return errtext_set(t->base.why, EPROTO, "message of %zu bytes is too large", whole);
            rx->state = RX_COLLECT;
            break;
        case ARRIVAL_SINK:
            rx->state = RX_SINK;
            break;
        }
    }
    return 0;
}

static int rx_record_end(struct tcp *t)
{
    struct rx *rx = &t->rx;
    int rc = 0;
    switch (rx->state) {
    case RX_HEAD:
        return errtext_set(t->base.why, EPROTO, "message of %zu bytes is too short",
                           rx->body_length);
    case RX_LAND:
        if (rx->land_left)
            return errtext_set(t->base.why, EPROTO, "reply ends %zu bytes before its payload does",
                               rx->land_left);
        rc = t->base.user_ops->landed(t->base.user, rx->direct, rx->staged);
        break;
    case RX_COLLECT:
        rc = t->base.user_ops->collected(t->base.user, rx->body, rx->body_length);
        break;
    case RX_SINK:
        break;
    }
    tcp_rx_reset(rx);
    return rc;
}

/* `n` more bytes of the current fragment have been dealt with. */
static int rx_settle(struct tcp *t, size_t n)
{
    struct rx *rx = &t->rx;
    rx->fragment_left -= (uint32_t)n;
    int rc = rx->state == RX_HEAD ? rx_decide(t) : 0;
    if (rc == 0 && rx->fragment_left == 0 && rx->last)
        rc = rx_record_end(t);
    return rc;
}

static int rx_mark(struct tcp *t)
{
    struct rx *rx = &t->rx;
    uint32_t mark = wire_get32(rx->mark);
    rx->mark_have = 0;
    rx->last = mark & TCP_LAST_FRAGMENT;
    rx->fragment_left = mark & ~TCP_LAST_FRAGMENT;
    if (!rx->last)
        rx->fragments = true;
    else if (rx->body_length == 0) /* a whole record: no payload within the least header */
        rx->need = rx->fragment_left < READ_HEAD ? rx->fragment_left : READ_HEAD;
    if (rx->need < RPC_HEAD_MIN)
        rx->need = RPC_HEAD_MIN;
    if (rx->fragment_left > FRAGMENT_MAX)
        return errtext_set(t->base.why, EPROTO, "record of %u bytes is larger than 1 GiB",
                           rx->fragment_left);
    return rx_settle(t, 0);
}

/* Between two records, with the next one's head in a buffer of ours as a whole, which is the rule:
 * the user decides on it right there. *used: bytes dealt with; 0: it is not that simple. */
static int rx_feed_head(struct tcp *t, const uint8_t *p, size_t n, size_t *used)
{
    struct rx *rx = &t->rx;
    uint32_t mark = n >= TCP_MARK_BYTES + RPC_HEAD_MIN ? wire_get32(p) : 0;
    size_t length = mark & ~TCP_LAST_FRAGMENT, head = length < READ_HEAD ? length : READ_HEAD;
    if (!(mark & TCP_LAST_FRAGMENT) || length < RPC_HEAD_MIN || length > FRAGMENT_MAX ||
        n < TCP_MARK_BYTES + head)
        return 0;
    struct arrival a;
    int rc = t->base.user_ops->arrive(t->base.user, p + TCP_MARK_BYTES, head, length, &a);
    if (rc < 0)
        return rc;
    switch (a.kind) {
    case ARRIVAL_LAND:
        rc = rx_land(t, &a, length - head);
        break;
    case ARRIVAL_SINK:
        rx->state = RX_SINK;
        break;
    case ARRIVAL_COLLECT:
        if (n < TCP_MARK_BYTES + length)
            return 0;
        *used = TCP_MARK_BYTES + length;
        return t->base.user_ops->collected(t->base.user, p + TCP_MARK_BYTES, length);
    default:
        return 0;
    }
    *used = TCP_MARK_BYTES + head;
    rx->last = true;
    rx->body_length = head;
    rx->fragment_left = (uint32_t)(length - head);
    return rc == 0 && rx->fragment_left == 0 ? rx_record_end(t) : rc;
}

/* Takes in bytes that stand in a buffer of ours. */
static int rx_feed(struct tcp *t, const uint8_t *p, size_t n)
{
    struct rx *rx = &t->rx;
    int rc = 0;
    while (n && rc == 0) {
        if (rx->fragment_left == 0) {
            size_t used = 0;
            if (rx->mark_have == 0 && rx->body_length == 0)
                rc = rx_feed_head(t, p, n, &used);
            if (rc < 0 || used) {
                p += used;
                n -= used;
                continue;
            }
            size_t missing = TCP_MARK_BYTES - rx->mark_have;
            size_t some = n < missing ? n : missing;
            memcpy(rx->mark + rx->mark_have, p, some);
            rx->mark_have += (unsigned)some;
            p += some;
            n -= some;
            if (rx->mark_have == TCP_MARK_BYTES)
                rc = rx_mark(t);
            continue;
        }
        size_t take = n < rx->fragment_left ? n : rx->fragment_left;
        switch (rx->state) {
        case RX_HEAD:
            if (take > rx->need - rx->body_length)
                take = rx->need - rx->body_length;
            /* fall through */
        case RX_COLLECT:
            rc = rx_reserve(t, rx->body_length + take);
            if (rc < 0)
                return rc;
            memcpy(rx->body + rx->body_length, p, take);
            rx->body_length += take;
            break;
        case RX_LAND:
            if (take > rx->land_left)
                return errtext_set(t->base.why, EPROTO, "reply goes on after its payload");
            iov_copy_in(&rx->to, p, take);
            rx->land_left -= take;
            rx->staged += take;
            break;
        case RX_SINK:
            break;
        }
        p += take;
        n -= take;
        rc = rx_settle(t, take);
    }
    return rc;
}

static void rx_add(struct rx *rx, void *base, size_t length)
{
    if (length) {
        rx->iov[rx->iov_count++] = (struct iovec){base, length};
        rx->asked += length;
    }
}

/* Adds the payload's place; false if it has more pieces than one system call takes. */
static bool rx_add_target(struct rx *rx, const struct iov_cursor *to, size_t want)
{
    size_t piece = to->iov->iov_len - to->skip; /* there is one, as want is not 0 */
    if (piece >= want) {
        rx->iov[rx->iov_count++] = (struct iovec){(char *)to->iov->iov_base + to->skip, want};
        rx->target = want;
        rx->asked += want;
        return true;
    }
    rx->iov_count +=
        iov_window(to, want, rx->iov + rx->iov_count, TCP_IOV_WINDOW - rx->iov_count, &rx->target);
    rx->asked += rx->target;
    return rx->target == want;
}

/* What may be received behind the current fragment: a mark, or the next record's first bytes. */
static void rx_add_tail(struct rx *rx)
{
    bool ends = rx->last || rx->expecting; /* the record does with this fragment */
    rx_add(rx, rx->tail, ends ? TCP_AHEAD : TCP_MARK_BYTES);
}

/* Exactly one reply is on its way, and nothing else: its whole place is known. */
static void rx_prepare_expected(struct rx *rx, size_t length)
{
    rx->expecting = true;
    rx->lead = rx->asked = length ? TCP_AHEAD : TCP_STAGE;
    rx->iov[0] = (struct iovec){rx->stage, rx->lead};
    rx->iov_count = 1;
    rx->target = 0;
    if (length && rx_add_target(rx, &rx->expected, length))
        rx_add_tail(rx);
}

static void rx_prepare_head(struct rx *rx)
{
    bool marked = rx->fragment_left || rx->body_length;
    size_t have = (marked ? TCP_MARK_BYTES : rx->mark_have) + rx->body_length;
    rx->lead = have < TCP_AHEAD ? TCP_AHEAD - have : 0;
    size_t more = rx->need - rx->body_length; /* without payload, as the user has said */
    if (more > TCP_STAGE)
        more = TCP_STAGE;
    if (rx->lead < more)
        rx->lead = more;
    rx_add(rx, rx->stage, rx->lead);
}

void tcp_rx_prepare(struct transport *base)
{
    struct tcp *t = tcp_of(base);
    struct rx *rx = &t->rx;
    size_t length;
    bool between = rx->state == RX_HEAD && !rx->mark_have && !rx->fragment_left && !rx->body_length;
    if (between && !rx->fragments && base->user_ops->expect(base->user, &rx->expected, &length)) {
        rx_prepare_expected(rx, length);
        return;
    }
    rx->iov_count = 0;
    rx->lead = rx->target = rx->asked = 0;
    rx->expecting = false;

    if (rx->state == RX_HEAD) {
        rx_prepare_head(rx);
        return;
    }
    if (rx->fragment_left == 0) { /* the next fragment's mark, after which payload may come */
        rx->lead = TCP_MARK_BYTES - rx->mark_have;
        rx_add(rx, rx->stage, rx->lead);
        return;
    }
    size_t want = rx->fragment_left;
    bool all = true;
    switch (rx->state) {
    case RX_LAND:
        if (want > rx->land_left)
            want = rx->land_left;
        if (want == 0) { /* the fragment should have ended: one byte shows that it goes on */
            rx->lead = 1;
            rx_add(rx, rx->stage, 1);
            return;
        }
        all = rx_add_target(rx, &rx->to, want) && want == rx->fragment_left;
        break;
    case RX_COLLECT:
        if (want > BODY_STEP)
            want = BODY_STEP;
        rx->failed = rx_reserve(t, rx->body_length + want);
        if (rx->failed)
            return;
        rx_add(rx, rx->body + rx->body_length, want);
        rx->target = want;
        all = want == rx->fragment_left;
        break;
    default: /* RX_SINK: the same few bytes again and again */
        all = false;
        for (unsigned i = 0; i < SINK_PIECES && want; i++) {
            size_t piece = want < rx->body_room ? want : rx->body_room;
            rx_add(rx, rx->body, piece);
            rx->target += piece;
            want -= piece;
            all = want == 0;
        }
        break;
    }
    if (all)
        rx_add_tail(rx);
}

bool tcp_rx_issue(struct transport *base)
{
    struct rx *rx = &tcp_of(base)->rx;
    if (rx->failed)
        return true;
    struct msghdr msg = {.msg_iov = rx->iov, .msg_iovlen = rx->iov_count};
    ssize_t n = recvmsg(base->fd, &msg, MSG_DONTWAIT);
    rx->result = n < 0 ? -errno : n;
    rx->issued++;
    return rx->result != -EAGAIN;
}

/* `n` bytes have come to where the payload was expected to go, behind the `lead` that has been fed.
 * As far as the guess was right they are in their place. Feeding the lead has not written over
 * them: no payload is within AHEAD bytes of a record's start. */
static int rx_take_expected(struct tcp *t, size_t n)
{
    struct rx *rx = &t->rx;
    size_t right = 0;
    if (rx->state == RX_LAND && rx->direct + rx->staged == 0 && rx->to.iov == rx->expected.iov &&
        rx->to.skip == rx->expected.skip) {
        right = n < rx->land_left ? n : rx->land_left;
        if (right > rx->fragment_left)
            right = rx->fragment_left;
    }
    struct iov_cursor rest = rx->expected;
    iov_advance(&rest, right);
    uint8_t *copy = NULL;
    if (n > right) {
        copy = malloc(n - right);
        if (!copy)
            return errtext_set(t->base.why, ENOMEM, "no memory for %zu bytes", n - right);
        iov_copy_out(&rest, copy, n - right);
    }
    int rc = 0;
    if (right) {
        iov_advance(&rx->to, right);
        rx->land_left -= right;
        rx->direct += right;
        rc = rx_settle(t, right);
    }
    if (copy && rc == 0)
        rc = rx_feed(t, copy, n - right);
    free(copy);
    return rc;
}

/* The usual case: the one reply that was expected has come, as a whole and nothing else, and each
 * part of it is in its place. *taken: so it was. */
static int rx_take_reply(struct tcp *t, size_t n, bool *taken)
{
    struct rx *rx = &t->rx;
    const struct transport_user *user = t->base.user_ops;
    const uint8_t *message = rx->stage + TCP_MARK_BYTES;
    size_t length = n - TCP_MARK_BYTES, head = length < READ_HEAD ? length : READ_HEAD;
    struct arrival a;
    if (n < TCP_MARK_BYTES + RPC_HEAD_MIN ||
        wire_get32(rx->stage) != (TCP_LAST_FRAGMENT | (uint32_t)length))
        return 0;
    int rc = user->arrive(t->base.user, message, head, length, &a);
    if (rc < 0)
        return rc;
    if (a.kind == ARRIVAL_LAND) {
        *taken = length - head == a.length && a.to.iov == rx->expected.iov &&
                 a.to.skip == rx->expected.skip;
        return *taken ? user->landed(t->base.user, a.length, 0) : 0;
    }
    if (a.kind == ARRIVAL_COLLECT) {
        *taken = n <= rx->lead;
        return *taken ? user->collected(t->base.user, message, length) : 0;
    }
    *taken = a.kind == ARRIVAL_SINK;
    return 0;
}

static int rx_take_target(struct tcp *t, size_t n)
{
    struct rx *rx = &t->rx;
    if (n == 0)
        return 0;
    if (rx->expecting)
        return rx_take_expected(t, n);
    if (rx->state == RX_LAND) {
        iov_advance(&rx->to, n);
        rx->land_left -= n;
        rx->direct += n;
    } else if (rx->state == RX_COLLECT) {
        rx->body_length += n;
    }
    return rx_settle(t, n);
}

/* Deals with the `n` bytes that a receive has brought. */
static int rx_take(struct tcp *t, size_t n)
{
    struct rx *rx = &t->rx;
    if (rx->expecting) {
        bool taken = false;
        int rc = rx_take_reply(t, n, &taken);
        if (taken || rc < 0)
            return rc;
    }
    size_t lead = n < rx->lead ? n : rx->lead;
    size_t target = n - lead < rx->target ? n - lead : rx->target;
    int rc = rx_feed(t, rx->stage, lead);
    if (rc == 0)
        rc = rx_take_target(t, target);
    if (rc == 0)
        rc = rx_feed(t, rx->tail, n - lead - target);
    return rc;
}

static int rx_lost(struct tcp *t, int error)
{
    const struct rx *rx = &t->rx;
    if (error)
        return errtext_set(t->base.why, ENOTCONN, "connection lost: %s", errtext_errno(error));
    bool inside = rx->body_length || rx->mark_have || rx->state != RX_HEAD || rx->last;
    return errtext_set(t->base.why, ENOTCONN, "connection closed by the peer%s",
                       inside ? " in the middle of a message" : "");
}

int tcp_rx_finish(struct transport *base)
{
    struct tcp *t = tcp_of(base);
    struct rx *rx = &t->rx;
    ssize_t result = rx->result;
    int rc;

    counter_add(&base->counters->receive_syscalls, rx->issued);
    rx->issued = 0;
    base->received = result > 0;
    if (rx->failed)
        return rx->failed;
    if (result > 0)
        rc = rx_take(t, (size_t)result);
    else
        rc = result == -EAGAIN || result == -EINTR ? 0 : rx_lost(t, (int)result);
    if (rx->expecting)
        base->user_ops->expected(base->user);
    if (rc < 0)
        return rc;
    base->drowsy = (rx->state == RX_LAND && rx->land_left >= LOWAT_MIN) || rx->lowat != 1;
    return result == -EINTR || (size_t)result == rx->asked;
}

/* A payload is many segments, each of which would wake us: we sleep until a good part of what is
 * missing is there. Never while a header is due: it alone would not wake us. What is slept for is
 * never more than is sure to come, so that nothing sleeps for good. */
bool tcp_rx_sleep(struct transport *base)
{
    struct rx *rx = &tcp_of(base)->rx;
    size_t left = rx->state == RX_LAND ? rx->land_left : 0;
    if (left > rx->fragment_left)
        left = rx->fragment_left;
    int lowat = left < LOWAT_MIN ? 1 : left > LOWAT_MAX ? LOWAT_MAX : (int)left;
    if (lowat != rx->lowat &&
        setsockopt(base->fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)) == 0)
        rx->lowat = lowat;
    base->drowsy = lowat != 1;
    return false;
}

bool tcp_rx_retire(struct transport *base)
{
    struct rx *rx = &tcp_of(base)->rx;
    if (rx->state == RX_HEAD)
        return false;
    rx->state = RX_SINK;
    return true;
}
