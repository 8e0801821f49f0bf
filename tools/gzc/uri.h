/* The parts of a URI on the command line. gzc_mount() is the one that judges it; this is for names
 * in a volume: to find, make and show them. */
#ifndef GZC_TOOL_URI_H
#define GZC_TOOL_URI_H

#include <stdbool.h>
#include <stddef.h>

/** HEAD PATH OPTIONS: which volume, which name in it, how to mount it. */
struct uri {
    const char *text;
    size_t head;    /* bytes of HEAD */
    size_t path;    /* where PATH begins, with its slash; where it ends if there is none */
    size_t options; /* where "?option=..." begins; the end if there is none */
};

/** Whether @p text is meant as a URI, and not as the name of a local file. */
bool uri_is(const char *text);

/** Finds the parts of any text. A '?' that is not followed by "NAME=" is none of the options: it is
 *  a wildcard of the path. */
struct uri uri_parts(const char *text);

/** Undoes the percent encoding of @p length bytes. @return memory of the caller's; NULL if they are
 *  not the path of a URI. */
char *uri_decode(const char *text, size_t length);

/** The URI of @p path, on the volume and with the options of @p uri. Memory of the caller's. */
char *uri_with_path(const char *uri, const char *path);

/** The URI of @p path, a name or several with slashes, in the directory @p uri. Memory of the
 *  caller's. */
char *uri_join(const char *uri, const char *path);

#endif
