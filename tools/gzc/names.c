/* gzc rm, mkdir and rmdir. */
#include "args.h"
#include "command.h"
#include "message.h"
#include "target.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- rm, rmdir ------------------------------------------------------------------------------- */

static int each(const struct args *args, int (*call)(gzc_volume *, const char *), bool force)
{
    int status = EXIT_SUCCESS;
    for (int i = 0; i < args->count; i++) {
        struct target target;
        if (!target_mount(&target, args->at[i])) {
            status = EXIT_FAILURE;
            continue;
        }
        int rc = call(target.volume, target.path);
        if (rc < 0 && !(force && rc == -ENOENT))
            status = target_complain(&target, rc);
        target_unmount(&target);
    }
    return status;
}

struct rm_options {
    bool force;
    struct args args;
};

static error_t parse_rm(int key, char *arg, struct argp_state *state)
{
    struct rm_options *o = state->input;
    (void)arg;
    if (key != 'f')
        return args_key(key, state, &o->args, 1);
    o->force = true;
    return 0;
}

int command_rm(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"force", 'f', NULL, 0, "take it for success if a file is not there", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options, .parser = parse_rm, .args_doc = "URI...", .doc = "Removes files."};
    struct rm_options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    return each(&o.args, gzc_unlink, o.force);
}

int command_rmdir(int argc, char **argv)
{
    struct args args = args_uris(argc, argv, "Removes empty directories.");
    return each(&args, gzc_rmdir, false);
}

/* ---- mkdir ----------------------------------------------------------------------------------- */

struct mkdir_options {
    bool parents, exactly;
    mode_t mode, parent_mode;
    struct args args;
};

/* Makes every directory on the way to @p path that is not there. */
static int make_parents(struct target *t, mode_t mode)
{
    char *path = need(strdup(t->path));
    int rc = 0;
    for (char *end = path; rc == 0 && *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char *next = end + strspn(end, "/");
        if (!*next)
            break;
        char cut = *end;
        struct stat st;
        *end = '\0';
        rc = gzc_mkdir(t->volume, path, mode);
        /* What is there may be a symbolic link to a directory; the next step will tell. A file
         * system that is read-only says so before it looks. */
        if (rc < 0 && gzc_stat(t->volume, path, &st) == 0)
            rc = 0;
        *end = cut;
    }
    free(path);
    return rc;
}

static int make(const char *uri, const struct mkdir_options *o)
{
    struct target target;
    struct stat st;
    if (!target_mount(&target, uri))
        return EXIT_FAILURE;
    int rc = o->parents ? make_parents(&target, o->parent_mode) : 0;
    if (rc == 0)
        rc = gzc_mkdir(target.volume, target.path, o->mode);
    bool there = rc == -EEXIST && o->parents && gzc_stat(target.volume, target.path, &st) == 0 &&
                 S_ISDIR(st.st_mode);
    int status = rc < 0 && !there ? target_complain(&target, rc) : EXIT_SUCCESS;
    target_unmount(&target);
    return status;
}

static error_t parse_mkdir(int key, char *arg, struct argp_state *state)
{
    struct mkdir_options *o = state->input;
    char *end;
    unsigned long mode;
    switch (key) {
    case 'm':
        mode = strtoul(arg, &end, 8);
        if (!*arg || strspn(arg, "01234567") != strlen(arg) || mode > 07777)
            argp_error(state, "'%s' is not a mode: octal digits, at most 7777", arg);
        o->mode = (mode_t)mode;
        o->exactly = true;
        return 0;
    case 'p':
        o->parents = true;
        return 0;
    default:
        return args_key(key, state, &o->args, 1);
    }
}

int command_mkdir(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"mode", 'm', "MODE", 0, "permission bits in octal; the umask does not count", 0},
        {"parents", 'p', NULL, 0, "make missing directories on the way, take existing ones", 0},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse_mkdir,
                                     .args_doc = "URI...",
                                     .doc = "Makes directories."};
    struct mkdir_options o = {.mode = 0777};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (o.parents || o.exactly) {
        /* A mount takes the umask over. Not every directory is to obey it: --mode means exactly
         * that mode, and in a parent, whatever the umask, there must be room for its child. */
        mode_t mask = umask(0);
        if (!o.exactly)
            o.mode &= ~mask;
        o.parent_mode = (0777 & ~mask) | S_IWUSR | S_IXUSR;
    }
    int status = EXIT_SUCCESS;
    for (int i = 0; i < o.args.count; i++)
        status |= make(o.args.at[i], &o);
    return status;
}
