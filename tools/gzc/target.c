#include "target.h"

#include "message.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool target_mount(struct target *t, const char *uri)
{
    *t = (struct target){.uri = uri};
    int rc = gzc_mount(uri, &t->volume);
    if (rc < 0) {
        target_complain(t, rc);
        gzc_unmount(t->volume);
        return false;
    }
    t->path = gzc_uri_path(t->volume);
    return true;
}

void target_unmount(struct target *t)
{
    gzc_unmount(t->volume);
}

int target_complain(const struct target *t, int error)
{
    struct reason why;
    reason_volume(&why, error, t->volume);
    return complain(t->uri, "%s", why.text);
}

char *path_join(const char *path, const char *name)
{
    size_t length = strlen(path);
    char *joined = need(malloc(length + 1 + strlen(name) + 1));
    sprintf(joined, "%s%s%s", path, length && path[length - 1] == '/' ? "" : "/", name);
    return joined;
}

char *path_base(const char *path)
{
    size_t end = strlen(path);
    while (end && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start && path[start - 1] != '/')
        start--;
    return need(strndup(path + start, end - start));
}

/* True if a path inside the volume follows a double slash, and @p uri has none yet. */
static bool lacks_path(const char *uri, size_t length)
{
    static const char *const schemes[] = {"gluster+brick://", "file://", "file:"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        size_t scheme = strlen(schemes[i]);
        if (length >= scheme && strncasecmp(uri, schemes[i], scheme) == 0)
            return !memmem(uri + scheme, length - scheme, "//", 2);
    }
    return false;
}

char *uri_join(const char *uri, const char *name)
{
    size_t length = strcspn(uri, "?"), size;
    const char *slash = lacks_path(uri, length) ? "//" : uri[length - 1] == '/' ? "" : "/";
    char *joined;
    FILE *out = need(open_memstream(&joined, &size));
    fprintf(out, "%.*s%s", (int)length, uri, slash);
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        /* unreserved characters (RFC 3986, 2.3) */
        if (c < 0x80 && (isalnum(c) || strchr("-._~", c)))
            putc(c, out);
        else
            fprintf(out, "%%%02X", c);
    }
    fputs(uri + length, out);
    fclose(out);
    return need(joined);
}
