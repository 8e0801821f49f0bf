/* gzc ln. */
#include "command.h"
#include "message.h"
#include "target.h"
#include "uri.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    bool symbolic, force, no_dereference;
    struct args args;
};

static int link_at(const struct options *o, const char *target, gzc_volume *volume,
                   const char *path)
{
    return o->symbolic ? gzc_symlink(volume, target, path) : gzc_link(volume, target, path);
}

/* Makes the link under another name and renames it, so that the name is never without a file. */
static int replace(const struct options *o, const char *target, const struct target *at)
{
    char *temporary;
    struct stat st;
    int rc = gzc_lstat(at->volume, at->path, &st);
    if (rc == 0 && S_ISDIR(st.st_mode))
        return -EISDIR;
    if (asprintf(&temporary, "%s.gzc-%d", at->path, (int)getpid()) < 0)
        need(NULL);
    rc = link_at(o, target, at->volume, temporary);
    if (rc == 0) {
        rc = gzc_rename(at->volume, temporary, at->path, 0);
        /* Renaming one link of an inode to another does nothing at all. */
        if (rc < 0 || (!o->symbolic && gzc_lstat(at->volume, temporary, &st) == 0))
            gzc_unlink(at->volume, temporary);
    }
    free(temporary);
    return rc;
}

/* @p target is the text of a symbolic link, or a path on the same volume. */
static int make(const struct options *o, const char *target, const struct target *at)
{
    int rc = link_at(o, target, at->volume, at->path);
    if (rc == -EEXIST && o->force)
        rc = replace(o, target, at);
    return rc < 0 ? target_complain(at, rc) : EXIT_SUCCESS;
}

static int link_one(const struct options *o, const char *from, const struct target *to,
                    bool directory)
{
    struct target source = {.path = (char *)from}, at = *to;
    if (!o->symbolic && !target_mount(&source, from))
        return EXIT_FAILURE;
    if (directory) {
        char *base = path_base(source.path);
        at = target_in(to, base);
        free(base);
    }
    int status = !o->symbolic && source.volume != to->volume
                     ? complain(at.uri, "%s: %s is on another volume", strerror(EXDEV), from)
                     : make(o, source.path, &at);
    if (directory)
        target_free(&at);
    if (!o->symbolic)
        target_free(&source);
    return status;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    (void)arg;
    switch (key) {
    case 's':
        o->symbolic = true;
        return 0;
    case 'f':
        o->force = true;
        return 0;
    case 'n':
        o->no_dereference = true;
        return 0;
    case ARGP_KEY_SUCCESS:
        for (int i = 0; i + 1 < o->args.count; i++)
            if (o->symbolic && uri_is(o->args.at[i]))
                argp_error(state, "'%s': a symbolic link holds a path, not a URI", o->args.at[i]);
        return 0;
    default:
        return args_key(key, state, &o->args, 2);
    }
}

int command_ln(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"force", 'f', NULL, 0, "replace what is there", 0},
        {"no-dereference", 'n', NULL, 0, "a link to a directory is not that directory", 0},
        {"symbolic", 's', NULL, 0, "symbolic links", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "URI... URI\n-s TEXT... URI",
        .doc =
            "Makes links to files of the same volume; symbolic ones hold TEXT. The last argument "
            "is the link, or the directory that links are made in."};
    struct options o = {0};
    struct target to;
    struct stat st;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int last = o.args.count - 1, status = EXIT_SUCCESS;
    if (!target_mount(&to, o.args.at[last]))
        return EXIT_FAILURE;
    int rc = target_stat(&to, !o.no_dereference, &st);
    bool directory = rc == 0 && S_ISDIR(st.st_mode);
    if (last > 1 && !directory)
        status = rc < 0 ? target_complain(&to, rc) : complain(to.uri, "%s", strerror(ENOTDIR));
    for (int i = 0; i < last && (directory || last == 1); i++)
        status |= link_one(&o, o.args.at[i], &to, directory);
    target_free(&to);
    return status;
}
