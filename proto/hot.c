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
static ssize_t dict_bytes(const uint8_t header[DICT_HEADER_BYTES], size_t left)
{
    ssize_t length = dict_wire_length(header, left);
    if (length < 0 || length > DICT_HEADER_BYTES + HOT_DICT_MAX)
        return -EPROTO;
    return length - DICT_HEADER_BYTES;
}

ssize_t hot_dict_bytes(const uint8_t header[DICT_HEADER_BYTES])
{
    return dict_bytes(header, SIZE_MAX);
}

int hot_write_reply_decode(const uint8_t *body, size_t length, struct hot_write_reply *reply)
{
    const size_t head = 8, fixed = head + DICT_HEADER_BYTES + 2 * IATT_BYTES;
    if (length < fixed)
        return -EPROTO;
    ssize_t pairs = dict_bytes(body + head, length - head);
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
