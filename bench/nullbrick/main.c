/*
 * nullbrick - answers the protocol of a GlusterFS brick from memory.
 *
 * Test equipment: what a client does on it is bounded by the client, by TCP and by little else. It
 * answers as a brick of release 10 what a client needs to mount, to list one flat directory, and
 * to make, read, write and remove files in it. Anyone who can connect may do so.
 */
#include "serve.h"
#include "store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define THREADS_MAX 64

static const char usage[] =
    "usage: nullbrick [option...]\n"
    "\n"
    "Answers the protocol of a GlusterFS brick from memory, until it gets a signal. Prints the URI\n"
    "to reach it when it listens.\n"
    "\n"
    "  --listen HOST:PORT  port 0: any            (default 127.0.0.1:0)\n"
    "  --path EXPORT       its path, for clients  (default /null)\n"
    "  --name FILE         a file there is from the beginning...\n"
    "  --size BYTES        ...and its size; K, M, G may follow\n"
    "  --threads N         to serve connections   (default 1)\n"
    "  --spin-us N         how long a thread looks for calls before it blocks (default 0)\n";

static void die(const char *what, int error)
{
    fprintf(stderr, "nullbrick: %s: %s\n", what, strerror(error));
    exit(1);
}

static void bad_usage(void)
{
    fputs(usage, stderr);
    exit(2);
}

static uint64_t number(const char *text, const char *suffixes, uint64_t max)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
    if (errno || *text < '0' || *text > '9' || (*end && (!suffix || end[1])) || n > max >> shift)
        bad_usage();
    return n << shift;
}

static int listen_at(char *where)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *address;
    char *colon = strrchr(where, ':');
    int one = 1;
    if (!colon)
        bad_usage();
    *colon = '\0';
    int rc = getaddrinfo(where, colon + 1, &hints, &address);
    if (rc) {
        fprintf(stderr, "nullbrick: %s: %s\n", where, gai_strerror(rc));
        exit(1);
    }
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket", errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)
        die(where, errno);
    freeaddrinfo(address);
    return fd;
}

static void print_uri(int fd, const char *host, const char *export)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } at;
    socklen_t length = sizeof(at);
    if (getsockname(fd, &at.any, &length) < 0)
        die("getsockname", errno);
    bool six = at.any.sa_family == AF_INET6;
    printf("gluster+brick://%s%s%s:%u%s\n", six ? "[" : "", host, six ? "]" : "",
           ntohs(six ? at.in6.sin6_port : at.in.sin_port), export);
    fflush(stdout);
}

static void first_file(const char *name, uint64_t size)
{
    static const gf_gfid gfid = {[0] = 0x11, [GF_GFID_BYTES - 1] = 0x11};
    struct file *file;
    int error = store_create(name, gfid, 0666, 0, 0, &file);
    error = error ? error : store_truncate(file, size);
    error = error ? error : store_fill(file);
    if (error)
        die(name, error);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},  {"path", required_argument, NULL, 'p'},
        {"name", required_argument, NULL, 'n'},    {"size", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'}, {"spin-us", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},          {0},
    };
    static char anywhere[] = "127.0.0.1:0";
    char *where = anywhere;
    const char *name = NULL;
    struct brick brick = {.export = "/null"};
    uint64_t size = 0, threads = 1;
    int handles[THREADS_MAX], option, one = 1;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'l':
            where = optarg;
            break;
        case 'p':
            brick.export = optarg;
            break;
        case 'n':
            name = optarg;
            break;
        case 's':
            size = number(optarg, "KMG", STORE_FILE_MAX);
            break;
        case 't':
            threads = number(optarg, "", THREADS_MAX);
            break;
        case 'u':
            brick.spin = number(optarg, "", 1000000) * 1000;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            bad_usage();
        }
    }
    if (optind < argc || threads == 0 || brick.export[0] != '/' ||
        (name && (!*name || strlen(name) > GF_NAME_MAX || strchr(name, '/'))))
        bad_usage();
    if (name)
        first_file(name, size);
    for (unsigned i = 0; i < threads; i++) {
        int error = serve_start(&brick, &handles[i]);
        if (error)
            die("thread", error);
    }
    int fd = listen_at(where);
    print_uri(fd, where, brick.export);
    for (unsigned i = 0;; i++) {
        int socket = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (socket < 0 && errno == ECONNABORTED)
            continue;
        if (socket < 0)
            die("accept", errno);
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        int error = serve_connection(handles[i % threads], &brick, socket);
        if (error)
            die("connection", error);
    }
}
