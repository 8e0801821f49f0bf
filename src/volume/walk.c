#include "volume/walk.h"

#include "proto/dict.h"
#include "volume/mdata.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

static const uint8_t root_gfid[16] = {[15] = 1};

#define GFID_PREFIX  "/.gfid/" /* as on a FUSE mount with the option aux-gfid-mount */
#define ANCESTRY_KEY "glusterfs.ancestry.path" /* posix-inode-fd-ops.c: posix_getxattr */

static void walk_on(struct path_op *p);

void walk_reset(struct walk *w, const char *path, unsigned flags)
{
    w->flags = flags;
    w->path = path;
    w->at = 0;
    w->links = w->depth = 0;
    w->missing = w->directory = w->stat_known = w->searchable = false;
    w->name[0] = '\0';
}

void path_op_init(struct path_op *p, struct gzc_volume *v, const char *path, unsigned flags)
{
    op_init(&p->op, v);
    walk_reset(&p->walk, path, flags);
    p->walk.trail = NULL;
    p->walk.room = 0;
}

void path_op_free(struct path_op *p)
{
    free(p->walk.trail);
    p->walk.trail = NULL;
}

const uint8_t *walk_dir(const struct walk *w)
{
    return w->depth ? w->trail[w->depth - 1] : w->base;
}

bool walk_is_root(const uint8_t *gfid)
{
    return memcmp(gfid, root_gfid, sizeof(root_gfid)) == 0;
}

void walk_fail(struct path_op *p, int error)
{
    errtext_set(op_why(&p->op), error, "'%.400s': %s", p->walk.path, errtext_errno(error));
    op_finish(&p->op, error);
}

static int walk_enter(struct walk *w, const uint8_t *gfid)
{
    w->searchable = false;
    if (w->depth == w->room) {
        unsigned room = w->room ? w->room * 2 : 16;
        gf_gfid *trail = realloc(w->trail, room * sizeof(*trail));
        if (!trail)
            return -ENOMEM;
        w->trail = trail;
        w->room = room;
    }
    memcpy(w->trail[w->depth++], gfid, sizeof(gf_gfid));
    return 0;
}

static void walk_to_root(struct walk *w)
{
    memcpy(w->base, root_gfid, sizeof(w->base));
    w->depth = 0;
}

/* Puts a path in front of what is left of the one we are on. */
static int walk_prepend(struct walk *w, const char *target)
{
    size_t length = strlen(target), left = strlen(w->rest + w->at);
    if (length + 1 + left >= sizeof(w->rest))
        return -ENAMETOOLONG;
    memmove(w->rest + length + 1, w->rest + w->at, left + 1);
    memcpy(w->rest, target, length);
    w->rest[length] = left ? '/' : '\0';
    if (!left && w->directory) /* "link/": the slash is not to be lost */
        memcpy(w->rest + length, "/", 2);
    w->at = 0;
    w->stat_known = w->searchable = false;
    if (target[0] == '/')
        walk_to_root(w);
    return 0;
}

/* Goes on along a symbolic link. */
static int walk_follow(struct walk *w, const char *target)
{
    if (!*target)
        return -ENOENT;
    return ++w->links > WALK_LINKS_MAX ? -ELOOP : walk_prepend(w, target);
}

static void walk_linked(struct op *op)
{
    struct path_op *p = (struct path_op *)op;
    struct walk *w = &p->walk;
    struct fop *fop = &w->fop;
    if (fop->error) {
        fop_free_results(fop);
        op_fail(op, fop, w->path);
        return;
    }
    int rc = walk_follow(w, fop->results.readlink.path);
    fop_free_results(fop);
    if (rc < 0)
        walk_fail(p, rc);
    else
        walk_on(p);
}

static bool walk_last(const struct walk *w)
{
    return w->rest[w->at] == '\0';
}

static void walk_marked(struct op *op)
{
    struct path_op *p = (struct path_op *)op;
    fop_free_results(&p->walk.fop);
    p->walk.found(p);
}

/* Takes the attributes from a LOOKUP's answer. If the inode lacks a record of its times it is given
 * one; `found` follows in any case. */
static void walk_take(struct path_op *p, void (*found)(struct path_op *))
{
    struct walk *w = &p->walk;
    struct fop *fop = &w->fop;
    bool mark = mdata_is_missing(&p->op, &fop->results.lookup);
    w->stat = fop->results.lookup.stat;
    w->found = found;
    fop_free_results(fop);
    if (!mark || mdata_make(&p->op, fop, &w->stat, walk_marked) < 0)
        found(p);
}

static void walk_go(struct path_op *p);

/* The answer to the LOOKUP of `name`. */
static void walk_found(struct op *op)
{
    struct path_op *p = (struct path_op *)op;
    struct walk *w = &p->walk;
    struct fop *fop = &w->fop;
    int error = fop->error;
    if (!error) {
        walk_take(p, walk_go);
        return;
    }
    fop_free_results(fop);
    if (error == -ENOENT && walk_last(w)) {
        w->missing = true;
        w->then(op);
        return;
    }
    if (error == -EPERM && !w->depth && !walk_is_root(w->base)) {
        walk_fail(p, -ENOTDIR); /* what a brick answers where the parent is no directory */
        return;
    }
    op_fail(op, fop, w->path);
}

/* Through, along, or to the end at what has been found. */
static void walk_go(struct path_op *p)
{
    struct op *op = &p->op;
    struct walk *w = &p->walk;
    struct fop *fop = &w->fop;
    int error;
    bool through = !walk_last(w) || w->directory;
    if (S_ISLNK(w->stat.mode) && (through || !(w->flags & WALK_NOFOLLOW))) {
        gf_readlink_args args = {.size = PATH_MAX};
        memcpy(args.gfid, w->stat.gfid, sizeof(args.gfid));
        op_round(op, 1, walk_linked);
        op_post(op, fop, fop->brick.session, GF_FOP_READLINK, &args);
    } else if (through && !S_ISDIR(w->stat.mode)) {
        walk_fail(p, -ENOTDIR);
    } else if (walk_last(w)) {
        w->then(op);
    } else if ((error = walk_enter(w, w->stat.gfid)) < 0) {
        walk_fail(p, error);
    } else {
        w->stat_known = true;
        walk_on(p);
    }
}

static void walk_end(struct path_op *p)
{
    if (p->walk.directory && !S_ISDIR(p->walk.stat.mode))
        walk_fail(p, -ENOTDIR);
    else
        p->walk.then(&p->op);
}

/* The path has ended at an inode that was not looked up by name: its attributes by gfid. */
static void walk_stat(struct op *op)
{
    struct path_op *p = (struct path_op *)op;
    struct fop *fop = &p->walk.fop;
    if (!fop->error) {
        walk_take(p, walk_end);
        return;
    }
    fop_free_results(fop);
    if (fop->error == -ENOENT)
        fop->error = -ESTALE;
    op_fail(op, fop, p->walk.path);
}

static void walk_lookup(struct path_op *p, const uint8_t *gfid, const uint8_t *parent, char *name,
                        void (*step)(struct op *))
{
    gf_lookup_args args = {.bname = name};
    if (gfid)
        memcpy(args.gfid, gfid, sizeof(args.gfid));
    if (parent)
        memcpy(args.pargfid, parent, sizeof(args.pargfid));
    int rc = mdata_request(&p->op, &args.xdata);
    if (rc < 0) {
        walk_fail(p, rc);
        return;
    }
    op_round(&p->op, 1, step);
    op_post(&p->op, &p->walk.fop, p->op.volume->sessions[0], GF_FOP_LOOKUP, &args);
    dict_free(&args.xdata);
}

/* Takes the next component into `name`; false at the end of the path, where `name` is "". */
static bool walk_component(struct walk *w)
{
    w->at += strspn(w->rest + w->at, "/");
    size_t length = strcspn(w->rest + w->at, "/");
    size_t copied = length < NAME_MAX ? length : NAME_MAX;
    memcpy(w->name, w->rest + w->at, copied);
    w->name[copied] = '\0';
    w->at += length;
    size_t slashes = strspn(w->rest + w->at, "/");
    if (length)
        w->directory = slashes > 0;
    if (w->rest[w->at + slashes] == '\0')
        w->at += slashes;
    return length > 0;
}

/* The path of the directory that we have begun in, so that its ".." can be gone to. */
static void walk_ancestry(struct op *op)
{
    struct path_op *p = (struct path_op *)op;
    struct walk *w = &p->walk;
    const char *path = walk_answered_path(w);
    int rc = path ? walk_prepend(w, path) : -ESTALE;
    fop_free_results(&w->fop);
    if (w->fop.error)
        op_fail(op, &w->fop, w->path);
    else if (rc < 0)
        walk_fail(p, rc);
    else
        walk_on(p);
}

const char *walk_answered_path(const struct walk *w)
{
    const struct fop *fop = &w->fop;
    const char *path =
        fop->error ? NULL : dict_get_string(&fop->results.xattr.xattrs, ANCESTRY_KEY);
    return path && path[0] == '/' ? path : NULL;
}

void walk_ask_path(struct path_op *p, const uint8_t *gfid, void (*step)(struct op *))
{
    char key[] = ANCESTRY_KEY;
    gf_getxattr_args args = {.namelen = sizeof(key) - 1, .name = key};
    memcpy(args.gfid, gfid, sizeof(args.gfid));
    op_round(&p->op, 1, step);
    op_post(&p->op, &p->walk.fop, p->op.volume->sessions[0], GF_FOP_GETXATTR, &args);
}

/* "." and ".." are names in the directory, which must be one that may be searched. A brick checks
 * that for the names that it looks up. */
static void walk_searched(struct op *op)
{
    struct path_op *p = (struct path_op *)op;
    struct walk *w = &p->walk;
    fop_free_results(&w->fop);
    w->searchable = true;
    if (w->fop.error)
        op_fail(op, &w->fop, w->path);
    else
        walk_on(p);
}

static bool walk_may_search(struct path_op *p)
{
    struct walk *w = &p->walk;
    gf_access_args args = {.mask = X_OK};
    if (w->searchable || caller_uid(p->op.context.caller) == 0)
        return true;
    memcpy(args.gfid, walk_dir(w), sizeof(args.gfid));
    op_round(&p->op, 1, walk_searched);
    op_post(&p->op, &w->fop, p->op.volume->sessions[0], GF_FOP_ACCESS, &args);
    return false;
}

static void walk_on(struct path_op *p)
{
    struct walk *w = &p->walk;
    for (;;) {
        size_t before = w->at;
        if (!walk_component(w)) {
            if (w->stat_known || w->flags & WALK_PARENT)
                w->then(&p->op);
            else
                walk_lookup(p, walk_dir(w), NULL, w->name, walk_stat);
            return;
        }
        if (w->at - before > NAME_MAX &&
            strcspn(w->rest + before + strspn(w->rest + before, "/"), "/") > NAME_MAX) {
            walk_fail(p, -ENAMETOOLONG);
            return;
        }
        bool to_parent = w->flags & WALK_PARENT && walk_last(w);
        bool dots = strcmp(w->name, ".") == 0 || strcmp(w->name, "..") == 0;
        if (!to_parent && dots && !walk_may_search(p)) {
            w->at = before;
            return;
        }
        if (!to_parent && strcmp(w->name, ".") == 0) {
            w->directory = true;
            continue;
        }
        if (!to_parent && strcmp(w->name, "..") == 0) {
            if (w->depth) {
                w->depth--;
            } else if (!walk_is_root(w->base)) {
                w->at = before;
                walk_ask_path(p, w->base, walk_ancestry);
                return;
            }
            w->stat_known = w->searchable = false;
            continue;
        }
        if (to_parent)
            w->then(&p->op);
        else
            walk_lookup(p, NULL, walk_dir(w), w->name, walk_found);
        return;
    }
}

/* Where the path begins. What is left of it goes on at w->at. */
static void walk_begin(struct walk *w, const struct gzc_volume *user)
{
    const char *uuid = w->rest + sizeof(GFID_PREFIX) - 1, *end = uuid + UUID_STR_LEN - 1;
    if (strncmp(w->rest, GFID_PREFIX, sizeof(GFID_PREFIX) - 1) == 0 &&
        strcspn(uuid, "/") == UUID_STR_LEN - 1 && uuid_parse_range(uuid, end, w->base) == 0)
        w->at = (size_t)(end - w->rest);
    else if (w->rest[0] == '/')
        walk_to_root(w);
    else
        memcpy(w->base, user->directory, sizeof(w->base));
    w->directory = w->rest[w->at] == '/';
}

void walk_start(struct path_op *p, void (*then)(struct op *op))
{
    struct walk *w = &p->walk;
    size_t length = strlen(w->path);
    w->then = then;
    if (length == 0 || length >= sizeof(w->rest)) {
        walk_fail(p, length ? -ENAMETOOLONG : -ENOENT);
        return;
    }
    memcpy(w->rest, w->path, length + 1);
    walk_begin(w, p->op.user);
    if (w->flags & WALK_FROM_ROOT && !walk_is_root(w->base))
        walk_ask_path(p, w->base, walk_ancestry);
    else
        walk_on(p);
}
