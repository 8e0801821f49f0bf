#include "volume/inode.h"

#include <stdlib.h>
#include <string.h>

/* gfids are random (RFC 4122 version 4): any byte of them but the two marked ones is a hash. */
static struct inode **bucket(struct inodes *table, const uint8_t gfid[16])
{
    return &table->buckets[gfid[15] % INODE_BUCKETS];
}

struct inode *inode_get(struct inodes *table, const uint8_t gfid[16])
{
    struct inode **first = bucket(table, gfid);
    for (struct inode *inode = *first; inode; inode = inode->next) {
        if (memcmp(inode->gfid, gfid, sizeof(inode->gfid)) == 0) {
            inode->refs++;
            return inode;
        }
    }
    struct inode *inode = malloc(sizeof(*inode));
    if (!inode)
        return NULL;
    memcpy(inode->gfid, gfid, sizeof(inode->gfid));
    inode->refs = 1;
    order_init(&inode->order);
    inode->next = *first;
    *first = inode;
    return inode;
}

void inode_put(struct inodes *table, struct inode *inode)
{
    if (!inode || --inode->refs)
        return;
    struct inode **link = bucket(table, inode->gfid);
    while (*link != inode)
        link = &(*link)->next;
    *link = inode->next;
    free(inode);
}
