/*
 * epoll URI - reads paths from the standard input, one a line, and prints the size of each file.
 *
 * An event loop of the program's own, with epoll(7): the volume is one descriptor among others.
 * The loop never waits for the volume alone: while the server is looking something up the next
 * lines are read, and any number of questions is under way. Answers come in any order.
 */
#include <gzc.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct question {
    struct stat st; /* the answer; here it stays until the callback */
    char path[];
};

struct input {
    size_t length;
    char text[PATH_MAX + 1];
};

static unsigned under_way;

static void answer(void *arg, ssize_t result, const char *error)
{
    struct question *q = arg;

    under_way--;
    if (result < 0)
        printf("%s: %s\n", q->path, error);
    else
        printf("%s: %lld\n", q->path, (long long)q->st.st_size);
    fflush(stdout);
    free(q);
}

static void ask(gzc_volume *volume, const char *path, size_t length)
{
    struct question *q = malloc(sizeof(*q) + length + 1);
    struct gzc_async how = {.done = answer, .arg = q};

    if (!q)
        return perror("malloc");
    memcpy(q->path, path, length);
    q->path[length] = '\0';
    under_way++;
    gzc_ticket rc = gzc_stat_async(volume, q->path, &q->st, &how);
    if (rc < 0) /* nothing has begun: answer() is not called */
        answer(q, rc, "cannot ask");
}

/* Takes what there is, and asks for each whole line. False at the end of the input. */
static bool read_lines(gzc_volume *volume, struct input *in)
{
    ssize_t n = read(STDIN_FILENO, in->text + in->length, sizeof(in->text) - in->length);
    char *line = in->text, *end;

    if (n <= 0) {
        if (in->length) /* a last line without a newline */
            ask(volume, in->text, in->length);
        return false;
    }
    in->length += (size_t)n;
    while ((end = memchr(line, '\n', in->length))) {
        ask(volume, line, (size_t)(end - line));
        in->length -= (size_t)(end + 1 - line);
        line = end + 1;
    }
    if (in->length == sizeof(in->text)) { /* longer than any path: the answer will say so */
        ask(volume, line, in->length);
        in->length = 0;
    }
    memmove(in->text, line, in->length);
    return true;
}

int main(int argc, char **argv)
{
    static struct input in;
    struct epoll_event event = {.events = EPOLLIN}, events[2];
    bool more = true;
    gzc_volume *volume;
    char text[512];

    if (argc != 2)
        return fprintf(stderr, "usage: epoll URI\n"), 2;
    int epoll = epoll_create1(0);
    event.data.fd = STDIN_FILENO;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        return perror("standard input"), 1; /* epoll takes pipes and terminals, but no files */

    if (gzc_mount(argv[1], &volume) < 0 || (event.data.fd = gzc_fd(volume)) < 0) {
        gzc_error(volume, text, sizeof(text));
        fprintf(stderr, "%s\n", text);
        gzc_unmount(volume); /* of a volume whose mount has failed, too */
        return 1;
    }
    epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);

    while (more || under_way) {
        int n = epoll_wait(epoll, events, 2, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd != STDIN_FILENO) {
                gzc_poll(volume, 0, 0); /* receives, and runs callbacks; does not wait */
            } else if (!read_lines(volume, &in)) {
                more = false;
                epoll_ctl(epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
            }
        }
    }
    close(epoll);
    gzc_unmount(volume);
    return 0;
}
