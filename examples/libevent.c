/*
 * libevent URI - prints a file of a volume and then what is appended to it, until SIGINT or
 * SIGTERM.
 *
 * A volume in the event loop of libevent 2, beside a timer and signals. The same few lines put it
 * into any other loop that watches descriptors: watch gzc_fd() for reading, and when it is readable
 * call gzc_poll(volume, 0, 0).
 */
#include <event2/event.h>
#include <fcntl.h>
#include <gzc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

struct follow {
    struct event_base *base;
    gzc_volume *volume;
    gzc_file *file;
    off_t offset; /* printed up to here */
    bool reading; /* one read at a time is under way */
    bool quit, failed;
    char buffer[65536];
};

static void quit(struct follow *f)
{
    f->quit = true;
    event_base_loopbreak(f->base);
}

static void read_on(struct follow *f);

static void read_done(void *arg, ssize_t result, const char *error)
{
    struct follow *f = arg;

    f->reading = false;
    if (result < 0) {
        fprintf(stderr, "%s\n", error);
        f->failed = true;
        quit(f);
    }
    if (result <= 0 || f->quit) /* at the end of the file the timer tries again */
        return;
    fwrite(f->buffer, 1, (size_t)result, stdout);
    fflush(stdout);
    f->offset += result;
    read_on(f);
}

static void read_on(struct follow *f)
{
    struct gzc_async how = {.done = read_done, .arg = f};

    f->reading = gzc_pread_async(f->file, f->buffer, sizeof(f->buffer), f->offset, &how) > 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct follow *f = arg;

    (void)fd, (void)what;
    if (!f->reading)
        read_on(f);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number, (void)what;
    quit(arg);
}

static void on_volume(evutil_socket_t fd, short what, void *arg)
{
    struct follow *f = arg;

    (void)fd, (void)what;
    gzc_poll(f->volume, 0, 0); /* receives, and runs callbacks; does not wait */
}

int main(int argc, char **argv)
{
    static struct follow f;
    const struct timeval interval = {.tv_usec = 100000};
    char text[512];
    int fd;

    if (argc != 2)
        return fprintf(stderr, "usage: libevent URI\n"), 2;
    if (gzc_mount(argv[1], &f.volume) < 0 || (fd = gzc_fd(f.volume)) < 0 ||
        gzc_open(f.volume, gzc_uri_path(f.volume), O_RDONLY, 0, &f.file) < 0) {
        gzc_error(f.volume, text, sizeof(text));
        fprintf(stderr, "%s\n", text);
        gzc_unmount(f.volume); /* of a volume whose mount has failed, too */
        return 1;
    }
    f.base = event_base_new();
    struct event *events[] = {
        event_new(f.base, fd, EV_READ | EV_PERSIST, on_volume, &f),
        event_new(f.base, -1, EV_PERSIST, on_timer, &f),
        evsignal_new(f.base, SIGINT, on_signal, &f),
        evsignal_new(f.base, SIGTERM, on_signal, &f),
    };
    for (int i = 0; i < 4; i++)
        event_add(events[i], i == 1 ? &interval : NULL);

    read_on(&f);
    event_base_dispatch(f.base);

    /* The volume's descriptor leaves the loop before gzc_unmount() closes it. */
    for (int i = 0; i < 4; i++)
        event_free(events[i]);
    event_base_free(f.base);
    gzc_close(f.file); /* waits for the read that may be under way: read_done() is called in here */
    gzc_unmount(f.volume);
    return f.failed;
}
