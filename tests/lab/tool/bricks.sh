# shellcheck shell=bash disable=SC2016,SC2094,SC2154,SC2317
# Sourced by tool.sh: info and ping, and what happens when the brick dies.

test_info() {
    right gzc info "$LAB_BRICK_URI?timeout=77"
    grep -q "^Brick 1: *$LAB_BRICK_HOST:$LAB_BRICK_PATH\$" out
    grep -q '^  State: *connected by TCP, 1 connection$' out
    grep -q "^  Address: *$LAB_BRICK_HOST:$LAB_BRICK_PORT\$" out
    grep -q '^  timeout = 77$' out
    grep -Eq '^  calls +[1-9]' out
    right gzc info --json "$LAB_BRICK_URI?nconnect=3"
    json "d['bricks'][0]['host'] == '$LAB_BRICK_HOST' and len(d['bricks']) == 1"
    json "d['bricks'][0]['path'] == '$LAB_BRICK_PATH' and d['bricks'][0]['connected'] is True"
    json "d['bricks'][0]['address'] == '$LAB_BRICK_HOST:$LAB_BRICK_PORT' and d['server'] == ''"
    json '{"name": "nconnect", "value": "3"} in d["options"] and 1 <= d["bricks"][0]["connections"] <= 3'
    json 'd["counters"]["calls"] > 0 and d["counters"]["bytes_staged"] == 0'
}

test_ping() {
    right gzc ping -c 3 -i 0 "$LAB_BRICK_URI"
    same "$(grep -Ec '^[^ ]+: seq=[123] time=[0-9]+\.[0-9]{3} ms$' out)" 3
    grep -qx '3 sent, 3 answered, 0% lost' out
    grep -Eqx 'rtt min/avg/max/mdev = [0-9.]+/[0-9.]+/[0-9.]+/[0-9.]+ ms' out
    right gzc ping -c 4 -i 0.001 --json "$LAB_BRICK_URI"
    json 'd["bricks"][0]["sent"] == 4 and d["bricks"][0]["answered"] == 4'
    json '0 < d["bricks"][0]["min_ms"] <= d["bricks"][0]["avg_ms"] <= d["bricks"][0]["max_ms"]'
}

test_ping_waits_the_interval() {
    start=$(date +%s%N)
    right gzc ping -c 3 -i 0.25 "$LAB_BRICK_URI"
    (($(date +%s%N) - start >= 500000000))
}

test_ping_ends_with_a_summary_on_ctrl_c() {
    env --default-signal "$gzc" ping -i 3600 "$LAB_BRICK_URI" >out 2>err &
    until_true grep -q seq=1 out
    kill -INT $!
    wait $!
    grep -qx '1 sent, 1 answered, 0% lost' out
    [[ ! -s err ]]
}

# The brick dies: these come last.
test_z1_a_lost_connection_is_told() {
    env --default-signal "$gzc" ping -i 0.05 --json "$LAB_BRICK_URI" >out 2>err &
    ping=$!
    slow_put - "$uri/x?reconnect_timeout=0.5"
    first_chunk
    kill -KILL "$LAB_BRICK_PID"
    slow_put_ends 1 1
    grep -q "^gzc: put $uri/x?reconnect_timeout=0.5: .*; AN INCOMPLETE FILE REMAINS\$" err
    has_size "$brick/x" 4194304
    kill -INT "$ping"
    wait "$ping" || true
}

test_z2_no_brick_at_all() {
    wrong 'ls *: Connection refused (*' gzc ls "$LAB_BRICK_URI"
    wrong 'ping *: Connection refused (*' gzc ping -c 1 "$LAB_BRICK_URI"
}
