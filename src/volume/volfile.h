/* The volfile: glusterd's text that describes a volume as a graph of translators. */
#ifndef VOLUME_VOLFILE_H
#define VOLUME_VOLFILE_H

#include "base/errtext.h"

#include <stdbool.h>
#include <stddef.h>

#define VOLFILE_MAX (16u << 20) /* bytes; glusterd makes about 1 KiB per brick */

struct xlator_option {
    const char *key, *value;
};

/** A translator, which the text calls a volume. */
struct xlator {
    const char *name, *type; /* e.g. "data-client-0", "protocol/client" */
    int line;                /* of its "volume" */
    size_t noptions, nchildren;
    struct xlator_option *options;
    struct xlator **children; /* its subvolumes; each stands before it in the text: no cycles */
};

/** A parsed volfile. Everything in it lives until volfile_free(); nothing in it changes. */
struct volfile {
    char *text; /* what all names and values point into */
    size_t nxlators;
    struct xlator **xlators; /* in the order of the text */
    struct xlator *top;      /* the last one, as the official parser has it */
};

/**
 * Parses @p length bytes of @p text (no NUL needed), which is not kept. The language is that of
 * glusterfs' graph.l and graph.y, except that a statement is one line, that an option's value goes
 * to the end of the line or to a '#' after a blank, and that commands in `` are not run but
 * refused. Takes time in O(n log n) whatever the text.
 *
 *   volume NAME
 *       type TYPE
 *       option KEY VALUE        # any number; the last of equal keys counts
 *       subvolumes NAME ...     # defined above
 *   end-volume
 *
 * @param name  what error texts call the file: "volfile NAME:LINE: ...".
 * @return 0, to be freed with volfile_free(); -EINVAL (malformed), -ENOMEM, with nothing to free.
 */
int volfile_parse(const char *text, size_t length, const char *name, struct volfile *vf,
                  struct errtext *why);

/** Frees what @p vf holds and clears it; may be called on a cleared one. */
void volfile_free(struct volfile *vf);

/** The value of an option, "" if it was given none; NULL if the translator does not have it. */
const char *xlator_option(const struct xlator *x, const char *key);

/** Reads a boolean as gf_string2boolean() does: on/yes/true/enable/1, off/no/false/disable/0.
 *  @return false if it is none of them; *value is kept then, and if there is no such option. */
bool xlator_option_bool(const struct xlator *x, const char *key, bool *value);

/** Reads a time as gf_string2time() does: a number, in seconds or with one of the units s sec m min
 *  h hr d days w wk. @return false if it is none or above @p max; *seconds is kept then, and if
 * there is no such option. */
bool xlator_option_time(const struct xlator *x, const char *key, unsigned max, unsigned *seconds);

#endif
