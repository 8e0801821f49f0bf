#include "mode.h"

#include <stdlib.h>
#include <string.h>

/* The bits, for everybody, of the permission that @p letter names. */
static mode_t permission(char letter, mode_t mode, bool directory)
{
    switch (letter) {
    case 'r':
        return 0444;
    case 'w':
        return 0222;
    case 'x':
        return 0111;
    case 'X':
        return directory || mode & 0111 ? 0111 : 0;
    case 's':
        return S_ISUID | S_ISGID;
    case 't':
        return S_ISVTX;
    case 'u':
        return (mode >> 6 & 7) * 0111;
    case 'g':
        return (mode >> 3 & 7) * 0111;
    case 'o':
        return (mode & 7) * 0111;
    default:
        return 0;
    }
}

/* The bits that belong to the user, group or others. */
static mode_t whose(char letter)
{
    switch (letter) {
    case 'u':
        return 0700 | S_ISUID;
    case 'g':
        return 0070 | S_ISGID;
    case 'o':
        return 0007 | S_ISVTX;
    default:
        return 07777;
    }
}

/* One "[who...]op[permissions]op..." of the list; @p end is left behind it. False: malformed. */
static bool clause(const char *text, const char **end, mode_t *mode, bool directory, mode_t mask)
{
    size_t named = strspn(text, "ugoa");
    mode_t who = 0;
    for (size_t i = 0; i < named; i++)
        who |= whose(text[i]);
    mode_t allowed = named ? who : 07777 & ~mask;
    const char *p = text + named;
    if (!strchr("+-=", *p) || !*p)
        return false;
    while (*p && strchr("+-=", *p)) {
        char op = *p++;
        bool copy = *p && strchr("ugo", *p);
        size_t letters = copy ? 1 : strspn(p, "rwxXst");
        mode_t bits = 0;
        for (size_t i = 0; i < letters; i++)
            bits |= permission(p[i], *mode, directory);
        p += letters;
        bits &= allowed;
        mode_t cleared = named ? who : 07777;
        /* A directory keeps its set-id bits unless they are named. */
        if (directory)
            cleared &= ~(mode_t)(S_ISUID | S_ISGID) | bits;
        if (op == '=')
            *mode = (*mode & ~cleared) | bits;
        else
            *mode = op == '+' ? *mode | bits : *mode & ~bits;
    }
    *end = p;
    return true;
}

static bool apply(const char *text, mode_t *mode, bool directory, mode_t mask)
{
    for (;;) {
        if (!clause(text, &text, mode, directory, mask))
            return false;
        if (!*text)
            return true;
        if (*text++ != ',')
            return false;
    }
}

bool mode_parse(struct mode_change *change, const char *text)
{
    mode_t mode = 0;
    bool octal = *text && strspn(text, "01234567") == strlen(text);
    unsigned long value = octal ? strtoul(text, NULL, 8) : 0;
    *change = (struct mode_change){.text = octal ? NULL : text, .octal = (mode_t)value};
    return octal ? value <= 07777 : apply(text, &mode, false, 0);
}

mode_t mode_changed(const struct mode_change *change, mode_t mode, bool directory, mode_t mask)
{
    mode &= 07777;
    /* As chmod(1): in octal, too, a directory keeps its set-id bits. */
    if (!change->text)
        return directory ? change->octal | (mode & (S_ISUID | S_ISGID)) : change->octal;
    apply(change->text, &mode, directory, mask);
    return mode;
}
