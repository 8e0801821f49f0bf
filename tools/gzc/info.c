/* gzc info. */
#include "args.h"
#include "command.h"
#include "json.h"
#include "message.h"
#include "target.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    json_t *result; /* NULL without --json */
    struct args args;
};

static const struct counter {
    const char *name;
    size_t offset;
} counters[] = {
    {"bytes_landed", offsetof(struct gzc_stats, bytes_landed)},
    {"bytes_staged", offsetof(struct gzc_stats, bytes_staged)},
    {"calls", offsetof(struct gzc_stats, calls)},
    {"replies", offsetof(struct gzc_stats, replies)},
    {"replies_retired", offsetof(struct gzc_stats, replies_retired)},
    {"replies_unmatched", offsetof(struct gzc_stats, replies_unmatched)},
    {"callbacks", offsetof(struct gzc_stats, callbacks)},
    {"receive_syscalls", offsetof(struct gzc_stats, receive_syscalls)},
    {"send_syscalls", offsetof(struct gzc_stats, send_syscalls)},
    {"wait_syscalls", offsetof(struct gzc_stats, wait_syscalls)},
    {"work_requests", offsetof(struct gzc_stats, work_requests)},
    {"doorbells", offsetof(struct gzc_stats, doorbells)},
    {"completions", offsetof(struct gzc_stats, completions)},
    {"registrations", offsetof(struct gzc_stats, registrations)},
};
#define COUNTERS (sizeof(counters) / sizeof(*counters))

static uint64_t counter_value(const struct gzc_stats *stats, const struct counter *c)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + c->offset, sizeof(value));
    return value;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* A label and bytes that the servers chose. */
static void print_field(const char *label, const char *value)
{
    printf("%s", label);
    text_name(value);
    putchar('\n');
}

static void print_brick(int index, const struct gzc_brick_info *b)
{
    printf("\nBrick %d:       ", index + 1);
    text_name(b->host);
    putchar(':');
    print_field("", b->path);
    print_field("  Translator:  ", b->name);
    if (!b->connected) {
        print_field("  State:       not connected: ", b->error);
        return;
    }
    printf("  State:       connected by %s, %u connection%s\n",
           strcmp(b->transport, "rdma") == 0 ? "RDMA" : "TCP", b->connections,
           b->connections == 1 ? "" : "s");
    print_field("  Address:     ", b->address);
}

static int print_option(void *arg, const char *name, const char *value)
{
    (void)arg;
    fputs("  ", stdout);
    text_name(name);
    print_field(" = ", value);
    return 0;
}

static void print(const struct target *t)
{
    struct gzc_stats stats = {0};
    struct gzc_brick_info brick;
    const char *server = gzc_volume_server(t->volume);
    print_field("Volume:        ", gzc_volume_name(t->volume));
    print_field("Volfile from:  ", *server ? server : "-");
    for (int i = 0; i < gzc_brick_count(t->volume); i++)
        if (gzc_brick_info(t->volume, i, &brick, sizeof(brick)) == 0)
            print_brick(i, &brick);
    puts("\nOptions:");
    gzc_volume_options(t->volume, print_option, NULL);
    puts("\nCounters:");
    gzc_volume_stats(t->volume, &stats, sizeof(stats));
    for (size_t i = 0; i < COUNTERS; i++)
        printf("  %-18s %" PRIu64 "\n", counters[i].name, counter_value(&stats, &counters[i]));
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void report_brick(json_t *bricks, const struct gzc_brick_info *b)
{
    json_t *brick = need(json_object());
    json_set_bytes(brick, "name", b->name);
    json_set_bytes(brick, "host", b->host);
    json_set_bytes(brick, "path", b->path);
    json_set_bytes(brick, "address", b->address);
    json_set_bytes(brick, "transport", b->transport);
    json_set_bytes(brick, "error", b->error);
    json_object_set_new(brick, "connected", json_boolean(b->connected));
    json_set_number(brick, "connections", b->connections);
    json_array_append_new(bricks, brick);
}

static int report_option(void *arg, const char *name, const char *value)
{
    json_t *option = need(json_object());
    json_set_bytes(option, "name", name);
    json_set_bytes(option, "value", value);
    json_array_append_new(arg, option);
    return 0;
}

static void report(json_t *result, const struct target *t)
{
    struct gzc_stats stats = {0};
    struct gzc_brick_info brick;
    json_t *bricks = need(json_array()), *options = need(json_array()),
           *numbers = need(json_object());
    json_set_bytes(result, "uri", t->uri);
    json_set_bytes(result, "volume", gzc_volume_name(t->volume));
    json_set_bytes(result, "server", gzc_volume_server(t->volume));
    json_set_bytes(result, "version", gzc_version());
    for (int i = 0; i < gzc_brick_count(t->volume); i++)
        if (gzc_brick_info(t->volume, i, &brick, sizeof(brick)) == 0)
            report_brick(bricks, &brick);
    gzc_volume_options(t->volume, report_option, options);
    gzc_volume_stats(t->volume, &stats, sizeof(stats));
    for (size_t i = 0; i < COUNTERS; i++)
        json_set_number(numbers, counters[i].name, counter_value(&stats, &counters[i]));
    json_object_set_new(result, "bricks", bricks);
    json_object_set_new(result, "options", options);
    json_object_set_new(result, "counters", numbers);
}

/* ---- the command ----------------------------------------------------------------------------- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    (void)arg;
    if (key != KEY_JSON) {
        error_t rc = args_key(key, state, &o->args, 1);
        if (o->args.count > 1)
            argp_error(state, "more than one URI");
        return rc;
    }
    if (!o->result)
        o->result = need(json_object());
    return 0;
}

int command_info(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"json", KEY_JSON, NULL, 0, "print a JSON document", 0},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "URI",
                                     .doc = "Shows a volume's bricks, options and counters."};
    struct options o = {0};
    struct target target;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (!target_mount(&target, o.args.at[0]))
        return EXIT_FAILURE;
    if (o.result) {
        report(o.result, &target);
        json_print(o.result);
    } else {
        print(&target);
    }
    target_free(&target);
    return EXIT_SUCCESS;
}
