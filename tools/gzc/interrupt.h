/* Signals that ask gzc to stop, for the commands that have something to finish first. */
#ifndef GZC_INTERRUPT_H
#define GZC_INTERRUPT_H

/**
 * From here on the first SIGINT, SIGTERM or SIGHUP is only noted; a second one of the same kind
 * ends the program at once. Signals that are ignored stay so.
 */
void interrupt_catch(void);
/** Undoes interrupt_catch(). A signal that was noted stays noted. */
void interrupt_release(void);
/** The signal that was noted, or 0. */
int interrupted(void);
/** Sleeps, until a signal is noted if one is. */
void interrupt_sleep(double seconds);
/** Dies of the signal that was noted, so that a shell stops too. After interrupt_release(). */
void interrupt_die(void);

#endif
