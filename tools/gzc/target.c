#include "target.h"

#include "glob.h"
#include "uri.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- mounts ---------------------------------------------------------------------------------- */

static struct mount {
    char *key; /* the URI without its path */
    gzc_volume *volume;
} * mounts;
static size_t mount_count;

static char *mount_key(const struct uri *u)
{
    size_t tail = strlen(u->text + u->options);
    char *key = need(malloc(u->head + tail + 1));
    memcpy(key, u->text, u->head);
    memcpy(key + u->head, u->text + u->options, tail + 1);
    return key;
}

/* The URI as gzc_mount() takes it: a '?' that is a wildcard would begin the options there. */
static char *mount_text(const struct uri *u)
{
    char *text;
    size_t size;
    FILE *out = need(open_memstream(&text, &size));
    for (size_t i = 0; u->text[i]; i++)
        if (u->text[i] == '?' && i >= u->path && i < u->options)
            fputs("%3F", out);
        else
            putc(u->text[i], out);
    fclose(out);
    return need(text);
}

static bool mount_new(struct target *t, const struct uri *u, char *key)
{
    char *text = mount_text(u);
    int rc = gzc_mount(text, &t->volume);
    free(text);
    if (rc < 0) {
        target_complain(t, rc);
        gzc_unmount(t->volume);
        free(key);
        return false;
    }
    t->path = need(strdup(gzc_uri_path(t->volume)));
    mounts = need(reallocarray(mounts, mount_count + 1, sizeof(*mounts)));
    mounts[mount_count++] = (struct mount){key, t->volume};
    return true;
}

bool target_mount(struct target *t, const char *uri)
{
    struct uri u = uri_parts(uri);
    char *key = mount_key(&u);
    *t = (struct target){.uri = need(strdup(uri))};
    for (size_t i = 0; i < mount_count; i++) {
        if (strcmp(mounts[i].key, key) != 0)
            continue;
        t->path =
            u.path < u.options ? uri_decode(uri + u.path, u.options - u.path) : need(strdup("/"));
        if (t->path && strlen(t->path) < PATH_MAX) {
            t->volume = mounts[i].volume;
            free(key);
            return true;
        }
        break; /* a malformed path: mounting tells what is wrong with it */
    }
    free(t->path);
    t->path = NULL;
    bool mounted = mount_new(t, &u, key);
    if (!mounted)
        target_free(t);
    return mounted;
}

void target_free(struct target *t)
{
    free(t->uri);
    free(t->path);
    *t = (struct target){0};
}

bool target_any(struct target *t, const char *name)
{
    if (uri_is(name))
        return target_mount(t, name);
    *t = (struct target){.uri = need(strdup(name)), .path = need(strdup(name))};
    return true;
}

int target_stat(const struct target *t, bool follow, struct stat *st)
{
    if (t->volume)
        return follow ? gzc_stat(t->volume, t->path, st) : gzc_lstat(t->volume, t->path, st);
    return (follow ? stat(t->path, st) : lstat(t->path, st)) < 0 ? -errno : 0;
}

struct target target_in(const struct target *t, const char *name)
{
    struct target in = {.path = path_join(t->path, name), .volume = t->volume};
    in.uri = t->volume ? uri_join(t->uri, name) : need(strdup(in.path));
    return in;
}

bool target_directory(const struct target *t, bool must, bool *directory)
{
    struct stat st;
    size_t length = strlen(t->path);
    int rc = target_stat(t, true, &st);
    *directory = rc == 0 && S_ISDIR(st.st_mode);
    if (*directory || !(must || (length && t->path[length - 1] == '/')))
        return true;
    if (rc < 0)
        target_complain(t, rc);
    else
        complain(t->uri, "%s", strerror(ENOTDIR));
    return false;
}

int target_complain(const struct target *t, int error)
{
    struct reason why;
    reason_volume(&why, error, t->volume);
    return complain(t->uri, "%s", why.text);
}

struct stat target_reference(const char *name)
{
    struct target t;
    struct stat st;
    if (!target_any(&t, name))
        exit(EXIT_FAILURE);
    int rc = target_stat(&t, true, &st);
    if (rc < 0)
        exit(target_complain(&t, rc));
    target_free(&t);
    return st;
}

void volumes_poll(int timeout_ms)
{
    if (mount_count == 1) {
        gzc_poll(mounts->volume, 0, timeout_ms);
        return;
    }
    struct pollfd *fds = need(calloc(mount_count, sizeof(*fds)));
    for (size_t i = 0; i < mount_count; i++)
        fds[i] = (struct pollfd){.fd = gzc_fd(mounts[i].volume), .events = POLLIN};
    poll(fds, mount_count, timeout_ms);
    free(fds);
    for (size_t i = 0; i < mount_count; i++)
        gzc_poll(mounts[i].volume, 0, 0);
}

void volumes_unmount(void)
{
    for (size_t i = 0; i < mount_count; i++) {
        gzc_unmount(mounts[i].volume);
        free(mounts[i].key);
    }
    free(mounts);
    mounts = NULL;
    mount_count = 0;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void add(struct targets *list, struct target t)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->at = need(reallocarray(list->at, list->room, sizeof(*list->at)));
    }
    list->at[list->count++] = t;
}

struct expansion {
    struct targets *list;
    const struct target *of;
};

static void add_match(void *arg, const char *path)
{
    struct expansion *e = arg;
    add(e->list, (struct target){.uri = uri_with_path(e->of->uri, path),
                                 .path = need(strdup(path)),
                                 .volume = e->of->volume});
}

/* Adds what @p t, which is kept or freed, stands for. */
static void expand(struct targets *list, struct target *t)
{
    struct uri u = uri_parts(t->uri);
    struct stat st;
    struct expansion e = {list, t};
    size_t before = list->count;
    if (t->volume && glob_has_wildcard(t->uri + u.path, u.options - u.path) &&
        gzc_lstat(t->volume, t->path, &st) < 0)
        glob_expand(t->volume, t->uri + u.path, u.options - u.path, add_match, &e);
    if (list->count == before)
        add(list, *t);
    else
        target_free(t);
}

int targets_expand(struct targets *list, const struct args *args, bool local)
{
    int status = EXIT_SUCCESS;
    for (int i = 0; i < args->count; i++) {
        struct target t;
        if ((local ? target_any : target_mount)(&t, args->at[i]))
            expand(list, &t);
        else
            status = EXIT_FAILURE;
    }
    return status;
}

void targets_free(struct targets *list)
{
    for (size_t i = 0; i < list->count; i++)
        target_free(&list->at[i]);
    free(list->at);
    *list = (struct targets){0};
}

int targets_each(const struct args *args, int (*each)(const struct target *t, void *arg), void *arg)
{
    struct targets list = {0};
    int status = targets_expand(&list, args, false);
    for (size_t i = 0; i < list.count; i++)
        status |= each(&list.at[i], arg);
    targets_free(&list);
    return status;
}

/* ---- paths ----------------------------------------------------------------------------------- */

char *path_join(const char *path, const char *name)
{
    size_t length = strlen(path);
    char *joined = need(malloc(length + 1 + strlen(name) + 1));
    sprintf(joined, "%s%s%s", path, length && path[length - 1] == '/' ? "" : "/", name);
    return joined;
}

char *path_base(const char *path)
{
    size_t end = strlen(path);
    while (end && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start && path[start - 1] != '/')
        start--;
    return need(strndup(path + start, end - start));
}
