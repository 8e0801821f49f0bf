/*
 * READ and WRITE without an XDR stream; the bytes are those of gf_io_args, gf_read_res and
 * gf_prepost_res of fop.x.
 *
 * Arguments, of both: gfid 16 | fd 8 | offset 8 | size 4 | flags 4 | dict, none: 0 -1 0
 * A WRITE's payload follows.
 *
 * READ's result, behind the RPC header:
 *
 *    0 op_ret   4 op_errno   8 attributes   156 size (= op_ret)
 *  160 dict: xdr_size   164 count   168 count
 *  172 xdr_size bytes of pairs, then op_ret bytes of payload to the end of the record, unpadded
 *
 * A failed READ (op_ret < 0) has the same 172 bytes and the pairs, with attributes and size zero
 * and no payload (server-rpc-fops_v2.c:server4_readv_cbk sends the one structure in either case).
 */
#ifndef PROTO_HOT_H
#define PROTO_HOT_H

#include "proto/wire.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HOT_IO_ARGS_BYTES 52
#define HOT_READ_FIXED    172
#define HOT_IATT_SIZE_AT  48 /* the file's size in an encoded gf_iatt */
/* Most bytes of pairs in the dictionary of a READ or WRITE reply; a brick sends what it was asked
 * for, which is nothing or a few counters. */
#define HOT_DICT_MAX 65536

/** Writes the arguments of READ or WRITE. @param flags O_DIRECT, O_SYNC, O_DSYNC as on x86 Linux.
 */
void hot_io_args_encode(uint8_t out[HOT_IO_ARGS_BYTES], const uint8_t gfid[16], int64_t fd,
                        uint64_t offset, uint32_t size, uint32_t flags);

/** The fixed part of READ's result. */
struct hot_read_reply {
    int32_t op_ret;      /* < 0: failed; else bytes of payload */
    int32_t op_errno;    /* the server's, unchecked; ENOENT with op_ret >= 0: the end of the file */
    uint32_t size;       /* bytes of payload: 0 if failed */
    uint32_t dict_bytes; /* between the fixed part and the payload */
    const uint8_t *iatt; /* 148 bytes in `fixed` */
};

/** Bytes of pairs that follow a dictionary's header of DICT_HEADER_BYTES, or -EPROTO. */
ssize_t hot_dict_bytes(const uint8_t header[12]);

/**
 * Decodes the fixed part of READ's result. Whether size bytes are no more than were asked for, and
 * as many as the record has, is the caller's to check.
 * @return 0 or -EPROTO (size disagrees with op_ret, or the dictionary's header with itself).
 */
static inline int hot_read_reply_decode(const uint8_t fixed[HOT_READ_FIXED],
                                        struct hot_read_reply *reply)
{
    /* a dictionary that is not there: xdr_size 0, count -1, count 0 */
    static const uint8_t none[12] = {0, 0, 0, 0, 255, 255, 255, 255};
    ssize_t pairs = 0; /* they are not here yet */
    reply->op_ret = (int32_t)wire_get32(fixed);
    reply->op_errno = (int32_t)wire_get32(fixed + 4);
    reply->size = wire_get32(fixed + 156);
    reply->iatt = fixed + 8;
    if (memcmp(fixed + 160, none, sizeof(none)) != 0)
        pairs = hot_dict_bytes(fixed + 160);
    reply->dict_bytes = (uint32_t)pairs;
    return pairs < 0 || reply->size != (uint32_t)(reply->op_ret < 0 ? 0 : reply->op_ret) ? -EPROTO
                                                                                         : 0;
}

/** WRITE's result. Pointers go into the body. */
struct hot_write_reply {
    int32_t op_ret;                    /* < 0: failed; else bytes written */
    int32_t op_errno;                  /* the server's, unchecked */
    uint32_t dict_bytes;               /* of pairs */
    const uint8_t *prestat, *poststat; /* 148 bytes each; all zero if failed */
};

/** Decodes WRITE's result, exactly @p length bytes. @return 0 or -EPROTO. */
int hot_write_reply_decode(const uint8_t *body, size_t length, struct hot_write_reply *reply);

#endif
