/* Rule 4: zero-copy is measured. Wherever TCP cuts a reply, its payload lands straight in the
 * caller's memory, and the counters say so. */
#include "tests/wire/rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define SIZE 64

/* How the reply to a READ goes out. */
struct way {
    size_t cut;  /* slices of cut bytes and of the rest */
    size_t dict; /* value of a dict in it */
    size_t fragments[4];
    unsigned nfragments;
    bool bytewise; /* one slice per byte */
};

static void read_reply(struct peer_call *call, size_t dict, struct peer_record *r)
{
    struct peer_record plain = {0};
    peer_execute(call, &plain);
    peer_make_read(r, call->xid, (int32_t)peer_peek(&plain, PEER_AT_OP_RET),
                   (int32_t)peer_peek(&plain, PEER_AT_OP_ERRNO), plain.at + PEER_AT_READ_PAYLOAD,
                   plain.length - PEER_AT_READ_PAYLOAD, dict);
    peer_record_free(&plain);
}

static bool send_this_way(struct peer_call *call, void *arg)
{
    const struct way *way = arg;
    struct peer_record r = {0}, out = {0};
    if (!peer_is_fop(call, PEER_READ))
        return false;
    read_reply(call, way->dict, &r);
    peer_split(&out, &r, way->fragments, way->nfragments);
    bool sent = true;
    if (way->bytewise) {
        for (size_t i = 0; sent && i < out.length; i++) {
            sent = peer_send(call->conn, out.at + i, 1);
            if (i + 1 < out.length)
                sent = sent && peer_settle(call->conn);
        }
    } else {
        sent = peer_send_cut(call->conn, out.at, out.length, way->cut);
    }
    if (!sent)
        peer_complain(call->peer, "the reply was not taken");
    peer_record_free(&r);
    peer_record_free(&out);
    return true;
}

struct setting {
    struct rig rig;
    struct guard g;
    struct way way;
};

static void setting_up(struct setting *s, const char *query)
{
    static const size_t lengths[] = {1, 0, 30, 5, SIZE - 36};
    memset(s, 0, sizeof(*s));
    rig_up(&s->rig, NULL, query, 1000);
    guard_make(&s->g, lengths, 5);
    rig_hook(&s->rig, send_this_way, &s->way);
}

static void setting_down(struct setting *s)
{
    struct gzc_stats all = rig_stats(&s->rig), file = rig_file_stats(&s->rig);
    cr_assert_eq(all.bytes_landed, file.bytes_landed);
    cr_assert_eq(all.bytes_staged, file.bytes_staged);
    guard_free(&s->g);
    rig_down(&s->rig);
}

/* Reads at @p offset; @p size of the SIZE bytes are there. @return bytes staged. */
static uint64_t read_this_way(struct setting *s, off_t offset, size_t size)
{
    struct gzc_stats before = rig_file_stats(&s->rig);
    char text[512] = "";
    guard_clear(&s->g);
    ssize_t n = gzc_preadv(s->rig.file, s->g.iov, s->g.n, offset);
    if (n < 0)
        gzc_file_error(s->rig.file, text, sizeof(text));
    cr_assert_eq(n, (ssize_t)size, "cut at %zu, fragments %zu %zu: %zd %s", s->way.cut,
                 s->way.fragments[0], s->way.fragments[1], n, text);
    cr_assert(guard_holds(&s->g, (uint64_t)offset, size), "cut at %zu: wrong bytes", s->way.cut);
    cr_assert(guard_intact(&s->g), "cut at %zu: memory around has changed", s->way.cut);
    struct gzc_stats after = rig_file_stats(&s->rig);
    uint64_t staged = after.bytes_staged - before.bytes_staged;
    cr_assert_eq(after.bytes_landed - before.bytes_landed + staged, size,
                 "cut at %zu: the counters do not add up", s->way.cut);
    return staged;
}

static void cut_everywhere(const char *query, size_t dict, off_t offset, size_t size)
{
    struct setting s;
    setting_up(&s, query);
    s.way.dict = dict;
    size_t length = PEER_AT_READ_PAYLOAD + peer_dict_bytes(dict) + size;
    for (size_t cut = 0; cut < length; cut++) {
        rig_hook(&s.rig, NULL, NULL);
        s.way.cut = cut;
        rig_hook(&s.rig, send_this_way, &s.way);
        uint64_t staged = read_this_way(&s, offset, size);
        /* A dict is met before the payload, where payload was expected: known only then. */
        cr_assert(dict || staged == 0, "cut at %zu: %zu bytes staged", cut, (size_t)staged);
    }
    setting_down(&s);
}

Test(rule4, cut_at_every_byte)
{
    cut_everywhere("", 0, 100, SIZE);
}

Test(rule4, cut_at_every_byte_with_busy_polling)
{
    cut_everywhere("?busy_poll_us=100", 0, 100, SIZE);
}

Test(rule4, short_reply_cut_at_every_byte)
{
    cut_everywhere("", 0, 990, 10);
    cut_everywhere("", 0, 2000, 0);
}

/* With a dict in it, of a few bytes and of some KiB, which a server may always put there. */
Test(rule4, reply_with_a_dict_cut_at_every_byte)
{
    cut_everywhere("", 5, 100, SIZE);
    cut_everywhere("", 5, 995, 5);
}

Test(rule4, reply_with_a_large_dict)
{
    static const size_t dicts[] = {1, 4, 100, 800, 824, 900, 1024, 4096, 8000};
    struct setting s;
    setting_up(&s, "");
    for (size_t i = 0; i < sizeof(dicts) / sizeof(*dicts); i++) {
        size_t length = PEER_AT_READ_PAYLOAD + peer_dict_bytes(dicts[i]) + SIZE;
        for (size_t cut = 0; cut < length; cut += 97) {
            rig_hook(&s.rig, NULL, NULL);
            s.way.dict = dicts[i];
            s.way.cut = cut;
            rig_hook(&s.rig, send_this_way, &s.way);
            read_this_way(&s, 100, SIZE);
        }
    }
    setting_down(&s);
}

Test(rule4, byte_by_byte)
{
    struct setting s;
    setting_up(&s, "");
    s.way.bytewise = true;
    cr_assert_eq(read_this_way(&s, 100, SIZE), 0);
    cr_assert_eq(read_this_way(&s, 1000 - 7, 7), 0);
    setting_down(&s);
}

/* ---- fragments ------------------------------------------------------------------------------- */

static void fragment_everywhere(unsigned gap, size_t dict, off_t offset, size_t size)
{
    struct setting s;
    setting_up(&s, "");
    size_t length = PEER_AT_READ_PAYLOAD + peer_dict_bytes(dict) + size - 4;
    for (size_t first = 0; first <= length; first++) {
        rig_hook(&s.rig, NULL, NULL);
        s.way = (struct way){.dict = dict, .fragments = {first}, .nfragments = 1};
        if (gap != UINT32_MAX) { /* a second fragment, of 0 bytes or more */
            s.way.fragments[1] = first + gap > length ? length - first : gap;
            s.way.nfragments = 2;
        }
        rig_hook(&s.rig, send_this_way, &s.way);
        uint64_t staged = read_this_way(&s, offset, size);
        /* The first record of several fragments comes as a surprise. */
        cr_assert(first == 0 || dict || staged == 0, "fragment of %zu: %zu bytes staged", first,
                  (size_t)staged);
    }
    setting_down(&s);
}

Test(rule4, two_fragments)
{
    fragment_everywhere(UINT32_MAX, 0, 100, SIZE);
    fragment_everywhere(UINT32_MAX, 0, 993, 7);
}

Test(rule4, two_fragments_with_a_dict)
{
    fragment_everywhere(UINT32_MAX, 40, 100, SIZE);
}

Test(rule4, empty_fragment_between)
{
    fragment_everywhere(0, 0, 100, SIZE);
}

Test(rule4, small_fragment_between)
{
    fragment_everywhere(1, 0, 100, SIZE);
    fragment_everywhere(7, 0, 100, SIZE);
}

/* Fragments and slices at once: the mark itself is cut. */
Test(rule4, fragments_cut_at_every_byte)
{
    struct setting s;
    setting_up(&s, "");
    for (size_t cut = 0; cut < PEER_AT_READ_PAYLOAD + SIZE + 12; cut++) {
        rig_hook(&s.rig, NULL, NULL);
        s.way = (struct way){.cut = cut, .fragments = {150, 0, 70}, .nfragments = 3};
        rig_hook(&s.rig, send_this_way, &s.way);
        read_this_way(&s, 100, SIZE);
    }
    setting_down(&s);
}

Test(rule4, fragments_byte_by_byte)
{
    struct setting s;
    setting_up(&s, "");
    s.way = (struct way){.bytewise = true, .fragments = {0, 3, 210, 0}, .nfragments = 4};
    read_this_way(&s, 100, SIZE);
    cr_assert_eq(read_this_way(&s, 200, SIZE), 0);
    setting_down(&s);
}

/* ---- several calls under way ----------------------------------------------------------------- */

/* The answer to a transfer of two calls: second reply first, as one stream cut somewhere. */
struct pair {
    struct peer_record first;
    size_t cut;
};

static bool second_first(struct peer_call *call, void *arg)
{
    struct pair *pair = arg;
    if (!peer_is_fop(call, PEER_READ))
        return false;
    if (pair->first.length == 0) {
        peer_execute(call, &pair->first);
        return true;
    }
    struct peer_record stream = {0};
    peer_execute(call, &stream);
    peer_put(&stream, pair->first.at, pair->first.length);
    peer_record_free(&pair->first);
    if (!peer_send_cut(call->conn, stream.at, stream.length, pair->cut))
        peer_complain(call->peer, "the replies were not taken");
    peer_record_free(&stream);
    return true;
}

/* Cut in the short one, in the head of the long one and in its first payload. */
Test(rule4, two_calls_under_way_cut_at_every_byte)
{
    enum { FIRST = 1 << 20, SECOND = SIZE };
    struct rig rig;
    struct guard g;
    struct pair pair = {0};
    rig_up(&rig, NULL, "", FIRST + 1000);
    guard_make_one(&g, FIRST + SECOND);
    for (size_t cut = 0; cut < 2 * PEER_AT_READ_PAYLOAD + SECOND + 8; cut++) {
        rig_hook(&rig, NULL, NULL);
        pair.cut = cut;
        rig_hook(&rig, second_first, &pair);
        struct gzc_stats before = rig_file_stats(&rig);
        ssize_t n = gzc_preadv(rig.file, g.iov, 1, 10);
        cr_assert_eq(n, FIRST + SECOND, "cut at %zu: %zd", cut, n);
        struct gzc_stats after = rig_file_stats(&rig);
        cr_assert_eq(after.bytes_landed - before.bytes_landed, FIRST + SECOND);
        cr_assert_eq(after.bytes_staged, before.bytes_staged);
        cr_assert_eq(after.calls - before.calls, 2);
        cr_assert(guard_intact(&g));
        if (cut % 32 == 0) { /* all of it; else the ends, where something could be misplaced */
            cr_assert(guard_holds(&g, 10, g.total), "cut at %zu: wrong bytes", cut);
            guard_clear(&g);
            continue;
        }
        uint8_t *p = g.iov[0].iov_base;
        for (size_t i = 0; i < 1000; i++) {
            cr_assert_eq(p[i], guard_pattern(10 + i), "cut at %zu: byte %zu", cut, i);
            size_t at = g.total - 1 - i;
            cr_assert_eq(p[at], guard_pattern(10 + at), "cut at %zu: byte %zu", cut, at);
        }
        memset(p, 0, 1000);
        memset(p + g.total - 1000, 0, 1000);
    }
    guard_free(&g);
    rig_down(&rig);
}

/* ---- writes ---------------------------------------------------------------------------------- */

static bool cut_write_reply(struct peer_call *call, void *arg)
{
    struct peer_record r = {0};
    if (!peer_is_fop(call, PEER_WRITE))
        return false;
    peer_execute(call, &r);
    if (!peer_send_cut(call->conn, r.at, r.length, *(size_t *)arg))
        peer_complain(call->peer, "the reply was not taken");
    peer_record_free(&r);
    return true;
}

Test(rule4, write_replies_cut_at_every_byte)
{
    enum { REPLY = 28 + 8 + 12 + 2 * 148 };
    struct rig rig;
    struct guard g;
    size_t cut = 0;
    const size_t lengths[] = {1, 0, 30, 5, SIZE - 36};
    rig_up(&rig, NULL, "", 0);
    guard_make(&g, lengths, 5);
    for (; cut < REPLY; cut++) {
        rig_hook(&rig, cut_write_reply, &cut);
        guard_fill(&g, cut);
        cr_assert_eq(gzc_pwritev(rig.file, g.iov, g.n, (off_t)cut * SIZE), SIZE);
        rig_hook(&rig, NULL, NULL);
        cr_assert(rig_file_holds(rig.content, cut * SIZE, SIZE, cut));
    }
    struct gzc_stats stats = rig_file_stats(&rig);
    cr_assert_eq(stats.bytes_landed, REPLY * SIZE);
    cr_assert_eq(stats.bytes_staged, 0);
    guard_free(&g);
    rig_down(&rig);
}
