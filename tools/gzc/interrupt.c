#include "interrupt.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
#define SIGNALS (sizeof(signals) / sizeof(*signals))

static volatile sig_atomic_t noted;
static struct sigaction before[SIGNALS];

static void note(int number)
{
    noted = number;
}

void interrupt_catch(void)
{
    /* No SA_RESTART: a read from the standard input is to end. */
    struct sigaction action = {.sa_handler = note, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

void interrupt_release(void)
{
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
}

int interrupted(void)
{
    return noted;
}

void interrupt_sleep(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds};
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    sigset_t blocked, mask;
    sigemptyset(&blocked);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaddset(&blocked, signals[i]);
    /* Blocked until ppoll() sleeps: a signal that comes before cannot be missed. */
    sigprocmask(SIG_BLOCK, &blocked, &mask);
    if (!noted)
        ppoll(NULL, 0, &time, &mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

void interrupt_die(void)
{
    if (noted)
        raise(noted);
}
