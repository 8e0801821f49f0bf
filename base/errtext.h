/* Error texts: a failure is a negative errno plus a text that says what failed, where and why. */
#ifndef BASE_ERRTEXT_H
#define BASE_ERRTEXT_H

#define ERRTEXT_SIZE 512

/** The text of one failure; "" if there was none. */
struct errtext {
    char text[ERRTEXT_SIZE];
};

/**
 * Formats the text of failure @p err (either sign) into @p e, cut at its size. @p e may be NULL,
 * and the arguments may point into e->text. So that one line both says and returns an error: return
 * errtext_set(why, EINVAL, "port %ld is out of range", port);
 * @return the error as a negative errno.
 */
int errtext_set(struct errtext *e, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** The system's text for @p err (either sign), e.g. "Connection refused". A static string. */
const char *errtext_errno(int err);

#endif
