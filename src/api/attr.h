/* How the public functions on attributes begin: on a path or an open file, blocking or not. */
#ifndef API_ATTR_H
#define API_ATTR_H

#include "api/handle.h"
#include "volume/attr.h"

/** What an operation is on. */
struct attr_target {
    gzc_volume *volume;
    const char *path;
    unsigned walk;
    gzc_file *file; /* or NULL: the path */
};

static inline struct attr_target attr_path(gzc_volume *volume, const char *path)
{
    return (struct attr_target){.volume = volume, .path = path};
}

static inline struct attr_target attr_link(gzc_volume *volume, const char *path)
{
    return (struct attr_target){.volume = volume, .path = path, .walk = WALK_NOFOLLOW};
}

static inline struct attr_target attr_file(gzc_file *file)
{
    return (struct attr_target){.volume = file->volume, .file = file};
}

/** What it is to do. */
struct attr_call {
    void (*start)(struct op *op);
    bool change;      /* not on a read-only volume */
    int error;        /* what is wrong with its arguments: -errno and the text; 0: nothing */
    const char *text; /* of error */
    struct attr_args args;
};

/** @return the operation's result. */
int64_t attr_run(struct attr_target target, struct attr_call call);
gzc_ticket attr_submit(struct attr_target target, struct attr_call call,
                       const struct gzc_async *how);

#endif
