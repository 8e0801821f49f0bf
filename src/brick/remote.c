#include "brick/remote.h"

#include "brick/fop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* One OPEN or OPENDIR. It outlives the descriptor: when it is over, what nobody wants any more is
 * given back. */
struct reopen {
    struct fop fop; /* first */
    struct fop_context context;
    struct remote *remote; /* NULL: closed meanwhile */
    uint8_t gfid[16];
};

void remote_opened(struct remote *r, const struct fop *fop, const struct caller *caller,
                   const uint8_t *gfid, int64_t fd, int flags, bool directory)
{
    struct session *s = fop->brick.session;
    *r = (struct remote){
        .session = s,
        .fd = fd,
        .generation = fop->generation,
        .flags = (uint32_t)(flags & ~(O_CREAT | O_EXCL | O_TRUNC)),
        .directory = directory,
        .caller = caller,
        .next = s->remotes,
        .link = &s->remotes,
    };
    memcpy(r->gfid, gfid, sizeof(r->gfid));
    if (r->next)
        r->next->link = &r->next;
    s->remotes = r;
}

void remote_close(struct remote *r)
{
    if (!r->link)
        return;
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    r->link = NULL;
    if (r->reopen)
        r->reopen->remote = NULL;
    r->reopen = NULL;
}

static void reopen_free(struct fop *fop)
{
    fop_free_results(fop);
    free(fop);
}

/* Descriptors are numbers: the same one may be another file's by now, if the session is. */
static void give_back(struct reopen *o, int64_t fd)
{
    struct session *s = o->fop.brick.session;
    if (o->fop.generation != s->generation) {
        free(o);
        return;
    }
    gf_release_args file = {.fd = fd};
    gf_releasedir_args directory = {.fd = fd};
    memcpy(file.gfid, o->gfid, sizeof(file.gfid));
    memcpy(directory.gfid, o->gfid, sizeof(directory.gfid));
    bool is_directory = o->fop.number == GF_FOP_OPENDIR;
    o->context.caller = &s->identity->caller; /* who has opened it may be gone */
    fop_post(s, NULL, &o->fop, is_directory ? GF_FOP_RELEASEDIR : GF_FOP_RELEASE,
             is_directory ? (void *)&directory : &file, &o->context, reopen_free);
}

static void reopen_done(struct fop *fop)
{
    struct reopen *o = (struct reopen *)fop;
    struct remote *r = o->remote;
    struct session *s = fop->brick.session;
    int error = fop->error == -ENOENT ? -ESTALE : fop->error;
    int64_t fd = fop->results.fd.fd;
    fop_free_results(fop);
    if (!r && !error) {
        give_back(o, fd);
        return;
    }
    if (r) {
        r->reopen = NULL;
        if (!error) {
            r->fd = fd;
            r->generation = fop->generation;
        }
        brick_resume(s, r, error);
    }
    free(o);
}

void remote_reopen(struct remote *r)
{
    if (r->reopen)
        return;
    if (r->locked) {
        brick_resume(r->session, r, -EBADFD);
        return;
    }
    struct reopen *o = r->reopen = malloc(sizeof(*o));
    if (!o) {
        brick_resume(r->session, r, -ENOMEM);
        return;
    }
    o->remote = r;
    /* Those that wait for it have deadlines of their own. */
    o->context = (struct fop_context){.caller = r->caller, .deadline = CLOCK_NEVER};
    memcpy(o->gfid, r->gfid, sizeof(o->gfid));
    gf_open_args file = {.flags = r->flags};
    gf_opendir_args directory = {0};
    memcpy(file.gfid, r->gfid, sizeof(file.gfid));
    memcpy(directory.gfid, r->gfid, sizeof(directory.gfid));
    fop_post(r->session, NULL, &o->fop, r->directory ? GF_FOP_OPENDIR : GF_FOP_OPEN,
             r->directory ? (void *)&directory : &file, &o->context, reopen_done);
}

void remotes_reopen(struct session *s)
{
    for (struct remote *r = s->remotes; r; r = r->next)
        remote_reopen(r);
}
