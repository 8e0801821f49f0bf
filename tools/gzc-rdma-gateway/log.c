#include "log.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINES_A_SECOND 200 /* of warnings and what is less */

static struct {
    int fd;
    bool syslog, json;
    enum log_level level;
    const char *path; /* NULL: no file */
    uint64_t second;  /* that `lines` are counted in */
    unsigned lines;
    uint64_t suppressed;
} out = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static int file_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
    return fd < 0 ? -errno : fd;
}

int log_open(const char *target, enum log_level level, bool json, struct errtext *why)
{
    out.level = level;
    out.json = json;
    if (strcmp(target, "stderr") == 0)
        return 0;
    if (strcmp(target, "syslog") == 0) {
        out.syslog = true;
        openlog("gzc-rdma-gateway", LOG_PID | LOG_NDELAY, LOG_DAEMON);
        return 0;
    }
    int fd = file_open(target);
    if (fd < 0)
        return errtext_set(why, fd, "log file %s: %s", target, errtext_errno(fd));
    out.fd = fd;
    out.path = target;
    return 0;
}

void log_reopen(void)
{
    int fd = out.path ? file_open(out.path) : -1;
    if (fd < 0)
        return;
    close(out.fd);
    out.fd = fd;
}

void log_close(void)
{
    if (out.syslog)
        closelog();
    if (out.path)
        close(out.fd);
    out.fd = STDERR_FILENO;
    out.path = NULL;
    out.syslog = false;
}

/* ---- a line ---------------------------------------------------------------------------------- */

static void put(struct log_line *l, char c)
{
    if (l->length < sizeof(l->text))
        l->text[l->length] = c;
    l->length++;
}

static void put_string(struct log_line *l, const char *s)
{
    while (*s)
        put(l, *s++);
}

/* Escapes are JSON's in both forms. Bytes above ASCII stay as they are in a line of fields; in
 * JSON, which must be UTF-8, they become the characters of their number. */
static void put_quoted(struct log_line *l, const char *s)
{
    put(l, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            put(l, '\\');
            put(l, (char)c);
        } else if (c < 0x20 || c == 0x7f || (c > 0x7f && out.json)) {
            char code[8];
            snprintf(code, sizeof(code), "\\u%04x", c);
            put_string(l, code);
        } else {
            put(l, (char)c);
        }
    }
    put(l, '"');
}

static bool plain(const char *s)
{
    static const char usual[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:[]%,@+";
    return *s && s[strspn(s, usual)] == '\0';
}

static void put_key(struct log_line *l, const char *key)
{
    if (!out.json) {
        put(l, ' ');
        put_string(l, key);
        put(l, '=');
        return;
    }
    put(l, l->length ? ',' : '{');
    put_quoted(l, key);
    put(l, ':');
}

/* A field that does not fit, the line's end included, is left out. */
static void field_end(struct log_line *l, size_t before)
{
    if (l->length + 2 > sizeof(l->text))
        l->length = before;
}

static void put_time(char text[32])
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(text, 24, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, 32 - n, ".%03dZ", (int)(now.tv_nsec / (long)NSEC_PER_MSEC));
}

/* Errors are always let through. */
static bool within_rate(enum log_level level)
{
    if (level == LOG_LEVEL_ERROR)
        return true;
    uint64_t second = clock_now() / NSEC_PER_SEC;
    if (second != out.second) {
        out.second = second;
        out.lines = 0;
    }
    if (out.lines < LINES_A_SECOND) {
        out.lines++;
        return true;
    }
    out.suppressed++;
    return false;
}

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
    char now[32];
    l->level = level;
    l->length = 0;
    l->wanted = level <= out.level && within_rate(level);
    if (!l->wanted)
        return;
    put_time(now);
    if (out.json) {
        log_text(l, "time", now);
        log_text(l, "level", level_names[level]);
        log_text(l, "event", event);
    } else {
        if (!out.syslog) {
            put_string(l, now);
            put(l, ' ');
            put_string(l, level_names[level]);
            put(l, ' ');
        }
        put_string(l, event);
    }
    if (out.suppressed) {
        uint64_t n = out.suppressed;
        out.suppressed = 0;
        log_number(l, "suppressed", n);
    }
}

void log_text(struct log_line *l, const char *key, const char *value)
{
    size_t before = l->length;
    if (!l->wanted)
        return;
    put_key(l, key);
    if (!out.json && plain(value))
        put_string(l, value);
    else
        put_quoted(l, value);
    field_end(l, before);
}

void log_number(struct log_line *l, const char *key, uint64_t value)
{
    char digits[24];
    size_t before = l->length;
    if (!l->wanted)
        return;
    put_key(l, key);
    snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    put_string(l, digits);
    field_end(l, before);
}

/* A log that cannot be written to must not stop the service: what fails is lost. */
void log_end(struct log_line *l)
{
    static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
    if (!l->wanted)
        return;
    if (out.json)
        put(l, '}');
    if (out.syslog) {
        syslog(priorities[l->level], "%.*s", (int)l->length, l->text);
        return;
    }
    put(l, '\n');
    if (write(out.fd, l->text, l->length) < 0)
        return;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    struct log_line l;
    char text[ERRTEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_begin(&l, level, event);
    log_text(&l, "text", text);
    log_end(&l);
}
