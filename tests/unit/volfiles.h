/* The volfiles in volfiles/: glusterd 10.3's own (only snapshot.vol is put together by hand, as
 * glusterd does it for a snapshot of the volume of one.vol). */
#ifndef TESTS_VOLFILES_H
#define TESTS_VOLFILES_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* The text of volfiles/@p name, with a NUL behind it. The caller frees it. */
static inline char *volfile_text(const char *name, size_t *length)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", VOLFILES, name);
    FILE *f = fopen(path, "re");
    cr_assert(f, "%s", path);
    char *text = calloc(1, 65536);
    *length = fread(text, 1, 65535, f);
    cr_assert(*length && feof(f), "%s", path);
    fclose(f);
    return text;
}

#endif
