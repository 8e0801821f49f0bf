#include "volume/mount.h"

#include "proto/dict.h"
#include "volume/async.h"
#include "volume/walk.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Op-versions that we claim to glusterd, which refuses volumes that need a later one
 * (glusterd-handshake.c:_client_supports_volume): releases up to 11. */
#define OP_VERSION_MIN 1
#define OP_VERSION_MAX 110000

/* ---- volfile --------------------------------------------------------------------------------- */

struct volfile_query {
    struct glusterd_query query; /* first */
    gf_getspec_res results;
    struct waiter waiter;
    struct engine *engine;
};

static void volfile_answered(struct glusterd_query *q)
{
    struct volfile_query *vq = (struct volfile_query *)q;
    waiter_wake(vq->engine, &vq->waiter);
}

static int getspec_arguments(struct volume *v, gf_getspec_args *args)
{
    struct dict d;
    dict_init(&d);
    int rc = dict_set_int(&d, "min-op-version", OP_VERSION_MIN);
    rc = rc ? rc : dict_set_int(&d, "max-op-version", OP_VERSION_MAX);
    ssize_t size = rc ? rc : dict_opaque_size(&d);
    if (size > 0) {
        args->xdata.xdata_val = malloc((size_t)size);
        args->xdata.xdata_len = (u_int)size;
        size = args->xdata.xdata_val
                   ? dict_opaque_encode(&d, (uint8_t *)args->xdata.xdata_val, (size_t)size)
                   : -ENOMEM;
    }
    dict_free(&d);
    args->key = v->uri.volume;
    return size < 0 ? (int)size : 0;
}

/* Asks one glusterd. -errno with text in v->why; *answered: it was this server's answer, so that
 * asking another makes no sense. */
static int volfile_ask(struct volume *v, const struct transport_kind *transport,
                       const struct uri_server *server, gf_getspec_args *args, bool *answered)
{
    struct volfile_query vq = {.engine = &v->engine};
    struct xdr_identity identity = {
        .credential = v->identity.caller.credential,
        .credential_length = v->identity.caller.length,
        .deadline = clock_now() + v->connect_timeout,
    };
    vq.query.transport = transport;
    vq.query.procedure = &glusterd_getspec;
    vq.query.identity = &identity;
    vq.query.arguments = args;
    vq.query.results = &vq.results;
    vq.query.done = volfile_answered;
    waiter_init(&vq.waiter);
    int rc = glusterd_ask(&v->engine, &vq.query, server->host, server->port);
    if (rc == 0) {
        engine_wait(&v->engine, &vq.waiter);
        rc = vq.query.error;
    }
    *answered = rc == 0;
    if (rc < 0) {
        errtext_set(&v->why, rc, "%s", vq.query.why.text);
    } else if (vq.results.op_ret < 0) {
        int err = vq.results.op_errno;
        rc = err > 0 && err < 4096 ? -err : -ENOENT;
        errtext_set(&v->why, rc, "%s has no volume '%.255s' to mount: %s", vq.query.label,
                    v->uri.volume, errtext_errno(rc));
    } else if ((size_t)vq.results.op_ret != strlen(vq.results.spec)) {
        rc = errtext_set(&v->why, EPROTO, "%s: a volfile of %d bytes is announced, %zu came",
                         vq.query.label, vq.results.op_ret, strlen(vq.results.spec));
    } else {
        snprintf(v->server, sizeof(v->server), "%.255s:%u", server->host, server->port);
        rc = volfile_parse(vq.results.spec, strlen(vq.results.spec), v->uri.volume, &v->volfile,
                           &v->why);
    }
    xdr_free((xdrproc_t)xdr_gf_getspec_res, (char *)&vq.results);
    return rc;
}

static int volfile_fetch(struct volume *v)
{
    gf_getspec_args args = {0};
    int rc = getspec_arguments(v, &args);
    if (rc < 0)
        errtext_set(&v->why, rc, "%s", errtext_errno(rc));
    bool answered = rc < 0;
    for (size_t i = 0; i < v->uri.nservers && !answered; i++) {
        struct uri_server server = v->uri.servers[i];
        if (v->rdma || !v->uri.fallback)
            rc = volfile_ask(v, volume_transport(v), &server, &args, &answered);
        server.port = GLUSTERD_PORT;
        if (!answered && v->uri.fallback)
            rc = volfile_ask(v, &transport_tcp, &server, &args, &answered);
    }
    free(args.xdata.xdata_val);
    return rc;
}

static int volfile_read(struct volume *v)
{
    const char *name = v->uri.volfile;
    FILE *f = fopen(name, "re");
    if (!f)
        return errtext_set(&v->why, errno, "volfile '%.400s': %s", name, errtext_errno(errno));
    char *text = malloc(VOLFILE_MAX + 1); /* one more byte than the parser takes */
    size_t n = text ? fread(text, 1, VOLFILE_MAX + 1, f) : 0;
    int rc;
    if (!text || ferror(f))
        rc = errtext_set(&v->why, text ? EIO : ENOMEM, "volfile '%.400s': %s", name,
                         errtext_errno(text ? EIO : ENOMEM));
    else
        rc = volfile_parse(text, n, name, &v->volfile, &v->why);
    free(text);
    fclose(f);
    return rc;
}

static int volume_describe(struct volume *v)
{
    int rc;
    switch (v->uri.kind) {
    case URI_BRICK:
        return topology_of_brick(&v->uri, &v->topology, &v->why);
    case URI_VOLFILE:
        rc = volfile_read(v);
        break;
    default:
        rc = volfile_fetch(v);
        break;
    }
    return rc ? rc : topology_of_volfile(&v->volfile, &v->topology, &v->why);
}

/* ---- bricks ---------------------------------------------------------------------------------- */

/* All sessions being started: a round of its own kind, as these are not calls. */
struct start {
    struct volume *volume;
    unsigned pending;
    int error;
    struct waiter waiter;
};

static void session_started(struct session *s, int error)
{
    struct start *start = s->arg;
    if (error && !start->error) {
        start->error = error;
        start->volume->why = s->why;
    }
    if (--start->pending == 0)
        waiter_wake(&start->volume->engine, &start->waiter);
}

static uint64_t ping_timeout(const struct volume *v, const struct brick_spec *spec)
{
    unsigned ms =
        v->uri.ping_timeout_ms >= 0 ? (unsigned)v->uri.ping_timeout_ms : spec->ping_timeout_ms;
    return ms * NSEC_PER_MSEC;
}

static int bricks_start(struct volume *v)
{
    size_t n = v->topology.nbricks;
    struct start start = {.volume = v, .pending = (unsigned)n};
    struct session_way way = {
        .transport = volume_transport(v),
        .gateway = v->rdma ? v->uri.servers[0].port : 0,
        .fallback = v->rdma && v->uri.fallback ? &transport_tcp : NULL,
        .nconnect = (unsigned)v->uri.nconnect,
        .connect_timeout = v->connect_timeout,
    };
    v->sessions = calloc(n, sizeof(struct session *));
    for (size_t i = 0; v->sessions && i < n; i++) {
        const struct brick_spec *spec = &v->topology.bricks[i];
        way.ping_timeout = ping_timeout(v, spec);
        struct session *s = session_new(&v->engine, spec, &v->identity, &way);
        if (!s)
            return errtext_set(&v->why, ENOMEM, "no memory for a brick");
        s->arg = &start;
        s->started = session_started;
        v->sessions[i] = s;
    }
    if (!v->sessions)
        return errtext_set(&v->why, ENOMEM, "no memory for the bricks");
    waiter_init(&start.waiter);
    for (size_t i = 0; i < n; i++)
        session_start(v->sessions[i], clock_now() + v->connect_timeout);
    engine_wait(&v->engine, &start.waiter);
    return start.error;
}

/* The mount is made: from here on a brick that is lost comes back. */
static void bricks_keep(struct volume *v)
{
    for (size_t i = 0; i < v->topology.nbricks; i++)
        session_keep(v->sessions[i], (uint64_t)v->uri.reconnect_timeout_ms * NSEC_PER_MSEC);
}

/* The root answers: the brick speaks our version of the protocol and lets us in. */
static void root_walked(struct op *op)
{
    op_finish(op, 0);
}

static void root_start(struct op *op)
{
    walk_start((struct path_op *)op, root_walked);
}

static int root_lookup(struct gzc_volume *user)
{
    struct path_op p;
    path_op_init(&p, user, "/", 0);
    int rc = (int)op_run_locked(&p.op, root_start, &user->shared->why);
    path_op_free(&p);
    return rc;
}

/* ---- the volume ------------------------------------------------------------------------------ */

int volume_caller(struct gzc_volume *user, const struct gzc_identity *who)
{
    uint64_t owner = (uintptr_t)user;
    return caller_init(&user->caller, who, user->shared->topology.bricks[0].send_gids, &owner,
                       CALLER_LK_OWNER);
}

/* As GlusterFS's own (common-utils.h: GF_CLIENT_PID_SET_UTIME). */
static int timekeeper_init(struct volume *v)
{
    const struct gzc_identity who = {.pid = -13};
    uint64_t owner = (uintptr_t)v;
    return caller_init(&v->timekeeper, &who, false, &owner, CALLER_LK_OWNER);
}

static int credentials_failed(struct volume *v, int rc)
{
    if (rc < 0)
        errtext_set(&v->why, rc, "credentials of this process: %s", errtext_errno(rc));
    return rc;
}

static uint64_t busy_poll(const struct volume *v)
{
    cpu_set_t cpus;
    if (v->uri.busy_poll_us >= 0)
        return (uint64_t)v->uri.busy_poll_us * NSEC_PER_USEC;
    /* With one CPU polling takes it from whoever could answer. */
    bool alone = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1;
    return alone ? 0 : ENGINE_ADAPTIVE;
}

static int memory_init(struct volume *v)
{
    if (io_pool_init(v) < 0 || async_pool_init(v) < 0)
        return errtext_set(&v->why, ENOMEM, "no memory for operations");
    return 0;
}

/* A host that cannot do RDMA at all has no gateway to be had either: with a fallback there is no
 * v->rdma, and all goes by TCP. */
static int rdma_init(struct volume *v)
{
    struct rdma_options options = {
        .trust = v->uri.rdma_trust,
        .cache = (size_t)v->uri.rdma_cache_mb << 20,
        .credits = (unsigned)v->uri.rdma_credits,
    };
    int rc = v->uri.transport == URI_RDMA ? rdma_new(&options, &v->rdma, &v->why) : 0;
    return v->uri.fallback && (rc == -ENODEV || rc == -ENOTSUP) ? 0 : rc;
}

static int mount_locked(struct gzc_volume *user)
{
    struct volume *v = user->shared;
    int rc = memory_init(v);
    rc = rc ? rc : rdma_init(v);
    rc = rc ? rc : credentials_failed(v, identity_take(&v->identity));
    rc = rc ? rc : credentials_failed(v, timekeeper_init(v));
    rc = rc ? rc : volume_describe(v);
    rc = rc ? rc : credentials_failed(v, volume_caller(user, NULL));
    v->context.utime = v->topology.utime;
    v->context.noatime = v->topology.noatime;
    rc = rc ? rc : bricks_start(v);
    rc = rc ? rc : root_lookup(user);
    if (rc == 0)
        bricks_keep(v);
    v->mounted = rc == 0;
    return rc;
}

int volume_mount(struct gzc_volume *user, const char *uri)
{
    struct volume *v = user->shared;
    int rc = uri_parse(uri, &v->uri, &v->why);
    if (rc < 0)
        return rc;
    v->context.deadline = (uint64_t)v->uri.timeout_ms * NSEC_PER_MSEC;
    v->connect_timeout = (uint64_t)v->uri.connect_timeout_ms * NSEC_PER_MSEC;
    v->engine.busy_poll = busy_poll(v);
    engine_lock(&v->engine);
    rc = mount_locked(user);
    engine_unlock(&v->engine);
    return rc;
}

static void volume_end(struct volume *v)
{
    size_t nbricks = v->sessions ? v->topology.nbricks : 0;
    __atomic_store_n(&v->mounted, false, __ATOMIC_RELAXED);
    for (size_t i = 0; i < nbricks; i++)
        if (v->sessions[i])
            session_stop(v->sessions[i]);
    engine_drain(&v->engine);
    free(v->last);
    for (size_t i = 0; i < nbricks; i++)
        session_free(v->sessions[i]);
    free(v->sessions);
    rdma_free(v->rdma);
    engine_unlock(&v->engine);
    async_pool_free(v);
    free(v->segment_memory);
    topology_free(&v->topology);
    volfile_free(&v->volfile);
    uri_free(&v->uri);
    engine_destroy(&v->engine);
    free(v);
}

void volume_unlock(struct volume *v)
{
    if (v->engine.stop)
        volume_end(v);
    else
        engine_unlock(&v->engine);
}
