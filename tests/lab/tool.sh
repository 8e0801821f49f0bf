#!/bin/bash
# The gzc command against a real brick. Prints TAP. Run as: with-brick -- tool.sh [test_NAME...]
# shellcheck disable=SC2016,SC2094,SC2317 # some strings are evaluated; functions are called by name
set -uo pipefail
export LC_ALL=C
here=$(realpath "$(dirname "$0")")
gzc=$GZC_BUILD/gzc
top=$(mktemp -d "${TMPDIR:-/tmp}/gzc-tool.XXXXXX")
trap 'rm -rf "$top"' EXIT

# Each function test_* in tool/ is a test, run in a subshell with `set -e`, in an empty directory of
# its own. There is one for it on the volume, too: $uri, on disk $brick.

gzc() { "$gzc" "$@"; }

# same GOT WANTED
same() {
    [[ $1 == "$2" ]] && return
    printf 'got:    %s\nwanted: %s\n' "$1" "$2" >&2
    return 1
}

# right COMMAND...: it succeeds and has nothing to say on the standard error. Its output: ./out
right() {
    local status=0
    "$@" >out 2>err || status=$?
    cat err >&2
    same "$status" 0
    [[ ! -s err ]]
}

# wrong PATTERN COMMAND...: it exits with 1 and one line on the standard error, which matches.
wrong() {
    local pattern="gzc: $1" status=0
    shift
    "$@" >out 2>err || status=$?
    cat err >&2
    same "$status" 1
    same "$(wc -l <err)" 1
    # shellcheck disable=SC2053
    [[ $(<err) == $pattern ]] || { printf 'wanted: %s\n' "$pattern" >&2; return 1; }
}

# json EXPRESSION: ./out is one JSON document, d, of which the Python expression is true.
json() {
    python3 - "$1" <<'PYTHON'
import hashlib, json, os, re, sys
d = json.load(open("out", encoding="utf-8"))
if not eval(sys.argv[1]):
    sys.exit("not so: %s\n%s" % (sys.argv[1], json.dumps(d, indent=2)))
PYTHON
}

# until_true COMMAND...: evaluates a condition until it is true, for 20 seconds at most.
until_true() {
    local end=$((SECONDS + 20))
    until "$@"; do
        ((SECONDS < end)) || { echo "never true: $*" >&2; return 1; }
        sleep 0.01
    done
}
has_size() { [[ $(stat -c %s "$1" 2>/dev/null) == "$2" ]]; }

# terminal COMMAND...: runs it on a terminal of 80 columns; what that shows: ./screen
terminal() {
    local line
    printf -v line '%q ' "$@"
    script -qec "stty cols 80 rows 24; exec $line" /dev/null </dev/null >screen
}

# Makes a file that was put into the brick's directory one of the volume: with a gfid, and the
# second name by which the server finds it.
adopt() {
    local hex=000102030405060708090a0b0c0d0e0$1 handle=$LAB_BRICK_PATH/.glusterfs/00/01
    setfattr -h -n trusted.gfid -v "0x$hex" "$2"
    mkdir -p "$handle"
    ln -P "$2" "$handle/00010203-0405-0607-0809-0a0b0c0d0e0$1"
}

# slow_put ARGUMENT...: `gzc put ARGUMENT...` in the background, whose standard input is what is
# written to descriptor 9. A shell has its background commands ignore SIGINT: not this one.
slow_put() {
    mkfifo pipe
    env --default-signal "$gzc" put "$@" <pipe >out 2>err 9>&- &
    child=$!
    exec 9>pipe
}
bytes() { head -c "$1" /dev/zero | tr '\0' x; }
# As much as gzc reads and writes at a time.
CHUNK=$((4 << 20))
# Feeds slow_put with one, and returns when it is on the brick: more than a pipe holds has gone into
# the pipe then, which gzc reads on only after it has written.
PIPE=$((128 << 10))
first_chunk() { bytes $((CHUNK + PIPE)) >&9; }
# slow_put_ends STATUS LINES
slow_put_ends() {
    local status=0
    exec 9>&-
    wait "$child" || status=$?
    cat err >&2
    same "$status" "$1"
    same "$(wc -l <err)" "$2"
}

# However a test ends, its background commands do, and the brick goes on.
at_end() {
    local jobs
    set +e
    mapfile -t jobs < <(jobs -p)
    kill -CONT "$LAB_BRICK_PID" 2>/dev/null
    ((${#jobs[@]})) && kill -KILL "${jobs[@]}" 2>/dev/null
}

for file in "$here"/tool/*.sh; do
    # shellcheck source=/dev/null
    . "$file"
done

mapfile -t tests < <(declare -F | sed -n 's/^declare -f \(test_\)/\1/p')
(($#)) && tests=("$@")
echo "1..${#tests[@]}"
number=0 failed=0
for test in "${tests[@]}"; do
    name=${test#test_}
    # shellcheck disable=SC2034
    uri=$LAB_BRICK_URI//$name brick=$LAB_BRICK_PATH/$name
    mkdir "$top/$name"
    # The brick may be gone; the test will tell.
    "$gzc" mkdir "$uri" 2>/dev/null
    (
        cd "$top/$name" || exit
        trap at_end EXIT
        set -e
        "$test"
    ) >"$top/log" 2>&1
    result=$?
    number=$((number + 1))
    if ((result)); then
        echo "not ok $number - ${name//_/ }"
        sed 's/^/# /' "$top/log"
        failed=1
    else
        echo "ok $number - ${name//_/ }"
    fi
done
exit "$failed"
