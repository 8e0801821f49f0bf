#include "message.h"

#include "progress.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *command = "";

void message_command(const char *name)
{
    command = name;
}

int complain(const char *object, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    progress_clear();
    flockfile(stderr);
    fprintf(stderr, "gzc: %s ", command);
    text_put(stderr, object, TEXT_WHOLE);
    fputs(": ", stderr);
    text_put(stderr, text, TEXT_WHOLE);
    putc('\n', stderr);
    funlockfile(stderr);
    return EXIT_FAILURE;
}

void *need(void *memory)
{
    if (!memory)
        exit(complain("memory", "%s", strerror(ENOMEM)));
    return memory;
}

/* The library's text usually ends with the errno's; that is said once only. */
int reason_set(struct reason *r, int error, const char *detail)
{
    const char *name = strerror(-error);
    size_t length = strlen(detail), end = strlen(name);
    if (length >= end && strcmp(detail + length - end, name) == 0)
        length -= end;
    if (length >= 2 && strncmp(detail + length - 2, ": ", 2) == 0)
        length -= 2;
    if (length)
        snprintf(r->text, sizeof(r->text), "%s (%.*s)", name, (int)length, detail);
    else
        snprintf(r->text, sizeof(r->text), "%s", name);
    return error;
}

int reason_volume(struct reason *r, int error, const gzc_volume *volume)
{
    char detail[512] = "";
    if (volume)
        gzc_error(volume, detail, sizeof(detail));
    return reason_set(r, error, detail);
}

int reason_file(struct reason *r, int error, const gzc_file *file)
{
    char detail[512];
    gzc_file_error(file, detail, sizeof(detail));
    return reason_set(r, error, detail);
}

int reason_dir(struct reason *r, int error, const gzc_dir *dir)
{
    char detail[512];
    gzc_dir_error(dir, detail, sizeof(detail));
    return reason_set(r, error, detail);
}
