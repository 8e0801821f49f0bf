#!/bin/bash
# The README's program compiles as it stands there, and does what it says. Prints TAP.
set -uo pipefail
root=$(realpath "$(dirname "$0")/../..")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo 1..2
sed -n '/^```c$/,/^```$/{/^```/!p}' "$root/README.md" >"$dir/program.c"
if cc -Wall -Wextra -Werror -I"$root/include" "$dir/program.c" -o "$dir/program" \
    -L"$GZC_BUILD" -lgzc -Wl,-rpath,"$GZC_BUILD" ${GZC_SANITIZE:+-fsanitize=$GZC_SANITIZE} >&2; then
    echo "ok 1 - it compiles"
else
    echo "not ok 1 - it compiles"
fi
if [[ $("$dir/program" "$LAB_BRICK_URI") == "hello, brick" ]]; then
    echo "ok 2 - it prints what it has written"
else
    echo "not ok 2 - it prints what it has written"
fi
