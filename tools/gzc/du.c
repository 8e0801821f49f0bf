/* gzc du. */
#include "command.h"
#include "json.h"
#include "message.h"
#include "target.h"
#include "text.h"
#include "walk.h"

#include <limits.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    bool all, human, apparent, bytes;
    unsigned depth;
    json_t *results; /* NULL without --json */
    void *seen;      /* inodes with several links that have been counted: a tsearch(3) tree */
    struct args args;
};

struct sum {
    uint64_t bytes, files;
};

static int compare(const void *a, const void *b)
{
    ino_t left = *(const ino_t *)a, right = *(const ino_t *)b;
    return (left > right) - (left < right);
}

/* Whether a file of several names has been counted under another. */
static bool counted(struct options *o, const struct stat *st)
{
    if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
        return false;
    ino_t *ino = need(malloc(sizeof(*ino)));
    *ino = st->st_ino;
    ino_t **found = need(tsearch(ino, &o->seen, compare));
    bool old = *found != ino;
    if (old)
        free(ino);
    return old;
}

static void show(const struct walk *w, const struct sum *sum, const struct options *o)
{
    char *name = walk_name(w);
    if (o->results) {
        json_t *result = need(json_object());
        json_set_bytes(result, "uri", name);
        json_set_number(result, "bytes", sum->bytes);
        json_set_number(result, "files", sum->files);
        json_array_append_new(o->results, result);
    } else {
        char text[16];
        if (o->human)
            text_human(text, sum->bytes);
        if (o->human)
            printf("%s\t", text);
        else
            printf("%ju\t", (uintmax_t)(o->bytes ? sum->bytes : (sum->bytes + 1023) / 1024));
        text_name(name);
        putchar('\n');
    }
    free(name);
}

static uint64_t size_of(const struct options *o, const struct stat *st)
{
    return o->apparent ? (uint64_t)st->st_size : (uint64_t)st->st_blocks * 512;
}

static int visit(struct walk *w, enum walk_event event)
{
    struct options *o = w->arg;
    struct sum own = {.files = 1}, *sum = event == WALK_FILE ? &own : w->mine, *above = w->folder;
    if (event == WALK_ENTER) {
        w->mine = sum = need(malloc(sizeof(*sum)));
        *sum = (struct sum){.bytes = size_of(o, &w->st), .files = 1};
        return WALK_ON;
    }
    if (event == WALK_FILE) {
        if (counted(o, &w->st))
            return WALK_ON;
        own.bytes = size_of(o, &w->st);
    }
    if (above) {
        above->bytes += sum->bytes;
        above->files += sum->files;
    }
    if (!w->level || (w->level <= o->depth && (event == WALK_LEAVE || o->all)))
        show(w, sum, o);
    if (event == WALK_LEAVE)
        free(sum);
    return WALK_ON;
}

static int each(const struct target *t, void *arg)
{
    struct walk w = {.volume = t->volume, .sorted = true, .visit = visit, .arg = arg};
    return walk(&w, t->uri, t->path);
}

enum { KEY_APPARENT = 256 };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *end;
    unsigned long depth;
    switch (key) {
    case 'a':
        o->all = true;
        return 0;
    case 'b':
        o->bytes = o->apparent = true;
        return 0;
    case 'd':
        depth = strtoul(arg, &end, 10);
        if (!*arg || strspn(arg, "0123456789") != strlen(arg) || depth > INT_MAX)
            argp_error(state, "'%s' is not a depth", arg);
        o->depth = (unsigned)depth;
        return 0;
    case 'h':
        o->human = true;
        return 0;
    case 's':
        o->depth = 0;
        return 0;
    case KEY_APPARENT:
        o->apparent = true;
        return 0;
    default:
        return json_args_key(key, state, &o->args, 1, &o->results);
    }
}

int command_du(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"all", 'a', NULL, 0, "files too, not only directories", 0},
        {"apparent-size", KEY_APPARENT, NULL, 0, "lengths, not the space that is taken", 0},
        {"bytes", 'b', NULL, 0, "--apparent-size in bytes", 0},
        {"max-depth", 'd', "N", 0, "show N levels of directories", 0},
        {"human-readable", 'h', NULL, 0, "sizes with a unit, e.g. 1.5G", 0},
        {"summarize", 's', NULL, 0, "show the sum of each URI only", 0},
        {"json", KEY_JSON, NULL, 0, "print a JSON document, in bytes", 0},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "URI...",
                                     .doc =
                                         "Shows the space that directories take, with all that is "
                                         "in them, in units of 1024 bytes."};
    struct options o = {.depth = INT_MAX};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int status = targets_each(&o.args, each, &o);
    tdestroy(o.seen, free);
    if (o.results)
        json_print(o.results);
    return status;
}
