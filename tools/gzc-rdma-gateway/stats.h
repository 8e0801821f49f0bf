/* What the gateway has done: counters, for people, in the log and as JSON on a socket. */
#ifndef GATEWAY_STATS_H
#define GATEWAY_STATS_H

#include "base/counters.h"
#include "base/errtext.h"

#include <stdint.h>

struct gateway;

/** Why a client's connection has ended. */
enum end_reason {
    END_LEFT,      /* the client disconnected, or cannot be reached any more */
    END_VIOLATION, /* it broke the protocol */
    END_ATTACH,    /* what it wanted to talk to cannot be connected to */
    END_BRICK,     /* the brick's connection broke */
    END_TIMEOUT,   /* it was too slow */
    END_MEMORY,    /* no memory for something that cannot wait */
    END_DEVICE,    /* the device has gone, or failed */
    END_SHUTDOWN,  /* the gateway ends */
    END_REASONS
};

/* name, what it counts */
#define STATS_COUNTERS(X)                                                                          \
    X(clients_accepted, "connections accepted")                                                    \
    X(clients_rejected, "connections rejected")                                                    \
    X(calls, "calls received")                                                                     \
    X(replies, "replies sent, errors not counted")                                                 \
    X(errors, "calls answered with an error")                                                      \
    X(cancels, "calls answered because the client cancelled them")                                 \
    X(replies_late, "replies that came after their call was cancelled")                            \
    X(callbacks, "calls of servers' passed on")                                                    \
    X(callbacks_kept, "of these, those that had to wait for a slot")                               \
    X(callbacks_dropped, "calls of servers' that no slot has room for")                            \
    X(bytes_landed, "payload between a socket and registered memory, without a copy")              \
    X(bytes_staged, "payload that went through a buffer")                                          \
    X(bytes_written, "payload written to clients' memory")                                         \
    X(bytes_fetched, "payload read from clients' memory")                                          \
    X(work_requests, "send work requests posted")                                                  \
    X(receives, "receives completed")                                                              \
    X(completions, "send completions")                                                             \
    X(wakeups, "completion events")                                                                \
    X(waits_memory, "calls that had to wait for memory")                                           \
    X(waits_queue, "postings that had to wait for the send queue")

struct stats {
#define X(name, text) uint64_t name;
    STATS_COUNTERS(X)
#undef X
    uint64_t ended[END_REASONS];
    uint64_t rejected[8];      /* by reason, enum rdma_reject_reason; 0: unused */
    uint64_t error_codes[8];   /* by code, enum rdma_error_code */
    uint64_t late_outstanding; /* replies to cancelled calls that are still to come */
    struct counters tcp;       /* what the transport counts */
};

/** A word for the reason, as in the log. A static string. */
const char *end_reason_name(enum end_reason reason);

/** Writes the counters to the log, one line. */
void stats_log(const struct gateway *g);
/** Serves the counters as JSON to whoever connects to the socket @p path, which is replaced if it
 *  is there. @return 0 or -errno. */
int stats_serve(struct gateway *g, const char *path, struct errtext *why);
void stats_serve_end(struct gateway *g);

#endif
