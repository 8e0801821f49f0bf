/* A real glusterd: volumes by name, and everything that can be wrong with one. */
#include "tests/lab/lab.h"
#include "tests/lab/volume.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct lab_cluster lab;

static void begin(const char *first, const char *second)
{
    const char *volumes[] = {first, second, NULL};
    int rc = lab_cluster_start(&lab, volumes);
    cr_assert_eq(rc, 0, "cluster: %s", strerror(-rc));
}

static void end(void)
{
    cr_assert_eq(lab_cluster_stop(&lab), 0);
}

TestSuite(cluster, .fini = end, .timeout = 120);

/* Mounts `format` and expects `want` and, if not NULL, a text that holds `text`. */
static gzc_volume *expect_mount(int want, const char *text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static gzc_volume *expect_mount(int want, const char *text, const char *format, ...)
{
    char uri[1024];
    gzc_volume *v;
    va_list args;
    va_start(args, format);
    vsnprintf(uri, sizeof(uri), format, args);
    va_end(args);
    int rc = gzc_mount(uri, &v);
    cr_assert_eq(rc, want, "%s: %d %s", uri, rc, volume_text(v));
    if (text)
        cr_assert_not_null(strstr(volume_text(v), text), "%s: %s", uri, volume_text(v));
    return v;
}

static void use(gzc_volume *v)
{
    static unsigned char out[3 << 20], in[3 << 20];
    gzc_file *f = open_file(v, "/file", O_CREAT | O_RDWR);
    pattern_fill(out, sizeof(out), 0);
    cr_assert_eq(gzc_pwrite(f, out, sizeof(out), 0), sizeof(out));
    cr_assert_eq(gzc_pread(f, in, sizeof(in), 0), sizeof(in));
    cr_assert_eq(memcmp(in, out, sizeof(in)), 0);
    cr_assert_eq(gzc_close(f), 0);
    cr_assert_eq(gzc_unlink(v, "/file"), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

struct wanted {
    const char *name;
    char value[64];
};

static int find_option(void *arg, const char *name, const char *value)
{
    struct wanted *wanted = arg;
    if (strcmp(name, wanted->name) == 0)
        snprintf(wanted->value, sizeof(wanted->value), "%s", value);
    return 0;
}

Test(cluster, a_volume_by_name)
{
    begin("one", NULL);
    gzc_volume *v = expect_mount(0, NULL, "gluster://%s/one/some/path", lab.host);
    char server[128];
    snprintf(server, sizeof(server), "%s:24007", lab.host);
    cr_assert_str_eq(gzc_volume_name(v), "one");
    cr_assert_str_eq(gzc_volume_server(v), server);
    cr_assert_str_eq(gzc_uri_path(v), "/some/path");
    cr_assert_eq(gzc_brick_count(v), 1);
    struct gzc_brick_info info;
    cr_assert_eq(gzc_brick_info(v, 0, &info, sizeof(info)), 0);
    cr_assert_str_eq(info.name, "one-client-0");
    cr_assert_str_eq(info.host, lab.host);
    cr_assert(info.connected);
    cr_assert_eq(info.connections, 1);
    cr_assert_str_eq(info.error, "");
    cr_assert_eq(strncmp(info.address, lab.host, strlen(lab.host)), 0, "%s", info.address);
    cr_assert_eq(gzc_brick_info(v, 1, &info, sizeof(info)), -EINVAL);
    unsigned major, minor, patch;
    cr_assert_eq(sscanf(gzc_version(), "%u.%u.%u", &major, &minor, &patch), 3, "%s", gzc_version());
    uint64_t ns = 0;
    cr_assert_eq(gzc_ping(v, 0, &ns), 0);
    cr_assert_gt(ns, 0);
    struct wanted wanted = {.name = "one-client-0.remote-host"};
    cr_assert_eq(gzc_volume_options(v, find_option, &wanted), 0);
    cr_assert_str_eq(wanted.value, lab.host);
    use(v);
}

Test(cluster, times_are_the_clients)
{
    begin("one", NULL);
    gzc_volume *v = expect_mount(0, NULL, "gluster://%s/one", lab.host);
    struct timespec before, after;
    struct stat st;
    clock_gettime(CLOCK_REALTIME, &before);
    gzc_file *f = open_file(v, "/file", O_CREAT | O_RDWR);
    cr_assert_eq(gzc_pwrite(f, "x", 1, 0), 1);
    clock_gettime(CLOCK_REALTIME, &after);
    cr_assert_eq(gzc_fstat(f, &st), 0);
    gzc_close(f);
    double mtime = (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec * 1e-9;
    cr_assert_geq(mtime, (double)before.tv_sec + (double)before.tv_nsec * 1e-9 - 1e-6);
    cr_assert_leq(mtime, (double)after.tv_sec + (double)after.tv_nsec * 1e-9 + 1e-6);
    /* features/utime keeps them in an attribute; without our stamp the file would have none. */
    cr_assert_eq(lab_run(&lab.lab,
                         "getfattr --only-values -n trusted.glusterfs.mdata %s/one/0/file",
                         lab.bricks),
                 0);
    gzc_unmount(v);
}

Test(cluster, the_next_server_when_one_is_down)
{
    begin("one", NULL);
    use(expect_mount(0, NULL, "gluster://127.0.0.1:1,no-such-host.invalid,%s/one", lab.host));
    gzc_unmount(expect_mount(-ECONNREFUSED, "glusterd at 127.0.0.1:2: Connection refused",
                             "gluster://127.0.0.1:1,127.0.0.1:2/one"));
}

/* In the cluster's network namespace there is neither an RDMA device nor a gateway. */
Test(cluster, rdma_that_falls_back)
{
    struct gzc_brick_info info;
    char memory[4096];
    begin("one", NULL);
    gzc_volume *v = expect_mount(0, NULL, "gluster+rdma://%s/one?fallback=tcp", lab.host);
    cr_assert_eq(gzc_brick_info(v, 0, &info, sizeof(info)), 0);
    cr_assert_str_eq(info.transport, "tcp");
    cr_assert_eq(gzc_register(v, memory, sizeof(memory)), 0);
    cr_assert_eq(gzc_unregister(v, memory, sizeof(memory)), 0);
    use(v);
    v = expect_mount(0, NULL, "gluster+rdma://127.0.0.1:1,%s:1/one?fallback=tcp", lab.host);
    use(v);
    gzc_unmount(
        expect_mount(-ENOENT, "has no volume", "gluster+rdma://%s/two?fallback=tcp", lab.host));
    /* Without it: no device, built without, or nobody there. */
    int rc = gzc_mount("gluster+rdma://127.0.0.1/one", &v);
    cr_assert_lt(rc, 0);
    cr_assert_not_null(strstr(volume_text(v), "RDMA"), "%s", volume_text(v));
    gzc_unmount(v);
}

Test(cluster, a_volume_that_is_not_there)
{
    begin("one", NULL);
    char text[256];
    snprintf(text, sizeof(text), "glusterd at %s:24007 has no volume 'nope'", lab.host);
    gzc_volume *v = expect_mount(-ENOENT, text, "gluster://%s/nope", lab.host);
    struct stat st;
    gzc_file *f;
    gzc_dir *d;
    cr_assert_eq(gzc_stat(v, "/", &st), -ENOTCONN);
    cr_assert_str_eq(volume_text(v), "the volume is not mounted");
    cr_assert_eq(gzc_open(v, "/f", O_RDONLY, 0, &f), -ENOTCONN);
    cr_assert_eq(gzc_opendir(v, "/", &d), -ENOTCONN);
    cr_assert_eq(gzc_brick_count(v), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

Test(cluster, a_stopped_volume_and_a_dead_brick)
{
    begin("one", NULL);
    cr_assert_eq(lab_run(&lab.lab, "brick_kill one 0"), 0);
    gzc_unmount(expect_mount(-ENOTCONN, "is the volume started?", "gluster://%s/one", lab.host));
    cr_assert_eq(lab_run(&lab.lab, "brick_restart one"), 0);
    use(expect_mount(0, NULL, "gluster://%s/one", lab.host));
    cr_assert_eq(lab_run(&lab.lab, "volume_stop one"), 0);
    gzc_unmount(expect_mount(-ENOTCONN, "is the volume started?", "gluster://%s/one", lab.host));
}

Test(cluster, no_glusterd)
{
    begin("one", NULL);
    char text[128];
    snprintf(text, sizeof(text), "glusterd at %s:24007: Connection refused", lab.host);
    cr_assert_eq(lab_run(&lab.lab, "glusterd_kill"), 0);
    gzc_unmount(expect_mount(-ECONNREFUSED, text, "gluster://%s/one", lab.host));
    cr_assert_eq(lab_run(&lab.lab, "glusterd_start"), 0);
    use(expect_mount(0, NULL, "gluster://%s/one", lab.host));
}

/* A listener that never answers: connecting succeeds, and that is all. */
Test(cluster, a_server_that_says_nothing)
{
    begin("one", NULL);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    inet_pton(AF_INET, lab.host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
    cr_assert_eq(listen(fd, 5), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    gzc_unmount(expect_mount(-ETIMEDOUT, "no answer in time",
                             "gluster://%s:%d/one?connect_timeout=0.2", lab.host,
                             ntohs(address.sin_port)));
    close(fd);
}

Test(cluster, a_client_that_is_not_allowed)
{
    begin("one", NULL);
    cr_assert_eq(lab_run(&lab.lab, "gluster volume set one auth.reject %s", lab.host), 0);
    gzc_unmount(expect_mount(-EACCES, "handshake refused: Permission denied", "gluster://%s/one",
                             lab.host));
}

Test(cluster, a_volfile_on_disk)
{
    begin("one", NULL);
    cr_assert_eq(lab_run(&lab.lab, "gluster system:: getspec one >$LAB_DIR/one.vol"), 0);
    use(expect_mount(0, NULL, "file:%s/one.vol//", lab.lab.dir));
    gzc_unmount(expect_mount(-ENOENT, "volfile '", "file:%s/two.vol", lab.lab.dir));
    gzc_unmount(expect_mount(-EINVAL, ":1: ", "file:/etc/passwd"));
}

static void refused(const char *kind, const char *volume, const char *text)
{
    begin(kind, NULL);
    gzc_unmount(expect_mount(-ENOTSUP, text, "gluster://%s/%s", lab.host, volume));
}

Test(cluster, replicate_is_refused)
{
    refused("r=replica", "r", "cluster/replicate (r-replicate-0)");
}

Test(cluster, arbiter_is_refused)
{
    refused("a=arbiter", "a", "cluster/replicate (a-replicate-0)");
}

Test(cluster, disperse_is_refused)
{
    refused("d=disperse", "d", "cluster/disperse (d-disperse-0)");
}

Test(cluster, shard_is_refused)
{
    refused("s=shard", "s", "features/shard (s-shard)");
}

Test(cluster, distribute_over_several_is_refused)
{
    refused("m=distribute", "m", "cluster/distribute (m-dht)");
}

/* ---- identity, as the server has it ---------------------------------------------------------- */

static gzc_volume *as(gzc_volume *v, uid_t uid, gid_t gid)
{
    gzc_volume *user;
    const struct gzc_identity who = {.uid = uid, .gid = gid};
    cr_assert_eq(gzc_as(v, &who, &user), 0, "%s", volume_text(v));
    return user;
}

Test(cluster, root_is_squashed)
{
    struct stat st;
    begin("one", NULL);
    gzc_volume *v = expect_mount(0, NULL, "gluster://%s/one", lab.host);
    gzc_volume *root = as(v, 0, 0); /* its umask is 0 */
    cr_assert_eq(gzc_mkdir(root, "/open", 0777), 0);
    gzc_unmount(root);
    gzc_unmount(v);
    cr_assert_eq(lab_run(&lab.lab, "gluster volume set one server.root-squash on"), 0);
    v = expect_mount(0, NULL, "gluster://%s/one", lab.host);
    cr_assert_eq(gzc_mkdir(v, "/d", 0755), -EACCES);
    cr_assert_not_null(strstr(volume_text(v), "MKDIR '/d'"), "%s", volume_text(v));
    cr_assert_eq(gzc_mkdir(v, "/open/d", 0755), 0, "%s", volume_text(v));
    cr_assert_eq(gzc_stat(v, "/open/d", &st), 0);
    cr_assert_eq(st.st_uid, 65534, "%u", st.st_uid);
    gzc_unmount(v);
}

/* With server.manage-gids a brick asks its own /etc/group for a user's groups, however many. */
Test(cluster, groups_looked_up_by_the_brick)
{
    gzc_file *f;
    begin("one", NULL);
    cr_assert_eq(lab_run(&lab.lab, "cp /etc/group $LAB_DIR/group && for i in {1..150}; do "
                                   "echo gzc$i:x:$((7000 + i)):games >>$LAB_DIR/group; done && "
                                   "mount --bind $LAB_DIR/group /etc/group"),
                 0, "%s", lab.lab.output);
    cr_assert_eq(lab_run(&lab.lab, "id -u games; id -g games"), 0);
    unsigned uid, gid;
    cr_assert_eq(sscanf(lab.lab.output, "%u %u", &uid, &gid), 2, "%s", lab.lab.output);
    gzc_volume *v = expect_mount(0, NULL, "gluster://%s/one", lab.host);
    gzc_close(open_file(v, "/f", O_CREAT | O_RDWR));
    cr_assert_eq(lab_run(&lab.lab, "chown 0:7150 %s/one/0/f && chmod 660 %s/one/0/f", lab.bricks,
                         lab.bricks),
                 0);
    gzc_volume *games = as(v, uid, gid);
    cr_assert_eq(gzc_open(games, "/f", O_RDWR, 0, &f), -EACCES, "no groups are sent");
    gzc_unmount(games);
    gzc_unmount(v);
    cr_assert_eq(lab_run(&lab.lab, "gluster volume set one server.manage-gids on"), 0);
    v = expect_mount(0, NULL, "gluster://%s/one", lab.host);
    games = as(v, uid, gid);
    cr_assert_eq(gzc_open(games, "/f", O_RDWR, 0, &f), 0, "%s", volume_text(games));
    gzc_close(f);
    gzc_unmount(games);
    gzc_unmount(v);
}
