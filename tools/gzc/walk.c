#include "walk.h"

#include "interrupt.h"
#include "target.h"
#include "uri.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static int attributes(const struct walk *w, bool follow, struct stat *st)
{
    return target_stat(&(struct target){.path = (char *)w->path, .volume = w->volume}, follow, st);
}

/* ---- names ----------------------------------------------------------------------------------- */

char *walk_name(const struct walk *w)
{
    if (!w->level)
        return need(strdup(w->uri));
    return w->volume ? uri_join(w->uri, w->below) : need(strdup(w->path));
}

void walk_fail(struct walk *w, const char *why)
{
    w->status = EXIT_FAILURE;
    if (w->quiet)
        return;
    char *name = walk_name(w);
    complain(name, "%s", why);
    free(name);
}

void walk_complain(struct walk *w, int error)
{
    struct reason why;
    if (w->volume)
        reason_volume(&why, error, w->volume);
    else
        reason_set(&why, error, "");
    walk_fail(w, why.text);
}

static void set_text(struct walk *w, size_t length)
{
    w->length = length;
    w->text[length] = '\0';
    w->path = w->text;
    w->below = w->text + (w->start < length ? w->start : length);
}

/* Sets `name` by `path`. */
static void set_name(struct walk *w)
{
    const char *slash = memrchr(w->text, '/', w->length);
    w->name = slash && slash[1] ? slash + 1 : w->text;
}

/* Makes `path` the @p name in the directory whose path has @p length bytes. */
static void append(struct walk *w, size_t length, const char *name)
{
    size_t more = strlen(name), slash = length && w->text[length - 1] != '/';
    if (length + slash + more + 1 > w->room) {
        w->room = 2 * (length + slash + more + 1);
        w->text = need(realloc(w->text, w->room));
    }
    if (slash)
        w->text[length] = '/';
    memcpy(w->text + length + slash, name, more + 1);
    set_text(w, length + slash + more);
    w->name = w->text + length + slash;
}

/* ---- directories ----------------------------------------------------------------------------- */

struct folder {
    gzc_dir *remote;
    DIR *local;
    struct list list; /* with `sorted` */
    size_t next;
    size_t length; /* of its path */
    struct stat st;
    void *folder, *mine;
};

static int folder_open(struct walk *w, struct folder *f)
{
    if (w->volume)
        return gzc_opendir(w->volume, w->path, &f->remote);
    f->local = opendir(w->path);
    return f->local ? 0 : -errno;
}

static void folder_close(struct folder *f)
{
    gzc_closedir(f->remote);
    if (f->local)
        closedir(f->local);
    list_free(&f->list);
}

/* The next name of the directory. @return 1, 0 at its end, -errno after a message. */
static int folder_next(struct walk *w, struct folder *f, const char **name, struct stat *st)
{
    struct reason why;
    st->st_mode = 0;
    for (;;) {
        struct gzc_dirent e;
        int rc;
        if (w->volume) {
            rc = gzc_readdir(f->remote, &e);
            if (rc > 0 && e.has_stat)
                *st = e.st;
        } else {
            errno = 0;
            const struct dirent *d = readdir(f->local);
            rc = d ? 1 : -errno;
            if (d)
                e.name = d->d_name;
        }
        if (rc > 0 && (strcmp(e.name, ".") == 0 || strcmp(e.name, "..") == 0 ||
                       (e.name[0] == '.' && w->shown_only)))
            continue;
        if (rc > 0)
            *name = e.name;
        if (rc >= 0)
            return rc;
        set_text(w, f->length);
        if (w->volume)
            reason_dir(&why, rc, f->remote);
        else
            reason_set(&why, rc, "");
        walk_fail(w, why.text);
        return rc;
    }
}

/* folder_next(), from a sorted list of all. What cannot be read is told and left out. */
static int folder_next_sorted(struct walk *w, struct folder *f, const char **name, struct stat *st)
{
    if (f->next == f->list.count)
        return 0;
    const struct list_entry *e = &f->list.entries[f->next++];
    *name = e->name;
    *st = e->st;
    w->last = f->next == f->list.count;
    return 1;
}

static int folder_sort(struct walk *w, struct folder *f)
{
    const char *name;
    struct stat st;
    int rc;
    while ((rc = folder_next(w, f, &name, &st)) > 0)
        list_add(&f->list, name, &st);
    list_sort(&f->list);
    return rc;
}

/* ---- the walk -------------------------------------------------------------------------------- */

static int meet(struct walk *w);

/* Everything in the directory that `path` is. */
static int contents(struct walk *w, struct folder *f, bool *unread)
{
    const char *name;
    int rc = folder_open(w, f), action = WALK_ON;
    if (rc < 0) {
        walk_complain(w, rc);
        *unread = true;
        return WALK_ON;
    }
    if (w->sorted)
        *unread = folder_sort(w, f) < 0;
    w->level++;
    while (action == WALK_ON && !interrupted() &&
           (rc = w->sorted ? folder_next_sorted(w, f, &name, &w->st)
                           : folder_next(w, f, &name, &w->st)) > 0) {
        append(w, f->length, name);
        if (!w->st.st_mode)
            rc = attributes(w, false, &w->st);
        w->folder = f->mine;
        if (rc >= 0)
            action = meet(w);
        else if (rc != -ENOENT) /* it may have gone since */
            walk_complain(w, rc);
    }
    w->level--;
    *unread |= rc < 0;
    return interrupted() ? WALK_STOP : action;
}

/* What `path` is, whose attributes are known. */
static int meet(struct walk *w)
{
    if (!S_ISDIR(w->st.st_mode))
        return w->visit(w, WALK_FILE) == WALK_STOP ? WALK_STOP : WALK_ON;
    struct folder f = {.length = w->length, .st = w->st, .folder = w->folder};
    bool unread = false, last = w->last;
    w->mine = NULL;
    int action = w->visit(w, WALK_ENTER);
    if (action != WALK_ON)
        return action == WALK_SKIP ? WALK_ON : action;
    f.mine = w->mine;
    action = contents(w, &f, &unread);
    folder_close(&f);

    set_text(w, f.length);
    set_name(w);
    w->st = f.st;
    w->folder = f.folder;
    w->mine = f.mine;
    w->last = last;
    w->unread = unread || action == WALK_STOP;
    int left = w->visit(w, WALK_LEAVE);
    return action == WALK_STOP ? action : left;
}

int walk(struct walk *w, const char *name, const char *path)
{
    w->uri = name;
    w->level = 0;
    w->folder = NULL;
    w->last = true;
    w->text = NULL;
    w->room = 0;
    append(w, 0, path);
    /* "link/" is what the link leads to. */
    bool slash = w->length > 1 && w->text[w->length - 1] == '/';
    while (w->length > 1 && w->text[w->length - 1] == '/')
        w->length--;
    w->start = w->length + (w->length && w->text[w->length - 1] != '/');
    set_text(w, w->length);
    set_name(w);
    int rc = attributes(w, w->follow || slash, &w->st);
    if (rc < 0)
        walk_complain(w, rc);
    else
        meet(w);
    free(w->text);
    w->text = NULL;
    return w->status;
}
