/* The arguments of a command that are no options. */
#ifndef GZC_ARGS_H
#define GZC_ARGS_H

#include <argp.h>

struct args {
    char **at;
    int count;
};

/** What an argp parser does with keys that are no options of its own: takes the arguments into
 *  @p args. Ends the program if there are fewer than @p least. */
error_t args_key(int key, struct argp_state *state, struct args *args, int least);

/** Parses the arguments, at least one URI, of a command without options. @p doc is its help. */
struct args args_uris(int argc, char **argv, const char *doc);

#endif
