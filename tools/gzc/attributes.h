/* Attributes of a copy that are set by its name. They wait for the volume. */
#ifndef GZC_ATTRIBUTES_H
#define GZC_ATTRIBUTES_H

#include "message.h"

#include <gzc.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/** What a copy has from its source, beside the data. */
struct preserve {
    bool mode, times;
    bool owner;  /* and group; for root only */
    bool xattrs; /* those of users */
};

/** Whether a list of names, as listxattr(2) gives it, has one of the user's. */
bool xattrs_any(const char *list, size_t size);

/** Copies the user's extended attributes. A volume of NULL is the local file system. @return 0 or
 *  -errno, with @p why. */
int xattrs_copy(gzc_volume *from_volume, const char *from, gzc_volume *to_volume, const char *to,
                struct reason *why);

/** The permission bits that a copy of @p st gets: set-id bits only for the same owner. */
mode_t preserved_mode(const struct preserve *p, const struct stat *st);

/** Sets what @p p says, but for extended attributes, of what is no regular file; of a symbolic link
 *  itself. @return 0 or -errno, with @p why. */
int attributes_set(gzc_volume *volume, const char *path, const struct preserve *p,
                   const struct stat *st, struct reason *why);

#endif
