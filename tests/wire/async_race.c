/* Cancelling while another thread is in the middle of something: in the system call that receives,
 * in the one that sends, or anywhere. Linked with --wrap, so that a thread can be met there. */
#include "src/volume/volume.h" /* before rig.h, whose gzc.h is the same file */
#include "tests/wire/async_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);

/* Run by the thread that is in the call, right before or after it, once. */
static void (*_Atomic before_receive)(void *), (*_Atomic after_send)(void *);
static void *meeting;

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
    void (*meet)(void *) = atomic_exchange(&before_receive, NULL);
    if (meet)
        meet(meeting);
    return __real_recvmsg(fd, msg, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    ssize_t n = __real_sendmsg(fd, msg, flags);
    void (*meet)(void *) = atomic_exchange(&after_send, NULL);
    if (meet)
        meet(meeting);
    return n;
}

/* ---- in the system call that receives -------------------------------------------------------- */

struct race {
    struct rig rig;
    struct late late;
    struct guard g;
    struct told told;
    bool answer; /* the reply comes in that very receive */
    int cancelled;
};

static void *cancel(void *arg)
{
    struct race *r = arg;
    r->cancelled = gzc_cancel(r->rig.volume, r->told.ticket);
    return NULL;
}

static void cancel_from_another_thread(void *arg)
{
    struct race *r = arg;
    pthread_t thread;
    if (r->answer)
        late_send_all(&r->rig, &r->late);
    if (pthread_create(&thread, NULL, cancel, r) != 0)
        abort();
    pthread_join(thread, NULL);
}

static void race_up(struct race *r, const char *query, size_t size)
{
    *r = (struct race){.cancelled = 1};
    rig_up(&r->rig, NULL, query, size);
    guard_make_one(&r->g, size);
    r->told = (struct told){.memory = &r->g, .take = REVOKE_IT};
    rig_hook(&r->rig, late_hook, &r->late);
    meeting = r;
}

static void race_down(struct race *r)
{
    late_send_all(&r->rig, &r->late);
    barrier(&r->rig, 1);
    cr_assert_eq(r->told.count, 1);
    told_memory(&r->told);
    struct gzc_stats stats = rig_stats(&r->rig);
    cr_assert_eq(stats.replies_unmatched, 0);
    cr_assert_eq(stats.calls, stats.replies + stats.replies_retired);
    cr_assert_eq(stats.replies_retired, r->told.result == -ECANCELED);
    expect_one_connection(&r->rig);
    rig_hook(&r->rig, NULL, NULL);
    rig_expect_read(&r->rig, &r->g, 0);
    guard_free(&r->g);
    late_free(&r->late);
    rig_down(&r->rig);
}

/* The leader is inside recvmsg, with the operation's own memory as its target, when another thread
 * cancels; with the reply coming in then, or later. */
static void cancel_in_receive(const char *query, size_t size, bool answer)
{
    struct race r;
    race_up(&r, query, size);
    r.answer = answer;
    told_read(&r.rig, &r.told, 0);
    drive_until(&r.rig, &r.late.n, 1);
    if (!answer) { /* something else makes the leader receive */
        struct peer_record callback = {0};
        peer_make_callback(&callback, 1, 1);
        peer_lock(r.rig.peer);
        peer_send_record(peer_latest(r.rig.peer), &callback);
        peer_unlock(r.rig.peer);
    }
    atomic_store(&before_receive, cancel_from_another_thread);
    if (answer) /* makes the socket readable; the whole of it is sent in there */
        late_send_all(&r.rig, &r.late);
    told_wait(&r.rig, &r.told);
    cr_assert_eq(r.cancelled, 0);
    if (answer)
        cr_assert(r.told.result == (ssize_t)size || r.told.result == -ECANCELED);
    else
        cr_assert_eq(r.told.result, -ECANCELED);
    if (r.told.result > 0)
        cr_assert_eq(r.told.good, size);
    race_down(&r);
}

Test(async_race, cancel_while_the_leader_receives)
{
    const size_t sizes[] = {64, 4096, 1 << 20};
    for (unsigned i = 0; i < 3; i++)
        for (int answer = 0; answer < 2; answer++) {
            cancel_in_receive("?busy_poll_us=0", sizes[i], answer);
            cancel_in_receive("?busy_poll_us=100000", sizes[i], answer);
        }
}

/* ---- in the system call that sends ----------------------------------------------------------- */

/* The message has left, and the thread that sent it has not told yet, when the leader retires the
 * call: it waits for the sender. */
static void wait_for_the_leader(void *arg)
{
    struct race *r = arg;
    gzc_volume *v = r->rig.volume;
    struct rpc_conn *conn = v->shared->sessions[0]->connections[0];
    for (unsigned waiters = 0; !waiters; sched_yield()) {
        engine_lock(&v->shared->engine);
        waiters = conn->tx_waiters;
        engine_unlock(&v->shared->engine);
    }
}

struct canceller {
    struct race *r;
    bool write;
};

static atomic_uint sender_is_in;

static void meet_the_leader(void *arg)
{
    atomic_store(&sender_is_in, 1);
    wait_for_the_leader(arg);
}

static void *begin_it(void *arg)
{
    struct canceller *c = arg;
    if (c->write)
        told_write(&c->r->rig, &c->r->told, 0);
    else
        told_read(&c->r->rig, &c->r->told, 0);
    return NULL;
}

/* The ticket is not out yet: the deadline ends it. */
static void end_in_send(bool write, size_t size)
{
    struct race r;
    struct canceller c = {&r, write};
    pthread_t thread;
    race_up(&r, "?timeout=0.1", size);
    if (write)
        guard_fill(&r.g, 0);
    atomic_store(&sender_is_in, 0);
    atomic_store(&after_send, meet_the_leader);
    cr_assert_eq(pthread_create(&thread, NULL, begin_it, &c), 0);
    drive_until(&r.rig, &sender_is_in, 1);
    told_wait(&r.rig, &r.told);
    pthread_join(thread, NULL);
    cr_assert_eq(r.told.result, -ETIMEDOUT, "%zd", r.told.result);
    drive_until(&r.rig, &r.late.n, 1);
    late_send_all(&r.rig, &r.late);
    barrier(&r.rig, 1);
    struct gzc_stats stats = rig_stats(&r.rig);
    cr_assert_eq(stats.replies_retired, 1, "%u retired, %u unmatched",
                 (unsigned)stats.replies_retired, (unsigned)stats.replies_unmatched);
    cr_assert_eq(r.told.count, 1);
    told_memory(&r.told);
    cr_assert(rig_file_holds(r.rig.content, 0, size, 0));
    expect_one_connection(&r.rig);
    guard_free(&r.g);
    late_free(&r.late);
    rig_down(&r.rig);
}

Test(async_race, deadline_while_another_thread_sends_a_read)
{
    end_in_send(false, 64);
}

Test(async_race, deadline_while_another_thread_sends_a_write)
{
    end_in_send(true, 64);
}

/* ---- while another thread leads -------------------------------------------------------------- */

/* Lets the reply go when a thread sleeps in gzc_poll(). */
static void *answer_when_polled(void *arg)
{
    struct race *r = arg;
    struct engine *e = &r->rig.volume->shared->engine;
    for (bool polled = false; !polled; sched_yield()) {
        engine_lock(e);
        polled = e->sleepers && e->sleepers->polls;
        engine_unlock(e);
    }
    late_send_all(&r->rig, &r->late);
    return NULL;
}

static bool engine_is_led(struct engine *e)
{
    return __atomic_load_n(&e->leader, __ATOMIC_RELAXED) != 0;
}

/* gzc_poll() beside the volume's own thread returns when that has run a callback. */
Test(async_race, poll_beside_the_volumes_thread)
{
    struct race r;
    pthread_t thread;
    race_up(&r, "", 64);
    cr_assert_eq(gzc_thread_start(r.rig.volume), 0);
    told_read(&r.rig, &r.told, 0);
    while (atomic_load(&r.late.n) == 0 || !engine_is_led(&r.rig.volume->shared->engine))
        sched_yield();
    cr_assert_eq(pthread_create(&thread, NULL, answer_when_polled, &r), 0);
    double begun = rig_seconds();
    cr_assert_eq(gzc_poll(r.rig.volume, 0, PEER_PATIENCE_MS), 0);
    cr_assert_lt(rig_seconds() - begun, PEER_PATIENCE_MS / 2e3);
    pthread_join(thread, NULL);
    cr_assert_eq(r.told.count, 1);
    cr_assert_eq(gzc_thread_stop(r.rig.volume), 0);
    race_down(&r);
}

/* ---- a reply to a call that has not left ----------------------------------------------------- */

/* The server refuses a WRITE of which it has read the beginning: the operation is over, with the
 * rest of it still to be sent. */
Test(async_race, early_reply_to_a_half_sent_write)
{
    struct rig rig;
    struct guard g;
    struct told told = {.memory = &g, .take = REVOKE_IT};
    uint8_t xid[4];
    rig_up(&rig, &small_sockets, "", 0);
    guard_make_one(&g, 1 << 20);
    guard_fill(&g, 0);
    rig_hook(&rig, check_write, NULL);
    stop_reading(&rig);
    told_write(&rig, &told, 0);
    take_some(&rig, 100000);
    cr_assert_gt(unsent(&rig), 0);
    peer_lock(rig.peer);
    struct peer_record reply = {0};
    bool begun = peer_taken(peer_latest(rig.peer), 4, xid, sizeof(xid));
    peer_begin_reply(&reply, (uint32_t)xid[0] << 24 | xid[1] << 16 | xid[2] << 8 | xid[3]);
    peer_put32(&reply, (uint32_t)-1);
    peer_put32(&reply, ENOSPC);
    peer_put_dict(&reply, 0);
    peer_resize(&reply, reply.length + 2 * 148); /* two empty iatts */
    peer_seal(&reply);
    peer_send_record(peer_latest(rig.peer), &reply);
    peer_unlock(rig.peer);
    cr_assert(begun);
    told_expect(&rig, &told, -ENOSPC);
    read_again(&rig);
    barrier(&rig, 1);
    cr_assert_eq(calls_seen(&rig, PEER_WRITE), 1); /* whole, and right, or the peer complains */
    cr_assert_eq(rig_stats(&rig).replies_unmatched, 1); /* the peer's own reply to it */
    cr_assert_eq(told.count, 1);
    told_memory(&told);
    expect_one_connection(&rig);
    guard_free(&g);
    rig_down(&rig);
}

/* ---- anywhere -------------------------------------------------------------------------------- */

enum { DEPTH = 24, OPERATIONS = 3000 };

struct crowd {
    struct rig rig;
    atomic_uint ended, wrong, ok, cancelled;
    _Atomic gzc_ticket tickets[DEPTH];
    atomic_bool stop;
    struct guard g[DEPTH];
};

struct one {
    struct crowd *crowd;
    unsigned place;
    size_t size;
    atomic_uint count;
    uint64_t offset;
};

static void one_done(void *arg, ssize_t result, const char *error)
{
    struct one *one = arg;
    struct crowd *c = one->crowd;
    struct guard *g = &c->g[one->place];
    (void)error;
    if (atomic_fetch_add(&one->count, 1))
        atomic_fetch_add(&c->wrong, 1);
    bool whole = result == (ssize_t)one->size;
    if (whole && !guard_holds(g, one->offset, one->size))
        atomic_fetch_add(&c->wrong, 1);
    if (!whole && result != -ECANCELED && !(result > 0 && (size_t)result < one->size))
        atomic_fetch_add(&c->wrong, 1);
    atomic_fetch_add(whole ? &c->ok : &c->cancelled, 1);
    guard_revoke(g);
    atomic_store(&c->tickets[one->place], 0);
    atomic_fetch_add(&c->ended, 1);
}

/* About one in three. */
static void *cancel_at_random(void *arg)
{
    struct crowd *c = arg;
    unsigned seed = (unsigned)(uintptr_t)&seed, next = 0;
    for (; !atomic_load(&c->stop); sched_yield()) {
        unsigned ended = atomic_load(&c->ended);
        gzc_ticket t = atomic_load(&c->tickets[(unsigned)rand_r(&seed) % DEPTH]);
        if (t <= 0 || ended < next)
            continue;
        next = ended + (unsigned)rand_r(&seed) % 12;
        int rc = gzc_cancel(c->rig.volume, t);
        if (rc && rc != -ENOENT)
            atomic_fetch_add(&c->wrong, 1);
    }
    return NULL;
}

/* Reads, large and small, at a depth, cancelled by two threads at any moment. */
static void cancel_anywhere(const char *query)
{
    struct crowd *c = calloc(1, sizeof(*c));
    struct one *ones = calloc(OPERATIONS, sizeof(*ones));
    pthread_t threads[2];
    unsigned begun = 0, seed = 7;
    rig_up(&c->rig, NULL, query, 3 << 20);
    for (unsigned i = 0; i < DEPTH; i++) {
        guard_make_one(&c->g[i], 2 << 20);
        guard_revoke(&c->g[i]);
    }
    for (unsigned i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, cancel_at_random, c), 0);
    double end = rig_seconds() + 100;
    while (c->ended < OPERATIONS && rig_seconds() < end) {
        for (unsigned i = 0; i < DEPTH && begun < OPERATIONS; i++) {
            if (atomic_load(&c->tickets[i]))
                continue;
            struct one *one = &ones[begun++];
            size_t size = rand_r(&seed) % 50 ? 64 + (size_t)rand_r(&seed) % 8192 : 2 << 20;
            *one = (struct one){.crowd = c, .place = i, .size = size};
            one->offset = (uint64_t)rand_r(&seed) % (1 << 20);
            atomic_store(&c->tickets[i], -1);
            guard_restore(&c->g[i]);
            const struct gzc_async how = {
                .done = one_done, .arg = one, .flags = rand_r(&seed) % 2 ? GZC_MORE : 0};
            gzc_ticket t =
                gzc_pread_async(c->rig.file, c->g[i].iov->iov_base, size, (off_t)one->offset, &how);
            cr_assert_gt(t, 0);
            gzc_ticket none = -1; /* it cannot have ended: nobody else drives the volume */
            atomic_compare_exchange_strong(&c->tickets[i], &none, t);
        }
        gzc_poll(c->rig.volume, 0, 100);
    }
    atomic_store(&c->stop, true);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(c->ended, OPERATIONS, "%u of %u ended", c->ended, OPERATIONS);
    cr_assert_eq(c->wrong, 0);
    for (unsigned i = 0; i < OPERATIONS; i++)
        cr_assert_eq(ones[i].count, 1);
    cr_assert_gt(c->cancelled, 10, "%u cancelled", c->cancelled);
    cr_assert_gt(c->ok, 10, "%u went through", c->ok);
    barrier(&c->rig, c->rig.volume->shared->sessions[0]->way.nconnect);
    struct gzc_stats stats = rig_stats(&c->rig);
    cr_assert_eq(stats.replies_unmatched, 0, "%u", (unsigned)stats.replies_unmatched);
    for (unsigned i = 0; i < DEPTH; i++)
        guard_free(&c->g[i]);
    rig_down(&c->rig);
    free(c);
    free(ones);
}

Test(async_race, cancel_anywhere)
{
    cancel_anywhere("");
}

Test(async_race, cancel_anywhere_sleeping)
{
    cancel_anywhere("?busy_poll_us=0");
}

Test(async_race, cancel_anywhere_four_connections)
{
    cancel_anywhere("?nconnect=4&busy_poll_us=200");
}

/* ---- the socket is writable again before the sender knows that it was not ---------------------
 */

/* The sender's system call has taken a part only. Before it tells, the peer reads all of that, and
 * the leader has heard that there is room. */
static void let_the_leader_hear_of_room(void *arg)
{
    struct race *r = arg;
    struct engine *e = &r->rig.volume->shared->engine;
    read_again(&r->rig);
    while (unsent(&r->rig) > 0)
        sched_yield();
    /* What epoll had to tell by then it has told when the leader sleeps for the second time. */
    for (uint64_t start = 0, waits = 0; waits < start + 2; sched_yield()) {
        engine_lock(e);
        waits = e->counters.wait_syscalls;
        engine_unlock(e);
        start = start ? start : waits;
    }
    atomic_store(&sender_is_in, 1);
}

Test(async_race, room_before_the_sender_knows_of_none, .timeout = 60)
{
    enum { SIZE = 1 << 20 };
    struct race r = {0};
    struct canceller c = {&r, true};
    pthread_t thread;
    rig_up(&r.rig, &small_sockets, "?busy_poll_us=0", 0);
    guard_make_one(&r.g, SIZE);
    guard_fill(&r.g, 0);
    r.told.memory = &r.g;
    meeting = &r;
    stop_reading(&r.rig);
    atomic_store(&sender_is_in, 0);
    atomic_store(&after_send, let_the_leader_hear_of_room);
    cr_assert_eq(pthread_create(&thread, NULL, begin_it, &c), 0);
    drive_until(&r.rig, &sender_is_in, 1);
    pthread_join(thread, NULL);
    told_expect(&r.rig, &r.told, SIZE);
    cr_assert(rig_file_holds(r.rig.content, 0, SIZE, 0));
    guard_free(&r.g);
    rig_down(&r.rig);
}
