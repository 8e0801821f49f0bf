#include "uri.h"

#include "message.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool begins(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

bool uri_is(const char *text)
{
    size_t scheme = strcspn(text, ":/");
    return begins(text, "file:") || (begins(text, "gluster") && begins(text + scheme, "://"));
}

/* Whether options follow the '?' at @p p: "name=". */
static bool is_query(const char *p)
{
    size_t name = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_");
    return name && p[1 + name] == '=';
}

struct uri uri_parts(const char *text)
{
    struct uri u = {.text = text, .options = strlen(text)};
    for (const char *p = text; (p = strchr(p, '?')); p++)
        if (is_query(p)) {
            u.options = (size_t)(p - text);
            break;
        }
    /* Behind the servers; "file:" may have none. */
    bool brick = begins(text, "gluster+brick"), file = begins(text, "file:");
    size_t at = strcspn(text, ":") + 1;
    if (at < u.options && begins(text + at, "//"))
        at += 2 + strcspn(text + at + 2, "/");
    if (at > u.options)
        at = u.options;
    /* A double slash divides a file or directory of the host from the path in the volume. */
    const char *slash = brick || file    ? memmem(text + at, u.options - at, "//", 2)
                        : at < u.options ? memchr(text + at + 1, '/', u.options - at - 1)
                                         : NULL;
    u.head = slash ? (size_t)(slash - text) : u.options;
    u.path = slash ? u.head + (brick || file) : u.options;
    return u;
}

static int digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10
                                        : -1;
}

char *uri_decode(const char *text, size_t length)
{
    char *out = need(malloc(length + 1));
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        int high = i + 2 < length ? digit(text[i + 1]) : -1,
            low = i + 2 < length ? digit(text[i + 2]) : -1;
        bool coded = c == '%';
        if (c < ' ' || c == 0x7f || c == '#' ||
            (coded && (high < 0 || low < 0 || high + low == 0))) {
            free(out);
            return NULL;
        }
        out[n++] = coded ? (char)(high << 4 | low) : (char)c;
        i += coded ? 2 : 0;
    }
    out[n] = '\0';
    return out;
}

/* Writes a path, or a name, as a URI has it: unreserved characters as they are (RFC 3986, 2.3). */
static void encode(FILE *out, const char *path)
{
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;
        if (c < 0x80 && (isalnum(c) || strchr("-._~/", c)))
            putc(c, out);
        else
            fprintf(out, "%%%02X", c);
    }
}

char *uri_with_path(const char *uri, const char *path)
{
    struct uri u = uri_parts(uri);
    char *text;
    size_t size;
    FILE *out = need(open_memstream(&text, &size));
    bool double_slash = begins(uri, "gluster+brick") || begins(uri, "file:");
    fprintf(out, "%.*s%s", (int)u.head, uri, double_slash ? "/" : "");
    encode(out, path);
    fputs(uri + u.options, out);
    fclose(out);
    return need(text);
}

char *uri_join(const char *uri, const char *path)
{
    struct uri u = uri_parts(uri);
    char *text;
    size_t size;
    FILE *out = need(open_memstream(&text, &size));
    bool double_slash =
        u.path == u.options && (begins(uri, "gluster+brick") || begins(uri, "file:"));
    fprintf(out, "%.*s", (int)u.options, uri);
    if (double_slash)
        fputs("//", out);
    else if (u.options && uri[u.options - 1] != '/')
        putc('/', out);
    encode(out, path);
    fputs(uri + u.options, out);
    fclose(out);
    return need(text);
}
