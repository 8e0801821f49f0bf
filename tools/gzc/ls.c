/* gzc ls. */
#include "args.h"
#include "command.h"
#include "json.h"
#include "message.h"
#include "target.h"
#include "text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct options {
    bool all, details;
    json_t *results; /* NULL without --json */
    struct args args;
};

struct entry {
    char *name;
    struct stat st; /* if details are wanted */
};

struct list {
    struct entry *entries;
    size_t count, room;
};

/* ---- read ------------------------------------------------------------------------------------ */

static void list_add(struct list *list, const struct gzc_dirent *e)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 64;
        list->entries = need(reallocarray(list->entries, list->room, sizeof(*list->entries)));
    }
    struct entry *entry = &list->entries[list->count++];
    *entry = (struct entry){.name = need(strdup(e->name))};
    if (e->has_stat)
        entry->st = e->st;
}

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].name);
    free(list->entries);
}

/* As the locale sorts; names that it takes for equal by their bytes. */
static int compare(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = strcoll(left->name, right->name);
    return order ? order : strcmp(left->name, right->name);
}

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
        list_add(list, &e);
        if (!e.has_stat && (o->details || o->results))
            status |= list_stat(list, t, e.name);
    }
    if (rc < 0) {
        reason_dir(&why, rc, dir);
        status = complain(t->uri, "%s", why.text);
    }
    gzc_closedir(dir);
    if (list->count)
        qsort(list->entries, list->count, sizeof(*list->entries), compare);
    return status;
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
        const struct entry *e = &list->entries[i];
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
    if (S_ISDIR(st->st_mode)) {
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

static int show(int index, const struct options *o)
{
    struct target target;
    struct list list = {0};
    struct entry self = {.name = o->args.at[index]};
    int status = EXIT_SUCCESS;
    if (!target_mount(&target, self.name))
        return EXIT_FAILURE;
    int rc = attributes(&target, o->details, &self.st);
    if (rc < 0) {
        status = target_complain(&target, rc);
        target_unmount(&target);
        return status;
    }
    bool directory = S_ISDIR(self.st.st_mode);
    if (directory)
        status = list_read(&list, &target, o);
    if (o->results) {
        report(&target, &self.st, &list, o);
    } else if (!directory) {
        print(&(struct list){&self, 1, 1}, o);
    } else {
        if (o->args.count > 1) {
            fputs(index ? "\n" : "", stdout);
            text_name(self.name);
            fputs(":\n", stdout);
        }
        print(&list, o);
    }
    list_free(&list);
    target_unmount(&target);
    return status;
}

enum { KEY_JSON = 256 };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    (void)arg;
    switch (key) {
    case 'a':
        o->all = true;
        return 0;
    case 'l':
        o->details = true;
        return 0;
    case KEY_JSON:
        if (!o->results)
            o->results = need(json_array());
        return 0;
    default:
        return args_key(key, state, &o->args, 1);
    }
}

int command_ls(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"all", 'a', NULL, 0, "names that begin with a dot too", 0},
        {"long", 'l', NULL, 0, "mode, links, owner, group, size and time of modification", 0},
        {"json", KEY_JSON, NULL, 0, "print a JSON document", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options, .parser = parse, .args_doc = "URI...", .doc = "Lists directories."};
    struct options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int status = EXIT_SUCCESS;
    for (int i = 0; i < o.args.count; i++)
        status |= show(i, &o);
    if (o.results)
        json_print(o.results);
    return status;
}
