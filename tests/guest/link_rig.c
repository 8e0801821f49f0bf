#include "tests/guest/link_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void link_uri(uint16_t port, const char *query, char *uri, size_t size)
{
    const char *host = getenv("RDMA_IP");
    cr_assert_not_null(host, "no RDMA_IP: to be run in the guest");
    snprintf(uri, size, "gluster+brick+rdma://%s:%u/export%s", host, port, query);
}

void link_up(struct link_rig *l, const struct gate_options *options, const char *query, size_t size)
{
    struct rig *rig = &l->rig;
    char uri[256], text[512] = "";
    *l = (struct link_rig){.gate = gate_start(options)};
    cr_assert_not_null(l->gate, "gateway: %s", strerror(errno));
    rig->peer = gate_peer(l->gate);
    rig->content = peer_add_file(rig->peer, RIG_FILE);
    cr_assert_geq(rig->content, 0);
    rig_fill(rig->content, 0, size);
    link_uri(gate_port(l->gate), query, uri, sizeof(uri));
    int rc = gzc_mount(uri, &rig->volume);
    gzc_error(rig->volume, text, sizeof(text));
    cr_assert_eq(rc, 0, "%s: %s: %s", uri, strerror(-rc), text);
    rc = gzc_open(rig->volume, RIG_FILE, O_RDWR, 0, &rig->file);
    gzc_error(rig->volume, text, sizeof(text));
    cr_assert_eq(rc, 0, "open: %s: %s", strerror(-rc), text);
}

void link_down(struct link_rig *l)
{
    link_hook(l, NULL, NULL);
    rig_hook(&l->rig, NULL, NULL);
    gzc_close(l->rig.file);
    l->rig.file = NULL;
    cr_assert_eq(gzc_unmount(l->rig.volume), 0);
    cr_assert(gate_wait_closed(l->gate), "unmounted, but a connection is open");
    gate_stop(l->gate);
    char text[512];
    peer_complaint(l->rig.peer, text, sizeof(text));
    cr_assert_str_empty(text);
    peer_stop(l->rig.peer);
}

void link_expect_mount(const struct gate_options *options, const char *query, int result,
                       const char *words)
{
    char uri[256], text[512] = "";
    gzc_volume *volume;
    struct gate *gate = gate_start(options);
    cr_assert_not_null(gate, "gateway: %s", strerror(errno));
    struct peer *peer = gate_peer(gate);
    link_uri(gate_port(gate), query, uri, sizeof(uri));
    int rc = gzc_mount(uri, &volume);
    gzc_error(volume, text, sizeof(text));
    cr_assert_eq(rc, result, "%s instead of %s: %s", strerror(-rc), strerror(-result), text);
    cr_assert(strstr(text, words), "does not say '%s': '%s'", words, text);
    cr_assert_eq(gzc_unmount(volume), 0);
    cr_assert(gate_wait_closed(gate), "unmounted, but a connection is open");
    gate_stop(gate);
    peer_stop(peer);
}

void link_hook(struct link_rig *l, gate_hook *hook, void *arg)
{
    gate_set_hook(l->gate, hook, arg);
}

void link_read(struct link_rig *l, size_t n, off_t offset)
{
    struct guard g;
    guard_make_one(&g, n);
    rig_expect_read(&l->rig, &g, offset);
    guard_free(&g);
}

void link_write(struct link_rig *l, size_t n, off_t offset)
{
    struct guard g;
    char text[512] = "";
    guard_make_one(&g, n);
    guard_fill(&g, (uint64_t)offset);
    ssize_t rc = gzc_pwrite(l->rig.file, g.iov[0].iov_base, n, offset);
    if (rc < 0)
        gzc_file_error(l->rig.file, text, sizeof(text));
    cr_assert_eq(rc, (ssize_t)n, "%zd of %zu bytes: %s", rc, n, text);
    cr_assert(rig_file_holds(l->rig.content, (uint64_t)offset, n, (uint64_t)offset));
    guard_free(&g);
}

void link_expect_open(struct link_rig *l)
{
    struct gzc_brick_info brick;
    cr_assert_eq(gzc_brick_info(l->rig.volume, 0, &brick, sizeof(brick)), 0);
    cr_assert(brick.connected, "%s", brick.error);
}

void link_expect_closed(struct link_rig *l)
{
    cr_assert(gate_wait_closed(l->gate), "the client has left the connection open");
}

void link_expect_broken(struct link_rig *l, const char *name, ssize_t result, const char *words)
{
    char text[512];
    gzc_file_error(l->rig.file, text, sizeof(text));
    cr_assert(result == -EPROTO || result == -ENOTCONN, "%s: %zd: %s", name, result, text);
    cr_assert(strstr(text, words), "%s: does not say '%s': '%s'", name, words, text);
    link_expect_closed(l);
}

void link_poke(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}
