/* What goes wrong, and what the caller is told: the errno, a text that names the peer and the call,
 * memory that is intact, and a volume that can still be unmounted. */
#include "tests/wire/rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Mounting fails with @p error, the text has @p who and @p what in it, unmounting works. */
static void expect_no_mount(const char *uri, int error, const char *who, const char *what)
{
    gzc_volume *volume = NULL;
    char text[512];
    int rc = gzc_mount(uri, &volume);
    cr_assert_not_null(volume);
    gzc_error(volume, text, sizeof(text));
    cr_assert_eq(rc, error, "%s: %d, not %d: %s", uri, rc, error, text);
    cr_assert(strstr(text, who), "%s: does not name '%s': %s", uri, who, text);
    cr_assert(strstr(text, what), "%s: does not say '%s': %s", uri, what, text);
    cr_assert_eq(gzc_unmount(volume), 0);
}

static void expect_no_mount_from(struct peer *peer, const char *query, int error, const char *who,
                                 const char *what)
{
    char uri[256], text[512];
    peer_uri(peer, query, uri, sizeof(uri));
    expect_no_mount(uri, error, who, what);
    cr_assert(peer_wait_closed(peer), "a connection has stayed");
    cr_assert_str_empty(peer_complaint(peer, text, sizeof(text)));
}

/* ---- nobody there ---------------------------------------------------------------------------- */

/* A port of 127.0.0.1 where nobody listens: bound, so that it stays so. */
static int closed_port(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &length), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

Test(errors, brick_down)
{
    uint16_t port;
    char uri[128], number[8];
    int fd = closed_port(&port);
    snprintf(number, sizeof(number), "%u", port);
    snprintf(uri, sizeof(uri), "gluster+brick://127.0.0.1:%u/export", port);
    expect_no_mount(uri, -ECONNREFUSED, "127.0.0.1:/export", number);
    close(fd);
}

Test(errors, glusterd_down)
{
    uint16_t port;
    char uri[128], who[32];
    int fd = closed_port(&port);
    snprintf(who, sizeof(who), "127.0.0.1:%u", port);
    snprintf(uri, sizeof(uri), "gluster://%s/v", who);
    expect_no_mount(uri, -ECONNREFUSED, who, "");
    close(fd);
}

/* A label of a name has 63 bytes at most (RFC 1035): this one resolves nowhere, without asking. */
#define NOWHERE "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

Test(errors, name_that_does_not_resolve)
{
    expect_no_mount("gluster+brick://" NOWHERE ":4444/export", -EHOSTUNREACH, NOWHERE, "");
    expect_no_mount("gluster://" NOWHERE "/v", -EHOSTUNREACH, NOWHERE, "");
}

/* The second server is asked if the first is down. */
Test(errors, first_server_down)
{
    uint16_t port;
    char uri[128], volfile[512];
    gzc_volume *volume;
    struct peer_options options = {.volfile = volfile};
    struct peer *peer = peer_start(&options);
    int fd = closed_port(&port);
    rig_volfile(volfile, sizeof(volfile), "127.0.0.1", peer_port(peer));
    snprintf(uri, sizeof(uri), "gluster://127.0.0.1:%u,127.0.0.1:%u/v", port, peer_port(peer));
    cr_assert_eq(gzc_mount(uri, &volume), 0);
    cr_assert_eq(gzc_unmount(volume), 0);
    peer_stop(peer);
    close(fd);
}

/* ---- the handshake --------------------------------------------------------------------------- */

static bool refuse_handshake(struct peer_call *call, void *arg)
{
    struct peer_record r = {0};
    if (call->prog != PEER_PROG_HANDSHAKE)
        return false;
    peer_make_setvolume(&r, call->xid, -1, *(int32_t *)arg, "said the peer");
    peer_send_record(call->conn, &r);
    return true;
}

Test(errors, handshake_refused)
{
    static const int32_t errors[] = {EACCES, EPERM, ENOENT, EINVAL, ESTALE, ENOMEM, EBUSY, 1023};
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        int32_t error = errors[i];
        struct peer_options options = {.hook = refuse_handshake, .arg = &error};
        struct peer *peer = peer_start(&options);
        expect_no_mount_from(peer, "", -error, "127.0.0.1:/export", "said the peer");
        peer_stop(peer);
    }
}

/* An errno that is none. */
Test(errors, handshake_refused_without_a_reason)
{
    static const int32_t errors[] = {0, -1, INT32_MIN, INT32_MAX, 1 << 16};
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        int32_t error = errors[i];
        struct peer_options options = {.hook = refuse_handshake, .arg = &error};
        struct peer *peer = peer_start(&options);
        expect_no_mount_from(peer, "", -EPROTO, "127.0.0.1:/export", "");
        peer_stop(peer);
    }
}

/* EAGAIN: the brick is not up yet (server-handshake.c:server_setvolume). Asked until it is. */
struct busy {
    unsigned times;
    int32_t error;
};

static bool be_busy(struct peer_call *call, void *arg)
{
    struct busy *busy = arg;
    if (call->prog != PEER_PROG_HANDSHAKE || busy->times == 0)
        return false;
    busy->times--;
    return refuse_handshake(call, &busy->error);
}

Test(errors, brick_that_is_not_ready_is_asked_again)
{
    struct busy busy = {2, EAGAIN};
    struct peer_options options = {.hook = be_busy, .arg = &busy};
    struct peer *peer = peer_start(&options);
    gzc_volume *volume;
    char uri[128];
    struct peer_counts counts;
    peer_uri(peer, "", uri, sizeof(uri));
    cr_assert_eq(gzc_mount(uri, &volume), 0);
    peer_counts(peer, &counts);
    cr_assert_eq(counts.setvolumes, 3);
    cr_assert_eq(gzc_unmount(volume), 0);
    peer_stop(peer);
}

Test(errors, brick_that_never_gets_ready)
{
    struct busy busy = {UINT32_MAX, EAGAIN};
    struct peer_options options = {.hook = be_busy, .arg = &busy};
    struct peer *peer = peer_start(&options);
    expect_no_mount_from(peer, "?connect_timeout=0.5", -EAGAIN, "127.0.0.1:/export", "");
    peer_stop(peer);
}

Test(errors, another_export)
{
    struct peer_options options = {.export = "/other"};
    struct peer *peer = peer_start(&options);
    char uri[128];
    snprintf(uri, sizeof(uri), "gluster+brick://127.0.0.1:%u/export", peer_port(peer));
    expect_no_mount(uri, -ENOENT, "127.0.0.1:/export", "Brick not found");
    peer_stop(peer);
}

static bool never_answer(struct peer_call *call, void *arg)
{
    (void)call, (void)arg;
    return true;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

Test(errors, handshake_never_answered)
{
    struct peer_options options = {.hook = never_answer};
    struct peer *peer = peer_start(&options);
    double start = seconds();
    expect_no_mount_from(peer, "?connect_timeout=0.3", -ETIMEDOUT, "127.0.0.1:/export", "");
    cr_assert_geq(seconds() - start, 0.3);
    cr_assert_lt(seconds() - start, 10);
    peer_stop(peer);
}

static bool refuse_program(struct peer_call *call, void *arg)
{
    struct peer_record r = {0};
    uint32_t stat = *(uint32_t *)arg;
    if (call->prog != PEER_PROG_HANDSHAKE)
        return false;
    if (stat < 6)
        peer_make_refusal(&r, call->xid, stat);
    else
        peer_make_denial(&r, call->xid, stat - 6);
    peer_send_record(call->conn, &r);
    return true;
}

/* accept_stat 1 to 5, then reject_stat 0 and 1 (RFC 5531 section 9). */
Test(errors, handshake_refused_by_rpc)
{
    static const char *const says[] = {
        [1] = "PROG_UNAVAIL", [2] = "PROG_MISMATCH", [3] = "PROC_UNAVAIL", [4] = "GARBAGE_ARGS",
        [5] = "SYSTEM_ERR",   [6] = "RPC_MISMATCH",  [7] = "AUTH_ERROR",
    };
    for (uint32_t stat = 1; stat < 8; stat++) {
        struct peer_options options = {.hook = refuse_program, .arg = &stat};
        struct peer *peer = peer_start(&options);
        gzc_volume *volume;
        char uri[128], text[512];
        peer_uri(peer, "", uri, sizeof(uri));
        int rc = gzc_mount(uri, &volume);
        gzc_error(volume, text, sizeof(text));
        cr_assert_lt(rc, 0);
        cr_assert(stat != 7 || rc == -EACCES, "AUTH_ERROR: %d", rc);
        cr_assert(strstr(text, says[stat]), "%s: %s", says[stat], text);
        cr_assert(strstr(text, "127.0.0.1:/export"), "%s", text);
        cr_assert_eq(gzc_unmount(volume), 0);
        peer_stop(peer);
    }
}

/* A brick that does not speak version 400 of the file operations. */
Test(errors, brick_of_another_time)
{
    struct peer_options options = {.no_fop_400 = true};
    struct peer *peer = peer_start(&options);
    gzc_volume *volume;
    char uri[128], text[512];
    peer_uri(peer, "", uri, sizeof(uri));
    cr_assert_lt(gzc_mount(uri, &volume), 0);
    gzc_error(volume, text, sizeof(text));
    cr_assert(strstr(text, "127.0.0.1:/export"), "%s", text);
    cr_assert_eq(gzc_unmount(volume), 0);
    peer_stop(peer);
}

/* ---- glusterd -------------------------------------------------------------------------------- */

static void expect_no_volfile(const char *volfile, int error, const char *what)
{
    struct peer_options options = {.volfile = volfile};
    struct peer *peer = peer_start(&options);
    char uri[128], who[32];
    snprintf(who, sizeof(who), "127.0.0.1:%u", peer_port(peer));
    snprintf(uri, sizeof(uri), "gluster://%s/v", who);
    expect_no_mount(uri, error, volfile ? "" : who, what);
    cr_assert(peer_wait_closed(peer));
    peer_stop(peer);
}

Test(errors, volfile_garbage)
{
    static const char *const garbage[] = {
        "",
        "\n",
        "garbage",
        "volume",
        "volume v",
        "volume v\n",
        "end-volume\n",
        "volume v\nend-volume\n",
        "volume v\n type\nend-volume\n",
        "volume v\n type debug/io-stats\n subvolumes nobody\nend-volume\n",
        "volume v\n type debug/io-stats\n subvolumes v\nend-volume\n",
        "volume v\n type protocol/client\nend-volume\n",
        "volume v\n type protocol/client\n option remote-host\nend-volume\n",
        "volume v\n type protocol/client\n option remote-host h\n option remote-subvolume /e\n",
        "option a b\n",
        "\x01\x02\xff\xfe",
        "<html>not a volfile</html>\n",
    };
    for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++)
        expect_no_volfile(garbage[i], -EINVAL, "");
}

/* A volfile of 1 MiB is taken in and refused for what it says, not for its size. */
Test(errors, volfile_garbage_at_length)
{
    size_t size = 1 << 20;
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    expect_no_volfile(text, -EINVAL, "");
    free(text);
}

Test(errors, volume_unknown)
{
    expect_no_volfile(NULL, -ENOENT, "'v'");
}

static bool refuse_volfile(struct peer_call *call, void *arg)
{
    struct peer_record r = {0};
    (void)arg;
    peer_begin_reply(&r, call->xid);
    peer_put32(&r, (uint32_t)-1);
    peer_put32(&r, 0);
    peer_put_opaque(&r, "volfile length", "", 0);
    peer_put_opaque(&r, "xdata length", "", 0);
    peer_seal(&r);
    peer_send_record(call->conn, &r);
    return true;
}

/* glusterd gives no errno when a volume is stopped. */
Test(errors, volume_refused_without_a_reason)
{
    struct peer_options options = {.hook = refuse_volfile};
    struct peer *peer = peer_start(&options);
    char uri[128];
    snprintf(uri, sizeof(uri), "gluster://127.0.0.1:%u/v", peer_port(peer));
    expect_no_mount(uri, -ENOENT, "127.0.0.1", "'v'");
    peer_stop(peer);
}

Test(errors, glusterd_never_answers)
{
    struct peer_options options = {.hook = never_answer};
    struct peer *peer = peer_start(&options);
    char uri[128];
    snprintf(uri, sizeof(uri), "gluster://127.0.0.1:%u/v?connect_timeout=0.3", peer_port(peer));
    expect_no_mount(uri, -ETIMEDOUT, "127.0.0.1", "");
    peer_stop(peer);
}

/* The volume is known, its brick is not running: PORTBYBRICK says so. */
Test(errors, brick_without_a_port)
{
    char volfile[512], uri[128], address[16], who[64];
    struct peer_options options = {
        .address = address,
        .port = RIG_GLUSTERD_PORT,
        .volfile = volfile,
        .brick_port = -1,
    };
    rig_own_address(address);
    rig_volfile(volfile, sizeof(volfile), address, 0);
    struct peer *peer = peer_start(&options);
    cr_assert_not_null(peer, "%s: %s", address, strerror(errno));
    snprintf(uri, sizeof(uri), "gluster://%s/v", address);
    snprintf(who, sizeof(who), "%s:/export", address);
    expect_no_mount(uri, -ENOTCONN, who, "not running");
    peer_stop(peer);
}

/* It is known where the brick listens, but it does not. */
Test(errors, brick_gone_from_its_port)
{
    char volfile[512], uri[128], address[16], who[64];
    struct peer_options options = {
        .address = address,
        .port = RIG_GLUSTERD_PORT,
        .volfile = volfile,
        .brick_port = 1,
    };
    rig_own_address(address);
    rig_volfile(volfile, sizeof(volfile), address, 0);
    struct peer *peer = peer_start(&options);
    cr_assert_not_null(peer, "%s: %s", address, strerror(errno));
    snprintf(uri, sizeof(uri), "gluster://%s/v", address);
    snprintf(who, sizeof(who), "%s:/export", address);
    expect_no_mount(uri, -ECONNREFUSED, who, "");
    peer_stop(peer);
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct refusal {
    uint32_t proc;
    int32_t error;
};

static bool refuse(struct peer_call *call, void *arg)
{
    const struct refusal *refusal = arg;
    struct peer_record r = {0};
    if (!peer_is_fop(call, refusal->proc))
        return false;
    peer_refuse(call, refusal->error, &r);
    peer_send_record(call->conn, &r);
    return true;
}

/* An errno of the brick's comes out as it is, the memory and the connection are as before. */
Test(errors, errno_of_the_brick)
{
    static const int32_t errors[] = {EIO, ENOSPC, EDQUOT, EROFS, ESTALE, EBADF, EACCES, EINVAL};
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "", 1000);
    guard_make_one(&g, 64);
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct refusal refusal = {PEER_READ, errors[i]};
        rig_hook(&rig, refuse, &refusal);
        guard_clear(&g);
        cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -errors[i]);
        rig_expect_text(&rig, "READ", strerror(errors[i]));
        cr_assert(guard_intact(&g) && guard_untouched(&g, 0));
        rig_hook(&rig, NULL, NULL);
        refusal.proc = PEER_WRITE;
        rig_hook(&rig, refuse, &refusal);
        cr_assert_eq(gzc_pwritev(rig.file, g.iov, 1, 0), -errors[i]);
        rig_expect_text(&rig, "WRITE", strerror(errors[i]));
        rig_hook(&rig, NULL, NULL);
        rig_expect_read(&rig, &g, 100);
    }
    guard_free(&g);
    rig_down(&rig);
}

/* A READ of the brick's that failed has no errno, or one that is none: EIO, and no crash. */
Test(errors, errno_that_is_none)
{
    static const int32_t errors[] = {0, -5, INT32_MIN, INT32_MAX, 1 << 20};
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "", 1000);
    guard_make_one(&g, 64);
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct refusal refusal = {PEER_READ, errors[i]};
        rig_hook(&rig, refuse, &refusal);
        cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -EIO, "errno %d", errors[i]);
        rig_hook(&rig, NULL, NULL);
    }
    guard_free(&g);
    rig_down(&rig);
}

static bool refuse_by_rpc(struct peer_call *call, void *arg)
{
    if (!peer_is_fop(call, PEER_READ))
        return false;
    uint32_t stat = *(uint32_t *)arg;
    struct peer_record r = {0};
    if (stat < 6)
        peer_make_refusal(&r, call->xid, stat);
    else
        peer_make_denial(&r, call->xid, stat - 6);
    peer_send_record(call->conn, &r);
    return true;
}

Test(errors, read_refused_by_rpc)
{
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "", 1000);
    guard_make_one(&g, 64);
    for (uint32_t stat = 1; stat < 8; stat++) {
        rig_hook(&rig, refuse_by_rpc, &stat);
        guard_clear(&g);
        cr_assert_lt(gzc_preadv(rig.file, g.iov, 1, 0), 0);
        rig_expect_text(&rig, "READ", "_");
        cr_assert(guard_intact(&g) && guard_untouched(&g, 0));
        rig_hook(&rig, NULL, NULL);
        rig_expect_read(&rig, &g, 100); /* the connection goes on */
    }
    guard_free(&g);
    rig_down(&rig);
}

/* ---- the connection -------------------------------------------------------------------------- */

struct ending {
    size_t cut;
    bool reset;
};

static bool end_connection(struct peer_call *call, void *arg)
{
    const struct ending *ending = arg;
    struct peer_record r = {0};
    if (!peer_is_fop(call, PEER_READ) && !peer_is_fop(call, PEER_WRITE))
        return false;
    peer_execute(call, &r);
    peer_send(call->conn, r.at, ending->cut);
    if (ending->reset) {
        peer_settle(call->conn);
        peer_reset(call->conn);
    } else {
        peer_close(call->conn);
    }
    peer_record_free(&r);
    return true;
}

/* The connection ends after `cut` bytes of the reply to a READ of 64 bytes. */
static void cut_connection(size_t cut, bool reset, bool write)
{
    struct rig rig;
    struct guard g;
    struct stat st;
    struct ending ending = {cut, reset};
    const size_t lengths[] = {1, 40, 0, 23};
    char text[512];
    rig_up(&rig, NULL, "?timeout=20", 1000);
    guard_make(&g, lengths, 4);
    rig_hook(&rig, end_connection, &ending);
    ssize_t n = write ? gzc_pwritev(rig.file, g.iov, 4, 100) : gzc_preadv(rig.file, g.iov, 4, 100);
    cr_assert_eq(n, -ENOTCONN, "cut at %zu: %zd", cut, n);
    rig_expect_text(&rig, write ? "WRITE" : "READ", "connection");
    cr_assert(guard_intact(&g), "cut at %zu: memory around the iovec has changed", cut);
    rig_expect_closed(&rig);
    rig_hook(&rig, NULL, NULL);
    if (gzc_fstat(rig.file, &st) < 0) {
        gzc_file_error(rig.file, text, sizeof(text));
        cr_assert(strstr(text, "127.0.0.1:/export"), "%s", text);
    }
    guard_free(&g);
    rig_down(&rig);
}

Test(errors, connection_closed_at_every_byte_of_a_read)
{
    for (size_t cut = 0; cut < PEER_AT_READ_PAYLOAD + 64; cut++)
        cut_connection(cut, false, false);
}

Test(errors, connection_reset_at_every_byte_of_a_read)
{
    for (size_t cut = 0; cut < PEER_AT_READ_PAYLOAD + 64; cut++)
        cut_connection(cut, true, false);
}

Test(errors, connection_closed_at_every_byte_of_a_write)
{
    for (size_t cut = 0; cut < 28 + 8 + 12 + 2 * 148; cut += 3)
        cut_connection(cut, cut % 2, true);
}

/* What was read in order before the connection went counts; with nothing, the error does. */
static bool end_at_the_second(struct peer_call *call, void *arg)
{
    unsigned *seen = arg;
    if (!peer_is_fop(call, PEER_READ))
        return false;
    if (++*seen == 1) {
        struct peer_record r = {0};
        peer_execute(call, &r);
        peer_send_record(call->conn, &r);
        peer_settle(call->conn);
    } else if (*seen == 2) {
        peer_reset(call->conn);
    }
    return true;
}

Test(errors, connection_ends_in_a_transfer)
{
    struct rig rig;
    struct guard g;
    unsigned seen = 0;
    rig_up(&rig, NULL, "?timeout=20", 4 << 20);
    guard_make_one(&g, 3 << 20);
    rig_hook(&rig, end_at_the_second, &seen);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 5), 1 << 20);
    cr_assert(guard_holds(&g, 5, 1 << 20));
    cr_assert(guard_intact(&g));
    guard_free(&g);
    rig_down(&rig);
}

/* ---- silence --------------------------------------------------------------------------------- */

static bool no_reads(struct peer_call *call, void *arg)
{
    (void)arg;
    return peer_is_fop(call, PEER_READ);
}

/* A brick that answers pings is alive: a call may take as long as its deadline. */
Test(errors, slow_brick_that_answers_pings)
{
    struct rig rig;
    struct guard g;
    struct peer_counts counts;
    rig_up(&rig, NULL, "?timeout=1&ping_timeout=0.2", 1000);
    guard_make_one(&g, 64);
    rig_hook(&rig, no_reads, NULL);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -ETIMEDOUT);
    peer_counts(rig.peer, &counts);
    cr_assert_geq(counts.pings, 2);
    cr_assert_eq(counts.connections, 1);
    rig_hook(&rig, NULL, NULL);
    rig_expect_read(&rig, &g, 100);
    guard_free(&g);
    rig_down(&rig);
}

/* One that does not is dead, long before the deadline. */
Test(errors, dead_brick_that_ignores_pings)
{
    struct rig rig;
    struct guard g;
    struct peer_counts counts;
    double start;
    rig_up(&rig, NULL, "?timeout=60&ping_timeout=0.3", 1000);
    guard_make_one(&g, 64);
    rig_hook(&rig, never_answer, NULL);
    start = seconds();
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -ETIMEDOUT);
    cr_assert_geq(seconds() - start, 0.25);
    cr_assert_lt(seconds() - start, 30);
    rig_expect_text(&rig, "READ", "ping");
    rig_expect_closed(&rig);
    cr_assert(guard_intact(&g));
    peer_counts(rig.peer, &counts);
    cr_assert_geq(counts.pings, 1);
    guard_free(&g);
    rig_down(&rig);
}

/* Pings are off: silence ends with the deadline only, and costs the connection nothing. */
Test(errors, no_pings)
{
    struct rig rig;
    struct guard g;
    struct peer_counts counts;
    rig_up(&rig, NULL, "?timeout=0.5&ping_timeout=0", 1000);
    guard_make_one(&g, 64);
    rig_hook(&rig, no_reads, NULL);
    cr_assert_eq(gzc_preadv(rig.file, g.iov, 1, 0), -ETIMEDOUT);
    peer_counts(rig.peer, &counts);
    cr_assert_eq(counts.pings, 0);
    rig_hook(&rig, NULL, NULL);
    rig_expect_read(&rig, &g, 100);
    guard_free(&g);
    rig_down(&rig);
}

/* ---- oversized records ----------------------------------------------------------------------- */

static bool oversize(struct peer_call *call, void *arg)
{
    struct peer_record r = {0};
    if (!peer_is_fop(call, PEER_READ) && !peer_is_fop(call, PEER_FSTAT))
        return false;
    peer_execute(call, &r);
    peer_poke(&r, PEER_AT_MARK, *(uint32_t *)arg);
    peer_send_record(call->conn, &r);
    return true;
}

/* The mark says up to 2 GiB: refused at once, without that much memory and without a wait. */
Test(errors, oversized_record)
{
    static const uint32_t marks[] = {0xffffffff, 0xc0000001, 0x7fffffff, 0x40000001};
    for (size_t i = 0; i < 2 * sizeof(marks) / sizeof(*marks); i++) {
        struct rig rig;
        struct guard g;
        struct stat st;
        uint32_t mark = marks[i / 2];
        rig_up(&rig, NULL, "?timeout=60", 1000);
        guard_make_one(&g, 64);
        rig_hook(&rig, oversize, &mark);
        ssize_t n = i % 2 ? gzc_fstat(rig.file, &st) : gzc_preadv(rig.file, g.iov, 1, 0);
        cr_assert_eq(n, -EPROTO, "mark %08x: %zd", mark, n);
        rig_expect_text(&rig, i % 2 ? "FSTAT" : "READ", "large");
        cr_assert(guard_intact(&g));
        rig_expect_closed(&rig);
        guard_free(&g);
        rig_down(&rig);
    }
}
