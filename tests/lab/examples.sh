#!/bin/bash
# The programs of examples/ on a real brick. Prints TAP. Run as: with-brick -- examples.sh NAME...
set -uo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit
examples=$GZC_BUILD/examples
gone=gluster+brick://127.0.0.1:1/none
n=0

ok() { # ok STATUS WHAT
    n=$((n + 1))
    if (($1 == 0)); then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        tail -n 20 err | sed 's/^/# /'
    fi
}

# until_true COMMAND...: evaluates a condition until it is true, for 20 seconds at most.
until_true() {
    local end=$((SECONDS + 20))
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.01
    done
}

# wrong PATTERN COMMAND...: it exits with 1 and one line on the standard error, which matches.
wrong() {
    local pattern=$1
    shift
    "$@" >out 2>err
    (($? == 1)) && [[ ! -s out && $(wc -l <err) == 1 ]] && grep -q -- "$pattern" err
}

test_read_async() {
    local size
    for size in 0 1 262144 $(((40 << 20) + 12345)); do
        head -c "$size" /dev/urandom >data
        "$GZC_BUILD/gzc" put data "$LAB_BRICK_URI//data-$size" &&
            "$examples/read_async" "$LAB_BRICK_URI//data-$size" copy >out 2>err &&
            [[ $(<out) == "$size bytes" && ! -s err ]] &&
            [[ $(sha256sum <copy) == "$(sha256sum <data)" ]]
        ok $? "read_async copies $size bytes"
    done
    wrong 'No such file' "$examples/read_async" "$LAB_BRICK_URI//nothing" copy
    ok $? "read_async of what is not there"
    wrong 'Connection refused' "$examples/read_async" "$gone" copy
    ok $? "read_async of a brick that is down"
    wrong 'Is a directory' "$examples/read_async" "$LAB_BRICK_URI//data-1" .
    ok $? "read_async to a place that cannot be written to"
}

test_epoll() {
    local i to first second
    mkdir files
    for i in {1..50}; do
        head -c "$i" /dev/zero >"files/file-$i"
        printf '/file-%d\n' "$i" >>paths
        printf '/file-%d: %d\n' "$i" "$i" >>wanted
    done
    "$GZC_BUILD/gzc" put files/* "$LAB_BRICK_URI"
    # shellcheck disable=SC2002 # a pipe is wanted
    cat paths | "$examples/epoll" "$LAB_BRICK_URI" >out 2>err && [[ ! -s err ]] &&
        [[ $(sort out) == "$(sort wanted)" ]]
    ok $? "epoll answers fifty questions"

    printf '/file-7\n/nothing\n\n%05000d\n/file-8' 0 | "$examples/epoll" "$LAB_BRICK_URI" >out 2>err &&
        grep -qx '/file-7: 7' out && grep -qx '/file-8: 8' out &&
        grep -q '^/nothing: .*No such file' out && grep -q '0: .*File name too long' out
    ok $? "epoll tells what is not there; a last line without its end counts"

    # The next question comes when the one before has been answered.
    coproc EPOLL { exec "$examples/epoll" "$LAB_BRICK_URI" 2>err; }
    # shellcheck disable=SC2153
    local pid=$EPOLL_PID
    to=${EPOLL[1]}
    printf '/file-3\n' >&"$to"
    read -r -t 20 first <&"${EPOLL[0]}"
    printf '/file-' >&"$to"
    printf '4\n' >&"$to"
    read -r -t 20 second <&"${EPOLL[0]}"
    exec {to}>&-
    wait "$pid" && [[ $first == '/file-3: 3' && $second == '/file-4: 4' ]]
    ok $? "epoll in a dialogue"

    wrong 'standard input' "$examples/epoll" "$LAB_BRICK_URI" <paths
    ok $? "epoll with a file for standard input"
    wrong 'Connection refused' "$examples/epoll" "$gone" < <(:)
    ok $? "epoll and a brick that is down"
}

# $pid: the example libevent in the background, following a file that another program appends to.
follow() {
    head -c 300000 /dev/urandom >data
    "$GZC_BUILD/gzc" put data "$LAB_BRICK_URI//log"
    # A shell has its background commands ignore SIGINT.
    env --default-signal=INT "$examples/libevent" "$LAB_BRICK_URI//log?reconnect_timeout=1" >out 2>err &
    pid=$!
    until_true cmp -s "$LAB_BRICK_PATH/log" out
}

test_libevent() {
    local signal pid
    for signal in INT TERM; do
        follow &&
            echo "one line more" >>"$LAB_BRICK_PATH/log" &&
            until_true cmp -s "$LAB_BRICK_PATH/log" out &&
            head -c 200000 /dev/urandom >>"$LAB_BRICK_PATH/log" &&
            until_true cmp -s "$LAB_BRICK_PATH/log" out &&
            kill -$signal "$pid" && wait "$pid" && [[ ! -s err ]]
        ok $? "libevent prints what is appended, until SIG$signal"
    done
    wrong 'Connection refused' "$examples/libevent" "$gone"
    ok $? "libevent and a brick that is down"

    # The last test: there is no brick any more.
    follow && kill -KILL "$LAB_BRICK_PID" && {
        wait "$pid"
        (($? == 1)) && [[ $(wc -l <err) == 1 ]] && grep -q '^READ: no connection for 1 s: brick' err
    }
    ok $? "libevent tells that the brick has gone"
}

declare -A counts=([read_async]=7 [epoll]=5 [libevent]=4)
plan=0
for name; do
    plan=$((plan + counts[$name]))
done
echo "1..$plan"
for name; do
    "test_$name"
done
