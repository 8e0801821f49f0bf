/* The parts of a peer: peer.c (thread, connections), peer_decode.c (calls), peer_serve.c (what an
 * honest server answers), peer_tree.c (its files), peer_record.c (bytes of replies). */
#ifndef TESTS_WIRE_PEER_INTERNAL_H
#define TESTS_WIRE_PEER_INTERNAL_H

#include "tests/wire/peer.h"

#include <netinet/in.h>
#include <pthread.h>

#define PEER_FDS      4096
#define PEER_FOP_VERS 400

/** Something with a gfid. */
struct peer_node {
    struct peer_node *next;
    uint8_t gfid[16], parent[16];
    char name[256];
    uint32_t mode; /* st_mode */
    int memfd;     /* content of a file or a symbolic link; -1: a directory */
    bool unlinked;
};

struct peer_conn {
    struct peer_conn *next;
    struct peer *peer;
    int fd; /* -1: closed */
    bool deaf, closing;
    bool introduced;              /* SETVOLUME was accepted */
    struct sockaddr_in self, far; /* addresses of both ends */
    uint8_t *in;                  /* received, not dealt with yet */
    size_t in_length, in_room;
    uint8_t *out; /* to be sent */
    size_t out_length, out_room;
    uint64_t sent; /* bytes that the socket took */
};

struct peer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* with CLOCK_MONOTONIC */
    int listener, wake;
    bool mute; /* the listener is, or is about to be, closed */
    bool stop;
    struct peer_options options;
    char address[64];
    struct sockaddr_in self;
    struct peer_conn *connections; /* the latest first; they stay until peer_stop() */
    struct peer_node *nodes;
    uint32_t next_gfid;
    struct peer_node *fds[PEER_FDS];
    int64_t first_fd; /* those below are of processes that were killed */
    struct peer_counts counts;
    char complaint[512];
};

/** Decodes the record at @p p, its mark left out. False, and the peer has complained: it is not
 *  well formed. */
bool peer_decode(struct peer_call *call, const uint8_t *p, size_t length);
/** Value of @p key in an opaque dict as text; NULL: not there, or not a string. */
const char *peer_dict_text(const uint8_t *dict, size_t length, const char *key);

/* peer_tree.c; nodes stay until peer_tree_free(). All [locked]. */
/** Makes the root. False: errno. */
bool peer_tree_init(struct peer *p);
void peer_tree_free(struct peer *p);
/** NULL @p gfid: a new one. NULL: errno. */
struct peer_node *peer_node_add(struct peer *p, const char *name, uint32_t mode,
                                const uint8_t *parent, const uint8_t *gfid);
struct peer_node *peer_node_by_gfid(struct peer *p, const uint8_t *gfid);
struct peer_node *peer_node_by_name(struct peer *p, const uint8_t *parent, const char *name);
bool peer_node_has_entries(struct peer *p, const struct peer_node *dir);
uint64_t peer_gfid_ino(const uint8_t *gfid);
/** gfx_iattx, 148 bytes (glusterfs4-xdr.x); of no node: zeros. */
void peer_put_iatt(struct peer_record *r, const struct peer_node *node);

#endif
