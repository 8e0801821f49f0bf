/* Removing a tree. */
#ifndef GZC_RM_H
#define GZC_RM_H

#include <gzc.h>
#include <stdbool.h>

/**
 * Removes what is at @p path, on @p volume or, if that is NULL, on the local file system, with all
 * that is in it. What cannot be removed is told, by @p name and what follows it, and left.
 * @return EXIT_SUCCESS or EXIT_FAILURE.
 */
int remove_tree(gzc_volume *volume, const char *name, const char *path, bool verbose);

#endif
