/* gzc rm and rmdir. */
#include "rm.h"

#include "command.h"
#include "message.h"
#include "target.h"
#include "text.h"
#include "walk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOT_INO 1 /* of every volume's root */

struct options {
    bool force, recursive, verbose;
    struct args args;
};

static void removed(const char *name, bool verbose)
{
    if (!verbose)
        return;
    fputs("removed '", stdout);
    text_name(name);
    fputs("'\n", stdout);
}

static int remove_visit(struct walk *w, enum walk_event event)
{
    const bool *verbose = w->arg;
    if (event == WALK_ENTER)
        return WALK_ON;
    int rc;
    if (w->volume)
        rc = event == WALK_LEAVE ? gzc_rmdir(w->volume, w->path) : gzc_unlink(w->volume, w->path);
    else
        rc = (event == WALK_LEAVE ? rmdir(w->path) : unlink(w->path)) < 0 ? -errno : 0;
    /* A directory that could not be read through, or not emptied, has been complained of. */
    if (rc == -ENOENT || (rc == -ENOTEMPTY && w->status))
        return WALK_ON;
    if (rc < 0) {
        walk_complain(w, rc);
    } else if (*verbose) {
        char *name = walk_name(w);
        removed(name, true);
        free(name);
    }
    return WALK_ON;
}

int remove_tree(gzc_volume *volume, const char *name, const char *path, bool verbose)
{
    struct walk w = {.volume = volume, .visit = remove_visit, .arg = &verbose};
    return walk(&w, name, path);
}

static int remove_one(const struct target *t, void *arg)
{
    const struct options *o = arg;
    struct stat st;
    int rc = o->recursive ? gzc_lstat(t->volume, t->path, &st) : gzc_unlink(t->volume, t->path);
    if (rc == -ENOENT && o->force)
        return EXIT_SUCCESS;
    if (rc < 0)
        return target_complain(t, rc);
    if (o->recursive && S_ISDIR(st.st_mode) && st.st_ino == ROOT_INO)
        return complain(t->uri, "the root of a volume is not removed");
    if (o->recursive)
        return remove_tree(t->volume, t->uri, t->path, o->verbose);
    removed(t->uri, o->verbose);
    return EXIT_SUCCESS;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    (void)arg;
    switch (key) {
    case 'f':
        o->force = true;
        return 0;
    case 'r':
    case 'R':
        o->recursive = true;
        return 0;
    case 'v':
        o->verbose = true;
        return 0;
    default:
        return args_key(key, state, &o->args, o->force ? 0 : 1);
    }
}

int command_rm(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"force", 'f', NULL, 0, "take it for success if a file is not there", 0},
        {"recursive", 'r', NULL, 0, "remove directories with all that is in them", 0},
        {NULL, 'R', NULL, OPTION_ALIAS, NULL, 0},
        {"verbose", 'v', NULL, 0, "say what has been removed", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options, .parser = parse, .args_doc = "URI...", .doc = "Removes files."};
    struct options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    return targets_each(&o.args, remove_one, &o);
}

static int remove_directory(const struct target *t, void *arg)
{
    (void)arg;
    int rc = gzc_rmdir(t->volume, t->path);
    return rc < 0 ? target_complain(t, rc) : EXIT_SUCCESS;
}

int command_rmdir(int argc, char **argv)
{
    struct args args = args_uris(argc, argv, "Removes empty directories.");
    return targets_each(&args, remove_directory, NULL);
}
