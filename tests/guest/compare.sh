#!/bin/bash
# bench/compare --transport rdma: that libgzc by RDMA takes part in it. What it measures means nothing in
# emulation. To be run beside a brick. Prints TAP.
set -uo pipefail
root=$(realpath "$(dirname "$0")/../..")
dir=$(mktemp -d)
number=0

check() {
    local name=$1 answer=ok
    shift
    "$@" >"$dir/log" 2>&1 || { answer='not ok' && sed 's/^/# /' "$dir/log"; }
    number=$((number + 1))
    echo "$answer $number - $name"
}

compare() {
    "$root/bench/compare" --on-brick --build "$GZC_BUILD" --output "$dir/out" --size 16M \
        --transport rdma --rounds 1 --seconds 0.05 --cases 'brick read seq 64K depth 4 $'
}

# Both clients have figures; the machine's RDMA device is named.
figures() {
    python3 - "$dir/out/results.json" "$RDMA_DEVICE" <<'PY'
import json, sys
document = json.load(open(sys.argv[1]))
assert document["machine"]["rdma"] == [sys.argv[2]], document["machine"]
(case,) = document["cases"]
assert len(case["clients"]) == 8, case["clients"].keys()
for key in ("rdma", "rdma-sleep"):
    summary = case["clients"][key]["summary"]
    assert summary["calls_per_s"]["median"] > 1 and summary["p50_us"]["median"] > 1, (key, summary)
PY
}

check "it runs" compare
check "it gives figures of RDMA" figures
check "its table has them" grep -q '^| .*libgzc by RDMA' "$dir/out/results.md"
echo "1..$number"
rm -rf "$dir"
