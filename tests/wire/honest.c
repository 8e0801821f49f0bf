/* The whole public interface against an honest peer: what the other tests build on. */
#include "tests/wire/rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

Test(honest, reads_and_writes)
{
    struct rig rig;
    struct guard g;
    const size_t lengths[] = {7, 0, 1, 120};
    rig_up(&rig, NULL, "", 1000);
    guard_make(&g, lengths, 4);
    rig_expect_read(&rig, &g, 300);
    guard_fill(&g, 5000);
    cr_assert_eq(gzc_pwritev(rig.file, g.iov, g.n, 960), (ssize_t)g.total);
    cr_assert(rig_file_holds(rig.content, 960, g.total, 5000));
    cr_assert(rig_file_holds(rig.content, 0, 960, 0));
    struct gzc_stats stats = rig_file_stats(&rig);
    cr_assert_eq(stats.bytes_landed, 2 * g.total);
    cr_assert_eq(stats.bytes_staged, 0);
    cr_assert_eq(stats.calls, 2);
    struct stat st;
    cr_assert_eq(gzc_fstat(rig.file, &st), 0);
    cr_assert_eq(st.st_size, 960 + (off_t)g.total);
    cr_assert_eq(gzc_fsync(rig.file), 0);
    cr_assert_eq(gzc_fdatasync(rig.file), 0);
    cr_assert_eq(gzc_ftruncate(rig.file, 17), 0);
    cr_assert_eq(gzc_stat(rig.volume, RIG_FILE, &st), 0);
    cr_assert_eq(st.st_size, 17);
    cr_assert(S_ISREG(st.st_mode));
    guard_free(&g);
    struct peer_counts counts;
    peer_counts(rig.peer, &counts);
    cr_assert_eq(counts.write_bytes, 128);
    cr_assert_eq(counts.fops[PEER_FSYNC], 2);
    rig_down(&rig);
}

Test(honest, makes_and_removes)
{
    struct rig rig;
    gzc_file *made;
    struct stat st;
    rig_up(&rig, NULL, "", 10);
    cr_assert_eq(gzc_create(rig.volume, "made", 0600, &made), 0);
    cr_assert_eq(gzc_pwrite(made, "hello", 5, 0), 5);
    cr_assert_eq(gzc_close(made), 0);
    char text[6] = "";
    cr_assert_eq(pread(peer_file(rig.peer, "made"), text, 5, 0), 5);
    cr_assert_str_eq(text, "hello");
    cr_assert_eq(gzc_open(rig.volume, "made", O_RDWR | O_CREAT | O_EXCL, 0600, &made), -EEXIST);
    cr_assert_eq(gzc_unlink(rig.volume, "made"), 0);
    cr_assert_eq(gzc_stat(rig.volume, "made", &st), -ENOENT);
    cr_assert_eq(gzc_open(rig.volume, "made", O_RDWR, 0, &made), -ENOENT);
    cr_assert_null(made);

    cr_assert_eq(gzc_mkdir(rig.volume, "dir", 0755), 0);
    cr_assert_eq(gzc_create(rig.volume, "dir/in", 0600, &made), 0);
    cr_assert_eq(gzc_close(made), 0);
    cr_assert_eq(gzc_rmdir(rig.volume, "dir"), -ENOTEMPTY);
    cr_assert_eq(gzc_unlink(rig.volume, "/dir//in"), 0);
    cr_assert_eq(gzc_rmdir(rig.volume, "dir"), 0);

    peer_add_link(rig.peer, "link", RIG_FILE);
    cr_assert_eq(gzc_stat(rig.volume, "link", &st), 0);
    cr_assert(S_ISREG(st.st_mode) && st.st_size == 10);
    cr_assert_eq(gzc_lstat(rig.volume, "link", &st), 0);
    cr_assert(S_ISLNK(st.st_mode));
    rig_down(&rig);
}

Test(honest, lists_a_directory)
{
    enum { FILES = 11 };
    struct rig rig;
    gzc_dir *dir;
    struct gzc_dirent entry;
    unsigned found = 0, seen = 0;
    rig_up(&rig, NULL, "", 10);
    for (int i = 0; i < FILES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%d", i);
        peer_add_file(rig.peer, name);
    }
    cr_assert_eq(gzc_opendir(rig.volume, "/", &dir), 0);
    int rc;
    while ((rc = gzc_readdir(dir, &entry)) == 1) {
        int i;
        if (sscanf(entry.name, "f%d", &i) == 1)
            seen |= 1U << i;
        cr_assert_eq(entry.type, (unsigned)(entry.name[0] == '.' ? DT_DIR : DT_REG));
        cr_assert_eq(entry.has_stat != 0, entry.name[0] != '.');
        found++;
    }
    cr_assert_eq(rc, 0);
    cr_assert_eq(gzc_closedir(dir), 0);
    cr_assert_eq(found, FILES + 3, "files, the rig's file, '.' and '..'");
    cr_assert_eq(seen, (1U << FILES) - 1);
    rig_down(&rig);
}

Test(honest, pings)
{
    struct rig rig;
    uint64_t ns = 0;
    rig_up(&rig, NULL, "", 10);
    cr_assert_eq(gzc_ping(rig.volume, 0, &ns), 0);
    cr_assert_gt(ns, 0);
    struct peer_counts counts;
    peer_counts(rig.peer, &counts);
    cr_assert_eq(counts.pings, 1);
    rig_down(&rig);
}

Test(honest, uses_several_connections)
{
    struct rig rig;
    struct guard g;
    rig_up(&rig, NULL, "?nconnect=4", 4000);
    guard_make_one(&g, 100);
    for (int i = 0; i < 8; i++)
        rig_expect_read(&rig, &g, 100 * i);
    struct peer_counts counts;
    peer_counts(rig.peer, &counts);
    cr_assert_eq(counts.connections, 4);
    cr_assert_eq(counts.setvolumes, 4);
    guard_free(&g);
    rig_down(&rig);
}

/* glusterd and brick in one peer: the volfile names its port. */
Test(honest, mounts_from_a_volfile)
{
    struct peer_options options = {0};
    char volfile[512], uri[128], text[512];
    gzc_volume *volume;
    struct stat st;
    struct peer *brick = peer_start(NULL);
    cr_assert_geq(peer_add_file(brick, "here"), 0);
    rig_volfile(volfile, sizeof(volfile), "127.0.0.1", peer_port(brick));
    options.volfile = volfile;
    struct peer *glusterd = peer_start(&options);
    snprintf(uri, sizeof(uri), "gluster://127.0.0.1:%u/v", peer_port(glusterd));
    int rc = gzc_mount(uri, &volume);
    gzc_error(volume, text, sizeof(text));
    cr_assert_eq(rc, 0, "%d: %s", rc, text);
    cr_assert_eq(gzc_stat(volume, "here", &st), 0);
    cr_assert_eq(gzc_brick_count(volume), 1);
    snprintf(uri, sizeof(uri), "127.0.0.1:%u", peer_port(glusterd));
    cr_assert_str_eq(gzc_volume_server(volume), uri);
    cr_assert_eq(gzc_unmount(volume), 0);
    cr_assert_str_empty(peer_complaint(glusterd, text, sizeof(text)));
    cr_assert_str_empty(peer_complaint(brick, text, sizeof(text)));
    peer_stop(glusterd);
    peer_stop(brick);
}

/* glusterd, asked for the volfile and then for the brick's port, and the brick: one peer. */
Test(honest, asks_for_the_port)
{
    char volfile[512], uri[128], text[512], address[16];
    struct peer_options options = {
        .address = address,
        .port = RIG_GLUSTERD_PORT,
        .volfile = volfile,
    };
    gzc_volume *volume;
    struct peer_counts counts;
    rig_own_address(address);
    rig_volfile(volfile, sizeof(volfile), address, 0);
    struct peer *peer = peer_start(&options);
    cr_assert_not_null(peer, "%s: %s", address, strerror(errno));
    snprintf(uri, sizeof(uri), "gluster://%s/v", address);
    int rc = gzc_mount(uri, &volume);
    gzc_error(volume, text, sizeof(text));
    cr_assert_eq(rc, 0, "%d: %s", rc, text);
    peer_counts(peer, &counts);
    cr_assert_eq(counts.getspecs, 1);
    cr_assert_eq(counts.portbybricks, 1);
    cr_assert_eq(counts.setvolumes, 1);
    cr_assert_eq(gzc_unmount(volume), 0);
    cr_assert_str_empty(peer_complaint(peer, text, sizeof(text)));
    peer_stop(peer);
}

/* As an old brick does. */
static bool copying_is_unknown(struct peer_call *call, void *arg)
{
    struct peer_record r = {0};
    (void)arg;
    if (call->prog != PEER_PROG_FOP || call->proc != 56) /* COPY_FILE_RANGE */
        return false;
    peer_make_refusal(&r, call->xid, 3); /* PROC_UNAVAIL */
    peer_send_record(call->conn, &r);
    return true;
}

/* The brick does not know COPY_FILE_RANGE: the bytes are read and written, by way of a buffer. */
Test(honest, copies_by_reading_and_writing)
{
    struct rig rig;
    gzc_file *made;
    rig_up(&rig, NULL, "", 5 << 20);
    cr_assert_eq(gzc_create(rig.volume, "made", 0600, &made), 0);
    rig_hook(&rig, copying_is_unknown, NULL);
    ssize_t n = gzc_copy_file_range(rig.file, 7, made, 3, 100 << 20);
    char text[512];
    gzc_file_error(made, text, sizeof(text));
    cr_assert_eq(n, (5 << 20) - 7, "%zd %s", n, text);
    int fd = peer_file(rig.peer, "made");
    static char p[4096], q[4096];
    for (off_t at = 0; at < (5 << 20) - 8192; at += 4096) {
        cr_assert_eq(pread(rig.content, p, 4096, 7 + at), 4096);
        cr_assert_eq(pread(fd, q, 4096, 3 + at), 4096);
        cr_assert_eq(memcmp(p, q, 4096), 0, "at %ld", (long)at);
    }
    struct gzc_stats stats = rig_file_stats(&rig);
    cr_assert_eq(stats.bytes_landed, 0);
    cr_assert_eq(stats.bytes_staged, (5 << 20) - 7);
    cr_assert_eq(gzc_volume_stats(rig.volume, &stats, sizeof(stats)), 0);
    cr_assert_eq(stats.bytes_landed, 0);
    cr_assert_eq(stats.bytes_staged, 2 * ((5 << 20) - 7));
    cr_assert_eq(gzc_close(made), 0);
    rig_down(&rig);
}

struct write_flags {
    unsigned n;
    uint32_t flags[8];
};

static bool note_write_flags(struct peer_call *call, void *arg)
{
    struct write_flags *w = arg;
    if (peer_is_fop(call, PEER_WRITE))
        w->flags[w->n++ % 8] = call->flags;
    return false;
}

/* Flags of a transfer go with each of its calls, and with no other. */
Test(honest, flags_of_writes)
{
    static char p[3 << 20];
    const struct iovec large = {p, sizeof(p)}, small = {p, 5};
    struct write_flags w = {0};
    struct rig rig;
    rig_up(&rig, NULL, "", 0);
    rig_hook(&rig, note_write_flags, &w);
    cr_assert_eq(gzc_pwritev2(rig.file, &large, 1, 0, RWF_DSYNC), sizeof(p));
    cr_assert_eq(gzc_pwritev2(rig.file, &small, 1, -1, RWF_SYNC | RWF_HIPRI), 5);
    cr_assert_eq(gzc_pwrite(rig.file, p, 5, 0), 5);
    cr_assert_eq(w.n, 5);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(w.flags[i], O_DSYNC);
    cr_assert_eq(w.flags[3], O_SYNC);
    cr_assert_eq(w.flags[4], 0);
    rig_down(&rig);
}
