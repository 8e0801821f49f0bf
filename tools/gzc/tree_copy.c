#include "tree_copy.h"

#include "attributes.h"
#include "interrupt.h"
#include "message.h"
#include "text.h"
#include "walk.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A directory of the copy, until everything in it is there: setting its times comes last. */
struct folder {
    struct tree_copy *tree;
    struct folder *above;
    unsigned users; /* what is being copied in it, and the walk while it is in there */
    bool created;
    struct target from, to;
    struct stat st;
};

/* A file, link or device on its way. */
struct item {
    struct tree_copy *tree;
    struct folder *folder; /* that it is in; NULL: what the copy began with */
    struct target from, to;
};

/* ---- messages -------------------------------------------------------------------------------- */

static void fail(struct tree_copy *t, const struct target *at, int error)
{
    t->status = target_complain(at, error);
}

static void fail_reason(struct tree_copy *t, const struct target *at, const char *format,
                        const struct reason *why)
{
    t->status = complain(at->uri, format, why->text);
}

void tree_copy_tell(const struct target *from, const struct target *to)
{
    progress_clear();
    putchar('\'');
    text_name(from->uri);
    fputs("' -> '", stdout);
    text_name(to->uri);
    fputs("'\n", stdout);
}

static void tell(const struct tree_copy *t, const struct target *from, const struct target *to)
{
    if (t->verbose)
        tree_copy_tell(from, to);
}

/* ---- directories ----------------------------------------------------------------------------- */

static void folder_attributes(struct folder *f)
{
    const struct preserve *p = &f->tree->copying.preserve;
    struct reason why;
    if (p->xattrs && xattrs_copy(f->from.volume, f->from.path, f->to.volume, f->to.path, &why) < 0)
        fail_reason(f->tree, &f->to, "copied, but not its extended attributes: %s", &why);
    struct preserve preserve = *p;
    struct stat st = f->st;
    if (f->created && !p->mode && (st.st_mode & S_IRWXU) != S_IRWXU) {
        /* It was made so that files could be made in it. */
        mode_t mask = umask(0);
        umask(mask);
        st.st_mode &= S_IFMT | (0777 & ~mask);
        preserve.mode = true;
    }
    if (attributes_set(f->to.volume, f->to.path, &preserve, &st, &why) < 0)
        fail_reason(f->tree, &f->to, "copied, but not its %s", &why);
}

static void folder_release(struct folder *f)
{
    while (f && --f->users == 0) {
        struct folder *above = f->above;
        folder_attributes(f);
        target_free(&f->from);
        target_free(&f->to);
        free(f);
        f = above;
    }
}

static int place_mkdir(const struct target *t, mode_t mode)
{
    if (t->volume)
        return gzc_mkdir(t->volume, t->path, mode);
    return mkdir(t->path, mode) < 0 ? -errno : 0;
}

/* Makes the directory @p to; it may be there. @return what visit() returns. */
static int enter(struct tree_copy *t, struct walk *w, struct target from, struct target to)
{
    struct stat st;
    mode_t mode = (w->st.st_mode & 0777) | S_IRWXU;
    int rc = place_mkdir(&to, t->copying.preserve.mode ? mode & 0700 : mode);
    bool made = rc == 0;
    if (rc == -EEXIST && target_stat(&to, true, &st) == 0)
        rc = S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    if (rc < 0) {
        if (rc == -ENOTDIR)
            t->status = complain(to.uri, "%s", strerror(ENOTDIR));
        else
            fail(t, &to, rc);
        target_free(&from);
        target_free(&to);
        return WALK_SKIP;
    }
    if (!w->level && to.volume && from.volume && target_stat(&to, true, &st) == 0)
        t->copy_ino = st.st_ino;
    if (made)
        tell(t, &from, &to);
    struct folder *f = need(malloc(sizeof(*f)));
    *f = (struct folder){.tree = t,
                         .above = w->folder,
                         .users = 1,
                         .created = made,
                         .from = from,
                         .to = to,
                         .st = w->st};
    if (f->above)
        f->above->users++;
    w->mine = f;
    return WALK_ON;
}

/* ---- links and special files ----------------------------------------------------------------- */

static ssize_t link_text(const struct target *t, char text[PATH_MAX + 1])
{
    ssize_t n = t->volume ? gzc_readlink(t->volume, t->path, text, PATH_MAX)
                          : readlink(t->path, text, PATH_MAX);
    if (n < 0)
        return t->volume ? n : -errno;
    text[n] = '\0';
    return n;
}

static int place_make(const struct target *t, const char *text, const struct stat *st)
{
    mode_t mode = st->st_mode & (S_IFMT | 0777);
    if (t->volume)
        return text ? gzc_symlink(t->volume, text, t->path)
                    : gzc_mknod(t->volume, t->path, mode, st->st_rdev);
    return (text ? symlink(text, t->path) : mknod(t->path, mode, st->st_rdev)) < 0 ? -errno : 0;
}

static int place_unlink(const struct target *t)
{
    if (t->volume)
        return gzc_unlink(t->volume, t->path);
    return unlink(t->path) < 0 ? -errno : 0;
}

/* Makes a symbolic link or special file as @p from is one; what is there, but a directory, is
 * replaced. */
static void make_node(struct tree_copy *t, const struct stat *st, const struct target *from,
                      const struct target *to)
{
    char text[PATH_MAX + 1];
    struct reason why;
    bool link = S_ISLNK(st->st_mode);
    ssize_t n = link ? link_text(from, text) : 0;
    if (n < 0) {
        fail(t, from, (int)n);
        return;
    }
    int rc = place_make(to, link ? text : NULL, st);
    if (rc == -EEXIST && t->copying.no_clobber)
        return;
    if (rc == -EEXIST) {
        struct stat there;
        rc = target_stat(to, false, &there);
        if (rc == 0 && from->volume && to->volume && there.st_ino == st->st_ino) {
            t->status = complain(to->uri, "source and copy are the same file");
            return;
        }
        rc = rc == 0 ? place_unlink(to) : rc;
        rc = rc == 0 ? place_make(to, link ? text : NULL, st) : rc;
    }
    if (rc < 0)
        fail(t, to, rc);
    else if (attributes_set(to->volume, to->path, &t->copying.preserve, st, &why) < 0)
        fail_reason(t, to, "copied, but not its %s", &why);
    else
        tell(t, from, to);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void show_count(struct tree_copy *t)
{
    snprintf(t->label, sizeof(t->label), "%ju/%ju files", (uintmax_t)t->files,
             (uintmax_t)t->of_files);
}

void tree_copy_show(struct tree_copy *t, bool begin)
{
    if (!begin) {
        progress_end(&t->line, !t->status && !interrupted());
        return;
    }
    show_count(t);
    progress_start(&t->line, t->show, t->label, t->line.total);
    t->copying.line = &t->line;
}

static void over(struct copy *c)
{
    struct item *item = c->arg;
    struct tree_copy *t = item->tree;
    t->files++;
    show_count(t);
    if (c->end == COPY_FAILED)
        t->status = EXIT_FAILURE;
    t->done += c->end == COPY_DONE;
    if (c->end == COPY_DONE)
        tell(t, &item->from, &item->to);
    folder_release(item->folder);
    target_free(&item->from);
    target_free(&item->to);
    free(item);
}

static void start_file(struct tree_copy *t, struct walk *w, struct target from, struct target to)
{
    struct item *item = need(malloc(sizeof(*item)));
    *item = (struct item){.tree = t, .folder = w->folder, .from = from, .to = to};
    if (item->folder)
        item->folder->users++;
    const struct end source = {.name = from.uri, .volume = from.volume, .path = from.path};
    const struct end sink = {.name = to.uri, .volume = to.volume, .path = to.path};
    copy_start(&t->copying, &source, &sink, &w->st, over, item);
    copies_wait(&t->copying, t->jobs);
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* What is met, and what its copy is called. */
static struct target source_of(const struct walk *w)
{
    return (struct target){.uri = walk_name(w), .path = need(strdup(w->path)), .volume = w->volume};
}

static struct target copy_of(const struct tree_copy *t, const struct walk *w)
{
    if (w->level)
        return target_in(t->to, w->below);
    return (struct target){.uri = need(strdup(t->to->uri)),
                           .path = need(strdup(t->to->path)),
                           .volume = t->to->volume};
}

static int visit(struct walk *w, enum walk_event event)
{
    struct tree_copy *t = w->arg;
    if (event == WALK_LEAVE) {
        folder_release(w->mine);
        return WALK_ON;
    }
    if (interrupted())
        return WALK_STOP;
    bool directory = event == WALK_ENTER;
    if (directory && !t->recursive) {
        walk_fail(w, "Is a directory, which is copied with -r only");
        return WALK_SKIP;
    }
    if (directory && w->level && t->copy_ino && w->volume && w->st.st_ino == t->copy_ino) {
        walk_fail(w, "a directory is not copied into itself");
        return WALK_SKIP;
    }
    bool regular = S_ISREG(w->st.st_mode);
    if (!directory && !regular && !t->recursive && w->volume) {
        walk_fail(w, "Invalid argument (not a regular file)");
        return WALK_ON;
    }
    struct target from = source_of(w), to = copy_of(t, w);
    if (directory)
        return enter(t, w, from, to);
    if (regular || !t->recursive) {
        start_file(t, w, from, to);
        return WALK_ON;
    }
    make_node(t, &w->st, &from, &to);
    target_free(&from);
    target_free(&to);
    return WALK_ON;
}

static struct walk walk_of(struct tree_copy *t, const struct target *from,
                           int (*each)(struct walk *, enum walk_event))
{
    return (struct walk){.volume = from->volume, .follow = !t->recursive, .visit = each, .arg = t};
}

void tree_copy(struct tree_copy *t, const struct target *from, const struct target *to)
{
    struct walk w = walk_of(t, from, visit);
    t->to = to;
    t->copy_ino = 0;
    t->status |= walk(&w, from->uri, from->path);
}

static int count(struct walk *w, enum walk_event event)
{
    struct tree_copy *t = w->arg;
    if (event == WALK_FILE && S_ISREG(w->st.st_mode)) {
        t->line.total += (uint64_t)w->st.st_size;
        t->of_files++;
    }
    return interrupted() ? WALK_STOP : WALK_ON;
}

void tree_copy_count(struct tree_copy *t, const struct target *from)
{
    struct walk w = walk_of(t, from, count);
    w.quiet = true;
    walk(&w, from->uri, from->path);
}

int tree_copy_end(struct tree_copy *t)
{
    copies_wait(&t->copying, 1);
    return t->status;
}
