#!/bin/bash
# Runs the tests that want an RDMA device, or those of the names given, in one guest, and prints
# their results as TAP. What they are: $GZC_BUILD/tests/guest.list, by CMakeLists.txt.
set -uo pipefail
here=$(realpath "$(dirname "$0")")
[[ ${RDMA_DEVICE-} ]] || exec "$here/with-guest" -t 840 -- "$0" "$@"

number=0

# result OK TEXT...
result() {
    number=$((number + 1))
    echo "$1 $number - ${*:2}"
}

# report NAME: the results that `one` has left, with those numbers that are theirs here, and what it
# counted as failed without a result: tests that gave none, reports of sanitizers.
report() {
    local name=$1 line counted failed=0
    while IFS= read -r line; do
        [[ $line =~ ^((not )?ok)[\ 0-9]*(- *)?(.*) ]] || continue
        result "${BASH_REMATCH[1]}" "$name: ${BASH_REMATCH[4]}"
        [[ $line == ok* ]] || failed=$((failed + 1))
    done < <(cat "$GZC_BUILD/tests/results/guest-$name/tap" 2>/dev/null)
    read -r _ counted _ <"$GZC_BUILD/tests/results/guest-$name/count"
    ((counted <= failed)) || result 'not ok' "$name: $((counted - failed)) failed without a result"
}

# Tests look at what the whole device counts.
export CRITERION_JOBS=1
selected=" $* "
while read -r kind name seconds arguments; do
    [[ ! ${selected// /} || $selected == *" $name "* ]] || continue
    read -r -a arguments <<<"$arguments"
    start=${EPOCHREALTIME/./}
    timeout --kill-after=10 "$seconds" "$here/../one" "$kind" "guest-$name" "${arguments[@]}" \
        </dev/null >&2 ||
        (($? != 124 && $? != 137)) || echo "guest-$name took more than $seconds seconds" >&2
    echo "# $name: $(((${EPOCHREALTIME/./} - start) / 1000)) ms"
    report "$name"
done <"$GZC_BUILD/tests/guest.list"
echo "1..$number"
