#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <math.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

/* Writes the bytes of one character, or of none, as C does. @return the length. */
static int escape(char out[4 * MB_LEN_MAX + 1], const char *bytes, size_t n)
{
    unsigned char c = (unsigned char)*bytes;
    int length = 0;
    if (c == '\\')
        return sprintf(out, "\\\\");
    if (c >= '\a' && c <= '\r')
        return sprintf(out, "\\%c", "abtnvfr"[c - '\a']);
    for (size_t i = 0; i < n; i++)
        length += sprintf(out + length, "\\%03o", (unsigned char)bytes[i]);
    return length;
}

int text_put(FILE *out, const char *text, int max)
{
    char escaped[4 * MB_LEN_MAX + 1];
    size_t left = strlen(text);
    int columns = 0;
    while (left) {
        mbstate_t state = {0};
        wchar_t c;
        size_t n = mbrtowc(&c, text, left, &state);
        bool character = n <= left;
        if (!character)
            n = 1;
        const char *shown = text;
        size_t length = n;
        int width = character && c != L'\\' && iswprint((wint_t)c) ? wcwidth(c) : -1;
        if (width < 0) {
            width = escape(escaped, text, n);
            shown = escaped;
            length = (size_t)width;
        }
        if (columns > max - width)
            break;
        if (out)
            fwrite(shown, 1, length, out);
        columns += width;
        text += n;
        left -= n;
    }
    return columns;
}

void text_name(const char *name)
{
    if (isatty(STDOUT_FILENO))
        text_put(stdout, name, TEXT_WHOLE);
    else
        fputs(name, stdout);
}

int text_width(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

void text_bytes(char out[16], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t i = 0;
    while (bytes >= 1023.95 && i + 1 < sizeof(units) / sizeof(*units)) {
        bytes /= 1024;
        i++;
    }
    snprintf(out, 16, "%.*f %s", i ? 1 : 0, bytes, units[i]);
}

void text_human(char out[16], uint64_t bytes)
{
    double n = (double)bytes;
    size_t i = 0;
    for (; n >= 1024; i++)
        n /= 1024;
    double tenths = ceil(n * 10) / 10;
    if (i && tenths < 10)
        snprintf(out, 16, "%.1f%c", tenths, " KMGTPE"[i]);
    else
        snprintf(out, 16, "%.0f%.1s", ceil(n), " KMGTPE" + i + (i == 0 ? 7 : 0));
}

bool text_parse_bytes(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGTPE";
    char *end;
    errno = 0;
    *bytes = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || errno)
        return false;
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    for (long i = 0; unit && i <= unit - units; i++)
        if (__builtin_mul_overflow(*bytes, UINT64_C(1024), bytes))
            return false;
    return !end[unit != NULL];
}

static char type_letter(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return '-';
    case S_IFDIR:
        return 'd';
    case S_IFLNK:
        return 'l';
    case S_IFCHR:
        return 'c';
    case S_IFBLK:
        return 'b';
    case S_IFIFO:
        return 'p';
    case S_IFSOCK:
        return 's';
    default:
        return '?';
    }
}

void text_mode(char out[11], mode_t mode)
{
    out[0] = type_letter(mode);
    for (int i = 0; i < 9; i++)
        out[1 + i] = mode & (mode_t)(0400 >> i) ? "rwx"[i % 3] : '-';
    if (mode & S_ISUID)
        out[3] = out[3] == 'x' ? 's' : 'S';
    if (mode & S_ISGID)
        out[6] = out[6] == 'x' ? 's' : 'S';
    if (mode & S_ISVTX)
        out[9] = out[9] == 'x' ? 't' : 'T';
    out[10] = '\0';
}

void text_time(char *out, size_t size, const char *format, time_t when)
{
    struct tm tm;
    if (!localtime_r(&when, &tm) || !strftime(out, size, format, &tm))
        snprintf(out, size, "%lld", (long long)when);
}

/* Lists show the same few owners over and over: the last one is kept. */
const char *text_user(uid_t uid)
{
    static char name[64];
    static uid_t last;
    if (!name[0] || uid != last) {
        const struct passwd *user = getpwuid(uid);
        if (user)
            snprintf(name, sizeof(name), "%s", user->pw_name);
        else
            snprintf(name, sizeof(name), "%u", uid);
        last = uid;
    }
    return name;
}

const char *text_group(gid_t gid)
{
    static char name[64];
    static gid_t last;
    if (!name[0] || gid != last) {
        const struct group *group = getgrgid(gid);
        if (group)
            snprintf(name, sizeof(name), "%s", group->gr_name);
        else
            snprintf(name, sizeof(name), "%u", gid);
        last = gid;
    }
    return name;
}

uint64_t text_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
