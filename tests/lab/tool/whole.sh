# shellcheck shell=bash disable=SC2016,SC2094,SC2154,SC2317
# Sourced by tool.sh: put and get: a copy is whole, or it does not look so.

# A library that stands in for calls of the C library on files, to fail at a moment of our choosing.
# GZC_SHIM: corrupt (fsync changes the first byte), interrupt (SIGINT in the second write), enospc
# (the second write fails), eio (the second read does), hangup (SIGINT at the end of a pipe).
make_shim() {
    cat >"$top/shim.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_chosen(const char *shim)
{
    const char *chosen = getenv("GZC_SHIM");
    return chosen && !strcmp(chosen, shim);
}

static int large_file_again(const char *shim, int fd, size_t size)
{
    static int calls;
    struct stat st;
    return is_chosen(shim) && size >= 1 << 20 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           ++calls == 2;
}

ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    if (large_file_again("enospc", fd, size)) {
        errno = ENOSPC;
        return -1;
    }
    if (large_file_again("interrupt", fd, size))
        raise(SIGINT);
    return next(fd, buffer, size, offset);
}

ssize_t pread64(int fd, void *buffer, size_t size, off64_t offset)
{
    ssize_t (*next)(int, void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pread64");
    if (large_file_again("eio", fd, size)) {
        errno = EIO;
        return -1;
    }
    return next(fd, buffer, size, offset);
}

ssize_t read(int fd, void *buffer, size_t size)
{
    ssize_t (*next)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    ssize_t n = next(fd, buffer, size);
    if (n == 0 && fd == 0 && is_chosen("hangup"))
        raise(SIGINT);
    return n;
}

int fsync(int fd)
{
    int (*next)(int) = dlsym(RTLD_NEXT, "fsync");
    if (is_chosen("corrupt") && pwrite(fd, "!", 1, 0) != 1)
        abort();
    return next(fd);
}
C
    cc -shared -fPIC -o "$top/shim.so" "$top/shim.c" -ldl
}
with_shim() {
    local shim=$1
    shift
    ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" GZC_SHIM=$shim \
        LD_PRELOAD=$top/shim.so env --default-signal "$@"
}

test_verify_and_json() {
    head -c 10000000 /dev/urandom >a
    echo b >b
    right gzc put --verify a b "$uri"
    [[ ! -s out ]]
    right gzc put --verify --json a b "$uri"
    json "[e['target'] for e in d] == ['$uri/a', '$uri/b'] and d[0]['source'] == 'a'"
    json 'd[0]["bytes"] == 10000000 and d[0]["verified"] is True and d[0]["seconds"] > 0'
    json 'd[0]["sha256"] == hashlib.sha256(open("a", "rb").read()).hexdigest()'
    right gzc get --verify --json "$uri/a" back
    cmp a back
    json "[(e['source'], e['target']) for e in d] == [('$uri/a', 'back')]"
    json 'd[0]["sha256"] == hashlib.sha256(open("back", "rb").read()).hexdigest()'
    right gzc put --json - "$uri/c" <a
    json 'd[0]["source"] == "standard input" and "sha256" not in d[0] and "verified" not in d[0]'
    wrong '*No such file*' gzc put --json no b "$uri"
    json '[e["source"] for e in d] == ["b"]'
}

# The first chunk has been written and summed; it changes under the brick before the rest is.
test_verify_finds_a_difference_on_the_brick() {
    slow_put --verify - "$uri/x"
    first_chunk
    printf y | dd of="$brick/x" conv=notrunc status=none
    slow_put_ends 1 1
    grep -q "^gzc: put $uri/x: what was read back is not what was written: .*has been removed" err
    [[ ! -e $brick/x ]]
}

test_verify_finds_a_hole_on_the_brick() {
    echo old >a
    gzc put a "$uri/x"
    slow_put --verify - "$uri/x"
    first_chunk
    truncate -s 0 "$brick/x"
    slow_put_ends 1 1
    grep -q "^gzc: put $uri/x: what was read back .*existed before, is empty now" err
    has_size "$brick/x" 0
}

test_verify_finds_a_difference_in_a_local_file() {
    head -c 5000000 /dev/zero >a
    gzc put a "$uri"
    make_shim
    wrong 'get back: what was read back is not what was written: *has been removed' \
        with_shim corrupt "$gzc" get --verify "$uri/a" back
    [[ ! -e back ]]
    wrong "*existed before, is empty now" with_shim corrupt "$gzc" get --verify "$uri/a" a
    has_size a 0
}

test_no_half_file_after_a_failure() {
    head -c 10000000 /dev/zero >a
    echo old >old
    gzc put a "$uri"
    gzc put old "$uri"
    make_shim
    wrong 'put a: Input/output error; the file has been removed' \
        with_shim eio "$gzc" put a "$uri/x"
    [[ ! -e $brick/x ]]
    wrong 'put a: Input/output error; the file, which existed before, is empty now' \
        with_shim eio "$gzc" put a "$uri/old"
    has_size "$brick/old" 0
    wrong 'get x: No space left on device; the file has been removed' \
        with_shim enospc "$gzc" get "$uri/a" x
    [[ ! -e x ]]
    wrong 'get old: No space left on device; the file, which existed before, is empty now' \
        with_shim enospc "$gzc" get "$uri/a" old
    has_size old 0
    # The next file's turn comes all the same.
    rm a old
    wrong 'get *a: No space left on device*' with_shim enospc "$gzc" get "$uri/a" "$uri/old" .
    [[ ! -e a && -e old ]]
}

test_no_half_file_after_a_signal() {
    head -c 10000000 /dev/zero >a
    local signal
    for signal in INT TERM HUP; do
        slow_put - "$uri/x"
        first_chunk
        kill -"$signal" "$child" # it waits for more to read
        slow_put_ends $((128 + $(kill -l "$signal"))) 1
        same "$(<err)" "gzc: put $uri/x: interrupted; the file has been removed"
        [[ ! -e $brick/x ]]
        rm pipe
    done
    gzc put a "$uri/a"
    slow_put a - "$uri" # a's turn, then what has no name: an error, and nothing to interrupt
    slow_put_ends 1 1
    rm pipe
    slow_put - "$uri/a"
    first_chunk
    kill -INT "$child"
    slow_put_ends 130 1
    has_size "$brick/a" 0
}

# As when SIGINT has killed the other end of the pipe, too: the end comes first, then the signal.
test_no_half_file_from_a_pipe_that_was_cut() {
    make_shim
    status=0
    echo half | with_shim hangup "$gzc" put - "$uri/x" 2>err || status=$?
    same "$status $(<err)" "130 gzc: put $uri/x: interrupted; the file has been removed"
    [[ ! -e $brick/x ]]
}

test_no_half_local_file_after_a_signal() {
    head -c 10000000 /dev/zero >a
    gzc put a "$uri"
    gzc put a "$uri/b"
    rm a
    make_shim
    status=0
    # Neither a half file, nor the next one.
    with_shim interrupt "$gzc" get "$uri/a" "$uri/b" . 2>err || status=$?
    same "$status $(<err)" '130 gzc: get ./a: interrupted; the file has been removed'
    [[ ! -e a && ! -e b ]]
}

# The brick does not answer: the first signal waits for it, the second does not.
test_the_second_signal_ends_at_once() {
    slow_put - "$uri/x"
    first_chunk
    kill -STOP "$LAB_BRICK_PID"
    bytes $((CHUNK - PIPE)) >&9
    kill -INT "$child"
    sigint_is_default() { (((0x$(sed -n 's/^SigCgt:\t//p' "/proc/$child/status") & 2) == 0)); }
    until_true sigint_is_default
    kill -0 "$child"
    kill -INT "$child"
    slow_put_ends 130 0
}
