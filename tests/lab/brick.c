/* One real brick: who it lets in, and what happens when it goes away. */
#include "tests/lab/lab.h"
#include "tests/lab/volume.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

static struct lab_brick brick;

static void end(void)
{
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

TestSuite(brick, .fini = end, .timeout = 60);

static void begin(const struct lab_brick_options *options)
{
    int rc = lab_brick_start(&brick, options);
    cr_assert_eq(rc, 0, "brick: %s", strerror(-rc));
}

static gzc_volume *expect_mount(int want, const char *text, const char *uri, const char *options)
{
    char whole[8192];
    gzc_volume *v;
    snprintf(whole, sizeof(whole), "%s%s", uri, options);
    int rc = gzc_mount(whole, &v);
    cr_assert_eq(rc, want, "%s: %d %s", whole, rc, volume_text(v));
    if (text)
        cr_assert_not_null(strstr(volume_text(v), text), "%s: %s", whole, volume_text(v));
    return v;
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) * 1e-9;
}

Test(brick, another_volume_id_is_refused)
{
    char options[64];
    begin(&(struct lab_brick_options){.volume_id = "6dd24302-9ec2-4ca4-b4c3-94b21f4a5ea6"});
    gzc_unmount(
        expect_mount(0, NULL, brick.uri, "?volume_id=6dd24302-9ec2-4ca4-b4c3-94b21f4a5ea6"));
    snprintf(options, sizeof(options), "?volume_id=%s", "00000000-9ec2-4ca4-b4c3-94b21f4a5ea6");
    gzc_unmount(expect_mount(-EINVAL, "handshake refused: Invalid argument", brick.uri, options));
}

Test(brick, another_path_is_refused)
{
    char uri[256];
    begin(NULL);
    snprintf(uri, sizeof(uri), "gluster+brick://%s:%u/no/such/brick", brick.host, brick.port);
    gzc_unmount(
        expect_mount(-ENOENT, "brick 127.0.0.1:/no/such/brick: handshake refused", uri, ""));
}

Test(brick, a_rejected_address_is_refused)
{
    begin(&(struct lab_brick_options){.reject = "127.0.0.*"});
    gzc_unmount(expect_mount(-EACCES, "Authentication failed", brick.uri, ""));
}

Test(brick, an_address_that_is_not_allowed_is_refused)
{
    begin(&(struct lab_brick_options){.allow = "10.1.2.3"});
    gzc_unmount(expect_mount(-EACCES, "Authentication failed", brick.uri, ""));
}

Test(brick, down)
{
    begin(NULL);
    lab_brick_kill(&brick);
    char text[128];
    snprintf(text, sizeof(text), "cannot connect to port %u: Connection refused", brick.port);
    gzc_unmount(expect_mount(-ECONNREFUSED, text, brick.uri, ""));
}

Test(brick, killed_while_in_use)
{
    begin(NULL);
    gzc_volume *v = expect_mount(0, NULL, brick.uri, "?nconnect=3&reconnect_timeout=0");
    gzc_file *f = open_file(v, "/f", O_CREAT | O_RDWR);
    char c = 'x', text[512];
    struct stat st;
    cr_assert_eq(gzc_pwrite(f, &c, 1, 0), 1);
    lab_brick_kill(&brick);
    cr_assert_eq(gzc_pread(f, &c, 1, 0), -ENOTCONN);
    gzc_file_error(f, text, sizeof(text));
    cr_assert_not_null(strstr(text, "READ: brick 127.0.0.1:"), "%s", text);
    cr_assert_eq(gzc_pwrite(f, &c, 1, 0), -ENOTCONN);
    cr_assert_eq(gzc_stat(v, "/f", &st), -ENOTCONN);
    struct gzc_brick_info info;
    cr_assert_eq(gzc_brick_info(v, 0, &info, sizeof(info)), 0);
    cr_assert(!info.connected);
    cr_assert_neq(info.error[0], '\0');
    cr_assert_eq(gzc_close(f), -ENOTCONN);
    cr_assert_eq(gzc_unmount(v), 0);
}

Test(brick, stopped_while_in_use_is_noticed_by_ping)
{
    begin(NULL);
    gzc_volume *v = expect_mount(0, NULL, brick.uri, "?ping_timeout=0.4&reconnect_timeout=0");
    gzc_file *f = open_file(v, "/f", O_CREAT | O_RDWR);
    struct timespec start;
    char c = 'x';
    lab_brick_signal(&brick, SIGSTOP);
    clock_gettime(CLOCK_MONOTONIC, &start);
    cr_assert_eq(gzc_pread(f, &c, 1, 0), -ETIMEDOUT);
    cr_assert_geq(seconds_since(&start), 0.2);
    char text[512];
    gzc_file_error(f, text, sizeof(text));
    cr_assert_not_null(strstr(text, "no answer to a ping for 0.4 s"), "%s", text);
    lab_brick_signal(&brick, SIGCONT);
    cr_assert_eq(gzc_close(f), -ENOTCONN);
    cr_assert_eq(gzc_unmount(v), 0);
}

Test(brick, stopped_while_in_use_is_bounded_by_the_timeout)
{
    begin(NULL);
    gzc_volume *v = expect_mount(0, NULL, brick.uri, "?timeout=0.2&ping_timeout=0");
    gzc_file *f = open_file(v, "/f", O_CREAT | O_RDWR);
    unsigned char p[4096], q[4096];
    pattern_fill(p, sizeof(p), 0);
    cr_assert_eq(gzc_pwrite(f, p, sizeof(p), 0), sizeof(p));
    memset(q, 0xab, sizeof(q));
    lab_brick_signal(&brick, SIGSTOP);
    cr_assert_eq(gzc_pread(f, q, sizeof(q), 0), -ETIMEDOUT);
    lab_brick_signal(&brick, SIGCONT);
    /* The late answer is drained, and the connection goes on. */
    cr_assert_eq(gzc_pread(f, p, sizeof(p), 0), sizeof(p));
    cr_assert_eq(pattern_check(p, sizeof(p), 0), sizeof(p));
    for (size_t i = 0; i < sizeof(q); i++)
        cr_assert_eq(q[i], 0xab, "byte %zu of a read that had timed out was touched", i);
    struct gzc_stats s;
    do { /* the brick answers in any order */
        cr_assert_eq(gzc_pread(f, p, sizeof(p), 0), sizeof(p));
        gzc_volume_stats(v, &s, sizeof(s));
    } while (s.replies_retired == 0);
    cr_assert_eq(s.replies_retired, 1);
    cr_assert_eq(s.replies_unmatched, 0);
    cr_assert_eq(s.bytes_staged, 0);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

Test(brick, an_error_of_the_file_system)
{
    begin(NULL);
    gzc_volume *v = expect_mount(0, NULL, brick.uri, "");
    gzc_file *f = open_file(v, "/f", O_CREAT | O_RDWR);
    char c = 'x';
    int rc = (int)gzc_pwrite(f, &c, 1, INT64_MAX - 1); /* no file system takes that */
    cr_assert(rc == -EFBIG || rc == -EINVAL || rc == -ENOSPC, "%d", rc);
    char text[512];
    gzc_file_error(f, text, sizeof(text));
    cr_assert_eq(strncmp(text, "WRITE: brick ", 13), 0, "%s", text);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}
