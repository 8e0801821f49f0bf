/* What the tests on a real brick share: a mounted volume, patterns, guarded buffers. */
#ifndef TESTS_LAB_VOLUME_H
#define TESTS_LAB_VOLUME_H

#include "gzc.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Text of a volume's last failure, for assertion messages. */
static inline const char *volume_text(const gzc_volume *v)
{
    static char text[512];
    gzc_error(v, text, sizeof(text));
    return text;
}

/** Mounts the brick that tests/lab/with-brick has started, with `options` behind its URI. */
static inline gzc_volume *mount_brick(const char *options)
{
    const char *brick = getenv("LAB_BRICK_URI");
    char uri[1024];
    gzc_volume *v;
    cr_assert_not_null(brick, "to be run under tests/lab/with-brick");
    snprintf(uri, sizeof(uri), "%s%s", brick, options);
    int rc = gzc_mount(uri, &v);
    cr_assert_eq(rc, 0, "mount: %d %s", rc, volume_text(v));
    return v;
}

/** Opens, or fails the test. */
static inline gzc_file *open_file(gzc_volume *v, const char *path, int flags)
{
    gzc_file *f;
    int rc = gzc_open(v, path, flags, 0644, &f);
    cr_assert_eq(rc, 0, "open %s: %d %s", path, rc, volume_text(v));
    return f;
}

/** The byte that belongs at an offset of a test file. */
static inline unsigned char pattern_at(uint64_t offset)
{
    return (unsigned char)(offset * 7 + (offset >> 8) * 13 + (offset >> 20) * 31 + 5);
}

static inline void pattern_fill(unsigned char *p, size_t n, uint64_t offset)
{
    for (size_t i = 0; i < n; i++)
        p[i] = pattern_at(offset + i);
}

/** The first byte that is not as it should be; n if all are. */
static inline size_t pattern_check(const unsigned char *p, size_t n, uint64_t offset)
{
    size_t i = 0;
    while (i < n && p[i] == pattern_at(offset + i))
        i++;
    return i;
}

/** A path of the test's own. */
static inline const char *own_path(const char *test)
{
    static char path[128];
    snprintf(path, sizeof(path), "/%s-%d", test, getpid());
    return path;
}

#endif
