/* Differences between libgzc and a FUSE mount that are right as they are. */
#ifndef DIFFER_ACCEPTED_H
#define DIFFER_ACCEPTED_H

#include "backend.h"

enum verdict {
    WRONG,    /* they may not differ */
    ACCEPTED, /* they may */
    ALLOWED,  /* FUSE's kernel has forbidden what the brick allows: to be done for root there, so
                 that both sides go on with the same */
};

/** What is to be said about two outcomes of @p s, if they differ. */
enum verdict accepted(const struct step *s, const struct outcome *gzc, const struct outcome *fuse);

#endif
