/* gzc cat, put and get. */
#include "args.h"
#include "command.h"
#include "copy.h"
#include "interrupt.h"
#include "json.h"
#include "message.h"
#include "target.h"
#include "text.h"
#include "uri.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
    bool get, verify, progress;
    bool sink_failed; /* there is no use in going on */
    json_t *results;  /* NULL without --json */
    struct args args;
};

/* What several files are copied to, or one. A path of NULL is the standard output. */
struct place {
    struct target target;
    bool directory; /* the copies go into it, by the names of their sources */
};

/* ---- one file -------------------------------------------------------------------------------- */

struct outcome {
    json_t *results;
    enum copy_end end;
    bool sink_failed;
};

static void report(const struct copy *c, json_t *results)
{
    json_t *result = need(json_object());
    json_set_bytes(result, "source", c->from.name);
    json_set_bytes(result, "target", c->to.name);
    json_set_number(result, "bytes", (uint64_t)c->length);
    double seconds = (double)(text_clock() - c->start) / 1e9;
    json_object_set_new(result, "seconds", need(json_real(seconds)));
    if (c->run->verify) {
        json_set_bytes(result, "sha256", c->sum);
        json_object_set_new(result, "verified", json_true());
    }
    json_array_append_new(results, result);
}

static void over(struct copy *c)
{
    struct outcome *outcome = c->arg;
    outcome->end = c->end;
    outcome->sink_failed = c->end == COPY_FAILED && c->at_fault == &c->to;
    if (c->end == COPY_DONE && outcome->results)
        report(c, outcome->results);
}

/* Attributes of a source: what is no file cannot be one. */
static int source_stat(const struct target *t, struct stat *st)
{
    if (!t->path) {
        if (fstat(STDIN_FILENO, st) < 0)
            return complain(t->uri, "%s", strerror(errno));
        st->st_mode = (st->st_mode & S_IFMT) | 0666;
        return EXIT_SUCCESS;
    }
    int rc = target_stat(t, true, st);
    if (rc < 0)
        return target_complain(t, rc);
    if (S_ISDIR(st->st_mode))
        return complain(t->uri, "%s", strerror(EISDIR));
    if (t->volume && !S_ISREG(st->st_mode))
        return complain(t->uri, "%s (not a regular file)", strerror(EINVAL));
    return EXIT_SUCCESS;
}

static struct end end_of(const struct target *t)
{
    return (struct end){.name = t->uri, .volume = t->volume, .path = t->path};
}

/* Copies one file, and leaves no copy behind that looks complete and is not. */
static int transfer(const struct target *from, const struct target *to, struct options *o)
{
    struct copying run = {.verify = o->verify, .progress = o->progress};
    struct outcome outcome = {.results = o->results};
    struct end source = end_of(from), sink = end_of(to);
    struct stat st;
    if (source_stat(from, &st) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (to->path)
        interrupt_catch();
    copy_start(&run, &source, &sink, &st, over, &outcome);
    copies_wait(&run, 1);
    if (to->path) {
        interrupt_release();
        interrupt_die();
    }
    o->sink_failed = outcome.sink_failed;
    return outcome.end == COPY_DONE ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- where it goes --------------------------------------------------------------------------- */

/* Copies @p from to where it belongs. */
static int transfer_to(const struct place *p, const struct target *from, struct options *o)
{
    if (!p->directory)
        return transfer(from, &p->target, o);
    char *base = path_base(from->path);
    struct target to = target_in(&p->target, base);
    int status = transfer(from, &to, o);
    target_free(&to);
    free(base);
    return status;
}

static int put(struct options *o)
{
    int last = o->args.count - 1, status = EXIT_SUCCESS;
    struct place place;
    if (!target_mount(&place.target, o->args.at[last]))
        return EXIT_FAILURE;
    bool ready = target_directory(&place.target, last > 1, &place.directory);
    if (!ready)
        status = EXIT_FAILURE;
    for (int i = 0; i < last && ready; i++) {
        struct target from = {.uri = o->args.at[i], .path = o->args.at[i]};
        if (strcmp(o->args.at[i], "-") == 0)
            from = (struct target){.uri = (char *)"standard input"};
        if (!from.path && place.directory)
            status = complain(place.target.uri, "Is a directory, and standard input has no name");
        else
            status |= transfer_to(&place, &from, o);
    }
    target_free(&place.target);
    return status;
}

static int get(struct options *o)
{
    int last = o->args.count - 1;
    char *local = o->args.at[last];
    struct place place = {.target = {.uri = local, .path = local}};
    struct targets sources = {0};
    int status = targets_expand(&sources, &(struct args){o->args.at, last}, false);
    bool several = last > 1 || sources.count > 1, ready = true;
    if (strcmp(local, "-") == 0)
        place.target = (struct target){.uri = (char *)"standard output"};
    else
        ready = target_directory(&place.target, several, &place.directory);
    if (!ready)
        status = EXIT_FAILURE;
    for (size_t i = 0; i < sources.count && ready; i++)
        status |= transfer_to(&place, &sources.at[i], o);
    targets_free(&sources);
    return status;
}

/* ---- commands -------------------------------------------------------------------------------- */

enum { KEY_PROGRESS = 256, KEY_VERIFY };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    (void)arg;
    switch (key) {
    case KEY_PROGRESS:
        o->progress = true;
        return 0;
    case 'q':
        o->progress = false;
        return 0;
    case KEY_VERIFY:
        o->verify = true;
        return 0;
    case ARGP_KEY_SUCCESS:
        if (o->get && strcmp(o->args.at[o->args.count - 1], "-") == 0 &&
            (o->verify || o->results || o->args.count > 2))
            argp_error(state, "to the standard output one file is copied, without --verify and "
                              "--json");
        return 0;
    default:
        return json_args_key(key, state, &o->args, 2, &o->results);
    }
}

static void parse_copy(int argc, char **argv, const char *args_doc, const char *doc,
                       struct options *o)
{
    static const struct argp_option options[] = {
        {"json", KEY_JSON, NULL, 0, "print what was copied as a JSON document", 0},
        {"progress", KEY_PROGRESS, NULL, 0, "show progress, even if not on a terminal", 0},
        {"quiet", 'q', NULL, 0, "show no progress", 0},
        {"no-progress", 'q', NULL, OPTION_ALIAS, NULL, 0},
        {"verify", KEY_VERIFY, NULL, 0, "read each copy back and compare its SHA-256 sum", 0},
        {0},
    };
    const struct argp argp = {
        .options = options, .parser = parse, .args_doc = args_doc, .doc = doc};
    o->progress = isatty(STDERR_FILENO);
    argp_parse(&argp, argc, argv, 0, NULL, o);
}

int command_put(int argc, char **argv)
{
    struct options o = {0};
    parse_copy(argc, argv, "FILE... URI",
               "Copies local files, or the standard input (-), to a volume. Several files need a "
               "directory.",
               &o);
    int status = put(&o);
    if (o.results)
        json_print(o.results);
    return status;
}

int command_get(int argc, char **argv)
{
    struct options o = {.get = true};
    parse_copy(argc, argv, "URI... FILE",
               "Copies files from a volume to a local file, directory, or the standard output (-). "
               "Several files need a directory.",
               &o);
    int status = get(&o);
    if (o.results)
        json_print(o.results);
    return status;
}

static int cat(const struct target *t, void *arg)
{
    const struct target out = {.uri = (char *)"standard output"};
    struct options *o = arg;
    return o->sink_failed ? EXIT_FAILURE : transfer(t, &out, o);
}

int command_cat(int argc, char **argv)
{
    struct args args = args_uris(argc, argv, "Writes files to the standard output.");
    return targets_each(&args, cat, &(struct options){0});
}
