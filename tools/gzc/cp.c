/* gzc cp and mv. */
#include "args.h"
#include "command.h"
#include "interrupt.h"
#include "message.h"
#include "rm.h"
#include "target.h"
#include "tree_copy.h"
#include "uri.h"

#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS     4
#define MAX_JOBS 64

struct options {
    struct tree_copy copy;
    bool move;
    int status;
    void *bases; /* names that have been copied into the directory: a tsearch(3) tree */
    struct args args;
};

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Whether something of that name has gone to the same directory just now. */
static bool base_again(struct options *o, const char *base)
{
    char *name = need(strdup(base));
    char **found = need(tsearch(name, &o->bases, compare));
    bool again = *found != name;
    if (again)
        free(name);
    return again;
}

/* ---- mv -------------------------------------------------------------------------------------- */

/* What rename(2) would do to an empty directory in the way. */
static int clear_directory(const struct target *to)
{
    struct stat st;
    int rc = target_stat(to, false, &st);
    if (rc < 0 || !S_ISDIR(st.st_mode))
        return 0;
    return to->volume ? gzc_rmdir(to->volume, to->path) : rmdir(to->path) < 0 ? -errno : 0;
}

static int move_across(struct options *o, const struct target *from, const struct target *to)
{
    int rc = clear_directory(to);
    if (rc < 0)
        return target_complain(to, rc);
    o->copy.status = EXIT_SUCCESS;
    tree_copy(&o->copy, from, to);
    if (tree_copy_end(&o->copy) != EXIT_SUCCESS || interrupted())
        return complain(from->uri, "not removed, as not all of it has been copied");
    return remove_tree(from->volume, from->uri, from->path, false);
}

static int move_one(struct options *o, const struct target *from, const struct target *to)
{
    struct stat st;
    if (o->copy.copying.no_clobber && target_stat(to, false, &st) == 0)
        return EXIT_SUCCESS;
    if (!from->volume || from->volume != to->volume)
        return move_across(o, from, to);
    int rc = gzc_rename(from->volume, from->path, to->path, 0);
    if (rc < 0)
        return target_complain(from, rc);
    if (o->copy.verbose)
        tree_copy_tell(from, to);
    return EXIT_SUCCESS;
}

/* ---- both ------------------------------------------------------------------------------------ */

static void one(struct options *o, const struct target *from, const struct target *to)
{
    if (o->move)
        o->status |= move_one(o, from, to);
    else
        tree_copy(&o->copy, from, to);
}

static void one_into(struct options *o, const struct target *from, const struct target *directory)
{
    char *base = path_base(from->path);
    bool itself = !*base || strcmp(base, ".") == 0;
    if (strcmp(base, "..") == 0 || (itself && o->move)) {
        o->status = complain(from->uri, "has no name that it could have there");
    } else if (itself) { /* the root of a volume, or "dir/.": what is in it */
        one(o, from, directory);
    } else if (base_again(o, base)) {
        o->status = complain(from->uri, "'%s' has come from another source just now", base);
    } else {
        struct target to = target_in(directory, base);
        one(o, from, &to);
        target_free(&to);
    }
    free(base);
}

static void run(struct options *o, const struct targets *sources, const struct target *to)
{
    bool directory;
    if (!target_directory(to, sources->count > 1, &directory)) {
        o->status = EXIT_FAILURE;
        return;
    }
    interrupt_catch();
    if (o->copy.show)
        for (size_t i = 0; i < sources->count; i++)
            tree_copy_count(&o->copy, &sources->at[i]);
    tree_copy_show(&o->copy, true);
    for (size_t i = 0; i < sources->count && !interrupted(); i++)
        if (directory)
            one_into(o, &sources->at[i], to);
        else
            one(o, &sources->at[i], to);
    o->status |= tree_copy_end(&o->copy);
    tree_copy_show(&o->copy, false);
    if (interrupted())
        complain(to->uri, "interrupted; %ju files had been copied", (uintmax_t)o->copy.done);
    interrupt_release();
}

enum { KEY_PROGRESS = 256, KEY_VERIFY };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    struct preserve *preserve = &o->copy.copying.preserve;
    bool uri = false;
    switch (key) {
    case 'r':
    case 'R':
        o->copy.recursive = true;
        return 0;
    case 'a':
        o->copy.recursive = preserve->xattrs = true;
        /* fall through */
    case 'p':
        preserve->mode = preserve->times = true;
        preserve->owner = geteuid() == 0;
        return 0;
    case 'j':
        if (!*arg || strspn(arg, "0123456789") != strlen(arg) || !atoi(arg) || atoi(arg) > MAX_JOBS)
            argp_error(state, "'%s' is not a number of files in 1..%d", arg, MAX_JOBS);
        o->copy.jobs = (unsigned)atoi(arg);
        return 0;
    case 'f':
        o->copy.copying.no_clobber = false;
        return 0;
    case 'n':
        o->copy.copying.no_clobber = true;
        return 0;
    case 'q':
        o->copy.show = false;
        return 0;
    case 'v':
        o->copy.verbose = true;
        return 0;
    case KEY_PROGRESS:
        o->copy.show = true;
        return 0;
    case KEY_VERIFY:
        o->copy.copying.verify = true;
        return 0;
    case ARGP_KEY_SUCCESS:
        for (int i = 0; i < o->args.count; i++)
            uri |= uri_is(o->args.at[i]);
        if (!uri)
            argp_error(state, "no URI: local files are for %s(1)", o->move ? "mv" : "cp");
        return 0;
    default:
        return args_key(key, state, &o->args, 2);
    }
}

static int command(int argc, char **argv, const struct argp *argp, struct options *o)
{
    struct targets sources = {0};
    struct target to;
    o->copy.jobs = JOBS;
    o->copy.show = isatty(STDERR_FILENO);
    argp_parse(argp, argc, argv, 0, NULL, o);
    int last = o->args.count - 1;
    if (!target_any(&to, o->args.at[last]))
        return EXIT_FAILURE;
    o->status = targets_expand(&sources, &(struct args){o->args.at, last}, true);
    if (sources.count)
        run(o, &sources, &to);
    targets_free(&sources);
    target_free(&to);
    tdestroy(o->bases, free);
    interrupt_die();
    return o->status;
}

#define COMMON                                                                                     \
    {"force", 'f', NULL, 0, "replace what is there: undoes -n", 0},                                \
        {"jobs", 'j', "N", 0, "N files at a time (4)", 0},                                         \
        {"no-clobber", 'n', NULL, 0, "leave alone what is there", 0},                              \
        {"progress", KEY_PROGRESS, NULL, 0, "show progress, even if not on a terminal", 0},        \
        {"quiet", 'q', NULL, 0, "show no progress", 0},                                            \
        {"no-progress", 'q', NULL, OPTION_ALIAS, NULL, 0},                                         \
        {"verbose", 'v', NULL, 0, "say what has been done", 0},                                    \
        {"verify", KEY_VERIFY, NULL, 0, "read each copy back and compare its SHA-256 sum", 0},     \
    {                                                                                              \
        0                                                                                          \
    }

int command_cp(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"archive", 'a', NULL, 0, "-r and -p, and extended attributes of users", 0},
        {"preserve", 'p', NULL, 0, "permissions, times, and as root the owner", 0},
        {"recursive", 'r', NULL, 0,
         "directories with all that is in them; symbolic links and special files as what they are",
         0},
        {NULL, 'R', NULL, OPTION_ALIAS, NULL, 0},
        COMMON,
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "SOURCE... TARGET",
        .doc = "Copies files between volumes and the local file system. SOURCE and TARGET are URIs "
               "or local files; several sources need a directory."};
    return command(argc, argv, &argp, &(struct options){0});
}

int command_mv(int argc, char **argv)
{
    static const struct argp_option options[] = {COMMON};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "SOURCE... TARGET",
        .doc =
            "Renames on a volume, moves between volumes and the local file system. What is moved "
            "is removed when all of it has been copied."};
    struct options o = {.move = true, .copy.recursive = true};
    o.copy.copying.preserve = (struct preserve){true, true, geteuid() == 0, true};
    return command(argc, argv, &argp, &o);
}
