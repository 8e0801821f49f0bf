/* What gzc says when something fails: one line on the standard error. */
#ifndef GZC_MESSAGE_H
#define GZC_MESSAGE_H

#include <gzc.h>

/** Why something failed, as a sentence's end: "No such file or directory (...)". */
struct reason {
    char text[1024];
};

/** Sets the name of the command, which stands in all messages. Kept by reference. */
void message_command(const char *name);

/**
 * Prints "gzc: COMMAND OBJECT: ..." on the standard error, as one line whatever the arguments hold.
 * @return EXIT_FAILURE, for the caller to return.
 */
int complain(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Returns @p memory; ends the program with a message if it is NULL. */
void *need(void *memory);

/** Sets @p r to the text of @p error, a negative errno, and @p detail in parentheses; @p detail may
 *  be "". Each returns @p error. */
int reason_set(struct reason *r, int error, const char *detail);
/** reason_set() with the last failure on a volume, file or directory as the detail. */
int reason_volume(struct reason *r, int error, const gzc_volume *volume);
int reason_file(struct reason *r, int error, const gzc_file *file);
int reason_dir(struct reason *r, int error, const gzc_dir *dir);

#endif
