#include "glob.h"

#include "list.h"
#include "message.h"
#include "target.h"
#include "uri.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expansion {
    gzc_volume *volume;
    void (*each)(void *arg, const char *path);
    void *arg;
};

bool glob_has_wildcard(const char *path, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (strchr("*?[", path[i]))
            return true;
    return false;
}

/* The component as fnmatch(3) takes it: what is encoded, and a backslash, is no wildcard. */
static char *pattern_of(const char *component, size_t length)
{
    char *pattern;
    size_t size;
    FILE *out = need(open_memstream(&pattern, &size));
    for (size_t i = 0; i < length; i++) {
        bool coded = component[i] == '%';
        char *c = uri_decode(component + i, coded ? 3 : 1);
        if (c && (coded || *c == '\\'))
            putc('\\', out);
        fputs(c ? c : "", out);
        free(c);
        i += coded ? 2 : 0;
    }
    fclose(out);
    return need(pattern);
}

static void expand(const struct expansion *e, const char *base, const char *rest, size_t length);

/* Goes on with @p name in @p base. @p rest begins behind its component. */
static void descend(const struct expansion *e, const char *base, const char *name, const char *rest,
                    size_t length)
{
    char *path;
    if (asprintf(&path, "%s%s", base, name) < 0)
        path = need(NULL);
    expand(e, path, rest, length);
    free(path);
}

static void match(const struct expansion *e, const char *base, const char *pattern,
                  const char *rest, size_t length)
{
    struct list names = {0};
    gzc_dir *dir;
    struct gzc_dirent entry;
    if (gzc_opendir(e->volume, base, &dir) < 0)
        return;
    while (gzc_readdir(dir, &entry) > 0)
        if (fnmatch(pattern, entry.name, FNM_PERIOD) == 0 && strcmp(entry.name, ".") != 0 &&
            strcmp(entry.name, "..") != 0)
            list_add(&names, entry.name, NULL);
    gzc_closedir(dir);
    list_sort(&names);
    for (size_t i = 0; i < names.count; i++)
        descend(e, base, names.entries[i].name, rest, length);
    list_free(&names);
}

/* @p base has no wildcard; @p rest begins with a slash, or is empty. */
static void expand(const struct expansion *e, const char *base, const char *rest, size_t length)
{
    struct stat st;
    size_t slashes = 0, component = 0;
    while (slashes < length && rest[slashes] == '/')
        slashes++;
    while (slashes + component < length && rest[slashes + component] != '/')
        component++;
    if (!length) {
        if (gzc_lstat(e->volume, base, &st) == 0)
            e->each(e->arg, base);
        return;
    }
    char *at = path_join(base, "");
    const char *name = rest + slashes, *behind = name + component;
    length -= slashes + component;
    if (glob_has_wildcard(name, component)) {
        char *pattern = pattern_of(name, component);
        match(e, at, pattern, behind, length);
        free(pattern);
    } else {
        char *decoded = uri_decode(name, component);
        descend(e, at, decoded ? decoded : "", behind, length);
        free(decoded);
    }
    free(at);
}

void glob_expand(gzc_volume *volume, const char *path, size_t length,
                 void (*each)(void *arg, const char *path), void *arg)
{
    expand(&(struct expansion){volume, each, arg}, "", path, length);
}
