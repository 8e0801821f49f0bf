/* gzc chmod and chown. */
#include "command.h"
#include "message.h"
#include "mode.h"
#include "owner.h"
#include "target.h"
#include "walk.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct options {
    bool recursive, no_dereference;
    struct args args;
    /* chmod */
    struct mode_change change;
    mode_t mask;
    char minus[64]; /* a mode that begins with a minus */
    /* chown */
    uid_t uid;
    gid_t gid;
    /* one of them */
    int (*apply)(const struct options *o, gzc_volume *volume, const char *path,
                 const struct stat *st);
};

/* ---- both ------------------------------------------------------------------------------------ */

static int visit(struct walk *w, enum walk_event event)
{
    const struct options *o = w->arg;
    /* Before what is in it: afterwards it may be closed to us. That it opens is no matter. */
    if (event == WALK_LEAVE)
        return WALK_ON;
    int rc = o->apply(o, w->volume, w->path, &w->st);
    if (rc < 0)
        walk_complain(w, rc);
    return WALK_ON;
}

static int change(const struct target *t, void *arg)
{
    struct options *o = arg;
    struct walk w = {.volume = t->volume, .follow = !o->no_dereference, .visit = visit, .arg = o};
    struct stat st;
    if (o->recursive)
        return walk(&w, t->uri, t->path);
    int rc = target_stat(t, !o->no_dereference, &st);
    if (rc == 0)
        rc = o->apply(o, t->volume, t->path, &st);
    return rc < 0 ? target_complain(t, rc) : EXIT_SUCCESS;
}

/* ---- chmod ----------------------------------------------------------------------------------- */

static int apply_mode(const struct options *o, gzc_volume *volume, const char *path,
                      const struct stat *st)
{
    /* A symbolic link that the walk met has no permissions. */
    if (S_ISLNK(st->st_mode))
        return 0;
    bool directory = S_ISDIR(st->st_mode);
    return gzc_chmod(volume, path, mode_changed(&o->change, st->st_mode, directory, o->mask));
}

static error_t parse_chmod(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    size_t length;
    (void)arg;
    switch (key) {
    case 'R':
        o->recursive = true;
        return 0;
    case 'r':
    case 'w':
    case 'x':
    case 'X':
    case 's':
    case 't':
        /* "-rw" is a mode, though it looks like options. */
        length = strlen(o->minus);
        if (length + 2 < sizeof(o->minus)) {
            o->minus[length] = '-';
            o->minus[length + 1] = (char)key;
        }
        return 0;
    case ARGP_KEY_END: {
        bool minus = o->minus[0] != '\0';
        if (o->args.count < (minus ? 1 : 2))
            argp_error(state, "a mode and a URI are needed");
        const char *mode = minus ? o->minus : *o->args.at;
        if (!mode_parse(&o->change, mode))
            argp_error(state, "'%s' is not a mode", mode);
        o->args.at += !minus;
        o->args.count -= !minus;
        return 0;
    }
    default:
        return args_key(key, state, &o->args, 0);
    }
}

int command_chmod(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"recursive", 'R', NULL, 0, "with all that is in directories", 0},
        {NULL, 'r', NULL, OPTION_HIDDEN, NULL, 0},
        {NULL, 'w', NULL, OPTION_HIDDEN, NULL, 0},
        {NULL, 'x', NULL, OPTION_HIDDEN, NULL, 0},
        {NULL, 'X', NULL, OPTION_HIDDEN, NULL, 0},
        {NULL, 's', NULL, OPTION_HIDDEN, NULL, 0},
        {NULL, 't', NULL, OPTION_HIDDEN, NULL, 0},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse_chmod,
                                     .args_doc = "MODE URI...",
                                     .doc = "Changes permissions, to octal digits or as u+x,go-w."};
    struct options o = {.apply = apply_mode};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    o.mask = umask(0);
    umask(o.mask);
    return targets_each(&o.args, change, &o);
}

/* ---- chown ----------------------------------------------------------------------------------- */

static int apply_owner(const struct options *o, gzc_volume *volume, const char *path,
                       const struct stat *st)
{
    /* A symbolic link that the walk met, or that is not to be followed. */
    return S_ISLNK(st->st_mode) ? gzc_lchown(volume, path, o->uid, o->gid)
                                : gzc_chown(volume, path, o->uid, o->gid);
}

/* USER, USER:GROUP, USER: (that user's group), :GROUP. */
static void parse_owner(struct options *o, const char *text, struct argp_state *state)
{
    char *user = need(strdup(text)), *group = strchr(user, ':');
    o->uid = (uid_t)-1;
    o->gid = (gid_t)-1;
    if (group)
        *group++ = '\0';
    if (*user && !owner_user(user, &o->uid))
        argp_error(state, "'%s' is not a user", user);
    if (group && *group && !owner_group(group, &o->gid))
        argp_error(state, "'%s' is not a group", group);
    if (group && !*group && *user && !owner_login_group(user, &o->gid))
        argp_error(state, "'%s' is no user of this machine, with a group", user);
    free(user);
}

static error_t parse_chown(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    (void)arg;
    switch (key) {
    case 'R':
        o->recursive = true;
        return 0;
    case 'h':
        o->no_dereference = true;
        return 0;
    case ARGP_KEY_END:
        if (o->args.count < 2)
            argp_error(state, "an owner and a URI are needed");
        parse_owner(o, *o->args.at++, state);
        o->args.count--;
        return 0;
    default:
        return args_key(key, state, &o->args, 0);
    }
}

int command_chown(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"no-dereference", 'h', NULL, 0, "a symbolic link itself, not what it leads to", 0},
        {"recursive", 'R', NULL, 0, "with all that is in directories", 0},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse_chown,
                                     .args_doc = "USER[:GROUP] URI...\n:GROUP URI...",
                                     .doc = "Changes owner and group. Names are those of this "
                                            "machine."};
    struct options o = {.apply = apply_owner};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    return targets_each(&o.args, change, &o);
}
