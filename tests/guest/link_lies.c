/* A gateway that lies in its answer to a READ, about one thing at a time. */
#include "tests/guest/link_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES 65536
#define ASKED      4096

static void unknown_slot(struct gate_reply *r)
{
    r->immediate = XID(1, 5);
}
static void slot_beyond_credits(struct gate_reply *r)
{
    r->immediate = XID(1, 64);
}
static void slot_far_beyond(struct gate_reply *r)
{
    r->immediate = XID(1, 1022);
}
static void wrong_generation(struct gate_reply *r)
{
    r->immediate += XID(1, 0);
}
static void attach_again(struct gate_reply *r)
{
    r->immediate = 0;
}
static void a_callback(struct gate_reply *r)
{
    r->immediate = XID(0, RDMA_CALLBACK_SLOT);
}
static void xid_of_another(struct gate_reply *r)
{
    r->slot[SLOT_XID + 1] ^= 1;
}
static void no_kind(struct gate_reply *r)
{
    r->slot[SLOT_KIND] = 0;
}
static void unknown_kind(struct gate_reply *r)
{
    r->slot[SLOT_KIND] = 5;
}
static void kind_callback(struct gate_reply *r)
{
    r->slot[SLOT_KIND] = RDMA_SLOT_CALLBACK;
}
static void xid_and_kind_callback(struct gate_reply *r)
{
    r->slot[SLOT_KIND] = RDMA_SLOT_CALLBACK;
    link_poke(r->slot + SLOT_XID, XID(0, RDMA_CALLBACK_SLOT));
}
static void code_of_no_error(struct gate_reply *r)
{
    r->slot[SLOT_CODE] = 1;
}
static void message_beyond_the_slot(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_MESSAGE, 512 - RDMA_SLOT_HEAD_BYTES + 1);
}
static void message_without_end(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_MESSAGE, UINT32_MAX);
}
static void no_message(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_MESSAGE, 0);
}
static void message_of_23(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_MESSAGE, 23);
}
static void message_cut_off(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_MESSAGE, 100);
}
static void less_payload(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_PAYLOAD, ASKED - 1);
}
static void more_payload(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_PAYLOAD, ASKED + 1);
}
static void no_payload(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_PAYLOAD, 0);
}
static void payload_without_end(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_PAYLOAD, UINT32_MAX);
}
static void longer_than_asked(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_PAYLOAD, ASKED + 1);
    link_poke(r->slot + SLOT_AT(PEER_AT_OP_RET), ASKED + 1);
    link_poke(r->slot + SLOT_AT(PEER_AT_READ_SIZE), ASKED + 1);
}
static void refused_with_payload(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_AT(PEER_AT_OP_RET), UINT32_MAX);
    link_poke(r->slot + SLOT_AT(PEER_AT_OP_ERRNO), EIO);
    link_poke(r->slot + SLOT_AT(PEER_AT_READ_SIZE), 0);
}
static void long_without_chunk(struct gate_reply *r)
{
    r->slot[SLOT_KIND] = RDMA_SLOT_LONG;
}
static void a_call(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_AT(PEER_AT_TYPE), 0);
}
static void rpc_xid_of_another(struct gate_reply *r)
{
    r->slot[SLOT_AT(PEER_AT_XID)] ^= 1;
}
static void rpc_no_message_type(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_AT(PEER_AT_TYPE), 77);
}
static void rpc_verifier_without_end(struct gate_reply *r)
{
    link_poke(r->slot + SLOT_AT(PEER_AT_VERIFIER_LENGTH), UINT32_MAX - 3);
}
static void error_without_code(struct gate_reply *r)
{
    r->slot[SLOT_KIND] = RDMA_SLOT_ERROR;
}
static void error_of_unknown_code(struct gate_reply *r)
{
    r->slot[SLOT_KIND] = RDMA_SLOT_ERROR;
    r->slot[SLOT_CODE] = 7;
}
static void error_with_payload(struct gate_reply *r)
{
    r->slot[SLOT_KIND] = RDMA_SLOT_ERROR;
    r->slot[SLOT_CODE] = RDMA_ERROR_TOO_LONG;
}

static const struct lie {
    const char *name;
    void (*tell)(struct gate_reply *r);
    const char *words;
} lies[] = {
    {"unknown slot", unknown_slot, "no call that is under way"},
    {"slot beyond credits", slot_beyond_credits, "no call that is under way"},
    {"slot far beyond", slot_far_beyond, "no call that is under way"},
    {"wrong generation", wrong_generation, "no call that is under way"},
    {"attached again", attach_again, "no call that is under way"},
    {"a callback", a_callback, "malformed slot"},
    {"xid of another", xid_of_another, "a slot of another call"},
    {"no kind", no_kind, "malformed slot"},
    {"unknown kind", unknown_kind, "malformed slot"},
    {"kind CALLBACK", kind_callback, "malformed slot"},
    {"xid and kind of a callback", xid_and_kind_callback, "a slot of another call"},
    {"code of no error", code_of_no_error, "malformed slot"},
    {"message beyond the slot", message_beyond_the_slot, "malformed slot"},
    {"message without end", message_without_end, "malformed slot"},
    {"no message", no_message, "too short"},
    {"message of 23", message_of_23, "too short"},
    {"message cut off", message_cut_off, "cut short"},
    {"less payload", less_payload, "another length"},
    {"more payload", more_payload, "another length"},
    {"no payload", no_payload, "another length"},
    {"payload without end", payload_without_end, "another length"},
    {"longer than asked", longer_than_asked, "4096 were asked for"},
    {"refused with payload", refused_with_payload, "nobody asked for"},
    {"long without chunk", long_without_chunk, "longer than its chunk"},
    {"a call", a_call, "not the slot's"},
    {"RPC xid of another", rpc_xid_of_another, "not the slot's"},
    {"no message type", rpc_no_message_type, "malformed RPC reply"},
    {"verifier without end", rpc_verifier_without_end, "malformed RPC reply"},
    {"error without code", error_without_code, "malformed slot"},
    {"error of unknown code", error_of_unknown_code, "malformed slot"},
    {"error with payload", error_with_payload, "an error that no call has"},
};

static bool lie_about_read(struct gate_call *call, void *arg)
{
    const struct lie *lie = arg;
    struct gate_reply r;
    if (!gate_is_fop(call, PEER_READ))
        return false;
    gate_execute(call, &r);
    r.slot = realloc(r.slot, call->link->asked.slot); /* what follows is sent, too */
    memset(r.slot + r.slot_bytes, 0xee, call->link->asked.slot - r.slot_bytes);
    r.slot_bytes = call->link->asked.slot;
    lie->tell(&r);
    gate_answer(call, &r);
    gate_reply_free(&r);
    return true;
}

Test(link_lies, about_a_read, .timeout = 120)
{
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        const struct lie *lie = &lies[i];
        struct link_rig l;
        struct guard g;
        link_up(&l, NULL, "?reconnect_timeout=0", FILE_BYTES);
        guard_make_one(&g, ASKED);
        link_hook(&l, lie_about_read, (void *)lie);
        ssize_t n = gzc_preadv(l.rig.file, g.iov, g.n, 0);
        cr_assert(guard_intact(&g), "%s: memory around the iovec has changed", lie->name);
        link_expect_broken(&l, lie->name, n, lie->words);
        link_down(&l);
        guard_free(&g);
    }
}
