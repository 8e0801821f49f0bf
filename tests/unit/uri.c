/* uri_parse(): every form and option of gzc_mount(), and the text for every way to get one wrong.
 */
#include "volume/uri.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The URI as one line: kind, servers, what they serve, path. */
static void describe(const struct gzc_uri *u, char *line, size_t size)
{
    static const char *const kinds[] = {"glusterd", "brick", "volfile"};
    FILE *f = fmemopen(line, size, "w");
    if (u->transport == URI_RDMA)
        fputs("rdma ", f);
    fputs(kinds[u->kind], f);
    for (unsigned i = 0; i < u->nservers; i++)
        fprintf(f, " %s|%u", u->servers[i].host, u->servers[i].port);
    if (u->volume)
        fprintf(f, " volume=%s", u->volume);
    if (u->export_path)
        fprintf(f, " export=%s", u->export_path);
    if (u->volfile)
        fprintf(f, " volfile=%s", u->volfile);
    fprintf(f, " path=%s", u->path);
    fclose(f);
}

static const struct {
    const char *uri, *line;
} good[] = {
    {"gluster://server/data", "glusterd server|24007 volume=data path=/"},
    {"gluster+tcp://server/data", "glusterd server|24007 volume=data path=/"},
    {"GLUSTER://server/data/", "glusterd server|24007 volume=data path=/"},
    {"gluster://s:24008/data/a/b", "glusterd s|24008 volume=data path=/a/b"},
    {"gluster://10.88.0.1:1/v", "glusterd 10.88.0.1|1 volume=v path=/"},
    {"gluster://s:65535/v", "glusterd s|65535 volume=v path=/"},
    {"gluster://a,b:2,[::1],[fe80::1%25eth0]:4/v",
     "glusterd a|24007 b|2 ::1|24007 fe80::1%eth0|4 volume=v path=/"},
    {"gluster://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p/v",
     "glusterd a|24007 b|24007 c|24007 d|24007 e|24007 f|24007 g|24007 h|24007 i|24007 j|24007 "
     "k|24007 l|24007 m|24007 n|24007 o|24007 p|24007 volume=v path=/"},
    {"gluster://s/v%31/a%2Fb%3fc%25", "glusterd s|24007 volume=v1 path=/a/b?c%"},
    {"gluster://s/v//a//b/", "glusterd s|24007 volume=v path=//a//b/"},
    {"gluster://s/v/a:b,c@d=e&f", "glusterd s|24007 volume=v path=/a:b,c@d=e&f"},
    {"gluster://s/v/\xc3\xa4 %0a", "glusterd s|24007 volume=v path=/\xc3\xa4 \n"},
    {"gluster://s/v?", "glusterd s|24007 volume=v path=/"},
    {"gluster://s/v/?timeout=1", "glusterd s|24007 volume=v path=/"},
    {"gluster+rdma://s,t:7/v", "rdma glusterd s|24008 t|7 volume=v path=/"},
    {"gluster+brick+rdma://h/b", "rdma brick h|24008 export=/b path=/"},
    {"gluster+brick://h:49152/bricks/b1", "brick h|49152 export=/bricks/b1 path=/"},
    {"gluster+brick://h:49152/bricks/b1/", "brick h|49152 export=/bricks/b1 path=/"},
    {"gluster+brick://h:49152/bricks/b1//", "brick h|49152 export=/bricks/b1 path=/"},
    {"gluster+brick://[::1]:49152/b1//d/f", "brick ::1|49152 export=/b1 path=/d/f"},
    {"gluster+brick://h:1/b%2f%2Fc//d//f", "brick h|1 export=/b//c path=/d//f"},
    {"file:data.vol", "volfile volfile=data.vol path=/"},
    {"file:vols/data.vol//dir/f", "volfile volfile=vols/data.vol path=/dir/f"},
    {"file:/etc/data.vol", "volfile volfile=/etc/data.vol path=/"},
    {"file:///etc/data.vol", "volfile volfile=/etc/data.vol path=/"},
    {"file://localhost/etc/data.vol//f", "volfile volfile=/etc/data.vol path=/f"},
    {"file:a%3fb.vol//?nconnect=2", "volfile volfile=a?b.vol path=/"},
};

Test(uri, good)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct gzc_uri u;
        struct errtext why = {0};
        char line[1024];
        cr_assert_eq(uri_parse(good[i].uri, &u, &why), 0, "%s: %s", good[i].uri, why.text);
        describe(&u, line, sizeof(line));
        cr_assert_str_eq(line, good[i].line);
        uri_free(&u);
        uri_free(&u);
    }
}

#define KNOWN_SCHEMES                                                                              \
    "known are gluster, gluster+tcp, gluster+rdma, gluster+brick, gluster+brick+rdma, file"
#define KNOWN_OPTIONS                                                                              \
    "known are timeout, connect_timeout, ping_timeout, reconnect_timeout, nconnect, "              \
    "busy_poll_us, ordered, volume_id, fallback, rdma_trust, rdma_cache_mb, rdma_credits"
#define R "gluster+rdma://s/v?"
#define G "gluster://s/v?"
#define B "gluster+brick://h:1/b?"

static const struct {
    const char *uri;
    int error;
    const char *text;
} bad[] = {
    {"", EINVAL, "URI: no scheme; " KNOWN_SCHEMES},
    {"data", EINVAL, "URI: no scheme; " KNOWN_SCHEMES},
    {"/etc/data.vol", EINVAL, "URI: no scheme; " KNOWN_SCHEMES},
    {"./a:b", EINVAL, "URI: no scheme; " KNOWN_SCHEMES},
    {"://s/v", EINVAL, "URI: no scheme; " KNOWN_SCHEMES},
    {"gluster?a:b", EINVAL, "URI: no scheme; " KNOWN_SCHEMES},
    {"server:/data", EINVAL, "URI: unknown scheme 'server'; " KNOWN_SCHEMES},
    {"gluster+udp://s/v", EINVAL, "URI: unknown scheme 'gluster+udp'; " KNOWN_SCHEMES},
    {"gluster+tls://s/v", ENOTSUP, "URI: gluster+tls is not in this version of libgzc"},
    {G "rdma_trust=1", EINVAL, "URI: option 'rdma_trust' is for RDMA only"},
    {G "fallback=tcp", EINVAL, "URI: option 'fallback' is for RDMA only"},
    {R "fallback=udp", EINVAL, "URI: option 'fallback': 'udp' is not tcp"},
    {R "rdma_credits=1024", EINVAL,
     "URI: option 'rdma_credits': '1024' is not a number in 1..1023"},
    {"gluster+brick+rdma://h/b?fallback=tcp", EINVAL,
     "URI: option 'fallback' needs glusterd, to know the brick's port"},
    {"gluster+unix:///v?socket=/s", ENOTSUP, "URI: gluster+unix is not in this version of libgzc"},

    {"gluster:", EINVAL, "URI: no '//' after the scheme"},
    {"gluster:/s/v", EINVAL, "URI: no '//' after the scheme"},
    {"gluster://", EINVAL, "URI: no host name"},
    {"gluster:///v", EINVAL, "URI: no host name"},
    {"gluster://:24007/v", EINVAL, "URI: no host name"},
    {"gluster://a,,b/v", EINVAL, "URI: no host name"},
    {"gluster://a,/v", EINVAL, "URI: no host name"},
    {"gluster://user@s/v", EINVAL, "URI: 'user@s' is not a host name"},
    {"gluster://a%2Fb/v", EINVAL, "URI: 'a%2Fb' is not a host name"},
    {"gluster://a b/v", EINVAL, "URI: 'a b' is not a host name"},
    {"gluster://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q/v", EINVAL, "URI: more than 16 servers"},
    {"gluster://::1/v", EINVAL, "URI: '::1': an IPv6 address stands in []"},
    {"gluster://[::1/v", EINVAL, "URI: '[::1': an IPv6 address stands in []"},
    {"gluster://[/v", EINVAL, "URI: '[' is not a host name"},
    {"gluster://[]/v", EINVAL, "URI: no address in []"},
    {"gluster://[10.0.0.1]/v", EINVAL, "URI: '10.0.0.1' is not an IPv6 address"},
    {"gluster://[::1%25]/v", EINVAL, "URI: '::1%25' is not an IPv6 address"},
    {"gluster://[::1%25abcdefghijklmnop]/v", EINVAL,
     "URI: '::1%25abcdefghijklmnop' is not an IPv6 address"},
    {"gluster://[::1]x/v", EINVAL, "URI: 'x' after ']' is not a port"},
    {"gluster://s:/v", EINVAL, "URI: port '' is not in 1..65535"},
    {"gluster://s:0/v", EINVAL, "URI: port '0' is not in 1..65535"},
    {"gluster://s:65536/v", EINVAL, "URI: port '65536' is not in 1..65535"},
    {"gluster://s:4294967297/v", EINVAL, "URI: port '4294967297' is not in 1..65535"},
    {"gluster://s:18446744073709551617/v", EINVAL,
     "URI: port '18446744073709551617' is not in 1..65535"},
    {"gluster://s:-1/v", EINVAL, "URI: port '-1' is not in 1..65535"},
    {"gluster://[::1]: 1/v", EINVAL, "URI: port ' 1' is not in 1..65535"},

    {"gluster://s", EINVAL, "URI: no volume"},
    {"gluster://s/", EINVAL, "URI: no volume"},
    {"gluster://s//path", EINVAL, "URI: no volume"},
    {"gluster://s?timeout=1", EINVAL, "URI: no volume"},
    {"gluster://s/a%2fb", EINVAL, "URI: '/' in the volume's name 'a%2fb'"},
    {"gluster://s/a%00b", EINVAL, "URI: '%00' in the volume is not a byte's code"},
    {"gluster://s/v/%", EINVAL, "URI: '%' in the path is not a byte's code"},
    {"gluster://s/v/%4", EINVAL, "URI: '%4' in the path is not a byte's code"},
    {"gluster://s/v/%4g", EINVAL, "URI: '%4g' in the path is not a byte's code"},
    {"gluster://s/v/%g4", EINVAL, "URI: '%g4' in the path is not a byte's code"},
    {"gluster://s/v/%-1", EINVAL, "URI: '%-1' in the path is not a byte's code"},
    {"gluster://s/v/%4?nconnect=1", EINVAL, "URI: '%4' in the path is not a byte's code"},
    {"gluster://s/v/a\nb", EINVAL, "URI: byte 15 must be written as %0A"},
    {"gluster://s/v/a#b", EINVAL, "URI: byte 15 must be written as %23"},
    {"gluster://s/v/\x7f", EINVAL, "URI: byte 14 must be written as %7F"},

    {"gluster+brick://h/b", EINVAL, "URI: gluster+brick needs the brick's port"},
    {"gluster+brick://h:1,i:2/b", EINVAL, "URI: gluster+brick takes one server, not a list"},
    {"gluster+brick://h:1", EINVAL, "URI: no export path"},
    {"gluster+brick://h:1/", EINVAL, "URI: no export path"},
    {"gluster+brick://h:1//b", EINVAL, "URI: no export path"},
    {"file:", EINVAL, "URI: no volfile"},
    {"file://", EINVAL, "URI: no volfile"},
    {"file:////etc/data.vol", EINVAL, "URI: no volfile"},
    {"file:?timeout=1", EINVAL, "URI: no volfile"},
    {"file://etc/data.vol", EINVAL, "URI: file: takes no host, but has 'etc'"},

    {G "&", EINVAL, "URI: unknown option ''; " KNOWN_OPTIONS},
    {G "a=1", EINVAL, "URI: unknown option 'a'; " KNOWN_OPTIONS},
    {G "timeout=1&retries=3", EINVAL, "URI: unknown option 'retries'; " KNOWN_OPTIONS},
    {G "timeout", EINVAL, "URI: option 'timeout' has no value"},
    {G "timeout=1&timeout=1", EINVAL, "URI: option 'timeout' is given twice"},
    {G "timeout=1&timeout", EINVAL, "URI: option 'timeout' is given twice"},
    {G "timeout=", EINVAL, "URI: option 'timeout': '' is not a number of seconds in 0.001..86400"},
    {G "timeout=0", EINVAL,
     "URI: option 'timeout': '0' is not a number of seconds in 0.001..86400"},
    {G "timeout=-1", EINVAL,
     "URI: option 'timeout': '-1' is not a number of seconds in 0.001..86400"},
    {G "timeout=86400.001", EINVAL,
     "URI: option 'timeout': '86400.001' is not a number of seconds in 0.001..86400"},
    {G "timeout=18446744073709551617", EINVAL,
     "URI: option 'timeout': '18446744073709551617' is not a number of seconds in 0.001..86400"},
    {G "connect_timeout=1e3", EINVAL,
     "URI: option 'connect_timeout': '1e3' is not a number of seconds in 0.001..86400"},
    {G "ping_timeout=1.", EINVAL,
     "URI: option 'ping_timeout': '1.' is not a number of seconds in 0..86400"},
    {G "ping_timeout=.5", EINVAL,
     "URI: option 'ping_timeout': '.5' is not a number of seconds in 0..86400"},
    {G "ping_timeout=1.2.3", EINVAL,
     "URI: option 'ping_timeout': '1.2.3' is not a number of seconds in 0..86400"},
    {G "ping_timeout=inf", EINVAL,
     "URI: option 'ping_timeout': 'inf' is not a number of seconds in 0..86400"},
    {G "nconnect=0", EINVAL, "URI: option 'nconnect': '0' is not a number in 1..16"},
    {G "nconnect=17", EINVAL, "URI: option 'nconnect': '17' is not a number in 1..16"},
    {G "nconnect=1.5", EINVAL, "URI: option 'nconnect': '1.5' is not a number in 1..16"},
    {G "nconnect=4294967297", EINVAL,
     "URI: option 'nconnect': '4294967297' is not a number in 1..16"},
    {G "busy_poll_us=1000001", EINVAL,
     "URI: option 'busy_poll_us': '1000001' is not a number in 0..1000000, nor adaptive"},
    {G "busy_poll_us=x", EINVAL,
     "URI: option 'busy_poll_us': 'x' is not a number in 0..1000000, nor adaptive"},
    {G "ordered=2", EINVAL, "URI: option 'ordered': '2' is not a number in 0..1"},
    {G "volume_id=6423a4bc-bc29-4428-bb4c-cbf5f97dd7ca", EINVAL,
     "URI: option 'volume_id' is for gluster+brick only"},
    {B "volume_id=6423a4bc-bc29-4428-bb4c-cbf5f97dd7c", EINVAL,
     "URI: option 'volume_id': '6423a4bc-bc29-4428-bb4c-cbf5f97dd7c' is not a UUID"},
    {B "volume_id=6423a4bc-bc29-4428-bb4c-cbf5f97dd7cg", EINVAL,
     "URI: option 'volume_id': '6423a4bc-bc29-4428-bb4c-cbf5f97dd7cg' is not a UUID"},
    {B "volume_id=", EINVAL, "URI: option 'volume_id': '' is not a UUID"},
};

Test(uri, bad)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct gzc_uri u;
        struct errtext why = {0};
        cr_expect_eq(uri_parse(bad[i].uri, &u, &why), -bad[i].error, "%s", bad[i].uri);
        cr_expect_str_eq(why.text, bad[i].text);
        cr_expect_eq(uri_parse(bad[i].uri, &u, NULL), -bad[i].error);
        cr_expect(!u.volume && !u.export_path && !u.volfile && !u.path, "%s: freed", bad[i].uri);
    }
}

Test(uri, defaults)
{
    struct gzc_uri u;
    cr_assert_eq(uri_parse("gluster://s/v", &u, NULL), 0);
    cr_expect_eq(u.timeout_ms, 1800000);
    cr_expect_eq(u.connect_timeout_ms, 10000);
    cr_expect_eq(u.ping_timeout_ms, -1);
    cr_expect_eq(u.reconnect_timeout_ms, 42000);
    cr_expect_eq(u.nconnect, 1);
    cr_expect_eq(u.busy_poll_us, -1);
    cr_expect_eq(u.ordered, 1);
    cr_expect(!u.has_volume_id);
    uri_free(&u);
}

Test(uri, options)
{
    static const uint8_t id[] = {0x64, 0x23, 0xa4, 0xbc, 0xbc, 0x29, 0x44, 0x28,
                                 0xbb, 0x4c, 0xcb, 0xf5, 0xf9, 0x7d, 0xd7, 0xca};
    struct gzc_uri u;
    struct errtext why = {0};
    cr_assert_eq(
        uri_parse(
            B
            "nconnect=16&timeout=0.5&connect_timeout=86400&ping_timeout=0&"
            "reconnect_timeout=1.5&volume_id=6423A4bc-bc29-4428-bb4c-cbf5f97dd7ca&busy_poll_us=50&ordered=0",
            &u, &why),
        0, "%s", why.text);
    cr_expect_eq(u.timeout_ms, 500);
    cr_expect_eq(u.connect_timeout_ms, 86400000);
    cr_expect_eq(u.ping_timeout_ms, 0);
    cr_expect_eq(u.reconnect_timeout_ms, 1500);
    cr_expect_eq(u.nconnect, 16);
    cr_expect_eq(u.busy_poll_us, 50);
    cr_expect_eq(u.ordered, 0);
    cr_assert(u.has_volume_id);
    cr_expect_arr_eq(u.volume_id, id, sizeof(id));
    uri_free(&u);
}

Test(uri, rdma_options)
{
    struct gzc_uri u;
    struct errtext why = {0};
    cr_assert_eq(
        uri_parse(R "fallback=tcp&rdma_trust=1&rdma_cache_mb=0&rdma_credits=1023", &u, &why), 0,
        "%s", why.text);
    cr_expect_neq(u.fallback, 0);
    cr_expect_eq(u.rdma_trust, 1);
    cr_expect_eq(u.rdma_cache_mb, 0);
    cr_expect_eq(u.rdma_credits, 1023);
    uri_free(&u);
    cr_assert_eq(uri_parse("gluster+rdma://s/v", &u, &why), 0);
    cr_expect_eq(u.fallback, 0);
    cr_expect_eq(u.rdma_trust, 0);
    uri_free(&u);
}

Test(uri, seconds_have_decimals)
{
    static const struct {
        const char *uri;
        int ms;
    } times[] = {
        {G "ping_timeout=1.5", 1500},      {G "ping_timeout=1.25", 1250},
        {G "ping_timeout=1.007", 1007},    {G "ping_timeout=0007", 7000},
        {G "ping_timeout=1.0000", 1000},   {G "ping_timeout=1.0071", 1008}, /* rounded up, */
        {G "ping_timeout=0.0000001", 1},   {G "ping_timeout=2.9999", 3000}, /* so never off */
        {G "ping_timeout=0.0000000000", 0}};
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        struct gzc_uri u;
        cr_assert_eq(uri_parse(times[i].uri, &u, NULL), 0, "%s", times[i].uri);
        cr_expect_eq(u.ping_timeout_ms, times[i].ms, "%s", times[i].uri);
        uri_free(&u);
    }
}

/* @p prefix with @p n times @p c behind it. */
static char *with_run(const char *prefix, char c, size_t n)
{
    size_t length = strlen(prefix);
    char *text = malloc(length + n + 1);
    memcpy(text, prefix, length);
    memset(text + length, c, n);
    text[length + n] = '\0';
    return text;
}

Test(uri, lengths)
{
    static const struct {
        const char *prefix;
        size_t longest;
        const char *text;
    } limits[] = {
        {"gluster://s/", 255, "URI: the volume is longer than 255 bytes"},
        {"gluster://s/v/", 4094, "URI: the path is longer than 4095 bytes"},
        {"gluster+brick://h:1/", 1022, "URI: the export path is longer than 1023 bytes"},
        {"file:", 4095, "URI: the volfile is longer than 4095 bytes"},
    };
    struct gzc_uri u;
    struct errtext why;
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        char *fits = with_run(limits[i].prefix, 'x', limits[i].longest);
        char *beyond = with_run(limits[i].prefix, 'x', limits[i].longest + 1);
        cr_expect_eq(uri_parse(fits, &u, &why), 0, "%s", limits[i].prefix);
        uri_free(&u);
        cr_expect_eq(uri_parse(beyond, &u, &why), -EINVAL);
        cr_expect_str_eq(why.text, limits[i].text);
        free(fits);
        free(beyond);
    }
    char *host = with_run("gluster://", 'h', 256);
    cr_expect_eq(uri_parse(host, &u, &why), -EINVAL);
    cr_expect_str_eq(why.text, "URI: the host name is longer than 255 bytes");
    free(host);
    char *all = with_run("gluster://s/v?timeout=1&x=", 'x', 1 << 20);
    cr_expect_eq(uri_parse(all, &u, &why), -EINVAL);
    cr_expect_str_eq(why.text, "URI: longer than 32767 bytes");
    free(all);
}

/* Whatever a URI ends with, it is read to its end and no further: the copy has no slack. */
Test(uri, every_truncation)
{
    static const char *const whole[] = {
        "gluster+tcp://a:1,[fe80::1%25eth0]:24007,10.0.0.1/vol%31/a%20b/c?timeout=0.5&nconnect=4",
        "gluster+brick://[::1]:49152/b%2d//d%20/f?volume_id=6423a4bc-bc29-4428-bb4c-cbf5f97dd7ca",
        "file://localhost/a/b%2e.vol//d/%66?ping_timeout=1.2345&busy_poll_us=50&timeout=1",
    };
    for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++)
        for (size_t n = 0; n <= strlen(whole[i]); n++) {
            struct gzc_uri u;
            struct errtext why = {0};
            char *part = strndup(whole[i], n);
            int rc = uri_parse(part, &u, &why);
            cr_expect(rc == 0 ? u.path && *u.path == '/' && !*why.text : *why.text, "%s", part);
            if (n == strlen(whole[i]))
                cr_expect_eq(rc, 0, "%s", why.text);
            free(part);
            uri_free(&u);
        }
}
