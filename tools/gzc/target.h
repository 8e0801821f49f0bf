/* A URI on the command line: its volume, mounted, and its path in there. URIs of the same volume
 * with the same options share one mount, which lasts until the program's end. */
#ifndef GZC_TARGET_H
#define GZC_TARGET_H

#include "args.h"
#include "message.h"

#include <gzc.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct target {
    char *uri;          /* what messages call it */
    char *path;         /* as in the URI, decoded */
    gzc_volume *volume; /* NULL: a local file, whose path is in both */
};

/** Mounts what @p uri names. @return false after a message; nothing to free. */
bool target_mount(struct target *t, const char *uri);
void target_free(struct target *t);

struct targets {
    struct target *at;
    size_t count, room;
};

/**
 * Mounts what @p args name, or with @p local opens the way to local files, and adds it to @p list.
 * The wildcards *, ? and [...] of a path stand for the names that match, sorted, unless there is
 * something of just that name; a path that matches nothing is left as it is, for the command to
 * fail with.
 * @return EXIT_SUCCESS; EXIT_FAILURE after a message about each that cannot be mounted.
 */
int targets_expand(struct targets *list, const struct args *args, bool local);
/** target_mount(), or what is no URI: a local file. */
bool target_any(struct target *t, const char *name);
/** Attributes of what @p t names. @return 0 or -errno, for target_complain(). */
int target_stat(const struct target *t, bool follow, struct stat *st);
void targets_free(struct targets *list);

/** Calls @p each for everything that @p args name. @return the worst of what it returned. */
int targets_each(const struct args *args, int (*each)(const struct target *t, void *arg),
                 void *arg);

/** What is called @p name in the directory @p t. To be freed. */
struct target target_in(const struct target *t, const char *name);
/**
 * Tells whether @p t is a directory, that copies go into.
 * @param must  it has to be one; also if its name ends with a slash.
 * @return false, after a message, if it has to be and is not.
 */
bool target_directory(const struct target *t, bool must, bool *directory);

/** complain() about the URI with the volume's last failure. @return EXIT_FAILURE. */
int target_complain(const struct target *t, int error);

/** The attributes of a URI or local file that the command line refers to. Ends the program with a
 *  message if it cannot be had. */
struct stat target_reference(const char *name);

/** Drives all volumes: runs callbacks, waiting for the first at most @p timeout_ms. */
void volumes_poll(int timeout_ms);
/** Unmounts everything. */
void volumes_unmount(void);

/** The path of @p name in the directory @p path. Memory of the caller's. */
char *path_join(const char *path, const char *name);
/** The last component of @p path, without slashes; "" if there is none. Memory of the caller's. */
char *path_base(const char *path);

#endif
