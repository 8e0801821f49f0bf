/* gzc tree. */
#include "command.h"
#include "json.h"
#include "message.h"
#include "target.h"
#include "text.h"
#include "walk.h"

#include <langinfo.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    bool all, utf8;
    unsigned depth;
    json_t *results; /* NULL without --json */
    uint64_t folders, files;
    char *open; /* for each level: does a line go on downwards there? */
    size_t room;
    struct args args;
};

/* ---- text ------------------------------------------------------------------------------------ */

/* The text of a symbolic link; NULL after a message. Memory of the caller's. */
static char *link_text(struct walk *w)
{
    char text[PATH_MAX];
    ssize_t n = gzc_readlink(w->volume, w->path, text, sizeof(text));
    if (n < 0) {
        walk_complain(w, (int)n);
        return NULL;
    }
    return need(strndup(text, (size_t)n));
}

static void set_open(struct options *o, unsigned level, bool open)
{
    if (level >= o->room) {
        o->room = 2 * (size_t)level + 16;
        o->open = need(realloc(o->open, o->room));
    }
    o->open[level] = open;
}

/* "│   ├── name -> text" */
static void print(struct walk *w, struct options *o)
{
    set_open(o, w->level, !w->last);
    for (unsigned level = 1; level < w->level; level++)
        fputs(!o->open[level] ? "    " : o->utf8 ? "│   " : "|   ", stdout);
    if (!w->level) {
        text_name(w->uri);
    } else {
        fputs(!o->utf8 ? w->last ? "`-- " : "|-- " : w->last ? "└── " : "├── ", stdout);
        text_name(w->name);
    }
    char *text = S_ISLNK(w->st.st_mode) ? link_text(w) : NULL;
    if (text) {
        fputs(" -> ", stdout);
        text_name(text);
    }
    free(text);
    putchar('\n');
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Adds the object of what is met to that of its directory. @return it. */
static json_t *report(struct walk *w, struct options *o)
{
    json_t *result = need(json_object()), *above = w->folder;
    char *uri = walk_name(w);
    if (w->level)
        json_set_bytes(result, "name", w->name);
    json_set_bytes(result, "uri", uri);
    json_set_stat(result, &w->st);
    char *text = S_ISLNK(w->st.st_mode) ? link_text(w) : NULL;
    if (text)
        json_set_bytes(result, "target", text);
    free(text);
    free(uri);
    if (S_ISDIR(w->st.st_mode) && w->level < o->depth)
        json_object_set_new(result, "entries", need(json_array()));
    json_array_append_new(above ? json_object_get(above, "entries") : o->results, result);
    return result;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int visit(struct walk *w, enum walk_event event)
{
    struct options *o = w->arg;
    if (event == WALK_LEAVE)
        return WALK_ON;
    if (w->level && event == WALK_ENTER)
        o->folders++;
    if (event == WALK_FILE)
        o->files++;
    if (o->results)
        w->mine = report(w, o);
    else
        print(w, o);
    return event == WALK_ENTER && w->level >= o->depth ? WALK_SKIP : WALK_ON;
}

static int each(const struct target *t, void *arg)
{
    const struct options *o = arg;
    struct walk w = {.volume = t->volume,
                     .sorted = true,
                     .shown_only = !o->all,
                     .follow = true,
                     .visit = visit,
                     .arg = arg};
    return walk(&w, t->uri, t->path);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    unsigned long depth;
    switch (key) {
    case 'a':
        o->all = true;
        return 0;
    case 'L':
        depth = strtoul(arg, NULL, 10);
        if (!*arg || strspn(arg, "0123456789") != strlen(arg) || !depth || depth > INT_MAX)
            argp_error(state, "'%s' is not a number of levels", arg);
        o->depth = (unsigned)depth;
        return 0;
    default:
        return json_args_key(key, state, &o->args, 1, &o->results);
    }
}

int command_tree(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"all", 'a', NULL, 0, "names that begin with a dot too", 0},
        {NULL, 'L', "N", 0, "N levels only", 0},
        {"json", KEY_JSON, NULL, 0, "print a JSON document", 0},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "URI...",
                                     .doc = "Shows directories with all that is in them."};
    struct options o = {.depth = INT_MAX, .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int status = targets_each(&o.args, each, &o);
    free(o.open);
    if (o.results)
        json_print(o.results);
    else
        printf("\n%ju director%s, %ju file%s\n", (uintmax_t)o.folders, o.folders == 1 ? "y" : "ies",
               (uintmax_t)o.files, o.files == 1 ? "" : "s");
    return status;
}
