/* gzc ls. */
#include "args.h"
#include "command.h"
#include "json.h"
#include "list.h"
#include "message.h"
#include "target.h"
#include "text.h"
#include "uri.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct options {
    bool all, details, self, slash;
    json_t *results; /* NULL without --json */
    struct args args;
};

/* ---- read ------------------------------------------------------------------------------------ */

/* The attributes of an entry that came without. One that has gone since is none any more. */
static int list_stat(struct list *list, const struct target *t, const char *name)
{
    char *path = path_join(t->path, name);
    int rc = gzc_lstat(t->volume, path, &list->entries[list->count - 1].st);
    free(path);
    if (rc == -ENOENT)
        free(list->entries[--list->count].name);
    return rc < 0 && rc != -ENOENT ? target_complain(t, rc) : EXIT_SUCCESS;
}

/* Reads the directory. What could be read is in @p list on failure too. */
static int list_read(struct list *list, const struct target *t, const struct options *o)
{
    gzc_dir *dir;
    struct gzc_dirent e;
    struct reason why;
    int status = EXIT_SUCCESS;
    int rc = gzc_opendir(t->volume, t->path, &dir);
    if (rc < 0)
        return target_complain(t, rc);
    while ((rc = gzc_readdir(dir, &e)) > 0) {
        if (e.name[0] == '.' && !o->all)
            continue;
        list_add(list, e.name, e.has_stat ? &e.st : NULL);
        if (!e.has_stat && (o->details || o->results || o->slash))
            status |= list_stat(list, t, e.name);
    }
    if (rc < 0) {
        reason_dir(&why, rc, dir);
        status = complain(t->uri, "%s", why.text);
    }
    gzc_closedir(dir);
    list_sort(list);
    return status;
}

/* The text with a slash at @p at. Memory of the caller's. */
static char *with_slash(const char *text, size_t at)
{
    char *out = need(malloc(strlen(text) + 2));
    sprintf(out, "%.*s/%s", (int)at, text, text + at);
    return out;
}

/* Puts a slash behind the names of directories. */
static void list_slashes(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct list_entry *e = &list->entries[i];
        if (!S_ISDIR(e->st.st_mode))
            continue;
        char *name = with_slash(e->name, strlen(e->name));
        free(e->name);
        e->name = name;
    }
}

/* ---- print ----------------------------------------------------------------------------------- */

static void print_lines(const struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        text_name(list->entries[i].name);
        putchar('\n');
    }
}

/* Columns of one width, filled downwards. */
static void print_columns(const struct list *list)
{
    size_t widest = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t width = (size_t)text_put(NULL, list->entries[i].name, TEXT_WHOLE);
        if (width > widest)
            widest = width;
    }
    size_t columns = ((size_t)text_width(STDOUT_FILENO) + 2) / (widest + 2);
    if (columns == 0)
        columns = 1;
    size_t rows = (list->count + columns - 1) / columns;
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = row; i < list->count; i += rows) {
            int width = text_put(stdout, list->entries[i].name, TEXT_WHOLE);
            if (i + rows < list->count)
                printf("%*s", (int)widest + 2 - width, "");
        }
        putchar('\n');
    }
}

/* What a detailed line has between mode and time. */
struct cells {
    char links[24], user[64], group[64], size[32];
};

static void cells_of(struct cells *cells, const struct stat *st)
{
    snprintf(cells->links, sizeof(cells->links), "%ju", (uintmax_t)st->st_nlink);
    snprintf(cells->user, sizeof(cells->user), "%s", text_user(st->st_uid));
    snprintf(cells->group, sizeof(cells->group), "%s", text_group(st->st_gid));
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
        snprintf(cells->size, sizeof(cells->size), "%u, %u", major(st->st_rdev),
                 minor(st->st_rdev));
    else
        snprintf(cells->size, sizeof(cells->size), "%jd", (intmax_t)st->st_size);
}

static void widen(int *width, const char *text)
{
    if ((int)strlen(text) > *width)
        *width = (int)strlen(text);
}

static void print_details(const struct list *list)
{
    struct cells cells;
    int links = 0, user = 0, group = 0, size = 0;
    for (size_t i = 0; i < list->count; i++) {
        cells_of(&cells, &list->entries[i].st);
        widen(&links, cells.links);
        widen(&user, cells.user);
        widen(&group, cells.group);
        widen(&size, cells.size);
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct list_entry *e = &list->entries[i];
        char mode[11], time[64];
        cells_of(&cells, &e->st);
        text_mode(mode, e->st.st_mode);
        text_time(time, sizeof(time), "%Y-%m-%d %H:%M", e->st.st_mtime);
        printf("%s %*s %-*s %-*s %*s %s ", mode, links, cells.links, user, cells.user, group,
               cells.group, size, cells.size, time);
        text_name(e->name);
        putchar('\n');
    }
}

static void print(const struct list *list, const struct options *o)
{
    if (o->details)
        print_details(list);
    else if (isatty(STDOUT_FILENO))
        print_columns(list);
    else
        print_lines(list);
}

static void report(const struct target *t, const struct stat *st, const struct list *list,
                   const struct options *o)
{
    json_t *result = need(json_object());
    json_set_bytes(result, "uri", t->uri);
    json_set_bytes(result, "path", t->path);
    json_set_stat(result, st);
    if (list) {
        json_t *entries = need(json_array());
        for (size_t i = 0; i < list->count; i++) {
            json_t *entry = need(json_object());
            char *uri = uri_join(t->uri, list->entries[i].name);
            json_set_bytes(entry, "name", list->entries[i].name);
            json_set_bytes(entry, "uri", uri);
            json_set_stat(entry, &list->entries[i].st);
            json_array_append_new(entries, entry);
            free(uri);
        }
        json_object_set_new(result, "entries", entries);
    }
    json_array_append_new(o->results, result);
}

/* ---- the command ----------------------------------------------------------------------------- */

/* With details a symbolic link is shown, and a link to nothing always. */
static int attributes(const struct target *t, bool details, struct stat *st)
{
    int rc = details ? -ENOENT : gzc_stat(t->volume, t->path, st);
    return rc == -ENOENT || rc == -ELOOP ? gzc_lstat(t->volume, t->path, st) : rc;
}

static int show(const struct target *t, bool first, bool heading, const struct options *o)
{
    struct list list = {0};
    struct list_entry self = {.name = t->uri};
    int status = EXIT_SUCCESS;
    int rc = attributes(t, o->details || o->self, &self.st);
    if (rc < 0)
        return target_complain(t, rc);
    bool directory = S_ISDIR(self.st.st_mode) && !o->self;
    if (directory)
        status = list_read(&list, t, o);
    if (o->slash && !o->results)
        list_slashes(&list);
    if (o->results) {
        report(t, &self.st, directory ? &list : NULL, o);
    } else if (!directory) {
        if (o->slash && S_ISDIR(self.st.st_mode))
            self.name = with_slash(t->uri, uri_parts(t->uri).options);
        print(&(struct list){&self, 1, 1}, o);
        if (self.name != t->uri)
            free(self.name);
    } else {
        if (heading) {
            fputs(first ? "" : "\n", stdout);
            text_name(t->uri);
            fputs(":\n", stdout);
        }
        print(&list, o);
    }
    list_free(&list);
    return status;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    (void)arg;
    switch (key) {
    case 'a':
        o->all = true;
        return 0;
    case 'd':
        o->self = true;
        return 0;
    case 'l':
        o->details = true;
        return 0;
    case 'p':
        o->slash = true;
        return 0;
    default:
        return json_args_key(key, state, &o->args, 1, &o->results);
    }
}

int command_ls(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"all", 'a', NULL, 0, "names that begin with a dot too", 0},
        {"directory", 'd', NULL, 0, "directories themselves, not what is in them", 0},
        {"long", 'l', NULL, 0, "mode, links, owner, group, size and time of modification", 0},
        {NULL, 'p', NULL, 0, "a slash behind the names of directories", 0},
        {"json", KEY_JSON, NULL, 0, "print a JSON document", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options, .parser = parse, .args_doc = "URI...", .doc = "Lists directories."};
    struct options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    struct targets targets = {0};
    int status = targets_expand(&targets, &o.args, false);
    for (size_t i = 0; i < targets.count; i++)
        status |= show(&targets.at[i], i == 0, o.args.count > 1 || targets.count > 1, &o);
    targets_free(&targets);
    if (o.results)
        json_print(o.results);
    return status;
}
