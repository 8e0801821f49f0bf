/*
 * engine.c - fio I/O engine on libgzc: ioengine=external:<path>/libgzc-fio.so
 *
 * Every fio job mounts its own volume, as a program of its own would. A job's process or thread
 * does so in engine_init(). Files are sized and laid out before that, usually in fio's parent
 * process, over a mount that lives no longer than the call: a fork must not inherit connections.
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
    unsigned int nconnect;
    unsigned int busy_poll_us;
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
        .type = FIO_OPT_INT,
        .off1 = offsetof(struct options, busy_poll_us),
        .help = "Microseconds to spin for a reply before sleeping; 0 leaves it to the URI",
        .def = "0",
        .category = FIO_OPT_C_ENGINE,
        .group = FIO_OPT_G_INVALID,
    },
    {.name = NULL},
};

/* A job's volume: td->io_ops_data. */
struct job {
    gzc_volume *volume;
    int last_error; /* the errno that was last explained, lest every I/O explains it again */
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
    if (strlen(o->uri) > PATH_MAX)
        return fail(td, "uri", -ENAMETOOLONG, "");
    p += snprintf(p, (size_t)(end - p), "%s", o->uri);
    if (o->nconnect)
        p += snprintf(p, (size_t)(end - p), "%cnconnect=%u", strchr(uri, '?') ? '&' : '?',
                      o->nconnect);
    if (o->busy_poll_us)
        snprintf(p, (size_t)(end - p), "%cbusy_poll_us=%u", strchr(uri, '?') ? '&' : '?',
                 o->busy_poll_us);

    job = calloc(1, sizeof(*job));
    if (!job)
        return fail(td, "mount", -ENOMEM, "");
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
    free(job);
    td->io_ops_data = NULL;
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

static enum fio_q_status engine_queue(struct thread_data *td, struct io_u *io_u)
{
    struct job *job = td->io_ops_data;
    gzc_file *file = FILE_ENG_DATA(io_u->file);
    ssize_t n;

    fio_ro_check(td, io_u);
    switch (io_u->ddir) {
    case DDIR_READ:
        n = gzc_pread(file, io_u->xfer_buf, io_u->xfer_buflen, (off_t)io_u->offset);
        break;
    case DDIR_WRITE:
        n = gzc_pwrite(file, io_u->xfer_buf, io_u->xfer_buflen, (off_t)io_u->offset);
        break;
    case DDIR_SYNC:
        n = gzc_fsync(file);
        break;
    case DDIR_DATASYNC:
        n = gzc_fdatasync(file);
        break;
    default:
        n = -ENOTSUP;
    }

    if (n >= 0) {
        if (ddir_rw(io_u->ddir))
            io_u->resid = io_u->xfer_buflen - (unsigned long long)n;
    } else {
        io_u->error = (unsigned int)-n;
        if (job->last_error != -n) {
            char text[512] = "this engine does not do that";
            if (n != -ENOTSUP)
                gzc_file_error(file, text, sizeof(text));
            fail(td, io_ddir_name(io_u->ddir), (int)n, text);
            job->last_error = (int)-n;
        }
    }
    return FIO_Q_COMPLETED;
}

__attribute__((visibility("default"))) struct ioengine_ops ioengine = {
    .name = "gzc",
    .version = FIO_IOOPS_VERSION,
    .flags = FIO_SYNCIO | FIO_DISKLESSIO | FIO_NODISKUTIL,
    .setup = engine_setup,
    .prepopulate_file = engine_prepopulate,
    .init = job_mount,
    .cleanup = job_unmount,
    .open_file = engine_open,
    .close_file = engine_close,
    .unlink_file = engine_unlink,
    .queue = engine_queue,
    .options = options,
    .option_struct_size = sizeof(struct options),
};
