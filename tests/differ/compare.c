#include "compare.h"

#include "accepted.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { GZC, FUSE, SIDES };

static char roots[SIDES][64];
/* As absolute paths, to look with root's eyes at what others' relative paths name. */
static char working[IDENTITIES][PATH_ROOM];
static char difference[65536];

/* ---- both at once ---------------------------------------------------------------------------- */

/* The FUSE side runs in a thread of its own, while libgzc's runs in the caller's. */
static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    void (*work)(void); /* NULL: done */
    bool over;
    const char *mount, *root;
    const struct step *step;
    struct outcome *outcome;
} fuse = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void *fuse_main(void *unused)
{
    (void)unused;
    backend_posix_open(fuse.mount);
    pthread_mutex_lock(&fuse.lock);
    while (!fuse.over) {
        if (fuse.work) {
            fuse.work();
            fuse.work = NULL;
            pthread_cond_broadcast(&fuse.change);
        } else {
            pthread_cond_wait(&fuse.change, &fuse.lock);
        }
    }
    pthread_mutex_unlock(&fuse.lock);
    backend_posix_close();
    return NULL;
}

static void fuse_begins(void (*work)(void))
{
    pthread_mutex_lock(&fuse.lock);
    fuse.work = work;
    pthread_cond_broadcast(&fuse.change);
    pthread_mutex_unlock(&fuse.lock);
}

static void fuse_ends(void)
{
    pthread_mutex_lock(&fuse.lock);
    while (fuse.work)
        pthread_cond_wait(&fuse.change, &fuse.lock);
    pthread_mutex_unlock(&fuse.lock);
}

static void fuse_run(void)
{
    backend_posix.run(fuse.root, fuse.step, fuse.outcome);
}

static void fuse_run_as_root(void)
{
    backend_posix_run_as_root(fuse.root, fuse.step, fuse.outcome);
}

static void fuse_begin(void)
{
    backend_posix.begin(fuse.root);
}

/* Each side in a directory: its own, or another's. */
static void run_both(const char *const in[SIDES], const struct step *s, struct outcome o[SIDES])
{
    fuse.root = in[FUSE];
    fuse.step = s;
    fuse.outcome = &o[FUSE];
    fuse_begins(fuse_run);
    backend_gzc.run(in[GZC], s, &o[GZC]);
    fuse_ends();
}

void sides_open(const char *uri, const char *mount)
{
    backend_gzc_open(uri);
    fuse.mount = mount;
    int rc = pthread_create(&fuse.thread, NULL, fuse_main, NULL);
    if (rc)
        errx(1, "%s", strerror(rc));
}

void sides_close(void)
{
    pthread_mutex_lock(&fuse.lock);
    fuse.over = true;
    pthread_cond_broadcast(&fuse.change);
    pthread_mutex_unlock(&fuse.lock);
    pthread_join(fuse.thread, NULL);
    backend_gzc_close();
}

void sides_begin(void)
{
    static unsigned number;

    /* Of equal lengths, as PATH_MAX must be reached at the same step; and deep, as a few ".." must
     * not lead to where both sides are. */
    number++;
    snprintf(roots[GZC], sizeof(roots[GZC]), "/g%05u/1/2/3/4/5/6", number);
    snprintf(roots[FUSE], sizeof(roots[FUSE]), "/f%05u/1/2/3/4/5/6", number);
    for (int i = 0; i < IDENTITIES; i++)
        strcpy(working[i], "/");
    fuse.root = roots[FUSE];
    fuse_begins(fuse_begin);
    backend_gzc.begin(roots[GZC]);
    fuse_ends();
}

/* ---- telling --------------------------------------------------------------------------------- */

static void print_outcome(FILE *to, const char *name, const struct outcome *o)
{
    enum { SHOWN = 600 };
    size_t shown = o->length < SHOWN ? o->length : SHOWN;

    fprintf(to, "  %s: %lld", name, (long long)o->value);
    if (o->value < 0)
        fprintf(to, " (%s)", strerrorname_np((int)-o->value));
    if (o->error[0])
        fprintf(to, " %s", o->error);
    if (o->length > 0)
        fprintf(to, ", %zu bytes: ", o->length);
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)o->bytes[i];
        if (c == 0)
            fputc('|', to);
        else if (c < ' ' || c > '~')
            fprintf(to, "\\x%02x", c);
        else
            fputc(c, to);
    }
    fputs(shown < o->length ? "...\n" : "\n", to);
}

/* Where the bytes differ first, if they do. */
static void print_place(FILE *to, const struct outcome o[SIDES])
{
    size_t least = o[GZC].length < o[FUSE].length ? o[GZC].length : o[FUSE].length, at = 0;

    while (at < least && o[GZC].bytes[at] == o[FUSE].bytes[at])
        at++;
    if (at < o[GZC].length || at < o[FUSE].length)
        fprintf(to, "  from byte %zu\n", at);
}

static const char *tell(const struct step *s, const struct step *look, const char *what,
                        const struct outcome o[SIDES])
{
    FILE *to = fmemopen(difference, sizeof(difference), "w");

    if (!to)
        err(1, NULL);
    step_print(to, s);
    if (look) {
        fputs("\n  then ", to);
        step_print(to, look);
    }
    fprintf(to, ": %s\n", what);
    print_outcome(to, backend_gzc.name, &o[GZC]);
    print_outcome(to, backend_posix.name, &o[FUSE]);
    print_place(to, o);
    fclose(to);
    difference[sizeof(difference) - 1] = '\0';
    return difference;
}

static const char *compare(const struct step *s, const struct step *look,
                           const struct outcome o[SIDES])
{
    if (accepted(look ? look : s, &o[GZC], &o[FUSE]) == ACCEPTED)
        return NULL;
    if (o[GZC].value != o[FUSE].value)
        return tell(s, look, "different results", o);
    if (o[GZC].length != o[FUSE].length ||
        (o[GZC].length > 0 && memcmp(o[GZC].bytes, o[FUSE].bytes, o[GZC].length) != 0))
        return tell(s, look, "different outputs", o);
    return NULL;
}

/* ---- looking --------------------------------------------------------------------------------- */

enum { LOOKS = 16 };

struct look {
    struct step step;
    char path[PATH_ROOM];
    struct outcome before[SIDES], after[SIDES];
};

static struct look looks[LOOKS];
static int nlooks;

static void look_at_path(enum step_kind kind, unsigned who, const char *path, size_t length)
{
    struct look *look = &looks[nlooks++];

    snprintf(look->path, sizeof(look->path), "%s%s%.*s", path[0] == '/' ? "" : working[who],
             path[0] == '/' ? "" : "/", (int)length, path);
    look->step = (struct step){.kind = kind, .text = {look->path}};
}

static void look_at_slot(enum step_kind kind, int64_t slot)
{
    looks[nlooks++].step = (struct step){.kind = kind, .n = {slot}};
}

/* The length of the path of the directory that a path's last component is in. */
static size_t parent_length(const char *path)
{
    size_t n = strlen(path);

    while (n > 0 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    return n;
}

static void prepare_looks(const struct step *s)
{
    char what = step_look(s->kind);
    unsigned text = 0, number = 0;

    if (what == '-')
        return;
    for (const char *a = step_arguments(s->kind); *a; a++) {
        if (*a == 'p') {
            const char *path = s->text[text];
            if (path[0] != '^') {
                look_at_path(STEP_lstat, s->who, path, strlen(path));
                if (what == 'd')
                    look_at_path(STEP_data, s->who, path, strlen(path));
                if (what == 'n') {
                    look_at_path(STEP_lstat, s->who, path, parent_length(path));
                    look_at_path(STEP_entries, s->who, path, parent_length(path));
                }
            }
        } else if (*a == 'h' && what != 'n') {
            look_at_slot(STEP_fstat, s->n[number]);
            if (what == 'd')
                look_at_slot(STEP_fdata, s->n[number]);
        }
        if (strchr("pta", *a))
            text++;
        else
            number++;
    }
}

static int moved(struct timespec before, struct timespec after)
{
    return before.tv_sec != after.tv_sec || before.tv_nsec != after.tv_nsec;
}

/* Times of an object that was there before and is now: both sides' move, or both sides' do not. */
static const char *compare_times(const struct step *s, const struct look *look)
{
    static const char *const texts[3][SIDES] = {
        {"only libgzc moved the mtime", "only FUSE moved the mtime"},
        {"only libgzc moved the ctime", "only FUSE moved the ctime"},
        {"only libgzc moved the atime", "only FUSE moved the atime"},
    };
    int m[SIDES][3];

    for (int i = 0; i < SIDES; i++) {
        const struct stat *b = &look->before[i].st, *a = &look->after[i].st;
        if (look->before[i].value < 0 || look->after[i].value < 0 || a->st_ino != b->st_ino ||
            !a->st_nlink)
            return NULL;
        m[i][0] = moved(b->st_mtim, a->st_mtim);
        m[i][1] = moved(b->st_ctim, a->st_ctim);
        m[i][2] = moved(b->st_atim, a->st_atim);
    }
    for (int i = 0; i < 3; i++) {
        if (m[GZC][i] != m[FUSE][i])
            return tell(s, &look->step, texts[i][m[FUSE][i]], look->after);
    }
    return NULL;
}

static bool has_times(const struct look *look)
{
    return look->step.kind == STEP_lstat || look->step.kind == STEP_fstat;
}

static void note_working(const struct step *s)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof(path), "%s/%s", s->text[0][0] == '/' ? "" : working[s->who], s->text[0]);
    strcpy(working[s->who], path);
}

const char *sides_step(const struct step *s, bool look, int64_t *value)
{
    static struct outcome o[SIDES];
    const char *const own[SIDES] = {roots[GZC], roots[FUSE]};
    const char *why;

    nlooks = 0;
    if (look)
        prepare_looks(s);
    for (int i = 0; i < nlooks; i++) {
        if (has_times(&looks[i]))
            run_both(own, &looks[i].step, looks[i].before);
    }
    run_both(own, s, o);
    if (accepted(s, &o[GZC], &o[FUSE]) == ALLOWED) {
        fuse_begins(fuse_run_as_root);
        fuse_ends();
    }
    if (value)
        *value = o[GZC].value;
    why = compare(s, NULL, o);
    if (!why && s->kind == STEP_chdir && o[GZC].value == 0)
        note_working(s);
    for (int i = 0; i < nlooks && !why; i++) {
        run_both(own, &looks[i].step, looks[i].after);
        why = compare(s, &looks[i].step, looks[i].after);
        /* A copy of nothing does not come to the FUSE client, but to the brick; a transfer that
         * fails may have moved times before it does. */
        if (!why && has_times(&looks[i]) && !(s->kind == STEP_copy && o[GZC].value == 0) &&
            !(step_look(s->kind) == 'd' && o[GZC].value < 0))
            why = compare_times(s, &looks[i]);
    }
    return why;
}

/* ---- whole trees ----------------------------------------------------------------------------- */

/* Looks at one object through both sides, in the directories `in`. `same`: it is the same object.
 */
static const char *compare_object(const char *const in[SIDES], enum step_kind kind,
                                  const char *path, int64_t number, bool same,
                                  struct outcome o[SIDES])
{
    struct step s = {.kind = kind, .n = {number}, .text = {(char *)path}};

    run_both(in, &s, o);
    const char *why = compare(&s, NULL, o);
    if (why || !same || kind != STEP_lstat || o[GZC].value < 0)
        return why;
    const struct stat *a = &o[GZC].st, *b = &o[FUSE].st;
    if (a->st_ino != b->st_ino)
        return tell(&s, NULL, "different inode numbers of one object", o);
    if (moved(a->st_mtim, b->st_mtim) || moved(a->st_ctim, b->st_ctim) ||
        moved(a->st_atim, b->st_atim))
        return tell(&s, NULL, "different times of one object", o);
    return NULL;
}

static const char *compare_tree(const char *const in[SIDES], const char *path, bool same)
{
    struct outcome o[SIDES] = {{0}}, names[SIDES] = {{0}};
    char below[PATH_ROOM];
    const char *why = compare_object(in, STEP_lstat, path, 0, same, o);
    mode_t mode = o[GZC].st.st_mode;

    if (!why && o[GZC].value == 0) {
        if (S_ISLNK(mode))
            why = compare_object(in, STEP_readlink, path, 4096, same, o);
        else if (S_ISREG(mode))
            why = compare_object(in, STEP_data, path, 0, same, o);
        else if (S_ISDIR(mode))
            why = compare_object(in, STEP_entries, path, 0, same, names);
        if (!why && (S_ISREG(mode) || S_ISDIR(mode)))
            why = compare_object(in, STEP_llistxattr, path, 65536, same, o);
    }
    for (size_t at = 0; !why && at < names[GZC].length; at += strlen(names[GZC].bytes + at) + 1) {
        const char *name = strchr(names[GZC].bytes + at, ' ') + 1;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            snprintf(below, sizeof(below), "%s/%s", path, name) < (int)sizeof(below))
            why = compare_tree(in, below, same);
    }
    for (int i = 0; i < SIDES; i++) {
        outcome_free(&o[i]);
        outcome_free(&names[i]);
    }
    return why;
}

const char *sides_trees(void)
{
    const char *const own[SIDES] = {roots[GZC], roots[FUSE]};
    const char *const one[SIDES] = {roots[GZC], roots[GZC]};
    const char *const other[SIDES] = {roots[FUSE], roots[FUSE]};
    const char *why = compare_tree(own, "/", false);

    if (!why)
        why = compare_tree(one, "/", true);
    return why ? why : compare_tree(other, "/", true);
}
