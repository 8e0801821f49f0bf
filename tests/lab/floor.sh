#!/bin/bash
# What the benchmarks measure with: the null brick, a server of ours that answers from memory, serves
# the gzc command, and what the socket floor moves is what was put. Prints TAP.
set -uo pipefail
export LC_ALL=C
gzc=$GZC_BUILD/gzc copy=$GZC_BUILD/tests/floor-copy
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit
sizes=(0 1 4096 5242880)
n=0 failed=0

# ok STATUS WHAT
ok() {
    n=$((n + 1))
    if (($1 == 0)); then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        sed 's/^/# /' log
        failed=1
    fi
}

# The kernel ends it with this script, however that ends.
exec {out}< <(exec setpriv --pdeathsig TERM "$GZC_BUILD/nullbrick" --name there --size 3M)
brick=$!
read -r uri <&"$out"

echo 1..18
for size in "${sizes[@]}"; do
    # shellcheck disable=SC2094 # a size and a name
    head -c "$size" /dev/urandom >"$size"
done

{ "$gzc" put --verify "${sizes[@]}" "$uri//" && "$gzc" put --verify 4096 "$uri//again"; } >log 2>&1
ok $? "put"
{ "$gzc" put --verify 1 "$uri//again" && "$gzc" cat "$uri//again" | cmp - 1; } >log 2>&1
ok $? "put over a longer file"
for size in "${sizes[@]}"; do
    { "$gzc" get --verify "$uri//$size" back && cmp "$size" back; } >log 2>&1
    ok $? "get, $size bytes"
done
"$gzc" ls "$uri//" >log 2>&1 && [[ $(sort log | xargs) == '0 1 4096 5242880 again there' ]]
ok $? "ls"
"$gzc" stat "$uri//5242880" >log 2>&1 &&
    grep -q 'Size: 5242880 bytes' log && "$gzc" stat "$uri//there" >log 2>&1 &&
    grep -q 'Size: 3145728 bytes' log
ok $? "stat"
"$gzc" rm "$uri//again" >log 2>&1 && ! "$gzc" stat "$uri//again" >log 2>&1 &&
    grep -q 'No such file' log
ok $? "rm"
! "$gzc" mkdir "$uri//below" >log 2>&1 && grep -q 'Operation not supported' log
ok $? "a directory below is refused"

# copied BLOCK DEPTH SPIN: the floor writes a file, reads it, and writes behind it what it reads;
# it agrees with libgzc on the result of each.
head -c 3000001 /dev/urandom >source
cat source source >twice
copied() {
    "$copy" write "$uri" /copy "$@" <source && "$gzc" get "$uri//copy" back &&
        cmp source back && "$copy" read "$uri" /copy "$@" >back && cmp source back &&
        "$copy" double "$uri" /copy "$@" && "$gzc" get "$uri//copy" back && cmp twice back
    local status=$?
    "$gzc" rm "$uri//copy"
    return $status
}
for spin in 0 1; do
    for depth in 1 2 16; do
        status=0
        for block in 4096 100003 1048576; do
            copied $block $depth $spin >log 2>&1 || { status=1; break; }
        done
        ok $status "the floor copies, $depth outstanding, spin=$spin"
    done
done
"$copy" read "$uri" /5242880 65536 4 0 >back 2>log && cmp 5242880 back >>log
ok $? "the floor reads what was put"
kill "$brick" && wait "$brick"
[[ $? == 143 ]]
ok $? "it ends on SIGTERM"
exit "$failed"
