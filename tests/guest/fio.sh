#!/bin/bash
# fio's verify job, and gzc, by RDMA: gateway, brick and device are real. Prints TAP.
set -uo pipefail
dir=$(mktemp -d)
number=0

check() {
    local name=$1 answer=ok
    shift
    "$@" || { answer='not ok' && sed 's/^/# /' "$dir"/*log; }
    number=$((number + 1))
    echo "$answer $number - $name"
}

gateway() {
    "$GZC_BUILD/gzc-rdma-gateway" --listen "$RDMA_IP" --log "$dir/gateway-log" \
        --brick "$LAB_BRICK_PATH=$LAB_BRICK_HOST:$LAB_BRICK_PORT" &
    pid=$!
    until grep -qs ready "$dir/gateway-log"; do
        kill -0 "$pid" || return
        sleep 0.05
    done
}

run() {
    (cd "$dir" && timeout -s KILL 120 fio --name=job --ioengine=external:"$GZC_BUILD/libgzc-fio.so" \
        --uri="$uri" --thread "$@") >"$dir/log" 2>&1
}

# What the library has counted, by the engine's option `counters`.
counted() { sed -n "s/.*libgzc: .*\<$1=\([0-9]*\).*/\1/p" "$dir/log"; }

uri=gluster+brick+rdma://$RDMA_IP$LAB_BRICK_PATH
gateway || exit
check "randrw, --verify=crc32c, --iodepth=16, 4 KiB to 256 KiB" \
    run --filename=/mixed --size=8m --rw=randrw --bsrange=4k-256k --iodepth=16 --verify=crc32c \
    --counters=1
check "no byte of it was staged" \
    eval '[[ $(counted staged) == 0 && $(counted landed) -ge 8388608 ]]'
check "two threads, two connections, a trusted gateway" \
    run --uri="$uri?rdma_trust=1" --filename=/threads --size=4m --rw=randrw --bs=64k --iodepth=4 \
    --verify=crc32c --numjobs=2 --nconnect=2 --offset_increment=4m
check "a process of fio's own is refused, with the reason" eval \
    '! run --thread=0 --filename=/mixed --size=1m --rw=read && grep -q -e --thread "$dir/log"'
head -c 3000000 /dev/urandom >"$dir/data"
check "gzc put --verify" "$GZC_BUILD/gzc" put --verify "$dir/data" "$uri//data"
check "gzc cat" eval '"$GZC_BUILD/gzc" cat "$uri//data" | cmp - "$dir/data"'
check "gzc info says that it is RDMA" eval '"$GZC_BUILD/gzc" info "$uri" | grep -q "RDMA"'
kill "$pid"
check "the gateway ends well" wait "$pid"
echo "1..$number"
rm -rf "$dir"
