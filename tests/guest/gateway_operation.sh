#!/bin/bash
# What who operates the gateway has of it: its log as text and as JSON, a log that is rotated, statistics
# by socket and by signal, the unit that systemd starts it by. Beside a brick. Prints TAP.
set -uo pipefail
dir=$(mktemp -d)
number=0

check() {
    local name=$1 answer=ok
    shift
    "$@" >"$dir/said" 2>&1 || { answer='not ok' && sed 's/^/# /' "$dir/said" "$dir/log"; }
    number=$((number + 1))
    echo "$answer $number - $name"
}

# until_so COMMAND...: it is, before long.
until_so() {
    local end=$((SECONDS + 20))
    until "$@"; do
        ((SECONDS < end)) || return
        sleep 0.02
    done
}

start() {
    "$GZC_BUILD/gzc-rdma-gateway" --listen "$RDMA_IP" --log "$dir/log" --stats-socket "$dir/stats" \
        --brick "$LAB_BRICK_PATH=$LAB_BRICK_HOST:$LAB_BRICK_PORT" "$@" &
    pid=$!
    until_so grep -qs '\<ready\>' "$dir/log"
}

end() {
    kill "$pid" && wait "$pid"
}

use() {
    echo something >"$dir/data"
    "$GZC_BUILD/gzc" put "$dir/data" "$uri//data" && "$GZC_BUILD/gzc" cat "$uri//data" | cmp - "$dir/data"
}

# Each line is an object that has a time, a level and an event; clients came and went.
log_is_json() {
    python3 - "$1" <<'PY'
import datetime, json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
for line in lines:
    datetime.datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert line["level"] in ("error", "warning", "info", "debug") and line["event"], line
events = [line["event"] for line in lines]
for event in ("device", "listening", "ready", "client-attached", "client-ended", "statistics"):
    assert event in events, (event, events)
PY
}

stats() {
    python3 - "$dir/stats" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
counters = json.loads(b"".join(iter(lambda: s.recv(65536), b"")))
assert all(isinstance(value, int) for value in counters.values()), counters
assert counters["bytes_staged"] == 0 and counters["bytes_landed"] >= 20, counters
assert counters["clients_accepted"] >= 2 and counters["memory"] >= 16 << 20, counters
PY
}

uri=gluster+brick+rdma://$RDMA_IP$LAB_BRICK_PATH
check "it starts, with a log of JSON" start --log-json --memory 16M
check "it is used" use
check "statistics come from its socket" stats
kill -USR1 "$pid"
check "statistics come by signal" until_so grep -q '"event": *"statistics"' "$dir/log"
until_so grep -q client-ended "$dir/log"
check "its log is JSON" log_is_json "$dir/log"
mv "$dir/log" "$dir/log.1"
kill -HUP "$pid"
check "a log that was renamed is begun anew" until_so test -e "$dir/log"
check "and goes on" eval 'use && until_so grep -q client-attached "$dir/log"'
check "it ends well" end
rm "$dir/log"
check "it starts, with statistics each second" start --stats 1
check "they are in its log" until_so grep -q ' info statistics clients=0 ' "$dir/log"
check "a second one says that the address is in use" eval \
    '! "$GZC_BUILD/gzc-rdma-gateway" --listen "$RDMA_IP" && grep -q "cannot listen on $RDMA_IP" "$dir/said"'
end
check "the unit has what it needs" eval \
    'grep -q "^ExecStart=/.*/gzc-rdma-gateway " "$GZC_BUILD/gzc-rdma-gateway.service" &&
     grep -q "^LimitMEMLOCK=infinity" "$GZC_BUILD/gzc-rdma-gateway.service"'
echo "1..$number"
rm -rf "$dir"
