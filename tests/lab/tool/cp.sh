# shellcheck shell=bash disable=SC2016,SC2094,SC2154,SC2317
# Sourced by tool.sh: cp, of trees and between volumes.

# What stat and the extended attributes say of everything below a directory, but for times of access
# and change, and what a brick adds. A directory's size is its file system's matter.
listing() {
    (cd "$1" && find . \( -type f -printf '%p f %m %U %G %T@ %s\n' \) -o -printf '%p %y %m %U %G %T@ %l\n' |
        sort && getfattr -R -P -h -d -m '^user\.' . 2>/dev/null)
}

make_tree() {
    mkdir -p tree/a/b/c tree/empty 'tree/odd ?*%'
    echo one >tree/a/one
    head -c 3000001 /dev/urandom >tree/a/b/large
    : >tree/a/b/c/nothing
    echo x >$'tree/odd ?*%/\377new\nline'
    ln -s ../a/one tree/empty/link
    ln -s nowhere tree/dangling
    mkfifo tree/fifo
    seq 300 | (cd tree/a/b/c && xargs touch)
    setfattr -n user.color -v blue tree/a/one
    setfattr -n user.raw -v 0x00ff0a tree/a/b
    chmod 4751 tree/a/one
    chmod 1700 tree/a/b
    chmod 500 tree/a/b/c
    chown 12:34 tree/a/b/large
    chown -h 56:78 tree/dangling
    touch -d '2001-02-03 04:05:06.123456789' tree/a/one
    touch -h -d '2002-03-04 05:06:07.987654321' tree/dangling
    touch -d '1999-12-31 23:59:59.5' tree/a/b tree/empty tree
}

test_cp_a_there_and_back() {
    make_tree
    right gzc cp -a tree "$uri/copy"
    diff <(listing tree) <(listing "$brick/copy")
    right gzc cp -a "$uri/copy" back
    diff <(listing tree) <(listing back)
    cmp tree/a/b/large back/a/b/large
    right gzc cp -a "$uri/copy" "$uri/copy2"
    diff <(listing tree) <(listing "$brick/copy2")
    # The same from one mount to another.
    right gzc cp -a "$uri/copy" "$uri/copy3?nconnect=2"
    diff <(listing tree) <(listing "$brick/copy3")
    # Again, over what is there: nothing changes.
    right gzc cp -a tree/. "$uri/copy"
    diff <(listing tree) <(listing "$brick/copy")
}

test_cp_r_makes_new_files() {
    umask 027
    mkdir -p d/e
    echo x >d/e/f
    mkdir d/closed
    echo y >d/closed/g
    chmod 777 d/e/f d/e
    chmod 555 d/closed
    touch -d 2001-01-01 d/e/f
    right gzc cp -r d "$uri"
    same "$(cd "$brick" && stat -c '%n %a' d/e d/e/f d/closed)" $'d/e 750\nd/e/f 750\nd/closed 550'
    same "$(find "$brick/d/e/f" -newermt 2020-01-01)" "$brick/d/e/f"
    right gzc cp -p d/e/f "$uri/g"
    same "$(stat -c '%a %Y' "$brick/g")" "$(stat -c '%a %Y' d/e/f)"
    wrong 'cp ..: has no name that it could have there' gzc cp -r .. "$uri"
    # Into what is there it merges.
    mkdir -p other/d
    echo y >other/d/g
    right gzc cp -r other/d "$uri"
    same "$(cd "$brick/d" && find . -type f | sort)" $'./closed/g\n./e/f\n./g'
}

test_cp_keeps_holes() {
    truncate -s 64M hole
    printf x | dd of=hole bs=1 seek=20000000 conv=notrunc status=none
    cp hole middle
    printf y >>middle
    truncate -s 10M nothing
    for file in hole middle nothing; do
        right gzc cp "$file" "$uri"
        cmp "$file" "$brick/$file"
        (($(stat -c %b "$brick/$file") < 2048))
        right gzc cp "$uri/$file" back
        cmp "$file" back
        (($(stat -c %b back) < 2048))
        right gzc cp "$uri/$file" "$uri/copy"
        cmp "$file" "$brick/copy"
        (($(stat -c %b "$brick/copy") < 2048))
        right gzc put --verify "$file" "$uri/verified"
        cmp "$file" "$brick/verified"
    done
}

test_cp_every_size() {
    for size in 0 1 1048575 1048576 1048577 8388608 8388609 20000000; do
        head -c "$size" /dev/urandom >"$size"
    done
    right gzc cp [0-9]* "$uri"
    right gzc mkdir "$uri/copy"
    right gzc cp "$uri/*[0-9]" "$uri/copy"
    right gzc mkdir "$uri/verified"
    right gzc cp --verify -j 2 "$uri/copy/*" "$uri/verified"
    mkdir back
    right gzc cp "$uri/copy/*" back
    for size in [0-9]*; do
        cmp "$size" "back/$size"
        cmp "$size" "$brick/copy/$size"
        cmp "$size" "$brick/verified/$size"
    done
}

test_cp_by_the_brick_moves_no_byte() {
    head -c 20000000 /dev/urandom >a
    gzc put a "$uri"
    right env ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" \
        strace -f -e trace=sendmsg,recvmsg -o calls "$gzc" cp "$uri/a" "$uri/b"
    cmp a "$brick/b"
    same "$(awk '/= [0-9]+$/ { n += $NF } END { print n < 1000000 }' calls)" 1
}

test_cp_targets() {
    echo one >a
    echo two >b
    mkdir d
    right gzc cp a "$uri"
    right gzc cp a b "$uri/"
    same "$(cat "$brick/a" "$brick/b")" $'one\ntwo'
    wrong "cp $uri/no: No such file or directory (*" gzc cp "$uri/a" b "$uri/no"
    wrong "cp $uri/a: Not a directory" gzc cp a b "$uri/a"
    wrong "cp $uri/new/: No such file or directory (*" gzc cp a "$uri/new/"
    wrong 'cp no: No such file or directory' gzc cp no "$uri/x"
    wrong 'cp d: Is a directory, which is copied with -r only' gzc cp d "$uri/x"
    wrong "cp $uri/a: Invalid argument (source and copy are the same file)" gzc cp "$uri/a" "$uri/a"
    wrong "cp $uri/a?nconnect=2: Invalid argument (source and copy are the same file)" \
        gzc cp "$uri/a" "$uri/a?nconnect=2"
    same "$(<"$brick/a")" one
    mkdir e
    echo three >e/a
    wrong "cp e/a: 'a' has come from another source just now" gzc cp a e/a "$uri"
    same "$(<"$brick/a")" one
    # What fails is left out, the rest is copied.
    wrong 'cp no: No such file or directory' gzc cp no b "$uri"
    gzc cp -r d "$uri"
    wrong "cp $uri/a/d: Not a directory*" gzc cp -r d "$uri/a/d"
    touch x
    gzc mkdir "$uri/x"
    mkdir f
    touch f/d
    wrong "cp $uri/d: Is a directory*" gzc cp f/d "$uri"
}

test_cp_into_itself() {
    mkdir -p d/e
    echo x >d/e/f
    gzc cp -r d "$uri"
    wrong "cp $uri/d/copy: a directory is not copied into itself" gzc cp -r "$uri/d" "$uri/d/copy"
    same "$(cd "$brick/d" && find . | sort)" $'.\n./copy\n./copy/e\n./copy/e/f\n./e\n./e/f'
}

test_cp_n_and_v() {
    echo old >a
    gzc put a "$uri"
    echo new >a
    echo b >b
    right gzc cp -n -v a b "$uri"
    same "$(<out)" "'b' -> '$uri/b'"
    same "$(<"$brick/a")" old
    mkdir -p t/d
    ln -s x t/link
    mkfifo t/fifo
    cp a t/d
    right gzc cp -rv t "$uri"
    same "$(sort out)" "$(for n in t t/d t/d/a t/fifo t/link; do echo "'$n' -> '$uri/$n'"; done)"
    right gzc cp -rnv t "$uri"
    same "$(<out)" ''
}

test_cp_symbolic_links() {
    echo text >file
    ln -s file link
    right gzc cp link "$uri/followed"
    same "$(<"$brick/followed")" text
    [[ ! -L $brick/followed ]]
    right gzc cp -r link "$uri/link"
    same "$(readlink "$brick/link")" file
    gzc put file "$uri/file"
    right gzc cp "$uri/link" back
    same "$(<back)" text
    right gzc cp -a "$uri/link" back
    same "$(readlink back)" file
}

test_cp_progress() {
    mkdir t
    head -c 5000000 /dev/zero >t/a
    head -c 5000000 /dev/zero >t/b
    right gzc cp -r t "$uri/t" # none where there is no terminal
    terminal "$gzc" cp -r t "$uri/t2"
    grep -q '2/2 files 100% \[====================\]    9\.5 MiB' screen
    terminal "$gzc" cp -rq t "$uri/t3"
    [[ ! -s screen ]]
    terminal "$gzc" cp -rn t "$uri/t"
    grep -q '2/2 files 100%' screen
}

test_cp_interrupted() {
    mkdir t back
    for ((i = 0; i < 8; i++)); do
        head -c 10000000 /dev/zero >"t/$i"
    done
    gzc put t/* "$uri"
    make_shim
    local status=0
    with_shim interrupt "$gzc" cp "$uri/[0-7]" back 2>err || status=$?
    cat err >&2
    same "$status" 130
    # What is there is whole, and what is told is all.
    for file in back/*; do
        [[ ! -e $file ]] || cmp "$file" "t/${file##*/}"
    done
    grep -q 'interrupted; the file has been removed$' err
    grep -q "^gzc: cp back: interrupted; $(find back -type f | wc -l) files had been copied\$" err
}

test_cp_fails_in_the_middle() {
    mkdir t back
    for ((i = 0; i < 4; i++)); do
        head -c 10000000 /dev/zero >"t/$i"
    done
    gzc put t/* "$uri"
    make_shim
    wrong 'cp back/*: No space left on device; the file has been removed' \
        with_shim enospc "$gzc" cp "$uri/[0-3]" back
    same "$(find back -type f | wc -l)" 3
}
