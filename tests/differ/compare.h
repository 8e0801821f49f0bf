/* One step on both sides, and everything that must be the same behind it. */
#ifndef DIFFER_COMPARE_H
#define DIFFER_COMPARE_H

#include "backend.h"

/** Mounts the volume on both sides. */
void sides_open(const char *uri, const char *mount);
void sides_close(void);

/** Begins a sequence: two fresh directories, in which everything is closed. */
void sides_begin(void);

/**
 * Runs a step on both sides, and compares what it has returned and put out and, if @p look, what is
 * seen of what it touched.
 * @param value  receives what libgzc has returned. May be NULL.
 * @return NULL, or a text that tells the difference: static.
 */
const char *sides_step(const struct step *s, bool look, int64_t *value);

/**
 * Compares the two directories as a whole: each side's own, and each side's with what the other
 * side sees in the same directory, where inode numbers and times must be equal too.
 * @return as sides_step().
 */
const char *sides_trees(void);

#endif
