#include "args.h"

#include <stddef.h>

error_t args_key(int key, struct argp_state *state, struct args *args, int least)
{
    switch (key) {
    case ARGP_KEY_ARGS:
        args->at = state->argv + state->next;
        args->count = state->argc - state->next;
        return 0;
    case ARGP_KEY_END:
        if (args->count < least)
            argp_error(state, args->count ? "an argument is missing" : "no URI");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    return args_key(key, state, state->input, 1);
}

struct args args_uris(int argc, char **argv, const char *doc)
{
    const struct argp argp = {.parser = parse, .args_doc = "URI...", .doc = doc};
    struct args args = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &args);
    return args;
}
