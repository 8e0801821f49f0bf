#!/bin/bash
# bench/compare from end to end, in a small way: one case of each server, one round. What it measures does
# not matter here; that it measures everything does. Prints TAP.
set -uo pipefail
root=$(realpath "$(dirname "$0")/../..")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
echo 1..9

check() {
    n=$((n + 1))
    "${@:2}" >&2 && echo "ok $n - $1" || echo "not ok $n - $1"
}

run() {
    "$root/bench/compare" --build "$GZC_BUILD" --output "$dir/out" --size 16M --rounds 1 --seconds 0.05 "$@"
}

# Every figure of every client, none of them nonsense; and calls that were really made.
figures() {
    python3 - "$dir/out/results.json" <<'PY'
import json, math, sys
document = json.load(open(sys.argv[1]))
assert document["machine"]["glusterfs"] and document["goals"], document["machine"]
wanted = {"calls_per_s", "gb_per_s", "p50_us", "p99_us", "p999_us", "switches_per_call"} | {
    f"{kind}_{unit}" for kind in ("user", "system", "cpu") for unit in ("s_per_gb", "us_per_call")}
servers = {"brick": 6, "null": 4}
for case in document["cases"]:
    assert len(case["clients"]) == servers.pop(case["server"]), case["name"]
    for key, client in case["clients"].items():
        summary = client["summary"]
        assert wanted <= summary.keys(), (key, wanted - summary.keys())
        assert all(math.isfinite(v["median"]) and v["median"] >= 0 for v in summary.values()), summary
        assert summary["calls_per_s"]["median"] > 100 and summary["p50_us"]["median"] > 1, (key, summary)
        assert summary["p50_us"]["median"] <= summary["p99_us"]["median"] <= summary["p999_us"]["median"]
        assert key[:3] != "gzc" or summary["receives_per_call"]["median"] > 0
        assert key != "fuse" or summary["elsewhere_s_per_gb"]["median"] > 0, "the mount's process does no work?"
assert not servers, servers
PY
}

# Ended while it measures, it is gone with all that it has started.
interrupted() {
    local compare null="$GZC_BUILD/nullbrick --name load "
    "$root/bench/compare" --build "$GZC_BUILD" --output "$dir/out" --size 16M --quick &
    compare=$!
    until pgrep -f "$GZC_BUILD/load-gzc .* --path /load"; do
        kill -0 "$compare" || return
        sleep 0.05
    done
    pgrep -f "$null" || return
    kill -TERM "$compare"
    wait "$compare"
    (($? == 143)) && ! pgrep -f "$null"
}

check "it runs" run --quick --cases 'read random 4K depth 16'
check "it gives every figure" figures
check "its tables have a row for every client" test "$(grep -c '^| .*libg\|^| .*FUSE\|^| .*floor, ' "$dir/out/results.md")" -ge 10
check "its pictures are pictures" grep -q '<svg' "$dir/out/cpu.svg"
check "the FUSE mount is gone" bash -c '! grep -q "gzc-lab.*fuse" /proc/mounts'
check "it lists its cases" test "$(run --list | sort -u | wc -l)" -eq 224
check "a case that is not there is an error" bash -c '! "$@"' _ "$root/bench/compare" --build "$GZC_BUILD" --output "$dir/out" --list --cases nonsense
check "an option that is not there is an error" bash -c '"$1/bench/compare" --nonsense; (($? == 2))' _ "$root"
check "a signal ends it, and all that it has started" interrupted
