/* Copying files, several at once and several blocks of each. */
#ifndef GZC_COPY_H
#define GZC_COPY_H

#include "attributes.h"
#include "end.h"
#include "job.h"
#include "progress.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define SUM_HEX 64 /* digits of a SHA-256 sum */

/** What copies have in common. */
struct copying {
    struct preserve preserve;
    bool no_clobber; /* leave alone what is there */
    bool verify;     /* sum what is read; force the copy to stable storage, read it back, compare */
    bool progress;   /* a line for each file */
    struct progress *line; /* one line for all; NULL: none */

    unsigned active; /* copies under way */
};

enum copy_end { COPY_DONE, COPY_SKIPPED, COPY_FAILED };

struct copy {
    struct job job; /* first */
    struct copying *run;
    struct end from, to;
    struct stat st; /* of the source */
    enum copy_end end;
    off_t length;   /* of what was copied */
    uint64_t start; /* text_clock() */
    char sum[SUM_HEX + 1];

    /* the copy's own */
    struct end back;         /* the sink, read back */
    struct end *source;      /* from or back */
    struct end *at_fault;    /* of what is under way */
    struct stat there;       /* what is under the name of the copy */
    unsigned blocks, window; /* under way; at most */
    off_t next;              /* where the next block begins */
    off_t data_end;          /* blocks may be begun up to here, and behind it one at a time */
    off_t end_at;            /* of what has been read */
    bool eof, sparse, by_server;
    char *xattrs;
    struct reason why;
    EVP_MD_CTX *digest;
    char summed[SUM_HEX + 1];
    struct progress own_line;
    char *label;
    void (*over)(struct copy *copy);
    void *arg;
};

/**
 * Begins to copy @p from, whose attributes are @p st, to @p to. jobs_run() does the rest. A failure
 * has been told when @p over is called, with `end` set; then the copy is freed. What the names and
 * paths of the ends point to must stay until then.
 */
void copy_start(struct copying *run, const struct end *from, const struct end *to,
                const struct stat *st, void (*over)(struct copy *copy), void *arg);

/** Runs jobs until fewer than @p limit copies are under way. */
void copies_wait(struct copying *run, unsigned limit);

/** Frees memory that is kept for the next block. */
void copies_free(void);

#endif
