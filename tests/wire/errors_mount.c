/* Mounts that go wrong, and what the caller is told: the errno, a text that names who refused, and
 * a volume that can still be unmounted. */
#include "tests/wire/rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

Test(mount, brick_down)
{
    uint16_t port;
    char uri[128], number[8];
    int fd = closed_port(&port);
    snprintf(number, sizeof(number), "%u", port);
    snprintf(uri, sizeof(uri), "gluster+brick://127.0.0.1:%u/export", port);
    expect_no_mount(uri, -ECONNREFUSED, "127.0.0.1:/export", number);
    close(fd);
}

Test(mount, glusterd_down)
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

/* What RDMA is in want of: the libraries where libgzc was built, or a device here. */
Test(mount, rdma_without_what_it_needs)
{
    const char *what = "this libgzc was built without RDMA (libibverbs and librdmacm)";
    int error = -ENOTSUP;
    if (GZC_RDMA) {
        what = "there is no RDMA device on this host";
        error = -ENODEV;
        if (access("/sys/class/infiniband", F_OK) == 0)
            cr_skip("there may be an RDMA device");
    }
    expect_no_mount("gluster+brick+rdma://127.0.0.1/export", error, what, "");
    expect_no_mount("gluster+rdma://127.0.0.1/volume", error, what, "");
}

Test(mount, name_that_does_not_resolve)
{
    expect_no_mount("gluster+brick://" NOWHERE ":4444/export", -EHOSTUNREACH, NOWHERE, "");
    expect_no_mount("gluster://" NOWHERE "/v", -EHOSTUNREACH, NOWHERE, "");
}

/* The second server is asked if the first is down. */
Test(mount, first_server_down)
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

Test(mount, handshake_refused)
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
Test(mount, handshake_refused_without_a_reason)
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

Test(mount, brick_that_is_not_ready_is_asked_again)
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

Test(mount, brick_that_never_gets_ready)
{
    struct busy busy = {UINT32_MAX, EAGAIN};
    struct peer_options options = {.hook = be_busy, .arg = &busy};
    struct peer *peer = peer_start(&options);
    expect_no_mount_from(peer, "?connect_timeout=0.5", -EAGAIN, "127.0.0.1:/export", "");
    peer_stop(peer);
}

Test(mount, another_export)
{
    struct peer_options options = {.export = "/other"};
    struct peer *peer = peer_start(&options);
    char uri[128];
    snprintf(uri, sizeof(uri), "gluster+brick://127.0.0.1:%u/export", peer_port(peer));
    expect_no_mount(uri, -ENOENT, "127.0.0.1:/export", "Brick not found");
    peer_stop(peer);
}

Test(mount, handshake_never_answered)
{
    struct peer_options options = {.hook = rig_never_answer};
    struct peer *peer = peer_start(&options);
    double start = rig_seconds();
    expect_no_mount_from(peer, "?connect_timeout=0.3", -ETIMEDOUT, "127.0.0.1:/export", "");
    cr_assert_geq(rig_seconds() - start, 0.3);
    cr_assert_lt(rig_seconds() - start, 10);
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
Test(mount, handshake_refused_by_rpc)
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
Test(mount, brick_of_another_time)
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

Test(mount, volfile_garbage)
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
Test(mount, volfile_garbage_at_length)
{
    size_t size = 1 << 20;
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    expect_no_volfile(text, -EINVAL, "");
    free(text);
}

Test(mount, volume_unknown)
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
Test(mount, volume_refused_without_a_reason)
{
    struct peer_options options = {.hook = refuse_volfile};
    struct peer *peer = peer_start(&options);
    char uri[128];
    snprintf(uri, sizeof(uri), "gluster://127.0.0.1:%u/v", peer_port(peer));
    expect_no_mount(uri, -ENOENT, "127.0.0.1", "'v'");
    peer_stop(peer);
}

Test(mount, glusterd_never_answers)
{
    struct peer_options options = {.hook = rig_never_answer};
    struct peer *peer = peer_start(&options);
    char uri[128];
    snprintf(uri, sizeof(uri), "gluster://127.0.0.1:%u/v?connect_timeout=0.3", peer_port(peer));
    expect_no_mount(uri, -ETIMEDOUT, "127.0.0.1", "");
    peer_stop(peer);
}

/* The volume is known, its brick is not running: PORTBYBRICK says so. */
Test(mount, brick_without_a_port)
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
Test(mount, brick_gone_from_its_port)
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
