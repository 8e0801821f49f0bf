#!/bin/bash
# Wireshark's own dissector reads what libgzc sends and what a real cluster answers: nothing is
# malformed, and every procedure that libgzc uses is seen going out and coming back. Prints TAP.
set -uo pipefail

tests=$GZC_BUILD/tests
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
echo 1..4

ok() { # ok STATUS WHAT [DIAGNOSIS]
    n=$((n + 1))
    if (($1 == 0)); then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        [[ ${3-} ]] && sed 's/^/# /' <<<"$3"
    fi
}

# The cluster's one brick stands in for the brick that the tests expect.
export LAB_BRICK_URI=$LAB_CLUSTER_URI LAB_BRICK_HOST=$LAB_CLUSTER_HOST
export LAB_BRICK_PATH=$LAB_CLUSTER_BRICKS/one/0

# The dissector of tshark 4.0 takes the two words of a credential's time in the wrong order, and gives up
# on such calls; so the volume here is one whose calls carry none. times_are_the_clients in cluster.c
# shows that a brick reads them as we mean them.
gluster --mode=script volume set one ctime off >&2 || exit 1

tshark -q -n -i lo -B 128 -f tcp -w "$dir/capture" 2>"$dir/tshark" &
tshark=$!

# Sends a packet to a port that nobody listens on until it is in the file. Then the capture has begun;
# and all that was sent before is in the file, too.
mark() {
    until tshark -n -r "$dir/capture" -Y "tcp.dstport == $1" 2>/dev/null | grep -q .; do
        kill -0 $tshark || { cat "$dir/tshark" >&2; exit 1; }
        (: <"/dev/tcp/$LAB_CLUSTER_HOST/$1") 2>/dev/null
    done
}
mark 7

status=0
for filter in file:*reads_end* file:*direct* file:*append* file:*truncate* names:*make_and* \
    names:*paths* names:*a_directory*; do
    "$tests/lab-${filter%%:*}" --filter "*/${filter#*:}" >"$dir/log" 2>&1 || {
        status=1
        cat "$dir/log" >&2
    }
done
ok $status "the tests that make the traffic pass"
mark 9
kill -INT $tshark
wait $tshark

# GlusterFS's own processes talk too: only conversations that SETVOLUME from a libgzc began, or that
# hold a GETSPEC or PORTBYBRICK of ours, are ours. They come from our programs' ports.
read_capture() {
    tshark -n -r "$dir/capture" "$@" 2>/dev/null
}
streams=$(read_capture -Y 'frame contains "libgzc" || glusterfs.hndsk.proc == 2 || gluster.pmap.proc == 1' \
    -T fields -e tcp.stream | sort -un | paste -sd,)
ours="tcp.stream in {${streams//,/, }}"

malformed=$(read_capture -Y "($ours) && (_ws.malformed || _ws.expert.group == \"Malformed\" || _ws.expert.severity == error)")
[[ ! $malformed ]]
ok $? "no packet is malformed" "$(head -5 <<<"$malformed")"

declare -A seen
while read -r type procedure; do
    seen[$type:$procedure]=1
done < <(read_capture -Y "($ours) && rpc" -T fields -e rpc.msgtyp -e glusterfs.proc \
    -e glusterfs.hndsk.proc -e gluster.pmap.proc -E occurrence=f |
    awk -F'\t' '{ split("fop hndsk pmap", name, " ")
                  for (i = 2; i <= 4; i++) if ($i != "") print $1, name[i - 1] $i }' | sort -u)

missing=
for procedure in hndsk1 hndsk2 pmap1 fop4 fop5 fop6 fop11 fop12 fop13 fop15 fop16 fop20 fop23 fop24 \
    fop25 fop27 fop40 fop41 fop42; do
    [[ ${seen[0:$procedure]-} ]] || missing+=" call:$procedure"
    [[ ${seen[1:$procedure]-} ]] || missing+=" reply:$procedure"
done
[[ ! $missing ]]
ok $? "every procedure is seen in both directions" "missing:$missing; seen: ${!seen[*]}"

# READ replies, as the dissector cuts them: the payload is what the tests have written.
sizes=$(read_capture -Y "($ours) && rpc.msgtyp == 1 && glusterfs.proc == 12" -T fields \
    -e glusterfs.size -E occurrence=l | sort -rn | head -1)
((sizes == 1 << 20))
ok $? "a READ reply of 1 MiB is decoded" "largest: $sizes"
