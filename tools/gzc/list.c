#include "list.h"

#include "message.h"

#include <stdlib.h>
#include <string.h>

void list_add(struct list *list, const char *name, const struct stat *st)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 64;
        list->entries = need(reallocarray(list->entries, list->room, sizeof(*list->entries)));
    }
    struct list_entry *entry = &list->entries[list->count++];
    *entry = (struct list_entry){.name = need(strdup(name))};
    if (st)
        entry->st = *st;
}

static int compare(const void *a, const void *b)
{
    const struct list_entry *left = a, *right = b;
    int order = strcoll(left->name, right->name);
    return order ? order : strcmp(left->name, right->name);
}

void list_sort(struct list *list)
{
    if (list->count)
        qsort(list->entries, list->count, sizeof(*list->entries), compare);
}

void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].name);
    free(list->entries);
    *list = (struct list){0};
}
