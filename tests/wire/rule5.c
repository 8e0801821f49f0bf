/*
 * Rule 5: every length, count and index that comes from the network is checked before it is used.
 *
 * One after the other, every length, count and presence word in every kind of reply is replaced by
 * hostile values, and every reply is cut short and lengthened. The client must not crash (build
 * with AddressSanitizer), must not wait for ever, and must not take the reply for a good one: an
 * error comes out, and the connection goes.
 */
#include "tests/wire/rig.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the attack ------------------------------------------------------------------------------ */

/* What is done to the first reply of a kind. */
struct attack {
    size_t kind;
    size_t dict;      /* value of a dict to be put in a READ reply */
    bool verifier;    /* a verifier of 8 bytes is put in */
    int32_t op_errno; /* not 0: the reply is an error */
    void (*mutate)(struct peer_record *r, struct attack *a);
    unsigned field, value; /* poke_field()'s */
    size_t length;         /* resize()'s */
    /* results */
    unsigned nfields;
    size_t full; /* length of the reply before */
    bool done, changed;
    bool waits;    /* the record promises more than comes: the peer must close */
    char name[96]; /* of what is done */
};

enum {
    KIND_GETSPEC,
    KIND_PORTBYBRICK,
    KIND_SETVOLUME,
    KIND_PING = 4,
    KIND_READ = 8,
    KIND_READDIRP = 18,
    KINDS,
};

/* The kinds of replies, and the function that gets the first one. */
static const struct {
    uint32_t prog, proc;
    const char *name, *step;
} kinds[KINDS] = {
    {PEER_PROG_HANDSHAKE, PEER_GETSPEC, "GETSPEC", "gzc_mount"},
    {PEER_PROG_PORTMAP, PEER_PORTBYBRICK, "PORTBYBRICK", "gzc_mount"},
    {PEER_PROG_HANDSHAKE, PEER_SETVOLUME, "SETVOLUME", "gzc_mount"},
    {PEER_PROG_FOP, PEER_LOOKUP, "LOOKUP", "gzc_mount"},
    {PEER_PROG_DUMP, PEER_PING, "PING", "gzc_ping"},
    {PEER_PROG_FOP, PEER_READLINK, "READLINK", "gzc_stat"},
    {PEER_PROG_FOP, PEER_OPEN, "OPEN", "gzc_open"},
    {PEER_PROG_FOP, PEER_FSTAT, "FSTAT", "gzc_fstat"},
    {PEER_PROG_FOP, PEER_READ, "READ", "gzc_preadv"},
    {PEER_PROG_FOP, PEER_WRITE, "WRITE", "gzc_pwritev"},
    {PEER_PROG_FOP, PEER_FSYNC, "FSYNC", "gzc_fsync"},
    {PEER_PROG_FOP, PEER_FTRUNCATE, "FTRUNCATE", "gzc_ftruncate"},
    {PEER_PROG_FOP, PEER_FLUSH, "FLUSH", "gzc_close"},
    {PEER_PROG_FOP, PEER_CREATE, "CREATE", "gzc_create"},
    {PEER_PROG_FOP, PEER_UNLINK, "UNLINK", "gzc_unlink"},
    {PEER_PROG_FOP, PEER_MKDIR, "MKDIR", "gzc_mkdir"},
    {PEER_PROG_FOP, PEER_RMDIR, "RMDIR", "gzc_rmdir"},
    {PEER_PROG_FOP, PEER_OPENDIR, "OPENDIR", "gzc_opendir"},
    {PEER_PROG_FOP, PEER_READDIRP, "READDIRP", "gzc_readdir"},
};

static void put_dict_in_read(struct peer_call *call, struct peer_record *r, size_t dict)
{
    struct peer_record plain = *r;
    *r = (struct peer_record){0};
    peer_make_read(r, call->xid, (int32_t)peer_peek(&plain, PEER_AT_OP_RET), 0,
                   plain.at + PEER_AT_READ_PAYLOAD, plain.length - PEER_AT_READ_PAYLOAD, dict);
    peer_record_free(&plain);
}

static bool strike(struct peer_call *call, void *arg)
{
    struct attack *a = arg;
    struct peer_record r = {0};
    if (call->prog != kinds[a->kind].prog || call->proc != kinds[a->kind].proc || a->done)
        return false;
    a->done = true;
    if (a->op_errno && call->prog == PEER_PROG_FOP)
        peer_refuse(call, a->op_errno, &r);
    else if (a->op_errno)
        peer_make_setvolume(&r, call->xid, -1, a->op_errno, "refused");
    else
        peer_execute(call, &r);
    if (a->dict)
        put_dict_in_read(call, &r, a->dict);
    if (a->verifier) {
        peer_insert(&r, PEER_AT_ACCEPT_STAT, "verifier", 8);
        peer_poke(&r, PEER_AT_VERIFIER_LENGTH, 8);
        peer_seal(&r);
    }
    a->full = r.length;
    a->mutate(&r, a);
    peer_send(call->conn, r.at, r.length);
    if (a->waits)
        peer_close(call->conn);
    peer_record_free(&r);
    return true;
}

/* ---- the client ------------------------------------------------------------------------------ */

/* Every call that the interface makes, until one fails. The reads and the names' calls come last,
 * as they have most to lose. @return 0, -errno of the first that failed, or 1 with what was not so.
 */
static int use(gzc_volume *volume, const char **what)
{
    gzc_file *file = NULL;
    gzc_dir *dir = NULL;
    struct gzc_dirent entry;
    struct guard g;
    struct stat st;
    const size_t lengths[] = {3, 0, 61};
    uint64_t ns;
    int rc;
    ssize_t n;

    guard_make(&g, lengths, 3);
#define STEP(call)                                                                                 \
    do {                                                                                           \
        *what = #call;                                                                             \
        if ((rc = (call)) < 0)                                                                     \
            goto out;                                                                              \
    } while (0)
    STEP(gzc_ping(volume, 0, &ns));
    STEP(gzc_stat(volume, "link", &st));
    STEP(gzc_open(volume, RIG_FILE, O_RDWR, 0, &file));
    STEP(gzc_fstat(file, &st));
    *what = "gzc_preadv";
    n = gzc_preadv(file, g.iov, 3, 0);
    rc = n < 0 ? (int)n : n == 64 && guard_holds(&g, 0, 64) ? 0 : 1;
    if (!guard_intact(&g)) {
        *what = "memory around the iovec";
        rc = 1;
    }
    if (rc)
        goto out;
    *what = "gzc_pwritev";
    n = gzc_pwritev(file, g.iov, 3, 0);
    rc = n < 0 ? (int)n : n == 64 ? 0 : 1;
    if (rc)
        goto out;
    STEP(gzc_fsync(file));
    STEP(gzc_ftruncate(file, 500));
    *what = "gzc_close";
    rc = gzc_close(file);
    file = NULL;
    if (rc < 0)
        goto out;
    STEP(gzc_create(volume, "new", 0600, &file));
    STEP(gzc_unlink(volume, "new"));
    STEP(gzc_mkdir(volume, "dir", 0700));
    STEP(gzc_rmdir(volume, "dir"));
    STEP(gzc_opendir(volume, "/", &dir));
    int entries = 0;
    do {
        STEP(gzc_readdir(dir, &entry));
        entries += rc;
    } while (rc == 1 && entries < 100);
    rc = entries == 4 ? 0 : 1; /* ".", "..", the file, the link */
    if (rc)
        goto out;
    *what = "gzc_closedir";
    rc = gzc_closedir(dir);
    dir = NULL;
out:
    guard_free(&g);
    gzc_close(file);
    gzc_closedir(dir);
    return rc;
}

/* Mounts, and does everything, with the attack in between. @return as use(). */
static int attacked(struct attack *a, const char **what)
{
    char volfile[512], uri[256], text[512], address[16];
    struct peer_options options = {
        .address = address,
        .port = RIG_GLUSTERD_PORT,
        .volfile = volfile,
        .hook = strike,
        .arg = a,
    };
    gzc_volume *volume = NULL;
    bool from_glusterd = a->kind <= KIND_PORTBYBRICK;
    rig_own_address(address);
    rig_volfile(volfile, sizeof(volfile), address, 0);
    if (!from_glusterd)
        options = (struct peer_options){.hook = strike, .arg = a};
    struct peer *peer = peer_start(&options);
    cr_assert_not_null(peer, "%s", strerror(errno));
    rig_fill(peer_add_file(peer, RIG_FILE), 0, 1000);
    peer_add_link(peer, "link", RIG_FILE);
    peer_uri(peer, "?timeout=20&connect_timeout=20&reconnect_timeout=0", uri, sizeof(uri));
    if (from_glusterd)
        snprintf(uri, sizeof(uri),
                 "gluster://%s/v?timeout=20&connect_timeout=20&reconnect_timeout=0", address);
    a->done = a->changed = a->waits = false;
    *what = "gzc_mount";
    int rc = gzc_mount(uri, &volume);
    if (rc == 0)
        rc = use(volume, what);
    if (rc == -EPROTO)
        cr_assert(peer_wait_closed(peer), "%s: %s: %s gave EPROTO and left the connection open",
                  kinds[a->kind].name, a->name, *what);
    cr_assert_eq(gzc_unmount(volume), 0);
    cr_assert(peer_wait_closed(peer));
    cr_assert(a->done, "%s was never called", kinds[a->kind].name);
    cr_assert_str_empty(peer_complaint(peer, text, sizeof(text)));
    peer_stop(peer);
    return rc;
}

/* The attack must not pass for a good reply: the call that got it, no later one, fails. */
static void expect_repelled(struct attack *a)
{
    const char *what, *step = kinds[a->kind].step;
    int rc = attacked(a, &what);
    if (a->changed)
        cr_expect(rc < 0 && strncmp(what, step, strlen(step)) == 0,
                  "%s: %s: taken for good; %s gave %d", kinds[a->kind].name, a->name, what, rc);
}

/* Nothing is changed, and nothing goes wrong: the attacks below are what makes the difference. */
static void leave_alone(struct peer_record *r, struct attack *a)
{
    a->nfields = r->nfields;
}

#define EACH_KIND(name)                                                                            \
    ParameterizedTestParameters(rule5, name)                                                       \
    {                                                                                              \
        return cr_make_param_array(size_t, numbers, KINDS);                                        \
    }                                                                                              \
    ParameterizedTest(size_t *kind, rule5, name)

static size_t numbers[KINDS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};

EACH_KIND(without_an_attack)
{
    struct attack a = {.kind = *kind, .mutate = leave_alone};
    const char *what;
    int rc = attacked(&a, &what);
    cr_assert_eq(rc, 0, "%s: %s gave %d", kinds[*kind].name, what, rc);
    a.verifier = true; /* as RFC 5531 section 8.2 allows */
    rc = attacked(&a, &what);
    cr_assert_eq(rc, 0, "%s with a verifier: %s gave %d", kinds[*kind].name, what, rc);
}

/* ---- fields ---------------------------------------------------------------------------------- */

#define VALUES 15

/* Words that need not be looked at, as nothing is done with what they measure: dicts that nobody
 * asks for, a name's length told a second time. Of a ping's answer that it came is all that counts.
 */
static bool unread(const struct attack *a, const char *field)
{
    switch (a->kind) {
    case KIND_PING:
        return true;
    case KIND_SETVOLUME:
        return strncmp(field, "opaque dict", 11) == 0 && strcmp(field, "opaque dict bytes") != 0;
    case KIND_READ:
        return strncmp(field, "dict key", 8) == 0 || strncmp(field, "dict value", 10) == 0;
    case KIND_READDIRP:
        return strcmp(field, "entry length") == 0;
    default:
        return false;
    }
}

/* The words that mean the same here: an empty dict is as good as none, and XDR rounds up. */
static bool alike(const char *field, uint32_t was, uint32_t is)
{
    if (strcmp(field, "dict count") == 0 && was == UINT32_MAX && is == 0)
        return true;
    bool rounded = strstr(field, "length") || strcmp(field, "opaque dict bytes") == 0;
    return is == was || (rounded && (is + 3) / 4 == (was + 3) / 4 && is && is + 3 > 3);
}

static void poke_field(struct peer_record *r, struct attack *a)
{
    struct peer_field f = r->fields[a->field];
    uint32_t was = peer_peek(r, f.at);
    const uint32_t values[VALUES] = {
        0,          1,          UINT32_MAX, UINT32_MAX - 1,   0x7fffffff,
        0x80000000, 0x7ffffffe, 0xfffffffc, was + 1,          was - 1,
        was + 4,    was - 4,    was << 1,   was ^ 0x80000000, was + 0x10000};
    uint32_t value = values[a->value];
    peer_poke(r, f.at, value);
    snprintf(a->name, sizeof(a->name), "%s %#x -> %#x", f.name, was, value);
    a->nfields = r->nfields;
    a->waits = f.at == PEER_AT_MARK;
    a->changed = !alike(f.name, was, value) && !unread(a, f.name);
}

static void each_field(struct attack a)
{
    a.mutate = poke_field;
    a.nfields = 1;
    for (a.field = 0; a.field < a.nfields; a.field++)
        for (a.value = 0; a.value < VALUES; a.value++)
            expect_repelled(&a);
}

EACH_KIND(every_field)
{
    each_field((struct attack){.kind = *kind});
}

EACH_KIND(every_field_behind_a_verifier)
{
    each_field((struct attack){.kind = *kind, .verifier = true});
}

/* Here the dict is read: it says why. */
Test(rule5, every_field_of_a_refusal_of_the_handshake)
{
    each_field((struct attack){.kind = KIND_SETVOLUME, .op_errno = EACCES});
}

Test(rule5, every_field_of_a_read_reply_with_a_dict)
{
    each_field((struct attack){.kind = KIND_READ, .dict = 10});
    each_field((struct attack){.kind = KIND_READ, .dict = 2000});
    each_field((struct attack){.kind = KIND_READ, .dict = 10, .verifier = true});
}

/* ---- lengths --------------------------------------------------------------------------------- */

static void resize(struct peer_record *r, struct attack *a)
{
    peer_resize(r, a->length);
    peer_seal(r);
    a->changed = a->length != a->full && a->kind != KIND_PING;
    snprintf(a->name, sizeof(a->name), "record of %zu bytes instead of %zu", a->length, a->full);
}

/* All lengths of the header, and all that XDR can have behind it. */
static void each_length(struct attack a)
{
    a.mutate = resize;
    a.full = SIZE_MAX;
    for (a.length = 4; a.length < a.full; a.length += a.length < 64 ? 1 : 4)
        expect_repelled(&a);
    size_t full = a.full;
    for (a.length = full + 4; a.length <= full + 20; a.length += 4)
        expect_repelled(&a);
    a.length = full + 100000;
    expect_repelled(&a);
}

EACH_KIND(every_length)
{
    each_length((struct attack){.kind = *kind});
}

EACH_KIND(every_length_of_an_error)
{
    if (kinds[*kind].prog == PEER_PROG_FOP || *kind == KIND_SETVOLUME)
        each_length((struct attack){.kind = *kind, .op_errno = EIO});
}

Test(rule5, every_length_of_a_read_reply_with_a_dict)
{
    each_length((struct attack){.kind = KIND_READ, .dict = 10});
    each_length((struct attack){.kind = KIND_READ, .dict = 10, .verifier = true});
}
