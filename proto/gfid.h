/*
 * The identity of a file on a volume: 16 bytes, a UUID, the same on every brick.
 */
#ifndef PROTO_GFID_H
#define PROTO_GFID_H

#include <rpc/types.h>
#include <rpc/xdr.h>
#include <stdint.h>

#define GF_GFID_BYTES 16

typedef uint8_t gf_gfid[GF_GFID_BYTES];

/** Codec of a gfid for rpcgen's code: opaque[16]. @return TRUE, or FALSE (the stream is too short).
 *  Allocates nothing. */
static inline bool_t xdr_gf_gfid(XDR *xdrs, gf_gfid *gfid)
{
    return xdr_opaque(xdrs, (char *)*gfid, GF_GFID_BYTES);
}

#endif
