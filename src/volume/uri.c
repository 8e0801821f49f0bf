#include "volume/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uuid/uuid.h>

#define URI_MAX       32767
#define VOLUME_MAX    255
#define EXPORT_MAX    1023 /* what gzc_brick_info has room for */
#define GLUSTERD_PORT 24007
#define GATEWAY_PORT  24008

/* A part of the URI's text, and the arguments with which "%.*s" prints the beginning of one. */
struct span {
    const char *at;
    size_t length;
};
#define SHOW(s) (int)((s).length < 64 ? (s).length : 64), (s).at

static bool span_is(struct span s, const char *word)
{
    return s.length == strlen(word) && !strncasecmp(s.at, word, s.length);
}

static struct span span_from(struct span s, size_t n)
{
    return (struct span){s.at + n, s.length - n};
}

/* Cuts @p s off before the first of @p set. @return what follows, beginning with that byte. */
static struct span cut(struct span *s, const char *set)
{
    size_t n = 0;
    while (n < s->length && !strchr(set, s->at[n]))
        n++;
    struct span rest = span_from(*s, n);
    s->length = n;
    return rest;
}

/* Cuts @p s off before the first double slash. @return what follows, from the second slash on. */
static struct span cut_path(struct span *s)
{
    const char *p = memmem(s->at, s->length, "//", 2);
    if (!p)
        return (struct span){"/", 1};
    struct span rest = span_from(*s, (size_t)(p - s->at) + 1);
    s->length = (size_t)(p - s->at);
    return rest;
}

/* ---- characters ------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes the percent encoding (RFC 3986, 2.1) of @p s, the URI's @p what, which is not empty.
 * @p out: @p max + 1 bytes. */
static int decode_to(struct span s, const char *what, size_t max, char *out, struct errtext *why)
{
    size_t n = 0;
    if (!s.length)
        return errtext_set(why, EINVAL, "URI: no %s", what);
    for (size_t i = 0; i < s.length; i++, n++) {
        if (n == max)
            return errtext_set(why, EINVAL, "URI: the %s is longer than %zu bytes", what, max);
        out[n] = s.at[i];
        if (s.at[i] != '%')
            continue;
        int high = i + 2 < s.length ? hex_digit(s.at[i + 1]) : -1;
        int low = i + 2 < s.length ? hex_digit(s.at[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return errtext_set(why, EINVAL, "URI: '%.*s' in the %s is not a byte's code",
                               (int)(s.length - i < 3 ? s.length - i : 3), s.at + i, what);
        out[n] = (char)(high << 4 | low);
        i += 2;
    }
    out[n] = '\0';
    return 0;
}

/* decode_to() memory of its own. */
static int decode(struct span s, const char *what, size_t max, char **out, struct errtext *why)
{
    *out = malloc(max + 1);
    return *out ? decode_to(s, what, max, *out, why) : errtext_set(why, ENOMEM, "no memory");
}

/* Digits only; what is beyond @p max comes out as @p max + 1. */
static bool parse_digits(struct span s, unsigned max, unsigned *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s.length; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        sum = sum * 10 + (unsigned)(s.at[i] - '0');
        if (sum > max)
            sum = (uint64_t)max + 1;
    }
    *value = (unsigned)sum;
    return s.length > 0;
}

/* Seconds with or without decimals into milliseconds, rounded up so that only zero gives 0. */
static bool parse_seconds(struct span s, unsigned max_ms, unsigned *ms)
{
    struct span decimals = cut(&s, ".");
    unsigned seconds, thousandths = 0, unit = 1000;
    bool beyond = false;
    if (!parse_digits(s, max_ms / 1000, &seconds) || decimals.length == 1)
        return false;
    for (size_t i = 1; i < decimals.length; i++) {
        if (decimals.at[i] < '0' || decimals.at[i] > '9')
            return false;
        unsigned digit = (unsigned)(decimals.at[i] - '0');
        unit /= 10;
        thousandths += digit * unit;
        beyond |= !unit && digit;
    }
    *ms = seconds * 1000 + thousandths + beyond;
    return true;
}

/* ---- servers --------------------------------------------------------------------------------- */

/* An address in [], with the zone that RFC 6874 adds, its '%' written as %25. */
static int parse_ipv6(struct span s, char *host, struct errtext *why)
{
    struct in6_addr address;
    int rc = decode_to(s, "address in []", URI_HOST_MAX, host, why);
    if (rc)
        return rc;
    char *zone = strchr(host, '%');
    if (zone)
        *zone = '\0';
    if (inet_pton(AF_INET6, host, &address) != 1 ||
        (zone && (!zone[1] || strlen(zone + 1) >= IF_NAMESIZE)))
        return errtext_set(why, EINVAL, "URI: '%.*s' is not an IPv6 address", SHOW(s));
    if (zone)
        *zone = '%';
    return 0;
}

static int parse_name(struct span s, char *host, struct errtext *why)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    int rc = decode_to(s, "host name", URI_HOST_MAX, host, why);
    if (!rc && strspn(host, allowed) != strlen(host))
        return errtext_set(why, EINVAL, "URI: '%.*s' is not a host name", SHOW(s));
    return rc;
}

/* host[:port]; a port that is not given is 0. */
static int parse_server(struct span s, struct uri_server *server, struct errtext *why)
{
    const char *end = s.length && *s.at == '[' ? memchr(s.at, ']', s.length) : NULL;
    struct span host = s, port;
    unsigned number;
    int rc;
    if (end) {
        host = (struct span){s.at + 1, (size_t)(end - s.at) - 1};
        port = span_from(s, host.length + 2);
        if (port.length && *port.at != ':')
            return errtext_set(why, EINVAL, "URI: '%.*s' after ']' is not a port", SHOW(port));
        rc = parse_ipv6(host, server->host, why);
    } else {
        port = cut(&host, ":");
        if (port.length && memchr(port.at + 1, ':', port.length - 1))
            return errtext_set(why, EINVAL, "URI: '%.*s': an IPv6 address stands in []", SHOW(s));
        rc = parse_name(host, server->host, why);
    }
    server->port = 0;
    if (rc || !port.length)
        return rc;
    port = span_from(port, 1);
    if (!parse_digits(port, UINT16_MAX, &number) || number < 1 || number > UINT16_MAX)
        return errtext_set(why, EINVAL, "URI: port '%.*s' is not in 1..65535", SHOW(port));
    server->port = (uint16_t)number;
    return 0;
}

/* The "//server,server" that @p rest begins with; @p rest is left with what follows. */
static int parse_servers(struct span *rest, struct gzc_uri *uri, struct errtext *why)
{
    if (rest->length < 2 || memcmp(rest->at, "//", 2) != 0)
        return errtext_set(why, EINVAL, "URI: no '//' after the scheme");
    struct span list = span_from(*rest, 2);
    *rest = cut(&list, "/");
    for (;;) {
        struct span server = list, more = cut(&server, ",");
        if (uri->nservers == URI_SERVERS)
            return errtext_set(why, EINVAL, "URI: more than %d servers", URI_SERVERS);
        int rc = parse_server(server, &uri->servers[uri->nservers++], why);
        if (rc || !more.length)
            return rc;
        list = span_from(more, 1);
    }
}

/* ---- the three forms ------------------------------------------------------------------------- */

/* //server[:port][,...]/volume[/path] */
static int parse_glusterd(struct span rest, struct gzc_uri *uri, struct errtext *why)
{
    int rc = parse_servers(&rest, uri, why);
    if (rc)
        return rc;
    for (unsigned i = 0; i < uri->nservers; i++)
        if (!uri->servers[i].port)
            uri->servers[i].port = uri->transport == URI_RDMA ? GATEWAY_PORT : GLUSTERD_PORT;
    struct span volume = rest.length ? span_from(rest, 1) : rest;
    struct span path = cut(&volume, "/");
    rc = decode(volume, "volume", VOLUME_MAX, &uri->volume, why);
    if (!rc && strchr(uri->volume, '/'))
        rc = errtext_set(why, EINVAL, "URI: '/' in the volume's name '%.*s'", SHOW(volume));
    if (rc)
        return rc;
    return decode(path.length ? path : (struct span){"/", 1}, "path", PATH_MAX - 1, &uri->path,
                  why);
}

/* //host:port/export-path[//path] */
static int parse_brick(struct span rest, struct gzc_uri *uri, struct errtext *why)
{
    int rc = parse_servers(&rest, uri, why);
    if (rc)
        return rc;
    if (uri->nservers > 1)
        return errtext_set(why, EINVAL, "URI: gluster+brick takes one server, not a list");
    if (!uri->servers[0].port && uri->transport == URI_RDMA)
        uri->servers[0].port = GATEWAY_PORT;
    if (!uri->servers[0].port)
        return errtext_set(why, EINVAL, "URI: gluster+brick needs the brick's port");
    struct span path = cut_path(&rest);
    if (rest.length && rest.at[rest.length - 1] == '/')
        rest.length--; /* a brick is found by its exact path, which never ends so */
    rc = decode(rest, "export path", EXPORT_MAX, &uri->export_path, why);
    return rc ? rc : decode(path, "path", PATH_MAX - 1, &uri->path, why);
}

/* volfile[//path], or with the empty or local authority of RFC 8089 before an absolute volfile. */
static int parse_volfile(struct span rest, struct gzc_uri *uri, struct errtext *why)
{
    if (rest.length >= 2 && !memcmp(rest.at, "//", 2)) {
        struct span host = span_from(rest, 2);
        rest = cut(&host, "/");
        if (host.length && !span_is(host, "localhost"))
            return errtext_set(why, EINVAL, "URI: file: takes no host, but has '%.*s'", SHOW(host));
    }
    struct span path = cut_path(&rest);
    int rc = decode(rest, "volfile", PATH_MAX - 1, &uri->volfile, why);
    return rc ? rc : decode(path, "path", PATH_MAX - 1, &uri->path, why);
}

/* ---- options --------------------------------------------------------------------------------- */

/* Values are `int`s of struct gzc_uri: SECONDS are kept, and their bounds given, in milliseconds.
 */
#define AT(member) offsetof(struct gzc_uri, member)
static const struct option {
    const char *name;
    enum { SECONDS, COUNT, UUID, FALLBACK } type;
    unsigned min, max;
    size_t offset;
    const char *word; /* stands for -1 */
    bool rdma;        /* only there */
} options[] = {
    {"timeout", SECONDS, 1, 86400000, AT(timeout_ms), NULL, false},
    {"connect_timeout", SECONDS, 1, 86400000, AT(connect_timeout_ms), NULL, false},
    {"ping_timeout", SECONDS, 0, 86400000, AT(ping_timeout_ms), NULL, false},
    {"reconnect_timeout", SECONDS, 0, 86400000, AT(reconnect_timeout_ms), NULL, false},
    {"nconnect", COUNT, 1, 16, AT(nconnect), NULL, false},
    {"busy_poll_us", COUNT, 0, 1000000, AT(busy_poll_us), "adaptive", false},
    {"ordered", COUNT, 0, 1, AT(ordered), NULL, false},
    {"volume_id", UUID, 0, 0, 0, NULL, false},
    {"fallback", FALLBACK, 0, 0, AT(fallback), "tcp", true},
    {"rdma_trust", COUNT, 0, 1, AT(rdma_trust), NULL, true},
    {"rdma_cache_mb", COUNT, 0, 1 << 20, AT(rdma_cache_mb), NULL, true},
    {"rdma_credits", COUNT, 1, 1023, AT(rdma_credits), NULL, true},
};
#define NOPTIONS (sizeof(options) / sizeof(*options))

static int parse_uuid(struct span s, struct gzc_uri *uri, struct errtext *why)
{
    if (uri->kind != URI_BRICK)
        return errtext_set(why, EINVAL, "URI: option 'volume_id' is for gluster+brick only");
    if (uuid_parse_range(s.at, s.at + s.length, uri->volume_id))
        return errtext_set(why, EINVAL, "URI: option 'volume_id': '%.*s' is not a UUID", SHOW(s));
    uri->has_volume_id = true;
    return 0;
}

static int parse_option(struct span name, struct gzc_uri *uri, unsigned *seen, struct errtext *why)
{
    struct span value = cut(&name, "=");
    const struct option *o = options;
    while (o < options + NOPTIONS && !span_is(name, o->name))
        o++;
    if (o == options + NOPTIONS)
        return errtext_set(why, EINVAL,
                           "URI: unknown option '%.*s'; known are timeout, connect_timeout, "
                           "ping_timeout, reconnect_timeout, nconnect, busy_poll_us, ordered, "
                           "volume_id, fallback, rdma_trust, rdma_cache_mb, rdma_credits",
                           SHOW(name));
    if (*seen & 1U << (o - options))
        return errtext_set(why, EINVAL, "URI: option '%s' is given twice", o->name);
    *seen |= 1U << (o - options);
    if (o->rdma && uri->transport != URI_RDMA)
        return errtext_set(why, EINVAL, "URI: option '%s' is for RDMA only", o->name);
    if (o->type == FALLBACK && uri->kind == URI_BRICK)
        return errtext_set(why, EINVAL, "URI: option '%s' needs glusterd, to know the brick's port",
                           o->name);
    if (!value.length)
        return errtext_set(why, EINVAL, "URI: option '%s' has no value", o->name);
    value = span_from(value, 1);
    if (o->type == UUID)
        return parse_uuid(value, uri, why);

    int *option = (int *)((char *)uri + o->offset);
    if (o->type == FALLBACK && !span_is(value, o->word))
        return errtext_set(why, EINVAL, "URI: option '%s': '%.*s' is not %s", o->name, SHOW(value),
                           o->word);
    if (o->word && span_is(value, o->word)) {
        *option = -1;
        return 0;
    }
    unsigned number = 0;
    bool ok = o->type == SECONDS ? parse_seconds(value, o->max, &number)
                                 : parse_digits(value, o->max, &number);
    if (!ok || number < o->min || number > o->max) {
        double unit = o->type == SECONDS ? 1000 : 1;
        return errtext_set(why, EINVAL, "URI: option '%s': '%.*s' is not %s in %.8g..%.8g%s%s",
                           o->name, SHOW(value),
                           o->type == SECONDS ? "a number of seconds" : "a number", o->min / unit,
                           o->max / unit, o->word ? ", nor " : "", o->word ? o->word : "");
    }
    *option = (int)number;
    return 0;
}

/* option=value&option=value; an empty query is none. */
static int parse_options(struct span query, struct gzc_uri *uri, struct errtext *why)
{
    unsigned seen = 0;
    while (query.length) {
        struct span option = query, more = cut(&option, "&");
        int rc = parse_option(option, uri, &seen, why);
        if (rc)
            return rc;
        query = more.length ? span_from(more, 1) : more;
    }
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static const struct scheme {
    const char *name;
    enum uri_kind kind;
    enum uri_transport transport;
    int (*parse)(struct span rest, struct gzc_uri *uri, struct errtext *why);
} schemes[] = {
    {"gluster", URI_GLUSTERD, URI_TCP, parse_glusterd},
    {"gluster+tcp", URI_GLUSTERD, URI_TCP, parse_glusterd},
    {"gluster+rdma", URI_GLUSTERD, URI_RDMA, parse_glusterd},
    {"gluster+brick", URI_BRICK, URI_TCP, parse_brick},
    {"gluster+brick+rdma", URI_BRICK, URI_RDMA, parse_brick},
    {"file", URI_VOLFILE, URI_TCP, parse_volfile},
    /* those of QEMU's gluster driver and of the plan that are not there yet */
    {"gluster+tls", URI_GLUSTERD, URI_TCP, NULL},
    {"gluster+unix", URI_GLUSTERD, URI_TCP, NULL},
};
#define SCHEMES  "gluster, gluster+tcp, gluster+rdma, gluster+brick, gluster+brick+rdma, file"
#define NSCHEMES (sizeof(schemes) / sizeof(*schemes))

static int parse(struct span text, struct gzc_uri *uri, struct errtext *why)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < ' ' || c == 0x7f || c == '#')
            return errtext_set(why, EINVAL, "URI: byte %zu must be written as %%%02X", i, c);
    }
    struct span query = cut(&text, "?");
    struct span rest = cut(&text, ":/");
    const struct scheme *s = schemes;
    while (s < schemes + NSCHEMES && !span_is(text, s->name))
        s++;
    if (!text.length || !rest.length || *rest.at != ':')
        return errtext_set(why, EINVAL, "URI: no scheme; known are " SCHEMES);
    if (s == schemes + NSCHEMES)
        return errtext_set(why, EINVAL, "URI: unknown scheme '%.*s'; known are " SCHEMES,
                           SHOW(text));
    if (!s->parse)
        return errtext_set(why, ENOTSUP, "URI: %s is not in this version of libgzc", s->name);
    uri->kind = s->kind;
    uri->transport = s->transport;
    int rc = s->parse(span_from(rest, 1), uri, why);
    if (rc || !query.length)
        return rc;
    return parse_options(span_from(query, 1), uri, why);
}

int uri_parse(const char *text, struct gzc_uri *uri, struct errtext *why)
{
    *uri = (struct gzc_uri){.timeout_ms = 1800000, /* frame-timeout of protocol/client */
                            .connect_timeout_ms = 10000,
                            .ping_timeout_ms = -1,
                            .reconnect_timeout_ms = 42000,
                            .nconnect = 1,
                            .busy_poll_us = -1,
                            .ordered = 1,
                            .rdma_cache_mb = 1024,
                            .rdma_credits = 64};
    size_t length = strnlen(text, URI_MAX + 1);
    int rc = length > URI_MAX ? errtext_set(why, EINVAL, "URI: longer than %d bytes", URI_MAX)
                              : parse((struct span){text, length}, uri, why);
    if (rc)
        uri_free(uri);
    return rc;
}

void uri_free(struct gzc_uri *uri)
{
    free(uri->volume);
    free(uri->export_path);
    free(uri->volfile);
    free(uri->path);
    *uri = (struct gzc_uri){0};
}
