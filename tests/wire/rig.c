#include "tests/wire/rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

bool rig_never_answer(struct peer_call *call, void *arg)
{
    (void)call, (void)arg;
    return true;
}

double rig_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void rig_own_address(char text[16])
{
    unsigned pid = (unsigned)getpid();
    snprintf(text, 16, "127.%u.%u.%u", 64 + (pid >> 16) % 64, pid >> 8 & 255, pid & 255);
}

void rig_volfile(char *text, size_t size, const char *host, uint16_t port)
{
    char line[64] = "";
    if (port)
        snprintf(line, sizeof(line), "    option remote-port %u\n", port);
    snprintf(text, size,
             "volume v-client-0\n"
             "    type protocol/client\n"
             "    option remote-host %s\n"
             "    option remote-subvolume /export\n"
             "    option transport-type tcp\n"
             "%s"
             "end-volume\n"
             "volume v\n"
             "    type debug/io-stats\n"
             "    subvolumes v-client-0\n"
             "end-volume\n",
             host, line);
}

void rig_fill(int memfd, uint64_t offset, size_t size)
{
    uint8_t chunk[4096];
    for (size_t done = 0; done < size;) {
        size_t n = size - done < sizeof(chunk) ? size - done : sizeof(chunk);
        for (size_t i = 0; i < n; i++)
            chunk[i] = guard_pattern(offset + done + i);
        cr_assert_eq(pwrite(memfd, chunk, n, (off_t)(offset + done)), (ssize_t)n);
        done += n;
    }
}

bool rig_file_holds(int memfd, uint64_t offset, size_t size, uint64_t pattern_offset)
{
    uint8_t *bytes = malloc(size + 1);
    cr_assert_not_null(bytes);
    bool holds = pread(memfd, bytes, size, (off_t)offset) == (ssize_t)size;
    for (size_t i = 0; holds && i < size; i++)
        holds = bytes[i] == guard_pattern(pattern_offset + i);
    free(bytes);
    return holds;
}

void rig_up(struct rig *rig, const struct peer_options *options, const char *query, size_t size)
{
    char uri[256], text[512] = "";
    *rig = (struct rig){.peer = peer_start(options)};
    cr_assert_not_null(rig->peer, "peer: %s", strerror(errno));
    rig->content = peer_add_file(rig->peer, RIG_FILE);
    cr_assert_geq(rig->content, 0);
    rig_fill(rig->content, 0, size);
    peer_uri(rig->peer, query, uri, sizeof(uri));
    int rc = gzc_mount(uri, &rig->volume);
    gzc_error(rig->volume, text, sizeof(text));
    cr_assert_eq(rc, 0, "%s: %s: %s", uri, strerror(-rc), text);
    rc = gzc_open(rig->volume, RIG_FILE, O_RDWR, 0, &rig->file);
    gzc_error(rig->volume, text, sizeof(text));
    cr_assert_eq(rc, 0, "open: %s: %s", strerror(-rc), text);
}

void rig_down(struct rig *rig)
{
    char text[512];
    rig_hook(rig, NULL, NULL);
    gzc_close(rig->file);
    cr_assert_eq(gzc_unmount(rig->volume), 0);
    cr_assert(peer_wait_closed(rig->peer), "unmounted, but a connection is open");
    peer_complaint(rig->peer, text, sizeof(text));
    cr_assert_str_empty(text);
    peer_stop(rig->peer);
}

void rig_hook(struct rig *rig, peer_hook *hook, void *arg)
{
    peer_set_hook(rig->peer, hook, arg);
}

struct gzc_stats rig_stats(struct rig *rig)
{
    struct gzc_stats stats;
    cr_assert_eq(gzc_volume_stats(rig->volume, &stats, sizeof(stats)), 0);
    return stats;
}

struct gzc_stats rig_file_stats(struct rig *rig)
{
    struct gzc_stats stats;
    cr_assert_eq(gzc_file_stats(rig->file, &stats, sizeof(stats)), 0);
    return stats;
}

void rig_expect_text(struct rig *rig, const char *call, const char *words)
{
    char text[512];
    gzc_file_error(rig->file, text, sizeof(text));
    cr_assert(strstr(text, "127.0.0.1:/export"), "does not name the brick: '%s'", text);
    cr_assert(strstr(text, call), "does not name the call %s: '%s'", call, text);
    cr_assert(strstr(text, words), "does not say '%s': '%s'", words, text);
}

void rig_expect_closed(struct rig *rig)
{
    cr_assert(peer_wait_closed(rig->peer), "the client has left the connection open");
}

void rig_expect_read(struct rig *rig, struct guard *g, off_t offset)
{
    char text[512] = "";
    guard_clear(g);
    ssize_t n = gzc_preadv(rig->file, g->iov, g->n, offset);
    if (n < 0)
        gzc_file_error(rig->file, text, sizeof(text));
    cr_assert_eq(n, (ssize_t)g->total, "%zd of %zu bytes: %s", n, g->total, text);
    cr_assert(guard_holds(g, (uint64_t)offset, g->total), "wrong bytes");
    cr_assert(guard_intact(g), "memory around the iovec has changed");
}

/* ---- a peer that does not read --------------------------------------------------------------- */

const struct peer_options small_sockets = {.receive_buffer = 64 << 10};

void stop_reading(struct rig *rig)
{
    int small = 16 << 10;
    peer_lock(rig->peer);
    struct peer_conn *conn = peer_latest(rig->peer);
    peer_deafen(conn, true);
    int fd = peer_client_fd(conn);
    int rc = fd < 0 ? -1 : setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    peer_unlock(rig->peer);
    cr_assert_eq(rc, 0);
}

void read_again(struct rig *rig)
{
    peer_lock(rig->peer);
    peer_deafen(peer_latest(rig->peer), false);
    peer_unlock(rig->peer);
}

int unsent(struct rig *rig)
{
    int n = -1;
    peer_lock(rig->peer);
    ioctl(peer_client_fd(peer_latest(rig->peer)), SIOCOUTQ, &n);
    peer_unlock(rig->peer);
    return n;
}

/* ---- what the peer has seen ------------------------------------------------------------------ */

bool check_write(struct peer_call *call, void *arg)
{
    (void)arg;
    if (!peer_is_fop(call, PEER_WRITE))
        return false;
    for (size_t i = 0; i < call->payload_length; i++) {
        if (call->payload[i] != guard_pattern(call->offset + i)) {
            peer_complain(call->peer, "byte %zu of a WRITE is not what was written", i);
            break;
        }
    }
    return false;
}

unsigned calls_seen(struct rig *rig, uint32_t proc)
{
    struct peer_counts counts;
    peer_counts(rig->peer, &counts);
    return (unsigned)counts.fops[proc];
}

void expect_one_connection(struct rig *rig)
{
    struct peer_counts counts;
    peer_counts(rig->peer, &counts);
    cr_assert_eq(counts.connections, 1, "%u connections", (unsigned)counts.connections);
    cr_assert_eq(counts.open, 1);
}
