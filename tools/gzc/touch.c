/* gzc touch and truncate. */
#include "command.h"
#include "message.h"
#include "target.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Makes an empty file. */
static int create(const struct target *t)
{
    gzc_file *file;
    int rc = gzc_open(t->volume, t->path, O_WRONLY | O_CREAT, 0666, &file);
    return rc < 0 ? rc : gzc_close(file);
}

/* ---- touch ----------------------------------------------------------------------------------- */

struct touch_options {
    bool access, modification, no_create, no_dereference;
    const char *date, *reference;
    struct timespec times[2];
    struct args args;
};

/* The digits behind a decimal point, as nanoseconds; @p end is left behind them. */
static long parse_fraction(const char *text, const char **end)
{
    long ns = 0, unit = 100000000;
    for (; isdigit((unsigned char)*text); text++, unit /= 10)
        ns += (*text - '0') * unit;
    *end = text;
    return ns;
}

/* "Z", "+HH:MM" or "-HHMM" in seconds; what is empty is the local zone, and *local is set. */
static bool parse_zone(const char *text, long *seconds, bool *local)
{
    int hours, minutes, end = 0;
    *seconds = 0;
    *local = !*text;
    if (!*text || strcmp(text, "Z") == 0)
        return true;
    if ((*text != '+' && *text != '-') ||
        (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 &&
         sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &end) != 2) ||
        text[1 + end])
        return false;
    *seconds = (hours * 60L + minutes) * (*text == '-' ? -60 : 60);
    return true;
}

/* "now"; "@SECONDS[.FRACTION]" since 1970; "YYYY-MM-DD[{T| }HH:MM[:SS[.FRACTION]][ZONE]]". */
static bool parse_date(const char *text, struct timespec *when)
{
    struct tm tm = {.tm_isdst = -1};
    const char *end;
    long zone;
    bool local;
    *when = (struct timespec){.tv_nsec = UTIME_NOW};
    if (strcmp(text, "now") == 0)
        return true;
    when->tv_nsec = 0;
    if (*text == '@') {
        char *rest;
        errno = 0;
        when->tv_sec = strtoll(text + 1, &rest, 10);
        if (rest == text + 1 || errno)
            return false;
        end = rest;
        if (*end == '.')
            when->tv_nsec = parse_fraction(end + 1, &end);
        return !*end;
    }
    end = strptime(text, "%Y-%m-%d", &tm);
    if (end && (*end == 'T' || *end == ' '))
        end = strptime(end + 1, "%H:%M", &tm);
    if (end && *end == ':')
        end = strptime(end + 1, "%S", &tm);
    if (end && *end == '.')
        when->tv_nsec = parse_fraction(end + 1, &end);
    if (end && *end == ' ')
        end++;
    if (!end || !parse_zone(end, &zone, &local))
        return false;
    when->tv_sec = local ? mktime(&tm) : timegm(&tm) - zone;
    return true;
}

static int touch(const struct target *t, void *arg)
{
    const struct touch_options *o = arg;
    int (*set)(gzc_volume *, const char *, const struct timespec[2]) =
        o->no_dereference ? gzc_lutimens : gzc_utimens;
    int rc = set(t->volume, t->path, o->times);
    if (rc == -ENOENT && (o->no_create || o->no_dereference))
        return o->no_create ? EXIT_SUCCESS : target_complain(t, rc);
    if (rc == -ENOENT) {
        rc = create(t);
        if (rc == 0)
            rc = set(t->volume, t->path, o->times);
    }
    return rc < 0 ? target_complain(t, rc) : EXIT_SUCCESS;
}

static void set_times(struct touch_options *o, struct argp_state *state)
{
    if (o->date && o->reference)
        argp_error(state, "a date and a reference");
    struct timespec when = {.tv_nsec = UTIME_NOW};
    if (o->date && !parse_date(o->date, &when))
        argp_error(state, "'%s' is not a date: YYYY-MM-DD [HH:MM[:SS]], @SECONDS or now", o->date);
    o->times[0] = o->times[1] = when;
    if (o->reference) {
        struct stat st = target_reference(o->reference);
        o->times[0] = st.st_atim;
        o->times[1] = st.st_mtim;
    }
    if (o->modification && !o->access)
        o->times[0].tv_nsec = UTIME_OMIT;
    if (o->access && !o->modification)
        o->times[1].tv_nsec = UTIME_OMIT;
}

static error_t parse_touch(int key, char *arg, struct argp_state *state)
{
    struct touch_options *o = state->input;
    switch (key) {
    case 'a':
        o->access = true;
        return 0;
    case 'c':
        o->no_create = true;
        return 0;
    case 'd':
        o->date = arg;
        return 0;
    case 'h':
        o->no_dereference = true;
        return 0;
    case 'm':
        o->modification = true;
        return 0;
    case 'r':
        o->reference = arg;
        return 0;
    case ARGP_KEY_SUCCESS:
        set_times(o, state);
        return 0;
    default:
        return args_key(key, state, &o->args, 1);
    }
}

int command_touch(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {NULL, 'a', NULL, 0, "the time of access only", 0},
        {"no-create", 'c', NULL, 0, "make no file", 0},
        {"date", 'd', "DATE", 0, "YYYY-MM-DD [HH:MM[:SS]], @SECONDS, or now", 0},
        {"no-dereference", 'h', NULL, 0, "a symbolic link itself, not what it leads to", 0},
        {NULL, 'm', NULL, 0, "the time of modification only", 0},
        {"reference", 'r', "FILE", 0, "the times of this URI or local file", 0},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse_touch,
                                     .args_doc = "URI...",
                                     .doc = "Sets times, to now unless told otherwise, and makes "
                                            "files that are not there."};
    struct touch_options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    return targets_each(&o.args, touch, &o);
}

/* ---- truncate -------------------------------------------------------------------------------- */

struct truncate_options {
    bool no_create;
    const char *size, *reference;
    char relation; /* '+' or '-': by so much; 0: to this */
    uint64_t bytes;
    struct args args;
};

static int set_size(const struct target *t, void *arg)
{
    const struct truncate_options *o = arg;
    struct stat st = {0};
    uint64_t size = o->bytes;
    int rc = 0;
    if (o->relation)
        rc = gzc_stat(t->volume, t->path, &st);
    if (rc == 0 || rc == -ENOENT) {
        uint64_t now = (uint64_t)st.st_size;
        if (o->relation == '+')
            size = now + o->bytes;
        else if (o->relation == '-')
            size = now > o->bytes ? now - o->bytes : 0;
        if (size > INT64_MAX)
            return complain(t->uri, "%s", strerror(EFBIG));
        rc = gzc_truncate(t->volume, t->path, (off_t)size);
    }
    if (rc == -ENOENT && o->no_create)
        return EXIT_SUCCESS;
    if (rc == -ENOENT) {
        rc = create(t);
        if (rc == 0)
            rc = gzc_truncate(t->volume, t->path, (off_t)size);
    }
    return rc < 0 ? target_complain(t, rc) : EXIT_SUCCESS;
}

static error_t parse_truncate(int key, char *arg, struct argp_state *state)
{
    struct truncate_options *o = state->input;
    switch (key) {
    case 'c':
        o->no_create = true;
        return 0;
    case 's':
        o->size = arg;
        return 0;
    case 'r':
        o->reference = arg;
        return 0;
    case ARGP_KEY_SUCCESS:
        if (!o->size == !o->reference)
            argp_error(state, "a size or a reference is needed");
        if (o->reference) {
            o->bytes = (uint64_t)target_reference(o->reference).st_size;
            return 0;
        }
        if (*o->size == '+' || *o->size == '-')
            o->relation = *o->size++;
        if (!text_parse_bytes(o->size, &o->bytes))
            argp_error(state, "'%s' is not a size: a number, with K, M, G or T", o->size);
        return 0;
    default:
        return args_key(key, state, &o->args, 1);
    }
}

int command_truncate(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"no-create", 'c', NULL, 0, "make no file", 0},
        {"reference", 'r', "FILE", 0, "to the size of this URI or local file", 0},
        {"size", 's', "SIZE", 0,
         "to so many bytes, or with + or - before it by so many; K, M, G, T behind it are powers of 1024",
         0},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse_truncate,
                                     .args_doc = "URI...",
                                     .doc = "Sets the size of files."};
    struct truncate_options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    return targets_each(&o.args, set_size, &o);
}
