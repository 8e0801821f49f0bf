/* How bytes, sizes and times are shown. */
#ifndef GZC_TEXT_H
#define GZC_TEXT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define TEXT_WHOLE INT_MAX

/**
 * Writes @p text so that a terminal shows it and is not controlled by it: what does not print in
 * the locale, or is no character of it, is written as in C (\n, \033), and a backslash twice.
 * @param out  NULL only measures.
 * @param max  stop before this many columns are exceeded; or TEXT_WHOLE.
 * @return the columns it takes.
 */
int text_put(FILE *out, const char *text, int max);

/** Writes a name to the standard output: as text_put() to a terminal, unchanged otherwise. */
void text_name(const char *name);

/** The width of the terminal @p fd; 80 if it cannot be told. */
int text_width(int fd);

/** Writes a number of bytes for people, e.g. "1.5 GiB". */
void text_bytes(char out[16], double bytes);

/** The same as df and du write it: rounded up, one letter, e.g. "1.5G". */
void text_human(char out[16], uint64_t bytes);

/** Reads digits with one of K, M, G, T, P, E, powers of 1024, or nothing behind them. @return false
 *  if @p text is something else, or more than 64 bits. */
bool text_parse_bytes(const char *text, uint64_t *bytes);

/** Writes the file type and permissions as ls -l does, e.g. "drwxr-xr-x". */
void text_mode(char out[11], mode_t mode);

/** Writes a time of the local zone as @p format (strftime) has it. */
void text_time(char *out, size_t size, const char *format, time_t when);

/** The name of a user or group; the number in digits if it has none. Static memory. */
const char *text_user(uid_t uid);
const char *text_group(gid_t gid);

/** Nanoseconds of a clock that only goes forward. */
uint64_t text_clock(void);

#endif
