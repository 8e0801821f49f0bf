/*
 * serve.h - connections of the null brick, and the threads that serve them.
 */
#ifndef NULLBRICK_SERVE_H
#define NULLBRICK_SERVE_H

#include <stdint.h>

/** What all threads know. */
struct brick {
    const char *export; /* the path that SETVOLUME must name */
    uint64_t spin;      /* nanoseconds to look for more before a thread blocks */
};

/** Starts a thread. *@p handle names it. @return 0 or an errno. */
int serve_start(const struct brick *brick, int *handle);
/** Gives a connected socket to a thread, which closes it in the end. @return 0 or an errno. */
int serve_connection(int handle, const struct brick *brick, int socket);

#endif
