#!/bin/bash
# Both tests beside a FUSE mount, bounded, and what has differed once. Prints TAP.
set -uo pipefail
here=$(realpath "$(dirname "$0")")
run=("$here/run" --build "$GZC_BUILD" --keep "$GZC_BUILD" --seed 1)
scripts=("$here"/kept/*.txt)
n=0
echo 1..3

# check WHAT COMMAND...
check() {
    n=$((n + 1))
    "${@:2}" >&2 && echo "ok $n - $1" || echo "not ok $n - $1"
}
check "sequences that have differed" "$here/run" --build "$GZC_BUILD" "${scripts[@]}"
check "steps through libgzc and FUSE" "${run[@]}" --steps 1000 --ops 0
check "data through libgzc and FUSE" "${run[@]}" --steps 0 --ops 20000
