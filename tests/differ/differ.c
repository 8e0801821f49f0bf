/* The differential test: random sequences of operations through libgzc and through a FUSE mount of
 * the same volume, in two directories that must stay the same. */
#include "compare.h"
#include "generator.h"
#include "random.h"
#include "shrink.h"

#include <err.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: differ --uri URI --mount DIRECTORY [option...] [SCRIPT...]\n"
    "\n"
    "Replays the scripts; or without one makes steps at random. Status 0 if nothing differs.\n"
    "\n"
    "  --uri URI          the volume, for libgzc\n"
    "  --mount DIRECTORY  where it is mounted by FUSE\n"
    "  --steps N          to make (default 1000)\n"
    "  --seed N           of the random numbers (default: the time; it is printed)\n"
    "  --length N         steps until everything is closed and begun anew (default 1000)\n"
    "  --keep DIRECTORY   where a failing sequence is written to, shrunk (default .)\n"
    "  --shrink SECONDS   to shrink for at most (default 120)\n";

struct options {
    const char *uri, *mount, *keep;
    uint64_t steps, seed, length;
    unsigned shrink;
};

/* Steps between two looks at the trees as a whole. */
enum { TREES = 250 };

static int keep_failure(const struct options *o, struct script *script, uint64_t seed,
                        const char *why)
{
    static char path[4096], comment[66000];
    size_t at, steps = script->count;

    printf("differs after %zu steps (--seed %llu):\n%s\n", steps, (unsigned long long)seed, why);
    fflush(stdout);
    shrink(script, o->shrink);
    why = replay(script, &at);
    snprintf(comment, sizeof(comment), "--seed %llu, %zu steps shrunk to %zu\n%s",
             (unsigned long long)seed, steps, script->count,
             why ? why : "it did not differ when it was replayed");
    snprintf(path, sizeof(path), "%s/differ-%llu.txt", o->keep, (unsigned long long)seed);
    if (!script_write(script, path, comment))
        warn("%s", path);
    printf("%s\n", comment);
    for (size_t i = 0; i < script->count; i++) {
        step_print(stdout, &script->steps[i]);
        putchar('\n');
    }
    printf("kept in %s\n", path);
    return 1;
}

/* One sequence of at most `count` steps. */
static int run_sequence(const struct options *o, uint64_t seed, uint64_t count)
{
    struct generator *g = generator_new(seed);
    struct script script = {NULL};
    const char *why = NULL;

    sides_begin();
    for (uint64_t i = 1; i <= count && !why; i++) {
        int64_t value;
        struct step s = generator_next(g);
        script_add(&script, s);
        why = sides_step(&s, true, &value);
        generator_note(g, &s, value);
        if (!why && (i % TREES == 0 || i == count))
            why = sides_trees();
    }
    int status = why ? keep_failure(o, &script, seed, why) : 0;
    script_free(&script);
    generator_free(g);
    return status;
}

/* Each sequence has a seed of its own, so that a failing one can be made again by itself. */
static int run_random(const struct options *o)
{
    uint64_t seed = o->seed, done = 0;
    time_t begin = time(NULL), told = begin;

    printf("--seed %llu --steps %llu --length %llu\n", (unsigned long long)o->seed,
           (unsigned long long)o->steps, (unsigned long long)o->length);
    while (done < o->steps) {
        uint64_t count = o->steps - done < o->length ? o->steps - done : o->length;
        fflush(stdout);
        if (run_sequence(o, seed, count))
            return 1;
        done += count;
        random_next(&seed);
        if (time(NULL) >= told + 10 || done == o->steps) {
            told = time(NULL);
            printf("%llu of %llu steps, %lld s\n", (unsigned long long)done,
                   (unsigned long long)o->steps, (long long)(told - begin));
        }
    }
    return 0;
}

static int run_script(const char *path)
{
    struct script script = {NULL};
    size_t at;

    script_read(&script, path);
    const char *why = replay(&script, &at);
    if (why)
        printf("%s: step %zu differs:\n%s\n", path, at + 1, why);
    else
        printf("%s: %zu steps\n", path, script.count);
    script_free(&script);
    return why != NULL;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"uri", required_argument, NULL, 'u'},
        {"mount", required_argument, NULL, 'm'},
        {"steps", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},
        {"length", required_argument, NULL, 'l'},
        {"keep", required_argument, NULL, 'k'},
        {"shrink", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {
        .keep = ".", .steps = 1000, .seed = (uint64_t)time(NULL), .length = 1000, .shrink = 120};
    int c, status = 0;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
        switch (c) {
        case 'u':
            o.uri = optarg;
            break;
        case 'm':
            o.mount = optarg;
            break;
        case 'n':
            o.steps = strtoull(optarg, NULL, 0);
            break;
        case 's':
            o.seed = strtoull(optarg, NULL, 0);
            break;
        case 'l':
            o.length = strtoull(optarg, NULL, 0);
            break;
        case 'k':
            o.keep = optarg;
            break;
        case 't':
            o.shrink = (unsigned)atoi(optarg);
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (!o.uri || !o.mount || o.length == 0) {
        fputs(usage, stderr);
        return 2;
    }
    sides_open(o.uri, o.mount);
    if (optind == argc)
        status = run_random(&o);
    for (int i = optind; i < argc; i++)
        status |= run_script(argv[i]);
    sides_close();
    return status;
}
