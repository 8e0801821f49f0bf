/* Bricks of the tests' own: one that calls its clients, and one that goes away. */
#include "tests/guest/gateway_client.h"
#include "tests/lab/lab.h"
#include "tests/lab/volume.h"

#include "proto/callback.h"
#include "proto/rpc_msg.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>

static struct lab_brick brick;
static struct gateway_process gateway;
static struct gc c;
static uint8_t gfid[16];

TestSuite(gateway_brick, .timeout = 120);

/* What gateway_client.c finds the brick by. */
static void brick_start(const struct lab_brick_options *options)
{
    char port[8];
    cr_assert_eq(lab_brick_start(&brick, options), 0);
    snprintf(port, sizeof(port), "%u", brick.port);
    setenv("LAB_BRICK_URI", brick.uri, 1);
    setenv("LAB_BRICK_PATH", brick.path, 1);
    setenv("LAB_BRICK_HOST", brick.host, 1);
    setenv("LAB_BRICK_PORT", port, 1);
}

static void begin(const struct lab_brick_options *options, const struct gc_options *client)
{
    brick_start(options);
    gc_file("file", 10000, gfid);
    gateway_start(&gateway, NULL);
    gc_open(&c, client);
}

static void end(void)
{
    gc_close(&c);
    gateway_stop(&gateway);
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

static void expect_callback(unsigned number)
{
    struct rpc_callback call;
    struct gc_event e = gc_expect(&c);
    cr_assert_eq(e.immediate, number << RDMA_SLOT_BITS | RDMA_CALLBACK_SLOT);
    cr_assert_eq(e.head.kind, RDMA_SLOT_CALLBACK);
    cr_assert_eq(rpc_callback_parse(e.message, e.head.message, &call), 0);
    cr_assert_eq(call.program, GF_CBK_PROGRAM);
    cr_assert_eq(call.procedure, GF_CBK_CACHE_INVALIDATION);
}

/* Another client writes to the file that this one has read, many times. The brick tells it each
 * time: as many as there are slots at once, the others when those have been taken in. */
Test(gateway_brick, callbacks_wait_for_slots)
{
    enum { N = 11, SLOTS = 4 };
    char path[PATH_MAX];
    begin(&(struct lab_brick_options){.options = {"upcall.cache-invalidation=on"}},
          &(struct gc_options){.callbacks = SLOTS, .slot = 1024});
    snprintf(path, sizeof(path), "/%s", strrchr(gc_file("shared", 5000, gfid), '/') + 1);
    gc_expect_works(&c, gfid);
    gzc_volume *v = mount_brick("");
    gzc_file *f = open_file(v, path, O_RDWR);
    for (unsigned i = 0; i < N; i++)
        cr_assert_eq(gzc_pwrite(f, "x", 1, 4999), 1);
    for (unsigned i = 0; i < SLOTS; i++)
        expect_callback(i);
    gateway_await(&gateway, "callbacks_kept", N - SLOTS);
    cr_assert_eq(gc_wait(&c, 0).kind, GC_NOTHING);
    gc_credit(&c, 1);
    expect_callback(SLOTS);
    c.callbacks_taken = SLOTS; /* told with a call */
    for (unsigned i = 0; i < 2; i++)
        gc_credit(&c, c.callbacks_taken);
    for (unsigned i = SLOTS + 1; i < 2 * SLOTS; i++)
        expect_callback(i);
    gc_credit(&c, 2 * SLOTS);
    for (unsigned i = 2 * SLOTS; i < N; i++)
        expect_callback(i);
    gc_credit(&c, N);
    cr_assert_eq(gateway_stat(&gateway, "callbacks"), N);
    gc_expect_works(&c, gfid);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(v), 0);
    end();
}

/* ---- a brick that goes away ------------------------------------------------------------------ */

Test(gateway_brick, its_clients_are_disconnected_and_come_back)
{
    begin(NULL, NULL);
    gc_expect_works(&c, gfid);
    lab_brick_kill(&brick);
    gc_expect_lost(&c);
    gc_close(&c);
    gateway_await(&gateway, "ended_brick", 1);

    cr_assert_eq(gc_connect(&c, NULL), 0);
    struct gc_event e = gc_attach(&c, brick.path);
    cr_assert_eq(e.head.kind, RDMA_SLOT_ERROR);
    cr_assert_eq(e.head.code, RDMA_ERROR_UNREACHABLE);
    gc_expect_lost(&c);
    gc_close(&c);

    cr_assert_eq(lab_brick_restart(&brick), 0);
    gc_open(&c, NULL);
    gc_expect_works(&c, gfid);
    cr_assert_eq(gateway_stat(&gateway, "clients"), 1);
    end();
}

/* A program sees nothing of it but time. */
Test(gateway_brick, a_volume_outlives_its_brick)
{
    char uri[PATH_MAX + 64], text[512];
    unsigned char memory[5000];
    struct gzc_brick_info info;
    gzc_volume *v;
    brick_start(NULL);
    gateway_start(&gateway, NULL);
    snprintf(uri, sizeof(uri), "gluster+brick+rdma://%s%s", getenv("RDMA_IP"), brick.path);
    cr_assert_eq(gzc_mount(uri, &v), 0, "%s", volume_text(v));
    gzc_file *f = open_file(v, "/file", O_RDWR | O_CREAT);
    pattern_fill(memory, sizeof(memory), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(gzc_pwrite(f, memory, sizeof(memory), i), (ssize_t)sizeof(memory));
        cr_assert_eq(lab_brick_restart(&brick), 0);
        ssize_t n = gzc_pread(f, memory, sizeof(memory), i);
        gzc_file_error(f, text, sizeof(text));
        cr_assert_eq(n, (ssize_t)sizeof(memory), "%zd %s", n, text);
        cr_assert_eq(pattern_check(memory, sizeof(memory), 0), sizeof(memory));
    }
    cr_assert_eq(gzc_brick_info(v, 0, &info, sizeof(info)), 0);
    cr_expect_str_eq(info.transport, "rdma");
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(v), 0);
    gateway_stop(&gateway);
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

/* ---- a device that goes away ----------------------------------------------------------------- */

/* A client in a process of its own, made before this one has opened any device: who has one open
 * keeps it from going. */
static pid_t make_client(int begins, int ready)
{
    char byte;
    pid_t child = fork();
    if (child)
        return child;
    if (read(begins, &byte, 1) != 1)
        _exit(1);
    gc_open(&c, NULL);
    if (write(ready, "x", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

/* There was only one: the gateway ends, for whoever has started it to start it again. */
static void the_last_device_goes(bool with_client)
{
    static const char again[] =
        "rdma link add $RDMA_DEVICE type rxe netdev $RDMA_NETDEV && "
        "echo 0 >/sys/class/infiniband/$RDMA_DEVICE/ports/1/hw_counters/lifespan";
    int begins[2], ready[2], status;
    char byte;
    cr_assert(pipe2(begins, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0);
    brick_start(NULL);
    pid_t client = with_client ? make_client(begins[0], ready[1]) : 0;
    close(ready[1]); /* its end is told */
    gateway_start(&gateway, NULL);
    cr_assert_eq(write(begins[1], "x", 1), 1);
    cr_assert_eq(read(ready[0], &byte, 1), with_client);
    pid_t removal = fork();
    if (removal == 0) {
        execlp("rdma", "rdma", "link", "delete", getenv("RDMA_DEVICE"), NULL);
        _exit(127);
    }
    cr_assert_eq(waitpid(gateway.pid, &status, 0), gateway.pid);
    if (client) {
        kill(client, SIGKILL);
        waitpid(client, NULL, 0);
    }
    cr_assert_eq(waitpid(removal, NULL, 0), removal);
    cr_assert_eq(system(again), 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%#x", status);
    cr_assert(gateway_logged(&gateway, "there is no RDMA device left"));
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

Test(gateway_brick, the_last_device_goes_with_its_clients)
{
    the_last_device_goes(true);
}

/* None tells of it by going. */
Test(gateway_brick, the_last_device_goes_alone)
{
    the_last_device_goes(false);
}
