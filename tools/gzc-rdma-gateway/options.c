#include "gateway.h"

#include "brick/glusterd.h"
#include "gzc.h"
#include "proto/rdma_wire.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE   2
#define MEMORY_LEAST (4u << 20)
/* What a client can be granted with the least of what the protocol allows. */
#define CLIENT_MEMORY_LEAST (2u << 20)
#define CLIENT_MEMORY       (32u << 20)
#define MEMORY_MOST         (UINT64_C(1) << 40)

int endpoint_resolve(const char *text, const char *default_port, int flags, struct addrinfo **out,
                     struct errtext *why)
{
    char host[256];
    const char *from = text, *colon = strrchr(text, ':'), *close = strchr(text, ']');
    bool brackets = text[0] == '[' && close;
    const char *port = default_port;
    size_t length;
    if (brackets) {
        from = text + 1;
        length = (size_t)(close - from);
        if (close[1] == ':')
            port = close + 2;
    } else if (colon && strchr(text, ':') == colon) {
        length = (size_t)(colon - text);
        port = colon + 1;
    } else {
        length = strlen(text); /* a name, or an IPv6 address */
    }
    if (length >= sizeof(host) || (brackets && close[1] != ':' && close[1] != '\0'))
        return errtext_set(why, EINVAL, "'%s' is not HOST[:PORT]", text);
    memcpy(host, from, length);
    host[length] = '\0';
    struct addrinfo hints = {.ai_flags = flags, .ai_socktype = SOCK_STREAM};
    int rc = getaddrinfo(length ? host : NULL, port, &hints, out);
    return rc ? errtext_set(why, EINVAL, "'%s': %s", text, gai_strerror(rc)) : 0;
}

static void *need(void *memory)
{
    if (!memory) {
        fputs("gzc-rdma-gateway: no memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return memory;
}

/* ---- values ---------------------------------------------------------------------------------- */

static uint64_t parse_number(const char *text, uint64_t least, uint64_t most,
                             struct argp_state *state)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n < least || n > most)
        argp_error(state, "'%s' is not a number from %llu to %llu", text, (unsigned long long)least,
                   (unsigned long long)most);
    return n;
}

/* Bytes, or with K, M, G behind them powers of 1024. */
static size_t parse_size(const char *text, uint64_t least, struct argp_state *state)
{
    static const char units[] = "KMG";
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (*text < '0' || *text > '9' || errno || (*end && (!unit || end[1])) ||
        n > MEMORY_MOST >> shift || n << shift < least)
        argp_error(state, "'%s' is not a size from %lluK to 1024G", text,
                   (unsigned long long)least >> 10);
    return (size_t)(n << shift);
}

static void endpoint_parse(struct endpoint *e, const char *text, struct argp_state *state)
{
    struct errtext why;
    char port[8];
    snprintf(port, sizeof(port), "%d", GLUSTERD_PORT);
    free(e->name);
    if (e->addresses)
        freeaddrinfo(e->addresses);
    e->addresses = NULL;
    e->name = need(strdup(text));
    if (endpoint_resolve(text, port, 0, &e->addresses, &why) < 0)
        argp_error(state, "%s", why.text);
}

/* PATH=HOST:PORT; a path may hold '=', too. */
static void brick_parse(struct options *o, const char *text, struct argp_state *state)
{
    const char *equals = strrchr(text, '=');
    if (text[0] != '/' || !equals)
        argp_error(state, "'%s' is not PATH=HOST:PORT", text);
    o->bricks = need(reallocarray(o->bricks, o->brick_count + 1, sizeof(*o->bricks)));
    struct endpoint *e = &o->bricks[o->brick_count++];
    *e = (struct endpoint){.path = need(strndup(text, (size_t)(equals - text)))};
    endpoint_parse(e, equals + 1, state);
}

static enum log_level parse_level(const char *text, struct argp_state *state)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    argp_error(state, "'%s' is not error, warning, info or debug", text);
    return LOG_LEVEL_INFO;
}

/* ---- the command line ------------------------------------------------------------------------ */

enum key {
    KEY_LISTEN = 256,
    KEY_GLUSTERD,
    KEY_BRICK,
    KEY_ALLOW,
    KEY_CLIENTS,
    KEY_CREDITS,
    KEY_MEMORY,
    KEY_CLIENT_MEMORY,
    KEY_LOG,
    KEY_LOG_LEVEL,
    KEY_LOG_JSON,
    KEY_STATS,
    KEY_STATS_SOCKET,
};

static const struct argp_option table[] = {
    {"listen", KEY_LISTEN, "ADDRESS[:PORT]", 0, "listen on this address only; may be repeated", 1},
    {"allow", KEY_ALLOW, "LIST", 0,
     "let clients in from these: ADDRESS[/BITS],... or 'any'; default: this host's own addresses",
     1},
    {"glusterd", KEY_GLUSTERD, "HOST[:PORT]", 0,
     "where glusterd is, and the bricks whose ports it tells; default 127.0.0.1:24007", 2},
    {"brick", KEY_BRICK, "PATH=HOST:PORT", 0, "where the brick of that path is; may be repeated",
     2},
    {"clients", KEY_CLIENTS, "N", 0, "connections at a time; default 64", 3},
    {"credits", KEY_CREDITS, "N", 0, "calls under way on each; default 128", 3},
    {"memory", KEY_MEMORY, "SIZE", 0, "registered memory in all; default 256M", 3},
    {"client-memory", KEY_CLIENT_MEMORY, "SIZE", 0,
     "of that, what one connection may have; default 32M", 3},
    {"log", KEY_LOG, "FILE", 0, "log to this file, or to 'syslog' or 'stderr', the default", 4},
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warning, info or debug; default info", 4},
    {"log-json", KEY_LOG_JSON, NULL, 0, "log JSON objects", 4},
    {"stats", KEY_STATS, "SECONDS", 0, "log the statistics that often; SIGUSR1 does it at once", 4},
    {"stats-socket", KEY_STATS_SOCKET, "PATH", 0, "serve the statistics as JSON on this socket", 4},
    {0},
};

/* What the parts of the command line say together. */
static void check(struct options *o, struct argp_state *state)
{
    if (!o->client_memory)
        o->client_memory = o->memory < CLIENT_MEMORY ? o->memory : CLIENT_MEMORY;
    if (o->client_memory > o->memory)
        argp_error(state, "--client-memory is more than --memory");
    if (!o->glusterd.addresses)
        endpoint_parse(&o->glusterd, "127.0.0.1", state);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    struct errtext why;
    switch (key) {
    case KEY_LISTEN:
        o->listen = need(reallocarray(o->listen, o->listen_count + 1, sizeof(*o->listen)));
        o->listen[o->listen_count++] = arg;
        return 0;
    case KEY_ALLOW:
        if (allow_add(&o->allow, arg, &why) < 0)
            argp_error(state, "%s", why.text);
        return 0;
    case KEY_GLUSTERD:
        endpoint_parse(&o->glusterd, arg, state);
        return 0;
    case KEY_BRICK:
        brick_parse(o, arg, state);
        return 0;
    case KEY_CLIENTS:
        o->clients = (unsigned)parse_number(arg, 1, 65536, state);
        return 0;
    case KEY_CREDITS:
        o->credits = (unsigned)parse_number(arg, 1, RDMA_CREDITS_MAX, state);
        return 0;
    case KEY_MEMORY:
        o->memory = parse_size(arg, MEMORY_LEAST, state);
        return 0;
    case KEY_CLIENT_MEMORY:
        o->client_memory = parse_size(arg, CLIENT_MEMORY_LEAST, state);
        return 0;
    case KEY_LOG:
        o->log = arg;
        return 0;
    case KEY_LOG_LEVEL:
        o->log_level = parse_level(arg, state);
        return 0;
    case KEY_LOG_JSON:
        o->log_json = true;
        return 0;
    case KEY_STATS:
        o->stats_seconds = (unsigned)parse_number(arg, 1, 86400, state);
        return 0;
    case KEY_STATS_SOCKET:
        o->stats_socket = arg;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is no option", arg);
        return 0;
    case ARGP_KEY_END:
        check(o, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_version(FILE *out, struct argp_state *state)
{
    (void)state;
    fprintf(out, "gzc-rdma-gateway %s\n", gzc_version());
}

void options_parse(struct options *o, int argc, char **argv)
{
    static const struct argp argp = {
        .options = table,
        .parser = parse,
        .doc =
            "Lets libgzc's RDMA clients talk to the GlusterFS bricks of this host.\v"
            "A SIZE is in bytes, or has K, M or G behind it. gzc-rdma-gateway(8) tells the rest.",
    };
    *o = (struct options){
        .clients = 64,
        .credits = 128,
        .memory = 256u << 20,
        .log = "stderr",
        .log_level = LOG_LEVEL_INFO,
    };
    argp_err_exit_status = EXIT_USAGE;
    argp_program_version_hook = print_version;
    argp_parse(&argp, argc, argv, 0, NULL, o);
}

static void endpoint_free(struct endpoint *e)
{
    free(e->path);
    free(e->name);
    if (e->addresses)
        freeaddrinfo(e->addresses);
}

void options_free(struct options *o)
{
    for (size_t i = 0; i < o->brick_count; i++)
        endpoint_free(&o->bricks[i]);
    endpoint_free(&o->glusterd);
    allow_free(&o->allow);
    free(o->bricks);
    free(o->listen);
}
