/* Permission bits as chmod(1) takes them. */
#ifndef GZC_MODE_H
#define GZC_MODE_H

#include <stdbool.h>
#include <sys/stat.h>

/** A change of permission bits, parsed. Refers to the text. */
struct mode_change {
    const char *text; /* symbolic; NULL: octal */
    mode_t octal;
};

/** Parses octal digits, at most 7777, or "[ugoa...][[-+=][rwxXst...|u|g|o]...],...". @return false
 *  if it is neither. */
bool mode_parse(struct mode_change *change, const char *text);

/** What becomes of @p mode. @param mask  the umask, which counts where no one is named. */
mode_t mode_changed(const struct mode_change *change, mode_t mode, bool directory, mode_t mask);

#endif
