/* A device: one protection domain, in which all of the arena is registered, for local use only. */
#ifndef GATEWAY_DEVICE_H
#define GATEWAY_DEVICE_H

#include "gateway.h"

struct device {
    struct list link;
    struct gateway *g;
    struct ibv_context *verbs;
    struct ibv_pd *pd;
    struct ibv_mr *mr;
    struct ibv_comp_channel *channel;
    struct ibv_device_attr attributes;
    struct source channel_source, async_source;
    unsigned clients;
    bool gone; /* to be closed when its last client is */
};

/** Opens all the devices that there are. @return 0, -ENODEV, or another negative errno. */
int devices_open(struct gateway *g, struct errtext *why);
void devices_close(struct gateway *g);

/** The device of an id; it is opened if it is new. NULL: it cannot be used. */
struct device *device_get(struct gateway *g, struct ibv_context *verbs, struct errtext *why);
/** It is being removed: its clients are ended, and if it was the last one, the gateway. */
void device_remove(struct device *d, const char *why);
/** Closes what has been removed and has no client any more. At the end of a turn. */
void devices_reap(struct gateway *g);

#endif
