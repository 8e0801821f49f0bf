/* What the gateway decodes: a client's SEND. Lengths that add up, and a mark that says so too, are
 * hardly ever hit upon: so most inputs are mended, and what is checked behind that is reached. */
#include "fuzz.h"
#include "proto/rdma_wire.h"
#include "proto/wire.h"

#include <errno.h>
#include <stdbool.h>

/* One after the other, as they stand in the SEND. @return the length of all. */
static uint64_t check_chunks(struct wire_span *span, const uint8_t *at, unsigned n)
{
    uint64_t sum = 0;
    promise(at == span->at);
    while (n--) {
        struct rdma_chunk c;
        uint8_t again[RDMA_CHUNK_BYTES];
        const uint8_t *p = wire_take(span, RDMA_CHUNK_BYTES);
        promise(p);
        rdma_chunk_decode(p, &c);
        promise(c.length && c.address + c.length > c.address);
        rdma_chunk_encode(again, &c);
        promise(memcmp(again, p, sizeof(again)) == 0);
        sum += c.length;
    }
    return sum;
}

static void check_chunk(struct wire_span *span, const struct rdma_chunk *c)
{
    uint8_t again[RDMA_CHUNK_BYTES];
    promise(span->left >= sizeof(again));
    rdma_chunk_encode(again, c);
    promise(memcmp(again, span->at, sizeof(again)) == 0);
    check_chunks(span, span->at, 1);
}

static void check_call(struct wire_span *span, const struct rdma_send *s)
{
    const struct rdma_header *h = &s->header;
    uint64_t record = RDMA_MARK_BYTES + (uint64_t)h->message;
    promise(!(h->flags & ~(RDMA_LONG | RDMA_REPLY)));
    promise(!h->payload || !h->writes);
    promise(h->message >= 4 && (uint64_t)h->message + h->payload <= INT32_MAX);
    promise(!s->target);
    if (h->flags & RDMA_LONG) {
        check_chunk(span, &s->long_call);
        promise(s->long_call.length == record && !s->record);
    }
    if (h->flags & RDMA_REPLY)
        check_chunk(span, &s->reply);
    promise(check_chunks(span, s->reads, h->reads) == (h->reads ? h->payload : 0));
    promise(check_chunks(span, s->writes, h->writes) == s->writes_length);
    if (h->flags & RDMA_LONG) {
        promise(h->reads || !h->payload);
        return;
    }
    promise(s->record == span->at && span->left >= RDMA_RECORD_LEAST);
    promise(wire_get32(s->record) == (0x80000000u | (h->message + h->payload)));
    promise(wire_get32(s->record + RDMA_MARK_BYTES) == h->xid);
    promise(wire_take(span, record + (h->reads ? 0 : h->payload)));
}

static void check_attach(struct wire_span *span, const struct rdma_send *s)
{
    promise(s->header.xid == 0 && s->header.message <= RDMA_TARGET_MAX);
    check_chunk(span, &s->ring);
    promise(!s->record && s->target == span->at);
    promise(wire_take(span, s->header.message));
}

static void check_header(struct wire_span *span, const struct rdma_header *h)
{
    static const uint8_t zero[4];
    uint8_t again[RDMA_HEADER_BYTES];
    promise(span->left >= sizeof(again));
    promise(h->kind >= RDMA_CALL && h->kind <= RDMA_CANCEL);
    if (h->kind != RDMA_CALL)
        promise(!h->flags && !h->reads && !h->writes && !h->payload);
    rdma_header_encode(again, h);
    /* its last word is not looked at */
    promise(memcmp(again, wire_take(span, sizeof(again)), sizeof(again) - 4) == 0);
    promise(memcmp(again + sizeof(again) - 4, zero, sizeof(zero)) == 0);
}

/* Where rdma_send_head_bytes() says that the call or the target begins. */
static void check_head_bytes(const uint8_t *in, size_t length, const struct rdma_send *s)
{
    const uint8_t *begin = in + rdma_send_head_bytes(&s->header);
    if (s->record)
        promise(begin == s->record + RDMA_MARK_BYTES);
    else
        promise(begin == (s->target ? s->target : in + length));
}

/* Makes the lengths of a CALL, of which @p left bytes are behind the chunks, add up. */
static void mend_call(uint8_t *in, uint8_t *chunks, size_t left)
{
    bool fetched = in[5] & RDMA_LONG;
    unsigned first = fetched + !!(in[5] & RDMA_REPLY), reads = in[6];
    uint32_t message = wire_get32(in + 12), payload = wire_get32(in + 16);
    if (reads) {
        payload = 0;
        for (unsigned i = 0; i < reads; i++)
            payload += wire_get32(chunks + (size_t)(first + i) * RDMA_CHUNK_BYTES + 8);
    }
    if (fetched) {
        wire_put32(chunks + 8, RDMA_MARK_BYTES + message);
    } else if (left >= RDMA_RECORD_LEAST) {
        uint8_t *record = chunks + (size_t)(first + reads + in[7]) * RDMA_CHUNK_BYTES;
        uint32_t rest = (uint32_t)left - RDMA_MARK_BYTES;
        payload = reads ? payload : payload % (rest + 1);
        message = reads ? rest : rest - payload;
        wire_put32(record, 0x80000000u | (message + payload));
        memcpy(record + RDMA_MARK_BYTES, in, 4);
    }
    wire_put32(in + 12, message);
    wire_put32(in + 16, payload);
}

static void mend(uint8_t *in, size_t length)
{
    size_t head = RDMA_HEADER_BYTES;
    if (length < head)
        return;
    if (in[4] == RDMA_CALL)
        head += (size_t)RDMA_CHUNK_BYTES *
                (!!(in[5] & RDMA_LONG) + !!(in[5] & RDMA_REPLY) + in[6] + in[7]);
    else if (in[4] == RDMA_ATTACH)
        head += RDMA_CHUNK_BYTES;
    if (length < head)
        return;
    if (in[4] == RDMA_CALL)
        mend_call(in, in + RDMA_HEADER_BYTES, length - head);
    else if (in[4] == RDMA_ATTACH)
        wire_put32(in + 12, (uint32_t)(length - head));
}

size_t LLVMFuzzerCustomMutator(uint8_t *in, size_t length, size_t room, unsigned seed)
{
    length = LLVMFuzzerMutate(in, length, room);
    if (seed % 4)
        mend(in, length);
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t length)
{
    struct wire_span span = {in, length};
    struct rdma_send s, shorter;
    int rc = rdma_send_decode(in, length, &s);
    promise(rc == 0 || rc == -EPROTO);
    if (rc)
        return 0;
    check_header(&span, &s.header);
    if (s.header.kind == RDMA_CALL)
        check_call(&span, &s);
    else if (s.header.kind == RDMA_ATTACH)
        check_attach(&span, &s);
    else
        promise(!s.record && !s.target && !s.header.message);
    promise(span.left == 0);
    check_head_bytes(in, length, &s);
    promise(rdma_send_decode(in, length - 1, &shorter) == -EPROTO);
    return 0;
}
