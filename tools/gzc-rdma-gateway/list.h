/* Doubly linked lists whose links lie in what is listed. A link that is in no list points to
 * itself, so that removing it again does nothing. */
#ifndef GATEWAY_LIST_H
#define GATEWAY_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

/** What a link is part of. */
#define LIST_OF(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

/** Of a list: nothing is in it. Of a link: it is in no list. */
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/** Adds a link that is in no list. */
static inline void list_append(struct list *l, struct list *link)
{
    link->prev = l->prev;
    link->next = l;
    l->prev->next = link;
    l->prev = link;
}

/** Adds a link unless it is in a list, which then is this one. */
static inline void list_enter(struct list *l, struct list *link)
{
    if (list_empty(link))
        list_append(l, link);
}

/** Takes the first link out; NULL if there is none. */
static inline struct list *list_shift(struct list *l)
{
    struct list *link = l->next;
    if (link == l)
        return NULL;
    list_remove(link);
    return link;
}

/** Moves everything from one list to the end of another. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
