/* Makes a failing sequence short. */
#ifndef DIFFER_SHRINK_H
#define DIFFER_SHRINK_H

#include "step.h"

/**
 * Runs a script in fresh directories.
 * @param at  receives the number of the step that differs; the script's length if only the trees at
 *            its end do.
 * @return as sides_step().
 */
const char *replay(const struct script *script, size_t *at);

/** Removes steps and simplifies others as long as the same kind of step still differs, for
 * @p seconds at most. */
void shrink(struct script *script, unsigned seconds);

#endif
