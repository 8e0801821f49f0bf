#include "proto/hot.h"

#include "proto/dict.h"
#include "proto/iatt.h"
#include "proto/wire.h"

#include <errno.h>

void hot_io_args_encode(uint8_t out[HOT_IO_ARGS_BYTES], const uint8_t gfid[16], int64_t fd,
                        uint64_t offset, uint32_t size, uint32_t flags)
{
    memcpy(out, gfid, GF_GFID_BYTES);
    wire_put64(out + 16, (uint64_t)fd);
    wire_put64(out + 24, offset);
    wire_put32(out + 32, size);
    wire_put32(out + 36, flags);
    wire_put32(out + 40, 0);
    wire_put32(out + 44, (uint32_t)-1);
    wire_put32(out + 48, 0);
}

/* Bytes of pairs that follow a gfx_dict's header, or -EPROTO. */
static int64_t dict_bytes(const uint8_t header[DICT_HEADER_BYTES], size_t left)
{
    ssize_t length = dict_wire_length(header, left);
    if (length < 0 || length > DICT_HEADER_BYTES + HOT_DICT_MAX)
        return -EPROTO;
    return length - DICT_HEADER_BYTES;
}

/* A dictionary that is not there: xdr_size 0, count -1, count 0. */
static const uint8_t no_dict[DICT_HEADER_BYTES] = {0, 0, 0, 0, 255, 255, 255, 255};

int hot_read_reply_decode(const uint8_t fixed[HOT_READ_FIXED], struct hot_read_reply *reply)
{
    int32_t op_ret = (int32_t)wire_get32(fixed);
    uint32_t size = wire_get32(fixed + 156);
    /* the pairs are not here yet */
    int64_t pairs =
        memcmp(fixed + 160, no_dict, sizeof(no_dict)) ? dict_bytes(fixed + 160, SIZE_MAX) : 0;
    if (pairs < 0 || size != (uint32_t)(op_ret < 0 ? 0 : op_ret))
        return -EPROTO;
    *reply = (struct hot_read_reply){
        .op_ret = op_ret,
        .op_errno = (int32_t)wire_get32(fixed + 4),
        .size = size,
        .dict_bytes = (uint32_t)pairs,
        .iatt = fixed + 8,
    };
    return 0;
}

int hot_write_reply_decode(const uint8_t *body, size_t length, struct hot_write_reply *reply)
{
    const size_t head = 8, fixed = head + DICT_HEADER_BYTES + 2 * IATT_BYTES;
    if (length < fixed)
        return -EPROTO;
    int64_t pairs = dict_bytes(body + head, length - head);
    if (pairs < 0 || length != fixed + (size_t)pairs)
        return -EPROTO;
    *reply = (struct hot_write_reply){
        .op_ret = (int32_t)wire_get32(body),
        .op_errno = (int32_t)wire_get32(body + 4),
        .dict_bytes = (uint32_t)pairs,
        .prestat = body + length - 2 * IATT_BYTES,
        .poststat = body + length - IATT_BYTES,
    };
    return 0;
}
