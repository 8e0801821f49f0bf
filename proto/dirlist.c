#include "proto/dirlist.h"

#include "proto/iatt.h"

#include <errno.h>

#define PROGRAM_NAME_MAX 255

void dirlist_init(struct dirlist *list, const void *body, size_t length, bool plus)
{
    *list = (struct dirlist){.span = {body, length}, .plus = plus, .over = 1};
}

/* The word before each element: 1 if there is one, 0 at the end, or -EPROTO. */
static int next(struct wire_span *span)
{
    uint32_t present;
    if (!wire_take32(span, &present) || present > 1)
        return -EPROTO;
    if (!present && span->left)
        return -EPROTO;
    return (int)present;
}

static bool name_ok(const char *name, uint32_t length)
{
    return length > 0 && !memchr(name, '\0', length) && !memchr(name, '/', length);
}

static bool take_plus(struct wire_span *span, struct dirlist_entry *e)
{
    const uint8_t *raw = wire_take(span, IATT_BYTES);
    if (!raw)
        return false;
    iatt_decode(raw, &e->iatt);
    ssize_t length = dict_wire_length(span->at, span->left);
    if (length < 0)
        return false;
    e->dict_length = (size_t)length;
    e->dict = wire_take(span, e->dict_length);
    return true;
}

/* `length` of the wire is left aside: the name has its own, which the bounds are checked with. */
static int take_entry(struct wire_span *span, bool plus, struct dirlist_entry *e)
{
    uint32_t length;
    int rc = next(span);
    if (rc != 1)
        return rc;
    if (!wire_take64(span, &e->ino) || !wire_take64(span, &e->off) || !wire_take32(span, &length) ||
        !wire_take32(span, &e->type))
        return -EPROTO;
    e->name = (const char *)wire_take_opaque(span, GF_NAME_MAX, &e->name_length);
    if (!e->name || !name_ok(e->name, e->name_length) || (plus && !take_plus(span, e)))
        return -EPROTO;
    return 1;
}

int dirlist_next(struct dirlist *list, struct dirlist_entry *entry)
{
    struct dirlist_entry e = {0};
    if (list->over == 1)
        list->over = take_entry(&list->span, list->plus, &e);
    if (list->over == 1)
        *entry = e;
    return list->over;
}

void proglist_init(struct dirlist *list, const void *body, size_t length)
{
    dirlist_init(list, body, length, false);
}

static int take_program(struct wire_span *span, struct proglist_entry *e)
{
    int rc = next(span);
    if (rc != 1)
        return rc;
    e->name = (const char *)wire_take_opaque(span, PROGRAM_NAME_MAX, &e->name_length);
    if (!e->name || !wire_take64(span, &e->program) || !wire_take64(span, &e->version))
        return -EPROTO;
    return 1;
}

int proglist_next(struct dirlist *list, struct proglist_entry *entry)
{
    struct proglist_entry e = {0};
    if (list->over == 1)
        list->over = take_program(&list->span, &e);
    if (list->over == 1)
        *entry = e;
    return list->over;
}
