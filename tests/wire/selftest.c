/* The peer itself, against a client made of raw sockets and hand-written bytes. */
#include "tests/wire/guard.h"
#include "tests/wire/peer.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct peer *peer;
static int sock = -1, content = -1;
static uint8_t reply[1 << 16];

static void connect_to_peer(void)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(peer_port(peer)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(sock, (struct sockaddr *)&to, sizeof(to)), 0);
}

static void set_up(void)
{
    peer = peer_start(NULL);
    cr_assert_not_null(peer);
    content = peer_add_file(peer, "file");
    cr_assert_eq(pwrite(content, "0123456789", 10, 0), 10);
    connect_to_peer();
}

static void tear_down(void)
{
    close(sock);
    peer_stop(peer);
}

TestSuite(peer, .init = set_up, .fini = tear_down);

static void expect_complaint(const char *words)
{
    char text[512];
    peer_complaint(peer, text, sizeof(text));
    cr_assert(words[0] ? strstr(text, words) != NULL : text[0] == '\0', "complaint: '%s'", text);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* A call as far as its arguments: builders of replies put the words. */
static void begin_call(struct peer_record *r, uint32_t xid, uint32_t prog, uint32_t vers,
                       uint32_t proc)
{
    const uint32_t words[] = {0, xid, 0, 2, prog, vers, proc, 390040, 48, 1, 0, 0,
                              0, 0,   0, 0, 1,    0,    8,    1,      2,  0, 0};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        peer_put32(r, words[i]);
}

static void call_read(struct peer_record *r, uint32_t xid, int64_t fd, uint64_t offset,
                      uint32_t size)
{
    static const uint8_t gfid[16];
    begin_call(r, xid, PEER_PROG_FOP, 400, PEER_READ);
    peer_put(r, gfid, 16);
    peer_put64(r, (uint64_t)fd);
    peer_put64(r, offset);
    peer_put32(r, size);
    peer_put32(r, 0);
    peer_put_dict(r, 0);
    peer_seal(r);
}

static void send_all(const void *bytes, size_t n)
{
    cr_assert_eq(send(sock, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void send_call(struct peer_record *r)
{
    send_all(r->at, r->length);
    peer_record_free(r);
}

static uint32_t word(size_t at)
{
    return (uint32_t)reply[at] << 24 | (uint32_t)reply[at + 1] << 16 |
           (uint32_t)reply[at + 2] << 8 | reply[at + 3];
}

/* Receives one record of one fragment into reply[]. @return its length, the mark included. */
static size_t receive(void)
{
    cr_assert_eq(recv(sock, reply, 4, MSG_WAITALL), 4, "no reply");
    size_t n = word(0) & 0x7fffffff;
    cr_assert(word(0) & 0x80000000 && n <= sizeof(reply) - 4);
    cr_assert_eq(recv(sock, reply + 4, n, MSG_WAITALL), (ssize_t)n);
    return n + 4;
}

static void introduce(void)
{
    static const char dict[] = "\0\0\0\3"
                               "\0\0\0\20\0\0\0\10remote-subvolume\0/export\0"
                               "\0\0\0\14\0\0\0\2process-uuid\0u\0"
                               "\0\0\0\14\0\0\0\10fops-version\0"
                               "1298437";
    struct peer_record r = {0};
    begin_call(&r, 1, PEER_PROG_HANDSHAKE, 2, PEER_SETVOLUME);
    peer_put_opaque(&r, "dict", dict, sizeof(dict));
    peer_seal(&r);
    send_call(&r);
    receive();
    cr_assert_eq(word(PEER_AT_OP_RET), 0);
}

/* Opens the file; @return its fd. */
static int64_t open_file(void)
{
    static const uint8_t root[16] = {[15] = 1}, nobody[16];
    uint8_t gfid[16];
    struct peer_record r = {0};
    begin_call(&r, 2, PEER_PROG_FOP, 400, PEER_LOOKUP);
    peer_put(&r, nobody, 16);
    peer_put(&r, root, 16);
    peer_put32(&r, 0);
    peer_put_opaque(&r, "name", "file", 4);
    peer_put_dict(&r, 8);
    peer_seal(&r);
    send_call(&r);
    cr_assert_eq(receive(), (size_t)(28 + 8 + 12 + 2 * 148));
    cr_assert_eq(word(PEER_AT_XID), 2);
    cr_assert_eq(word(PEER_AT_OP_RET), 0);
    memcpy(gfid, reply + 48, 16);
    begin_call(&r, 3, PEER_PROG_FOP, 400, PEER_OPEN);
    peer_put(&r, gfid, 16);
    peer_put32(&r, 2);
    peer_put_dict(&r, 0);
    peer_seal(&r);
    send_call(&r);
    receive();
    cr_assert_eq(word(PEER_AT_OP_RET), 0);
    return (int64_t)word(52);
}

/* ---- an honest server ------------------------------------------------------------------------ */

Test(peer, serves_a_file)
{
    struct peer_record r = {0};
    introduce();
    int64_t fd = open_file();
    call_read(&r, 4, fd, 2, 100);
    send_call(&r);
    cr_assert_eq(receive(), (size_t)208);
    cr_assert_eq(word(PEER_AT_OP_RET), 8);
    cr_assert_eq(word(PEER_AT_OP_ERRNO), ENOENT, "the end of the file is told");
    cr_assert_eq(word(PEER_AT_READ_SIZE), 8);
    cr_assert_arr_eq(reply + PEER_AT_READ_PAYLOAD, "23456789", 8);

    begin_call(&r, 5, PEER_PROG_FOP, 400, PEER_WRITE);
    peer_put(&r, reply, 16);
    peer_put64(&r, (uint64_t)fd);
    peer_put64(&r, 8);
    peer_put32(&r, 3);
    peer_put32(&r, 0);
    peer_put_dict(&r, 0);
    peer_put(&r, "abc", 3);
    peer_seal(&r);
    send_call(&r);
    receive();
    cr_assert_eq(word(PEER_AT_OP_RET), 3);
    char text[12] = "";
    cr_assert_eq(pread(content, text, 11, 0), 11);
    cr_assert_str_eq(text, "01234567abc");

    struct peer_counts counts;
    peer_counts(peer, &counts);
    cr_assert_eq(counts.fops[PEER_READ], 1);
    cr_assert_eq(counts.fops[PEER_WRITE], 1);
    cr_assert_eq(counts.write_bytes, 3);
    cr_assert_eq(counts.setvolumes, 1);
    cr_assert_eq(counts.connections, 1);
    expect_complaint("");
}

Test(peer, answers_a_ping_of_a_stranger)
{
    static const uint8_t ping[] = {0x80, 0,    0,    40,   0,    0, 0, 9, 0, 0, 0, 0, 0, 0, 0,
                                   2,    0x07, 0x5b, 0xcf, 0x2d, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0,
                                   0,    0,    0,    0,    0,    0, 0, 0, 0, 0, 0, 0, 0, 0};
    uint8_t bytes[sizeof(ping)];
    memcpy(bytes, ping, sizeof(ping));
    uint32_t prog = htonl(PEER_PROG_DUMP);
    memcpy(bytes + 16, &prog, 4);
    send_all(bytes, sizeof(bytes));
    cr_assert_eq(receive(), (size_t)52);
    cr_assert_eq(word(36), 12);
    expect_complaint("");
}

/* ---- complaints ------------------------------------------------------------------------------ */

Test(peer, complains_of_a_fop_before_setvolume)
{
    struct peer_record r = {0};
    call_read(&r, 4, 0, 0, 1);
    send_call(&r);
    cr_assert_eq(receive(), (size_t)28);
    cr_assert_eq(word(PEER_AT_ACCEPT_STAT), 4);
    expect_complaint("before SETVOLUME");
}

static void expect_rejected(struct peer_record *r, const char *words)
{
    send_call(r);
    cr_assert_eq(recv(sock, reply, 1, 0), 0, "still open");
    expect_complaint(words);
}

Test(peer, complains_of_fragments)
{
    struct peer_record r = {0}, two = {0};
    size_t size = 50;
    call_read(&r, 4, 0, 0, 1);
    peer_split(&two, &r, &size, 1);
    peer_record_free(&r);
    expect_rejected(&two, "record mark");
}

Test(peer, complains_of_a_write_that_lies_about_its_size)
{
    struct peer_record r = {0};
    introduce();
    call_read(&r, 4, 0, 0, 5);
    peer_poke(&r, 4 + 20, PEER_WRITE);
    peer_put(&r, "four", 4);
    peer_seal(&r);
    expect_rejected(&r, "malformed arguments");
}

Test(peer, complains_of_bytes_behind_the_arguments)
{
    struct peer_record r = {0};
    introduce();
    call_read(&r, 4, 0, 0, 5);
    peer_put32(&r, 0);
    peer_seal(&r);
    expect_rejected(&r, "malformed arguments");
}

Test(peer, complains_of_a_wrong_dict_size)
{
    struct peer_record r = {0};
    introduce();
    call_read(&r, 4, 0, 0, 5);
    peer_resize(&r, r.length - 12);
    r.nfields = 0;
    peer_put_dict(&r, 8);
    peer_poke(&r, r.fields[0].at, peer_peek(&r, r.fields[0].at) - 4);
    peer_seal(&r);
    expect_rejected(&r, "malformed arguments");
}

Test(peer, complains_of_a_credential_that_is_too_short)
{
    struct peer_record r = {0};
    call_read(&r, 4, 0, 0, 5);
    peer_poke(&r, 4 + 60, 2); /* two groups */
    expect_rejected(&r, "credential");
}

/* ---- misbehaviour ---------------------------------------------------------------------------- */

static bool cut_reads(struct peer_call *call, void *cut)
{
    struct peer_record r = {0};
    if (!peer_is_fop(call, PEER_READ))
        return false;
    peer_execute(call, &r);
    if (!peer_send_cut(call->conn, r.at, r.length, *(size_t *)cut))
        peer_complain(call->peer, "cut: not sent");
    peer_record_free(&r);
    return true;
}

/* The second slice is not there before the first was taken: without that a receive of all that is
 * there would see both. */
Test(peer, second_slice_waits_for_the_first)
{
    struct peer_record r = {0};
    introduce();
    int64_t fd = open_file();
    for (size_t cut = 1; cut < 210; cut++) {
        peer_set_hook(peer, cut_reads, &cut);
        call_read(&r, 10, fd, 0, 10);
        send_call(&r);
        int there = 0;
        cr_assert_eq(recv(sock, reply, 1, MSG_PEEK), 1);
        cr_assert_eq(ioctl(sock, FIONREAD, &there), 0);
        cr_assert_leq((size_t)there, cut);
        cr_assert_eq(recv(sock, reply, cut, MSG_WAITALL), (ssize_t)cut);
        cr_assert_eq(recv(sock, reply + cut, 210 - cut, MSG_WAITALL), (ssize_t)(210 - cut));
        cr_assert_arr_eq(reply + PEER_AT_READ_PAYLOAD, "0123456789", 10);
    }
    expect_complaint("");
}

Test(peer, splits_into_fragments)
{
    struct peer_record whole = {0}, out = {0};
    const size_t sizes[] = {0, 3, 0, 200};
    peer_make_read(&whole, 7, 10, 0, "0123456789", 10, 0);
    peer_split(&out, &whole, sizes, 4);
    cr_assert_eq(out.length, whole.length + 4 * 4);
    uint8_t joined[512];
    size_t length = 0, at = 0;
    for (bool last = false; !last;) {
        uint32_t mark = peer_peek(&out, at), n = mark & 0x7fffffff;
        last = mark & 0x80000000;
        memcpy(joined + length, out.at + at + 4, n);
        length += n;
        at += 4 + n;
    }
    cr_assert_eq(at, out.length);
    cr_assert_eq(length, whole.length - 4);
    cr_assert_arr_eq(joined, whole.at + 4, length);
    peer_record_free(&whole);
    peer_record_free(&out);
}

static bool deafen(struct peer_call *call, void *arg)
{
    (void)arg;
    peer_deafen(call->conn, true);
    return false;
}

Test(peer, deaf_then_hears_everything)
{
    enum { CALLS = 20000 };
    struct peer_record r = {0};
    introduce();
    int64_t fd = open_file();
    peer_set_hook(peer, deafen, NULL);
    call_read(&r, 10, fd, 0, 1);
    send_call(&r);
    receive(); /* the call that deafens is answered */
    peer_set_hook(peer, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        call_read(&r, 11, fd, 0, 1);
        send_call(&r);
    }
    struct peer_counts counts;
    peer_counts(peer, &counts);
    cr_assert_eq(counts.fops[PEER_READ], 1);
    /* and the sender is blocked at last */
    static uint8_t much[CALLS];
    ssize_t n;
    size_t sent = 0;
    while ((n = send(sock, much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        sent += (size_t)n;
    cr_assert_eq(errno, EAGAIN);
    cr_assert_gt(sent, 0);
    peer_lock(peer);
    peer_deafen(peer_latest(peer), false);
    peer_unlock(peer);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(receive(), (size_t)201);
}

static bool reset_reads(struct peer_call *call, void *arg)
{
    (void)arg;
    if (!peer_is_fop(call, PEER_READ))
        return false;
    peer_send(call->conn, "half", 4);
    if (call->size == 1) {
        peer_settle(call->conn);
        peer_reset(call->conn);
    } else {
        peer_close(call->conn);
    }
    return true;
}

Test(peer, resets_and_closes)
{
    for (uint32_t size = 1; size <= 2; size++) {
        struct peer_record r = {0};
        introduce();
        int64_t fd = open_file();
        peer_set_hook(peer, reset_reads, NULL);
        call_read(&r, 10, fd, 0, size);
        send_call(&r);
        cr_assert_eq(recv(sock, reply, 4, MSG_WAITALL), 4);
        ssize_t n = recv(sock, reply, 1, 0);
        if (size == 1)
            cr_assert(n < 0 && errno == ECONNRESET);
        else
            cr_assert_eq(n, 0);
        cr_assert(peer_wait_closed(peer));
        close(sock);
        connect_to_peer();
    }
}

/* ---- records --------------------------------------------------------------------------------- */

Test(peer, records_list_their_lengths)
{
    struct peer_record r = {0};
    peer_make_read(&r, 7, 5, 0, "abcde", 5, 9);
    cr_assert_eq(r.length, 200 + peer_dict_bytes(9) + 5);
    cr_assert_eq(peer_peek(&r, PEER_AT_MARK), 0x80000000 | (uint32_t)(r.length - 4));
    cr_assert_eq(peer_peek(&r, PEER_AT_READ_SIZE), 5);
    cr_assert_eq(peer_peek(&r, PEER_AT_READ_DICT), (uint32_t)peer_dict_bytes(9));
    unsigned found = 0;
    for (unsigned i = 0; i < r.nfields; i++) {
        found += r.fields[i].at == PEER_AT_MARK;
        found += r.fields[i].at == PEER_AT_VERIFIER_LENGTH;
        found += r.fields[i].at == PEER_AT_OP_RET;
        found += r.fields[i].at == PEER_AT_READ_SIZE;
        found += r.fields[i].at == PEER_AT_READ_DICT;
    }
    cr_assert_eq(found, 5);
    peer_insert(&r, PEER_AT_ACCEPT_STAT, "1234", 4);
    cr_assert_eq(r.fields[2].at, PEER_AT_OP_RET + 4);
    peer_record_free(&r);
}

Test(peer, makes_every_callback)
{
    for (uint32_t proc = 1; proc <= PEER_CALLBACKS; proc++) {
        struct peer_record r = {0};
        peer_make_callback(&r, 5, proc);
        cr_assert_geq(r.length, (size_t)44);
        cr_assert_eq(peer_peek(&r, 0), 0x80000000 | (uint32_t)(r.length - 4));
        cr_assert_eq(peer_peek(&r, PEER_AT_TYPE), 0);
        cr_assert_eq(r.length % 4, 0);
        peer_record_free(&r);
    }
}

/* ---- guard ----------------------------------------------------------------------------------- */

Test(guard, sees_every_stray_byte)
{
    struct guard g;
    const size_t lengths[] = {5, 0, 7};
    guard_make(&g, lengths, 3);
    cr_assert(guard_intact(&g) && guard_untouched(&g, 0) && !guard_holds(&g, 3, 12));
    uint8_t *first = g.iov[0].iov_base, *last = g.iov[2].iov_base;
    uint8_t *around[] = {first - 1, first + 5, last - 1, g.map + g.page};
    for (size_t i = 0; i < sizeof(around) / sizeof(*around); i++) {
        *around[i] ^= 1;
        cr_assert(!guard_intact(&g));
        *around[i] ^= 1;
        cr_assert(guard_intact(&g));
    }
    guard_fill(&g, 3);
    cr_assert(guard_holds(&g, 3, 12) && !guard_holds(&g, 4, 12) && !guard_untouched(&g, 0));
    cr_assert(guard_intact(&g));
    cr_assert(!guard_holds(&g, 3, 13), "more than there is");
    guard_clear(&g);
    last[6] = 1;
    cr_assert(!guard_untouched(&g, 11) && guard_untouched(&g, 12));
    cr_assert_eq(last + 7, g.map + g.map_size - g.page, "the last piece ends at the guard page");
    guard_free(&g);
}
