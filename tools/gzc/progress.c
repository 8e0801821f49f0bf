#include "progress.h"

#include "text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL_NS 100000000
#define BAR         20

static bool shown; /* there is a line that has not been ended */

/* "name  45% [=========           ]  1.2 GiB  110.0 MiB/s   0:12": the time is what is left, and in
 * the end what it took. Without a total there is no per cent and no bar. */
static void show(struct progress *p, uint64_t now, bool complete)
{
    char figures[96], bytes[16], rate[16], bar[BAR + 1];
    double seconds = (double)(now - p->start) / 1e9;
    double speed = seconds > 0 ? (double)p->done / seconds : 0;
    double part = p->total ? (double)p->done / (double)p->total : complete;
    if (part > 1) /* the file has grown */
        part = 1;
    double time = complete ? seconds : speed > 0 ? (1 - part) * (double)p->total / speed : 0;

    text_bytes(bytes, (double)p->done);
    text_bytes(rate, speed);
    int length = 0;
    if (p->total) {
        memset(bar, ' ', BAR);
        memset(bar, '=', (size_t)(part * BAR));
        bar[BAR] = '\0';
        length = snprintf(figures, sizeof(figures), " %3d%% [%s]", (int)(part * 100), bar);
    }
    length +=
        snprintf(figures + length, sizeof(figures) - (size_t)length, " %10s %10s/s", bytes, rate);
    if ((p->total || complete) && time < 360000)
        length += snprintf(figures + length, sizeof(figures) - (size_t)length, " %3d:%02d",
                           (int)time / 60, (int)time % 60);

    /* The last column is left alone: some terminals go on to the next line there. */
    int room = text_width(STDERR_FILENO) - length - 1;
    fputs("\r\033[K", stderr);
    if (room > 0)
        text_put(stderr, p->name, room);
    fputs(figures, stderr);
    fflush(stderr);
    p->shown = now;
    shown = true;
}

void progress_clear(void)
{
    if (shown)
        fputs("\r\033[K", stderr);
    shown = false;
}

void progress_start(struct progress *p, bool on, const char *name, uint64_t total)
{
    uint64_t now = text_clock();
    *p = (struct progress){.on = on, .name = name, .total = total, .start = now};
    if (on)
        show(p, now, false);
}

void progress_update(struct progress *p, uint64_t done)
{
    p->done = done;
    if (!p->on)
        return;
    uint64_t now = text_clock();
    if (now - p->shown >= INTERVAL_NS)
        show(p, now, false);
}

void progress_end(struct progress *p, bool complete)
{
    if (!p->on)
        return;
    progress_clear();
    if (!complete)
        return;
    show(p, text_clock(), true);
    putc('\n', stderr);
    shown = false;
}
