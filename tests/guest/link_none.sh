#!/bin/bash
# A host without an RDMA device: a mount by RDMA says so. Prints TAP.
set -uo pipefail

has_device() { [[ -e /sys/class/infiniband/$RDMA_DEVICE ]]; }
restore() {
    has_device && return
    rdma link add "$RDMA_DEVICE" type rxe netdev "$RDMA_NETDEV" # and as the guest's main leaves it:
    echo 0 >"/sys/class/infiniband/$RDMA_DEVICE/ports/1/hw_counters/lifespan"
}
trap restore EXIT
rdma link delete "$RDMA_DEVICE" || exit 1

number=0
# check NAME WORDS URI: listing it fails, and says so.
check() {
    local text answer='not ok'
    ! text=$("$GZC_BUILD/gzc" ls "$3" 2>&1) && [[ $text == *"$2"* ]] && answer=ok
    number=$((number + 1))
    echo "$answer $number - $1"
    [[ $answer == ok ]] || echo "# $text"
}

check "no device is said" "no RDMA device" "gluster+brick+rdma://$RDMA_IP/export"
check "by way of glusterd too" "no RDMA device" "gluster+rdma://$RDMA_IP/volume"
restore
# The device is there again, and nobody listens.
check "a device that comes is found" "no RDMA gateway listens" "gluster+brick+rdma://$RDMA_IP/export"
echo "1..$number"
