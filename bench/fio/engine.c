/*
 * engine.c - fio I/O engine on libgzc: ioengine=external:<path>/libgzc-fio.so
 *
 * Every fio job mounts its own volume, as a program of its own would. A job's process or thread
 * does so in engine_init(). Files are sized and laid out before that, usually in fio's parent
 * process, over a mount that lives no longer than the call: a fork must not inherit connections.
 *
 * I/O is asynchronous:
 *
 *      fio                     engine_                      library
 *      iodepth_batch times:    queue()                      gzc_pread_async(), ...: begun, not sent
 *                              commit()                     gzc_send(): one system call, if it can
 *                              getevents(min, max)          gzc_poll() until min have completed
 *      for each of them:       event()
 *
 * fio calls an engine with positive errno values, and tells a failure from td->error.
 */
#include "fio.h"
#include "optgroup.h"

#include "gzc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

enum { LAYOUT_BLOCK = 1 << 20 };

struct options {
    void *pad; /* fio takes an option at offset 0 for one that has no place */
    char *uri;
    char *busy_poll_us;
    unsigned int nconnect;
    unsigned int counters;
};

static struct fio_option options[] = {
    {
        .name = "uri",
        .lname = "Gluster URI",
        .type = FIO_OPT_STR_STORE,
        .off1 = offsetof(struct options, uri),
        .help = "gluster://server/volume[/directory], or any other URI that libgzc mounts",
        .category = FIO_OPT_C_ENGINE,
        .group = FIO_OPT_G_INVALID,
    },
    {
        .name = "nconnect",
        .lname = "Connections per brick",
        .type = FIO_OPT_INT,
        .off1 = offsetof(struct options, nconnect),
        .help = "Connections to each brick; 0 leaves it to the URI",
        .minval = 0,
        .maxval = 16,
        .def = "0",
        .category = FIO_OPT_C_ENGINE,
        .group = FIO_OPT_G_INVALID,
    },
    {
        .name = "busy_poll_us",
        .lname = "Busy poll time",
        .type = FIO_OPT_STR_STORE,
        .off1 = offsetof(struct options, busy_poll_us),
        .help = "Microseconds to spin for a reply before sleeping, 0: never; or adaptive. Default: "
                "as the URI says",
        .category = FIO_OPT_C_ENGINE,
        .group = FIO_OPT_G_INVALID,
    },
    {
        .name = "counters",
        .lname = "Print counters",
        .type = FIO_OPT_BOOL,
        .off1 = offsetof(struct options, counters),
        .help = "At the end of a job, print what the library counted: bytes, calls, system calls",
        .def = "0",
        .category = FIO_OPT_C_ENGINE,
        .group = FIO_OPT_G_INVALID,
    },
    {.name = NULL},
};

/* A job's volume: td->io_ops_data. */
struct job {
    gzc_volume *volume;
    int last_error;          /* the errno that was last explained, lest every I/O does it again */
    struct flist_head begun; /* requests that commit() has not seen yet */
    struct flist_head completed; /* requests that event() is to hand over, in this order */
    unsigned int under_way;      /* begun, and not completed */
    unsigned int completions;    /* on the list */
    unsigned long long ios;      /* begun, in all */
    char *counted;               /* the job's name, if its counters are to be printed */
};

/* What the engine knows of an io_u: io_u->engine_data. */
struct request {
    struct job *job; /* an io_u may be queued to several, with io_submit_mode=offload */
    struct io_u *io_u;
    struct flist_head begun, completed;
};

/* Gives fio an error with the library's words for it. Returns the errno. */
static int fail(struct thread_data *td, const char *what, int rc, const char *text)
{
    log_err("libgzc: %s: %s\n", what, *text ? text : strerror(-rc));
    td_verror(td, -rc, what);
    return -rc;
}

static int fail_volume(struct thread_data *td, const char *what, int rc, const gzc_volume *volume)
{
    char text[512] = "";
    if (volume)
        gzc_error(volume, text, sizeof(text));
    return fail(td, what, rc, text);
}

/* ---- the volume ------------------------------------------------------------------------------ */

static int job_mount(struct thread_data *td)
{
    const struct options *o = td->eo;
    char uri[PATH_MAX + 512], *end = uri + sizeof(uri), *p = uri;
    struct job *job;
    int rc;

    if (!o->uri)
        return fail(td, "uri", -EINVAL, "the option uri= is missing");
    if (strstr(o->uri, "+rdma:") && !td->o.use_thread)
        return fail(td, "uri", -EINVAL,
                    "RDMA works in threads only: a process that fio forks may not use what it has "
                    "opened. Give the option --thread");
    if (strlen(o->uri) > PATH_MAX)
        return fail(td, "uri", -ENAMETOOLONG, "");
    p += snprintf(p, (size_t)(end - p), "%s", o->uri);
    if (o->nconnect)
        p += snprintf(p, (size_t)(end - p), "%cnconnect=%u", strchr(uri, '?') ? '&' : '?',
                      o->nconnect);
    if (o->busy_poll_us)
        p += snprintf(p, (size_t)(end - p), "%cbusy_poll_us=%s", strchr(uri, '?') ? '&' : '?',
                      o->busy_poll_us);
    if (p >= end)
        return fail(td, "uri", -ENAMETOOLONG, "");

    job = calloc(1, sizeof(*job));
    if (!job)
        return fail(td, "mount", -ENOMEM, "");
    INIT_FLIST_HEAD(&job->begun);
    INIT_FLIST_HEAD(&job->completed);
    rc = gzc_mount(uri, &job->volume);
    if (rc < 0) {
        rc = fail_volume(td, "mount", rc, job->volume);
        gzc_unmount(job->volume);
        free(job);
        return rc;
    }
    td->io_ops_data = job;
    return 0;
}

static void job_unmount(struct thread_data *td)
{
    struct job *job = td->io_ops_data;

    if (!job)
        return;
    gzc_unmount(job->volume);
    free(job->counted);
    free(job);
    td->io_ops_data = NULL;
}

/* What the job has cost. To the standard error: there it neither gets into what fio prints for
 * machines to read, nor is lost with a job process that does not flush its standard output. */
static void print_counters(const struct job *job)
{
    struct gzc_stats s;
    double n = job->ios ? (double)job->ios : 1;

    gzc_volume_stats(job->volume, &s, sizeof(s));
    log_err("%s: libgzc: ios=%llu calls=%llu landed=%llu staged=%llu send=%llu receive=%llu "
            "wait=%llu, per I/O: send %.2f receive %.2f wait %.2f\n",
            job->counted, job->ios, (unsigned long long)s.calls, (unsigned long long)s.bytes_landed,
            (unsigned long long)s.bytes_staged, (unsigned long long)s.send_syscalls,
            (unsigned long long)s.receive_syscalls, (unsigned long long)s.wait_syscalls,
            (double)s.send_syscalls / n, (double)s.receive_syscalls / n,
            (double)s.wait_syscalls / n);
}

static int engine_init(struct thread_data *td)
{
    const struct options *o = td->eo;
    int rc = job_mount(td);
    struct job *job = td->io_ops_data;

    if (rc == 0 && o->counters)
        job->counted = strdup(td->o.name); /* options may be gone at cleanup */
    return rc;
}

static void engine_cleanup(struct thread_data *td)
{
    const struct job *job = td->io_ops_data;

    if (job && job->counted)
        print_counters(job);
    job_unmount(td);
}

/* Where a job's file is on the volume: below the path of the URI. */
static const char *file_path(const struct job *job, const struct fio_file *f, char path[PATH_MAX])
{
    const char *base = gzc_uri_path(job->volume);
    snprintf(path, PATH_MAX, "%s/%s", strcmp(base, "/") == 0 ? "" : base, f->file_name);
    return path;
}

/* ---- sizes and layout ------------------------------------------------------------------------ */

/* Runs work() on each file over the job's volume, or if it has none yet, over one for the while. */
static int on_volume(struct thread_data *td, struct fio_file *f,
                     int (*work)(struct thread_data *, struct fio_file *))
{
    bool mounted = td->io_ops_data;
    int rc = mounted ? 0 : job_mount(td);

    if (rc == 0)
        rc = work(td, f);
    if (!mounted)
        job_unmount(td);
    return rc;
}

static int files_stat(struct thread_data *td, struct fio_file *f)
{
    struct job *job = td->io_ops_data;
    char path[PATH_MAX];
    unsigned int i;

    for_each_file(td, f, i)
    {
        struct stat st = {0};
        int rc = gzc_stat(job->volume, file_path(job, f, path), &st);
        if (rc < 0 && rc != -ENOENT)
            return fail_volume(td, "stat", rc, job->volume);
        /* What fio found at this path is a matter of the local file system. */
        f->filetype = FIO_TYPE_FILE;
        f->real_file_size = (uint64_t)st.st_size;
        fio_file_set_size_known(f);
    }
    return 0;
}

static int engine_setup(struct thread_data *td)
{
    /* fio would ask the local file system how much is free. */
    if (td->o.fill_device)
        return fail(td, "fill_device", -ENOTSUP, "");
    return on_volume(td, NULL, files_stat);
}

/* Writes the file from what there is to its wanted size. */
static int file_extend(struct thread_data *td, struct fio_file *f)
{
    struct job *job = td->io_ops_data;
    char path[PATH_MAX];
    uint64_t wanted = f->file_offset + f->io_size;
    gzc_file *file;
    char *block;
    int rc = gzc_open(job->volume, file_path(job, f, path),
                      O_WRONLY | (td->o.allow_create ? O_CREAT : 0), 0644, &file);

    if (rc < 0)
        return fail_volume(td, "open", rc, job->volume);
    block = malloc(LAYOUT_BLOCK);
    if (!block)
        rc = -ENOMEM;
    while (rc >= 0 && f->real_file_size < wanted && !td->terminate) {
        uint64_t left = wanted - f->real_file_size;
        unsigned int n = left < LAYOUT_BLOCK ? (unsigned int)left : LAYOUT_BLOCK;
        ssize_t done;

        fill_io_buffer(td, block, n, n);
        done = gzc_pwrite(file, block, n, (off_t)f->real_file_size);
        if (done > 0)
            f->real_file_size += (uint64_t)done;
        else
            rc = done < 0 ? (int)done : -EIO;
    }
    if (rc >= 0 && td->o.create_fsync)
        rc = gzc_fsync(file);
    if (rc < 0) {
        char text[512];
        gzc_file_error(file, text, sizeof(text));
        fail(td, "layout", rc, text);
    }
    free(block);
    gzc_close(file);
    return rc < 0 ? -rc : 0;
}

/* fio calls this when it has decided what part of the file the job works on. */
static int engine_prepopulate(struct thread_data *td, struct fio_file *f)
{
    uint64_t wanted = f->file_offset + f->io_size;

    if (wanted <= f->real_file_size)
        return 0;
    /* What is only written comes into being that way, unless overwriting is the point. */
    if (!td_read(td) && !td->o.overwrite) {
        f->real_file_size = wanted;
        return 0;
    }
    if (read_only)
        return fail(td, "layout", -EROFS, "fio runs with --readonly");
    return on_volume(td, f, file_extend);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int engine_open(struct thread_data *td, struct fio_file *f)
{
    struct job *job = td->io_ops_data;
    char path[PATH_MAX];
    gzc_file *file;
    int rc, flags = O_RDONLY;

    if (td->o.oatomic)
        return fail(td, "atomic", -ENOTSUP, "");
    if (td_write(td) || td_trim(td)) {
        flags = read_only ? O_RDONLY : O_RDWR;
        if (td->o.allow_create)
            flags |= O_CREAT;
    }
    if (td->o.odirect)
        flags |= O_DIRECT;
    flags |= (int)td->o.sync_io;
    rc = gzc_open(job->volume, file_path(job, f, path), flags, 0644, &file);
    if (rc < 0)
        return fail_volume(td, "open", rc, job->volume);
    FILE_SET_ENG_DATA(f, file);
    return 0;
}

static int engine_close(struct thread_data *td, struct fio_file *f)
{
    int rc = gzc_close(FILE_ENG_DATA(f));

    FILE_SET_ENG_DATA(f, NULL);
    return rc < 0 ? fail(td, "close", rc, "") : 0;
}

static int engine_unlink(struct thread_data *td, struct fio_file *f)
{
    struct job *job = td->io_ops_data;
    char path[PATH_MAX];

    /* fio unlinks after a mount that failed, too. */
    return job ? -gzc_unlink(job->volume, file_path(job, f, path)) : ENOTCONN;
}

/* ---- I/O ------------------------------------------------------------------------------------- */

static int engine_io_u_init(struct thread_data *td, struct io_u *io_u)
{
    struct request *r = calloc(1, sizeof(*r));

    (void)td;
    if (!r)
        return ENOMEM;
    r->io_u = io_u;
    io_u->engine_data = r;
    return 0;
}

static void engine_io_u_free(struct thread_data *td, struct io_u *io_u)
{
    (void)td;
    free(io_u->engine_data);
}

/* Gives an io_u its outcome, as the library tells it. */
static void io_u_result(struct job *job, struct io_u *io_u, ssize_t result, const char *error)
{
    if (result == 0 && io_u->ddir == DDIR_TRIM)
        result = (ssize_t)io_u->xfer_buflen; /* all or nothing */
    if (result > 0 || (result == 0 && (!ddir_rw(io_u->ddir) || !io_u->xfer_buflen))) {
        if (ddir_rw(io_u->ddir))
            io_u->resid = io_u->xfer_buflen - (unsigned long long)result;
        return;
    }
    /* Where fio calls a synchronous engine it makes this an error; of an asynchronous one it would
     * take it for an I/O of no bytes that went well. */
    if (result == 0) {
        result = -EIO;
        error = "nothing there: the file has become shorter";
    }
    io_u->error = (unsigned int)-result;
    if (job->last_error != result) {
        log_err("libgzc: %s: %s\n", io_ddir_name(io_u->ddir), error);
        job->last_error = (int)result;
    }
}

/* Runs in engine_getevents(); and in blocking calls meanwhile, when a file is opened, closed or
 * synchronised. */
static void request_done(void *arg, ssize_t result, const char *error)
{
    struct request *r = arg;
    struct job *job = r->job;

    io_u_result(job, r->io_u, result, error);
    flist_add_tail(&r->completed, &job->completed);
    job->completions++;
    job->under_way--;
}

static void set_issue_time(struct thread_data *td, struct io_u *io_u, const struct timespec *now)
{
    io_u->issue_time = *now;
    if (td->o.read_iolog_file)
        td->last_issue = *now;
}

static int engine_commit(struct thread_data *td)
{
    struct job *job = td->io_ops_data;
    struct flist_head *entry, *next;
    struct timespec now;
    unsigned int n = 0;

    if (flist_empty(&job->begun))
        return 0;
    /* An I/O has been issued when it goes out: before that it counts as submission latency. */
    if (fio_fill_issue_time(td))
        fio_gettime(&now, NULL);
    flist_for_each_safe(entry, next, &job->begun)
    {
        struct io_u *io_u = flist_entry(entry, struct request, begun)->io_u;
        if (fio_fill_issue_time(td)) {
            set_issue_time(td, io_u, &now);
            io_u_queued(td, io_u);
        }
        flist_del(entry);
        n++;
    }
    gzc_send(job->volume);
    io_u_mark_submit(td, n);
    return 0;
}

/* What has been done when queue() returns counts as submitted and completed there. */
static enum fio_q_status completed_now(struct thread_data *td, struct io_u *io_u, ssize_t result)
{
    char text[512] = "";

    if (result < 0)
        gzc_file_error(FILE_ENG_DATA(io_u->file), text, sizeof(text));
    io_u_result(td->io_ops_data, io_u, result, text);
    io_u_mark_submit(td, 1);
    io_u_mark_complete(td, 1);
    return FIO_Q_COMPLETED;
}

/*
 * Blocking:
 *
 * With iodepth=1 everything. One I/O at a time needs no list, and no more looks at the clock: 3700
 * instructions in user space for a read of 4 KiB, fio's own included; begun and polled for, 5400.
 *
 * fsync always. It covers the writes that are under way, which go on meanwhile. While it is under
 * way itself fio (3.33) would queue another one for every I/O that completes before it, and fio
 * does not look at the error of an fsync that it is told of by event().
 */
static enum fio_q_status queue_blocking(struct thread_data *td, struct io_u *io_u)
{
    gzc_file *file = FILE_ENG_DATA(io_u->file);
    struct timespec now;
    ssize_t n;

    engine_commit(td); /* a blocking call sends it all the same */
    if (fio_fill_issue_time(td)) {
        fio_gettime(&now, NULL);
        set_issue_time(td, io_u, &now);
    }
    if (io_u->ddir == DDIR_READ)
        n = gzc_pread(file, io_u->xfer_buf, io_u->xfer_buflen, (off_t)io_u->offset);
    else if (io_u->ddir == DDIR_WRITE)
        n = gzc_pwrite(file, io_u->xfer_buf, io_u->xfer_buflen, (off_t)io_u->offset);
    else if (io_u->ddir == DDIR_TRIM)
        n = gzc_discard(file, (off_t)io_u->offset, (off_t)io_u->xfer_buflen);
    else
        n = io_u->ddir == DDIR_SYNC ? gzc_fsync(file) : gzc_fdatasync(file);
    return completed_now(td, io_u, n);
}

static enum fio_q_status queue_async(struct thread_data *td, struct io_u *io_u)
{
    struct job *job = td->io_ops_data;
    struct request *r = io_u->engine_data;
    struct gzc_async how = {.done = request_done, .arg = r, .flags = GZC_MORE};
    gzc_file *file = FILE_ENG_DATA(io_u->file);
    off_t offset = (off_t)io_u->offset;
    gzc_ticket ticket;

    r->job = job;
    if (io_u->ddir == DDIR_READ)
        ticket = gzc_pread_async(file, io_u->xfer_buf, io_u->xfer_buflen, offset, &how);
    else if (io_u->ddir == DDIR_TRIM)
        ticket = gzc_discard_async(file, offset, (off_t)io_u->xfer_buflen, &how);
    else
        ticket = gzc_pwrite_async(file, io_u->xfer_buf, io_u->xfer_buflen, offset, &how);
    if (ticket < 0)
        return completed_now(td, io_u, (ssize_t)ticket);
    flist_add_tail(&r->begun, &job->begun);
    job->under_way++;
    return FIO_Q_QUEUED;
}

static enum fio_q_status engine_queue(struct thread_data *td, struct io_u *io_u)
{
    struct job *job = td->io_ops_data;

    fio_ro_check(td, io_u);
    job->ios++;
    switch (io_u->ddir) {
    case DDIR_READ:
    case DDIR_WRITE:
    case DDIR_TRIM:
        return td->o.iodepth == 1 ? queue_blocking(td, io_u) : queue_async(td, io_u);
    case DDIR_SYNC:
    case DDIR_DATASYNC:
        return queue_blocking(td, io_u);
    default:
        io_u_result(job, io_u, -ENOTSUP, "this engine does not do that");
        return FIO_Q_COMPLETED;
    }
}

static int engine_getevents(struct thread_data *td, unsigned int min, unsigned int max,
                            const struct timespec *t)
{
    struct job *job = td->io_ops_data;
    int timeout = t ? (int)(t->tv_sec * 1000 + t->tv_nsec / 1000000) : -1;
    int rc;

    engine_commit(td); /* polling would send it all the same */
    /* More may complete than fio asks for: the next calls have them without a poll. */
    while (job->completions < (min ? min : 1) && job->under_way) {
        rc = gzc_poll(job->volume, 0, timeout);
        if (rc < 0)
            return rc;
        if (t)
            break;
    }
    return (int)(job->completions < max ? job->completions : max);
}

static struct io_u *engine_event(struct thread_data *td, int event)
{
    struct job *job = td->io_ops_data;
    struct request *r = flist_first_entry(&job->completed, struct request, completed);

    (void)event; /* fio takes as many as getevents() has said, in order */
    flist_del(&r->completed);
    job->completions--;
    return r->io_u;
}

__attribute__((visibility("default"))) struct ioengine_ops ioengine = {
    .name = "gzc",
    .version = FIO_IOOPS_VERSION,
    .flags = FIO_DISKLESSIO | FIO_NODISKUTIL | FIO_ASYNCIO_SETS_ISSUE_TIME,
    .setup = engine_setup,
    .prepopulate_file = engine_prepopulate,
    .init = engine_init,
    .cleanup = engine_cleanup,
    .open_file = engine_open,
    .close_file = engine_close,
    .unlink_file = engine_unlink,
    .io_u_init = engine_io_u_init,
    .io_u_free = engine_io_u_free,
    .queue = engine_queue,
    .commit = engine_commit,
    .getevents = engine_getevents,
    .event = engine_event,
    .options = options,
    .option_struct_size = sizeof(struct options),
};
