/* gzc cat, put and get. */
#include "args.h"
#include "command.h"
#include "end.h"
#include "interrupt.h"
#include "json.h"
#include "message.h"
#include "progress.h"
#include "target.h"
#include "text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK   (4UL << 20)
#define SUM_HEX 64 /* digits of a SHA-256 sum */

struct options {
    bool get, verify, progress;
    json_t *results; /* NULL without --json */
    struct args args;
};

/* What several files are copied to, or one. */
struct place {
    const char *name;            /* as on the command line */
    const struct target *target; /* NULL: local */
    const char *path;            /* NULL: the standard output */
    bool directory;              /* the copies go into it, by the names of their sources */
};

/* Page aligned, for the sake of the kernel's copying; made once. */
static char *chunk(void)
{
    static char *memory;
    if (!memory)
        memory = need(aligned_alloc(4096, CHUNK));
    return memory;
}

/* ---- one file -------------------------------------------------------------------------------- */

/* Reads @p from to its end, into @p to and @p digest if they are not NULL. @return 0; -errno, with
 * *failed set to the end that is at fault. */
static int copy(struct end *from, struct end *to, EVP_MD_CTX *digest, struct progress *progress,
                struct end **failed)
{
    ssize_t n;
    do {
        *failed = from;
        n = interrupted() ? -EINTR : end_read(from, chunk(), CHUNK);
        if (n < 0)
            return (int)n;
        if (digest)
            EVP_DigestUpdate(digest, chunk(), (size_t)n);
        *failed = to;
        int rc = to ? end_write(to, chunk(), (size_t)n) : 0;
        if (rc < 0)
            return rc;
        progress_update(progress, (uint64_t)from->at);
    } while (n == CHUNK);
    return 0;
}

static EVP_MD_CTX *digest_start(void)
{
    EVP_MD_CTX *digest = need(EVP_MD_CTX_new());
    if (EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
        exit(complain("SHA-256", "not available from libcrypto"));
    return digest;
}

static void digest_end(EVP_MD_CTX *digest, char sum[SUM_HEX + 1])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_DigestFinal_ex(digest, raw, &length);
    EVP_MD_CTX_free(digest);
    for (unsigned i = 0; i < SUM_HEX / 2; i++)
        sprintf(sum + 2 * i, "%02x", i < length ? raw[i] : 0);
}

/* Compares what is stored under the name of the closed sink @p to with @p expected. */
static int verify(struct end *to, const char *expected, bool progress)
{
    struct end back = {.name = to->name, .target = to->target, .path = to->path}, *failed;
    struct progress line;
    char sum[SUM_HEX + 1];
    int rc = end_open_source(&back);
    if (rc == 0) {
        EVP_MD_CTX *digest = digest_start();
        progress_start(&line, progress, "verifying", back.size);
        rc = copy(&back, NULL, digest, &line, &failed);
        progress_end(&line, rc == 0);
        digest_end(digest, sum);
        end_close(&back);
    }
    if (rc < 0) {
        to->why = back.why;
        return rc;
    }
    if (strcmp(sum, expected) == 0)
        return 0;
    snprintf(to->why.text, sizeof(to->why.text),
             "what was read back is not what was written: SHA-256 %s, not %s", sum, expected);
    return -EBADMSG;
}

/* Everything between the opening of both ends and the closing of the source. */
static int fill(struct end *from, struct end *to, const struct options *o, char *sum,
                struct end **failed)
{
    struct progress line;
    EVP_MD_CTX *digest = o->verify ? digest_start() : NULL;
    char *label = path_base(from->path ? from->path : from->name);
    progress_start(&line, o->progress, label, from->size);
    int rc = copy(from, to, digest, &line, failed);
    progress_end(&line, rc == 0);
    free(label);
    if (digest)
        digest_end(digest, sum);
    if (rc < 0) {
        end_close(to);
        return rc;
    }
    *failed = to;
    rc = o->verify ? end_sync(to) : 0;
    int closed = end_close(to);
    if (rc == 0)
        rc = closed;
    if (rc == 0 && o->verify)
        rc = verify(to, sum, o->progress);
    return rc;
}

static void report(const struct options *o, const struct end *from, const struct end *to,
                   const char *sum, uint64_t start)
{
    json_t *result = need(json_object());
    json_set_bytes(result, "source", from->name);
    json_set_bytes(result, "target", to->name);
    json_set_number(result, "bytes", (uint64_t)from->at);
    double seconds = (double)(text_clock() - start) / 1e9;
    json_object_set_new(result, "seconds", need(json_real(seconds)));
    if (o->verify) {
        json_set_bytes(result, "sha256", sum);
        json_object_set_new(result, "verified", json_true());
    }
    json_array_append_new(o->results, result);
}

/* Copies one file, and leaves no sink behind that looks complete and is not. */
static int transfer(struct end *from, struct end *to, const struct options *o)
{
    char sum[SUM_HEX + 1] = "";
    uint64_t start = text_clock();
    chunk();
    if (end_open_source(from) < 0)
        return complain(from->name, "%s", from->why.text);
    bool file = to->path != NULL;
    if (file)
        interrupt_catch();
    struct end *failed = to;
    int rc = end_open_sink(to, from->mode);
    if (rc == 0)
        rc = fill(from, to, o, sum, &failed);
    end_close(from);
    /* The end of a pipe may be there because the signal has killed the process at its other end,
     * too: to be interrupted is a failure however far the copy has got. */
    int status = EXIT_SUCCESS;
    if (file && interrupted())
        status = complain(to->name, "interrupted%s", end_discard(to));
    else if (rc < 0)
        status = complain(failed->name, "%s%s", failed->why.text, end_discard(to));
    else if (o->results)
        report(o, from, to, sum, start);
    if (file) {
        interrupt_release();
        interrupt_die();
    }
    return status;
}

/* ---- where it goes --------------------------------------------------------------------------- */

/* Tells whether @p p, whose name and path are set, is a directory. If it is not, but was meant to
 * be, that is a failure. */
static bool place_find(struct place *p, bool must)
{
    struct stat st;
    struct reason why;
    size_t length = strlen(p->path);
    int rc = p->target                ? gzc_stat(p->target->volume, p->path, &st)
             : stat(p->path, &st) < 0 ? -errno
                                      : 0;
    p->directory = rc == 0 && S_ISDIR(st.st_mode);
    if (p->directory || !(must || (length && p->path[length - 1] == '/')))
        return true;
    if (rc == 0)
        reason_set(&why, -ENOTDIR, "");
    else if (p->target)
        reason_volume(&why, rc, p->target->volume);
    else
        reason_set(&why, rc, "");
    complain(p->name, "%s", why.text);
    return false;
}

/* Copies @p from, whose file is called @p base, to where it belongs. */
static int transfer_to(const struct place *p, struct end *from, const char *base,
                       const struct options *o)
{
    struct end to = {.name = p->name, .target = p->target, .path = p->path};
    char *path = NULL, *name = NULL;
    if (p->directory) {
        to.path = path = path_join(p->path, base);
        to.name = name = p->target ? uri_join(p->name, base) : path_join(p->path, base);
    }
    int status = transfer(from, &to, o);
    free(path);
    free(name);
    return status;
}

static int put(const struct options *o)
{
    int sources = o->args.count - 1, status = EXIT_SUCCESS;
    struct target target;
    if (!target_mount(&target, o->args.at[sources]))
        return EXIT_FAILURE;
    struct place place = {.name = target.uri, .target = &target, .path = target.path};
    if (!place_find(&place, sources > 1)) {
        target_unmount(&target);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < sources; i++) {
        struct end from = {.name = o->args.at[i], .path = o->args.at[i]};
        if (strcmp(o->args.at[i], "-") == 0)
            from = (struct end){.name = "standard input"};
        if (!from.path && place.directory) {
            status = complain(target.uri, "Is a directory, and standard input has no name");
            continue;
        }
        char *base = path_base(o->args.at[i]);
        status |= transfer_to(&place, &from, base, o);
        free(base);
    }
    target_unmount(&target);
    return status;
}

static int get_one(const char *uri, const struct place *place, const struct options *o)
{
    struct target target;
    if (!target_mount(&target, uri))
        return EXIT_FAILURE;
    struct end from = {.name = uri, .target = &target, .path = target.path};
    char *base = path_base(target.path);
    int status = transfer_to(place, &from, base, o);
    free(base);
    target_unmount(&target);
    return status;
}

static int get(const struct options *o)
{
    int sources = o->args.count - 1, status = EXIT_SUCCESS;
    const char *local = o->args.at[sources];
    struct place place = {.name = local, .path = local};
    if (strcmp(local, "-") == 0)
        place = (struct place){.name = "standard output"};
    else if (!place_find(&place, sources > 1))
        return EXIT_FAILURE;
    for (int i = 0; i < sources; i++)
        status |= get_one(o->args.at[i], &place, o);
    return status;
}

/* ---- commands -------------------------------------------------------------------------------- */

enum { KEY_JSON = 256, KEY_PROGRESS, KEY_VERIFY };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    (void)arg;
    switch (key) {
    case KEY_JSON:
        if (!o->results)
            o->results = need(json_array());
        return 0;
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
        return args_key(key, state, &o->args, 2);
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

int command_cat(int argc, char **argv)
{
    struct args args = args_uris(argc, argv, "Writes files to the standard output.");
    const struct options o = {0};
    struct end out = {.name = "standard output"};
    int status = EXIT_SUCCESS;
    for (int i = 0; i < args.count && !out.why.text[0]; i++) {
        struct target target;
        if (!target_mount(&target, args.at[i])) {
            status = EXIT_FAILURE;
            continue;
        }
        struct end from = {.name = target.uri, .target = &target, .path = target.path};
        status |= transfer(&from, &out, &o);
        target_unmount(&target);
    }
    return status;
}
