/* link_rig.h - what the tests of the RDMA client stand on: rig.h's volume, mounted by RDMA from a
 * fake gateway. rig.h's and async_rig.h's functions work on `rig`, but for those about sockets. */
#ifndef TESTS_GUEST_LINK_RIG_H
#define TESTS_GUEST_LINK_RIG_H

#include "tests/guest/fake_gateway.h"
#include "tests/wire/async_rig.h"

/** Where things stand in a slot, and what a peer record's PEER_AT_* are there: it has no mark. */
enum { SLOT_XID = 0, SLOT_KIND = 4, SLOT_CODE = 5, SLOT_MESSAGE = 8, SLOT_PAYLOAD = 12 };
#define SLOT_AT(peer_at)      (RDMA_SLOT_HEAD_BYTES + (peer_at)-RDMA_MARK_BYTES)
#define XID(generation, slot) ((uint32_t)(generation) << RDMA_SLOT_BITS | (slot))

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
/** A transfer that gave @p result has found the protocol broken, said so with @p words, and the
 *  connection is closed. */
void link_expect_broken(struct link_rig *l, const char *name, ssize_t result, const char *words);
/** Puts a big-endian word. */
void link_poke(uint8_t *at, uint32_t value);
/** Waits until the client has closed its connections. */
void link_expect_closed(struct link_rig *l);

#endif
