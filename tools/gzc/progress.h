/* The line that shows how far a transfer is, on the standard error. */
#ifndef GZC_PROGRESS_H
#define GZC_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool on;
    const char *name;
    uint64_t total; /* bytes; 0: not known */
    uint64_t done;
    uint64_t start, shown; /* text_clock() */
};

/** Takes the line that is being shown off the terminal, to make room for a message. */
void progress_clear(void);
/** Starts showing the transfer of @p name, which is kept by reference; does nothing unless @p on.
 */
void progress_start(struct progress *p, bool on, const char *name, uint64_t total);
/** Tells that @p done bytes have been moved. */
void progress_update(struct progress *p, uint64_t done);
/** Ends the line: it stays as it is if the transfer is @p complete, and vanishes otherwise. */
void progress_end(struct progress *p, bool complete);

#endif
