/* Locks on a real brick. */
#include "tests/lab/async.h"
#include "tests/lab/lab.h"

#include <signal.h>
#include <sys/wait.h>

static gzc_volume *v;
static const char *path;
static gzc_file *a, *b; /* two handles on one file */

static void setup(void)
{
    v = mount_brick("");
    path = own_path("lock");
    a = open_file(v, path, O_CREAT | O_EXCL | O_RDWR);
    b = open_file(v, path, O_RDWR);
    cr_assert_eq(gzc_ftruncate(a, 1000), 0);
}

static void end(void)
{
    cr_assert_eq(gzc_close(a), 0);
    cr_assert_eq(gzc_close(b), 0);
    cr_assert_eq(gzc_unlink(v, path), 0);
    cr_assert_eq(gzc_unmount(v), 0);
}

TestSuite(lock, .init = setup, .fini = end, .timeout = 120);

static struct flock range(int type, off_t start, off_t length)
{
    return (struct flock){.l_type = (short)type, .l_start = start, .l_len = length};
}

static int set(gzc_file *file, int type, off_t start, off_t length)
{
    struct flock lock = range(type, start, length);
    return gzc_posix_lock(file, F_SETLK, &lock);
}

/* Whether the handle's owner could have a write lock, asked from the brick. */
static bool free_for(gzc_file *file, off_t start, off_t length)
{
    struct flock lock = range(F_WRLCK, start, length);
    cr_assert_eq(gzc_posix_lock(file, F_GETLK, &lock), 0);
    return lock.l_type == F_UNLCK;
}

static gzc_ticket wait_for(gzc_file *file, struct flock *lock, struct outcome *o, uint64_t timeout)
{
    *o = (struct outcome){0};
    gzc_ticket ticket = gzc_posix_lock_async(file, F_SETLKW, lock, HOW(o, .timeout_ns = timeout));
    cr_assert_gt(ticket, 0);
    return ticket;
}

/* What is begun before this on the same connection has reached the brick's queue, or will. */
static void settle(void)
{
    struct stat st;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(gzc_fstat(a, &st), 0);
}

Test(lock, two_handles)
{
    cr_assert_eq(set(a, F_WRLCK, 10, 10), 0);
    cr_assert_eq(set(b, F_WRLCK, 15, 1), -EAGAIN);
    cr_assert_eq(set(b, F_RDLCK, 19, 5), -EAGAIN);
    cr_assert_eq(set(b, F_WRLCK, 20, 5), 0);
    cr_assert_eq(set(b, F_WRLCK, 0, 10), 0);
    cr_assert_eq(set(a, F_RDLCK, 10, 10), 0);
    cr_assert_eq(set(b, F_RDLCK, 10, 10), 0);
    cr_assert_eq(set(b, F_WRLCK, 10, 10), -EAGAIN);
    cr_assert_eq(set(a, F_UNLCK, 10, 10), 0);
    cr_assert_eq(set(b, F_WRLCK, 10, 10), 0);
    cr_assert_eq(set(a, F_UNLCK, 0, 0), 0); /* not another's */
    cr_assert_eq(set(a, F_WRLCK, 12, 1), -EAGAIN);
    cr_assert_eq(set(b, F_UNLCK, 0, 0), 0);
    cr_assert_eq(set(a, F_WRLCK, 0, 0), 0);
    cr_assert_eq(set(b, F_RDLCK, INT64_MAX - 1, 1), -EAGAIN);
    cr_assert_eq(set(a, F_UNLCK, 0, 0), 0);
}

Test(lock, who_holds_it)
{
    struct flock lock = range(F_RDLCK, 100, 50), other = range(F_WRLCK, 0, 0);
    struct outcome o = {0};
    cr_assert_eq(gzc_posix_lock(a, F_SETLK, &lock), 0);
    cr_assert_eq(gzc_posix_lock(b, F_GETLK, &other), 0);
    cr_assert_eq(other.l_type, F_RDLCK);
    cr_assert_eq(other.l_whence, SEEK_SET);
    cr_assert_eq(other.l_start, 100);
    cr_assert_eq(other.l_len, 50);
    cr_assert_eq(other.l_pid, getpid());
    other = range(F_RDLCK, 0, 0);
    cr_assert_gt(gzc_posix_lock_async(b, F_GETLK, &other, HOW(&o)), 0);
    outcome_expect(v, &o, 0);
    cr_assert_eq(other.l_type, F_UNLCK);
    cr_assert_eq(set(a, F_WRLCK, 500, 0), 0);
    other = range(F_RDLCK, 400, 0);
    cr_assert_eq(gzc_posix_lock(b, F_GETLK, &other), 0);
    cr_assert_eq(other.l_type, F_WRLCK);
    cr_assert_eq(other.l_start, 500);
    cr_assert_eq(other.l_len, 0);
    other = range(F_WRLCK, 0, 0);
    cr_assert_eq(gzc_posix_lock(a, F_GETLK, &other), 0); /* one's own */
    cr_assert_eq(other.l_type, F_UNLCK);
}

/* Ranges as fcntl(2) has them: from the position and the end, of negative length. */
Test(lock, ranges)
{
    static const struct {
        short whence;
        off_t start, length, first, last; /* what is locked then */
    } good[] = {
        {SEEK_SET, 10, 10, 10, 19},
        {SEEK_SET, 10, -5, 5, 9},
        {SEEK_CUR, 0, 1, 300, 300},
        {SEEK_CUR, -300, 2, 0, 1},
        {SEEK_CUR, 0, -300, 0, 299},
        {SEEK_END, 0, 0, 1000, INT64_MAX},
        {SEEK_END, -1000, 1, 0, 0},
        {SEEK_END, -10, 10, 990, 999},
        {SEEK_END, 0, -1, 999, 999},
        {SEEK_SET, 0, 0, 0, INT64_MAX},
        {SEEK_SET, INT64_MAX, 1, INT64_MAX, INT64_MAX},
        {SEEK_SET, 1, INT64_MAX, 1, INT64_MAX},
    };
    struct flock lock;
    cr_assert_eq(gzc_lseek(a, 300, SEEK_SET), 300);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        lock = (struct flock){F_WRLCK, good[i].whence, good[i].start, good[i].length, 0};
        cr_assert_eq(gzc_posix_lock(a, F_SETLK, &lock), 0, "%zu", i);
        lock = range(F_WRLCK, 0, 0);
        cr_assert_eq(gzc_posix_lock(b, F_GETLK, &lock), 0);
        cr_assert_eq(lock.l_type, F_WRLCK);
        cr_assert_eq(lock.l_start, good[i].first, "%zu: %ld", i, lock.l_start);
        off_t length = good[i].last == INT64_MAX ? 0 : good[i].last - good[i].first + 1;
        cr_assert_eq(lock.l_len, length, "%zu: %ld", i, lock.l_len);
        cr_assert_eq(set(a, F_UNLCK, 0, 0), 0);
    }
    static const struct {
        short whence;
        off_t start, length;
        int error;
    } bad[] = {
        {SEEK_SET, -1, 1, -EINVAL},           {SEEK_SET, 5, -6, -EINVAL},
        {SEEK_CUR, -301, 1, -EINVAL},         {SEEK_END, -1001, 1, -EINVAL},
        {SEEK_CUR, INT64_MAX, 1, -EOVERFLOW}, {SEEK_END, INT64_MAX, 1, -EOVERFLOW},
        {SEEK_SET, 2, INT64_MAX, -EOVERFLOW}, {7, 0, 1, -EINVAL},
        {SEEK_DATA, 0, 1, -EINVAL},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        lock = (struct flock){F_WRLCK, bad[i].whence, bad[i].start, bad[i].length, 0};
        cr_assert_eq(gzc_posix_lock(a, F_SETLK, &lock), bad[i].error, "%zu", i);
    }
    cr_assert(free_for(b, 0, 0));
}

Test(lock, what_is_refused)
{
    gzc_file *r = open_file(v, path, O_RDONLY), *w = open_file(v, path, O_WRONLY), *d;
    struct flock lock = range(F_UNLCK, 0, 0);
    struct outcome o;
    cr_assert_eq(set(r, F_WRLCK, 0, 1), -EBADF);
    cr_assert_eq(set(w, F_RDLCK, 0, 1), -EBADF);
    cr_assert_eq(set(r, F_RDLCK, 0, 1), 0);
    cr_assert(free_for(r, 0, 1)); /* one may ask */
    cr_assert_eq(set(w, F_WRLCK, 1, 1), 0);
    cr_assert_eq(set(a, 77, 0, 1), -EINVAL);
    cr_assert_eq(gzc_posix_lock(a, F_GETLK, &lock), -EINVAL);
    cr_assert_eq(gzc_posix_lock(a, F_GETFL, &lock), -EINVAL);
    cr_assert_eq(gzc_posix_lock_async(a, 12345, &lock, HOW(&o)), -EINVAL);
    cr_assert_eq(gzc_file_lock(a, F_SETLK, &lock, 7), -EINVAL);
    cr_assert_eq(gzc_file_lock_async(a, F_SETLK, &lock, -1, HOW(&o)), -EINVAL);
    d = open_file(v, "/", O_RDONLY);
    cr_assert_eq(set(d, F_RDLCK, 0, 1), -EISDIR);
    cr_assert_eq(gzc_close(d), 0);
    cr_assert_eq(gzc_close(r), 0);
    cr_assert_eq(gzc_close(w), 0);
}

Test(lock, waits_until_the_other_unlocks)
{
    struct flock lock = range(F_WRLCK, 5, 5);
    struct outcome o, p;
    cr_assert_eq(set(a, F_WRLCK, 0, 10), 0);
    wait_for(b, &lock, &o, 0);
    settle();
    cr_assert_eq(o.count, 0);
    cr_assert_eq(set(a, F_UNLCK, 0, 6), 0);
    settle();
    cr_assert_eq(o.count, 0); /* there is a rest */
    cr_assert_eq(set(a, F_UNLCK, 6, 4), 0);
    outcome_expect(v, &o, 0);
    cr_assert_eq(set(a, F_WRLCK, 9, 1), -EAGAIN);
    /* at once, if it can be had */
    lock = range(F_WRLCK, 100, 5);
    wait_for(b, &lock, &o, 0);
    outcome_expect(v, &o, 0);
    cr_assert_eq(gzc_posix_lock(b, F_SETLKW, &lock), 0);
    /* closing is unlocking, and waits for what is under way */
    lock = range(F_WRLCK, 0, 0);
    wait_for(a, &lock, &o, 0);
    settle();
    p = (struct outcome){0};
    cr_assert_gt(gzc_close_async(b, HOW(&p)), 0);
    outcome_expect(v, &o, 0);
    outcome_expect(v, &p, 0);
    b = open_file(v, path, O_RDWR);
    cr_assert_not(free_for(b, 0, 1));
}

/* A lock that is told to have failed is not held, and does not wait any more. */
Test(lock, gives_up_waiting)
{
    struct flock lock = range(F_WRLCK, 5, 5);
    struct outcome o;
    char text[512];
    cr_assert_eq(set(a, F_WRLCK, 0, 10), 0);
    for (int i = 0; i < 30; i++) {
        gzc_ticket ticket = wait_for(b, &lock, &o, i % 2 ? 20000000 : 0);
        if (i % 2 == 0) {
            if (i % 4)
                settle();
            cr_assert_eq(gzc_cancel(v, ticket), 0);
            cr_assert(gzc_cancel(v, ticket) <= 0);
        }
        outcome_expect(v, &o, i % 2 ? -ETIMEDOUT : -ECANCELED);
    }
    cr_assert_gt(strlen(o.error), 0);
    gzc_file_error(b, text, sizeof(text));
    cr_assert_eq(set(a, F_UNLCK, 0, 0), 0);
    settle();
    cr_assert(free_for(a, 0, 0));
    cr_assert(free_for(b, 0, 0));
    gzc_file *c = open_file(v, path, O_RDWR);
    cr_assert(free_for(c, 0, 0));
    cr_assert_eq(gzc_close(c), 0);
}

/* Cancelled at any moment, before and after the brick has granted it. */
Test(lock, cancelled_at_any_moment)
{
    struct outcome o, p;
    struct stat st;
    gzc_file *c = open_file(v, path, O_RDWR);
    for (int i = 0; i < 300; i++) {
        struct flock lock = range(F_WRLCK, 3, 1);
        bool held = i % 3 == 0;
        if (held)
            cr_assert_eq(set(a, F_WRLCK, 0, 10), 0);
        gzc_ticket ticket = wait_for(b, &lock, &o, 0);
        for (int k = 0; k < i % 5; k++)
            if (k < 3)
                gzc_poll(v, 0, 0);
            else
                cr_assert_eq(gzc_fstat(c, &st), 0);
        p = (struct outcome){0};
        struct flock unlock = range(F_UNLCK, 0, 0);
        if (held && i % 2)
            cr_assert_gt(gzc_posix_lock_async(a, F_SETLK, &unlock, HOW(&p)), 0);
        else if (held)
            cr_assert_eq(set(a, F_UNLCK, 0, 0), 0);
        gzc_cancel(v, ticket);
        outcome_wait(v, &o);
        if (held && i % 2)
            outcome_expect(v, &p, 0);
        if (o.result == 0) {
            cr_assert_not(free_for(c, 3, 1));
            cr_assert_eq(set(b, F_UNLCK, 3, 1), 0);
        } else {
            cr_assert_eq(o.result, -ECANCELED, "%zd %s", o.result, o.error);
            cr_assert(free_for(c, 0, 0), "%d", i);
        }
    }
    cr_assert_eq(gzc_close(c), 0);
}

/* Withdrawing names the process and the range alone: the other call asks again. */
Test(lock, one_of_two_gives_up)
{
    struct flock lock = range(F_WRLCK, 5, 5);
    struct outcome o, p;
    gzc_file *c = open_file(v, path, O_RDWR);
    cr_assert_eq(set(a, F_WRLCK, 0, 10), 0);
    wait_for(b, &lock, &o, 0);
    gzc_ticket ticket = wait_for(c, &lock, &p, 0);
    settle();
    cr_assert_eq(gzc_cancel(v, ticket), 0);
    outcome_expect(v, &p, -ECANCELED);
    settle();
    cr_assert_eq(o.count, 0);
    cr_assert_eq(set(a, F_UNLCK, 0, 0), 0);
    outcome_expect(v, &o, 0);
    cr_assert_not(free_for(c, 5, 5));
    cr_assert_eq(gzc_close(c), 0);
}

Test(lock, closing_unlocks)
{
    gzc_file *d = gzc_dup(a);
    cr_assert_eq(set(a, F_WRLCK, 0, 0), 0);
    cr_assert_eq(set(b, F_WRLCK, 0, 1), -EAGAIN);
    cr_assert_eq(gzc_close(d), 0); /* not the last */
    cr_assert_eq(set(b, F_WRLCK, 0, 1), -EAGAIN);
    cr_assert_eq(gzc_close(a), 0);
    cr_assert_eq(set(b, F_WRLCK, 0, 1), 0);
    a = open_file(v, path, O_RDWR);
    cr_assert_eq(set(a, F_WRLCK, 0, 1), -EAGAIN);
}

Test(lock, owners)
{
    char many[92];
    memset(many, 'm', sizeof(many));
    cr_assert_eq(gzc_set_lock_owner(a, "one", 3), 0);
    cr_assert_eq(set(a, F_WRLCK, 0, 10), 0);
    cr_assert_eq(gzc_set_lock_owner(a, "two!", 4), 0);
    cr_assert_eq(set(a, F_WRLCK, 5, 1), -EAGAIN); /* two on one handle */
    cr_assert_eq(set(a, F_WRLCK, 10, 10), 0);
    cr_assert_eq(gzc_set_lock_owner(b, "one", 3), 0);
    cr_assert_eq(set(b, F_WRLCK, 5, 1), 0); /* one on two handles */
    cr_assert_eq(set(b, F_WRLCK, 10, 1), -EAGAIN);
    cr_assert_eq(gzc_set_lock_owner(b, many, 91), 0);
    cr_assert_eq(set(b, F_WRLCK, 20, 1), 0);
    cr_assert_eq(set(b, F_WRLCK, 0, 1), -EAGAIN);
    cr_assert_eq(gzc_set_lock_owner(a, many, 90), 0); /* compared as a whole */
    cr_assert_eq(set(a, F_WRLCK, 20, 1), -EAGAIN);
    cr_assert_eq(gzc_set_lock_owner(a, many, 92), -EINVAL);
    cr_assert_eq(gzc_set_lock_owner(a, many, 0), -EINVAL);
    /* reading and writing go on with the new head */
    static unsigned char p[3 << 20], q[3 << 20];
    pattern_fill(p, sizeof(p), 0);
    for (size_t n = 1; n <= 91; n += 15) {
        cr_assert_eq(gzc_set_lock_owner(a, many, n), 0);
        memset(q, 0, sizeof(q));
        cr_assert_eq(gzc_pwrite(a, p, sizeof(p), 0), sizeof(p));
        cr_assert_eq(gzc_pread(a, q, sizeof(q), 0), sizeof(q));
        cr_assert_eq(memcmp(p, q, sizeof(p)), 0);
    }
}

/* ---- other clients --------------------------------------------------------------------------- */

/* Runs in a process of its own, which then dies without a word. */
static void child_locks(int ready)
{
    gzc_volume *mine;
    gzc_file *file;
    struct flock lock = range(F_WRLCK, 0, 100);
    char good = 'n';
    if (gzc_mount(getenv("LAB_BRICK_URI"), &mine) == 0 &&
        gzc_open(mine, path, O_RDWR, 0, &file) == 0 && gzc_posix_lock(file, F_SETLK, &lock) == 0)
        good = 'y';
    if (write(ready, &good, 1) != 1)
        _exit(1);
    pause();
    _exit(0);
}

Test(lock, a_client_that_dies_loses_its_locks)
{
    int ready[2];
    char good = 'n';
    struct outcome o;
    struct flock lock = range(F_WRLCK, 0, 1), other = range(F_WRLCK, 0, 0);
    cr_assert_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0)
        child_locks(ready[1]);
    cr_assert_gt(pid, 0);
    cr_assert_eq(read(ready[0], &good, 1), 1);
    cr_assert_eq(good, 'y');
    cr_assert_eq(set(b, F_WRLCK, 99, 1), -EAGAIN);
    cr_assert_eq(gzc_posix_lock(b, F_GETLK, &other), 0);
    cr_assert_eq(other.l_pid, pid);
    wait_for(b, &lock, &o, 0);
    settle();
    cr_assert_eq(o.count, 0);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    outcome_expect(v, &o, 0);
    close(ready[0]);
    close(ready[1]);
}

/* ---- bricks of their own --------------------------------------------------------------------- */

static struct lab_brick brick;

static gzc_volume *own_brick(const struct lab_brick_options *options)
{
    gzc_volume *mine;
    cr_assert_eq(lab_brick_start(&brick, options), 0);
    cr_assert_eq(gzc_mount(brick.uri, &mine), 0, "%s", volume_text(mine));
    return mine;
}

Test(lock, a_brick_that_is_lost_loses_locks)
{
    gzc_volume *mine = own_brick(NULL);
    gzc_file *locked = open_file(mine, "/f", O_CREAT | O_RDWR),
             *was = open_file(mine, "/f", O_RDWR), *never = open_file(mine, "/f", O_RDWR);
    struct flock lock = range(F_WRLCK, 0, 1);
    struct outcome o = {0};
    struct stat st;
    char c = 'x', text[512];
    cr_assert_eq(set(locked, F_WRLCK, 5, 5), 0);
    cr_assert_eq(set(was, F_WRLCK, 20, 5), 0);
    cr_assert_eq(set(was, F_WRLCK, 30, 5), 0);
    cr_assert_eq(set(was, F_UNLCK, 20, 5), 0);
    cr_assert_eq(set(was, F_UNLCK, 30, 5), 0);
    cr_assert_gt(gzc_posix_lock_async(never, F_SETLK, &lock, HOW(&o)), 0);
    outcome_expect(mine, &o, 0);
    cr_assert_eq(set(never, F_UNLCK, 0, 0), 0);
    cr_assert_eq(lab_brick_restart(&brick), 0);
    cr_assert_eq(gzc_pwrite(was, &c, 1, 0), 1);
    cr_assert_eq(gzc_pread(never, &c, 1, 0), 1);
    cr_assert_eq(gzc_pread(locked, &c, 1, 0), -EBADFD);
    gzc_file_error(locked, text, sizeof(text));
    cr_assert_not_null(strstr(text, "locks"), "%s", text);
    cr_assert_eq(gzc_pwrite(locked, &c, 1, 0), -EBADFD);
    cr_assert_eq(gzc_fstat(locked, &st), -EBADFD);
    cr_assert_eq(set(locked, F_WRLCK, 5, 5), -EBADFD);
    cr_assert_eq(set(locked, F_UNLCK, 5, 5), -EBADFD);
    cr_assert_eq(set(never, F_WRLCK, 5, 5), 0);
    cr_assert_eq(gzc_close(locked), 0);
    locked = open_file(mine, "/f", O_RDWR);
    cr_assert_eq(set(locked, F_WRLCK, 50, 5), 0);
    cr_assert_eq(gzc_close(locked), 0);
    cr_assert_eq(gzc_close(was), 0);
    cr_assert_eq(gzc_close(never), 0);
    cr_assert_eq(gzc_unmount(mine), 0);
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

/* Who waits for a lock, and has none, waits on. */
Test(lock, waits_across_the_loss_of_a_brick)
{
    gzc_volume *mine = own_brick(NULL);
    gzc_file *x = open_file(mine, "/f", O_CREAT | O_RDWR), *y = open_file(mine, "/f", O_RDWR);
    struct flock lock = range(F_WRLCK, 0, 1);
    struct outcome o = {0};
    struct stat st;
    cr_assert_eq(set(x, F_WRLCK, 0, 1), 0);
    cr_assert_gt(gzc_posix_lock_async(y, F_SETLKW, &lock, HOW(&o)), 0);
    cr_assert_eq(gzc_fstat(y, &st), 0);
    cr_assert_eq(o.count, 0);
    cr_assert_eq(lab_brick_restart(&brick), 0);
    outcome_expect(mine, &o, 0); /* x has lost it */
    cr_assert_eq(gzc_close(x), 0);
    x = open_file(mine, "/f", O_RDWR);
    cr_assert_eq(set(x, F_WRLCK, 0, 1), -EAGAIN);
    cr_assert_eq(gzc_close(x), 0);
    cr_assert_eq(gzc_close(y), 0);
    cr_assert_eq(gzc_unmount(mine), 0);
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

/* The brick is deaf: the call ends all the same, and says so. */
Test(lock, gives_up_on_a_deaf_brick)
{
    gzc_volume *mine = own_brick(NULL);
    gzc_file *x = open_file(mine, "/f", O_CREAT | O_RDWR);
    struct flock lock = range(F_WRLCK, 0, 1);
    struct outcome o = {0};
    lab_brick_signal(&brick, SIGSTOP);
    cr_assert_gt(gzc_posix_lock_async(x, F_SETLKW, &lock, HOW(&o, .timeout_ns = 1000000)), 0);
    outcome_expect(mine, &o, -ETIMEDOUT);
    lab_brick_signal(&brick, SIGCONT);
    cr_assert_eq(gzc_close(x), 0);
    x = open_file(mine, "/f", O_RDWR);
    cr_assert(free_for(x, 0, 0));
    cr_assert_eq(gzc_close(x), 0);
    cr_assert_eq(gzc_unmount(mine), 0);
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

static void mandatory(const char *option, bool advisory_counts)
{
    const struct lab_brick_options options = {.options = {option}};
    gzc_volume *mine = own_brick(&options);
    gzc_file *x = open_file(mine, "/f", O_CREAT | O_RDWR | O_NONBLOCK),
             *y = open_file(mine, "/f", O_RDWR | O_NONBLOCK), *z = open_file(mine, "/f", O_RDWR);
    struct flock lock = range(F_WRLCK, 0, 10);
    struct outcome o = {0}, p = {0};
    char c[20] = {0};
    cr_assert_eq(gzc_pwrite(x, c, 20, 0), 20);
    cr_assert_eq(gzc_posix_lock(x, F_SETLK, &lock), 0);
    cr_assert_eq(gzc_pwrite(y, c, 1, 5), advisory_counts ? -EAGAIN : 1);
    cr_assert_eq(gzc_posix_lock(x, F_SETLK, &(struct flock){.l_type = F_UNLCK}), 0);
    cr_assert_eq(gzc_file_lock(x, F_SETLK, &lock, GZC_LOCK_MANDATORY), 0);
    cr_assert_eq(gzc_pwrite(y, c, 1, 5), -EAGAIN);
    cr_assert_eq(gzc_pread(y, c, 1, 9), -EAGAIN);
    cr_assert_eq(gzc_pread(y, c, 1, 10), 1);
    cr_assert_eq(gzc_pwrite(x, c, 10, 0), 10); /* its owner may */
    cr_assert_eq(gzc_pread(x, c, 10, 0), 10);
    /* the owner is what counts, not the handle */
    cr_assert_eq(gzc_set_lock_owner(y, "same", 4), 0);
    cr_assert_eq(gzc_pread(y, c, 1, 0), -EAGAIN);
    /* without O_NONBLOCK they wait */
    cr_assert_gt(gzc_pwrite_async(z, c, 1, 3, HOW(&o)), 0);
    struct stat st;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(gzc_fstat(x, &st), 0);
    cr_assert_eq(o.count, 0);
    lock.l_type = F_RDLCK; /* reading is free now */
    cr_assert_gt(gzc_file_lock_async(x, F_SETLKW, &lock, GZC_LOCK_MANDATORY, HOW(&p)), 0);
    outcome_expect(mine, &p, 0);
    cr_assert_eq(gzc_pread(y, c, 1, 5), 1);
    cr_assert_eq(gzc_pwrite(y, c, 1, 5), -EAGAIN);
    cr_assert_eq(o.count, 0);
    lock.l_type = F_UNLCK;
    cr_assert_eq(gzc_file_lock(x, F_SETLK, &lock, GZC_LOCK_MANDATORY), 0);
    outcome_expect(mine, &o, 1);
    cr_assert_eq(gzc_pwrite(y, c, 1, 5), 1);
    cr_assert_eq(gzc_close(x), 0);
    cr_assert_eq(gzc_close(y), 0);
    cr_assert_eq(gzc_close(z), 0);
    cr_assert_eq(gzc_unmount(mine), 0);
    cr_assert_eq(lab_brick_stop(&brick), 0);
}

Test(lock, mandatory_forced)
{
    mandatory("locks.mandatory-locking=forced", true);
}

Test(lock, mandatory_optimal)
{
    mandatory("locks.mandatory-locking=optimal", false);
}
