/*
 * Lists that rpcgen would decode by recursion, one stack frame for each element that a hostile
 * server cares to send. Here they are walked in place.
 *
 * READDIR   { 1 | ino 8 | off 8 | length 4 | type 4 | name<> } ... 0
 * READDIRP  { 1 | ino 8 | off 8 | length 4 | type 4 | name<> | attributes 148 | dict } ... 0
 * DUMP      { 1 | name<> | program 8 | version 8 } ... 0
 *
 * (glusterfs4-xdr.x: gfx_dirlist, gfx_dirplist; rpc-common-xdr.x: gf_prog_detail)
 */
#ifndef PROTO_DIRLIST_H
#define PROTO_DIRLIST_H

#include "proto/shapes.h"
#include "proto/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A walk along a reply. The reply's memory must stay meanwhile. One thread at a time. */
struct dirlist {
    struct wire_span span;
    bool plus;
    int over; /* what dirlist_next() and proglist_next() return from now on, unless 1 */
};

/** An entry. Pointers go into the reply. */
struct dirlist_entry {
    uint64_t ino;
    uint64_t off;  /* to read on behind this entry; opaque */
    uint32_t type; /* DT_* as the server has it */
    const char *name;
    uint32_t name_length; /* 1..GF_NAME_MAX; there is no NUL behind it */
    struct gf_iatt iatt;  /* zero unless READDIRP */
    const uint8_t *dict;  /* gfx_dict for dict_wire_decode(); NULL unless READDIRP */
    size_t dict_length;   /* bytes of it, header included */
};

/**
 * Begins a walk.
 * @param body  what follows op_ret, op_errno and xdata in the reply, to its end
 * @param plus  the reply is READDIRP's
 */
void dirlist_init(struct dirlist *list, const void *body, size_t length, bool plus);

/**
 * Goes to the next entry.
 * @return 1 with an entry; 0 at the end; -EPROTO: malformed, bytes behind the end, or a name that
 *         is empty, longer than GF_NAME_MAX or holds a NUL or '/'. *entry is set only with 1.
 */
int dirlist_next(struct dirlist *list, struct dirlist_entry *entry);

/** A program that a server has. The name goes into the reply. */
struct proglist_entry {
    const char *name;
    uint32_t name_length; /* 0..255; there is no NUL behind it */
    uint64_t program;
    uint64_t version;
};

/** Begins a walk. @param body  what follows gf_dump_res in the reply, to its end */
void proglist_init(struct dirlist *list, const void *body, size_t length);
/** Goes to the next program. @return 1 with one, 0 at the end, -EPROTO. */
int proglist_next(struct dirlist *list, struct proglist_entry *entry);

#endif
