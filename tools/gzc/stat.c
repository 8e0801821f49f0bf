/* gzc stat. */
#include "args.h"
#include "command.h"
#include "json.h"
#include "message.h"
#include "target.h"
#include "text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct options {
    bool follow;
    json_t *results; /* NULL without --json */
    struct args args;
};

static void print_time(const char *label, const struct timespec *when)
{
    char text[64], zone[16];
    text_time(text, sizeof(text), "%Y-%m-%d %H:%M:%S", when->tv_sec);
    text_time(zone, sizeof(zone), "%z", when->tv_sec);
    printf("%8s: %s.%09ld %s\n", label, text, when->tv_nsec, zone);
}

static void print(const char *uri, const struct stat *st)
{
    char mode[11];
    text_mode(mode, st->st_mode);
    printf("%8s: ", "File");
    text_name(uri);
    printf("\n%8s: %jd bytes in %jd blocks of 512, I/O block %jd\n", "Size", (intmax_t)st->st_size,
           (intmax_t)st->st_blocks, (intmax_t)st->st_blksize);
    printf("%8s: %ju\n%8s: %ju\n", "Inode", (uintmax_t)st->st_ino, "Links",
           (uintmax_t)st->st_nlink);
    printf("%8s: %04o %s\n", "Mode", st->st_mode & 07777, mode);
    printf("%8s: %u %s\n", "User", st->st_uid, text_user(st->st_uid));
    printf("%8s: %u %s\n", "Group", st->st_gid, text_group(st->st_gid));
    print_time("Access", &st->st_atim);
    print_time("Modify", &st->st_mtim);
    print_time("Change", &st->st_ctim);
}

static int show(const struct target *t, void *arg)
{
    const struct options *o = arg;
    struct stat st;
    int rc = target_stat(t, o->follow, &st);
    if (rc < 0)
        return target_complain(t, rc);
    if (o->results) {
        json_t *result = need(json_object());
        json_set_bytes(result, "uri", t->uri);
        json_set_bytes(result, "path", t->path);
        json_set_stat(result, &st);
        json_array_append_new(o->results, result);
    } else {
        print(t->uri, &st);
    }
    return EXIT_SUCCESS;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    (void)arg;
    switch (key) {
    case 'L':
        o->follow = true;
        return 0;
    default:
        return json_args_key(key, state, &o->args, 1, &o->results);
    }
}

int command_stat(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"dereference", 'L', NULL, 0, "follow a symbolic link", 0},
        {"json", KEY_JSON, NULL, 0, "print a JSON document", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options, .parser = parse, .args_doc = "URI...", .doc = "Shows attributes."};
    struct options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int status = targets_each(&o.args, show, &o);
    if (o.results)
        json_print(o.results);
    return status;
}
