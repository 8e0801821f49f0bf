#!/bin/bash
# Every function of gzc.h has a manual page, which says what the header says, can be rendered, and has
# an example that compiles; and a test on a real volume. Prints TAP.
set -uo pipefail
root=$(realpath "$(dirname "$0")/../..")
pages=$GZC_BUILD/man
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8
n=0
echo 1..9

# check TITLE FUNCTION: what the function prints is what is wrong.
check() {
    local wrong
    n=$((n + 1))
    wrong=$($2 2>&1)
    if [[ -z $wrong ]]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        echo "$wrong" >&2
    fi
}

# Statements, one a line, without white space.
statements() {
    tr -d ' \n' | tr ';' '\n'
}

# section NAME SOURCE: the text of a page's section.
section() {
    awk -v heading="# $1" '/^# / {inside = $0 == heading; next} inside' "$2"
}

# literal: the literal blocks of a page's text, or of Markdown's C, as they are rendered.
literal() {
    awk '/^```/ {inside = !inside; next} inside'
}

cc -E -P "$root/include/gzc.h" | sed -n '/^typedef struct gzc_volume/,$p' |
    sed 's/__attribute__((visibility("default")))//' >"$work/gzc.h"
statements <"$work/gzc.h" >"$work/prototypes"
mapfile -t functions < <(grep -v '^typedef' "$work/gzc.h" | grep -o '\bgzc_[a-z0-9_]*(' | tr -d '(')
sources=("$root"/docs/man/*.scd)
manual=("$root"/docs/man/*.3.scd)

# source_of FUNCTION: the source of its page, which may be that of another name.
source_of() {
    local page=$pages/man3/$1.3 to
    [[ -e $page ]] || return 1
    read -r _ to <"$page"
    [[ $to == man3/* ]] && page=$to
    echo "$root/docs/man/$(basename "$page").scd"
}

functions_have_pages() {
    local f
    ((${#functions[@]} > 100)) || echo "gzc.h declares only ${#functions[@]} functions"
    for f in "${functions[@]}"; do
        [[ -e $pages/man3/$f.3 ]] || echo "$f has no page"
    done
}

synopses_are_the_headers() {
    local f source
    for f in "${functions[@]}"; do
        source=$(source_of "$f") || continue
        section SYNOPSIS "$source" | grep -v '^#include' | literal | statements |
            grep -qxF "$(grep "[*a-z]$f(" "$work/prototypes")" ||
            echo "the synopsis in $(basename "$source") has not the prototype of $f"
    done
}

overview_lists_all() {
    local f
    section PAGES "$root/docs/man/libgzc.3.scd" >"$work/overview"
    for f in "${functions[@]}"; do
        [[ $f == *_async ]] || grep -q "\*$f\*" "$work/overview" || echo "libgzc(3) does not list $f"
    done
}

pages_have_sections() {
    local source heading
    for source in "${manual[@]}"; do
        for heading in NAME SYNOPSIS DESCRIPTION "RETURN VALUE" ERRORS MEMORY EXAMPLES "SEE ALSO"; do
            [[ $(section "$heading" "$source") ]] || echo "$(basename "$source") has no $heading"
        done
    done
}

pages_are_rendered() {
    local page
    for page in "$pages"/man?/*; do
        [[ $(head -c 3 "$page") != .so ]] || continue
        man --warnings -E UTF-8 -l "$page" 2>&1 >"$work/text"
        [[ -s $work/text ]] || echo "$page: man shows nothing"
        lexgrog "$page" >/dev/null || echo "$page: apropos finds nothing"
        # scdoc's output has paragraphs that may be left out.
        mandoc -T lint -W warning "$page" | grep -v 'skipping paragraph macro'
        grep -n '^ *@[a-z]' "$work/text"
    done
}

references_exist() {
    local source page
    for source in "${sources[@]}"; do
        for page in $(grep -o '\*\(lib\)\?gzc[a-z_-]*\*([1-8])' "$source" | tr -d '*)' | tr '(' . | sort -u); do
            [[ -e $pages/man${page##*.}/$page ]] ||
                [[ $page == gzc-rdma-gateway.8 && -e $root/docs/man/$page.scd ]] ||
                echo "$(basename "$source") refers to $page"
        done
    done
}

# compile NAME: the program on the standard input.
compile() {
    cat >"$work/$1.c"
    cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -I"$root/include" -o "$work/program" "$work/$1.c" \
        -L"$GZC_BUILD" "${@:2}" -lgzc -pthread -Wl,--allow-shlib-undefined
}

examples_compile() {
    local source name
    for source in "${manual[@]}"; do
        name=$(basename "$source" .3.scd)
        section EXAMPLES "$source" | literal >"$work/literal"
        grep -q '^int main(' "$work/literal" || echo "$name has no example"
        sed 's/\\\\//g' "$work/literal" | grep -n '\\' # scdoc would drop it
        sed 's/\\\\/\\/g' "$work/literal" | compile "$name"
    done
}

libgfapi_is_told() {
    local f guide=$root/docs/from-libgfapi.md
    cat /usr/include/glusterfs/api/glfs{,-handles}.h >"$work/glfs.h" || return
    # Declarations begin in the first column; what is called there is a function.
    for f in $(sed 's/^#.*//' "$work/glfs.h" | cc -fpreprocessed -dD -E -P -x c - |
        grep -o '\bglfs_[a-z0-9_]*[ (]*(' | tr -d ' (' | sort -u); do
        grep -q "^|.*\`$f\`.*|.*|" "$guide" || echo "the table has no $f"
    done
    for f in $(grep -o '\bgzc_[a-z0-9_]*()' "$guide" | tr -d '()' | sort -u); do
        [[ " ${functions[*]} " == *" $f "* ]] || echo "$guide: there is no $f"
    done
    sed '/^After:/,$d' "$guide" | literal | compile before -lgfapi
    sed -n '/^After:/,/^## /p' "$guide" | literal | compile after
}

functions_are_tested() {
    local f
    for f in "${functions[@]}"; do
        grep -qw "$f" "$root"/tests/{lab,guest}/*.c || echo "no test on a real volume calls $f"
    done
}

check "every function of gzc.h has a page" functions_have_pages
check "its synopsis is what the header declares" synopses_are_the_headers
check "the overview lists every function" overview_lists_all
check "every page has all sections" pages_have_sections
check "every page can be rendered, without a warning" pages_are_rendered
check "pages refer to pages that exist" references_exist
check "every page has an example that compiles" examples_compile
check "docs/from-libgfapi.md tells what to call instead of each function of libgfapi" libgfapi_is_told
check "every function of gzc.h is called by a test on a real volume" functions_are_tested
