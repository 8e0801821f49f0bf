/* rig.h - what most tests stand on: a peer, a volume mounted from it, one file opened. For use in
 * the test's own thread; failures end the test. */
#ifndef TESTS_WIRE_RIG_H
#define TESTS_WIRE_RIG_H

#include "include/gzc.h"
#include "tests/wire/guard.h"
#include "tests/wire/peer.h"

#define RIG_FILE "file"

struct rig {
    struct peer *peer;
    gzc_volume *volume;
    gzc_file *file; /* RIG_FILE, read and write */
    int content;    /* its memfd */
};

/** Starts a peer with a file of @p size bytes of the pattern, mounts it with @p query (e.g.
 *  "?timeout=1"), opens the file. @p options may be NULL. */
void rig_up(struct rig *rig, const struct peer_options *options, const char *query, size_t size);
/** Closes, unmounts, stops; a complaint of the peer's fails the test. Works on a broken connection
 *  too. */
void rig_down(struct rig *rig);

/** From now on the hook answers the calls. */
void rig_hook(struct rig *rig, peer_hook *hook, void *arg);
struct gzc_stats rig_stats(struct rig *rig);
struct gzc_stats rig_file_stats(struct rig *rig);
/** An address of 127.0.0.0/8 that no other process's test uses: to listen on a fixed port. */
void rig_own_address(char text[16]);
/** The port that libgzc asks glusterd on for a brick's port. */
#define RIG_GLUSTERD_PORT 24007
/** A volfile of a volume "v" of one brick; @p port 0: glusterd is to be asked for it. */
void rig_volfile(char *text, size_t size, const char *host, uint16_t port);
/** A hook that leaves every call without an answer. */
bool rig_never_answer(struct peer_call *call, void *arg);
/** Seconds of a clock that only goes on. */
double rig_seconds(void);

/** Fills the file @p memfd with the pattern. */
void rig_fill(int memfd, uint64_t offset, size_t size);
/** The memfd holds @p size bytes of the pattern of @p pattern_offset at @p offset. */
bool rig_file_holds(int memfd, uint64_t offset, size_t size, uint64_t pattern_offset);

/** The text of the file's last failure names the brick and @p call, and holds @p words. */
void rig_expect_text(struct rig *rig, const char *call, const char *words);
/** The connection has been closed by the client, and operations give -ENOTCONN or better. */
void rig_expect_closed(struct rig *rig);
/** Reads the whole buffer from @p offset and compares it. */
void rig_expect_read(struct rig *rig, struct guard *g, off_t offset);

/** Makes the peer stop reading, and the sockets between it and the client so small that they hold
 *  far less than a WRITE; the peer must have been started with these options. */
extern const struct peer_options small_sockets;
void stop_reading(struct rig *rig);
void read_again(struct rig *rig);
/** Bytes that wait in the client's socket. */
int unsent(struct rig *rig);

/** A hook: every byte of a WRITE is the pattern's, or the peer complains. */
bool check_write(struct peer_call *call, void *arg);
/** The number of calls @p proc that came. */
unsigned calls_seen(struct rig *rig, uint32_t proc);
/** One connection was made, and is open. */
void expect_one_connection(struct rig *rig);

#endif
