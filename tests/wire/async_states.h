/* async_states.h - operations that are ended early, by their deadline or by a cancel, in every
 * state in which that can be; each function is one state, and asserts all that rule 1 promises
 * there. */
#ifndef TESTS_WIRE_ASYNC_STATES_H
#define TESTS_WIRE_ASYNC_STATES_H

#include "tests/wire/async_rig.h"

enum ending { BY_DEADLINE, BY_CANCEL };

/** The reply to a READ of 64 bytes in four pieces stops after @p cut bytes. */
void end_read_at(enum ending by, size_t cut, const char *query, int take);
/** Cuts of such a reply where the receiver's state changes, and around. */
extern const size_t read_cuts[];
extern const unsigned read_cuts_count;
/** The reply to a WRITE stops after @p cut bytes. */
void end_write_at(enum ending by, size_t cut);
/** All slots of the connection are taken. */
void end_waiting_for_a_slot(enum ending by);
/** A large WRITE that the peer does not take stands before them. */
void end_behind_a_blocked_socket(enum ending by);
/** Of a WRITE of @p size bytes the peer has taken @p taken, and no more leaves. */
void end_half_sent(enum ending by, size_t size, size_t taken);
/** The same, and then the connection breaks. */
void end_half_sent_and_break(enum ending by);
/** Of 5 MiB, in calls of 1 MiB, the first is answered, the reply to the second is half here. */
void end_large_read(enum ending by);
/** Of 5 MiB the first is answered, the others were sent. */
void end_large_write(enum ending by);

#endif
