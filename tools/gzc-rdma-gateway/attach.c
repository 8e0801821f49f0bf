/*
 * ATTACH: from the name of what a client wants to talk to, to a connection to it.
 *
 *   ""           glusterd
 *   a --brick    the address that was given with it
 *   other paths  ASK glusterd, whose answer (ASKED) is the port; CONNECT to it on the same host
 *
 * Of several addresses the first that can be connected to is taken.
 */
#include "client.h"

#include "base/clock.h"
#include "proto/wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDING_SECONDS 2 /* for the answer to be taken in */

void attach_fail(struct client *c, enum rdma_error_code code, const char *format, ...)
{
    struct log_line l;
    char text[ERRTEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    client_log(c, &l, LOG_LEVEL_WARNING, "attach-failed");
    log_text(&l, "text", text);
    log_end(&l);
    c->state = CLIENT_ENDING;
    c->deadline = c->g->now + ENDING_SECONDS * NSEC_PER_SEC;
    c->attach.step = ATTACH_NOTHING;
    struct call *call = call_take(c);
    call->xid = call->immediate = 0;
    call_error(call, code, text);
}

static void attach_done(struct client *c)
{
    struct log_line l;
    client_log(c, &l, LOG_LEVEL_INFO, "client-attached");
    log_number(&l, "credits", c->credits);
    log_end(&l);
    c->state = CLIENT_RELAYING;
    c->attach.step = ATTACH_NOTHING;
    struct call *call = call_take(c);
    call->xid = call->immediate = 0;
    call_reply(call, RDMA_SLOT_REPLY, 0, 0);
}

/* Tries the next address; false: there is none left, and the link tells why the last one failed. */
static bool attach_connect(struct client *c, struct link *l, uint16_t port,
                           const struct transport_user *ops)
{
    while (c->attach.next) {
        const struct addrinfo *a = c->attach.next;
        struct sockaddr_storage address;
        c->attach.next = a->ai_next;
        memcpy(&address, a->ai_addr, a->ai_addrlen);
        if (port && address.ss_family == AF_INET)
            ((struct sockaddr_in *)&address)->sin_port = htons(port);
        else if (port)
            ((struct sockaddr_in6 *)&address)->sin6_port = htons(port);
        if (link_connect(l, (struct sockaddr *)&address, a->ai_addrlen, ops, c) == 0)
            return true;
    }
    return false;
}

void attach_task(struct client *c)
{
    struct attach *a = &c->attach;
    const struct endpoint *glusterd = &c->g->options.glusterd;
    switch (a->step) {
    case ATTACH_NOTHING:
        return;
    case ATTACH_ASK:
        if (!attach_connect(c, &a->glusterd, 0, &port_user))
            attach_fail(c, RDMA_ERROR_UNREACHABLE, "glusterd at %s: %s", glusterd->name,
                        a->glusterd.why.text);
        return;
    case ATTACH_ASKED:
        link_close(&a->glusterd);
        if (!a->port) {
            attach_fail(c, RDMA_ERROR_REFUSED, "glusterd at %s knows no running brick %s",
                        glusterd->name, a->target);
            return;
        }
        a->step = ATTACH_CONNECT;
        a->next = glusterd->addresses;
        /* fall through */
    case ATTACH_CONNECT:
        if (c->brick.open)
            attach_done(c);
        else if (!attach_connect(c, &c->brick, a->port, &brick_user))
            attach_fail(c, RDMA_ERROR_UNREACHABLE, "%s %s: %s", a->target[0] ? "brick" : "glusterd",
                        a->target[0] ? a->target : glusterd->name, c->brick.why.text);
    }
}

static void glusterd_down(struct link *l, int error)
{
    struct client *c = LIST_OF(l, struct client, attach.glusterd);
    (void)error;
    link_close(l);
    list_enter(&c->g->tasks, &c->task);
}

static void glusterd_connected(struct link *l, int error)
{
    struct client *c = LIST_OF(l, struct client, attach.glusterd);
    if (error == 0)
        error = port_ask(c);
    if (error)
        glusterd_down(l, error);
}

void attach_init(struct client *c)
{
    link_init(&c->attach.glusterd, c->g, glusterd_connected, glusterd_down);
}

void attach_free(struct client *c)
{
    link_close(&c->attach.glusterd);
    free(c->attach.question);
    c->attach.question = NULL;
}

static const struct endpoint *endpoint_find(const struct options *o, const char *path)
{
    for (size_t i = 0; i < o->brick_count; i++)
        if (strcmp(o->bricks[i].path, path) == 0)
            return &o->bricks[i];
    return NULL;
}

void attach_begin(struct client *c, const struct rdma_send *send)
{
    struct attach *a = &c->attach;
    uint32_t length = send->header.message;
    if (send->ring.length != (uint64_t)(c->credits + c->callbacks) * c->slot ||
        send->header.xid != 0) {
        client_end(c, END_VIOLATION, "ATTACH with a ring of %u bytes", send->ring.length);
        return;
    }
    c->ring = send->ring;
    if (length > RDMA_TARGET_MAX || memchr(send->target, '\0', length) ||
        (length && send->target[0] != '/')) {
        attach_fail(c, RDMA_ERROR_BROKEN, "a target that is no path");
        return;
    }
    memcpy(a->target, send->target, length);
    a->target[length] = '\0';
    c->state = CLIENT_ATTACHING;
    c->deadline = c->g->now + GATEWAY_ATTACH_SECONDS * NSEC_PER_SEC;
    const struct endpoint *to = length ? endpoint_find(&c->g->options, a->target) : NULL;
    a->step = length && !to ? ATTACH_ASK : ATTACH_CONNECT;
    a->next = to ? to->addresses : c->g->options.glusterd.addresses;
    attach_task(c);
}
