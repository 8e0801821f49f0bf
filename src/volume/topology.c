#include "volume/topology.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PING_TIMEOUT     42   /* seconds: GF_NETWORK_TIMEOUT */
#define PING_TIMEOUT_MAX 1013 /* client.c: options[] */

/*
 * Every translator that glusterd puts into a client's volfile
 * (glusterd-volgen.c:client_graph_builder) and what becomes of it here. One that is not in the
 * table is refused: what it does is not known.
 */
enum treatment {
    PASS,      /* changes nothing that a caller or another client could rely on: left out */
    ONE_CHILD, /* has nothing to decide while there is one subvolume: left out then */
    UTIME,
    READ_ONLY,
    BRICK,
    REFUSE
};

static const struct translator {
    const char *type;
    enum treatment treatment;
} translators[] = {
    {"protocol/client", BRICK},

    {"debug/io-stats", PASS}, /* counts; on top of every volume */
    {"debug/trace", PASS},    /* logs */

    /* caches: libgzc keeps nothing, which is what they aim to look like */
    {"performance/io-cache", PASS},
    {"performance/md-cache", PASS},
    {"performance/stat-prefetch", PASS}, /* the former name of md-cache */
    {"performance/nl-cache", PASS},      /* names that do not exist */
    {"performance/quick-read", PASS},    /* small files */
    {"performance/read-ahead", PASS},
    {"performance/readdir-ahead", PASS},
    {"performance/io-threads", PASS},   /* threads */
    {"performance/open-behind", PASS},  /* libgzc opens at once */
    {"performance/write-behind", PASS}, /* libgzc's writes are on the brick when they return */

    {"cluster/distribute", ONE_CHILD}, /* glusterd adds it over a single subvolume too */
    {"cluster/nufa", ONE_CHILD},       /* distribute that prefers the local brick */
    {"cluster/switch", ONE_CHILD},     /* distribute by file name pattern */

    {"features/utime", UTIME},
    {"features/read-only", READ_ONLY}, /* in volumes that are snapshots */

    {"cluster/replicate", REFUSE},        /* one copy written alone is a stale copy elsewhere */
    {"cluster/disperse", REFUSE},         /* bricks hold fragments of a code */
    {"features/shard", REFUSE},           /* bricks hold large files in pieces */
    {"features/cloudsync", REFUSE},       /* a file's data may be elsewhere */
    {"features/cdc", REFUSE},             /* payload is compressed on the wire */
    {"features/quota", REFUSE},           /* limits that the client has to enforce */
    {"features/snapview-client", REFUSE}, /* adds .snaps directories, from a second server */
    {"features/quiesce", REFUSE},         /* of volfiles for a gfproxy server, not for bricks */
    {"debug/error-gen", REFUSE},          /* asked for errors: not to be answered by none */
    {"debug/delay-gen", REFUSE},          /* the same of delays */
};

static const struct translator *translator_of(const struct xlator *x)
{
    for (size_t i = 0; i < sizeof(translators) / sizeof(*translators); i++)
        if (!strcmp(x->type, translators[i].type))
            return &translators[i];
    return NULL;
}

/* -@p err with "volume 'v': cluster/replicate (v-replicate-0) ...". */
static int __attribute__((format(printf, 5, 6)))
fail(struct errtext *why, int err, const struct topology *t, const struct xlator *x,
     const char *format, ...)
{
    char text[ERRTEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return errtext_set(why, err, "volume '%.64s': %.64s (%.64s) %s", t->name, x->type, x->name,
                       text);
}

static int read_bool(const struct topology *t, const struct xlator *x, const char *key, bool *value,
                     struct errtext *why)
{
    if (xlator_option_bool(x, key, value))
        return 0;
    return fail(why, EINVAL, t, x, "has %s '%.64s', which is not a boolean", key,
                xlator_option(x, key));
}

static int add_brick(struct topology *t, const struct brick_spec *b, struct errtext *why)
{
    struct brick_spec *bricks = reallocarray(t->bricks, t->nbricks + 1, sizeof(*b));
    if (!bricks)
        return errtext_set(why, ENOMEM, "no memory");
    t->bricks = bricks;
    t->bricks[t->nbricks++] = *b;
    return 0;
}

/* ---- protocol/client ------------------------------------------------------------------------- */

/* @p list, e.g. "tcp,rdma", offers TCP; "socket" is the name of GlusterFS's TCP transport. */
static bool offers_tcp(const char *list)
{
    for (;;) {
        size_t n = strcspn(list, ",");
        if ((n == 3 && !memcmp(list, "tcp", n)) || (n == 6 && !memcmp(list, "socket", n)))
            return true;
        if (!list[n])
            return false;
        list += n + 1;
    }
}

static int check_transport(const struct topology *t, const struct xlator *x, struct errtext *why)
{
    const char *list = xlator_option(x, "transport-type");
    bool tls = false;
    if (list && !offers_tcp(list))
        return fail(why, ENOTSUP, t, x,
                    "has transport-type '%.64s'; this version of libgzc serves tcp only", list);
    int rc = read_bool(t, x, "transport.socket.ssl-enabled", &tls, why);
    if (rc || !tls)
        return rc;
    return fail(why, ENOTSUP, t, x,
                "wants TLS (transport.socket.ssl-enabled), which is not served by this version of "
                "libgzc");
}

static int read_port(const struct topology *t, const struct xlator *x, uint16_t *port,
                     struct errtext *why)
{
    const char *text = xlator_option(x, "remote-port");
    if (!text)
        return 0;
    size_t digits = strspn(text, "0123456789");
    unsigned long number = strtoul(text, NULL, 10); /* ULONG_MAX if it does not fit */
    if (!digits || text[digits] || number > UINT16_MAX)
        return fail(why, EINVAL, t, x, "has remote-port '%.64s', which is not in 0..65535", text);
    *port = (uint16_t)number;
    return 0;
}

static int read_brick(struct topology *t, const struct xlator *x, struct errtext *why)
{
    struct brick_spec b = {.name = x->name,
                           .host = xlator_option(x, "remote-host"),
                           .path = xlator_option(x, "remote-subvolume"),
                           .username = xlator_option(x, "username"),
                           .password = xlator_option(x, "password"),
                           .send_gids = true,
                           .xlator = x};
    unsigned ping_timeout = PING_TIMEOUT;
    if (x->nchildren)
        return fail(why, EINVAL, t, x, "has subvolumes");
    if (!b.host || !*b.host)
        return fail(why, EINVAL, t, x, "has no remote-host");
    if (!b.path || !*b.path)
        return fail(why, EINVAL, t, x, "has no remote-subvolume");
    int rc = check_transport(t, x, why);
    if (!rc)
        rc = read_port(t, x, &b.port, why);
    if (!rc)
        rc = read_bool(t, x, "send-gids", &b.send_gids, why);
    if (!rc) /* of network.remote-dio: client.c */
        rc = read_bool(t, x, "filter-O_DIRECT", &b.filter_direct, why);
    if (rc)
        return rc;
    if (!xlator_option_time(x, "ping-timeout", PING_TIMEOUT_MAX, &ping_timeout))
        return fail(why, EINVAL, t, x, "has ping-timeout '%.64s', which is not in 0..%d s",
                    xlator_option(x, "ping-timeout"), PING_TIMEOUT_MAX);
    b.ping_timeout_ms = ping_timeout * 1000;

    return add_brick(t, &b, why);
}

/* ---- the graph ------------------------------------------------------------------------------- */

/* Takes one translator that has one subvolume into account. */
static int apply(struct topology *t, const struct xlator *x, enum treatment treatment,
                 struct errtext *why)
{
    switch (treatment) {
    case UTIME:
        t->utime = true;
        t->noatime = true; /* the default of utime.c */
        return read_bool(t, x, "noatime", &t->noatime, why);
    case READ_ONLY:
        return read_bool(t, x, "read-only", &t->read_only, why);
    default:
        return 0;
    }
}

/* Goes down from the top, one subvolume at a time, to the brick. It ends: subvolumes stand above.
 */
static int build(const struct volfile *vf, struct topology *t, struct errtext *why)
{
    for (const struct xlator *x = vf->top;; x = x->children[0]) {
        const struct translator *known = translator_of(x);
        if (!known)
            return fail(why, ENOTSUP, t, x, "is not known to this version of libgzc");
        if (known->treatment == REFUSE)
            return fail(why, ENOTSUP, t, x, "is not served by this version of libgzc");
        if (known->treatment == BRICK)
            return read_brick(t, x, why);
        if (known->treatment == ONE_CHILD && x->nchildren > 1)
            return fail(why, ENOTSUP, t, x,
                        "over %zu subvolumes is not served by this version of libgzc",
                        x->nchildren);
        if (x->nchildren != 1)
            return fail(why, EINVAL, t, x, "has %zu subvolumes, not one", x->nchildren);
        int rc = apply(t, x, known->treatment, why);
        if (rc)
            return rc;
    }
}

int topology_of_volfile(const struct volfile *vf, struct topology *t, struct errtext *why)
{
    *t = (struct topology){.name = vf->top->name};
    int rc = build(vf, t, why);
    if (rc)
        topology_free(t);
    return rc;
}

int topology_of_brick(const struct gzc_uri *uri, struct topology *t, struct errtext *why)
{
    struct brick_spec b = {.name = uri->export_path,
                           .host = uri->servers[0].host,
                           .path = uri->export_path,
                           .port = uri->servers[0].port,
                           .has_volume_id = uri->has_volume_id,
                           .send_gids = true,
                           .ping_timeout_ms = PING_TIMEOUT * 1000};
    memcpy(b.volume_id, uri->volume_id, sizeof(b.volume_id));
    *t = (struct topology){.name = uri->export_path};
    return add_brick(t, &b, why);
}

void topology_free(struct topology *t)
{
    free(t->bricks);
    *t = (struct topology){0};
}
