/*
 * The log: one line for each event, of fields.
 *
 *   2026-11-23T06:29:52.123Z warning client-ended client=10.0.0.7:34567 reason=violation text="..."
 *   {"time":"2026-11-23T06:29:52.123Z","level":"warning","event":"client-ended","client":...}
 *
 * Values come from the network, too: quoted, with control characters escaped, a line stays a line.
 * What a client can cause is limited: beyond a number of lines a second the rest is only counted.
 */
#ifndef GATEWAY_LOG_H
#define GATEWAY_LOG_H

#include "base/errtext.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** A line that is being made. */
struct log_line {
    enum log_level level;
    bool wanted;
    size_t length;
    char text[4096]; /* cut at this size, at a field's end */
};

/** Where to: "stderr", "syslog", or a file's path, which stays the caller's. @return 0 or -errno.
 */
int log_open(const char *target, enum log_level level, bool json, struct errtext *why);
/** Opens the file again, after it was renamed. What cannot be opened stays as it is. */
void log_reopen(void);
void log_close(void);

/** Begins a line. @p event  words with dashes between. */
void log_begin(struct log_line *l, enum log_level level, const char *event);
/** Adds a field. @p key  no characters that need quoting. */
void log_text(struct log_line *l, const char *key, const char *value);
void log_number(struct log_line *l, const char *key, uint64_t value);
/** Writes the line. */
void log_end(struct log_line *l);

/** A line with a text alone. */
void log_event(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
