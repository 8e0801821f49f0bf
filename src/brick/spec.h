/* What is known of a brick before anybody has talked to it. */
#ifndef BRICK_SPEC_H
#define BRICK_SPEC_H

#include <stdbool.h>
#include <stdint.h>

struct xlator;

/** A brick, as a translator protocol/client describes it (client.c, client-setvolume.c). */
struct brick_spec {
    const char *name;                /* of the translator */
    const char *host;                /* remote-host */
    const char *path;                /* remote-subvolume: the export path */
    uint16_t port;                   /* remote-port; 0: glusterd on that host knows it */
    const char *username, *password; /* NULL: log in without */
    bool has_volume_id;              /* no volfile gives one for a single brick */
    uint8_t volume_id[16];
    bool filter_direct;          /* O_DIRECT is for us, not for the brick */
    bool send_gids;              /* supplementary groups are sent, not looked up by the brick */
    unsigned ping_timeout_ms;    /* 0: no pings */
    const struct xlator *xlator; /* NULL without a volfile */
};

#endif
