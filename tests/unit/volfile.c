/* volfile_parse(): the language, the text and line of every error, its behaviour on hostile input.
 */
#include "volume/volfile.h"
#include "volfiles.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static void parse(const char *text, struct volfile *vf)
{
    struct errtext why = {0};
    cr_assert_eq(volfile_parse(text, strlen(text), "data", vf, &why), 0, "%s", why.text);
}

Test(volfile, of_one_brick)
{
    size_t length;
    char *text = volfile_text("one.vol", &length);
    struct volfile vf;
    struct errtext why = {0};
    cr_assert_eq(volfile_parse(text, length, "one", &vf, &why), 0, "%s", why.text);
    memset(text, 'x', length); /* it has a copy */

    cr_assert_eq(vf.nxlators, 9);
    cr_expect_str_eq(vf.top->name, "one");
    cr_expect_str_eq(vf.top->type, "debug/io-stats");
    cr_expect_eq(vf.top, vf.xlators[8]);
    cr_expect_str_eq(xlator_option(vf.top, "log-level"), "INFO");
    for (size_t i = 1; i < 9; i++) {
        cr_assert_eq(vf.xlators[i]->nchildren, 1);
        cr_expect_eq(vf.xlators[i]->children[0], vf.xlators[i - 1]);
    }
    const struct xlator *client = vf.xlators[0];
    cr_expect_str_eq(client->name, "one-client-0");
    cr_expect_str_eq(client->type, "protocol/client");
    cr_expect_eq(client->line, 1);
    cr_expect_eq(client->nchildren, 0);
    cr_expect_eq(client->noptions, 12);
    cr_expect_str_eq(xlator_option(client, "remote-host"), "10.88.0.1");
    cr_expect_str_eq(xlator_option(client, "remote-subvolume"), "/srv/brick/one-1");
    cr_expect_null(xlator_option(client, "remote"));
    cr_expect_eq(vf.xlators[1]->line, 17);
    volfile_free(&vf);
    volfile_free(&vf);
    free(text);
}

Test(volfile, of_three_bricks)
{
    size_t length;
    char *text = volfile_text("replica.vol", &length);
    struct volfile vf;
    cr_assert_eq(volfile_parse(text, length, "replica", &vf, NULL), 0);
    const struct xlator *replicate = vf.xlators[3];
    cr_expect_str_eq(replicate->type, "cluster/replicate");
    cr_assert_eq(replicate->nchildren, 3);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(replicate->children[i], vf.xlators[i]);
    volfile_free(&vf);
    free(text);
}

Test(volfile, language)
{
    struct volfile vf;
    parse("# comment\r\n"
          "\r\n"
          " \t volume\ta # its name\r\n"
          "type x/y\r\n"
          "  option plain  two words\t \r\n"
          "  option empty\r\n"
          "  option nothing # here\r\n"
          "  option comment value # of it\r\n"
          "  option hash a#b #c\r\n"
          "  option quoted \" a \\\"b\\\" \\\\ #c \" # d\r\n"
          "  option keyword volume\r\n"
          "  option utf8 \xc3\xa4\r\n"
          "  option again 1\r\n"
          "  option again 2\r\n"
          "end-volume\r\n"
          "volume \"b c\"\n"
          "  option before type\n"
          "  type x/z\n"
          "end-volume # b\n"
          "volume d\n"
          "  subvolumes a \"b c\" a\n"
          "  type x/y\n"
          "  option k v\n"
          "end-volume",
          &vf);
    static const char *const options[][2] = {
        {"plain", "two words"},        {"empty", ""},         {"nothing", ""},
        {"comment", "value"},          {"hash", "a#b"},       {"utf8", "\xc3\xa4"},
        {"quoted", " a \"b\" \\ #c "}, {"keyword", "volume"}, {"again", "2"},
    };
    cr_assert_eq(vf.nxlators, 3);
    const struct xlator *a = vf.xlators[0], *b = vf.xlators[1], *d = vf.xlators[2];
    cr_expect_str_eq(a->name, "a");
    cr_expect_str_eq(a->type, "x/y");
    cr_expect_eq(a->line, 3);
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
        cr_expect_str_eq(xlator_option(a, options[i][0]), options[i][1]);
    cr_expect_str_eq(b->name, "b c");
    cr_expect_str_eq(xlator_option(b, "before"), "type");
    cr_expect_eq(vf.top, d);
    cr_assert_eq(d->nchildren, 3);
    cr_expect_eq(d->children[0], a);
    cr_expect_eq(d->children[1], b);
    cr_expect_eq(d->children[2], a);
    volfile_free(&vf);
}

/* As in the official parser: the last volume is the top, and others may be unused or used twice. */
Test(volfile, several_tops)
{
    struct volfile vf;
    parse("volume a\ntype t\nend-volume\n"
          "volume b\ntype t\nsubvolumes a\nend-volume\n"
          "volume c\ntype t\nsubvolumes a\nend-volume\n",
          &vf);
    cr_expect_str_eq(vf.top->name, "c");
    cr_expect_eq(vf.top->children[0], vf.xlators[0]);
    volfile_free(&vf);
}

#define V(name) "volume " name "\n type t\nend-volume\n" /* three lines */

static const struct {
    const char *text, *error;
} bad[] = {
    {"", "volfile data: there is no volume in it"},
    {"\n# nothing\n\t\n", "volfile data: there is no volume in it"},
    {"<html>\n",
     "volfile data:1: unknown keyword '<html>'; known are volume, type, option, subvolumes, "
     "end-volume"},
    {V("a") "volumes b\n",
     "volfile data:4: unknown keyword 'volumes'; known are volume, type, option, subvolumes, "
     "end-volume"},
    {V("a") "\nVolume b\n",
     "volfile data:5: unknown keyword 'Volume'; known are volume, type, option, subvolumes, "
     "end-volume"},
    {"type t\n", "volfile data:1: 'type' outside a volume"},
    {V("a") "option k v\n", "volfile data:4: 'option' outside a volume"},
    {"subvolumes a\n", "volfile data:1: 'subvolumes' outside a volume"},
    {V("a") "end-volume\n", "volfile data:4: 'end-volume' outside a volume"},
    {"volume\n", "volfile data:1: nothing after 'volume'"},
    {"volume # a\n", "volfile data:1: nothing after 'volume'"},
    {"volume a b\n", "volfile data:1: 'b' after 'volume a'"},
    {"volume a\n\nvolume b\n", "volfile data:3: volume 'b' begins inside volume 'a' of line 1"},
    {V("a") V("b") V("a"), "volfile data:7: volume 'a' is defined on line 1 already"},
    {"volume a\n type\n", "volfile data:2: nothing after 'type'"},
    {"volume a\n type t u\n", "volfile data:2: 'u' after 'type t'"},
    {"volume a\n type t\n type t\n", "volfile data:3: second type of volume 'a'"},
    {"volume a\n option k v\nend-volume\n", "volfile data:3: volume 'a' has no type"},
    {"volume a\n option\n", "volfile data:2: nothing after 'option'"},
    {"volume a\n option k \"v\" w\n", "volfile data:2: 'w' after the value"},
    {"volume a\n option k \"v\n w\"\n", "volfile data:2: '\"' is missing at the end of a word"},
    {"volume a\n option k \"v\\\n", "volfile data:2: '\"' is missing at the end of a word"},
    {"volume a\n option k \"v\\\n\"\n", "volfile data:2: '\"' is missing at the end of a word"},
    {"volume a\n option \"k\"v w\n", "volfile data:2: no blank behind a word in '\"'"},
    {"volume a\n option k a`reboot`b\n", "volfile data:2: a command in `` is not run"},
    {"volume a\n option k \"`reboot`\"\n", "volfile data:2: a command in `` is not run"},
    {"volume `reboot`\n", "volfile data:1: a command in `` is not run"},
    {"volume a\n type t\n subvolumes\n", "volfile data:3: nothing after 'subvolumes'"},
    {V("a") "volume b\n subvolumes a\n subvolumes a\n",
     "volfile data:6: second 'subvolumes' of volume 'b'"},
    {V("a") "volume b\n subvolumes a c\n",
     "volfile data:5: subvolume 'c' of volume 'b' is not defined above"},
    {"volume b\n subvolumes c\n type t\nend-volume\n" V("c"),
     "volfile data:2: subvolume 'c' of volume 'b' is not defined above"},
    {V("a") "volume b\n subvolumes a b\n", "volfile data:5: volume 'b' has itself as a subvolume"},
    {"volume a\n type t\nend-volume b\n", "volfile data:3: 'b' after 'end-volume'"},
    {"volume a\n type t\n", "volfile data:2: volume 'a' of line 1 has no end-volume"},
    {"volume a\n type t\n\n# end", "volfile data:4: volume 'a' of line 1 has no end-volume"},
    {V("a") "\x7f"
            "ELF",
     "volfile data:4: byte 0x7f is not text"},
    {V("a") "volume b\n type \x1b[31m\n", "volfile data:5: byte 0x1b is not text"},
};

Test(volfile, bad)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct volfile vf;
        struct errtext why = {0};
        size_t length = strlen(bad[i].text);
        cr_expect_eq(volfile_parse(bad[i].text, length, "data", &vf, &why), -EINVAL, "%s",
                     bad[i].text);
        cr_expect_str_eq(why.text, bad[i].error);
        cr_expect_eq(volfile_parse(bad[i].text, length, "data", &vf, NULL), -EINVAL);
        cr_expect(!vf.text && !vf.xlators && !vf.top, "freed");
    }
}

Test(volfile, nul_bytes)
{
    static const char text[] = V("a") "volume b\0\n type t\nend-volume\n";
    struct volfile vf;
    struct errtext why;
    cr_expect_eq(volfile_parse(text, sizeof(text) - 1, "data", &vf, &why), -EINVAL);
    cr_expect_str_eq(why.text, "volfile data:4: byte 0x00 is not text");
    cr_expect_eq(volfile_parse("\0", 1, "data", &vf, &why), -EINVAL);
    cr_expect_str_eq(why.text, "volfile data:1: byte 0x00 is not text");
}

Test(volfile, too_large)
{
    struct volfile vf;
    struct errtext why;
    size_t length = VOLFILE_MAX;
    char *text = malloc(length + 1);
    memset(text, '\n', length + 1);
    memcpy(text, V("a"), strlen(V("a")));
    cr_expect_eq(volfile_parse(text, length, "data", &vf, &why), 0);
    volfile_free(&vf);
    cr_expect_eq(volfile_parse(text, length + 1, "data", &vf, &why), -EINVAL);
    cr_expect_str_eq(why.text, "volfile data: larger than 16777216 bytes");
    free(text);
}

/* An error's text is whole whatever the lengths of what it shows. */
Test(volfile, long_words)
{
    struct volfile vf;
    struct errtext why;
    char text[9000], name[1000];
    memset(text, 'x', sizeof(text));
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cr_expect_eq(volfile_parse(text, sizeof(text), name, &vf, &why), -EINVAL);
    cr_expect(strstr(why.text, ":1: unknown keyword 'xxx"));
    cr_expect(strstr(why.text, "x'; known are volume, type, option, subvolumes, end-volume"));
}

/* Every beginning of a volfile is parsed within its bounds: the copy has no slack. Those that end
 * with a whole volume are volfiles themselves, and no others are. */
Test(volfile, every_truncation)
{
    size_t length;
    char *text = volfile_text("replica.vol", &length);
    size_t volumes = 0;
    for (size_t n = 0; n <= length; n++) {
        struct volfile vf;
        struct errtext why = {0};
        char *part = malloc(n ? n : 1);
        memcpy(part, text, n);
        int rc = volfile_parse(part, n, "data", &vf, &why);
        bool whole = n >= 10 && !memcmp(part + n - 10, "end-volume", 10);
        volumes += whole;
        if (rc)
            cr_expect(!whole && *why.text, "%zu: %s", n, why.text);
        else
            cr_expect_eq(vf.nxlators, volumes, "%zu", n);
        volfile_free(&vf);
        free(part);
    }
    cr_expect_eq(volumes, 11);
    free(text);
}

/* Doubled, the text takes about double the time: no walk over all volumes for each of them. */
static double seconds_for(unsigned volumes)
{
    char *text = NULL;
    size_t length;
    struct volfile vf;
    FILE *f = open_memstream(&text, &length);
    for (unsigned i = 0; i < volumes; i++)
        fprintf(f, "volume data-client-%u\n type protocol/client\n option a b\nend-volume\n", i);
    fputs("volume data\n type cluster/distribute\n subvolumes", f);
    for (unsigned i = 0; i < volumes; i++)
        fprintf(f, " data-client-%u", i);
    fputs("\nend-volume\n", f);
    fclose(f);

    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    cr_assert_eq(volfile_parse(text, length, "data", &vf, NULL), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    cr_assert_eq(vf.top->nchildren, volumes);
    cr_expect_eq(vf.top->children[volumes - 1], vf.xlators[volumes - 1]);
    volfile_free(&vf);
    free(text);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

Test(volfile, ten_thousand_bricks)
{
    double few = seconds_for(10000), many = seconds_for(80000);
    cr_expect_lt(many, few * 24, "8 times the bricks took %.0f times as long", many / few);
}

Test(volfile, option_bool)
{
    static const char *const yes[] = {"on", "yes", "true", "enable", "1", "ON", "Enable"};
    static const char *const no[] = {"off", "no", "false", "disable", "0", "OFF", "Disable"};
    static const char *const neither[] = {"", "2", "onn", "o", "enabled", "on ", "-1"};
    for (size_t i = 0; i < 7; i++) {
        struct xlator_option o = {.key = "k"};
        struct xlator x = {.noptions = 1, .options = &o};
        bool value = false;
        o.value = yes[i];
        cr_expect(xlator_option_bool(&x, "k", &value) && value, "%s", o.value);
        o.value = no[i];
        cr_expect(xlator_option_bool(&x, "k", &value) && !value, "%s", o.value);
        value = true;
        o.value = neither[i];
        cr_expect(!xlator_option_bool(&x, "k", &value) && value, "%s", o.value);
        cr_expect(xlator_option_bool(&x, "other", &value) && value);
    }
}

Test(volfile, option_time)
{
    static const struct {
        const char *text;
        unsigned seconds;
    } good_times[] = {{"0", 0},        {"42", 42},        {"042", 42},      {"7s", 7},
                      {"7sec", 7},     {"2m", 120},       {"2min", 120},    {"1h", 3600},
                      {"1hr", 3600},   {"1d", 86400},     {"1days", 86400}, {"1w", 604800},
                      {"1wk", 604800}, {"604800", 604800}};
    static const char *const bad_times[] = {"",
                                            "-1",
                                            "s",
                                            "1 s",
                                            "1.5",
                                            "1x",
                                            "0x10",
                                            "604801",
                                            "2w",
                                            "99999999999999999999",
                                            "4294967297",
                                            "999999999wk",
                                            "307445734561825861m" /* 44 s modulo 2^64 */};
    struct xlator_option o = {.key = "k"};
    struct xlator x = {.noptions = 1, .options = &o};
    for (size_t i = 0; i < sizeof(good_times) / sizeof(*good_times); i++) {
        unsigned seconds = 99;
        o.value = good_times[i].text;
        cr_expect(xlator_option_time(&x, "k", 604800, &seconds), "%s", o.value);
        cr_expect_eq(seconds, good_times[i].seconds, "%s", o.value);
    }
    for (size_t i = 0; i < sizeof(bad_times) / sizeof(*bad_times); i++) {
        unsigned seconds = 99;
        o.value = bad_times[i];
        cr_expect(!xlator_option_time(&x, "k", 604800, &seconds), "%s", o.value);
        cr_expect_eq(seconds, 99);
    }
    unsigned seconds = 99;
    cr_expect(xlator_option_time(&x, "other", 1, &seconds));
    cr_expect_eq(seconds, 99);
}
