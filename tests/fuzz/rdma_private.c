/* What both sides decode while they connect: a request, an acceptance, a rejection. What was taken
 * of them is encoded as it stood there, but for what is not looked at. */
#include "fuzz.h"
#include "proto/rdma_wire.h"

#include <errno.h>
#include <string.h>

/* The first bytes of the input as a sender of version 1 would have written them; the caller clears
 * fields called zero. */
static void as_sent(uint8_t *out, size_t bytes, const uint8_t *in, size_t length)
{
    promise(length >= bytes && in[4] >= bytes && in[4] <= length);
    memcpy(out, in, bytes);
    out[4] = (uint8_t)bytes;
}

static int fuzz_request(const uint8_t *in, size_t length)
{
    struct rdma_request r;
    uint8_t sent[RDMA_REQUEST_BYTES], again[RDMA_REQUEST_BYTES];
    int rc = rdma_request_decode(in, length, &r);
    if (rc)
        return rc;
    promise(r.version_min <= r.version_max && r.credits >= 1 && r.credits <= RDMA_CREDITS_MAX);
    promise(r.callbacks >= 1 && r.callbacks <= RDMA_CALLBACKS_MAX);
    promise((r.callbacks & (r.callbacks - 1)) == 0);
    promise(r.slot >= RDMA_SLOT_LEAST && r.slot <= RDMA_SLOT_MOST && r.slot % 64 == 0);
    as_sent(sent, sizeof(sent), in, length);
    sent[7] = 0;
    memset(sent + 16, 0, 4);
    rdma_request_encode(again, &r);
    promise(memcmp(sent, again, sizeof(sent)) == 0);
    return 0;
}

static int fuzz_accept(const uint8_t *in, size_t length, uint16_t asked)
{
    struct rdma_accept a;
    uint8_t sent[RDMA_ACCEPT_BYTES], again[RDMA_ACCEPT_BYTES];
    int rc = rdma_accept_decode(in, length, asked, &a);
    if (rc)
        return rc;
    promise(a.credits >= 1 && a.credits <= asked);
    promise(a.pieces >= 1 && a.pieces <= RDMA_PIECES_MAX);
    promise(a.inline_bytes >= RDMA_INLINE_LEAST && a.inline_bytes <= RDMA_INLINE_MOST);
    promise(a.payload >= RDMA_BULK_LEAST && a.payload <= RDMA_BULK_MOST);
    promise(a.message >= RDMA_BULK_LEAST && a.message <= RDMA_BULK_MOST);
    promise(rdma_accept_decode(in, length, (uint16_t)(a.credits - 1), &a) == -EPROTO);
    promise(rdma_accept_decode(in, length, a.credits, &a) == 0);
    as_sent(sent, sizeof(sent), in, length);
    memset(sent + 6, 0, 2);
    memset(sent + 24, 0, 4);
    rdma_accept_encode(again, &a);
    promise(memcmp(sent, again, sizeof(sent)) == 0);
    return 0;
}

static int fuzz_reject(const uint8_t *in, size_t length)
{
    struct rdma_reject r;
    uint8_t sent[RDMA_REJECT_BYTES], again[RDMA_REJECT_BYTES];
    int rc = rdma_reject_decode(in, length, &r);
    if (rc)
        return rc;
    promise(r.version_min <= r.version_max && *rdma_reject_text(r.reason));
    as_sent(sent, sizeof(sent), in, length);
    rdma_reject_encode(again, &r);
    promise(memcmp(sent, again, sizeof(sent)) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t length)
{
    const int rcs[] = {
        fuzz_request(in, length),
        fuzz_accept(in, length, RDMA_CREDITS_MAX),
        fuzz_accept(in, length, 1),
        fuzz_reject(in, length),
    };
    for (size_t i = 0; i < sizeof(rcs) / sizeof(rcs[0]); i++)
        promise(rcs[i] == 0 || rcs[i] == -EPROTO);
    return 0;
}
