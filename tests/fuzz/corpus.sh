#!/bin/bash
# usage: corpus.sh GENERATOR...: the corpus holds what its generators make of today's encoders, and decoders
# accept it; it may hold more. Prints TAP.
set -uo pipefail
corpus=$(realpath "$(dirname "$0")")/corpus
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
n=0
echo "1..$#"

for generator; do
    n=$((n + 1))
    rm -rf "${fresh:?}"/*
    if ! "$GZC_BUILD/tests/fuzz-$generator" "$fresh" >&2; then
        echo "not ok $n - what $generator makes is accepted"
        continue
    fi
    differ=$(diff -r "$fresh" "$corpus" 2>&1 | grep -v "^Only in $corpus")
    if [[ ! $differ ]]; then
        echo "ok $n - the corpus is what $generator makes"
    else
        echo "not ok $n - the corpus is what $generator makes"
        printf '%s\nto make it anew: %s %s\n' "$differ" "$GZC_BUILD/tests/fuzz-$generator" "$corpus" >&2
    fi
done
