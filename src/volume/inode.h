/* The files that are open, each once, by however many handles. */
#ifndef VOLUME_INODE_H
#define VOLUME_INODE_H

#include "volume/order.h"

#include <stddef.h>

#define INODE_BUCKETS 128

struct inode {
    uint8_t gfid[16];
    unsigned refs;
    struct order order;
    struct inode *next;
};

struct inodes {
    struct inode *buckets[INODE_BUCKETS];
};

/** The inode with this gfid, to be given back with inode_put(). NULL: no memory. */
struct inode *inode_get(struct inodes *table, const uint8_t gfid[16]);
/** Gives one back; NULL is ignored. */
void inode_put(struct inodes *table, struct inode *inode);

#endif
