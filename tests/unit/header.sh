#!/bin/bash
# gzc.h stands alone, in C and C++; the library exports what it declares and nothing else. Prints TAP.
set -uo pipefail
root=$(realpath "$(dirname "$0")/../..")
n=0
echo 1..5

ok() {
    n=$((n + 1))
    (($1 == 0)) && echo "ok $n - $2" || echo "not ok $n - $2"
}

for standard in "c -std=c99" "c -std=c17" "c++ -std=c++11" "c++ -std=c++20"; do
    # shellcheck disable=SC2086
    cc -x $standard -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$root/include/gzc.h" >&2
    ok $? "it compiles alone as ${standard#* -std=}"
done

declared=$(cc -E -P "$root/include/gzc.h" | grep -v "^typedef" | grep -o '\bgzc_[a-z0-9_]*(' | tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$GZC_BUILD/libgzc.so" | awk '$2 == "T" {sub(/@.*/, "", $3); print $3}' |
    sort -u)
[[ $declared == "$exported" ]]
ok $? "the library exports what the header declares"
diff <(echo "$declared") <(echo "$exported") >&2
