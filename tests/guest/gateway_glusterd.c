/* The gateway beside a real glusterd: ports by its portmap, and glusterd itself. */
#include "tests/guest/gateway_client.h"
#include "tests/lab/volume.h"

#include "proto/dict.h"
#include "proto/handshake.h"
#include "proto/rpc_msg.h"
#include "proto/wire.h"

#include <criterion/criterion.h>

static struct gateway_process gateway;
static struct gc c;

TestSuite(gateway_glusterd, .timeout = 60);

/* Without a --brick of the path that is asked for. */
static void begin(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s", getenv("LAB_BRICK_PATH"));
    setenv("LAB_BRICK_PATH", "/another", 1);
    setenv("LAB_BRICK_PORT", "1", 1);
    gateway_start(&gateway, (const char *[]){"--glusterd", getenv("LAB_BRICK_HOST"), NULL});
    setenv("LAB_BRICK_PATH", path, 1);
}

/* The brick starts as it likes: until it has signed in, glusterd does not know its port. */
Test(gateway_glusterd, tells_a_bricks_port)
{
    begin();
    struct gc_event e;
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(gc_connect(&c, NULL), 0);
        e = gc_attach(&c, getenv("LAB_BRICK_PATH"));
        gc_close(&c);
        if (e.head.kind == RDMA_SLOT_REPLY)
            break;
    }
    cr_assert_eq(e.head.kind, RDMA_SLOT_REPLY);
    gc_open(&c, NULL); /* with SETVOLUME of that path: it is that brick */
    gc_close(&c);
    gateway_stop(&gateway);
}

Test(gateway_glusterd, knows_no_such_brick)
{
    begin();
    cr_assert_eq(gc_connect(&c, NULL), 0);
    struct gc_event e = gc_attach(&c, "/no/such/brick");
    cr_assert_eq(e.head.kind, RDMA_SLOT_ERROR);
    cr_assert_eq(e.head.code, RDMA_ERROR_REFUSED);
    gc_expect_lost(&c);
    gc_close(&c);
    gateway_stop(&gateway);
}

/* The arguments of GETSPEC: flags, the volume, what versions the client can do. */
static void getspec_arguments(struct gc_call *call, const char *key)
{
    struct gf_getspec_args args = {.key = (char *)key};
    uint8_t versions[256];
    struct dict d;
    XDR xdrs;
    dict_init(&d);
    dict_set_int(&d, "min-op-version", 1);
    dict_set_int(&d, "max-op-version", 110000);
    ssize_t size = dict_opaque_encode(&d, versions, sizeof(versions));
    dict_free(&d);
    cr_assert_gt(size, 0);
    args.xdata.xdata_val = (char *)versions;
    args.xdata.xdata_len = (u_int)size;
    xdrmem_create(&xdrs, (char *)call->message + call->message_length,
                  (u_int)(sizeof(call->message) - call->message_length), XDR_ENCODE);
    cr_assert(xdr_gf_getspec_args(&xdrs, &args));
    call->message_length += xdr_getpos(&xdrs);
}

/* The volfile is longer than a slot. */
Test(gateway_glusterd, is_talked_to_itself)
{
    static struct gc_call call = {.reply_length = 65536};
    begin();
    cr_assert_eq(gc_connect(&c, NULL), 0);
    struct gc_event e = gc_attach(&c, "");
    cr_assert_eq(e.head.kind, RDMA_SLOT_REPLY);
    gc_rpc(&c, &call, 0, GF_HNDSK_PROGRAM, GF_HNDSK_VERSION, GF_HNDSK_GETSPEC);
    getspec_arguments(&call, "guest");
    gc_call(&c, &call);
    e = gc_expect(&c);
    cr_assert_eq(e.immediate, call.xid);
    cr_assert_eq(e.head.kind, RDMA_SLOT_LONG);
    cr_assert_not_null(memmem(c.bulk, e.head.message, "volume guest-client-0", 21));
    gc_close(&c);
    gateway_stop(&gateway);
}
