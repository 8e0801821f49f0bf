/* gzc find. */
#include "command.h"
#include "json.h"
#include "message.h"
#include "owner.h"
#include "target.h"
#include "text.h"
#include "walk.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    KEY_NAME = 256,
    KEY_INAME,
    KEY_PATH,
    KEY_TYPE,
    KEY_SIZE,
    KEY_MTIME,
    KEY_MMIN,
    KEY_NEWER,
    KEY_EMPTY,
    KEY_USER,
    KEY_NOT,
    KEY_MAXDEPTH,
    KEY_MINDEPTH,
    KEY_PRINT,
    KEY_PRINT0,
    KEY_DELETE,
};

struct test {
    int key;
    bool negated;
    const char *text;     /* a pattern, or the letters of types */
    char relation;        /* '+': more than, '-': less than, 0: exactly */
    uint64_t number;      /* of `unit`s */
    uint64_t unit;        /* bytes or seconds */
    struct timespec than; /* -newer */
    uid_t user;
};

struct options {
    struct test *tests;
    size_t count;
    bool negate; /* the next test */
    unsigned min_depth, max_depth;
    bool remove, zero;
    json_t *results; /* NULL without --json */
    struct timespec now;
    struct args args;
};

/* ---- tests ----------------------------------------------------------------------------------- */

static bool compare(const struct test *t, uint64_t value)
{
    return t->relation == '+'   ? value > t->number
           : t->relation == '-' ? value < t->number
                                : value == t->number;
}

static char type_of(mode_t mode)
{
    char text[11];
    text_mode(text, mode);
    return text[0] == '-' ? 'f' : text[0];
}

/* Whole units since the file was modified; 0 if that lies ahead. */
static uint64_t age(const struct options *o, const struct test *t, const struct stat *st)
{
    time_t seconds =
        o->now.tv_sec - st->st_mtim.tv_sec - (o->now.tv_nsec < st->st_mtim.tv_nsec ? 1 : 0);
    return seconds > 0 ? (uint64_t)seconds / t->unit : 0;
}

static bool newer(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static bool is_empty(struct walk *w)
{
    gzc_dir *dir;
    struct gzc_dirent e;
    if (S_ISREG(w->st.st_mode))
        return w->st.st_size == 0;
    if (!S_ISDIR(w->st.st_mode))
        return false;
    int rc = gzc_opendir(w->volume, w->path, &dir);
    if (rc < 0) {
        walk_complain(w, rc);
        return false;
    }
    do {
        rc = gzc_readdir(dir, &e);
    } while (rc > 0 && (strcmp(e.name, ".") == 0 || strcmp(e.name, "..") == 0));
    gzc_closedir(dir);
    return rc == 0;
}

static bool passes(struct walk *w, const struct options *o, const struct test *t)
{
    switch (t->key) {
    case KEY_NAME:
        return fnmatch(t->text, w->name, 0) == 0;
    case KEY_INAME:
        return fnmatch(t->text, w->name, FNM_CASEFOLD) == 0;
    case KEY_PATH:
        return fnmatch(t->text, w->path, 0) == 0;
    case KEY_TYPE:
        return strchr(t->text, type_of(w->st.st_mode)) != NULL;
    case KEY_SIZE:
        return compare(t, ((uint64_t)w->st.st_size + t->unit - 1) / t->unit);
    case KEY_NEWER:
        return newer(&w->st.st_mtim, &t->than);
    case KEY_EMPTY:
        return is_empty(w);
    case KEY_USER:
        return w->st.st_uid == t->user;
    default: /* -mtime, -mmin */
        return compare(t, age(o, t, &w->st));
    }
}

/* ---- the walk -------------------------------------------------------------------------------- */

static void found(struct walk *w, struct options *o)
{
    if (o->remove) {
        int rc =
            S_ISDIR(w->st.st_mode) ? gzc_rmdir(w->volume, w->path) : gzc_unlink(w->volume, w->path);
        if (rc < 0 && rc != -ENOENT)
            walk_complain(w, rc);
        return;
    }
    char *name = walk_name(w);
    if (o->results) {
        json_t *result = need(json_object());
        json_set_bytes(result, "uri", name);
        json_set_bytes(result, "path", w->path);
        json_set_stat(result, &w->st);
        json_array_append_new(o->results, result);
    } else if (o->zero) {
        fwrite(name, 1, strlen(name) + 1, stdout);
    } else {
        text_name(name);
        putchar('\n');
    }
    free(name);
}

/* Directories are looked at before what is in them, but when they are to be removed. */
static int visit(struct walk *w, enum walk_event event)
{
    struct options *o = w->arg;
    bool turn = event != (o->remove ? WALK_ENTER : WALK_LEAVE);
    bool all = turn && w->level >= o->min_depth;
    for (size_t i = 0; i < o->count && all; i++)
        all = passes(w, o, &o->tests[i]) != o->tests[i].negated;
    if (all)
        found(w, o);
    if (event == WALK_ENTER && w->level >= o->max_depth) {
        if (o->remove) /* it is not entered, and not left */
            return visit(w, WALK_LEAVE) == WALK_STOP ? WALK_STOP : WALK_SKIP;
        return WALK_SKIP;
    }
    return WALK_ON;
}

static int each(const struct target *t, void *arg)
{
    struct walk w = {.volume = t->volume, .visit = visit, .arg = arg};
    return walk(&w, t->uri, t->path);
}

/* ---- arguments ------------------------------------------------------------------------------- */

static bool parse_digits(const char *text, uint64_t *number, const char **end)
{
    char *rest;
    errno = 0;
    *number = strtoull(text, &rest, 10);
    *end = rest;
    return *text >= '0' && *text <= '9' && !errno;
}

static void parse_number(struct test *t, const char *text, const char *what,
                         struct argp_state *state)
{
    static const struct {
        char letter;
        uint64_t bytes;
    } units[] = {{'c', 1}, {'w', 2}, {'b', 512}, {'k', 1 << 10}, {'M', 1 << 20}, {'G', 1 << 30}};
    const char *end, *number = text;
    if (*number == '+' || *number == '-')
        t->relation = *number++;
    bool ok = parse_digits(number, &t->number, &end);
    for (size_t i = 0; ok && t->key == KEY_SIZE && i < sizeof(units) / sizeof(*units); i++)
        if (*end == units[i].letter && !end[1]) {
            t->unit = units[i].bytes;
            end++;
        }
    if (!ok || *end)
        argp_error(state, "'%s' is not %s", text, what);
}

static unsigned parse_depth(const char *text, struct argp_state *state)
{
    uint64_t depth = 0;
    const char *end = text;
    if (!parse_digits(text, &depth, &end) || *end || depth > INT_MAX)
        argp_error(state, "'%s' is not a depth", text);
    return (unsigned)depth;
}

static void parse_test(struct options *o, int key, const char *arg, struct argp_state *state)
{
    struct test t = {.key = key, .negated = o->negate, .text = arg};
    switch (key) {
    case KEY_TYPE:
        if (strspn(arg, "fdlpsbc,") != strlen(arg) || !*arg)
            argp_error(state, "'%s' is not a type: f, d, l, p, s, b or c", arg);
        break;
    case KEY_SIZE:
        t.unit = 512;
        parse_number(&t, arg,
                     "a size: a number, with + or - before it and c, w, b, k, M or G "
                     "behind it",
                     state);
        break;
    case KEY_MTIME:
        t.unit = 86400;
        parse_number(&t, arg, "a number of days, with + or - before it", state);
        break;
    case KEY_MMIN:
        t.unit = 60;
        parse_number(&t, arg, "a number of minutes, with + or - before it", state);
        break;
    case KEY_NEWER:
        t.than = target_reference(arg).st_mtim;
        break;
    case KEY_USER:
        if (!owner_user(arg, &t.user))
            argp_error(state, "'%s' is not a user", arg);
        break;
    }
    o->negate = false;
    o->tests = need(reallocarray(o->tests, o->count + 1, sizeof(t)));
    o->tests[o->count++] = t;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case KEY_NOT:
        o->negate = !o->negate;
        return 0;
    case KEY_MAXDEPTH:
        o->max_depth = parse_depth(arg, state);
        return 0;
    case KEY_MINDEPTH:
        o->min_depth = parse_depth(arg, state);
        return 0;
    case KEY_PRINT:
        return 0;
    case KEY_PRINT0:
        o->zero = true;
        return 0;
    case KEY_DELETE:
        o->remove = true;
        return 0;
    case ARGP_KEY_SUCCESS:
        if (o->negate)
            argp_error(state, "nothing follows -not");
        if (o->remove && (o->zero || o->results))
            argp_error(state, "-delete prints nothing");
        return 0;
    default:
        if (key < KEY_NAME || key > KEY_USER)
            return json_args_key(key, state, &o->args, 1, &o->results);
        parse_test(o, key, arg, state);
        return 0;
    }
}

int command_find(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"name", KEY_NAME, "GLOB", 0, "the name matches", 0},
        {"iname", KEY_INAME, "GLOB", 0, "the name matches, in upper or lower case", 0},
        {"path", KEY_PATH, "GLOB", 0, "the path on the volume matches", 0},
        {"type", KEY_TYPE, "LETTERS", 0, "one of f, d, l, p, s, b, c", 0},
        {"size", KEY_SIZE, "[+-]N[cwbkMG]", 0, "so many units, by default of 512 bytes", 0},
        {"mtime", KEY_MTIME, "[+-]N", 0, "modified so many days ago", 0},
        {"mmin", KEY_MMIN, "[+-]N", 0, "modified so many minutes ago", 0},
        {"newer", KEY_NEWER, "FILE", 0, "modified later than this URI or local file", 0},
        {"empty", KEY_EMPTY, NULL, 0, "an empty file or directory", 0},
        {"user", KEY_USER, "USER", 0, "belongs to a user", 0},
        {"not", KEY_NOT, NULL, 0, "the next test is to fail", 0},
        {"maxdepth", KEY_MAXDEPTH, "N", 0, "at most N levels below a URI", 1},
        {"mindepth", KEY_MINDEPTH, "N", 0, "at least N levels below a URI", 1},
        {"print", KEY_PRINT, NULL, 0, "print the URI: so it is without -delete", 2},
        {"print0", KEY_PRINT0, NULL, 0, "end each with a NUL, not a newline", 2},
        {"json", KEY_JSON, NULL, 0, "print a JSON document", 2},
        {"delete", KEY_DELETE, NULL, 0, "remove what is found; a directory must be empty by then",
         2},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "URI...",
                                     .doc = "Finds what passes all tests, at the URIs and below."};
    struct options o = {.max_depth = INT_MAX};
    clock_gettime(CLOCK_REALTIME, &o.now);
    argp_parse(&argp, argc, argv, ARGP_LONG_ONLY, NULL, &o);
    int status = targets_each(&o.args, each, &o);
    free(o.tests);
    if (o.results)
        json_print(o.results);
    return status;
}
