/* gzc df. */
#include "command.h"
#include "json.h"
#include "message.h"
#include "target.h"
#include "text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

struct options {
    bool human, inodes, heading;
    json_t *results; /* NULL without --json */
    struct args args;
};

static void print_number(const struct options *o, uint64_t bytes)
{
    char text[16];
    if (o->human)
        text_human(text, bytes);
    if (o->human)
        printf(" %10s", text);
    else
        printf(" %12ju", (uintmax_t)(o->inodes ? bytes : (bytes + 1023) / 1024));
}

/* As df(1): what is free for root only counts neither as used nor as available. */
static void print(const struct target *t, const struct statvfs *st, struct options *o)
{
    uint64_t unit = o->inodes ? 1 : st->f_frsize;
    uint64_t total = unit * (o->inodes ? st->f_files : st->f_blocks);
    uint64_t free = unit * (o->inodes ? st->f_ffree : st->f_bfree);
    uint64_t available = unit * (o->inodes ? st->f_ffree : st->f_bavail);
    uint64_t used = total > free ? total - free : 0;
    if (!o->heading) {
        int width = o->human ? 10 : 12;
        printf("%-20s %*s %*s %*s %4s %s\n", "Volume", width,
               o->inodes  ? "Inodes"
               : o->human ? "Size"
                          : "1K-blocks",
               width, "Used", width, o->inodes ? "Free" : "Available", "Use%", "URI");
        o->heading = true;
    }
    int columns = text_put(NULL, gzc_volume_name(t->volume), TEXT_WHOLE);
    text_name(gzc_volume_name(t->volume));
    printf("%*s", columns < 20 ? 20 - columns : 0, "");
    print_number(o, total);
    print_number(o, used);
    print_number(o, available);
    double part = used + available ? 100.0 * (double)used / (double)(used + available) : 0;
    unsigned percent = (unsigned)part;
    printf(" %3u%% ", percent + (percent < part));
    text_name(t->uri);
    putchar('\n');
}

static void report(const struct target *t, const struct statvfs *st, json_t *results)
{
    json_t *result = need(json_object());
    json_set_bytes(result, "uri", t->uri);
    json_set_bytes(result, "volume", gzc_volume_name(t->volume));
    json_set_number(result, "size", st->f_blocks * st->f_frsize);
    json_set_number(result, "used", (st->f_blocks - st->f_bfree) * st->f_frsize);
    json_set_number(result, "available", st->f_bavail * st->f_frsize);
    json_set_number(result, "inodes", st->f_files);
    json_set_number(result, "inodes_used", st->f_files - st->f_ffree);
    json_set_number(result, "inodes_available", st->f_favail);
    json_array_append_new(results, result);
}

static int show(const struct target *t, void *arg)
{
    struct options *o = arg;
    struct statvfs st;
    int rc = gzc_statvfs(t->volume, t->path, &st);
    if (rc < 0)
        return target_complain(t, rc);
    if (o->results)
        report(t, &st, o->results);
    else
        print(t, &st, o);
    return EXIT_SUCCESS;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    (void)arg;
    switch (key) {
    case 'h':
        o->human = true;
        return 0;
    case 'i':
        o->inodes = true;
        return 0;
    default:
        return json_args_key(key, state, &o->args, 1, &o->results);
    }
}

int command_df(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"human-readable", 'h', NULL, 0, "sizes with a unit, e.g. 1.5G", 0},
        {"inodes", 'i', NULL, 0, "inodes instead of space", 0},
        {"json", KEY_JSON, NULL, 0, "print a JSON document, in bytes", 0},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "URI...",
                                     .doc = "Shows how much space volumes have."};
    struct options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int status = targets_each(&o.args, show, &o);
    if (o.results)
        json_print(o.results);
    return status;
}
