/* Coming back: the handshake, another port, another volume. */
#include "tests/wire/reconnect_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUICK "?timeout=30"

/* ---- the session ----------------------------------------------------------------------------- */

/* Nothing is under way when it breaks. */
Test(reconnect_session, idle)
{
    for (int reset = 0; reset < 2; reset++) {
        struct rig rig;
        rig_up(&rig, NULL, QUICK, 1000);
        for (unsigned i = 0; i < 5; i++) {
            peer_lock(rig.peer);
            peer_restart(rig.peer, reset);
            peer_unlock(rig.peer);
            rig_use(&rig);
            expect_connections(&rig, i + 2);
        }
        cr_assert(brick_info(&rig).connected);
        cr_assert_str_empty(brick_info(&rig).error);
        rig_down(&rig);
    }
}

/* It breaks again while the next connection comes up: before the handshake is answered, within its
 * answer, before a file is open again, within that answer. */
Test(reconnect_session, again_while_it_comes_back)
{
    const struct cut cuts[] = {
        {.prog = PEER_PROG_HANDSHAKE, .proc = PEER_SETVOLUME, .before = true},
        {.prog = PEER_PROG_HANDSHAKE, .proc = PEER_SETVOLUME},
        {.prog = PEER_PROG_HANDSHAKE, .proc = PEER_SETVOLUME, .at = 3},
        {.prog = PEER_PROG_HANDSHAKE, .proc = PEER_SETVOLUME, .at = 40, .reset = true},
        {.proc = PEER_OPEN, .before = true},
        {.proc = PEER_OPEN},
        {.proc = PEER_OPEN, .at = 30, .reset = true},
        {.proc = PEER_OPEN, .at = 47},
    };
    for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
        struct rig rig;
        struct cut cut = cuts[i];
        cut_up(&rig, &cut, QUICK, 1000);
        peer_lock(rig.peer);
        cut.times = 3;
        peer_restart(rig.peer, true);
        peer_unlock(rig.peer);
        rig_use(&rig);
        cr_assert_eq(cut.done, 3);
        expect_connections(&rig, 5);
        rig_down(&rig);
    }
}

struct answer {
    int32_t error;
    unsigned times;
};

static bool refuse_handshake(struct peer_call *call, void *arg)
{
    struct answer *a = arg;
    struct peer_record r = {0};
    if (call->prog != PEER_PROG_HANDSHAKE || !a->times)
        return false;
    a->times--;
    peer_make_setvolume(&r, call->xid, -1, a->error, "says the brick");
    peer_send_record(call->conn, &r);
    return true;
}

/* A brick that is not ready, or has another list of clients for a while. */
Test(reconnect_session, refused_for_a_while)
{
    static const int32_t errors[] = {EAGAIN, EACCES, ENOENT, ENOTCONN};
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct rig rig;
        struct answer a = {errors[i], 2};
        rig_up(&rig, NULL, QUICK, 1000);
        rig_hook(&rig, refuse_handshake, &a);
        peer_lock(rig.peer);
        peer_restart(rig.peer, true);
        peer_unlock(rig.peer);
        rig_use(&rig);
        cr_assert_eq(a.times, 0);
        rig_down(&rig);
    }
}

/* Another volume's brick: it is not asked again, and nothing is sent to it. */
Test(reconnect_session, another_volume)
{
    struct rig rig;
    struct answer a = {EINVAL, 1000};
    struct peer_counts counts;
    struct stat st;
    char text[512];
    rig_up(&rig, NULL, QUICK, 1000);
    rig_hook(&rig, refuse_handshake, &a);
    peer_lock(rig.peer);
    peer_restart(rig.peer, true);
    peer_unlock(rig.peer);
    cr_assert_eq(gzc_fstat(rig.file, &st), -ENOTCONN);
    gzc_file_error(rig.file, text, sizeof(text));
    cr_assert(strstr(text, "FSTAT: brick 127.0.0.1:/export: handshake refused: Invalid argument "
                           "(\"says the brick\")"),
              "%s", text);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(gzc_stat(rig.volume, RIG_FILE, &st), -ENOTCONN);
    peer_counts(rig.peer, &counts);
    cr_assert_eq(counts.setvolumes, 2);
    cr_assert_not(brick_info(&rig).connected);
    cr_assert(strstr(brick_info(&rig).error, "refused"));
    cr_assert_eq(gzc_close(rig.file), -ENOTCONN);
    rig.file = NULL;
    rig_down(&rig);
}

struct clients {
    char uuid[8][256];
    unsigned n;
};

static bool note_client(struct peer_call *call, void *arg)
{
    struct clients *c = arg;
    if (call->prog != PEER_PROG_HANDSHAKE)
        return false;
    const char *uuid = memmem(call->dict, call->dict_length, "CTX_ID:", 7);
    size_t left = uuid ? call->dict_length - (size_t)((const uint8_t *)uuid - call->dict) : 0;
    if (c->n < 8)
        snprintf(c->uuid[c->n++], sizeof(c->uuid[0]), "%.*s", (int)left, uuid ? uuid : "");
    return false;
}

/* A brick that has not noticed the loss yet must not take us for the client it still has: its
 * connections are one client, those after the loss another. */
Test(reconnect_session, another_client_each_time)
{
    struct rig rig;
    struct clients clients = {0};
    rig_up(&rig, NULL, "?timeout=30&nconnect=2", 1000);
    rig_hook(&rig, note_client, &clients);
    for (unsigned i = 0; i < 2; i++) {
        peer_lock(rig.peer);
        peer_restart(rig.peer, true);
        peer_unlock(rig.peer);
        until_connected(&rig, false);
        rig_use(&rig);
    }
    cr_assert_eq(clients.n, 4);
    cr_assert(strstr(clients.uuid[0], "-RECON_NO:-1"), "%s", clients.uuid[0]);
    cr_assert_str_eq(clients.uuid[0], clients.uuid[1]);
    cr_assert(strstr(clients.uuid[2], "-RECON_NO:-2"), "%s", clients.uuid[2]);
    cr_assert_str_eq(clients.uuid[2], clients.uuid[3]);
    rig_down(&rig);
}

/* One of several connections breaks: the session is one, so all come anew. */
Test(reconnect_session, one_of_three_connections)
{
    struct rig rig;
    rig_up(&rig, NULL, "?timeout=30&nconnect=3", 1000);
    for (unsigned i = 0; i < 3; i++) {
        peer_lock(rig.peer);
        peer_reset(peer_latest(rig.peer));
        peer_unlock(rig.peer);
        until_connected(&rig, false);
        for (unsigned k = 0; k < 4; k++)
            rig_use(&rig);
        cr_assert_eq(brick_info(&rig).connections, 3);
        expect_connections(&rig, 3 * (i + 2));
    }
    rig_down(&rig);
}

/* ---- another port ---------------------------------------------------------------------------- */

static bool tell_port(struct peer_call *call, void *arg)
{
    int *port = arg;
    struct peer_record r = {0};
    if (call->prog != PEER_PROG_PORTMAP)
        return false;
    if (*port < -1) /* no answer */
        return true;
    peer_begin_reply(&r, call->xid);
    peer_put32(&r, *port < 0 ? (uint32_t)-1 : 0);
    peer_put32(&r, 0);
    peer_put32(&r, *port < 0 ? 0 : 1);
    peer_put32(&r, *port < 0 ? 0 : (uint32_t)*port);
    peer_seal(&r);
    peer_send_record(call->conn, &r);
    return true;
}

static struct {
    char address[16], volfile[512];
    struct peer *glusterd;
    struct rig rig; /* the brick */
    int port;
} c;

static void set_port(int port)
{
    peer_lock(c.glusterd);
    c.port = port;
    peer_unlock(c.glusterd);
}

static struct peer *start_brick(uint64_t pattern)
{
    const struct peer_options options = {.address = c.address};
    struct peer *brick = peer_start(&options);
    cr_assert_not_null(brick);
    int content = peer_add_file(brick, RIG_FILE);
    uint8_t byte = (uint8_t)pattern;
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(pwrite(content, &byte, 1, i), 1);
    return brick;
}

static void cluster_up(const char *query)
{
    char uri[256], text[512];
    rig_own_address(c.address);
    rig_volfile(c.volfile, sizeof(c.volfile), c.address, 0);
    const struct peer_options options = {
        .address = c.address,
        .port = RIG_GLUSTERD_PORT,
        .volfile = c.volfile,
        .hook = tell_port,
        .arg = &c.port,
    };
    c.rig.peer = start_brick('a');
    c.port = peer_port(c.rig.peer);
    c.glusterd = peer_start(&options);
    cr_assert_not_null(c.glusterd, "%s", strerror(errno));
    snprintf(uri, sizeof(uri), "gluster://%s/v%s", c.address, query);
    int rc = gzc_mount(uri, &c.rig.volume);
    gzc_error(c.rig.volume, text, sizeof(text));
    cr_assert_eq(rc, 0, "%s", text);
    cr_assert_eq(gzc_open(c.rig.volume, RIG_FILE, O_RDWR, 0, &c.rig.file), 0);
}

static void cluster_down(void)
{
    rig_down(&c.rig);
    peer_stop(c.glusterd);
}

static void expect_byte(char wanted)
{
    char got = 0, text[512];
    ssize_t n = gzc_pread(c.rig.file, &got, 1, 5);
    gzc_file_error(c.rig.file, text, sizeof(text));
    cr_assert_eq(n, 1, "%zd: %s", n, text);
    cr_assert_eq(got, wanted, "%c", got);
}

/* The brick is not there for a while, as glusterd says, and then at another port. */
Test(reconnect_session, the_brick_has_moved)
{
    struct peer_counts counts;
    cluster_up("?timeout=30");
    expect_byte('a');
    set_port(-1);
    peer_stop(c.rig.peer);
    c.rig.peer = NULL;
    do
        gzc_poll(c.rig.volume, 0, 1);
    while (!strstr(brick_info(&c.rig).error, "not running"));
    c.rig.peer = start_brick('b');
    set_port(peer_port(c.rig.peer));
    expect_byte('b');
    peer_counts(c.glusterd, &counts);
    cr_assert_geq(counts.portbybricks, 3);
    cluster_down();
}

/* glusterd is gone as well; it comes back after the brick. */
Test(reconnect_session, glusterd_is_away)
{
    cluster_up("?timeout=30");
    peer_lock(c.glusterd);
    peer_listen(c.glusterd, false);
    peer_unlock(c.glusterd);
    peer_lock(c.rig.peer);
    peer_restart(c.rig.peer, true);
    peer_unlock(c.rig.peer);
    do
        gzc_poll(c.rig.volume, 0, 1);
    while (!strstr(brick_info(&c.rig).error, "Connection refused"));
    peer_lock(c.glusterd);
    peer_listen(c.glusterd, true);
    peer_unlock(c.glusterd);
    expect_byte('a');
    cluster_down();
}

/* The volume goes while glusterd is asked for the port, and does not answer. */
Test(reconnect_session, unmount_while_glusterd_is_asked)
{
    struct peer_counts counts;
    cluster_up("?timeout=30");
    cr_assert_eq(gzc_close(c.rig.file), 0);
    set_port(-2);
    peer_lock(c.rig.peer);
    peer_restart(c.rig.peer, true);
    peer_unlock(c.rig.peer);
    do {
        gzc_poll(c.rig.volume, 0, 1);
        peer_counts(c.glusterd, &counts);
    } while (counts.portbybricks < 2);
    cr_assert_eq(gzc_unmount(c.rig.volume), 0);
    cr_assert(peer_wait_closed(c.glusterd));
    peer_stop(c.rig.peer);
    peer_stop(c.glusterd);
}
