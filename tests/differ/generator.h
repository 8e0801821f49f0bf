/* Makes steps at random: mostly ones that can succeed, often ones that cannot. */
#ifndef DIFFER_GENERATOR_H
#define DIFFER_GENERATOR_H

#include "step.h"

struct generator; /* its state: random numbers, and what it believes to be there */

struct generator *generator_new(uint64_t seed);
void generator_free(struct generator *g);
/** The next step; its texts are the caller's. */
struct step generator_next(struct generator *g);
/** Tells what it has come to: the returned value, or -errno. */
void generator_note(struct generator *g, const struct step *s, int64_t value);

#endif
