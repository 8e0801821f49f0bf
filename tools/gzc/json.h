/* JSON documents. Memory that runs out ends the program. */
#ifndef GZC_JSON_H
#define GZC_JSON_H

#include "args.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/stat.h>

/**
 * Sets @p key to bytes that should be, but need not be, UTF-8. If they are not, what is wrong in
 * them shows as U+FFFD, and "<key>_bytes" has all of them in hexadecimal.
 */
void json_set_bytes(json_t *object, const char *key, const char *bytes);
/** Sets @p key to a number. */
void json_set_number(json_t *object, const char *key, uint64_t number);
/** Sets the members that describe a file: type, mode, size, ... The inode number
 *  is a string: it has 64 bits, and readers commonly keep 53 of a number. */
void json_set_stat(json_t *object, const struct stat *st);
/** Of the option --json; above the keys that commands number from 256 on. */
enum { KEY_JSON = 0x1000 };
/** args_key() of a command with --json, which makes *@p results an array, to begin with empty. */
error_t json_args_key(int key, struct argp_state *state, struct args *args, int least,
                      json_t **results);
/** Prints and frees @p document. */
void json_print(json_t *document);

#endif
