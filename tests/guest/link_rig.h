/* link_rig.h - what the tests of the RDMA client stand on: rig.h's volume, mounted by RDMA from a
 * fake gateway. rig.h's and async_rig.h's functions work on `rig`, but for those about sockets. */
#ifndef TESTS_GUEST_LINK_RIG_H
#define TESTS_GUEST_LINK_RIG_H

#include "tests/guest/fake_gateway.h"
#include "tests/wire/async_rig.h"

struct link_rig {
    struct rig rig;
    struct gate *gate;
};

/** As rig_up(). */
void link_up(struct link_rig *l, const struct gate_options *options, const char *query,
             size_t size);
/** As rig_down(). */
void link_down(struct link_rig *l);
/** Mounts with that outcome; the error's text holds @p words. The volume is unmounted, the gateway
 *  stopped; nothing that it complains of is a failure if the mount is to fail. */
void link_expect_mount(const struct gate_options *options, const char *query, int result,
                       const char *words);
void link_uri(uint16_t port, const char *query, char *uri, size_t size);
/** The hook answers from now on. */
void link_hook(struct link_rig *l, gate_hook *hook, void *arg);

/** Reads and writes of @p n bytes in one piece, compared. */
void link_read(struct link_rig *l, size_t n, off_t offset);
void link_write(struct link_rig *l, size_t n, off_t offset);

/** The brick is connected; else the test fails with the reason. */
void link_expect_open(struct link_rig *l);
/** Waits until the client has closed its connections. */
void link_expect_closed(struct link_rig *l);

#endif
