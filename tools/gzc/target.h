/* A URI on the command line: its volume, mounted, and its path in there. */
#ifndef GZC_TARGET_H
#define GZC_TARGET_H

#include <gzc.h>
#include <stdbool.h>

struct target {
    const char *uri;
    gzc_volume *volume;
    const char *path; /* as in the URI, decoded; lives as long as the volume is mounted */
};

/** Mounts what @p uri, which is kept, names. @return false after a message; nothing to unmount. */
bool target_mount(struct target *t, const char *uri);
void target_unmount(struct target *t);

/** complain() about the URI with the volume's last failure. @return EXIT_FAILURE. */
int target_complain(const struct target *t, int error);

/** The path of @p name in the directory @p path. Memory of the caller's. */
char *path_join(const char *path, const char *name);
/** The last component of @p path, without slashes; "" if there is none. Memory of the caller's. */
char *path_base(const char *path);
/** The URI of @p name in the directory @p uri. Memory of the caller's. */
char *uri_join(const char *uri, const char *name);

#endif
