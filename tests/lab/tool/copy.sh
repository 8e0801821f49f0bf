# shellcheck shell=bash disable=SC2016,SC2094,SC2154,SC2317
# Sourced by tool.sh: cat, put and get: what goes where.

test_cat() {
    head -c 9000001 /dev/urandom >a
    head -c 4194304 /dev/urandom >b
    : >empty
    gzc put a b empty "$uri"
    right gzc cat "$uri/a" "$uri/empty" "$uri/b"
    cat a b | cmp - out
    right gzc cat "$uri/empty"
    [[ ! -s out ]]
}

test_cat_failures() {
    echo text >a
    gzc put a "$uri"
    wrong "cat $uri/no: No such file or directory (*'/$name/no'*)" gzc cat "$uri/no" "$uri/a"
    same "$(<out)" text
    wrong "cat $uri: Is a directory" gzc cat "$uri"
    wrong 'cat standard output: No space left on device' \
        eval 'gzc cat "$uri/a" "$uri/a" >/dev/full'
    wrong 'cat standard output: *' eval 'gzc cat "$uri/a" >&-'
}

test_cat_into_a_closed_pipe() {
    head -c 20000000 /dev/zero >a
    gzc put a "$uri"
    # The kernel's SIGPIPE ends it silently, as other programs.
    { env --default-signal "$gzc" cat "$uri/a" 2>err || echo $? >status; } | head -c 1 >/dev/null
    same "$(<status)" 141
    [[ ! -s err ]]
    # Where that is ignored there is an error to tell.
    { env --ignore-signal=PIPE "$gzc" cat "$uri/a" 2>err || echo $? >status; } | head -c 1 >/dev/null
    same "$(<status)" 1
    same "$(<err)" 'gzc: cat standard output: Broken pipe'
}

test_put_and_get_every_size() {
    for size in 0 1 4095 1048577 4194303 4194304 4194305 12582912; do
        head -c "$size" /dev/urandom >"$size"
        right gzc put "$size" "$uri/$size"
        cmp "$size" "$brick/$size"
        right gzc get "$uri/$size" back
        cmp "$size" back
    done
}

test_put_targets() {
    echo one >a
    echo two >b
    gzc mkdir "$uri/d"
    right gzc put a "$uri/d"
    right gzc put b "$uri/d/"
    right gzc put a "$uri/e"
    right gzc put a b "$uri"
    right gzc put - "$uri/f" <a
    right gzc put - "$uri/g" < <(cat b) # no regular file
    same "$(cd "$brick" && cat d/a d/b e a b f g | tr '\n' ' ')" 'one two one one two one two '
    wrong "put $uri/e: Not a directory" gzc put a b "$uri/e"
    wrong "put $uri/e/: Not a directory*" gzc put a "$uri/e/"
    wrong "put $uri/new/: No such file or directory (*" gzc put a "$uri/new/"
    wrong "put $uri/new: No such file or directory (*" gzc put a b "$uri/new"
    wrong "put $uri: Is a directory, *" gzc put - "$uri" <a
    [[ ! -e $brick/new ]]
}

test_put_sources_that_fail() {
    echo one >a
    mkdir d
    wrong 'put no: No such file or directory' gzc put no "$uri/x"
    wrong 'put d: Is a directory' gzc put d "$uri/x"
    [[ ! -e $brick/x ]]
    wrong 'put no: No such file or directory' gzc put no a "$uri"
    same "$(<"$brick/a")" one
    gzc mkdir "$uri/d"
    wrong "put $uri/a/b: Not a directory (*" gzc put a "$uri/a/b"
    gzc mkdir "$uri/sub" "$uri/sub/a"
    wrong "put $uri/sub/a: Is a directory*" gzc put a "$uri/sub"
}

test_get_targets() {
    echo one >a
    echo two >b
    gzc put a b "$uri"
    mkdir d
    right gzc get "$uri/a" d
    right gzc get "$uri/b" d/
    right gzc get "$uri/a" "$uri/b" .
    right gzc get "$uri/a" e
    same "$(cat d/a d/b e | tr '\n' ' ')" 'one two one '
    right gzc get "$uri/a" -
    same "$(<out)" one
    wrong 'get e: Not a directory' gzc get "$uri/a" "$uri/b" e
    wrong 'get new/: No such file or directory' gzc get "$uri/a" new/
    wrong 'get no/x: No such file or directory' gzc get "$uri/a" no/x
    wrong "get $uri/no: No such file or directory (*" gzc get "$uri/no" "$uri/a" d
    wrong "get $uri: Is a directory" gzc get "$uri" f
    wrong 'get /dev/full: No space left on device' gzc get "$uri/a" /dev/full
    [[ -c /dev/full && ! -e f && ! -e new ]]
    # What cannot be read leaves alone what is there.
    wrong '*' gzc get "$uri/no" e
    same "$(<e)" one
}

test_permissions_of_copies() {
    umask 027
    echo x >a
    chmod 4777 a
    gzc put a "$uri/new"
    same "$(stat -c %a "$brick/new")" 750
    gzc put - "$uri/stream" <a
    same "$(stat -c %a "$brick/stream")" 640
    chmod 0604 "$brick/new"
    chown 7:8 "$brick/new"
    gzc put a "$uri/new" # overwritten in place
    same "$(stat -c '%a %u %g' "$brick/new")" '604 7 8'
    gzc get "$uri/new" back
    same "$(stat -c %a back)" 600
    chmod 640 back
    gzc get "$uri/new" back
    same "$(stat -c %a back)" 640
}

test_overwriting_shortens() {
    head -c 5000000 /dev/urandom >large
    echo small >small
    gzc put large "$uri/x"
    right gzc put small "$uri/x"
    same "$(<"$brick/x")" small
    right gzc get "$uri/x" large
    same "$(<large)" small
}

test_only_regular_files_of_a_volume() {
    echo x >a
    mkfifo "$brick/fifo"
    adopt 3 "$brick/fifo"
    # Opening it would wait for its other end, on the brick's host.
    wrong 'cat *fifo: Invalid argument (not a regular file)' timeout 20 "$gzc" cat "$uri/fifo"
    wrong 'get *fifo: Invalid argument (not a regular file)' timeout 20 "$gzc" get "$uri/fifo" x
    wrong 'put *fifo: Invalid argument (not a regular file)' timeout 20 "$gzc" put a "$uri/fifo"
    [[ -p $brick/fifo && ! -e x ]]
    right gzc rm "$uri/fifo"
}

test_progress() {
    head -c 10000000 /dev/zero >a
    right gzc put a "$uri/a" # none where there is no terminal
    gzc put --progress a "$uri/a" 2>err
    grep -q '100%.*9\.5 MiB' err
    terminal "$gzc" put --verify a "$uri/a"
    grep -q 'a 100% \[====================\]' screen
    grep -q 'verifying 100%' screen
    terminal "$gzc" get "$uri/a" b
    grep -q 'a 100%' screen
    terminal "$gzc" get -q "$uri/a" b
    [[ ! -s screen ]]
    # Without a total: bytes only. No line is wider than the terminal.
    terminal sh -c "cat a | '$gzc' put - '$uri/b'"
    grep -q 'standard input *9\.5 MiB' screen
    long=$(printf '%0200d' 0)
    mv a "$long"
    terminal "$gzc" put "$long" "$uri/a"
    tr '\r' '\n' <screen | sed 's/\x1b\[K//' | awk 'length > 79 { exit 1 }'
    grep -q '100%' screen
}
