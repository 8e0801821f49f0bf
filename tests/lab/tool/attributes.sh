# shellcheck shell=bash disable=SC2016,SC2094,SC2154,SC2317
# Sourced by tool.sh: chmod, chown, touch, truncate and xattr, beside coreutils on local files.

test_chmod_as_chmod() {
    local mode old
    umask 027
    touch file
    mkdir dir
    gzc put file "$uri"
    gzc mkdir "$uri/dir"
    for mode in 0 644 7777 0750 u+x go-w a=r =rw,u+x g=u o=g u=rwx,g=,o= +x +w -w -- -x u+s g+s \
        +t o+t a+t a+st X a+X u+X ug=rX o-rwx g+w,o+w,a-x u=g+w u=,g=rwx,o=r,+s =s u-s =; do
        [[ $mode == -- || $mode == X ]] && continue
        for old in 644 755 0 4751 2775 1777; do
            chmod "$old" "$brick/file" file "$brick/dir" dir
            chmod -- "$mode" file dir 2>/dev/null || true # it tells if the umask spared something
            right gzc chmod -- "$mode" "$uri/file" "$uri/dir"
            same "$mode $old $(cd "$brick" && stat -c %a file dir | tr '\n' ' ')" \
                "$mode $old $(stat -c %a file dir | tr '\n' ' ')"
        done
    done
    chmod 755 "$brick/file"
    right gzc chmod -w "$uri/file"
    same "$(stat -c %a "$brick/file")" 555
}

test_chmod_and_chown_r() {
    mkdir -p t/a/b
    touch t/a/b/f t/g
    ln -s g t/link
    gzc cp -a t "$uri"
    right gzc chmod -R u=rwX,go= "$uri/t"
    chmod -R u=rwX,go= t
    right gzc chown -R 12:34 "$uri/t"
    chown -R 12:34 t
    diff <(cd t && find . -printf '%p %m %U %G\n' | sort) \
        <(cd "$brick/t" && find . -printf '%p %m %U %G\n' | sort)
    right gzc chown daemon "$uri/t/g"
    same "$(stat -c '%U %g' "$brick/t/g")" 'daemon 34'
    right gzc chown :daemon "$uri/t/g"
    right gzc chown 7 "$uri/t/g"
    same "$(stat -c '%u %G' "$brick/t/g")" '7 daemon'
    right gzc chown root: "$uri/t/link" # what it leads to
    same "$(cd "$brick/t" && stat -c '%u %g' g link | tr '\n' ' ')" '0 0 12 34 '
    right gzc chown -h 8:9 "$uri/t/link"
    same "$(cd "$brick/t" && stat -c '%u %g' g link | tr '\n' ' ')" '0 0 8 9 '
    wrong "chmod $uri/no: No such file or directory (*" gzc chmod 644 "$uri/no"
    wrong "chown $uri/no: No such file or directory (*" gzc chown 1 "$uri/t" "$uri/no"
}

test_touch() {
    right gzc touch "$uri/new" "$uri/b"
    same "$(stat -c %s "$brick/new")" 0
    right gzc touch -c "$uri/none"
    [[ ! -e $brick/none ]]
    local date
    for date in '2001-02-03 04:05:06.123456789' '2001-02-03T04:05:06Z' '2001-02-03 04:05' 2001-02-03 \
        '2010-07-01T00:00:00+02:00' '2010-07-01 00:00:00.5 -0330' @1234567890.25 @0; do
        touch -d "$date" local
        right env TZ=Europe/Berlin "$gzc" touch -d "$date" "$uri/new"
        [[ $date == *[Z@+-]* ]] && TZ=Europe/Berlin touch -d "$date" local
        same "$date $(stat -c '%.9X %.9Y' "$brick/new")" "$date $(stat -c '%.9X %.9Y' local)"
    done
    right gzc touch -a -d @5 "$uri/new"
    right gzc touch -m -d @6 "$uri/new"
    same "$(stat -c '%X %Y' "$brick/new")" '5 6'
    right gzc touch -r "$uri/new" "$uri/b"
    same "$(stat -c '%X %Y' "$brick/b")" '5 6'
    touch -d @7 local
    right gzc touch -r local "$uri/b"
    same "$(stat -c '%X %Y' "$brick/b")" '7 7'
    right gzc touch "$uri/b"
    (($(stat -c %Y "$brick/b") > 1000000000))
    wrong "touch $uri/no/x: No such file or directory (*" gzc touch "$uri/no/x"
    wrong "touch nothing: No such file or directory" gzc touch -r nothing "$uri/b"
}

test_truncate() {
    local size
    for size in 100 +10 -5 2K 1M +1k -1M 0; do
        truncate -s "$size" local
        right gzc truncate -s "$size" "$uri/file"
        same "$size $(stat -c %s "$brick/file")" "$size $(stat -c %s local)"
    done
    truncate -s 12345 local
    right gzc truncate -r local "$uri/file"
    same "$(stat -c %s "$brick/file")" 12345
    right gzc truncate -c -s 5 "$uri/none"
    [[ ! -e $brick/none ]]
    wrong "truncate $uri: Is a directory (*" gzc truncate -s 5 "$uri"
}

test_xattr() {
    echo x >f
    gzc put f "$uri"
    right gzc xattr set user.text 'some text' "$uri/f"
    right gzc xattr set user.hex 0x00ff0a "$uri/f"
    right gzc xattr set user.base64 0sAP8K "$uri/f"
    right gzc xattr set -e text user.zero 0x41 "$uri/f"
    right gzc xattr set user.empty '' "$uri/f"
    same "$(getfattr --only-values -n user.text "$brick/f" 2>/dev/null)" 'some text'
    same "$(getfattr --only-values -n user.base64 "$brick/f" 2>/dev/null | od -An -tx1)" ' 00 ff 0a'
    same "$(getfattr --only-values -n user.zero "$brick/f" 2>/dev/null)" 0x41
    right gzc xattr get user.text "$uri/f"
    same "$(<out)" 'some text'
    right gzc xattr get user.hex "$uri/f"
    same "$(<out)" 0sAP8K
    right gzc xattr get -e hex user.hex "$uri/f"
    same "$(<out)" 0x00ff0a
    right gzc xattr list "$uri/f"
    same "$(sort out)" $'user.base64=0sAP8K\nuser.empty=\nuser.hex=0sAP8K\nuser.text=some text\nuser.zero=0sMHg0MQ=='
    right gzc xattr list --json "$uri/f"
    json "d[0]['uri'] == '$uri/f' and {a['name']: a['base64'] for a in d[0]['xattrs']}['user.hex'] == 'AP8K'"
    json "{a['name']: a.get('value') for a in d[0]['xattrs']}['user.text'] == 'some text'"
    gzc put f "$uri/g"
    gzc xattr set user.text other "$uri/g"
    right gzc xattr get user.text "$uri/f" "$uri/g"
    same "$(<out)" "$uri/f: some text"$'\n'"$uri/g: other"
    wrong "xattr $uri/f: File exists (*" gzc xattr set --create user.text x "$uri/f"
    wrong "xattr $uri/f: No data available (*" gzc xattr set --replace user.new x "$uri/f"
    right gzc xattr remove user.text "$uri/f"
    wrong "xattr $uri/f: No data available (*" gzc xattr get user.text "$uri/f"
    wrong "xattr $uri/f: No data available (*" gzc xattr remove user.text "$uri/f"
    wrong "xattr $uri/no: No such file or directory (*" gzc xattr list "$uri/no"
    head -c 3000 /dev/urandom >large
    right gzc xattr set user.large "0s$(base64 -w0 large)" "$uri/f"
    right gzc xattr get -e base64 user.large "$uri/f"
    same "$(<out)" "0s$(base64 -w0 large)"
}
