#!/bin/bash
# fio with our engine on a real brick: data verified at every block size, errors told. Prints TAP.
set -uo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sizes=(512 1k 4k 64k 128k 1m 4m)
n=0
echo 1..$((2 * ${#sizes[@]} + 5))

ok() { # ok STATUS WHAT
    n=$((n + 1))
    if (($1 == 0)); then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        sed 's/^/# /' "$dir/log"
    fi
}

run() {
    (cd "$dir" && fio --name=job --ioengine=external:"$GZC_BUILD/libgzc-fio.so" \
        --uri="$LAB_BRICK_URI" "$@") >"$dir/log" 2>&1
}

for bs in "${sizes[@]}"; do
    size=16m
    [[ $bs == 512 || $bs == 1k ]] && size=2m
    run --filename="/random-$bs" --size=$size --bs="$bs" --rw=randrw --verify=crc32c
    ok $? "randrw, --verify=crc32c, --bs=$bs"
    run --filename="/write-$bs" --size=$size --bs="$bs" --rw=write --verify=crc32c --do_verify=0 &&
        run --filename="/write-$bs" --size=$size --bs="$bs" --rw=write --verify=crc32c --verify_only
    ok $? "written, and verified by another fio, --bs=$bs"
done

run --filename=/threads --size=4m --bs=4k --rw=randrw --verify=crc32c --thread --numjobs=3 \
    --nconnect=2 --busy_poll_us=20 --offset_increment=4m --fsync=16 --end_fsync=1
ok $? "three threads, options nconnect and busy_poll_us, fsync"

# What verification is worth: a block changed on the brick is found.
printf X | dd of="$LAB_BRICK_PATH/write-4k" bs=1 seek=5000 conv=notrunc 2>/dev/null
! run --filename=/write-4k --size=16m --bs=4k --rw=write --verify=crc32c --verify_only &&
    grep -q 'verify' "$dir/log"
ok $? "a changed byte fails the verification"

! run --filename=/nope --uri=gluster+brick://127.0.0.1:1/none --size=1m --bs=4k --rw=read &&
    grep -q 'cannot connect to port 1: Connection refused' "$dir/log"
ok $? "a brick that is down is told"

! run --filename=/f --size=1m --bs=4k --rw=read --nconnect=99 && grep -q 'nconnect' "$dir/log"
ok $? "a bad option is told"

! (cd "$dir" && fio --name=job --ioengine=external:"$GZC_BUILD/libgzc-fio.so" --size=1m \
    --rw=read) >"$dir/log" 2>&1 && grep -qi 'uri' "$dir/log"
ok $? "a missing uri is told"
