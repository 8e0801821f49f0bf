#include "copy.h"

#include "interrupt.h"
#include "message.h"
#include "target.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK        (1UL << 20)
#define CHUNK        (4UL << 20)  /* where one block at a time is under way */
#define SERVER_BLOCK (64UL << 20) /* no byte of it passes through here */
#define WINDOW       8            /* blocks of a file under way */
#define LIST         4096

/* ---- blocks ---------------------------------------------------------------------------------- */

/* A part of a file that is read and written, or copied by the brick. */
struct block {
    struct job job; /* first */
    struct copy *copy;
    struct end *at_fault;
    char *memory; /* page aligned, for the sake of the kernel's copying */
    size_t room;
    size_t size; /* to read */
    size_t got, done;
    off_t offset;
    struct block *next;
};

static struct block *spare;

static struct block *block_get(size_t room)
{
    struct block **b = &spare;
    while (*b && (*b)->room != room)
        b = &(*b)->next;
    struct block *block = *b;
    if (block) {
        *b = block->next;
    } else {
        block = need(calloc(1, sizeof(*block)));
        block->memory = room ? need(aligned_alloc(4096, room)) : NULL;
        block->room = room;
    }
    return block;
}

static void block_put(struct block *block)
{
    block->next = spare;
    spare = block;
}

void copies_free(void)
{
    while (spare) {
        struct block *block = spare;
        spare = block->next;
        free(block->memory);
        free(block);
    }
}

/* ---- sums ------------------------------------------------------------------------------------ */

static void digest_start(struct copy *c)
{
    c->digest = need(EVP_MD_CTX_new());
    if (EVP_DigestInit_ex(c->digest, EVP_sha256(), NULL) != 1)
        exit(complain("SHA-256", "not available from libcrypto"));
}

static void digest_zeros(struct copy *c, off_t n)
{
    static const char zeros[65536];
    for (; c->digest && n > 0; n -= (off_t)sizeof(zeros))
        EVP_DigestUpdate(c->digest, zeros, n < (off_t)sizeof(zeros) ? (size_t)n : sizeof(zeros));
}

static void digest_end(struct copy *c, char sum[SUM_HEX + 1])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_DigestFinal_ex(c->digest, raw, &length);
    EVP_MD_CTX_free(c->digest);
    c->digest = NULL;
    for (unsigned i = 0; i < SUM_HEX / 2; i++)
        sprintf(sum + 2 * i, "%02x", i < length ? raw[i] : 0);
}

/* ---- progress -------------------------------------------------------------------------------- */

static void progress(struct copy *c, size_t n)
{
    progress_update(&c->own_line, c->own_line.done + n);
    if (c->run->line && c->source == &c->from)
        progress_update(c->run->line, c->run->line->done + n);
}

/* ---- the way of a block ---------------------------------------------------------------------- */

static void fill(struct copy *c);

static bool block_over(struct block *b)
{
    struct copy *c = b->copy;
    if (b->job.error && !c->job.error) {
        c->job.error = b->job.error;
        c->job.why = b->job.why;
        c->at_fault = b->at_fault;
    }
    if (b->offset + (off_t)b->got > c->end_at)
        c->end_at = b->offset + (off_t)b->got;
    c->blocks--;
    block_put(b);
    fill(c);
    job_release(&c->job);
    return false;
}

static bool block_write(struct job *job);

static bool block_written(struct job *job)
{
    struct block *b = (struct block *)job;
    if (!job->error && job->result == 0)
        job->error = reason_set(&job->why, -EIO, "nothing was written");
    if (job->error)
        return block_over(b);
    b->done += (size_t)job->result;
    progress(b->copy, (size_t)job->result);
    return b->done < b->got ? block_write(job) : block_over(b);
}

static bool block_write(struct job *job)
{
    struct block *b = (struct block *)job;
    b->at_fault = &b->copy->to;
    job_next(job, block_written);
    end_write(&b->copy->to, job, b->memory + b->done, b->got - b->done, b->offset + (off_t)b->done);
    return true;
}

static bool block_read(struct job *job)
{
    struct block *b = (struct block *)job;
    struct copy *c = b->copy;
    if (job->error)
        return block_over(b);
    b->got = (size_t)job->result;
    if (b->got < b->size)
        c->eof = true;
    if (c->digest)
        EVP_DigestUpdate(c->digest, b->memory, b->got);
    if (c->source == &c->from && b->got)
        return block_write(job);
    progress(c, b->got);
    return block_over(b);
}

static bool block_copied(struct job *job)
{
    struct block *b = (struct block *)job;
    struct copy *c = b->copy;
    if (job->error)
        return block_over(b);
    b->got += (size_t)job->result;
    progress(c, (size_t)job->result);
    if (job->result == 0)
        c->eof = true;
    if (job->result == 0 || b->got == b->size)
        return block_over(b);
    struct gzc_async how = job_async(job);
    off_t at = b->offset + (off_t)b->got;
    job_next(job, block_copied);
    job_begun(job,
              gzc_copy_file_range_async(c->from.file, at, c->to.file, at, b->size - b->got, &how));
    return true;
}

static bool block_begin(struct job *job)
{
    struct block *b = (struct block *)job;
    struct copy *c = b->copy;
    struct gzc_async how = job_async(job);
    b->at_fault = c->source;
    job_next(job, c->by_server ? block_copied : block_read);
    if (c->by_server)
        job_begun(job, gzc_copy_file_range_async(c->from.file, b->offset, c->to.file, b->offset,
                                                 b->size, &how));
    else
        end_read(c->source, job, b->memory, b->size, b->offset);
    return true;
}

/* Begins blocks while there is room for them. Where the end of the file is thought to be, one at a
 * time, and after all before it, feels its way. */
static void fill(struct copy *c)
{
    size_t unit = c->by_server ? SERVER_BLOCK : c->window > 1 ? BLOCK : CHUNK;
    while (c->blocks < c->window && !c->eof && !c->job.error && !interrupted()) {
        if (c->next >= c->data_end && (c->blocks || c->sparse))
            return;
        size_t size = unit;
        if (c->sparse && c->data_end - c->next < (off_t)unit)
            size = (size_t)(c->data_end - c->next);
        struct block *b = block_get(c->by_server ? 0 : unit);
        b->copy = c;
        b->offset = c->next;
        b->size = size;
        b->got = b->done = 0;
        b->job = (struct job){0};
        c->next += (off_t)size;
        c->blocks++;
        job_hold(&c->job);
        job_start(&b->job, block_begin);
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool finish(struct copy *c, enum copy_end end)
{
    c->end = end;
    progress_end(&c->own_line, end == COPY_DONE);
    if (c->digest)
        EVP_MD_CTX_free(c->digest);
    c->run->active--;
    c->over(c);
    free(c->xattrs);
    free(c->label);
    free(c);
    return false;
}

static bool failed_closed(struct job *job)
{
    struct copy *c = (struct copy *)job;
    progress_end(&c->own_line, false);
    c->own_line.on = false;
    if (interrupted() && c->to.path)
        complain(c->to.name, "interrupted%s", end_discard(&c->to));
    else
        complain(c->at_fault->name, "%s%s", c->why.text, end_discard(&c->to));
    return finish(c, COPY_FAILED);
}

static void close_all(struct copy *c)
{
    end_close(&c->from, &c->job);
    end_close(&c->to, &c->job);
    end_close(&c->back, &c->job);
}

/* Ends a copy of which nothing is to remain. job.why and at_fault tell. */
static bool fail(struct copy *c)
{
    c->why = c->job.why;
    job_next(&c->job, failed_closed);
    close_all(c);
    return true;
}

/* The data is there, but not all that was to go with it: the copy stays. */
static bool fall_short(struct copy *c, const char *what)
{
    complain(c->to.name, "copied, but not its %s: %s", what, c->job.why.text);
    c->end = COPY_FAILED;
    return true;
}

static bool verified(struct job *job);
static bool data(struct job *job);

static bool back_opened(struct job *job)
{
    struct copy *c = (struct copy *)job;
    if (job->error)
        return fail(c);
    digest_start(c);
    c->next = c->end_at = 0;
    c->data_end = 0;
    c->eof = c->sparse = false;
    progress_start(&c->own_line, c->run->progress, "verifying", (uint64_t)c->length);
    return data(job);
}

static bool read_back(struct copy *c)
{
    progress_end(&c->own_line, true);
    c->back =
        (struct end){.name = c->to.name, .volume = c->to.volume, .path = c->to.path, .fd = -1};
    c->source = c->at_fault = &c->back;
    job_next(&c->job, back_opened);
    end_open_source(&c->back, &c->job);
    return true;
}

static bool verified(struct job *job)
{
    struct copy *c = (struct copy *)job;
    if (job->error)
        return fail(c);
    return finish(c, c->end);
}

static bool compare(struct copy *c)
{
    c->at_fault = &c->to;
    digest_end(c, c->summed);
    if (strcmp(c->sum, c->summed) != 0) {
        snprintf(c->job.why.text, sizeof(c->job.why.text),
                 "what was read back is not what was written: SHA-256 %s, not %s", c->summed,
                 c->sum);
        return fail(c);
    }
    job_next(&c->job, verified);
    close_all(c);
    return true;
}

static bool closed(struct job *job)
{
    struct copy *c = (struct copy *)job;
    c->at_fault = &c->to;
    /* The end of a pipe may be there because the signal has killed the process at its other end,
     * too: to be interrupted is a failure however far the copy has got. */
    if (job->error || (interrupted() && c->to.path))
        return fail(c);
    return c->run->verify ? read_back(c) : finish(c, c->end);
}

static bool synced(struct job *job)
{
    struct copy *c = (struct copy *)job;
    c->at_fault = &c->to;
    if (job->error)
        return fail(c);
    job_next(job, closed);
    close_all(c);
    return true;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static bool timed(struct job *job)
{
    struct copy *c = (struct copy *)job;
    if (job->error)
        fall_short(c, "permissions or times");
    job_next(job, synced);
    if (c->run->verify)
        end_sync(&c->to, job);
    return true;
}

/* After the owner, as changing that takes set-id bits away. */
static bool owned(struct job *job)
{
    struct copy *c = (struct copy *)job;
    const struct preserve *p = &c->run->preserve;
    const struct timespec times[2] = {c->st.st_atim, c->st.st_mtim};
    if (job->error)
        fall_short(c, "owner");
    job_next(job, timed);
    if (p->mode)
        end_chmod(&c->to, job, preserved_mode(p, &c->st));
    if (p->times)
        end_utimens(&c->to, job, times);
    return true;
}

static bool listed(struct job *job)
{
    struct copy *c = (struct copy *)job;
    bool any = job->error == -ERANGE ||
               (!job->error && c->xattrs && xattrs_any(c->xattrs, (size_t)job->result));
    if (any && xattrs_copy(c->from.volume, c->from.path, c->to.volume, c->to.path, &job->why) < 0)
        fall_short(c, "extended attributes");
    job_next(job, owned);
    if (c->run->preserve.owner)
        end_chown(&c->to, job, c->st.st_uid, c->st.st_gid);
    return true;
}

static bool filled(struct job *job)
{
    struct copy *c = (struct copy *)job;
    c->at_fault = &c->to;
    if (job->error)
        return fail(c);
    job_next(job, listed);
    if (c->run->preserve.xattrs && c->to.path && c->from.path && !c->from.stream) {
        c->xattrs = need(malloc(LIST));
        end_list_xattrs(&c->from, job, c->xattrs, LIST);
    }
    return true;
}

/* ---- data ------------------------------------------------------------------------------------ */

static bool data_over(struct copy *c)
{
    if (c->source == &c->back)
        return compare(c);
    if (c->length < c->end_at)
        c->length = c->end_at;
    digest_zeros(c, c->length - c->end_at);
    if (c->digest)
        digest_end(c, c->sum);
    job_next(&c->job, filled);
    if (c->length > c->end_at)
        end_truncate(&c->to, &c->job, c->length);
    return true;
}

static bool hole_found(struct job *job)
{
    struct copy *c = (struct copy *)job;
    if (job->error)
        return fail(c);
    c->data_end = job->result;
    return data(job);
}

static bool data_found(struct job *job)
{
    struct copy *c = (struct copy *)job;
    if (job->error == -ENXIO) { /* nothing but a hole from here on */
        c->eof = true;
        c->length = c->st.st_size;
        return data_over(c);
    }
    if (job->error) { /* where holes are is not known here */
        c->sparse = false;
        c->data_end = c->st.st_size;
        return data(job);
    }
    digest_zeros(c, job->result - c->next);
    c->next = job->result;
    job_next(job, hole_found);
    end_seek(&c->from, job, c->next, SEEK_HOLE);
    return true;
}

/* Everything that was begun is over: goes on behind it. */
static bool data(struct job *job)
{
    struct copy *c = (struct copy *)job;
    if (job->error || (interrupted() && c->to.path))
        return fail(c);
    if (c->eof)
        return data_over(c);
    if (c->sparse && c->next >= c->data_end) {
        c->at_fault = &c->from;
        job_next(job, data_found);
        end_seek(&c->from, job, c->next, SEEK_DATA);
        return true;
    }
    job_next(job, data);
    fill(c);
    return true;
}

/* ---- the beginning --------------------------------------------------------------------------- */

static bool sink_opened(struct job *job)
{
    struct copy *c = (struct copy *)job;
    c->at_fault = &c->to;
    if (job->error)
        return fail(c);
    c->to.opened = true;
    c->start = text_clock();
    c->by_server = c->from.file && c->to.file && c->from.volume == c->to.volume && !c->run->verify;
    /* What is summed, or cannot be positioned in, goes in order. */
    c->window = c->run->verify || c->from.stream || c->to.stream ? 1 : WINDOW;
    c->sparse = S_ISREG(c->st.st_mode) && !c->to.stream && c->from.path &&
                (off_t)c->st.st_blocks * 512 < c->st.st_size;
    c->data_end = S_ISREG(c->st.st_mode) && !c->sparse ? c->st.st_size : 0;
    if (c->run->verify)
        digest_start(c);
    progress_start(&c->own_line, c->run->progress, c->label,
                   S_ISREG(c->st.st_mode) ? (uint64_t)c->st.st_size : 0);
    return data(job);
}

/* Something of that name is there already. */
static bool there(struct job *job)
{
    struct copy *c = (struct copy *)job;
    const struct stat *st = &c->there;
    c->at_fault = &c->to;
    if (job->error)
        return fail(c);
    /* Inode numbers of a volume come from identifiers that are unique in the world. */
    bool same = c->from.volume && c->to.volume && st->st_ino == c->st.st_ino;
    int wrong = S_ISDIR(st->st_mode)                              ? -EISDIR
                : same || (c->to.volume && !S_ISREG(st->st_mode)) ? -EINVAL
                                                                  : 0;
    if (wrong) {
        job->error = reason_set(&job->why, wrong,
                                same               ? "source and copy are the same file"
                                : wrong == -EINVAL ? "not a regular file"
                                                   : "");
        return fail(c);
    }
    job_next(job, sink_opened);
    end_overwrite(&c->to, job);
    return true;
}

static bool skipped(struct job *job)
{
    struct copy *c = (struct copy *)job;
    if (c->run->line)
        progress_update(c->run->line, c->run->line->done + (uint64_t)c->st.st_size);
    return finish(c, COPY_SKIPPED);
}

static bool created(struct job *job)
{
    struct copy *c = (struct copy *)job;
    if (job->error == -EEXIST) {
        job_next(job, c->run->no_clobber ? skipped : there);
        if (c->run->no_clobber)
            close_all(c);
        else
            end_stat(&c->to, job, &c->there);
        return true;
    }
    c->to.created = !job->error;
    return sink_opened(job);
}

static bool source_opened(struct job *job)
{
    struct copy *c = (struct copy *)job;
    mode_t mode = c->st.st_mode & (c->run->preserve.mode ? 0700 : 0777);
    if (job->error)
        return fail(c);
    job_next(job, created);
    end_create(&c->to, job, mode);
    return true;
}

static bool begin(struct job *job)
{
    struct copy *c = (struct copy *)job;
    c->at_fault = &c->from;
    job_next(job, source_opened);
    end_open_source(&c->from, job);
    return true;
}

void copy_start(struct copying *run, const struct end *from, const struct end *to,
                const struct stat *st, void (*over)(struct copy *copy), void *arg)
{
    struct copy *c = need(calloc(1, sizeof(*c)));
    c->run = run;
    c->from = *from;
    c->to = *to;
    c->from.fd = c->to.fd = c->back.fd = -1;
    c->st = *st;
    c->source = &c->from;
    c->over = over;
    c->arg = arg;
    c->label = path_base(from->path ? from->path : from->name);
    run->active++;
    job_start(&c->job, begin);
}

void copies_wait(struct copying *run, unsigned limit)
{
    while (run->active >= limit)
        jobs_run();
}
