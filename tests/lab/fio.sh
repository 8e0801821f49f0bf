#!/bin/bash
# fio with our engine on a real brick: data verified at every block size and in every way to have
# many I/Os under way, what fio counts, errors told. Prints TAP.
set -uo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sizes=(512 1k 4k 64k 128k 1m 4m)
n=0
echo 1..$((2 * ${#sizes[@]} + 28))

ok() { # ok STATUS WHAT
    n=$((n + 1))
    if (($1 == 0)); then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        sed 's/^/# /' "$dir"/log*
    fi
}

# run OPTION...: fio, which is killed if it hangs. Its log: $log, or ./log
run() {
    (cd "$dir" && timeout -s KILL 120 fio --name=job \
        --ioengine=external:"$GZC_BUILD/libgzc-fio.so" --uri="$LAB_BRICK_URI" --size=1m --bs=4k \
        "$@") >"$dir/${log:-log}" 2>&1
}
# wrong PATTERN OPTION...: fio tells the error, its exit status too; it does not hang.
wrong() {
    local pattern=$1
    shift
    run "$@"
    (($? == 1)) && grep -q -- "$pattern" "$dir/log"
}
# counted NAME: what the library has counted, see the engine's option `counters`.
counted() { sed -n "s/.*libgzc: .*\<$1=\([0-9]*\).*/\1/p" "$dir/log"; }
# issued READS WRITES SYNCS SHORT_READS: what fio says it has done, as patterns.
issued() { grep -Eq "issued rwts: total=$1,$2,0,$3 short=$4,0,0,0 dropped=0,0,0,0" "$dir/log"; }

for bs in "${sizes[@]}"; do
    size=16m
    [[ $bs == 512 || $bs == 1k ]] && size=2m
    run --filename="/random-$bs" --size=$size --bs="$bs" --rw=randrw --verify=crc32c --iodepth=8
    ok $? "randrw, --verify=crc32c, --iodepth=8, --bs=$bs"
    run --filename="/write-$bs" --size=$size --bs="$bs" --rw=write --verify=crc32c --do_verify=0 &&
        run --filename="/write-$bs" --size=$size --bs="$bs" --rw=write --verify=crc32c --verify_only
    ok $? "written, and verified by another fio, --bs=$bs"
done

run --filename=/threads --size=4m --rw=randrw --verify=crc32c --thread --numjobs=3 \
    --nconnect=2 --busy_poll_us=20 --offset_increment=4m --fsync=16 --end_fsync=1
ok $? "three threads, options nconnect and busy_poll_us, fsync"

# ---- many I/Os under way ---------------------------------------------------------------------

run --filename=/deep --size=4m --rw=randwrite --verify=crc32c --iodepth=16
ok $? "randwrite, --verify=crc32c, --iodepth=16"

run --filename=/batch --size=4m --rw=randrw --verify=crc32c --iodepth=16 --iodepth_batch=4 \
    --iodepth_batch_complete_min=2 --iodepth_batch_complete_max=8
ok $? "batches, --iodepth_batch=4, --iodepth_batch_complete_min=2, _max=8"

run --filename=/batch --size=4m --rw=randread --iodepth=16 --iodepth_batch=8 \
    --iodepth_batch_complete_min=8 --counters=1 && issued 1024 0 0 0 &&
    (($(counted ios) == 1024 && $(counted calls) >= 1024 && $(counted send) <= 256))
ok $? "several requests go per send: 1024 reads, no more than 256 sendmsg"
(($(counted landed) == 4 << 20 && $(counted staged) == 0))
ok $? "all that is read has landed"

run --filename=/polled --size=4m --rw=randrw --verify=crc32c --iodepth=16 \
    --iodepth_batch_complete_min=0
ok $? "completions polled for, --iodepth_batch_complete_min=0"

for thread in 0 1; do
    run --filename=/jobs-$thread --size=4m --rw=randrw --verify=crc32c --iodepth=16 \
        --thread=$thread --numjobs=4 --offset_increment=4m --nconnect=2 --counters=1 &&
        [[ $(counted staged) == $'0\n0\n0\n0' ]]
    ok $? "four jobs, --thread=$thread, --iodepth=16"
done

run --filename=/many-1:/many-2:/many-3:/many-4:/many-5 --openfiles=2 --size=5m --rw=randrw \
    --verify=crc32c --iodepth=16
ok $? "files are opened and closed while I/O is under way"

run --filename=/offload --size=4m --rw=randrw --iodepth=8 --io_submit_mode=offload --thread &&
    issued '[0-9]+' '[0-9]+' 0 0
ok $? "--io_submit_mode=offload"

for depth in 1 16; do
    run --filename=/sync --size=4m --rw=write --iodepth=$depth --fsync=8 --end_fsync=1 \
        --counters=1 && issued 0 1024 127 0
    ok $? "an fsync for every eight writes, --iodepth=$depth"
    (($(counted ios) == 1024 + 127 + 1 && $(counted calls) >= $(counted ios)))
    ok $? "and one at the end"
done

# fio 3.33 has no column for them.
run --filename=/sync --size=4m --rw=write --iodepth=16 --fdatasync=8 --counters=1 &&
    (($(counted ios) == 1024 + 127))
ok $? "an fdatasync for every eight writes"

# A poller that never sleeps looks at its socket all the time; with 0 it does when there is something.
run --filename=/poll --size=4m --rw=randread --busy_poll_us=100000 --counters=1
polling=$(counted receive)
run --filename=/poll --size=4m --rw=randread --busy_poll_us=0 --counters=1 &&
    (($(counted receive) <= 3 * $(counted calls) && $(counted receive) < polling))
ok $? "--busy_poll_us=0 does not poll"
run --filename=/poll --size=4m --rw=randread --busy_poll_us=adaptive
ok $? "--busy_poll_us=adaptive"

# ---- errors ----------------------------------------------------------------------------------

# What verification is worth: a block changed on the brick is found.
printf X | dd of="$LAB_BRICK_PATH/write-4k" bs=1 seek=5000 conv=notrunc 2>/dev/null
for depth in 1 16; do
    wrong verify --filename=/write-4k --size=16m --rw=write --verify=crc32c --verify_only \
        --iodepth=$depth
    ok $? "a changed byte fails the verification, --iodepth=$depth"
done

# The file gets shorter behind fio's back: two blocks, a part of one, nothing.
for depth in 1 4; do
    wrong 'libgzc: read: nothing there' --filename=/short-$depth --size=64k --rw=read \
        --iodepth=$depth --counters=1 --exec_prerun="truncate -s 10000 $LAB_BRICK_PATH/short-$depth" &&
        issued '[0-9]+' 0 0 1 && (($(counted landed) == 10000))
    ok $? "a read is short at the end of the file, and an error behind it, --iodepth=$depth"
done

for depth in 1 4; do
    run --filename=/trim-$depth --rw=write && cp "$LAB_BRICK_PATH/trim-$depth" "$dir/before" &&
        run --filename=/trim-$depth --rw=randtrim --iodepth=$depth &&
        grep -q 'issued rwts: total=0,0,256,' "$dir/log" && ! cmp -s "$dir/before" /dev/zero &&
        cmp -n 1048576 "$LAB_BRICK_PATH/trim-$depth" /dev/zero &&
        (($(stat -c %b "$LAB_BRICK_PATH/trim-$depth") < 64))
    ok $? "trim gives the space back, --iodepth=$depth"
done

wrong 'cannot connect to port 1: Connection refused' --filename=/nope \
    --uri=gluster+brick://127.0.0.1:1/none --rw=read
ok $? "a brick that is down is told"

wrong nconnect --filename=/f --rw=read --nconnect=99
ok $? "a bad option is told"

! (cd "$dir" && fio --name=job --ioengine=external:"$GZC_BUILD/libgzc-fio.so" --size=1m \
    --rw=read) >"$dir/log" 2>&1 && grep -qi 'uri' "$dir/log"
ok $? "a missing uri is told"

# The brick goes away for good under two jobs: one has I/O under way, one is between its write and the
# fsync. Last, for there is no brick any more.
brief=$LAB_BRICK_URI?reconnect_timeout=0.5
rm "$dir/log"
log=log-deep run --uri="$brief" --filename=/gone --size=64m --rw=randwrite --iodepth=16 --time_based \
    --runtime=100 &
deep=$!
log=log-sync run --uri="$brief" --filename=/gone-sync --size=4k --rw=write --iodepth=2 --end_fsync=1 \
    --thinktime=3s --thinktime_blocks_type=issue &
sync=$!
until [[ -s $LAB_BRICK_PATH/gone && -s $LAB_BRICK_PATH/gone-sync ]]; do
    { kill -0 $deep && kill -0 $sync; } || break
    sleep 0.01
done 2>/dev/null
kill -KILL "$LAB_BRICK_PID"
wait $deep
(($? == 1)) && grep -q 'libgzc: write: WRITE: no connection for 0.5 s: brick' "$dir/log-deep" &&
    grep -q 'io_u error on file /gone: Transport endpoint is not connected' "$dir/log-deep"
ok $? "a brick that goes away under sixteen writes is told"
wait $sync
(($? == 1)) && grep -q 'libgzc: sync: .*brick' "$dir/log-sync" &&
    grep -q 'end_fsync failed' "$dir/log-sync"
ok $? "an fsync that fails is told"
