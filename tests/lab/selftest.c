/* The lab itself: does it offer what it says, and does it leave nothing behind? */
#include "tests/lab/lab.h"

#include "gzc.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

TestSuite(lab, .timeout = 60);

/* Waits until a condition holds; 0 if it does not within ten seconds. */
#define EVENTUALLY(condition)                                                                      \
    ({                                                                                             \
        int tries_ = 1000;                                                                         \
        while (!(condition) && --tries_ > 0)                                                       \
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);                              \
        tries_ > 0;                                                                                \
    })

static int connect_to(const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, host, &address.sin_addr);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Is there a reply within that time? Takes it. */
static int replies(int fd, int milliseconds)
{
    char reply[512];
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, milliseconds) == 1 && read(fd, reply, sizeof(reply)) > 28;
}

/* Program DUMP, procedure PING, no credential: answered by bricks and by glusterd. */
static void send_ping(int fd)
{
    const uint32_t call[] = {htonl(0x80000000 + 40),
                             htonl(1),
                             0,
                             htonl(2),
                             htonl(123451501),
                             htonl(1),
                             htonl(2),
                             0,
                             0,
                             0,
                             0};

    cr_assert_eq(write(fd, call, sizeof(call)), (ssize_t)sizeof(call));
}

static int answers(const char *host, uint16_t port)
{
    int fd = connect_to(host, port), ok;

    if (fd < 0)
        return 0;
    send_ping(fd);
    ok = replies(fd, 5000);
    close(fd);
    return ok;
}

/* Does any process have the text in its command line, or the network namespace? A zombie has
 * neither. */
static int in_use(const char *text, ino_t netns)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    int found = 0;

    while (!found && (entry = readdir(proc))) {
        char path[300], line[4096];
        struct stat st;
        size_t length = 0;
        FILE *file;

        if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof(path), "/proc/%s/ns/net", entry->d_name);
        if (netns && !stat(path, &st) && st.st_ino == netns)
            found = 1;
        snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
        file = fopen(path, "r");
        if (file) {
            length = fread(line, 1, sizeof(line), file);
            fclose(file);
        }
        if (memmem(line, length, text, strlen(text)))
            found = 1;
    }
    closedir(proc);
    return found;
}

static int exists(const char *path)
{
    return !access(path, F_OK);
}

static ino_t netns_of(pid_t pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    return stat(path, &st) ? 0 : st.st_ino;
}

Test(lab, brick_answers_and_leaves_nothing)
{
    struct lab_brick brick;
    unsigned char id[16];

    cr_assert_eq(lab_brick_start(&brick, NULL), 0);
    cr_assert(answers(brick.host, brick.port));
    cr_assert_eq(getxattr(brick.path, "trusted.glusterfs.volume-id", id, sizeof(id)), 16);
    cr_assert(in_use(brick.lab.dir, 0));
    cr_assert_eq(lab_brick_stop(&brick), 0);

    cr_assert_not(exists(brick.lab.dir));
    cr_assert(EVENTUALLY(!in_use(brick.lab.dir, 0)));
    cr_assert_lt(connect_to(brick.host, brick.port), 0);
}

Test(lab, brick_obeys_its_options)
{
    char directory[] = "/var/tmp/gzc-lab-kept.XXXXXX", command[PATH_MAX];
    const struct lab_brick_options options = {
        .reject = "127.0.0.1",
        .volume_id = "01234567-89ab-cdef-0123-456789abcdef",
        .directory = mkdtemp(directory),
        .options = {"io-threads.thread-count=3"},
    };
    struct lab_brick brick;
    gzc_volume *volume;

    cr_assert_eq(lab_brick_start(&brick, &options), 0);
    cr_assert_str_eq(brick.volume_id, options.volume_id);
    cr_assert_str_eq(brick.path, directory);
    cr_assert_eq(lab_run(&brick.lab, "grep -c 'thread-count 3' \"$LAB_DIR/brick.vol\""), 0);
    cr_assert_str_eq(brick.lab.output, "1\n");
    cr_assert_eq(gzc_mount(brick.uri, &volume), -EACCES);
    gzc_unmount(volume);
    cr_assert_eq(lab_brick_stop(&brick), 0);
    cr_assert(exists(directory));

    snprintf(command, sizeof(command), "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}

Test(lab, brick_killed_and_restarted_keeps_port_and_files)
{
    struct lab_brick brick;
    char file[PATH_MAX + 8];
    uint16_t port;
    pid_t pid;

    cr_assert_eq(lab_brick_start(&brick, NULL), 0);
    port = brick.port;
    pid = brick.pid;
    snprintf(file, sizeof(file), "%s/file", brick.path);
    cr_assert_eq(mknod(file, S_IFREG | 0600, 0), 0);

    cr_assert_eq(lab_brick_kill(&brick), 0);
    cr_assert_lt(connect_to(brick.host, port), 0);
    cr_assert_eq(lab_brick_signal(&brick, SIGCONT), -ESRCH);

    cr_assert_eq(lab_brick_restart(&brick), 0);
    cr_assert_eq(brick.port, port);
    cr_assert_neq(brick.pid, pid);
    cr_assert(answers(brick.host, port));
    cr_assert(exists(file));

    pid = brick.pid;
    cr_assert_eq(lab_brick_restart(&brick), 0);
    cr_assert_eq(kill(pid, 0), -1);
    cr_assert_eq(kill(brick.pid, 0), 0);
    cr_assert(answers(brick.host, port));
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

Test(lab, brick_stopped_by_a_signal_is_deaf)
{
    struct lab_brick brick;
    int fd;

    cr_assert_eq(lab_brick_start(&brick, NULL), 0);
    fd = connect_to(brick.host, brick.port);
    send_ping(fd);
    cr_assert(replies(fd, 5000));
    cr_assert_eq(lab_brick_signal(&brick, SIGSTOP), 0);
    send_ping(fd);
    cr_assert_not(replies(fd, 200));
    cr_assert_eq(lab_brick_signal(&brick, SIGCONT), 0);
    cr_assert(replies(fd, 5000));

    /* Even deaf it ends with its lab. */
    cr_assert_eq(lab_brick_signal(&brick, SIGSTOP), 0);
    cr_assert_eq(lab_brick_stop(&brick), 0);
    cr_assert(EVENTUALLY(!in_use(brick.lab.dir, 0)));
    close(fd);
}

Test(lab, bricks_live_side_by_side)
{
    struct lab_brick bricks[3];

    for (int i = 0; i < 3; i++)
        cr_assert_eq(lab_brick_start(&bricks[i], NULL), 0);
    cr_assert_neq(bricks[0].port, bricks[1].port);
    for (int i = 0; i < 3; i++)
        cr_assert(answers(bricks[i].host, bricks[i].port));
    cr_assert_eq(lab_brick_stop(&bricks[1]), 0);
    cr_assert(answers(bricks[0].host, bricks[0].port));
    cr_assert_eq(lab_brick_stop(&bricks[0]), 0);
    cr_assert_eq(lab_brick_stop(&bricks[2]), 0);
}

Test(lab, run_gives_status_and_output)
{
    struct lab_brick brick;

    cr_assert_eq(lab_brick_start(&brick, NULL), 0);
    cr_assert_eq(lab_run(&brick.lab, "echo %s; (exit %d)", "one two", 7), 7);
    cr_assert_str_eq(brick.lab.output, "one two\n");
    cr_assert_eq(lab_run(&brick.lab, "true"), 0);
    cr_assert_str_eq(brick.lab.output, "");
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

/* What a child process tells of its lab before it is killed. */
struct trace {
    char dir[PATH_MAX];
    ino_t netns;
};

static void start_lab(int cluster, struct trace *trace)
{
    static struct lab_brick b;
    static struct lab_cluster c;
    const char *volumes[] = {"one", NULL};

    if (cluster ? lab_cluster_start(&c, volumes) : lab_brick_start(&b, NULL))
        _exit(1);
    strcpy(trace->dir, cluster ? c.lab.dir : b.lab.dir);
    trace->netns = cluster ? netns_of(c.lab.pid) : 0;
}

/* A process starts a lab and is killed without a chance to clean up. */
static void kill_user_of_lab(int cluster)
{
    struct trace trace = {.netns = 0};
    int told[2], status;
    pid_t child;

    cr_assert_eq(pipe(told), 0);
    child = fork();
    if (!child) {
        start_lab(cluster, &trace);
        (void)!write(told[1], &trace, sizeof(trace));
        raise(SIGKILL);
    }
    cr_assert_eq(read(told[0], &trace, sizeof(trace)), (ssize_t)sizeof(trace));
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_assert(EVENTUALLY(!exists(trace.dir)));
    cr_assert(EVENTUALLY(!in_use(trace.dir, trace.netns)));
}

Test(lab, nothing_of_a_brick_survives_the_kill_of_its_user)
{
    kill_user_of_lab(0);
}

Test(lab, nothing_of_a_cluster_survives_the_kill_of_its_user)
{
    kill_user_of_lab(1);
}

/* The script itself is killed while it runs a command: the last line of defence. */
static void kill_script(const char *script)
{
    char path[PATH_MAX], dir[PATH_MAX] = "";
    int told[2], status;
    ino_t netns = 0;
    pid_t child;

    snprintf(path, sizeof(path), "%s/%s", LAB_SCRIPTS, script);
    cr_assert_eq(pipe(told), 0);
    child = fork();
    if (!child) {
        dup2(told[1], STDOUT_FILENO);
        close(told[0]);
        close(told[1]);
        execl(path, path, "--", "sh", "-c", "printf %s $LAB_DIR; exec sleep 1000", NULL);
        _exit(1);
    }
    cr_assert_gt(read(told[0], dir, sizeof(dir) - 1), 0);
    cr_assert(exists(dir));
    if (!strcmp(script, "with-cluster"))
        netns = netns_of(child);
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(EVENTUALLY(!exists(dir)));
    cr_assert(EVENTUALLY(!in_use(dir, netns)));
    /* Whoever else holds the pipe's other end is the command: it must be gone too. */
    close(told[1]);
    cr_assert(EVENTUALLY(read(told[0], dir, sizeof(dir)) == 0));
}

Test(lab, nothing_of_a_brick_survives_the_kill_of_its_script)
{
    kill_script("with-brick");
}

Test(lab, nothing_of_a_cluster_survives_the_kill_of_its_script)
{
    kill_script("with-cluster");
}

Test(lab, cluster_serves_a_volume_and_leaves_nothing)
{
    struct lab_cluster cluster;
    const char *volumes[] = {"one", NULL};
    ino_t own = netns_of(getpid()), netns;
    char path[PATH_MAX + 16];

    cr_assert_eq(lab_cluster_start(&cluster, volumes), 0);
    netns = netns_of(cluster.lab.pid);
    cr_assert_neq(netns, own);
    cr_assert(answers(cluster.host, 24007));
    cr_assert_eq(lab_run(&cluster.lab, "gluster volume info one"), 0);
    cr_assert_not_null(strstr(cluster.lab.output, "Status: Started"), "%s", cluster.lab.output);
    snprintf(path, sizeof(path), "%s/one/0", cluster.bricks);
    cr_assert(exists(path));
    cr_assert_not(exists("/var/lib/glusterd/vols/one"));
    cr_assert_eq(lab_cluster_stop(&cluster), 0);

    cr_assert_not(exists(cluster.lab.dir));
    cr_assert(EVENTUALLY(!in_use(cluster.lab.dir, netns)));
    cr_assert_eq(netns_of(getpid()), own);
}

Test(lab, cluster_loses_and_regains_glusterd_and_a_brick)
{
    struct lab_cluster cluster;
    const char *volumes[] = {"one", NULL};

    cr_assert_eq(lab_cluster_start(&cluster, volumes), 0);
    cr_assert_eq(lab_run(&cluster.lab, "glusterd_kill"), 0);
    cr_assert_lt(connect_to(cluster.host, 24007), 0);
    cr_assert_eq(lab_run(&cluster.lab, "kill -0 $(brick_pid one 0)"), 0);
    cr_assert_eq(lab_run(&cluster.lab, "glusterd_start"), 0);
    cr_assert(answers(cluster.host, 24007));

    cr_assert_eq(lab_run(&cluster.lab, "brick_kill one 0"), 0);
    cr_assert_neq(lab_run(&cluster.lab, "kill -0 $(brick_pid one 0)"), 0);
    cr_assert_eq(lab_run(&cluster.lab, "brick_restart one"), 0, "%s", cluster.lab.output);
    cr_assert_eq(lab_run(&cluster.lab, "kill -0 $(brick_pid one 0)"), 0);
    cr_assert_eq(lab_cluster_stop(&cluster), 0);
}

Test(lab, cluster_makes_every_kind_of_volume)
{
    struct lab_cluster cluster;
    const char *const kinds[] = {"d=distribute", "r=replica", "a=arbiter",
                                 "e=disperse",   "s=shard",   NULL};

    cr_assert_eq(lab_cluster_start(&cluster, kinds), 0);
    cr_assert_eq(lab_run(&cluster.lab, "gluster volume list"), 0);
    cr_assert_str_eq(cluster.lab.output, "a\nd\ne\nr\ns\n");
    cr_assert_eq(lab_run(&cluster.lab, "gluster volume info | sed -n 's/^Type: //p' | sort"), 0);
    cr_assert_str_eq(cluster.lab.output,
                     "Disperse\nDistribute\nDistribute\nReplicate\nReplicate\n");
    cr_assert_eq(lab_run(&cluster.lab, "gluster volume info s | grep 'features.shard: on'"), 0);
    cr_assert_eq(lab_run(&cluster.lab, "gluster volume info a | grep '(2 + 1) = 3'"), 0);
    cr_assert_eq(lab_cluster_stop(&cluster), 0);
}
