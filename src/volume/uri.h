/* The URI that names what to mount. Its forms and options are documented at gzc_mount(). */
#ifndef VOLUME_URI_H
#define VOLUME_URI_H

#include "base/errtext.h"

#include <stdbool.h>
#include <stdint.h>

#define URI_SERVERS  16
#define URI_HOST_MAX 255 /* RFC 1035, 2.3.4 */

enum uri_kind {
    URI_GLUSTERD, /* gluster, gluster+tcp, gluster+rdma: servers that run glusterd, volume */
    URI_BRICK,    /* gluster+brick, gluster+brick+rdma: one server, export_path */
    URI_VOLFILE   /* file: volfile */
};

enum uri_transport { URI_TCP, URI_RDMA };

/** A host and a port, the latter never 0. */
struct uri_server {
    char host[URI_HOST_MAX + 1]; /* name or address; an IPv6 address without its [] */
    uint16_t port;
};

/** A URI taken apart. What the URI does not give has its default; the strings are decoded. */
struct gzc_uri {
    enum uri_kind kind;
    enum uri_transport transport; /* with URI_RDMA the servers' ports are those of gateways */
    unsigned nservers;
    struct uri_server servers[URI_SERVERS];
    char *volume;      /* URI_GLUSTERD, else NULL */
    char *export_path; /* URI_BRICK, else NULL; begins with '/' and ends without one */
    char *volfile;     /* URI_VOLFILE, else NULL; relative or absolute */
    char *path;        /* inside the volume; begins with '/' */

    int timeout_ms, connect_timeout_ms;
    int ping_timeout_ms;      /* 0: no pings; -1: not given */
    int reconnect_timeout_ms; /* 0: a brick that is lost stays so */
    int nconnect;
    int busy_poll_us; /* -1: adaptive */
    int ordered;      /* keep the order of overlapping transfers */
    int fallback;     /* -1: to TCP; 0: none. This and the following: of URI_RDMA */
    int rdma_trust;   /* memory stays registered with remote access */
    int rdma_cache_mb;
    int rdma_credits;
    bool has_volume_id;
    uint8_t volume_id[16];
};

/**
 * Parses @p text (RFC 3986) into @p uri, which owns its memory until uri_free().
 * @return 0; or -EINVAL (malformed), -ENOTSUP (a transport that is not in this version), -ENOMEM,
 *         with text in @p why and nothing to free.
 */
int uri_parse(const char *text, struct gzc_uri *uri, struct errtext *why);

/** Frees what @p uri holds and clears it; may be called on a cleared one. */
void uri_free(struct gzc_uri *uri);

#endif
