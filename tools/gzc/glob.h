/* Wildcards in the path of a URI. */
#ifndef GZC_GLOB_H
#define GZC_GLOB_H

#include <gzc.h>
#include <stdbool.h>
#include <stddef.h>

/** Whether @p length bytes of a URI's path have *, ? or [ in them; %2A is just a star. */
bool glob_has_wildcard(const char *path, size_t length);

/**
 * Calls @p each with every path on the volume that matches the URI's path, in the order of the
 * locale. As in a shell a wildcard matches no slash, and no dot at the beginning of a name. A
 * directory that cannot be read has no names.
 */
void glob_expand(gzc_volume *volume, const char *path, size_t length,
                 void (*each)(void *arg, const char *path), void *arg);

#endif
