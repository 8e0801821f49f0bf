/* A mounted volume, and the handles on it. */
#ifndef VOLUME_VOLUME_H
#define VOLUME_VOLUME_H

#include "base/errtext.h"
#include "brick/caller.h"
#include "brick/remote.h"
#include "gzc.h"
#include "proto/dirlist.h"
#include "rpc/engine.h"
#include "transport/rdma.h"
#include "volume/inode.h"
#include "volume/topology.h"
#include "volume/uri.h"
#include "volume/volfile.h"

#include <errno.h>

/** Bytes of payload in one READ or WRITE at most: the largest that a brick takes from its buffer
 *  pool (iobuf.c); larger ones it allocates each time. */
#define VOLUME_IO_MAX (UINT32_C(1) << 20)

/* Memory for transfers, see async.h and io.h. */
struct async_pool {
    struct async *free;
    struct async **all; /* by index */
    unsigned count, room;
};

struct io_segment;

/** A mount: what all handles on it share. */
struct volume {
    struct engine engine;
    struct errtext why;      /* why it could not be mounted; under the engine's lock */
    unsigned users;          /* handles on it */
    struct gzc_volume *last; /* of them; there until the mount has ended */

    struct gzc_uri uri;
    struct identity identity;
    struct caller timekeeper; /* who gives inodes a record of their times: mdata.h */
    struct volfile volfile;
    struct topology topology;
    struct rdma *rdma;         /* NULL: TCP */
    struct session **sessions; /* topology.nbricks of them */
    char server[300];          /* the glusterd that gave the volfile */

    struct fop_context context; /* that operations begin with; deadline: how long they may take */
    uint64_t connect_timeout;   /* nanoseconds */
    bool mounted;               /* the mount has succeeded, and the end has not come */
    struct inodes inodes;
    struct async_pool asyncs;
    struct io_segment *segments, *segment_memory; /* to be borrowed by large transfers; all */
    bool has_thread;
    pthread_t thread;
    struct waiter thread_waiter;
};

/** A handle on a mount, and for whom its operations are. Lives until its operations are over. */
struct gzc_volume {
    struct volume *shared;
    struct caller caller;
    uint8_t directory[16]; /* gfid of the one that relative paths begin at */
    struct errtext why;    /* of the last failure; under the engine's lock */
    unsigned handles;      /* files and directories open; atomic */
    unsigned blocked;      /* threads in blocking calls */
    unsigned running;      /* asynchronous operations under way; one more of the last handle */
    bool gone;             /* unmounted */
};

/** What files and directories have in common. */
struct handle {
    unsigned busy;      /* operations under way on it */
    struct op *closing; /* goes on when there is none */
};

/** Bits of gzc_file.access. */
enum { FILE_READ = 1, FILE_WRITE = 2 };

/** Bytes and calls of one file's reads and writes; by the leader. */
struct io_counters {
    uint64_t landed, staged, calls;
};

/**
 * An open file is its route: which brick, and what the file is there. READ and WRITE calls are
 * copies of `head` with a few words changed.
 */
struct gzc_file {
    struct handle handle; /* first */
    struct gzc_volume *volume;
    struct caller caller; /* the volume's, with a lock owner of its own */
    struct remote remote;
    struct inode *inode;
    unsigned refs;     /* gzc_dup() */
    int flags;         /* as opened */
    unsigned access;   /* FILE_READ, FILE_WRITE; neither on a directory */
    uint64_t position; /* in bytes, at most INT64_MAX */
    uint64_t moves;    /* times that the position has been moved */
    struct errtext why;
    struct io_counters io;
    uint32_t head_length;
    uint32_t io_flags;          /* of every READ and WRITE: O_DIRECT, O_SYNC, O_DSYNC */
    uint8_t head[RPC_HEAD_MAX]; /* record mark, RPC header, arguments */
};

struct gzc_dir {
    struct handle handle; /* first */
    struct gzc_volume *volume;
    struct remote remote;
    struct errtext why;
    uint8_t *list;          /* the present batch of entries, still encoded */
    struct dirlist entries; /* those of it that are still to be given out */
    uint64_t offset;        /* behind the last entry given out */
    bool end;               /* the brick has no more batches */
    char name[256];
};

/** How the volume's servers are reached. */
static inline const struct transport_kind *volume_transport(const struct volume *v)
{
    return v->rdma ? rdma_transport(v->rdma) : &transport_tcp;
}

/** Keep count of open files and directories. Any thread. */
static inline void volume_handle_opened(struct gzc_volume *v)
{
    __atomic_add_fetch(&v->handles, 1, __ATOMIC_RELAXED);
}

static inline void volume_handle_closed(struct gzc_volume *v)
{
    __atomic_sub_fetch(&v->handles, 1, __ATOMIC_RELAXED);
}

/** Sets a handle's text; takes the lock itself. @return @p error. */
static inline int volume_fail(struct gzc_volume *v, struct errtext *why, int error,
                              const char *text)
{
    engine_lock(&v->shared->engine);
    errtext_set(why, error, "%s", text);
    engine_unlock(&v->shared->engine);
    return error;
}

/** Refuses a blocking call in a callback: -EDEADLK, else 0. Takes the lock itself. */
static inline int volume_refuse_blocking(struct gzc_volume *v, struct errtext *why)
{
    return engine_in_callback(&v->shared->engine)
               ? volume_fail(v, why, -EDEADLK, "a blocking call in a callback")
               : 0;
}

#endif
