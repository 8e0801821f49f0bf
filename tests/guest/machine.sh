#!/bin/bash
# with-guest itself: what it promises for a command, and how it ends. Prints TAP.
# shellcheck disable=SC2016,SC2317 # conditions are evaluated; functions are called by name
set -uo pipefail
here=$(realpath "$(dirname "$0")")
export TMPDIR
TMPDIR=$(mktemp -d /var/tmp/gzc-machine.XXXXXX)
trap 'rm -rf "$TMPDIR"' EXIT
mkdir "$TMPDIR/share"
log=$TMPDIR/log
number=0 failed=0
"$here/build" || exit

# check NAME COMMAND...: one result.
check() {
    local name=$1 answer=ok
    shift
    "$@" || { answer='not ok' failed=1; tail -n 60 "$log" | sed 's/^/# /'; }
    number=$((number + 1))
    echo "$answer $number - $name"
}

# Nothing is left: no directory, and no qemu that had one of its files open.
nothing_left() {
    local i
    for ((i = 0; i < 200; i++)); do
        [[ ! $(compgen -G "$TMPDIR/gzc-lab.*") ]] &&
            ! pgrep -f "qemu.*$TMPDIR/" >/dev/null && return
        sleep 0.05
    done
    return 1
}

# What a command in the guest finds; megabytes on both outputs, so that none is lost or mixed up.
cat >"$TMPDIR/inside" <<'INSIDE'
set -e
echo in the guest >"$1/share/file"
echo in the guest >"$1/host"
[[ $TMPDIR != "$1" && $(stat -f -c %T "$TMPDIR") == ext2/ext3 ]]
setfattr -n user.test -v value "$TMPDIR"
[[ -c /dev/infiniband/rdma_cm && $(</sys/class/infiniband/$RDMA_DEVICE/ports/1/state) == *ACTIVE ]]
[[ $(ulimit -l) == unlimited && $(id -u) == 0 && $PWD == "$1" ]]
[[ $(nproc) == 1 && $GZC_FUZZ_SECONDS == 7 ]]
[[ $(</sys/devices/system/clocksource/clocksource0/current_clocksource) == tsc ]]
nsenter --net="$GUEST_NETNS" ip address show "$RDMA_NETDEV" | grep -q "$RDMA_IP/"
python3 "$1/tls.py"
sleep 1000 &
for ((i = 0; i < 3; i++)); do
    seq 200000
    seq 300000 >&2
done
exit 7
INSIDE
# Kernel TLS from one end to the other: setsockopt(SOL_TCP, TCP_ULP), and one key for SOL_TLS.
cat >"$TMPDIR/tls.py" <<'PYTHON'
import socket, struct
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server = listener.accept()[0]
key = struct.pack("=HH8s16s4s8s", 0x0303, 51, b"nonce", b"key", b"salt", b"")  # AES-GCM, 128 bits
for end, direction in (client, 1), (server, 2):
    end.setsockopt(socket.IPPROTO_TCP, 31, b"tls")
    end.setsockopt(282, direction, key)
client.sendall(b"plain")
assert server.recv(100) == b"plain"
PYTHON
echo on the host >"$TMPDIR/host"
(cd "$TMPDIR" && GZC_FUZZ_SECONDS=7 "$here/with-guest" -s 1 -m 1024 -w "$TMPDIR/share" -- \
    bash -x "$TMPDIR/inside" "$TMPDIR" 2>"$log" >"$TMPDIR/output")
status=$?
grep -v '^+' "$log" >"$TMPDIR/error"
check "the status is the command's" [ "$status" = 7 ]
check "the output is whole" cmp "$TMPDIR/output" <(seq 200000; seq 200000; seq 200000)
check "so is the error output, apart" cmp "$TMPDIR/error" <(seq 300000; seq 300000; seq 300000)
check "a shared directory is the host's" grep -q 'in the guest' "$TMPDIR/share/file"
check "nothing else of the host is written to" grep -q 'on the host' "$TMPDIR/host"
check "nothing is left" nothing_left

"$here/with-guest" -- bash -c 'echo c >/proc/sysrq-trigger; sleep 1000' >"$log" 2>&1
check "a panic is a failure" [ $? = 125 ]
check "that the console tells of" grep -q 'Kernel panic' "$log"

"$here/with-guest" -t 1 -- sleep 1000 >"$log" 2>&1
check "out of time is a failure" [ $? = 125 ]
check "that is named, with the console's end" \
    eval 'grep -q "the command took more than 1 seconds" "$log" && grep -q "guest: ready" "$log"'

# killed_when CONDITION: kills it as soon as that is so.
killed_when() {
    : >"$log"
    "$here/with-guest" -- bash -c 'echo in the command; sleep 1000' >"$log" 2>&1 &
    local child=$! i
    for ((i = 0; i < 2400; i++)); do
        ! eval "$1" || break
        sleep 0.05
    done
    kill -KILL "$child"
    wait "$child" 2>/dev/null
    ((i < 2400)) && nothing_left
}
check "killed while it boots, it leaves nothing" killed_when 'pgrep -f "qemu.*$TMPDIR/" >/dev/null'
check "killed with its command, it leaves nothing" killed_when 'grep -q "in the command" "$log"'
echo "1..$number"
exit "$failed"
