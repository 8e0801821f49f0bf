# shellcheck shell=bash disable=SC2016,SC2094,SC2154,SC2317
# Sourced by tool.sh: mv, ln, and rm of trees.

test_mv_within_a_volume() {
    echo one >a
    gzc put a "$uri"
    gzc mkdir "$uri/d" "$uri/e"
    ino=$(stat -c %i "$brick/a")
    right gzc mv "$uri/a" "$uri/b"
    right gzc mv -v "$uri/b" "$uri/d"
    same "$(<out)" "'$uri/b' -> '$uri/d/b'"
    right gzc mv "$uri/d" "$uri/e"
    same "$(stat -c %i "$brick/e/d/b")" "$ino"
    wrong "mv $uri/e: *" gzc mv "$uri/e" "$uri/e/d/x"
    [[ -e $brick/e/d/b ]]
    wrong "mv $uri/no: No such file or directory (*" gzc mv "$uri/no" "$uri/x"
    gzc put a "$uri"
    echo two >b
    gzc put b "$uri"
    right gzc mv -n "$uri/a" "$uri/b"
    same "$(<"$brick/b")" two
    right gzc mv "$uri/a" "$uri/b"
    same "$(<"$brick/b")" one
    [[ ! -e $brick/a ]]
}

test_mv_there_and_back() {
    make_tree
    listing tree >wanted
    cp -a tree saved
    right gzc mv tree "$uri/new"
    [[ ! -e tree ]]
    diff wanted <(listing "$brick/new")
    right gzc mv "$uri/new" .
    [[ ! -e $brick/new ]]
    diff wanted <(listing new)
    diff -r --no-dereference -x fifo saved new
}

test_mv_removes_nothing_before_all_is_copied() {
    mkdir t
    for ((i = 0; i < 3; i++)); do
        head -c 10000000 /dev/zero >"t/$i"
    done
    gzc cp -r t "$uri"
    make_shim
    local status=0
    with_shim enospc "$gzc" mv "$uri/t" moved 2>err || status=$?
    cat err >&2
    same "$status" 1
    same "$(wc -l <err)" 2
    grep -q "^gzc: mv $uri/t: not removed, as not all of it has been copied\$" err
    diff -r t "$brick/t"
    same "$(find moved -type f | wc -l)" 2
    # A directory in the way that is not empty stays.
    mkdir -p full/t/x
    wrong "mv full/t: Directory not empty" gzc mv "$uri/t" full
    diff -r t "$brick/t"
}

test_ln() {
    echo text >file
    gzc put file "$uri"
    gzc mkdir "$uri/d"
    right gzc ln "$uri/file" "$uri/hard"
    same "$(stat -c %i "$brick/hard")" "$(stat -c %i "$brick/file")"
    right gzc ln "$uri/file" "$uri/hard" "$uri/d"
    [[ $brick/d/file -ef $brick/d/hard ]]
    right gzc ln -s ../file "$uri/d/soft"
    same "$(readlink "$brick/d/soft")" ../file
    right gzc cat "$uri/d/soft"
    same "$(<out)" text
    wrong "ln $uri/d/soft: File exists (*" gzc ln -s other "$uri/d/soft"
    right gzc ln -sf other "$uri/d/soft"
    same "$(readlink "$brick/d/soft")" other
    right gzc ln -f "$uri/file" "$uri/d/soft"
    right gzc ln -f "$uri/file" "$uri/d/soft"
    [[ $brick/d/soft -ef $brick/file ]]
    same "$(find "$brick" -name '*.gzc-*')" ''
    wrong "ln $uri/x: Operation not permitted (*" gzc ln "$uri/d" "$uri/x"
    wrong "ln $uri/x: No such file or directory (*" gzc ln "$uri/no" "$uri/x"
    wrong "ln $uri/y?nconnect=2: Invalid cross-device link: $uri/file is on another volume" \
        gzc ln "$uri/file" "$uri/y?nconnect=2"
    right gzc ln -s d "$uri/to-d"
    right gzc ln -s x "$uri/to-d" # goes into it
    same "$(readlink "$brick/d/x")" x
    right gzc ln -sfn x "$uri/to-d"
    same "$(readlink "$brick/to-d")" x
}

test_rm_r() {
    make_tree
    gzc cp -a tree "$uri"
    gzc cp -a tree "$uri/other"
    ln -s ../other "$brick/tree/loop"
    adopt 4 "$brick/tree/loop"
    wrong "rm $uri/tree: Is a directory (*" gzc rm "$uri/tree"
    right gzc rm -r "$uri/tree" "$uri/[o]ther/a" "$uri/other/fifo"
    same "$(cd "$brick" && find . -type f)" $'./other/odd ?*%/\377new\nline'
    right gzc rm -rv "$uri/other/empty"
    same "$(<out)" "removed '$uri/other/empty/link'
removed '$uri/other/empty'"
    wrong 'rm *: the root of a volume is not removed' gzc rm -rf "$LAB_BRICK_URI"
    wrong 'rm *: the root of a volume is not removed' gzc rm -rf "$uri/../"
    wrong "rm $uri/no: No such file or directory (*" gzc rm -r "$uri/no"
    right gzc rm -rf "$uri/no"
    right gzc rm -rf "$uri"
    [[ ! -e $brick ]]
}

test_rm_r_of_a_large_directory() {
    mkdir large
    seq 5000 | (cd large && xargs touch)
    right gzc cp -r -j 16 large "$uri"
    same "$(find "$brick/large" -type f | wc -l)" 5000
    right gzc rm -r "$uri/large"
    [[ ! -e $brick/large ]]
}
