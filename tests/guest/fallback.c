/* fallback=tcp, beside a real glusterd and a gateway that is not there, goes, or keeps silent. */
#include "tests/guest/gateway_client.h"
#include "tests/lab/volume.h"

#include <errno.h>
#include <signal.h>

enum { BYTES = 100000 };

static struct gateway_process gateway;
static unsigned char memory[BYTES];

TestSuite(fallback, .timeout = 120);

/* Without a --brick of the path that is asked for: it asks glusterd. */
static void gateway_begin(void)
{
    setenv("LAB_BRICK_PATH", "/another", 1);
    setenv("LAB_BRICK_PORT", "1", 1);
    gateway_start(&gateway, (const char *[]){"--glusterd", getenv("LAB_BRICK_HOST"), NULL});
}

static int try_mount(const char *options, gzc_volume **v)
{
    char uri[256];
    snprintf(uri, sizeof(uri), "gluster+rdma://%s/guest%s", getenv("RDMA_IP"), options);
    return gzc_mount(uri, v);
}

static gzc_volume *mount_volume(const char *options)
{
    gzc_volume *v;
    int rc = try_mount(options, &v);
    cr_assert_eq(rc, 0, "%d %s", rc, volume_text(v));
    return v;
}

static void expect_transport(gzc_volume *v, const char *name)
{
    struct gzc_brick_info info;
    cr_assert_eq(gzc_brick_info(v, 0, &info, sizeof(info)), 0);
    cr_assert(info.connected, "%s", info.error);
    cr_assert_str_eq(info.transport, name);
}

static gzc_file *begin_file(gzc_volume *v)
{
    gzc_file *f = open_file(v, own_path("fallback"), O_CREAT | O_RDWR);
    pattern_fill(memory, BYTES, 0);
    cr_assert_eq(gzc_pwrite(f, memory, BYTES, 0), BYTES);
    return f;
}

static void expect_read(gzc_file *f)
{
    char text[512];
    memset(memory, 0, BYTES);
    ssize_t n = gzc_pread(f, memory, BYTES, 0);
    gzc_file_error(f, text, sizeof(text));
    cr_assert_eq(n, BYTES, "%zd %s", n, text);
    cr_assert_eq(pattern_check(memory, BYTES, 0), BYTES);
}

static void end(gzc_volume *v, gzc_file *f)
{
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unlink(v, own_path("fallback")), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

Test(fallback, no_gateway)
{
    gzc_volume *v;
    cr_assert_eq(try_mount("", &v), -ECONNREFUSED);
    cr_assert_not_null(strstr(volume_text(v), "no RDMA gateway listens"), "%s", volume_text(v));
    gzc_unmount(v);
    v = mount_volume("?fallback=tcp");
    expect_transport(v, "tcp");
    gzc_file *f = begin_file(v);
    expect_read(f);
    end(v, f);
}

/* A file that was open goes on by the other way. */
Test(fallback, a_gateway_that_goes)
{
    gateway_begin();
    gzc_volume *v = mount_volume("?fallback=tcp");
    expect_transport(v, "rdma");
    gzc_file *f = begin_file(v);
    expect_read(f);
    gateway_stop(&gateway);
    expect_read(f);
    expect_transport(v, "tcp");
    end(v, f);
}

/* It takes half of the time there is; the other half is TCP's. */
Test(fallback, a_gateway_that_keeps_silent)
{
    gateway_begin();
    cr_assert_eq(kill(gateway.pid, SIGSTOP), 0);
    gzc_volume *v = mount_volume("?fallback=tcp&connect_timeout=6");
    expect_transport(v, "tcp");
    gzc_file *f = begin_file(v);
    expect_read(f);
    end(v, f);
    cr_assert_eq(kill(gateway.pid, SIGCONT), 0);
    gateway_stop(&gateway);
}
