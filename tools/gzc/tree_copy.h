/* Copying trees between volumes and the local file system. */
#ifndef GZC_TREE_COPY_H
#define GZC_TREE_COPY_H

#include "copy.h"
#include "progress.h"
#include "target.h"

#include <stdbool.h>
#include <stdint.h>

struct tree_copy {
    struct copying copying;
    bool recursive; /* directories, and symbolic links and special files as what they are */
    bool verbose;   /* print what has been copied */
    unsigned jobs;  /* files at a time */
    bool show;      /* progress */

    /* its own */
    int status;
    struct progress line;
    char label[64];
    uint64_t files, of_files, done;
    const struct target *to;
    ino_t copy_ino; /* of the directory that the copy goes to */
};

/** Adds the bytes and files of @p from to what is to be copied in all, for the sake of progress. */
void tree_copy_count(struct tree_copy *t, const struct target *from);

/**
 * Copies @p from to the name @p to. Files are still being copied when this returns.
 * interrupt_catch() is expected: then a signal ends it with what is under way, of which nothing
 * remains. What fails is told, sets `status`, and is left out.
 */
void tree_copy(struct tree_copy *t, const struct target *from, const struct target *to);

/** Prints what has been copied or renamed. */
void tree_copy_tell(const struct target *from, const struct target *to);
/** Begins or ends the line that shows the progress of all. */
void tree_copy_show(struct tree_copy *t, bool begin);

/** Waits for all that is under way. @return EXIT_SUCCESS or EXIT_FAILURE, of all of it. */
int tree_copy_end(struct tree_copy *t);

#endif
