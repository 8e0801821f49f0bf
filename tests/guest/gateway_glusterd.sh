#!/bin/bash
# A real glusterd in the guest, where nothing else is: the gateway asks it for the brick's port, and
# relays to it. What is looked at is in gateway_glusterd.c. Prints TAP.
set -uo pipefail

fail() {
    echo "$*" >&2
    printf 'not ok 1 - %s\n1..1\n' "$*"
    exit 1
}

# The host's own must not be seen: the guest's root is a throw-away overlay over the host's.
for directory in /var/lib/glusterd /var/log/glusterfs; do
    mkdir -p "$directory" && mount -t tmpfs tmpfs "$directory" || fail "no $directory"
done
mkdir -p /run/gluster "$TMPDIR/brick"
setpriv --pdeathsig KILL glusterd -N >&2 &
glusterd=$!
until gluster --mode=script pool list >/dev/null 2>&1; do
    kill -0 "$glusterd" || fail "glusterd has ended"
done
gluster --mode=script volume create guest "$RDMA_IP:$TMPDIR/brick" force >&2 &&
    gluster --mode=script volume start guest >&2 || fail "no volume"
export LAB_BRICK_HOST=$RDMA_IP LAB_BRICK_PATH=$TMPDIR/brick
"$GZC_BUILD/tests/guest-gateway-glusterd" --output=tap:"$TMPDIR/tap" >&2
cat "$TMPDIR/tap"
gluster --mode=script volume stop guest >&2
kill "$glusterd"
