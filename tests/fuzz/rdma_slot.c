/* What a client decodes: a slot of its ring. The input is the whole slot. */
#include "fuzz.h"
#include "proto/rdma_wire.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t length)
{
    struct rdma_slot_head s, other;
    uint8_t sent[RDMA_SLOT_HEAD_BYTES], again[RDMA_SLOT_HEAD_BYTES];
    if (length < RDMA_SLOT_HEAD_BYTES)
        return 0;
    int rc = rdma_slot_decode(in, length, &s);
    promise(rc == 0 || rc == -EPROTO);
    if (rc)
        return 0;
    promise(s.kind >= RDMA_SLOT_REPLY && s.kind <= RDMA_SLOT_CALLBACK);
    promise((s.kind == RDMA_SLOT_CALLBACK) == ((s.xid & 1023) == RDMA_CALLBACK_SLOT));
    promise(s.kind == RDMA_SLOT_ERROR ? s.code >= 1 && s.code <= RDMA_ERROR_NO_MEMORY : !s.code);
    if (s.kind != RDMA_SLOT_LONG) {
        size_t whole = RDMA_SLOT_HEAD_BYTES + (size_t)s.message;
        promise(whole <= length);
        promise(rdma_slot_decode(in, whole, &other) == 0);
        promise(rdma_slot_decode(in, whole - 1, &other) == -EPROTO);
    }
    memcpy(sent, in, sizeof(sent));
    memset(sent + 6, 0, 2);
    rdma_slot_encode(again, &s);
    promise(memcmp(sent, again, sizeof(sent)) == 0);
    return 0;
}
