/* topology_of_volfile(): what glusterd's volfiles ask for is served, or refused by name. */
#include "volume/topology.h"
#include "volfiles.h"

#include <errno.h>
#include <string.h>

/* Parses @p text, which must be a volfile, and works out its topology. */
static int of_text(const char *text, struct volfile *vf, struct topology *t, struct errtext *why)
{
    int rc = volfile_parse(text, strlen(text), "data", vf, why);
    cr_assert_eq(rc, 0, "%s", why->text);
    *why = (struct errtext){0};
    return topology_of_volfile(vf, t, why);
}

static int of_file(const char *name, struct volfile *vf, struct topology *t, struct errtext *why)
{
    size_t length;
    char *text = volfile_text(name, &length);
    int rc = of_text(text, vf, t, why);
    free(text);
    return rc;
}

static void served(const char *name, struct volfile *vf, struct topology *t)
{
    struct errtext why = {0};
    cr_assert_eq(of_file(name, vf, t, &why), 0, "%s: %s", name, why.text);
    cr_assert_eq(t->nbricks, 1);
    cr_expect_eq(t->bricks[0].xlator, vf->xlators[0]);
}

static void done(struct volfile *vf, struct topology *t)
{
    topology_free(t);
    topology_free(t);
    volfile_free(vf);
}

Test(topology, one_brick)
{
    struct volfile vf;
    struct topology t;
    served("one.vol", &vf, &t);
    cr_expect_str_eq(t.name, "one");
    cr_expect(t.utime);
    cr_expect(t.noatime);
    cr_expect(!t.read_only);
    const struct brick_spec *b = t.bricks;
    cr_expect_str_eq(b->name, "one-client-0");
    cr_expect_str_eq(b->host, "10.88.0.1");
    cr_expect_str_eq(b->path, "/srv/brick/one-1");
    cr_expect_eq(b->port, 0);
    cr_expect_null(b->username);
    cr_expect_null(b->password);
    cr_expect(!b->has_volume_id);
    cr_expect(b->send_gids);
    cr_expect_eq(b->ping_timeout_ms, 42000);
    done(&vf, &t);
}

/* The volume has every performance translator, debug.trace, ping-timeout 7, server.manage-gids. */
Test(topology, options)
{
    struct volfile vf;
    struct topology t;
    served("options.vol", &vf, &t);
    cr_expect_eq(vf.nxlators, 14);
    cr_expect_eq(t.bricks[0].ping_timeout_ms, 7000);
    cr_expect(!t.bricks[0].send_gids);
    done(&vf, &t);
}

Test(topology, trusted)
{
    struct volfile vf;
    struct topology t;
    served("trusted.vol", &vf, &t);
    cr_expect_eq(strlen(t.bricks[0].username), 36);
    cr_expect_eq(strlen(t.bricks[0].password), 36);
    cr_expect_str_neq(t.bricks[0].username, t.bricks[0].password);
    cr_expect_eq(t.bricks[0].username, xlator_option(vf.xlators[0], "username"));
    done(&vf, &t);
}

Test(topology, without_ctime)
{
    struct volfile vf;
    struct topology t;
    served("noctime.vol", &vf, &t);
    cr_expect(!t.utime);
    cr_expect(!t.noatime);
    done(&vf, &t);
}

Test(topology, snapshot_is_read_only)
{
    struct volfile vf;
    struct topology t;
    served("snapshot.vol", &vf, &t);
    cr_expect(t.read_only);
    cr_expect(t.utime);
    done(&vf, &t);
}

static const struct {
    const char *file, *error;
} refused_files[] = {
    {"replica.vol", "volume 'replica': cluster/replicate (replica-replicate-0) is not served by "
                    "this version of libgzc"},
    {"arbiter.vol", "volume 'arbiter': cluster/replicate (arbiter-replicate-0) is not served by "
                    "this version of libgzc"},
    {"disperse.vol", "volume 'disperse': cluster/disperse (disperse-disperse-0) is not served by "
                     "this version of libgzc"},
    {"distribute.vol", "volume 'distribute': cluster/distribute (distribute-dht) over 3 subvolumes "
                       "is not served by this version of libgzc"},
    {"shard.vol",
     "volume 'shard': features/shard (shard-shard) is not served by this version of libgzc"},
    {"snapview.vol", "volume 'snapview': features/snapview-client (snapview-snapview-client) is "
                     "not served by this version of libgzc"},
    {"tls.vol", "volume 'tls': protocol/client (tls-client-0) wants TLS "
                "(transport.socket.ssl-enabled), which is not served by this version of libgzc"},
};

Test(topology, refused_files)
{
    for (size_t i = 0; i < sizeof(refused_files) / sizeof(*refused_files); i++) {
        struct volfile vf;
        struct topology t;
        struct errtext why = {0};
        cr_expect_eq(of_file(refused_files[i].file, &vf, &t, &why), -ENOTSUP, "%s",
                     refused_files[i].file);
        cr_expect_str_eq(why.text, refused_files[i].error);
        cr_expect(!t.bricks && !t.nbricks, "freed");
        done(&vf, &t);
    }
}

#define CLIENT(options)                                                                            \
    "volume v-client-0\n type protocol/client\n option remote-host h\n"                            \
    " option remote-subvolume /b\n" options "end-volume\n"
#define OVER(type, options)                                                                        \
    CLIENT("") "volume v\n type " type "\n" options " subvolumes v-client-0\nend-volume\n"
#define NOT_SERVED " is not served by this version of libgzc"

static const struct {
    const char *text;
    int error;
    const char *why;
} refused[] = {
    {OVER("features/shard", ""), ENOTSUP, "volume 'v': features/shard (v)" NOT_SERVED},
    {OVER("features/cloudsync", ""), ENOTSUP, "volume 'v': features/cloudsync (v)" NOT_SERVED},
    {OVER("features/cdc", ""), ENOTSUP, "volume 'v': features/cdc (v)" NOT_SERVED},
    {OVER("features/quota", ""), ENOTSUP, "volume 'v': features/quota (v)" NOT_SERVED},
    {OVER("features/quiesce", ""), ENOTSUP, "volume 'v': features/quiesce (v)" NOT_SERVED},
    {OVER("features/snapview-client", ""), ENOTSUP,
     "volume 'v': features/snapview-client (v)" NOT_SERVED},
    {OVER("cluster/replicate", ""), ENOTSUP, "volume 'v': cluster/replicate (v)" NOT_SERVED},
    {OVER("cluster/disperse", ""), ENOTSUP, "volume 'v': cluster/disperse (v)" NOT_SERVED},
    {OVER("debug/error-gen", ""), ENOTSUP, "volume 'v': debug/error-gen (v)" NOT_SERVED},
    {OVER("debug/delay-gen", ""), ENOTSUP, "volume 'v': debug/delay-gen (v)" NOT_SERVED},
    {OVER("encryption/crypt", ""), ENOTSUP,
     "volume 'v': encryption/crypt (v) is not known to this version of libgzc"},
    {OVER("performance/", ""), ENOTSUP,
     "volume 'v': performance/ (v) is not known to this version of libgzc"},
    {"volume v\n type storage/posix\nend-volume\n", ENOTSUP,
     "volume 'v': storage/posix (v) is not known to this version of libgzc"},

    {"volume v\n type debug/io-stats\nend-volume\n", EINVAL,
     "volume 'v': debug/io-stats (v) has 0 subvolumes, not one"},
    {"volume v\n type cluster/distribute\nend-volume\n", EINVAL,
     "volume 'v': cluster/distribute (v) has 0 subvolumes, not one"},
    {CLIENT("") "volume v\n type features/utime\n subvolumes v-client-0 v-client-0\nend-volume\n",
     EINVAL, "volume 'v': features/utime (v) has 2 subvolumes, not one"},
    {OVER("protocol/client", " option remote-host h\n option remote-subvolume /b\n"), EINVAL,
     "volume 'v': protocol/client (v) has subvolumes"},
    {OVER("features/utime", " option noatime perhaps\n"), EINVAL,
     "volume 'v': features/utime (v) has noatime 'perhaps', which is not a boolean"},
    {OVER("features/read-only", " option read-only\n"), EINVAL,
     "volume 'v': features/read-only (v) has read-only '', which is not a boolean"},

    {"volume c\n type protocol/client\n option remote-subvolume /b\nend-volume\n", EINVAL,
     "volume 'c': protocol/client (c) has no remote-host"},
    {"volume c\n type protocol/client\n option remote-host\nend-volume\n", EINVAL,
     "volume 'c': protocol/client (c) has no remote-host"},
    {"volume c\n type protocol/client\n option remote-host h\nend-volume\n", EINVAL,
     "volume 'c': protocol/client (c) has no remote-subvolume"},
    {CLIENT(" option remote-port 65536\n"), EINVAL,
     "volume 'v-client-0': protocol/client (v-client-0) has remote-port '65536', which is not in "
     "0..65535"},
    {CLIENT(" option remote-port -1\n"), EINVAL,
     "volume 'v-client-0': protocol/client (v-client-0) has remote-port '-1', which is not in "
     "0..65535"},
    {CLIENT(" option remote-port 18446744073709551617\n"), EINVAL,
     "volume 'v-client-0': protocol/client (v-client-0) has remote-port '18446744073709551617', "
     "which is not in 0..65535"},
    {CLIENT(" option remote-port 1x\n"), EINVAL,
     "volume 'v-client-0': protocol/client (v-client-0) has remote-port '1x', which is not in "
     "0..65535"},
    {CLIENT(" option remote-port\n"), EINVAL,
     "volume 'v-client-0': protocol/client (v-client-0) has remote-port '', which is not in "
     "0..65535"},
    {CLIENT(" option ping-timeout 1014\n"), EINVAL,
     "volume 'v-client-0': protocol/client (v-client-0) has ping-timeout '1014', which is not in "
     "0..1013 s"},
    {CLIENT(" option send-gids maybe\n"), EINVAL,
     "volume 'v-client-0': protocol/client (v-client-0) has send-gids 'maybe', which is not a "
     "boolean"},
    {CLIENT(" option transport.socket.ssl-enabled 7\n"), EINVAL,
     "volume 'v-client-0': protocol/client (v-client-0) has transport.socket.ssl-enabled '7', "
     "which is not a boolean"},
    {CLIENT(" option transport-type rdma\n"), ENOTSUP,
     "volume 'v-client-0': protocol/client (v-client-0) has transport-type 'rdma'; this version "
     "of libgzc serves tcp only"},
    {CLIENT(" option transport-type unix,rdma,tcpx\n"), ENOTSUP,
     "volume 'v-client-0': protocol/client (v-client-0) has transport-type 'unix,rdma,tcpx'; this "
     "version of libgzc serves tcp only"},
};

Test(topology, refused)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct volfile vf;
        struct topology t;
        struct errtext why = {0};
        cr_expect_eq(of_text(refused[i].text, &vf, &t, &why), -refused[i].error, "%s",
                     refused[i].text);
        cr_expect_str_eq(why.text, refused[i].why);
        cr_expect_eq(topology_of_volfile(&vf, &t, NULL), -refused[i].error);
        cr_expect(!t.bricks && !t.nbricks, "freed");
        done(&vf, &t);
    }
}

static const char *const passed[] = {
    OVER("cluster/nufa", ""),
    OVER("cluster/switch", ""),
    OVER("performance/stat-prefetch", ""),
    OVER("features/read-only", " option read-only off\n"),
    OVER("features/read-only", ""),
    CLIENT(" option transport-type rdma,tcp\n"),
    CLIENT(" option transport-type socket\n"),
    CLIENT(" option remote-port 0\n"),
};

Test(topology, passed)
{
    for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++) {
        struct volfile vf;
        struct topology t;
        struct errtext why = {0};
        cr_assert_eq(of_text(passed[i], &vf, &t, &why), 0, "%s", why.text);
        cr_expect(!t.read_only);
        cr_expect(!t.utime);
        cr_expect_eq(t.bricks[0].ping_timeout_ms, 42000);
        cr_expect_eq(t.bricks[0].port, 0);
        cr_expect(t.bricks[0].send_gids);
        done(&vf, &t);
    }
}

Test(topology, values)
{
    struct volfile vf;
    struct topology t;
    struct errtext why = {0};
    cr_assert_eq(
        of_text(
            CLIENT(
                " option remote-port 65535\n option ping-timeout 0\n") "volume u\n type features/utime\n option noatime off\n"
                                                                       " subvolumes v-client-0\nend-volume\n",
            &vf, &t, &why),
        0, "%s", why.text);
    cr_expect_eq(t.bricks[0].port, 65535);
    cr_expect_eq(t.bricks[0].ping_timeout_ms, 0);
    cr_expect(t.utime);
    cr_expect(!t.noatime);
    done(&vf, &t);
}

Test(topology, utime_leaves_access_times_by_default)
{
    struct volfile vf;
    struct topology t;
    struct errtext why = {0};
    cr_assert_eq(of_text(OVER("features/utime", ""), &vf, &t, &why), 0, "%s", why.text);
    cr_expect(t.utime);
    cr_expect(t.noatime);
    done(&vf, &t);
}

/* A chain of any length is gone down without recursion. */
Test(topology, deep_chain)
{
    char *text = NULL;
    size_t length;
    FILE *f = open_memstream(&text, &length);
    fputs("volume 0\n type protocol/client\n option remote-host h\n option remote-subvolume /b\n"
          "end-volume\n",
          f);
    for (int i = 1; i <= 200000; i++)
        fprintf(f, "volume %d\n type debug/trace\n subvolumes %d\nend-volume\n", i, i - 1);
    fclose(f);
    struct volfile vf;
    struct topology t;
    struct errtext why = {0};
    cr_assert_eq(of_text(text, &vf, &t, &why), 0, "%s", why.text);
    cr_expect_str_eq(t.bricks[0].name, "0");
    done(&vf, &t);
    free(text);
}

Test(topology, of_brick)
{
    struct gzc_uri uri;
    struct topology t;
    cr_assert_eq(uri_parse("gluster+brick://h:49152/bricks/b1//d?volume_id="
                           "6423a4bc-bc29-4428-bb4c-cbf5f97dd7ca",
                           &uri, NULL),
                 0);
    cr_assert_eq(topology_of_brick(&uri, &t, NULL), 0);
    cr_assert_eq(t.nbricks, 1);
    cr_expect_str_eq(t.name, "/bricks/b1");
    cr_expect(!t.utime && !t.noatime && !t.read_only);
    const struct brick_spec *b = t.bricks;
    cr_expect_str_eq(b->name, "/bricks/b1");
    cr_expect_str_eq(b->host, "h");
    cr_expect_str_eq(b->path, "/bricks/b1");
    cr_expect_eq(b->port, 49152);
    cr_expect(!b->username && !b->password && !b->xlator);
    cr_expect(b->has_volume_id);
    cr_expect_arr_eq(b->volume_id, uri.volume_id, 16);
    cr_expect(b->send_gids);
    cr_expect_eq(b->ping_timeout_ms, 42000);
    topology_free(&t);
    uri_free(&uri);
}
