/* async_rig.h - what the tests of asynchronous operations add to rig.h: operations that remember
 * what they were told and take their memory away at once, and replies that are kept back. */
#ifndef TESTS_WIRE_ASYNC_RIG_H
#define TESTS_WIRE_ASYNC_RIG_H

#include "tests/wire/rig.h"

#include <stdatomic.h>

/** An operation and what its callback was told. Set memory, take and then before it begins. */
struct told {
    struct guard *memory; /* or NULL */
    enum {
        LEAVE_IT, /* the memory stays as it is */
        REUSE_IT, /* filled with something else, and poisoned for AddressSanitizer */
        REVOKE_IT /* not accessible any more, not for the kernel either */
    } take;
    gzc_ticket ticket;
    atomic_uint count; /* calls of the callback */
    ssize_t result;
    char error[256];
    size_t good;                     /* the first so many bytes of memory were right, of `offset` */
    uint64_t offset;                 /* in the file */
    void (*then)(struct told *told); /* runs last in the callback */
    void *arg;                       /* the test's */
};

/** How to begin it; @p timeout_ms 0: the volume's. */
struct gzc_async told_how(struct told *told, unsigned timeout_ms);
/** Begin a read or write of its memory at its offset, and keep the ticket. */
void told_read(struct rig *rig, struct told *told, unsigned timeout_ms);
void told_write(struct rig *rig, struct told *told, unsigned timeout_ms);
/** Drives the volume until it has completed: exactly once, as far as one can see. */
void told_wait(struct rig *rig, struct told *told);
/** The same, with that result; and that the memory has not changed since, which is then the test's
 *  again after told_memory(). */
void told_expect(struct rig *rig, struct told *told, ssize_t result);
/** Gives the memory back; what was put there when it was taken away is still there. */
void told_memory(struct told *told);

/** Drives the volume until @p value is at least @p wanted. */
void drive_until(struct rig *rig, atomic_uint *value, unsigned wanted);
/** A call to the brick and back, on all of @p connections connections: the peer has seen everything
 *  that was sent before. */
void barrier(struct rig *rig, unsigned connections);

/** Replies to READ, WRITE, FSYNC and FTRUNCATE are kept back, but for their first `cut` bytes. Zero
 *  is a default; late_free() in the end. */
struct late {
    size_t cut;
    unsigned pass; /* so many calls are answered first */
    struct kept {
        struct peer_conn *conn;
        uint32_t proc;
        uint64_t offset;
        size_t cut;
        struct peer_record reply; /* empty: sent */
    } * kept;
    unsigned room;
    atomic_uint n; /* of kept; the client has taken the beginning of them */
};
/** The hook. */
bool late_hook(struct peer_call *call, void *late);
/** Sends the rest of reply @p i, or of all. Not from the hook. */
void late_send(struct rig *rig, struct late *late, unsigned i);
void late_send_all(struct rig *rig, struct late *late);
void late_free(struct late *late);

/** Drives the volume until the peer, which has stopped reading, has taken @p n bytes more out of
 *  its socket. */
void take_some(struct rig *rig, size_t n);

#endif
