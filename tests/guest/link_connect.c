/* Connecting: gateways that answer it wrongly, or not at all; and what a user gets wrong. */
#include "tests/guest/link_rig.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <rdma/rdma_cma.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOON "?connect_timeout=2"

/* ---- private data ---------------------------------------------------------------------------- */

static const struct rdma_accept right = {
    .version = 1,
    .credits = 64,
    .pieces = 16,
    .inline_bytes = 4096,
    .payload = 1 << 20,
    .message = 1 << 20,
};

static void expect_refused(const uint8_t *data, uint8_t length)
{
    const struct gate_options options = {.accept = data, .accept_bytes = length};
    link_expect_mount(&options, SOON, -EPROTO, "no RDMA gateway");
}

Test(link_connect, acceptances_that_are_none, .timeout = 60)
{
    uint8_t data[RDMA_ACCEPT_BYTES], garbage[100];
    memset(garbage, 0xa7, sizeof(garbage));
    expect_refused(garbage, sizeof(garbage));
    expect_refused(garbage, 0);
    rdma_accept_encode(data, &right);
    data[4]--;
    expect_refused(data, sizeof(data)); /* shorter than version 1's */
    data[4]++;
    data[0] ^= 1;
    expect_refused(data, sizeof(data));
}

Test(link_connect, acceptances_out_of_bounds, .timeout = 120)
{
    struct rdma_accept all[16];
    unsigned n = 0;
#define LIE(field, value) (all[n] = right, all[n].field = (value), n++)
    LIE(credits, 0);
    LIE(credits, 65);
    LIE(credits, 65535);
    LIE(pieces, 0);
    LIE(pieces, 256);
    LIE(inline_bytes, 0);
    LIE(inline_bytes, 1023);
    LIE(inline_bytes, UINT32_MAX);
    LIE(payload, 0);
    LIE(payload, UINT32_MAX);
    LIE(message, 0);
    LIE(message, UINT32_MAX);
    for (unsigned i = 0; i < n; i++) {
        uint8_t data[RDMA_ACCEPT_BYTES];
        rdma_accept_encode(data, &all[i]);
        expect_refused(data, sizeof(data));
    }
}

Test(link_connect, unknown_version, .timeout = 60)
{
    static const uint8_t versions[] = {0, 2, 255};
    for (unsigned i = 0; i < 3; i++) {
        uint8_t data[RDMA_ACCEPT_BYTES];
        struct rdma_accept a = right;
        a.version = versions[i];
        rdma_accept_encode(data, &a);
        const struct gate_options options = {.accept = data, .accept_bytes = sizeof(data)};
        link_expect_mount(&options, SOON, -EPROTO, "");
    }
}

/* What is longer than this version's is no error. */
Test(link_connect, longer_acceptance, .timeout = 60)
{
    uint8_t data[60];
    struct link_rig l;
    memset(data, 0xff, sizeof(data));
    rdma_accept_encode(data, &right);
    data[4] = sizeof(data);
    const struct gate_options options = {.accept = data, .accept_bytes = sizeof(data)};
    link_up(&l, &options, SOON, 8192);
    link_read(&l, 8192, 0);
    link_down(&l);
}

Test(link_connect, rejections, .timeout = 60)
{
    static const struct {
        uint8_t reason;
        int result;
    } cases[] = {
        {RDMA_REJECT_MALFORMED, -EACCES},
        {RDMA_REJECT_VERSION, -EPROTO},
        {RDMA_REJECT_NOT_ALLOWED, -EACCES},
        {RDMA_REJECT_TOO_MANY, -EACCES},
        {RDMA_REJECT_NO_MEMORY, -EACCES},
        {RDMA_REJECT_ENDING, -EACCES},
        {77, -EACCES},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t data[RDMA_REJECT_BYTES];
        struct rdma_reject reject = {1, 1, cases[i].reason};
        rdma_reject_encode(data, &reject);
        const struct gate_options options = {.reject = data, .reject_bytes = sizeof(data)};
        link_expect_mount(&options, SOON, cases[i].result, rdma_reject_text(cases[i].reason));
    }
    const struct gate_options garbage = {.reject = "who knows what this is", .reject_bytes = 22};
    link_expect_mount(&garbage, SOON, -ECONNREFUSED, "rejected");
    const struct gate_options nothing = {.reject = "", .reject_bytes = 0};
    link_expect_mount(&nothing, SOON, -ECONNREFUSED, "rejected");
}

/* ---- ATTACH ---------------------------------------------------------------------------------- */

static bool attach_is(const struct gate_call *call)
{
    return call->header.kind == RDMA_ATTACH;
}

static bool never_attach(struct gate_call *call, void *arg)
{
    (void)arg;
    return attach_is(call);
}

Test(link_connect, no_answer, .timeout = 60)
{
    const struct gate_options mute = {.mute = true}, deaf = {.hook = never_attach};
    link_expect_mount(&mute, SOON, -ETIMEDOUT, "");
    link_expect_mount(&deaf, SOON, -ETIMEDOUT, "");
}

static bool attach_error(struct gate_call *call, void *arg)
{
    struct gate_reply r;
    if (!attach_is(call))
        return false;
    gate_error(call, *(uint8_t *)arg, "what the gateway says", &r);
    gate_answer(call, &r);
    gate_reply_free(&r);
    return true;
}

Test(link_connect, attach_is_refused, .timeout = 60)
{
    static const int results[] = {
        [RDMA_ERROR_TOO_LONG] = -EPROTO,      [RDMA_ERROR_CANCELLED] = -EPROTO,
        [RDMA_ERROR_UNREACHABLE] = -ENOTCONN, [RDMA_ERROR_REFUSED] = -ENOENT,
        [RDMA_ERROR_BROKEN] = -EPROTO,        [RDMA_ERROR_NO_MEMORY] = -ENOMEM,
    };
    for (uint8_t code = 1; code <= RDMA_ERROR_NO_MEMORY; code++) {
        const struct gate_options options = {.hook = attach_error, .arg = &code};
        link_expect_mount(&options, SOON, results[code], "what the gateway says");
    }
}

/*
 * The answer and the end of the connection are seen at once: from when the gateway begins to answer
 * until it has disconnected, the client does not get to look at events. Standing in for librdmacm's
 * function, this is called by the client's thread and by the gateway's.
 */
static struct {
    pthread_t client;
    atomic_bool answering, over;
} ended;

int rdma_get_cm_event(struct rdma_event_channel *channel, struct rdma_cm_event **event)
{
    static int (*real)(struct rdma_event_channel *, struct rdma_cm_event **);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "rdma_get_cm_event");
    if (ended.answering && pthread_equal(pthread_self(), ended.client)) {
        struct pollfd p = {.fd = channel->fd, .events = POLLIN};
        while (!ended.over)
            sched_yield();
        poll(&p, 1, PEER_PATIENCE_MS);
    }
    return real(channel, event);
}

static bool attach_error_and_end(struct gate_call *call, void *arg)
{
    if (!attach_is(call))
        return false;
    ended.answering = true;
    attach_error(call, arg);
    gate_disconnect(call->link);
    ended.over = true;
    return true;
}

/* Why it ended is told, not only that it did. */
Test(link_connect, attach_is_refused_and_the_end_is_there_too, .timeout = 60)
{
    uint8_t code = RDMA_ERROR_REFUSED;
    const struct gate_options options = {.hook = attach_error_and_end, .arg = &code};
    ended.client = pthread_self();
    link_expect_mount(&options, SOON, -ENOENT, "what the gateway says");
}

static bool attach_wrongly(struct gate_call *call, void *arg)
{
    struct gate_reply r;
    if (!attach_is(call))
        return false;
    gate_execute(call, &r);
    switch (*(int *)arg) {
    case 0:
        r.slot[4] = 0; /* kind */
        break;
    case 1:
        r.slot[4] = RDMA_SLOT_LONG;
        break;
    case 2:
        r.slot[11] = 1; /* message */
        break;
    case 3:
        r.slot[15] = 1; /* payload */
        break;
    case 4:
        r.slot[2] = 4; /* xid */
        break;
    case 5:
        r.immediate = 1 << RDMA_SLOT_BITS;
        break;
    case 6:
        r.immediate = RDMA_CALLBACK_SLOT;
        break;
    case 7:
        gate_answer(call, &r); /* and once more */
        break;
    default:
        gate_disconnect(call->link);
    }
    gate_answer(call, &r);
    gate_reply_free(&r);
    return true;
}

Test(link_connect, attach_is_answered_wrongly, .timeout = 60)
{
    for (int i = 0; i < 7; i++) {
        const struct gate_options options = {.hook = attach_wrongly, .arg = &i};
        link_expect_mount(&options, SOON, -EPROTO, "RDMA gateway");
    }
    int other = 8;
    const struct gate_options gone = {.hook = attach_wrongly, .arg = &other};
    link_expect_mount(&gone, SOON, -ENOTCONN, "disconnected");
}

/* ---- what a user meets ----------------------------------------------------------------------- */

static void expect_failure(const char *uri, int result, const char *words)
{
    char text[512] = "";
    gzc_volume *volume;
    int rc = gzc_mount(uri, &volume);
    gzc_error(volume, text, sizeof(text));
    cr_assert_eq(rc, result, "%s: %s instead of %s: %s", uri, strerror(-rc), strerror(-result),
                 text);
    cr_assert(strstr(text, words), "does not say '%s': '%s'", words, text);
    cr_assert_eq(gzc_unmount(volume), 0);
}

Test(link_connect, nobody_listens, .timeout = 60)
{
    char uri[256];
    link_uri(9, SOON, uri, sizeof(uri));
    expect_failure(uri, -ECONNREFUSED, "no RDMA gateway listens");
}

/* No device has a way to there. */
Test(link_connect, no_route, .timeout = 60)
{
    expect_failure("gluster+brick+rdma://192.0.2.1:24008/export" SOON, -EHOSTUNREACH,
                   "no RDMA device reaches");
    expect_failure("gluster+brick+rdma://127.0.0.1:24008/export" SOON, -EHOSTUNREACH,
                   "no RDMA device reaches");
}

/* The address could be there, but is nobody's. */
Test(link_connect, no_such_host, .timeout = 60)
{
    char uri[256];
    snprintf(uri, sizeof(uri), "gluster+brick+rdma://10.99.0.77:24008/export%s", SOON);
    gzc_volume *volume;
    char text[512];
    int rc = gzc_mount(uri, &volume);
    gzc_error(volume, text, sizeof(text));
    cr_assert(rc == -EHOSTUNREACH || rc == -ETIMEDOUT, "%d: %s", rc, text);
    cr_assert_eq(gzc_unmount(volume), 0);
}

/* IPv6. */
Test(link_connect, by_ipv6, .timeout = 60)
{
    const char *host = getenv("RDMA_IP6");
    char uri[256], text[512] = "";
    gzc_volume *volume;
    cr_assert_not_null(host);
    const struct gate_options options = {.address = host};
    struct gate *gate = gate_start(&options);
    cr_assert_not_null(gate);
    struct peer *peer = gate_peer(gate);
    snprintf(uri, sizeof(uri), "gluster+brick+rdma://[%s]:%u/export", host, gate_port(gate));
    int rc = gzc_mount(uri, &volume);
    gzc_error(volume, text, sizeof(text));
    cr_assert_eq(rc, 0, "%s", text);
    cr_assert_eq(gzc_unmount(volume), 0);
    gate_stop(gate);
    peer_stop(peer);
}
