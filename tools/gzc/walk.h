/* Walking a tree, on a volume or on the local file system. Symbolic links are met, not followed.
 * What it takes is one open directory for each level, and with `sorted` the names of each. */
#ifndef GZC_WALK_H
#define GZC_WALK_H

#include "list.h"
#include "message.h"

#include <gzc.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

enum walk_event {
    WALK_FILE,  /* anything but a directory */
    WALK_ENTER, /* a directory, before what is in it; return WALK_SKIP to stay out, and not leave */
    WALK_LEAVE, /* a directory, after what was in it */
};
enum { WALK_ON, WALK_SKIP, WALK_STOP };

struct walk {
    gzc_volume *volume; /* NULL: the local file system */
    bool quiet;         /* nothing is complained of */
    bool sorted;        /* names of a directory in the order of the locale */
    bool shown_only;    /* leave out what is in a directory and begins with a dot */
    bool follow;        /* a symbolic link that the walk begins at */
    /** Called with the members below set. @return WALK_ON, WALK_SKIP or WALK_STOP. */
    int (*visit)(struct walk *w, enum walk_event event);
    void *arg; /* visit()'s */

    const char *path;  /* of what is met, on the volume or the local file system */
    const char *below; /* the part of it that is below the beginning: "" or "a/b" */
    const char *name;  /* the last component; at the beginning that of the path */
    unsigned level;    /* 0 at the beginning */
    bool last;         /* with `sorted`: the last one in its directory */
    bool unread;       /* WALK_LEAVE: not everything in it was met */
    struct stat st;
    void *folder; /* what visit() set `mine` to for the directory that this is in */
    void *mine;   /* a directory's own, from WALK_ENTER to WALK_LEAVE */

    int status; /* EXIT_FAILURE after a message */

    /* the walk's own */
    const char *uri; /* that it began at; or the local path */
    char *text;
    size_t length, room, start, base;
};

/** Walks what is at @p path. @param name  what messages call that: its URI, or @p path.
 *  @return w->status. */
int walk(struct walk *w, const char *name, const char *path);
/** complain() about what is met. Sets status. */
void walk_fail(struct walk *w, const char *why);
/** What messages and output call what is met. Memory of the caller's. */
char *walk_name(const struct walk *w);
/** complain() about what is met with the volume's, or the local, failure @p error. Sets status. */
void walk_complain(struct walk *w, int error);

#endif
