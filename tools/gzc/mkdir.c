/* gzc mkdir. */
#include "args.h"
#include "command.h"
#include "message.h"
#include "mode.h"
#include "target.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct mkdir_options {
    bool parents, exactly;
    struct mode_change change;
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
    target_free(&target);
    return status;
}

static error_t parse_mkdir(int key, char *arg, struct argp_state *state)
{
    struct mkdir_options *o = state->input;
    switch (key) {
    case 'm':
        if (!mode_parse(&o->change, arg))
            argp_error(state, "'%s' is not a mode", arg);
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
        {"mode", 'm', "MODE", 0, "permission bits, as chmod takes them; the umask does not count",
         0},
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
        o.mode = o.exactly ? mode_changed(&o.change, 0777, true, mask) : 0777 & ~mask;
        o.parent_mode = (0777 & ~mask) | S_IWUSR | S_IXUSR;
    }
    int status = EXIT_SUCCESS;
    for (int i = 0; i < o.args.count; i++)
        status |= make(o.args.at[i], &o);
    return status;
}
