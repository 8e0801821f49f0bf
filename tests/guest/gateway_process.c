/* The gateway as a child of a test. */
#include "base/clock.h"
#include "tests/guest/gateway_client.h"
#include "tests/lab/volume.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define ARGUMENTS_MOST 32

static int socket_at(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    cr_assert_lt(strlen(path), sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    cr_assert_geq(fd, 0);
    int rc = type == SOCK_DGRAM ? bind(fd, (struct sockaddr *)&address, sizeof(address))
                                : connect(fd, (struct sockaddr *)&address, sizeof(address));
    cr_assert_eq(rc, 0, "%s: %s", path, strerror(errno));
    return fd;
}

static void show_log(const struct gateway_process *g)
{
    char line[PATH_MAX + 32];
    snprintf(line, sizeof(line), "tail -n 20 %s/log >&2", g->dir);
    if (system(line) != 0)
        fprintf(stderr, "no log\n");
}

static void become_gateway(const struct gateway_process *g, const char *const *options)
{
    char binary[PATH_MAX], brick[2 * PATH_MAX], log[PATH_MAX + 8], stats[PATH_MAX + 8],
        notify[PATH_MAX + 8];
    const char *argv[ARGUMENTS_MOST] = {"gzc-rdma-gateway", "--memory", "16M",     "--log", log,
                                        "--stats-socket",   stats,      "--brick", brick};
    unsigned n = 9;
    snprintf(binary, sizeof(binary), "%s/gzc-rdma-gateway", getenv("GZC_BUILD"));
    snprintf(log, sizeof(log), "%s/log", g->dir);
    snprintf(stats, sizeof(stats), "%s/stats", g->dir);
    snprintf(notify, sizeof(notify), "%s/notify", g->dir);
    snprintf(brick, sizeof(brick), "%s=%s:%s", getenv("LAB_BRICK_PATH"), getenv("LAB_BRICK_HOST"),
             getenv("LAB_BRICK_PORT"));
    while (options && *options && n + 1 < ARGUMENTS_MOST)
        argv[n++] = *options++;
    setenv("NOTIFY_SOCKET", notify, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(binary, (char *const *)argv);
    _exit(127);
}

void gateway_start(struct gateway_process *g, const char *const *options)
{
    char path[PATH_MAX + 8], said[64] = "";
    snprintf(g->dir, sizeof(g->dir), "%s/gateway-XXXXXX", getenv("TMPDIR"));
    cr_assert_not_null(mkdtemp(g->dir), "%s", g->dir);
    snprintf(path, sizeof(path), "%s/notify", g->dir);
    int fd = socket_at(path, SOCK_DGRAM);
    g->pid = fork();
    cr_assert_geq(g->pid, 0);
    if (g->pid == 0)
        become_gateway(g, options);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, GC_PATIENCE_MS) != 1 || read(fd, said, sizeof(said) - 1) <= 0 ||
        strcmp(said, "READY=1") != 0) {
        show_log(g);
        cr_assert_fail("the gateway does not start");
    }
    close(fd);
}

void gateway_stop(struct gateway_process *g)
{
    int status = 0;
    kill(g->pid, SIGTERM);
    cr_assert_eq(waitpid(g->pid, &status, 0), g->pid);
    if (status)
        show_log(g);
    cr_assert_eq(status, 0, "the gateway ends with status %#x", status);
}

uint64_t gateway_stat(const struct gateway_process *g, const char *name)
{
    char path[PATH_MAX + 8], text[16384], key[64];
    size_t length = 0;
    ssize_t n;
    snprintf(path, sizeof(path), "%s/stats", g->dir);
    int fd = socket_at(path, SOCK_STREAM);
    while ((n = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
        length += (size_t)n;
    close(fd);
    text[length] = '\0';
    snprintf(key, sizeof(key), "\"%s\": ", name);
    const char *at = strstr(text, key);
    cr_assert_not_null(at, "no counter %s in %s", name, text);
    return strtoull(at + strlen(key), NULL, 10);
}

void gateway_await(const struct gateway_process *g, const char *name, uint64_t value)
{
    uint64_t until = clock_now() + GC_PATIENCE_MS * NSEC_PER_MSEC, is;
    while ((is = gateway_stat(g, name)) < value && clock_now() < until)
        usleep(1000);
    if (is < value)
        show_log(g);
    cr_assert_geq(is, value, "%s", name);
}

bool gateway_logged(const struct gateway_process *g, const char *text)
{
    char path[PATH_MAX + 8], line[8192];
    bool found = false;
    snprintf(path, sizeof(path), "%s/log", g->dir);
    FILE *f = fopen(path, "re");
    cr_assert_not_null(f);
    while (!found && fgets(line, sizeof(line), f))
        found = strstr(line, text);
    fclose(f);
    return found;
}
