/* The tree of files that a peer serves; contents are memfds. */
#include "tests/wire/peer_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t root_gfid[16] = {[15] = 1};
static const uint8_t null_gfid[16];

struct peer_node *peer_node_add(struct peer *p, const char *name, uint32_t mode,
                                const uint8_t *parent, const uint8_t *gfid)
{
    struct peer_node *node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->mode = mode;
    node->memfd = -1;
    if (!S_ISDIR(mode) && (node->memfd = memfd_create("peer", MFD_CLOEXEC)) < 0) {
        free(node);
        return NULL;
    }
    memcpy(node->parent, parent, 16);
    if (gfid) {
        memcpy(node->gfid, gfid, 16);
    } else {
        memset(node->gfid, 0x77, 16);
        uint32_t number = ++p->next_gfid;
        memcpy(node->gfid + 12, &number, sizeof(number));
    }
    snprintf(node->name, sizeof(node->name), "%s", name);
    node->next = p->nodes;
    p->nodes = node;
    return node;
}

bool peer_tree_init(struct peer *p)
{
    return peer_node_add(p, "", S_IFDIR | 0755, null_gfid, root_gfid);
}

void peer_tree_free(struct peer *p)
{
    while (p->nodes) {
        struct peer_node *node = p->nodes;
        p->nodes = node->next;
        if (node->memfd >= 0)
            close(node->memfd);
        free(node);
    }
}

struct peer_node *peer_node_by_gfid(struct peer *p, const uint8_t *gfid)
{
    struct peer_node *node = p->nodes;
    while (node && memcmp(node->gfid, gfid, 16) != 0)
        node = node->next;
    return node;
}

struct peer_node *peer_node_by_name(struct peer *p, const uint8_t *parent, const char *name)
{
    struct peer_node *node = p->nodes;
    while (node && (node->unlinked || memcmp(node->parent, parent, 16) != 0 ||
                    strcmp(node->name, name) != 0))
        node = node->next;
    return node;
}

bool peer_node_has_entries(struct peer *p, const struct peer_node *dir)
{
    for (struct peer_node *node = p->nodes; node; node = node->next)
        if (!node->unlinked && memcmp(node->parent, dir->gfid, 16) == 0)
            return true;
    return false;
}

static struct peer_node *add(struct peer *p, const char *name, uint32_t mode)
{
    peer_lock(p);
    struct peer_node *node = peer_node_add(p, name, mode, root_gfid, NULL);
    peer_unlock(p);
    return node;
}

int peer_add_file(struct peer *p, const char *name)
{
    struct peer_node *node = add(p, name, S_IFREG | 0644);
    return node ? node->memfd : -1;
}

int peer_add_dir(struct peer *p, const char *name)
{
    return add(p, name, S_IFDIR | 0755) ? 0 : -1;
}

int peer_add_link(struct peer *p, const char *name, const char *target)
{
    struct peer_node *node = add(p, name, S_IFLNK | 0777);
    size_t length = strlen(target);
    return node && pwrite(node->memfd, target, length, 0) == (ssize_t)length ? 0 : -1;
}

int peer_file(struct peer *p, const char *name)
{
    peer_lock(p);
    struct peer_node *node = peer_node_by_name(p, root_gfid, name);
    peer_unlock(p);
    return node ? node->memfd : -1;
}

/* ---- attributes ------------------------------------------------------------------------------ */

uint64_t peer_gfid_ino(const uint8_t *gfid)
{
    uint64_t ino = 0;
    for (int i = 8; i < 16; i++)
        ino = ino << 8 | gfid[i];
    return ino;
}

void peer_put_iatt(struct peer_record *r, const struct peer_node *node)
{
    static const uint8_t nothing[148];
    struct stat st = {.st_size = 4096};
    if (!node) {
        peer_put(r, nothing, sizeof(nothing));
        return;
    }
    if (node->memfd >= 0)
        fstat(node->memfd, &st);
    peer_put(r, node->gfid, 16);
    peer_put64(r, 0x17ff); /* which fields are valid */
    peer_put64(r, peer_gfid_ino(node->gfid));
    peer_put64(r, 2049);
    peer_put64(r, 0);
    peer_put64(r, (uint64_t)st.st_size);
    peer_put64(r, (uint64_t)st.st_blocks);
    peer_put64(r, 0);
    peer_put64(r, 0);
    for (int i = 0; i < 3; i++) /* atime, mtime, ctime */
        peer_put64(r, 1700000000 + (uint64_t)i);
    peer_put64(r, 0);
    for (uint32_t i = 0; i < 4; i++)
        peer_put32(r, i);
    peer_put32(r, S_ISDIR(node->mode) ? 2 : 1);
    peer_put32(r, getuid());
    peer_put32(r, getgid());
    peer_put32(r, 4096);
    peer_put32(r, node->mode);
}
