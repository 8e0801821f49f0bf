/* gzc.h: volumes, and what is going on in them. */
#include "api/handle.h"
#include "volume/mount.h"
#include "volume/ping.h"

const char *gzc_version(void)
{
    return GZC_VERSION;
}

/* A handle on a mount. NULL: no memory. */
static struct gzc_volume *handle_new(struct volume *shared)
{
    struct gzc_volume *volume = calloc(1, sizeof(*volume));
    if (!volume)
        return NULL;
    volume->shared = shared;
    volume->directory[15] = 1; /* the root's gfid */
    return volume;
}

int gzc_mount(const char *uri, gzc_volume **volume)
{
    struct volume *v = calloc(1, sizeof(*v));
    *volume = v ? handle_new(v) : NULL;
    int rc = *volume ? engine_init(&v->engine) : -ENOMEM;
    if (rc < 0) {
        free(*volume);
        free(v);
        *volume = NULL;
        return rc;
    }
    v->users = 1;
    rc = volume_mount(*volume, uri);
    (*volume)->why = v->why;
    return rc;
}

int gzc_as(gzc_volume *volume, const struct gzc_identity *who, gzc_volume **as)
{
    *as = NULL;
    int rc = handle_refuse(volume, false);
    if (rc < 0)
        return rc;
    struct gzc_volume *user = handle_new(volume->shared);
    rc = user ? volume_caller(user, who) : -ENOMEM;
    if (rc < 0) {
        free(user);
        return volume_fail(volume, &volume->why, rc, "no memory for a handle");
    }
    engine_lock(&volume->shared->engine);
    volume->shared->users++;
    engine_unlock(&volume->shared->engine);
    *as = user;
    return 0;
}

size_t gzc_error(const gzc_volume *volume, char *text, size_t size)
{
    return handle_text(volume, &volume->why, text, size);
}

const char *gzc_uri_path(const gzc_volume *volume)
{
    return volume->shared->uri.path ? volume->shared->uri.path : "/";
}

const char *gzc_volume_name(const gzc_volume *volume)
{
    return volume->shared->topology.name ? volume->shared->topology.name : "";
}

const char *gzc_volume_server(const gzc_volume *volume)
{
    return volume->shared->server;
}

/* Gives a caller the structure as it knows it: cut, or filled up with zeros. */
static int give(void *to, size_t size, const void *from, size_t known)
{
    memset(to, 0, size);
    memcpy(to, from, size < known ? size : known);
    return 0;
}

int gzc_volume_stats(const gzc_volume *volume, struct gzc_stats *stats, size_t size)
{
    const struct counters *c = &volume->shared->engine.counters;
    struct gzc_stats all = {
        .bytes_landed = counter_get(&c->bytes_landed),
        .bytes_staged = counter_get(&c->bytes_staged),
        .calls = counter_get(&c->calls),
        .replies = counter_get(&c->replies),
        .replies_retired = counter_get(&c->replies_retired),
        .replies_unmatched = counter_get(&c->replies_unmatched),
        .callbacks = counter_get(&c->callbacks),
        .receive_syscalls = counter_get(&c->receive_syscalls),
        .send_syscalls = counter_get(&c->send_syscalls),
        .wait_syscalls = counter_get(&c->wait_syscalls),
        .work_requests = counter_get(&c->work_requests),
        .doorbells = counter_get(&c->doorbells),
        .completions = counter_get(&c->completions),
        .registrations = volume->shared->rdma ? rdma_registrations(volume->shared->rdma) : 0,
    };
    return give(stats, size, &all, sizeof(all));
}

int gzc_brick_count(const gzc_volume *volume)
{
    return volume->shared->sessions ? (int)volume->shared->topology.nbricks : 0;
}

static struct session *find_brick(const struct gzc_volume *v, int index)
{
    return index >= 0 && index < gzc_brick_count(v) ? v->shared->sessions[index] : NULL;
}

int gzc_brick_info(gzc_volume *volume, int index, struct gzc_brick_info *info, size_t size)
{
    struct session *s = find_brick(volume, index);
    if (!s)
        return volume_fail(volume, &volume->why, -EINVAL, "no such brick");
    struct gzc_brick_info all = {0};
    engine_lock(&volume->shared->engine);
    all.connected = s->state == SESSION_UP;
    all.connections = s->up;
    snprintf(all.name, sizeof(all.name), "%s", s->spec->name);
    snprintf(all.host, sizeof(all.host), "%s", s->spec->host);
    snprintf(all.path, sizeof(all.path), "%s", s->spec->path);
    snprintf(all.address, sizeof(all.address), "%s", s->address);
    snprintf(all.transport, sizeof(all.transport), "%s",
             s->way.gateway && !s->fell_back ? "rdma" : "tcp");
    if (!all.connected)
        snprintf(all.error, sizeof(all.error), "%.255s", s->why.text);
    engine_unlock(&volume->shared->engine);
    return give(info, size, &all, sizeof(all));
}

int gzc_volume_options(const gzc_volume *volume,
                       int (*each)(void *arg, const char *name, const char *value), void *arg)
{
    const struct gzc_uri *uri = &volume->shared->uri;
    char timeout[32], connect[32], ping[32], reconnect[32], nconnect[16], busy[16], name[512];
    snprintf(timeout, sizeof(timeout), "%g", uri->timeout_ms / 1e3);
    snprintf(connect, sizeof(connect), "%g", uri->connect_timeout_ms / 1e3);
    snprintf(ping, sizeof(ping), "%g",
             uri->ping_timeout_ms < 0 && volume->shared->topology.nbricks
                 ? volume->shared->topology.bricks[0].ping_timeout_ms / 1e3
                 : uri->ping_timeout_ms / 1e3);
    snprintf(reconnect, sizeof(reconnect), "%g", uri->reconnect_timeout_ms / 1e3);
    snprintf(nconnect, sizeof(nconnect), "%d", uri->nconnect);
    snprintf(busy, sizeof(busy), "%d", uri->busy_poll_us);
    if (uri->busy_poll_us < 0)
        snprintf(busy, sizeof(busy), "adaptive");
    const char *const own[][2] = {
        {"timeout", timeout},
        {"connect_timeout", connect},
        {"ping_timeout", ping},
        {"reconnect_timeout", reconnect},
        {"nconnect", nconnect},
        {"busy_poll_us", busy},
        {"ordered", uri->ordered ? "1" : "0"},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]) && !rc; i++)
        rc = each(arg, own[i][0], own[i][1]);
    for (size_t i = 0; i < volume->shared->volfile.nxlators && !rc; i++) {
        const struct xlator *x = volume->shared->volfile.xlators[i];
        for (size_t j = 0; j < x->noptions && !rc; j++) {
            snprintf(name, sizeof(name), "%s.%s", x->name, x->options[j].key);
            rc = each(arg, name, x->options[j].value);
        }
    }
    return rc;
}

/* ---- memory for RDMA ------------------------------------------------------------------------- */

/* On TCP any memory is as good as any other. */
int gzc_register(gzc_volume *volume, void *address, size_t length)
{
    struct errtext why;
    int rc = volume->shared->rdma ? rdma_register(volume->shared->rdma, address, length, &why) : 0;
    return rc < 0 ? volume_fail(volume, &volume->why, rc, why.text) : 0;
}

int gzc_unregister(gzc_volume *volume, void *address, size_t length)
{
    struct errtext why;
    int rc =
        volume->shared->rdma ? rdma_unregister(volume->shared->rdma, address, length, &why) : 0;
    return rc < 0 ? volume_fail(volume, &volume->why, rc, why.text) : 0;
}

/* ---- ping ------------------------------------------------------------------------------------ */

int gzc_ping(gzc_volume *volume, int index, uint64_t *nanoseconds)
{
    struct session *s = find_brick(volume, index);
    if (!s)
        return volume_fail(volume, &volume->why, -EINVAL, "no such brick");
    struct ping_op op;
    ping_init(&op, volume, s, nanoseconds);
    return (int)op_run(&op.op, ping_start, &volume->why);
}

gzc_ticket gzc_ping_async(gzc_volume *volume, int index, uint64_t *nanoseconds,
                          const struct gzc_async *how)
{
    struct session *s = find_brick(volume, index);
    struct ping_op *op = s ? malloc(sizeof(*op)) : NULL;
    if (!s)
        return volume_fail(volume, &volume->why, -EINVAL, "no such brick");
    if (!op)
        return volume_fail(volume, &volume->why, -ENOMEM, "no memory for an operation");
    ping_init(op, volume, s, nanoseconds);
    return op_submit(&op->op, ping_start, how);
}
