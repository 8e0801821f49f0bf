/* gzc ping. */
#include "args.h"
#include "command.h"
#include "interrupt.h"
#include "json.h"
#include "message.h"
#include "target.h"
#include "text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    unsigned long count; /* 0: until interrupted */
    double interval;     /* seconds */
    json_t *result;      /* NULL without --json */
    struct args args;
};

/* The pings to one brick; times in nanoseconds. */
struct tally {
    struct gzc_brick_info brick;
    unsigned long sent, answered;
    double min, max, sum, squares;
    struct reason why; /* of the last one that was not answered */
};

static double mean(const struct tally *t)
{
    return t->sum / (double)t->answered;
}

static double deviation(const struct tally *t)
{
    double variance = t->squares / (double)t->answered - mean(t) * mean(t);
    return variance > 0 ? sqrt(variance) : 0;
}

static void print_brick(const struct gzc_brick_info *b)
{
    text_name(b->host);
    putchar(':');
    text_name(b->path);
}

static void ping(const struct target *target, int index, struct tally *t, bool quiet)
{
    uint64_t nanoseconds;
    int rc = gzc_ping(target->volume, index, &nanoseconds);
    t->sent++;
    if (rc < 0) {
        reason_volume(&t->why, rc, target->volume);
    } else {
        double time = (double)nanoseconds;
        t->min = t->answered == 0 || time < t->min ? time : t->min;
        t->max = time > t->max ? time : t->max;
        t->sum += time;
        t->squares += time * time;
        t->answered++;
    }
    if (quiet)
        return;
    print_brick(&t->brick);
    printf(": seq=%lu ", t->sent);
    if (rc == 0) {
        printf("time=%.3f ms\n", (double)nanoseconds / 1e6);
    } else {
        text_name(t->why.text);
        putchar('\n');
    }
    fflush(stdout);
}

static void print_tally(const struct tally *t)
{
    fputs("\n--- ", stdout);
    print_brick(&t->brick);
    printf(" ---\n%lu sent, %lu answered, %.0f%% lost\n", t->sent, t->answered,
           100.0 * (double)(t->sent - t->answered) / (double)t->sent);
    if (t->answered)
        printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", t->min / 1e6, mean(t) / 1e6,
               t->max / 1e6, deviation(t) / 1e6);
}

static void report_tally(json_t *bricks, const struct tally *t)
{
    json_t *brick = need(json_object());
    json_set_bytes(brick, "name", t->brick.name);
    json_set_bytes(brick, "host", t->brick.host);
    json_set_bytes(brick, "path", t->brick.path);
    json_set_bytes(brick, "address", t->brick.address);
    json_set_number(brick, "sent", t->sent);
    json_set_number(brick, "answered", t->answered);
    if (t->answered) {
        json_object_set_new(brick, "min_ms", need(json_real(t->min / 1e6)));
        json_object_set_new(brick, "avg_ms", need(json_real(mean(t) / 1e6)));
        json_object_set_new(brick, "max_ms", need(json_real(t->max / 1e6)));
        json_object_set_new(brick, "mdev_ms", need(json_real(deviation(t) / 1e6)));
    }
    json_array_append_new(bricks, brick);
}

/* Prints what came of it. @return the exit status. */
static int conclude(const struct target *target, const struct tally *tallies, int bricks,
                    const struct options *o)
{
    unsigned long sent = 0, answered = 0;
    const char *why = "";
    json_t *list = o->result ? need(json_array()) : NULL;
    for (int i = 0; i < bricks; i++) {
        if (list)
            report_tally(list, &tallies[i]);
        else
            print_tally(&tallies[i]);
        sent += tallies[i].sent;
        answered += tallies[i].answered;
        if (tallies[i].sent > tallies[i].answered)
            why = tallies[i].why.text;
    }
    if (list) {
        json_set_bytes(o->result, "uri", target->uri);
        json_object_set_new(o->result, "bricks", list);
        json_print(o->result);
    }
    if (answered == sent)
        return EXIT_SUCCESS;
    return complain(target->uri, "%lu of %lu pings not answered: %s", sent - answered, sent, why);
}

static int run(const struct target *target, const struct options *o)
{
    int bricks = gzc_brick_count(target->volume);
    struct tally *tallies = need(calloc((size_t)bricks, sizeof(*tallies)));
    for (int i = 0; i < bricks; i++)
        gzc_brick_info(target->volume, i, &tallies[i].brick, sizeof(tallies[i].brick));
    interrupt_catch();
    for (unsigned long round = 0; !interrupted() && (!o->count || round < o->count); round++) {
        if (round)
            interrupt_sleep(o->interval);
        for (int i = 0; i < bricks && !interrupted(); i++)
            ping(target, i, &tallies[i], o->result != NULL);
    }
    interrupt_release();
    int status = conclude(target, tallies, bricks, o);
    free(tallies);
    return status;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *end;
    switch (key) {
    case 'c':
        o->count = strtoul(arg, &end, 10);
        if (strspn(arg, "0123456789") != strlen(arg) || o->count < 1 || o->count > 1000000000)
            argp_error(state, "'%s' is not a count in 1..1000000000", arg);
        return 0;
    case 'i':
        o->interval = strtod(arg, &end);
        if (end == arg || *end || !(o->interval >= 0 && o->interval <= 86400))
            argp_error(state, "'%s' is not a number of seconds in 0..86400", arg);
        return 0;
    case KEY_JSON:
        if (!o->result)
            o->result = need(json_object());
        return 0;
    default: {
        error_t rc = args_key(key, state, &o->args, 1);
        if (o->args.count > 1)
            argp_error(state, "more than one URI");
        return rc;
    }
    }
}

int command_ping(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"count", 'c', "COUNT", 0, "stop after COUNT pings to each brick", 0},
        {"interval", 'i', "SECONDS", 0, "time between pings to a brick (1)", 0},
        {"json", KEY_JSON, NULL, 0, "print a JSON document, in the end", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "URI",
        .doc = "Measures the round-trip time to each brick, until interrupted."};
    struct options o = {.interval = 1};
    struct target target;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (!target_mount(&target, o.args.at[0]))
        return EXIT_FAILURE;
    int status = run(&target, &o);
    target_free(&target);
    return status;
}
