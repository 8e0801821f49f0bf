/* Names of a directory, with their attributes. */
#ifndef GZC_LIST_H
#define GZC_LIST_H

#include <stddef.h>
#include <sys/stat.h>

struct list_entry {
    char *name;
    struct stat st; /* st_mode is 0 if they are not known */
};

struct list {
    struct list_entry *entries;
    size_t count, room;
};

/** Adds @p name. @param st  its attributes; NULL: not known. */
void list_add(struct list *list, const char *name, const struct stat *st);
/** Sorts as the locale has it; names that it takes for equal by their bytes. */
void list_sort(struct list *list);
void list_free(struct list *list);

#endif
